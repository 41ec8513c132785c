/* AVX-512F, DQ, BW and VL: 16 lanes are one register, of 32. Compiled with those flags, and called
 * only where dg_isa_best() has found them. */
#include "avx512.h"
#include "kernels.h"

/* Without VNNI: |w| and x with w's sign, whose products are added in pairs of 16 bits, at most 2 * 128 * 127 =
 * 32,512 of 32,767. */
typedef struct {
    __m512i magnitude;
    __mmask64 negative;
} bytes16;

static inline bytes16 bytes16_load(const uint8_t (*p)[4])
{
    const __m512i w = _mm512_xor_si512(_mm512_loadu_si512(p), _mm512_set1_epi8((char)0x80));

    return (bytes16){_mm512_abs_epi8(w), _mm512_movepi8_mask(w)};
}

static inline i16 i16_start(const struct dg_group *x)
{
    (void)x;
    return _mm512_setzero_si512();
}

static inline i16 i16_dot(i16 sum, bytes16 w, const int8_t *x)
{
    const __m512i v = four(x), zero = _mm512_setzero_si512();
    const __m512i pairs =
        _mm512_maddubs_epi16(w.magnitude, _mm512_mask_sub_epi8(v, w.negative, zero, v));

    return _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
}

/* matmul: 24 accumulators. 12 rows by 2 panels pass over the weights least often. 6 rows by 4 panels take
 * 10 loads for 24 multiply-adds, not 14, and have fewer lines of x in one set of the first-level cache
 * (rows of fc are a multiple of 4 KiB apart), but need twice the weights at a time: for many rows. */
#define ISA                DG_ISA_AVX512
#define TABLE              dg_kernels_avx512
#define MAX_ROWS           12
#define ROWS(rows)         ((rows) > 24 ? 6 : 12)
#define PANELS(rows)       ((rows) <= 6 ? 4 : 2)
#define SCORE_ROWS         8
#define SCORE_BLOCKS(rows) ((rows) == 1 ? 4 : 2)
#define MIX_ROWS           4
#define MIX_VECTORS        4
#define INT8_ROWS          4
#define INT8_PANELS(rows)  2
#define MATMUL_I8          static void matmul_i8
#include "simd.h"

const struct dg_kernels dg_kernels_avx512_vnni = KERNELS(DG_ISA_AVX512_VNNI, dg_matmul_avx512_vnni);
const struct dg_kernels dg_kernels_amx = KERNELS(DG_ISA_AMX, dg_matmul_amx);
