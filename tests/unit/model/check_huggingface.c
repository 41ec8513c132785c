/* src/model/formats/huggingface.c, config.c and safetensors.c: folders made byte by byte. What they say is what an
 * llm.c checkpoint of the same weights says, bit for bit; and each rule that is broken is refused. */
#include "../../support/one.h"
#include "../../../src/model/format.h"
#include "../../../src/model/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { T = 8, V = 37, L = 2, NH = 2, C = 8, N_TENSORS = 5 + L * 13, NAME = 96 };

/* ---- a model ---- */

enum dtype { F32, F16, BF16 };

struct tensor {
    char name[NAME], dtype[8];
    uint32_t rows, cols; /* as stored; rows 0: a vector */
    size_t begin, bytes;
};

struct folder {
    char path[64];
    struct tensor t[N_TENSORS];
    size_t n, data_bytes;
    unsigned char *data;
    enum dtype dtype;
};

/* Weights are small multiples of 1/64, which every dtype holds exactly. */
static float weight(uint32_t tensor, size_t i)
{
    const uint32_t x = (uint32_t)(i * 2654435761u + tensor * 40503u);

    return (float)((int)(x >> 13 & 63) - 32) / 64.0f;
}

static size_t put(unsigned char *to, enum dtype dtype, float value)
{
    uint32_t bits, half = 0;

    memcpy(&bits, &value, 4);
    if (dtype == F32) {
        memcpy(to, &bits, 4);
        return 4;
    }
    if (dtype == BF16)
        half = bits >> 16;
    else if (value != 0.0f)
        half = (bits >> 16 & 0x8000) | (((bits >> 23 & 255) - 112) << 10) | (bits >> 13 & 1023);
    memcpy(to, &half, 2);
    return 2;
}

/* Adds a tensor; number: which of the model's weights it is, by its name without a prefix. */
static void add(struct folder *f, const char *prefix, const char *name, uint32_t rows,
                uint32_t cols, uint32_t number, bool transposed)
{
    struct tensor *t = &f->t[f->n++];
    const size_t n = (size_t)(rows ? rows : 1) * cols;

    ck_assert_uint_le(f->n, N_TENSORS);
    *t = (struct tensor){.rows = rows, .cols = cols, .begin = f->data_bytes};
    snprintf(t->name, sizeof t->name, "%s%s", prefix, name);
    strcpy(t->dtype, f->dtype == F32 ? "F32" : f->dtype == F16 ? "F16" : "BF16");
    f->data = realloc(f->data, f->data_bytes + 4 * n);
    ck_assert_ptr_nonnull(f->data);
    for (size_t i = 0; i < n; i++) {
        /* element i of the file is element `at` of the matrix by outputs */
        const size_t at = transposed ? i % cols * rows + i / cols : i;

        f->data_bytes += put(f->data + f->data_bytes, f->dtype, weight(number, at));
    }
    t->bytes = f->data_bytes - t->begin;
}

static const struct {
    const char *name;
    uint32_t in, out; /* in 0: a vector */
} in_layer[] = {
    {"ln_1.weight", 0, C},
    {"ln_1.bias", 0, C},
    {"attn.c_attn.weight", C, 3 * C},
    {"attn.c_attn.bias", 0, 3 * C},
    {"attn.c_proj.weight", C, C},
    {"attn.c_proj.bias", 0, C},
    {"ln_2.weight", 0, C},
    {"ln_2.bias", 0, C},
    {"mlp.c_fc.weight", C, 4 * C},
    {"mlp.c_fc.bias", 0, 4 * C},
    {"mlp.c_proj.weight", 4 * C, C},
    {"mlp.c_proj.bias", 0, C},
};

enum { PER_LAYER = sizeof in_layer / sizeof *in_layer, HEAD = 77 };

static void add_weights(struct folder *f, const char *prefix, bool masks)
{
    add(f, prefix, "wte.weight", V, C, 0, false);
    add(f, prefix, "wpe.weight", T, C, 1, false);
    for (uint32_t l = 0; l < L; l++) {
        for (uint32_t i = 0; i < PER_LAYER; i++) {
            char name[NAME];

            snprintf(name, sizeof name, "h.%u.%s", l, in_layer[i].name);
            add(f, prefix, name, in_layer[i].in, in_layer[i].out, 4 + l * PER_LAYER + i,
                in_layer[i].in > 0);
        }
        if (masks) {
            char name[NAME];

            snprintf(name, sizeof name, "h.%u.attn.bias", l);
            add(f, prefix, name, T, T, 99, false);
        }
    }
    add(f, prefix, "ln_f.weight", 0, C, 2, false);
    add(f, prefix, "ln_f.bias", 0, C, 3, false);
}

