/* The plan checker: good plans pass, and a copy that is broken in one way is refused for it. */
#include "../../support/brute.h"
#include "../../support/outline.h"
#include "../../support/toy.h"
#include "../../../src/base/checked.h"
#include "../../../src/graph/plan_check.h"

#include <inttypes.h>

/* ---- copies that can be broken ---- */

enum { MORE_EDGES = 100 }; /* that a copy has room for */

static void *copy_of(const void *from, size_t n, size_t more, size_t size)
{
    char *to = calloc(n + more, size);

    ck_assert_ptr_nonnull(to);
    memcpy(to, from, n * size);
    return to;
}

/* A copy with arrays of its own, freed by free_copy(). */
static struct dg_plan copy_plan(const struct dg_plan *from)
{
    struct dg_plan to = *from;
    const uint32_t n_ops = from->graph->n_ops;

    to.arena = NULL;
    to.tiles = copy_of(from->tiles, from->n_tiles, 0, sizeof *to.tiles);
    to.nodes = copy_of(from->nodes, from->n_nodes, 1, sizeof *to.nodes);
    to.next = copy_of(from->next, from->n_edges, MORE_EDGES, sizeof *to.next);
    to.op_first = copy_of(from->op_first, n_ops + 1, 0, sizeof *to.op_first);
    to.offset = copy_of(from->offset, from->graph->n_tensors, 0, sizeof *to.offset);
    return to;
}

static void free_copy(struct dg_plan *p)
{
    free(p->tiles);
    free(p->nodes);
    free(p->next);
    free(p->op_first);
    free(p->offset);
}

/* Adds an edge and repairs everything that counts edges. */
static void add_edge(struct dg_plan *p, uint32_t from, uint32_t to)
{
    const uint32_t at = p->nodes[from].first + p->nodes[from].n_next;

    memmove(p->next + at + 1, p->next + at, (p->n_edges - at) * sizeof *p->next);
    p->next[at] = to;
    p->n_edges++;
    p->nodes[from].n_next++;
    p->nodes[to].waits++;
    for (uint32_t n = from + 1; n < p->n_nodes; n++)
        p->nodes[n].first++;
}

/* The place in next[] of an edge that must be there. */
static uint32_t find_edge(const struct dg_plan *p, uint32_t from, uint32_t to)
{
    for (uint32_t i = 0; i < p->nodes[from].n_next; i++)
        if (p->next[p->nodes[from].first + i] == to)
            return p->nodes[from].first + i;
    ck_abort_msg("no edge leads from %u to %u", from, to);
}

/* Takes an edge out and repairs everything that counts edges. */
static void drop_edge(struct dg_plan *p, uint32_t from, uint32_t to)
{
    const uint32_t at = find_edge(p, from, to);

    memmove(p->next + at, p->next + at + 1, (p->n_edges - at - 1) * sizeof *p->next);
    p->n_edges--;
    p->nodes[from].n_next--;
    p->nodes[to].waits--;
    for (uint32_t n = from + 1; n < p->n_nodes; n++)
        p->nodes[n].first--;
}

/* The same, and what then leads nowhere leads to the end: only an order is lost. */
static void drop_order(struct dg_plan *p, uint32_t from, uint32_t to)
{
    drop_edge(p, from, to);
    if (p->nodes[from].n_next == 0)
        add_edge(p, from, dg_plan_end(p));
}

/* Adds a join without edges before the end, and returns it. */
static uint32_t insert_join(struct dg_plan *p)
{
    const uint32_t join = dg_plan_end(p);

    p->nodes[join + 1] = p->nodes[join];
    p->nodes[join].waits = 0;
    p->nodes[join].n_next = 0;
    p->n_joins++;
    p->n_nodes++;
    for (uint64_t i = 0; i < p->n_edges; i++)
        if (p->next[i] == join)
            p->next[i]++;
    return join;
}

/* ---- plans to break ---- */

/* A good plan and a copy of it. */
struct subject {
    struct toy_graph t; /* of the toy plan */
    struct dg_model *model;
    struct dg_graph *graph; /* both of the GPT-2 plan */
    struct dg_plan *good, p;
};

/* What a transformer has: residual, heads, a cache that is read causally, joins, rows that nobody
 * reads, and places that are shared. */
