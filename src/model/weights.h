/* weights.h - a model's weights as a file has them: the model's sizes, and for each weight where its
 * elements lie. A file format is one reader (format.h) that fills this; who loads a model, or looks at its
 * sizes, does not know which.
 * Memory:  owns the open files and the table.
 * Threads: read-only once open. */
#ifndef DG_MODEL_WEIGHTS_H
#define DG_MODEL_WEIGHTS_H

#include "../graph/op.h"
#include "../ops/source.h"

/* GPT-2's weights. q, k and v are weights of their own, whatever a file does. */
enum dg_weight {
    DG_WTE,
    DG_WPE,
    DG_LNF_GAIN,
    DG_LNF_BIAS,
    DG_HEAD,              /* what gives logits; most models have none, and use wte */
    DG_N_WEIGHTS_OUTSIDE, /* above: one of each; from here on: one in each layer */
    DG_LN1_GAIN = DG_N_WEIGHTS_OUTSIDE,
    DG_LN1_BIAS,
    DG_Q_WEIGHT,
    DG_Q_BIAS,
    DG_K_WEIGHT,
    DG_K_BIAS,
    DG_V_WEIGHT,
    DG_V_BIAS,
    DG_PROJ_WEIGHT,
    DG_PROJ_BIAS,
    DG_LN2_GAIN,
    DG_LN2_BIAS,
    DG_FC_WEIGHT,
    DG_FC_BIAS,
    DG_FCPROJ_WEIGHT,
    DG_FCPROJ_BIAS,
    DG_N_WEIGHTS
};

/* In what a GPT-2 may differ from those published, beside its sizes. */
struct dg_recipe {
    enum dg_activation activation; /* of the hidden layer: not DG_NO_ACTIVATION */
    float epsilon;                 /* of layernorm: > 0, finite */
    bool own_head;                 /* there is a DG_HEAD */
};

#define DG_GPT2_RECIPE ((struct dg_recipe){DG_GELU, 1e-5f, false})

/* Matrices are [outputs][inputs] in panels, vectors [1][n] in rows, wpe [positions][channels] in rows. */
struct dg_weight_shape {
    const char *name; /* "wte", "q.weight" */
    enum dg_layout layout;
    uint32_t rows, cols;
};

struct dg_weight_shape dg_weight_shape(const struct dg_sizes *sizes, enum dg_weight w);

static inline bool dg_weight_in_layers(enum dg_weight w)
{
    return w >= DG_N_WEIGHTS_OUTSIDE;
}

/* All weights of a model have places 0 ... dg_weight_count() - 1: those outside the layers, then layer by
 * layer; DG_HEAD has one also where there is none. `layer` counts for those in layers alone. */
static inline uint32_t dg_weight_count(const struct dg_sizes *sizes)
{
    return DG_N_WEIGHTS_OUTSIDE + sizes->layers * (DG_N_WEIGHTS - DG_N_WEIGHTS_OUTSIDE);
}

static inline uint32_t dg_weight_place(enum dg_weight w, uint32_t layer)
{
    return dg_weight_in_layers(w) ? w + layer * (DG_N_WEIGHTS - DG_N_WEIGHTS_OUTSIDE) : w;
}

struct dg_weights {
    struct dg_file *files; /* [n_files] the first is the one that was opened, or a folder's first */
    uint32_t n_files;
    uint64_t bytes; /* of all files */
    char *name;     /* of the file or folder, for errors */
    struct dg_sizes sizes;
    struct dg_recipe recipe;
    char *folder; /* where its files are, with a final '/'; NULL: in memory */
    const struct dg_format *format;
    uint32_t version;    /* of the format */
    enum dg_dtype dtype; /* of the file's matrices */
    struct dg_source
        *sources;       /* [dg_weight_count(sizes)]; of a weight that there is not: file NULL */
    int32_t begin, end; /* ids that begin and end a text; -1: it does not say */
};

/* Opens a model, a file or a folder, of any format that there is a reader for, and checks all of it but the
 * weights themselves. The second: data[0 ... n - 1], which it borrows, and which `name` stands for in errors. */
enum dg_status dg_weights_open(struct dg_weights **out, const char *path, struct dg_error *err);
enum dg_status dg_weights_open_memory(struct dg_weights **out, const void *data, size_t n,
                                      const char *name, struct dg_error *err);
void dg_weights_close(struct dg_weights *w); /* takes NULL */

/* The tokenizer that belongs to the model: in its file, or the first there is of some files in its folder, with the
 * ids w->begin and w->end where the model says so. DG_ERR_TOKEN: there is none, or it is damaged. */
enum dg_status dg_weights_tokenizer(struct dg_tokenizer **out, const struct dg_weights *w,
                                    struct dg_error *err);

/* The same; *out is NULL where there is none. */
enum dg_status dg_weights_tokenizer_if_any(struct dg_tokenizer **out, const struct dg_weights *w,
                                           struct dg_error *err);

/* Files of a model's folder that may be read with it, beside those with weights. NULL-terminated. */
extern const char *const dg_weights_files[];

/* Are all bytes of the file those that were written? Reads it whole. DG_ERR_MODEL: they are not; DG_ERR_USAGE: the
 * format has no sums. */
enum dg_status dg_weights_verify(const struct dg_weights *w, struct dg_error *err);

/* Are all weights finite? DG_ERR_MODEL names the first that is not. Reads all, line by line. */
enum dg_status dg_weights_finite(const struct dg_weights *w, struct dg_error *err);

/* A load has found a weight that is not: the same, but never DG_OK. */
enum dg_status dg_weights_not_finite(const struct dg_weights *w, struct dg_error *err);

/* For a reader: room for the sources of a model of w->sizes, which has none so far. */
enum dg_status dg_weights_allocate(struct dg_weights *w, struct dg_error *err);

/* The folder's file of that name; the caller's to free, NULL: out of memory. */
char *dg_weights_path(const struct dg_weights *w, const char *name);

/* Where a weight is. */
static inline const struct dg_source *dg_weights_find(const struct dg_weights *w,
                                                      enum dg_weight weight, uint32_t layer)
{
    return &w->sources[dg_weight_place(weight, layer)];
}

/* Do the sizes make a model? DG_ERR_MODEL names the field, its value and what was expected; `name` starts
 * the message. Sizes that pass have products that fit: the weights are below 2^60 elements, and each of
 * a weight's rows and columns is below 2^31. */
enum dg_status dg_sizes_check(const struct dg_sizes *sizes, const char *name, struct dg_error *err);

#endif
