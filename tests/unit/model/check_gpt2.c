/* GPT-2 graphs and their plans: which ops, in which order, and who waits for whom. */
#include "../../support/brute.h"
#include "../../support/outline.h"
#include "../../../src/graph/plan_check.h"
#include "../../../src/ops/ops.h"

#include <stdio.h>

static const struct dg_sizes sizes[] = {
    {.positions = 21, .vocab = 19, .layers = 1, .heads = 1, .channels = 5},
    {.positions = 33, .vocab = 50, .layers = 3, .heads = 3, .channels = 21},
    {.positions = 19, .vocab = 1, .layers = 2, .heads = 4, .channels = 4}, /* heads of 1 */
    {.positions = 24, .vocab = 70, .layers = 2, .heads = 2, .channels = 40},
    {.positions = 65, .vocab = 129, .layers = 2, .heads = 3, .channels = 48},
};
enum { N_SIZES = sizeof sizes / sizeof *sizes };
static const struct dg_sizes gpt2_124m = {
    .positions = 1024, .vocab = 50257, .layers = 12, .heads = 12, .channels = 768};

static void expect_proof(const struct dg_plan *plan)
{
    struct dg_plan_proof proof;
    struct dg_error err = {0};

    ck_assert_msg(dg_plan_check(plan, &proof, &err) == DG_OK, "%s", err.text);
    ck_assert_uint_ge(proof.pairs, plan->graph->n_ops - 1); /* each op reads the one before it */
}

/* ---- graphs ---- */

static const char *const plain_block[] = {"ln1",  "q",   "k",  "v",    "attention", "proj",
                                          "add1", "ln2", "fc", "gelu", "fcproj",    "add2"};
static const char *const fused_block[] = {"ln1",  "q",   "k",  "v",     "attention",
                                          "proj", "ln2", "fc", "fcproj"};
enum { PLAIN = 12, FUSED = 9 };

static void expect_op(const struct dg_op *op, int layer, const char *name)
{
    char full[32];

    if (layer < 0)
        snprintf(full, sizeof full, "%s", name);
    else
        snprintf(full, sizeof full, "h%d.%s", layer, name);
    ck_assert_str_eq(op->name, full);
    ck_assert_int_eq(op->layer, layer);
}

static void expect_ops(const struct dg_graph *g, const struct dg_sizes *z,
                       const struct dg_gpt2_shape *shape)
{
    const char *const *block = shape->fuse ? fused_block : plain_block;
    const uint32_t per_block = shape->fuse ? FUSED : PLAIN, last = z->layers - 1;
    const struct dg_op *op = g->ops;

    expect_op(op++, -1, "embed");
    for (uint32_t l = 0; l <= last; l++) {
        for (uint32_t i = 0; i < per_block; i++) {
            const bool of_all = i == 0 || i == 2 || i == 3; /* ln1, k, v */

            if (l == last && shape->logits_rows == 0 && !of_all)
                continue;
            if (l == last && i == 1 && shape->logits_rows < shape->rows) {
                expect_op(op++, (int)l, "tail");
                expect_op(op++, (int)l, "ln1.tail");
            }
            expect_op(op++, (int)l, block[i]);
        }
    }
    ck_assert_ptr_eq(op + (shape->logits_rows ? 2 : 0), g->ops + g->n_ops);
    if (shape->logits_rows) {
        expect_op(&g->ops[g->n_ops - 2], -1, "lnf");
        expect_op(&g->ops[g->n_ops - 1], -1, "logits");
    }
}

static void expect_tensor(const struct dg_tensor *t, enum dg_role role, uint32_t rows,
                          uint32_t cols)
{
    ck_assert_ptr_nonnull(t);
    ck_assert_int_eq(t->role, role);
    ck_assert_uint_eq(t->rows, rows);
    ck_assert_uint_eq(t->cols, cols);
    ck_assert_ptr_null(t->data);
}

