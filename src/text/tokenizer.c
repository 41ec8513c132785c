/* GPT-2's vocabulary, from its merges alone: ids 0 ... 255 are the bytes, each line of the file
 * joins two tokens to the one with the next id, and <|endoftext|> is the last. So no vocabulary
 * file is read, and none can disagree with the merges.
 *
 * A line is refused when one of its two tokens is not there yet, on which encode.c builds, or when
 * the one that it makes is there already. Tokens are looked up by their bytes while lines are read,
 * and merges by their pair while text is encoded, in two open-addressed tables of one size. */
#include "tokenizer.h"
#include "../base/arena.h"
#include "../base/file.h"
#include "../base/kind.h"
#include "../base/utf8.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_MERGES = 1 << 24 };

#define END_OF_TEXT "<|endoftext|>"

/* ---- the vocabulary ---- */

static size_t hash_string(const char *s, size_t n)
{
    uint64_t h = 0xCBF29CE484222325u; /* FNV-1a */

    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)s[i]) * 0x100000001B3u;
    return (size_t)(h ^ h >> 32);
}

/* The place of the token of these bytes, or the empty one where it would be. */
static uint32_t *string_at(const struct dg_tokenizer *t, const char *s, size_t n)
{
    for (size_t i = hash_string(s, n);; i++) {
        uint32_t *place = &t->strings[i & t->mask];
        const size_t id = (size_t)*place - 1; /* where there is one */

        if (*place == 0 ||
            (t->start[id + 1] - t->start[id] == n && memcmp(t->bytes + t->start[id], s, n) == 0))
            return place;
    }
}

/* Makes the bytes at the end of t->bytes the next token. */
static void add_token(struct dg_tokenizer *t, size_t n)
{
    const char *s = t->bytes + t->start[t->n];

    *string_at(t, s, n) = t->n + 1;
    t->start[t->n + 1] = t->start[t->n] + n;
    t->n++;
}

/* GPT-2 writes each byte as a printable character: itself where it is printable in Latin-1, else
 * U+0100 and on. Ids 0 ... 255 are the bytes in the order of these characters. */
static bool is_printable(unsigned b)
{
    return (b > 0x20 && b < 0x7F) || (b > 0xA0 && b != 0xAD);
}

static void add_bytes(struct dg_tokenizer *t)
{
    for (int printable = 1; printable >= 0; printable--) {
        for (unsigned b = 0; b < DG_N_BYTES; b++) {
            if (is_printable(b) != (bool)printable)
                continue;
            t->of_byte[b] = t->n;
            t->bytes[t->start[t->n]] = (char)b;
            add_token(t, 1);
        }
    }
}

/* The byte that the character `code` writes; DG_N_BYTES: it is none of GPT-2's. U+0100 is the first
 * byte that is not printable. */
static unsigned byte_written(uint32_t code)
{
    if (code < DG_N_BYTES)
        return is_printable(code) ? code : DG_N_BYTES;
    for (unsigned b = 0; b < DG_N_BYTES; b++)
        if (!is_printable(b) && code-- == DG_N_BYTES)
            return b;
    return DG_N_BYTES;
}

/* The bytes that s[0 ... n - 1] writes, to `to`, and their number; 0 where one of its characters is
 * none of GPT-2's. */
static size_t read_printable(const char *s, size_t n, char *to)
{
    size_t made = 0;

    for (size_t i = 0, length; i < n; i += length) {
        unsigned byte = DG_N_BYTES;
        uint32_t code;

        length = dg_utf8_decode(s + i, n - i, &code);
        if (length > 0)
            byte = byte_written(code);
        if (byte == DG_N_BYTES)
            return 0;
        to[made++] = (char)byte;
    }
    return made;
}

/* ---- reading the merges ---- */

struct lines {
    const char *at, *end;
    const char *name;
    uint32_t number; /* of the line last read, from 1 */
};

