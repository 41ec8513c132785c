/* Plans of toy ops: tiles, edges, joins, homes and places, compared with tests/support/brute.h. */
#include "../../support/brute.h"
#include "../../support/toy.h"
#include "../../../src/base/arena.h"
#include "../../../src/base/checked.h"
#include "../../../src/graph/plan_check.h"

/* ---- what must hold of every plan ---- */

static void expect_proof(const struct dg_plan *plan)
{
    struct dg_plan_proof proof;
    struct dg_error err = {0};

    ck_assert_msg(dg_plan_check(plan, &proof, &err) == DG_OK, "%s", err.text);
    ck_assert_uint_eq(proof.tiles, plan->n_tiles);
    ck_assert_uint_eq(proof.joins, plan->n_joins);
    ck_assert_uint_eq(proof.edges, plan->n_edges);
}

/* Every element of every output has one tile, and tiles stand in the order of ops. */
static void expect_partition(const struct dg_plan *plan)
{
    const struct dg_graph *g = plan->graph;

    ck_assert_uint_eq(plan->op_first[0], 0);
    ck_assert_uint_eq(plan->op_first[g->n_ops], plan->n_tiles);
    for (uint32_t o = 0; o < g->n_ops; o++) {
        const size_t elements = (size_t)g->ops[o].out->rows * g->ops[o].out->cols;
        uint32_t *paint = brute_paint(plan, o);

        ck_assert_uint_lt(plan->op_first[o], plan->op_first[o + 1]);
        for (size_t i = 0; i < elements; i++)
            require(paint[i] >= plan->op_first[o] && paint[i] < plan->op_first[o + 1],
                    "an element without a tile of its op");
        free(paint);
    }
    for (uint32_t t = 0; t < plan->n_tiles; t++)
        require(plan->tiles[t].home < plan->tiling.workers, "a home that is no worker");
}

static void expect_edges(const struct dg_plan *plan)
{
    struct relation wanted = brute_wanted(plan), direct = brute_direct(plan);

    for (uint32_t b = 0; b < plan->n_tiles; b++)
        for (uint32_t a = 0; a < plan->n_tiles; a++)
            if (related(&wanted, a, b) != related(&direct, a, b))
                ck_abort_msg("tile %u (%s) %s tile %u (%s)", b, dg_tile_op(plan, b)->name,
                             related(&direct, a, b) ? "need not wait for" : "does not wait for", a,
                             dg_tile_op(plan, a)->name);
    free(wanted.bits);
    free(direct.bits);
}

struct counts {
    uint64_t joins, edges;
};

static uint32_t row_size(const struct relation *r, uint32_t b)
{
    uint32_t n = 0;

    for (uint32_t a = 0; a < r->n; a++)
        n += related(r, a, b);
    return n;
}

/* What input k of op o should cost: neighbouring tiles that wait for the same P tiles are a group
 * of C, with a join when that is fewer edges. */
static void count_input(const struct dg_plan *plan, uint32_t o, unsigned k, struct counts *n)
{
    struct relation before = relation_new(plan->n_tiles);
    const uint32_t last = plan->op_first[o + 1];

    brute_input(plan, o, k, &before);
    for (uint32_t t = plan->op_first[o], end; t < last; t = end) {
        const uint64_t p = row_size(&before, t);

        for (end = t + 1; end < last; end++)
            if (memcmp(relation_row(&before, t), relation_row(&before, end),
                       before.words * sizeof *before.bits) != 0)
                break;
        n->joins += p * (end - t) > p + (end - t);
        n->edges += p * (end - t) > p + (end - t) ? p + (end - t) : p * (end - t);
    }
    free(before.bits);
}

