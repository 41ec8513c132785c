/* common.h - what several ops do alike: addressing elements, and checking shapes. */
#ifndef DG_OPS_COMMON_H
#define DG_OPS_COMMON_H

#include "../base/checked.h"
#include "kernels/kernels.h"
#include "ops.h"

/* Element (row, col) of a tensor in rows. */
static inline float *dg_at(const struct dg_tensor *t, size_t row, size_t col)
{
    return (float *)t->data + row * t->cols + col;
}

/* Row `row` of a tensor in rows, of any dtype. */
static inline void *dg_row(const struct dg_tensor *t, size_t row)
{
    return (char *)t->data + row * dg_row_bytes(t);
}

/* Rows row ... row + n - 1 of a step that are of one sequence, at positions one after the other, n <= most;
 * at least 1. */
size_t dg_rows_alike(const struct dg_step *step, size_t row, size_t most);

/* y[r][c] = bias[c] + sum over k of x[r][k] * w[c][k] for the box `out`, from y's first element on; bias
 * may be NULL. */
static inline void dg_product(const struct dg_kernels *k, float *y, size_t y_stride,
                              const struct dg_tensor *x, const struct dg_tensor *w,
                              const float *bias, struct dg_box out)
{
    const size_t depth = w->cols;
    const char *panels = (const char *)w->data + out.c0 * dg_output_bytes(w->dtype, depth);

    k->matmul[w->dtype](y, y_stride, dg_row(x, out.r0), dg_row_bytes(x) / sizeof(float), panels,
                        bias, out.r1 - out.r0, out.c1 - out.c0, depth);
}

/* y[i] = activation of x[i]. y may be x. */
static inline void dg_activate(const struct dg_kernels *k, enum dg_activation a, float *y,
                               const float *x, size_t n)
{
    if (a == DG_GELU)
        k->gelu(y, x, n);
    else if (a == DG_GELU_ERF)
        k->gelu_erf(y, x, n);
    else
        k->relu(y, x, n);
}

/* DG_ERR_USAGE unless t is float, in that layout and of that shape. what: "x", "bias", ... */
enum dg_status dg_expect_shape(const struct dg_op *op, const char *what, const struct dg_tensor *t,
                               enum dg_layout layout, uint32_t rows, uint32_t cols,
                               struct dg_error *err);

/* The same of what is multiplied with the weight w, which with one of int8 is of int8. */
enum dg_status dg_expect_factor(const struct dg_op *op, const struct dg_tensor *x,
                                const struct dg_tensor *w, uint32_t rows, struct dg_error *err);

/* The same of a cache, which may be of any dtype that attention takes. */
enum dg_status dg_expect_cache(const struct dg_op *op, const char *what, const struct dg_tensor *t,
                               enum dg_layout layout, uint32_t rows, uint32_t cols,
                               struct dg_error *err);

/* DG_ERR_USAGE unless w is a weight [rows][cols] in panels, of a dtype that products take. */
enum dg_status dg_expect_panels(const struct dg_op *op, const char *what, const struct dg_tensor *w,
                                uint32_t rows, uint32_t cols, struct dg_error *err);

/* DG_ERR_USAGE unless the op has that many inputs. */
enum dg_status dg_expect_inputs(const struct dg_op *op, unsigned n, struct dg_error *err);

/* Bytes of a tile of a product of x [rows][depth] with a weight [out->cols][depth]: x, w, y, and
 * `more` values per column. */
uint64_t dg_product_bytes(const struct dg_op *op, struct dg_box out, unsigned more);

/* Rows of a block, or some of them where there is one block alone; all columns. */
struct dg_cut dg_cut_rows(const struct dg_op *op, const struct dg_tiling *tiling);

/* Columns of a tile of an op that multiplies with a weight [out->cols][depth]. */
struct dg_cut dg_cut_product(const struct dg_op *op, const struct dg_tiling *tiling);

/* For dg_op_type.reads: the same box of the input; and what a product reads of x (the same rows, all
 * columns), its weight and its bias. */
struct dg_box dg_reads_same(const struct dg_op *op, unsigned i, struct dg_box out);
struct dg_box dg_reads_product(const struct dg_op *op, unsigned i, struct dg_box out);

#endif
