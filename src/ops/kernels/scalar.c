/* The specification: what every other table must equal, bit for bit. fmaf is one rounding, in
 * hardware or in libm. */
#include "kernels.h"
#include "poly.h"
#include "../../base/checked.h"

#include <math.h>
#include <string.h>

enum { P = DG_LANES };

static void matmul(float *y, size_t y_stride, const void *rows_of_x, size_t x_stride,
                   const void *weights, const float *bias, size_t rows, size_t cols, size_t depth)
{
    const float *x = rows_of_x, *w = weights;

    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < cols; c++) {
            const float *panel = w + c / P * P * depth;
            float acc = bias ? bias[c] : 0.0f;

            for (size_t k = 0; k < depth; k++)
                acc = fmaf(x[r * x_stride + k], panel[k * P + c % P], acc);
            y[r * y_stride + c] = acc;
        }
    }
}

static void matmul_bf16(float *y, size_t y_stride, const void *rows_of_x, size_t x_stride,
                        const void *weights, const float *bias, size_t rows, size_t cols,
                        size_t depth)
{
    const float *x = rows_of_x;
    const uint16_t *w = weights;

    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < cols; c++) {
            const uint16_t *panel = w + c / P * P * dg_round_up(depth, 2);
            float acc = bias ? bias[c] : 0.0f;

            for (size_t k = 0; k < depth; k++)
                acc = fmaf(x[r * x_stride + k],
                           dg_float_of_bf16(panel[(k / 2 * P + c % P) * 2 + k % 2]), acc);
            y[r * y_stride + c] = acc;
        }
    }
}

/* x as the nearest integer, of two as near the even one; |x| < 2^7. */
static int8_t nearest(float x)
{
    return (int8_t)(x + POLY_ROUND - POLY_ROUND);
}

static void quantize_group(struct dg_group *g, const float *x, size_t n)
{
    float top = 0.0f, odd = 0.0f, factor;
    int32_t sum = 0;

    memset(g, 0, sizeof *g);
    for (size_t i = 0; i < n; i++) {
        top = fabsf(x[i]) > top ? fabsf(x[i]) : top;
        odd += x[i] - x[i]; /* 0, or NaN */
    }
    if (odd != odd)
        g->scale = NAN;
    if (odd != odd || top < DG_QUANTIZE_LEAST)
        return;
    g->scale = top / 127.0f;
    factor = 127.0f / top;
    for (size_t i = 0; i < n; i++) {
        g->value[i] = nearest(x[i] * factor);
        sum += g->value[i];
    }
    g->start = -128 * sum;
}

static void quantize(struct dg_group *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i += DG_GROUP)
        quantize_group(y++, x + i, n - i < DG_GROUP ? n - i : DG_GROUP);
}

static float sum_of_group(const struct dg_group *x, const struct dg_panel_group *w, size_t lane)
{
    int32_t sum = 0;

    for (size_t k = 0; k < DG_GROUP; k++)
        sum += x->value[k] * (w->weight[k / 4][lane][k % 4] - 128);
    return (float)sum;
}

static void matmul_i8(float *y, size_t y_stride, const void *rows_of_x, size_t x_stride,
                      const void *weights, const float *bias, size_t rows, size_t cols,
                      size_t depth)
{
    const size_t groups = dg_groups(depth);

    for (size_t r = 0; r < rows; r++) {
        const struct dg_group *x =
            (const void *)((const char *)rows_of_x + r * x_stride * sizeof(float));

        for (size_t c = 0; c < cols; c++) {
            const struct dg_panel_group *w =
                (const struct dg_panel_group *)weights + c / P * groups;
            float acc = bias ? bias[c] : 0.0f;

            for (size_t g = 0; g < groups; g++)
                acc = fmaf(sum_of_group(&x[g], &w[g], c % P), w[g].scale[c % P] * x[g].scale, acc);
            y[r * y_stride + c] = acc;
        }
    }
}