/* The same as llm.c has it: each weight of all layers before the next. */
static size_t checkpoint(unsigned char *file)
{
    static const int32_t header[] = {20240326, 1, T, V, L, NH, C};
    size_t at = 1024;

    memset(file, 0, 1024);
    memcpy(file, header, sizeof header);
    for (size_t i = 0; i < V * C; i++)
        at += put(file + at, F32, weight(0, i));
    for (size_t i = 0; i < T * C; i++)
        at += put(file + at, F32, weight(1, i));
    for (uint32_t w = 0; w < PER_LAYER; w++)
        for (uint32_t l = 0; l < L; l++)
            for (size_t i = 0; i < (size_t)(in_layer[w].in ? in_layer[w].in : 1) * in_layer[w].out;
                 i++)
                at += put(file + at, F32, weight(4 + l * PER_LAYER + w, i));
    for (uint32_t w = 2; w < 4; w++)
        for (size_t i = 0; i < C; i++)
            at += put(file + at, F32, weight(w, i));
    return at;
}

/* ---- files ---- */

static void write_named(const struct folder *f, const char *name, const void *bytes, size_t n)
{
    char path[256];
    FILE *to;

    snprintf(path, sizeof path, "%s/%s", f->path, name);
    to = fopen(path, "wb");
    ck_assert_ptr_nonnull(to);
    ck_assert_uint_eq(fwrite(bytes, 1, n, to), n);
    ck_assert_int_eq(fclose(to), 0);
}

static void write_text(const struct folder *f, const char *name, const char *text)
{
    write_named(f, name, text, strlen(text));
}

/* The header of tensors first ... last - 1; its length. */
static size_t header_of(const struct folder *f, size_t first, size_t last, char *to, size_t room)
{
    size_t n = (size_t)snprintf(to, room, "{\"__metadata__\":{\"format\":\"pt\"}");

    for (size_t i = first; i < last; i++) {
        const struct tensor *t = &f->t[i];
        char shape[32];

        snprintf(shape, sizeof shape, t->rows ? "%u,%u" : "%.0u%u", t->rows, t->cols);
        n += (size_t)snprintf(
            to + n, room - n,
            ",\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}", t->name,
            t->dtype, shape, t->begin - f->t[first].begin, t->begin + t->bytes - f->t[first].begin);
    }
    n += (size_t)snprintf(to + n, room - n, "}");
    ck_assert_uint_lt(n, room);
    return n;
}

static void write_safetensors(const struct folder *f, const char *name, const char *header,
                              size_t n_header, const void *data, size_t n_data)
{
    unsigned char *file = malloc(8 + n_header + n_data);
    const uint64_t length = n_header;

    ck_assert_ptr_nonnull(file);
    memcpy(file, &length, 8);
    memcpy(file + 8, header, n_header);
    memcpy(file + 8 + n_header, data, n_data);
    write_named(f, name, file, 8 + n_header + n_data);
    free(file);
}

static void write_tensors(const struct folder *f, const char *name, size_t first, size_t last)
{
    static char header[1 << 14];
    const size_t n = header_of(f, first, last, header, sizeof header);
    const size_t begin = f->t[first].begin;

    write_safetensors(f, name, header, n, f->data + begin,
                      f->t[last - 1].begin + f->t[last - 1].bytes - begin);
}

#define CONFIG_REST "\"n_positions\":8,\"vocab_size\":37,\"n_layer\":2,\"n_head\":2,\"n_embd\":8"
#define CONFIG      "{\"model_type\":\"gpt2\"," CONFIG_REST "}"

static void folder_new(struct folder *f, enum dtype dtype)
{
    *f = (struct folder){.dtype = dtype};
    strcpy(f->path, "/tmp/dagpt-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(f->path));
    write_text(f, "config.json", CONFIG);
}

static void folder_free(struct folder *f)
{
    static const char *const names[] = {"config.json",
                                        "model.safetensors",
                                        "a.safetensors",
                                        "b.safetensors",
                                        "model.safetensors.index.json",
                                        "pytorch_model.bin"};
    char path[256];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", f->path, names[i]);
        unlink(path);
    }
    ck_assert_int_eq(rmdir(f->path), 0);
    free(f->data);
}

/* ---- what a model says ---- */

static const int32_t ids[] = {3, 36, 0, 17, 5};
enum { N_IDS = sizeof ids / sizeof *ids };

static void logits_of(struct dg_model *model, struct dg_team *team, float *to)
{
    struct one *one = one_new(model, team, NULL);

    one_eval(one, ids, N_IDS, N_IDS);
    memcpy(to, dg_sequence_logits(one->text), N_IDS * V * sizeof *to);
    one_free(one);
    dg_model_free(model);
}

