/* softmax(q K^T / sqrt(d)) V for the rows of a block and one head, over the caches of their sequences. A
 * row at position t sees the keys 0 ... t of its own. Row r is the step's row first_row + r.
 *
 * All scores of a row are computed before its softmax, in scratch: rows of up to `positions`
 * floats. A running softmax would need no such row, but its sums would depend on how keys are
 * blocked. */
#include "cache.h"
#include "common.h"

#include <math.h>

static uint32_t head_size(const struct dg_op *op)
{
    return op->out->cols / op->heads;
}

static enum dg_status check(const struct dg_op *op, struct dg_error *err)
{
    const struct dg_tensor *q = op->in[0], *keys = op->in[1], *values = op->in[2], *y = op->out;
    enum dg_status st = dg_expect_inputs(op, 3, err);

    if (st == DG_OK && (op->heads == 0 || y->cols % op->heads != 0 || keys->heads != op->heads ||
                        values->heads != op->heads))
        st = dg_fail(err, DG_ERR_USAGE, "op %s: %u columns in %u heads, K in %u and V in %u",
                     op->name, y->cols, op->heads, keys->heads, values->heads);
    if (st == DG_OK && (keys->role != DG_CACHE || values->role != DG_CACHE ||
                        keys->positions != values->positions || keys->dtype != values->dtype))
        st = dg_fail(err, DG_ERR_USAGE,
                     "op %s: K (%s) and V (%s) are not caches of one length and dtype", op->name,
                     keys->name, values->name);
    if (st == DG_OK && op->layer < 0)
        st = dg_fail(err, DG_ERR_USAGE, "op %s: reads a cache, of no layer", op->name);
    if (st == DG_OK)
        st = dg_expect_shape(op, "q", q, DG_ROWS, y->rows, y->cols, err);
    if (st == DG_OK)
        st = dg_expect_cache(op, "K", keys, DG_KEYS, op->first_row + q->rows, q->cols, err);
    if (st == DG_OK)
        st = dg_expect_cache(op, "V", values, DG_VALUES, keys->rows, q->cols, err);
    if (st == DG_OK)
        st = dg_expect_shape(op, "y", y, DG_ROWS, q->rows, q->cols, err);
    return st;
}

/* A tile is one head: its scores are computed once, and its keys are read by one worker. */
static struct dg_cut split(const struct dg_op *op, const struct dg_tiling *tiling)
{
    return (struct dg_cut){tiling->row_block, head_size(op)};
}

static struct dg_box reads(const struct dg_op *op, unsigned i, struct dg_box out)
{
    if (i == 0)
        return out;
    /* the keys and values of all earlier rows of the step, too */
    return (struct dg_box){0, op->first_row + out.r1, out.c0, out.c1};
}

/* Per head, and pair of row and key, two products of length d, and some ten for softmax. The box may
 * have several heads: a tile has one, the whole op all. */
static struct dg_cost cost(const struct dg_op *op, struct dg_box out, uint32_t past)
{
    const uint64_t before = (uint64_t)past + op->first_row;
    const uint64_t first = before + out.r0 + 1, last = before + out.r1;
    const uint64_t pairs = (first + last) * (last - first + 1) / 2, cols = out.c1 - out.c0;

    return (struct dg_cost){
        .flops = pairs * (4 * cols + 10 * (cols / head_size(op))),
        .bytes = 2 * (dg_dtype_bytes(op->in[1]->dtype) * last * cols +
                      dg_dtype_bytes(op->out->dtype) * dg_box_area(out)), /* K, V; q, y */
    };
}

static size_t row_room(const struct dg_op *op)
{
    return dg_round_up(op->in[1]->positions, DG_LANES);
}

static uint64_t scratch(const struct dg_op *op, struct dg_cut cut)
{
    (void)cut;
    return sizeof(float) * (uint64_t)DG_ATTENTION_ROWS * row_room(op);
}

static int run(const struct dg_op *op, struct dg_box out, const struct dg_step *step, void *scratch)
{
    const struct dg_kernels *k = step->kernels;
    const size_t d = head_size(op), stride = row_room(op), cols = op->out->cols;
    const enum dg_dtype held = op->in[1]->dtype;
    const uint32_t head = (uint32_t)(out.c0 / d), layer = (uint32_t)op->layer;
    const float scale = 1.0f / sqrtf((float)d);
    float *s = scratch;

    for (size_t r = out.r0, rows; r < out.r1; r += rows) {
        const struct dg_row *row = &step->row[op->first_row + r];
        const struct dg_blocks keys = dg_cache_keys(row->cache, layer, head);
        const struct dg_blocks values = dg_cache_values(row->cache, layer, head);
        const size_t n = (size_t)row->position + 1; /* keys that the first of these rows sees */

        rows = out.r1 - r < DG_ATTENTION_ROWS ? out.r1 - r : DG_ATTENTION_ROWS;
        rows = dg_rows_alike(step, op->first_row + r, rows);
        k->scores[held](s, stride, dg_at(op->in[0], r, out.c0), cols, keys, rows, n + rows - 1, d,
                        scale);
        for (size_t i = 0; i < rows; i++)
            k->softmax(s + i * stride, n + i);
        k->mix[held](dg_at(op->out, r, out.c0), cols, s, stride, values, rows, n, d);
    }
    return 0;
}

const struct dg_op_type dg_op_attention = {
    .name = "attention",
    .check = check,
    .split = split,
    .reads = reads,
    .cost = cost,
    .scratch = scratch,
    .run = run,
};
