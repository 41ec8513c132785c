/* How a plan is made: cut every op into tiles; for every tile, find the tiles that write what it
 * reads; turn dense edge sets into joins; sort the edges by their source; place the activations.
 *
 * The search for writers compares boxes pairwise, tiles of a reader with tiles of the writer. That
 * is quadratic in the tiles of one op, a few hundred at the most, and knows nothing of how an op
 * was cut: the plan of 124M's decode step takes about a millisecond. */
#include "plan.h"
#include "../base/arena.h"
#include "../base/checked.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct builder {
    struct dg_plan *plan;
    struct dg_edges edges;
    uint32_t n_joins;
    uint32_t *seen;  /* the writers of the tile at hand; room for all tiles */
    uint32_t *group; /* the writers that tiles first ... of one group share */
};

/* Rows of a tile when nobody asks for another number. A short step is not cut: its tiles differ by
 * columns. A long one is cut into equal blocks: at least two, so that blocks in different layers
 * overlap; enough that the tiles of an op, a dozen to a block, go round among many workers; and else
 * as few as possible, since each block reads all weights anew (docs/performance.md). */
enum { UNCUT = 64, BLOCK_MOST = 256, BLOCK_LEAST = 16, WORKERS_A_BLOCK = 4 };

static uint32_t default_row_block(uint32_t rows, uint32_t workers)
{
    const uint32_t crowd = (uint32_t)dg_div_up(workers, WORKERS_A_BLOCK);
    uint32_t blocks = (uint32_t)dg_div_up(rows, BLOCK_MOST), block;

    if (blocks == 1 && rows > UNCUT)
        blocks = 2;
    if (blocks < crowd)
        blocks = crowd;
    block = (uint32_t)dg_div_up(rows, blocks);
    return block < BLOCK_LEAST ? BLOCK_LEAST : block;
}

/* The tiling that op is cut with: every 0 replaced. */
static struct dg_tiling tiling_of(const struct dg_plan *plan, const struct dg_op *op)
{
    struct dg_tiling t = plan->tiling;

    if (t.row_block == 0)
        t.row_block = default_row_block(op->out->rows, t.workers);
    if (t.row_block > op->out->rows)
        t.row_block = op->out->rows;
    return t;
}

static uint64_t count_tiles(const struct dg_tensor *t, struct dg_cut cut)
{
    return (uint64_t)dg_div_up(t->rows, cut.rows) * dg_div_up(t->cols, cut.cols);
}

/* One op's tiles, row block by row block, from tiles[at]. */
static void cut_op(struct dg_plan *plan, uint32_t op, uint32_t at, struct dg_cut cut)
{
    const struct dg_tensor *t = plan->graph->ops[op].out;
    const uint32_t n = (uint32_t)count_tiles(t, cut);
    const bool several = t->rows > cut.rows;

    for (uint32_t r = 0, i = 0; r < t->rows; r += cut.rows) {
        for (uint32_t c = 0; c < t->cols; c += cut.cols, i++) {
            struct dg_tile *tile = &plan->tiles[at + i];

            tile->op = op;
            tile->out.r0 = r;
            tile->out.r1 = cut.rows < t->rows - r ? r + cut.rows : t->rows;
            tile->out.c0 = c;
            tile->out.c1 = cut.cols < t->cols - c ? c + cut.cols : t->cols;
            tile->home = dg_home(i, n, r / cut.rows, several, plan->tiling.workers);
        }
    }
}

static enum dg_status cut_graph(struct dg_plan *plan, struct dg_error *err)
{
    const struct dg_graph *g = plan->graph;
    struct dg_cut *cuts = calloc(g->n_ops + 1, sizeof *cuts);
    enum dg_status st = DG_ERR_RESOURCE;
    uint64_t n = 0;

    plan->op_first = dg_arena_array(plan->arena, g->n_ops + 1, sizeof *plan->op_first);
    if (!cuts || !plan->op_first)
        goto out;
    for (unsigned i = 0; i < g->n_ops; i++) {
        const struct dg_op *op = &g->ops[i];
        const struct dg_tiling tiling = tiling_of(plan, op);
        uint64_t scratch;

        cuts[i] = op->type->split(op, &tiling);
        plan->op_first[i] = (uint32_t)n;
        n += count_tiles(op->out, cuts[i]);
        if (n > UINT32_MAX / 4) {
            free(cuts);
            return dg_fail(err, DG_ERR_RESOURCE, "plan: more tiles than %u", UINT32_MAX / 4);
        }
        scratch = op->type->scratch ? op->type->scratch(op, cuts[i]) : 0;
        if (scratch > plan->scratch_bytes)
            plan->scratch_bytes = scratch;
    }
    plan->op_first[g->n_ops] = plan->n_tiles = (uint32_t)n;
    plan->tiles = dg_arena_array(plan->arena, plan->n_tiles, sizeof *plan->tiles);
    if (!plan->tiles)
        goto out;
    for (unsigned i = 0; i < g->n_ops; i++)
        cut_op(plan, i, plan->op_first[i], cuts[i]);
    st = DG_OK;
out:
    free(cuts);
    return st == DG_OK ? DG_OK : dg_fail_memory(err, "a plan", (size_t)n * sizeof *plan->tiles);
}

