/* Reads a weight from its file and packs it: [n][k] in the file, [n / 16][k][16] in memory. A tile
 * takes some panels; each panel's rows are read with one call into scratch, which fits into the
 * second-level cache, and stored from there. Lanes past the last row stay zero. */
#include "load.h"
#include "common.h"

#include <string.h>

enum { TILE_ELEMENTS = 256 << 10 };

static enum dg_status check(const struct dg_op *op, struct dg_error *err)
{
    const struct dg_tensor *w = op->out;

    if (w->role != DG_WEIGHT || w->dtype != DG_F32 || op->n_in != 0 ||
        (w->layout != DG_ROWS && w->layout != DG_PANELS))
        return dg_fail(err, DG_ERR_USAGE, "op %s: loads a weight, in rows or panels of floats",
                       op->name);
    return DG_OK;
}

static struct dg_cut split(const struct dg_op *op, const struct dg_tiling *tiling)
{
    const uint32_t cols = op->out->cols;

    (void)tiling;
    return (struct dg_cut){(uint32_t)dg_round_up(dg_div_up(TILE_ELEMENTS, cols), DG_LANES), cols};
}

static struct dg_cost cost(const struct dg_op *op, struct dg_box out, uint32_t past)
{
    const struct dg_source *s = op->source;
    const uint64_t read = s && s->bf16 ? 2 : 4;

    (void)past;
    return (struct dg_cost){0, (read + 4) * dg_box_area(out)};
}

static uint64_t scratch(const struct dg_op *op, struct dg_cut cut)
{
    (void)cut;
    return 4 * (uint64_t)DG_LANES * op->out->cols;
}

/* A bf16 is read into the upper half of buf and widened from the front, so that no element is
 * overwritten before it is read. */
int dg_source_read(const struct dg_source *s, uint64_t at, size_t n, float *buf)
{
    uint16_t *half = (uint16_t *)(void *)buf + n;
    int failed;

    if (!s->bf16)
        return dg_file_read(s->file, s->offset + 4 * at, buf, 4 * n);
    failed = dg_file_read(s->file, s->offset + 2 * at, half, 2 * n);
    for (size_t i = 0; i < n && !failed; i++) {
        uint16_t h;
        uint32_t bits;

        memcpy(&h, &half[i], sizeof h);
        bits = (uint32_t)h << 16;
        memcpy(&buf[i], &bits, sizeof bits);
    }
    return failed;
}

/* n rows, one after another, to a panel. */
static void pack(float *panel, const float *rows, size_t n, size_t cols)
{
    for (size_t c = 0; c < cols; c++, panel += DG_LANES) {
        if (n == DG_LANES) {
#pragma GCC unroll 16
            for (size_t i = 0; i < DG_LANES; i++)
                panel[i] = rows[i * cols + c];
        } else {
            for (size_t i = 0; i < n; i++)
                panel[i] = rows[i * cols + c];
        }
    }
}

static int run(const struct dg_op *op, struct dg_box out, const struct dg_step *step, void *scratch)
{
    const struct dg_source *s = op->source;
    const size_t cols = op->out->cols;
    float *rows = scratch;

    (void)step;
    for (size_t r = out.r0; r < out.r1; r += DG_LANES) {
        const size_t n = out.r1 - r < DG_LANES ? out.r1 - r : DG_LANES;
        float *to = dg_at(op->out, r, 0); /* of row r in rows, and of its panel in panels */
        const int failed = dg_source_read(s, r * cols, n * cols, rows);

        if (failed)
            return failed;
        if (op->out->layout == DG_ROWS)
            memcpy(to, rows, n * cols * sizeof *to);
        else
            pack(to, rows, n, cols);
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
