/* Each row to mean 0 and variance 1, then times gain plus bias. */
#include "common.h"

static enum dg_status check(const struct dg_op *op, struct dg_error *err)
{
    const struct dg_tensor *x = op->in[0], *y = op->out;
    enum dg_status st = dg_expect_inputs(op, 3, err);

    if (st == DG_OK)
        st = dg_expect_shape(op, "x", x, DG_ROWS, y->rows, y->cols, err);
    if (st == DG_OK)
        st = dg_expect_shape(op, "gain", op->in[1], DG_ROWS, 1, y->cols, err);
    if (st == DG_OK)
        st = dg_expect_shape(op, "bias", op->in[2], DG_ROWS, 1, y->cols, err);
    if (st == DG_OK)
        st = dg_expect_shape(op, "y", y, DG_ROWS, x->rows, x->cols, err);
    if (st == DG_OK && !(op->epsilon >= 0.0f))
        st = dg_fail(err, DG_ERR_USAGE, "op %s: epsilon: got %g, expected 0 or more", op->name,
                     (double)op->epsilon);
    return st;
}

static struct dg_box reads(const struct dg_op *op, unsigned i, struct dg_box out)
{
    return i == 0 ? out : dg_whole_box(op->in[i]);
}

static struct dg_cost cost(const struct dg_op *op, struct dg_box out, uint32_t past)
{
    const uint64_t gain_and_bias = 2 * (uint64_t)op->out->cols;

    (void)past;
    return (struct dg_cost){8 * dg_box_area(out), dg_dtype_bytes(op->out->dtype) *
                                                      (2 * dg_box_area(out) + gain_and_bias)};
}

static int run(const struct dg_op *op, struct dg_box out, const struct dg_step *step, void *scratch)
{
    (void)scratch;
    for (size_t r = out.r0; r < out.r1; r++)
        step->kernels->layernorm(dg_at(op->out, r, 0), dg_at(op->in[0], r, 0), op->in[1]->data,
                                 op->in[2]->data, op->epsilon, op->out->cols);
    return 0;
}

const struct dg_op_type dg_op_layernorm = {
    .name = "layernorm",
    .check = check,
    .split = dg_cut_rows,
    .reads = reads,
    .cost = cost,
    .run = run,
};