/* Joins are there where they save edges; the last is the end, which all loose tiles lead to. */
static void expect_joins(const struct dg_plan *plan)
{
    const uint32_t end = dg_plan_end(plan);
    struct counts n = {.joins = 1};

    for (uint32_t o = 0; o < plan->graph->n_ops; o++)
        for (unsigned k = 0; k < plan->graph->ops[o].n_in; k++)
            count_input(plan, o, k, &n);
    ck_assert_uint_eq(plan->nodes[end].n_next, 0);
    for (uint32_t t = 0; t < plan->n_tiles; t++) {
        const struct dg_node *node = &plan->nodes[t];
        bool ends = false;

        for (uint32_t i = 0; i < node->n_next; i++)
            ends |= plan->next[node->first + i] == end;
        require(ends ? node->n_next == 1 : node->n_next > 0, "who leads to the end");
        n.edges += ends;
    }
    ck_assert_uint_eq(plan->n_joins, n.joins);
    ck_assert_uint_eq(plan->n_edges, n.edges);
    ck_assert_uint_eq(plan->n_nodes, plan->n_tiles + plan->n_joins);
}

static void expect_counts(const struct dg_plan *plan)
{
    uint32_t *in = calloc(plan->n_nodes, sizeof *in);
    uint64_t edges = 0;

    for (uint32_t n = 0; n < plan->n_nodes; n++)
        for (uint32_t i = 0; i < plan->nodes[n].n_next; i++, edges++)
            in[plan->next[plan->nodes[n].first + i]]++;
    ck_assert_uint_eq(edges, plan->n_edges);
    for (uint32_t n = 0; n < plan->n_nodes; n++)
        require(plan->nodes[n].waits == in[n], "waits is not the number of edges");
    free(in);
}

static void expect_places(const struct dg_plan *plan)
{
    struct relation paths = brute_paths(plan);

    for (uint32_t i = 0; i < plan->graph->n_tensors; i++) {
        const struct dg_tensor *t = &plan->graph->tensors[i];

        if (t->role == DG_ACTIVATION && brute_writer(plan->graph, t) < plan->graph->n_ops) {
            require(plan->offset[i] % 64 == 0, "an offset that is not aligned");
            require(plan->offset[i] + dg_tensor_bytes(t) <= plan->arena_bytes, "outside the arena");
        }
    }
    ck_assert_msg(!brute_clashes(plan, &paths), "tiles that share bytes are not ordered");
    free(paths.bits);
}

static void expect_good(const struct dg_plan *plan)
{
    expect_partition(plan);
    expect_edges(plan);
    expect_joins(plan);
    expect_counts(plan);
    expect_places(plan);
    expect_proof(plan);
}

/* ---- tiles ---- */

/* Tiles of one op, row block by row block, each of the cut's size but the last of a row or column.
 */
static void expect_grid(const struct dg_plan *plan, struct dg_cut cut)
{
    const struct dg_tensor *out = plan->graph->ops[0].out;
    uint32_t t = 0;

    for (uint32_t r = 0; r < out->rows; r += cut.rows) {
        for (uint32_t c = 0; c < out->cols; c += cut.cols, t++) {
            const struct dg_box b = plan->tiles[t].out;

            require(t < plan->n_tiles, "fewer tiles than the cut says");
            require(b.r0 == r && b.r1 == (r + cut.rows < out->rows ? r + cut.rows : out->rows) &&
                        b.c0 == c && b.c1 == (c + cut.cols < out->cols ? c + cut.cols : out->cols),
                    "a tile of another size than the cut says");
        }
    }
    ck_assert_uint_eq(t, plan->n_tiles);
    ck_assert_uint_eq(plan->n_joins, 1);
    ck_assert_uint_eq(plan->nodes[dg_plan_end(plan)].waits, plan->n_tiles);
}

static void check_cut(uint32_t rows, uint32_t cols, struct dg_cut cut)
{
    struct toy_graph t;
    struct dg_plan *plan;

    toy_new(&t);
    toy_step(&t, "a", NULL, rows, cols, cut, OWN_ROWS, OWN_COLS);
    plan = toy_plan(&t, 3);
    expect_grid(plan, cut);
    expect_partition(plan);
    toy_free(&t, plan);
}

