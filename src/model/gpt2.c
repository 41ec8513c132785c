/* GPT-2 as the papers draw it, op by op; what could be one op is several, and dg_graph_fuse() joins them.
 * A weight is a constant of the model, or what a load op writes that stands before the first op that
 * reads it. */
#include "gpt2.h"
#include "../ops/ops.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ops of a block before fusion, four of them to quantize, each of which writes a tensor; those outside; those of the
 * last block alone; and the ids. */
enum { OPS_PER_LAYER = 12 + 4, OPS_OUTSIDE = 3 + 1, TAILS = 2 + 1, INPUTS = 1 };

struct builder {
    struct dg_graph *g;
    const struct dg_model *model;
    uint32_t rows;
    int layer;                  /* of the ops being added; -1 outside the blocks */
    struct dg_tensor **weights; /* [dg_weight_count()] in the graph, or NULL: not yet */
    enum dg_dtype cache;
    bool load;
    bool embed_reads; /* the rows of wte from the file */
};

static struct dg_tensor describe(const struct builder *b, enum dg_role role, const char *name,
                                 uint32_t rows, uint32_t cols)
{
    struct dg_tensor t = {
        .role = role, .layout = DG_ROWS, .dtype = DG_F32, .rows = rows, .cols = cols};

    dg_layer_name(t.name, sizeof t.name, b->layer, name);
    return t;
}

static struct dg_tensor *activation(struct builder *b, const char *name, uint32_t rows,
                                    uint32_t cols)
{
    return dg_graph_tensor(b->g, describe(b, DG_ACTIVATION, name, rows, cols));
}

static struct dg_tensor *cache(struct builder *b, const char *name, enum dg_layout layout)
{
    const struct dg_sizes *z = &b->model->sizes;
    struct dg_tensor t = describe(b, DG_CACHE, name, b->rows, z->channels);

    t.layout = layout;
    t.dtype = b->cache;
    t.heads = z->heads;
    t.positions = z->positions;
    return dg_graph_tensor(b->g, t);
}

/* Adds an op that writes `out`; before it, in the graph, stand those that write what it reads. */
static struct dg_op *add_op(struct builder *b, const struct dg_op_type *type, const char *name,
                            struct dg_tensor *out, struct dg_tensor *const *in, unsigned n)
{
    struct dg_op op = {.type = type, .layer = b->layer, .n_in = n, .out = out};

    assert(n <= DG_MAX_IN);
    memcpy(op.in, in, n * sizeof(struct dg_tensor *));
    dg_layer_name(op.name, sizeof op.name, b->layer, name);
    return dg_graph_op(b->g, op);
}

/* Where a weight lies; of an outline no more than how it stands. */
static const struct dg_source *source_of(const struct builder *b, enum dg_weight w, uint32_t layer)
{
    static const struct dg_source transposed = {.dtype = DG_F32, .transposed = true};
    const struct dg_weights *from = b->model->weights;
    const bool matrix = dg_weight_shape(&b->model->sizes, w).layout == DG_PANELS;

    if (from)
        return dg_weights_find(from, w, layer);
    return b->model->transposed && matrix && dg_weight_in_layers(w) ? &transposed : NULL;
}

/* A weight, of the layer at hand if it is one of a layer's. */
static struct dg_tensor *weight(struct builder *b, enum dg_weight w)
{
    const uint32_t layer = b->layer < 0 ? 0 : (uint32_t)b->layer;
    const struct dg_tensor *t = dg_model_weight(b->model, w, layer);
    struct dg_tensor **known = &b->weights[dg_weight_place(w, layer)];

    if (!*known)
        *known = b->load ? dg_graph_load(b->g, t, b->layer, source_of(b, w, layer))
                         : dg_graph_tensor(b->g, *t);
    return *known;
}

static struct dg_tensor *layernorm(struct builder *b, const char *name, struct dg_tensor *x,
                                   enum dg_weight gain, enum dg_weight bias)
{
    struct dg_tensor *y = activation(b, name, x->rows, x->cols);
    struct dg_tensor *in[] = {x, weight(b, gain), weight(b, bias)};

    add_op(b, &dg_op_layernorm, name, y, in, 3)->epsilon = b->model->recipe.epsilon;
    return y;
}

