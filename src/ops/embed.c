/* x[r] = wte[ids[r]] + wpe[the position of row r]. The token embedding is stored once, in panels, for the
 * logits: a row of it is one lane of a panel, and is gathered from there. That costs a token some
 * microseconds, and saves a second copy of the model's largest tensor.
 *
 * In the step that loads the model wte comes last, as the logits do, and the few rows of it that are
 * wanted here are read from the file, op->source: then wte is no input, and op->held its dtype. */
#include "common.h"
#include "pack.h"
#include "source.h"

static bool reads_file(const struct dg_op *op)
{
    return op->n_in == 2;
}

static enum dg_status check(const struct dg_op *op, struct dg_error *err)
{
    const struct dg_tensor *ids = op->in[0], *y = op->out;
    enum dg_status st = dg_expect_inputs(op, reads_file(op) ? 2 : 3, err);

    if (st == DG_OK && (ids->dtype != DG_I32 || ids->rows != y->rows || ids->cols != 1))
        st = dg_fail(err, DG_ERR_USAGE, "op %s: ids (%s): got %u x %u, expected %u x 1 integers",
                     op->name, ids->name, ids->rows, ids->cols, y->rows);
    if (st == DG_OK && !reads_file(op))
        st = dg_expect_panels(op, "wte", op->in[1], op->in[1]->rows, y->cols, err);
    if (st == DG_OK) {
        const struct dg_tensor *wpe = op->in[op->n_in - 1];

        st = dg_expect_shape(op, "wpe", wpe, DG_ROWS, wpe->rows, y->cols, err);
    }
    if (st == DG_OK)
        st = dg_expect_shape(op, "y", y, DG_ROWS, ids->rows, y->cols, err);
    return st;
}

/* Which rows of the weights a tile reads is known when it runs: it waits for all of them. */
static struct dg_box reads(const struct dg_op *op, unsigned i, struct dg_box out)
{
    return i == 0 ? (struct dg_box){out.r0, out.r1, 0, 1} : dg_whole_box(op->in[i]);
}

static struct dg_cost cost(const struct dg_op *op, struct dg_box out, uint32_t past)
{
    (void)past;
    return (struct dg_cost){dg_box_area(out),
                            dg_dtype_bytes(op->out->dtype) * 3 * dg_box_area(out) +
                                dg_dtype_bytes(op->in[0]->dtype) * (out.r1 - out.r0)};
}

/* The sequence has checked that every id has a row in wte and every position one in wpe. */
static int run(const struct dg_op *op, struct dg_box out, const struct dg_step *step, void *scratch)
{
    const int32_t *ids = op->in[0]->data;
    const struct dg_tensor *wpe = op->in[op->n_in - 1];

    (void)scratch;
    for (size_t r = out.r0; r < out.r1; r++) {
        const size_t id = (size_t)ids[r];
        const float *place = dg_at(wpe, step->row[r].position, 0);
        float *y = dg_at(op->out, r, 0);

        if (reads_file(op)) {
            const int failed = dg_source_read(op->source, id, 1, op->out->cols, y);

            if (failed)
                return failed;
            if (op->held != DG_I8 || !dg_source_is_int8(op->source))
                dg_pack_round(op->held, y, op->out->cols);
        } else {
            dg_unpack(op->in[1], id, y);
        }
        for (size_t c = out.c0; c < out.c1; c++)
            y[c] += place[c];
    }
    return 0;
}

const struct dg_op_type dg_op_embed = {
    .name = "embed",
    .check = check,
    .split = dg_cut_rows,
    .reads = reads,
    .cost = cost,
    .run = run,
};