static void toy_subject(struct subject *s)
{
    const struct dg_cut rows = {2, 16}, heads = {2, 8}, narrow = {2, 4};
    struct dg_tensor *x, *ln, *q, *kv, *mix, *fc, *out, *sum;
    struct toy_graph *t = &s->t;
    struct dg_op *op;

    *s = (struct subject){0};
    toy_new(t);
    kv = toy_tensor(t, DG_CACHE, "kv", 6, 16);
    x = toy_step(t, "x", NULL, 6, 16, rows, OWN_ROWS, OWN_COLS);
    ln = toy_step(t, "ln", x, 6, 16, rows, OWN_ROWS, EVERY_COL);
    toy_read(t, toy_op(t, "kv", kv, 2, 8), ln, OWN_ROWS, EVERY_COL);
    q = toy_step(t, "q", ln, 6, 16, heads, OWN_ROWS, EVERY_COL);
    mix = toy_step(t, "mix", q, 6, 16, heads, OWN_ROWS, GROUP_COLS);
    toy_read(t, &t->g->ops[t->g->n_ops - 1], kv, PAST_ROWS, GROUP_COLS);
    fc = toy_step(t, "fc", mix, 6, 32, narrow, OWN_ROWS, EVERY_COL);
    out = toy_step(t, "out", fc, 6, 16, narrow, OWN_ROWS, EVERY_COL);
    sum = toy_tensor(t, DG_ACTIVATION, "sum", 6, 16);
    op = toy_op(t, "sum", sum, 2, 16);
    toy_read(t, op, out, OWN_ROWS, OWN_COLS);
    toy_read(t, op, x, OWN_ROWS, OWN_COLS);
    toy_step(t, "last", sum, 1, 16, rows, FINAL_ROWS, EVERY_COL);
    s->good = toy_plan(t, 3);
    s->p = copy_plan(s->good);
}

static void gpt2_subject(struct subject *s)
{
    const struct dg_sizes sizes = {
        .positions = 8, .vocab = 40, .layers = 2, .heads = 2, .channels = 32};

    *s = (struct subject){0};
    s->model = outline(sizes);
    s->graph = outline_graph(s->model, (struct dg_gpt2_shape){6, 6, true, false, DG_F32});
    s->good =
        outline_plan(s->graph, (struct dg_tiling){.workers = 2, .row_block = 3, .col_block = 16});
    s->p = copy_plan(s->good);
}

static void free_subject(struct subject *s)
{
    free_copy(&s->p);
    dg_plan_free(s->good);
    dg_graph_free(s->t.g);
    dg_graph_free(s->graph);
    dg_model_free(s->model);
}

/* Gives every activation a place of its own, so that a missing edge is one fault, not several. */
static void spread(struct subject *s)
{
    uint64_t at = 0;

    for (uint32_t i = 0; i < s->good->graph->n_tensors; i++) {
        s->good->offset[i] = at;
        if (s->good->graph->tensors[i].role == DG_ACTIVATION)
            at += dg_round_up(dg_tensor_bytes(&s->good->graph->tensors[i]), 64);
    }
    s->good->arena_bytes = at;
    free_copy(&s->p);
    s->p = copy_plan(s->good);
}

/* The tile of op `name` that writes element (row, col). */
static uint32_t tile_of(const struct dg_plan *p, const char *name, uint32_t row, uint32_t col)
{
    for (uint32_t t = 0; t < p->n_tiles; t++) {
        const struct dg_box b = p->tiles[t].out;

        if (strcmp(dg_tile_op(p, t)->name, name) == 0 && b.r0 <= row && row < b.r1 && b.c0 <= col &&
            col < b.c1)
            return t;
    }
    ck_abort_msg("no tile of %s has element (%u, %u)", name, row, col);
}

/* The join that a tile leads to, not the end. */
static uint32_t join_after(const struct dg_plan *p, uint32_t tile)
{
    for (uint32_t i = 0; i < p->nodes[tile].n_next; i++) {
        const uint32_t to = p->next[p->nodes[tile].first + i];

        if (to >= p->n_tiles && to != dg_plan_end(p))
            return to;
    }
    ck_abort_msg("tile %u leads to no join", tile);
}

static uint64_t *offset_of(const struct dg_plan *p, const char *name)
{
    for (uint32_t i = 0; i < p->graph->n_tensors; i++)
        if (strcmp(p->graph->tensors[i].name, name) == 0)
            return &p->offset[i];
    ck_abort_msg("no tensor %s", name);
}

static bool accepted(const struct dg_plan *p, struct dg_error *err)
{
    struct dg_plan_proof proof;
    const enum dg_status st = dg_plan_check(p, &proof, err);

    if (st != DG_OK && st != DG_ERR_USAGE)
        ck_abort_msg("status %d", st);
    return st == DG_OK;
}

static void accept(const struct dg_plan *p)
{
    struct dg_error err = {0};

    if (!accepted(p, &err))
        ck_abort_msg("refused: %s", err.text);
}

static void refuse(const struct dg_plan *p, const char *text)
{
    struct dg_error err = {0};

    if (accepted(p, &err))
        ck_abort_msg("accepted, expected \"%s\"", text);
    ck_assert_msg(strstr(err.text, text) != NULL, "got \"%s\", expected \"%s\"", err.text, text);
}

/* Refuses the copy, and makes it good again. */
static void refuse_copy(struct subject *s, const char *text)
{
    refuse(&s->p, text);
    free_copy(&s->p);
    s->p = copy_plan(s->good);
}

