/* Byte-pair encoding: in a piece of text, which starts as single bytes, the adjacent pair whose
 * merge comes first in the file is joined, wherever it stands, until no pair has a merge.
 *
 * Every merge joins two tokens that are there before it (dg_tokenizer_parse() refuses others). So
 * joining a pair makes only pairs of later merges, and to join the leftmost pair of the lowest rank,
 * one at a time, gives what joining all of them at once gives.
 *
 * Short pieces, which is nearly all, are searched for the lowest rank again after each join. Long
 * ones keep the pairs in a heap, so that n bytes take n log n; and they are encoded window by
 * window, so that memory stays small and in the cache. Windows are put together where they agree:
 * a sequence of tokens is the encoding of its bytes if, and only if, each two neighbours are the
 * encoding of theirs (each join looks no further than at its two tokens and their neighbours). If
 * two windows that overlap have the same token at the same place, the tokens of the first up to
 * there and those of the second from there on are such a sequence. */
#include "tokenizer.h"
#include "../base/arena.h"
#include "../base/checked.h"
#include "../base/file.h"
#include "../base/utf8.h"
#include "split.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES = 256, SHORT = 32, WINDOW = 1024, MOST_MERGES = 1 << 24 };

#define NONE        UINT32_MAX
#define END_OF_TEXT "<|endoftext|>"

struct pair {
    uint32_t left, right;
    uint32_t made; /* the id that the two become, which is also the rank; 0: an empty place */
};

struct dg_tokenizer {
    struct dg_arena *arena;  /* holds the tokenizer itself, too */
    uint32_t n;              /* tokens; the last is <|endoftext|> */
    char *bytes;             /* of all tokens, one after the other */
    size_t *start;           /* [n + 1] where in bytes each begins */
    uint32_t of_byte[BYTES]; /* the id of each byte */
    struct pair *pairs;      /* [mask + 1] by hash of left and right */
    uint32_t *strings;       /* [mask + 1] by hash of a token's bytes: id + 1, or 0 */
    size_t mask;             /* a power of 2, minus 1; at most half of the places are taken */
};

/* ---- the vocabulary ---- */

static size_t hash_pair(uint32_t left, uint32_t right)
{
    const uint64_t key = (uint64_t)left << 32 | right;

    return (size_t)((key * 0x9E3779B97F4A7C15u) >> 32); /* 2^64 / golden ratio: Knuth 6.4 */
}

static size_t hash_string(const char *s, size_t n)
{
    uint64_t h = 0xCBF29CE484222325u; /* FNV-1a */

    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)s[i]) * 0x100000001B3u;
    return (size_t)(h ^ h >> 32);
}

/* The place of that pair, or the empty one where it would be. */
static struct pair *pair_at(const struct dg_tokenizer *t, uint32_t left, uint32_t right)
{
    for (size_t i = hash_pair(left, right);; i++) {
        struct pair *p = &t->pairs[i & t->mask];

        if (p->made == 0 || (p->left == left && p->right == right))
            return p;
    }
}

static uint32_t made_of(const struct dg_tokenizer *t, uint32_t left, uint32_t right)
{
    const uint32_t made = pair_at(t, left, right)->made;

    return made ? made : NONE;
}

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
        for (unsigned b = 0; b < BYTES; b++) {
            if (is_printable(b) != (bool)printable)
                continue;
            t->of_byte[b] = t->n;
            t->bytes[t->start[t->n]] = (char)b;
            add_token(t, 1);
        }
    }
}

/* The byte that the character `code` writes; BYTES: it is none of GPT-2's. */
static unsigned byte_written(uint32_t code)
{
    unsigned b = 0;

    if (code < BYTES)
        return is_printable(code) ? code : BYTES;
    while (b < BYTES && (is_printable(b) || code-- > BYTES)) /* the (code - 256)th unprintable */
        b++;
    return b;
}

/* The bytes that s[0 ... n - 1] writes, to `to`, and their number; 0 where one of its characters is
 * none of GPT-2's. */
