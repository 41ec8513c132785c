/* AVX2 and FMA: 8 lanes. Compiled with those flags, and called only where dg_isa_best() has found
 * them. */
#include <immintrin.h>

typedef __m256 vec;

static inline float vec_sum(vec v)
{
    float lane[8], sum = 0.0f;

    _mm256_storeu_ps(lane, v);
    for (int i = 0; i < 8; i++)
        sum += lane[i];
    return sum;
}

#define vec_set1 _mm256_set1_ps
#define vec_load _mm256_loadu_ps
#define vec_add  _mm256_add_ps
#define vec_fma  _mm256_fmadd_ps
#define TABLE    limits_avx2
#include "limits_loops.h"