/* The last `rows` rows of x; x itself where those are all. */
static struct dg_tensor *tail(struct builder *b, const char *name, struct dg_tensor *x,
                              uint32_t rows)
{
    struct dg_tensor *y;

    if (rows == x->rows)
        return x;
    y = activation(b, name, rows, x->cols);
    add_op(b, &dg_op_tail, name, y, &x, 1)->first_row = x->rows - rows;
    return y;
}

/* x as a product with that weight takes it: of int8, in groups, once for all products that read x. */
static struct dg_tensor *factor(struct builder *b, struct dg_tensor *x, const struct dg_tensor *w)
{
    struct dg_op *reader, op = {.type = &dg_op_quantize, .layer = b->layer, .n_in = 1, .in = {x}};
    struct dg_tensor y = *x;

    if (w->dtype != DG_I8)
        return x;
    for (reader = b->g->ops + b->g->n_ops; reader-- > b->g->ops;)
        if (reader->type == &dg_op_quantize && reader->in[0] == x)
            return reader->out;
    y.dtype = DG_I8;
    snprintf(y.name, sizeof y.name, "%.18s.int8", x->name);
    memcpy(op.name, y.name, sizeof op.name);
    op.out = dg_graph_tensor(b->g, y);
    dg_graph_op(b->g, op);
    return op.out;
}

/* heads: 0, or the number of heads that the columns are cut by. */
static struct dg_tensor *matmul(struct builder *b, const char *name, struct dg_tensor *x,
                                enum dg_weight w, enum dg_weight bias, struct dg_tensor *y,
                                uint32_t heads)
{
    struct dg_tensor *matrix = weight(b, w);
    struct dg_tensor *in[] = {factor(b, x, matrix), matrix, weight(b, bias)};

    add_op(b, &dg_op_matmul, name, y, in, 3)->heads = heads;
    return y;
}

/* first_row: of q's rows, in the step. */
static struct dg_tensor *attention(struct builder *b, struct dg_tensor *q, struct dg_tensor *k,
                                   struct dg_tensor *v, uint32_t first_row)
{
    struct dg_tensor *y = activation(b, "attention", q->rows, q->cols), *in[] = {q, k, v};
    struct dg_op *op = add_op(b, &dg_op_attention, "attention", y, in, 3);

    op->heads = k->heads;
    op->first_row = first_row;
    return y;
}

static struct dg_tensor *add(struct builder *b, const char *name, struct dg_tensor *x,
                             struct dg_tensor *y)
{
    struct dg_tensor *sum = activation(b, name, x->rows, x->cols), *in[] = {x, y};

    add_op(b, &dg_op_add, name, sum, in, 2);
    return sum;
}

/* While the model is being loaded, wte comes last, with the logits: the few rows of it that are wanted
 * here are then read from the file. So they are where it is divided among ranks. */
static struct dg_tensor *embed(struct builder *b)
{
    struct dg_tensor ids = describe(b, DG_INPUT, "ids", b->rows, 1), *in[3], *x;
    const struct dg_weights *from = b->model->weights;
    struct dg_op *op;
    unsigned n = 0;

    ids.dtype = DG_I32;
    x = activation(b, "embed", b->rows, b->model->sizes.channels);
    in[n++] = dg_graph_end(b->g, ids);
    if (!b->embed_reads)
        in[n++] = weight(b, DG_WTE);
    in[n++] = weight(b, DG_WPE);
    op = add_op(b, &dg_op_embed, "embed", x, in, n);
    op->source = b->embed_reads && from ? dg_weights_find(from, DG_WTE, 0) : NULL;
    op->held = dg_model_weight(b->model, DG_WTE, 0)->dtype;
    return x;
}

/* The last `rows` rows of x behind the block; NULL for none, and then only keys and values are made. */
static struct dg_tensor *block(struct builder *b, struct dg_tensor *x, uint32_t rows)
{
    const struct dg_op_type *activation_type = dg_op_of_activation(b->model->recipe.activation);
    const uint32_t C = x->cols, T = x->rows, heads = b->model->sizes.heads;
    struct dg_tensor *k = cache(b, "K", DG_KEYS), *v = cache(b, "V", DG_VALUES);
    struct dg_tensor *y = layernorm(b, "ln1", x, DG_LN1_GAIN, DG_LN1_BIAS), *q = NULL;

