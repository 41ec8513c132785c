/* Byte-pair encoding: in a piece of text, which starts as single bytes, the adjacent pair whose
 * merge comes first in the file is joined, of several the leftmost, one at a time, until no pair has
 * a merge. (GPT-2's own program joins all that are the same at once, which gives the same: each of
 * its merges makes a token of its own, and the pairs of that one are of later merges.)
 *
 * Short pieces, which is nearly all, are searched for the lowest rank again after each join. Long
 * ones keep the pairs in a heap, so that n bytes take n log n; and they are encoded window by
 * window, so that memory stays small and in the cache. Windows are put together where they agree:
 * a sequence of tokens is the encoding of its bytes if, and only if, each two neighbours are the
 * encoding of theirs: of the pairs inside two neighbours, those are joined that come first there,
 * in that order, whatever is joined beside them. If
 * two windows that overlap have the same token at the same place, the tokens of the first up to
 * there and those of the second from there on are such a sequence. */
#include "tokenizer.h"
#include "../base/status.h"
#include "special.h"
#include "split.h"

#include <stdlib.h>
#include <string.h>

enum { SHORT = 32, WINDOW = 1024 }; /* bytes */

#define NONE UINT32_MAX /* no place, no token */

/* ---- a short piece ---- */

uint32_t dg_bpe(const struct dg_tokenizer *t, const char *s, uint32_t n, uint32_t *id)
{
    uint32_t rank[DG_BPE_MOST]; /* rank[i]: of the pair i, i + 1 */

    for (uint32_t i = 0; i < n; i++)
        id[i] = t->of_byte[(unsigned char)s[i]];
    for (uint32_t i = 0; i + 1 < n; i++)
        rank[i] = dg_merge_rank(t, id[i], id[i + 1]);
    while (n > 1) {
        uint32_t best = 0;

        for (uint32_t i = 1; i + 1 < n; i++)
            if (rank[i] < rank[best])
                best = i;
        if (rank[best] == DG_NO_MERGE)
            break;
        id[best] = t->made[rank[best]];
        n--;
        memmove(&id[best + 1], &id[best + 2], (n - best - 1) * sizeof *id);
        memmove(&rank[best], &rank[best + 1], (n - best - 1) * sizeof *rank);
        if (best > 0)
            rank[best - 1] = dg_merge_rank(t, id[best - 1], id[best]);
        if (best + 1 < n)
            rank[best] = dg_merge_rank(t, id[best], id[best + 1]);
    }
    return n;
}

static uint32_t encode_short(const struct dg_tokenizer *t, const char *s, uint32_t n, int32_t *ids)
{
    uint32_t token[SHORT];

    n = dg_bpe(t, s, n, token);
    for (uint32_t i = 0; i < n; i++)
        ids[i] = t->id[token[i]];
    return n;
}

/* ---- a window ---- */

/* Tokens of a window, in order. */
struct tokens {
    uint32_t *id, *start; /* start: its first byte, from the window's */
    uint32_t n;
};

/* A pair in the heap, rank << 32 | place of its left token: the smallest is to be joined first. */
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
    const uint32_t rank = right == NONE ? DG_NO_MERGE : dg_merge_rank(t, w->id[left], w->id[right]);

    if (rank != DG_NO_MERGE)
        heap_push(w, (candidate)rank << 32 | left);
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
        const uint32_t left = (uint32_t)c, rank = (uint32_t)(c >> 32);
        const uint32_t right = w->id[left] == NONE ? NONE : w->next[left];

        if (right == NONE || dg_merge_rank(t, w->id[left], w->id[right]) != rank)
            continue;
        w->id[left] = t->made[rank];
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

/* ---- a text: its pieces, long ones in windows ---- */

struct encoder {
    const struct dg_tokenizer *t;
    size_t window; /* bytes */
    int32_t *ids;  /* made so far, with room for one a byte */
    size_t n_ids;
    struct work work;
};

