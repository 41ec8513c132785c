/* Plans that are cut over ranks: what the checker proves of them, and what it finds in cuts that are broken in one way. */
#include "../../support/outline.h"
#include "../../../src/graph/cover.h"
#include "../../../src/graph/whole.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_RANKS = 9 };

/* heads 12 of 4 columns: three of them share each column tile of 16, so that ranks share tiles, too. */
static const struct dg_sizes small = {
    .positions = 64, .vocab = 500, .layers = 5, .heads = 12, .channels = 48};

struct cutting {
    struct dg_model *model;
    struct dg_graph *canonical, *graph;
    struct dg_plan *plan;
    struct dg_placement *placement;
    struct dg_placed placed;
    struct dg_piece *pieces[MOST_RANKS];
    uint32_t ranks;
};

static void cut(struct cutting *c, const struct dg_sizes *sizes, struct dg_gpt2_shape shape,
                struct dg_tiling tiling, enum dg_placing how, uint32_t ranks)
{
    struct dg_error err = {0};

    *c = (struct cutting){.ranks = ranks};
    c->model = outline(*sizes);
    c->model->shared = true;
    c->canonical = outline_graph(c->model, (struct dg_gpt2_shape){1, 1, true, false, DG_F32});
    c->graph = outline_graph(c->model, shape);
    c->plan = outline_plan(c->graph, tiling);
    ck_assert_msg(dg_placement_new(&c->placement, c->canonical, how, ranks, &err) == DG_OK, "%s",
                  err.text);
    ck_assert_msg(dg_place_tiles(&c->placed, c->placement, c->plan, &err) == DG_OK, "%s", err.text);
    for (uint32_t r = 0; r < ranks; r++)
        ck_assert_msg(dg_piece_new(&c->pieces[r], c->plan, &c->placed, r, 2, &err) == DG_OK, "%s",
                      err.text);
}

static void free_cut(struct cutting *c)
{
    for (uint32_t r = 0; r < c->ranks; r++)
        dg_piece_free(c->pieces[r]);
    dg_placed_free(&c->placed);
    dg_placement_free(c->placement);
    dg_plan_free(c->plan);
    dg_graph_free(c->graph);
    dg_graph_free(c->canonical);
    dg_model_free(c->model);
}

static enum dg_status check(const struct cutting *c, struct dg_error *err)
{
    struct dg_plan_proof proof;

    return dg_pieces_check(c->plan, c->pieces, c->ranks, &proof, err);
}

/* ---- all of it ---- */

/* Whether it is even (ranks.h) goes to *even. */
static void expect_proof(const struct dg_sizes *sizes, struct dg_gpt2_shape shape,
                         struct dg_tiling tiling, enum dg_placing how, uint32_t ranks, bool *even)
{
    struct dg_error err = {0};
    struct cutting c;

    cut(&c, sizes, shape, tiling, how, ranks);
    ck_assert_msg(check(&c, &err) == DG_OK, "%u rows, %u with logits, %s%s, %s over %u ranks: %s",
                  shape.rows, shape.logits_rows, shape.fuse ? "fused" : "unfused",
                  shape.load ? ", loading" : "", dg_placing_name(how), ranks, err.text);
    *even = c.placed.even;
    free_cut(&c);
}

START_TEST(cuts_are_proved)
{
    static const struct dg_gpt2_shape shapes[] = {
        {1, 1, true, false, DG_F32},  {1, 0, true, false, DG_F32},   {1, 1, false, false, DG_F32},
        {40, 1, true, false, DG_F32}, {40, 3, false, false, DG_F32}, {20, 0, false, false, DG_F32},
        {20, 20, true, true, DG_F32},
    };
    static const struct dg_sizes models[] = {
        {.positions = 64, .vocab = 150, .layers = 3, .heads = 12, .channels = 48},
        {.positions = 64, .vocab = 77, .layers = 2, .heads = 5, .channels = 100},
    };
    static const uint32_t ranks[] = {1, 2, 3, 4, 7, 0};
    unsigned n[2] = {0};

    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        for (enum dg_placing how = 0; how < DG_N_PLACINGS; how++) {
            for (const uint32_t *r = ranks; *r; r++) {
                const struct dg_tiling chosen = {2 * *r, 0, 0}, tiny = {2 * *r, 15, 16};
                bool even;

                expect_proof(&models[0], shapes[i], chosen, how, *r, &even);
                n[even]++;
                expect_proof(&models[0], shapes[i], tiny, how, *r, &even);
                n[even]++;
                expect_proof(&models[1], shapes[i], tiny, how, *r, &even);
                n[even]++;
            }
        }
    }
    ck_assert_msg(n[0] > 50 && n[1] > 50, "%u cuts share memory, %u do not", n[1], n[0]);
}
END_TEST

