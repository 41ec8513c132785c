/* neon.h - 16 lanes in four registers of NEON on AArch64, for simd.h and int8.h. */
#ifndef DG_OPS_KERNELS_NEON_H
#define DG_OPS_KERNELS_NEON_H

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    float32x4_t q0, q1, q2, q3; /* lanes 0 ... 3, 4 ... 7, 8 ... 11 and 12 ... 15 */
} v16;

/* f on each register of the operands. */
#define EACH(f, x) ((v16){f((x).q0), f((x).q1), f((x).q2), f((x).q3)})
#define EACH2(f, x, y)                                                                             \
    ((v16){f((x).q0, (y).q0), f((x).q1, (y).q1), f((x).q2, (y).q2), f((x).q3, (y).q3)})

/* All bits set in the first n of 4 lanes, for any n. */
static inline uint32x4_t first4(long n)
{
    static const int32_t lane[4] = {0, 1, 2, 3};

    return vcgtq_s32(vdupq_n_s32((int32_t)n), vld1q_s32(lane));
}

/* x > y ? x : y; vmaxq_f32 has another result for NaNs and for zeros of two signs. */
static inline float32x4_t max4(float32x4_t x, float32x4_t y)
{
    return vbslq_f32(vcgtq_f32(x, y), x, y);
}

static inline v16 v16_set1(float x)
{
    const float32x4_t v = vdupq_n_f32(x);

    return (v16){v, v, v, v};
}

static inline v16 v16_load(const float *p)
{
    return (v16){vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)};
}

static inline float32x4_t low4(const uint32_t *p)
{
    return vreinterpretq_f32_u32(vshlq_n_u32(vld1q_u32(p), 16));
}

static inline float32x4_t high4(const uint32_t *p)
{
    return vreinterpretq_f32_u32(vandq_u32(vld1q_u32(p), vdupq_n_u32(0xffff0000)));
}

static inline v16 v16_low(const uint32_t *p)
{
    return (v16){low4(p), low4(p + 4), low4(p + 8), low4(p + 12)};
}

static inline v16 v16_high(const uint32_t *p)
{
    return (v16){high4(p), high4(p + 4), high4(p + 8), high4(p + 12)};
}

/* Fewer than 16 lanes go through memory, there being no masked loads and stores. Out of line: within
 * matmul they would be too much code for its loops to be unrolled, and the accumulators would stay
 * in memory. */
__attribute__((noinline)) static v16 load_tail(const float *p, size_t n)
{
    float lanes[16] = {0};

    memcpy(lanes, p, n * sizeof *p);
    return v16_load(lanes);
}

static inline v16 v16_load_n(const float *p, size_t n)
{
    return n == 16 ? v16_load(p) : load_tail(p, n);
}

__attribute__((noinline)) static v16 low_tail(const uint32_t *p, size_t n)
{
    uint32_t lanes[16] = {0};

    memcpy(lanes, p, n * sizeof *p);
    return v16_low(lanes);
}

__attribute__((noinline)) static v16 high_tail(const uint32_t *p, size_t n)
{
    uint32_t lanes[16] = {0};

    memcpy(lanes, p, n * sizeof *p);
    return v16_high(lanes);
}

static inline v16 v16_low_n(const uint32_t *p, size_t n)
{
    return n == 16 ? v16_low(p) : low_tail(p, n);
}

static inline v16 v16_high_n(const uint32_t *p, size_t n)
{
    return n == 16 ? v16_high(p) : high_tail(p, n);
}

static inline void v16_store(float *p, v16 v)
{
    vst1q_f32(p, v.q0);
    vst1q_f32(p + 4, v.q1);
    vst1q_f32(p + 8, v.q2);
    vst1q_f32(p + 12, v.q3);
}

__attribute__((noinline)) static void store_tail(float *p, v16 v, size_t n)
{
    float lanes[16];

    v16_store(lanes, v);
    memcpy(p, lanes, n * sizeof *p);
}

static inline void v16_store_n(float *p, v16 v, size_t n)
{
    if (n == 16)
        v16_store(p, v);
    else
        store_tail(p, v, n);
}

static inline v16 v16_first(size_t n, v16 x, v16 y)
{
    const long m = (long)n;

    return (v16){vbslq_f32(first4(m), x.q0, y.q0), vbslq_f32(first4(m - 4), x.q1, y.q1),
                 vbslq_f32(first4(m - 8), x.q2, y.q2), vbslq_f32(first4(m - 12), x.q3, y.q3)};
}

static inline v16 v16_add(v16 x, v16 y)
{
    return EACH2(vaddq_f32, x, y);
}

