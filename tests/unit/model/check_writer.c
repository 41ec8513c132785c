/* src/model/writer.c: how elements are rounded, every 16-bit one and its neighbours; and tensors that are written block
 * by block, whichever way the source and the file have their lines. */
#include "../../support/support.h"
#include "../../../src/model/format.h"
#include "../../../src/model/writer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- rounding ---- */

static float float_of(uint32_t bits)
{
    float f;

    memcpy(&f, &bits, sizeof f);
    return f;
}

/* A positive 16-bit number, by its definition: fraction bits after the point, an exponent of that bias. */
static double value_of(uint32_t half, int fraction, int bias)
{
    const uint32_t exponent = half >> fraction, rest = half & ((1u << fraction) - 1);

    return exponent == 0 ? ldexp(rest, 1 - bias - fraction)
                         : ldexp(rest + (1u << fraction), (int)exponent - bias - fraction);
}

static uint16_t narrow(enum dg_dtype dtype, float f, bool fits)
{
    uint16_t half;

    ck_assert_int_eq(dg_narrow(dtype, &f, 1), fits);
    memcpy(&half, &f, sizeof half);
    return half;
}

/* Itself; half way to the next one, which ties to the even of the two; and just beside that; of both signs. */
static void expect_nearest(enum dg_dtype dtype, int fraction, int bias)
{
    const uint32_t infinity = ((1u << (15 - fraction)) - 1) << fraction;

    for (uint32_t half = 0; half < infinity; half++) {
        const float at = (float)value_of(half, fraction, bias);
        const float middle =
            (float)((value_of(half, fraction, bias) + value_of(half + 1, fraction, bias)) / 2);
        const uint32_t even = half + (half & 1), next = half + 1;
        const bool last =
            next == infinity; /* the next is too large for F16, and infinite in BF16 */

        if (middle - at <= 0 || isinf(middle))
            continue; /* no float lies between */
        for (uint32_t sign = 0; sign < 2; sign++) {
            const float s = sign ? -1.0f : 1.0f;
            const bool fits = !last || dtype == DG_BF16;

            ck_assert_uint_eq(narrow(dtype, s * at, true), half | sign << 15);
            ck_assert_uint_eq(narrow(dtype, s * nextafterf(middle, 0), true), half | sign << 15);
            ck_assert_uint_eq(narrow(dtype, s * middle, fits || even == half), even | sign << 15);
            ck_assert_uint_eq(narrow(dtype, s * nextafterf(middle, INFINITY), fits),
                              next | sign << 15);
        }
    }
}

START_TEST(nearest)
{
    expect_nearest(DG_BF16, 7, 127);
    expect_nearest(DG_F16, 10, 15);
}
END_TEST

/* Infinities stay, and so does each NaN that the dtype has; of the others none becomes an infinity. */
START_TEST(not_finite)
{
    for (uint32_t sign = 0; sign < 2; sign++) {
        ck_assert_uint_eq(narrow(DG_BF16, float_of(0x7f800000 | sign << 31), true),
                          0x7f80 | sign << 15);
        ck_assert_uint_eq(narrow(DG_F16, float_of(0x7f800000 | sign << 31), true),
                          0x7c00 | sign << 15);
        ck_assert_uint_eq(narrow(DG_F16, float_of(0x7f7fffff | sign << 31), false),
                          0x7c00 | sign << 15);
        for (uint32_t rest = 1; rest < 0x800000; rest = rest * 3 / 2 + 1) {
            const uint32_t bits = 0x7f800000 | rest | sign << 31;
            float f[2] = {float_of(bits), float_of(bits)};
            uint16_t half[2];

            ck_assert(dg_narrow(DG_BF16, &f[0], 1) && dg_narrow(DG_F16, &f[1], 1));
            memcpy(&half[0], &f[0], 2);
            memcpy(&half[1], &f[1], 2);
            ck_assert((half[0] & 0x7fff) > 0x7f80 && (half[1] & 0x7fff) > 0x7c00);
            ck_assert(half[0] >> 15 == sign && half[1] >> 15 == sign);
            ck_assert((rest & 0xffff) || half[0] == bits >> 16);
            ck_assert((rest & 0x1fff) || half[1] == (0x7c00 | rest >> 13 | sign << 15));
        }
    }
}
END_TEST

/* ---- blocks ---- */

enum { C = 36, V = 37, L = 1 };

/* A model of one tensor's weights, transposed or not, in memory. */
struct one {
    struct dg_weights weights;
    struct dg_file file;
    struct dg_source sources[DG_N_WEIGHTS_OUTSIDE + L * (DG_N_WEIGHTS - DG_N_WEIGHTS_OUTSIDE)];
    uint32_t rows, cols, parts;
    float *elements; /* [parts][rows][cols], or each part as the source has it */
};

static float element(uint32_t part, uint32_t row, uint32_t col)
{
    return (float)(part * 1000000 + row * 1000 + col);
}

