/* A sequence owns what one text has: keys and values, how many positions they are of, and the logits of
 * the last eval. An eval is cut into steps of at most `chunk` rows; which of them have rows with logits
 * follows from where the last n_logits rows lie. */
#include "sequence.h"
#include "../base/arena.h"
#include "../base/status.h"
#include "../ops/cache.h"
#include "engine.h"
#include <sync.h>

#include <inttypes.h>
#include <stdlib.h>

struct dg_sequence {
    struct dg_arena *arena; /* holds the sequence itself, its rows and its keys and values */
    struct dg_engine *engine;
    struct dg_sizes sizes;
    struct dg_cache cache;
    struct dg_row *rows; /* [positions] row i, once evaluated, is position i of this sequence */
    size_t position;
    float *logits; /* room for `room` of them */
    size_t room;
    bool has_logits; /* of the last eval */

    /* 1: a thread is in dg_sequence_eval(). Order: acq_rel up, release down: who comes next sees what the
     * one before has done. If weakened: an eval goes on from another's half-written position. */
    struct dg_atomic busy;
};

static struct dg_cache_shape cache_shape(const struct dg_sizes *z)
{
    return (struct dg_cache_shape){z->layers, z->heads, z->channels, z->positions};
}

size_t dg_sequence_cache_bytes(const struct dg_sizes *z)
{
    const struct dg_cache_shape shape = cache_shape(z);

    return dg_cache_bytes(&shape);
}

enum dg_status dg_sequence_new(struct dg_sequence **out, struct dg_engine *engine,
                               struct dg_error *err)
{
    struct dg_cache_shape shape;
    struct dg_arena *arena;
    struct dg_sequence *s;
    struct dg_sizes z;
    size_t bytes;

    if (!dg_is_place(out, err) || !dg_is_given(engine, "engine", err))
        return DG_ERR_USAGE;
    z = dg_engine_model(engine)->sizes;
    shape = cache_shape(&z);
    bytes = dg_cache_bytes(&shape);
    arena = dg_arena_new();
    s = arena ? dg_arena_alloc(arena, sizeof *s) : NULL;
    if (s) {
        s->rows = dg_arena_array(arena, z.positions, sizeof *s->rows);
        s->cache = dg_cache_in(bytes ? dg_arena_alloc(arena, bytes) : NULL, &shape);
    }
    if (!s || !s->rows || !s->cache.data) {
        dg_arena_free(arena);
        return dg_fail_memory(err, "the KV cache", bytes);
    }
    s->arena = arena;
    s->engine = engine;
    dg_engine_hold(engine);
    s->sizes = z;
    *out = s;
    return DG_OK;
}

void dg_sequence_free(struct dg_sequence *s)
{
    if (!s || dg_load_acquire(&s->busy))
        return;
    free(s->logits);
    dg_engine_free(s->engine);
    dg_arena_free(s->arena); /* s itself lies in it */
}

static enum dg_status check_request(const struct dg_sequence *s, const int32_t *ids, size_t n,
                                    size_t n_logits, struct dg_error *err)
{
    const struct dg_sizes *z = &s->sizes;

    if (n > 0 && s->position == z->positions)
        return dg_fail(err, DG_ERR_TOKEN, "positions: all %" PRIu32 " of the model are used",
                       z->positions);
    if (n < 1 || n > z->positions - s->position)
        return dg_fail(
            err, DG_ERR_TOKEN,
            "positions: got %zu ids after %zu, expected 1 to %zu: the model has %" PRIu32, n,
            s->position, z->positions - s->position, z->positions);
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || (uint32_t)ids[i] >= z->vocab)
            return dg_fail(err, DG_ERR_TOKEN,
                           "token id %zu: got %" PRId32 ", expected 0 to %" PRIu32, i + 1, ids[i],
                           z->vocab - 1);
    if (n_logits > n)
        return dg_fail(err, DG_ERR_USAGE, "rows with logits: got %zu, expected 0 to %zu", n_logits,
                       n);
    return DG_OK;
}

/* Room for so many rows of logits; n_logits and vocab have 24 and 26 bits. */
static enum dg_status make_room(struct dg_sequence *s, size_t n_logits, struct dg_error *err)
{
    const size_t wanted = n_logits * s->sizes.vocab;
    float *logits;

    if (wanted <= s->room)
        return DG_OK;
    logits = realloc(s->logits, wanted * sizeof *logits);
    if (!logits)
        return dg_fail_memory(err, "logits", wanted * sizeof *logits);
    s->logits = logits;
    s->room = wanted;
    return DG_OK;
}

static enum dg_status eval(struct dg_sequence *s, const int32_t *ids, size_t n, size_t n_logits,
                           struct dg_error *err)
{
    const size_t before = s->position, first = n - n_logits; /* row that has logits */
    const size_t chunk = dg_engine_chunk(s->engine) ? dg_engine_chunk(s->engine) : n;
    enum dg_status st = check_request(s, ids, n, n_logits, err);

    if (st != DG_OK)
        return st;
    s->has_logits = false; /* moved or written over from here on */
    st = make_room(s, n_logits, err);
    for (size_t i = 0, rows; i < n && st == DG_OK; i += rows) {
        const size_t skipped = first > i ? first - i : 0; /* rows of the step before those */

        rows = n - i < chunk ? n - i : chunk;
        for (size_t r = s->position; r < s->position + rows; r++)
            s->rows[r] = (struct dg_row){&s->cache, (uint32_t)r};
        st = dg_engine_step(s->engine, s->rows + s->position, ids + i, (uint32_t)rows,
                            (uint32_t)(skipped < rows ? rows - skipped : 0),
                            s->logits ? s->logits + (i + skipped - first) * s->sizes.vocab : NULL,
                            err);
        s->position += rows;
    }
    if (st != DG_OK)
        s->position = before;
    s->has_logits = st == DG_OK && n_logits > 0;
    return st;
}

enum dg_status dg_sequence_eval(struct dg_sequence *s, const int32_t *ids, size_t n,
                                size_t n_logits, struct dg_error *err)
{
    enum dg_status st;

    if (!dg_is_given(s, "sequence", err) || (n > 0 && !dg_is_given(ids, "ids", err)))
        return DG_ERR_USAGE;
    if (!dg_change_acq_rel(&s->busy, 0, 1))
        return dg_fail(err, DG_ERR_USAGE, "sequence: another eval of it is under way");
    st = eval(s, ids, n, n_logits, err);
    dg_store_release(&s->busy, 0);
    return st;
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
    s->position = position;
    s->has_logits = false;
}
