/* Writes Hugging Face folders, as transformers' save_pretrained() does: the names of GPT2LMHeadModel, in the order in
 * which safetensors has them, and no head where it is the embedding. */
#include "../writer.h"
#include "../../base/checked.h"
#include "../../base/gather.h"
#include "../../base/json_write.h"
#include "../../base/status.h"
#include "../../text/vocabulary_write.h"
#include "named.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- config.json, tokenizer_config.json ---- */

static const char *activation_name(enum dg_activation a)
{
    return a == DG_GELU ? "gelu_new" : a == DG_GELU_ERF ? "gelu" : "relu";
}

static const char *dtype_name(enum dg_dtype dtype)
{
    return dtype == DG_BF16 ? "BF16" : dtype == DG_F16 ? "F16" : "F32";
}

/* With as few digits as make that float again. */
static struct dg_json_number real(float value)
{
    struct dg_json_number n;
    int digits = 0;
    float same;

    do {
        n = dg_json_real((double)value, ++digits);
        same = (float)strtod(n.text, NULL);
    } while (digits < 9 && (same < value || same > value));
    return n;
}

static void put_id(FILE *to, const char *name, int32_t id)
{
    if (id < 0)
        fprintf(to, "  \"%s\": null,\n", name);
    else
        fprintf(to, "  \"%s\": %" PRId32 ",\n", name, id);
}

static void put_config(const struct dg_conversion *c, enum dg_dtype dtype, FILE *to)
{
    const struct dg_weights *w = c->weights;
    const struct dg_sizes *z = &w->sizes;

    fprintf(to,
            "{\n  \"activation_function\": \"%s\",\n  \"architectures\": [\n"
            "    \"GPT2LMHeadModel\"\n  ],\n",
            activation_name(w->recipe.activation));
    put_id(to, "bos_token_id", dg_conversion_begin(c));
    put_id(to, "eos_token_id", dg_conversion_end(c));
    fprintf(to,
            "  \"layer_norm_epsilon\": %s,\n  \"model_type\": \"gpt2\",\n  \"n_ctx\": %" PRIu32
            ",\n  \"n_embd\": %" PRIu32 ",\n  \"n_head\": %" PRIu32
            ",\n  \"n_inner\": null,\n  \"n_layer\": %" PRIu32 ",\n  \"n_positions\": %" PRIu32
            ",\n  \"tie_word_embeddings\": %s,\n  \"torch_dtype\": \"%s\",\n"
            "  \"vocab_size\": %" PRIu32 "\n}\n",
            real(w->recipe.epsilon).text, z->positions, z->channels, z->heads, z->layers,
            z->positions, w->recipe.own_head ? "false" : "true", dg_dtype_name(dtype), z->vocab);
}

/* Who is named here is special: one that is not has its id in config.json alone. */
static void put_token(const struct dg_vocabulary_lists *l, FILE *to, const char *name, int32_t id)
{
    size_t n;
    const char *bytes = dg_tokenizer_bytes(l->t, id, &n);

    fprintf(to, "  \"%s\": ", name);
    if (bytes && l->tokens[id].kind == DG_TOKEN_SPECIAL) {
        putc('"', to);
        dg_json_write_bytes(to, bytes, n, "");
        putc('"', to);
    } else {
        fputs("null", to);
    }
    fputs(",\n", to);
}

static void put_tokenizer_config(const struct dg_conversion *c, const struct dg_vocabulary_lists *l,
                                 FILE *to)
{
    fputs("{\n  \"add_prefix_space\": false,\n", to);
    put_token(l, to, "bos_token", dg_conversion_begin(c));
    fputs("  \"clean_up_tokenization_spaces\": false,\n", to);
    put_token(l, to, "eos_token", dg_conversion_end(c));
    fprintf(to, "  \"model_max_length\": %" PRIu32 ",\n", c->weights->sizes.positions);
    put_token(l, to, "unk_token", dg_conversion_end(c));
    fputs("  \"tokenizer_class\": \"GPT2Tokenizer\"\n}\n", to);
}

/* ---- model.safetensors ---- */

struct tensors {
    struct dg_named *list;
    size_t n;
};

/* F32 comes first, then BF16 and F16; of one dtype by name. */
static int by_place(const void *a, const void *b)
{
    const struct dg_named *s = a, *t = b;

    if (s->as.dtype != t->as.dtype)
        return s->as.dtype == DG_F32 || t->as.dtype == DG_F16 ? -1 : 1;
    return strcmp(s->name, t->name);
}

static enum dg_status list_tensors(struct tensors *t, const struct dg_conversion *c,
                                   struct dg_error *err)
{
    static const char prefix[] = "transformer.";
    const enum dg_status st = dg_named_list(&t->list, &t->n, c, &dg_huggingface_names, err);
    uint64_t offset = 0;

