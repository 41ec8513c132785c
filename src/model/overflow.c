/* Activations share memory, so that a step does not leave them: they are looked at as they are made, in a second
 * run. Who needs that has lost already, and waits for it gladly. */
#include "overflow.h"
#include "../base/checked.h"
#include "../base/finite.h"
#include "../ops/common.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sync.h>

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

/* ---- of a rank: while its team runs the step ---- */

/* In the place of an op's type: runs as that does, and looks at what was written. */
struct watched {
    struct dg_op_type type; /* the op's now */
    const struct dg_op_type *of;
    struct dg_watch *watch;
};

struct dg_watch {
    struct dg_piece *piece;
    const char *model;
    struct watched *ops; /* [n_ops]; of: NULL where the op is not watched */
    struct dg_mutex mutex;
    struct dg_overflow *to; /* with the mutex held */
};

static int run_watched(const struct dg_op *op, struct dg_box out, const struct dg_step *step,
                       void *scratch)
{
    const struct watched *o = (const void *)op->type;
    struct dg_watch *w = o->watch;
    const uint64_t origin = w->piece->origin[op - w->piece->graph->ops] / 3;
    const uint64_t at = origin << 32 | out.c0;
    struct dg_error err;
    const int failed = o->of->run(op, out, step, scratch);

    if (failed || check(op, out, step, scratch, w->model, &err) == DG_OK)
        return failed;
    dg_mutex_lock(&w->mutex);
    if (at < w->to->at)
        *w->to = (struct dg_overflow){at, err};
    dg_mutex_unlock(&w->mutex);
    return 0;
}

enum dg_status dg_watch_begin(struct dg_watch **out, struct dg_piece *piece, const char *model,
                              struct dg_overflow *to, struct dg_error *err)
{
    struct dg_watch *w = calloc(1, sizeof *w);
    struct watched *ops = calloc(piece->graph->n_ops + (size_t)1, sizeof *ops);

    *to = (struct dg_overflow){.at = DG_NO_OVERFLOW};
    if (!w || !ops || !dg_mutex_init(&w->mutex)) {
        free(w);
        free(ops);
        return dg_fail_memory(err, "a second run of a step", piece->graph->n_ops * sizeof *ops);
    }
    w->piece = piece;
    w->model = model;
    w->ops = ops;
    w->to = to;
    for (uint32_t i = 0; i < piece->graph->n_ops; i++) {
        struct dg_op *op = &piece->graph->ops[i];

        if (piece->origin[i] % 3 != 0 ||
            op->type->loads) /* messages are what others have looked at */
            continue;
        ops[i] = (struct watched){*op->type, op->type, w};
        ops[i].type.run = run_watched;
        op->type = &ops[i].type;
    }
    *out = w;
    return DG_OK;
}

void dg_watch_end(struct dg_watch *w)
{
    for (uint32_t i = 0; i < w->piece->graph->n_ops; i++)
        if (w->ops[i].of)
            w->piece->graph->ops[i].type = w->ops[i].of;
    dg_mutex_destroy(&w->mutex);
    free(w->ops);
    free(w);
}
