/* Reads a weight from its file and packs it. A tile takes some panels; 16 rows at a time are read into
 * scratch, which fits into the second-level cache, and packed from there. Of a transposed matrix a column's
 * part for all of the tile is read at once, since 16 elements are too few for a call. */
#include "common.h"
#include "pack.h"
#include "source.h"

#include <string.h>

enum { TILE_ELEMENTS = 256 << 10 };

static enum dg_status check(const struct dg_op *op, struct dg_error *err)
{
    const struct dg_tensor *w = op->out;

    if (w->role != DG_WEIGHT || op->n_in != 0 || !dg_can_pack(w))
        return dg_fail(err, DG_ERR_USAGE, "op %s: loads a weight, in rows or panels of floats",
                       op->name);
    return DG_OK;
}

static uint32_t tile_rows(const struct dg_tensor *w)
{
    return (uint32_t)dg_round_up(dg_div_up(TILE_ELEMENTS, w->cols), DG_LANES);
}

static struct dg_cut split(const struct dg_op *op, const struct dg_tiling *tiling)
{
    (void)tiling;
    return (struct dg_cut){tile_rows(op->out), op->out->cols};
}

static struct dg_cost cost(const struct dg_op *op, struct dg_box out, uint32_t past)
{
    const struct dg_source *s = op->source;
    const enum dg_dtype from = s ? s->dtype : DG_F32;

    (void)past;
    return (struct dg_cost){0, (dg_dtype_bytes(from) + dg_dtype_bytes(op->out->dtype)) *
                                   dg_box_area(out)};
}

/* Rows that are read at once. */
static size_t rows_at_once(const struct dg_op *op)
{
    const struct dg_source *s = op->source;

    return s && dg_source_is_transposed(s) ? tile_rows(op->out) : DG_LANES;
}

static uint64_t scratch(const struct dg_op *op, struct dg_cut cut)
{
    (void)cut;
    return sizeof(float) * (uint64_t)rows_at_once(op) * op->out->cols;
}

static int run(const struct dg_op *op, struct dg_box out, const struct dg_step *step, void *scratch)
{
    const size_t cols = op->out->cols, some = rows_at_once(op);
    float *rows = scratch;

    (void)step;
    for (size_t r = out.r0, n; r < out.r1; r += n) {
        int failed;

        n = out.r1 - r < some ? out.r1 - r : some;
        failed = dg_source_read(op->source, r, n, cols, rows);
        if (failed)
            return failed;
        for (size_t i = 0; i < n; i += DG_LANES)
            dg_pack(op->out, r + i, n - i < DG_LANES ? n - i : DG_LANES, rows + i * cols);
    }
    return 0;
}

const struct dg_op_type dg_op_load = {
    .name = "load",
    .loads = true,
    .check = check,
    .split = split,
    .cost = cost,
    .scratch = scratch,
    .run = run,
};

struct dg_tensor *dg_graph_load(struct dg_graph *g, const struct dg_tensor *weight, int layer,
                                const struct dg_source *source)
{
    struct dg_op op = {.type = &dg_op_load, .layer = layer, .source = source};

    memcpy(op.name, weight->name, sizeof op.name);
    op.out = dg_graph_tensor(g, *weight);
    dg_graph_op(g, op);
    return op.out;
}
