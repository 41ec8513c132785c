/* op.h - one node of the graph, and what the graph needs to know of its type.
 *
 * An op reads up to DG_MAX_IN tensors and writes one. What its type can do stands in a
 * struct dg_op_type: check the shapes, cut the output into tiles, name the boxes that a tile reads,
 * and run a tile. The types themselves are in src/ops, one file each; this room and the scheduler
 * use them through this struct alone. */
#ifndef DG_GRAPH_OP_H
#define DG_GRAPH_OP_H

#include "../base/status.h"
#include "tensor.h"

#define DG_MAX_IN 5

struct dg_kernels; /* the functions of one instruction set: src/ops/kernels/kernels.h */
struct dg_cache;   /* the keys and values of one sequence: src/ops/cache.h */
struct dg_op;

/* One row of a step: a sequence, as the ops know it, the position in it that is evaluated, and where its
 * logits go, [vocab]; those of a row that gets none are not looked at. */
struct dg_row {
    const struct dg_cache *cache;
    uint32_t position;
    float *logits;
};

/* What changes from step to step. Read-only while tiles run, but for the caches' new positions. */
struct dg_step {
    /* [rows] Rows of any sequences. Those of one sequence stand in the order of their positions,
     * which go on, without a gap, from those that its cache has; no row stands twice. */
    const struct dg_row *row;
    uint32_t rows;                    /* may be 0: a step that evaluates nothing */
    const struct dg_kernels *kernels; /* used by the ops, opaque to graph and runtime */
};

/* Positions of the first row's sequence before the step. */
static inline uint32_t dg_step_past(const struct dg_step *step)
{
    return step->rows > 0 ? step->row[0].position : 0;
}

/* What the planner tells an op that is being cut. */
struct dg_tiling {
    uint32_t workers;   /* >= 1: how many may run at once */
    uint32_t row_block; /* rows of a tile; 0: chosen by the planner */
    uint32_t col_block; /* columns of a matmul tile; 0: chosen by the op */
};

/* Rows and columns of the tiles of one op; the last tile of a row or column may be smaller. */
struct dg_cut {
    uint32_t rows, cols; /* >= 1 */
};

struct dg_cost {
    uint64_t flops; /* floating-point operations; a fused multiply-add is two */
    uint64_t bytes; /* read and written, each element once */
};

/* What a block's hidden layer goes through. */
enum dg_activation {
    DG_NO_ACTIVATION,
    DG_GELU,     /* by tanh: GPT-2's */
    DG_GELU_ERF, /* as it is defined */
    DG_RELU,
    DG_N_ACTIVATIONS
};

static inline const char *dg_activation_name(enum dg_activation a)
{
    static const char *const names[DG_N_ACTIVATIONS] = {"none", "gelu", "gelu_erf", "relu"};

    return names[a];
}

struct dg_op_type {
    const char *name;

    bool loads;  /* fills a weight from a file: run when nothing else can be */
    bool posted; /* no worker runs its tiles: dg_run_post() completes them; run may be NULL */

    /* Are the shapes of op's tensors and its attributes ones that the other functions take? */
    enum dg_status (*check)(const struct dg_op *op, struct dg_error *err);

    /* tiling->row_block is set, and at most the output's rows. */
    struct dg_cut (*split)(const struct dg_op *op, const struct dg_tiling *tiling);

    /* The box of in[i] that the tile writing `out` reads. */
    struct dg_box (*reads)(const struct dg_op *op, unsigned i, struct dg_box out);

    /* What a tile, or the whole op, that writes `out` takes, with `past` positions in the cache
     * before the step. One more position adds the same at every `past`. */
    struct dg_cost (*cost)(const struct dg_op *op, struct dg_box out, uint32_t past);

    /* Bytes that run() wants at `scratch`, the same for every tile. NULL: none. */
    uint64_t (*scratch)(const struct dg_op *op, struct dg_cut cut);

    /* Computes the tile: reads the boxes that reads() names, writes `out`, touches nothing else.
     * `scratch` is 64-byte aligned and this worker's own. 0, or an errno value. Any thread. */
    int (*run)(const struct dg_op *op, struct dg_box out, const struct dg_step *step,
               void *scratch);
};

struct dg_op {
    const struct dg_op_type *type;
    char name[24];
    int layer; /* whose keys and values it writes or reads, too; -1: outside the blocks */
    struct dg_tensor *in[DG_MAX_IN];
    unsigned n_in;
    struct dg_tensor *out;

    /* Attributes; each is 0 where its type does not use it. */
    uint32_t heads; /* attention, and a matmul whose output is cut by heads */
    uint32_t
        first_row; /* tail, attention, logits: output row r is the input's, or step's, first_row + r */
    bool residual;                 /* matmul: the last input is added to the result (fused) */
    enum dg_activation activation; /* matmul: applied to the result, before that (fused) */
    float epsilon;                 /* layernorm: added to the variance, >= 0 */
    const void *source;            /* load, embed: where the bytes come from (src/ops/source.h) */
    enum dg_dtype held;            /* embed with a source: what those become in memory */
};

#endif