static void emit(struct encoder *e, const struct tokens *tokens, uint32_t first, uint32_t last)
{
    for (uint32_t i = first; i < last; i++)
        e->ids[e->n_ids++] = e->t->id[tokens->id[i]];
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

static bool encode_text(struct encoder *e, const char *text, size_t n)
{
    bool ok = true;
    size_t length;

    for (size_t at = 0; ok && at < n; at += length) {
        length = dg_split(text + at, n - at);
        if (length <= SHORT && length <= e->window)
            e->n_ids += encode_short(e->t, text + at, (uint32_t)length, e->ids + e->n_ids);
        else
            ok = encode_long(e, text + at, length);
    }
    return ok;
}

/* ---- special tokens ---- */

/* Where the first special token of text[from ... n - 1] begins, its bytes and its number; n, with 0 bytes:
 * there is none. */
static size_t find_special(const struct dg_tokenizer *t, uint32_t some, const char *text,
                           size_t from, size_t n, size_t *length, uint32_t *token)
{
    *length = 0;
    if (some == 0)
        return n;
    while (from < n && (*length = dg_special_at(t, some, text + from, n - from, token)) == 0)
        from++;
    return from;
}

static uint32_t some_special(const struct dg_tokenizer *t, bool special)
{
    return special ? t->n_special : t->n_always;
}

/* What stands between special tokens is encoded as if each were a text of its own. */
static bool encode_between(struct encoder *e, uint32_t some, const char *text, size_t n)
{
    size_t length;
    uint32_t token;

    for (size_t at = 0; at < n; at += length) {
        const size_t end = find_special(e->t, some, text, at, n, &length, &token);

        if (!encode_text(e, text + at, end - at))
            return false;
        if (length > 0)
            e->ids[e->n_ids++] = e->t->id[token];
        at = end;
    }
    return true;
}

/* ---- a text whose end is not there yet ---- */

/* What follows a piece decides where it ends: two characters, the second of them after white space. A
 * contraction is no longer. */
enum { LOOK_AHEAD = 8 };

size_t dg_tokenizer_border(const struct dg_tokenizer *t, const char *text, size_t n, bool special)
{
    const uint32_t some = some_special(t, special);
    size_t ahead = LOOK_AHEAD, border = 0;

    for (uint32_t i = 0; i < some; i++) {
        const size_t length = t->start[t->special[i] + 1] - t->start[t->special[i]];

        ahead = length > ahead ? length : ahead;
    }
    for (size_t at = 0, end, length = 0; at < n; at = end + length) {
        uint32_t token;

        end = find_special(t, some, text, at, n, &length, &token);
        while (at < end && (at += dg_split(text + at, end - at)) + ahead <= n)
            border = at;
        if (length > 0 && end + length + ahead <= n)
            border = end + length;
    }
    return border;
}

/* ---- the calls ---- */

static enum dg_status encode(const struct dg_tokenizer *t, size_t window, bool special,
                             const char *text, size_t n, int32_t **ids, size_t *n_ids,
                             struct dg_error *err)
{
    struct encoder e = {.t = t, .window = window};
    bool ok;

    if (!dg_is_place(ids, err) || !dg_is_given(n_ids, "n_ids", err) ||
        !dg_is_given(t, "tokenizer", err) || (n > 0 && !dg_is_given(text, "text", err)))
        return DG_ERR_USAGE;
    *n_ids = 0;
    e.ids = n < SIZE_MAX / sizeof *e.ids ? malloc((n + 1) * sizeof *e.ids) : NULL;
    ok = e.ids && encode_between(&e, some_special(t, special), text, n);
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

enum dg_status dg_tokenizer_encode_by(const struct dg_tokenizer *t, size_t window, const char *text,
                                      size_t n, int32_t **ids, size_t *n_ids, struct dg_error *err)
{
    return encode(t, window, false, text, n, ids, n_ids, err);
}

enum dg_status dg_tokenizer_encode(const struct dg_tokenizer *t, const char *text, size_t n,
                                   int32_t **ids, size_t *n_ids, struct dg_error *err)
{
    return encode(t, WINDOW, false, text, n, ids, n_ids, err);
}

enum dg_status dg_tokenizer_encode_special(const struct dg_tokenizer *t, const char *text, size_t n,
                                           int32_t **ids, size_t *n_ids, struct dg_error *err)
{
    return encode(t, WINDOW, true, text, n, ids, n_ids, err);
}
