/* Tensors and graphs: bytes of every layout, what a graph refuses, and its rewriting. */
#include "../../support/toy.h"
#include "../../../src/ops/ops.h"

static struct dg_tensor tensor(enum dg_role role, enum dg_layout layout, uint32_t rows,
                               uint32_t cols)
{
    return (struct dg_tensor){
        .name = "t", .role = role, .layout = layout, .rows = rows, .cols = cols};
}

/* 0 positions where the layout has none. */
static struct dg_tensor cache(enum dg_layout layout, uint32_t rows, uint32_t cols, uint32_t heads,
                              uint32_t positions)
{
    struct dg_tensor t = tensor(DG_CACHE, layout, rows, cols);

    t.heads = heads;
    t.positions = positions;
    return t;
}

static void expect_elements(struct dg_tensor t, uint64_t elements)
{
    ck_assert_uint_eq(dg_tensor_elements(&t), elements);
    ck_assert_uint_eq(dg_tensor_bytes(&t), 4 * elements);
}

START_TEST(rows_have_no_padding)
{
    struct dg_tensor ids = tensor(DG_INPUT, DG_ROWS, 17, 1);

    ids.dtype = DG_I32;
    expect_elements(ids, 17);
    expect_elements(tensor(DG_ACTIVATION, DG_ROWS, 1, 1), 1);
    expect_elements(tensor(DG_ACTIVATION, DG_ROWS, 17, 33), 17 * 33);
    expect_elements(tensor(DG_WEIGHT, DG_ROWS, 1, 50257), 50257);
    expect_elements(tensor(DG_WEIGHT, DG_ROWS, UINT32_MAX, UINT32_MAX),
                    (uint64_t)UINT32_MAX * UINT32_MAX);
}
END_TEST

START_TEST(panels_are_whole)
{
    expect_elements(tensor(DG_WEIGHT, DG_PANELS, 1, 7), 16 * 7);
    expect_elements(tensor(DG_WEIGHT, DG_PANELS, 15, 7), 16 * 7);
    expect_elements(tensor(DG_WEIGHT, DG_PANELS, 16, 7), 16 * 7);
    expect_elements(tensor(DG_WEIGHT, DG_PANELS, 17, 7), 32 * 7);
    expect_elements(tensor(DG_WEIGHT, DG_PANELS, 50257, 768), (uint64_t)50272 * 768);
    expect_elements(tensor(DG_WEIGHT, DG_PANELS, UINT32_MAX, UINT32_MAX),
                    ((uint64_t)UINT32_MAX + 1) * UINT32_MAX);
}
END_TEST

START_TEST(bytes_by_dtype)
{
    struct dg_tensor t = tensor(DG_WEIGHT, DG_PANELS, 17, 7);

    ck_assert_uint_eq(dg_tensor_bytes(&t), 4 * 32 * 7);
    t.dtype = DG_BF16; /* an odd depth takes one more */
    ck_assert_uint_eq(dg_tensor_bytes(&t), 2 * 32 * 8);
    t.dtype = DG_I8;
    ck_assert_uint_eq(dg_tensor_bytes(&t), 32 * 36);
    t.layout = DG_ROWS;
    t.cols = 33;
    ck_assert_uint_eq(dg_tensor_bytes(&t), 17 * 2 * 40);
    for (enum dg_dtype d = 0; d < DG_N_DTYPES; d++) { /* each is described */
        ck_assert_uint_gt(dg_dtype_run(d, 32) + dg_output_bytes(d, 32), 0);
        ck_assert_ptr_nonnull(dg_dtype_name(d));
    }
}
END_TEST

START_TEST(boxes_meet_where_an_element_is_in_both)
{
    const struct dg_box b = {2, 4, 10, 13};

    for (uint32_t r0 = 0; r0 < 6; r0++) {
        for (uint32_t r1 = r0 + 1; r1 <= 6; r1++) {
            for (uint32_t c0 = 8; c0 < 15; c0++) {
                for (uint32_t c1 = c0 + 1; c1 <= 15; c1++) {
                    const struct dg_box a = {r0, r1, c0, c1};
                    uint32_t common = 0;

                    for (uint32_t r = r0; r < r1; r++)
                        for (uint32_t c = c0; c < c1; c++)
                            common += r >= 2 && r < 4 && c >= 10 && c < 13;
                    ck_assert_int_eq(dg_box_meets(a, b), common > 0);
                    ck_assert_int_eq(dg_box_meets(b, a), common > 0);
                }
            }
        }
    }
    ck_assert_uint_eq(dg_box_area(b), 6);
    ck_assert_uint_eq(dg_box_area((struct dg_box){0, UINT32_MAX, 0, UINT32_MAX}),
                      (uint64_t)UINT32_MAX * UINT32_MAX);
}
END_TEST

