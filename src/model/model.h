/* model.h - a model: its sizes, and its packed weights as tensors that every graph of it copies.
 * Memory:  a model owns the weights' data, and until it is loaded the open file; or the open file, whose bytes
 *          its weights are.
 * Threads: read-only once loaded; until then it belongs to one engine, which has claimed it. */
#ifndef DG_MODEL_MODEL_H
#define DG_MODEL_MODEL_H

#include "weights.h"
#include <sync.h>

enum dg_model_state {
    DG_MODEL_LOADED, /* or an outline */
    DG_MODEL_UNLOADED,
    DG_MODEL_CLAIMED, /* unloaded, and an engine has it */
};

struct dg_model {
    struct dg_arena *arena; /* holds the model itself, too */
    const char *name;       /* of its file or folder, for errors; NULL: an outline */
    struct dg_sizes sizes;
    struct dg_recipe recipe;
    struct dg_tensor
        *tensors; /* [dg_weight_count(&sizes)] by dg_weight_place(); without rows: absent */
    bool
        transposed; /* an outline alone: so a file has its layers' matrices, which cuts its load ops */
    struct dg_weights
        *weights;  /* where they are to be loaded from, or lie; NULL: loaded, or an outline */
    bool in_place; /* they are not loaded, but used where they lie: in the only file */
    bool
        shared; /* by ranks, none of which has all of it: embed reads rows of wte from the file, which stays open */

    /* An enum dg_model_state. Order: release by who has loaded it, acquire by other threads' engines, so that
     * they see the weights. If weakened: an engine reads weights that are not there yet on Arm. */
    struct dg_atomic state;

    /* One for who opened it, one for each engine. Order: relaxed up; acq_rel down: who takes the last
     * frees what the others have read. */
    struct dg_atomic users;
};

/* A model of those sizes with tensors that have no data: enough to build and plan its graphs. recipe NULL:
 * DG_GPT2_RECIPE. */
enum dg_status dg_model_outline(struct dg_model **out, const struct dg_sizes *sizes,
                                const struct dg_recipe *recipe, struct dg_error *err);

/* What a weight that a file has as `from` is held in: what is wanted, and of DG_PRECISION_AUTO what that says. */
enum dg_precision dg_model_precision(enum dg_precision wanted, enum dg_dtype from);

/* Chooses the dtypes of the matrices of an outline, or of a model that has no memory yet; DG_PRECISION_AUTO: by
 * what `weights` has, or where that is NULL, floats. */
void dg_model_hold_as(struct dg_model *m, enum dg_precision precision,
                      const struct dg_weights *weights);

/* dg_model_open_as() of weights that are open, which it takes over, also on errors. */
enum dg_status dg_model_of_weights(struct dg_model **out, struct dg_weights *weights,
                                   enum dg_precision precision, struct dg_team *team,
                                   struct dg_error *err);

static inline const struct dg_tensor *dg_model_weight(const struct dg_model *m, enum dg_weight w,
                                                      uint32_t layer)
{
    return &m->tensors[dg_weight_place(w, layer)];
}

/* One user more: dg_model_free() has to be called once more before the model is gone. */
static inline void dg_model_hold(struct dg_model *m)
{
    dg_add_relaxed(&m->users, 1);
}

/* A model that was opened without a team is loaded by the first graph that has a load op for each
 * weight. Who has run it says so: dg_model_loaded() closes the file; the graph's sources are then gone.
 * failed is what the step returned, and makes it DG_ERR_IO, if EDOM DG_ERR_MODEL (a weight is not finite) or,
 * if ECANCELED, DG_ERR_CANCELLED: then nothing changes. */
static inline bool dg_model_is_loaded(const struct dg_model *m)
{
    return dg_load_acquire(&m->state) == DG_MODEL_LOADED;
}
enum dg_status dg_model_loaded(struct dg_model *m, int failed, struct dg_error *err);

/* Do those weights lie in one file as the tensors of the outline m are to be in memory? Then a model of them uses them
 * there, if the file can be mapped. */
bool dg_weights_in_place(const struct dg_weights *w, const struct dg_model *m);

/* DG_ERR_MODEL when the file whose bytes the weights are was written to or cut off since it was opened: then what
 * was computed meanwhile is of no use. */
enum dg_status dg_model_check(const struct dg_model *m, struct dg_error *err);

uint64_t dg_model_parameters(const struct dg_model *m); /* weights that count: no padding */
uint64_t dg_model_bytes(const struct dg_model *m);      /* in memory, packed */

#endif
