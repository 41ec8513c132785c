/* int8.c - gpt2.c with its matrices in int8, bit for bit what dagpt computes with --weights int8.
 *
 *     cc -O2 -ffp-contract=off -o gpt2-int8 spec/int8.c -lm
 *
 * 32 numbers that lie one after the other in a row of a matrix, or in what is multiplied with it, become
 * integers of -127 to 127 and one scale. Products of integers are exact, and so are sums of 32 of
 * them: floats hold every integer up to 2^24. So only sums of groups depend on their order, which is
 * that of the depth. All else is gpt2.c's. (It is slow: weights are rounded anew for each product. A
 * program that is not does it once.) */
#include <math.h>
#include <stddef.h>

enum { GROUP = 32 };

/* Integers q[n] and the scale that they are returned with stand for x[n], n <= 32. The largest becomes 127,
 * the others the nearest integer, of two as near the even one. Where all are below 2^-119, whose scale a
 * float would not hold well, they are 0. */
static float round_group(float *q, const float *x, size_t n)
{
    float most = 0.0f, factor;

    for (size_t i = 0; i < n; i++)
        most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
    factor = most < 0x1p-119f ? 0.0f : 127.0f / most;
    for (size_t i = 0; i < n; i++)
        q[i] = rintf(x[i] * factor) + 0.0f; /* an integer has no -0 */
    return most < 0x1p-119f ? 0.0f : most / 127.0f;
}

/* y = W x + b, with y[n], w[n][k], x[k], b[n] or NULL for zeros. */
static void product(float *y, const float *w, const float *x, const float *b, size_t n, size_t k)
{
    for (size_t o = 0; o < n; o++) {
        float sum = b ? b[o] : 0.0f;

        for (size_t i = 0; i < k; i += GROUP) {
            const size_t some = k - i < GROUP ? k - i : GROUP;
            float p[GROUP], q[GROUP], dot = 0.0f;
            const float of_w = round_group(p, w + o * k + i, some);
            const float of_x = round_group(q, x + i, some);

            for (size_t j = 0; j < some; j++)
                dot = fmaf(p[j], q[j], dot);
            sum = fmaf(dot, of_w * of_x, sum);
        }
        y[o] = sum;
    }
}

/* y = a row w of a matrix. */
static void take_row(float *y, const float *w, size_t n)
{
    for (size_t i = 0; i < n; i += GROUP) {
        const size_t some = n - i < GROUP ? n - i : GROUP;
        const float scale = round_group(y + i, w + i, some);

        for (size_t j = 0; j < some; j++)
            y[i + j] = scale * y[i + j];
    }
}

#define OTHER_PRODUCT
#include "gpt2.c"