static void logits_of_checkpoint(float *to)
{
    static unsigned char file[1 << 16];
    const size_t n = checkpoint(file);
    struct dg_team *team;
    struct dg_model *model;
    struct dg_error err = {0};

    ck_assert_int_eq(dg_team_new(&team, 2, 2, &err), DG_OK);
    ck_assert_msg(dg_model_parse(&model, file, n, "memory", team, &err) == DG_OK, "%s", err.text);
    logits_of(model, team, to);
    dg_team_free(team);
}

static void logits_of_folder(const struct folder *f, bool at_once, float *to)
{
    struct dg_team *team;
    struct dg_model *model;
    struct dg_error err = {0};

    ck_assert_int_eq(dg_team_new(&team, 2, 2, &err), DG_OK);
    ck_assert_msg(dg_model_open(&model, f->path, at_once ? team : NULL, &err) == DG_OK, "%s",
                  err.text);
    logits_of(model, team, to);
    dg_team_free(team);
}

static bool same_logits(const struct folder *f)
{
    static float want[N_IDS * V], got[N_IDS * V], later[N_IDS * V];

    logits_of_checkpoint(want);
    logits_of_folder(f, true, got);
    logits_of_folder(f, false, later);
    ck_assert_mem_eq(got, later, sizeof got);
    return memcmp(want, got, sizeof got) == 0;
}

START_TEST(dtypes_and_names)
{
    for (unsigned variant = 0; variant < 12; variant++) {
        struct folder f;

        folder_new(&f, (enum dtype)(variant % 3));
        add_weights(&f, variant & 1 ? "transformer." : "", variant >= 6);
        write_tensors(&f, "model.safetensors", 0, f.n);
        ck_assert_msg(same_logits(&f), "variant %u", variant);
        folder_free(&f);
    }
}
END_TEST

START_TEST(tied_and_own_heads)
{
    for (unsigned variant = 0; variant < 3; variant++) {
        struct folder f;
        bool same;

        folder_new(&f, F32);
        if (variant > 0)
            write_text(&f, "config.json",
                       "{\"model_type\":\"gpt2\",\"tie_word_embeddings\":false," CONFIG_REST "}");
        add_weights(&f, "transformer.", false);
        add(&f, "", "lm_head.weight", V, C, variant == 2 ? HEAD : 0, false);
        write_tensors(&f, "model.safetensors", 0, f.n);
        same = same_logits(&f);
        ck_assert_int_eq(same, variant < 2);
        folder_free(&f);
    }
}
END_TEST

static struct dg_weights *open_folder(const struct folder *f)
{
    struct dg_weights *w;
    struct dg_error err = {0};

    ck_assert_msg(dg_weights_open(&w, f->path, &err) == DG_OK, "%s", err.text);
    return w;
}

START_TEST(recipes)
{
    static const struct {
        const char *name;
        enum dg_activation activation;
    } known[] = {{"gelu_new", DG_GELU}, {"gelu", DG_GELU_ERF}, {"relu", DG_RELU}};
    struct folder f;

    folder_new(&f, F32);
    add_weights(&f, "", false);
    write_tensors(&f, "model.safetensors", 0, f.n);
    for (size_t i = 0; i < 3; i++) {
        char config[512];
        struct dg_weights *w;

        snprintf(
            config, sizeof config,
            "{\"model_type\":\"gpt2\",\"activation_function\":\"%s\",\"layer_norm_epsilon\":1e-3,"
            "\"bos_token_id\":7,\"eos_token_id\":[9,11],\"n_inner\":32," CONFIG_REST "}",
            known[i].name);
        write_text(&f, "config.json", config);
        w = open_folder(&f);
        ck_assert_int_eq(w->recipe.activation, known[i].activation);
        ck_assert(w->recipe.epsilon == 1e-3f && !w->recipe.own_head);
        ck_assert(w->begin == 7 && w->end == 9);
        dg_weights_close(w);
        ck_assert(!same_logits(&f)); /* epsilon counts */
    }
    write_text(&f, "config.json",
               "{\"model_type\":\"gpt2\",\"eos_token_id\":50256," CONFIG_REST "}");
    {
        struct dg_weights *w = open_folder(&f);

        ck_assert(w->begin == -1 && w->end == -1);
        dg_weights_close(w);
    }
    folder_free(&f);
}
END_TEST

/* ---- several files ---- */

