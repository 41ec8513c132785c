/* Reads a weight from its file and packs it, some lines at a time, as many as fit into the second-level cache:
 * rows, 16 of them, or columns where it is stored transposed. A tile takes some panels; of a transposed one all
 * of them, and some columns, so that what it reads lies together in the file. */
#include "common.h"
#include "pack.h"
#include "source.h"

#include <string.h>

enum { TILE_ELEMENTS = 256 << 10, ELEMENTS_AT_ONCE = 64 << 10 };

static enum dg_status check(const struct dg_op *op, struct dg_error *err)
{
    const struct dg_tensor *w = op->out;

    if (w->role != DG_WEIGHT || op->n_in != 0 || !dg_can_pack(w))
        return dg_fail(err, DG_ERR_USAGE, "op %s: loads a weight, in rows or panels of floats",
                       op->name);
    return DG_OK;
}

static bool is_transposed(const struct dg_op *op)
{
    const struct dg_source *s = op->source;

    return s && s->transposed;
}

static struct dg_cut split(const struct dg_op *op, const struct dg_tiling *tiling)
{
    const struct dg_tensor *w = op->out;

    (void)tiling;
    if (is_transposed(op))
        return (struct dg_cut){w->rows, (uint32_t)dg_div_up(TILE_ELEMENTS, w->rows)};
    return (struct dg_cut){(uint32_t)dg_round_up(dg_div_up(TILE_ELEMENTS, w->cols), DG_LANES),
                           w->cols};
}

static struct dg_cost cost(const struct dg_op *op, struct dg_box out, uint32_t past)
{
    const struct dg_source *s = op->source;
    const enum dg_dtype from = s ? s->dtype : DG_F32;

    (void)past;
    return (struct dg_cost){0, dg_dtype_run(from, dg_box_area(out)) +
                                   dg_dtype_bytes(op->out->dtype) * dg_box_area(out)};
}

/* Lines that are read at once. */
static size_t lines_at_once(const struct dg_op *op)
{
    return is_transposed(op) ? dg_div_up(ELEMENTS_AT_ONCE, op->out->rows) : DG_LANES;
}

static uint64_t scratch(const struct dg_op *op, struct dg_cut cut)
{
    (void)cut;
    return sizeof(float) * (uint64_t)lines_at_once(op) *
           (is_transposed(op) ? op->out->rows : op->out->cols);
}

static int run(const struct dg_op *op, struct dg_box out, const struct dg_step *step, void *scratch)
{
    const bool transposed = is_transposed(op);
    const size_t length = transposed ? op->out->rows : op->out->cols, some = lines_at_once(op);
    const size_t last = transposed ? out.c1 : out.r1;

    (void)step;
    for (size_t i = transposed ? out.c0 : out.r0, n; i < last; i += n) {
        int failed;

        n = last - i < some ? last - i : some;
        failed = dg_source_read(op->source, i, n, length, scratch);
        if (failed)
            return failed;
        (transposed ? dg_pack_columns : dg_pack)(op->out, i, n, scratch);
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
