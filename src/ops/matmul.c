/* y = x w^T + bias, then, where the graph was rewritten, gelu and residual.
 *
 * The product goes to y and the rest is a second pass over the tile, which is in the first-level
 * cache then. Output for a cache is computed in scratch and stored from there: keys go 16 floats
 * apart. */
#include "common.h"

#include <string.h>

static enum dg_status check(const struct dg_op *op, struct dg_error *err)
{
    const struct dg_tensor *x = op->in[0], *w = op->in[1], *bias = op->in[2], *y = op->out;
    enum dg_status st = dg_expect_inputs(op, op->residual ? 4 : 3, err);

    if (st == DG_OK)
        st = dg_expect_shape(op, "x", x, DG_ROWS, y->rows, w->cols, err);
    if (st == DG_OK)
        st = dg_expect_shape(op, "w", w, DG_PANELS, y->cols, x->cols, err);
    if (st == DG_OK)
        st = dg_expect_shape(op, "bias", bias, DG_ROWS, 1, y->cols, err);
    if (st == DG_OK && op->residual)
        st = dg_expect_shape(op, "residual", op->in[3], DG_ROWS, y->rows, y->cols, err);
    if (st == DG_OK && y->role == DG_CACHE && (op->gelu || op->residual))
        st = dg_fail(err, DG_ERR_USAGE, "op %s: nothing can be fused into a cache", op->name);
    if (st == DG_OK && y->role == DG_CACHE &&
        (y->dtype != DG_F32 || (y->layout != DG_KEYS && y->layout != DG_VALUES)))
        st = dg_fail(err, DG_ERR_USAGE, "op %s: y (%s): a cache holds keys or values, in floats",
                     op->name, y->name);
    if (st == DG_OK && y->role != DG_CACHE)
        st = dg_expect_shape(op, "y", y, DG_ROWS, x->rows, w->rows, err);
    return st;
}

static struct dg_box reads(const struct dg_op *op, unsigned i, struct dg_box out)
{
    return i == 3 ? out : dg_reads_product(op, i, out);
}

static struct dg_cost cost(const struct dg_op *op, struct dg_box out, uint32_t past)
{
    const uint64_t each = 2 * (uint64_t)op->in[1]->cols + (op->gelu ? 10 : 0) + op->residual;

    (void)past;
    return (struct dg_cost){
        .flops = each * dg_box_area(out),
        .bytes = dg_product_bytes(op, out, 1) + (op->residual ? 4 * dg_box_area(out) : 0),
    };
}

static uint64_t scratch(const struct dg_op *op, struct dg_cut cut)
{
    return op->out->role == DG_CACHE ? 4 * (uint64_t)cut.rows * cut.cols : 0;
}

/* Keys of one head: positions `first` ... first + rows - 1, n of its d columns, from from[0 ...]. A block
 * of positions at a time, and of it column by column: its positions lie side by side. */
static void store_keys(float *head, uint64_t stride, size_t first, size_t rows, size_t n,
                       const float *from, size_t from_stride)
{
    while (rows > 0) {
        const size_t lane = first % DG_LANES, left = DG_LANES - lane;
        const size_t some = left < rows ? left : rows;
        float *block = head + first / DG_LANES * stride + lane;

        for (size_t i = 0; i < n; i++)
            for (size_t r = 0; r < some; r++)
                block[i * DG_LANES + r] = from[r * from_stride + i];
        first += some;
        rows -= some;
        from += some * from_stride;
    }
}

static void store_values(float *head, uint64_t stride, size_t d, size_t first, size_t rows,
                         size_t n, const float *from, size_t from_stride)
{
    for (size_t r = 0; r < rows; r++) {
        const size_t t = first + r;

        memcpy(head + t / DG_LANES * stride + t % DG_LANES * d, from + r * from_stride,
               n * sizeof *from);
    }
}

/* Columns c0 ... c1 - 1 of so many positions, from from[rows][c1 - c0]. */
static void store_in_cache(const struct dg_tensor *t, size_t first, size_t rows, uint32_t c0,
                           uint32_t c1, const float *from)
{
    const size_t d = t->cols / t->heads, cols = c1 - c0;
    const uint64_t stride = dg_block_stride(t);

    for (size_t c = c0, n; c < c1; c += n, from += n) {
        const size_t i = c % d;
        float *head = dg_head_at(t, c / d);

        n = d - i < c1 - c ? d - i : c1 - c; /* what is left of this head */
        if (t->layout == DG_KEYS)
            store_keys(head + i * DG_LANES, stride, first, rows, n, from, cols);
        else
            store_values(head + i, stride, d, first, rows, n, from, cols);
    }
}

static int run(const struct dg_op *op, struct dg_box out, const struct dg_step *step, void *scratch)
{
    const struct dg_kernels *k = step->kernels;
    const struct dg_tensor *x = op->in[0], *w = op->in[1], *bias = op->in[2], *y = op->out;
    const size_t rows = out.r1 - out.r0, cols = out.c1 - out.c0;
    const bool cached = y->role == DG_CACHE;
    float *to = cached ? scratch : dg_at(y, out.r0, out.c0);

    k->matmul(to, cached ? cols : y->cols, dg_at(x, out.r0, 0), x->cols, dg_panel_at(w, out.c0),
              dg_at(bias, 0, out.c0), rows, cols, x->cols);
    if (cached)
        store_in_cache(y, (size_t)step->past + out.r0, rows, out.c0, out.c1, to);
    for (size_t r = 0; r < rows; r++) {
        if (op->gelu)
            k->gelu(to + r * y->cols, to + r * y->cols, cols);
        if (op->residual)
            k->add(to + r * y->cols, dg_at(op->in[3], out.r0 + r, out.c0), to + r * y->cols, cols);
    }
    return 0;
}

const struct dg_op_type dg_op_matmul = {
    .name = "matmul",
    .check = check,
    .split = dg_cut_product,
    .reads = reads,
    .cost = cost,
    .scratch = scratch,
    .run = run,
};
