/* simd.h - the kernels of scalar.c for any instruction set with fused multiply-add.
 *
 * A template: avx2.c, avx512.c and neon.c define the following and then
 * include it.
 *
 *   v16                        16 floats, in as many registers as that takes
 *   v16_set1 load store add sub mul div max
 *   v16_fma(a, b, c)           a * b + c, rounded once
 *   v16_max(a, b)              a > b ? a : b
 *   v16_low(p), v16_high(p)    floats whose upper halves are the first, or second, of each two bf16 at p
 *   v16_store_bytes(p, v)      the low byte of each lane, 16 of them
 *   v16_load_n(p, n)           lanes 0 ... n - 1 from p, the others 0; reads n floats only
 *   v16_low_n, v16_high_n(p, n)  v16_low and v16_high of the first n; read n words only
 *   v16_store_n(p, v, n)       writes n floats only
 *   v16_first(n, a, b)         lanes 0 ... n - 1 of a, the others of b
 *   v16_less(a, b, x, y)       a < b ? x : y, lane by lane
 *   v16_abs, v16_sign_of(a, s) |a|; |a| with the sign of s
 *   v16_scale(p, t)            p * 2^n, n being the integer in the low mantissa bits of t
 *   what int8.h asks for
 *   v16_sum, v16_top           the fixed fold of the lanes, by addition and by max
 *   ISA                        the enum value;  TABLE  the table's name
 *   MAX_ROWS                   rows of x that matmul keeps in registers at most, 5, 6 or 12
 *   ROWS(rows)                 how many of so many that it takes at a time
 *   PANELS(rows)               panels that it then takes at a time (1, 2 or 4)
 *   SCORE_ROWS                 rows that scores takes at a time, 4 or 8
 *   SCORE_BLOCKS(rows)         blocks of keys that it then takes at a time (1, 2 or 4)
 *   MIX_ROWS, MIX_VECTORS      rows (1, 2 or 4) and vectors of dimensions that mix takes at a time
 */
#include "int8.h"
#include "poly.h"

#include <math.h>
#include <stdint.h>

/* ---- matmul ----
 *
 * R rows of x against N panels of w, R * N accumulators in registers: each k costs N loads of w and
 * R broadcasts of x for R * N multiply-adds. With more rows than that depth is cut into blocks so that a block of
 * N panels, 64 KiB each, stays in the second-level cache while all rows pass over it; between blocks the
 * accumulators rest in y, which changes no bit.
 *
 * The more multiply-adds a line of w costs, the less far ahead the processor reads by itself. So the first rows
 * fetch what they multiply soon: a few KiB ahead, as N streams side by side. Where three groups of rows or more
 * pass over a block, they fetch the next block meanwhile, each a part of it, so that it does not come in a burst.
 * One row of floats leaves it to the processor; N is larger there, for more streams of w and chains enough to hide
 * the latency of an addition. */

enum { DEPTH_BLOCK = 1024, AHEAD = 112 };

struct product {
    float *y;
    const float *x, *bias;
    const uint32_t *w;
    size_t y_stride, x_stride, cols, depth;
    size_t lines; /* of a panel, each a word for each output, of W elements: a float, or two bf16 */
};

/* When what is fetched will be multiplied: soon, so that it comes to the first-level cache; next, to the second. */
enum when { NEVER, SOON, NEXT };

/* What comes to the cache meanwhile: N runs of lines, of N panels. No pointers, since they may lie past the weights. */
struct fetch {
    enum when when;
    uintptr_t at;   /* the first line of the first run */
    uintptr_t then; /* SOON: that from line `turn` on */
    size_t turn;
    size_t mask; /* NEXT: fetched where a line's number has no bit of this, a power of 2, less 1 */
};

/* Element i of each output, of W in the line. */
INLINE v16 element(const int W, const uint32_t *line, const int i)
{
    return W == 1 ? v16_load((const float *)line) : i == 0 ? v16_low(line) : v16_high(line);
}

/* acc += x * w for element i of a line. */
INLINE void multiply_one(const int R, const int N, const int W, const int i, v16 acc[12][4],
                         const float *x, size_t x_stride, const uint32_t *w, size_t lines,
                         size_t line)
{
    v16 v[4];

    for (int j = 0; j < N; j++)
        v[j] = element(W, w + j * P * lines + line * P, i);
    for (int r = 0; r < R; r++) {
        const v16 b = v16_set1(x[r * x_stride + line * W + i]);

        for (int j = 0; j < N; j++)
            acc[r][j] = v16_fma(b, v[j], acc[r][j]);
    }
}

