#include "gpt2.h"
#include "../base/checked.h"
#include "../ops/load.h"
#include "../ops/ops.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Ops and activations of a block before fusion, and the tensors that it reads. */
enum { OPS_PER_LAYER = 12, WEIGHTS_PER_LAYER = 16 };
enum { OPS_OUTSIDE = 3, TAILS = 2, WEIGHTS_OUTSIDE = 4, INPUTS = 1 };

struct builder {
    struct dg_graph *g;
    const struct dg_model *model;
    uint32_t rows;
    bool load;
    int layer;             /* of the ops being added; -1 outside the blocks */
    struct dg_tensor *wte; /* read by embed and by logits; NULL before it is loaded */
};

static void set_name(char *to, size_t size, int layer, const char *name)
{
    if (layer < 0)
        snprintf(to, size, "%s", name);
    else
        snprintf(to, size, "h%d.%s", layer, name);
}

static struct dg_tensor *activation(struct builder *b, const char *name, uint32_t rows,
                                    uint32_t cols)
{
    struct dg_tensor t = {
        .role = DG_ACTIVATION, .layout = DG_ROWS, .dtype = DG_F32, .rows = rows, .cols = cols};

    set_name(t.name, sizeof t.name, b->layer, name);
    return dg_graph_tensor(b->g, t);
}

/* One block of positions of all layers' keys and values lies together, so that a session touches memory
 * as it gets longer and not, page after page, in its first step. The next block begins in other sets of
 * the second-level cache (64 KiB a way is common): a page further on. */
uint64_t dg_gpt2_cache_stride(const struct dg_sizes *z)
{
    const uint64_t way = (64 << 10) / 4, page = (4 << 10) / 4;

    return dg_round_up(2 * (uint64_t)z->layers * DG_LANES * z->channels, way) + page;
}

static struct dg_tensor *cache(struct builder *b, const char *name, enum dg_layout layout)
{
    const struct dg_sizes *z = &b->model->header.sizes;
    struct dg_tensor t = {.role = DG_CACHE,
                          .layout = layout,
                          .dtype = DG_F32,
                          .rows = b->rows,
                          .cols = z->channels,
                          .heads = z->heads,
                          .positions = z->positions,
                          .stride = dg_gpt2_cache_stride(z)};

    set_name(t.name, sizeof t.name, b->layer, name);
    return dg_graph_tensor(b->g, t);
}

/* Adds an op that writes `out`; before it, in the graph, stand those that write what it reads. */
static struct dg_op *add_op(struct builder *b, const struct dg_op_type *type, const char *name,
                            struct dg_tensor *out, struct dg_tensor *const *in, unsigned n)
{
    struct dg_op op = {.type = type, .layer = b->layer, .n_in = n, .out = out};

    assert(n <= DG_MAX_IN);
    memcpy(op.in, in, n * sizeof(struct dg_tensor *));
    set_name(op.name, sizeof op.name, b->layer, name);
    return dg_graph_op(b->g, op);
}

/* A weight of the model: a constant, or what its load op writes, which is added here. */
static struct dg_tensor *weight(struct builder *b, const struct dg_tensor *w)
{
    return b->load ? dg_graph_load(b->g, w, b->layer, dg_model_source(b->model, w))
                   : dg_graph_tensor(b->g, *w);
}