/* ---- building and rewriting ---- */

/* Rewrites move tensors: the graph's own pointers to its ends go along, and no end is pruned. */
START_TEST(ends_stay_through_rewrites)
{
    const struct dg_cut whole = {1, 4};
    struct dg_tensor described = tensor(DG_INPUT, DG_ROWS, 1, 4), *in, *out, *spare;
    struct toy_graph t;
    struct dg_op *op;

    toy_new(&t);
    toy_tensor(&t, DG_ACTIVATION, "gone", 1, 4);
    spare = dg_graph_end(t.g, described); /* that no op reads */
    toy_tensor(&t, DG_ACTIVATION, "gone, too", 1, 4);
    strcpy(described.name, "in");
    in = dg_graph_end(t.g, described);
    described.role = DG_OUTPUT;
    strcpy(described.name, "out");
    toy_tensor(&t, DG_ACTIVATION, "gone as well", 1, 4);
    out = dg_graph_end(t.g, described);
    op = toy_op(&t, "op", out, whole.rows, whole.cols);
    toy_read(&t, op, in, OWN_ROWS, OWN_COLS);
    ck_assert(t.g->inputs[0] == spare && t.g->inputs[1] == in && t.g->outputs[0] == out);
    dg_graph_prune(t.g);
    ck_assert_uint_eq(t.g->n_tensors, 3);
    ck_assert_uint_eq(t.g->n_inputs, 2);
    ck_assert_uint_eq(t.g->n_outputs, 1);
    ck_assert_ptr_ne(t.g->inputs[1], in);
    ck_assert_str_eq(t.g->inputs[1]->name, "in");
    ck_assert_str_eq(t.g->outputs[0]->name, "out");
    ck_assert_ptr_eq(t.g->ops[0].in[0], t.g->inputs[1]);
    ck_assert_ptr_eq(t.g->ops[0].out, t.g->outputs[0]);
    dg_graph_free(t.g);
}
END_TEST

/* a -> b -> c, and d from b and c; `spare` belongs to nobody. */
struct diamond {
    struct toy_graph t;
    struct dg_tensor *spare, *a, *b, *c, *d;
};

static void build_diamond(struct diamond *z)
{
    const struct dg_cut whole = {4, 4};
    struct toy_graph *t = &z->t;

    toy_new(t);
    z->spare = toy_tensor(t, DG_ACTIVATION, "spare", 4, 4);
    z->a = toy_step(t, "a", NULL, 4, 4, whole, OWN_ROWS, OWN_COLS);
    z->b = toy_step(t, "b", z->a, 4, 4, whole, OWN_ROWS, OWN_COLS);
    z->c = toy_step(t, "c", z->b, 4, 4, whole, OWN_ROWS, OWN_COLS);
    z->d = toy_step(t, "d", z->b, 4, 4, whole, OWN_ROWS, OWN_COLS);
    toy_read(t, &t->g->ops[3], z->c, OWN_ROWS, OWN_COLS);
}

START_TEST(pointers_stay_while_a_graph_grows)
{
    struct toy_graph t;
    struct dg_tensor *tensors[TOY_TENSORS], given = tensor(DG_ACTIVATION, DG_ROWS, 1, 1);
    struct dg_op *ops[TOY_OPS];

    toy_new(&t);
    for (unsigned i = 0; i < TOY_TENSORS; i++) {
        given.rows = i + 1;
        tensors[i] = dg_graph_tensor(t.g, given);
    }
    for (unsigned i = 0; i < TOY_OPS; i++)
        ops[i] = toy_op(&t, "op", tensors[i], 1, 1);
    for (unsigned i = 0; i < TOY_TENSORS; i++) {
        ck_assert_ptr_eq(tensors[i], &t.g->tensors[i]);
        ck_assert_uint_eq(tensors[i]->rows, i + 1);
        ck_assert_uint_eq(dg_tensor_index(t.g, tensors[i]), i);
    }
    for (unsigned i = 0; i < TOY_OPS; i++) {
        ck_assert_ptr_eq(ops[i], &t.g->ops[i]);
        ck_assert_ptr_eq(ops[i]->out, tensors[i]);
    }
    ck_assert_uint_eq(t.g->n_ops, TOY_OPS);
    ck_assert_uint_eq(t.g->n_tensors, TOY_TENSORS);
    toy_free(&t, NULL);
    dg_graph_free(NULL);
}
END_TEST

