/* Panels and blocks of keys or values are counted whole, the last one too: a vector load of the
 * last rows then stays inside the tensor. Between two blocks of a cache lie those of other layers;
 * they are counted, since addresses run across them, but not what is behind the last block. */
#include "tensor.h"

uint64_t dg_tensor_elements(const struct dg_tensor *t)
{
    const uint64_t rows = t->role == DG_CACHE ? t->positions : t->rows;
    const uint64_t blocks = (rows + DG_LANES - 1) / DG_LANES;

    if (t->layout == DG_ROWS)
        return rows * t->cols;
    if (t->layout == DG_PANELS)
        return blocks * DG_LANES * t->cols;
    return (blocks - 1) * dg_block_stride(t) + (uint64_t)DG_LANES * t->cols;
}

uint64_t dg_tensor_bytes(const struct dg_tensor *t)
{
    return 4 * dg_tensor_elements(t); /* both types have 4 bytes */
}
