/* Tiles are placed from the last to the first: who wants a tile's output is known then. */
#include "ranks.h"
#include "../base/arena.h"
#include "../base/checked.h"

#include <stdlib.h>
#include <string.h>

const char *dg_placing_name(enum dg_placing how)
{
    static const char *const names[DG_N_PLACINGS] = {"layers", "columns", "both"};

    return names[how];
}

/* ---- stages ---- */

static uint32_t count_layers(const struct dg_graph *g)
{
    int most = -1;

    for (unsigned i = 0; i < g->n_ops; i++)
        most = g->ops[i].layer > most ? g->ops[i].layer : most;
    return (uint32_t)(most + 1);
}

/* The unit of an op: 0 before the layers, 1 ... layers, behind them. `begun`: an op of a layer has come. */
static uint32_t unit_of(const struct dg_op *op, uint32_t n_units, bool begun)
{
    return op->layer >= 0 ? (uint32_t)op->layer + 1 : begun ? n_units - 1 : 0;
}

/* Of the weights that the unit's ops read. */
static void weigh(const struct dg_graph *g, uint64_t *bytes, uint32_t n_units)
{
    bool begun = false;

    for (unsigned i = 0; i < g->n_ops; i++) {
        const struct dg_op *op = &g->ops[i];

        begun |= op->layer >= 0;
        for (unsigned k = 0; k < op->n_in; k++)
            if (op->in[k]->role == DG_WEIGHT)
                bytes[unit_of(op, n_units, begun)] += dg_tensor_bytes(op->in[k]);
    }
}

/* Stages, the ranks of each, and what they may take. */
struct stages {
    uint32_t n;
    const struct dg_span *ranks; /* [n] */
    uint64_t share;              /* bytes that one rank takes */
};

/* Deals units, in order, each to the stage at hand while that has room; stage_of[] are the stages. Every stage gets
 * one, where there are as many. False: more stages would be needed. */
static bool deal(const struct stages *s, const uint64_t *bytes, uint32_t n_units,
                 uint32_t *stage_of)
{
    uint64_t taken = 0;
    uint32_t stage = 0;

    for (uint32_t u = 0; u < n_units; u++) {
        const bool full = taken + bytes[u] > s->share * s->ranks[stage].n;
        const bool kept =
            n_units - u < s->n - stage; /* the last ones are for the stages that follow */

        if (u > 0 && (full || kept)) {
            if (stage + 1 == s->n)
                return false;
            stage++;
            taken = 0;
        }
        taken += bytes[u];
        if (taken > s->share * s->ranks[stage].n)
            return false;
        stage_of[u] = stage;
    }
    return true;
}

/* The least share with which the stages have room for all. */
static void balance(struct stages *s, const uint64_t *bytes, uint32_t n_units, uint32_t *stage_of)
{
    uint64_t low = 0, high = 0; /* too little, enough */

    for (uint32_t u = 0; u < n_units; u++)
        high += bytes[u];
    while (low < high) {
        s->share = low + (high - low) / 2;
        if (deal(s, bytes, n_units, stage_of))
            high = s->share;
        else
            low = s->share + 1;
    }
    s->share = high;
    deal(s, bytes, n_units, stage_of);
}

static uint32_t count_stages(enum dg_placing how, uint32_t ranks)
{
    uint32_t n = 1;

    if (how == DG_PLACE_LAYERS)
        return ranks;
    while (how == DG_PLACE_BOTH && (n + 1) * (n + 1) <= ranks)
        n++;
    return n;
}

