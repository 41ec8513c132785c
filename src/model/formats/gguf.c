/* Reads GGUF files, versions 2 and 3, of GPT-2. A header has values by key, then a list of tensors, then their
 * data, each at a multiple of an alignment. The header has no length: it is read through a window, front to back,
 * and what a count or a length claims is never allocated before the file is seen to have it. */
#include "../format.h"
#include "../../base/checked.h"
#include "../../base/names.h"
#include "../../text/vocabulary.h"
#include "gguf.h"
#include "named.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW = 1 << 16, MOST_KEY = (1 << 16) - 1, KEPT = 128, DIMS = 4, DEPTH = 4 };

/* An array of the header, where it lies: `n` elements of a type, from `at` to `end`. */
struct array {
    uint64_t at, end, n;
    uint32_t type;
    bool there;
};

enum size { POSITIONS, CHANNELS, HIDDEN, LAYERS, HEADS, KV_HEADS, VOCAB, N_SIZES };

struct tensor {
    char name[KEPT]; /* cut where it is longer */
    uint64_t shape[DIMS];
    uint32_t n_dims, type;
    uint64_t offset; /* in the data */
};

struct reader {
    const struct dg_file *file;
    const char *name;
    struct dg_error *err;
    enum dg_status st; /* the first error sticks */
    uint64_t at;       /* in the file */
    char window[WINDOW];
    uint64_t window_at;
    size_t window_n;
    struct dg_names keys;

    uint32_t version;
    char key[KEPT]; /* the one at hand; cut where it is longer */
    char architecture[KEPT], tokenizer[KEPT], pre[KEPT];
    uint64_t alignment, size[N_SIZES], splits;
    double epsilon;
    uint64_t begin, end; /* ids; UINT64_MAX: it does not say */
    struct array tokens, types, merges;

    struct tensor *tensors; /* [n_tensors] */
    size_t n_tensors, room;
};

/* ---- bytes ---- */

static bool fail(struct reader *r, enum dg_status st, const char *format, ...)
{
    char text[512];
    va_list args;

    if (r->st != DG_OK)
        return false;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    r->st = dg_fail(r->err, st, "%s: %s", r->name, text);
    return false;
}

static bool skip(struct reader *r, uint64_t n)
{
    if (r->st != DG_OK)
        return false;
    if (n > r->file->bytes - r->at)
        return fail(r, DG_ERR_MODEL, "byte %" PRIu64 ": got the end of the file inside its header",
                    r->at);
    r->at += n;
    return true;
}

/* The next n bytes, n <= WINDOW, in the window. */
static const char *take(struct reader *r, size_t n)
{
    const uint64_t at = r->at;

    if (!skip(r, n))
        return NULL;
    if (at < r->window_at || at + n > r->window_at + r->window_n) {
        const uint64_t left = r->file->bytes - at;
        int failed;

        r->window_n = left < WINDOW ? (size_t)left : WINDOW;
        r->window_at = at;
        failed = dg_file_read(r->file, at, r->window, r->window_n);
        if (failed) {
            fail(r, DG_ERR_IO, "cannot read the header: %s", strerror(failed));
            return NULL;
        }
    }
    return r->window + (at - r->window_at);
}

static uint64_t integer(struct reader *r, size_t n)
{
    const char *bytes = take(r, n);
    uint64_t value = 0;

    if (bytes)
        memcpy(&value, bytes, n); /* little-endian, as this machine is (format.c) */
    return value;
}

/* A string of the header, to `to`, cut to its size; its length. */
static uint64_t string(struct reader *r, char *to, size_t size)
{
    const uint64_t n = integer(r, 8);
    const size_t kept = n < size - 1 ? (size_t)n : size - 1;
    const char *bytes = r->st == DG_OK ? take(r, kept) : NULL;

    to[0] = '\0';
    if (!bytes)
        return 0;
    memcpy(to, bytes, kept);
    to[kept] = '\0';
    skip(r, n - kept);
    return n;
}

/* ---- values ---- */

