/* A tokenizer as a packed file has it: merges as pairs of tokens, by their numbers, so that no text is taken
 * apart when it is read. The tables by which tokens and merges are found are made anew. All numbers are
 * little-endian, of 4 bytes:
 *
 *   tokens, merges, made, made bytes, special, always, begin, end
 *                              how many there are: of tokens, 256 of which are the bytes; of merges, which make so many
 *                              tokens, of so many bytes all together; of special tokens; and two ids, or -1
 *   [merges] left, right       two tokens before: a merge makes the next token, or one that was made
 *   [tokens] id                of each token
 *   [special] token            text is read as it where that is asked for, as the first `always` in any text
 *   [tokens - 256 - made] bytes  of the tokens that no merge makes: how many
 *   the bytes of these tokens, one after the other */
#include "vocabulary.h"
#include "../base/platform.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct head {
    uint32_t tokens, merges, made, made_bytes, special, always;
    int32_t begin, end;
};

struct reader {
    struct head head;
    const char *merges, *ids, *special, *lengths, *bytes;
    size_t n_bytes;
    const char *name;
    struct dg_error *err;
};

static uint32_t others(const struct head *h)
{
    return h->tokens - DG_N_BYTES - h->made;
}

/* All but the bytes of tokens. */
static uint64_t fixed_bytes(const struct head *h)
{
    return sizeof *h +
           sizeof(uint32_t) * (2 * (uint64_t)h->merges + h->tokens + h->special + others(h));
}

static uint32_t at(const char *numbers, size_t i)
{
    uint32_t n;

    memcpy(&n, numbers + i * sizeof n, sizeof n);
    return n;
}

static enum dg_status refuse(const struct reader *r, const char *what, uint64_t i, uint64_t got,
                             const char *expected)
{
    return dg_fail(r->err, DG_ERR_TOKEN,
                   "%s: tokenizer: %s %" PRIu64 ": got %" PRIu64 ", expected %s", r->name, what, i,
                   got, expected);
}

/* Nothing is allocated before the counts are seen to be those of so many bytes. */
static enum dg_status read_head(struct reader *r, const char *data, size_t n)
{
    const struct head *h = &r->head;

    if (n < sizeof *h)
        return dg_fail(r->err, DG_ERR_TOKEN,
                       "%s: tokenizer: size: got %zu bytes, expected at least %zu", r->name, n,
                       sizeof *h);
    memcpy(&r->head, data, sizeof *h);
    if (h->tokens < DG_N_BYTES || h->tokens > DG_MOST_TOKENS)
        return dg_fail(r->err, DG_ERR_TOKEN,
                       "%s: tokenizer: tokens: got %" PRIu32 ", expected %d to %d", r->name,
                       h->tokens, DG_N_BYTES, DG_MOST_TOKENS);
    if (h->merges > DG_MOST_TOKENS || h->made > h->merges || h->made > h->tokens - DG_N_BYTES ||
        h->made_bytes > DG_MOST_TOKENIZER)
        return dg_fail(r->err, DG_ERR_TOKEN,
                       "%s: tokenizer: merges: got %" PRIu32 " that make %" PRIu32 " of %" PRIu32
                       " tokens, of %" PRIu32
                       " bytes, expected no more than these, %d and 2^28 bytes",
                       r->name, h->merges, h->made, h->tokens, h->made_bytes, DG_MOST_TOKENS);
    if (h->special > h->tokens || h->always > h->special)
        return dg_fail(r->err, DG_ERR_TOKEN,
                       "%s: tokenizer: special tokens: got %" PRIu32 ", %" PRIu32
                       " of them always read, expected at most %" PRIu32,
                       r->name, h->special, h->always, h->tokens);
    if (n < fixed_bytes(h))
        return dg_fail(r->err, DG_ERR_TOKEN,
                       "%s: tokenizer: size: got %zu bytes, expected at least %" PRIu64, r->name, n,
                       fixed_bytes(h));
    return DG_OK;
}

static void find_parts(struct reader *r, const char *data, size_t n)
{
    const struct head *h = &r->head;

    r->merges = data + sizeof *h;
    r->ids = r->merges + 2 * sizeof(uint32_t) * h->merges;
    r->special = r->ids + sizeof(uint32_t) * h->tokens;
    r->lengths = r->special + sizeof(uint32_t) * h->special;
    r->bytes = r->lengths + sizeof(uint32_t) * others(h);
    r->n_bytes = n - (size_t)(r->bytes - data);
}

/* A short list of merges can stand for more bytes than there is memory: so they say how many. */
static enum dg_status add_merges(struct dg_tokenizer *t, const struct reader *r)
{
    const size_t most = DG_N_BYTES + (size_t)r->head.made_bytes;

    for (uint32_t i = 0; i < r->head.merges; i++) {
        const uint32_t left = at(r->merges, 2 * i), right = at(r->merges, 2 * i + 1);

        if (left >= t->n || right >= t->n)
            return refuse(r, "merge", i + 1, left >= t->n ? left : right, "an earlier token");
        if (dg_merge_at(t, left, right)->rank > 0)
            return refuse(r, "merge", i + 1, left, "one that is not there already");
        if (t->start[left + 1] - t->start[left] + t->start[right + 1] - t->start[right] > most)
            return refuse(r, "bytes made by merge", i + 1, t->start[t->n], "fewer in all");
        dg_vocabulary_join(t, left, right);
        if (t->start[t->n] > most)
            return refuse(r, "bytes made by merge", i + 1, t->start[t->n], "fewer in all");
    }
    if (t->n != DG_N_BYTES + r->head.made || t->start[t->n] != most)
        return refuse(r, "tokens made by merge", r->head.merges, t->n - DG_N_BYTES,
                      "as many, and as many bytes, as the head says");
    return DG_OK;
}

