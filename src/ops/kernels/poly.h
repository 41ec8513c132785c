/* poly.h - the constants of exp, tanh, erf and gelu, shared by all kernels.
 * Written by tools/dev/derive_poly.py (make poly); do not edit.
 *
 * Largest errors over every float of the domain, by tests/guard/ulp.c (make ulp):
 *   exp   1.009 ulp, -87.33654 <= x <= 88; below that, where the result would be subnormal, +0
 *   tanh  1.068 ulp, all x
 *   erf   1.038 ulp, all x */
#ifndef DG_OPS_POLY_H
#define DG_OPS_POLY_H

/* clang-format off */

/* n = round(x / ln 2), by adding and taking off 1.5 * 2^23; r = x - n ln 2, in two parts */
#define POLY_ROUND      0x1.800000p+23f /* 1.5 * 2^23 */
#define POLY_LOG2E      0x1.715476p+0f /* 1 / ln 2 */
#define POLY_LN2_HI     0x1.62e430p-1f /* ln 2 rounded */
#define POLY_LN2_LO     -0x1.05c610p-29f /* ln 2 - POLY_LN2_HI */
#define POLY_EXP_MIN    -0x1.5d589ep+6f /* -87.33654 */

/* exp(r) = 1 + (r + r^2 Q(r)), |r| <= ln 2 / 2; 0.036 ulp before rounding */
#define POLY_EXP_TERMS 5
static const float poly_exp[POLY_EXP_TERMS] = {
    0x1.697baep-10f, /* 0.0013789487 */
    0x1.123980p-7f, /* 0.008368671 */
    0x1.5559fep-5f, /* 0.04166889 */
    0x1.555492p-3f, /* 0.16666521 */
    0x1.fffffap-2f, /* 0.4999999 */
};

/* a < POLY_TANH_SMALL: tanh(a) = a + a^3 P(a^2), 0.179 ulp before rounding;
 * else 1 - 2 / (exp(2 a) + 1), which is 1 from POLY_TANH_MAX on */
#define POLY_TANH_SMALL 0x1.666666p-1f /* 0.7 */
#define POLY_TANH_MAX   0x1.20a3d8p+3f /* 9.02 */
#define POLY_TANH_TERMS 5
static const float poly_tanh[POLY_TANH_TERMS] = {
    -0x1.53e692p-8f, /* -0.0051864726 */
    0x1.4a1fb0p-6f, /* 0.020149156 */
    -0x1.b6f284p-5f, /* -0.053582437 */
    0x1.10fcf8p-3f, /* 0.133295 */
    -0x1.555504p-2f, /* -0.33333212 */
};

/* a < POLY_ERF_SMALL: erf(a) = a + a P(a^2), 0.209 ulp before rounding;
 * else 1 - exp(-a + a R(a)), 0.012 ulp before rounding, which is 1 from POLY_ERF_MAX on */
#define POLY_ERF_SMALL  0x1.d70a3ep-1f /* 0.92 */
#define POLY_ERF_MAX    0x1.f9999ap+1f /* 3.95 */
#define POLY_ERF_TERMS 6
static const float poly_erf[POLY_ERF_TERMS] = {
    -0x1.3b9c2cp-11f, /* -0.0006019784 */
    0x1.47a764p-8f, /* 0.0049996013 */
    -0x1.b6a060p-6f, /* -0.026771635 */
    0x1.ce1c14p-4f, /* 0.112819746 */
    -0x1.8126f0p-2f, /* -0.3761251 */
    0x1.06eba6p-3f, /* 0.12837915 */
};
#define POLY_ERFC_TERMS 7
static const float poly_erfc[POLY_ERFC_TERMS] = {
    -0x1.829402p-17f, /* -1.1520927e-05 */
    0x1.55756ap-12f, /* 0.00032564034 */
    -0x1.dee682p-9f, /* -0.0036537203 */
    0x1.85b2a6p-6f, /* 0.023785269 */
    -0x1.b340e8p-4f, /* -0.10626307 */
    -0x1.45308ap-1f, /* -0.63513595 */
    -0x1.077ac8p-3f, /* -0.12865216 */
};

/* GPT-2's gelu: x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) */
#define GELU_SCALE 0x1.988454p-1f
#define GELU_CUBIC 0.044715f

/* gelu by erf: x / 2 (1 + erf(x / sqrt(2))) */
#define GELU_ERF_SCALE 0x1.6a09e6p-1f

#endif