    if (st != DG_OK)
        return st;
    for (size_t i = 0; i < t->n; i++) {
        struct dg_named *one = &t->list[i];

        if (one->as.first == DG_HEAD)
            continue;
        memmove(one->name + sizeof prefix - 1, one->name, strlen(one->name) + 1);
        memcpy(one->name, prefix, sizeof prefix - 1);
        one->as.transposed = dg_weight_in_layers(one->as.first) &&
                             dg_weight_shape(&c->weights->sizes, one->as.first).layout == DG_PANELS;
    }
    qsort(t->list, t->n, sizeof *t->list, by_place);
    for (size_t i = 0; i < t->n; i++) {
        t->list[i].offset = offset;
        offset += dg_written_elements(&c->weights->sizes, &t->list[i].as) *
                  dg_dtype_bytes(t->list[i].as.dtype);
    }
    return DG_OK;
}

static void put_entry(const struct dg_conversion *c, const struct dg_named *t, FILE *to)
{
    const uint64_t bytes =
        dg_written_elements(&c->weights->sizes, &t->as) * dg_dtype_bytes(t->as.dtype);
    uint64_t shape[2];
    const uint32_t n =
        dg_named_shape(&c->weights->sizes, t->as.first, t->as.parts, t->as.transposed, shape);

    fprintf(to, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[%" PRIu64, t->name, dtype_name(t->as.dtype),
            shape[0]);
    if (n == 2)
        fprintf(to, ",%" PRIu64, shape[1]);
    fprintf(to, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", t->offset, t->offset + bytes);
}

/* Its length, which stands before it, is a multiple of 8, so that elements are aligned. */
static enum dg_status put_header(const struct dg_conversion *c, const struct tensors *t, FILE *to,
                                 struct dg_error *err)
{
    struct dg_gather header;
    bool whole;

    if (!dg_gather_open(&header))
        return dg_fail_memory(err, "a header", t->n * sizeof *t->list);
    fputs("{\"__metadata__\":{\"format\":\"pt\"}", header.to);
    for (size_t i = 0; i < t->n; i++)
        put_entry(c, &t->list[i], header.to);
    putc('}', header.to);
    fflush(header.to);
    for (size_t i = header.n; i % 8 != 0; i++)
        putc(' ', header.to);
    if (!dg_gather_close(&header))
        return dg_fail_memory(err, "a header", t->n * sizeof *t->list);
    for (int byte = 0; byte < 8; byte++)
        putc((int)((uint64_t)header.n >> 8 * byte & 0xff), to);
    whole = fwrite(header.text, 1, header.n, to) == header.n;
    free(header.text);
    return whole ? DG_OK : DG_ERR_CANCELLED;
}

static enum dg_status write_weights(const struct dg_conversion *c, const struct tensors *t,
                                    struct dg_error *err)
{
    FILE *to = c->open(c->arg, "model.safetensors");
    enum dg_status st = to ? put_header(c, t, to, err) : DG_ERR_CANCELLED;

    for (size_t i = 0; i < t->n && st == DG_OK; i++)
        st = dg_write_tensor(c, to, &t->list[i].as, err);
    return st;
}

/* ---- the whole ---- */

static enum dg_status write_tokenizer(const struct dg_conversion *c, struct dg_error *err)
{
    static const struct {
        const char *name;
        void (*write)(const struct dg_vocabulary_lists *l, FILE *to);
    } files[] = {{"tokenizer.json", dg_vocabulary_write_json},
                 {"vocab.json", dg_vocabulary_write_vocab},
                 {"merges.txt", dg_vocabulary_write_merges}};
    struct dg_vocabulary_lists l;
    FILE *to = c->open(c->arg, "tokenizer_config.json");
    enum dg_status st = to ? dg_vocabulary_lists(&l, c->tokenizer, err) : DG_ERR_CANCELLED;

    if (st != DG_OK)
        return st;
    put_tokenizer_config(c, &l, to);
    for (size_t i = 0; i < sizeof files / sizeof *files && to; i++) {
        to = c->open(c->arg, files[i].name);
        if (to)
            files[i].write(&l, to);
    }
    dg_vocabulary_lists_free(&l);
    return to && c->tell(c->arg, 0) ? DG_OK : DG_ERR_CANCELLED;
}

static enum dg_status write_folder(const struct dg_conversion *c, struct dg_error *err)
{
    struct tensors t = {0};
    enum dg_status st = list_tensors(&t, c, err);
    FILE *to = st == DG_OK ? c->open(c->arg, "config.json") : NULL;

    if (st == DG_OK && !to)
        st = DG_ERR_CANCELLED;
    if (st == DG_OK) {
        put_config(c, t.list[t.n - 1].as.dtype, to);
        if (c->tokenizer)
            st = write_tokenizer(c, err);
    }
    if (st == DG_OK)
        st = write_weights(c, &t, err);
    free(t.list);
    return st;
}

/* A folder holds all that a model has. */
static enum dg_status check(const struct dg_conversion *c, struct dg_error *err)
{
    return c->tokenizer ? dg_vocabulary_check_json(c->tokenizer, c->weights->name, err) : DG_OK;
}

static const char *const files[] = {"config.json", "model.safetensors",     "tokenizer.json",
                                    "vocab.json",  "tokenizer_config.json", "merges.txt",
                                    NULL};

const struct dg_writer dg_writer_huggingface = {.name = "hf",
                                                .ending = "/",
                                                .about = "a Hugging Face folder",
                                                .files = files,
                                                .tokenizer = true,
                                                .check = check,
                                                .write = write_folder};