START_TEST(good_plans_pass)
{
    struct subject s;

    toy_subject(&s);
    accept(s.good);
    accept(&s.p);
    free_subject(&s);
    gpt2_subject(&s);
    accept(s.good);
    accept(&s.p);
    free_subject(&s);
}
END_TEST

/* Two tiles, each read by one of the two others. */
START_TEST(proof_counts)
{
    const struct dg_cut rows = {1, 4};
    struct dg_plan_proof proof;
    struct dg_error err = {0};
    struct toy_graph t;
    struct dg_plan *plan;

    toy_new(&t);
    toy_step(&t, "b", toy_step(&t, "a", NULL, 2, 4, rows, OWN_ROWS, OWN_COLS), 2, 4, rows, OWN_ROWS,
             OWN_COLS);
    plan = toy_plan(&t, 1);
    ck_assert_int_eq(dg_plan_check(plan, &proof, &err), DG_OK);
    ck_assert_uint_eq(proof.tiles, 4);
    ck_assert_uint_eq(proof.joins, 1);
    ck_assert_uint_eq(proof.edges, 4);
    ck_assert_uint_eq(proof.pairs, 2);
    toy_free(&t, plan);
}
END_TEST

/* ---- tiles ---- */

/* kv is cut into 2 x 8 of 6 x 16. */
START_TEST(box_that_is_none)
{
    struct dg_tile *tile;
    struct subject s;

    toy_subject(&s);
    s.p.tiles[tile_of(&s.p, "kv", 4, 0)].out.r1 = 7;
    refuse_copy(&s, "rows 4:7 columns 0:8) is not a box of its output");
    s.p.tiles[tile_of(&s.p, "kv", 4, 8)].out.c1 = 17;
    refuse_copy(&s, "rows 4:6 columns 8:17) is not a box of its output");
    tile = &s.p.tiles[tile_of(&s.p, "kv", 2, 8)];
    tile->out.r0 = tile->out.r1;
    refuse_copy(&s, "rows 4:4 columns 8:16) is not a box of its output");
    tile = &s.p.tiles[tile_of(&s.p, "kv", 2, 8)];
    tile->out.c0 = tile->out.c1;
    refuse_copy(&s, "rows 2:4 columns 16:16) is not a box of its output");
    s.p.tiles[tile_of(&s.p, "kv", 2, 8)].out.c0 = UINT32_MAX;
    refuse_copy(&s, "is not a box of its output");
    free_subject(&s);
}
END_TEST

START_TEST(gap)
{
    struct subject s;

    toy_subject(&s);
    s.p.tiles[tile_of(&s.p, "kv", 2, 8)].out.c1 = 15;
    refuse_copy(&s, "plan: tiles of kv cover 94 elements, expected 96");
    s.p.tiles[tile_of(&s.p, "last", 0, 0)].out.c0 = 1;
    refuse_copy(&s, "plan: tiles of last cover 15 elements, expected 16");
    free_subject(&s);
}
END_TEST

/* Twice one element; and all of one tile, in place of another, so that the area is right. */
START_TEST(overlap)
{
    struct subject s;

    toy_subject(&s);
    s.p.tiles[tile_of(&s.p, "kv", 2, 8)].out.c0 = 7;
    refuse_copy(&s, "(kv rows 2:4 columns 7:16) overlaps another tile of its op");
    s.p.tiles[tile_of(&s.p, "kv", 4, 8)].out = s.p.tiles[tile_of(&s.p, "kv", 0, 0)].out;
    refuse_copy(&s, "(kv rows 0:2 columns 0:8) overlaps another tile of its op");
    free_subject(&s);
}
END_TEST

START_TEST(tile_of_another_op)
{
    struct subject s;

    toy_subject(&s);
    s.p.tiles[tile_of(&s.p, "kv", 0, 0)].op--;
    refuse_copy(&s, "names another op, or a home that is no worker");
    s.p.tiles[tile_of(&s.p, "kv", 0, 0)].home = 3;
    refuse_copy(&s, "names another op, or a home that is no worker");
    s.p.tiles[tile_of(&s.p, "kv", 0, 0)].home = 2;
    accept(&s.p);
    free_subject(&s);
}
END_TEST

/* A tile before or behind those of all ops would run like any other. The first op's tiles are then
 * numbered from 1, or the last op's end early. */
START_TEST(tile_of_no_op)
{
    const struct dg_cut one = {1, 4};
    struct toy_graph t;
    struct dg_plan *plan, p;

    toy_new(&t);
    toy_step(&t, "a", NULL, 2, 4, one, OWN_ROWS, OWN_COLS);
    plan = toy_plan(&t, 1);
    p = copy_plan(plan);
    p.op_first[0] = 1;
    p.tiles[1].out.r0 = 0;
    refuse(&p, "plan: ops have tiles 1:2, expected 0:2");
    free_copy(&p);
    p = copy_plan(plan);
    p.op_first[1] = 1;
    p.tiles[0].out.r1 = 2;
    refuse(&p, "plan: ops have tiles 0:1, expected 0:2");
    free_copy(&p);
    toy_free(&t, plan);
}
END_TEST