static void write_index(const struct folder *f, size_t first_of_b)
{
    static char text[1 << 14];
    size_t n =
        (size_t)snprintf(text, sizeof text, "{\"metadata\":{\"total_size\":1},\"weight_map\":{");

    for (size_t i = 0; i < f->n; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s\"%s\":\"%s.safetensors\"",
                              i ? "," : "", f->t[i].name, i < first_of_b ? "a" : "b");
    snprintf(text + n, sizeof text - n, "}}");
    write_text(f, "model.safetensors.index.json", text);
}

/* ---- what is refused ---- */

static void refuse(const struct folder *f, const char *what)
{
    struct dg_weights *w;
    struct dg_error err = {0};
    enum dg_status st = dg_weights_open(&w, f->path, &err);

    if (st == DG_OK)
        dg_weights_close(w);
    ck_assert_msg(st == DG_ERR_MODEL, "%d for '%s': '%s'", st, what, err.text);
    ck_assert_msg(strncmp(err.text, f->path, strlen(f->path)) == 0 && strstr(err.text, what),
                  "got '%s', expected '%s'", err.text, what);
}

START_TEST(shards)
{
    struct folder f;
    const size_t half = 12;

    folder_new(&f, F32);
    add_weights(&f, "", false);
    write_tensors(&f, "a.safetensors", 0, half);
    write_tensors(&f, "b.safetensors", half, f.n);
    write_index(&f, half);
    ck_assert(same_logits(&f));
    write_index(&f, half + 1); /* one is in the other file */
    refuse(&f, "got it here, expected it as model.safetensors.index.json says");
    write_index(&f, half);
    write_tensors(&f, "b.safetensors", half, f.n - 1);
    refuse(&f, "tensors, expected the ");
    write_text(&f, "model.safetensors.index.json", "{\"weight_map\":{\"wte.weight\":\"../x\"}}");
    refuse(&f, "expected the name of a file in this folder");
    write_text(&f, "model.safetensors.index.json",
               "{\"weight_map\":{\"wte.weight\":\"c.safetensors\"}}");
    refuse(&f, "c.safetensors: cannot open");
    write_text(&f, "model.safetensors.index.json", "{}");
    refuse(&f, "expected a member \"weight_map\"");
    folder_free(&f);
}
END_TEST

START_TEST(configs_refused)
{
    static const char *const cases[][2] = {
        {"", "expected an object"},
        {"[]", "expected an object"},
        {"{", "expected a member's name"},
        {"{}", "model_type: got none"},
        {"{\"model_type\":\"llama\"," CONFIG_REST "}", "expected \"gpt2\" as model_type"},
        {"{\"model_type\":\"gpt2\",\"n_embd\":8}", "n_positions: got none, expected a size"},
        {"{\"model_type\":\"gpt2\",\"n_embd\":8," CONFIG_REST "}",
         "expected a name that the object"},
        {"{\"model_type\":\"gpt2\",\"n_embd\":0}", "expected a size of 1"},
        {"{\"model_type\":\"gpt2\",\"n_embd\":-8}", "expected an integer"},
        {"{\"model_type\":\"gpt2\",\"n_embd\":8.0}", "expected an integer"},
        {"{\"model_type\":\"gpt2\",\"n_embd\":18446744073709551624}",
         "expected an integer below 2^64"},
        {"{\"model_type\":\"gpt2\",\"n_embd\":4294967304}", "expected a size of 1"},
        {"{\"model_type\":\"gpt2\",\"activation_function\":\"silu\"," CONFIG_REST "}",
         "expected gelu_new, gelu or relu"},
        {"{\"model_type\":\"gpt2\",\"layer_norm_epsilon\":0," CONFIG_REST "}",
         "layer_norm_epsilon above 0"},
        {"{\"model_type\":\"gpt2\",\"layer_norm_epsilon\":-1e-5," CONFIG_REST "}",
         "layer_norm_epsilon above 0"},
        {"{\"model_type\":\"gpt2\",\"layer_norm_epsilon\":1e-60," CONFIG_REST "}",
         "layer_norm_epsilon above 0"},
        {"{\"model_type\":\"gpt2\",\"n_inner\":31," CONFIG_REST "}",
         "n_inner: got 31, expected 32"},
        {"{\"model_type\":\"gpt2\",\"scale_attn_weights\":false," CONFIG_REST "}",
         "expected scale_attn_weights true"},
        {"{\"model_type\":\"gpt2\",\"scale_attn_by_inverse_layer_idx\":true," CONFIG_REST "}",
         "expected scale_attn_by_inverse_layer_idx false"},
        {"{\"model_type\":\"gpt2\",\"reorder_and_upcast_attn\":true," CONFIG_REST "}",
         "expected reorder_and_upcast_attn false"},
        {"{\"model_type\":\"gpt2\",\"quantization_config\":{\"bits\":4}," CONFIG_REST "}",
         "quantized weights are not read"},
        {"{\"model_type\":\"gpt2\",\"architectures\":[\"GPT2ForSequenceClassification\"]"
         "," CONFIG_REST "}",
         "expected GPT2LMHeadModel or GPT2Model"},
        {"{\"model_type\":\"gpt2\",\"tie_word_embeddings\":false," CONFIG_REST "}",
         "head: got no tensor for it"},
        {"{\"model_type\":\"gpt2\",\"n_positions\":8,\"vocab_size\":37,\"n_layer\":2,\"n_head\":3,"
         "\"n_embd\":8}",
         "expected a divisor of C = 8"},
        {"{\"model_type\":\"gpt2\",\"n_positions\":9,\"vocab_size\":37,\"n_layer\":2,\"n_head\":2,"
         "\"n_embd\":8}",
         "tensor 'wpe.weight': shape: got [8, 8], expected [9, 8]"},
        {"{\"model_type\":\"gpt2\",\"n_positions\":8,\"vocab_size\":37,\"n_layer\":1,\"n_head\":2,"
         "\"n_embd\":8}",
         "got one that a GPT-2 of 1 layers does not have"},
        {"{\"model_type\":\"gpt2\",\"n_positions\":8,\"vocab_size\":37,\"n_layer\":3,\"n_head\":2,"
         "\"n_embd\":8}",
         "layer 2: ln1.gain: got no tensor for it"},
        {"{\"model_type\":\"gpt2\"," CONFIG_REST "} x", "expected the end of the file"},
    };
    struct folder f;
    char path[256];

    folder_new(&f, F32);
    refuse(&f, "got neither model.safetensors nor");
    write_text(&f, "pytorch_model.bin", "");
    refuse(&f, "got pytorch_model.bin, expected model.safetensors");
    add_weights(&f, "", false);
    write_tensors(&f, "model.safetensors", 0, f.n);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_text(&f, "config.json", cases[i][0]);
        refuse(&f, cases[i][1]);
    }
    for (size_t n = 0; n < sizeof CONFIG - 1; n++) { /* cut anywhere */
        write_named(&f, "config.json", CONFIG, n);
        refuse(&f, "config.json: ");
    }
    snprintf(path, sizeof path, "%s/config.json", f.path);
    unlink(path);
    refuse(&f, "got a folder without config.json");
    folder_free(&f);
}
END_TEST

