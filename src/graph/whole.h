/* whole.h - the pieces of all ranks as one plan, with an edge from what sends a message to what receives it: to look at,
 * and to prove the cut.
 *
 * Proved, beside what plan_check.h says of edges, memory and order, which holds across ranks, too:
 *   - each message is sent once and received once, as the same box, and none is of a cache;
 *   - each element that a tile reads is written once on its rank, by a tile or by a message;
 *   - each tile of the plan runs on some rank, and rank 0 has the outputs. */
#ifndef DG_GRAPH_WHOLE_H
#define DG_GRAPH_WHOLE_H

#include "cut.h"
#include "plan_check.h"

/* Ops and tensors have their rank behind their names ("h0.q@1"); activations of a rank lie behind those of the rank
 * before. Borrows the pieces. */
struct dg_whole {
    struct dg_graph *graph;
    struct dg_plan *plan;
    uint32_t *rank; /* [n_ops] */
};

/* DG_ERR_USAGE where a message is not sent once and received once. */
enum dg_status dg_whole_new(struct dg_whole *out, struct dg_piece *const *pieces, uint32_t ranks,
                            struct dg_error *err);
void dg_whole_free(struct dg_whole *w);

/* Are these the pieces of that plan? DG_OK and *proof, or DG_ERR_USAGE and the counterexample as text. */
enum dg_status dg_pieces_check(const struct dg_plan *cut, struct dg_piece *const *pieces,
                               uint32_t ranks, struct dg_plan_proof *proof, struct dg_error *err);

#endif
