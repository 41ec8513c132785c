/* source.h - where a weight's elements lie in a file, whatever the format: a load op, and an embed op
 * before wte is loaded, read from here.
 * Threads: any number may read one source at once. */
#ifndef DG_OPS_SOURCE_H
#define DG_OPS_SOURCE_H

#include "../base/file.h"
#include "../graph/tensor.h"

#include <stdbool.h>

/* A matrix in a file. Rows are a weight's outputs. Its lines, the rows, or transposed the columns, begin
 * `stride` bytes apart, the first at offset, and the elements of each lie one after the other; or it lies there
 * in panels.
 * op->source points to one; NULL in a graph that is only looked at. */
struct dg_source {
    const struct dg_file *file;
    uint64_t offset;
    uint64_t stride;
    enum dg_dtype
        dtype; /* DG_F32, DG_BF16, DG_F16; DG_Q8_0: lines are of whole groups; DG_I8: in panels */
    bool transposed; /* as (inputs, outputs) */
    bool panels;     /* as DG_PANELS lies in memory (graph/tensor.h); stride: of a panel */
};

/* A row-major matrix without gaps. */
static inline struct dg_source dg_source_rows(const struct dg_file *file, uint64_t offset,
                                              enum dg_dtype dtype, uint64_t cols)
{
    return (struct dg_source){
        .file = file, .offset = offset, .stride = dg_dtype_run(dtype, cols), .dtype = dtype};
}

/* The same lines without their first n elements, n a multiple of 32. */
static inline struct dg_source dg_source_behind(struct dg_source s, uint64_t n)
{
    s.offset += s.panels ? DG_LANES * dg_output_bytes(s.dtype, n) : dg_dtype_run(s.dtype, n);
    return s;
}

/* Are they integers with scales, which a weight of int8 holds just as they are? */
static inline bool dg_source_is_int8(const struct dg_source *s)
{
    return s->dtype == DG_I8 || (s->dtype == DG_Q8_0 && !s->transposed);
}

/* Lines line ... line + lines - 1, elements 0 ... length - 1 of each, as floats, to buf[lines][length]. 0,
 * or an errno value. */
int dg_source_read(const struct dg_source *s, size_t line, size_t lines, size_t length, float *buf);

/* The same of a matrix in Q8_0, as its groups are in the file, to groups[lines][length / 32]. */
int dg_source_read_q8_0(const struct dg_source *s, size_t line, size_t lines, size_t length,
                        char *groups);

/* The scale of a group of Q8_0. */
float dg_q8_0_scale(const char *group);

#endif