/* Tiles first ... last - 1 all wait for the n tiles in group[]. */
static bool connect_group(struct builder *b, uint32_t n, uint32_t first, uint32_t last)
{
    const uint64_t readers = last - first;
    uint32_t join;

    if (n * readers <= n + readers) {
        for (uint32_t t = first; t < last; t++)
            for (uint32_t i = 0; i < n; i++)
                if (!dg_edges_add(&b->edges, b->group[i], t))
                    return false;
        return true;
    }
    join = b->plan->n_tiles + b->n_joins++;
    for (uint32_t i = 0; i < n; i++)
        if (!dg_edges_add(&b->edges, b->group[i], join))
            return false;
    for (uint32_t t = first; t < last; t++)
        if (!dg_edges_add(&b->edges, join, t))
            return false;
    return true;
}

/* The first tile of an op whose rows end behind `row`; tiles stand by rows (cut_op). */
static uint32_t find_row(const struct dg_plan *plan, uint32_t op, uint32_t row)
{
    uint32_t low = plan->op_first[op], high = plan->op_first[op + 1];

    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;

        if (plan->tiles[middle].out.r1 > row)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* The tiles of `writer` that write what `box` covers, ascending, to seen[]; returns how many. */
static uint32_t find_writers(struct builder *b, uint32_t writer, struct dg_box box)
{
    const struct dg_plan *plan = b->plan;
    const uint32_t last = plan->op_first[writer + 1];
    uint32_t n = 0;

    for (uint32_t t = find_row(plan, writer, box.r0); t < last && plan->tiles[t].out.r0 < box.r1;
         t++)
        if (dg_box_meets(plan->tiles[t].out, box))
            b->seen[n++] = t;
    return n;
}

/* The edges of input i of an op. Neighbouring tiles with the same writers form a group. */
static bool connect_input(struct builder *b, uint32_t op_index, unsigned i, uint32_t writer)
{
    const struct dg_plan *plan = b->plan;
    const struct dg_op *op = &plan->graph->ops[op_index];
    const uint32_t last = plan->op_first[op_index + 1];
    uint32_t first = plan->op_first[op_index], n = 0;

    for (uint32_t t = first; t < last; t++) {
        const uint32_t m = find_writers(b, writer, op->type->reads(op, i, plan->tiles[t].out));

        if (t > first && m == n && memcmp(b->seen, b->group, m * sizeof *b->seen) == 0)
            continue;
        if (!connect_group(b, n, first, t))
            return false;
        first = t;
        n = m;
        memcpy(b->group, b->seen, m * sizeof *b->seen);
    }
    return connect_group(b, n, first, last);
}

static bool derive_edges(struct builder *b)
{
    const struct dg_graph *g = b->plan->graph;

    b->seen = calloc(b->plan->n_tiles + 1, sizeof *b->seen);
    b->group = calloc(b->plan->n_tiles + 1, sizeof *b->group);
    if (!b->seen || !b->group)
        return false;
    for (unsigned i = 0; i < g->n_ops; i++) {
        for (unsigned k = 0; k < g->ops[i].n_in; k++) {
            const struct dg_op *writer = dg_graph_writer(g, g->ops[i].in[k]);

            if (writer && !connect_input(b, i, k, (uint32_t)(writer - g->ops)))
                return false;
        }
    }
    return true;
}

enum dg_status dg_plan_new(struct dg_plan **out, struct dg_graph *graph,
                           const struct dg_tiling *tiling, struct dg_error *err)
{
    struct dg_arena *arena = dg_arena_new();
    struct dg_plan *plan = arena ? dg_arena_alloc(arena, sizeof *plan) : NULL;
    struct builder b = {.plan = plan};
    enum dg_status st;

    assert(graph->n_ops > 0 && graph->linked && tiling->workers > 0);
    if (!plan) {
        dg_arena_free(arena);
        return dg_fail_memory(err, "a plan", sizeof *plan);
    }
    plan->arena = arena;
    plan->graph = graph;
    plan->tiling = *tiling;
    st = cut_graph(plan, err);
    if (st == DG_OK &&
        !(derive_edges(&b) && dg_edges_end(&b.edges, plan, plan->n_tiles + b.n_joins) &&
          dg_edges_store(&b.edges, plan, b.n_joins + 1) && dg_plan_place(plan)))
        st = dg_fail_memory(err, "a plan", (b.edges.n + plan->n_tiles) * sizeof *b.edges.list);
    dg_edges_free(&b.edges);
    free(b.seen);
    free(b.group);
    if (st == DG_OK)
        *out = plan;
    else
        dg_plan_free(plan);
    return st;
}

void dg_plan_free(struct dg_plan *plan)
{
    if (plan)
        dg_arena_free(plan->arena); /* plan itself lies in it */
}

enum dg_status dg_plan_allocate(struct dg_plan *plan, struct dg_arena *arena, struct dg_error *err)
{
    void *memory = dg_arena_alloc(arena, dg_size(plan->arena_bytes));

    if (!memory)
        return dg_fail_memory(err, "activations", dg_size(plan->arena_bytes));
    dg_plan_use(plan, memory);
    return DG_OK;
}

void dg_plan_use(struct dg_plan *plan, void *memory)
{
    for (unsigned i = 0; i < plan->graph->n_tensors; i++) {
        struct dg_tensor *t = &plan->graph->tensors[i];

        if (t->role == DG_ACTIVATION)
            t->data = (char *)memory + plan->offset[i];
    }
}