/* The header of a good file with `old`, which is there, replaced. */
static void refuse_header(struct folder *f, const char *old, const char *new, const char *what)
{
    static char header[1 << 14], other[1 << 14];
    const size_t n = header_of(f, 0, f->n, header, sizeof header);
    const char *at = strstr(header, old);

    ck_assert_msg(at, "%s", old);
    snprintf(other, sizeof other, "%.*s%s%s", (int)(at - header), header, new, at + strlen(old));
    ck_assert_uint_lt(n, sizeof header);
    write_safetensors(f, "model.safetensors", other, strlen(other), f->data, f->data_bytes);
    refuse(f, what);
}

START_TEST(headers_refused)
{
    struct folder f;

    folder_new(&f, F32);
    add_weights(&f, "", false);
    ck_assert_uint_eq(f.t[1].begin, 1184);
    refuse_header(&f, "{\"__", " {\"__", "expected '{' as the first byte");
    refuse_header(&f, "\"format\":\"pt\"", "\"format\":1", "expected a string");
    refuse_header(&f, "\"F32\"", "\"F31\"", "dtype: got 'F31', expected one of safetensors'");
    refuse_header(&f, "\"F32\"", "\"I32\"", "dtype: got I32, expected F32, F16 or BF16");
    refuse_header(&f, "\"F32\"", "\"F16\"", "expected those of its shape and dtype");
    refuse_header(&f, "\"F32\"", "7", "expected a string");
    refuse_header(&f, "\"dtype\":\"F32\",", "",
                  "expected a tensor with dtype, shape and data_offsets");
    refuse_header(&f, "\"shape\":", "\"shapes\":", "expected dtype, shape and data_offsets alone");
    refuse_header(&f, "[37,8]", "[8,37]", "shape: got [8, 37], expected [37, 8]");
    refuse_header(&f, "[37,8]", "[37,8,1]", "shape: got [37, 8, 1], expected [37, 8]");
    refuse_header(&f, "[37,8]", "[296]", "shape: got [296], expected [37, 8]");
    refuse_header(&f, "[37,8]", "[37,9]", "expected those of its shape and dtype");
    refuse_header(&f, "[37,8]", "[4294967296,4294967296,4]",
                  "expected those of its shape and dtype");
    refuse_header(&f, "[37,8]", "[1,1,1,1,1,1,1,37,8]", "expected at most 8 dimensions");
    refuse_header(&f, "[37,8]", "[37,-8]", "expected an integer");
    refuse_header(&f, "[37,8]", "37", "expected an array");
    refuse_header(&f, "[0,1184]", "[0,1183]", "expected those of its shape and dtype");
    refuse_header(&f, "[0,1184]", "[1184,0]", "expected them inside the ");
    refuse_header(&f, "[0,1184]", "[4,1188]", "got a tensor at 4, expected one at 0");
    refuse_header(&f, "[1184,1440]", "[1180,1436]", "got a tensor at 1180, expected one at 1184");
    refuse_header(&f, "[1184,1440]", "[1188,1444]", "got a tensor at 1188, expected one at 1184");
    refuse_header(&f, "[0,1184]", "[18446744073709551615,1183]", "expected them inside the ");
    refuse_header(&f, "[0,1184]", "[0,18446744073709551616]", "expected an integer below 2^64");
    refuse_header(&f, "[0,1184]", "[0]", "expected two offsets");
    refuse_header(&f, "[0,1184]", "[0,1184,1184]", "expected two offsets");
    refuse_header(&f, "wpe.weight", "wte.weight", "expected a name that the object does not have");
    refuse_header(&f, "wpe.weight", "transformer.wte.weight",
                  "shape: got [8, 8], expected [37, 8]");
    refuse_header(&f, "wpe.weight", "wpe.bias",
                  "tensor 'wpe.bias': got one that a GPT-2 of 2 layers");
    refuse_header(&f, "h.1.ln_1.weight", "h.2.ln_1.weight",
                  "tensor 'h.2.ln_1.weight': got one that");
    refuse_header(&f, "h.1.ln_1.weight", "h.01.ln_1.weight",
                  "tensor 'h.01.ln_1.weight': got one that");
    refuse_header(&f, "h.1.ln_1.weight", "h.4294967297.ln_1.weight", "got one that a GPT-2");
    refuse_header(&f, "h.1.ln_1.weight", "transformer.h.0.ln_1.weight",
                  "got a second tensor for that weight");
    refuse_header(&f, "h.1.ln_1.weight", "h.1.attn.bias",
                  "layer 1: ln1.gain: got no tensor for it");
    refuse_header(&f, "\"ln_f.bias\":", "\"ln_f.bias\"", "expected ':'");
    folder_free(&f);
}
END_TEST