START_TEST(writer_and_readers)
{
    struct diamond z;

    build_diamond(&z);
    dg_graph_link(z.t.g);
    ck_assert_ptr_null(dg_graph_writer(z.t.g, z.spare));
    ck_assert_ptr_eq(dg_graph_writer(z.t.g, z.a), &z.t.g->ops[0]);
    ck_assert_ptr_eq(dg_graph_writer(z.t.g, z.d), &z.t.g->ops[3]);
    ck_assert_uint_eq(dg_graph_readers(z.t.g, z.spare), 0);
    ck_assert_uint_eq(dg_graph_readers(z.t.g, z.d), 0);
    ck_assert_uint_eq(dg_graph_readers(z.t.g, z.a), 1);
    ck_assert_uint_eq(z.t.g->reader[z.t.g->first[1]], 1);
    ck_assert_uint_eq(dg_graph_readers(z.t.g, z.b), 2);
    for (unsigned i = 0; i < 2; i++) /* ascending */
        ck_assert_uint_eq(z.t.g->reader[z.t.g->first[2] + i], 2 + i);
    toy_read(&z.t, &z.t.g->ops[3], z.c, OWN_ROWS, OWN_COLS); /* each input counts */
    dg_graph_link(z.t.g);
    ck_assert_uint_eq(dg_graph_readers(z.t.g, z.c), 2);
    toy_free(&z.t, NULL);
}
END_TEST

START_TEST(merged_ops_are_gone_once_pruned)
{
    struct diamond z;
    struct dg_op *ops;

    build_diamond(&z);
    ops = z.t.g->ops;
    ops[3].n_in = 1; /* nobody reads c any more */
    dg_graph_link(z.t.g);
    dg_graph_merge(z.t.g, &ops[3], &ops[2]); /* c's op writes d */
    ck_assert_ptr_null(ops[3].type);
    ck_assert_ptr_eq(dg_graph_writer(z.t.g, z.d), &ops[2]);
    dg_graph_merge(z.t.g, &ops[1], &ops[0]); /* a's writes b */
    dg_graph_prune(z.t.g);
    ck_assert_uint_eq(z.t.g->n_ops, 2);
    ck_assert_str_eq(ops[0].name, "a");
    ck_assert_str_eq(ops[0].out->name, "b");
    ck_assert_str_eq(ops[1].name, "c");
    ck_assert_str_eq(ops[1].out->name, "d");
    ck_assert_ptr_eq(ops[1].in[0], ops[0].out);
    ck_assert_ptr_eq(dg_graph_writer(z.t.g, ops[1].out), &ops[1]);
    ck_assert_uint_eq(z.t.g->n_tensors, 2);
    toy_free(&z.t, NULL);
}
END_TEST

static void expect_names(const struct dg_graph *g, const char *names)
{
    char all[256] = "";

    for (unsigned i = 0; i < g->n_tensors; i++)
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s ", g->tensors[i].name);
    ck_assert_str_eq(all, names);
}

START_TEST(prune_keeps_what_is_read_or_written)
{
    struct diamond z;

    build_diamond(&z);
    toy_read(&z.t, &z.t.g->ops[0], toy_tensor(&z.t, DG_WEIGHT, "w", 1, 4), EVERY_ROW, EVERY_COL);
    toy_tensor(&z.t, DG_WEIGHT, "unused", 1, 4);
    z.t.g->ops[3].n_in = 1;
    z.t.g->ops[2].type = NULL; /* c's op is gone */
    dg_graph_prune(z.t.g);
    expect_names(z.t.g, "a b d w ");
    for (unsigned i = 0; i < 3; i++) /* the pointers have moved along */
        ck_assert_str_eq(z.t.g->ops[i].out->name, z.t.g->ops[i].name);
    ck_assert_str_eq(z.t.g->ops[0].in[0]->name, "w");
    ck_assert_str_eq(z.t.g->ops[1].in[0]->name, "a");
    ck_assert_str_eq(z.t.g->ops[2].in[0]->name, "b");
    dg_graph_prune(z.t.g); /* nothing left to take */
    expect_names(z.t.g, "a b d w ");
    toy_free(&z.t, NULL);
}
END_TEST

