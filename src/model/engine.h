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

/* The rows of a step, to be filled: row i evaluates id[i]. */
struct dg_rows {
    struct dg_row *row;
    int32_t *id;
};

/* Enters the team for a step of so many rows, 1 ... positions, the last n_logits of which get logits, and
 * finds or makes its plan. DG_OK: fill *rows, which belong to the plan, and call dg_engine_run().
 * Threads: any. */
enum dg_status dg_engine_enter(struct dg_engine *e, uint32_t rows, uint32_t n_logits,
                               struct dg_rows *out, struct dg_error *err);

/* Evaluates them and leaves the team. The rows may be of several sequences (struct dg_step says in which
 * order), with caches of the model's shape, which belong to the caller; ids are in the vocabulary. Loads
 * the model, if that is still to be done. The error of a step that fails is DG_ERR_IO, or DG_ERR_MODEL
 * where a weight is not finite, of one that dg_team_cancel() has ended DG_ERR_CANCELLED; logits and the caches' positions are then undefined. */
enum dg_status dg_engine_run(struct dg_engine *e, struct dg_error *err);

/* In the place of dg_engine_run(), for rows whose logits were not finite: dg_overflow_find() of them. */
enum dg_status dg_engine_find_overflow(struct dg_engine *e, struct dg_error *err);

/* The memory of the sequences' keys and values. */
struct dg_pool *dg_engine_pool(struct dg_engine *e);

#endif
