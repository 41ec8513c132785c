/* Every table of kernels against the specification (scalar.c), bit for bit, and the
 * specification against double precision. All arrays have the size that kernels.h says and end at a
 * page that must not be touched. */
#include "../../support/support.h"
#include "../../support/ulp.h"
#include "../../../src/base/checked.h"
#include "../../../src/base/cpu.h"
#include "../../../src/ops/kernels/kernels.h"
#include "../../../src/ops/kernels/poly.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { P = DG_LANES, LONGEST = 130, MARGIN = 32, ATTENTION_ROWS = DG_ATTENTION_ROWS };
static const uint32_t UNTOUCHED = 0x7fc0dead; /* a NaN that no kernel makes */

/* ---- memory ---- */

/* Floats up to a closed page; each use takes the last n of them. */
struct room {
    float *p;
    size_t n;
};

static struct room room_new(size_t n)
{
    return (struct room){guarded_floats(n + MARGIN), n + MARGIN};
}

static void room_free(struct room room)
{
    guarded_free(room.p, room.n);
}

static void mark(float *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = float_of_bits(UNTOUCHED);
}

/* The last n floats, and MARGIN before them, marked. */
static float *take(struct room room, size_t n)
{
    float *p = room.p + room.n - n;

    mark(p - MARGIN, n + MARGIN);
    return p;
}

static float *place(struct room room, const float *from, size_t n)
{
    return memcpy(take(room, n), from, n * sizeof *from);
}

static float *new_floats(size_t n)
{
    float *p = malloc(n * sizeof *p);

    ck_assert_ptr_nonnull(p);
    return p;
}

/* ---- values ---- */

/* TINY: zeros of both signs, denormals and their neighbours. LARGE: sums of a few overflow. */
enum fill { ORDINARY, TINY, LARGE, N_FILL };

static float value(enum fill fill, uint64_t *seed)
{
    const uint32_t sign = (uint32_t)random_below(seed, 2) << 31;

    switch (random_below(seed, 4) ? fill : ORDINARY) {
    case TINY:
        if (random_below(seed, 3) == 0)
            return float_of_bits(sign);
        return float_of_bits(sign | random_below(seed, 0x01000000));
    case LARGE:
        return float_of_bits(sign | (0x7f7fffffu - random_below(seed, 0x20000000)));
    default:
        return random_float(seed, -2.0f, 2.0f);
    }
}

static float *values(size_t n, enum fill fill, uint64_t seed)
{
    float *p = new_floats(n);

    for (size_t i = 0; i < n; i++)
        p[i] = value(fill, &seed);
    return p;
}

/* Any float at all, finite and at most `most`, with a liking for where exp and tanh branch. */
static float any_float(uint64_t *seed, float most)
{
    static const float branches[] = {0.0f, POLY_EXP_MIN, 88.0f,  POLY_TANH_SMALL, POLY_TANH_MAX,
                                     0.5f, -103.9f,      0.346f, -0.346f,         FLT_MIN};
    float x;

    do {
        if (random_below(seed, 3) == 0) {
            x = branches[random_below(seed, sizeof branches / sizeof *branches)];
            x = float_of_bits(bits_of_float(x) + random_below(seed, 5) - (x != 0.0f ? 2u : 0u));
        } else if (random_below(seed, 2)) {
            x = random_float(seed, -100.0f, 88.0f);
        } else {
            x = float_of_bits((uint32_t)random_bits(seed));
        }
        if (random_below(seed, 2))
            x = -x;
    } while (!(x >= -FLT_MAX && x <= most));
    return x;
}

/* ---- comparison ---- */

/* What a comparison was about: for its message. */
struct run {
    const struct dg_kernels *k;
    const char *kernel;
    size_t rows, n, depth;
};

/* The bits of a NaN are not promised; that it is one, is. */
static bool same(float a, float b)
{
    return bits_of_float(a) == bits_of_float(b) || (a != a && b != b);
}

static void expect_same(const struct run *run, const float *got, const float *want, size_t n)
{
    if (memcmp(got, want, n * sizeof *got) == 0)
        return;
    for (size_t i = 0; i < n; i++)
        if (!same(got[i], want[i]))
            ck_abort_msg("%s %s, %zu rows, n %zu, depth %zu: element %zu is %a, expected %a",
                         dg_isa_name(run->k->isa), run->kernel, run->rows, run->n, run->depth, i,
                         (double)got[i], (double)want[i]);
}

static void expect_untouched(const struct run *run, const float *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bits_of_float(p[i]) != UNTOUCHED)
            ck_abort_msg("%s %s, %zu rows, n %zu, depth %zu: wrote outside its output",
                         dg_isa_name(run->k->isa), run->kernel, run->rows, run->n, run->depth);
}

/* y[rows][cols], `stride` apart, is want[rows][cols]; what lies between and before is untouched. */
static void expect_matrix(const struct run *run, const float *y, size_t stride, const float *want,
                          size_t want_stride, size_t cols)
{
    expect_untouched(run, y - MARGIN, MARGIN);
    for (size_t r = 0; r < run->rows; r++) {
        expect_same(run, y + r * stride, want + r * want_stride, cols);
        if (r + 1 < run->rows)
            expect_untouched(run, y + r * stride + cols, stride - cols);
    }
}

static void expect_near(const struct run *run, float got, double want, double tolerance)
{
    if (!(fabs((double)got - want) <= tolerance))
        ck_abort_msg("%s %s, %zu rows, n %zu, depth %zu: %.9g, expected %.9g +- %.2g",
                     dg_isa_name(run->k->isa), run->kernel, run->rows, run->n, run->depth,
                     (double)got, want, tolerance);
}

typedef void test_of_table(const struct dg_kernels *k);

/* The tables above scalar, and all of them. */
static void each_simd(test_of_table *test)
{
    for (enum dg_isa isa = dg_isa_next(DG_ISA_SCALAR); isa; isa = dg_isa_next(isa))
        test(dg_kernels_for(isa));
}

static void each_table(test_of_table *test)
{
    test(&dg_kernels_scalar);
    each_simd(test);
}

/* ---- element by element ---- */

typedef void map(float *y, const float *x, size_t n);

static void map_at(const struct run *run, map *f, map *spec, struct room in, struct room out,
                   float most)
{
    const size_t n = run->n;
    float x[LONGEST], want[LONGEST], *y;
    uint64_t seed = n;

    for (int i = 0; i < 4; i++) {
        for (size_t j = 0; j < n; j++)
            x[j] = any_float(&seed, most);
        spec(want, x, n);
        y = take(out, n);
        f(y, place(in, x, n), n);
        expect_matrix(run, y, n, want, n, n);
        y = place(in, x, n);
        f(y, y, n);
        expect_matrix(run, y, n, want, n, n);
    }
}

static void maps_of(const struct dg_kernels *k)
{
    const struct room in = room_new(LONGEST), out = room_new(LONGEST);
    struct run run = {.k = k, .rows = 1};

    for (run.n = 1; run.n <= LONGEST; run.n++) {
        run.kernel = "exp";
        map_at(&run, k->exp, dg_kernels_scalar.exp, in, out, 88.0f);
        run.kernel = "tanh";
        map_at(&run, k->tanh, dg_kernels_scalar.tanh, in, out, FLT_MAX);
        run.kernel = "gelu";
        map_at(&run, k->gelu, dg_kernels_scalar.gelu, in, out, FLT_MAX);
        run.kernel = "erf";
        map_at(&run, k->erf, dg_kernels_scalar.erf, in, out, FLT_MAX);
        run.kernel = "gelu_erf";
        map_at(&run, k->gelu_erf, dg_kernels_scalar.gelu_erf, in, out, FLT_MAX);
        run.kernel = "relu";
        map_at(&run, k->relu, dg_kernels_scalar.relu, in, out, FLT_MAX);
    }
    room_free(in);
    room_free(out);
}

START_TEST(maps_equal_scalar)
{
    each_simd(maps_of);
}
END_TEST

