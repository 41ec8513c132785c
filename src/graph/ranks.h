/* ranks.h - which rank runs which tile: several processes share a plan, and a placement divides it.
 *
 * A placement is made once for a model, from any graph of it that has all its ops, and then holds for every
 * plan of it: weights and caches stay where they are.
 *
 *   layers    Ranks are stages, one after the other: each has whole layers, balanced by the bytes of
 *             their weights. What stands before the layers, and what stands behind them, counts as a layer.
 *   columns   All ranks share each op: a product's output columns are divided, and heads, of which keys,
 *             values and attention are on one rank, so that caches never travel. Ops that take whole rows
 *             and no product run on every rank that wants them, since that is less than to send them.
 *   both      Stages of several ranks each, about as many as there are ranks in one; the ranks of a
 *             stage share its ops by columns.
 *
 * Sums are never divided, so that bits do not depend on it.
 * Threads: built by one; read-only afterwards. */
#ifndef DG_GRAPH_RANKS_H
#define DG_GRAPH_RANKS_H

#include "plan.h"

enum { DG_MAX_RANKS = 256 };

enum dg_placing { DG_PLACE_LAYERS, DG_PLACE_COLUMNS, DG_PLACE_BOTH, DG_N_PLACINGS };

const char *dg_placing_name(enum dg_placing how);

/* Ranks first ... first + n - 1. */
struct dg_span {
    uint32_t first, n;
};

struct dg_placement {
    enum dg_placing how;
    uint32_t ranks;
    uint32_t n_units; /* layers + 2 */
    struct dg_span
        *ranks_of; /* [n_units] of what stands before the layers, each layer, what stands behind */
    struct dg_arena *arena;
};

/* g: of one step that gives logits. ranks: 1 ... DG_MAX_RANKS. */
enum dg_status dg_placement_new(struct dg_placement **out, const struct dg_graph *g,
                                enum dg_placing how, uint32_t ranks, struct dg_error *err);
void dg_placement_free(struct dg_placement *p); /* takes NULL */

/* A set of ranks for each node of a plan. */
struct dg_placed {
    uint32_t ranks, words; /* words: 64 ranks in each */
    uint64_t *
        at; /* [n_nodes][words] of a tile: the ranks that run it, of a join: where a tile waits for it */

    /* Of each product and attention all ranks that share it run a tile, in each row block. Then no rank can fall
     * behind: what it computes beside them leads to a tile of one of them, for which all others wait. */
    bool even;
};

/* Places every tile. One that only fills an activation or a weight runs where it is wanted; one that
 * nobody wants on the first rank that might run it, or if it loads, nowhere. */
enum dg_status dg_place_tiles(struct dg_placed *out, const struct dg_placement *p,
                              const struct dg_plan *plan, struct dg_error *err);
void dg_placed_free(struct dg_placed *p);

static inline bool dg_is_placed(const struct dg_placed *p, uint32_t node, uint32_t rank)
{
    return p->at[(size_t)node * p->words + rank / 64] >> rank % 64 & 1;
}

#endif