/* The ranks together run each tile that is not for whole rows once, and no rank's plan has what others do. */
START_TEST(columns_divide_the_work)
{
    static const struct dg_sizes sizes = {.positions = 64,
                                          .vocab = 5000,

                                          .layers = 2,
                                          .heads = 8,
                                          .channels = 512};
    struct cutting c;
    uint64_t least = UINT64_MAX, most = 0;

    cut(&c, &sizes, (struct dg_gpt2_shape){1, 1, true, false, DG_F32}, (struct dg_tiling){8, 0, 0},
        DG_PLACE_COLUMNS, 4);
    for (uint32_t r = 0; r < 4; r++) {
        const struct dg_plan *plan = c.pieces[r]->plan;
        uint64_t bytes = 0;

        for (uint32_t t = 0; t < plan->n_tiles; t++)
            bytes += dg_tile_cost(plan, t, 0).bytes;
        least = bytes < least ? bytes : least;
        most = bytes > most ? bytes : most;
    }
    ck_assert_msg(most * 100 < least * 115, "the ranks' tiles touch %llu to %llu bytes",
                  (unsigned long long)least, (unsigned long long)most);
    free_cut(&c);
}
END_TEST

/* Bytes of the weights that a stage has, for the most loaded one. */
static uint64_t heaviest(const struct cutting *c)
{
    uint64_t most = 0;

    for (uint32_t r = 0; r < c->ranks; r++) {
        const struct dg_graph *g = c->pieces[r]->graph;
        uint64_t bytes = 0;

        for (unsigned i = 0; i < g->n_ops; i++)
            for (unsigned k = 0; k < g->ops[i].n_in; k++)
                bytes += g->ops[i].in[k]->role == DG_WEIGHT ? dg_tensor_bytes(g->ops[i].in[k]) : 0;
        most = bytes > most ? bytes : most;
    }
    return most;
}

/* GPT-2 of 124 million: embed and 12 layers of 28 MB each, and 154 MB for the logits. */
START_TEST(stages_are_balanced)
{
    static const struct dg_sizes gpt2 = {.positions = 1024,
                                         .vocab = 50257,

                                         .layers = 12,
                                         .heads = 12,
                                         .channels = 768};
    static const struct {
        uint32_t ranks, megabytes;
    } expected[] = {{1, 498}, {2, 259}, {3, 174}, {4, 155}, {7, 155}};

    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        struct cutting c;

        cut(&c, &gpt2, (struct dg_gpt2_shape){1, 1, true, false, DG_F32},
            (struct dg_tiling){4, 0, 0}, DG_PLACE_LAYERS, expected[i].ranks);
        ck_assert_uint_le(heaviest(&c), expected[i].megabytes * (uint64_t)1000000);
        for (uint32_t r = 0; r < c.ranks; r++)
            ck_assert_uint_gt(c.pieces[r]->graph->n_ops, 0);
        free_cut(&c);
    }
}
END_TEST

/* Where a layer is does not depend on the step's shape. */
START_TEST(layers_stay_where_they_are)
{
    static const struct dg_gpt2_shape shapes[] = {{1, 1, true, false, DG_F32},
                                                  {64, 1, true, false, DG_F32},
                                                  {30, 0, false, false, DG_F32},
                                                  {10, 10, true, true, DG_F32}};
    int rank_of[5] = {-1, -1, -1, -1, -1};

    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct cutting c;

        cut(&c, &small, shapes[i], (struct dg_tiling){6, 0, 0}, DG_PLACE_LAYERS, 3);
        for (uint32_t r = 0; r < 3; r++) {
            for (unsigned k = 0; k < c.pieces[r]->graph->n_ops; k++) {
                const struct dg_op *op = &c.pieces[r]->graph->ops[k];

                if (op->layer < 0 || strcmp(op->type->name, "receive") == 0)
                    continue;
                if (rank_of[op->layer] < 0)
                    rank_of[op->layer] = (int)r;
                ck_assert_int_eq(rank_of[op->layer], (int)r);
            }
        }
        free_cut(&c);
    }
}
END_TEST