static bool make_stages(struct dg_placement *p, const struct dg_graph *g)
{
    struct stages s = {.n = count_stages(p->how, p->ranks)};
    struct dg_span *ranks = calloc(s.n, sizeof *ranks);
    uint64_t *bytes = calloc(p->n_units, sizeof *bytes);
    uint32_t *stage_of = calloc(p->n_units, sizeof *stage_of);
    const bool ok = ranks && bytes && stage_of;

    s.ranks = ranks;
    for (uint32_t i = 0; ok && i < s.n; i++) {
        ranks[i].first = i * p->ranks / s.n;
        ranks[i].n = (i + 1) * p->ranks / s.n - ranks[i].first;
    }
    if (ok) {
        weigh(g, bytes, p->n_units);
        balance(&s, bytes, p->n_units, stage_of);
        for (uint32_t u = 0; u < p->n_units; u++)
            p->ranks_of[u] = ranks[stage_of[u]];
    }
    free(ranks);
    free(bytes);
    free(stage_of);
    return ok;
}

enum dg_status dg_placement_new(struct dg_placement **out, const struct dg_graph *g,
                                enum dg_placing how, uint32_t ranks, struct dg_error *err)
{
    struct dg_arena *arena;
    struct dg_placement *p;

    if (ranks < 1 || ranks > DG_MAX_RANKS)
        return dg_fail(err, DG_ERR_USAGE, "ranks: got %u, expected 1 to %d", ranks, DG_MAX_RANKS);
    arena = dg_arena_new();
    p = arena ? dg_arena_alloc(arena, sizeof *p) : NULL;
    if (p) {
        *p = (struct dg_placement){how, ranks, count_layers(g) + 2, NULL, arena};
        p->ranks_of = dg_arena_array(arena, p->n_units, sizeof *p->ranks_of);
    }
    if (!p || !p->ranks_of || !make_stages(p, g)) {
        dg_arena_free(arena);
        return dg_fail_memory(err, "a placement", sizeof *p);
    }
    *out = p;
    return DG_OK;
}

void dg_placement_free(struct dg_placement *p)
{
    if (p)
        dg_arena_free(p->arena); /* p itself lies in it */
}

/* ---- tiles ---- */

/* A column of its output is a row of a weight. */
static bool is_product(const struct dg_op *op)
{
    for (unsigned k = 0; k < op->n_in; k++)
        if (op->in[k]->role == DG_WEIGHT && op->in[k]->layout == DG_PANELS &&
            op->in[k]->rows == op->out->cols)
            return true;
    return false;
}

static void include(uint64_t *set, uint32_t rank)
{
    set[rank / 64] |= (uint64_t)1 << rank % 64;
}

/* The ranks that may run a tile, some of its unit's. */
static void add_allowed(const struct dg_op *op, struct dg_box out, struct dg_span unit,
                        uint64_t *set)
{
    const uint64_t cols = op->out->cols, heads = op->heads;

    if (heads >
        0) /* the columns may be of heads that are on different ranks: each of those has them */
        for (uint64_t h = out.c0 / (cols / heads); h * (cols / heads) < out.c1; h++)
            include(set, unit.first + (uint32_t)(h * unit.n / heads));
    else if (is_product(op))
        include(set, unit.first + (uint32_t)((uint64_t)out.c0 * unit.n / cols));
    else
        for (uint32_t r = 0; r < unit.n; r++)
            include(set, unit.first + r);
}

/* What it writes is gone after the step, so that it need not run where nobody wants it. */
static bool only_where_wanted(const struct dg_op *op)
{
    return op->out->role == DG_ACTIVATION || op->out->role == DG_WEIGHT;
}

struct placing {
    const struct dg_plan *plan;
    const struct dg_placement *placement;
    struct dg_placed *placed;
    bool *known; /* [n_joins] its set has been made */
};

static uint64_t *set_of(const struct dg_placed *p, uint32_t node)
{
    return p->at + (size_t)node * p->words;
}

/* The ranks where a node that `node` leads to is. */
static void add_wanting(const struct placing *w, uint32_t node, uint64_t *set)
{
    const struct dg_plan *plan = w->plan;
    const struct dg_node *from = &plan->nodes[node];

    for (uint32_t i = 0; i < from->n_next; i++) {
        const uint32_t to = plan->next[from->first + i];

        if (to >= plan->n_tiles && !w->known[to - plan->n_tiles]) {
            w->known[to - plan->n_tiles] = true; /* it leads to tiles alone, which are all placed */
            add_wanting(w, to, set_of(w->placed, to));
        }
        for (uint32_t k = 0; k < w->placed->words; k++)
            set[k] |= set_of(w->placed, to)[k];
    }
}