static void expect_ends(const struct dg_graph *g, const struct dg_sizes *z,
                        const struct dg_gpt2_shape *shape)
{
    unsigned caches = 0;

    ck_assert_uint_eq(g->n_inputs, 1);
    expect_tensor(g->inputs[0], DG_INPUT, shape->rows, 1);
    ck_assert_int_eq(g->inputs[0]->dtype, DG_I32);
    ck_assert_str_eq(g->inputs[0]->name, "ids");
    for (unsigned i = 0; i < g->n_ops; i++) {
        const struct dg_op *op = &g->ops[i];
        char name[24];

        if (op->out->role != DG_CACHE)
            continue;
        snprintf(name, sizeof name, "h%u.%s", caches / 2, caches % 2 ? "V" : "K");
        ck_assert_str_eq(op->out->name, name);
        ck_assert_int_eq(op->layer, (int)caches / 2);
        expect_tensor(op->out, DG_CACHE, shape->rows, z->channels);
        ck_assert_int_eq(op->out->layout, caches % 2 ? DG_VALUES : DG_KEYS);
        ck_assert_uint_eq(op->out->positions, z->positions);
        ck_assert_uint_eq(op->out->heads, z->heads);
        caches++;
    }
    ck_assert_uint_eq(caches, 2 * z->layers);
    ck_assert_uint_eq(g->n_outputs, shape->logits_rows > 0);
    if (shape->logits_rows) {
        expect_tensor(g->outputs[0], DG_OUTPUT, shape->logits_rows, z->vocab);
        ck_assert_str_eq(g->outputs[0]->name, "logits");
        ck_assert_ptr_eq(g->ops[g->n_ops - 1].out, g->outputs[0]);
    }
}

static void check_graphs(const struct dg_sizes *z, const struct dg_model *model, uint32_t rows,
                         uint32_t logits_rows)
{
    for (int fuse = 0; fuse < 2; fuse++) {
        const struct dg_gpt2_shape shape = {rows, logits_rows, fuse, false, DG_F32};
        struct dg_graph *g = outline_graph(model, shape);

        expect_ops(g, z, &shape);
        expect_ends(g, z, &shape);
        for (unsigned i = 0; i < g->n_tensors; i++) /* nothing is left over */
            if (!dg_graph_writer(g, &g->tensors[i]))
                ck_assert_uint_ge(dg_graph_readers(g, &g->tensors[i]), 1);
        dg_graph_free(g);
    }
}

START_TEST(ops_and_ends)
{
    for (int i = 0; i < N_SIZES; i++) {
        struct dg_model *model = outline(sizes[i]);
        const uint32_t rows[] = {1, 2, 17, sizes[i].positions};

        for (int k = 0; k < 4; k++) {
            check_graphs(&sizes[i], model, rows[k], 0);
            check_graphs(&sizes[i], model, rows[k], 1);
            check_graphs(&sizes[i], model, rows[k], rows[k]);
        }
        dg_model_free(model);
    }
}
END_TEST

static const struct dg_op *op_named(const struct dg_graph *g, const char *name)
{
    for (unsigned i = 0; i < g->n_ops; i++)
        if (strcmp(g->ops[i].name, name) == 0)
            return &g->ops[i];
    ck_abort_msg("no op %s", name);
}

/* The names of what an op reads, and after "->" of what it writes. */
static void expect_wiring(const struct dg_graph *g, const char *name, const char *wiring)
{
    const struct dg_op *op = op_named(g, name);
    char all[200] = "";

    for (unsigned i = 0; i < op->n_in; i++)
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s ", op->in[i]->name);
    snprintf(all + strlen(all), sizeof all - strlen(all), "-> %s", op->out->name);
    ck_assert_str_eq(all, wiring);
}