START_TEST(every_cut_of_odd_sizes)
{
    const uint32_t sizes[] = {1, 2, 3, 7, 16, 17, 33};
    const int n = sanitized() ? 5 : 7;

    for (int i = 0; i < n; i++)
        for (int k = 0; k < n; k++)
            for (uint32_t r = 1; r <= sizes[i] + 1; r++)
                for (uint32_t c = 1; c <= sizes[k] + 1; c++)
                    check_cut(sizes[i], sizes[k], (struct dg_cut){r, c});
}
END_TEST

/* One row block: contiguous shares that differ by one at most. Several: a block has one home. */
static void check_homes(uint32_t blocks, uint32_t cols, uint32_t workers)
{
    struct toy_graph t;
    struct dg_plan *plan;
    uint32_t share[16] = {0};

    toy_new(&t);
    toy_step(&t, "a", NULL, blocks, cols, (struct dg_cut){1, 1}, OWN_ROWS, OWN_COLS);
    plan = toy_plan(&t, workers);
    for (uint32_t i = 0; i < plan->n_tiles; i++) {
        const struct dg_tile *tile = &plan->tiles[i];

        require(tile->home < workers, "a home that is no worker");
        share[tile->home]++;
        if (blocks > 1)
            require(tile->home == tile->out.r0 % workers, "a row block with two homes");
        else if (i > 0)
            require(tile->home >= tile[-1].home, "shares that are not contiguous");
    }
    for (uint32_t w = 0; blocks == 1 && w < workers; w++)
        require(share[w] == cols / workers || share[w] == cols / workers + 1, "unequal shares");
    toy_free(&t, plan);
}

START_TEST(homes)
{
    for (uint32_t workers = 1; workers <= 9; workers++)
        for (uint32_t cols = 1; cols < 25; cols++)
            for (uint32_t blocks = 1; blocks < 12; blocks += 5)
                check_homes(blocks, cols, workers);
}
END_TEST

/* The row block that ops are cut with: the caller's, or the planner's, but never more than the
 * output has (toy_split() looks at that). */
static void check_row_block(uint32_t rows, uint32_t row_block)
{
    const struct dg_tiling tiling = {.workers = 2, .row_block = row_block};
    struct dg_error err = {0};
    struct toy_graph t;
    struct dg_plan *plan;
    struct dg_tensor *a;

    toy_new(&t);
    a = toy_step(&t, "a", NULL, rows, 4, (struct dg_cut){0, 0}, OWN_ROWS, OWN_COLS);
    toy_step(&t, "b", a, 1, 4, (struct dg_cut){0, 0}, FINAL_ROWS, EVERY_COL);
    ck_assert_int_eq(dg_graph_check(t.g, &err), DG_OK);
    ck_assert_int_eq(dg_plan_new(&plan, t.g, &tiling, &err), DG_OK);
    if (row_block)
        ck_assert_uint_eq(plan->tiles[0].out.r1, row_block < rows ? row_block : rows);
    if (!row_block && rows == 1)
        ck_assert_uint_eq(plan->n_tiles, 2);
    if (!row_block) /* so much of x fits into the second-level cache */
        ck_assert_uint_le(plan->tiles[0].out.r1, 256);
    if (!row_block && rows > 64)             /* a prompt's blocks are to overlap */
        ck_assert_uint_ge(plan->n_tiles, 3); /* two of a, one of b */
    expect_good(plan);
    toy_free(&t, plan);
}

START_TEST(row_blocks)
{
    const uint32_t rows[] = {1, 2, 15, 16, 17, 64, 127, 128, 129, 300, 600};

    for (int i = 0; i < 11; i++) {
        for (uint32_t block = 0; block <= 9; block++)
            check_row_block(rows[i], block * block * block / 2);
        check_row_block(rows[i], rows[i] - 1);
        check_row_block(rows[i], rows[i] + 1);
    }
}
END_TEST

