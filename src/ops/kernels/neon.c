/* NEON on AArch64: 16 lanes are four registers, of 32. It is part of the architecture: no flag, and
 * every CPU has it. */
#include "neon.h"

/* Products of 16 bits are added in pairs, at most 2 * 128 * 127 = 32,512 of 32,767, then to 32 bits. */
static inline int32x4_t dot4(int32x4_t sum, int8x16_t w, int8x16_t x)
{
    const int16x8_t a = vmull_s8(vget_low_s8(w), vget_low_s8(x)), b = vmull_high_s8(w, x);

    return vpadalq_s16(sum, vpaddq_s16(a, b));
}

static inline i16 i16_dot(i16 sum, bytes16 w, const int8_t *x)
{
    const int8x16_t v = four(x);

    return (i16){dot4(sum.q0, w.q0, v), dot4(sum.q1, w.q1, v), dot4(sum.q2, w.q2, v),
                 dot4(sum.q3, w.q3, v)};
}

/* With 5 rows matmul has 20 accumulators, 4 registers of w and 5 of x; of 6 rows, gcc 12 keeps
 * some accumulators on the stack. */
#define ISA                DG_ISA_NEON
#define TABLE              dg_kernels_neon
#define MAX_ROWS           5
#define ROWS(rows)         MAX_ROWS
#define PANELS(rows)       ((rows) <= 2 ? 2 : 1)
#define SCORE_ROWS         4
#define SCORE_BLOCKS(rows) ((rows) <= 2 ? 2 : 1)
#define MIX_ROWS           1
#define MIX_VECTORS        2
#define INT8_ROWS          3
#define INT8_PANELS(rows)  ((rows) == 1 ? 2 : 1)
#define MATMUL_I8          static void matmul_i8
#include "simd.h"

const struct dg_kernels dg_kernels_neon_dot = KERNELS(DG_ISA_NEON_DOT, dg_matmul_neon_dot);