static unsigned bytes_of(uint32_t type)
{
    static const unsigned char bytes[DG_GGUF_TYPES] = {
        [DG_GGUF_U8] = 1,  [DG_GGUF_I8] = 1,  [DG_GGUF_U16] = 2, [DG_GGUF_I16] = 2,
        [DG_GGUF_U32] = 4, [DG_GGUF_I32] = 4, [DG_GGUF_F32] = 4, [DG_GGUF_BOOL] = 1,
        [DG_GGUF_U64] = 8, [DG_GGUF_I64] = 8, [DG_GGUF_F64] = 8};

    return type < DG_GGUF_TYPES ? bytes[type] : 0;
}

static const char *type_name(uint32_t type)
{
    static const char *const names[DG_GGUF_TYPES] = {
        "uint8", "int8",   "uint16", "int16",  "uint32", "int32",  "float32",
        "bool",  "string", "array",  "uint64", "int64",  "float64"};

    return type < DG_GGUF_TYPES ? names[type] : "a type that is not known";
}

static void skip_string(struct reader *r)
{
    const uint64_t n = integer(r, 8);

    skip(r, n);
}

static void skip_array(struct reader *r, struct array *a, unsigned depth)
{
    size_t bytes;

    a->type = (uint32_t)integer(r, 4);
    a->n = integer(r, 8);
    a->at = r->at;
    if (bytes_of(a->type)) {
        if (!dg_mul(a->n, bytes_of(a->type), &bytes))
            bytes = SIZE_MAX;
        skip(r, bytes);
    } else if (a->type == DG_GGUF_STRING) {
        for (uint64_t i = 0; i < a->n && r->st == DG_OK; i++)
            skip_string(r);
    } else if (a->type == DG_GGUF_ARRAY && depth < DEPTH) {
        for (uint64_t i = 0; i < a->n && r->st == DG_OK; i++)
            skip_array(r, &(struct array){0}, depth + 1);
    } else {
        fail(r, DG_ERR_MODEL, "%s: type of elements: got %" PRIu32 ", expected one of GGUF's",
             r->key, a->type);
    }
    a->end = r->at;
}

static void skip_value(struct reader *r, uint32_t type)
{
    if (bytes_of(type))
        skip(r, bytes_of(type));
    else if (type == DG_GGUF_STRING)
        skip_string(r);
    else if (type == DG_GGUF_ARRAY)
        skip_array(r, &(struct array){0}, 0);
    else
        fail(r, DG_ERR_MODEL, "%s: type: got %" PRIu32 ", expected one of GGUF's", r->key, type);
}

static bool expect(struct reader *r, uint32_t type, bool good, const char *expected)
{
    return good ||
           fail(r, DG_ERR_MODEL, "%s: got %s, expected %s", r->key, type_name(type), expected);
}

static void read_integer(struct reader *r, uint32_t type, uint64_t *to)
{
    const bool is_signed =
        type == DG_GGUF_I8 || type == DG_GGUF_I16 || type == DG_GGUF_I32 || type == DG_GGUF_I64;
    const unsigned bytes = bytes_of(type);
    uint64_t value;

    if (!expect(r, type,
                is_signed || type == DG_GGUF_U8 || type == DG_GGUF_U16 || type == DG_GGUF_U32 ||
                    type == DG_GGUF_U64,
                "an integer"))
        return;
    value = integer(r, bytes);
    if (is_signed && value >> (8 * bytes - 1))
        fail(r, DG_ERR_MODEL, "%s: got a negative number, expected 0 or more", r->key);
    *to = value;
}

static void read_float(struct reader *r, uint32_t type, double *to)
{
    float single;
    const char *bytes;

    if (!expect(r, type, type == DG_GGUF_F32 || type == DG_GGUF_F64, "a number"))
        return;
    bytes = take(r, bytes_of(type));
    if (!bytes)
        return;
    memcpy(&single, bytes, sizeof single);
    *to = (double)single;
    if (type == DG_GGUF_F64)
        memcpy(to, bytes, sizeof *to);
}