START_TEST(more_tiles_than_a_plan_takes)
{
    const struct dg_tiling tiling = {.workers = 1};
    const uint32_t most = UINT32_MAX / 4;
    struct dg_error err = {0};
    struct dg_plan *plan = NULL;
    struct toy_graph t;

    if (sizeof(size_t) < 8) /* no graph has as many rows */
        return;
    toy_new(&t);
    toy_step(&t, "a", NULL, 1, 1, (struct dg_cut){1, 1}, OWN_ROWS, OWN_COLS);
    toy_step(&t, "b", NULL, most, 1, (struct dg_cut){1, 1}, OWN_ROWS, OWN_COLS);
    ck_assert_int_eq(dg_graph_check(t.g, &err), DG_OK);
    ck_assert_int_eq(dg_plan_new(&plan, t.g, &tiling, &err), DG_ERR_RESOURCE);
    ck_assert_str_eq(err.text, "plan: more tiles than 1073741823");
    ck_assert_ptr_null(plan);
    toy_free(&t, NULL);
    dg_plan_free(NULL);
}
END_TEST

START_TEST(scratch_is_that_of_the_largest_tile)
{
    struct toy_graph t;
    struct dg_plan *plan;

    toy_new(&t);
    toy_step(&t, "a", NULL, 10, 10, (struct dg_cut){2, 3}, OWN_ROWS, OWN_COLS);
    toy_step(&t, "b", NULL, 10, 10, (struct dg_cut){5, 7}, OWN_ROWS, OWN_COLS);
    toy_step(&t, "c", NULL, 10, 10, (struct dg_cut){1, 9}, OWN_ROWS, OWN_COLS);
    plan = toy_plan(&t, 1);
    ck_assert_uint_eq(plan->scratch_bytes, 4 * 5 * 7);
    toy_free(&t, plan);
}
END_TEST

/* ---- edges ---- */

START_TEST(edges_of_every_reading)
{
    for (int r = 0; r < N_TOY_ROWS; r++) {
        for (int c = 0; c < N_TOY_COLS; c++) {
            for (uint32_t cut = 1; cut <= 17; cut += 3) {
                struct toy_graph t;
                struct dg_tensor *a;
                struct dg_plan *plan;

                toy_new(&t);
                a = toy_step(&t, "a", NULL, 7, 20, (struct dg_cut){2, 3}, OWN_ROWS, OWN_COLS);
                toy_step(&t, "b", a, 7, 20, (struct dg_cut){cut, cut}, (enum toy_rows)r,
                         (enum toy_cols)c);
                plan = toy_plan(&t, 2);
                expect_good(plan);
                toy_free(&t, plan);
            }
        }
    }
}
END_TEST

/* P tiles that C tiles all wait for. 2 * 2 = 2 + 2 is no gain; 2 * 3 > 2 + 3 is. */
static void check_join(uint32_t p, uint32_t c)
{
    const bool dense = p * c > p + c;
    struct toy_graph t;
    struct dg_tensor *a;
    struct dg_plan *plan;

    toy_new(&t);
    a = toy_step(&t, "a", NULL, 1, p, (struct dg_cut){1, 1}, OWN_ROWS, OWN_COLS);
    toy_step(&t, "b", a, 1, c, (struct dg_cut){1, 1}, OWN_ROWS, EVERY_COL);
    plan = toy_plan(&t, 1);
    ck_assert_uint_eq(plan->n_joins, dense ? 2 : 1);
    ck_assert_uint_eq(plan->n_edges, (dense ? p + c : p * c) + c);
    ck_assert_uint_eq(plan->nodes[p].waits, dense ? 1 : p);
    ck_assert_uint_eq(plan->nodes[dg_plan_end(plan)].waits, c);
    if (dense)
        ck_assert_uint_eq(plan->nodes[p + c].waits, p);
    expect_good(plan);
    toy_free(&t, plan);
}