/* The next line, without its end. False: there is none. */
static bool next_line(struct lines *l, const char **line, size_t *n)
{
    const char *end;

    if (l->at == l->end)
        return false;
    end = memchr(l->at, '\n', (size_t)(l->end - l->at));
    *line = l->at;
    *n = (size_t)((end ? end : l->end) - l->at);
    l->at = end ? end + 1 : l->end;
    if (*n > 0 && (*line)[*n - 1] == '\r')
        (*n)--;
    l->number++;
    return true;
}

/* One half of a merge: its bytes go behind those at the end of t->bytes, `before` of them, and its
 * id to *id. */
static enum dg_status read_half(struct dg_tokenizer *t, const struct lines *l, const char *s,
                                size_t n, size_t before, uint32_t *id, size_t *bytes,
                                struct dg_error *err)
{
    char *to = t->bytes + t->start[t->n] + before;

    *bytes = read_printable(s, n, to);
    if (*bytes > 0)
        *id = *string_at(t, to, *bytes);
    if (*bytes == 0 || *id == 0)
        return dg_fail(err, DG_ERR_TOKEN,
                       "%s: line %" PRIu32
                       ": '%.*s' is neither a byte nor made by an earlier merge",
                       l->name, l->number, (int)(n < 64 ? n : 64), s);
    (*id)--;
    return DG_OK;
}

static enum dg_status read_merge(struct dg_tokenizer *t, const struct lines *l, const char *line,
                                 size_t n, struct dg_error *err)
{
    const char *space = memchr(line, ' ', n);
    const size_t left = space ? (size_t)(space - line) : n;
    uint32_t ids[2];
    size_t bytes[2];
    enum dg_status st;

    if (left == 0 || left + 1 >= n || memchr(space + 1, ' ', n - left - 1))
        return dg_fail(err, DG_ERR_TOKEN,
                       "%s: line %" PRIu32 ": got '%.*s', expected two tokens and a space between",
                       l->name, l->number, (int)(n < 64 ? n : 64), line);
    st = read_half(t, l, line, left, 0, &ids[0], &bytes[0], err);
    if (st == DG_OK)
        st = read_half(t, l, space + 1, n - left - 1, bytes[0], &ids[1], &bytes[1], err);
    if (st != DG_OK)
        return st;
    if (*string_at(t, t->bytes + t->start[t->n], bytes[0] + bytes[1]) != 0)
        return dg_fail(err, DG_ERR_TOKEN,
                       "%s: line %" PRIu32 ": makes a token that there is already", l->name,
                       l->number);
    *dg_merge_at(t, ids[0], ids[1]) = (struct dg_merge){ids[0], ids[1], t->n};
    add_token(t, bytes[0] + bytes[1]);
    return DG_OK;
}

/* Room for all that the merges can make: a token's bytes are at most its line's. */
static enum dg_status make_room(struct dg_tokenizer *t, size_t file_bytes, size_t merges,
                                struct dg_error *err)
{
    size_t places = 1024;

    while (places < 2 * (DG_N_BYTES + merges))
        places *= 2;
    t->mask = places - 1;
    t->bytes = dg_arena_alloc(t->arena, DG_N_BYTES + file_bytes + sizeof END_OF_TEXT);
    t->start = dg_arena_array(t->arena, DG_N_BYTES + merges + 2, sizeof *t->start);
    t->merges = dg_arena_array(t->arena, places, sizeof *t->merges);
    t->strings = dg_arena_array(t->arena, places, sizeof *t->strings);
    t->special = dg_arena_array(t->arena, 1, sizeof *t->special);
    if (!t->bytes || !t->start || !t->merges || !t->strings || !t->special)
        return dg_fail_memory(err, "a tokenizer", file_bytes + places * sizeof *t->merges);
    return DG_OK;
}

static size_t count_lines(const char *text, size_t n)
{
    size_t lines = 1;

    for (const char *end = text + n; (text = memchr(text, '\n', (size_t)(end - text))); text++)
        lines++;
    return lines;
}