/* ---- edges ---- */

START_TEST(index_out_of_range)
{
    struct subject s;
    uint32_t q;
    char text[80];

    toy_subject(&s);
    q = tile_of(&s.p, "q", 2, 8);
    snprintf(text, sizeof text, "plan: node %u: successor %u out of range", q, s.p.n_nodes);
    s.p.next[s.p.nodes[q].first] = s.p.n_nodes;
    refuse_copy(&s, text);
    snprintf(text, sizeof text, "plan: node %u: successors out of range", q);
    s.p.nodes[q].first = (uint32_t)s.p.n_edges + 1;
    refuse_copy(&s, text);
    s.p.nodes[q].n_next = (uint32_t)s.p.n_edges - s.p.nodes[q].first + 1;
    refuse_copy(&s, text);
    s.p.nodes[q].n_next = UINT32_MAX;
    refuse_copy(&s, text);
    free_subject(&s);
}
END_TEST

START_TEST(edge_that_does_not_lead_up)
{
    const char *const text = "has an edge to a tile that is not after it";
    struct subject s;
    uint32_t q, mix;

    toy_subject(&s);
    q = tile_of(&s.p, "q", 2, 8);
    mix = tile_of(&s.p, "mix", 2, 8);
    find_edge(&s.p, q, mix);
    add_edge(&s.p, mix, q); /* a cycle of two */
    refuse_copy(&s, text);
    add_edge(&s.p, q, q);
    refuse_copy(&s, text);
    add_edge(&s.p, q, q - 1); /* no cycle, but not plan order */
    refuse_copy(&s, text);
    free_subject(&s);
}
END_TEST

/* The join between mix and fc of rows 2 and 3: 2 tiles before it, 8 behind it. */
START_TEST(join_that_does_not_lead_up)
{
    struct subject s;
    uint32_t left, right, fc, join;
    char text[80];

    toy_subject(&s);
    left = tile_of(&s.p, "mix", 2, 0);
    right = tile_of(&s.p, "mix", 2, 8);
    fc = tile_of(&s.p, "fc", 2, 0);
    join = join_after(&s.p, left);
    ck_assert_uint_eq(join, join_after(&s.p, right));
    snprintf(text, sizeof text, "plan: join %u leads to node %u, which is not after tile %u", join,
             left, right);
    add_edge(&s.p, join, left);
    refuse_copy(&s, text);
    snprintf(text, sizeof text, "join %u leads to node %u, which is not after tile %u", join, right,
             right);
    add_edge(&s.p, join, right);
    refuse_copy(&s, text);
    snprintf(text, sizeof text, "join %u leads to node %u, which is not after tile %u", join, fc,
             fc);
    add_edge(&s.p, fc, join); /* a cycle of one tile and the join */
    refuse_copy(&s, text);
    snprintf(text, sizeof text, "join %u leads to node %u", join, join + 1);
    add_edge(&s.p, join, join + 1); /* joins do not lead to joins */
    refuse_copy(&s, text);
    free_subject(&s);
}
END_TEST

static void refuse_waits(struct subject *s, uint32_t node)
{
    const uint32_t waits = s->good->nodes[node].waits;
    char text[80];

    for (uint32_t wrong = waits ? waits - 1 : waits + 1; wrong <= waits + 1; wrong += 2) {
        snprintf(text, sizeof text, "plan: node %u waits for %u, but %u edges lead to it", node,
                 wrong, waits);
        s->p.nodes[node].waits = wrong;
        refuse_copy(s, text);
    }
}

START_TEST(waits_too_high_or_too_low)
{
    struct subject s;

    toy_subject(&s);
    for (uint32_t n = 0; n < s.good->n_nodes; n++)
        refuse_waits(&s, n);
    free_subject(&s);
    gpt2_subject(&s);
    refuse_waits(&s, 0);
    refuse_waits(&s, tile_of(&s.p, "h1.attention", 4, 20));
    refuse_waits(&s, dg_plan_end(&s.p));
    free_subject(&s);
}
END_TEST

START_TEST(join_that_is_never_reached)
{
    struct subject s;
    uint32_t join;
    char text[80];

    toy_subject(&s);
    join = insert_join(&s.p);
    add_edge(&s.p, join, tile_of(&s.p, "last", 0, 0));
    snprintf(text, sizeof text, "plan: join %u is never reached", join);
    refuse_copy(&s, text);
    free_subject(&s);
}
END_TEST

/* sum's first rows lead to the end alone. */
START_TEST(node_that_leads_nowhere)
{
    struct subject s;
    uint32_t sum, join;
    char text[80];

    toy_subject(&s);
    sum = tile_of(&s.p, "sum", 0, 0);
    snprintf(text, sizeof text, "plan: node %u does not lead to the end", sum);
    drop_edge(&s.p, sum, dg_plan_end(&s.p));
    refuse_copy(&s, text);
    join = insert_join(&s.p);
    snprintf(text, sizeof text, "plan: node %u does not lead to the end", join);
    add_edge(&s.p, sum, join);
    refuse_copy(&s, text);
    free_subject(&s);
}
END_TEST

