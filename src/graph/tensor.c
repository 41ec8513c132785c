/* Panels are counted whole, the last one too: a vector load of the last rows then stays inside the
 * tensor. */
#include "tensor.h"

/* Of bf16 two elements of an output lie side by side, in the place of a float. */
uint64_t dg_output_bytes(enum dg_dtype type, uint64_t depth)
{
    return type == DG_BF16 ? (depth + 1) / 2 * 4 : depth * dg_dtype_bytes(type);
}

static uint64_t rows_with_padding(const struct dg_tensor *t)
{
    const uint64_t rows = t->rows, lanes = DG_LANES;

    return t->layout == DG_PANELS ? (rows + lanes - 1) / lanes * lanes : rows;
}

uint64_t dg_tensor_elements(const struct dg_tensor *t)
{
    return rows_with_padding(t) * t->cols;
}

uint64_t dg_tensor_bytes(const struct dg_tensor *t)
{
    return t->layout == DG_PANELS ? rows_with_padding(t) * dg_output_bytes(t->dtype, t->cols)
                                  : dg_dtype_bytes(t->dtype) * dg_tensor_elements(t);
}