    if (rows > 0) {
        x = tail(b, "tail", x, rows);
        q = matmul(b, "q", tail(b, "ln1.tail", y, rows), DG_Q_WEIGHT, DG_Q_BIAS,
                   activation(b, "q", rows, C), heads);
    }
    matmul(b, "k", y, DG_K_WEIGHT, DG_K_BIAS, k, heads);
    matmul(b, "v", y, DG_V_WEIGHT, DG_V_BIAS, v, heads);
    if (rows == 0)
        return NULL;
    y = attention(b, q, k, v, T - rows);
    y = matmul(b, "proj", y, DG_PROJ_WEIGHT, DG_PROJ_BIAS, activation(b, "proj", rows, C), 0);
    x = add(b, "add1", x, y);
    y = layernorm(b, "ln2", x, DG_LN2_GAIN, DG_LN2_BIAS);
    y = matmul(b, "fc", y, DG_FC_WEIGHT, DG_FC_BIAS, activation(b, "fc", rows, 4 * C), 0);
    q = activation(b, activation_type->name, rows, 4 * C);
    add_op(b, activation_type, activation_type->name, q, &y, 1);
    y = matmul(b, "fcproj", q, DG_FCPROJ_WEIGHT, DG_FCPROJ_BIAS, activation(b, "fcproj", rows, C),
               0);
    return add(b, "add2", x, y);
}

static void logits(struct builder *b, struct dg_tensor *x)
{
    struct dg_tensor *y = layernorm(b, "lnf", x, DG_LNF_GAIN, DG_LNF_BIAS);
    struct dg_tensor *head = weight(b, b->model->recipe.own_head ? DG_HEAD : DG_WTE);
    struct dg_tensor *in[] = {factor(b, y, head), head};

    add_op(b, &dg_op_logits, "logits",
           dg_graph_end(b->g, describe(b, DG_OUTPUT, "logits", x->rows, b->model->sizes.vocab)), in,
           2)
        ->first_row = b->rows - x->rows;
}

/* The first step loads every weight, also those that it does not use. */
static void load_rest(struct builder *b)
{
    const int layers = (int)b->model->sizes.layers;

    for (enum dg_weight w = 0; w < DG_N_WEIGHTS_OUTSIDE; w++)
        if (dg_model_weight(b->model, w, 0)->rows > 0)
            weight(b, w);
    for (b->layer = 0; b->layer < layers; b->layer++)
        for (enum dg_weight w = DG_N_WEIGHTS_OUTSIDE; w < DG_N_WEIGHTS; w++)
            weight(b, w);
    b->layer = -1;
}

static void build(struct builder *b, const struct dg_gpt2_shape *shape)
{
    const int layers = (int)b->model->sizes.layers;
    struct dg_tensor *x = embed(b);

    for (b->layer = 0; b->layer < layers; b->layer++)
        x = block(b, x, b->layer < layers - 1 ? shape->rows : shape->logits_rows);
    b->layer = -1;
    if (x)
        logits(b, x);
    if (b->load)
        load_rest(b);
    if (shape->fuse)
        dg_graph_fuse(b->g);
}

enum dg_status dg_gpt2_graph(struct dg_graph **out, const struct dg_model *model,
                             const struct dg_gpt2_shape *shape, struct dg_error *err)
{
    const struct dg_sizes *z = &model->sizes;
    const uint32_t weights = dg_weight_count(z);
    const uint32_t ops = OPS_OUTSIDE + TAILS + z->layers * OPS_PER_LAYER;
    struct builder b = {.model = model,
                        .rows = shape->rows,
                        .cache = shape->cache,
                        .load = shape->load,
                        .embed_reads = shape->load || (model->shared && !model->in_place),
                        .layer = -1};
    enum dg_status st;

    if (shape->rows < 1 || shape->rows > z->positions || shape->logits_rows > shape->rows)
        return dg_fail(err, DG_ERR_USAGE, "rows: got %u (%u with logits), expected 1 to maxT = %u",
                       shape->rows, shape->logits_rows, z->positions);
    b.weights = calloc(weights, sizeof(struct dg_tensor *));
    if (!b.weights)
        return dg_fail_memory(err, "a graph", weights * sizeof(struct dg_tensor *));
    st = dg_graph_new(&b.g, ops + weights, ops + weights + INPUTS, err);
    if (st == DG_OK) {
        build(&b, shape);
        st = dg_graph_check(b.g, err);
    }
    free(b.weights);
    if (st == DG_OK)
        *out = b.g;
    else
        dg_graph_free(b.g);
    return st;
}