static void read_string(struct reader *r, uint32_t type, char to[KEPT])
{
    if (expect(r, type, type == DG_GGUF_STRING, "a string"))
        string(r, to, KEPT);
}

static void read_array(struct reader *r, uint32_t type, struct array *a, uint32_t of)
{
    if (!expect(r, type, type == DG_GGUF_ARRAY, "an array"))
        return;
    skip_array(r, a, 0);
    a->there = true;
    if (r->st == DG_OK && a->type != of)
        fail(r, DG_ERR_MODEL, "%s: got an array of %s, expected one of %s", r->key,
             type_name(a->type), type_name(of));
}

static void read_value(struct reader *r, uint32_t type)
{
    static const char *const sizes[N_SIZES] = {
        [POSITIONS] = "gpt2.context_length",   [CHANNELS] = "gpt2.embedding_length",
        [HIDDEN] = "gpt2.feed_forward_length", [LAYERS] = "gpt2.block_count",
        [HEADS] = "gpt2.attention.head_count", [KV_HEADS] = "gpt2.attention.head_count_kv",
        [VOCAB] = "gpt2.vocab_size",
    };
    const char *key = r->key;

    for (enum size i = 0; i < N_SIZES; i++) {
        if (strcmp(key, sizes[i]) == 0) {
            read_integer(r, type, &r->size[i]);
            return;
        }
    }
    if (!strcmp(key, "general.architecture"))
        read_string(r, type, r->architecture);
    else if (!strcmp(key, "general.alignment"))
        read_integer(r, type, &r->alignment);
    else if (!strcmp(key, "split.count"))
        read_integer(r, type, &r->splits);
    else if (!strcmp(key, "gpt2.attention.layer_norm_epsilon"))
        read_float(r, type, &r->epsilon);
    else if (!strcmp(key, "tokenizer.ggml.model"))
        read_string(r, type, r->tokenizer);
    else if (!strcmp(key, "tokenizer.ggml.pre"))
        read_string(r, type, r->pre);
    else if (!strcmp(key, "tokenizer.ggml.tokens"))
        read_array(r, type, &r->tokens, DG_GGUF_STRING);
    else if (!strcmp(key, "tokenizer.ggml.token_type"))
        read_array(r, type, &r->types, DG_GGUF_I32);
    else if (!strcmp(key, "tokenizer.ggml.merges"))
        read_array(r, type, &r->merges, DG_GGUF_STRING);
    else if (!strcmp(key, "tokenizer.ggml.bos_token_id"))
        read_integer(r, type, &r->begin);
    else if (!strcmp(key, "tokenizer.ggml.eos_token_id"))
        read_integer(r, type, &r->end);
    else
        skip_value(r, type);
}

static void read_pair(struct reader *r)
{
    const uint64_t at = r->at, n = integer(r, 8);
    const char *bytes;
    int added;

    if (r->st == DG_OK && (n == 0 || n > MOST_KEY)) {
        fail(r, DG_ERR_MODEL,
             "byte %" PRIu64 ": length of a key: got %" PRIu64 ", expected 1 to %d", at, n,
             MOST_KEY);
        return;
    }
    bytes = take(r, (size_t)n);
    if (!bytes)
        return;
    memcpy(r->key, bytes, n < KEPT ? (size_t)n : KEPT - 1);
    r->key[n < KEPT ? n : KEPT - 1] = '\0';
    added = dg_names_add(&r->keys, 0, bytes, (size_t)n);
    if (added == 1)
        read_value(r, (uint32_t)integer(r, 4));
    else if (added == 0)
        fail(r, DG_ERR_MODEL, "%s: got the key twice", r->key);
    else
        r->st = dg_fail_memory(r->err, "keys", (size_t)n);
}

/* ---- tensors ---- */

static struct tensor *one_more(struct reader *r)
{
    if (r->n_tensors == r->room) {
        const size_t room = r->room ? 2 * r->room : 256;
        struct tensor *more = realloc(r->tensors, room * sizeof *more);

        if (!more) {
            r->st = dg_fail_memory(r->err, "tensors", room * sizeof *more);
            return NULL;
        }
        r->tensors = more;
        r->room = room;
    }
    return &r->tensors[r->n_tensors++];
}