/* Cut at each border of a tensor and of the header, and one byte before and behind. */
START_TEST(truncated)
{
    static char header[1 << 14];
    struct folder f;
    struct stat about;
    char path[256];
    size_t n;

    folder_new(&f, F16);
    add_weights(&f, "", true);
    n = 8 + header_of(&f, 0, f.n, header, sizeof header);
    write_tensors(&f, "model.safetensors", 0, f.n);
    snprintf(path, sizeof path, "%s/model.safetensors", f.path);
    ck_assert_int_eq(stat(path, &about), 0);
    for (size_t i = 0; i < f.n + 3; i++) {
        const size_t border = i < f.n        ? n + f.t[i].begin
                              : i == f.n     ? 8
                              : i == f.n + 1 ? 1
                                             : (size_t)about.st_size;

        for (size_t at = border - 1; at <= border + 1; at++) {
            write_tensors(&f, "model.safetensors", 0, f.n);
            ck_assert_int_eq(truncate(path, (off_t)at), 0);
            if (at != (size_t)about.st_size)
                refuse(&f, "model.safetensors: ");
        }
    }
    for (uint64_t length = 0; length < 64;
         length++) { /* lengths of the header: 2^k, and less and more by 1 */
        const uint64_t claims[] = {((uint64_t)1 << length) - 1, (uint64_t)1 << length,
                                   ((uint64_t)1 << length) + 1};

        for (size_t i = 0; i < 3; i++) {
            FILE *to;

            if (claims[i] == n - 8)
                continue;
            write_tensors(&f, "model.safetensors", 0, f.n);
            to = fopen(path, "r+b");
            fwrite(&claims[i], 8, 1, to);
            fclose(to);
            refuse(&f, "model.safetensors: ");
        }
    }
    folder_free(&f);
}
END_TEST

/* Any byte of the header changed: refused, or a model still. */
START_TEST(changed)
{
    static char header[1 << 14];
    struct folder f;
    uint64_t seed = 3;
    size_t n;

    folder_new(&f, F32);
    add_weights(&f, "", false);
    n = header_of(&f, 0, f.n, header, sizeof header);
    for (size_t at = 0; at < n; at++) {
        const char was = header[at];
        struct dg_weights *w;
        struct dg_error err;

        seed = seed * 6364136223846793005u + 1442695040888963407u;
        header[at] = (char)(seed >> 56);
        write_safetensors(&f, "model.safetensors", header, n, f.data, f.data_bytes);
        if (dg_weights_open(&w, f.path, &err) == DG_OK)
            dg_weights_close(w);
        header[at] = was;
    }
    folder_free(&f);
}
END_TEST