static void add_at(const struct run *run, struct room in_a, struct room in_b, struct room out)
{
    const size_t n = run->n;
    float *a = values(n, (enum fill)(n % N_FILL), n),
          *b = values(n, (enum fill)(n % N_FILL), 2 * n);
    float want[LONGEST], *y, *z;

    dg_kernels_scalar.add(want, a, b, n);
    y = take(out, n);
    run->k->add(y, place(in_a, a, n), place(in_b, b, n), n);
    expect_matrix(run, y, n, want, n, n);
    y = place(in_a, a, n);
    run->k->add(y, y, place(in_b, b, n), n);
    expect_matrix(run, y, n, want, n, n);
    y = place(in_a, a, n);
    z = place(in_b, b, n);
    run->k->add(z, y, z, n);
    expect_matrix(run, z, n, want, n, n);
    free(a);
    free(b);
}

static void adds_of(const struct dg_kernels *k)
{
    const struct room a = room_new(LONGEST), b = room_new(LONGEST), y = room_new(LONGEST);
    struct run run = {.k = k, .kernel = "add", .rows = 1};

    for (run.n = 1; run.n <= LONGEST; run.n++)
        add_at(&run, a, b, y);
    room_free(a);
    room_free(b);
    room_free(y);
}

START_TEST(add_equals_scalar)
{
    each_simd(adds_of);
}
END_TEST

/* ---- rows ---- */

static const float EPSILON = 1e-5f;

static void layernorm_at(const struct dg_kernels *k, size_t n, enum fill fill)
{
    const struct room x_room = room_new(n), gain_room = room_new(n), bias_room = room_new(n),
                      y_room = room_new(n);
    const struct run run = {.k = k, .kernel = "layernorm", .rows = 1, .n = n};
    float *x = values(n, fill, n), *gain = values(n, fill, n + 1), *bias = values(n, fill, n + 2);
    float *want = new_floats(n), *y = take(y_room, n);

    place(gain_room, gain, n);
    place(bias_room, bias, n);
    dg_kernels_scalar.layernorm(want, x, gain, bias, EPSILON, n);
    k->layernorm(y, place(x_room, x, n), gain_room.p + MARGIN, bias_room.p + MARGIN, EPSILON, n);
    expect_matrix(&run, y, n, want, n, n);
    y = place(x_room, x, n);
    k->layernorm(y, y, gain_room.p + MARGIN, bias_room.p + MARGIN, EPSILON, n);
    expect_matrix(&run, y, n, want, n, n);
    free(x);
    free(gain);
    free(bias);
    free(want);
    room_free(x_room);
    room_free(gain_room);
    room_free(bias_room);
    room_free(y_room);
}

static void layernorms_of(const struct dg_kernels *k)
{
    for (int fill = 0; fill < N_FILL; fill++) {
        for (size_t n = 1; n <= LONGEST; n++)
            layernorm_at(k, n, (enum fill)fill);
        layernorm_at(k, 768, (enum fill)fill);
        layernorm_at(k, 1600, (enum fill)fill);
    }
}

START_TEST(layernorm_equals_scalar)
{
    each_simd(layernorms_of);
}
END_TEST

/* Rows of scores: near each other, far apart, partly masked, few distinct values, all one, huge. */
enum { N_SOFTMAX_KINDS = 6 };

static float score(unsigned kind, uint64_t *seed)
{
    switch (kind) {
    case 0:
        return random_float(seed, -3.0f, 3.0f);
    case 1:
        return random_float(seed, -300.0f, 300.0f);
    case 2:
        return random_below(seed, 2) ? random_float(seed, -9.0f, 9.0f) : -INFINITY;
    case 3:
        return (float)random_below(seed, 3) - 1.0f;
    case 4:
        return -0.75f;
    default:
        return random_below(seed, 2) ? FLT_MAX * random_float(seed, -1.0f, 1.0f) : -FLT_MAX;
    }
}

/* At least one finite score, at any place: `last` alone is finite in some masked rows. */
static void fill_scores(float *x, size_t n, unsigned kind, uint64_t seed)
{
    for (size_t i = 0; i < n; i++)
        x[i] = score(kind, &seed);
    if (kind == 2)
        x[random_below(&seed, (uint32_t)n)] = -2.5f;
}

static void softmax_at(const struct dg_kernels *k, size_t n, struct room room)
{
    const struct run run = {.k = k, .kernel = "softmax", .rows = 1, .n = n};
    float *x = new_floats(n), *y;

    for (unsigned kind = 0; kind < N_SOFTMAX_KINDS; kind++) {
        fill_scores(x, n, kind, n + kind);
        y = place(room, x, n);
        k->softmax(y, n);
        dg_kernels_scalar.softmax(x, n);
        expect_matrix(&run, y, n, x, n, n);
    }
    free(x);
}

static void softmaxes_of(const struct dg_kernels *k)
{
    const struct room room = room_new(1024);

    for (size_t n = 1; n <= LONGEST; n++)
        softmax_at(k, n, room);
    softmax_at(k, 1000, room);
    softmax_at(k, 1024, room);
    room_free(room);
}

START_TEST(softmax_equals_scalar)
{
    each_simd(softmaxes_of);
}
END_TEST

/* ---- matmul ---- */

/* A product of the largest shape of a series, and what it should be. The upper left corner of the
 * result is the result for fewer rows and columns. */
struct product {
    enum dg_dtype dtype; /* of the weights: DG_F32, DG_BF16 */
    size_t rows, cols, depth, x_stride;
    float *x, *w, *bias;         /* w: a word for each output, of one float or two bf16 */
    float *want, *want_unbiased; /* [rows][cols] */
    struct room x_room, w_room, bias_room, y_room;
};

enum { GAP = 5 }; /* floats between rows */

static const enum dg_dtype product_dtypes[] = {DG_F32, DG_BF16};
enum { N_PRODUCT_DTYPES = sizeof product_dtypes / sizeof *product_dtypes };

static size_t in_word(enum dg_dtype dtype)
{
    return dtype == DG_BF16 ? 2 : 1;
}

static size_t panel_words(enum dg_dtype dtype, size_t cols, size_t depth)
{
    return dg_round_up(cols, P) * dg_div_up(depth, in_word(dtype));
}

/* The word that holds the weight of output c and input k. */
static float *word_at(float *w, enum dg_dtype dtype, size_t depth, size_t c, size_t k)
{
    return w + c / P * panel_words(dtype, P, depth) + k / in_word(dtype) * P + c % P;
}

static void put_weight(const struct product *m, size_t c, size_t k, float weight)
{
    float *word = word_at(m->w, m->dtype, m->depth, c, k);
    uint32_t bits = bits_of_float(weight);

    if (m->dtype == DG_BF16)
        memcpy((uint16_t *)word + k % 2, (char *)&bits + 2, 2); /* the upper half */
    else
        *word = weight;
}

/* Every third row of x is of another fill; so is one weight in 16. NaNs lie in the gaps of x and in
 * the lanes of w past the last column: none may get into a result. */
static void product_fill(struct product *m, enum fill fill, uint64_t seed)
{
    mark(m->x, m->rows * m->x_stride);
    mark(m->w, panel_words(m->dtype, m->cols, m->depth));
    for (size_t r = 0; r < m->rows; r++)
        for (size_t k = 0; k < m->depth; k++)
            m->x[r * m->x_stride + k] = value(r % 3 == 2 ? fill : ORDINARY, &seed);
    for (size_t c = 0; c < m->cols; c++)
        for (size_t k = 0; k < m->depth; k++)
            put_weight(m, c, k, value(c % P == 3 ? fill : ORDINARY, &seed));
    for (size_t c = 0; c < m->cols; c++)
        m->bias[c] = value(fill, &seed);
}

static void product_want(const struct product *m, const float *bias, float *want)
{
    dg_kernels_scalar.matmul[m->dtype](want, m->cols, m->x, m->x_stride, m->w, bias, m->rows,
                                       m->cols, m->depth);
}

static void product_new(struct product *m, enum dg_dtype dtype, size_t rows, size_t cols,
                        size_t depth, enum fill fill)
{
    const size_t x_stride = depth + GAP, n_w = panel_words(dtype, cols, depth);

    *m = (struct product){dtype, rows, cols, depth, x_stride, .x = new_floats(rows * x_stride)};
    m->w = new_floats(n_w);
    m->bias = new_floats(cols);
    m->want = new_floats(rows * cols);
    m->want_unbiased = new_floats(rows * cols);
    m->x_room = room_new(rows * x_stride);
    m->w_room = room_new(n_w);
    m->bias_room = room_new(cols);
    m->y_room = room_new(rows * (cols + GAP));
    product_fill(m, fill, rows + cols + depth);
    product_want(m, m->bias, m->want);
    product_want(m, NULL, m->want_unbiased);
}