static size_t read_printable(const char *s, size_t n, char *to)
{
    size_t made = 0;

    for (size_t i = 0, length; i < n; i += length) {
        unsigned byte = BYTES;
        uint32_t code;

        length = dg_utf8_decode(s + i, n - i, &code);
        if (length > 0)
            byte = byte_written(code);
        if (byte == BYTES)
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
    *pair_at(t, ids[0], ids[1]) = (struct pair){ids[0], ids[1], t->n};
    add_token(t, bytes[0] + bytes[1]);
    return DG_OK;
}

/* Room for all that the merges can make: a token's bytes are at most its line's. */
static enum dg_status make_room(struct dg_tokenizer *t, size_t file_bytes, size_t merges,
                                struct dg_error *err)
{
    size_t places = 1024;

    while (places < 2 * (BYTES + merges))
        places *= 2;
    t->mask = places - 1;
    t->bytes = dg_arena_alloc(t->arena, BYTES + file_bytes + sizeof END_OF_TEXT);
    t->start = dg_arena_array(t->arena, BYTES + merges + 2, sizeof *t->start);
    t->pairs = dg_arena_array(t->arena, places, sizeof *t->pairs);
    t->strings = dg_arena_array(t->arena, places, sizeof *t->strings);
    if (!t->bytes || !t->start || !t->pairs || !t->strings)
        return dg_fail_memory(err, "a tokenizer", file_bytes + places * sizeof *t->pairs);
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
    t->n++;
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
    st = read_merges(t, merges, n, name, err);
    if (st == DG_OK)
        *out = t;
    else
        dg_tokenizer_free(t);
    return st;
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

/* ---- encoding ---- */

/* Tokens of a window, in order. */
struct tokens {
    uint32_t *id, *start; /* start: its first byte, from the window's */
    uint32_t n;
};

/* A pair in the heap; the one to join first is the smallest: rank << 32 | place of its left token. */
typedef uint64_t candidate;

/* What encoding a window takes. Place i is for the token that begins at byte i. */
struct work {
    size_t room;     /* bytes of the longest window that it is enough for */
    candidate *heap; /* [2 * room]: at first a pair for each byte, and each join makes two of one */
    uint32_t n_heap;
    uint32_t *id;          /* [room] NONE: joined to the token before */
    uint32_t *next, *prev; /* [room] places; NONE: none */
    struct tokens a, b;    /* [room] */
};

struct encoder {
    const struct dg_tokenizer *t;
    size_t window; /* bytes */
    int32_t *ids;  /* made so far, with room for one a byte */
    size_t n_ids;
    struct work work;
};

static uint32_t encode_short(const struct dg_tokenizer *t, const char *s, uint32_t n, int32_t *ids)
{
    uint32_t id[SHORT], rank[SHORT]; /* rank[i]: of the pair i, i + 1 */

    for (uint32_t i = 0; i < n; i++)
        id[i] = t->of_byte[(unsigned char)s[i]];
    for (uint32_t i = 0; i + 1 < n; i++)
        rank[i] = made_of(t, id[i], id[i + 1]);
    while (n > 1) {
        uint32_t best = 0;

        for (uint32_t i = 1; i + 1 < n; i++)
            if (rank[i] < rank[best])
                best = i;
        if (rank[best] == NONE)
            break;
        id[best] = rank[best];
        n--;
        memmove(&id[best + 1], &id[best + 2], (n - best - 1) * sizeof *id);
        memmove(&rank[best], &rank[best + 1], (n - best - 1) * sizeof *rank);
        if (best > 0)
            rank[best - 1] = made_of(t, id[best - 1], id[best]);
        if (best + 1 < n)
            rank[best] = made_of(t, id[best], id[best + 1]);
    }
    for (uint32_t i = 0; i < n; i++)
        ids[i] = (int32_t)id[i];
    return n;
}

static void heap_push(struct work *w, candidate c)
{
    size_t i = w->n_heap++;

    for (; i > 0 && w->heap[(i - 1) / 2] > c; i = (i - 1) / 2)
        w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = c;
}

static candidate heap_pop(struct work *w)
{
    const candidate top = w->heap[0], last = w->heap[--w->n_heap];
    size_t i = 0;

    for (size_t child; (child = 2 * i + 1) < w->n_heap; i = child) {
        if (child + 1 < w->n_heap && w->heap[child + 1] < w->heap[child])
            child++;
        if (w->heap[child] >= last)
            break;
        w->heap[i] = w->heap[child];
    }
    w->heap[i] = last;
    return top;
}

static void offer(const struct dg_tokenizer *t, struct work *w, uint32_t left)
{
    const uint32_t right = left == NONE ? NONE : w->next[left];
    const uint32_t made = right == NONE ? NONE : made_of(t, w->id[left], w->id[right]);

    if (made != NONE)
        heap_push(w, (candidate)made << 32 | left);
}

/* Encodes s[0 ... n - 1] to *out. A candidate is out of date when its left token has gone, or when
 * one of the two has changed: they are then another pair, with another rank. */
static void encode_window(const struct dg_tokenizer *t, struct work *w, const char *s, uint32_t n,
                          struct tokens *out)
{
    w->n_heap = 0;
    for (uint32_t i = 0; i < n; i++) {
        w->id[i] = t->of_byte[(unsigned char)s[i]];
        w->prev[i] = i > 0 ? i - 1 : NONE;
        w->next[i] = i + 1 < n ? i + 1 : NONE;
    }
    for (uint32_t i = 0; i < n; i++)
        offer(t, w, i);
    while (w->n_heap > 0) {
        const candidate c = heap_pop(w);
        const uint32_t left = (uint32_t)c, made = (uint32_t)(c >> 32);
        const uint32_t right = w->id[left] == NONE ? NONE : w->next[left];

        if (right == NONE || made_of(t, w->id[left], w->id[right]) != made)
            continue;
        w->id[left] = made;
        w->id[right] = NONE;
        w->next[left] = w->next[right];
        if (w->next[left] != NONE)
            w->prev[w->next[left]] = left;
        offer(t, w, left);
        offer(t, w, w->prev[left]);
    }
    out->n = 0;
    for (uint32_t i = 0; i != NONE; i = w->next[i]) {
        out->id[out->n] = w->id[i];
        out->start[out->n++] = i;
    }
}

static bool make_work(struct work *w, size_t n)
{
    char *block;

    if (n <= w->room)
        return true;
    free(w->heap);
    *w = (struct work){0};
    block = malloc(n * (2 * sizeof *w->heap + 7 * sizeof *w->id));
    if (!block)
        return false;
    w->room = n;
    w->heap = (candidate *)(void *)block;
    w->id = (uint32_t *)(void *)(w->heap + 2 * n);
    w->next = w->id + n;
    w->prev = w->next + n;
    w->a.id = w->prev + n;
    w->a.start = w->a.id + n;
    w->b.id = w->a.start + n;
    w->b.start = w->b.id + n;
    return true;
}

static void emit(struct encoder *e, const struct tokens *tokens, uint32_t first, uint32_t last)
{
    for (uint32_t i = first; i < last; i++)
        e->ids[e->n_ids++] = (int32_t)tokens->id[i];
}

/* The first token from a's *i on that b has, too. b begins where a's token *i does. */
static bool find_common(const struct tokens *a, const struct tokens *b, uint32_t *i, uint32_t *j)
{
    const uint32_t begin = a->start[*i];

    *j = 0;
    while (*i < a->n && *j < b->n) {
        const uint32_t in_a = a->start[*i] - begin, in_b = b->start[*j];

        if (in_a == in_b && a->id[*i] == b->id[*j])
            return true;
        *i += in_a <= in_b;
        *j += in_b <= in_a;
    }
    return false;
}

/* A piece longer than a window. Window a lies at `from`; its tokens from `first` on are still to be
 * emitted. The next window begins at a token in a's last quarter. Where the two do not agree, the
 * piece begins again with windows of twice the length: what follows a may change every token
 * emitted so far, as exam is ex, am but example is one token. */
static bool encode_long(struct encoder *e, const char *s, size_t n)
{
    struct work *w = &e->work;
    const size_t n_before = e->n_ids;
    size_t from = 0, length = 0; /* of window a; 0: there is none */
    uint32_t first = 0;

    for (size_t window = e->window;;) {
        uint32_t i, j;
        struct tokens swap;

        if (length == 0) {
            if (!make_work(w, window))
                return false;
            length = window < n - from ? window : n - from;
            encode_window(e->t, w, s + from, (uint32_t)length, &w->a);
            first = 0;
        }
        if (from + length == n)
            break;
        for (i = w->a.n - 1; i > first && w->a.start[i] > length / 4 * 3; i--)
            ;
        if (i > first) {
            const size_t next = from + w->a.start[i];
            const size_t next_length = window < n - next ? window : n - next;

            encode_window(e->t, w, s + next, (uint32_t)next_length, &w->b);
            if (find_common(&w->a, &w->b, &i, &j)) {
                emit(e, &w->a, first, i);
                swap = w->a;
                w->a = w->b;
                w->b = swap;
                from = next;
                length = next_length;
                first = j;
                continue;
            }
        }
        e->n_ids = n_before;
        from = length = 0;
        window *= 2;
        if (window > UINT32_MAX / 2)
            return false;
    }
    emit(e, &w->a, first, w->a.n);
    return true;
}

enum dg_status dg_tokenizer_encode_by(const struct dg_tokenizer *t, size_t window, const char *text,
                                      size_t n, int32_t **ids, size_t *n_ids, struct dg_error *err)
{
    struct encoder e = {.t = t, .window = window, .ids = malloc((n + 1) * sizeof *e.ids)};
    bool ok = e.ids != NULL;
    size_t length;

    for (size_t at = 0; ok && at < n; at += length) {
        length = dg_split(text + at, n - at);
        if (length <= SHORT && length <= window)
            e.n_ids += encode_short(t, text + at, (uint32_t)length, e.ids + e.n_ids);
        else
            ok = encode_long(&e, text + at, length);
    }
    free(e.work.heap);
    if (!ok) {
        free(e.ids);
        return dg_fail_memory(err, "ids", n * sizeof *e.ids);
    }
    *ids = realloc(e.ids, (e.n_ids + 1) * sizeof *e.ids);
    if (!*ids)
        *ids = e.ids; /* as large as it was */
    *n_ids = e.n_ids;
    return DG_OK;
}

enum dg_status dg_tokenizer_encode(const struct dg_tokenizer *t, const char *text, size_t n,
                                   int32_t **ids, size_t *n_ids, struct dg_error *err)
{
    return dg_tokenizer_encode_by(t, WINDOW, text, n, ids, n_ids, err);
}
