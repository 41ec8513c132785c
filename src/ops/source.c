/* Elements are read with as few calls as their place allows: lines that lie one after the other with one, lines
 * with gaps with one for each. What is read is widened to float on the way: narrow elements are read into the
 * upper part of the buffer and widened from the front, so that none is overwritten before it is read. */
#include "source.h"
#include "pack.h"
#include "../base/checked.h"

#include <assert.h>
#include <string.h>

static float float_of(uint32_t bits)
{
    float f;

    memcpy(&f, &bits, sizeof f);
    return f;
}

/* The exponent is moved by a multiplication, which normalizes subnormals, too; of infinities and NaNs it is
 * all ones. */
static float float_of_half(uint16_t half)
{
    const uint32_t magnitude = (uint32_t)(half & 0x7fff) << 13, sign = (uint32_t)(half & 0x8000)
                                                                       << 16;
    uint32_t bits;
    float f = float_of(magnitude) * 0x1p112f;

    memcpy(&bits, &f, sizeof bits);
    if ((half & 0x7c00) == 0x7c00)
        bits = magnitude | 0x7f800000;
    return float_of(bits | sign);
}

static uint16_t half_at(const char *raw)
{
    uint16_t half;

    memcpy(&half, raw, sizeof half);
    return half;
}

float dg_q8_0_scale(const char *group)
{
    return float_of_half(half_at(group));
}

static void widen_q8_0(const char *raw, size_t n, float *buf)
{
    for (size_t i = 0; i < n; i += DG_Q8_0_GROUP, raw += DG_Q8_0_BYTES) {
        const float scale = dg_q8_0_scale(raw);
        int8_t group[DG_Q8_0_GROUP];

        memcpy(group, raw + 2, sizeof group);
        for (size_t k = 0; k < DG_Q8_0_GROUP; k++)
            buf[i + k] = scale * (float)group[k];
    }
}

static void widen(enum dg_dtype from, const char *raw, size_t n, float *buf)
{
    if (from == DG_Q8_0)
        widen_q8_0(raw, n, buf);
    else if (from == DG_F16)
        for (size_t i = 0; i < n; i++)
            buf[i] = float_of_half(half_at(raw + 2 * i));
    else if (from == DG_BF16)
        for (size_t i = 0; i < n; i++)
            buf[i] = float_of((uint32_t)half_at(raw + 2 * i) << 16);
}

/* A run of elements that lie one after the other, to buf[0 ... n - 1]. */
static int read_run(const struct dg_source *s, uint64_t offset, size_t n, float *buf)
{
    const size_t bytes = (size_t)dg_dtype_run(s->dtype, n);
    char *raw = (char *)(buf + n) - bytes;
    const int failed = dg_file_read(s->file, offset, raw, bytes);

    assert(s->dtype != DG_I32 && (s->dtype != DG_Q8_0 || n % DG_Q8_0_GROUP == 0));
    if (!failed)
        widen(s->dtype, raw, n, buf);
    return failed;
}

/* Where in a panel the element of a lane and a column is, in elements; src/ops/pack.c packs them so. */
static size_t in_panel(enum dg_dtype dtype, size_t lane, size_t col)
{
    return dtype == DG_BF16 ? (col / 2 * DG_LANES + lane) * 2 + col % 2 : col * DG_LANES + lane;
}

/* Rows row ... row + n - 1, all of one panel of int8. */
static int read_lanes_i8(const struct dg_source *s, size_t row, size_t n, size_t length, float *buf)
{
    const uint64_t panel = s->offset + row / DG_LANES * s->stride;
    struct dg_panel_group group;

    for (size_t c = 0; c < length; c += DG_GROUP) {
        const int failed =
            dg_file_read(s->file, panel + c / DG_GROUP * sizeof group, &group, sizeof group);

        if (failed)
            return failed;
        for (size_t i = 0; i < n; i++)
            dg_unpack_group(&group, row % DG_LANES + i, buf + i * length + c,
                            length - c < DG_GROUP ? length - c : DG_GROUP);
    }
    return 0;
}

/* Rows row ... row + n - 1, all of one panel, some columns at a time. */
static int read_lanes(const struct dg_source *s, size_t row, size_t n, size_t length, float *buf)
{
    enum { SOME = 64 };
    const uint64_t panel = s->offset + row / DG_LANES * s->stride;
    const size_t whole = s->dtype == DG_BF16 ? dg_round_up(length, 2) : length;
    float elements[SOME * DG_LANES];

    for (size_t c = 0, some; c < length; c += some) {
        int failed;

        some = whole - c < SOME ? whole - c : SOME;
        failed =
            read_run(s, panel + dg_dtype_run(s->dtype, c * DG_LANES), some * DG_LANES, elements);
        if (failed)
            return failed;
        for (size_t i = 0; i < n; i++)
            for (size_t k = 0; k < some && c + k < length; k++)
                buf[i * length + c + k] = elements[in_panel(s->dtype, row % DG_LANES + i, k)];
    }
    return 0;
}

static int read_panels(const struct dg_source *s, size_t row, size_t rows, size_t length,
                       float *buf)
{
    int failed = 0;

    for (size_t done = 0, some; done < rows && !failed; done += some) {
        const size_t left = DG_LANES - (row + done) % DG_LANES; /* lanes of this panel */

        some = rows - done < left ? rows - done : left;
        failed = (s->dtype == DG_I8 ? read_lanes_i8 : read_lanes)(s, row + done, some, length,
                                                                  buf + done * length);
    }
    return failed;
}

int dg_source_read(const struct dg_source *s, size_t line, size_t lines, size_t length, float *buf)
{
    const uint64_t offset = s->offset + line * s->stride;
    int failed = 0;

    if (s->panels)
        return read_panels(s, line, lines, length, buf);
    if (s->stride == dg_dtype_run(s->dtype, length))
        return read_run(s, offset, lines * length, buf);
    for (size_t i = 0; i < lines && !failed; i++)
        failed = read_run(s, offset + i * s->stride, length, buf + i * length);
    return failed;
}

int dg_source_read_q8_0(const struct dg_source *s, size_t line, size_t lines, size_t length,
                        char *groups)
{
    const size_t bytes = (size_t)dg_dtype_run(DG_Q8_0, length);
    int failed = 0;

    assert(s->dtype == DG_Q8_0 && !s->panels);
    for (size_t i = 0; i < lines && !failed; i++, groups += bytes)
        failed = dg_file_read(s->file, s->offset + (line + i) * s->stride, groups, bytes);
    return failed;
}
