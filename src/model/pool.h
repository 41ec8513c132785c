/* pool.h - memory for the keys and values of an engine's sequences, in blocks of DG_LANES positions
 * (src/ops/cache.h). A sequence holds blocks as far as it has come. Forks hold the same ones, and nobody
 * stores in a block that several hold: who wants to takes a copy.
 * Memory:  a pool owns the blocks, and keeps those that nobody holds for the next who asks.
 * Threads: a pool is for any thread; what a sequence holds is for one at a time. */
#ifndef DG_MODEL_POOL_H
#define DG_MODEL_POOL_H

#include "../base/status.h"
#include "../ops/cache.h"

struct dg_arena;
struct dg_block;
struct dg_pool;

/* The shape of a sequence's cache. */
static inline struct dg_cache_shape dg_pool_shape(const struct dg_sizes *z, enum dg_dtype held)
{
    return (struct dg_cache_shape){z->layers, z->heads, z->channels, z->positions, held};
}

/* For sequences of a model of those sizes, whose keys and values are held in that dtype. most_bytes: of all blocks
 * that are held at a time; 0: as many as there is memory for. */
enum dg_status dg_pool_new(struct dg_pool **out, const struct dg_sizes *sizes, enum dg_dtype held,
                           uint64_t most_bytes, struct dg_error *err);
void dg_pool_free(struct dg_pool *pool); /* takes NULL; nothing is held any more */

/* Of the pool's sequences. */
struct dg_cache_shape dg_pool_cache_shape(const struct dg_pool *pool);

/* What one sequence holds. */
struct dg_pages {
    struct dg_pool *pool;
    struct dg_block **block; /* [dg_cache_blocks()], of which the first n are there */
    float **data;            /* the same, for dg_cache.block */
    size_t n;
    size_t own; /* from this block on nobody else holds them */
};

/* Nothing, in room from `arena`. False: there is none. */
bool dg_pages_new(struct dg_pages *p, struct dg_pool *pool, struct dg_arena *arena);

/* Positions first ... end - 1 may be stored after it; those before keep their keys and values. Blocks behind
 * first's are not there yet. DG_ERR_RESOURCE: it cannot be, and what is held may have grown. */
enum dg_status dg_pages_reserve(struct dg_pages *p, size_t first, size_t end, struct dg_error *err);

/* Gives back what positions from `end` on hold. */
void dg_pages_trim(struct dg_pages *p, size_t end);

/* `to`, which is empty, holds what `from` does. */
void dg_pages_share(struct dg_pages *to, struct dg_pages *from);

#endif