/* Do products of R rows fetch? */
#define FETCHES(R, W) ((R) > 1 || (W) > 1)

/* acc += x * w for k0 <= k < k1, k0 being the first of its line. The loop itself would be 3 of about 40 instructions
 * for each k; of one row of floats, which waits for memory, unrolling makes the code larger and no faster. */
INLINE void multiply(const int R, const int N, const int W, const enum when fetch, v16 acc[12][4],
                     const float *x, size_t x_stride, const uint32_t *w, size_t lines, size_t k0,
                     size_t k1, struct fetch f)
{
    size_t line = k0 / W;

    if (FETCHES(R, W)) {
#pragma GCC unroll 4
        for (; line < k1 / W; line++) {
            if (fetch == SOON || (fetch == NEXT && (line & f.mask) == 0)) {
                if (fetch == SOON && line == f.turn)
                    f.at = f.then;
                for (int j = 0; j < N; j++) {
                    const void *at = (const void *)(f.at + LINE * j * lines);

                    if (fetch == SOON)
                        __builtin_prefetch(at, 0, 3);
                    else
                        __builtin_prefetch(at, 0, 2);
                }
                f.at += LINE;
            }
            for (int i = 0; i < W; i++)
                multiply_one(R, N, W, i, acc, x, x_stride, w, lines, line);
        }
    }
    for (; line < k1 / W; line++)
        for (int i = 0; i < W; i++)
            multiply_one(R, N, W, i, acc, x, x_stride, w, lines, line);
    if (k1 % W != 0)
        multiply_one(R, N, W, 0, acc, x, x_stride, w, lines, line);
}

/* Multiply-adds for k0 <= k < k1, rows r ... r + R - 1, panels p ... p + N - 1. */
INLINE void block(const int R, const int N, const int W, const struct product *m, size_t r,
                  size_t p, size_t k0, size_t k1, struct fetch f)
{
    const float *x = m->x + r * m->x_stride;
    const uint32_t *w = m->w + p * P * m->lines;
    float *y = m->y + r * m->y_stride + p * P;
    const size_t tail = m->cols - (p + (size_t)N - 1) * P; /* columns of the last panel, if < P */
    v16 acc[12][4];

    for (int i = 0; i < R; i++) {
        for (int j = 0; j < N; j++) {
            const size_t n = j == N - 1 && tail < P ? tail : P;
            const float *from = k0 > 0    ? y + i * m->y_stride + j * P
                                : m->bias ? m->bias + (p + (size_t)j) * P
                                          : NULL;

            acc[i][j] = from ? v16_load_n(from, n) : v16_set1(0.0f);
        }
    }
    if (FETCHES(R, W) && f.when == SOON)
        multiply(R, N, W, SOON, acc, x, m->x_stride, w, m->lines, k0, k1, f);
    else if (FETCHES(R, W) && f.when == NEXT)
        multiply(R, N, W, NEXT, acc, x, m->x_stride, w, m->lines, k0, k1, f);
    else
        multiply(R, N, W, NEVER, acc, x, m->x_stride, w, m->lines, k0, k1, f);
    for (int i = 0; i < R; i++)
        for (int j = 0; j < N; j++)
            v16_store_n(y + i * m->y_stride + j * P, acc[i][j], j == N - 1 && tail < P ? tail : P);
}

/* One function for each number of rows, so that the accumulators have fixed registers. */
#define ROWS_FUNCTION(R, W)                                                                        \
    static void rows_##R##_##W(const struct product *m, size_t r, size_t p, size_t n, size_t k0,   \
                               size_t k1, struct fetch f)                                          \
    {                                                                                              \
        for (; n >= PANELS(R); n -= PANELS(R), p += PANELS(R))                                     \
            block(R, PANELS(R), W, m, r, p, k0, k1, f);                                            \
        for (; PANELS(R) > 2 && n >= 2; n -= 2, p += 2)                                            \
            block(R, 2, W, m, r, p, k0, k1, f);                                                    \
        for (; n > 0; n--, p++)                                                                    \
            block(R, 1, W, m, r, p, k0, k1, f);                                                    \
    }