/* Whatever it leads to is not after the last tile. */
START_TEST(end_that_leads_on)
{
    struct subject s;
    uint32_t end;
    char text[80];

    toy_subject(&s);
    end = dg_plan_end(&s.p);
    for (uint32_t n = 0; n < s.good->n_nodes; n++) {
        snprintf(text, sizeof text, "plan: join %u leads to node %u, which is not after tile %u",
                 end, n, s.p.n_tiles - 1);
        add_edge(&s.p, end, n);
        refuse_copy(&s, text);
    }
    free_subject(&s);
}
END_TEST

/* More order than is needed is no fault: a second edge, a long way round, another join. */
START_TEST(needless_edges_pass)
{
    struct subject s;
    uint32_t join;

    toy_subject(&s);
    add_edge(&s.p, tile_of(&s.p, "q", 2, 8), tile_of(&s.p, "mix", 2, 8));
    accept(&s.p);
    add_edge(&s.p, tile_of(&s.p, "x", 0, 0), tile_of(&s.p, "last", 0, 0));
    accept(&s.p);
    add_edge(&s.p, tile_of(&s.p, "x", 0, 0), dg_plan_end(&s.p));
    accept(&s.p);
    join = insert_join(&s.p);
    add_edge(&s.p, tile_of(&s.p, "x", 0, 0), join);
    add_edge(&s.p, join, tile_of(&s.p, "kv", 4, 8));
    accept(&s.p);
    free_subject(&s);
}
END_TEST

/* ---- order ---- */

static void refuse_order(struct subject *s, uint32_t from, uint32_t to, const char *names)
{
    drop_order(&s->p, from, to);
    refuse_copy(s, names);
}

/* An edge of its own, before a join, and behind a join. Each is the only way between two tiles. */
START_TEST(edge_that_is_missing)
{
    struct subject s;
    uint32_t mix, fc;

    toy_subject(&s);
    spread(&s);
    mix = tile_of(&s.p, "mix", 2, 8);
    fc = tile_of(&s.p, "fc", 2, 28);
    refuse_order(&s, tile_of(&s.p, "q", 2, 8), mix,
                 "touch the same bytes of q and are not ordered");
    refuse_order(&s, mix, join_after(&s.p, mix), "touch the same bytes of mix and are not ordered");
    refuse_order(&s, join_after(&s.p, mix), fc, "touch the same bytes of mix and are not ordered");
    refuse_order(&s, tile_of(&s.p, "sum", 5, 0), tile_of(&s.p, "last", 0, 0),
                 "(last rows 0:1 columns 0:16) touch the same bytes of sum and are not ordered");
    free_subject(&s);
}
END_TEST

/* The way round stays: x -> ln -> ... -> sum beside x -> sum. */
START_TEST(edge_that_is_not_missed)
{
    struct subject s;

    toy_subject(&s);
    drop_order(&s.p, tile_of(&s.p, "x", 2, 0), tile_of(&s.p, "sum", 2, 0));
    accept(&s.p);
    free_subject(&s);
}
END_TEST

START_TEST(cache_read_before_it_is_written)
{
    struct subject s;

    toy_subject(&s);
    spread(&s);
    refuse_order(&s, tile_of(&s.p, "kv", 0, 8), tile_of(&s.p, "mix", 4, 8),
                 "touch the same bytes of kv and are not ordered");
    free_subject(&s);
    gpt2_subject(&s);
    spread(&s);
    refuse_order(&s, tile_of(&s.p, "h0.k", 0, 16), tile_of(&s.p, "h0.attention", 3, 16),
                 "touch the same bytes of h0.K and are not ordered");
    refuse_order(&s, tile_of(&s.p, "h1.v", 3, 0), tile_of(&s.p, "h1.attention", 3, 0),
                 "(h1.attention rows 3:6 columns 0:16) touch the same bytes of h1.V");
    free_subject(&s);
}
END_TEST

/* Every edge in turn: refused or accepted as tests/support/brute.h finds a clash or none. */
static void drop_each_edge(struct subject *s)
{
    uint64_t refused = 0;

    for (uint32_t n = 0; n < s->good->n_nodes; n++) {
        for (uint32_t i = 0; i < s->good->nodes[n].n_next; i++) {
            const uint32_t to = s->good->next[s->good->nodes[n].first + i];
            struct relation paths;
            struct dg_error err;
            bool clash;

            if (to == dg_plan_end(s->good))
                continue;
            drop_order(&s->p, n, to);
            paths = brute_paths(&s->p);
            clash = brute_clashes(&s->p, &paths);
            if (accepted(&s->p, &err) == clash)
                ck_abort_msg("without the edge from %u to %u: %s", n, to,
                             clash ? "accepted" : err.text);
            refused += clash;
            free(paths.bits);
            free_copy(&s->p);
            s->p = copy_plan(s->good);
        }
    }
    ck_assert_uint_gt(refused, s->good->n_edges / 3);
}

