/* src/ops/source.c: what is read of a file, and how each dtype is widened. */
#include "../../support/support.h"
#include "../../../src/ops/source.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint32_t bits_of(float f)
{
    uint32_t bits;

    memcpy(&bits, &f, sizeof bits);
    return bits;
}

/* What a half means: its sign, 5 bits of exponent and 10 of a fraction. */
static double half_value(unsigned half)
{
    const int exponent = (int)(half >> 10 & 31), fraction = (int)(half & 1023);
    const double size = exponent == 0    ? ldexp(fraction, -24)
                        : exponent == 31 ? INFINITY
                                         : ldexp(1024 + fraction, exponent - 25);

    return half & 0x8000 ? -size : size;
}

START_TEST(every_half)
{
    static uint16_t halves[1 << 16];
    static float wide[1 << 16];
    const struct dg_file file = dg_file_of_memory(halves, sizeof halves);
    struct dg_source s = dg_source_rows(&file, 0, DG_F16, 1 << 16);

    for (unsigned i = 0; i < 1 << 16; i++)
        halves[i] = (uint16_t)i;
    ck_assert_int_eq(dg_source_read(&s, 0, 1, 1 << 16, wide), 0);
    for (unsigned i = 0; i < 1 << 16; i++) {
        if ((i & 0x7c00) == 0x7c00 && (i & 1023)) /* a NaN keeps its sign and its fraction */
            ck_assert_uint_eq(bits_of(wide[i]), (i & 0x8000) << 16 | 0x7f800000 | (i & 1023) << 13);
        else
            ck_assert_uint_eq(bits_of(wide[i]), bits_of((float)half_value(i)));
    }
    s = dg_source_rows(&file, 0, DG_BF16, 1 << 16);
    ck_assert_int_eq(dg_source_read(&s, 0, 1, 1 << 16, wide), 0);
    for (unsigned i = 0; i < 1 << 16; i++)
        ck_assert_uint_eq(bits_of(wide[i]), i << 16);
}
END_TEST

/* Two rows of two groups: d * q, rounded once. */
START_TEST(groups)
{
    enum { ROWS = 2, COLS = 64 };
    static const uint16_t scales[4] = {0x2e66, 0x0001, 0xbc00,
                                       0x7bff}; /* 0.1, the least, -1, the most */
    unsigned char raw[4 * DG_Q8_0_BYTES] = {0};
    float wide[ROWS * COLS];
    const struct dg_file file = dg_file_of_memory(raw, sizeof raw);
    const struct dg_source s = dg_source_rows(&file, 0, DG_Q8_0, COLS);

    for (int g = 0; g < 4; g++) {
        memcpy(raw + g * DG_Q8_0_BYTES, &scales[g], 2);
        for (int i = 0; i < DG_Q8_0_GROUP; i++)
            raw[g * DG_Q8_0_BYTES + 2 + i] = (unsigned char)(i * 8 + g - 128);
    }
    ck_assert_uint_eq(s.stride, 2 * DG_Q8_0_BYTES);
    ck_assert_int_eq(dg_source_read(&s, 0, ROWS, COLS, wide), 0);
    for (int g = 0; g < 4; g++)
        for (int i = 0; i < DG_Q8_0_GROUP; i++)
            ck_assert_uint_eq(bits_of(wide[g * DG_Q8_0_GROUP + i]),
                              bits_of((float)(half_value(scales[g]) * (i * 8 + g - 128))));
    ck_assert_int_eq(dg_source_read(&s, 1, 1, COLS, wide), 0);
    ck_assert(wide[0] == 126.0f);                              /* -1 * -126: the second row */
    ck_assert_int_ne(dg_source_read(&s, 1, 2, COLS, wide), 0); /* the file ends */
}
END_TEST

START_TEST(lines_with_gaps)
{
    static const float file_of[] = {1, 2, 3, 90, 4, 5, 6, 90, 7, 8, 9};
    const struct dg_file file = dg_file_of_memory(file_of, sizeof file_of);
    const struct dg_source s = {.file = &file, .stride = 4 * sizeof(float), .dtype = DG_F32};
    float rows[9];

    ck_assert_int_eq(dg_source_read(&s, 0, 3, 3, rows), 0);
    for (int i = 0; i < 9; i++)
        ck_assert(rows[i] == (float)(i + 1));
    ck_assert_int_eq(dg_source_read(&s, 1, 1, 3, rows), 0);
    ck_assert(rows[0] == 4.0f);
}
END_TEST

/* Any rows, of more columns than are read at once, from any column of a group on. */
START_TEST(panels)
{
    enum { ROWS = 37, COLS = 150, PANELS = 48 };
    static float file_of[PANELS * COLS], rows[ROWS * COLS];
    const struct dg_file file = dg_file_of_memory(file_of, sizeof file_of);
    const struct dg_source s = {
        .file = &file, .stride = COLS * DG_LANES * sizeof(float), .dtype = DG_F32, .panels = true};

    for (int i = 0; i < PANELS * COLS; i++) { /* 1000 * row + column */
        const int panel = i / (COLS * DG_LANES), c = i % (COLS * DG_LANES) / DG_LANES;

        file_of[i] = (float)(1000 * (panel * DG_LANES + i % DG_LANES) + c);
    }
    for (size_t first = 0; first < ROWS; first++) {
        for (size_t n = 1; n <= ROWS - first; n++) {
            const size_t from = first % 3 * 32, length = COLS - from - n % 2;
            const struct dg_source behind = dg_source_behind(s, from);

            ck_assert_int_eq(dg_source_read(&behind, first, n, length, rows), 0);
            for (size_t i = 0; i < n * length; i++)
                quick_assert_msg(rows[i] ==
                                     (float)(1000 * (first + i / length) + from + i % length),
                                 "row %zu of %zu, place %zu", first, n, i);
        }
    }
    ck_assert_int_ne(dg_source_read(&s, 40, 16, COLS, file_of), 0); /* the file ends */
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {every_half, groups, lines_with_gaps, panels, NULL};

    return run_suite("source", tests);
}