#define ROWS_FUNCTIONS(R) ROWS_FUNCTION(R, 1) ROWS_FUNCTION(R, 2)
ROWS_FUNCTIONS(1)
ROWS_FUNCTIONS(2)
ROWS_FUNCTIONS(3)
ROWS_FUNCTIONS(4)
ROWS_FUNCTIONS(5)
#if MAX_ROWS > 5
ROWS_FUNCTIONS(6)
#endif
#if MAX_ROWS > 6
ROWS_FUNCTIONS(7)
ROWS_FUNCTIONS(8)
ROWS_FUNCTIONS(9)
ROWS_FUNCTIONS(10)
ROWS_FUNCTIONS(11)
ROWS_FUNCTIONS(12)
#endif

typedef void rows_function(const struct product *m, size_t r, size_t p, size_t n, size_t k0,
                           size_t k1, struct fetch f);

#define ROWS_TABLE(R)                                                                              \
    {                                                                                              \
        rows_##R##_1, rows_##R##_2                                                                 \
    }
static rows_function *const rows_functions[MAX_ROWS + 1][2] = {
    {NULL},        ROWS_TABLE(1), ROWS_TABLE(2), ROWS_TABLE(3),  ROWS_TABLE(4),  ROWS_TABLE(5),
#if MAX_ROWS > 5
    ROWS_TABLE(6),
#endif
#if MAX_ROWS > 6
    ROWS_TABLE(7), ROWS_TABLE(8), ROWS_TABLE(9), ROWS_TABLE(10), ROWS_TABLE(11), ROWS_TABLE(12),
#endif
};

/* What group g of `groups` fetches while it multiplies lines first ... end - 1 of N panels, of which `here` is the
 * first line and `next` that of what is multiplied then. */
INLINE struct fetch fetch_of(size_t g, size_t groups, size_t N, uintptr_t here, uintptr_t next,
                             size_t first, size_t end)
{
    const size_t lines = end - first, ahead = AHEAD / N < lines ? AHEAD / N : lines;
    size_t share = 1; /* groups that fetch what is next */

    if (groups < 3)
        return (struct fetch){.when = g == 0 ? SOON : NEVER,
                              .at = here + LINE * ahead,
                              .then = next,
                              .turn = end - ahead};
    while (2 * share <= groups)
        share *= 2;
    return (struct fetch){.when = g < share ? NEXT : NEVER,
                          .at = next + LINE * (lines / share * g),
                          .mask = share - 1};
}

/* W: elements in a line. */
INLINE void products(const struct product *m, size_t rows, const size_t W)
{
    const size_t panels = (m->cols + P - 1) / P, depth = m->depth;
    const size_t groups = (rows + ROWS(rows) - 1) / ROWS(rows);
    const size_t height = (rows + groups - 1) / groups, width = PANELS(height);
    const size_t blocks = groups > 1 ? (depth + DEPTH_BLOCK - 1) / DEPTH_BLOCK : 1;
    const size_t step = ((depth + blocks - 1) / blocks + W - 1) / W * W;

    for (size_t k = 0; k < depth; k += step) {
        const size_t k_end = depth - k < step ? depth : k + step;

        for (size_t p = 0; p < panels; p += width) {
            const size_t n = panels - p < width ? panels - p : width;
            const size_t next = p + width < panels ? (p + width) * m->lines + k / W
                                : k_end < depth    ? k_end / W
                                                   : panels * m->lines;
            const uintptr_t w = (uintptr_t)m->w;

            for (size_t r = 0, g = 0; r < rows; r += height, g++)
                rows_functions[rows - r < height ? rows - r : height][W - 1](
                    m, r, p, n, k, k_end,
                    fetch_of(g, groups, width, w + LINE * (p * m->lines + k / W), w + LINE * next,
                             k / W, k_end / W));
        }
    }
}

static void matmul(float *y, size_t y_stride, const void *x, size_t x_stride, const void *w,
                   const float *bias, size_t rows, size_t cols, size_t depth)
{
    const struct product m = {y, x, bias, w, y_stride, x_stride, cols, depth, depth};

    products(&m, rows, 1);
}

static void matmul_bf16(float *y, size_t y_stride, const void *x, size_t x_stride, const void *w,
                        const float *bias, size_t rows, size_t cols, size_t depth)
{
    const struct product m = {y, x, bias, w, y_stride, x_stride, cols, depth, (depth + 1) / 2};

    products(&m, rows, 2);
}

