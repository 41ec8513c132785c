#include "gpt2.h"
#include "../ops/ops.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Ops and activations of a block before fusion, and the tensors that it reads. */
enum { OPS_PER_LAYER = 12, TENSORS_PER_LAYER = OPS_PER_LAYER + 16 };
enum { OPS_OUTSIDE = 3, TENSORS_OUTSIDE = OPS_OUTSIDE + 5 };

struct builder {
    struct dg_graph *g;
    const struct dg_model *model;
    uint32_t rows;
    int layer;             /* of the ops being added; -1 outside the blocks */
    struct dg_tensor *wte; /* read by embed and by logits */
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

static struct dg_tensor *cache(struct builder *b, const char *name, enum dg_layout layout)
{
    const struct dg_sizes *z = &b->model->header.sizes;
    struct dg_tensor t = {.role = DG_CACHE,
                          .layout = layout,
                          .dtype = DG_F32,
                          .rows = b->rows,
                          .cols = z->channels,
                          .heads = z->heads,
                          .positions = z->positions};

    set_name(t.name, sizeof t.name, b->layer, name);
    return dg_graph_tensor(b->g, t);
}

/* Adds an op that writes `out`; what it reads is given by add_input. */
static struct dg_op *add_op(struct builder *b, const struct dg_op_type *type, const char *name,
                            struct dg_tensor *out)
{
    struct dg_op op = {.type = type, .layer = b->layer, .out = out};

    set_name(op.name, sizeof op.name, b->layer, name);
    return dg_graph_op(b->g, op);
}

static void add_input(struct dg_op *op, struct dg_tensor *t)
{
    assert(op->n_in < DG_MAX_IN);
    op->in[op->n_in++] = t;
}

static struct dg_tensor *layernorm(struct builder *b, const char *name, struct dg_tensor *x,
                                   uint32_t first_row, const struct dg_tensor *gain,
                                   const struct dg_tensor *bias)
{
    struct dg_tensor *y = activation(b, name, x->rows - first_row, x->cols);
    struct dg_op *op = add_op(b, &dg_op_layernorm, name, y);

    op->first_row = first_row;
    add_input(op, x);
    add_input(op, dg_graph_tensor(b->g, *gain));
    add_input(op, dg_graph_tensor(b->g, *bias));
    return y;
}

/* heads: 0, or the number of heads that the columns are cut by. */
static struct dg_tensor *matmul(struct builder *b, const char *name, struct dg_tensor *x,
                                const struct dg_tensor *weight, const struct dg_tensor *bias,
                                struct dg_tensor *y, uint32_t heads)
{
    struct dg_op *op = add_op(b, &dg_op_matmul, name, y);

    op->heads = heads;
    add_input(op, x);
    add_input(op, dg_graph_tensor(b->g, *weight));
    add_input(op, dg_graph_tensor(b->g, *bias));
    return y;
}

static struct dg_tensor *add(struct builder *b, const char *name, struct dg_tensor *x,
                             struct dg_tensor *y)
{
    struct dg_tensor *sum = activation(b, name, x->rows, x->cols);
    struct dg_op *op = add_op(b, &dg_op_add, name, sum);

    add_input(op, x);
    add_input(op, y);
    return sum;
}

static struct dg_tensor *embed(struct builder *b)
{
    const struct dg_tensor ids = {
        .name = "ids", .role = DG_INPUT, .dtype = DG_I32, .rows = b->rows, .cols = 1};
    struct dg_tensor *in = dg_graph_tensor(b->g, ids);
    struct dg_tensor *x = activation(b, "embed", b->rows, b->model->header.sizes.channels);
    struct dg_op *op = add_op(b, &dg_op_embed, "embed", x);

    b->wte = dg_graph_tensor(b->g, b->model->wte);
    add_input(op, in);
    add_input(op, b->wte);
    add_input(op, dg_graph_tensor(b->g, b->model->wpe));
    return x;
}

static struct dg_tensor *block(struct builder *b, struct dg_tensor *x)
{
    const struct dg_layer *l = &b->model->layers[b->layer];
    const uint32_t C = x->cols, T = x->rows, heads = b->model->header.sizes.heads;
    struct dg_tensor *y, *q, *k, *v;
    struct dg_op *attention;

