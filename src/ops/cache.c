/* In a block of P = DG_LANES positions a head's keys lie [d][position % P], a key in each lane of the kernels,
 * its values [position % P][d]; in bf16 as kernels.h says. A block has all layers' keys and values, [layer][K,
 * V][head], so that a sequence takes memory as it gets longer, and two that begin alike can share it. The block
 * that lies next in memory begins in other sets of the second-level cache (64 KiB a way is common): a page
 * further on. */
#include "cache.h"
#include "../base/checked.h"

#include <string.h>

enum { WAY = (64 << 10) / sizeof(float), PAGE = (4 << 10) / sizeof(float) };

/* Floats from one block to the next; 0 where that does not fit. */
static size_t block_stride(const struct dg_cache_shape *shape)
{
    const size_t d = shape->channels / shape->heads;
    size_t n;

    if (!dg_mul(shape->layers, shape->heads, &n) ||
        !dg_mul(n, 2 * dg_head_words(shape->held, d), &n) || !dg_add(n, WAY + PAGE, &n))
        return 0;
    return dg_round_up(n - WAY - PAGE, WAY) + PAGE;
}

size_t dg_cache_blocks(const struct dg_cache_shape *shape)
{
    return dg_div_up(shape->positions, DG_LANES);
}

size_t dg_cache_block_bytes(const struct dg_cache_shape *shape)
{
    size_t n;

    return dg_mul(block_stride(shape), sizeof(float), &n) ? n : 0;
}

size_t dg_cache_bytes(const struct dg_cache_shape *shape)
{
    size_t n;

    return dg_mul(dg_cache_block_bytes(shape), dg_cache_blocks(shape), &n) ? n : 0;
}

static size_t head_size(const struct dg_cache *c)
{
    return c->shape.channels / c->shape.heads;
}

static struct dg_blocks blocks_of(const struct dg_cache *c, uint32_t layer, bool values,
                                  uint32_t head)
{
    const size_t one = dg_head_words(c->shape.held, head_size(c));

    return (struct dg_blocks){
        .at = c->block,
        .offset = ((2 * (size_t)layer + values) * c->shape.heads + head) * one,
    };
}

struct dg_blocks dg_cache_keys(const struct dg_cache *c, uint32_t layer, uint32_t head)
{
    return blocks_of(c, layer, false, head);
}

struct dg_blocks dg_cache_values(const struct dg_cache *c, uint32_t layer, uint32_t head)
{
    return blocks_of(c, layer, true, head);
}

/* n of a head's d columns, from column i on. A block of positions at a time, and of it column by column:
 * its positions lie side by side. */
static void store_keys(struct dg_blocks keys, size_t first, size_t rows, size_t i, size_t n,
                       const float *from, size_t from_stride)
{
    while (rows > 0) {
        const size_t lane = first % DG_LANES, left = DG_LANES - lane;
        const size_t some = left < rows ? left : rows;
        float *to = keys.at[first / DG_LANES] + keys.offset + i * DG_LANES + lane;

        for (size_t k = 0; k < n; k++)
            for (size_t r = 0; r < some; r++)
                to[k * DG_LANES + r] = from[r * from_stride + k];
        first += some;
        rows -= some;
        from += some * from_stride;
    }
}

static void store_values(struct dg_blocks values, size_t d, size_t first, size_t rows, size_t i,
                         size_t n, const float *from, size_t from_stride)
{
    for (size_t r = 0; r < rows; r++) {
        const size_t t = first + r;

        memcpy(values.at[t / DG_LANES] + values.offset + t % DG_LANES * d + i,
               from + r * from_stride, n * sizeof *from);
    }
}

/* The same in bf16, both. */
static void store_halves(struct dg_blocks blocks, enum dg_layout layout, size_t d, size_t first,
                         size_t rows, size_t i, size_t n, const float *from, size_t from_stride)
{
    for (size_t r = 0; r < rows; r++) {
        const size_t t = first + r, j = t % DG_LANES;
        uint16_t *to = (uint16_t *)(void *)(blocks.at[t / DG_LANES] + blocks.offset);

        for (size_t k = 0; k < n; k++)
            to[layout == DG_KEYS ? dg_key_half(j, i + k) : dg_value_half(j, i + k, d)] =
                dg_bf16_of(from[r * from_stride + k]);
    }
}

void dg_cache_store(const struct dg_cache *c, enum dg_layout layout, uint32_t layer, size_t first,
                    size_t rows, uint32_t c0, uint32_t c1, const float *from)
{
    const size_t d = head_size(c), cols = c1 - c0;

    for (size_t col = c0, n; col < c1; col += n, from += n) {
        const size_t i = col % d;
        const struct dg_blocks blocks =
            blocks_of(c, layer, layout == DG_VALUES, (uint32_t)(col / d));

        n = d - i < c1 - col ? d - i : c1 - col; /* what is left of this head */
        if (c->shape.held == DG_BF16)
            store_halves(blocks, layout, d, first, rows, i, n, from, cols);
        else if (layout == DG_KEYS)
            store_keys(blocks, first, rows, i, n, from, cols);
        else
            store_values(blocks, d, first, rows, i, n, from, cols);
    }
}