static void product_free(struct product *m)
{
    free(m->x);
    free(m->w);
    free(m->bias);
    free(m->want);
    free(m->want_unbiased);
    room_free(m->x_room);
    room_free(m->w_room);
    room_free(m->bias_room);
    room_free(m->y_room);
}

/* The first `rows` rows of the first `cols` columns, for which w and bias are already in place.
 * Every other shape goes without a bias. */
static void product_check(const struct product *m, const struct dg_kernels *k, const float *w,
                          const float *bias, size_t rows, size_t cols)
{
    const struct run run = {k, dg_dtype_name(m->dtype), rows, cols, m->depth};
    const size_t stride = cols + GAP;
    const bool biased = (rows + cols) % 2;
    const float *x = place(m->x_room, m->x, (rows - 1) * m->x_stride + m->depth);
    float *y = take(m->y_room, (rows - 1) * stride + cols);

    k->matmul[m->dtype](y, stride, x, m->x_stride, w, biased ? bias : NULL, rows, cols, m->depth);
    expect_matrix(&run, y, stride, biased ? m->want : m->want_unbiased, m->cols, cols);
}

static void product_columns(const struct product *m, const struct dg_kernels *k, size_t cols,
                            size_t row_step)
{
    const float *w = place(m->w_room, m->w, panel_words(m->dtype, cols, m->depth));
    const float *bias = place(m->bias_room, m->bias, cols);

    for (size_t rows = 1; rows <= m->rows; rows += row_step)
        product_check(m, k, w, bias, rows, cols);
}

static void every_shape(enum dg_dtype dtype, size_t depth, enum fill fill)
{
    const size_t row_step = sanitized() ? 5 : 1, col_step = sanitized() ? 11 : 1;
    struct product m;

    product_new(&m, dtype, 26, LONGEST, depth, fill);
    for (enum dg_isa isa = dg_isa_next(DG_ISA_SCALAR); isa; isa = dg_isa_next(isa))
        for (size_t cols = 1; cols <= LONGEST; cols += col_step)
            product_columns(&m, dg_kernels_for(isa), cols, row_step);
    product_free(&m);
}

static void every_shape_of(enum dg_dtype dtype)
{
    static const size_t depths[] = {1, 2, 15, 16, 17, 64, 255, 256, 257, 300};

    for (size_t i = 0; i < sizeof depths / sizeof *depths; i++)
        every_shape(dtype, depths[i], i % 2 ? TINY : ORDINARY);
    every_shape(dtype, 3, LARGE);
    every_shape(dtype, 40, LARGE);
}

START_TEST(matmul_equals_scalar)
{
    every_shape_of(DG_F32);
}
END_TEST

START_TEST(matmul_of_bf16_equals_scalar)
{
    every_shape_of(DG_BF16);
}
END_TEST

/* The specification of bf16: the product of the same weights as floats. */
START_TEST(bf16_is_its_floats)
{
    struct product narrow, wide;

    for (size_t depth = 1; depth < 40; depth += 3) {
        product_new(&narrow, DG_BF16, 3, 21, depth, TINY);
        product_new(&wide, DG_F32, 3, 21, depth, TINY);
        for (size_t c = 0; c < 21; c++)
            for (size_t k = 0; k < depth; k++)
                put_weight(&wide, c, k,
                           float_of_bits(bits_of_float(*word_at(wide.w, DG_F32, depth, c, k)) &
                                         0xffff0000));
        product_want(&wide, wide.bias, wide.want);
        ck_assert(memcmp(narrow.want, wide.want, 3 * 21 * sizeof(float)) == 0);
        product_free(&narrow);
        product_free(&wide);
    }
}
END_TEST

/* GPT-2 124M: one tile of a decode step, of a short and of a long prompt. The last tile of the
 * logits has 50257 % 64 = 17 or 50257 % 128 = 81 columns. */
static void real_shape(enum dg_dtype dtype, size_t cols, size_t depth)
{
    static const size_t rows[] = {1, 16, 48, 100, 171}; /* more than 96: other groups of rows */
    const float *w, *bias;
    struct product m;

    product_new(&m, dtype, 171, cols, depth, TINY);
    w = place(m.w_room, m.w, panel_words(dtype, m.cols, m.depth));
    bias = place(m.bias_room, m.bias, m.cols);
    for (enum dg_isa isa = dg_isa_next(DG_ISA_SCALAR); isa; isa = dg_isa_next(isa))
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
            product_check(&m, dg_kernels_for(isa), w, bias, rows[r], m.cols);
    product_free(&m);
}

START_TEST(matmul_at_real_shapes)
{
    static const struct {
        size_t cols, depth;
    } tiles[] = {{64, 768}, {128, 768}, {17, 768}, {81, 768}, {64, 3072}, {128, 3072}};

    for (size_t d = 0; d < N_PRODUCT_DTYPES; d++)
        for (size_t i = 0; i < sizeof tiles / sizeof *tiles; i++)
            real_shape(product_dtypes[d], tiles[i].cols, tiles[i].depth);
}
END_TEST

/* y, computed by several calls: random numbers of rows, and of panels. */
static void in_tiles(const struct product *m, const struct dg_kernels *k, float *y, uint64_t *seed)
{
    for (size_t r = 0, rows; r < m->rows; r += rows) {
        rows = 1 + random_below(seed, (uint32_t)(m->rows - r));
        for (size_t c = 0, cols; c < m->cols; c += cols) {
            cols = P * (1 + random_below(seed, 5));
            if (cols > m->cols - c)
                cols = m->cols - c;
            k->matmul[m->dtype](y + r * m->cols + c, m->cols, m->x + r * m->x_stride, m->x_stride,
                                word_at(m->w, m->dtype, m->depth, c, 0), m->bias + c, rows, cols,
                                m->depth);
        }
    }
}

static void tiles_of(const struct dg_kernels *k, enum dg_dtype dtype)
{
    const struct run run = {k, "matmul in tiles", 26, LONGEST, 300};
    struct product m;
    uint64_t seed = 7;
    float *y;

    product_new(&m, dtype, run.rows, run.n, run.depth, TINY);
    y = new_floats(m.rows * m.cols);
    for (int i = 0; i < (sanitized() ? 3 : 30); i++) {
        mark(y, m.rows * m.cols);
        in_tiles(&m, k, y, &seed);
        expect_same(&run, y, m.want, m.rows * m.cols);
    }
    free(y);
    product_free(&m);
}

static void tiles_of_each_dtype(const struct dg_kernels *k)
{
    for (size_t d = 0; d < N_PRODUCT_DTYPES; d++)
        tiles_of(k, product_dtypes[d]);
}

START_TEST(matmul_knows_no_tiles)
{
    each_table(tiles_of_each_dtype);
}
END_TEST

/* Panels of the inputs k0 ... k1 - 1 of each output. */
static void part_of_depth(const struct product *m, size_t k0, size_t k1, float *w)
{
    for (size_t p = 0; p * P < m->cols; p++)
        memcpy(w + p * P * (k1 - k0), m->w + p * P * m->depth + k0 * P, P * (k1 - k0) * sizeof *w);
}

/* Depth in two calls, the sums of the first being the second's bias. */
static void depth_parts_of(const struct dg_kernels *k)
{
    const struct run run = {k, "matmul in parts of depth", 1, LONGEST, 600};
    float first[LONGEST], y[LONGEST], *w;
    struct product m;

    product_new(&m, DG_F32, 1, run.n, run.depth, TINY);
    w = new_floats(panel_words(DG_F32, m.cols, m.depth));
    for (size_t cut = 1; cut < m.depth; cut += sanitized() ? 97 : 13) {
        part_of_depth(&m, 0, cut, w);
        k->matmul[DG_F32](first, m.cols, m.x, m.x_stride, w, m.bias, 1, m.cols, cut);
        part_of_depth(&m, cut, m.depth, w);
        k->matmul[DG_F32](y, m.cols, m.x + cut, m.x_stride, w, first, 1, m.cols, m.depth - cut);
        expect_same(&run, y, m.want, m.cols);
    }
    free(w);
    product_free(&m);
}