/* ---- what dg_graph_check refuses ---- */

static void expect_refusal(struct dg_graph *g, enum dg_status status, const char *text)
{
    struct dg_error err = {0};

    ck_assert_int_eq(dg_graph_check(g, &err), status);
    ck_assert_int_eq(err.status, status);
    ck_assert_msg(strstr(err.text, text) != NULL, "got \"%s\", expected \"%s\"", err.text, text);
}

static void expect_accepted(struct dg_graph *g)
{
    struct dg_error err = {0};

    ck_assert_msg(dg_graph_check(g, &err) == DG_OK, "%s", err.text);
}

START_TEST(two_writers)
{
    struct diamond z;

    build_diamond(&z);
    expect_accepted(z.t.g);
    z.t.g->ops[3].out = z.a;
    expect_refusal(z.t.g, DG_ERR_USAGE, "tensor a: written by a and by d");
    toy_free(&z.t, NULL);
}
END_TEST

START_TEST(read_before_write)
{
    struct diamond z;

    build_diamond(&z);
    z.t.g->ops[1].in[0] = z.d;
    expect_refusal(z.t.g, DG_ERR_USAGE, "op b reads d before d writes it");
    z.t.g->ops[1].in[0] = z.b; /* its own output */
    expect_refusal(z.t.g, DG_ERR_USAGE, "op b reads b before b writes it");
    z.t.g->ops[1].in[0] = z.spare; /* that nobody writes */
    expect_accepted(z.t.g);
    toy_free(&z.t, NULL);
}
END_TEST

/* A graph of the one tensor is refused with that text, or accepted if text is NULL. */
static void expect_tensor(struct dg_tensor t, enum dg_status status, const char *text)
{
    struct dg_error err = {0};
    struct dg_graph *g;

    ck_assert_int_eq(dg_graph_new(&g, 1, 1, &err), DG_OK);
    dg_graph_tensor(g, t);
    if (text)
        expect_refusal(g, status, text);
    else
        expect_accepted(g);
    dg_graph_free(g);
}

START_TEST(tensors_without_elements)
{
    expect_tensor(tensor(DG_ACTIVATION, DG_ROWS, 0, 4), DG_ERR_USAGE, "tensor t: shape: got 0 x 4");
    expect_tensor(tensor(DG_ACTIVATION, DG_ROWS, 4, 0), DG_ERR_USAGE, "tensor t: shape: got 4 x 0");
    expect_tensor(tensor(DG_ACTIVATION, DG_ROWS, 1, 1), DG_OK, NULL);
}
END_TEST

START_TEST(heads_that_do_not_divide)
{
    const enum dg_layout layouts[] = {DG_KEYS, DG_VALUES};

    for (int i = 0; i < 2; i++) {
        expect_tensor(cache(layouts[i], 1, 6, 0, 1), DG_ERR_USAGE,
                      "tensor t: 6 columns do not divide into 0 heads");
        expect_tensor(cache(layouts[i], 1, 6, 4, 1), DG_ERR_USAGE,
                      "tensor t: 6 columns do not divide into 4 heads");
        expect_tensor(cache(layouts[i], 1, 6, 3, 1), DG_OK, NULL);
    }
    expect_tensor(tensor(DG_ACTIVATION, DG_ROWS, 1, 6), DG_OK, NULL); /* has no heads */
}
END_TEST

START_TEST(cache_that_is_too_short)
{
    expect_tensor(cache(DG_KEYS, 9, 6, 2, 8), DG_ERR_USAGE, "tensor t: 9 rows, room for 8");
    expect_tensor(cache(DG_VALUES, 8, 6, 2, 8), DG_OK, NULL);
}
END_TEST

