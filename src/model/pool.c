/* Memory comes from the system for as many blocks as one sequence may want, side by side, and is touched
 * as it is used; so the blocks of a sequence that is alone lie one after the other, on huge pages. */
#include "pool.h"
#include "../base/arena.h"
#include "../base/checked.h"
#include <sync.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct dg_block {
    float *data;
    size_t holders;
    struct dg_block *next; /* of those that nobody holds */
};

/* Whatever is behind the lock also guards every block's holders. */
struct dg_pool {
    struct dg_cache_shape shape;
    size_t block_bytes;
    size_t most; /* blocks */

    struct dg_mutex lock;
    struct dg_arena *arena;
    struct dg_block *spare;
    size_t made, held; /* blocks */
};

enum dg_status dg_pool_new(struct dg_pool **out, const struct dg_sizes *sizes, enum dg_dtype held,
                           uint64_t most_bytes, struct dg_error *err)
{
    const struct dg_cache_shape shape = dg_pool_shape(sizes, held);
    const size_t bytes = dg_cache_block_bytes(&shape);
    struct dg_pool *pool = calloc(1, sizeof *pool);
    struct dg_arena *arena = dg_arena_new();

    if (!pool || !arena || bytes == 0 || !dg_mutex_init(&pool->lock)) {
        free(pool);
        dg_arena_free(arena);
        return dg_fail_memory(err, "the KV cache", bytes);
    }
    pool->shape = shape;
    pool->block_bytes = bytes;
    pool->most = most_bytes ? dg_size(most_bytes / bytes) : SIZE_MAX;
    pool->arena = arena;
    *out = pool;
    return DG_OK;
}

void dg_pool_free(struct dg_pool *pool)
{
    if (!pool)
        return;
    dg_mutex_destroy(&pool->lock);
    dg_arena_free(pool->arena);
    free(pool);
}

struct dg_cache_shape dg_pool_cache_shape(const struct dg_pool *pool)
{
    return pool->shape;
}

/* More spare blocks: at least one. */
static enum dg_status grow(struct dg_pool *pool, struct dg_error *err)
{
    const size_t left = pool->most - pool->made, whole = dg_cache_blocks(&pool->shape);
    const size_t n = left < whole ? left : whole;
    char *data = dg_arena_array(pool->arena, n, pool->block_bytes);
    struct dg_block *blocks = data ? dg_arena_array(pool->arena, n, sizeof *blocks) : NULL;

    if (!blocks)
        return dg_fail_memory(err, "the KV cache", n * pool->block_bytes);
    for (size_t i = n; i-- > 0;) { /* the first is the first to go */
        blocks[i] =
            (struct dg_block){(float *)(void *)(data + i * pool->block_bytes), 0, pool->spare};
        pool->spare = &blocks[i];
    }
    pool->made += n;
    return DG_OK;
}

static enum dg_status take(struct dg_pool *pool, struct dg_block **out, struct dg_error *err)
{
    enum dg_status st = DG_OK;

    if (pool->held == pool->most)
        return dg_fail(
            err, DG_ERR_RESOURCE,
            "the KV cache: all of its %zu blocks of %zu bytes are in use: it may have no "
            "more",
            pool->most, pool->block_bytes);
    if (!pool->spare)
        st = grow(pool, err);
    if (st != DG_OK)
        return st;
    *out = pool->spare;
    pool->spare = (*out)->next;
    (*out)->holders = 1;
    pool->held++;
    return DG_OK;
}

static void let_go(struct dg_pool *pool, struct dg_block *b)
{
    if (--b->holders > 0)
        return;
    b->next = pool->spare;
    pool->spare = b;
    pool->held--;
}

bool dg_pages_new(struct dg_pages *p, struct dg_pool *pool, struct dg_arena *arena)
{
    const size_t n = dg_cache_blocks(&pool->shape);

    *p = (struct dg_pages){.pool = pool};
    p->block = dg_arena_array(arena, n, sizeof(struct dg_block *));
    p->data = dg_arena_array(arena, n, sizeof(float *));
    return p->block && p->data;
}

/* Block i is there, and nobody else holds it. */
static enum dg_status own(struct dg_pages *p, size_t i, struct dg_error *err)
{
    struct dg_block *mine = NULL, *shared = i < p->n ? p->block[i] : NULL;
    enum dg_status st;

    if (shared && shared->holders == 1)
        return DG_OK;
    st = take(p->pool, &mine, err);
    if (st != DG_OK)
        return st;
    if (shared) {
        memcpy(mine->data, shared->data, p->pool->block_bytes);
        let_go(p->pool, shared);
    } else {
        p->n = i + 1;
    }
    p->block[i] = mine;
    p->data[i] = mine->data;
    return DG_OK;
}

enum dg_status dg_pages_reserve(struct dg_pages *p, size_t first, size_t end, struct dg_error *err)
{
    const size_t from = first / DG_LANES, to = dg_div_up(end, DG_LANES);
    enum dg_status st = DG_OK;

    if (from >= p->own && to <= p->n)
        return DG_OK;
    dg_mutex_lock(&p->pool->lock);
    for (size_t i = from; i < to && st == DG_OK; i++)
        st = own(p, i, err);
    dg_mutex_unlock(&p->pool->lock);
    if (st == DG_OK && from < p->own)
        p->own = from;
    return st;
}

void dg_pages_trim(struct dg_pages *p, size_t end)
{
    const size_t n = dg_div_up(end, DG_LANES);

    if (n >= p->n)
        return;
    dg_mutex_lock(&p->pool->lock);
    while (p->n > n)
        let_go(p->pool, p->block[--p->n]);
    dg_mutex_unlock(&p->pool->lock);
}

void dg_pages_share(struct dg_pages *to, struct dg_pages *from)
{
    dg_mutex_lock(&from->pool->lock);
    for (size_t i = 0; i < from->n; i++) {
        to->block[i] = from->block[i];
        to->data[i] = from->data[i];
        to->block[i]->holders++;
    }
    dg_mutex_unlock(&from->pool->lock);
    to->n = to->own = from->own = from->n;
}
