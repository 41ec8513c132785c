/* Where keys and values lie: each in a place of its own, in the blocks that the kernels take, and found again
 * however they were stored. */
#include "../../support/support.h"
#include "../../support/blocks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LANES = DG_LANES };

static const struct dg_cache_shape shapes[] = {
    {1, 1, 1, 1, DG_F32},      {2, 3, 36, 40, DG_F32},
    {12, 12, 768, 33, DG_F32}, /* a stride of just so many ways, and a page */
    {3, 5, 60, 1024, DG_F32},  {1, 4, 64, 16, DG_F32},
    {4, 2, 34, 17, DG_F32},    {1, 1, 1, 1, DG_BF16},
    {2, 3, 117, 40, DG_BF16},  {1, 12, 768, 5, DG_BF16},
    {1, 2, 80, 33, DG_BF16},   {4, 3, 51, 17, DG_BF16},
};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

static struct dg_cache new_cache(const struct dg_cache_shape *shape)
{
    const size_t n = dg_cache_bytes(shape) / sizeof(float);
    float *memory = guarded_floats(n), **block = calloc(dg_cache_blocks(shape), sizeof *block);

    ck_assert_uint_gt(n, 0);
    ck_assert_ptr_nonnull(block);
    memset(memory, 0, n * sizeof *memory);
    return cache_in(memory, block, shape);
}

static void free_cache(struct dg_cache *c)
{
    guarded_free(cache_memory(c), dg_cache_bytes(&c->shape) / sizeof(float));
    free((void *)c->block);
}

/* By the text of kernels.h: column i of d of a value in bf16 is in run i / 32, whose first half lies in the lower
 * halves of words. */
static size_t half_of_value(size_t i, size_t d)
{
    const size_t run = i / 32 * 32, n = d - run > 32 ? 32 : d - run, first = n - n / 2;

    return i - run < first ? 2 * (run / 2 + i - run) : 2 * (run / 2 + i - run - first) + 1;
}

static float half_at(const float *words, size_t i)
{
    uint16_t half;

    memcpy(&half, (const char *)words + sizeof half * i, sizeof half);
    return dg_float_of_bf16(half);
}

static float at(const struct dg_cache *c, enum dg_layout layout, uint32_t layer, size_t position,
                size_t col)
{
    const size_t d = c->shape.channels / c->shape.heads, i = col % d;
    const uint32_t head = (uint32_t)(col / d);
    const struct dg_blocks keys = dg_cache_keys(c, layer, head);
    const struct dg_blocks values = dg_cache_values(c, layer, head);
    const size_t j = position % LANES;
    const float *block = layout == DG_KEYS ? keys.at[position / LANES] + keys.offset
                                           : values.at[position / LANES] + values.offset;

    if (c->shape.held == DG_BF16)
        return layout == DG_KEYS ? half_at(block + i / 2 * LANES + j, i % 2)
                                 : half_at(block + j * ((d + 1) / 2), half_of_value(i, d));
    return layout == DG_KEYS ? block[i * LANES + j] : block[j * d + i];
}

/* A number for each key and value, and not 0; in bf16, which has 2^15 positive ones, some have the same. */
static float number(const struct dg_cache *c, enum dg_layout layout, uint32_t layer,
                    size_t position, size_t col)
{
    const size_t of_layer = 2 * layer + (layout == DG_VALUES);

    const size_t i = 1 + (of_layer * c->shape.positions + position) * c->shape.channels + col;

    return c->shape.held == DG_BF16 ? dg_float_of_bf16((uint16_t)(i % 0x7f7f + 1)) : (float)i;
}

/* Stores rows x cols of them. */
static void store(struct dg_cache *c, enum dg_layout layout, uint32_t layer, size_t first,
                  size_t rows, uint32_t c0, uint32_t c1)
{
    float *from = malloc(rows * (c1 - c0) * sizeof *from);

    ck_assert_ptr_nonnull(from);
    for (size_t r = 0; r < rows; r++)
        for (uint32_t col = c0; col < c1; col++)
            from[r * (c1 - c0) + col - c0] = number(c, layout, layer, first + r, col);
    dg_cache_store(c, layout, layer, first, rows, c0, c1, from);
    free(from);
}

