/* One packer for each dtype of weights. Rows go to panels [n / 16][k][16], so that a lane of the product's
 * kernels is an output; bias, gain and wpe stay in rows. */
#include "pack.h"
#include "kernels/kernels.h"

#include <assert.h>
#include <string.h>

struct packer {
    bool rows; /* also of a weight in rows */
    void (*pack)(const struct dg_tensor *w, size_t row, size_t n, const float *rows);
    void (*pack_columns)(const struct dg_tensor *w, size_t col, size_t n, const float *columns);
    void (*unpack)(const struct dg_tensor *w, size_t row, float *to);
    void (*round)(float *row, size_t n); /* NULL: each float stays what it is */
};

/* ---- float ---- */

static void pack_f32(const struct dg_tensor *w, size_t row, size_t n, const float *rows)
{
    const size_t cols = w->cols;
    float *to = (float *)w->data + row * cols; /* of the row in rows, and of its panel in panels */

    if (w->layout == DG_ROWS) {
        memcpy(to, rows, n * cols * sizeof *to);
        return;
    }
    for (size_t c = 0; c < cols; c++, to += DG_LANES) {
        if (n == DG_LANES) {
#pragma GCC unroll 16
            for (size_t i = 0; i < DG_LANES; i++)
                to[i] = rows[i * cols + c];
        } else {
            for (size_t i = 0; i < n; i++)
                to[i] = rows[i * cols + c];
        }
    }
}

/* A column's part of a panel is 16 floats side by side, here and there. */
static void pack_columns_f32(const struct dg_tensor *w, size_t col, size_t n, const float *columns)
{
    const size_t rows = w->rows, cols = w->cols;
    float *data = w->data;

    for (size_t r = 0; r < rows; r += DG_LANES) {
        const size_t some = rows - r < DG_LANES ? rows - r : DG_LANES;

        for (size_t c = 0; c < n; c++) {
            const float *from = columns + c * rows + r;

            if (w->layout == DG_ROWS)
                for (size_t i = 0; i < some; i++)
                    data[(r + i) * cols + col + c] = from[i];
            else if (some == DG_LANES)
                memcpy(data + r * cols + (col + c) * DG_LANES, from, DG_LANES * sizeof *from);
            else
                memcpy(data + r * cols + (col + c) * DG_LANES, from, some * sizeof *from);
        }
    }
}

static void unpack_f32(const struct dg_tensor *w, size_t row, float *to)
{
    const size_t cols = w->cols, lane = row % DG_LANES;
    const float *from = w->data;

    if (w->layout == DG_ROWS) {
        memcpy(to, from + row * cols, cols * sizeof *to);
        return;
    }
    from += (row - lane) * cols + lane;
    for (size_t c = 0; c < cols; c++)
        to[c] = from[c * DG_LANES];
}

/* ---- bf16 ---- */

/* Where the halves of column `col` are: of output `row`, a multiple of DG_LANES, and two apart those of the
 * outputs after it. */
static uint16_t *halves_at(const struct dg_tensor *w, size_t row, size_t col)
{
    return (uint16_t *)w->data + row * (w->cols + w->cols % 2) + col / 2 * 2 * DG_LANES + col % 2;
}

static void pack_bf16(const struct dg_tensor *w, size_t row, size_t n, const float *rows)
{
    const size_t cols = w->cols;

    for (size_t c = 0; c < cols; c++) {
        uint16_t *to = halves_at(w, row, c);

        for (size_t i = 0; i < n; i++)
            to[2 * i] = dg_bf16_of(rows[i * cols + c]);
    }
}

static void pack_columns_bf16(const struct dg_tensor *w, size_t col, size_t n, const float *columns)
{
    const size_t rows = w->rows;

    for (size_t r = 0; r < rows; r += DG_LANES) {
        const size_t some = rows - r < DG_LANES ? rows - r : DG_LANES;

        for (size_t c = 0; c < n; c++) {
            uint16_t *to = halves_at(w, r, col + c);

            for (size_t i = 0; i < some; i++)
                to[2 * i] = dg_bf16_of(columns[c * rows + r + i]);
        }
    }
}

static void unpack_bf16(const struct dg_tensor *w, size_t row, float *to)
{
    const size_t lane = row % DG_LANES;

    for (size_t c = 0; c < w->cols; c++)
        to[c] = dg_float_of_bf16(halves_at(w, row - lane, c)[2 * lane]);
}

