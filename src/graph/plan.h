/* plan.h - a graph cut into tiles: who waits for whom, and where the activations lie.
 *
 * A plan is a DAG of nodes. The first n_tiles nodes are tiles, in an order in which each comes
 * after all that it waits for; then come n_joins joins, which do no work: a join stands for a dense
 * many-to-many set of edges, P tiles that C tiles all wait for, with P + C edges instead of P * C.
 * The last join is `end`: it waits for every tile that nothing else waits for.
 *
 * Edges are derived, never wired by hand: a tile waits for exactly the tiles whose boxes meet the
 * boxes that it reads.
 *
 * Invariants (dg_plan_check() executes them):
 *   tiles of an op partition its output;
 *   waits(node) = number of edges that lead to it;
 *   an edge leads from a lower tile to a higher one, also through a join;
 *   every tile is reached from a tile that waits for nothing, and leads to `end`;
 *   two tiles that touch the same bytes, one of them writing, are ordered by a path;
 *   what a tile reads has not been written over by then.
 *
 * Memory:  a plan owns its arrays; it borrows the graph, whose op and tensor structs it points to.
 * Threads: built by one; read-only while steps run. */
#ifndef DG_GRAPH_PLAN_H
#define DG_GRAPH_PLAN_H

#include "graph.h"

#define DG_NO_TILE UINT32_MAX /* where the index of a tile may stand */

struct dg_tile {
    uint32_t op;   /* index in graph->ops */
    uint32_t home; /* the worker that should run it, < tiling.workers: a hint */
    struct dg_box out;
};

struct dg_node {
    uint32_t waits; /* inputs: how many nodes must finish first */
    uint32_t first; /* its successors are next[first ... first + n_next - 1] */
    uint32_t n_next;
};

struct dg_plan {
    struct dg_graph *graph;
    struct dg_tiling tiling;
    uint32_t n_tiles, n_joins, n_nodes; /* n_nodes = n_tiles + n_joins */
    uint64_t n_edges;
    struct dg_tile *tiles;  /* [n_tiles] */
    struct dg_node *nodes;  /* [n_nodes] */
    uint32_t *next;         /* [n_edges] node indices */
    uint32_t *op_first;     /* [n_ops + 1]: op i has tiles op_first[i] ... op_first[i + 1] - 1 */
    uint64_t *offset;       /* [n_tensors] of an activation: its place in the arena, in bytes */
    uint64_t arena_bytes;   /* of all activations */
    uint64_t scratch_bytes; /* per worker: the largest that a tile asks for */
    struct dg_arena *arena;
};

/* Cuts, derives, places. The graph must have passed dg_graph_check(). tiling: row_block and
 * col_block may be 0. Allocates nothing for activations yet. */
enum dg_status dg_plan_new(struct dg_plan **out, struct dg_graph *graph,
                           const struct dg_tiling *tiling, struct dg_error *err);
void dg_plan_free(struct dg_plan *plan); /* takes NULL; the graph stays */

/* Allocates the activations, from `arena`, and points the graph's tensors at them. */
enum dg_status dg_plan_allocate(struct dg_plan *plan, struct dg_arena *arena, struct dg_error *err);

/* The same in memory that there is: arena_bytes, 64-byte aligned. Plans that run one after the other may use
 * the same, since nothing in it outlives a step. */
void dg_plan_use(struct dg_plan *plan, void *memory);

/* The home of tile i of an op's n, which lies in row block `block`. An op of several row blocks gives
 * a block's tiles one home, so that its activations stay in one worker's cache; an op of one gives
 * each worker a contiguous share of the weights. */
static inline uint32_t dg_home(uint32_t i, uint32_t n, uint32_t block, bool several,
                               uint32_t workers)
{
    return several ? block % workers : (uint32_t)((uint64_t)i * workers / n);
}

static inline uint32_t dg_plan_end(const struct dg_plan *plan)
{
    return plan->n_nodes - 1;
}

static inline const struct dg_op *dg_tile_op(const struct dg_plan *plan, uint32_t tile)
{
    return &plan->graph->ops[plan->tiles[tile].op];
}

static inline struct dg_cost dg_tile_cost(const struct dg_plan *plan, uint32_t tile, uint32_t past)
{
    const struct dg_op *op = dg_tile_op(plan, tile);

    return op->type->cost(op, plan->tiles[tile].out, past);
}

/* The edges of a plan that is being made: a growing list, then sorted into the plan. Each of the functions is
 * false when memory runs out. */
struct dg_edge {
    uint32_t from, to; /* nodes */
};

struct dg_edges {
    struct dg_edge *list;
    size_t n, room;
};

bool dg_edges_add(struct dg_edges *e, uint32_t from, uint32_t to);

/* Gives every tile of the plan without a successor an edge to the join `end`. */
bool dg_edges_end(struct dg_edges *e, const struct dg_plan *plan, uint32_t end);

/* Sorts the edges by source into plan->nodes and plan->next; within a source they keep their order. The plan
 * has its tiles, and n_joins joins, `end` among them. */
bool dg_edges_store(const struct dg_edges *e, struct dg_plan *plan, uint32_t n_joins);

void dg_edges_free(struct dg_edges *e);

/* Places every activation: fills offset[], in bytes, and *arena_bytes. False: out of memory. */
bool dg_plan_place(struct dg_plan *plan);

#endif