START_TEST(joins_where_they_save_edges)
{
    for (uint32_t p = 1; p <= 9; p++)
        for (uint32_t c = 1; c <= 9; c++)
            check_join(p, c);
}
END_TEST

/* A causal reader has another set of writers in each row block, and a join for each where that
 * pays. */
START_TEST(joins_of_a_causal_reader)
{
    struct toy_graph t;
    struct dg_tensor *a;
    struct dg_plan *plan;

    toy_new(&t);
    a = toy_step(&t, "a", NULL, 4, 2, (struct dg_cut){1, 1}, OWN_ROWS, OWN_COLS);
    toy_step(&t, "b", a, 4, 3, (struct dg_cut){1, 1}, PAST_ROWS, EVERY_COL);
    plan = toy_plan(&t, 1);
    ck_assert_uint_eq(plan->n_joins, 5); /* 2, 4, 6, 8 writers of 3 readers each, and the end */
    ck_assert_uint_eq(plan->n_edges, 5 + 7 + 9 + 11 + 12);
    expect_good(plan);
    toy_free(&t, plan);
}
END_TEST

/* The same tensor twice, and a tensor that nobody of this graph writes. */
START_TEST(inputs_that_repeat_or_come_from_outside)
{
    struct toy_graph t;
    struct dg_tensor *a, *w, *b;
    struct dg_op *op;
    struct dg_plan *plan;

    toy_new(&t);
    w = toy_tensor(&t, DG_WEIGHT, "w", 9, 9);
    a = toy_step(&t, "a", w, 2, 9, (struct dg_cut){1, 9}, EVERY_ROW, EVERY_COL);
    b = toy_tensor(&t, DG_ACTIVATION, "b", 2, 9);
    op = toy_op(&t, "b", b, 1, 9);
    toy_read(&t, op, a, OWN_ROWS, OWN_COLS);
    toy_read(&t, op, w, EVERY_ROW, EVERY_COL);
    toy_read(&t, op, a, OWN_ROWS, OWN_COLS);
    plan = toy_plan(&t, 1);
    ck_assert_uint_eq(plan->nodes[0].waits, 0);
    ck_assert_uint_eq(plan->nodes[2].waits, 2); /* an edge for each input */
    expect_good(plan);
    toy_free(&t, plan);
}
END_TEST

/* Tiles that nobody reads lead to the end, also those in the middle of a plan. */
START_TEST(end_waits_for_what_nobody_reads)
{
    struct toy_graph t;
    struct dg_tensor *a;
    struct dg_plan *plan;

    toy_new(&t);
    a = toy_step(&t, "a", NULL, 5, 4, (struct dg_cut){1, 4}, OWN_ROWS, OWN_COLS);
    toy_step(&t, "b", a, 2, 4, (struct dg_cut){1, 4}, FINAL_ROWS, EVERY_COL);
    plan = toy_plan(&t, 1);
    ck_assert_uint_eq(plan->n_joins, 1);
    ck_assert_uint_eq(plan->nodes[7].waits, 3 + 2); /* rows 0 to 2 of a, and b */
    expect_good(plan);
    toy_free(&t, plan);
}
END_TEST

/* ---- places ---- */

static uint64_t offset_of(const struct dg_plan *plan, const struct dg_tensor *t)
{
    return plan->offset[dg_tensor_index(plan->graph, t)];
}

static uint64_t sum_of_activations(const struct dg_plan *plan)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < plan->graph->n_tensors; i++)
        if (plan->graph->tensors[i].role == DG_ACTIVATION)
            bytes += dg_round_up(dg_tensor_bytes(&plan->graph->tensors[i]), 64);
    return bytes;
}

