/* overflow.h - weights that are finite, each, and too large together: which op's output is not. */
#ifndef DG_MODEL_OVERFLOW_H
#define DG_MODEL_OVERFLOW_H

#include "../graph/cut.h"

/* Runs a step again whose logits were not finite, on this thread, tile after tile, and tells of the first
 * output that is not: DG_ERR_MODEL. `model`: its name, which begins the message. The caches that the step has
 * written get the same again.
 * Threads: who has entered the team that runs the plan. */
enum dg_status dg_overflow_find(const struct dg_plan *plan, const struct dg_step *step,
                                const char *model, struct dg_error *err);

/* Of a rank: the first output, in the order of the plan that was cut, that is found not to be finite while the piece
 * runs a step of one row. */
struct dg_overflow {
    uint64_t at; /* 2^32 times the op, and the tile's first column; DG_NO_OVERFLOW: none so far */
    struct dg_error err;
};
#define DG_NO_OVERFLOW UINT64_MAX

/* From now on what the piece's tiles write is looked at, for *to, which begins with none. The message is
 * dg_overflow_find()'s. DG_ERR_RESOURCE: out of memory.
 * Threads: between the piece's steps; its workers while they run. */
struct dg_watch;
enum dg_status dg_watch_begin(struct dg_watch **out, struct dg_piece *piece, const char *model,
                              struct dg_overflow *to, struct dg_error *err);
void dg_watch_end(struct dg_watch *w);

#endif
