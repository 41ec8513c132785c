/* Writes GGUF files, version 3. Vectors and positions are F32 whatever the matrices are: so have the programs them
 * that read such files. */
#include "../writer.h"
#include "../../base/checked.h"
#include "../../base/gather.h"
#include "../../base/status.h"
#include "../../text/vocabulary_write.h"
#include "gguf.h"
#include "named.h"

#include <stdlib.h>
#include <string.h>

enum { VERSION = 3, ALIGNMENT = 32 };

static void put_integer(FILE *to, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        putc((int)(value >> 8 * i & 0xff), to);
}

static void put_string(FILE *to, const char *text, size_t n)
{
    put_integer(to, n, 8);
    fwrite(text, 1, n, to);
}

/* ---- keys and values ---- */

/* The first writes nothing and counts: how many there are stands before them. */
struct pairs {
    FILE *to;
    uint64_t n;
};

static bool put_key(struct pairs *p, const char *key, enum dg_gguf_type type)
{
    p->n++;
    if (!p->to)
        return false;
    put_string(p->to, key, strlen(key));
    put_integer(p->to, type, 4);
    return true;
}

static void put_u32(struct pairs *p, const char *key, uint32_t value)
{
    if (put_key(p, key, DG_GGUF_U32))
        put_integer(p->to, value, 4);
}

static void put_f32(struct pairs *p, const char *key, float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);
    if (put_key(p, key, DG_GGUF_F32))
        put_integer(p->to, bits, 4);
}

static void put_text(struct pairs *p, const char *key, const char *value)
{
    if (put_key(p, key, DG_GGUF_STRING))
        put_string(p->to, value, strlen(value));
}

static bool put_array(struct pairs *p, const char *key, enum dg_gguf_type type, uint64_t n)
{
    if (!put_key(p, key, DG_GGUF_ARRAY))
        return false;
    put_integer(p->to, type, 4);
    put_integer(p->to, n, 8);
    return true;
}

static void put_model(struct pairs *p, const struct dg_conversion *c, enum dg_dtype dtype)
{
    const struct dg_sizes *z = &c->weights->sizes;
    const uint32_t file_type = dtype == DG_BF16 ? 32 : dtype == DG_F16 ? 1 : 0; /* mostly */

    put_text(p, "general.architecture", "gpt2");
    put_u32(p, "general.file_type", file_type);
    put_u32(p, "general.alignment", ALIGNMENT);
    put_u32(p, "gpt2.context_length", z->positions);
    put_u32(p, "gpt2.embedding_length", z->channels);
    put_u32(p, "gpt2.feed_forward_length", 4 * z->channels);
    put_u32(p, "gpt2.block_count", z->layers);
    put_u32(p, "gpt2.attention.head_count", z->heads);
    put_f32(p, "gpt2.attention.layer_norm_epsilon", c->weights->recipe.epsilon);
}

/* Special tokens and added ones stand as their bytes, all others as GPT-2 writes them. */
static void put_tokens(struct pairs *p, const struct dg_vocabulary_lists *l)
{
    if (!put_array(p, "tokenizer.ggml.tokens", DG_GGUF_STRING, l->t->n))
        return;
    for (uint32_t id = 0; id < l->t->n; id++) {
        size_t n;
        const char *bytes = dg_tokenizer_bytes(l->t, (int32_t)id, &n);

        if (l->tokens[id].kind == DG_TOKEN_PLAIN)
            put_string(p->to, l->tokens[id].text, l->tokens[id].n);
        else
            put_string(p->to, bytes, n);
    }
}

static void put_types(struct pairs *p, const struct dg_vocabulary_lists *l)
{
    static const unsigned char types[] = {[DG_TOKEN_PLAIN] = DG_GGUF_NORMAL,
                                          [DG_TOKEN_SPECIAL] = DG_GGUF_CONTROL,
                                          [DG_TOKEN_ADDED] = DG_GGUF_USER_DEFINED};

    if (put_array(p, "tokenizer.ggml.token_type", DG_GGUF_I32, l->t->n))
        for (uint32_t id = 0; id < l->t->n; id++)
            put_integer(p->to, types[l->tokens[id].kind], 4);
}

static void put_merges(struct pairs *p, const struct dg_vocabulary_lists *l)
{
    if (!put_array(p, "tokenizer.ggml.merges", DG_GGUF_STRING, l->t->n_merges))
        return;
    for (uint32_t i = 0; i < l->t->n_merges; i++) {
        const struct dg_merge_text *m = &l->merges[i];

        put_integer(p->to, m->n_left + 1 + m->n_right, 8);
        fwrite(m->left, 1, m->n_left, p->to);
        putc(' ', p->to);
        fwrite(m->right, 1, m->n_right, p->to);
    }
}

static void put_pairs(struct pairs *p, const struct dg_conversion *c, enum dg_dtype dtype,
                      const struct dg_vocabulary_lists *l)
{
    put_model(p, c, dtype);
    if (l->t) {
        put_text(p, "tokenizer.ggml.model", "gpt2");
        put_text(p, "tokenizer.ggml.pre", "gpt-2");
        put_tokens(p, l);
        put_types(p, l);
        put_merges(p, l);
    }
    if (dg_conversion_begin(c) >= 0)
        put_u32(p, "tokenizer.ggml.bos_token_id", (uint32_t)dg_conversion_begin(c));
    if (dg_conversion_end(c) >= 0)
        put_u32(p, "tokenizer.ggml.eos_token_id", (uint32_t)dg_conversion_end(c));
}