START_TEST(every_edge_of_a_toy_plan)
{
    struct subject s;

    toy_subject(&s);
    drop_each_edge(&s);
    free_subject(&s);
}
END_TEST

START_TEST(every_edge_of_a_gpt2_plan)
{
    struct subject s;

    gpt2_subject(&s);
    if (!sanitized()) /* 200 closures */
        drop_each_edge(&s);
    free_subject(&s);
}
END_TEST

/* ---- places ---- */

START_TEST(place_outside_the_arena)
{
    const char *const text = "plan: tensor sum is misaligned or outside the arena";
    struct subject s;
    uint64_t *sum;

    toy_subject(&s);
    s.good->arena_bytes += 1024; /* room to move */
    *offset_of(s.good, "sum") = s.good->arena_bytes - 6 * 16 * 4;
    free_copy(&s.p);
    s.p = copy_plan(s.good);
    accept(&s.p);
    *offset_of(&s.p, "sum") += 64;
    refuse_copy(&s, text);
    s.p.arena_bytes -= 1;
    refuse_copy(&s, text);
    *offset_of(&s.p, "sum") = UINT64_MAX / 64 * 64;
    refuse_copy(&s, text);
    for (uint64_t shift = 1; shift < 64; shift += shift) {
        sum = offset_of(&s.p, "sum");
        *sum -= shift; /* into the free room below it */
        refuse_copy(&s, text);
    }
    *offset_of(&s.p, "sum") -= 64;
    accept(&s.p);
    free_subject(&s);
}
END_TEST

START_TEST(arena_smaller_than_a_tensor)
{
    struct toy_graph t;
    struct dg_plan *plan;

    toy_new(&t);
    toy_step(&t, "a", NULL, 4, 16, (struct dg_cut){4, 16}, OWN_ROWS, OWN_COLS);
    plan = toy_plan(&t, 1);
    plan->arena_bytes -= 4;
    refuse(plan, "plan: tensor a is misaligned or outside the arena");
    plan->arena_bytes = 0;
    refuse(plan, "plan: tensor a is misaligned or outside the arena");
    toy_free(&t, plan);
}
END_TEST

/* x lives until sum, ln until q and kv; all of one shape. fc is twice as wide. */
START_TEST(two_that_live_at_once)
{
    struct subject s;

    toy_subject(&s);
    spread(&s);
    *offset_of(&s.p, "mix") = *offset_of(&s.p, "ln");
    refuse_copy(&s, "and are not ordered");
    *offset_of(&s.p, "mix") = *offset_of(&s.p, "x"); /* ordered, but sum would read mix for x */
    refuse_copy(&s, "(mix) writes over x, which tile ");
    *offset_of(&s.p, "last") = *offset_of(&s.p, "sum"); /* of different shapes, at one place */
    refuse_copy(&s, "and are not ordered");
    *offset_of(&s.p, "fc") = *offset_of(&s.p, "x") + 5 * 64; /* over the last row alone */
    refuse_copy(&s, "and are not ordered");
    *offset_of(&s.p, "mix") = *offset_of(&s.p, "q") + 64; /* one shape, one row further */
    refuse_copy(&s, "and are not ordered");
    free_subject(&s);
}
END_TEST

/* A tile that writes over what it reads: no other tile is in its way, but its kernel may be. */
START_TEST(tile_that_writes_over_its_input)
{
    const struct dg_cut rows = {1, 16};
    struct toy_graph t;
    struct dg_tensor *a;
    struct dg_plan *plan;

    toy_new(&t);
    a = toy_step(&t, "a", NULL, 3, 16, rows, OWN_ROWS, OWN_COLS);
    toy_step(&t, "b", a, 3, 16, rows, OWN_ROWS, EVERY_COL);
    plan = toy_plan(&t, 1);
    accept(plan);
    plan->offset[1] = plan->offset[0];
    refuse(plan, "plan: tile 3 (b) writes over a, which tile 3 (b) still reads");
    toy_free(&t, plan);
}
END_TEST

/* Does tensor i lie, where it overlaps another, exactly on one of its shape? */
static bool exactly_placed(const struct dg_plan *p, uint32_t i)
{
    const struct dg_tensor *t = p->graph->tensors;

    for (uint32_t k = 0; k < p->graph->n_tensors; k++) {
        const uint64_t a = p->offset[i], b = p->offset[k];

        if (k == i || t[k].role != DG_ACTIVATION || a >= b + dg_tensor_bytes(&t[k]) ||
            b >= a + dg_tensor_bytes(&t[i]))
            continue;
        if (a != b || t[i].cols != t[k].cols)
            return false;
    }
    return true;
}

/* Every activation in turn at every place: a clash is refused, and a place without one is accepted
 * where shapes agree. (Where they do not, the checker may see more than there is.) */