START_TEST(wiring_of_a_block)
{
    struct dg_model *model = outline(sizes[1]);
    struct dg_graph *g = outline_graph(model, (struct dg_gpt2_shape){5, 2, false, false, DG_F32});

    expect_wiring(g, "embed", "ids wte wpe -> embed");
    expect_wiring(g, "h0.ln1", "embed h0.ln1.gain h0.ln1.bias -> h0.ln1");
    expect_wiring(g, "h1.ln1", "h0.add2 h1.ln1.gain h1.ln1.bias -> h1.ln1");
    expect_wiring(g, "h1.q", "h1.ln1 h1.q.weight h1.q.bias -> h1.q");
    expect_wiring(g, "h1.k", "h1.ln1 h1.k.weight h1.k.bias -> h1.K");
    expect_wiring(g, "h1.v", "h1.ln1 h1.v.weight h1.v.bias -> h1.V");
    expect_wiring(g, "h1.attention", "h1.q h1.K h1.V -> h1.attention");
    expect_wiring(g, "h1.proj", "h1.attention h1.proj.weight h1.proj.bias -> h1.proj");
    expect_wiring(g, "h1.add1", "h0.add2 h1.proj -> h1.add1");
    expect_wiring(g, "h1.ln2", "h1.add1 h1.ln2.gain h1.ln2.bias -> h1.ln2");
    expect_wiring(g, "h1.fc", "h1.ln2 h1.fc.weight h1.fc.bias -> h1.fc");
    expect_wiring(g, "h1.gelu", "h1.fc -> h1.gelu");
    expect_wiring(g, "h1.fcproj", "h1.gelu h1.fcproj.weight h1.fcproj.bias -> h1.fcproj");
    expect_wiring(g, "h1.add2", "h1.add1 h1.fcproj -> h1.add2");
    expect_wiring(g, "lnf", "h2.add2 lnf.gain lnf.bias -> lnf");
    expect_wiring(g, "logits", "lnf wte -> logits");
    expect_wiring(g, "h1.k", "h1.ln1 h1.k.weight h1.k.bias -> h1.K");
    expect_wiring(g, "h2.tail", "h1.add2 -> h2.tail");
    expect_wiring(g, "h2.ln1.tail", "h2.ln1 -> h2.ln1.tail");
    expect_wiring(g, "h2.q", "h2.ln1.tail h2.q.weight h2.q.bias -> h2.q");
    expect_wiring(g, "h2.k", "h2.ln1 h2.k.weight h2.k.bias -> h2.K");
    expect_wiring(g, "h2.add1", "h2.tail h2.proj -> h2.add1");
    ck_assert_uint_eq(op_named(g, "h2.tail")->first_row, 3);
    ck_assert_uint_eq(op_named(g, "h2.ln1.tail")->first_row, 3);
    ck_assert_uint_eq(op_named(g, "h2.attention")->first_row, 3);
    ck_assert_uint_eq(op_named(g, "h1.attention")->first_row, 0);
    dg_graph_free(g);
    dg_model_free(model);
}
END_TEST

START_TEST(wiring_of_a_fused_block)
{
    struct dg_model *model = outline(sizes[1]);
    struct dg_graph *g = outline_graph(model, (struct dg_gpt2_shape){5, 5, true, false, DG_F32});

    expect_wiring(g, "h1.proj", "h1.attention h1.proj.weight h1.proj.bias h0.add2 -> h1.add1");
    expect_wiring(g, "h1.ln2", "h1.add1 h1.ln2.gain h1.ln2.bias -> h1.ln2");
    expect_wiring(g, "h1.fc", "h1.ln2 h1.fc.weight h1.fc.bias -> h1.gelu");
    expect_wiring(g, "h1.fcproj", "h1.gelu h1.fcproj.weight h1.fcproj.bias h1.add1 -> h1.add2");
    expect_wiring(g, "h0.proj", "h0.attention h0.proj.weight h0.proj.bias embed -> h0.add1");
    for (unsigned i = 0; i < g->n_ops; i++) {
        const struct dg_op *op = &g->ops[i];

        ck_assert_int_eq(op->activation, strstr(op->name, ".fc") && !strstr(op->name, "proj")
                                             ? DG_GELU
                                             : DG_NO_ACTIVATION);
        ck_assert_int_eq(op->residual, strstr(op->name, "proj") != NULL);
        ck_assert_ptr_ne(op->type, &dg_op_gelu);
        ck_assert_ptr_ne(op->type, &dg_op_add);
    }
    dg_graph_free(g);
    dg_model_free(model);
}
END_TEST

/* A product that somebody else reads too must stay; so must one whose sum needs what is not yet
 * written when the product runs. */
