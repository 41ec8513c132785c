/* Elements are read with as few calls as their place allows: rows that lie one after the other with one,
 * rows with gaps with one for each, and of a transposed matrix a column's part with one for each column.
 * What is read is widened to float on the way. */
#include "source.h"

#include <assert.h>
#include <string.h>

/* A run of elements that lie one after the other, to buf[0 ... n - 1]. Narrow ones are read into the upper
 * part of buf and widened from the front, so that no element is overwritten before it is read. */
static int read_run(const struct dg_source *s, uint64_t offset, size_t n, float *buf)
{
    const size_t bytes = dg_dtype_bytes(s->dtype) * n;
    char *raw = (char *)(buf + n) - bytes;
    const int failed = dg_file_read(s->file, offset, raw, bytes);

    assert(s->dtype == DG_F32 || s->dtype == DG_BF16);
    if (s->dtype == DG_F32 || failed)
        return failed;
    for (size_t i = 0; i < n; i++) { /* DG_BF16 */
        uint16_t half;
        uint32_t bits;

        memcpy(&half, raw + i * sizeof half, sizeof half);
        bits = (uint32_t)half << 16;
        memcpy(&buf[i], &bits, sizeof bits);
    }
    return 0;
}

enum { PART = 256 }; /* rows of a column that are read at once */

static int read_transposed(const struct dg_source *s, uint64_t offset, size_t rows, size_t cols,
                           float *buf)
{
    float run[PART];

    for (size_t r = 0; r < rows; r += PART) {
        const size_t n = rows - r < PART ? rows - r : PART;

        for (size_t c = 0; c < cols; c++) {
            const int failed = read_run(s, offset + r * s->row_stride + c * s->col_stride, n, run);

            if (failed)
                return failed;
            for (size_t i = 0; i < n; i++)
                buf[(r + i) * cols + c] = run[i];
        }
    }
    return 0;
}

int dg_source_read(const struct dg_source *s, size_t row, size_t rows, size_t cols, float *buf)
{
    const uint64_t offset = s->offset + row * s->row_stride;
    int failed = 0;

    assert(s->col_stride == dg_dtype_bytes(s->dtype) || s->row_stride == dg_dtype_bytes(s->dtype));
    if (dg_source_is_transposed(s))
        return read_transposed(s, offset, rows, cols, buf);
    if (s->row_stride == cols * dg_dtype_bytes(s->dtype))
        return read_run(s, offset, rows * cols, buf);
    for (size_t r = 0; r < rows && !failed; r++)
        failed = read_run(s, offset + r * s->row_stride, cols, buf + r * cols);
    return failed;
}