static void move_each_tensor(struct subject *s)
{
    struct relation paths = brute_paths(s->good);
    uint64_t refused = 0, passed = 0;

    for (uint32_t i = 0; i < s->good->graph->n_tensors; i++) {
        const struct dg_tensor *t = &s->good->graph->tensors[i];
        const uint64_t bytes = dg_tensor_bytes(t), own = s->good->offset[i];

        if (t->role != DG_ACTIVATION)
            continue;
        for (uint64_t at = 0; at + bytes <= s->good->arena_bytes; at += 64) {
            struct dg_error err;
            bool clash, ok;

            s->p.offset[i] = at;
            clash = brute_clashes(&s->p, &paths);
            ok = accepted(&s->p, &err);
            if (ok == clash && (clash || exactly_placed(&s->p, i)))
                ck_abort_msg("%s at %" PRIu64 ": %s", t->name, at, clash ? "accepted" : err.text);
            refused += !ok;
            passed += ok && at != own;
        }
        s->p.offset[i] = own;
    }
    ck_assert_uint_gt(refused, 20);
    ck_assert_uint_gt(passed, 0);
    free(paths.bits);
}

START_TEST(every_place_of_every_tensor)
{
    struct subject s;

    toy_subject(&s);
    move_each_tensor(&s);
    free_subject(&s);
}
END_TEST

/* ---- plans at random ---- */

enum { SLOTS = 3, SLOT_ROWS = 8, SLOT_COLS = 16, SLOT_BYTES = 4 * SLOT_ROWS * SLOT_COLS };

/* Up to nine ops of a few tiles, each reading some of the last tensors. */
static void random_subject(struct subject *s, uint64_t *state)
{
    const uint32_t n = 3 + random_below(state, 7);

    *s = (struct subject){0};
    toy_new(&s->t);
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t rows = random_below(state, 4) ? SLOT_ROWS / 2 : SLOT_ROWS;
        struct dg_tensor *out = toy_tensor(&s->t, DG_ACTIVATION, "t", rows, SLOT_COLS);
        struct dg_op *op = toy_op(&s->t, "op", out, rows / (1 + random_below(state, 2)),
                                  8 << random_below(state, 2));

        for (uint32_t k = random_below(state, 3); i > 0 && k > 0; k--) {
            struct dg_tensor *in = out - 1 - random_below(state, i < 3 ? i : 3);
            const bool all = in->rows < rows || random_below(state, 2);

            toy_read(&s->t, op, in, all ? EVERY_ROW : OWN_ROWS,
                     random_below(state, 2) ? EVERY_COL : OWN_COLS);
        }
    }
    s->good = toy_plan(&s->t, 1);
    s->p = copy_plan(s->good);
}

/* Some ops write what one before them has written, as in a plan over ranks. */
static void write_again(struct subject *s, uint64_t *state)
{
    struct dg_graph *g = s->t.g;

    for (uint32_t i = 1; i < g->n_ops; i++) {
        struct dg_tensor *other = g->ops[random_below(state, i)].out;
        bool reads = false;

        for (unsigned k = 0; k < g->ops[i].n_in; k++)
            reads = reads || g->ops[i].in[k] == other;
        if (random_below(state, 4) == 0 && other->rows == g->ops[i].out->rows && !reads)
            g->ops[i].out = other;
    }
    dg_graph_link(g);
}

/* Each tile after the one before it, but for a few; activations anywhere in a few slots. */
static void disorder(struct subject *s, uint64_t *state)
{
    struct dg_plan *p = &s->p;

    for (uint32_t i = 0; i < p->graph->n_tensors; i++)
        p->offset[i] = SLOT_BYTES * random_below(state, SLOTS) +
                       (random_below(state, 6) ? 0 : 64 * random_below(state, SLOT_ROWS / 2));
    p->arena_bytes = (SLOTS + 1) * SLOT_BYTES;
    for (uint32_t t = 0; t + 1 < p->n_tiles; t++)
        if (random_below(state, p->n_tiles))
            add_edge(p, t, t + 1);
}

/* No clash that tests/support/brute.h finds passes, and some plans pass. */
START_TEST(random_plans)
{
    const uint32_t n = sanitized() ? 2000 : 40000;
    uint32_t passed = 0, clashes = 0;

    for (uint32_t i = 0; i < n; i++) {
        uint64_t state = (uint64_t)i << 32; /* a failure repeats alone with its i */
        struct relation paths;
        struct dg_error err;
        struct subject s;
        bool clash, ok;

        random_subject(&s, &state);
        write_again(&s, &state);
        disorder(&s, &state);
        paths = brute_paths(&s.p);
        clash = brute_clashes(&s.p, &paths);
        ok = accepted(&s.p, &err);
        if (ok && clash)
            ck_abort_msg("plan %u: a clash is accepted", i);
        passed += ok;
        clashes += clash;
        free(paths.bits);
        free_subject(&s);
    }
    ck_assert_uint_gt(passed, n / 20);
    ck_assert_uint_gt(clashes, n / 20);
}
END_TEST