/* Dimensions are in the file from the innermost out; here it is the other way round. */
static void read_tensor(struct reader *r)
{
    struct tensor *t = one_more(r);

    if (!t)
        return;
    *t = (struct tensor){0};
    string(r, t->name, sizeof t->name);
    t->n_dims = (uint32_t)integer(r, 4);
    if (r->st == DG_OK && (t->n_dims < 1 || t->n_dims > DIMS))
        fail(r, DG_ERR_MODEL, "tensor '%s': dimensions: got %" PRIu32 ", expected 1 to %d", t->name,
             t->n_dims, DIMS);
    for (uint32_t i = t->n_dims; i > 0 && r->st == DG_OK; i--)
        t->shape[i - 1] = integer(r, 8);
    t->type = (uint32_t)integer(r, 4);
    t->offset = integer(r, 8);
}

static const char *ggml_name(uint32_t type)
{
    static const char *const names[] = {
        "F32",     "F16",    "Q4_0",    "Q4_1",  NULL,     NULL,    "Q5_0",  "Q5_1",
        "Q8_0",    "Q8_1",   "Q2_K",    "Q3_K",  "Q4_K",   "Q5_K",  "Q6_K",  "Q8_K",
        "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S", "IQ4_NL", "IQ3_S", "IQ2_S", "IQ4_XS",
        "I8",      "I16",    "I32",     "I64",   "F64",    "IQ1_M", "BF16",  NULL,
        NULL,      NULL,     "TQ1_0",   "TQ2_0", NULL,     NULL,    NULL,    "MXFP4"};

    return type < sizeof names / sizeof *names && names[type] ? names[type] : "an unknown type";
}

static bool dtype_of(struct reader *r, const struct tensor *t, enum dg_dtype *dtype)
{
    const char *name = ggml_name(t->type);

    *dtype = strcmp(name, "F32") == 0    ? DG_F32
             : strcmp(name, "F16") == 0  ? DG_F16
             : strcmp(name, "BF16") == 0 ? DG_BF16
             : strcmp(name, "Q8_0") == 0 ? DG_Q8_0
                                         : DG_N_DTYPES;
    if (*dtype == DG_N_DTYPES)
        return fail(r, DG_ERR_MODEL,
                    "tensor '%s': got %s (%" PRIu32 "), expected F32, F16, BF16 or Q8_0", t->name,
                    name, t->type);
    if (*dtype == DG_Q8_0 && (t->n_dims < 2 || t->shape[t->n_dims - 1] % DG_Q8_0_GROUP != 0))
        return fail(r, DG_ERR_MODEL,
                    "tensor '%s': got Q8_0, expected it of rows of whole groups of %d", t->name,
                    DG_Q8_0_GROUP);
    return true;
}

static bool bytes_of_tensor(struct reader *r, const struct tensor *t, size_t *bytes)
{
    enum dg_dtype dtype;
    size_t n = 1;

    if (!dtype_of(r, t, &dtype))
        return false;
    for (uint32_t i = 0; i < t->n_dims; i++)
        if (!dg_mul(n, t->shape[i], &n) || n > SIZE_MAX / 8)
            return fail(r, DG_ERR_MODEL,
                        "tensor '%s': got a shape of more elements than any file has", t->name);
    *bytes = (size_t)dg_dtype_run(dtype, n);
    return true;
}

static int by_offset(const void *a, const void *b)
{
    const struct tensor *p = a, *q = b;

    return p->offset < q->offset ? -1 : p->offset > q->offset;
}

/* Each tensor begins where the one before ends, at the next multiple of the alignment; the last may be
 * filled up, too. */
