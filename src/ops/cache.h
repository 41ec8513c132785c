/* cache.h - the keys and values of one sequence, of all layers and positions. Where each of them lies
 * is known to cache.c alone; ops store them and ask for those of a head.
 * Memory:  a cache borrows its memory, which is in blocks of DG_LANES positions. A block may be part of
 *          several caches, as long as nothing is stored in it.
 * Threads: any may read, and store different columns or positions, at once. */
#ifndef DG_OPS_CACHE_H
#define DG_OPS_CACHE_H

#include "kernels/kernels.h"

struct dg_cache_shape {
    uint32_t layers, heads, channels, positions; /* heads divides channels; each >= 1 */
    enum dg_dtype held;                          /* DG_F32 or DG_BF16: what all is held in */
};

struct dg_cache {
    struct dg_cache_shape shape;
    float *const *block; /* [dg_cache_blocks()] dg_cache_block_bytes() each; those that are read or
                          * stored in must be there */
};

/* Blocks of all positions. */
size_t dg_cache_blocks(const struct dg_cache_shape *shape);

/* Of a block, as far as the next one where they lie side by side, and of all blocks; 0 where that cannot be
 * addressed. */
size_t dg_cache_block_bytes(const struct dg_cache_shape *shape);
size_t dg_cache_bytes(const struct dg_cache_shape *shape);

struct dg_blocks dg_cache_keys(const struct dg_cache *c, uint32_t layer, uint32_t head);
struct dg_blocks dg_cache_values(const struct dg_cache *c, uint32_t layer, uint32_t head);

/* Stores columns c0 ... c1 - 1 of a layer's keys (layout DG_KEYS) or values (DG_VALUES) of `rows`
 * positions from `first` on, from from[rows][c1 - c0]. Each number is rounded, once, to what it is held in:
 * dg_bf16_of(). */
void dg_cache_store(const struct dg_cache *c, enum dg_layout layout, uint32_t layer, size_t first,
                    size_t rows, uint32_t c0, uint32_t c1, const float *from);

#endif