/* ---- plans of several strips (4096 tiles each) ---- */

enum { STRIP = 512, LONG = 2500 };

/* a, b and d, e are chains of rows; between b and d all rows meet in a join before c's two tiles.
 * Tiles: a 0, b 2500, c 5000, d 5002, e 7502 ... 10001. */
static void long_subject(struct subject *s)
{
    const struct dg_cut row = {1, 1};
    struct dg_tensor *b, *c;
    struct toy_graph *t = &s->t;

    *s = (struct subject){0};
    toy_new(t);
    b = toy_step(t, "a", NULL, LONG, 1, row, OWN_ROWS, OWN_COLS);
    b = toy_step(t, "b", b, LONG, 1, row, OWN_ROWS, OWN_COLS);
    c = toy_step(t, "c", b, LONG, 2, (struct dg_cut){LONG / 2, 2}, EVERY_ROW, EVERY_COL);
    b = toy_step(t, "d", c, LONG, 1, row, OWN_ROWS, EVERY_COL);
    toy_step(t, "e", b, LONG, 1, row, OWN_ROWS, OWN_COLS);
    s->good = toy_plan(t, 1);
    s->p = copy_plan(s->good);
}

static void refuse_long(struct subject *s, uint32_t from, uint32_t to, const char *text)
{
    drop_order(&s->p, from, to);
    refuse_copy(s, text);
}

START_TEST(several_strips)
{
    struct subject s;
    uint32_t join;

    long_subject(&s);
    accept(&s.p);
    spread(&s);
    ck_assert_uint_eq(s.good->n_tiles, 4 * LONG + 2);
    join = join_after(&s.p, LONG);
    accept(&s.p);
    /* From strip to strip, near and far; within one. */
    refuse_long(&s, 2000, LONG + 2000, "tiles 2000 (a) and 4500 (b rows 2000:2001 ");
    refuse_long(&s, 5000, 5102, "tiles 5000 (c) and 5102 (d rows 100:101 ");
    refuse_long(&s, 7000, 9500, "tiles 7000 (d) and 9500 (e rows 1998:1999 ");
    /* Through the join: before it from two strips, and behind it. */
    refuse_long(&s, LONG + 100, join, "tiles 2600 (b) and 5000 (c rows 0:1250 ");
    refuse_long(&s, LONG + 2000, join, "tiles 4500 (b) and 5000 (c rows 0:1250 ");
    refuse_long(&s, join, 5001, "tiles 2500 (b) and 5001 (c rows 1250:2500 ");
    free_subject(&s);
}
END_TEST

/* The last tile of a strip, the first of the next, and a plan that ends with a strip. */
START_TEST(ends_of_strips)
{
    const struct dg_cut row = {1, 1};
    struct dg_tensor *a;
    struct subject s = {0};

    toy_new(&s.t);
    a = toy_step(&s.t, "a", NULL, STRIP, 1, row, OWN_ROWS, OWN_COLS);
    a = toy_step(&s.t, "b", a, STRIP, 1, row, OWN_ROWS, OWN_COLS);
    toy_step(&s.t, "c", a, STRIP, 1, row, OWN_ROWS, OWN_COLS);
    s.good = toy_plan(&s.t, 1);
    s.p = copy_plan(s.good);
    spread(&s);
    accept(&s.p);
    refuse_long(&s, 0, STRIP, "tiles 0 (a) and 512 (b rows 0:1 ");
    refuse_long(&s, STRIP - 1, 2 * STRIP - 1, "tiles 511 (a) and 1023 (b rows 511:512 ");
    refuse_long(&s, STRIP, 2 * STRIP, "tiles 512 (b) and 1024 (c rows 0:1 ");
    refuse_long(&s, 2 * STRIP - 1, 3 * STRIP - 1, "tiles 1023 (b) and 1535 (c rows 511:512 ");
    free_subject(&s);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {good_plans_pass,
                                  proof_counts,
                                  box_that_is_none,
                                  gap,
                                  overlap,
                                  tile_of_another_op,
                                  tile_of_no_op,
                                  index_out_of_range,
                                  edge_that_does_not_lead_up,
                                  join_that_does_not_lead_up,
                                  waits_too_high_or_too_low,
                                  join_that_is_never_reached,
                                  node_that_leads_nowhere,
                                  end_that_leads_on,
                                  needless_edges_pass,
                                  edge_that_is_missing,
                                  edge_that_is_not_missed,
                                  cache_read_before_it_is_written,
                                  every_edge_of_a_toy_plan,
                                  every_edge_of_a_gpt2_plan,
                                  place_outside_the_arena,
                                  arena_smaller_than_a_tensor,
                                  two_that_live_at_once,
                                  tile_that_writes_over_its_input,
                                  every_place_of_every_tensor,
                                  random_plans,
                                  several_strips,
                                  ends_of_strips,
                                  NULL};

    return run_suite("plan_check", tests);
}