/* A tensor's place is free two ops later: the op between still reads it. */
START_TEST(deep_chain_shares)
{
    struct toy_graph t;
    struct dg_tensor *x = NULL;
    struct dg_plan *plan;

    toy_new(&t);
    for (int i = 0; i < TOY_OPS; i++)
        x = toy_step(&t, "x", x, 12, 24, (struct dg_cut){i % 3 + 1, i % 2 ? 8 : 24}, OWN_ROWS,
                     EVERY_COL);
    plan = toy_plan(&t, 4);
    expect_good(plan);
    ck_assert_uint_eq(plan->arena_bytes, 2 * 12 * 24 * 4);
    ck_assert_uint_eq(sum_of_activations(plan), TOY_OPS * 12 * 24 * 4);
    toy_free(&t, plan);
}
END_TEST

START_TEST(other_shapes_do_not_share)
{
    struct toy_graph t;
    struct dg_tensor *x = NULL;
    struct dg_plan *plan;

    toy_new(&t);
    for (uint32_t i = 0; i < 6; i++)
        x = toy_step(&t, "x", x, 4, 20 + i, (struct dg_cut){4, 99}, OWN_ROWS, EVERY_COL);
    plan = toy_plan(&t, 4);
    expect_good(plan);
    ck_assert_uint_eq(plan->arena_bytes, sum_of_activations(plan));
    toy_free(&t, plan);
}
END_TEST

/* Plans again with b lying on a, which `expect` says about the checker. */
static void expect_sharing(struct dg_plan *plan, const struct dg_tensor *a,
                           const struct dg_tensor *b, bool safe)
{
    const uint64_t offset = offset_of(plan, b);
    struct relation paths = brute_paths(plan);
    struct dg_plan_proof proof;
    struct dg_error err;

    plan->offset[dg_tensor_index(plan->graph, b)] = offset_of(plan, a);
    ck_assert_int_eq(brute_clashes(plan, &paths), !safe);
    ck_assert_int_eq(dg_plan_check(plan, &proof, &err), safe ? DG_OK : DG_ERR_USAGE);
    plan->offset[dg_tensor_index(plan->graph, b)] = offset;
    free(paths.bits);
}

/* ln1 -> q -> attention -> proj in small. A tile of `mix` waits for its own head of q, while the
 * other head of q may still read all columns of `ln`: no lifetime that counts ops sees that. */
START_TEST(reader_of_one_head_does_not_end_a_life)
{
    const struct dg_cut rows = {1, 16}, heads = {1, 8};
    struct toy_graph t;
    struct dg_tensor *ln, *q, *mix, *proj;
    struct dg_plan *plan;

    toy_new(&t);
    ln = toy_step(&t, "ln", NULL, 3, 16, rows, OWN_ROWS, OWN_COLS);
    q = toy_step(&t, "q", ln, 3, 16, heads, OWN_ROWS, EVERY_COL);
    mix = toy_step(&t, "mix", q, 3, 16, heads, OWN_ROWS, GROUP_COLS);
    proj = toy_step(&t, "proj", mix, 3, 16, heads, OWN_ROWS, EVERY_COL);
    plan = toy_plan(&t, 2);
    expect_good(plan);
    expect_sharing(plan, ln, mix, false);
    ck_assert_uint_ne(offset_of(plan, mix), offset_of(plan, ln));
    ck_assert_uint_ne(offset_of(plan, mix), offset_of(plan, q));
    ck_assert_uint_eq(offset_of(plan, proj), offset_of(plan, ln)); /* after all heads of mix */
    toy_free(&t, plan);
}
END_TEST

/* The same with a reader of all rows up to its own: row 0 of c comes after row 0 of b, but row 1
 * of b reads row 0 of a, too. */
START_TEST(causal_reader_does_not_end_a_life)
{
    const struct dg_cut rows = {1, 8};
    struct toy_graph t;
    struct dg_tensor *a, *b, *c;
    struct dg_plan *plan;

    toy_new(&t);
    a = toy_step(&t, "a", NULL, 3, 8, rows, OWN_ROWS, OWN_COLS);
    b = toy_step(&t, "b", a, 3, 8, rows, PAST_ROWS, EVERY_COL);
    c = toy_step(&t, "c", b, 3, 8, rows, OWN_ROWS, EVERY_COL);
    plan = toy_plan(&t, 2);
    expect_sharing(plan, a, c, false);
    ck_assert_uint_ne(offset_of(plan, c), offset_of(plan, a));
    expect_good(plan);
    toy_free(&t, plan);
}
END_TEST

