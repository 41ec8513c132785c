/* kernels.h - the functions that do the arithmetic, one flat table for each instruction set.
 *
 * scalar.c is the specification: plain loops, one fixed order for every sum. The other
 * tables give the same bits for the same input, at every length.
 *
 *   - matmul: acc = bias; for k ascending: acc = fma(x[k], w[k], acc). An output is a SIMD lane. A weight
 *     of bf16 is widened to a float, exactly, then the same.
 *   - matmul of int8: acc = bias; for groups of 32 k ascending: acc = fma(sum, scale of w * scale of x, acc), the
 *     product of the scales rounded. sum is that of 32 products of integers, exact in any order: 2^20 at most,
 *     and a float holds each integer up to 2^24.
 *   - attention: a score is summed like that over the head dimension, with a key in each lane; the
 *     weighted sum of values over positions from 0, with a head dimension in each lane.
 *   - sums along a row (layernorm, softmax): 16 lanes, element i in lane i % 16, added to in order
 *     of i; then lanes i and i + 8 are added, i and i + 4, i and i + 2, i and i + 1.
 *
 * Rounding is to nearest and denormals are kept: the caller sees to it (runtime/team.c).
 *
 * No kernel allocates, and none touches memory outside the arrays described. Pointers need no more
 * alignment than a float. Strides count floats. n, rows, cols, depth, d >= 1 unless it says so. */
#ifndef DG_OPS_KERNELS_H
#define DG_OPS_KERNELS_H

#include "../../dagpt.h"
#include "../../graph/tensor.h"

/* A group whose largest magnitude is below this is one of zeros: its scale would be no normal number. */
#define DG_QUANTIZE_LEAST 0x1p-119f

/* The most rows that attention handles at once, and so has scratch for. */
#define DG_ATTENTION_ROWS 8

/* Keys or values of a head, in blocks of DG_LANES positions: block b is at at[b] + offset, of bf16 two in the
 * place of a float. */
struct dg_blocks {
    float *const *at;
    size_t offset;
};

/* Which bf16 of a head's block is dimension k of key j, or of value j, of dg_head_words() words; d: those of the
 * head. Two that share a word are of one position: of a key k and k + 1; of a value, whose dimensions are in
 * runs of 2 DG_LANES and what is left, one of a run's first half and the one as far in its second. */
static inline size_t dg_key_half(size_t j, size_t k)
{
    return (k / 2 * DG_LANES + j) * 2 + k % 2;
}

static inline size_t dg_value_half(size_t j, size_t k, size_t d)
{
    const size_t run = k / (2 * DG_LANES) * 2 * DG_LANES;
    const size_t n = d - run < 2 * DG_LANES ? d - run : 2 * DG_LANES, half = (n + 1) / 2;
    const size_t i = k - run, second = i >= half;

    return (j * ((d + 1) / 2) + run / 2 + i - second * half) * 2 + second;
}

/* Places of floats that a block of a head's keys takes, and of its values. */
static inline size_t dg_head_words(enum dg_dtype held, size_t d)
{
    return DG_LANES * (held == DG_BF16 ? (d + 1) / 2 : d);
}

/* y[r][c] = bias[c] + sum over k of x[r][k] * w[c][k], for r < rows, c < cols, k < depth.
 * w: the panel of output 0 and those after it, as DG_PANELS says. x: floats; of weights in DG_I8 groups, and
 * x_stride is that of a row of groups, in floats. bias: [cols] or NULL for zeros. y must not overlap x. */
typedef void dg_matmul(float *y, size_t y_stride, const void *x, size_t x_stride, const void *w,
                       const float *bias, size_t rows, size_t cols, size_t depth);

struct dg_kernels {
    enum dg_isa isa;

    /* By the dtype of the weights. NULL, in all tables: no product takes it. */
    dg_matmul *matmul[DG_N_DTYPES];

    /* y[0 ... dg_groups(n) - 1] = x in groups. a being the largest |x[i]| of a group: its scale is a / 127, and
     * value[i] is x[i] * (127 / a), each rounded, to the nearest integer, of two as near the even one. Where a
     * is below 2^-119 the scale is 0, where one of x is infinite or NaN it is NaN, and the values are 0. */
    void (*quantize)(struct dg_group *y, const float *x, size_t n);

