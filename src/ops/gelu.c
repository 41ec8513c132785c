/* gelu as an op of its own; dg_graph_fuse() makes it part of the matmul before it. */
#include "common.h"

static enum dg_status check(const struct dg_op *op, struct dg_error *err)
{
    enum dg_status st = dg_expect_inputs(op, 1, err);

    if (st == DG_OK)
        st = dg_expect_shape(op, "x", op->in[0], DG_ROWS, op->out->rows, op->out->cols, err);
    if (st == DG_OK)
        st = dg_expect_shape(op, "y", op->out, DG_ROWS, op->in[0]->rows, op->in[0]->cols, err);
    return st;
}

static struct dg_cost cost(const struct dg_op *op, struct dg_box out, uint32_t past)
{
    (void)past;
    return (struct dg_cost){10 * dg_box_area(out),
                            dg_dtype_bytes(op->out->dtype) * 2 * dg_box_area(out)};
}

static int run(const struct dg_op *op, struct dg_box out, const struct dg_step *step, void *scratch)
{
    (void)scratch;
    for (size_t r = out.r0; r < out.r1; r++)
        step->kernels->gelu(dg_at(op->out, r, out.c0), dg_at(op->in[0], r, out.c0),
                            out.c1 - out.c0);
    return 0;
}

const struct dg_op_type dg_op_gelu = {
    .name = "gelu",
    .check = check,
    .split = dg_cut_rows,
    .reads = dg_reads_same,
    .cost = cost,
    .run = run,
};