static void check_places(struct reader *r, uint64_t data)
{
    const uint64_t all = r->file->bytes - data;
    uint64_t at = 0, end = 0;
    size_t bytes = 0;

    if (r->n_tensors > 0)
        qsort(r->tensors, r->n_tensors, sizeof *r->tensors, by_offset);
    for (size_t i = 0; i < r->n_tensors; i++) {
        const struct tensor *t = &r->tensors[i];

        if (!bytes_of_tensor(r, t, &bytes))
            return;
        if (t->offset != at) {
            fail(r, DG_ERR_MODEL, "tensor '%s': offset: got %" PRIu64 ", expected %" PRIu64,
                 t->name, t->offset, at);
            return;
        }
        if (bytes > all || at > all - bytes) {
            fail(r, DG_ERR_MODEL,
                 "tensor '%s': got %zu bytes at %" PRIu64 ", expected them inside the %" PRIu64
                 " bytes of data",
                 t->name, bytes, at, all);
            return;
        }
        end = at + bytes;
        at = dg_round_up(end, r->alignment);
    }
    if (all != end && all != at)
        fail(r, DG_ERR_MODEL,
             "size: got %" PRIu64 " bytes of data, expected %" PRIu64
             ", the end of the last tensor",
             all, end);
}

/* ---- the header ---- */

static void read_counts(struct reader *r, uint64_t *tensors, uint64_t *pairs)
{
    uint32_t version;

    skip(r, 4); /* GGUF */
    version = r->version = (uint32_t)integer(r, 4);
    *tensors = integer(r, 8);
    *pairs = integer(r, 8);
    if (r->st == DG_OK && version << 16 == 0 && version != 0)
        fail(r, DG_ERR_MODEL,
             "version: got %" PRIu32 ", which is of a big-endian file, expected 2 or 3", version);
    if (r->st == DG_OK && version != 2 && version != 3)
        fail(r, DG_ERR_MODEL, "version: got %" PRIu32 ", expected 2 or 3", version);
}

static void read_header(struct reader *r)
{
    uint64_t tensors = 0, pairs = 0;

    r->alignment = 32;
    r->epsilon = 1e-5;
    r->begin = r->end = UINT64_MAX;
    read_counts(r, &tensors, &pairs);
    for (uint64_t i = 0; i < pairs && r->st == DG_OK; i++)
        read_pair(r);
    for (uint64_t i = 0; i < tensors && r->st == DG_OK; i++)
        read_tensor(r);
}

static struct reader *new_reader(const struct dg_weights *w, struct dg_error *err)
{
    struct reader *r = calloc(1, sizeof *r);

    if (r) {
        r->file = &w->files[0];
        r->name = w->name;
        r->err = err;
    }
    return r;
}

static void free_reader(struct reader *r)
{
    dg_names_free(&r->keys);
    free(r->tensors);
    free(r);
}

/* ---- the model ---- */

static const struct dg_weight_name outside[] = {
    {"token_embd.weight", DG_WTE, 1},       {"position_embd.weight", DG_WPE, 1},
    {"output_norm.weight", DG_LNF_GAIN, 1}, {"output_norm.bias", DG_LNF_BIAS, 1},
    {"output.weight", DG_HEAD, 1},
};

static const struct dg_weight_name inside[] = {
    {"attn_norm.weight", DG_LN1_GAIN, 1},      {"attn_norm.bias", DG_LN1_BIAS, 1},
    {"attn_qkv.weight", DG_Q_WEIGHT, 3},       {"attn_qkv.bias", DG_Q_BIAS, 3},
    {"attn_output.weight", DG_PROJ_WEIGHT, 1}, {"attn_output.bias", DG_PROJ_BIAS, 1},
    {"ffn_norm.weight", DG_LN2_GAIN, 1},       {"ffn_norm.bias", DG_LN2_BIAS, 1},
    {"ffn_up.weight", DG_FC_WEIGHT, 1},        {"ffn_up.bias", DG_FC_BIAS, 1},
    {"ffn_down.weight", DG_FCPROJ_WEIGHT, 1},  {"ffn_down.bias", DG_FCPROJ_BIAS, 1},
};

const struct dg_weight_names dg_gguf_names = {"blk.", outside, sizeof outside / sizeof *outside,
                                              inside, sizeof inside / sizeof *inside};