START_TEST(matmul_carries_its_sums)
{
    each_table(depth_parts_of);
}
END_TEST

/* ---- int8 ---- */

/* A product of groups, of the largest shape of a series. `extreme`: all values are the largest, and weights -128, whose
 * sums are the largest there are; else any, scales too. */
struct groups_product {
    size_t rows, cols, depth, x_floats, w_floats; /* of a row of x, of a panel */
    float *x, *w, *bias, *want;
    struct room x_room, w_room, bias_room, y_room;
};

static float any_scale(uint64_t *seed)
{
    static const float odd[] = {0.0f, NAN, INFINITY, FLT_MAX, 0x1p-126f, 0x1p-149f, -1.0f};

    if (random_below(seed, 40) == 0)
        return odd[random_below(seed, sizeof odd / sizeof *odd)];
    return random_float(seed, 1e-3f, 2.0f);
}

static void fill_groups(const struct groups_product *m, bool extreme, uint64_t *seed)
{
    struct dg_group *x = (struct dg_group *)(void *)m->x;
    struct dg_panel_group *w = (struct dg_panel_group *)(void *)m->w;

    for (size_t i = 0; i < m->rows * dg_groups(m->depth); i++) {
        int32_t sum = 0;

        for (size_t k = 0; k < DG_GROUP; k++) {
            const bool beyond = i % dg_groups(m->depth) * DG_GROUP + k >= m->depth;

            x[i].value[k] = (int8_t)(beyond    ? 0
                                     : extreme ? (i % 2 ? -127 : 127)
                                               : (int)random_below(seed, 255) - 127);
            sum += x[i].value[k];
        }
        x[i].start = -128 * sum;
        x[i].scale = extreme ? 1.0f : any_scale(seed);
    }
    for (size_t i = 0; i < dg_div_up(m->cols, P) * dg_groups(m->depth); i++) {
        for (size_t l = 0; l < P; l++)
            w[i].scale[l] = extreme ? 1.0f : any_scale(seed);
        for (size_t k = 0; k < DG_GROUP; k++)
            for (size_t l = 0; l < P; l++)
                w[i].weight[k / 4][l][k % 4] =
                    extreme ? (uint8_t)(l % 2 ? 0 : 255) : (uint8_t)random_below(seed, 256);
    }
}

static void groups_new(struct groups_product *m, size_t rows, size_t cols, size_t depth,
                       bool extreme)
{
    const size_t x_floats = dg_groups(depth) * sizeof(struct dg_group) / sizeof(float);
    const size_t w_floats = dg_groups(depth) * sizeof(struct dg_panel_group) / sizeof(float);
    uint64_t seed = rows + cols + depth;

    *m = (struct groups_product){rows,     cols,     depth,
                                 x_floats, w_floats, .x = new_floats(rows * x_floats)};
    m->w = new_floats(dg_div_up(cols, P) * w_floats);
    m->bias = values(cols, ORDINARY, seed);
    m->want = new_floats(rows * cols);
    m->x_room = room_new(rows * x_floats);
    m->w_room = room_new(dg_div_up(cols, P) * w_floats);
    m->bias_room = room_new(cols);
    m->y_room = room_new(rows * (cols + GAP));
    fill_groups(m, extreme, &seed);
    dg_kernels_scalar.matmul[DG_I8](m->want, cols, m->x, x_floats, m->w, m->bias, rows, cols,
                                    depth);
}

static void groups_free(struct groups_product *m)
{
    free(m->x);
    free(m->w);
    free(m->bias);
    free(m->want);
    room_free(m->x_room);
    room_free(m->w_room);
    room_free(m->bias_room);
    room_free(m->y_room);
}

static void groups_check(const struct groups_product *m, const struct dg_kernels *k, size_t rows,
                         size_t cols)
{
    const struct run run = {k, "int8", rows, cols, m->depth};
    const float *w = place(m->w_room, m->w, dg_div_up(cols, P) * m->w_floats);
    const float *bias = place(m->bias_room, m->bias, cols);
    const float *x = place(m->x_room, m->x, rows * m->x_floats);
    float *y = take(m->y_room, (rows - 1) * (cols + GAP) + cols);

    k->matmul[DG_I8](y, cols + GAP, x, m->x_floats, w, bias, rows, cols, m->depth);
    expect_matrix(&run, y, cols + GAP, m->want, m->cols, cols);
}

static void groups_of(const struct dg_kernels *k)
{
    static const size_t depths[] = {1, 31, 32, 33, 96, 300};

    for (size_t d = 0; d < 2 * sizeof depths / sizeof *depths; d++) {
        struct groups_product m;

        groups_new(&m, 17, LONGEST, depths[d / 2], d % 2);
        for (size_t rows = 1; rows <= m.rows; rows += 1 + rows / 8)
            for (size_t cols = 1; cols <= LONGEST; cols += sanitized() ? 11 : 3)
                groups_check(&m, k, rows, cols);
        groups_free(&m);
    }
}

START_TEST(int8_equals_scalar)
{
    each_simd(groups_of);
}
END_TEST

/* What scalar gives: the sums of integers in 64 bits, then the order that arithmetic.md says. */
START_TEST(int8_is_its_definition)
{
    for (int extreme = 0; extreme < 2; extreme++) {
        struct groups_product m;

        groups_new(&m, 5, 37, 200, extreme);
        for (size_t r = 0; r < m.rows; r++) {
            const struct dg_group *x =
                (const struct dg_group *)(const void *)(m.x + r * m.x_floats);

            for (size_t c = 0; c < m.cols; c++) {
                const struct dg_panel_group *w =
                    (const struct dg_panel_group *)(const void *)(m.w + c / P * m.w_floats);
                float acc = m.bias[c];

                for (size_t g = 0; g < dg_groups(m.depth); g++) {
                    int64_t sum = 0;

                    for (size_t k = 0; k < DG_GROUP; k++)
                        sum += (int64_t)x[g].value[k] * (w[g].weight[k / 4][c % P][k % 4] - 128);
                    ck_assert(llabs(sum) <= 32 * 127 * 128);
                    acc = fmaf((float)sum, w[g].scale[c % P] * x[g].scale, acc);
                }
                ck_assert(same(acc, m.want[r * m.cols + c]));
            }
        }
        groups_free(&m);
    }
}
END_TEST

/* ORDINARY, TINY, LARGE, halves between two integers, one that is infinite or NaN, zeros. */
static float quantizable(unsigned kind, uint64_t *seed)
{
    if (kind < N_FILL)
        return value((enum fill)kind, seed);
    if (kind == N_FILL)
        return (float)((int)random_below(seed, 509) - 254) / 4.0f;
    if (kind == N_FILL + 1)
        return random_below(seed, 90) ? 1.0f : random_below(seed, 2) ? -INFINITY : NAN;
    return random_below(seed, 2) ? -0.0f : 0.0f;
}

static void expect_groups(const struct run *run, const struct dg_group *got,
                          const struct dg_group *want, size_t n)
{
    for (size_t g = 0; g < n; g++)
        if (memcmp(got[g].value, want[g].value, DG_GROUP) != 0 || got[g].start != want[g].start ||
            !same(got[g].scale, want[g].scale))
            ck_abort_msg("%s quantize, n %zu: group %zu is another", dg_isa_name(run->k->isa),
                         run->n, g);
}

static void quantizes_of(const struct dg_kernels *k)
{
    const size_t floats = sizeof(struct dg_group) / sizeof(float);
    const struct room in = room_new(LONGEST), out = room_new(dg_groups(LONGEST) * floats);
    struct run run = {.k = k, .kernel = "quantize", .rows = 1};
    uint64_t seed = 3;

    for (run.n = 1; run.n <= LONGEST; run.n++) {
        for (unsigned kind = 0; kind < N_FILL + 3; kind++) {
            struct dg_group want[(LONGEST + DG_GROUP - 1) / DG_GROUP];
            float x[LONGEST], *y = take(out, dg_groups(run.n) * floats);

            for (size_t i = 0; i < run.n; i++)
                x[i] = quantizable(kind, &seed);
            dg_kernels_scalar.quantize(want, x, run.n);
            k->quantize((struct dg_group *)(void *)y, place(in, x, run.n), run.n);
            expect_groups(&run, (const struct dg_group *)(const void *)y, want, dg_groups(run.n));
            expect_untouched(&run, y - MARGIN, MARGIN);
        }
    }
    room_free(in);
    room_free(out);
}

