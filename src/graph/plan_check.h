/* plan_check.h - proves that a plan is safe to run, or finds a counterexample.
 *
 * Proved:
 *   - the tiles of each op partition its output;
 *   - every edge leads from a lower tile to a higher one, also through a join: no cycle, and plan
 *     order is a serial order;
 *   - waits(node) is the number of edges that lead to it, and every index is in range;
 *   - every node is reached from a tile that waits for nothing, and leads to `end`;
 *   - activations lie inside the arena;
 *   - any two tiles that touch the same bytes, one of them writing, are ordered by a path;
 *   - what a tile reads is not written over before, by another tensor at the same place.
 *
 * The order is taken literally: tiles that touch a common tensor, or tensors that share bytes, are
 * compared, and a path is looked up in the transitive closure, which is computed from the edges alone. A pair is
 * left out where others that were compared order it. Time and memory grow with the plan, and with how many tiles
 * it has between a touch and the next writing of its bytes: some layers of it, 64 bytes a node.
 */
#ifndef DG_GRAPH_PLAN_CHECK_H
#define DG_GRAPH_PLAN_CHECK_H

#include "plan.h"

struct dg_plan_proof {
    uint64_t tiles, joins, edges;
    uint64_t
        pairs; /* of touches of the same bytes, one of them writing, that were found ordered, and with them all */
};

/* DG_OK and *proof, or DG_ERR_USAGE and the counterexample as text. */
enum dg_status dg_plan_check(const struct dg_plan *plan, struct dg_plan_proof *proof,
                             struct dg_error *err);

/* All of that but the partition, of a plan in which a tensor may have several writers: whole.h. */
enum dg_status dg_plan_check_order(const struct dg_plan *plan, struct dg_plan_proof *proof,
                                   struct dg_error *err);

#endif
