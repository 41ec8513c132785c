/* NEON: 4 lanes. Every AArch64 CPU has it. */
#include <arm_neon.h>

typedef float32x4_t vec;

#define vec_set1         vdupq_n_f32
#define vec_load         vld1q_f32
#define vec_add          vaddq_f32
#define vec_fma(a, b, c) vfmaq_f32(c, a, b)
#define vec_sum          vaddvq_f32
#define TABLE            limits_neon
#include "limits_loops.h"