static void start(struct one *o, enum dg_weight first, uint32_t parts, bool transposed)
{
    struct dg_weight_shape s;

    *o = (struct one){.parts = parts, .weights.name = "one"};
    o->weights.sizes = (struct dg_sizes){8, V, L, 2, C};
    o->weights.sources = o->sources;
    s = dg_weight_shape(&o->weights.sizes, first);
    o->rows = s.rows;
    o->cols = s.cols;
    o->elements = malloc(sizeof *o->elements * parts * s.rows * s.cols);
    ck_assert_ptr_nonnull(o->elements);
    for (uint32_t p = 0; p < parts; p++)
        for (uint32_t r = 0; r < s.rows; r++)
            for (uint32_t c = 0; c < s.cols; c++)
                o->elements[transposed ? (c * parts + p) * s.rows + r
                                       : (p * s.rows + r) * s.cols + c] = element(p, r, c);
    o->file = dg_file_of_memory(o->elements, sizeof *o->elements * parts * s.rows * s.cols);
    for (uint32_t p = 0; p < parts; p++)
        o->sources[dg_weight_place(first + 2 * p, 0)] = (struct dg_source){
            .file = &o->file,
            .offset = sizeof(float) * p * s.rows * (transposed ? 1 : s.cols),
            .stride = sizeof(float) * (transposed ? parts * s.rows : s.cols),
            .dtype = DG_F32,
            .transposed = transposed,
        };
}

static bool go_on(void *arg, uint64_t elements)
{
    *(uint64_t *)arg += elements;
    return true;
}

static void expect_blocks(enum dg_weight first, uint32_t parts, bool from, bool to)
{
    static const size_t blocks[] = {32, 100, 1000, 1152, 2500, 1 << 20};
    struct one o;

    start(&o, first, parts, from);
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        const struct dg_written as = {first, parts, 0, to, DG_F32};
        uint64_t told = 0;
        const struct dg_conversion c = {.weights = &o.weights, .tell = go_on, .arg = &told};
        char *text;
        size_t n;
        FILE *file = open_memstream(&text, &n);

        ck_assert_ptr_nonnull(file);
        ck_assert_int_eq(dg_write_tensor_by(&c, file, &as, blocks[i], NULL), DG_OK);
        fclose(file);
        ck_assert_uint_eq(n, o.file.bytes);
        ck_assert_uint_eq(told, (uint64_t)parts * o.rows * o.cols);
        for (uint32_t p = 0; p < parts; p++)
            for (uint32_t r = 0; r < o.rows; r++)
                for (uint32_t k = 0; k < o.cols; k++) {
                    float got;

                    memcpy(&got,
                           text + sizeof got * (to ? (k * parts + p) * o.rows + r
                                                   : (p * o.rows + r) * o.cols + k),
                           sizeof got);
                    ck_assert(got <= element(p, r, k) && got >= element(p, r, k));
                }
        free(text);
    }
    free(o.elements);
}

START_TEST(blocks)
{
    for (int from = 0; from < 2; from++) {
        for (int to = 0; to < 2; to++) {
            expect_blocks(DG_Q_WEIGHT, 3, from, to);
            expect_blocks(DG_PROJ_WEIGHT, 1, from, to);
            expect_blocks(DG_FC_WEIGHT, 1, from, to);
            expect_blocks(DG_FCPROJ_WEIGHT, 1, from, to);
        }
    }
    expect_blocks(DG_WTE, 1, false, false);
    expect_blocks(DG_Q_BIAS, 3, false, false);
}
END_TEST

static bool stop(void *arg, uint64_t elements)
{
    (void)elements;
    return --*(int *)arg > 0;
}

/* Ended by tell(), by a file that takes no more, and by a source that is too short. */
START_TEST(ended)
{
    const struct dg_written as = {DG_FC_WEIGHT, 1, 0, false, DG_F32};
    struct one o;
    struct dg_error err;
    uint64_t told = 0;
    int left = 2;
    struct dg_conversion c = {.tell = stop, .arg = &left};
    FILE *file = tmpfile(), *full = fopen("/dev/full", "w");

    start(&o, DG_FC_WEIGHT, 1, false);
    c.weights = &o.weights;
    ck_assert(file && full);
    ck_assert_int_eq(dg_write_tensor_by(&c, file, &as, 36 * 32, &err), DG_ERR_CANCELLED);
    ck_assert_int_eq(left, 0);
    c.tell = go_on;
    c.arg = &told;
    setvbuf(full, NULL, _IONBF, 0);
    ck_assert_int_eq(dg_write_tensor_by(&c, full, &as, 36 * 32, &err), DG_ERR_CANCELLED);
    o.file.bytes -= 4;
    ck_assert_int_eq(dg_write_tensor_by(&c, file, &as, 36 * 32, &err), DG_ERR_IO);
    ck_assert_msg(strncmp(err.text, "one: cannot read: ", 18) == 0, "%s", err.text);
    fclose(file);
    fclose(full);
    free(o.elements);
}
END_TEST

/* What is too large for F16 is refused by name. */
START_TEST(too_large)
{
    const struct dg_written as = {DG_PROJ_WEIGHT, 1, 0, false, DG_F16};
    struct one o;
    struct dg_error err;
    uint64_t told = 0;
    struct dg_conversion c = {.tell = go_on, .arg = &told};
    FILE *file = tmpfile();

    start(&o, DG_PROJ_WEIGHT, 1, false);
    c.weights = &o.weights;
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(dg_write_tensor(&c, file, &as, &err), DG_OK);
    o.elements[100] = 65520;
    ck_assert_int_eq(dg_write_tensor(&c, file, &as, &err), DG_ERR_MODEL);
    ck_assert_str_eq(
        err.text,
        "one: layer 0: proj.weight: got a number of 65520 or more, expected what float16 holds");
    fclose(file);
    free(o.elements);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {nearest, not_finite, blocks, ended, too_large, NULL};

    return run_suite("writer", tests);
}