START_TEST(fuse_leaves_what_others_need)
{
    struct dg_model *model = outline(sizes[1]);
    struct dg_graph *g = outline_graph(model, (struct dg_gpt2_shape){5, 1, false, false, DG_F32});
    struct dg_op *gelu = (struct dg_op *)op_named(g, "h1.gelu");
    struct dg_op *add = (struct dg_op *)op_named(g, "h1.add1"), swap = *gelu;
    const unsigned n = g->n_ops;

    add->in[0] = add->in[1]; /* h1.proj, twice */
    gelu->type = &dg_op_add; /* fc + fc, for gelu(fc) */
    gelu->in[gelu->n_in++] = swap.in[0];
    ck_assert_uint_eq(dg_graph_fuse(g), 4 * 3 - 3 - 2);
    ck_assert_uint_eq(g->n_ops, n - 7);
    expect_wiring(g, "h1.add1", "h1.proj h1.proj -> h1.add1");
    expect_wiring(g, "h1.gelu", "h1.fc h1.fc -> h1.gelu");
    ck_assert(!op_named(g, "h1.proj")->residual);
    dg_graph_free(g);
    dg_model_free(model);
}
END_TEST

/* add2 = fcproj + proj: proj cannot take the sum, for it runs before fcproj. Given in either order,
 * fcproj does. */
static void fuse_two_products(bool swapped)
{
    struct dg_model *model = outline(sizes[0]);
    struct dg_graph *g = outline_graph(model, (struct dg_gpt2_shape){5, 5, false, false, DG_F32});
    struct dg_op *add1 = (struct dg_op *)op_named(g, "h0.add1");
    struct dg_op *add2 = (struct dg_op *)op_named(g, "h0.add2");

    add1->in[1] = add1->in[0]; /* proj is read by add2 alone */
    add2->in[swapped] = op_named(g, "h0.fcproj")->out;
    add2->in[!swapped] = op_named(g, "h0.proj")->out;
    ck_assert_uint_eq(dg_graph_fuse(g), 2);
    expect_wiring(g, "h0.fcproj", "h0.gelu h0.fcproj.weight h0.fcproj.bias h0.proj -> h0.add2");
    ck_assert(!op_named(g, "h0.proj")->residual);
    dg_graph_free(g);
    dg_model_free(model);
}

START_TEST(fuse_into_the_later_of_two_products)
{
    fuse_two_products(false);
    fuse_two_products(true);
}
END_TEST

static void refuse_shape(const struct dg_model *model, uint32_t rows, uint32_t logits_rows,
                         const char *text)
{
    const struct dg_gpt2_shape shape = {rows, logits_rows, true, false, DG_F32};
    struct dg_error err = {0};
    struct dg_graph *g = NULL;

    ck_assert_int_eq(dg_gpt2_graph(&g, model, &shape, &err), DG_ERR_USAGE);
    ck_assert_str_eq(err.text, text);
    ck_assert_ptr_null(g);
}

START_TEST(shapes_that_are_none)
{
    struct dg_model *model = outline(sizes[0]);

    refuse_shape(model, 0, 0, "rows: got 0 (0 with logits), expected 1 to maxT = 21");
    refuse_shape(model, 22, 1, "rows: got 22 (1 with logits), expected 1 to maxT = 21");
    refuse_shape(model, UINT32_MAX, 1,
                 "rows: got 4294967295 (1 with logits), expected 1 to maxT = 21");
    refuse_shape(model, 3, 4, "rows: got 3 (4 with logits), expected 1 to maxT = 21");
    dg_model_free(model);
}
END_TEST

/* ---- plans ---- */

static void check_plans(const struct dg_model *model, struct dg_gpt2_shape shape)
{
    const uint32_t row_blocks[] = {0, 1, 5, 100}, col_blocks[] = {0, 1, 16, 17, 32};
    struct dg_graph *g = outline_graph(model, shape);

    for (uint32_t workers = 1; workers <= 7; workers++) {
        for (int r = 0; r < 4; r++) {
            const struct dg_tiling tiling = {workers, row_blocks[r], col_blocks[(workers + r) % 5]};
            struct dg_plan *plan;

            if (sanitized() && (workers % 3 != 1 || shape.rows > 17 * (r != 1)))
                continue;
            plan = outline_plan(g, tiling);
            expect_proof(plan);
            dg_plan_free(plan);
        }
    }
    dg_graph_free(g);
}

