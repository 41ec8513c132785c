/* blocks.h - a cache whose blocks lie in one piece of memory, the last one first. */
#ifndef DG_TESTS_BLOCKS_H
#define DG_TESTS_BLOCKS_H

#include "../../src/ops/cache.h"

/* In memory[dg_cache_bytes()]; block: [dg_cache_blocks()]. */
static inline struct dg_cache cache_in(float *memory, float **block,
                                       const struct dg_cache_shape *shape)
{
    const size_t n = dg_cache_blocks(shape);

    for (size_t i = 0; i < n; i++)
        block[i] = memory + (n - 1 - i) * (dg_cache_block_bytes(shape) / sizeof *memory);
    return (struct dg_cache){*shape, block};
}

static inline float *cache_memory(const struct dg_cache *c)
{
    return c->block[dg_cache_blocks(&c->shape) - 1];
}

#endif
