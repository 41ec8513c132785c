/* One float at a time, with fmaf as in src/ops/kernels/scalar.c: an instruction, or a call of libm. */
#include <math.h>

typedef float vec;

#define vec_set1(a)      (a)
#define vec_load(p)      (*(p))
#define vec_add(a, b)    ((a) + (b))
#define vec_fma(a, b, c) fmaf(a, b, c)
#define vec_sum(v)       (v)
#define TABLE            limits_scalar
#include "limits_loops.h"
