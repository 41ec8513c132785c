/* The last product: one logit for each id of the vocabulary, with the token embedding as weight.
 * Ids that a file pads the vocabulary with have no row in it, so they cannot win. Each row's logits go to
 * where the step's row says. */
#include "common.h"

#include <string.h>

static enum dg_status check(const struct dg_op *op, struct dg_error *err)
{
    const struct dg_tensor *x = op->in[0], *w = op->in[1], *y = op->out;
    enum dg_status st = dg_expect_inputs(op, 2, err);

    if (st == DG_OK)
        st = dg_expect_factor(op, x, w, y->rows, err);
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

static uint64_t scratch(const struct dg_op *op, struct dg_cut cut)
{
    (void)op;
    return sizeof(float) * (uint64_t)cut.rows * cut.cols;
}

static bool side_by_side(const struct dg_row *row, struct dg_box out, size_t vocab)
{
    for (size_t r = out.r0 + 1; r < out.r1; r++)
        if (row[r].logits != row[r - 1].logits + vocab)
            return false;
    return true;
}

/* The rows of a box are multiplied together, so that the weight is read once: where their logits lie apart,
 * into scratch. */
static int run(const struct dg_op *op, struct dg_box out, const struct dg_step *step, void *scratch)
{
    const struct dg_row *row = step->row + op->first_row;
    const size_t vocab = op->out->cols, cols = out.c1 - out.c0;
    const bool direct = side_by_side(row, out, vocab);
    float *y = direct ? row[out.r0].logits + out.c0 : scratch;

    dg_product(step->kernels, y, direct ? vocab : cols, op->in[0], op->in[1], NULL, out);
    if (!direct)
        for (size_t r = out.r0; r < out.r1; r++, y += cols)
            memcpy(row[r].logits + out.c0, y, cols * sizeof *y);
    return 0;
}

const struct dg_op_type dg_op_logits = {
    .name = "logits",
    .check = check,
    .split = dg_cut_product,
    .reads = dg_reads_product,
    .cost = cost,
    .scratch = scratch,
    .run = run,
};
