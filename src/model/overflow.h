/* overflow.h - weights that are finite, each, and too large together: which op's output is not. */
#ifndef DG_MODEL_OVERFLOW_H
#define DG_MODEL_OVERFLOW_H

#include "../graph/plan.h"

/* Runs a step again whose logits were not finite, on this thread, tile after tile, and tells of the first
 * output that is not: DG_ERR_MODEL. `model`: its name, which begins the message. The caches that the step has
 * written get the same again.
 * Threads: who has entered the team that runs the plan. */
enum dg_status dg_overflow_find(const struct dg_plan *plan, const struct dg_step *step,
                                const char *model, struct dg_error *err);

#endif
