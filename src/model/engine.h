/* engine.h - what a sequence asks of its engine: one step. */
#ifndef DG_MODEL_ENGINE_H
#define DG_MODEL_ENGINE_H

#include "../graph/op.h"
#include "model.h"

/* One user more: dg_engine_free() has to be called once more before the engine is gone. */
void dg_engine_hold(struct dg_engine *e);

const struct dg_model *dg_engine_model(const struct dg_engine *e);
uint32_t dg_engine_chunk(
    const struct dg_engine *e); /* rows of a step, at the most; 0: any number */

/* Evaluates ids[0 ... rows - 1], in vocabulary, at row[0 ... rows - 1], which may be of several sequences
 * (struct dg_step says in which order), with caches of the model's shape; the last n_logits of them get
 * logits, to logits[n_logits][vocab]. Loads the model, if that is still to be done. The error of a step
 * that fails is DG_ERR_IO, of one that dg_team_cancel() has ended DG_ERR_CANCELLED; logits and the caches'
 * positions are then undefined.
 * Threads: any; enters the team for the step. A row's cache belongs to the caller. */
enum dg_status dg_engine_step(struct dg_engine *e, const struct dg_row *row, const int32_t *ids,
                              uint32_t rows, uint32_t n_logits, float *logits,
                              struct dg_error *err);

#endif
