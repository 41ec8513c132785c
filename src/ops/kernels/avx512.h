/* avx512.h - 16 lanes in one register of AVX-512F, DQ, BW and VL, for simd.h and int8.h. */
#ifndef DG_OPS_KERNELS_AVX512_H
#define DG_OPS_KERNELS_AVX512_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

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

static inline __m512i words(const uint32_t *p, size_t n)
{
    return n == 16 ? _mm512_loadu_si512(p) : _mm512_maskz_loadu_epi32(lanes(n), p);
}

static inline v16 v16_low_n(const uint32_t *p, size_t n)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(words(p, n), 16));
}

static inline v16 v16_high_n(const uint32_t *p, size_t n)
{
    return _mm512_castsi512_ps(_mm512_and_si512(words(p, n), _mm512_set1_epi32((int)0xffff0000)));
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

static inline void v16_store_bytes(int8_t *p, v16 v)
{
    _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(_mm512_castps_si512(v)));
}

typedef __m512i i16;

static inline v16 i16_float(i16 sum)
{
    return _mm512_cvtepi32_ps(sum);
}

/* x[0 ... 3] in each lane. */
static inline __m512i four(const int8_t *x)
{
    int word;

    memcpy(&word, x, sizeof word);
    return _mm512_set1_epi32(word);
}

#endif
