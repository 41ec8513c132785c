/* cut.h - what one rank has of a plan: a plan of its own.
 *
 * A piece has the rank's tiles; for each box that tiles elsewhere wait for, a tile that sends it there; and for
 * each box that its tiles wait for and another rank writes, a tile that receives it, which no worker runs: it is
 * posted (dg_run_post()) when the message has come. There is one message for each (tile, rank where it is
 * wanted), derived from the plan's edges, also through joins. Outputs go to rank 0. Its tensors are
 * those of the plan's graph, of which the rank fills what it writes and receives.
 *
 * Ops stand in the plan's order, behind each the op that sends what it wrote and the one that receives
 * what other ranks wrote of the same tensor, so that ranks which run op by op do not wait for each other in a
 * circle. Tiles that load a weight read the rows that the rank's tiles use.
 *
 * Messages from one rank to another are numbered from 0 in the plan's order: both sides find the same
 * numbers.
 *
 * Memory:  a piece owns its graph and plan; it borrows nothing. Data of tensors, but activations', is as in the
 *          graph that it was cut from.
 * Threads: built by one; read-only while steps run. */
#ifndef DG_GRAPH_CUT_H
#define DG_GRAPH_CUT_H

#include "ranks.h"

extern const struct dg_op_type
    dg_op_send; /* its tile writes rows of a tensor without data, one for each message */
extern const struct dg_op_type dg_op_receive; /* posted; its tile is the message's box */

struct dg_message {
    uint32_t tensor; /* index in the graph */
    struct dg_box box;
    uint32_t from, to; /* ranks */
    uint32_t number;   /* of those between the two */
    uint32_t tile;     /* in the piece: that sends, or receives it */
};

/* Begins to send messages sends[i ... i + n - 1] of the piece, all of one box, which is written; the box may be written
 * over when it returns, but not before the first of them has left. 0, or an errno value. Any worker's thread. */
struct dg_sender {
    int (*send)(void *arg, uint32_t i, uint32_t n);
    void *arg;
};

struct dg_piece {
    uint32_t rank, ranks;
    struct dg_graph *graph;
    struct dg_plan *
        plan; /* arena_bytes and offset[] as in the plan that was cut; homes are this rank's workers */
    struct dg_message *sends, *receives; /* in the order of their tiles */
    uint32_t n_sends, n_receives;
    struct dg_sender sender; /* set it before a step, where there are sends */
    uint32_t *
        origin; /* [n_ops] 3 * the op's index in the plan that was cut; + 1: it sends, + 2: it receives */
};

/* The piece of a rank, whose team has so many workers. plan->tiling must be the same on all ranks. */
enum dg_status dg_piece_new(struct dg_piece **out, const struct dg_plan *plan,
                            const struct dg_placed *placed, uint32_t rank, uint32_t workers,
                            struct dg_error *err);
void dg_piece_free(struct dg_piece *piece); /* takes NULL */

static inline size_t dg_message_bytes(const struct dg_piece *piece, const struct dg_message *m)
{
    const enum dg_dtype dtype = piece->graph->tensors[m->tensor].dtype;

    return (m->box.r1 - m->box.r0) * (size_t)dg_rows_run(dtype, m->box.c1 - m->box.c0);
}

/* The box, row by row, to or from dg_message_bytes() at `buffer`. The box of an output, which is of the step's last
 * rows, lies where these say. */
void dg_message_pack(const struct dg_piece *piece, const struct dg_message *m,
                     const struct dg_step *step, void *buffer);
void dg_message_unpack(const struct dg_piece *piece, const struct dg_message *m,
                       const struct dg_step *step, const void *buffer);

#endif
