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
        return (struct dg_cut){w->rows,
                               (uint32_t)dg_round_up(dg_div_up(TILE_ELEMENTS, w->rows), DG_GROUP)};
    return (struct dg_cut){(uint32_t)dg_round_up(dg_div_up(TILE_ELEMENTS, w->cols), DG_LANES),
                           w->cols};
}

static struct dg_cost cost(const struct dg_op *op, struct dg_box out, uint32_t past)
{
    const struct dg_source *s = op->source;
    const enum dg_dtype from = s ? s->dtype : DG_F32;
    const uint64_t rows = out.r1 - out.r0, cols = out.c1 - out.c0;

    (void)past;
    return (struct dg_cost){
        0, (s && s->panels ? rows * dg_output_bytes(from, cols) : dg_dtype_run(from, rows * cols)) +
               rows * dg_output_bytes(op->out->dtype, cols)};
}

/* Lines that are read at once. */
static size_t lines_at_once(const struct dg_tensor *w, bool transposed)
{
    return transposed ? dg_round_up(dg_div_up(ELEMENTS_AT_ONCE, w->rows), DG_GROUP) : DG_LANES;
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

/* A panel of int8, from one. */
static int load_panel(const struct dg_tensor *w, const struct dg_source *from, size_t row)
{
    const size_t bytes = DG_LANES * (size_t)dg_output_bytes(DG_I8, w->cols);
    struct dg_panel_group *to = (void *)((char *)w->data + row / DG_LANES * bytes);
    const int failed =
        dg_file_read(from->file, from->offset + row / DG_LANES * from->stride, to, bytes);

    for (size_t g = 0; g < dg_groups(w->cols) && !failed; g++)
        if (!dg_are_finite(to[g].scale, w->rows - row < DG_LANES ? w->rows - row : DG_LANES))
            return EDOM;
    return failed;
}

/* n rows of int8 from groups of Q8_0. */
static int load_groups(const struct dg_tensor *w, const struct dg_source *from, size_t row,
                       size_t n, char *groups)
{
    const int failed = dg_source_read_q8_0(from, row, n, w->cols, groups);

    for (size_t i = 0; i < n * dg_groups(w->cols) && !failed; i++, groups += DG_Q8_0_BYTES) {
        const float scale = dg_q8_0_scale(groups);
        int8_t values[DG_GROUP];

        if (!dg_are_finite(&scale, 1))
            return EDOM;
        memcpy(values, groups + DG_Q8_0_BYTES - DG_GROUP, sizeof values);
        dg_pack_group(w, row + i / dg_groups(w->cols), i % dg_groups(w->cols), scale, values);
    }
    return failed;
}

/* Lines line ... line + n - 1 of a weight, which are floats on their way. */
static int load_floats(const struct dg_tensor *w, const struct dg_source *from, size_t line,
                       size_t n, float *buffer)
{
    const size_t length = from->transposed ? w->rows : w->cols;
    const int failed = dg_source_read(from, line, n, length, buffer);

    if (failed)
        return failed;
    if (!dg_are_finite(buffer, n * length))
        return EDOM;
    (from->transposed ? dg_pack_columns : dg_pack)(w, line, n, buffer);
    return 0;
}

/* Lines first ... last - 1 of a weight. Integers with scales stay what they are in int8: to round them again could
 * make others of them. */
static int load(const struct dg_tensor *w, const struct dg_source *from, size_t first, size_t last,
                float *buffer)
{
    const size_t some = lines_at_once(w, from->transposed);
    const bool stays = w->dtype == DG_I8 && dg_source_is_int8(from);
    int failed = 0;

    for (size_t i = first, n; i < last && !failed; i += n) {
        n = last - i < some ? last - i : some;
        if (!stays)
            failed = load_floats(w, from, i, n, buffer);
        else if (from->dtype == DG_I8)
            failed = load_panel(w, from, i);
        else
            failed = load_groups(w, from, i, n, (char *)buffer);
    }
    return failed;
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