/* 2^31 rows or columns are the first that are too many, and 2^61 elements: 2^63 bytes. */
START_TEST(too_large)
{
    const uint32_t half = (uint32_t)1 << 31, quarter = (uint32_t)1 << 30;

    expect_tensor(tensor(DG_WEIGHT, DG_ROWS, UINT32_MAX, UINT32_MAX), DG_ERR_RESOURCE,
                  "cannot be addressed");
    expect_tensor(tensor(DG_WEIGHT, DG_PANELS, UINT32_MAX, UINT32_MAX), DG_ERR_RESOURCE,
                  "cannot be addressed");
    expect_tensor(cache(DG_KEYS, 1, UINT32_MAX, 1, UINT32_MAX), DG_ERR_RESOURCE,
                  "cannot be addressed");
    expect_tensor(tensor(DG_WEIGHT, DG_ROWS, half, 1), DG_ERR_RESOURCE, "cannot be addressed");
    expect_tensor(tensor(DG_WEIGHT, DG_ROWS, 1, half), DG_ERR_RESOURCE, "cannot be addressed");
    expect_tensor(tensor(DG_WEIGHT, DG_ROWS, half - 1, quarter + 1), DG_ERR_RESOURCE,
                  "cannot be addressed");
    if (sizeof(size_t) > 4)
        expect_tensor(tensor(DG_WEIGHT, DG_ROWS, half - 1, quarter), DG_OK, NULL);
}
END_TEST

/* ---- shapes of real ops ---- */

enum { T = 5, C = 6, HEADS = 3 };

static struct dg_tensor *add_tensor(struct dg_graph *g, const char *name, enum dg_role role,
                                    enum dg_layout layout, uint32_t rows, uint32_t cols)
{
    struct dg_tensor t = tensor(role, layout, rows, cols);

    snprintf(t.name, sizeof t.name, "%s", name);
    if (role == DG_CACHE) {
        t.heads = HEADS;
        t.positions = 8;
    }
    return dg_graph_tensor(g, t);
}

/* One op of each type, all inputs from nowhere but those of a short chain. */
struct real {
    struct dg_graph *g;
    struct dg_tensor *ids, *wte, *wpe, *x, *y, *gain, *bias, *w, *sum, *q, *k, *v, *logits, *few;
    struct dg_op *embed, *layernorm, *matmul, *gelu, *add, *keys, *attention, *last, *head;
};

static struct dg_op *real_op(struct real *z, const struct dg_op_type *type, struct dg_tensor *out,
                             struct dg_tensor *in0, struct dg_tensor *in1, struct dg_tensor *in2)
{
    struct dg_op op = {.type = type, .out = out, .in = {in0, in1, in2}};

    snprintf(op.name, sizeof op.name, "%s", type->name);
    op.n_in = in2 ? 3 : in1 ? 2 : 1;
    return dg_graph_op(z->g, op);
}

static void build_real(struct real *z)
{
    struct dg_error err = {0};

    ck_assert_int_eq(dg_graph_new(&z->g, 16, 32, &err), DG_OK);
    z->ids = add_tensor(z->g, "ids", DG_INPUT, DG_ROWS, T, 1);
    z->ids->dtype = DG_I32;
    z->wte = add_tensor(z->g, "wte", DG_WEIGHT, DG_PANELS, 19, C);
    z->wpe = add_tensor(z->g, "wpe", DG_WEIGHT, DG_ROWS, 8, C);
    z->gain = add_tensor(z->g, "gain", DG_WEIGHT, DG_ROWS, 1, C);
    z->bias = add_tensor(z->g, "bias", DG_WEIGHT, DG_ROWS, 1, C);
    z->w = add_tensor(z->g, "w", DG_WEIGHT, DG_PANELS, C, C);
    z->x = add_tensor(z->g, "x", DG_ACTIVATION, DG_ROWS, T, C);
    z->y = add_tensor(z->g, "y", DG_ACTIVATION, DG_ROWS, T, C);
    z->q = add_tensor(z->g, "q", DG_ACTIVATION, DG_ROWS, T, C);
    z->sum = add_tensor(z->g, "sum", DG_ACTIVATION, DG_ROWS, T, C);
    z->k = add_tensor(z->g, "k", DG_CACHE, DG_KEYS, T, C);
    z->v = add_tensor(z->g, "v", DG_CACHE, DG_VALUES, T, C);
    z->few = add_tensor(z->g, "few", DG_ACTIVATION, DG_ROWS, 2, C);
    z->logits = add_tensor(z->g, "logits", DG_ACTIVATION, DG_ROWS, 2, 19);
    z->embed = real_op(z, &dg_op_embed, z->x, z->ids, z->wte, z->wpe);
    z->layernorm = real_op(z, &dg_op_layernorm, z->y, z->x, z->gain, z->bias);
    z->matmul = real_op(z, &dg_op_matmul, z->q, z->y, z->w, z->bias);
    z->keys = real_op(z, &dg_op_matmul, z->k, z->y, z->w, z->bias);
    z->add = real_op(z, &dg_op_add, z->sum, z->x, z->q, NULL);
    z->gelu = real_op(z, &dg_op_gelu, add_tensor(z->g, "g", DG_ACTIVATION, DG_ROWS, T, C), z->sum,
                      NULL, NULL);
    z->attention = real_op(z, &dg_op_attention,
                           add_tensor(z->g, "mix", DG_ACTIVATION, DG_ROWS, T, C), z->q, z->k, z->v);
    z->attention->heads = HEADS;
    z->last = real_op(z, &dg_op_tail, z->few, z->x, NULL, NULL);
    z->last->first_row = T - 2;
    z->head = real_op(z, &dg_op_logits, z->logits, z->few, z->wte, NULL);
}