START_TEST(every_plan_is_safe)
{
    for (int i = 0; i < N_SIZES; i++) {
        struct dg_model *model = outline(sizes[i]);
        const uint32_t rows[] = {1, 2, 17, sizes[i].positions};

        for (int k = 0; k < 4; k++) {
            for (int fuse = 0; fuse < 2; fuse++) {
                check_plans(model, (struct dg_gpt2_shape){rows[k], 0, fuse, false, DG_F32});
                check_plans(model, (struct dg_gpt2_shape){rows[k], 1, fuse, false, DG_F32});
                check_plans(model, (struct dg_gpt2_shape){rows[k], rows[k], fuse, false, DG_F32});
            }
        }
        dg_model_free(model);
    }
}
END_TEST

/* The same by tests/support/brute.h, for some. */
static void check_brute(int size, uint32_t rows, struct dg_tiling tiling, bool fuse)
{
    struct dg_model *model = outline(sizes[size]);
    struct dg_graph *g = outline_graph(model, (struct dg_gpt2_shape){rows, 1, fuse, false, DG_F32});
    struct dg_plan *plan = outline_plan(g, tiling);
    struct relation wanted = brute_wanted(plan), direct = brute_direct(plan);
    struct relation paths = brute_paths(plan);

    ck_assert_mem_eq(wanted.bits, direct.bits, wanted.n * wanted.words * sizeof *wanted.bits);
    ck_assert(!brute_clashes(plan, &paths));
    free(wanted.bits);
    free(direct.bits);
    free(paths.bits);
    dg_plan_free(plan);
    dg_graph_free(g);
    dg_model_free(model);
}

START_TEST(plans_are_those_of_brute_force)
{
    check_brute(0, 7, (struct dg_tiling){2, 3, 0}, true);
    check_brute(1, 1, (struct dg_tiling){4, 0, 16}, true);
    check_brute(1, 9, (struct dg_tiling){4, 2, 16}, false);
    check_brute(2, 17, (struct dg_tiling){3, 0, 0}, true);
    check_brute(3, 5, (struct dg_tiling){7, 2, 32}, true);
    check_brute(4, 6, (struct dg_tiling){1, 4, 0}, false);
}
END_TEST

/* ---- who waits for whom ---- */

static uint32_t op_index(const struct dg_plan *plan, const char *name)
{
    return (uint32_t)(op_named(plan->graph, name) - plan->graph->ops);
}

/* Does the tile of q, k or v hold a column of the head that b's tile is of, and a row that it
 * reads: its own for q, also the earlier ones for k and v? */
static bool attends(struct dg_box a, struct dg_box b, bool own_rows)
{
    return a.c0 < b.c1 && b.c0 < a.c1 && a.r0 < b.r1 && (!own_rows || b.r0 < a.r1);
}

/* Every tile of h0.attention comes right after those tiles of q, k and v, and no others. */
static void expect_heads(const struct dg_plan *plan, const struct relation *direct)
{
    const uint32_t attention = op_index(plan, "h0.attention"), q = op_index(plan, "h0.q");
    const uint32_t k = op_index(plan, "h0.k"), v = op_index(plan, "h0.v");
    const uint32_t size = plan->graph->ops[q].out->cols / plan->graph->ops[q].heads;

    for (uint32_t b = plan->op_first[attention]; b < plan->op_first[attention + 1]; b++) {
        const struct dg_box box = plan->tiles[b].out;

        ck_assert_uint_eq(box.c1 - box.c0, size);
        ck_assert_uint_eq(box.c0 % size, 0);
        for (uint32_t a = 0; a < plan->n_tiles; a++) {
            const uint32_t op = plan->tiles[a].op;
            const bool from = op == q || op == k || op == v;

            if (related(direct, a, b) != (from && attends(plan->tiles[a].out, box, op == q)))
                ck_abort_msg("attention tile %u and tile %u (%s)", b, a, plan->graph->ops[op].name);
        }
    }
}

static void check_heads(struct dg_sizes z, uint32_t rows, struct dg_tiling tiling)
{
    struct dg_model *model = outline(z);
    struct dg_graph *g =
        outline_graph(model, (struct dg_gpt2_shape){rows, rows, true, false, DG_F32});
    struct dg_plan *plan = outline_plan(g, tiling);
    struct relation direct = brute_direct(plan);

    expect_heads(plan, &direct);
    free(direct.bits);
    dg_plan_free(plan);
    dg_graph_free(g);
    dg_model_free(model);
}