/* ---- tensors ---- */

struct tensors {
    struct dg_named *list;
    size_t n;
};

static uint64_t bytes_of(const struct dg_conversion *c, const struct dg_named *t)
{
    return dg_written_elements(&c->weights->sizes, &t->as) * dg_dtype_bytes(t->as.dtype);
}

static uint64_t padding(uint64_t at)
{
    return (ALIGNMENT - at % ALIGNMENT) % ALIGNMENT;
}

static void put_zeros(FILE *to, uint64_t n)
{
    while (n-- > 0)
        putc(0, to);
}

/* Their places, too; the dtype of matrices to *dtype. */
static enum dg_status list_tensors(struct tensors *t, enum dg_dtype *dtype,
                                   const struct dg_conversion *c, struct dg_error *err)
{
    const enum dg_status st = dg_named_list(&t->list, &t->n, c, &dg_gguf_names, err);
    uint64_t at = 0;

    if (st != DG_OK)
        return st;
    for (size_t i = 0; i < t->n; i++) {
        struct dg_written *as = &t->list[i].as;

        if (dg_weight_shape(&c->weights->sizes, as->first).layout == DG_ROWS)
            as->dtype = DG_F32;
        else
            *dtype = as->dtype;
        t->list[i].offset = at;
        at += bytes_of(c, &t->list[i]);
        at += padding(at);
    }
    return DG_OK;
}

/* Dimensions are in the file from the innermost out. */
static void put_tensor(const struct dg_conversion *c, const struct dg_named *t, FILE *to)
{
    uint64_t shape[2];
    const uint32_t n = dg_named_shape(&c->weights->sizes, t->as.first, t->as.parts, false, shape);
    const enum dg_ggml_type type = t->as.dtype == DG_BF16  ? DG_GGML_BF16
                                   : t->as.dtype == DG_F16 ? DG_GGML_F16
                                                           : DG_GGML_F32;

    put_string(to, t->name, strlen(t->name));
    put_integer(to, n, 4);
    for (uint32_t i = n; i > 0; i--)
        put_integer(to, shape[i - 1], 8);
    put_integer(to, type, 4);
    put_integer(to, t->offset, 8);
}

/* ---- the whole ---- */

/* The header through a buffer, for its length is asked for. */
static enum dg_status put_header(const struct dg_conversion *c, const struct tensors *t,
                                 enum dg_dtype dtype, const struct dg_vocabulary_lists *l, FILE *to,
                                 struct dg_error *err)
{
    struct pairs pairs = {0};
    struct dg_gather header;
    bool whole;

    if (!dg_gather_open(&header))
        return dg_fail_memory(err, "a header", t->n * sizeof *t->list);
    put_pairs(&pairs, c, dtype, l);
    fwrite("GGUF", 1, 4, header.to);
    put_integer(header.to, VERSION, 4);
    put_integer(header.to, t->n, 8);
    put_integer(header.to, pairs.n, 8);
    pairs.to = header.to;
    put_pairs(&pairs, c, dtype, l);
    for (size_t i = 0; i < t->n; i++)
        put_tensor(c, &t->list[i], header.to);
    fflush(header.to);
    put_zeros(header.to, padding(header.n));
    if (!dg_gather_close(&header))
        return dg_fail_memory(err, "a header", t->n * sizeof *t->list);
    whole = fwrite(header.text, 1, header.n, to) == header.n;
    free(header.text);
    return whole ? DG_OK : DG_ERR_CANCELLED;
}

static enum dg_status put_all(const struct dg_conversion *c, const struct tensors *t,
                              enum dg_dtype dtype, const struct dg_vocabulary_lists *l,
                              struct dg_error *err)
{
    FILE *to = c->open(c->arg, NULL);
    enum dg_status st = to ? put_header(c, t, dtype, l, to, err) : DG_ERR_CANCELLED;

    for (size_t i = 0; i < t->n && st == DG_OK; i++) {
        st = dg_write_tensor(c, to, &t->list[i].as, err);
        put_zeros(to, padding(bytes_of(c, &t->list[i])));
    }
    return st;
}

static enum dg_status write_file(const struct dg_conversion *c, struct dg_error *err)
{
    struct dg_vocabulary_lists l = {0};
    struct tensors t = {0};
    enum dg_dtype dtype = DG_F32;
    enum dg_status st = list_tensors(&t, &dtype, c, err);

    if (st == DG_OK && c->tokenizer)
        st = dg_vocabulary_lists(&l, c->tokenizer, err);
    if (st == DG_OK)
        st = put_all(c, &t, dtype, &l, err);
    dg_vocabulary_lists_free(&l);
    free(t.list);
    return st;
}

static enum dg_status check(const struct dg_conversion *c, struct dg_error *err)
{
    const struct dg_recipe *r = &c->weights->recipe, gpt2 = DG_GPT2_RECIPE;

    if (r->activation != gpt2.activation)
        return dg_fail(err, DG_ERR_MODEL,
                       "%s: activation: got %s, expected %s: a GGUF file of GPT-2 holds no other",
                       c->weights->name, dg_activation_name(r->activation),
                       dg_activation_name(gpt2.activation));
    return DG_OK;
}

const struct dg_writer dg_writer_gguf = {.name = "gguf",
                                         .ending = ".gguf",
                                         .about = "a GGUF file",
                                         .tokenizer = true,
                                         .check = check,
                                         .write = write_file};
