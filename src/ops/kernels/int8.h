/* int8.h - the product of weights of int8, for any instruction set.
 *
 * A template: who includes it has v16 (simd.h) and defines
 *
 *   i16                        16 integers of 32 bits, in as many registers as that takes
 *   i16_start(x)               what the sum of a group of x begins with: its start, or 0
 *   bytes16                    four weights of each of 16 outputs, made ready
 *   bytes16_load(p)            from struct dg_panel_group
 *   i16_dot(sum, w, x)         sum + the four products of w and x[0 ... 3]; where it began with the group's start,
 *                              of the weights + 128. No instruction of it saturates
 *   i16_float(sum)             as floats
 *   INT8_ROWS                  rows of x that it keeps in registers at most, 3, 4 or 5
 *   INT8_PANELS(rows)          panels that it then takes at a time (1, 2 or 4)
 *   MATMUL_I8                  the function's storage class, if it has one, type and name
 *
 * R rows against N panels: the sums of a group are R * N registers, and as many hold the floats. A group costs 8
 * loads of each panel, 8 broadcasts of each row and 8 dots for each of both, then a conversion, a product of scales
 * and a multiply-add. Depth is not cut: a panel is a quarter of one of floats. The first rows fetch what they
 * multiply soon, as the products of simd.h; four panels side by side are left to the processor. */
#ifndef DG_OPS_KERNELS_INT8_H
#define DG_OPS_KERNELS_INT8_H

#include "kernels.h"

#include <stdint.h>

#define INLINE static inline __attribute__((always_inline))

enum { P = DG_LANES, LINE = P * sizeof(uint32_t), GROUPS_AHEAD = 8 };

struct int8_product {
    float *y;
    const char *x;
    const struct dg_panel_group *w;
    const float *bias;
    size_t y_stride, x_stride, cols, groups; /* x_stride: bytes */
};

/* The group of x of the row that is i rows further on. */
INLINE const struct dg_group *row_at(const struct dg_group *x, size_t x_stride, int i)
{
    return (const void *)((const char *)x + (size_t)i * x_stride);
}

/* Multiplies a group of R rows and N panels. */
INLINE void int8_group(const int R, const int N, i16 sum[5][4], const struct dg_group *x,
                       size_t x_stride, const struct dg_panel_group *w, size_t groups)
{
    for (int i = 0; i < R; i++)
        for (int j = 0; j < N; j++)
            sum[i][j] = i16_start(row_at(x, x_stride, i));
#pragma GCC unroll 8
    for (int a = 0; a < DG_GROUP / 4; a++) {
        bytes16 v[4];

        for (int j = 0; j < N; j++)
            v[j] = bytes16_load(w[j * groups].weight[a]);
        for (int i = 0; i < R; i++)
            for (int j = 0; j < N; j++)
                sum[i][j] = i16_dot(sum[i][j], v[j], row_at(x, x_stride, i)->value + 4 * a);
    }
}

/* A group of each of N panels, to the first-level cache. No pointer, since it may lie past the weights. */
INLINE void int8_fetch(const int N, uintptr_t w, size_t groups)
{
    const size_t size = sizeof(struct dg_panel_group);

    for (int j = 0; j < N; j++)
        for (size_t i = 0; i < size; i += LINE)
            __builtin_prefetch((const void *)(w + j * groups * size + i), 0, 3);
}

/* Rows r ... r + R - 1, panels p ... p + N - 1. */
INLINE void int8_block(const int R, const int N, const struct int8_product *m, size_t r, size_t p)
{
    const size_t groups = m->groups, x_stride = m->x_stride;
    const struct dg_panel_group *w = m->w + p * groups;
    const struct dg_group *x = (const void *)(m->x + r * x_stride);
    const size_t tail = m->cols - (p + (size_t)N - 1) * P; /* columns of the last panel, if < P */
    const size_t ahead = GROUPS_AHEAD / N;
    float *y = m->y + r * m->y_stride + p * P;
    v16 acc[5][4];

    for (int j = 0; j < N; j++) {
        const size_t n = j == N - 1 && tail < P ? tail : P;

        for (int i = 0; i < R; i++)
            acc[i][j] = m->bias ? v16_load_n(m->bias + (p + (size_t)j) * P, n) : v16_set1(0.0f);
    }
    for (size_t g = 0; g < groups; g++, x++, w++) {
        const size_t then = g + ahead < groups ? ahead : ahead + (N - 1) * groups;
        i16 sum[5][4];

        if (N < 4 && r == 0)
            int8_fetch(N, (uintptr_t)w + then * sizeof *w, groups);
        int8_group(R, N, sum, x, x_stride, w, groups);
        for (int j = 0; j < N; j++) {
            const v16 scale = v16_load(w[j * groups].scale);

            for (int i = 0; i < R; i++)
                acc[i][j] =
                    v16_fma(i16_float(sum[i][j]),
                            v16_mul(scale, v16_set1(row_at(x, x_stride, i)->scale)), acc[i][j]);
        }
    }
    for (int i = 0; i < R; i++)
        for (int j = 0; j < N; j++)
            v16_store_n(y + i * m->y_stride + j * P, acc[i][j], j == N - 1 && tail < P ? tail : P);
}

#define INT8_FUNCTION(R)                                                                           \
    static void int8_rows_##R(const struct int8_product *m, size_t r, size_t p, size_t n)          \
    {                                                                                              \
        for (; n >= INT8_PANELS(R); n -= INT8_PANELS(R), p += INT8_PANELS(R))                      \
            int8_block(R, INT8_PANELS(R), m, r, p);                                                \
        for (; n > 0; n--, p++)                                                                    \
            int8_block(R, 1, m, r, p);                                                             \
    }
INT8_FUNCTION(1)
INT8_FUNCTION(2)
INT8_FUNCTION(3)
#if INT8_ROWS > 3
INT8_FUNCTION(4)
#endif
#if INT8_ROWS > 4
INT8_FUNCTION(5)
#endif

typedef void int8_function(const struct int8_product *m, size_t r, size_t p, size_t n);

static int8_function *const int8_functions[INT8_ROWS + 1] = {
    NULL,        int8_rows_1, int8_rows_2, int8_rows_3,
#if INT8_ROWS > 3
    int8_rows_4,
#endif
#if INT8_ROWS > 4
    int8_rows_5,
#endif
};

/* As few groups of rows as can be, of about the same height, pass over each few panels. */
MATMUL_I8(float *y, size_t y_stride, const void *x, size_t x_stride, const void *w,
          const float *bias, size_t rows, size_t cols, size_t depth)
{
    const struct int8_product m = {
        y, x, w, bias, y_stride, x_stride * sizeof(float), cols, dg_groups(depth)};
    const size_t groups = (rows + INT8_ROWS - 1) / INT8_ROWS;
    const size_t height = (rows + groups - 1) / groups, width = INT8_PANELS(height);
    const size_t panels = (cols + P - 1) / P;

    for (size_t p = 0; p < panels; p += width) {
        const size_t n = panels - p < width ? panels - p : width;

        for (size_t r = 0; r < rows; r += height)
            int8_functions[rows - r < height ? rows - r : height](&m, r, p, n);
    }
}

#endif