static const struct tensor *find_tensor(const struct reader *r, const char *name)
{
    for (size_t i = 0; i < r->n_tensors; i++)
        if (strcmp(r->tensors[i].name, name) == 0)
            return &r->tensors[i];
    return NULL;
}

static bool check_size(struct reader *r, const char *key, uint64_t got, uint64_t most)
{
    return (got >= 1 && got <= most) ||
           fail(r, DG_ERR_MODEL, "%s: got %" PRIu64 ", expected 1 to %" PRIu64, key, got, most);
}

static bool check_meaning(struct reader *r)
{
    const uint64_t *z = r->size;

    if (r->st != DG_OK)
        return false;
    if (strcmp(r->architecture, "gpt2") != 0)
        return fail(r, DG_ERR_MODEL, "general.architecture: got '%s', expected gpt2",
                    r->architecture);
    if (r->splits > 1)
        return fail(r, DG_ERR_MODEL, "split.count: got %" PRIu64 ", expected the model in one file",
                    r->splits);
    if (r->alignment < 8 || r->alignment > 1 << 20 || r->alignment % 8 != 0)
        return fail(r, DG_ERR_MODEL,
                    "general.alignment: got %" PRIu64 ", expected a multiple of 8 up to 2^20",
                    r->alignment);
    if (!(r->epsilon > 0.0 && r->epsilon <= 1.0))
        return fail(r, DG_ERR_MODEL,
                    "gpt2.attention.layer_norm_epsilon: got %g, expected above 0, up to 1",
                    r->epsilon);
    if (!check_size(r, "gpt2.context_length", z[POSITIONS], 1 << 24) ||
        !check_size(r, "gpt2.embedding_length", z[CHANNELS], 1 << 20) ||
        !check_size(r, "gpt2.block_count", z[LAYERS], 1 << 14) ||
        !check_size(r, "gpt2.attention.head_count", z[HEADS], 1 << 20))
        return false;
    if (z[HIDDEN] && z[HIDDEN] != 4 * z[CHANNELS])
        return fail(r, DG_ERR_MODEL,
                    "gpt2.feed_forward_length: got %" PRIu64 ", expected %" PRIu64
                    ", 4 times the embedding's",
                    z[HIDDEN], 4 * z[CHANNELS]);
    if (z[KV_HEADS] && z[KV_HEADS] != z[HEADS])
        return fail(r, DG_ERR_MODEL,
                    "gpt2.attention.head_count_kv: got %" PRIu64 ", expected %" PRIu64, z[KV_HEADS],
                    z[HEADS]);
    return true;
}

/* The vocabulary's size is that of the embedding. */
static bool find_vocab(struct reader *r, uint64_t *vocab)
{
    const struct tensor *wte = find_tensor(r, "token_embd.weight");

    if (!wte)
        return fail(r, DG_ERR_MODEL, "token_embd.weight: got no tensor for it");
    *vocab = wte->shape[0];
    if (r->size[VOCAB] && r->size[VOCAB] != *vocab)
        return fail(r, DG_ERR_MODEL,
                    "gpt2.vocab_size: got %" PRIu64 ", expected %" PRIu64
                    ", the rows of token_embd.weight",
                    r->size[VOCAB], *vocab);
    return check_size(r, "rows of token_embd.weight", *vocab, 1 << 26);
}

static int32_t id_of(uint64_t id, uint32_t vocab)
{
    return id < vocab ? (int32_t)id : -1;
}

static void describe(struct dg_weights *w, struct reader *r)
{
    uint64_t vocab = 0;

    if (!check_meaning(r) || !find_vocab(r, &vocab))
        return;
    w->sizes =
        (struct dg_sizes){(uint32_t)r->size[POSITIONS], (uint32_t)vocab, (uint32_t)r->size[LAYERS],
                          (uint32_t)r->size[HEADS], (uint32_t)r->size[CHANNELS]};
    w->recipe.epsilon = (float)r->epsilon;
    w->recipe.own_head = find_tensor(r, "output.weight");
    w->begin = id_of(r->begin, w->sizes.vocab);
    w->end = id_of(r->end, w->sizes.vocab);
    r->st = dg_sizes_check(&w->sizes, w->name, r->err);
}