/* A result is read after the step, an earlier reader than the last does not free a place, and a
 * residual's first summand lives on beside the branch. */
START_TEST(readers_and_results_keep_their_place)
{
    const struct dg_cut rows = {1, 8};
    struct toy_graph t;
    struct dg_tensor *x, *b, *c, *sum, *result, *next;
    struct dg_plan *plan;

    toy_new(&t);
    x = toy_step(&t, "x", NULL, 3, 8, rows, OWN_ROWS, OWN_COLS);
    result = toy_step(&t, "result", x, 3, 8, rows, OWN_ROWS, EVERY_COL);
    b = toy_step(&t, "b", x, 3, 8, rows, OWN_ROWS, EVERY_COL);
    c = toy_step(&t, "c", b, 3, 8, rows, OWN_ROWS, EVERY_COL);
    sum = toy_step(&t, "sum", c, 3, 8, rows, OWN_ROWS, EVERY_COL);
    toy_read(&t, &t.g->ops[4], x, OWN_ROWS, OWN_COLS);
    next = toy_step(&t, "next", sum, 3, 8, rows, OWN_ROWS, EVERY_COL);
    plan = toy_plan(&t, 2);
    expect_good(plan);
    ck_assert_uint_ne(offset_of(plan, c), offset_of(plan, x));
    ck_assert_uint_ne(offset_of(plan, sum), offset_of(plan, x));
    ck_assert_uint_eq(offset_of(plan, sum), offset_of(plan, b));
    ck_assert_uint_ne(offset_of(plan, next), offset_of(plan, x)); /* `result` may still read it */
    for (uint32_t i = 0; i < t.g->n_tensors; i++)
        if (&t.g->tensors[i] != result)
            ck_assert_uint_ne(plan->offset[i], offset_of(plan, result));
    toy_free(&t, plan);
}
END_TEST

START_TEST(allocate_points_activations_into_the_arena)
{
    struct dg_arena *arena = dg_arena_new();
    struct dg_error err = {0};
    struct dg_tensor *w, *kv, *a = NULL;
    struct toy_graph t;
    struct dg_plan *plan;

    toy_new(&t);
    w = toy_tensor(&t, DG_WEIGHT, "w", 1, 1);
    kv = toy_tensor(&t, DG_CACHE, "kv", 3, 5);
    toy_op(&t, "kv", kv, 1, 5);
    for (int i = 0; i < 5; i++)
        a = toy_step(&t, "a", a, 3, 5, (struct dg_cut){1, 5}, OWN_ROWS, EVERY_COL);
    plan = toy_plan(&t, 1);
    ck_assert_int_eq(dg_plan_allocate(plan, arena, &err), DG_OK);
    ck_assert_ptr_null(w->data);
    ck_assert_ptr_null(kv->data);
    for (uint32_t i = 2; i < t.g->n_tensors; i++) {
        ck_assert_uint_eq((uintptr_t)t.g->tensors[i].data % 64, 0);
        ck_assert_ptr_eq(t.g->tensors[i].data,
                         (char *)t.g->tensors[2].data + plan->offset[i] - plan->offset[2]);
        memset(t.g->tensors[i].data, 1, dg_tensor_bytes(&t.g->tensors[i]));
    }
    dg_arena_free(arena);
    toy_free(&t, plan);
}
END_TEST

/* ---- random graphs ---- */

struct fuzz {
    uint64_t state;
    struct toy_graph t;
    uint32_t rows, cols;
    uint64_t shared; /* plans whose arena is smaller than the sum */
};