static enum dg_status read_merges(struct dg_tokenizer *t, const char *merges, size_t n,
                                  const char *name, struct dg_error *err)
{
    static const char version[] = "#version:";
    struct lines l = {merges, merges + n, name, 0};
    const size_t lines = count_lines(merges, n);
    const char *line;
    size_t length;
    enum dg_status st;

    if (lines > MOST_MERGES)
        return dg_fail(err, DG_ERR_TOKEN, "%s: got %zu lines, expected at most %d", name, lines,
                       MOST_MERGES);
    st = make_room(t, n, lines, err);
    if (st != DG_OK)
        return st;
    add_bytes(t);
    while (st == DG_OK && next_line(&l, &line, &length)) {
        const bool header = l.number == 1 && length >= sizeof version - 1 &&
                            memcmp(line, version, sizeof version - 1) == 0;

        if (!header && (length > 0 || l.at < l.end)) /* the last line may be empty */
            st = read_merge(t, &l, line, length, err);
    }
    if (st != DG_OK)
        return st;
    memcpy(t->bytes + t->start[t->n], END_OF_TEXT, sizeof END_OF_TEXT - 1);
    t->start[t->n + 1] = t->start[t->n] + sizeof END_OF_TEXT - 1;
    t->special[t->n_special++] = t->n++;
    return DG_OK;
}

enum dg_status dg_tokenizer_parse(struct dg_tokenizer **out, const char *merges, size_t n,
                                  const char *name, struct dg_error *err)
{
    struct dg_arena *arena = dg_arena_new();
    struct dg_tokenizer *t = arena ? dg_arena_alloc(arena, sizeof *t) : NULL;
    enum dg_status st;

    if (!t) {
        dg_arena_free(arena);
        return dg_fail_memory(err, "a tokenizer", sizeof *t);
    }
    t->arena = arena;
    if (n == 0)
        merges = ""; /* it may be NULL */
    st = read_merges(t, merges, n, name, err);
    if (st == DG_OK)
        *out = t;
    else
        dg_tokenizer_free(t);
    return st;
}

/* Refuses a file that cannot be merges, by what it seems to be: of most, its first line says little. */
static enum dg_status check_kind(const char *text, size_t n, const char *name, struct dg_error *err)
{
    const struct dg_kind *kind = dg_kind_of(text, n);

    if (!kind || kind->text)
        return DG_OK;
    return dg_fail(err, DG_ERR_TOKEN, "%s: kind of file: got %s, expected GPT-2's merges%s%s", name,
                   kind->name, kind->advice ? "; " : "", kind->advice ? kind->advice : "");
}

enum dg_status dg_tokenizer_open(struct dg_tokenizer **out, const char *path, struct dg_error *err)
{
    struct dg_file file;
    enum dg_status st = dg_file_open(&file, path, err);
    char *text;
    int failed;

    if (st != DG_OK) {
        if (err)
            err->status = DG_ERR_TOKEN;
        return DG_ERR_TOKEN;
    }
    text = file.bytes < SIZE_MAX ? malloc(file.bytes + 1) : NULL;
    if (!text) {
        dg_file_close(&file);
        return dg_fail_memory(err, path, file.bytes);
    }
    failed = dg_file_read(&file, 0, text, file.bytes);
    dg_file_close(&file);
    if (failed)
        st = dg_fail(err, DG_ERR_IO, "%s: cannot read: %s", path, strerror(failed));
    else
        st = check_kind(text, file.bytes, path, err);
    if (st == DG_OK)
        st = dg_tokenizer_parse(out, text, file.bytes, path, err);
    free(text);
    return st;
}

void dg_tokenizer_free(struct dg_tokenizer *t)
{
    if (t)
        dg_arena_free(t->arena); /* t itself lies in it */
}

uint32_t dg_tokenizer_vocab(const struct dg_tokenizer *t)
{
    return t->n;
}

int32_t dg_tokenizer_end(const struct dg_tokenizer *t)
{
    return (int32_t)t->n - 1;
}

const char *dg_tokenizer_bytes(const struct dg_tokenizer *t, int32_t id, size_t *n)
{
    if (id < 0 || (uint32_t)id >= t->n)
        return NULL;
    *n = t->start[id + 1] - t->start[id];
    return t->bytes + t->start[id];
}
