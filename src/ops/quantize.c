/* Rows in groups of integers, each with a scale: what products with weights of int8 take. An op of its own, since
 * several products read the same rows. */
#include "common.h"

static enum dg_status check(const struct dg_op *op, struct dg_error *err)
{
    const struct dg_tensor *x = op->in[0], *y = op->out;
    struct dg_tensor as_float = *y;
    enum dg_status st = dg_expect_inputs(op, 1, err);

    if (st == DG_OK)
        st = dg_expect_shape(op, "x", x, DG_ROWS, y->rows, y->cols, err);
    if (st == DG_OK && y->dtype == DG_I8)
        as_float.dtype = DG_F32;
    else if (st == DG_OK)
        as_float.dtype = DG_I8; /* which is refused */
    return st == DG_OK ? dg_expect_shape(op, "y", &as_float, DG_ROWS, x->rows, x->cols, err) : st;
}

static struct dg_cost cost(const struct dg_op *op, struct dg_box out, uint32_t past)
{
    const uint64_t rows = out.r1 - out.r0;

    (void)past;
    return (struct dg_cost){3 * dg_box_area(out),
                            rows * (dg_row_bytes(op->in[0]) + dg_row_bytes(op->out))};
}

static int run(const struct dg_op *op, struct dg_box out, const struct dg_step *step, void *scratch)
{
    (void)scratch;
    for (size_t r = out.r0; r < out.r1; r++)
        step->kernels->quantize(dg_row(op->out, r), dg_at(op->in[0], r, 0), op->out->cols);
    return 0;
}

const struct dg_op_type dg_op_quantize = {
    .name = "quantize",
    .check = check,
    .split = dg_cut_rows,
    .reads = dg_reads_same,
    .cost = cost,
    .run = run,
};