START_TEST(attention_waits_for_its_head)
{
    for (int i = 0; i < N_SIZES; i++) {
        check_heads(sizes[i], 1, (struct dg_tiling){.workers = 4});
        check_heads(sizes[i], 1, (struct dg_tiling){.workers = 4, .col_block = 16});
        check_heads(sizes[i], 17, (struct dg_tiling){.workers = 4, .row_block = 4});
        check_heads(sizes[i], 17,
                    (struct dg_tiling){.workers = 2, .row_block = 5, .col_block = 32});
    }
}
END_TEST

/* In 124M a head has 64 columns, and a tile of q, k or v is one head: attention waits for three
 * tiles, and no two heads for the same. */
START_TEST(heads_of_124m_are_apart)
{
    struct dg_model *model = outline(gpt2_124m);
    struct dg_graph *g = outline_graph(model, (struct dg_gpt2_shape){1, 1, true, false, DG_F32});
    struct dg_plan *plan = outline_plan(g, (struct dg_tiling){.workers = 4});
    const uint32_t first = plan->op_first[op_index(plan, "h7.attention")];

    for (uint32_t h = 0; h < 12; h++)
        ck_assert_uint_eq(plan->nodes[first + h].waits, 3);
    for (uint32_t o = op_index(plan, "h7.q"); o <= op_index(plan, "h7.v"); o++)
        ck_assert_uint_eq(plan->op_first[o + 1] - plan->op_first[o], 12);
    check_heads(gpt2_124m, 1, (struct dg_tiling){.workers = 4});
    dg_plan_free(plan);
    dg_graph_free(g);
    dg_model_free(model);
}
END_TEST

/* Row block 0 of a layer does not wait for a later one, that from row `later` on, of the layer before; the
 * other way round, attention makes it wait. */
static void check_blocks(const struct dg_plan *plan, uint32_t later)
{
    struct relation paths = brute_paths(plan);
    uint32_t apart = 0, after = 0;

    for (uint32_t b = 0; b < plan->n_tiles; b++) {
        for (uint32_t a = 0; a < b; a++) {
            const struct dg_op *x = dg_tile_op(plan, a), *y = dg_tile_op(plan, b);
            const bool from_later = plan->tiles[a].out.r0 == later && x->layer == 0;
            const bool from_first = plan->tiles[a].out.r0 == 0 && x->layer == 0;

            if (y->layer == 1 && from_later && plan->tiles[b].out.r0 == 0) {
                if (related(&paths, a, b))
                    ck_abort_msg("tile %u waits for tile %u", b, a);
                apart++;
            }
            if (y->layer == 1 && from_first && plan->tiles[b].out.r0 == later)
                after += related(&paths, a, b);
        }
    }
    ck_assert_uint_gt(apart, 50);
    ck_assert_uint_gt(after, 50);
    free(paths.bits);
}

START_TEST(row_blocks_run_apart)
{
    const struct dg_sizes z = {
        .positions = 96, .vocab = 40, .layers = 2, .heads = 2, .channels = 32};
    struct dg_model *model = outline(z);

    for (int fuse = 0; fuse < 2; fuse++) {
        struct dg_graph *g =
            outline_graph(model, (struct dg_gpt2_shape){96, 96, fuse, false, DG_F32});
        struct dg_plan *plan = outline_plan(g, (struct dg_tiling){.workers = 4});

        check_blocks(plan, 48); /* the planner cuts 96 rows in two */
        dg_plan_free(plan);
        plan = outline_plan(g, (struct dg_tiling){.workers = 2, .row_block = 7, .col_block = 16});
        check_blocks(plan, 21);
        dg_plan_free(plan);
        dg_graph_free(g);
    }
    dg_model_free(model);
}
END_TEST

