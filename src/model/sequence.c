/* A sequence owns what one text has: keys and values, how many positions they are of, and the logits of
 * the last eval. */
#include "sequence.h"
#include "../base/arena.h"
#include "../base/status.h"

#include <stdlib.h>

size_t dg_sequence_cache_bytes(const struct dg_sizes *z, enum dg_precision cache)
{
    const struct dg_cache_shape shape = dg_pool_shape(z, dg_cache_dtype(cache));

    return dg_cache_bytes(&shape);
}

static enum dg_status new_sequence(struct dg_sequence **out, struct dg_engine *engine,
                                   struct dg_error *err)
{
    struct dg_arena *arena = dg_arena_new();
    struct dg_sequence *s = arena ? dg_arena_alloc(arena, sizeof *s) : NULL;

    if (!s || !dg_pages_new(&s->pages, dg_engine_pool(engine), arena)) {
        dg_arena_free(arena);
        return dg_fail_memory(err, "a sequence", sizeof *s);
    }
    s->arena = arena;
    s->engine = engine;
    dg_engine_hold(engine);
    s->sizes = dg_engine_model(engine)->sizes;
    s->cache = (struct dg_cache){dg_pool_cache_shape(s->pages.pool), s->pages.data};
    *out = s;
    return DG_OK;
}

enum dg_status dg_sequence_new(struct dg_sequence **out, struct dg_engine *engine,
                               struct dg_error *err)
{
    if (!dg_is_place(out, err) || !dg_is_given(engine, "engine", err))
        return DG_ERR_USAGE;
    return new_sequence(out, engine, err);
}

enum dg_status dg_sequence_fork(struct dg_sequence **out, struct dg_sequence *from,
                                struct dg_error *err)
{
    enum dg_status st;

    if (!dg_is_place(out, err) || !dg_is_given(from, "sequence", err))
        return DG_ERR_USAGE;
    if (!dg_change_acq_rel(&from->busy, 0, 1))
        return dg_fail(err, DG_ERR_USAGE, "sequence: an eval of it is under way");
    st = new_sequence(out, from->engine, err);
    if (st == DG_OK) {
        dg_pages_share(&(*out)->pages, &from->pages);
        (*out)->position = from->position;
        dg_engine_text(from->engine, *out, from);
    }
    dg_store_release(&from->busy, 0);
    return st;
}

void dg_sequence_free(struct dg_sequence *s)
{
    if (!s || dg_load_acquire(&s->busy))
        return;
    dg_engine_text(s->engine, s, NULL);
    dg_pages_trim(&s->pages, 0);
    free(s->logits);
    dg_engine_free(s->engine);
    dg_arena_free(s->arena); /* s itself lies in it */
}

void dg_sequence_cancel(struct dg_sequence *s)
{
    if (s)
        dg_store_release(&s->cancelled, 1);
}

const float *dg_sequence_logits(const struct dg_sequence *s)
{
    return s && s->has_logits ? s->logits : NULL;
}

size_t dg_sequence_position(const struct dg_sequence *s)
{
    return s ? s->position : 0;
}

void dg_sequence_rewind(struct dg_sequence *s, size_t position)
{
    if (!s || dg_load_acquire(&s->busy) || position >= s->position)
        return;
    dg_pages_trim(&s->pages, position);
    s->position = position;
    s->has_logits = false;
}