/* p * 2^n for the integer n that t = POLY_ROUND + n carries in its low mantissa bits. */
static float scale_by(float p, float t)
{
    uint32_t bits;
    float power;

    memcpy(&bits, &t, sizeof bits);
    bits = (bits << 23) + (127u << 23);
    memcpy(&power, &bits, sizeof power);
    return p * power;
}

static float exp_of(float x)
{
    const float t = fmaf(x, POLY_LOG2E, POLY_ROUND), n = t - POLY_ROUND;
    const float r = fmaf(n, -POLY_LN2_LO, fmaf(n, -POLY_LN2_HI, x));
    float p = poly_exp[0];

    for (int i = 1; i < POLY_EXP_TERMS; i++)
        p = fmaf(p, r, poly_exp[i]);
    p = fmaf(r * r, p, r);
    p = p + 1.0f;
    return x < POLY_EXP_MIN ? 0.0f : scale_by(p, t);
}

static float tanh_of(float x)
{
    const float a = fabsf(x), x2 = a * a, capped = POLY_TANH_MAX < a ? POLY_TANH_MAX : a;
    const float large = 1.0f - 2.0f / (exp_of(capped + capped) + 1.0f);
    float p = poly_tanh[0];

    for (int i = 1; i < POLY_TANH_TERMS; i++)
        p = fmaf(p, x2, poly_tanh[i]);
    p = fmaf(a * x2, p, a);
    return copysignf(a < POLY_TANH_SMALL ? p : large, x);
}

static float gelu_of(float x)
{
    const float x2 = x * x, inner = fmaf(GELU_CUBIC * x2, x, x);

    return 0.5f * x * (1.0f + tanh_of(GELU_SCALE * inner));
}

static float erf_of(float x)
{
    const float a = fabsf(x), x2 = a * a, capped = POLY_ERF_MAX < a ? POLY_ERF_MAX : a;
    float p = poly_erf[0], q = poly_erfc[0];

    for (int i = 1; i < POLY_ERF_TERMS; i++)
        p = fmaf(p, x2, poly_erf[i]);
    p = fmaf(a, p, a);
    for (int i = 1; i < POLY_ERFC_TERMS; i++)
        q = fmaf(q, capped, poly_erfc[i]);
    q = 1.0f - exp_of(fmaf(q, capped, 0.0f - capped));
    return copysignf(a < POLY_ERF_SMALL ? p : q, x);
}

static float gelu_erf_of(float x)
{
    return 0.5f * x * (1.0f + erf_of(GELU_ERF_SCALE * x));
}

static float relu_of(float x)
{
    return 0.0f > x ? 0.0f : x;
}

static void map_exp(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = exp_of(x[i]);
}

static void map_tanh(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = tanh_of(x[i]);
}

static void map_gelu(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = gelu_of(x[i]);
}

static void map_erf(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = erf_of(x[i]);
}

static void map_gelu_erf(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = gelu_erf_of(x[i]);
}

static void map_relu(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = relu_of(x[i]);
}

static void add(float *y, const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = a[i] + b[i];
}

static float larger(float a, float b)
{
    return a > b ? a : b;
}