/* Up to 64 rows are one block for the ops that read weights; the others are cut into 16 rows. */
START_TEST(few_rows_are_one_block)
{
    const struct dg_sizes z = {
        .positions = 64, .vocab = 40, .layers = 2, .heads = 2, .channels = 32};
    struct dg_model *model = outline(z);

    for (uint32_t rows = 15; rows <= 64; rows += 7) {
        struct dg_graph *g =
            outline_graph(model, (struct dg_gpt2_shape){rows, rows, true, false, DG_F32});
        struct dg_plan *plan = outline_plan(g, (struct dg_tiling){.workers = 4});

        for (uint32_t t = 0; t < plan->n_tiles; t++) {
            const struct dg_op *op = dg_tile_op(plan, t);
            const struct dg_box out = plan->tiles[t].out;
            const bool weightless = op->type == &dg_op_layernorm || op->type == &dg_op_embed;

            ck_assert_uint_eq(out.r0 % 16, 0);
            ck_assert_uint_eq(out.r1, weightless && rows - out.r0 > 16 ? out.r0 + 16 : rows);
            ck_assert(weightless || out.r0 == 0);
        }
        dg_plan_free(plan);
        dg_graph_free(g);
    }
    dg_model_free(model);
}
END_TEST

/* `name` takes the last n of 17 rows, and comes right after those tiles of `from` that write them. */
static void expect_tail(const struct dg_plan *plan, const struct relation *direct, const char *name,
                        const char *from, uint32_t n)
{
    const uint32_t tail = op_index(plan, name), writer = op_index(plan, from);

    for (uint32_t b = plan->op_first[tail]; b < plan->op_first[tail + 1]; b++) {
        const uint32_t r0 = plan->tiles[b].out.r0 + 17 - n, r1 = plan->tiles[b].out.r1 + 17 - n;

        for (uint32_t a = 0; a < plan->op_first[tail]; a++) {
            const struct dg_box box = plan->tiles[a].out;
            const bool reads = plan->tiles[a].op == writer && box.r0 < r1 && r0 < box.r1;

            if (related(direct, a, b) != reads)
                ck_abort_msg("%s tile %u and tile %u (%s)", name, b, a, dg_tile_op(plan, a)->name);
        }
    }
}

START_TEST(tails_wait_for_the_last_rows)
{
    struct dg_model *model = outline(sizes[3]);

    for (uint32_t n = 1; n < 17; n++) {
        struct dg_graph *g =
            outline_graph(model, (struct dg_gpt2_shape){17, n, true, false, DG_F32});
        struct dg_plan *plan = outline_plan(g, (struct dg_tiling){.workers = 2, .row_block = 4});
        struct relation direct = brute_direct(plan);

        expect_tail(plan, &direct, "h1.tail", "h0.fcproj", n);
        expect_tail(plan, &direct, "h1.ln1.tail", "h1.ln1", n);
        ck_assert_uint_eq(op_named(g, "lnf")->in[0]->rows, n);
        free(direct.bits);
        dg_plan_free(plan);
        dg_graph_free(g);
    }
    dg_model_free(model);
}
END_TEST

/* ---- the real sizes ---- */

/* check: 0 where the proof would take too long. */
static void check_124m(uint32_t rows, struct dg_tiling tiling, bool check)
{
    struct dg_model *model = outline(gpt2_124m);
    struct dg_graph *g = outline_graph(model, (struct dg_gpt2_shape){rows, 1, true, false, DG_F32});
    struct dg_plan *plan = outline_plan(g, tiling);
    const uint64_t largest = 4 * (uint64_t)rows * 4 * 768, logits = 4 * 50257;

    ck_assert_uint_eq(g->n_ops, 12 * 9 + 3 + (rows > 1 ? 2 : 0));
    ck_assert_uint_gt(plan->n_tiles, g->n_ops);
    ck_assert_uint_lt(plan->arena_bytes, 4 * largest + 2 * logits); /* layers share */
    if (check)
        expect_proof(plan);
    dg_plan_free(plan);
    dg_graph_free(g);
    dg_model_free(model);
}

START_TEST(gpt2_124m_is_planned)
{
    check_124m(1, (struct dg_tiling){.workers = 4}, true);
    check_124m(64, (struct dg_tiling){.workers = 4}, !sanitized());
    check_124m(512, (struct dg_tiling){.workers = 4}, false);
    check_124m(1024, (struct dg_tiling){.workers = 16}, false);
}
END_TEST