    /* y[i] = (x[i] - mean) / sqrt(variance + epsilon) * gain[i] + bias[i]. y may be x. */
    void (*layernorm)(float *y, const float *x, const float *gain, const float *bias, float epsilon,
                      size_t n);

    /* y[i] = x[i] / 2 * (1 + tanh(sqrt(2 / pi) * (x[i] + 0.044715 * x[i]^3))). y may be x. */
    void (*gelu)(float *y, const float *x, size_t n);

    /* y[i] = x[i] / 2 * (1 + erf(x[i] / sqrt(2))). y may be x. */
    void (*gelu_erf)(float *y, const float *x, size_t n);

    /* y[i] = 0 > x[i] ? 0 : x[i]. y may be x. */
    void (*relu)(float *y, const float *x, size_t n);

    /* y[i] = a[i] + b[i]. y may be a or b. */
    void (*add)(float *y, const float *a, const float *b, size_t n);

    /* x[i] = exp(x[i] - max) / sum of those, in place; x finite or -inf, not all -inf. */
    void (*softmax)(float *x, size_t n);

    /* y[i] = exp(x[i]), x <= 88; 0 below -87.336. y may be x. */
    void (*exp)(float *y, const float *x, size_t n);

    /* y[i] = tanh(x[i]). y may be x. */
    void (*tanh)(float *y, const float *x, size_t n);

    /* y[i] = erf(x[i]). y may be x. */
    void (*erf)(float *y, const float *x, size_t n);

    /* By what keys and values are held in: DG_F32, or DG_BF16, each of which is widened exactly, and then all
     * is the same. NULL of others. */

    /* s[r][j] = scale * sum over k of q[r][k] * key[j][k], for r < rows <= DG_ATTENTION_ROWS, j <
     * n, k < d. A block of keys is [d][DG_LANES], key j in lane j % DG_LANES of block j / DG_LANES, of bf16 as
     * dg_key_half() says;
     * lanes of keys >= n are not read. s_stride >= n rounded up to DG_LANES: s[r] may be written up to
     * there. */
    void (*scores[DG_N_DTYPES])(float *s, size_t s_stride, const float *q, size_t q_stride,
                                struct dg_blocks keys, size_t rows, size_t n, size_t d,
                                float scale);

    /* y[r][i] = sum over j < n + r of p[r][j] * values[j][i], for r < rows <= DG_ATTENTION_ROWS,
     * i < d. A block of values is [DG_LANES][d], value j the one j % DG_LANES of block j / DG_LANES, of
     * bf16 as dg_value_half() says. */
    void (*mix[DG_N_DTYPES])(float *y, size_t y_stride, const float *p, size_t p_stride,
                             struct dg_blocks values, size_t rows, size_t n, size_t d);
};

/* The table of dg_isa_cap(isa); isa must be dg_isa_built(). */
const struct dg_kernels *dg_kernels_for(enum dg_isa isa);

extern const struct dg_kernels dg_kernels_scalar;
extern const struct dg_kernels dg_kernels_avx2; /* x86-64 only, as those up to amx */
extern const struct dg_kernels dg_kernels_avx_vnni;
extern const struct dg_kernels dg_kernels_avx512;
extern const struct dg_kernels dg_kernels_avx512_vnni;
extern const struct dg_kernels dg_kernels_amx;
extern const struct dg_kernels dg_kernels_neon; /* AArch64 only */
extern const struct dg_kernels dg_kernels_neon_dot;

/* Products of int8 with instructions that the rest of their tables does without. Where the compiler has none of AMX's,
 * no CPU gets that table. */
extern dg_matmul dg_matmul_avx_vnni, dg_matmul_avx512_vnni, dg_matmul_amx, dg_matmul_neon_dot;
#if defined(DG_NO_AMX)
#define dg_matmul_amx dg_matmul_avx512_vnni
#endif

#endif
