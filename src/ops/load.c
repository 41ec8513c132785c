/* Reads a weight from its file and packs it, some lines at a time, as many as fit into the second-level cache:
 * rows, 16 of them, or columns where it is stored transposed. A tile takes some panels; of a transposed one all
 * of them (where ranks share it, some), and some columns, so that what it reads lies together in the file. What is
 * not finite is no weight: EDOM, and who has the file says which. */
#include "common.h"
#include "pack.h"
#include "source.h"
#include "../base/finite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { TILE_ELEMENTS = 256 << 10, ELEMENTS_AT_ONCE = 64 << 10 };

static enum dg_status check(const struct dg_op *op, struct dg_error *err)
{
    const struct dg_tensor *w = op->out;

    if (w->role != DG_WEIGHT || op->n_in != 0 || !dg_can_pack(w))
        return dg_fail(err, DG_ERR_USAGE, "op %s: loads a weight, in rows of floats or in panels",
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
                                   (out.r1 - out.r0) *
                                       dg_output_bytes(op->out->dtype, out.c1 - out.c0)};
}

/* Lines that are read at once. */
static size_t lines_at_once(const struct dg_tensor *w, bool transposed)
{
    return transposed ? dg_div_up(ELEMENTS_AT_ONCE, w->rows) : DG_LANES;
}

static size_t buffer_bytes(const struct dg_tensor *w, bool transposed)
{
    return sizeof(float) * lines_at_once(w, transposed) * (transposed ? w->rows : w->cols);
}

static uint64_t scratch(const struct dg_op *op, struct dg_cut cut)
{
    (void)cut;
    return buffer_bytes(op->out, is_transposed(op));
}

/* Lines first ... last - 1 of a weight. */
static int load(const struct dg_tensor *w, const struct dg_source *from, size_t first, size_t last,
                float *buffer)
{
    const size_t length = from->transposed ? w->rows : w->cols;
    const size_t some = lines_at_once(w, from->transposed);

    for (size_t i = first, n; i < last; i += n) {
        int failed;

        n = last - i < some ? last - i : some;
        failed = dg_source_read(from, i, n, length, buffer);
        if (failed)
            return failed;
        if (!dg_are_finite(buffer, n * length))
            return EDOM;
        (from->transposed ? dg_pack_columns : dg_pack)(w, i, n, buffer);
    }
    return 0;
}

static int run(const struct dg_op *op, struct dg_box out, const struct dg_step *step, void *scratch)
{
    struct dg_tensor part = *op->out;
    struct dg_source from = *(const struct dg_source *)op->source;

    (void)step;
    if (!from.transposed)
        return load(&part, &from, out.r0, out.r1, scratch);
    /* Rows r0 ... r1 - 1 as a weight of their own; r0 is a multiple of DG_LANES. */
    part.rows = out.r1 - out.r0;
    part.data = (char *)part.data + out.r0 * dg_output_bytes(part.dtype, part.cols);
    from.offset += dg_dtype_run(from.dtype, out.r0);
    return load(&part, &from, out.c0, out.c1, scratch);
}

int dg_load(const struct dg_tensor *w, const struct dg_source *from)
{
    float *buffer = malloc(buffer_bytes(w, from->transposed));
    int failed;

    if (!buffer)
        return ENOMEM;
    failed = load(w, from, 0, from->transposed ? w->cols : w->rows, buffer);
    free(buffer);
    return failed;
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
