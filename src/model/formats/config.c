/* What the file does not say is as GPT-2 has it, but for the sizes, which it must say. What changes what is
 * computed and is not done here is refused by name; what belongs to training, and what only says how the model
 * was used, is skipped. */
#include "config.h"
#include "../../base/json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 1 << 24, WORD = 64 };

enum size { POSITIONS, VOCAB, LAYERS, HEADS, CHANNELS, N_SIZES };

/* transformers takes both names. */
static const struct {
    const char *name, *other;
    uint64_t most;
} size_names[N_SIZES] = {
    [POSITIONS] = {"n_positions", "max_position_embeddings", 1 << 24},
    [VOCAB] = {"vocab_size", "vocab_size", 1 << 26},
    [LAYERS] = {"n_layer", "num_hidden_layers", 1 << 14},
    [HEADS] = {"n_head", "num_attention_heads", 1 << 20},
    [CHANNELS] = {"n_embd", "hidden_size", 1 << 20},
};

struct config {
    struct dg_json j;
    const char *path;
    bool has[N_SIZES], has_type;
    uint64_t size[N_SIZES], inner; /* inner 0: 4 times the channels */
    struct dg_recipe recipe;
    bool tied;
    int32_t begin, end;
};

static void read_size(struct config *c, enum size i)
{
    if (!dg_json_integer(&c->j, &c->size[i]))
        return;
    c->has[i] = true;
    if (c->size[i] < 1 || c->size[i] > size_names[i].most)
        dg_json_fail(&c->j, "a size of 1 up to what the program takes");
}

static void read_type(struct config *c)
{
    char type[WORD];

    if (dg_json_string(&c->j, type, sizeof type) && strcmp(type, "gpt2") != 0)
        dg_json_fail(&c->j, "\"gpt2\" as model_type: another architecture is not read");
    c->has_type = true;
}

/* One of them is to be a GPT-2 that gives logits, or the one without a head, which wte then is. */
static void read_architectures(struct config *c)
{
    static const char *const known[] = {"GPT2LMHeadModel", "GPT2Model"};
    bool any = false, good = false;
    char name[WORD];

    if (dg_json_null(&c->j) || !dg_json_array(&c->j))
        return;
    while (dg_json_item(&c->j)) {
        if (!dg_json_string(&c->j, name, sizeof name))
            return;
        any = true;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            good = good || strcmp(name, known[i]) == 0;
    }
    if (any && !good)
        dg_json_fail(&c->j, "GPT2LMHeadModel or GPT2Model among the architectures");
}

static void read_activation(struct config *c)
{
    static const struct {
        const char *name;
        enum dg_activation activation;
    } known[] = {
        {"gelu_new", DG_GELU}, {"gelu_pytorch_tanh", DG_GELU}, {"gelu_fast", DG_GELU},
        {"gelu", DG_GELU_ERF}, {"gelu_python", DG_GELU_ERF},   {"relu", DG_RELU},
    };
    char name[WORD];

    if (!dg_json_string(&c->j, name, sizeof name))
        return;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(name, known[i].name) == 0) {
            c->recipe.activation = known[i].activation;
            return;
        }
    }
    dg_json_fail(&c->j, "gelu_new, gelu or relu as activation_function");
}

static void read_epsilon(struct config *c)
{
    double epsilon;

    if (!dg_json_number(&c->j, &epsilon))
        return;
    c->recipe.epsilon = (float)epsilon;
    if (!(c->recipe.epsilon > 0.0f && c->recipe.epsilon <= 1.0f))
        dg_json_fail(&c->j, "a layer_norm_epsilon above 0, up to 1");
}

static void read_inner(struct config *c)
{
    if (!dg_json_null(&c->j) && dg_json_integer(&c->j, &c->inner) && c->inner == 0)
        dg_json_fail(&c->j, "an n_inner of 1 or more, or null");
}

/* An id, null, or a list, of which the first counts. One outside the vocabulary never comes: there is none
 * then. */
static void read_id(struct config *c, int32_t *id)
{
    const char *at = c->j.at;
    uint64_t value;
    bool list;

    while (at < c->j.end && (*at == ' ' || (*at >= '\t' && *at <= '\r')))
        at++;
    list = at < c->j.end && *at == '[';
    if (dg_json_null(&c->j) || (list && !(dg_json_array(&c->j) && dg_json_item(&c->j))))
        return;
    if (dg_json_integer(&c->j, &value))
        *id = value > INT32_MAX ? -1 : (int32_t)value;
    while (list && dg_json_item(&c->j))
        dg_json_integer(&c->j, &value);
}

static void expect(struct config *c, bool wanted, const char *expected)
{
    bool value;

    if (!dg_json_null(&c->j) && dg_json_boolean(&c->j, &value) && value != wanted)
        dg_json_fail(&c->j, expected);
}

