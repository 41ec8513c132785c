/* gpt2.h - GPT-2 as a graph: embed, `layers` blocks, lnf, logits. */
#ifndef DG_MODEL_GPT2_H
#define DG_MODEL_GPT2_H

#include "../graph/graph.h"
#include "model.h"

struct dg_gpt2_shape {
    uint32_t rows;        /* T: tokens of the step, 1 ... positions */
    uint32_t logits_rows; /* the last so many rows get logits: 0 ... rows */
    bool fuse;            /* gelu and residual into the matmuls before them */
    bool load;            /* a load op for every weight, before the first op that reads it */
    enum dg_dtype cache;  /* what keys and values are held in: DG_F32 or DG_BF16 */
};

/* A block:
 *
 *   x -> ln1 -> q ------------.
 *            -> k -> K cache --> attention -> proj -> add(x) -> ln2 -> fc -> gelu -> fcproj -> add
 *            -> v -> V cache -'
 *
 * Of the last block only the logits_rows last rows go on behind ln1, the others to K and V alone.
 * The graph's input is the step's ids [rows][1], its output, where logits_rows is not 0, the logits
 * [logits_rows][vocab]; both come without data. DG_ERR_USAGE where the shape is none. */
enum dg_status dg_gpt2_graph(struct dg_graph **out, const struct dg_model *model,
                             const struct dg_gpt2_shape *shape, struct dg_error *err);

#endif
