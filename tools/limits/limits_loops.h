/* limits_loops.h - the two loops that find a limit, for one instruction set.
 *
 * They are no kernels: the network needs neither, so they stay out of src/ops/kernels/kernels.h, and like the
 * kernels they are written once for all sets. limits_{scalar,avx2,avx512,neon}.c define the
 * following and then include this.
 *
 *   vec               a register of floats
 *   vec_set1 load add
 *   vec_fma(a, b, c)  a * b + c, rounded once
 *   vec_sum           of the lanes, in any order
 *   TABLE             the name of the struct limits_loops
 */
#ifndef DG_TOOLS_LIMITS_LOOPS_H
#define DG_TOOLS_LIMITS_LOOPS_H

#include <stddef.h>

struct limits_loops {
    /* The sum of x[0 ... n - 1], n a multiple of 256. */
    float (*read)(const float *x, size_t n);

    /* `times` multiply-adds in each lane of LIMITS_CHAINS registers. The result only keeps the
     * compiler from leaving them out. */
    float (*fma)(size_t times);

    size_t lanes;
};

/* Sums that do not wait for each other: more than any CPU of today has multiply-adds in flight, and
 * few enough for the registers. x86-64: 2 a cycle, for 4 or 5 cycles; 16 registers, but for AVX-512.
 * AArch64: up to 4 a cycle, for 4 cycles; 32 registers. */
#if defined(__aarch64__)
enum { LIMITS_CHAINS = 24 };
#else
enum { LIMITS_CHAINS = 12 };
#endif

extern const struct limits_loops limits_scalar;
extern const struct limits_loops limits_avx2;   /* x86-64 only */
extern const struct limits_loops limits_avx512; /* x86-64 only */
extern const struct limits_loops limits_neon;   /* AArch64 only */

#endif

#ifdef TABLE

enum { LANES = sizeof(vec) / sizeof(float), STREAMS = 4, SUMS = 2 * STREAMS };

/* Four streams at once, as in the matmul of one row: of one core that reads from memory they get 6 %
 * more than one stream does. */
static float read_all(const float *x, size_t n)
{
    const size_t quarter = n / STREAMS;
    vec sum[SUMS];

    for (int i = 0; i < SUMS; i++)
        sum[i] = vec_set1(0.0f);
    for (size_t at = 0; at < quarter; at += 2 * LANES)
        for (int i = 0; i < SUMS; i++)
            sum[i] = vec_add(
                sum[i], vec_load(x + (size_t)(i / 2) * quarter + at + (size_t)(i % 2) * LANES));
    for (int i = 1; i < SUMS; i++)
        sum[0] = vec_add(sum[0], sum[i]);
    return vec_sum(sum[0]);
}

static float fma_all(size_t times)
{
    const vec half = vec_set1(0.5f); /* 1 * 0.5 + 0.5 = 1: no denormals, no overflow */
    vec acc[LIMITS_CHAINS];

    for (int i = 0; i < LIMITS_CHAINS; i++)
        acc[i] = vec_set1((float)i);
    for (size_t t = 0; t < times; t++)
        for (int i = 0; i < LIMITS_CHAINS; i++)
            acc[i] = vec_fma(acc[i], half, half);
    for (int i = 1; i < LIMITS_CHAINS; i++)
        acc[0] = vec_add(acc[0], acc[i]);
    return vec_sum(acc[0]);
}

const struct limits_loops TABLE = {read_all, fma_all, LANES};

#endif