START_TEST(shapes_that_fit)
{
    struct real z;

    build_real(&z);
    expect_accepted(z.g);
    dg_graph_free(z.g);
}
END_TEST

/* With *field = value the graph is refused with that text; without, it is accepted again. */
static void refuse_value(const struct real *z, uint32_t *field, uint32_t value, const char *text)
{
    const uint32_t good = *field;

    *field = value;
    expect_refusal(z->g, DG_ERR_USAGE, text);
    *field = good;
    expect_accepted(z->g);
}

START_TEST(shapes_that_do_not_fit)
{
    struct real z;

    build_real(&z);
    refuse_value(&z, &z.ids->rows, T + 1, "op embed: ids (ids): got 6 x 1, expected 5 x 1");
    refuse_value(&z, &z.ids->cols, 2, "op embed: ids (ids): got 5 x 2");
    refuse_value(&z, &z.wte->cols, C + 1, "op embed: shape of wte (wte)");
    refuse_value(&z, &z.wpe->cols, C - 1, "op embed: shape of wpe (wpe)");
    refuse_value(&z, &z.gain->cols, C + 1, "op layernorm: shape of gain (gain)");
    refuse_value(&z, &z.gain->rows, 2, "op layernorm: shape of gain (gain): got 2 x 6");
    refuse_value(&z, &z.bias->cols, C + 1, "op layernorm: shape of bias (bias)");
    refuse_value(&z, &z.last->first_row, T - 1, "op tail: shape of x (x): got 5 x 6");
    refuse_value(&z, &z.last->first_row, T - 3, "op tail: shape of x (x): got 5 x 6");
    refuse_value(&z, &z.y->rows, T - 1, "op layernorm: shape of x (x)");
    refuse_value(&z, &z.w->rows, C + 1, "op matmul: shape of w (w)");
    refuse_value(&z, &z.w->cols, C + 1, "op matmul: shape of x (y)");
    refuse_value(&z, &z.q->rows, T - 1, "op matmul: shape of x (y)");
    refuse_value(&z, &z.k->rows, T - 1, "op matmul: shape of x (y)");
    refuse_value(&z, &z.k->cols, 2 * C, "op matmul: shape of w (w)");
    refuse_value(&z, &z.sum->cols, C + 1, "op add: shape of a (x)");
    refuse_value(&z, &z.gelu->out->rows, T + 1, "op gelu: shape of x (sum)");
    refuse_value(&z, &z.attention->out->rows, T - 1, "op attention: shape of q (q)");
    refuse_value(&z, &z.v->rows, T - 1, "op attention: shape of V (v)");
    refuse_value(&z, &z.few->rows, 3, "op tail: shape of x (x)");
    refuse_value(&z, &z.logits->cols, 20, "op logits: shape of w (wte)");
    refuse_value(&z, &z.logits->rows, 1, "op logits: shape of x (few)");
    dg_graph_free(z.g);
}
END_TEST