static void read_member(struct config *c, const char *key)
{
    for (enum size i = 0; i < N_SIZES; i++) {
        if (!strcmp(key, size_names[i].name) || !strcmp(key, size_names[i].other)) {
            read_size(c, i);
            return;
        }
    }
    if (!strcmp(key, "model_type"))
        read_type(c);
    else if (!strcmp(key, "architectures"))
        read_architectures(c);
    else if (!strcmp(key, "activation_function"))
        read_activation(c);
    else if (!strcmp(key, "layer_norm_epsilon"))
        read_epsilon(c);
    else if (!strcmp(key, "n_inner"))
        read_inner(c);
    else if (!strcmp(key, "tie_word_embeddings"))
        dg_json_boolean(&c->j, &c->tied);
    else if (!strcmp(key, "bos_token_id"))
        read_id(c, &c->begin);
    else if (!strcmp(key, "eos_token_id"))
        read_id(c, &c->end);
    else if (!strcmp(key, "scale_attn_weights"))
        expect(c, true, "scale_attn_weights true");
    else if (!strcmp(key, "scale_attn_by_inverse_layer_idx"))
        expect(c, false, "scale_attn_by_inverse_layer_idx false");
    else if (!strcmp(key, "reorder_and_upcast_attn"))
        expect(c, false, "reorder_and_upcast_attn false");
    else if (!strcmp(key, "add_cross_attention"))
        expect(c, false, "add_cross_attention false");
    else if (!strcmp(key, "quantization_config") && !dg_json_null(&c->j))
        dg_json_fail(&c->j, "no quantization_config: quantized weights are not read");
    else if (strcmp(key, "quantization_config") != 0)
        dg_json_skip(&c->j);
}

static void read_all(struct config *c)
{
    char key[WORD];

    if (dg_json_object(&c->j))
        while (dg_json_key(&c->j, key, sizeof key))
            read_member(c, key);
    dg_json_end(&c->j);
}

static enum dg_status check(const struct config *c, struct dg_error *err)
{
    if (!c->has_type)
        return dg_fail(err, DG_ERR_MODEL, "%s: model_type: got none, expected \"gpt2\"", c->path);
    for (enum size i = 0; i < N_SIZES; i++)
        if (!c->has[i])
            return dg_fail(err, DG_ERR_MODEL, "%s: %s: got none, expected a size", c->path,
                           size_names[i].name);
    if (c->inner && c->inner != 4 * c->size[CHANNELS])
        return dg_fail(err, DG_ERR_MODEL,
                       "%s: n_inner: got %" PRIu64 ", expected %" PRIu64 ", 4 times n_embd",
                       c->path, c->inner, 4 * c->size[CHANNELS]);
    return DG_OK;
}

static int32_t inside(int32_t id, uint32_t vocab)
{
    return id >= 0 && (uint32_t)id < vocab ? id : -1;
}

static enum dg_status read_file(struct config *c, void (*read)(struct config *c),
                                struct dg_error *err)
{
    struct dg_names names = {0};
    char *text;
    size_t n;
    enum dg_status st = dg_file_load(&text, &n, c->path, MOST_BYTES, err);

    if (st != DG_OK)
        return st;
    dg_json_open(&c->j, text, n);
    dg_json_unique(&c->j, &names);
    read(c);
    if (c->j.error)
        st = dg_json_refuse(&c->j, c->path, DG_ERR_MODEL, err);
    dg_names_free(&names);
    free(text);
    return st;
}

enum dg_status dg_config_read(struct dg_weights *w, const char *path, struct dg_error *err)
{
    struct config c = {
        .path = path, .recipe = DG_GPT2_RECIPE, .tied = true, .begin = -1, .end = -1};
    enum dg_status st = read_file(&c, read_all, err);

    if (st == DG_OK)
        st = check(&c, err);
    if (st != DG_OK)
        return st;
    w->sizes = (struct dg_sizes){(uint32_t)c.size[POSITIONS], (uint32_t)c.size[VOCAB],
                                 (uint32_t)c.size[LAYERS], (uint32_t)c.size[HEADS],
                                 (uint32_t)c.size[CHANNELS]};
    w->recipe = c.recipe;
    w->recipe.own_head = !c.tied;
    w->begin = inside(c.begin, w->sizes.vocab);
    w->end = inside(c.end, w->sizes.vocab);
    return dg_sizes_check(&w->sizes, path, err);
}

/* ---- generation_config.json ---- */

static void read_ids(struct config *c)
{
    char key[WORD];

    if (dg_json_object(&c->j)) {
        while (dg_json_key(&c->j, key, sizeof key)) {
            if (!strcmp(key, "bos_token_id"))
                read_id(c, &c->begin);
            else if (!strcmp(key, "eos_token_id"))
                read_id(c, &c->end);
            else
                dg_json_skip(&c->j);
        }
    }
    dg_json_end(&c->j);
}

enum dg_status dg_generation_config_read(struct dg_weights *w, const char *path,
                                         struct dg_error *err)
{
    struct config c = {.path = path, .begin = w->begin, .end = w->end};
    const enum dg_status st = read_file(&c, read_ids, err);

    if (st != DG_OK)
        return st;
    w->begin = inside(c.begin, w->sizes.vocab);
    w->end = inside(c.end, w->sizes.vocab);
    return DG_OK;
}