/* An input of op: usually one of the last few tensors, so that chains are deep. */
static void random_input(struct fuzz *f, struct dg_op *op)
{
    const uint32_t n = f->t.g->n_tensors - 1; /* the last is op's own output */
    const uint32_t recent = n < 4 || random_below(&f->state, 6) == 0 ? n : 4;
    struct dg_tensor *in = &f->t.g->tensors[n - 1 - random_below(&f->state, recent)];
    uint32_t rows = random_below(&f->state, N_TOY_ROWS + 4);
    uint32_t cols = random_below(&f->state, N_TOY_COLS + 4);

    if (rows >= N_TOY_ROWS)
        rows = OWN_ROWS;
    if (cols >= N_TOY_COLS || in->cols < op->out->cols)
        cols = EVERY_COL;
    if (in->rows < op->out->rows)
        rows = EVERY_ROW;
    toy_read(&f->t, op, in, (enum toy_rows)rows, (enum toy_cols)cols);
}

static void random_op(struct fuzz *f)
{
    const bool few = random_below(&f->state, 12) == 0, wide = random_below(&f->state, 8) == 0;
    const uint32_t rows = few ? 1 + random_below(&f->state, f->rows) : f->rows;
    const uint32_t cols = wide ? 2 * f->cols : f->cols;
    const enum dg_role role = random_below(&f->state, 10) ? DG_ACTIVATION : DG_CACHE;
    const uint32_t n_in = f->t.g->n_tensors ? random_below(&f->state, 8) % 4 : 0;
    const uint32_t whole_rows = random_below(&f->state, 3);
    struct dg_op *op = toy_op(&f->t, "op", toy_tensor(&f->t, role, "t", rows, cols),
                              1 + random_below(&f->state, rows),
                              whole_rows ? cols : 1 + random_below(&f->state, cols));

    for (uint32_t i = 0; i < n_in; i++)
        random_input(f, op);
    if (n_in == 0 && f->t.g->n_tensors > 1 && random_below(&f->state, 4))
        random_input(f, op);
}

static void random_plan(struct fuzz *f)
{
    const uint32_t ops = 2 + random_below(&f->state, 18);
    struct dg_plan *plan;

    f->rows = 1 + random_below(&f->state, 9);
    f->cols = 1 + random_below(&f->state, 19);
    toy_new(&f->t);
    if (random_below(&f->state, 2))
        toy_tensor(&f->t, DG_WEIGHT, "w", f->rows, f->cols);
    for (uint32_t i = 0; i < ops; i++)
        random_op(f);
    plan = toy_plan(&f->t, 1 + random_below(&f->state, 5));
    expect_good(plan);
    f->shared += plan->arena_bytes < sum_of_activations(plan);
    toy_free(&f->t, plan);
}

START_TEST(random_graphs)
{
    struct fuzz f = {.state = 0};
    const uint32_t n = sanitized() ? 60 : 1000;

    for (uint32_t i = 0; i < n; i++) {
        f.state = (uint64_t)i << 32; /* a failure repeats alone with its i */
        random_plan(&f);
    }
    ck_assert_uint_gt(f.shared, n / 5);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {every_cut_of_odd_sizes,
                                  homes,
                                  row_blocks,
                                  more_tiles_than_a_plan_takes,
                                  scratch_is_that_of_the_largest_tile,
                                  edges_of_every_reading,
                                  joins_where_they_save_edges,
                                  joins_of_a_causal_reader,
                                  inputs_that_repeat_or_come_from_outside,
                                  end_waits_for_what_nobody_reads,
                                  deep_chain_shares,
                                  other_shapes_do_not_share,
                                  reader_of_one_head_does_not_end_a_life,
                                  causal_reader_does_not_end_a_life,
                                  readers_and_results_keep_their_place,
                                  allocate_points_activations_into_the_arena,
                                  random_graphs,
                                  NULL};

    return run_suite("plan", tests);
}
