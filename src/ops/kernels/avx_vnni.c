/* The product of int8 with AVX-VNNI, which is avx512_vnni.c's in registers of 32 bytes. */
#include "avx2.h"
#include "kernels.h"

typedef struct {
    __m256i lo, hi;
} bytes16;

static inline bytes16 bytes16_load(const uint8_t (*p)[4])
{
    return (bytes16){bytes32(p), bytes32(p + 8)};
}

static inline i16 i16_start(const struct dg_group *x)
{
    const __m256i start = _mm256_set1_epi32(x->start);

    return (i16){start, start};
}

static inline i16 i16_dot(i16 sum, bytes16 w, const int8_t *x)
{
    const __m256i v = four(x);

    return (i16){_mm256_dpbusd_avx_epi32(sum.lo, w.lo, v),
                 _mm256_dpbusd_avx_epi32(sum.hi, w.hi, v)};
}

#define INT8_ROWS         3
#define INT8_PANELS(rows) ((rows) == 1 ? 2 : 1)
#define MATMUL_I8         void dg_matmul_avx_vnni
#include "int8.h"