static void check_all(const struct dg_cache *c)
{
    for (uint32_t layer = 0; layer < c->shape.layers; layer++)
        for (enum dg_layout l = DG_KEYS; l <= DG_VALUES; l++)
            for (size_t p = 0; p < c->shape.positions; p++)
                for (size_t col = 0; col < c->shape.channels; col++)
                    if (at(c, l, layer, p, col) != number(c, l, layer, p, col))
                        ck_abort_msg("%s of layer %u, position %zu, column %zu: got %g",
                                     l == DG_KEYS ? "key" : "value", layer, p, col,
                                     (double)at(c, l, layer, p, col));
}

/* If two had one place, the later would have taken the earlier's number. */
START_TEST(each_has_a_place)
{
    for (int i = 0; i < N_SHAPES; i++) {
        struct dg_cache c = new_cache(&shapes[i]);

        for (uint32_t layer = 0; layer < c.shape.layers; layer++)
            for (enum dg_layout l = DG_KEYS; l <= DG_VALUES; l++)
                store(&c, l, layer, 0, c.shape.positions, 0, c.shape.channels);
        check_all(&c);
        free_cache(&c);
    }
}
END_TEST

/* Position by position, and in pieces of rows and columns that end within blocks and heads. */
START_TEST(stored_in_pieces)
{
    uint64_t state = 5;

    for (int i = 0; i < N_SHAPES; i++) {
        struct dg_cache c = new_cache(&shapes[i]);

        for (uint32_t layer = 0; layer < c.shape.layers; layer++) {
            for (enum dg_layout l = DG_KEYS; l <= DG_VALUES; l++) {
                for (uint32_t p = 0, rows; p < c.shape.positions; p += rows) {
                    rows = 1 + random_below(&state, 40);
                    rows = rows < c.shape.positions - p ? rows : c.shape.positions - p;
                    for (uint32_t c0 = 0, n; c0 < c.shape.channels; c0 += n) {
                        n = 1 + random_below(&state, 50);
                        n = n < c.shape.channels - c0 ? n : c.shape.channels - c0;
                        store(&c, l, layer, p, rows, c0, c0 + n);
                    }
                }
            }
        }
        check_all(&c);
        free_cache(&c);
    }
}
END_TEST

/* 124M for 1024 positions: 64 blocks of 12 * 2 * 16 * 768 floats, a multiple of 64 KiB, and a page. */
START_TEST(bytes_of_124M)
{
    struct dg_cache_shape shape = {12, 12, 768, 1024, DG_F32};

    ck_assert_uint_eq(dg_cache_bytes(&shape), 64 * (12 * 2 * 16 * 768 * 4 + 4096));
    shape.held = DG_BF16;
    ck_assert_uint_eq(dg_cache_bytes(&shape), 64 * (12 * 2 * 16 * 768 * 2 + 4096));
}
END_TEST

/* What lies between two bf16 becomes the nearer. */
START_TEST(rounded_when_stored)
{
    static const float stored[] = {1.00390625f, 1.01171875f, -0x1.fep127f, 3.4e38f, NAN, 0x1p-149f};
    static const float kept[] = {1.0f, 1.015625f, -0x1.fep127f, INFINITY, NAN, 0.0f};
    const struct dg_cache_shape shape = {1, 1, 6, 1, DG_BF16};
    struct dg_cache c = new_cache(&shape);

    for (enum dg_layout l = DG_KEYS; l <= DG_VALUES; l++) {
        dg_cache_store(&c, l, 0, 0, 1, 0, 6, stored);
        for (size_t i = 0; i < 6; i++) {
            const float got = at(&c, l, 0, 0, i);

            ck_assert(isnan(kept[i]) ? isnan(got) : got == kept[i]);
        }
    }
    free_cache(&c);
}
END_TEST

START_TEST(what_cannot_be_addressed)
{
    const struct dg_cache_shape most = {1 << 14, 1, 1 << 20, 1 << 24, DG_F32},
                                none = {UINT32_MAX, 1, UINT32_MAX, UINT32_MAX, DG_F32};

    ck_assert_uint_eq(dg_cache_bytes(&most),
                      sizeof(size_t) > 4 ? (UINT64_C(1) << 20) * ((UINT64_C(1) << 41) + 4096) : 0);
    ck_assert_uint_eq(dg_cache_bytes(&none), 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {each_has_a_place,    stored_in_pieces,         bytes_of_124M,
                                  rounded_when_stored, what_cannot_be_addressed, NULL};

    return run_suite("cache", tests);
}
