/* tensor.h - a typed 2-D array with a name.
 * A tensor describes; it owns nothing. `data` is set by whoever has the memory: the model for
 * weights, the plan for activations, who runs a step for its inputs. It is NULL in a graph that is
 * only looked at, and for caches and logits, which each row of a step brings along (op.h). */
#ifndef DG_GRAPH_TENSOR_H
#define DG_GRAPH_TENSOR_H

#include "../base/platform.h"
#include "dtype.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DG_LANES 16 /* outputs in a panel, keys in a block: one AVX-512 register of floats */

enum { DG_GROUP = 32 }; /* elements of DG_I8 that share a scale */

/* Elements of a row of DG_I8, each scale * value; past the row's end 0. */
struct dg_group {
    int8_t value[DG_GROUP]; /* -127 ... 127 */
    float scale;
    int32_t start; /* -128 times the sum of the values: where a sum of weights + 128 begins */
};

/* The same elements of the outputs of a panel, each scale * (weight - 128); past the depth 128. */
struct dg_panel_group {
    float scale[DG_LANES];
    /* four of an output side by side; 0 stands for -128 */
    uint8_t weight[DG_GROUP / 4][DG_LANES][4];
};

enum dg_role {
    DG_INPUT,      /* token ids */
    DG_WEIGHT,     /* constant while steps run */
    DG_CACHE,      /* K or V of a layer: kept from step to step */
    DG_ACTIVATION, /* written and read within one step */
    DG_OUTPUT,     /* what a step is run for: logits */
};

/* Where element (row, col) lies, in elements from `data`. P = DG_LANES. */
enum dg_layout {
    DG_ROWS,   /* row * cols + col */
    DG_PANELS, /* [row / P][col][row % P]: a weight's rows are its outputs, one per lane. In bf16
                * [row / P][col / 2][row % P][col % 2], as many columns as that takes; in int8
                * [row / P][col / 32] of struct dg_panel_group */
    DG_KEYS,   /* a cache's, */
    DG_VALUES, /* where src/ops/cache.c says */
};

struct dg_tensor {
    char name[24];
    enum dg_role role;
    enum dg_layout layout;
    enum dg_dtype dtype;
    uint32_t rows, cols; /* >= 1 */
    uint32_t heads;      /* DG_KEYS and DG_VALUES: cols = heads * head size; else 0 */
    uint32_t positions;  /* DG_CACHE: of a sequence, at the most, >= rows; else 0 */
    void *data;
};

/* Half-open ranges of rows and columns: rows r0 ... r1 - 1, columns c0 ... c1 - 1.
 * The rows of a cache tensor are those that the step writes: row 0 is the step's first position, so
 * that one plan serves every position. Earlier positions are constant during a step, and have no
 * row. */
struct dg_box {
    uint32_t r0, r1, c0, c1;
};

static inline bool dg_box_meets(struct dg_box a, struct dg_box b)
{
    return a.r0 < b.r1 && b.r0 < a.r1 && a.c0 < b.c1 && b.c0 < a.c1;
}

/* All of a tensor. */
static inline struct dg_box dg_whole_box(const struct dg_tensor *t)
{
    return (struct dg_box){0, t->rows, 0, t->cols};
}

static inline uint64_t dg_box_area(struct dg_box b)
{
    return (uint64_t)(b.r1 - b.r0) * (b.c1 - b.c0);
}

/* Groups of DG_I8 that n elements take. */
static inline size_t dg_groups(uint64_t n)
{
    return (size_t)((n + DG_GROUP - 1) / DG_GROUP);
}

/* Bytes of n elements of a row in DG_ROWS, of DG_I8 those of the groups that they take. */
static inline uint64_t dg_rows_run(enum dg_dtype type, uint64_t n)
{
    return type == DG_I8 ? dg_groups(n) * sizeof(struct dg_group) : n * dg_dtype_bytes(type);
}

/* Bytes from one row to the next of a tensor in DG_ROWS. */
static inline uint64_t dg_row_bytes(const struct dg_tensor *t)
{
    return dg_rows_run(t->dtype, t->cols);
}

/* Bytes of one output's elements in panels, of which each panel has DG_LANES; at most 4 for each element,
 * and those that fill it up. Of bf16 two elements lie side by side, in the place of a float. */
static inline uint64_t dg_output_bytes(enum dg_dtype type, uint64_t depth)
{
    if (type == DG_F32)
        return depth * sizeof(float);
    if (type == DG_I8)
        return dg_groups(depth) * (sizeof(struct dg_panel_group) / DG_LANES);
    return type == DG_BF16 ? (depth + 1) / 2 * 4 : depth * dg_dtype_bytes(type);
}

/* Elements that `data` must have room for, the padding of panels included. */
uint64_t dg_tensor_elements(const struct dg_tensor *t);

/* The same in bytes. Does not wrap for a tensor that dg_graph_check() has passed. */
uint64_t dg_tensor_bytes(const struct dg_tensor *t);

#endif
