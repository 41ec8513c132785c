/* y = x w^T + bias, then, where the graph was rewritten, an activation and a residual.
 *
 * The product goes to y and the rest is a second pass over the tile, which is in the first-level
 * cache then. Output for a cache is computed in scratch and stored from there: it lies there as
 * cache.c says. */
#include "cache.h"
#include "common.h"

static enum dg_status check(const struct dg_op *op, struct dg_error *err)
{
    const struct dg_tensor *x = op->in[0], *w = op->in[1], *bias = op->in[2], *y = op->out;
    enum dg_status st = dg_expect_inputs(op, op->residual ? 4 : 3, err);

    if (st == DG_OK)
        st = dg_expect_factor(op, x, w, y->rows, err);
    if (st == DG_OK)
        st = dg_expect_panels(op, "w", w, y->cols, x->cols, err);
    if (st == DG_OK)
        st = dg_expect_shape(op, "bias", bias, DG_ROWS, 1, y->cols, err);
    if (st == DG_OK && op->residual)
        st = dg_expect_shape(op, "residual", op->in[3], DG_ROWS, y->rows, y->cols, err);
    if (st == DG_OK && y->role == DG_CACHE && (op->activation || op->residual))
        st = dg_fail(err, DG_ERR_USAGE, "op %s: nothing can be fused into a cache", op->name);
    if (st == DG_OK && y->role == DG_CACHE &&
        (!dg_kernels_scalar.scores[y->dtype] || (y->layout != DG_KEYS && y->layout != DG_VALUES)))
        st = dg_fail(err, DG_ERR_USAGE,
                     "op %s: y (%s): a cache holds keys or values, in floats or bf16", op->name,
                     y->name);
    if (st == DG_OK && y->role == DG_CACHE && op->layer < 0)
        st = dg_fail(err, DG_ERR_USAGE, "op %s: y (%s) is a cache, of no layer", op->name, y->name);
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
    const uint64_t each = 2 * (uint64_t)op->in[1]->cols + (op->activation ? 10 : 0) + op->residual;

    (void)past;
    return (struct dg_cost){
        .flops = each * dg_box_area(out),
        .bytes = dg_product_bytes(op, out, 1) +
                 (op->residual ? dg_dtype_bytes(op->out->dtype) * dg_box_area(out) : 0),
    };
}

static uint64_t scratch(const struct dg_op *op, struct dg_cut cut)
{
    return op->out->role == DG_CACHE ? sizeof(float) * (uint64_t)cut.rows * cut.cols : 0;
}

/* Rows of the step, as far as they are of one sequence, to its cache. */
static void store_in_caches(const struct dg_op *op, struct dg_box out, const struct dg_step *step,
                            const float *from)
{
    for (size_t r = out.r0, n; r < out.r1; r += n, from += n * (out.c1 - out.c0)) {
        n = dg_rows_alike(step, r, out.r1 - r);
        dg_cache_store(step->row[r].cache, op->out->layout, (uint32_t)op->layer,
                       step->row[r].position, n, out.c0, out.c1, from);
    }
}

static int run(const struct dg_op *op, struct dg_box out, const struct dg_step *step, void *scratch)
{
    const struct dg_kernels *k = step->kernels;
    const struct dg_tensor *y = op->out;
    const size_t rows = out.r1 - out.r0, cols = out.c1 - out.c0;
    const bool cached = y->role == DG_CACHE;
    float *to = cached ? scratch : dg_at(y, out.r0, out.c0);

    dg_product(k, to, cached ? cols : y->cols, op->in[0], op->in[1], dg_at(op->in[2], 0, out.c0),
               out);
    if (cached)
        store_in_caches(op, out, step, to);
    for (size_t r = 0; r < rows; r++) {
        if (op->activation)
            dg_activate(k, op->activation, to + r * y->cols, to + r * y->cols, cols);
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