/* ---- element by element ---- */

INLINE v16 exp16(v16 x)
{
    const v16 magic = v16_set1(POLY_ROUND);
    const v16 t = v16_fma(x, v16_set1(POLY_LOG2E), magic), n = v16_sub(t, magic);
    const v16 r = v16_fma(n, v16_set1(-POLY_LN2_LO), v16_fma(n, v16_set1(-POLY_LN2_HI), x));
    v16 p = v16_set1(poly_exp[0]);

    for (int i = 1; i < POLY_EXP_TERMS; i++)
        p = v16_fma(p, r, v16_set1(poly_exp[i]));
    p = v16_fma(v16_mul(r, r), p, r);
    p = v16_add(p, v16_set1(1.0f));
    return v16_less(x, v16_set1(POLY_EXP_MIN), v16_set1(0.0f), v16_scale(p, t));
}

INLINE v16 tanh16(v16 x)
{
    const v16 one = v16_set1(1.0f), two = v16_set1(2.0f), limit = v16_set1(POLY_TANH_MAX);
    const v16 a = v16_abs(x), capped = v16_less(limit, a, limit, a), x2 = v16_mul(a, a);
    const v16 e = exp16(v16_add(capped, capped));
    const v16 large = v16_sub(one, v16_div(two, v16_add(e, one)));
    v16 p = v16_set1(poly_tanh[0]);

    for (int i = 1; i < POLY_TANH_TERMS; i++)
        p = v16_fma(p, x2, v16_set1(poly_tanh[i]));
    p = v16_fma(v16_mul(a, x2), p, a);
    return v16_sign_of(v16_less(a, v16_set1(POLY_TANH_SMALL), p, large), x);
}

INLINE v16 gelu16(v16 x)
{
    const v16 x2 = v16_mul(x, x);
    const v16 inner = v16_fma(v16_mul(v16_set1(GELU_CUBIC), x2), x, x);
    const v16 t = tanh16(v16_mul(v16_set1(GELU_SCALE), inner));

    return v16_mul(v16_mul(v16_set1(0.5f), x), v16_add(v16_set1(1.0f), t));
}

INLINE v16 erf16(v16 x)
{
    const v16 limit = v16_set1(POLY_ERF_MAX);
    const v16 a = v16_abs(x), capped = v16_less(limit, a, limit, a), x2 = v16_mul(a, a);
    v16 p = v16_set1(poly_erf[0]), q = v16_set1(poly_erfc[0]);

    for (int i = 1; i < POLY_ERF_TERMS; i++)
        p = v16_fma(p, x2, v16_set1(poly_erf[i]));
    p = v16_fma(a, p, a);
    for (int i = 1; i < POLY_ERFC_TERMS; i++)
        q = v16_fma(q, capped, v16_set1(poly_erfc[i]));
    q = v16_fma(q, capped, v16_sub(v16_set1(0.0f), capped));
    q = v16_sub(v16_set1(1.0f), exp16(q));
    return v16_sign_of(v16_less(a, v16_set1(POLY_ERF_SMALL), p, q), x);
}

INLINE v16 gelu_erf16(v16 x)
{
    const v16 e = erf16(v16_mul(v16_set1(GELU_ERF_SCALE), x));

    return v16_mul(v16_mul(v16_set1(0.5f), x), v16_add(v16_set1(1.0f), e));
}

INLINE v16 relu16(v16 x)
{
    return v16_max(v16_set1(0.0f), x);
}

#define MAP_FUNCTION(name, f)                                                                      \
    static void name(float *y, const float *x, size_t n)                                           \
    {                                                                                              \
        size_t i = 0;                                                                              \
                                                                                                   \
        for (; i + P <= n; i += P)                                                                 \
            v16_store(y + i, f(v16_load(x + i)));                                                  \
        if (i < n)                                                                                 \
            v16_store_n(y + i, f(v16_load_n(x + i, n - i)), n - i);                                \
    }
MAP_FUNCTION(map_exp, exp16)
MAP_FUNCTION(map_tanh, tanh16)
MAP_FUNCTION(map_erf, erf16)
MAP_FUNCTION(map_gelu, gelu16)
MAP_FUNCTION(map_gelu_erf, gelu_erf16)
MAP_FUNCTION(map_relu, relu16)

