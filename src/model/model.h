/* model.h - packed weights, as tensors that every graph of this model copies.
 * Memory:  a model owns the weights' data, and until it is loaded the open file.
 * Threads: read-only once loaded. */
#ifndef DG_MODEL_MODEL_H
#define DG_MODEL_MODEL_H

#include "../graph/tensor.h"
#include "../ops/load.h"
#include "checkpoint.h"

/* One block. Matrices are [outputs][inputs] in panels, vectors [1][n] in rows. q, k and v are the
 * three thirds of the file's qkvw and qkvb. */
struct dg_layer {
    struct dg_tensor ln1_gain, ln1_bias;
    struct dg_tensor q_weight, q_bias, k_weight, k_bias, v_weight, v_bias;
    struct dg_tensor proj_weight, proj_bias;
    struct dg_tensor ln2_gain, ln2_bias;
    struct dg_tensor fc_weight, fc_bias, fcproj_weight, fcproj_bias;
};

struct dg_loading;

struct dg_model {
    struct dg_arena *arena;     /* holds the model itself, too */
    struct dg_loading *loading; /* NULL: an outline */
    struct dg_checkpoint_header header;
    struct dg_tensor wte; /* [vocab][channels] in panels */
    struct dg_tensor wpe; /* [positions][channels] in rows */
    struct dg_layer *layers;
    struct dg_tensor lnf_gain, lnf_bias;
};

/* A model of those sizes with tensors that have no data: enough to build and plan its graphs. */
enum dg_status dg_model_outline(struct dg_model **out, const struct dg_checkpoint_header *header,
                                struct dg_error *err);

/* Weight i: wte, wpe, lnf's two, and then those of the layers; NULL: no more. */
const struct dg_tensor *dg_model_weight(const struct dg_model *m, unsigned i);

/* A model that was opened without a team is loaded by the first graph that has a load op for each
 * weight, from dg_model_source() (NULL once that is over, and for an outline). Who has run it says so:
 * dg_model_loaded() closes the file. failed is what the step returned, and makes it DG_ERR_IO. */
bool dg_model_is_loaded(const struct dg_model *m); /* an outline is: it has nothing to load */
const struct dg_source *dg_model_source(const struct dg_model *m, const struct dg_tensor *weight);
enum dg_status dg_model_loaded(const struct dg_model *m, int failed, struct dg_error *err);

uint64_t dg_model_parameters(const struct dg_model *m); /* weights that count: no padding */
uint64_t dg_model_bytes(const struct dg_model *m);      /* in memory, packed */

#endif