static void place_tile(const struct placing *w, uint32_t tile, struct dg_span unit)
{
    const struct dg_op *op = dg_tile_op(w->plan, tile);
    uint64_t allowed[DG_MAX_RANKS / 64] = {0}, *set = set_of(w->placed, tile), any = 0;
    uint32_t first = 0;

    add_wanting(w, tile, set);
    if (op->type->loads)
        return;
    add_allowed(op, w->plan->tiles[tile].out, unit, allowed);
    for (uint32_t k = 0; k < w->placed->words; k++) {
        set[k] = only_where_wanted(op) ? set[k] & allowed[k] : allowed[k];
        any |= set[k];
    }
    while (!(allowed[first / 64] >> first % 64 & 1))
        first++;
    if (!any)
        include(set, first);
}

/* unit[] of each op. */
static void find_units(const struct dg_graph *g, uint32_t n_units, uint32_t *unit)
{
    bool begun = false;

    for (unsigned i = 0; i < g->n_ops; i++) {
        begun |= g->ops[i].layer >= 0;
        unit[i] = unit_of(&g->ops[i], n_units, begun);
    }
}

/* Does a rank run one of the tiles of a row block, from the tile `first` of its op on? */
static bool has_piece(const struct dg_placed *p, const struct dg_plan *plan, uint32_t first,
                      uint32_t rank)
{
    const uint32_t last = plan->op_first[plan->tiles[first].op + 1],
                   row = plan->tiles[first].out.r0;
    uint32_t t = first;

    while (t < last && plan->tiles[t].out.r0 == row && !dg_is_placed(p, t, rank))
        t++;
    return t < last && plan->tiles[t].out.r0 == row;
}

/* Does each rank of the unit run a tile of each row block of the op? */
static bool is_even(const struct dg_placed *p, const struct dg_plan *plan, uint32_t op,
                    struct dg_span unit)
{
    for (uint32_t t = plan->op_first[op]; t < plan->op_first[op + 1]; t++) {
        if (t > plan->op_first[op] && plan->tiles[t].out.r0 == plan->tiles[t - 1].out.r0)
            continue;
        for (uint32_t r = 0; r < unit.n; r++)
            if (!has_piece(p, plan, t, unit.first + r))
                return false;
    }
    return true;
}

enum dg_status dg_place_tiles(struct dg_placed *out, const struct dg_placement *p,
                              const struct dg_plan *plan, struct dg_error *err)
{
    const struct placing w = {plan, p, out, calloc(plan->n_joins, sizeof *w.known)};
    uint32_t *unit = calloc(plan->graph->n_ops, sizeof *unit);
    enum dg_status st = DG_OK;

    out->ranks = p->ranks;
    out->words = (uint32_t)dg_div_up(p->ranks, 64);
    out->at = calloc((size_t)plan->n_nodes * out->words, sizeof *out->at);
    if (w.known && unit && out->at) {
        w.known[plan->n_joins - 1] = true; /* `end` wants nothing */
        find_units(plan->graph, p->n_units, unit);
        for (uint32_t t = plan->n_tiles; t-- > 0;)
            place_tile(&w, t, p->ranks_of[unit[plan->tiles[t].op]]);
        out->even = true;
        for (uint32_t i = 0; i < plan->graph->n_ops && out->even; i++)
            if (plan->graph->ops[i].heads > 0 || is_product(&plan->graph->ops[i]))
                out->even = is_even(out, plan, i, p->ranks_of[unit[i]]);
    } else {
        st = dg_fail_memory(err, "a placement", (size_t)plan->n_nodes * out->words * 8);
        dg_placed_free(out);
    }
    free(w.known);
    free(unit);
    return st;
}

void dg_placed_free(struct dg_placed *p)
{
    free(p->at);
    p->at = NULL;
}