static void add(float *y, const float *a, const float *b, size_t n)
{
    size_t i = 0;

    for (; i + P <= n; i += P)
        v16_store(y + i, v16_add(v16_load(a + i), v16_load(b + i)));
    if (i < n)
        v16_store_n(y + i, v16_add(v16_load_n(a + i, n - i), v16_load_n(b + i, n - i)), n - i);
}

/* ---- rows ---- */

/* Zeros past the end of the row leave a lane's sum as it is: it never is -0. */
static void layernorm(float *y, const float *x, const float *gain, const float *bias, float epsilon,
                      size_t n)
{
    const size_t whole = n / P * P, tail = n - whole;
    v16 sum = v16_set1(0.0f), squares = sum, mean, rstd;

    for (size_t i = 0; i < whole; i += P)
        sum = v16_add(sum, v16_load(x + i));
    if (tail)
        sum = v16_add(sum, v16_load_n(x + whole, tail));
    mean = v16_set1(v16_sum(sum) / (float)n);
    for (size_t i = 0; i < whole; i += P) {
        const v16 d = v16_sub(v16_load(x + i), mean);

        squares = v16_fma(d, d, squares);
    }
    if (tail) {
        const v16 d = v16_sub(v16_load_n(x + whole, tail), mean);
        const v16 kept = v16_first(tail, d, v16_set1(0.0f));

        squares = v16_fma(kept, kept, squares);
    }
    rstd = v16_set1(1.0f / sqrtf(v16_sum(squares) / (float)n + epsilon));
    for (size_t i = 0; i < n; i += P) {
        const size_t m = n - i < P ? n - i : P;
        const v16 d = v16_mul(v16_sub(v16_load_n(x + i, m), mean), rstd);

        v16_store_n(y + i, v16_fma(d, v16_load_n(gain + i, m), v16_load_n(bias + i, m)), m);
    }
}

static void softmax(float *x, size_t n)
{
    const size_t whole = n / P * P, tail = n - whole;
    v16 top = v16_set1(-INFINITY), sum = v16_set1(0.0f), scale;

    for (size_t i = 0; i < whole; i += P)
        top = v16_max(v16_load(x + i), top);
    if (tail)
        top = v16_first(tail, v16_max(v16_load_n(x + whole, tail), top), top);
    top = v16_set1(v16_top(top));
    for (size_t i = 0; i < whole; i += P) {
        const v16 e = exp16(v16_sub(v16_load(x + i), top));

        v16_store(x + i, e);
        sum = v16_add(sum, e);
    }
    if (tail) {
        const v16 e = exp16(v16_sub(v16_load_n(x + whole, tail), top));

        v16_store_n(x + whole, e, tail);
        sum = v16_add(sum, v16_first(tail, e, v16_set1(0.0f)));
    }
    scale = v16_set1(1.0f / v16_sum(sum));
    for (size_t i = 0; i < whole; i += P)
        v16_store(x + i, v16_mul(v16_load(x + i), scale));
    if (tail)
        v16_store_n(x + whole, v16_mul(v16_load_n(x + whole, tail), scale), tail);
}

/* ---- int8 ---- */

/* The largest magnitude of 32 elements; NaN where one is infinite or NaN. */
INLINE float group_top(v16 x0, v16 x1)
{
    const v16 odd = v16_add(v16_sub(x0, x0), v16_sub(x1, x1)); /* 0, or NaN */

    return v16_top(v16_max(v16_abs(x0), v16_abs(x1))) + v16_sum(odd);
}

static void quantize_group(struct dg_group *g, v16 x0, v16 x1)
{
    const float top = group_top(x0, x1);
    const v16 magic = v16_set1(POLY_ROUND);
    v16 factor, t0, t1;

    if (!(top >= DG_QUANTIZE_LEAST)) {
        *g = (struct dg_group){.scale = top != top ? NAN : 0.0f};
        return;
    }
    factor = v16_set1(127.0f / top);
    t0 = v16_add(v16_mul(x0, factor), magic); /* the integer in the low bits */
    t1 = v16_add(v16_mul(x1, factor), magic);
    v16_store_bytes(g->value, t0);
    v16_store_bytes(g->value + P, t1);
    g->scale = top / 127.0f;
    t0 = v16_add(v16_sub(t0, magic), v16_sub(t1, magic)); /* integers: exact in any order */
    g->start = -128 * (int32_t)v16_sum(t0);
}