START_TEST(quantize_equals_scalar)
{
    each_simd(quantizes_of);
}
END_TEST

/* Against doubles: the largest magnitude becomes 127; all others the nearest integer, of two the even one. */
START_TEST(quantize_is_its_definition)
{
    uint64_t seed = 11;

    for (int i = 0; i < 2000; i++) {
        struct dg_group g;
        float x[DG_GROUP], top = 0;

        for (size_t k = 0; k < DG_GROUP; k++) {
            x[k] = quantizable((unsigned)i % 4, &seed);
            top = fmaxf(top, fabsf(x[k]));
        }
        dg_kernels_scalar.quantize(&g, x, DG_GROUP);
        if (top < 0x1p-119f) {
            ck_assert(g.scale == 0.0f && g.start == 0);
            continue;
        }
        ck_assert(g.scale == top / 127.0f);
        for (size_t k = 0; k < DG_GROUP; k++) {
            const float scaled = x[k] * (127.0f / top);

            ck_assert_int_eq(g.value[k], (int)nearbyint((double)scaled));
            ck_assert(fabs((double)g.value[k] * top / 127 - x[k]) <= 0.5001 * top / 127);
        }
    }
}
END_TEST

START_TEST(quantize_special)
{
    float x[DG_GROUP] = {1.0f, -2.0f, 0.5f};
    struct dg_group g;

    for (int i = 0; i < 3; i++) {
        const float odd[] = {NAN, INFINITY, -INFINITY};

        x[7] = odd[i];
        dg_kernels_scalar.quantize(&g, x, DG_GROUP);
        ck_assert(g.scale != g.scale && g.start == 0 && g.value[1] == 0);
    }
    x[7] = FLT_MAX;
    dg_kernels_scalar.quantize(&g, x, DG_GROUP);
    ck_assert(g.scale == FLT_MAX / 127.0f && g.value[7] == 127 && g.value[0] == 0);
    x[0] = 0x1p-119f;
    x[1] = -0x1p-120f;
    dg_kernels_scalar.quantize(&g, x, 2);
    ck_assert(g.scale > 0 && g.value[0] == 127 && g.value[1] == -64 && g.value[2] == 0);
    ck_assert_int_eq(g.start, -128 * 63);
    x[0] = 0x1.fffffep-120f;
    dg_kernels_scalar.quantize(&g, x, 2);
    ck_assert(g.scale == 0.0f && g.value[0] == 0);
}
END_TEST

/* ---- attention ---- */

static const size_t head_sizes[] = {1,  2,  3,  5,  7,  8,  12, 15, 16, 17, 24, 31, 32,
                                    33, 40, 47, 48, 49, 56, 63, 64, 65, 72, 79, 80, 128};
enum { N_HEAD_SIZES = sizeof head_sizes / sizeof *head_sizes };

/* Queries, keys and values of one head, for up to n keys, and the results of the specification. Keys and values
 * are floats, or two bf16 in the place of each. */
struct head {
    enum dg_dtype held;
    size_t n, d, stride;        /* stride: of q and p */
    size_t words;               /* of a value */
    size_t block;               /* from one block of keys or values to the next */
    float *q;                   /* [ATTENTION_ROWS][stride] */
    float *p;                   /* [ATTENTION_ROWS][stride], n + ATTENTION_ROWS - 1 used */
    float *keys;                /* [n / P][words][P], blocks apart */
    float *values;              /* [n + ATTENTION_ROWS - 1][words], blocks of P apart */
    float **key_at, **value_at; /* blocks where a test has put them */
    float *scores;              /* [ATTENTION_ROWS][n] */
    struct room q_room, p_room, keys_room, values_room, s_room, y_room;
};

static const float SCALE = 0.3f;

static struct dg_blocks blocks_at(const struct head *h, float **at, float *first, size_t n)
{
    for (size_t i = 0; i < dg_div_up(n, P); i++)
        at[i] = first + i * h->block;
    return (struct dg_blocks){at, 0};
}

static struct dg_blocks keys_at(const struct head *h, float *first)
{
    return blocks_at(h, h->key_at, first, h->n);
}

static struct dg_blocks values_at(const struct head *h, float *first)
{
    return blocks_at(h, h->value_at, first, h->n + ATTENTION_ROWS - 1);
}

static float *held_values(enum dg_dtype held, size_t n, enum fill fill, uint64_t seed)
{
    float *v = values(2 * n, fill, seed);
    uint16_t *halves =
        (uint16_t *)(void *)v; /* each is written when both floats in its place are read */

    for (size_t i = 0; i < 2 * n && held == DG_BF16; i++) {
        const uint16_t half = dg_bf16_of(v[i]);

        memcpy(halves + i, &half, sizeof half);
    }
    return v;
}

static void head_new(struct head *h, enum dg_dtype held, size_t n, size_t d, enum fill fill)
{
    const size_t words = held == DG_BF16 ? (d + 1) / 2 : d;
    const size_t most = n + ATTENTION_ROWS - 1, whole = dg_round_up(n, P),
                 stride = (most > d ? most : d) + GAP, block = P * words + GAP,
                 key_room = whole / P * block, value_room = dg_round_up(most, P) / P * block;

    *h = (struct head){
        .held = held, .n = n, .d = d, .stride = stride, .words = words, .block = block};
    h->q = values(ATTENTION_ROWS * stride, fill, n + d);
    h->p = values(ATTENTION_ROWS * stride, ORDINARY, n + d + 1);
    h->keys = held_values(held, key_room, fill, n + d + 2);
    h->values = held_values(held, value_room, fill, n + d + 3);
    h->key_at = calloc(key_room / block, sizeof *h->key_at);
    h->value_at = calloc(value_room / block, sizeof *h->value_at);
    ck_assert(h->key_at && h->value_at);
    h->scores = new_floats(ATTENTION_ROWS * n);
    h->q_room = room_new(ATTENTION_ROWS * stride);
    h->p_room = room_new(ATTENTION_ROWS * stride);
    h->keys_room = room_new(key_room);
    h->values_room = room_new(value_room);
    h->s_room = room_new(ATTENTION_ROWS * (whole + P));
    h->y_room = room_new(ATTENTION_ROWS * (d + GAP));
    dg_kernels_scalar.scores[held](h->scores, n, h->q, stride, keys_at(h, h->keys), ATTENTION_ROWS,
                                   n, d, SCALE);
}

static void head_free(struct head *h)
{
    free(h->q);
    free(h->p);
    free(h->keys);
    free(h->values);
    free(h->scores);
    free(h->key_at);
    free(h->value_at);
    room_free(h->q_room);
    room_free(h->p_room);
    room_free(h->keys_room);
    room_free(h->values_room);
    room_free(h->s_room);
    room_free(h->y_room);
}

/* Floats of the keys that are read: the last key block ends in the middle of a row of lanes. */
static size_t key_floats(const struct head *h, size_t n)
{
    return (n - 1) / P * h->block + (h->words - 1) * P + (n - 1) % P + 1;
}

static size_t value_floats(const struct head *h, size_t n)
{
    return (n - 1) / P * h->block + ((n - 1) % P + 1) * h->words;
}

/* s: rows at least P apart from the next, so that writing past n rounded up shows. */
static void scores_at(const struct head *h, const struct dg_kernels *k, size_t n)
{
    float *keys = place(h->keys_room, h->keys, key_floats(h, n));
    const size_t whole = dg_round_up(n, P), stride = whole + P;

    for (size_t rows = 1; rows <= ATTENTION_ROWS; rows++) {
        const struct run run = {k, h->held == DG_BF16 ? "scores of bf16" : "scores", rows, n, h->d};
        const float *q = place(h->q_room, h->q, (rows - 1) * h->stride + h->d);
        float *s = take(h->s_room, (rows - 1) * stride + whole);

        k->scores[h->held](s, stride, q, h->stride, keys_at(h, keys), rows, n, h->d, SCALE);
        expect_untouched(&run, s - MARGIN, MARGIN);
        for (size_t r = 0; r < rows; r++) {
            expect_same(&run, s + r * stride, h->scores + r * h->n, n);
            if (r + 1 < rows)
                expect_untouched(&run, s + r * stride + whole, P);
        }
    }
}

