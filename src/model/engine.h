/* engine.h - what a sequence asks of its engine: one step. */
#ifndef DG_MODEL_ENGINE_H
#define DG_MODEL_ENGINE_H

#include "../graph/cut.h"
#include "model.h"
#include "overflow.h"

/* What keys and values are held in by an engine with that option: DG_F32 unless it is DG_PRECISION_BF16. */
static inline enum dg_dtype dg_cache_dtype(enum dg_precision cache)
{
    return cache == DG_PRECISION_BF16 ? DG_BF16 : DG_F32;
}

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

/* The same of a rank but the first, when it is told that a step is watched: what its own tiles have written. */
enum dg_status dg_engine_watch(struct dg_engine *e, struct dg_overflow *found,
                               struct dg_error *err);

/* Not on a rank but the first: there they are not all written. */
bool dg_engine_has_logits(const struct dg_engine *e);

/* The memory of the sequences' keys and values. */
struct dg_pool *dg_engine_pool(struct dg_engine *e);

/* Of a rank of several: tells its transport. */
void dg_engine_text(const struct dg_engine *e, const struct dg_sequence *s,
                    const struct dg_sequence *from);

/* ---- one rank of several ---- */

struct dg_run;

/* What carries messages between ranks. `line` is what it made of a piece, `arg` its own. */
struct dg_transport {
    /* Is shown each plan, and which ranks its tiles are on, before its piece is opened. NULL: need not be. */
    void (*look)(void *arg, const struct dg_plan *plan, const struct dg_placed *placed);

    /* A sequence begins with what another has so far, or (from NULL) is gone. NULL: need not be known. */
    void (*text)(void *arg, const struct dg_sequence *s, const struct dg_sequence *from);

    /* Makes ready for a piece, which `run` runs, and sets piece->sender. */
    enum dg_status (*open)(void *arg, void **line, struct dg_piece *piece, struct dg_run *run,
                           struct dg_error *err);
    void (*close)(void *arg, void *line);

    /* Before a step of the piece, which has ids[step->rows]: from now on messages may come. Rank 0 tells the others,
     * which then run a step of the same rows. Where it is watched, dg_engine_watch() in the place of dg_engine_run(),
     * and what they find, if it is of an op before what *watched has, goes there before the end. */
    enum dg_status (*begin)(void *arg, void *line, const struct dg_step *step, const int32_t *ids,
                            uint32_t n_logits, struct dg_overflow *watched, struct dg_error *err);

    /* dg_run_poll()'s: takes the messages that have come. */
    bool (*poll)(void *line, unsigned worker, unsigned turn);

    /* After the step: all that was sent has left. */
    enum dg_status (*end)(void *arg, void *line, struct dg_error *err);
    void *arg;
};

/* From now on the engine is a rank of several, whose models, options but for the team, and `workers`, that all of
 * them have awake together, are the same. It loads the weights that it uses; its steps wait for the other
 * ranks', and cannot be cancelled. Rank 0 has the logits. `transport` must outlive
 * the engine. Once, before the first step, of a model that was opened without a team. */
enum dg_status dg_engine_join(struct dg_engine *e, enum dg_placing how, uint32_t rank,
                              uint32_t ranks, uint32_t workers,
                              const struct dg_transport *transport, struct dg_error *err);

#endif