static void quantize(struct dg_group *y, const float *x, size_t n)
{
    size_t i = 0;

    for (; i + DG_GROUP <= n; i += DG_GROUP)
        quantize_group(y++, v16_load(x + i), v16_load(x + i + P));
    if (i + P < n)
        quantize_group(y, v16_load(x + i), v16_load_n(x + i + P, n - i - P));
    else if (i < n)
        quantize_group(y, v16_load_n(x + i, n - i), v16_set1(0.0f));
}

/* ---- attention ----
 *
 * Each for keys and values that are held as floats, and in bf16. */

/* Dimension k of a block's keys, of which n <= P count. */
INLINE v16 key_lanes(const enum dg_dtype held, const float *block, size_t k, const int odd,
                     size_t n)
{
    const uint32_t *pairs = (const uint32_t *)(const void *)(block + k / 2 * P);

    if (held == DG_F32)
        return v16_load_n(block + k * P, n);
    return odd ? v16_high_n(pairs, n) : v16_low_n(pairs, n);
}

/* acc += q's dimension k times that of the keys; k is odd or not. */
INLINE void score_one(const enum dg_dtype held, const int R, const int N, v16 acc[SCORE_ROWS][4],
                      const float *q, size_t q_stride, const float *const *block, size_t k,
                      const int odd, size_t n)
{
    v16 key[4];

    for (int j = 0; j < N; j++)
        key[j] = key_lanes(held, block[j], k, odd, j == N - 1 ? n : P);
    for (int i = 0; i < R; i++) {
        const v16 b = v16_set1(q[i * q_stride + k]);

        for (int j = 0; j < N; j++)
            acc[i][j] = v16_fma(b, key[j], acc[i][j]);
    }
}

/* R rows of q against N blocks of keys, of whose last one n <= P count. */
INLINE void score_blocks(const enum dg_dtype held, const int R, const int N, float *s,
                         size_t s_stride, const float *q, size_t q_stride, struct dg_blocks keys,
                         size_t n, size_t d, float scale)
{
    v16 acc[SCORE_ROWS][4];
    const float *block[4];
    size_t k = 0;

    for (int j = 0; j < N; j++)
        block[j] = keys.at[j] + keys.offset;
    for (int i = 0; i < R; i++)
        for (int j = 0; j < N; j++)
            acc[i][j] = v16_set1(0.0f);
    if (held == DG_F32) {
        for (; k < d; k++)
            score_one(held, R, N, acc, q, q_stride, block, k, 0, n);
    } else {
        for (; k + 1 < d; k += 2) {
            score_one(held, R, N, acc, q, q_stride, block, k, 0, n);
            score_one(held, R, N, acc, q, q_stride, block, k + 1, 1, n);
        }
        if (k < d)
            score_one(held, R, N, acc, q, q_stride, block, k, 0, n);
    }
    for (int i = 0; i < R; i++)
        for (int j = 0; j < N; j++)
            v16_store(s + i * s_stride + j * P, v16_mul(acc[i][j], v16_set1(scale)));
}

#define SCORE_FUNCTION(held, R)                                                                    \
    static void score_##held##_##R(float *s, size_t s_stride, const float *q, size_t q_stride,     \
                                   struct dg_blocks keys, size_t n, size_t d, float scale)         \
    {                                                                                              \
        const size_t many = SCORE_BLOCKS(R);                                                       \
                                                                                                   \
        for (; n >= many * P; n -= many * P, s += many * P, keys.at += many)                       \
            score_blocks(held, R, SCORE_BLOCKS(R), s, s_stride, q, q_stride, keys, P, d, scale);   \
        for (; n > P; n -= P, s += P, keys.at++)                                                   \
            score_blocks(held, R, 1, s, s_stride, q, q_stride, keys, P, d, scale);                 \
        if (n > 0)                                                                                 \
            score_blocks(held, R, 1, s, s_stride, q, q_stride, keys, n, d, scale);                 \
    }

typedef void score_function(float *s, size_t s_stride, const float *q, size_t q_stride,
                            struct dg_blocks keys, size_t n, size_t d, float scale);

