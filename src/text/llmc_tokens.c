/* llm.c's tokenizer file: the tokens by id, as bytes, and no merges. They follow from the tokens: in the order
 * of their ids each token of several bytes is what the merges before it leave two of, and its own merge joins
 * those. So merging these pairs by rank is merging, of all neighbours whose bytes together are a token, those
 * with the lowest id. */
#include "vocabulary.h"

#include <inttypes.h>
#include <string.h>

enum { HEADER_BYTES = 1024, MAGIC = 20240328 };

/* 256 little-endian uint32: magic, version, tokens, and in version 2 the id of <|endoftext|>, which in
 * version 1 is the last. */
struct header {
    uint32_t version, n, end;
};

static uint32_t le32(const char *data)
{
    const unsigned char *p = (const unsigned char *)data;

    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static enum dg_status refuse(struct dg_error *err, const char *name, const char *field,
                             uint32_t got, const char *expected)
{
    return dg_fail(err, DG_ERR_TOKEN, "%s: %s: got %" PRIu32 ", expected %s", name, field, got,
                   expected);
}

static enum dg_status read_header(struct header *h, const char *data, size_t n, const char *name,
                                  struct dg_error *err)
{
    if (n < HEADER_BYTES)
        return dg_fail(err, DG_ERR_TOKEN, "%s: size: got %zu bytes, expected a header of %d", name,
                       n, HEADER_BYTES);
    if (le32(data) != MAGIC)
        return refuse(err, name, "magic number", le32(data), "20240328 (an llm.c tokenizer)");
    h->version = le32(data + 4);
    h->n = le32(data + 8);
    if (h->version != 1 && h->version != 2)
        return refuse(err, name, "version", h->version, "1 or 2");
    if (h->n < DG_N_BYTES + 1 || h->n > DG_MOST_TOKENS)
        return refuse(err, name, "tokens", h->n, "257 to 2^24");
    h->end = h->version == 2 ? le32(data + 12) : h->n - 1;
    if (h->end >= h->n)
        return refuse(err, name, "id of the end of a text", h->end,
                      "less than the number of tokens");
    return DG_OK;
}

/* Where token `id` stands is looked up once, front to back. */
struct reader {
    const char *at, *end;
    const char *name;
    struct dg_error *err;
};

static enum dg_status next(struct reader *r, uint32_t id, const char **bytes, size_t *n)
{
    *n = r->at < r->end ? (unsigned char)*r->at : 0;
    if (r->at == r->end || (size_t)(r->end - r->at) < 1 + *n)
        return dg_fail(r->err, DG_ERR_TOKEN,
                       "%s: token id %" PRIu32 ": the file ends before its end", r->name, id);
    if (*n == 0)
        return dg_fail(r->err, DG_ERR_TOKEN, "%s: token id %" PRIu32 ": got no bytes", r->name, id);
    *bytes = r->at + 1;
    r->at += 1 + *n;
    return DG_OK;
}

/* The token of these bytes, which is a byte, or made by a merge that is added here. */
static enum dg_status token_of(struct dg_tokenizer *t, const struct reader *r, uint32_t id,
                               const char *bytes, size_t n, uint32_t *token)
{
    uint32_t parts[DG_BPE_MOST];
    uint32_t left;

    if (n == 1) {
        *token = t->of_byte[(unsigned char)*bytes];
        return DG_OK;
    }
    left = dg_bpe(t, bytes, (uint32_t)n, parts);
    if (left != 2)
        return dg_fail(r->err, DG_ERR_TOKEN,
                       "%s: token id %" PRIu32
                       ": got bytes that %s, expected two tokens of lower ids",
                       r->name, id, left == 1 ? "are a token already" : "are more tokens");
    *token = t->n;
    dg_vocabulary_join(t, parts[0], parts[1]);
    return DG_OK;
}

static enum dg_status read_tokens(struct dg_tokenizer *t, struct reader *r, const struct header *h)
{
    const char *bytes = NULL, *end_bytes = NULL;
    size_t n = 0, end_n = 0;
    uint32_t token;

    for (uint32_t id = 0; id < h->n; id++) {
        enum dg_status st = next(r, id, &bytes, &n);

        if (st == DG_OK && id == h->end) {
            end_bytes = bytes;
            end_n = n;
            continue;
        }
        if (st == DG_OK)
            st = token_of(t, r, id, bytes, n, &token);
        if (st == DG_OK)
            st = dg_vocabulary_id(t, r->name, token, id, r->err);
        if (st != DG_OK)
            return st;
    }
    if (r->at != r->end)
        return dg_fail(r->err, DG_ERR_TOKEN,
                       "%s: size: got %zu bytes behind the last token, expected 0", r->name,
                       (size_t)(r->end - r->at));
    token = dg_vocabulary_other(t, end_bytes, end_n);
    dg_vocabulary_special(t, token, false);
    t->begin = t->end = (int32_t)h->end;
    return dg_vocabulary_id(t, r->name, token, h->end, r->err);
}

enum dg_status dg_tokenizer_of_llmc(struct dg_tokenizer **out, const char *data, size_t n,
                                    const char *name, struct dg_error *err)
{
    struct header h = {0};
    struct dg_tokenizer *t;
    struct reader r;
    enum dg_status st = read_header(&h, data, n, name, err);

    /* a token has a byte of length and one of itself: before anything is allocated for them */
    if (st == DG_OK && h.n > (n - HEADER_BYTES) / 2)
        st = dg_fail(err, DG_ERR_TOKEN,
                     "%s: size: got %zu bytes, expected more for %" PRIu32 " tokens", name, n, h.n);
    if (st == DG_OK)
        st = dg_vocabulary_new(&t, h.n, 1, n, err);
    if (st != DG_OK)
        return st;
    r = (struct reader){data + HEADER_BYTES, data + n, name, err};
    st = read_tokens(t, &r, &h);
    if (st == DG_OK)
        st = dg_vocabulary_end(t, name, err);
    if (st == DG_OK)
        *out = t;
    else
        dg_tokenizer_free(t);
    return st;
}