/* The published sizes, as config.json has them: the weights alone are missing. */
START_TEST(published_sizes)
{
    static const struct {
        unsigned layers, heads, channels;
    } published[] = {{12, 12, 768}, {24, 16, 1024}, {36, 20, 1280}, {48, 25, 1600}};
    struct folder f;

    folder_new(&f, F32);
    for (size_t i = 0; i < 4; i++) {
        char config[256];

        snprintf(
            config, sizeof config,
            "{\"model_type\":\"gpt2\",\"n_ctx\":1024,\"n_positions\":1024,\"vocab_size\":50257,"
            "\"n_layer\":%u,\"n_head\":%u,\"n_embd\":%u}",
            published[i].layers, published[i].heads, published[i].channels);
        write_text(&f, "config.json", config);
        write_safetensors(&f, "model.safetensors", "{}", 2, "", 0);
        refuse(&f, sizeof(size_t) > 4 || i < 1 ? "wte: got no tensor for it" : "more weights than");
    }
    folder_free(&f);
}
END_TEST

/* Another file takes the name after the weights were opened: what was opened is loaded. */
START_TEST(swapped)
{
    static float want[N_IDS * V], got[N_IDS * V];
    struct dg_error err = {0};
    struct dg_weights *w;
    struct dg_team *team;
    struct dg_model *model;
    struct folder f;
    char path[256];

    folder_new(&f, F32);
    add_weights(&f, "", false);
    write_tensors(&f, "model.safetensors", 0, f.n);
    logits_of_checkpoint(want);
    w = open_folder(&f);
    snprintf(path, sizeof path, "%s/model.safetensors", f.path);
    unlink(path);
    write_text(&f, "model.safetensors", "another");
    ck_assert_int_eq(dg_team_new(&team, 2, 2, &err), DG_OK);
    ck_assert_msg(dg_model_of_weights(&model, w, DG_PRECISION_AUTO, team, &err) == DG_OK, "%s",
                  err.text);
    logits_of(model, team, got);
    ck_assert_mem_eq(want, got, sizeof got);
    dg_team_free(team);
    folder_free(&f);
}
END_TEST

/* ---- tokenizers ---- */

/* The tokenizer of the folder, or why there is none. */
static struct dg_tokenizer *tokenizer_of(const struct folder *f, struct dg_error *err)
{
    struct dg_weights *w = open_folder(f);
    struct dg_tokenizer *t = NULL;
    const enum dg_status st = dg_weights_tokenizer(&t, w, err);

    ck_assert(st == DG_OK || st == DG_ERR_TOKEN);
    ck_assert((st == DG_OK) == (t != NULL));
    dg_weights_close(w);
    return t;
}

/* vocab.json of the bytes, of one merge and of <|endoftext|>, with the id of the merge's token. */
static void write_vocab(const struct folder *f, const char *last)
{
    static char text[1 << 14];
    size_t n = 0;
    int id = 0;

    for (int printable = 1; printable >= 0; printable--)
        for (unsigned b = 0, other = 256; b < 256; b++) {
            const bool is = (b > 0x20 && b < 0x7f) || (b > 0xa0 && b != 0xad);

            if (is == (bool)printable) {
                n += (size_t)snprintf(text + n, sizeof text - n, "%s\"\\u%04x\":%d", id ? "," : "{",
                                      is ? b : other, id);
                id++;
            }
            other += !is;
        }
    snprintf(text + n, sizeof text - n, "%s}", last);
    write_text(f, "vocab.json", text);
}

