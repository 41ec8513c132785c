/* The product of int8 with AMX: one instruction multiplies 16 rows of a group of x with a panel's, and its sums are
 * those of weights + 128, as VNNI's. It pays for many rows alone: few are avx512_vnni.c's. Its speed has not been
 * measured. */
#include "avx512.h"
#include "kernels.h"

enum { P = DG_LANES, TILE_ROWS = 16, FEW = 4 };

struct product {
    float *y;
    const char *x;
    const struct dg_panel_group *w;
    const float *bias;
    size_t y_stride, x_stride, cols, groups; /* x_stride: bytes */
};

/* Tile 0 has sums, 16 of 32 bits a row; tile 1 as many rows of a group of x, 32 bytes each; tile 2 a panel's group, 8
 * rows of 64 bytes. Until tiles_end() they are this thread's. */
static inline void tiles_begin(size_t rows)
{
    const struct {
        uint8_t palette, start, zero[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } config = {.palette = 1, .row_bytes = {64, 32, 64}, .rows = {(uint8_t)rows, (uint8_t)rows, 8}};

    _tile_loadconfig(&config);
}

static inline void tiles_end(void)
{
    _tile_release();
}

/* sums[i][j] = the 32 products of x's row i, x_stride bytes apart, and the weights + 128 of output j. */
static inline void tiles_multiply(int32_t sums[16][16], const void *x, size_t x_stride,
                                  const void *weights)
{
    _tile_zero(0);
    _tile_loadd(1, x, (long)x_stride);
    _tile_loadd(2, weights, 64);
    _tile_dpbsud(0, 1, 2);
    _tile_stored(0, sums, 64);
}

static const struct dg_group *group_of(const struct product *m, size_t row, size_t g)
{
    return (const struct dg_group *)(const void *)(m->x + row * m->x_stride) + g;
}

/* Rows r ... r + rows - 1, for which the tiles are set, of a panel. */
static void panel(const struct product *m, size_t r, size_t rows, size_t p)
{
    const struct dg_panel_group *w = m->w + p * m->groups;
    const size_t left = m->cols - p * P, n = left < P ? left : P;
    const v16 bias = m->bias ? v16_load_n(m->bias + p * P, n) : v16_set1(0.0f);
    v16 acc[TILE_ROWS];

    for (size_t i = 0; i < rows; i++)
        acc[i] = bias;
    for (size_t g = 0; g < m->groups; g++) {
        _Alignas(64) int32_t sums[TILE_ROWS][P];

        tiles_multiply(sums, group_of(m, r, g), m->x_stride, w[g].weight);
        for (size_t i = 0; i < rows; i++) {
            const struct dg_group *x = group_of(m, r + i, g);
            const __m512i sum =
                _mm512_add_epi32(_mm512_load_si512(sums[i]), _mm512_set1_epi32(x->start));

            acc[i] = v16_fma(_mm512_cvtepi32_ps(sum),
                             v16_mul(v16_load(w[g].scale), v16_set1(x->scale)), acc[i]);
        }
    }
    for (size_t i = 0; i < rows; i++)
        v16_store_n(m->y + (r + i) * m->y_stride + p * P, acc[i], n);
}

void dg_matmul_amx(float *y, size_t y_stride, const void *x, size_t x_stride, const void *w,
                   const float *bias, size_t rows, size_t cols, size_t depth)
{
    const struct product m = {
        y, x, w, bias, y_stride, x_stride * sizeof(float), cols, dg_groups(depth)};

    if (rows <= FEW) {
        dg_matmul_avx512_vnni(y, y_stride, x, x_stride, w, bias, rows, cols, depth);
        return;
    }
    for (size_t r = 0; r < rows; r += TILE_ROWS) {
        const size_t n = rows - r < TILE_ROWS ? rows - r : TILE_ROWS;

        tiles_begin(n);
        for (size_t p = 0; p * P < cols; p++)
            panel(&m, r, n, p);
        tiles_end();
    }
}