static struct dg_tensor *layernorm(struct builder *b, const char *name, struct dg_tensor *x,
                                   const struct dg_tensor *gain, const struct dg_tensor *bias)
{
    struct dg_tensor *y = activation(b, name, x->rows, x->cols);
    struct dg_tensor *in[] = {x, weight(b, gain), weight(b, bias)};

    add_op(b, &dg_op_layernorm, name, y, in, 3);
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

/* heads: 0, or the number of heads that the columns are cut by. */
static struct dg_tensor *matmul(struct builder *b, const char *name, struct dg_tensor *x,
                                const struct dg_tensor *w, const struct dg_tensor *bias,
                                struct dg_tensor *y, uint32_t heads)
{
    struct dg_tensor *in[] = {x, weight(b, w), weight(b, bias)};

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

static struct dg_tensor *embed(struct builder *b)
{
    const struct dg_model *m = b->model;
    const struct dg_tensor ids = {
        .name = "ids", .role = DG_INPUT, .dtype = DG_I32, .rows = b->rows, .cols = 1};
    struct dg_tensor *x = activation(b, "embed", b->rows, m->header.sizes.channels);
    struct dg_tensor *in[3] = {dg_graph_tensor(b->g, ids)};
    unsigned n = 1;

    if (!b->load)
        in[n++] = b->wte = dg_graph_tensor(b->g, m->wte);
    in[n++] = weight(b, &m->wpe);
    add_op(b, &dg_op_embed, "embed", x, in, n)->source = dg_model_source(m, &m->wte);
    return x;
}

/* The last `rows` rows of x behind the block; NULL for none, and then only keys and values are made. */
static struct dg_tensor *block(struct builder *b, struct dg_tensor *x, uint32_t rows)
{
    const struct dg_layer *l = &b->model->layers[b->layer];
    const uint32_t C = x->cols, T = x->rows, heads = b->model->header.sizes.heads;
    struct dg_tensor *k = cache(b, "K", DG_KEYS), *v = cache(b, "V", DG_VALUES);
    struct dg_tensor *y = layernorm(b, "ln1", x, &l->ln1_gain, &l->ln1_bias), *q = NULL;

    if (rows > 0) {
        x = tail(b, "tail", x, rows);
        q = matmul(b, "q", tail(b, "ln1.tail", y, rows), &l->q_weight, &l->q_bias,
                   activation(b, "q", rows, C), heads);
    }
    matmul(b, "k", y, &l->k_weight, &l->k_bias, k, heads);
    matmul(b, "v", y, &l->v_weight, &l->v_bias, v, heads);
    if (rows == 0)
        return NULL;
    y = attention(b, q, k, v, T - rows);
    y = matmul(b, "proj", y, &l->proj_weight, &l->proj_bias, activation(b, "proj", rows, C), 0);
    x = add(b, "add1", x, y);
    y = layernorm(b, "ln2", x, &l->ln2_gain, &l->ln2_bias);
    y = matmul(b, "fc", y, &l->fc_weight, &l->fc_bias, activation(b, "fc", rows, 4 * C), 0);
    q = activation(b, "gelu", rows, 4 * C);
    add_op(b, &dg_op_gelu, "gelu", q, &y, 1);
    y = matmul(b, "fcproj", q, &l->fcproj_weight, &l->fcproj_bias, activation(b, "fcproj", rows, C),
               0);
    return add(b, "add2", x, y);
}

static void logits(struct builder *b, struct dg_tensor *x)
{
    const struct dg_model *m = b->model;
    struct dg_tensor *y = layernorm(b, "lnf", x, &m->lnf_gain, &m->lnf_bias);
    struct dg_tensor *in[] = {y, b->wte ? b->wte : weight(b, &m->wte)};

    add_op(b, &dg_op_logits, "logits", activation(b, "logits", x->rows, m->wte.rows), in, 2);
}

static struct dg_tensor *find(const struct dg_graph *g, const char *name)
{
    for (unsigned i = 0; i < g->n_tensors; i++)
        if (strcmp(g->tensors[i].name, name) == 0)
            return &g->tensors[i];
    return NULL;
}

/* The first step loads every weight, also those that it does not use. */
static void load_rest(struct builder *b)
{
    const struct dg_tensor *w;

    for (unsigned i = 0; (w = dg_model_weight(b->model, i)) != NULL; i++)
        if (!find(b->g, w->name))
            weight(b, w);
}

enum dg_status dg_gpt2_graph(struct dg_graph **out, const struct dg_model *model,
                             const struct dg_gpt2_shape *shape, struct dg_error *err)
{
    const struct dg_sizes *z = &model->header.sizes;
    struct builder b = {.model = model, .rows = shape->rows, .load = shape->load, .layer = -1};
    unsigned ops, weights;
    struct dg_tensor *x;
    enum dg_status st;

    if (shape->rows < 1 || shape->rows > z->positions || shape->logits_rows > shape->rows)
        return dg_fail(err, DG_ERR_USAGE, "rows: got %u (%u with logits), expected 1 to maxT = %u",
                       shape->rows, shape->logits_rows, z->positions);
    weights = WEIGHTS_OUTSIDE + z->layers * WEIGHTS_PER_LAYER;
    ops = OPS_OUTSIDE + TAILS + z->layers * OPS_PER_LAYER;
    st = dg_graph_new(&b.g, ops + weights, ops + weights + INPUTS, err);
    if (st != DG_OK)
        return st;
    x = embed(&b);
    for (b.layer = 0; b.layer < (int)z->layers; b.layer++)
        x = block(&b, x, b.layer < (int)z->layers - 1 ? shape->rows : shape->logits_rows);
    b.layer = -1;
    if (x)
        logits(&b, x);
    if (b.load)
        load_rest(&b);
    if (shape->fuse)
        dg_graph_fuse(b.g);
    st = dg_graph_check(b.g, err);
    if (st == DG_OK)
        *out = b.g;
    else
        dg_graph_free(b.g);
    return st;
}

static struct dg_tensor *find_cache(const struct dg_graph *g, uint32_t layer, const char *name)
{
    char full[sizeof g->tensors->name];

    set_name(full, sizeof full, (int)layer, name);
    return find(g, full);
}

struct dg_tensor *dg_gpt2_ids(const struct dg_graph *g)
{
    return find(g, "ids");
}

struct dg_tensor *dg_gpt2_keys(const struct dg_graph *g, uint32_t layer)
{
    return find_cache(g, layer, "K");
}

struct dg_tensor *dg_gpt2_values(const struct dg_graph *g, uint32_t layer)
{
    return find_cache(g, layer, "V");
}

struct dg_tensor *dg_gpt2_logits(const struct dg_graph *g)
{
    return find(g, "logits");
}
