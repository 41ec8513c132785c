/* Panels are counted whole, the last one too: a vector load of the last rows then stays inside the
 * tensor. */
#include "tensor.h"

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
    return rows_with_padding(t) *
           (t->layout == DG_PANELS ? dg_output_bytes(t->dtype, t->cols) : dg_row_bytes(t));
}
