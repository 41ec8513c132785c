/* One packer for each dtype of weights. Rows go to panels [n / 16][k][16], so that a lane of the product's
 * kernels is an output; bias, gain and wpe stay in rows. */
#include "pack.h"

#include <string.h>

struct packer {
    void (*pack)(const struct dg_tensor *w, size_t row, size_t n, const float *rows);
    void (*pack_columns)(const struct dg_tensor *w, size_t col, size_t n, const float *columns);
    void (*unpack)(const struct dg_tensor *w, size_t row, float *to);
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

/* ---- by dtype ---- */

static const struct packer packers[DG_N_DTYPES] = {
    [DG_F32] = {pack_f32, pack_columns_f32, unpack_f32},
};

bool dg_can_pack(const struct dg_tensor *w)
{
    return (w->layout == DG_ROWS || w->layout == DG_PANELS) && packers[w->dtype].pack;
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
