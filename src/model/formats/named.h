/* named.h - weights that a file has under names, in any order: where one is filled in, what its shape must be, and
 * which are still missing. */
#ifndef DG_MODEL_FORMATS_NAMED_H
#define DG_MODEL_FORMATS_NAMED_H

#include "../weights.h"

/* What a file calls a weight, or q, k and v together. */
struct dg_weight_name {
    const char *name; /* behind the layer's: "attn.c_attn.weight" */
    enum dg_weight
        first; /* then parts - 1 more, each 2 further on, as q, k and v stand in enum dg_weight */
    uint32_t parts; /* 1 or 3 */
};

/* "12.rest" -> layer 12, and *rest is what is behind the point; false: no layer below `layers`. */
bool dg_layer_of(const char *text, uint32_t layers, uint32_t *layer, const char **rest);

/* Fills in a tensor that lies in `file` at `offset`, whose shape[n_dims] is to be the weights': outer dimension
 * first. transposed: matrices are (inputs, outputs). The tensor's name and the file's are for errors.
 * DG_ERR_MODEL: another shape, a dtype of no weight, or there is one already. */
enum dg_status dg_named_place(struct dg_weights *w, const struct dg_weight_name *as, uint32_t layer,
                              const struct dg_file *file, uint64_t offset, enum dg_dtype dtype,
                              const uint64_t *shape, uint32_t n_dims, bool transposed,
                              const char *tensor, const char *name, struct dg_error *err);

/* DG_ERR_MODEL unless all are there. */
enum dg_status dg_named_all(const struct dg_weights *w, struct dg_error *err);

#endif