static void scores_with(size_t d, enum dg_dtype held)
{
    struct head h;

    head_new(&h, held, LONGEST, d, d % 3 == 0 ? LARGE : d % 3 == 1 ? ORDINARY : TINY);
    for (enum dg_isa isa = dg_isa_next(DG_ISA_SCALAR); isa; isa = dg_isa_next(isa))
        for (size_t n = 1; n <= LONGEST; n += sanitized() ? 13 : 1)
            scores_at(&h, dg_kernels_for(isa), n);
    head_free(&h);
}

START_TEST(scores_equal_scalar)
{
    for (size_t i = 0; i < N_HEAD_SIZES; i += sanitized() ? 3 : 1)
        scores_with(head_sizes[i], DG_F32);
    for (size_t i = 0; i < N_HEAD_SIZES; i += 2)
        scores_with(head_sizes[i], DG_BF16);
}
END_TEST

/* Sums of row r over the first n values, for all r and n: sums[n][r][d]. */
static float *all_sums(const struct head *h)
{
    const size_t most = h->n + ATTENTION_ROWS - 1;
    float *sums = new_floats((most + 1) * ATTENTION_ROWS * h->d);

    for (size_t n = 1; n <= most; n++)
        for (size_t r = 0; r < ATTENTION_ROWS; r++)
            dg_kernels_scalar.mix[h->held](sums + (n * ATTENTION_ROWS + r) * h->d, h->d,
                                           h->p + r * h->stride, h->stride, values_at(h, h->values),
                                           1, n, h->d);
    return sums;
}

/* want: of row 0; that of each further row is want_stride floats on. */
static void mix_at(const struct head *h, const struct dg_kernels *k, size_t n, const float *want,
                   size_t want_stride)
{
    const size_t stride = h->d + GAP;

    for (size_t rows = 1; rows <= ATTENTION_ROWS; rows++) {
        const struct run run = {k, h->held == DG_BF16 ? "mix of bf16" : "mix", rows, n, h->d};
        const size_t seen = n + rows - 1;
        const float *p = place(h->p_room, h->p, (rows - 1) * h->stride + seen);
        float *v = place(h->values_room, h->values, value_floats(h, seen));
        float *y = take(h->y_room, (rows - 1) * stride + h->d);

        k->mix[h->held](y, stride, p, h->stride, values_at(h, v), rows, n, h->d);
        expect_matrix(&run, y, stride, want, want_stride, h->d);
    }
}

static void mix_with(size_t d, enum dg_dtype held)
{
    struct head h;
    float *sums;

    head_new(&h, held, LONGEST, d, d % 3 == 0 ? LARGE : d % 3 == 1 ? ORDINARY : TINY);
    sums = all_sums(&h);
    for (enum dg_isa isa = DG_ISA_SCALAR; isa; isa = dg_isa_next(isa))
        for (size_t n = 1; n <= LONGEST; n += sanitized() || isa == DG_ISA_SCALAR ? 13 : 1)
            mix_at(&h, dg_kernels_for(isa), n, sums + n * ATTENTION_ROWS * d,
                   (ATTENTION_ROWS + 1) * d); /* row r + 1 sees one value more than row r */
    free(sums);
    head_free(&h);
}

START_TEST(mix_equals_scalar)
{
    for (size_t i = 0; i < N_HEAD_SIZES; i += sanitized() ? 3 : 1)
        mix_with(head_sizes[i], DG_F32);
    for (size_t i = 1; i < N_HEAD_SIZES; i += 2)
        mix_with(head_sizes[i], DG_BF16);
}
END_TEST

/* A head of 124M with n keys. */
static void attention_at(size_t n, enum dg_dtype held)
{
    float want[ATTENTION_ROWS * 64];
    struct head h;

    head_new(&h, held, n, 64, ORDINARY);
    dg_kernels_scalar.mix[held](want, 64, h.p, h.stride, values_at(&h, h.values), ATTENTION_ROWS, n,
                                64);
    for (enum dg_isa isa = dg_isa_next(DG_ISA_SCALAR); isa; isa = dg_isa_next(isa)) {
        scores_at(&h, dg_kernels_for(isa), n);
        mix_at(&h, dg_kernels_for(isa), n, want, 64);
    }
    head_free(&h);
}

START_TEST(attention_at_real_shapes)
{
    static const size_t lengths[] = {1, 15, 16, 17, 1000, 1024};

    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        attention_at(lengths[i], DG_F32);
        attention_at(lengths[i], DG_BF16);
    }
}
END_TEST

/* ---- what surrounds the arrays ---- */

enum { ROWS = 5, N = 37, DEPTH = 21, APART = 19, ROOM = 6000 };

/* Memory filled with one value, into which arrays are laid, APART from each other. */
struct around {
    float p[ROOM], fill;
    size_t used;
    uint64_t seed;
};

static float *lay(struct around *a, size_t n)
{
    float *p = a->p + a->used;

    a->used += n + APART;
    ck_assert_uint_le(a->used, ROOM);
    for (size_t i = 0; i < n; i++)
        p[i] = random_float(&a->seed, -2.0f, 2.0f);
    return p;
}

/* Panels, or blocks of keys, of N; the lanes past the last are not read. */
static float *lay_panels(struct around *a)
{
    float *w = lay(a, panel_words(DG_F32, N, DEPTH)), *last = w + N / P * P * DEPTH;

    for (size_t k = 0; k < DEPTH; k++)
        for (size_t i = N % P; i < P; i++)
            last[k * P + i] = a->fill;
    return w;
}

static void run_all(const struct dg_kernels *k, struct around *a, float fill)
{
    float *keys, *values, *key_at[N / P + 1], *value_at[N / P + 1];

    *a = (struct around){.fill = fill, .used = APART, .seed = 5};
    for (size_t i = 0; i < ROOM; i++)
        a->p[i] = fill;
    k->exp(lay(a, N), lay(a, N), N);
    k->tanh(lay(a, N), lay(a, N), N);
    k->gelu(lay(a, N), lay(a, N), N);
    k->add(lay(a, N), lay(a, N), lay(a, N), N);
    k->layernorm(lay(a, N), lay(a, N), lay(a, N), lay(a, N), EPSILON, N);
    k->softmax(lay(a, N), N);
    k->matmul[DG_F32](lay(a, ROWS * N), N, lay(a, ROWS * DEPTH), DEPTH, lay_panels(a), lay(a, N),
                      ROWS, N, DEPTH);
    keys = lay_panels(a);
    values = lay(a, (N + ROWS) * DEPTH);
    for (size_t b = 0; b * P < N; b++) {
        key_at[b] = keys + b * P * DEPTH;
        value_at[b] = values + b * P * DEPTH;
    }
    k->scores[DG_F32](lay(a, ROWS * 3 * P), 3 * P, lay(a, ROWS * DEPTH), DEPTH,
                      (struct dg_blocks){key_at, 0}, ROWS, N, DEPTH, SCALE);
    k->mix[DG_F32](lay(a, ROWS * DEPTH), DEPTH, lay(a, ROWS * N), N,
                   (struct dg_blocks){value_at, 0}, ROWS, N - ROWS, DEPTH);
}

/* Two runs differ where they were filled differently, and nowhere else. */
static void surroundings_of(const struct dg_kernels *k)
{
    static const float fills[] = {0.0f, -0.0f, 1e30f, -INFINITY, NAN};
    static struct around a, b;
    const struct run run = {k, "of all kernels in other surroundings", ROWS, N, DEPTH};

    run_all(k, &a, 1.25f);
    for (size_t f = 0; f < sizeof fills / sizeof *fills; f++) {
        run_all(k, &b, fills[f]);
        for (size_t i = 0; i < ROOM; i++)
            if (!(a.p[i] == 1.25f && same(b.p[i], fills[f])))
                expect_same(&run, b.p + i, a.p + i, 1);
    }
}

START_TEST(surroundings_do_not_count)
{
    each_table(surroundings_of);
}
END_TEST

/* ---- against double precision ---- */

