/* The last product: one logit for each id of the vocabulary, with the token embedding as weight.
 * Ids that a file pads the vocabulary with have no row in it, so they cannot win. */
#include "common.h"

static enum dg_status check(const struct dg_op *op, struct dg_error *err)
{
    const struct dg_tensor *x = op->in[0], *w = op->in[1], *y = op->out;
    enum dg_status st = dg_expect_inputs(op, 2, err);

    if (st == DG_OK)
        st = dg_expect_shape(op, "x", x, DG_ROWS, y->rows, w->cols, err);
    if (st == DG_OK)
        st = dg_expect_panels(op, "w", w, y->cols, x->cols, err);
    if (st == DG_OK)
        st = dg_expect_shape(op, "y", y, DG_ROWS, x->rows, w->rows, err);
    return st;
}

static struct dg_cost cost(const struct dg_op *op, struct dg_box out, uint32_t past)
{
    (void)past;
    return (struct dg_cost){2 * (uint64_t)op->in[1]->cols * dg_box_area(out),
                            dg_product_bytes(op, out, 0)};
}

static int run(const struct dg_op *op, struct dg_box out, const struct dg_step *step, void *scratch)
{
    const struct dg_tensor *y = op->out;

    (void)scratch;
    dg_product(step->kernels, dg_at(y, out.r0, out.c0), y->cols, op->in[0], op->in[1], NULL, out);
    return 0;
}

const struct dg_op_type dg_op_logits = {
    .name = "logits",
    .check = check,
    .split = dg_cut_product,
    .reads = dg_reads_product,
    .cost = cost,
    .run = run,
};
