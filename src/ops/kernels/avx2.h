/* avx2.h - 16 lanes in two registers of AVX2 and FMA, for simd.h and int8.h. */
#ifndef DG_OPS_KERNELS_AVX2_H
#define DG_OPS_KERNELS_AVX2_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    __m256 lo, hi; /* lanes 0 ... 7 and 8 ... 15 */
} v16;

/* All bits set in the first n of 8 lanes, for any n. */
static inline __m256i first(long n)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);

    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane);
}

static inline v16 v16_set1(float a)
{
    const __m256 v = _mm256_set1_ps(a);

    return (v16){v, v};
}

static inline v16 v16_load(const float *p)
{
    return (v16){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}

static inline __m256 low8(const uint32_t *p)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_loadu_si256((const __m256i *)p), 16));
}

static inline __m256 high8(const uint32_t *p)
{
    return _mm256_castsi256_ps(_mm256_and_si256(_mm256_loadu_si256((const __m256i *)p),
                                                _mm256_set1_epi32((int)0xffff0000)));
}

static inline v16 v16_low(const uint32_t *p)
{
    return (v16){low8(p), low8(p + 8)};
}

static inline v16 v16_high(const uint32_t *p)
{
    return (v16){high8(p), high8(p + 8)};
}

static inline v16 v16_load_n(const float *p, size_t n)
{
    if (n == 16)
        return v16_load(p);
    return (v16){_mm256_maskload_ps(p, first((long)n)),
                 _mm256_maskload_ps(p + 8, first((long)n - 8))};
}

static inline __m256i words8(const uint32_t *p, long n)
{
    return n >= 8 ? _mm256_loadu_si256((const __m256i *)p)
                  : _mm256_maskload_epi32((const int *)p, first(n));
}

static inline __m256 upper8(__m256i words)
{
    return _mm256_castsi256_ps(_mm256_and_si256(words, _mm256_set1_epi32((int)0xffff0000)));
}

static inline v16 v16_low_n(const uint32_t *p, size_t n)
{
    const __m256i lo = words8(p, (long)n), hi = words8(p + 8, (long)n - 8);

    return (v16){_mm256_castsi256_ps(_mm256_slli_epi32(lo, 16)),
                 _mm256_castsi256_ps(_mm256_slli_epi32(hi, 16))};
}

static inline v16 v16_high_n(const uint32_t *p, size_t n)
{
    return (v16){upper8(words8(p, (long)n)), upper8(words8(p + 8, (long)n - 8))};
}

static inline void v16_store(float *p, v16 v)
{
    _mm256_storeu_ps(p, v.lo);
    _mm256_storeu_ps(p + 8, v.hi);
}

static inline void v16_store_n(float *p, v16 v, size_t n)
{
    if (n == 16) {
        v16_store(p, v);
        return;
    }
    _mm256_maskstore_ps(p, first((long)n), v.lo);
    _mm256_maskstore_ps(p + 8, first((long)n - 8), v.hi);
}

static inline v16 v16_first(size_t n, v16 a, v16 b)
{
    const __m256 lo = _mm256_castsi256_ps(first((long)n));
    const __m256 hi = _mm256_castsi256_ps(first((long)n - 8));

    return (v16){_mm256_blendv_ps(b.lo, a.lo, lo), _mm256_blendv_ps(b.hi, a.hi, hi)};
}

static inline v16 v16_add(v16 a, v16 b)
{
    return (v16){_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)};
}

static inline v16 v16_sub(v16 a, v16 b)
{
    return (v16){_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)};
}

static inline v16 v16_mul(v16 a, v16 b)
{
    return (v16){_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)};
}

static inline v16 v16_div(v16 a, v16 b)
{
    return (v16){_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)};
}

static inline v16 v16_max(v16 a, v16 b)
{
    return (v16){_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)};
}

static inline v16 v16_fma(v16 a, v16 b, v16 c)
{
    return (v16){_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}

static inline v16 v16_less(v16 a, v16 b, v16 x, v16 y)
{
    return (v16){_mm256_blendv_ps(y.lo, x.lo, _mm256_cmp_ps(a.lo, b.lo, _CMP_LT_OQ)),
                 _mm256_blendv_ps(y.hi, x.hi, _mm256_cmp_ps(a.hi, b.hi, _CMP_LT_OQ))};
}

static inline v16 v16_abs(v16 a)
{
    const __m256 sign = _mm256_set1_ps(-0.0f);

    return (v16){_mm256_andnot_ps(sign, a.lo), _mm256_andnot_ps(sign, a.hi)};
}

static inline v16 v16_sign_of(v16 a, v16 s)
{
    const __m256 sign = _mm256_set1_ps(-0.0f);
    const v16 abs = v16_abs(a);

    return (v16){_mm256_or_ps(abs.lo, _mm256_and_ps(sign, s.lo)),
                 _mm256_or_ps(abs.hi, _mm256_and_ps(sign, s.hi))};
}

static inline __m256 scale8(__m256 p, __m256 t)
{
    const __m256i n = _mm256_slli_epi32(_mm256_castps_si256(t), 23);

    return _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_add_epi32(n, _mm256_set1_epi32(127 << 23))));
}

static inline v16 v16_scale(v16 p, v16 t)
{
    return (v16){scale8(p.lo, t.lo), scale8(p.hi, t.hi)};
}

static inline float v16_sum(v16 v)
{
    const __m256 a = _mm256_add_ps(v.lo, v.hi);
    const __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 c = _mm_add_ps(b, _mm_movehl_ps(b, b));

    return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}

static inline float v16_top(v16 v)
{
    const __m256 a = _mm256_max_ps(v.lo, v.hi);
    const __m128 b = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 c = _mm_max_ps(b, _mm_movehl_ps(b, b));

    return _mm_cvtss_f32(_mm_max_ss(c, _mm_movehdup_ps(c)));
}

static inline void v16_store_bytes(int8_t *p, v16 v)
{
    const __m256i low = _mm256_set1_epi32(0xff);
    const __m256i words = _mm256_packus_epi32(_mm256_and_si256(_mm256_castps_si256(v.lo), low),
                                              _mm256_and_si256(_mm256_castps_si256(v.hi), low));
    const __m256i ordered = _mm256_permute4x64_epi64(words, 0xd8);

    _mm_storeu_si128((__m128i *)p, _mm_packus_epi16(_mm256_castsi256_si128(ordered),
                                                    _mm256_extracti128_si256(ordered, 1)));
}

typedef struct {
    __m256i lo, hi;
} i16;

static inline v16 i16_float(i16 sum)
{
    return (v16){_mm256_cvtepi32_ps(sum.lo), _mm256_cvtepi32_ps(sum.hi)};
}

/* 32 bytes of weights. */
static inline __m256i bytes32(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

/* x[0 ... 3] in each lane. */
static inline __m256i four(const int8_t *x)
{
    int word;

    memcpy(&word, x, sizeof word);
    return _mm256_set1_epi32(word);
}

#endif