/* A load tile on a rank has the rows that the rank's tiles read, and no others. */
START_TEST(ranks_load_what_they_use)
{
    static const struct dg_sizes sizes = {.positions = 64,
                                          .vocab = 5000,

                                          .layers = 2,
                                          .heads = 8,
                                          .channels = 512};
    struct cutting c;
    uint64_t whole = 0, all = 0;

    cut(&c, &sizes, (struct dg_gpt2_shape){1, 1, true, true, DG_F32}, (struct dg_tiling){8, 0, 0},
        DG_PLACE_COLUMNS, 4);
    for (uint32_t t = 0; t < c.plan->n_tiles; t++)
        if (dg_tile_op(c.plan, t)->type->loads && dg_tile_op(c.plan, t)->out->layout == DG_PANELS)
            whole += dg_box_area(c.plan->tiles[t].out);
    for (uint32_t r = 0; r < 4; r++) {
        const struct dg_plan *p = c.pieces[r]->plan;

        for (uint32_t t = 0; t < p->n_tiles; t++)
            if (dg_tile_op(p, t)->type->loads && dg_tile_op(p, t)->out->layout == DG_PANELS)
                all += dg_box_area(p->tiles[t].out);
    }
    ck_assert_uint_eq(all, whole);
    free_cut(&c);
}
END_TEST

/* Boxes on 12 rows of 9 columns, some of no area, cell by cell. */
START_TEST(boxes_are_covered_as_often_as_cells_are)
{
    uint64_t state = 5;

    for (unsigned round = 0; round < 500; round++) {
        const uint32_t n = random_below(&state, 20), m = 1 + random_below(&state, 20);
        struct dg_box box[40];
        uint64_t covered[20], cell[12][9] = {{0}};

        for (uint32_t i = 0; i < n + m; i++) {
            const uint32_t r = random_below(&state, 13), c = random_below(&state, 10);

            box[i] = (struct dg_box){r, r + random_below(&state, 13 - r), c,
                                     c + random_below(&state, 10 - c)};
            for (uint32_t y = r; i < n && y < box[i].r1; y++)
                for (uint32_t x = c; x < box[i].c1; x++)
                    cell[y][x]++;
        }
        ck_assert(dg_cover(box, n, box + n, m, covered));
        for (uint32_t i = 0; i < m; i++) {
            const struct dg_box b = box[n + i];

            for (uint32_t y = b.r0; y < b.r1; y++)
                for (uint32_t x = b.c0; x < b.c1; x++)
                    covered[i] -= cell[y][x];
            ck_assert_uint_eq(covered[i], 0);
        }
    }
}
END_TEST

/* ---- broken in one way ---- */

static void expect_refusal(struct cutting *c, const char *why)
{
    struct dg_error err = {0};

    ck_assert_msg(check(c, &err) == DG_ERR_USAGE, "not found: %s", why);
    ck_assert_msg(strstr(err.text, why), "got '%s', expected '%s'", err.text, why);
    free_cut(c);
}

static void cut_small(struct cutting *c, enum dg_placing how)
{
    cut(c, &small, (struct dg_gpt2_shape){40, 2, true, false, DG_F32},
        (struct dg_tiling){6, 16, 16}, how, 3);
}

/* The piece of a rank that sends, or receives, something. */
static struct dg_piece *a_sender(struct cutting *c)
{
    for (uint32_t r = 0; r < c->ranks; r++)
        if (c->pieces[r]->n_sends > 2)
            return c->pieces[r];
    ck_abort_msg("nobody sends");
}

static struct dg_piece *a_receiver(struct cutting *c)
{
    for (uint32_t r = c->ranks; r-- > 0;)
        if (c->pieces[r]->n_receives > 2)
            return c->pieces[r];
    ck_abort_msg("nobody receives");
}

