/* Activations share memory, so that a step does not leave them: they are looked at as they are made, in a second
 * run. Who needs that has lost already, and waits for it gladly. */
#include "overflow.h"
#include "../base/checked.h"
#include "../base/finite.h"
#include "../ops/common.h"

#include <inttypes.h>
#include <stdlib.h>

/* The first of a tile's columns, in row r. Keys and values go to the cache from scratch, where they still are;
 * logits to where the step's row says. */
static const float *row_of(const struct dg_op *op, struct dg_box out, uint32_t r,
                           const struct dg_step *step, const float *scratch)
{
    if (op->out->role == DG_OUTPUT)
        return step->row[op->first_row + r].logits + out.c0;
    if (op->out->role == DG_CACHE)
        return scratch + (size_t)(r - out.r0) * (out.c1 - out.c0);
    return dg_at(op->out, r, out.c0);
}

static enum dg_status check(const struct dg_op *op, struct dg_box out, const struct dg_step *step,
                            const float *scratch, const char *model, struct dg_error *err)
{
    const bool rounded = op->out->role == DG_CACHE && op->out->dtype == DG_BF16;

    if (op->out->dtype == DG_I8) /* integers of what is finite are */
        return DG_OK;
    for (uint32_t r = out.r0; r < out.r1; r++) {
        const float *row = row_of(op, out, r, step, scratch);

        for (uint32_t c = 0; c < out.c1 - out.c0; c++) {
            const float x = rounded ? dg_float_of_bf16(dg_bf16_of(row[c])) : row[c];

            if (!dg_are_finite(&x, 1))
                return dg_fail(err, DG_ERR_MODEL,
                               "%s: op %s: row %" PRIu32 ", column %" PRIu32
                               ": got %g, expected a finite number: damaged weights",
                               model, op->name, r, out.c0 + c, (double)x);
        }
    }
    return DG_OK;
}

static enum dg_status run_tiles(const struct dg_plan *plan, const struct dg_step *step,
                                float *scratch, const char *model, struct dg_error *err)
{
    for (uint32_t t = 0; t < plan->n_tiles; t++) {
        const struct dg_op *op = dg_tile_op(plan, t);
        enum dg_status st;

        if (op->type->run(op, plan->tiles[t].out, step, scratch) != 0)
            break;
        st = check(op, plan->tiles[t].out, step, scratch, model, err);
        if (st != DG_OK)
            return st;
    }
    return dg_fail(err, DG_ERR_MODEL, "%s: logits: got no finite numbers: damaged weights", model);
}

enum dg_status dg_overflow_find(const struct dg_plan *plan, const struct dg_step *step,
                                const char *model, struct dg_error *err)
{
    const size_t bytes = dg_round_up(dg_size(plan->scratch_bytes) + 1, 64);
    float *scratch = aligned_alloc(64, bytes);
    enum dg_status st;

    if (!scratch)
        return dg_fail_memory(err, "a second run of a step", bytes);
    st = run_tiles(plan, step, scratch, model, err);
    free(scratch);
    return st;
}
