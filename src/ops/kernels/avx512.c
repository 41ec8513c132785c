/* AVX-512F, DQ, BW and VL: 16 lanes are one register, of 32. Compiled with those flags, and called
 * only where dg_isa_best() has found them. */
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

typedef __m512 v16;

static inline __mmask16 lanes(size_t n)
{
    return (__mmask16)((1u << n) - 1);
}

static inline v16 v16_set1(float a)
{
    return _mm512_set1_ps(a);
}

static inline v16 v16_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

static inline v16 v16_low(const uint32_t *p)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_loadu_si512(p), 16));
}

static inline v16 v16_high(const uint32_t *p)
{
    return _mm512_castsi512_ps(
        _mm512_and_si512(_mm512_loadu_si512(p), _mm512_set1_epi32((int)0xffff0000)));
}

static inline v16 v16_load_n(const float *p, size_t n)
{
    return n == 16 ? _mm512_loadu_ps(p) : _mm512_maskz_loadu_ps(lanes(n), p);
}

static inline void v16_store(float *p, v16 v)
{
    _mm512_storeu_ps(p, v);
}

static inline void v16_store_n(float *p, v16 v, size_t n)
{
    if (n == 16)
        _mm512_storeu_ps(p, v);
    else
        _mm512_mask_storeu_ps(p, lanes(n), v);
}

static inline v16 v16_first(size_t n, v16 a, v16 b)
{
    return _mm512_mask_mov_ps(b, lanes(n), a);
}

static inline v16 v16_add(v16 a, v16 b)
{
    return _mm512_add_ps(a, b);
}

static inline v16 v16_sub(v16 a, v16 b)
{
    return _mm512_sub_ps(a, b);
}

static inline v16 v16_mul(v16 a, v16 b)
{
    return _mm512_mul_ps(a, b);
}

static inline v16 v16_div(v16 a, v16 b)
{
    return _mm512_div_ps(a, b);
}

static inline v16 v16_max(v16 a, v16 b)
{
    return _mm512_max_ps(a, b);
}

static inline v16 v16_fma(v16 a, v16 b, v16 c)
{
    return _mm512_fmadd_ps(a, b, c);
}

static inline v16 v16_less(v16 a, v16 b, v16 x, v16 y)
{
    return _mm512_mask_mov_ps(y, _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), x);
}

static inline v16 v16_abs(v16 a)
{
    return _mm512_andnot_ps(_mm512_set1_ps(-0.0f), a);
}

static inline v16 v16_sign_of(v16 a, v16 s)
{
    const v16 sign = _mm512_set1_ps(-0.0f);

    return _mm512_or_ps(_mm512_andnot_ps(sign, a), _mm512_and_ps(sign, s));
}

static inline v16 v16_scale(v16 p, v16 t)
{
    const __m512i n = _mm512_slli_epi32(_mm512_castps_si512(t), 23);

    return _mm512_mul_ps(p, _mm512_castsi512_ps(_mm512_add_epi32(n, _mm512_set1_epi32(127 << 23))));
}

static inline float v16_sum(v16 v)
{
    const __m256 a = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    const __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 c = _mm_add_ps(b, _mm_movehl_ps(b, b));

    return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}

static inline float v16_top(v16 v)
{
    const __m256 a = _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    const __m128 b = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 c = _mm_max_ps(b, _mm_movehl_ps(b, b));

    return _mm_cvtss_f32(_mm_max_ss(c, _mm_movehdup_ps(c)));
}

/* matmul: 24 accumulators. 12 rows by 2 panels pass over the weights least often. 6 rows by 4 panels take
 * 10 loads for 24 multiply-adds, not 14, and have fewer lines of x in one set of the first-level cache
 * (rows of fc are a multiple of 4 KiB apart), but need twice the weights at a time: for many rows. */
#define ISA                DG_ISA_AVX512
#define TABLE              dg_kernels_avx512
#define MAX_ROWS           12
#define ROWS(rows)         ((rows) > 40 ? 6 : 12)
#define PANELS(rows)       ((rows) <= 6 ? 4 : 2)
#define SCORE_ROWS         8
#define SCORE_BLOCKS(rows) ((rows) == 1 ? 4 : 2)
#define MIX_ROWS           4
#define MIX_VECTORS        4
#include "simd.h"