START_TEST(a_message_less_is_found)
{
    struct cutting c;

    cut_small(&c, DG_PLACE_COLUMNS);
    a_sender(&c)->n_sends--;
    expect_refusal(&c, "messages are sent");
    cut_small(&c, DG_PLACE_LAYERS);
    a_receiver(&c)->n_receives--;
    expect_refusal(&c, "messages are sent");
}
END_TEST

START_TEST(a_message_twice_is_found)
{
    struct cutting c;

    cut_small(&c, DG_PLACE_COLUMNS);
    a_sender(&c)->sends[1] = a_sender(&c)->sends[0];
    expect_refusal(&c, "is not sent once and received once");
    cut_small(&c, DG_PLACE_BOTH);
    a_receiver(&c)->receives[1] = a_receiver(&c)->receives[0];
    expect_refusal(&c, "is not sent once and received once");
}
END_TEST

START_TEST(a_message_to_another_rank_is_found)
{
    struct cutting c;

    cut_small(&c, DG_PLACE_COLUMNS);
    a_sender(&c)->sends[0].to = a_sender(&c)->rank;
    expect_refusal(&c, "message");
    cut_small(&c, DG_PLACE_COLUMNS);
    a_receiver(&c)->receives[0].from = a_receiver(&c)->rank;
    expect_refusal(&c, "message");
    cut_small(&c, DG_PLACE_LAYERS);
    a_sender(&c)->sends[0].from ^= 1;
    expect_refusal(&c, "message");
}
END_TEST

START_TEST(another_box_is_found)
{
    struct cutting c;

    cut_small(&c, DG_PLACE_COLUMNS);
    a_sender(&c)->sends[0].box.r1--;
    expect_refusal(&c, "is received as another box");
    cut_small(&c, DG_PLACE_LAYERS);
    a_receiver(&c)->receives[1].tensor--;
    expect_refusal(&c, "is received as another box");
}
END_TEST

/* The receive's tile fills another box than its message has: what is read there is missing, or comes twice. */
START_TEST(a_tile_of_another_box_is_found)
{
    struct cutting c;
    struct dg_piece *piece;

    cut_small(&c, DG_PLACE_COLUMNS);
    piece = a_receiver(&c);
    piece->plan->tiles[piece->receives[0].tile].out = piece->receives[1].box;
    expect_refusal(&c, "written twice");
    cut_small(&c, DG_PLACE_COLUMNS);
    piece = a_receiver(&c);
    piece->plan->tiles[piece->receives[0].tile].out.c1--;
    expect_refusal(&c, "of which not each element is written once");
}
END_TEST

/* The successors of a tile, led to `end` instead. */
static void cut_off(struct dg_plan *plan, uint32_t tile)
{
    struct dg_node *n = &plan->nodes[tile];

    for (uint32_t i = 0; i < n->n_next; i++)
        plan->nodes[plan->next[n->first + i]].waits--;
    plan->n_edges -= n->n_next - 1;
    n->n_next = 1;
    plan->next[n->first] = dg_plan_end(plan);
    plan->nodes[dg_plan_end(plan)].waits++;
}

/* No read before its receive. */
START_TEST(a_read_before_its_receive_is_found)
{
    for (enum dg_placing how = 0; how < DG_N_PLACINGS; how++) {
        struct cutting c;

        cut_small(&c, how);
        cut_off(a_receiver(&c)->plan, a_receiver(&c)->receives[0].tile);
        expect_refusal(&c, "touch the same bytes");
    }
}
END_TEST

/* Nothing is sent before it is written. */
START_TEST(a_send_before_its_write_is_found)
{
    struct cutting c;
    struct dg_piece *piece;
    bool found = false;

    cut_small(&c, DG_PLACE_COLUMNS);
    piece = a_sender(&c);
    for (uint32_t n = 0; n < piece->plan->n_nodes && !found; n++) {
        struct dg_node *node = &piece->plan->nodes[n];

        for (uint32_t i = 0; i < node->n_next && !found; i++) {
            uint32_t *to = &piece->plan->next[node->first + i];

            if (*to == piece->sends[0].tile) {
                piece->plan->nodes[*to].waits--;
                *to = dg_plan_end(piece->plan);
                piece->plan->nodes[*to].waits++;
                found = true;
            }
        }
    }
    ck_assert(found);
    expect_refusal(&c, "touch the same bytes");
}
END_TEST

