/* The product of int8 with the dot product of ARMv8.2 (sdot): four products are added to 32 bits by one
 * instruction. */
#include "neon.h"

static inline i16 i16_dot(i16 sum, bytes16 w, const int8_t *x)
{
    const int8x16_t v = four(x);

    return (i16){vdotq_s32(sum.q0, w.q0, v), vdotq_s32(sum.q1, w.q1, v), vdotq_s32(sum.q2, w.q2, v),
                 vdotq_s32(sum.q3, w.q3, v)};
}

#define INT8_ROWS         3
#define INT8_PANELS(rows) ((rows) == 1 ? 2 : 1)
#define MATMUL_I8         void dg_matmul_neon_dot
#include "int8.h"