/* The fixed fold: lane[0] becomes the sum of all. */
static float fold_sum(float *lane)
{
    for (int half = P / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            lane[i] += lane[i + half];
    return lane[0];
}

static float fold_top(float *lane)
{
    for (int half = P / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            lane[i] = larger(lane[i], lane[i + half]);
    return lane[0];
}

static void layernorm(float *y, const float *x, const float *gain, const float *bias, float epsilon,
                      size_t n)
{
    float sum[P] = {0}, squares[P] = {0}, mean, rstd;

    for (size_t i = 0; i < n; i++)
        sum[i % P] += x[i];
    mean = fold_sum(sum) / (float)n;
    for (size_t i = 0; i < n; i++)
        squares[i % P] = fmaf(x[i] - mean, x[i] - mean, squares[i % P]);
    rstd = 1.0f / sqrtf(fold_sum(squares) / (float)n + epsilon);
    for (size_t i = 0; i < n; i++)
        y[i] = fmaf((x[i] - mean) * rstd, gain[i], bias[i]);
}

static void softmax(float *x, size_t n)
{
    float top[P], sum[P] = {0}, max, scale;

    for (int i = 0; i < P; i++)
        top[i] = -INFINITY;
    for (size_t i = 0; i < n; i++)
        top[i % P] = larger(x[i], top[i % P]);
    max = fold_top(top);
    for (size_t i = 0; i < n; i++) {
        x[i] = exp_of(x[i] - max);
        sum[i % P] += x[i];
    }
    scale = 1.0f / fold_sum(sum);
    for (size_t i = 0; i < n; i++)
        x[i] *= scale;
}

static const uint16_t *halves_of(struct dg_blocks blocks, size_t i)
{
    return (const uint16_t *)(const void *)(blocks.at[i] + blocks.offset);
}

static void scores(float *s, size_t s_stride, const float *q, size_t q_stride,
                   struct dg_blocks keys, size_t rows, size_t n, size_t d, float scale)
{
    for (size_t r = 0; r < rows; r++) {
        for (size_t j = 0; j < n; j++) {
            const float *block = keys.at[j / P] + keys.offset;
            float acc = 0.0f;

            for (size_t k = 0; k < d; k++)
                acc = fmaf(q[r * q_stride + k], block[k * P + j % P], acc);
            s[r * s_stride + j] = acc * scale;
        }
    }
}

static void scores_bf16(float *s, size_t s_stride, const float *q, size_t q_stride,
                        struct dg_blocks keys, size_t rows, size_t n, size_t d, float scale)
{
    for (size_t r = 0; r < rows; r++) {
        for (size_t j = 0; j < n; j++) {
            const uint16_t *block = halves_of(keys, j / P);
            float acc = 0.0f;

            for (size_t k = 0; k < d; k++)
                acc =
                    fmaf(q[r * q_stride + k], dg_float_of_bf16(block[dg_key_half(j % P, k)]), acc);
            s[r * s_stride + j] = acc * scale;
        }
    }
}

static void mix(float *y, size_t y_stride, const float *p, size_t p_stride, struct dg_blocks values,
                size_t rows, size_t n, size_t d)
{
    for (size_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < d; i++) {
            float acc = 0.0f;

            for (size_t j = 0; j < n + r; j++)
                acc =
                    fmaf(p[r * p_stride + j], values.at[j / P][values.offset + j % P * d + i], acc);
            y[r * y_stride + i] = acc;
        }
    }
}

static void mix_bf16(float *y, size_t y_stride, const float *p, size_t p_stride,
                     struct dg_blocks values, size_t rows, size_t n, size_t d)
{
    for (size_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < d; i++) {
            float acc = 0.0f;

            for (size_t j = 0; j < n + r; j++)
                acc = fmaf(p[r * p_stride + j],
                           dg_float_of_bf16(halves_of(values, j / P)[dg_value_half(j % P, i, d)]),
                           acc);
            y[r * y_stride + i] = acc;
        }
    }
}

const struct dg_kernels dg_kernels_scalar = {
    .isa = DG_ISA_SCALAR,
    .matmul = {[DG_F32] = matmul, [DG_BF16] = matmul_bf16, [DG_I8] = matmul_i8},
    .quantize = quantize,
    .layernorm = layernorm,
    .gelu = map_gelu,
    .gelu_erf = map_gelu_erf,
    .relu = map_relu,
    .add = add,
    .softmax = softmax,
    .exp = map_exp,
    .tanh = map_tanh,
    .erf = map_erf,
    .scores = {[DG_F32] = scores, [DG_BF16] = scores_bf16},
    .mix = {[DG_F32] = mix, [DG_BF16] = mix_bf16},
};