static void place(struct dg_weights *w, struct reader *r, uint64_t data)
{
    for (size_t i = 0; i < r->n_tensors && r->st == DG_OK; i++) {
        const struct tensor *t = &r->tensors[i];
        uint32_t layer;
        const struct dg_weight_name *as =
            dg_name_find(&dg_gguf_names, t->name, w->sizes.layers, &layer);
        enum dg_dtype dtype;

        if (!as)
            fail(r, DG_ERR_MODEL,
                 "tensor '%s': got one that a GPT-2 of %" PRIu32 " layers does not have", t->name,
                 w->sizes.layers);
        else if (dtype_of(r, t, &dtype))
            r->st = dg_named_place(w, as, layer, r->file, data + t->offset, dtype, t->shape,
                                   t->n_dims, false, t->name, w->name, r->err);
    }
}

static void read_model(struct dg_weights *w, struct reader *r)
{
    uint64_t data;

    read_header(r);
    describe(w, r);
    if (r->st != DG_OK)
        return;
    data = dg_round_up(r->at, r->alignment);
    if (data > r->file->bytes)
        data = r->file->bytes;
    check_places(r, data);
    if (r->st == DG_OK)
        r->st = dg_weights_allocate(w, r->err);
    place(w, r, data);
    if (r->st == DG_OK)
        r->st = dg_named_all(w, r->err);
}

static bool claims(const unsigned char *head, size_t n)
{
    return n >= 4 && memcmp(head, "GGUF", 4) == 0;
}

static enum dg_status read_file(struct dg_weights *w, struct dg_error *err)
{
    struct reader *r = new_reader(w, err);
    enum dg_status st;

    if (!r)
        return dg_fail_memory(err, "a header", sizeof *r);
    read_model(w, r);
    st = r->st;
    if (st == DG_OK) {
        w->version = r->version;
        w->dtype = dg_weights_find(w, DG_Q_WEIGHT, 0)->dtype;
    }
    free_reader(r);
    return st;
}

/* ---- the tokenizer ---- */

/* The bytes of an array, all of them. */
static char *load(struct reader *r, const struct array *a)
{
    const size_t n = (size_t)(a->end - a->at);
    char *bytes = malloc(n + 1);
    int failed;

    if (!bytes) {
        r->st = dg_fail_memory(r->err, "a tokenizer", n);
        return NULL;
    }
    failed = dg_file_read(r->file, a->at, bytes, n);
    if (!failed)
        return bytes;
    free(bytes);
    fail(r, DG_ERR_IO, "cannot read the tokenizer: %s", strerror(failed));
    return NULL;
}

/* The next of the strings at *at, up to `end`. The file may have changed since its header was read. */
static bool next_string(struct reader *r, const char **at, const char *end, const char **text,
                        size_t *n)
{
    uint64_t length = 0;
    const size_t left = (size_t)(end - *at);

    if (left >= sizeof length)
        memcpy(&length, *at, sizeof length);
    if (left < sizeof length || length > left - sizeof length)
        return fail(r, DG_ERR_IO, "cannot read the tokenizer: the file has changed meanwhile");
    *text = *at + sizeof length;
    *n = (size_t)length;
    *at = *text + length;
    return true;
}

static enum dg_token_kind kind_of(const struct reader *r, const char *types, uint64_t id)
{
    int32_t type = DG_GGUF_NORMAL;

    if (types)
        memcpy(&type, types + sizeof type * id, sizeof type);
    else if (id == r->begin || id == r->end)
        type = DG_GGUF_CONTROL;
    return type == DG_GGUF_NORMAL         ? DG_TOKEN_PLAIN
           : type == DG_GGUF_CONTROL      ? DG_TOKEN_SPECIAL
           : type == DG_GGUF_USER_DEFINED ? DG_TOKEN_ADDED
                                          : DG_TOKEN_UNUSED;
}