static void round_bf16(float *row, size_t n)
{
    for (size_t i = 0; i < n; i++)
        row[i] = dg_float_of_bf16(dg_bf16_of(row[i]));
}

/* ---- int8 ---- */

/* The group of columns 32 g ... of the panel that row is in. */
static struct dg_panel_group *panel_group(const struct dg_tensor *w, size_t row, size_t g)
{
    return (struct dg_panel_group *)w->data + row / DG_LANES * dg_groups(w->cols) + g;
}

void dg_pack_group(const struct dg_tensor *w, size_t row, size_t g, float scale,
                   const int8_t *values)
{
    struct dg_panel_group *to = panel_group(w, row, g);

    to->scale[row % DG_LANES] = scale;
    for (size_t k = 0; k < DG_GROUP; k++)
        to->weight[k / 4][row % DG_LANES][k % 4] = (uint8_t)(values[k] + 128);
}

/* A row's part: n of its columns, from 32 g on. */
static void pack_groups(const struct dg_tensor *w, size_t row, size_t g, size_t n, const float *x)
{
    for (size_t i = 0; i < n; i += DG_GROUP, g++) {
        struct dg_group group;

        dg_kernels_scalar.quantize(&group, x + i, n - i < DG_GROUP ? n - i : DG_GROUP);
        dg_pack_group(w, row, g, group.scale, group.value);
    }
}

static void pack_i8(const struct dg_tensor *w, size_t row, size_t n, const float *rows)
{
    for (size_t i = 0; i < n; i++)
        pack_groups(w, row + i, 0, w->cols, rows + i * w->cols);
}

/* Whole groups of columns, the last of a row but for what is beyond its end. */
static void pack_columns_i8(const struct dg_tensor *w, size_t col, size_t n, const float *columns)
{
    assert(col % DG_GROUP == 0 && (n % DG_GROUP == 0 || col + n == w->cols));
    for (size_t r = 0; r < w->rows; r++) {
        for (size_t c = 0, some; c < n; c += some) {
            float x[DG_GROUP];

            some = n - c < DG_GROUP ? n - c : DG_GROUP;
            for (size_t k = 0; k < some; k++)
                x[k] = columns[(c + k) * w->rows + r];
            pack_groups(w, r, (col + c) / DG_GROUP, some, x);
        }
    }
}

void dg_unpack_group(const struct dg_panel_group *g, size_t lane, float *to, size_t n)
{
    for (size_t k = 0; k < n; k++)
        to[k] = g->scale[lane] * (float)(g->weight[k / 4][lane][k % 4] - 128);
}

static void unpack_i8(const struct dg_tensor *w, size_t row, float *to)
{
    for (size_t c = 0; c < w->cols; c += DG_GROUP)
        dg_unpack_group(panel_group(w, row, c / DG_GROUP), row % DG_LANES, to + c,
                        w->cols - c < DG_GROUP ? w->cols - c : DG_GROUP);
}

static void round_i8(float *row, size_t n)
{
    for (size_t i = 0; i < n; i += DG_GROUP) {
        const size_t some = n - i < DG_GROUP ? n - i : DG_GROUP;
        struct dg_group group;

        dg_kernels_scalar.quantize(&group, row + i, some);
        for (size_t k = 0; k < some; k++)
            row[i + k] = group.scale * (float)group.value[k];
    }
}

/* ---- by dtype ---- */

static const struct packer packers[DG_N_DTYPES] = {
    [DG_F32] = {true, pack_f32, pack_columns_f32, unpack_f32, NULL},
    [DG_BF16] = {false, pack_bf16, pack_columns_bf16, unpack_bf16, round_bf16},
    [DG_I8] = {false, pack_i8, pack_columns_i8, unpack_i8, round_i8},
};

bool dg_can_pack(const struct dg_tensor *w)
{
    const struct packer *p = &packers[w->dtype];

    return p->pack && (w->layout == DG_PANELS || (w->layout == DG_ROWS && p->rows));
}

void dg_pack(const struct dg_tensor *w, size_t row, size_t n, const float *rows)
{
    packers[w->dtype].pack(w, row, n, rows);
}

void dg_pack_columns(const struct dg_tensor *w, size_t col, size_t n, const float *columns)
{
    packers[w->dtype].pack_columns(w, col, n, columns);
}

void dg_unpack(const struct dg_tensor *w, size_t row, float *to)
{
    packers[w->dtype].unpack(w, row, to);
}

void dg_pack_round(enum dg_dtype dtype, float *row, size_t n)
{
    if (packers[dtype].round)
        packers[dtype].round(row, n);
}
