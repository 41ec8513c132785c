/* Tokens are numbered in the order in which they come: the bytes, then what merge 0 makes, and so on. Ids are the
 * file's business: two tables lead from one to the other.
 *
 * A merge is refused when one of its two tokens is not there yet, or when it is there itself. Two merges may make
 * one token, "ab c" and "a bc": so what the tokenizers library trains may have it. Tokens are looked up by their bytes while a file is read, and merges by
 * their pair while text is encoded, in two open-addressed tables of one size. */
#include "vocabulary.h"
#include "special.h"
#include "../base/arena.h"
#include "../base/file.h"
#include "../base/utf8.h"

#include <inttypes.h>
#include <string.h>

#define NO_ID (-1)

/* ---- tokens ---- */

/* The place of the token of these bytes, or the empty one where it would be. */
static uint32_t *string_at(const struct dg_tokenizer *t, const char *s, size_t n)
{
    for (size_t i = (size_t)dg_hash(&t->key, s, n);; i++) {
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

uint32_t dg_vocabulary_character(unsigned byte)
{
    uint32_t code = 0x100;

    if (is_printable(byte))
        return byte;
    for (unsigned b = 0; b < byte; b++)
        code += !is_printable(b);
    return code;
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

/* ---- merges ---- */

/* One half of a merge: its bytes go behind those at the end of t->bytes, `before` of them, and its
 * number to *token. */
static enum dg_status read_half(struct dg_tokenizer *t, struct dg_spot spot, const char *s,
                                size_t n, size_t before, uint32_t *token, size_t *bytes,
                                struct dg_error *err)
{
    char *to = t->bytes + t->start[t->n] + before;

    *bytes = read_printable(s, n, to);
    *token = *bytes > 0 ? *string_at(t, to, *bytes) : 0;
    if (*token == 0)
        return dg_fail(err, DG_ERR_TOKEN,
                       "%s: %s %" PRIu64 ": '%.*s' is neither a byte nor made by an earlier merge",
                       spot.name, spot.unit, spot.number, (int)(n < 64 ? n : 64), s);
    (*token)--;
    return DG_OK;
}

void dg_vocabulary_join(struct dg_tokenizer *t, uint32_t left, uint32_t right)
{
    const size_t n[2] = {t->start[left + 1] - t->start[left],
                         t->start[right + 1] - t->start[right]};
    char *to = t->bytes + t->start[t->n];
    uint32_t made;

    memcpy(to, t->bytes + t->start[left], n[0]);
    memcpy(to + n[0], t->bytes + t->start[right], n[1]);
    made = *string_at(t, to, n[0] + n[1]);
    if (made == 0) {
        add_token(t, n[0] + n[1]);
        made = t->n;
    }
    t->made[t->n_merges++] = made - 1;
    *dg_merge_at(t, left, right) = (struct dg_merge){left, right, t->n_merges};
}

/* The next merge, of two tokens. */
static enum dg_status merge(struct dg_tokenizer *t, struct dg_spot spot, const char *left,
                            size_t n_left, const char *right, size_t n_right, struct dg_error *err)
{
    uint32_t token[2];
    size_t bytes[2];
    enum dg_status st = read_half(t, spot, left, n_left, 0, &token[0], &bytes[0], err);

    if (st == DG_OK)
        st = read_half(t, spot, right, n_right, bytes[0], &token[1], &bytes[1], err);
    if (st != DG_OK)
        return st;
    if (dg_merge_rank(t, token[0], token[1]) != DG_NO_MERGE)
        return dg_fail(err, DG_ERR_TOKEN, "%s: %s %" PRIu64 ": got a merge that there is already",
                       spot.name, spot.unit, spot.number);
    dg_vocabulary_join(t, token[0], token[1]);
    return DG_OK;
}

enum dg_status dg_vocabulary_merge_line(struct dg_tokenizer *t, struct dg_spot spot,
                                        const char *line, size_t n, struct dg_error *err)
{
    const char *space = n > 0 ? memchr(line, ' ', n) : NULL;
    const size_t left = space ? (size_t)(space - line) : n;

    if (left == 0 || left + 1 >= n || memchr(space + 1, ' ', n - left - 1))
        return dg_fail(err, DG_ERR_TOKEN,
                       "%s: %s %" PRIu64 ": got '%.*s', expected two tokens and a space between",
                       spot.name, spot.unit, spot.number, (int)(n < 64 ? n : 64), line);
    return merge(t, spot, line, left, space + 1, n - left - 1, err);
}

/* ---- the whole ---- */

static enum dg_status make_room(struct dg_tokenizer *t, size_t tokens, size_t merges, size_t bytes,
                                struct dg_error *err)
{
    size_t places = 1024;

    while (places < 2 * tokens)
        places *= 2;
    t->mask = places - 1;
    t->room = (uint32_t)tokens;
    t->bytes = dg_arena_alloc(t->arena, DG_N_BYTES + bytes);
    t->start = dg_arena_array(t->arena, tokens + 1, sizeof *t->start);
    t->merges = dg_arena_array(t->arena, places, sizeof *t->merges);
    t->made = dg_arena_array(t->arena, merges + 1, sizeof *t->made);
    t->strings = dg_arena_array(t->arena, places, sizeof *t->strings);
    t->special = dg_arena_array(t->arena, tokens, sizeof *t->special);
    t->id = dg_arena_array(t->arena, tokens, sizeof *t->id);
    t->token = dg_arena_array(t->arena, tokens, sizeof *t->token);
    if (!t->bytes || !t->start || !t->merges || !t->made || !t->strings || !t->special || !t->id ||
        !t->token)
        return dg_fail_memory(err, "a tokenizer", bytes + places * sizeof *t->merges);
    for (size_t i = 0; i < tokens; i++) {
        t->id[i] = NO_ID;
        t->token[i] = DG_NO_TOKEN;
    }
    return DG_OK;
}

enum dg_status dg_vocabulary_new(struct dg_tokenizer **out, size_t merges, size_t others,
                                 size_t bytes, struct dg_error *err)
{
    struct dg_arena *arena = dg_arena_new();
    struct dg_tokenizer *t = arena ? dg_arena_alloc(arena, sizeof *t) : NULL;
    enum dg_status st;

    if (!t) {
        dg_arena_free(arena);
        return dg_fail_memory(err, "a tokenizer", sizeof *t);
    }
    t->arena = arena;
    t->key = dg_hash_new_key();
    t->key.half[0] |= 1;
    t->begin = t->end = NO_ID;
    st = make_room(t, DG_N_BYTES + merges + others, merges, bytes, err);
    if (st != DG_OK) {
        dg_tokenizer_free(t);
        return st;
    }
    add_bytes(t);
    *out = t;
    return DG_OK;
}

/* The token of these bytes; DG_NO_TOKEN: there is none. */
static uint32_t find_token(const struct dg_tokenizer *t, const char *bytes, size_t n)
{
    return *string_at(t, bytes, n) - 1; /* 0: DG_NO_TOKEN */
}

uint32_t dg_vocabulary_find_written(const struct dg_tokenizer *t, const char *text, size_t n,
                                    char *room)
{
    const size_t read = read_printable(text, n, room);

    return read > 0 ? find_token(t, room, read) : find_token(t, text, n);
}

uint64_t dg_vocabulary_id_of(const struct dg_tokenizer *t, const char *bytes, size_t n)
{
    const uint32_t token = find_token(t, bytes, n);

    return token == DG_NO_TOKEN ? UINT64_MAX : (uint64_t)t->id[token];
}

void dg_vocabulary_ends(struct dg_tokenizer *t, int32_t begin, int32_t end)
{
    if (begin >= 0 && (uint32_t)begin < t->n)
        t->begin = begin;
    if (end >= 0 && (uint32_t)end < t->n)
        t->end = end;
}

uint32_t dg_vocabulary_other(struct dg_tokenizer *t, const char *bytes, size_t n)
{
    memcpy(t->bytes + t->start[t->n], bytes, n);
    if (find_token(t, bytes, n) == DG_NO_TOKEN)
        *string_at(t, bytes, n) = t->n + 1;
    t->start[t->n + 1] = t->start[t->n] + n;
    return t->n++;
}

/* Those that any text is read as stand first. */
void dg_vocabulary_special(struct dg_tokenizer *t, uint32_t token, bool always)
{
    t->special[t->n_special++] = token;
    t->starts_special[(unsigned char)t->bytes[t->start[token]]] = true;
    if (always) {
        t->special[t->n_special - 1] = t->special[t->n_always];
        t->special[t->n_always++] = token;
    }
}

enum dg_status dg_vocabulary_id(struct dg_tokenizer *t, const char *name, uint32_t token,
                                uint64_t id, struct dg_error *err)
{
    if (id >= t->room)
        return dg_fail(err, DG_ERR_TOKEN,
                       "%s: token id: got %" PRIu64 ", expected less than %" PRIu32, name, id,
                       t->room);
    if (t->id[token] != NO_ID && t->id[token] != (int32_t)id)
        return dg_fail(err, DG_ERR_TOKEN,
                       "%s: token id %" PRIu64 ": got the token of id %" PRId32
                       " again, expected another",
                       name, id, t->id[token]);
    if (t->token[id] != DG_NO_TOKEN && t->token[id] != token)
        return dg_fail(err, DG_ERR_TOKEN, "%s: token id %" PRIu64 ": got two tokens, expected one",
                       name, id);
    t->id[token] = (int32_t)id;
    t->token[id] = token;
    return DG_OK;
}

/* The rank of the first merge that makes the token. */
static uint32_t merge_of(const struct dg_tokenizer *t, uint32_t token)
{
    uint32_t rank = 0;

    while (rank < t->n_merges && t->made[rank] != token)
        rank++;
    return rank;
}

enum dg_status dg_vocabulary_end(struct dg_tokenizer *t, const char *name, struct dg_error *err)
{
    for (uint32_t i = 0; i < t->n; i++) {
        const int n =
            (int)(t->start[i + 1] - t->start[i] < 64 ? t->start[i + 1] - t->start[i] : 64);

        if (t->id[i] == NO_ID)
            return dg_fail(err, DG_ERR_TOKEN, "%s: '%.*s' (%s %" PRIu32 "): got no token id", name,
                           n, t->bytes + t->start[i], i < DG_N_BYTES ? "byte" : "made by merge",
                           i < DG_N_BYTES ? (unsigned char)t->bytes[t->start[i]]
                                          : merge_of(t, i) + 1);
        if ((uint32_t)t->id[i] >= t->n)
            return dg_fail(err, DG_ERR_TOKEN,
                           "%s: token id: got %" PRId32 ", expected less than %" PRIu32
                           ", the number of tokens",
                           name, t->id[i], t->n);
    }
    return dg_special_index(t, err);
}

/* ---- lists ---- */

/* The token of a list's text; a new one where there is none. */
static uint32_t token_of(struct dg_tokenizer *t, const struct dg_token_text *text)
{
    char *written = t->bytes + t->start[t->n];
    const char *bytes = text->text;
    size_t n = text->n;
    uint32_t token;

    if (text->kind == DG_TOKEN_PLAIN) {
        const size_t read = read_printable(text->text, text->n, written);

        if (read > 0) {
            bytes = written;
            n = read;
        }
    }
    token = find_token(t, bytes, n);
    return token == DG_NO_TOKEN ? dg_vocabulary_other(t, bytes, n) : token;
}

static enum dg_status add_texts(struct dg_tokenizer *t, const char *name,
                                const struct dg_token_text *tokens, size_t n, bool plain,
                                struct dg_error *err)
{
    enum dg_status st = DG_OK;

    for (size_t i = 0; i < n && st == DG_OK; i++) {
        uint32_t token;

        if ((tokens[i].kind == DG_TOKEN_PLAIN) != plain)
            continue;
        if (tokens[i].n == 0)
            return dg_fail(err, DG_ERR_TOKEN, "%s: token id %" PRIu64 ": got an empty text", name,
                           tokens[i].id);
        token = token_of(t, &tokens[i]);
        st = dg_vocabulary_id(t, name, token, tokens[i].id, err);
        if (st == DG_OK && (tokens[i].kind == DG_TOKEN_SPECIAL || tokens[i].kind == DG_TOKEN_ADDED))
            dg_vocabulary_special(t, token, tokens[i].kind == DG_TOKEN_ADDED);
    }
    return st;
}

static size_t bytes_of(const struct dg_token_text *tokens, size_t n_tokens,
                       const struct dg_merge_text *merges, size_t n_merges)
{
    size_t bytes = 0;

    for (size_t i = 0; i < n_tokens; i++)
        bytes += tokens[i].n;
    for (size_t i = 0; i < n_merges; i++)
        bytes += merges[i].n_left + merges[i].n_right;
    return bytes;
}

enum dg_status dg_vocabulary_of_lists(struct dg_tokenizer **out, const char *name,
                                      const struct dg_token_text *tokens, size_t n_tokens,
                                      const struct dg_merge_text *merges, size_t n_merges,
                                      struct dg_error *err)
{
    struct dg_tokenizer *t = NULL;
    enum dg_status st;
    uint32_t end;

    if (n_tokens > DG_MOST_TOKENS || n_merges > DG_MOST_TOKENS)
        return dg_fail(err, DG_ERR_TOKEN, "%s: tokens: got %zu and %zu merges, expected at most %d",
                       name, n_tokens, n_merges, DG_MOST_TOKENS);
    st = dg_vocabulary_new(&t, n_merges, n_tokens, bytes_of(tokens, n_tokens, merges, n_merges),
                           err);
    for (size_t i = 0; i < n_merges && st == DG_OK; i++)
        st = merge(t, (struct dg_spot){name, "merge", i + 1}, merges[i].left, merges[i].n_left,
                   merges[i].right, merges[i].n_right, err);
    if (st == DG_OK)
        st = add_texts(t, name, tokens, n_tokens, false, err);
    if (st == DG_OK)
        st = add_texts(t, name, tokens, n_tokens, true, err);
    if (st == DG_OK)
        st = dg_vocabulary_end(t, name, err);
    if (st != DG_OK) {
        dg_tokenizer_free(t);
        return st;
    }
    end = find_token(t, DG_END_OF_TEXT, sizeof DG_END_OF_TEXT - 1);
    t->begin = t->end = end == DG_NO_TOKEN ? NO_ID : t->id[end];
    *out = t;
    return DG_OK;
}

/* ---- files ---- */

enum dg_status dg_vocabulary_load(char **text, size_t *n, const char *path, struct dg_error *err)
{
    const enum dg_status st = dg_file_load(text, n, path, DG_MOST_TOKENIZER, err);

    if (st != DG_ERR_MODEL)
        return st;
    if (err)
        err->status = DG_ERR_TOKEN;
    return DG_ERR_TOKEN;
}
