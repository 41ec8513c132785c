/* AVX-512F: 16 lanes. Compiled with that flag, and called only where dg_isa_best() has found it. */
#include <immintrin.h>

typedef __m512 vec;

#define vec_set1 _mm512_set1_ps
#define vec_load _mm512_loadu_ps
#define vec_add  _mm512_add_ps
#define vec_fma  _mm512_fmadd_ps
#define vec_sum  _mm512_reduce_add_ps
#define TABLE    limits_avx512
#include "limits_loops.h"