static inline v16 v16_sub(v16 x, v16 y)
{
    return EACH2(vsubq_f32, x, y);
}

static inline v16 v16_mul(v16 x, v16 y)
{
    return EACH2(vmulq_f32, x, y);
}

static inline v16 v16_div(v16 x, v16 y)
{
    return EACH2(vdivq_f32, x, y);
}

static inline v16 v16_max(v16 x, v16 y)
{
    return EACH2(max4, x, y);
}

static inline v16 v16_fma(v16 x, v16 y, v16 z)
{
    return (v16){vfmaq_f32(z.q0, x.q0, y.q0), vfmaq_f32(z.q1, x.q1, y.q1),
                 vfmaq_f32(z.q2, x.q2, y.q2), vfmaq_f32(z.q3, x.q3, y.q3)};
}

static inline v16 v16_less(v16 a, v16 b, v16 x, v16 y)
{
    return (v16){
        vbslq_f32(vcltq_f32(a.q0, b.q0), x.q0, y.q0), vbslq_f32(vcltq_f32(a.q1, b.q1), x.q1, y.q1),
        vbslq_f32(vcltq_f32(a.q2, b.q2), x.q2, y.q2), vbslq_f32(vcltq_f32(a.q3, b.q3), x.q3, y.q3)};
}

static inline v16 v16_abs(v16 x)
{
    return EACH(vabsq_f32, x);
}

static inline float32x4_t sign_of4(float32x4_t x, float32x4_t s)
{
    return vbslq_f32(vdupq_n_u32(1u << 31), s, x);
}

static inline v16 v16_sign_of(v16 x, v16 s)
{
    return EACH2(sign_of4, x, s);
}

static inline float32x4_t scale4(float32x4_t p, float32x4_t t)
{
    const uint32x4_t n = vshlq_n_u32(vreinterpretq_u32_f32(t), 23);

    return vmulq_f32(p, vreinterpretq_f32_u32(vaddq_u32(n, vdupq_n_u32(127u << 23))));
}

static inline v16 v16_scale(v16 p, v16 t)
{
    return EACH2(scale4, p, t);
}

static inline float v16_sum(v16 v)
{
    const float32x4_t x = vaddq_f32(vaddq_f32(v.q0, v.q2), vaddq_f32(v.q1, v.q3));
    const float32x2_t y = vadd_f32(vget_low_f32(x), vget_high_f32(x));

    return vget_lane_f32(y, 0) + vget_lane_f32(y, 1);
}

static inline float v16_top(v16 v)
{
    const float32x4_t x = max4(max4(v.q0, v.q2), max4(v.q1, v.q3));
    const float32x2_t low = vget_low_f32(x), high = vget_high_f32(x);
    const float32x2_t y = vbsl_f32(vcgt_f32(low, high), low, high);

    return vget_lane_f32(y, 0) > vget_lane_f32(y, 1) ? vget_lane_f32(y, 0) : vget_lane_f32(y, 1);
}

static inline uint16x4_t low_halves(float32x4_t v)
{
    return vmovn_u32(vreinterpretq_u32_f32(v));
}

static inline void v16_store_bytes(int8_t *p, v16 v)
{
    const uint8x8_t a = vmovn_u16(vcombine_u16(low_halves(v.q0), low_halves(v.q1)));
    const uint8x8_t b = vmovn_u16(vcombine_u16(low_halves(v.q2), low_halves(v.q3)));

    vst1q_s8(p, vreinterpretq_s8_u8(vcombine_u8(a, b)));
}

typedef struct {
    int32x4_t q0, q1, q2, q3;
} i16;

/* Sums of weights without the 128 begin with 0. */
struct dg_group;
static inline i16 i16_start(const struct dg_group *x)
{
    const int32x4_t zero = vdupq_n_s32(0);

    (void)x;
    return (i16){zero, zero, zero, zero};
}

static inline v16 i16_float(i16 sum)
{
    return EACH(vcvtq_f32_s32, sum);
}

typedef struct {
    int8x16_t q0, q1, q2, q3;
} bytes16;

static inline int8x16_t bytes4(const uint8_t (*p)[4])
{
    return vreinterpretq_s8_u8(veorq_u8(vld1q_u8(*p), vdupq_n_u8(0x80)));
}

static inline bytes16 bytes16_load(const uint8_t (*p)[4])
{
    return (bytes16){bytes4(p), bytes4(p + 4), bytes4(p + 8), bytes4(p + 12)};
}

/* x[0 ... 3] in each lane. */
static inline int8x16_t four(const int8_t *x)
{
    int32_t word;

    memcpy(&word, x, sizeof word);
    return vreinterpretq_s8_s32(vdupq_n_s32(word));
}

#endif