START_TEST(tokenizers)
{
    struct dg_error err = {0};
    struct dg_tokenizer *t;
    struct folder f;
    char path[256];

    folder_new(&f, F32);
    add_weights(&f, "", false);
    write_tensors(&f, "model.safetensors", 0, f.n);
    ck_assert_ptr_null(tokenizer_of(&f, &err));
    ck_assert_msg(strstr(err.text, "no merges.txt, vocab.bpe"), "%s", err.text);
    write_text(&f, "merges.txt", "#version: 0.2\na b\n");
    write_text(&f, "config.json", "{\"model_type\":\"gpt2\",\"eos_token_id\":9," CONFIG_REST "}");
    t = tokenizer_of(&f, &err);
    ck_assert_ptr_nonnull(t);
    ck_assert_uint_eq(dg_tokenizer_vocab(t), 258);
    ck_assert_int_eq(dg_tokenizer_end(t), 9); /* as config.json says */
    ck_assert_int_eq(dg_tokenizer_begin(t), 257);
    dg_tokenizer_free(t);
    write_vocab(&f, ",\"ab\":256,\"<|endoftext|>\":257");
    t = tokenizer_of(&f, &err);
    ck_assert_msg(t != NULL, "%s", err.text);
    dg_tokenizer_free(t);
    write_vocab(&f, ",\"ab\":257,\"<|endoftext|>\":256");
    ck_assert_ptr_null(tokenizer_of(&f, &err));
    ck_assert_msg(strstr(err.text, "vocab.json: 'ab': got id 257, expected 256"), "%s", err.text);
    write_vocab(&f, ",\"ba\":256,\"<|endoftext|>\":257");
    ck_assert_ptr_null(tokenizer_of(&f, &err));
    ck_assert_msg(strstr(err.text, "vocab.json: 'ba': got a token that no merge makes"), "%s",
                  err.text);
    write_vocab(&f, "");
    ck_assert_ptr_null(tokenizer_of(&f, &err));
    ck_assert_msg(strstr(err.text, "vocab.json: got 256 tokens, expected 258"), "%s", err.text);
    write_text(&f, "tokenizer.json", "{\"model\":7}"); /* it comes first */
    ck_assert_ptr_null(tokenizer_of(&f, &err));
    ck_assert_msg(strstr(err.text, "tokenizer.json: line 1, byte 9: got 7, expected an object"),
                  "%s", err.text);
    write_text(&f, "tokenizer.json", "version https://git-lfs.github.com/spec/v1\n");
    ck_assert_ptr_null(tokenizer_of(&f, &err));
    ck_assert_msg(strstr(err.text, "tokenizer.json: kind of file: got a Git LFS pointer"), "%s",
                  err.text);
    for (const char *const *name =
             (const char *const[]){"merges.txt", "vocab.json", "tokenizer.json", NULL};
         *name; name++) {
        snprintf(path, sizeof path, "%s/%s", f.path, *name);
        unlink(path);
    }
    folder_free(&f);
}
END_TEST

/* How many tokens the folder's tokenizer has where the model has `vocab` ids, and the text of the last one. */
static uint32_t tokens_for(const struct folder *f, uint32_t vocab, char last[16])
{
    struct dg_weights *w = open_folder(f);
    struct dg_error err = {0};
    struct dg_tokenizer *t;
    const char *bytes;
    uint32_t tokens;
    size_t n;

    w->sizes.vocab = vocab;
    ck_assert_msg(dg_weights_tokenizer(&t, w, &err) == DG_OK, "%s", err.text);
    tokens = dg_tokenizer_vocab(t);
    bytes = dg_tokenizer_bytes(t, (int32_t)tokens - 1, &n);
    snprintf(last, 16, "%.*s", (int)n, bytes);
    dg_tokenizer_free(t);
    dg_weights_close(w);
    return tokens;
}

/* More ids than tokens, and special tokens beyond the ids, where a file lists the tokens. */
START_TEST(tokenizers_that_do_not_fit)
{
    struct folder f;
    char last[16], path[256];

    folder_new(&f, F32);
    add_weights(&f, "", false);
    write_tensors(&f, "model.safetensors", 0, f.n);
    write_text(&f, "merges.txt", "#version: 0.2\na b\n");
    ck_assert_uint_eq(tokens_for(&f, 300, last), 258);
    ck_assert_uint_eq(tokens_for(&f, 257, last), 258);
    write_vocab(&f, ",\"ab\":256");
    ck_assert_uint_eq(tokens_for(&f, 300, last), 300);
    ck_assert_str_eq(last, "[PAD299]");
    ck_assert_uint_eq(tokens_for(&f, 258, last), 258);
    ck_assert_str_eq(last, "<|endoftext|>");
    ck_assert_uint_eq(tokens_for(&f, 257, last), 257);
    ck_assert_str_eq(last, "ab");
    ck_assert_uint_eq(tokens_for(&f, 256, last), 258); /* a merge makes ab */
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", f.path, i ? "merges.txt" : "vocab.json");
        unlink(path);
    }
    folder_free(&f);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {tokenizers_that_do_not_fit,
                                  dtypes_and_names,
                                  tied_and_own_heads,
                                  recipes,
                                  shards,
                                  configs_refused,
                                  headers_refused,
                                  truncated,
                                  changed,
                                  published_sizes,
                                  swapped,
                                  tokenizers,
                                  NULL};

    return run_suite("huggingface", tests);
}