START_TEST(heads_that_differ)
{
    struct real z;

    build_real(&z);
    refuse_value(&z, &z.attention->heads, 0, "op attention: 6 columns in 0 heads");
    refuse_value(&z, &z.attention->heads, 4, "op attention: 6 columns in 4 heads");
    refuse_value(&z, &z.attention->heads, 2, "6 columns in 2 heads, K in 3 and V in 3");
    refuse_value(&z, &z.k->heads, 2, "6 columns in 3 heads, K in 2 and V in 3");
    refuse_value(&z, &z.v->heads, 6, "6 columns in 3 heads, K in 3 and V in 6");
    refuse_value(&z, &z.v->heads, 4, "tensor v: 6 columns do not divide into 4 heads");
    dg_graph_free(z.g);
}
END_TEST

START_TEST(layouts_and_types_that_do_not_fit)
{
    struct real z;

    build_real(&z);
    z.w->layout = DG_ROWS;
    expect_refusal(z.g, DG_ERR_USAGE, "op matmul: w (w) is in a layout that matmul does not take");
    z.w->layout = DG_PANELS;
    z.wte->layout = DG_ROWS;
    expect_refusal(z.g, DG_ERR_USAGE, "op embed: wte (wte) is in a layout");
    z.wte->layout = DG_PANELS;
    z.k->layout = DG_VALUES;
    expect_refusal(z.g, DG_ERR_USAGE, "op attention: K (k) is in a layout");
    z.k->layout = DG_KEYS;
    z.ids->dtype = DG_F32;
    expect_refusal(z.g, DG_ERR_USAGE, "op embed: ids (ids)");
    z.ids->dtype = DG_I32;
    z.bias->dtype = DG_I32;
    expect_refusal(z.g, DG_ERR_USAGE, "op layernorm: bias (bias) is in a layout");
    z.bias->dtype = DG_F32;
    expect_accepted(z.g);
    dg_graph_free(z.g);
}
END_TEST

START_TEST(inputs_that_are_missing)
{
    struct real z;

    build_real(&z);
    refuse_value(&z, &z.embed->n_in, 1, "op embed: inputs: got 1, expected 3");
    refuse_value(&z, &z.embed->n_in, 2,
                 "op embed: wpe (wte) is in a layout"); /* 2: wte in a file */
    refuse_value(&z, &z.layernorm->n_in, 2, "op layernorm: inputs: got 2, expected 3");
    refuse_value(&z, &z.matmul->n_in, 2, "op matmul: inputs: got 2, expected 3");
    refuse_value(&z, &z.add->n_in, 1, "op add: inputs: got 1, expected 2");
    refuse_value(&z, &z.attention->n_in, 2, "op attention: inputs: got 2, expected 3");
    refuse_value(&z, &z.head->n_in, 1, "op logits: inputs: got 1, expected 2");
    z.matmul->residual = true;
    expect_refusal(z.g, DG_ERR_USAGE, "op matmul: inputs: got 3, expected 4");
    dg_graph_free(z.g);
}
END_TEST

START_TEST(nothing_is_fused_into_a_cache)
{
    struct real z;

    build_real(&z);
    z.keys->activation = DG_GELU;
    expect_refusal(z.g, DG_ERR_USAGE, "op matmul: nothing can be fused into a cache");
    z.keys->activation = DG_NO_ACTIVATION;
    z.keys->residual = true;
    z.keys->in[z.keys->n_in++] = z.x;
    expect_refusal(z.g, DG_ERR_USAGE, "op matmul: nothing can be fused into a cache");
    dg_graph_free(z.g);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {rows_have_no_padding,
                                  panels_are_whole,
                                  bytes_by_dtype,
                                  ends_stay_through_rewrites,
                                  boxes_meet_where_an_element_is_in_both,
                                  pointers_stay_while_a_graph_grows,
                                  writer_and_readers,
                                  merged_ops_are_gone_once_pruned,
                                  prune_keeps_what_is_read_or_written,
                                  two_writers,
                                  read_before_write,
                                  tensors_without_elements,
                                  heads_that_do_not_divide,
                                  cache_that_is_too_short,
                                  too_large,
                                  shapes_that_fit,
                                  shapes_that_do_not_fit,
                                  heads_that_differ,
                                  layouts_and_types_that_do_not_fit,
                                  inputs_that_are_missing,
                                  nothing_is_fused_into_a_cache,
                                  NULL};

    return run_suite("graph", tests);
}
