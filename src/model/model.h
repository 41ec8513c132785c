/* model.h - a model: its sizes, and its packed weights as tensors that every graph of it copies.
 * Memory:  a model owns the weights' data, and until it is loaded the open file.
 * Threads: read-only once loaded. */
#ifndef DG_MODEL_MODEL_H
#define DG_MODEL_MODEL_H

#include "weights.h"

struct dg_model {
    struct dg_arena *arena; /* holds the model itself, too */
    struct dg_sizes sizes;
    struct dg_tensor *tensors;  /* [dg_weight_count(&sizes)] by dg_weight_place() */
    struct dg_weights *weights; /* where they are to be loaded from; NULL: loaded, or an outline */
};

/* A model of those sizes with tensors that have no data: enough to build and plan its graphs. */
enum dg_status dg_model_outline(struct dg_model **out, const struct dg_sizes *sizes,
                                struct dg_error *err);

static inline const struct dg_tensor *dg_model_weight(const struct dg_model *m, enum dg_weight w,
                                                      uint32_t layer)
{
    return &m->tensors[dg_weight_place(w, layer)];
}

/* A model that was opened without a team is loaded by the first graph that has a load op for each
 * weight. Who has run it says so: dg_model_loaded() closes the file; the graph's sources are then gone.
 * failed is what the step returned, and makes it DG_ERR_IO or, if ECANCELED, DG_ERR_CANCELLED: then
 * nothing changes. */
static inline bool dg_model_is_loaded(const struct dg_model *m)
{
    return !m->weights;
}
enum dg_status dg_model_loaded(struct dg_model *m, int failed, struct dg_error *err);

uint64_t dg_model_parameters(const struct dg_model *m); /* weights that count: no padding */
uint64_t dg_model_bytes(const struct dg_model *m);      /* in memory, packed */

#endif
