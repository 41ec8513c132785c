/* The last rows of x. Of a prompt only the last row goes on to the logits, so in the last block, behind
 * its keys and values, no other row is computed. */
#include "common.h"

#include <string.h>

static enum dg_status check(const struct dg_op *op, struct dg_error *err)
{
    const struct dg_tensor *x = op->in[0], *y = op->out;
    enum dg_status st = dg_expect_inputs(op, 1, err);

    if (st == DG_OK)
        st = dg_expect_shape(op, "x", x, DG_ROWS, op->first_row + y->rows, y->cols, err);
    if (st == DG_OK)
        st = dg_expect_shape(op, "y", y, DG_ROWS, y->rows, x->cols, err);
    return st;
}

static struct dg_box reads(const struct dg_op *op, unsigned i, struct dg_box out)
{
    (void)i;
    out.r0 += op->first_row;
    out.r1 += op->first_row;
    return out;
}

static struct dg_cost cost(const struct dg_op *op, struct dg_box out, uint32_t past)
{
    (void)past;
    return (struct dg_cost){0, dg_dtype_bytes(op->out->dtype) * 2 * dg_box_area(out)};
}

static int run(const struct dg_op *op, struct dg_box out, const struct dg_step *step, void *scratch)
{
    const size_t cols = op->out->cols;

    (void)step;
    (void)scratch;
    memcpy(dg_at(op->out, out.r0, 0), dg_at(op->in[0], op->first_row + out.r0, 0),
           (out.r1 - out.r0) * cols * sizeof(float));
    return 0;
}

const struct dg_op_type dg_op_tail = {
    .name = "tail",
    .check = check,
    .split = dg_cut_rows,
    .reads = reads,
    .cost = cost,
    .run = run,
};