static const double UNIT = 0x1p-24; /* the largest relative error of one rounding */

/* |sum of depth terms, rounded at each - exact sum| <= depth * UNIT * sum of |terms|, about. */
static double sum_tolerance(double sum_of_magnitudes, size_t depth)
{
    return (double)(depth + 2) * UNIT * sum_of_magnitudes;
}

static void matmul_near(const struct dg_kernels *k)
{
    const struct run run = {k, "matmul", 14, 53, 300};
    struct product m;
    float *y;

    product_new(&m, DG_F32, run.rows, run.n, run.depth, ORDINARY);
    y = new_floats(m.rows * m.cols);
    k->matmul[DG_F32](y, m.cols, m.x, m.x_stride, m.w, m.bias, m.rows, m.cols, m.depth);
    for (size_t r = 0; r < m.rows; r++) {
        for (size_t c = 0; c < m.cols; c++) {
            double sum = (double)m.bias[c], magnitude = fabs(sum);

            for (size_t i = 0; i < m.depth; i++) {
                const double term = (double)m.x[r * m.x_stride + i] *
                                    (double)m.w[c / P * P * m.depth + i * P + c % P];

                sum += term;
                magnitude += fabs(term);
            }
            expect_near(&run, y[r * m.cols + c], sum, sum_tolerance(magnitude, m.depth));
        }
    }
    free(y);
    product_free(&m);
}

static void scores_near(const struct dg_kernels *k, const struct head *h)
{
    const struct run run = {k, "scores", ATTENTION_ROWS, h->n, h->d};
    const size_t stride = dg_round_up(h->n, P);
    float *s = new_floats(ATTENTION_ROWS * stride);

    k->scores[h->held](s, stride, h->q, h->stride, keys_at(h, h->keys), ATTENTION_ROWS, h->n, h->d,
                       SCALE);
    for (size_t r = 0; r < ATTENTION_ROWS; r++) {
        for (size_t j = 0; j < h->n; j++) {
            double sum = 0.0, magnitude = 0.0;

            for (size_t i = 0; i < h->d; i++) {
                const double term = (double)h->q[r * h->stride + i] *
                                    (double)h->keys[j / P * h->block + i * P + j % P];

                sum += term;
                magnitude += fabs(term);
            }
            expect_near(&run, s[r * stride + j], (double)SCALE * sum,
                        (double)SCALE * sum_tolerance(magnitude, h->d));
        }
    }
    free(s);
}

static void mix_near(const struct dg_kernels *k, const struct head *h)
{
    const struct run run = {k, "mix", ATTENTION_ROWS, h->n, h->d};
    float *y = new_floats(ATTENTION_ROWS * h->d);

    k->mix[h->held](y, h->d, h->p, h->stride, values_at(h, h->values), ATTENTION_ROWS, h->n, h->d);
    for (size_t r = 0; r < ATTENTION_ROWS; r++) {
        for (size_t i = 0; i < h->d; i++) {
            double sum = 0.0, magnitude = 0.0;

            for (size_t j = 0; j < h->n + r; j++) {
                const double term = (double)h->p[r * h->stride + j] *
                                    (double)h->values[j / P * h->block + j % P * h->d + i];

                sum += term;
                magnitude += fabs(term);
            }
            expect_near(&run, y[r * h->d + i], sum, sum_tolerance(magnitude, h->n + r));
        }
    }
    free(y);
}

static void attention_near(const struct dg_kernels *k)
{
    struct head h;

    head_new(&h, DG_F32, 77, 40, ORDINARY);
    scores_near(k, &h);
    mix_near(k, &h);
    head_free(&h);
}

START_TEST(products_near_exact)
{
    each_table(matmul_near);
    each_table(attention_near);
}
END_TEST

static void layernorm_near(const struct dg_kernels *k)
{
    enum { C = 770 };
    const struct run run = {k, "layernorm", 1, C, 1};
    float *x = values(C, ORDINARY, 1), *gain = values(C, ORDINARY, 2),
          *bias = values(C, ORDINARY, 3), y[C];
    double mean = 0.0, variance = 0.0;

    for (size_t i = 0; i < C; i++)
        mean += (double)(x[i] += 1.5f) / C;
    for (size_t i = 0; i < C; i++)
        variance += ((double)x[i] - mean) * ((double)x[i] - mean) / C;
    k->layernorm(y, x, gain, bias, EPSILON, C);
    for (size_t i = 0; i < C; i++)
        expect_near(&run, y[i],
                    ((double)x[i] - mean) / sqrt(variance + 1e-5) * (double)gain[i] +
                        (double)bias[i],
                    2e-6);
    k->layernorm(y, x, gain, bias, 0.25f, C);
    for (size_t i = 0; i < C; i++)
        expect_near(&run, y[i],
                    ((double)x[i] - mean) / sqrt(variance + 0.25) * (double)gain[i] +
                        (double)bias[i],
                    2e-6);
    for (size_t i = 0; i < C; i++)
        x[i] = -3.0f;
    k->layernorm(y, x, gain, bias, EPSILON, C);
    expect_same(&run, y, bias, C); /* of a constant row nothing is left */
    free(x);
    free(gain);
    free(bias);
}

START_TEST(layernorm_near_exact)
{
    each_table(layernorm_near);
}
END_TEST

static void softmax_near(const struct dg_kernels *k)
{
    enum { MOST = 300 };
    float x[MOST], y[MOST];

    for (size_t n = 1; n <= MOST; n += 23) {
        for (unsigned kind = 0; kind < N_SOFTMAX_KINDS; kind++) {
            const struct run run = {k, "softmax", 1, n, kind};
            double max = -INFINITY, sum = 0.0, sum_of_y = 0.0;

            fill_scores(x, n, kind, n);
            memcpy(y, x, sizeof y);
            k->softmax(y, n);
            for (size_t i = 0; i < n; i++)
                max = fmax(max, (double)x[i]);
            for (size_t i = 0; i < n; i++)
                sum += exp((double)x[i] - max);
            for (size_t i = 0; i < n; i++) {
                /* x - max is rounded, which exp makes larger by the size of x */
                const double want = exp((double)x[i] - max) / sum;

                expect_near(&run, y[i], want, 1e-5 * want + 1e-37);
                sum_of_y += (double)y[i];
            }
            expect_near(&run, (float)sum_of_y, 1.0, 2e-6);
        }
    }
}

START_TEST(softmax_near_exact)
{
    each_table(softmax_near);
}
END_TEST

static void gelu_near(const struct dg_kernels *k)
{
    enum { MOST = 4000 };
    const struct run run = {k, "gelu", 1, MOST, 1};
    float x[MOST], y[MOST];
    uint64_t seed = 1;

    for (size_t i = 0; i < MOST; i++)
        x[i] = i % 2 ? random_float(&seed, -12.0f, 12.0f) : any_float(&seed, FLT_MAX);
    k->gelu(y, x, MOST);
    for (size_t i = 0; i < MOST; i++) {
        const double v = (double)x[i], inner = sqrt(2.0 / acos(-1.0)) * (v + 0.044715 * v * v * v);

        expect_near(&run, y[i], v / 2.0 * (1.0 + tanh(inner)), 3e-7 * fabs(v) + 1e-44);
    }
    k->gelu_erf(y, x, MOST);
    for (size_t i = 0; i < MOST; i++) {
        const double v = (double)x[i];

        expect_near(&run, y[i], v / 2.0 * (1.0 + erf(v / sqrt(2.0))), 3e-7 * fabs(v) + 1e-44);
    }
    k->relu(y, x, MOST);
    for (size_t i = 0; i < MOST; i++)
        ck_assert(y[i] == (x[i] > 0.0f ? x[i] : 0.0f));
    k->erf(y, x, MOST);
    for (size_t i = 0; i < MOST; i++)
        ck_assert(ulp_error(y[i], erf((double)x[i])) <= 1.038);
}

static void add_near(const struct dg_kernels *k)
{
    enum { MOST = 999 };
    const struct run run = {k, "add", 1, MOST, 1};
    float *a = values(MOST, ORDINARY, 1), *b = values(MOST, TINY, 2), y[MOST];

    k->add(y, a, b, MOST);
    for (size_t i = 0; i < MOST; i++)
        expect_near(&run, y[i], (double)a[i] + (double)b[i], UNIT * 4.0);
    free(a);
    free(b);
}

