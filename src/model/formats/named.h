/* named.h - weights that a file has under names, in any order: where one is filled in, what its shape must be, and
 * which are still missing. */
#ifndef DG_MODEL_FORMATS_NAMED_H
#define DG_MODEL_FORMATS_NAMED_H

#include "../writer.h"

/* What a file calls a weight, or q, k and v together. */
struct dg_weight_name {
    const char *name; /* behind the layer's: "attn.c_attn.weight" */
    enum dg_weight
        first; /* then parts - 1 more, each 2 further on, as q, k and v stand in enum dg_weight */
    uint32_t parts; /* 1 or 3 */
};

/* All of a format's names. Those in layers have `layer`, "h.", and the layer's number and a point before them. */
struct dg_weight_names {
    const char *layer;
    const struct dg_weight_name *outside; /* [n_outside] */
    size_t n_outside;
    const struct dg_weight_name *inside; /* [n_inside] */
    size_t n_inside;
};

extern const struct dg_weight_names dg_huggingface_names, dg_gguf_names;

/* The weight of that name, "wte.weight" or "h.3.ln_1.weight", and its layer; NULL: there is none in so many layers. */
const struct dg_weight_name *dg_name_find(const struct dg_weight_names *names, const char *name,
                                          uint32_t layers, uint32_t *layer);

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

/* The shape of a weight or of `parts` together, outer dimension first; the number of dimensions. A vector of several
 * parts is longer, a matrix has more outputs. */
uint32_t dg_named_shape(const struct dg_sizes *sizes, enum dg_weight first, uint32_t parts,
                        bool transposed, uint64_t shape[2]);

/* ---- for writers ---- */

struct dg_named {
    char name[64]; /* "h.3.attn.c_attn.weight" */
    struct dg_written as;
    uint64_t offset; /* the writer's */
};

/* All tensors that the model has, in the order of the names; not transposed; their dtypes as dg_written_dtype()
 * has them. (*out)[*n] is the caller's to free(). DG_ERR_RESOURCE. */
enum dg_status dg_named_list(struct dg_named **out, size_t *n, const struct dg_conversion *c,
                             const struct dg_weight_names *names, struct dg_error *err);

#endif
