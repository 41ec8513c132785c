/* Panels are counted whole, the last one too: a vector load of the last rows then stays inside the
 * tensor. */
#include "tensor.h"

uint64_t dg_tensor_elements(const struct dg_tensor *t)
{
    const uint64_t rows = t->rows, lanes = DG_LANES;

    return (t->layout == DG_PANELS ? (rows + lanes - 1) / lanes * lanes : rows) * t->cols;
}

uint64_t dg_tensor_bytes(const struct dg_tensor *t)
{
    return dg_dtype_bytes(t->dtype) * dg_tensor_elements(t);
}
