#include "tensor.h"

uint64_t dg_tensor_elements(const struct dg_tensor *t)
{
    uint64_t rows = t->role == DG_CACHE ? t->positions : t->rows;

    if (t->layout == DG_PANELS || t->layout == DG_KEYS)
        rows = (rows + DG_LANES - 1) / DG_LANES * DG_LANES;
    return rows * t->cols;
}

uint64_t dg_tensor_bytes(const struct dg_tensor *t)
{
    return 4 * dg_tensor_elements(t); /* both types have 4 bytes */
}