    y = layernorm(b, "ln1", x, 0, &l->ln1_gain, &l->ln1_bias);
    q = activation(b, "q", T, C);
    k = cache(b, "K", DG_KEYS);
    v = cache(b, "V", DG_VALUES);
    matmul(b, "q", y, &l->q_weight, &l->q_bias, q, heads);
    matmul(b, "k", y, &l->k_weight, &l->k_bias, k, heads);
    matmul(b, "v", y, &l->v_weight, &l->v_bias, v, heads);
    y = activation(b, "attention", T, C);
    attention = add_op(b, &dg_op_attention, "attention", y);
    attention->heads = heads;
    add_input(attention, q);
    add_input(attention, k);
    add_input(attention, v);
    y = matmul(b, "proj", y, &l->proj_weight, &l->proj_bias, activation(b, "proj", T, C), 0);
    x = add(b, "add1", x, y);
    y = layernorm(b, "ln2", x, 0, &l->ln2_gain, &l->ln2_bias);
    y = matmul(b, "fc", y, &l->fc_weight, &l->fc_bias, activation(b, "fc", T, 4 * C), 0);
    q = activation(b, "gelu", T, 4 * C);
    add_input(add_op(b, &dg_op_gelu, "gelu", q), y);
    y = matmul(b, "fcproj", q, &l->fcproj_weight, &l->fcproj_bias, activation(b, "fcproj", T, C),
               0);
    return add(b, "add2", x, y);
}

static void logits(struct builder *b, struct dg_tensor *x)
{
    struct dg_tensor *y = activation(b, "logits", x->rows, b->wte->rows);
    struct dg_op *op = add_op(b, &dg_op_logits, "logits", y);

    add_input(op, x);
    add_input(op, b->wte);
}

enum dg_status dg_gpt2_graph(struct dg_graph **out, const struct dg_model *model,
                             const struct dg_gpt2_shape *shape, struct dg_error *err)
{
    const struct dg_sizes *z = &model->header.sizes;
    struct builder b = {.model = model, .rows = shape->rows, .layer = -1};
    struct dg_tensor *x;
    enum dg_status st;

    if (shape->rows < 1 || shape->rows > z->positions || shape->logits_rows > shape->rows)
        return dg_fail(err, DG_ERR_USAGE, "rows: got %u (%u with logits), expected 1 to maxT = %u",
                       shape->rows, shape->logits_rows, z->positions);
    st = dg_graph_new(&b.g, OPS_OUTSIDE + z->layers * OPS_PER_LAYER,
                      TENSORS_OUTSIDE + z->layers * TENSORS_PER_LAYER, err);
    if (st != DG_OK)
        return st;
    x = embed(&b);
    for (b.layer = 0; b.layer < (int)z->layers; b.layer++)
        x = block(&b, x);
    b.layer = -1;
    if (shape->logits_rows > 0) {
        x = layernorm(&b, "lnf", x, shape->rows - shape->logits_rows, &model->lnf_gain,
                      &model->lnf_bias);
        logits(&b, x);
    }
    if (shape->fuse)
        dg_graph_fuse(b.g);
    st = dg_graph_check(b.g, err);
    if (st == DG_OK)
        *out = b.g;
    else
        dg_graph_free(b.g);
    return st;
}

static struct dg_tensor *find(const struct dg_graph *g, int layer, const char *name)
{
    char full[sizeof g->tensors->name];

    set_name(full, sizeof full, layer, name);
    for (unsigned i = 0; i < g->n_tensors; i++)
        if (strcmp(g->tensors[i].name, full) == 0)
            return &g->tensors[i];
    return NULL;
}

struct dg_tensor *dg_gpt2_ids(const struct dg_graph *g)
{
    return find(g, -1, "ids");
}

struct dg_tensor *dg_gpt2_keys(const struct dg_graph *g, uint32_t layer)
{
    return find(g, (int)layer, "K");
}

struct dg_tensor *dg_gpt2_values(const struct dg_graph *g, uint32_t layer)
{
    return find(g, (int)layer, "V");
}

struct dg_tensor *dg_gpt2_logits(const struct dg_graph *g)
{
    return find(g, -1, "logits");
}