static enum dg_status add_others(struct dg_tokenizer *t, const struct reader *r)
{
    const char *bytes = r->bytes;
    size_t left = r->n_bytes;

    for (uint32_t i = 0; i < others(&r->head); i++) {
        const uint32_t n = at(r->lengths, i);

        if (n == 0 || n > left)
            return refuse(r, "token", t->n, n, "its bytes, at least one, inside the section");
        dg_vocabulary_other(t, bytes, n);
        bytes += n;
        left -= n;
    }
    if (left > 0)
        return refuse(r, "bytes behind token", t->n - 1, left, "0");
    return DG_OK;
}

static enum dg_status add_ids(struct dg_tokenizer *t, const struct reader *r)
{
    const struct head *h = &r->head;
    enum dg_status st = DG_OK;

    for (uint32_t i = 0; i < h->tokens && st == DG_OK; i++)
        st = dg_vocabulary_id(t, r->name, i, at(r->ids, i), r->err);
    for (uint32_t i = 0; i < h->special && st == DG_OK; i++) {
        const uint32_t token = at(r->special, i);

        if (token >= h->tokens)
            return refuse(r, "special", i, token, "a token");
        dg_vocabulary_special(t, token, i < h->always);
    }
    if (st != DG_OK)
        return st;
    if (h->begin < -1 || h->end < -1 || h->begin >= (int32_t)h->tokens ||
        h->end >= (int32_t)h->tokens)
        return dg_fail(r->err, DG_ERR_TOKEN,
                       "%s: tokenizer: begin and end: got %" PRId32 " and %" PRId32
                       ", expected ids below %" PRIu32 ", or -1",
                       r->name, h->begin, h->end, h->tokens);
    t->begin = h->begin;
    t->end = h->end;
    return dg_vocabulary_end(t, r->name, r->err);
}

enum dg_status dg_tokenizer_of_packed(struct dg_tokenizer **out, const char *data, size_t n,
                                      const char *name, struct dg_error *err)
{
    struct reader r = {.name = name, .err = err};
    struct dg_tokenizer *t = NULL;
    enum dg_status st = read_head(&r, data, n);

    if (st != DG_OK)
        return st;
    find_parts(&r, data, n);
    /* twice: what a merge makes is written down before it is seen to be there */
    st = dg_vocabulary_new(&t, r.head.merges, others(&r.head),
                           2 * (DG_N_BYTES + (size_t)r.head.made_bytes) + r.n_bytes, err);
    if (st != DG_OK)
        return st;
    st = add_merges(t, &r);
    if (st == DG_OK)
        st = add_others(t, &r);
    if (st == DG_OK)
        st = add_ids(t, &r);
    if (st == DG_OK)
        *out = t;
    else
        dg_tokenizer_free(t);
    return st;
}

/* ---- writing ---- */

/* Tokens that merges make: all of them come before others. */
static uint32_t count_made(const struct dg_tokenizer *t)
{
    uint32_t last = DG_N_BYTES - 1;

    for (uint32_t i = 0; i < t->n_merges; i++)
        if (t->made[i] > last)
            last = t->made[i];
    return last + 1 - DG_N_BYTES;
}

char *dg_tokenizer_pack(const struct dg_tokenizer *t, size_t *n)
{
    const uint32_t made = count_made(t), first = DG_N_BYTES + made; /* that no merge makes */
    const size_t bytes = t->start[t->n] - t->start[first];
    const struct head h = {.tokens = t->n,
                           .merges = t->n_merges,
                           .made = made,
                           .made_bytes = (uint32_t)(t->start[first] - t->start[DG_N_BYTES]),
                           .special = t->n_special,
                           .always = t->n_always,
                           .begin = t->begin,
                           .end = t->end};
    uint32_t *numbers;
    char *data;

    *n = (size_t)fixed_bytes(&h) + bytes;
    data = malloc(*n);
    if (!data)
        return NULL;
    memcpy(data, &h, sizeof h);
    numbers = (uint32_t *)(data + sizeof h);
    for (size_t i = 0; i <= t->mask; i++) {
        const struct dg_merge *m = &t->merges[i];

        if (m->rank > 0) {
            numbers[2 * (m->rank - 1)] = m->left;
            numbers[2 * (m->rank - 1) + 1] = m->right;
        }
    }
    numbers += 2 * h.merges;
    for (uint32_t i = 0; i < h.tokens; i++)
        *numbers++ = (uint32_t)t->id[i];
    memcpy(numbers, t->special, h.special * sizeof *numbers);
    numbers += h.special;
    for (uint32_t i = first; i < h.tokens; i++)
        *numbers++ = (uint32_t)(t->start[i + 1] - t->start[i]);
    memcpy(numbers, t->bytes + t->start[first], bytes);
    return data;
}