/* Sums over the tiles of op `name`, by the plan. */
static struct dg_cost cost_of(const struct dg_plan *plan, const char *name, uint32_t past)
{
    struct dg_cost sum = {0, 0};

    for (uint32_t t = 0; t < plan->n_tiles; t++) {
        if (strcmp(dg_tile_op(plan, t)->name, name) == 0) {
            sum.flops += dg_tile_cost(plan, t, past).flops;
            sum.bytes += dg_tile_cost(plan, t, past).bytes;
        }
    }
    return sum;
}

static void expect_cost(const struct dg_plan *plan, const char *name, uint64_t flops,
                        uint64_t bytes)
{
    const struct dg_cost c = cost_of(plan, name, 100);

    ck_assert_msg(c.flops == flops && c.bytes == bytes, "%s: %lu flops, %lu bytes", name,
                  (unsigned long)c.flops, (unsigned long)c.bytes);
}

/* One token after 100 of 124M, each op cut into one column of tiles: worked out by hand. */
START_TEST(costs_of_a_token)
{
    const struct dg_sizes z = gpt2_124m;
    struct dg_model *model = outline(z);
    struct dg_graph *g = outline_graph(model, (struct dg_gpt2_shape){1, 1, true, false, DG_F32});
    struct dg_plan *plan = outline_plan(g, (struct dg_tiling){1, 1, 1 << 20});

    expect_cost(plan, "embed", 768, 4 * (1 + 3 * 768));
    expect_cost(plan, "h3.ln1", 8 * 768, 4 * 4 * 768);
    expect_cost(plan, "h3.q", 2 * 768 * 768, 4 * (768 + 768 * 768 + 768 + 768));
    expect_cost(plan, "h3.attention", 12 * 101 * (4 * 64 + 10), 4 * 2 * (101 * 768 + 768));
    expect_cost(plan, "h3.proj", (2 * 768 + 1) * 768, 4 * (768 + 768 * 768 + 768 + 2 * 768));
    expect_cost(plan, "h3.fc", (2 * 768 + 10) * 3072, 4 * (768 + 768 * 3072 + 3072 + 3072));
    expect_cost(plan, "logits", 2u * 768 * 50257, 4u * (768 + 768 * 50257 + 50257));
    dg_plan_free(plan);
    dg_graph_free(g);
    dg_model_free(model);
}
END_TEST

static uint64_t activations_of(struct dg_sizes z, bool load)
{
    struct dg_model *model = outline(z);
    struct dg_graph *g = outline_graph(model, (struct dg_gpt2_shape){8, 1, true, load, DG_F32});
    struct dg_plan *plan = outline_plan(g, (struct dg_tiling){2, 4, 0});
    const uint64_t bytes = plan->arena_bytes;

    dg_plan_free(plan);
    dg_graph_free(g);
    dg_model_free(model);
    return bytes;
}

/* As many layers as a file may have, which can be small, are planned in time and memory that grow with
 * them: in less than the seconds that a test has. */
START_TEST(many_layers_are_planned)
{
    struct dg_sizes z = {.positions = 8, .vocab = 5, .layers = 24, .heads = 1, .channels = 1};

    for (int load = 0; load < 2; load++) {
        uint64_t bytes;

        z.layers = 24;
        bytes = activations_of(z, load);
        z.layers = sanitized() ? 4096 : 16384;
        ck_assert_uint_eq(activations_of(z, load), bytes);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {ops_and_ends,
                                  wiring_of_a_block,
                                  wiring_of_a_fused_block,
                                  fuse_leaves_what_others_need,
                                  fuse_into_the_later_of_two_products,
                                  shapes_that_are_none,
                                  every_plan_is_safe,
                                  plans_are_those_of_brute_force,
                                  attention_waits_for_its_head,
                                  heads_of_124m_are_apart,
                                  row_blocks_run_apart,
                                  few_rows_are_one_block,
                                  tails_wait_for_the_last_rows,
                                  gpt2_124m_is_planned,
                                  costs_of_a_token,
                                  many_layers_are_planned,
                                  NULL};

    return run_suite("gpt2", tests);
}
