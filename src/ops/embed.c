/* x[t] = wte[ids[t]] + wpe[past + t]. The token embedding is stored once, in panels, for the
 * logits: a row of it is one lane of a panel, and is gathered here 16 floats apart. That costs a
 * token some microseconds, and saves a second copy of the model's largest tensor. */
#include "common.h"

static enum dg_status check(const struct dg_op *op, struct dg_error *err)
{
    const struct dg_tensor *ids = op->in[0], *wte = op->in[1], *wpe = op->in[2], *y = op->out;
    enum dg_status st = dg_expect_inputs(op, 3, err);

    if (st == DG_OK && (ids->dtype != DG_I32 || ids->rows != y->rows || ids->cols != 1))
        st = dg_fail(err, DG_ERR_USAGE, "op %s: ids (%s): got %u x %u, expected %u x 1 integers",
                     op->name, ids->name, ids->rows, ids->cols, y->rows);
    if (st == DG_OK)
        st = dg_expect_shape(op, "wte", wte, DG_PANELS, wte->rows, y->cols, err);
    if (st == DG_OK)
        st = dg_expect_shape(op, "wpe", wpe, DG_ROWS, wpe->rows, y->cols, err);
    if (st == DG_OK)
        st = dg_expect_shape(op, "y", y, DG_ROWS, ids->rows, wte->cols, err);
    return st;
}

static struct dg_cost cost(const struct dg_op *op, struct dg_box out, uint32_t past)
{
    (void)op;
    (void)past;
    return (struct dg_cost){dg_box_area(out), 4 * (3 * dg_box_area(out) + out.r1 - out.r0)};
}

/* The session has checked that every id has a row in wte and every position one in wpe. */
static int run(const struct dg_op *op, struct dg_box out, const struct dg_step *step, void *scratch)
{
    const int32_t *ids = op->in[0]->data;

    (void)scratch;
    for (size_t r = out.r0; r < out.r1; r++) {
        const size_t id = (size_t)ids[r];
        const float *token = dg_panel_at(op->in[1], id / DG_LANES * DG_LANES) + id % DG_LANES;
        const float *place = dg_at(op->in[2], step->past + r, 0);
        float *y = dg_at(op->out, r, 0);

        for (size_t c = out.c0; c < out.c1; c++)
            y[c] = token[c * DG_LANES] + place[c];
    }
    return 0;
}

const struct dg_op_type dg_op_embed = {
    .name = "embed",
    .check = check,
    .split = dg_cut_rows,
    .reads = dg_reads_rows,
    .cost = cost,
    .run = run,
};