START_TEST(gelu_and_add_near_exact)
{
    each_table(gelu_near);
    each_table(add_near);
}
END_TEST

/* ---- exp and tanh ---- */

enum { BLOCK = 1000 };

struct function {
    const char *name;
    map *f;
    double (*exact)(double);
    double limit; /* ulp */
};

/* The floats with bit patterns first, first + step, ... last. */
static void sweep(const struct dg_kernels *k, const struct function *fun, uint32_t first,
                  uint32_t last, uint32_t step)
{
    float x[BLOCK], y[BLOCK];

    for (uint64_t at = first; at <= last;) {
        size_t n = 0;

        for (; n < BLOCK && at <= last; at += step)
            x[n++] = float_of_bits((uint32_t)at);
        fun->f(y, x, n);
        for (size_t i = 0; i < n; i++)
            if (!(ulp_error(y[i], fun->exact((double)x[i])) <= fun->limit))
                ck_abort_msg("%s %s(%a) = %a: %.3f ulp", dg_isa_name(k->isa), fun->name,
                             (double)x[i], (double)y[i], ulp_error(y[i], fun->exact((double)x[i])));
    }
}

/* Some floats of 0 ... most and of 0 ... -most_negative. */
static void sweep_all(const struct dg_kernels *k, const struct function *fun, float most,
                      float most_negative)
{
    const uint32_t step = sanitized() ? 400009 : 4001;

    sweep(k, fun, 0, bits_of_float(most), step);
    sweep(k, fun, 1u << 31, bits_of_float(most_negative), step);
}

/* Every float within 2000 of x, on both sides, but at most `last`. */
static void sweep_near(const struct dg_kernels *k, const struct function *fun, float x, float last)
{
    const uint32_t at = bits_of_float(x), sign = at & 1u << 31, reach = sanitized() ? 100 : 2000;
    const uint32_t first = (at & ~sign) < reach ? sign : at - reach;

    sweep(k, fun, first, at + reach < bits_of_float(last) ? at + reach : bits_of_float(last), 1);
}

static void exp_of_table(const struct dg_kernels *k)
{
    const struct function e = {"exp", k->exp, exp, 1.01};

    sweep_all(k, &e, 88.0f, POLY_EXP_MIN);
    sweep_near(k, &e, 0.0f, 88.0f);
    sweep_near(k, &e, -0.0f, POLY_EXP_MIN);
    sweep_near(k, &e, 88.0f, 88.0f);
    sweep_near(k, &e, POLY_EXP_MIN, POLY_EXP_MIN);
    for (int n = -126; n < 126; n += 7) { /* where round(x / ln 2) goes from n to n + 1 */
        const float x = ((float)n + 0.5f) * 0.69314718f;

        sweep_near(k, &e, x, x < 0.0f ? POLY_EXP_MIN : 88.0f);
    }
}

START_TEST(exp_within_its_error)
{
    each_table(exp_of_table);
}
END_TEST

static void tanh_of_table(const struct dg_kernels *k)
{
    static const float branches[] = {0.0f, POLY_TANH_SMALL, POLY_TANH_MAX, FLT_MAX, FLT_MIN};
    const struct function t = {"tanh", k->tanh, tanh, 1.07};

    sweep_all(k, &t, FLT_MAX, -FLT_MAX);
    for (size_t i = 0; i < sizeof branches / sizeof *branches; i++) {
        sweep_near(k, &t, branches[i], FLT_MAX);
        sweep_near(k, &t, -branches[i], -FLT_MAX);
    }
}

START_TEST(tanh_within_its_error)
{
    each_table(tanh_of_table);
}
END_TEST

static float at(map *f, float x)
{
    f(&x, &x, 1);
    return x;
}

static void exact_of_table(const struct dg_kernels *k)
{
    const struct run run = {k, "exp", 1, 1, 1}, of_tanh = {k, "tanh", 1, 1, 1};
    static const float exps[][2] = {{0.0f, 1.0f},       {-0.0f, 1.0f},  {FLT_MIN / 4, 1.0f},
                                    {-87.33655f, 0.0f}, {-88.0f, 0.0f}, {-103.0f, 0.0f},
                                    {-104.0f, 0.0f},    {-1e30f, 0.0f}, {-FLT_MAX, 0.0f},
                                    {-INFINITY, 0.0f}};
    static const float tanhs[][2] = {
        {0.0f, 0.0f},    {-0.0f, -0.0f}, {1e-40f, 1e-40f},  {-1e-40f, -1e-40f}, {9.02f, 1.0f},
        {-9.02f, -1.0f}, {50.0f, 1.0f},  {-FLT_MAX, -1.0f}, {INFINITY, 1.0f},   {-INFINITY, -1.0f}};

    for (size_t i = 0; i < sizeof exps / sizeof *exps; i++)
        expect_same(&run, &(float){at(k->exp, exps[i][0])}, &exps[i][1], 1);
    for (size_t i = 0; i < sizeof tanhs / sizeof *tanhs; i++)
        expect_same(&of_tanh, &(float){at(k->tanh, tanhs[i][0])}, &tanhs[i][1], 1);
    ck_assert_float_gt(at(k->exp, POLY_EXP_MIN), 0.0f);
    for (float x = 1e-6f; x < 20.0f; x *= 1.03f)
        expect_same(&of_tanh, &(float){at(k->tanh, -x)}, &(float){-at(k->tanh, x)}, 1);
}

/* A NaN in one lane comes out there, and leaves the others as they are. */
static void nans_of(const struct run *run, map *f)
{
    float x[2 * P + 3], y[2 * P + 3], want[2 * P + 3];
    enum { M = 2 * P + 3 };

    for (size_t i = 0; i < M; i++)
        x[i] = 0.3f * (float)i - 4.0f;
    f(want, x, M);
    for (size_t i = 0; i < M; i++) {
        const float kept[2] = {x[i], want[i]};

        x[i] = i % 2 ? NAN : -NAN;
        want[i] = NAN;
        f(y, x, M);
        expect_same(run, y, want, M);
        x[i] = kept[0];
        want[i] = kept[1];
    }
}

static void nans_of_table(const struct dg_kernels *k)
{
    nans_of(&(struct run){k, "exp of a NaN", 1, 1, 1}, k->exp);
    nans_of(&(struct run){k, "tanh of a NaN", 1, 1, 1}, k->tanh);
    nans_of(&(struct run){k, "gelu of a NaN", 1, 1, 1}, k->gelu);
    nans_of(&(struct run){k, "erf of a NaN", 1, 1, 1}, k->erf);
    nans_of(&(struct run){k, "gelu_erf of a NaN", 1, 1, 1}, k->gelu_erf);
    nans_of(&(struct run){k, "relu of a NaN", 1, 1, 1}, k->relu);
}

START_TEST(special_arguments)
{
    each_table(exact_of_table);
    each_table(nans_of_table);
}
END_TEST

/* ---- the tables ---- */

START_TEST(table_is_that_of_its_isa)
{
    for (enum dg_isa isa = DG_ISA_SCALAR; isa; isa = dg_isa_next(isa))
        ck_assert_int_eq(dg_kernels_for(isa)->isa, isa);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {table_is_that_of_its_isa,
                                  maps_equal_scalar,
                                  add_equals_scalar,
                                  layernorm_equals_scalar,
                                  softmax_equals_scalar,
                                  matmul_equals_scalar,
                                  matmul_of_bf16_equals_scalar,
                                  bf16_is_its_floats,
                                  int8_equals_scalar,
                                  int8_is_its_definition,
                                  quantize_equals_scalar,
                                  quantize_is_its_definition,
                                  quantize_special,
                                  matmul_at_real_shapes,
                                  matmul_knows_no_tiles,
                                  matmul_carries_its_sums,
                                  scores_equal_scalar,
                                  mix_equals_scalar,
                                  attention_at_real_shapes,
                                  surroundings_do_not_count,
                                  products_near_exact,
                                  layernorm_near_exact,
                                  softmax_near_exact,
                                  gelu_and_add_near_exact,
                                  exp_within_its_error,
                                  tanh_within_its_error,
                                  special_arguments,
                                  NULL};

    return run_suite("kernels", tests);
}