#if SCORE_ROWS > 4
#define MORE_SCORE_FUNCTIONS(held)                                                                 \
    SCORE_FUNCTION(held, 5)                                                                        \
    SCORE_FUNCTION(held, 6)                                                                        \
    SCORE_FUNCTION(held, 7)                                                                        \
    SCORE_FUNCTION(held, 8)
#define MORE_SCORES(held) , score_##held##_5, score_##held##_6, score_##held##_7, score_##held##_8
#else
#define MORE_SCORE_FUNCTIONS(held)
#define MORE_SCORES(held)
#endif

/* scores() of what is held so. */
#define SCORES(held, name)                                                                         \
    SCORE_FUNCTION(held, 1)                                                                        \
    SCORE_FUNCTION(held, 2)                                                                        \
    SCORE_FUNCTION(held, 3)                                                                        \
    SCORE_FUNCTION(held, 4)                                                                        \
    MORE_SCORE_FUNCTIONS(held)                                                                     \
    static void name(float *s, size_t s_stride, const float *q, size_t q_stride,                   \
                     struct dg_blocks keys, size_t rows, size_t n, size_t d, float scale)          \
    {                                                                                              \
        static score_function *const functions[SCORE_ROWS + 1] = {                                 \
            NULL, score_##held##_1, score_##held##_2, score_##held##_3,                            \
            score_##held##_4 MORE_SCORES(held)};                                                   \
                                                                                                   \
        for (size_t r = 0; r < rows; r += SCORE_ROWS)                                              \
            functions[rows - r < SCORE_ROWS ? rows - r : SCORE_ROWS](                              \
                s + r * s_stride, s_stride, q + r * q_stride, q_stride, keys, n, d, scale);        \
    }
SCORES(DG_F32, scores)
SCORES(DG_BF16, scores_bf16)

/* The values of a head, and where one of them is. */
struct values {
    struct dg_blocks blocks;
    size_t d;
    size_t stride; /* floats' places from one value to the next in a block */
};

INLINE const float *value_at(const struct values *v, size_t position)
{
    return v->blocks.at[position / P] + v->blocks.offset + position % P * v->stride;
}

/* Vectors that are the least that mix takes at a time, and the most. */
#define MIX_LEAST(held) (held == DG_F32 ? 1 : 2)
#define MIX_MOST(held)  (MIX_VECTORS > MIX_LEAST(held) ? MIX_VECTORS : MIX_LEAST(held))
#define MIX_WIDTH       (MIX_VECTORS > 2 ? MIX_VECTORS : 2)

/* Of N vectors of dimensions, the last of which hold m: where vector j begins, and how many lanes of
 * it count. As floats m <= P are the last vector. In bf16 two vectors lie side by side in words; m <= 2 P
 * are the last two. */
INLINE size_t lanes_of(const enum dg_dtype held, const int N, const int j, size_t m)
{
    if (held == DG_F32)
        return j == N - 1 ? m : P;
    return j < N - 2 ? P : j % 2 ? m / 2 : (m + 1) / 2;
}

INLINE size_t start_of(const enum dg_dtype held, const int N, const int j, size_t m)
{
    if (held == DG_F32 || j % 2 == 0)
        return (size_t)j * P;
    return (size_t)(j - 1) * P + lanes_of(held, N, j - 1, m);
}

INLINE v16 value_lanes(const enum dg_dtype held, const int N, const int j, const float *value,
                       size_t m)
{
    const size_t n = lanes_of(held, N, j, m);
    const uint32_t *pairs = (const uint32_t *)(const void *)(value + j / 2 * P);

    if (held == DG_F32)
        return v16_load_n(value + j * P, n);
    return j % 2 ? v16_high_n(pairs, n) : v16_low_n(pairs, n);
}

/* N vectors of dimensions from i0 on of R rows. The rows run together over the positions that all of them
 * see, then each row alone over its own few more. */
INLINE void mix_block(const enum dg_dtype held, const int R, const int N, float *y, size_t y_stride,
                      const float *p, size_t p_stride, const struct values *values, size_t n,
                      size_t i0, size_t m)
{
    const size_t offset = held == DG_F32 ? i0 : i0 / 2;
    v16 acc[MIX_ROWS][MIX_WIDTH], v[MIX_WIDTH];

    for (int i = 0; i < R; i++)
        for (int j = 0; j < N; j++)
            acc[i][j] = v16_set1(0.0f);
    for (size_t t = 0; t < n; t++) {
        const float *value = value_at(values, t) + offset;

        for (int j = 0; j < N; j++)
            v[j] = value_lanes(held, N, j, value, m);
        for (int i = 0; i < R; i++)
            for (int j = 0; j < N; j++)
                acc[i][j] = v16_fma(v16_set1(p[i * p_stride + t]), v[j], acc[i][j]);
    }
    for (int i = 0; i < R; i++) {
        for (size_t t = n; t < n + (size_t)i; t++) {
            const float *value = value_at(values, t) + offset;

            for (int j = 0; j < N; j++)
                acc[i][j] = v16_fma(v16_set1(p[i * p_stride + t]),
                                    value_lanes(held, N, j, value, m), acc[i][j]);
        }
        for (int j = 0; j < N; j++)
            v16_store_n(y + i * y_stride + i0 + start_of(held, N, j, m), acc[i][j],
                        lanes_of(held, N, j, m));
    }
}

/* R rows over all dimensions. */
#define MIX_FUNCTION(held, R)                                                                      \
    static void mix_##held##_##R(float *y, size_t y_stride, const float *p, size_t p_stride,       \
                                 const struct values *values, size_t n)                            \
    {                                                                                              \
        const size_t d = values->d, most = MIX_MOST(held) * P, least = MIX_LEAST(held) * P;        \
        size_t i = 0;                                                                              \
                                                                                                   \
        for (; i + most <= d; i += most)                                                           \
            mix_block(held, R, MIX_MOST(held), y, y_stride, p, p_stride, values, n, i, least);     \
        for (; i < d; i += least)                                                                  \
            mix_block(held, R, MIX_LEAST(held), y, y_stride, p, p_stride, values, n, i,            \
                      d - i < least ? d - i : least);                                              \
    }

