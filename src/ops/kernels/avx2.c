/* AVX2 and FMA: 16 lanes are two registers, of 16. Compiled with those flags, and called only where
 * dg_isa_best() has found them. */
#include "avx2.h"
#include "kernels.h"

/* |w| and x with w's sign, whose products are added in pairs of 16 bits, at most 2 * 128 * 127 = 32,512 of
 * 32,767. */
typedef struct {
    __m256i lo, hi, lo_magnitude, hi_magnitude;
} bytes16;

static inline bytes16 bytes16_load(const uint8_t (*p)[4])
{
    const __m256i offset = _mm256_set1_epi8((char)0x80);
    const __m256i lo = _mm256_xor_si256(bytes32(p), offset);
    const __m256i hi = _mm256_xor_si256(bytes32(p + 8), offset);

    return (bytes16){lo, hi, _mm256_abs_epi8(lo), _mm256_abs_epi8(hi)};
}

static inline i16 i16_start(const struct dg_group *x)
{
    (void)x;
    return (i16){_mm256_setzero_si256(), _mm256_setzero_si256()};
}

static inline __m256i dot8(__m256i sum, __m256i magnitude, __m256i w, __m256i x)
{
    const __m256i pairs = _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(x, w));

    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

static inline i16 i16_dot(i16 sum, bytes16 w, const int8_t *x)
{
    const __m256i v = four(x);

    return (i16){dot8(sum.lo, w.lo_magnitude, w.lo, v), dot8(sum.hi, w.hi_magnitude, w.hi, v)};
}

/* matmul: 6 rows by 1 panel are 12 accumulators, 2 registers of w and 1 of x. Each k is 12
 * multiply-adds, 6 broadcasts, 2 loads and, while weights are fetched, 6 other instructions (gcc 12). */
#define ISA                DG_ISA_AVX2
#define TABLE              dg_kernels_avx2
#define MAX_ROWS           6
#define ROWS(rows)         MAX_ROWS
#define PANELS(rows)       ((rows) == 1 ? 4 : (rows) <= 3 ? 2 : 1)
#define SCORE_ROWS         4
#define SCORE_BLOCKS(rows) ((rows) == 1 ? 4 : (rows) == 2 ? 2 : 1)
#define MIX_ROWS           2
#define MIX_VECTORS        2
#define INT8_ROWS          3
#define INT8_PANELS(rows)  ((rows) == 1 ? 2 : 1)
#define MATMUL_I8          static void matmul_i8
#include "simd.h"

const struct dg_kernels dg_kernels_avx_vnni = KERNELS(DG_ISA_AVX_VNNI, dg_matmul_avx_vnni);