static void fill_tokens(struct reader *r, const char *tokens, const char *types,
                        struct dg_token_text *texts)
{
    const char *end = tokens + (r->tokens.end - r->tokens.at);

    for (uint64_t i = 0; i < r->tokens.n; i++) {
        if (!next_string(r, &tokens, end, &texts[i].text, &texts[i].n))
            return;
        texts[i].id = i;
        texts[i].kind = kind_of(r, types, i);
    }
}

/* A merge's tokens are at least a character each, and have no space. */
static void fill_merges(struct reader *r, const char *merges, struct dg_merge_text *pairs)
{
    const char *end = merges + (r->merges.end - r->merges.at);

    for (uint64_t i = 0; i < r->merges.n; i++) {
        struct dg_merge_text *m = &pairs[i];
        const char *space;

        if (!next_string(r, &merges, end, &m->left, &m->n_left))
            return;
        space = m->n_left > 1 ? memchr(m->left + 1, ' ', m->n_left - 1) : NULL;
        m->right = space ? space + 1 : ""; /* none: it is refused */
        m->n_right = space ? m->n_left - (size_t)(space - m->left) - 1 : 0;
        m->n_left = space ? (size_t)(space - m->left) : m->n_left;
    }
}

static void make_tokenizer(struct dg_tokenizer **out, struct reader *r)
{
    char *tokens = load(r, &r->tokens), *merges = tokens ? load(r, &r->merges) : NULL;
    char *types = merges && r->types.there ? load(r, &r->types) : NULL;
    struct dg_token_text *texts = calloc((size_t)r->tokens.n + 1, sizeof *texts);
    struct dg_merge_text *pairs = calloc((size_t)r->merges.n + 1, sizeof *pairs);

    if (r->st == DG_OK && (!texts || !pairs))
        r->st = dg_fail_memory(r->err, "a tokenizer", (size_t)r->tokens.n * sizeof *texts);
    if (r->st == DG_OK) {
        fill_tokens(r, tokens, types, texts);
        fill_merges(r, merges, pairs);
    }
    if (r->st == DG_OK)
        r->st = dg_vocabulary_of_lists(out, r->name, texts, (size_t)r->tokens.n, pairs,
                                       (size_t)r->merges.n, r->err);
    free(pairs);
    free(texts);
    free(types);
    free(merges);
    free(tokens);
}

static void check_tokenizer(struct reader *r)
{
    if (strcmp(r->tokenizer, "gpt2") != 0)
        fail(r, DG_ERR_TOKEN, "tokenizer.ggml.model: got '%s', expected gpt2", r->tokenizer);
    else if (*r->pre && strcmp(r->pre, "gpt-2") != 0 && strcmp(r->pre, "default") != 0)
        fail(r, DG_ERR_TOKEN, "tokenizer.ggml.pre: got '%s', expected gpt-2", r->pre);
    else if (!r->merges.there)
        fail(r, DG_ERR_TOKEN, "tokenizer.ggml.merges: got none, expected GPT-2's merges");
    else if (r->types.there && r->types.n != r->tokens.n)
        fail(r, DG_ERR_TOKEN,
             "tokenizer.ggml.token_type: got %" PRIu64 ", expected one for each of %" PRIu64
             " tokens",
             r->types.n, r->tokens.n);
}

static enum dg_status read_tokenizer(struct dg_tokenizer **out, const struct dg_weights *w,
                                     struct dg_error *err)
{
    struct reader *r = new_reader(w, err);
    enum dg_status st;

    *out = NULL;
    if (!r)
        return dg_fail_memory(err, "a header", sizeof *r);
    read_header(r);
    if (r->st == DG_OK && r->tokens.there) {
        check_tokenizer(r);
        if (r->st == DG_OK)
            make_tokenizer(out, r);
    }
    st = r->st;
    free_reader(r);
    return st;
}

const struct dg_format dg_format_gguf = {
    .name = "GGUF", .claims = claims, .read = read_file, .tokenizer = read_tokenizer};