/* Two activations at one place whose tiles no message keeps apart. */
START_TEST(shared_memory_is_found)
{
    struct cutting c;
    struct dg_plan *plan;
    uint32_t q = 0, attention = 0;

    cut_small(&c, DG_PLACE_COLUMNS);
    plan = c.pieces[1]->plan;
    for (uint32_t i = 0; i < c.graph->n_tensors; i++) {
        q = strcmp(c.graph->tensors[i].name, "h2.q") == 0 ? i : q;
        attention = strcmp(c.graph->tensors[i].name, "h2.attention") == 0 ? i : attention;
    }
    ck_assert(q && attention);
    plan->offset[attention] = plan->offset[q];
    expect_refusal(&c, "writes over");
}
END_TEST

/* A circle over two ranks: each sends only after it has received. */
START_TEST(a_circle_over_ranks_is_found)
{
    struct cutting c;
    struct dg_piece *a, *b;
    uint32_t from = UINT32_MAX, to = UINT32_MAX;

    cut_small(&c, DG_PLACE_COLUMNS);
    a = c.pieces[0];
    b = c.pieces[1];
    for (uint32_t i = 0; i < a->n_receives; i++) /* the last from b */
        from = a->receives[i].from == b->rank ? a->receives[i].tile : from;
    for (uint32_t i = a->n_sends; i-- > 0;) /* the first to b */
        to = a->sends[i].to == b->rank ? a->sends[i].tile : to;
    ck_assert(from != UINT32_MAX && to != UINT32_MAX && from > to);
    a->plan->nodes[a->plan->next[a->plan->nodes[from].first]].waits--;
    a->plan->next[a->plan->nodes[from].first] = to;
    a->plan->nodes[to].waits++;
    expect_refusal(&c, "not after it");
}
END_TEST

/* Keys are read where they are written, by attention alone; of the last rows of a chunk without logits by nobody. */
START_TEST(a_tile_that_nobody_runs_is_found)
{
    struct cutting c;
    bool found = false;

    cut(&c, &small, (struct dg_gpt2_shape){20, 0, true, false, DG_F32}, (struct dg_tiling){6, 0, 0},
        DG_PLACE_LAYERS, 3);
    for (uint32_t r = 0; r < 3; r++) {
        for (uint32_t i = 0; i < c.pieces[r]->graph->n_ops; i++) {
            if (strcmp(c.pieces[r]->graph->ops[i].name, "h4.k") == 0) {
                c.pieces[r]->origin[i]++; /* as if it sent something */
                found = true;
            }
        }
    }
    ck_assert(found);
    expect_refusal(&c, "no rank runs tile");
}
END_TEST

START_TEST(too_many_ranks_are_refused)
{
    struct dg_model *model = outline(small);
    struct dg_graph *g = outline_graph(model, (struct dg_gpt2_shape){1, 1, true, false, DG_F32});
    struct dg_placement *p;
    struct dg_error err = {0};

    ck_assert(dg_placement_new(&p, g, DG_PLACE_LAYERS, 0, &err) == DG_ERR_USAGE);
    ck_assert(dg_placement_new(&p, g, DG_PLACE_LAYERS, DG_MAX_RANKS + 1, &err) == DG_ERR_USAGE);
    dg_graph_free(g);
    dg_model_free(model);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {cuts_are_proved,
                                  columns_divide_the_work,
                                  stages_are_balanced,
                                  layers_stay_where_they_are,
                                  ranks_load_what_they_use,
                                  boxes_are_covered_as_often_as_cells_are,
                                  a_message_less_is_found,
                                  a_message_twice_is_found,
                                  a_message_to_another_rank_is_found,
                                  another_box_is_found,
                                  a_tile_of_another_box_is_found,
                                  a_read_before_its_receive_is_found,
                                  a_send_before_its_write_is_found,
                                  shared_memory_is_found,
                                  a_circle_over_ranks_is_found,
                                  a_tile_that_nobody_runs_is_found,
                                  too_many_ranks_are_refused,
                                  NULL};

    return run_suite("cut", tests);
}