typedef void mix_function(float *y, size_t y_stride, const float *p, size_t p_stride,
                          const struct values *values, size_t n);

#if MIX_ROWS > 2
#define MORE_MIX_FUNCTIONS(held) MIX_FUNCTION(held, 2) MIX_FUNCTION(held, 3) MIX_FUNCTION(held, 4)
#define MORE_MIXES(held)         , mix_##held##_2, mix_##held##_3, mix_##held##_4
#elif MIX_ROWS > 1
#define MORE_MIX_FUNCTIONS(held) MIX_FUNCTION(held, 2)
#define MORE_MIXES(held)         , mix_##held##_2
#else
#define MORE_MIX_FUNCTIONS(held)
#define MORE_MIXES(held)
#endif

/* mix() of what is held so, `stride` places a value. */
#define MIX(held, name, value_stride)                                                              \
    MIX_FUNCTION(held, 1)                                                                          \
    MORE_MIX_FUNCTIONS(held)                                                                       \
    static void name(float *y, size_t y_stride, const float *p, size_t p_stride,                   \
                     struct dg_blocks values, size_t rows, size_t n, size_t d)                     \
    {                                                                                              \
        static mix_function *const functions[MIX_ROWS + 1] = {NULL,                                \
                                                              mix_##held##_1 MORE_MIXES(held)};    \
        const struct values v = {values, d, value_stride};                                         \
                                                                                                   \
        for (size_t r = 0; r < rows; r += MIX_ROWS)                                                \
            functions[rows - r < MIX_ROWS ? rows - r : MIX_ROWS](                                  \
                y + r * y_stride, y_stride, p + r * p_stride, p_stride, &v, n + r);                \
    }
MIX(DG_F32, mix, d)
MIX(DG_BF16, mix_bf16, (d + 1) / 2)

/* The table of a set, with that product of int8. */
#define KERNELS(set, product_of_int8)                                                              \
    {                                                                                              \
        .isa = set,                                                                                \
        .matmul = {[DG_F32] = matmul, [DG_BF16] = matmul_bf16, [DG_I8] = product_of_int8},         \
        .quantize = quantize, .layernorm = layernorm, .gelu = map_gelu, .gelu_erf = map_gelu_erf,  \
        .relu = map_relu, .add = add, .softmax = softmax, .exp = map_exp, .tanh = map_tanh,        \
        .erf = map_erf, .scores = {[DG_F32] = scores, [DG_BF16] = scores_bf16},                    \
        .mix = {[DG_F32] = mix, [DG_BF16] = mix_bf16},                                             \
    }

const struct dg_kernels TABLE = KERNELS(ISA, matmul_i8);
