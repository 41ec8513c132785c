/* source.h - where a weight's elements lie in a file, whatever the format: a load op, and an embed op
 * before wte is loaded, read from here.
 * Threads: any number may read one source at once. */
#ifndef DG_OPS_SOURCE_H
#define DG_OPS_SOURCE_H

#include "../base/file.h"
#include "../graph/dtype.h"

/* A matrix in a file: element (row, col) is at offset + row * row_stride + col * col_stride. Rows are a
 * weight's outputs. Row-major: col_stride is an element's bytes; transposed, as (inputs, outputs):
 * row_stride is. One of the two must be. op->source points to one; NULL in a graph that is only looked
 * at. Strides and offset are in bytes. */
struct dg_source {
    const struct dg_file *file;
    uint64_t offset;
    uint64_t row_stride, col_stride;
    enum dg_dtype dtype;
};

/* A row-major matrix without gaps. */
static inline struct dg_source dg_source_rows(const struct dg_file *file, uint64_t offset,
                                              enum dg_dtype dtype, uint64_t cols)
{
    return (struct dg_source){file, offset, cols * dg_dtype_bytes(dtype), dg_dtype_bytes(dtype),
                              dtype};
}

static inline bool dg_source_is_transposed(const struct dg_source *s)
{
    return s->col_stride != dg_dtype_bytes(s->dtype);
}

/* Rows row ... row + rows - 1, columns 0 ... cols - 1, as floats, to buf[rows][cols]. 0, or an errno
 * value. */
int dg_source_read(const struct dg_source *s, size_t row, size_t rows, size_t cols, float *buf);

#endif
