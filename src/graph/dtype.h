/* dtype.h - what the elements of a tensor, or of a matrix in a file, are. */
#ifndef DG_GRAPH_DTYPE_H
#define DG_GRAPH_DTYPE_H

#include <stddef.h>

enum dg_dtype {
    DG_F32,
    DG_I32,
    DG_BF16, /* the upper half of a float */
    DG_N_DTYPES
};

static inline size_t dg_dtype_bytes(enum dg_dtype type)
{
    static const unsigned char bytes[DG_N_DTYPES] = {[DG_F32] = 4, [DG_I32] = 4, [DG_BF16] = 2};

    return bytes[type];
}

/* Scales that one output of so many elements has: of a dtype with scales one for each group of elements
 * along it; of the others none. */
static inline size_t dg_dtype_scales(enum dg_dtype type, size_t depth)
{
    static const unsigned char group[DG_N_DTYPES] = {
        0}; /* elements that share a scale; 0: no scales */

    return group[type] ? (depth + group[type] - 1) / group[type] : 0;
}

static inline const char *dg_dtype_name(enum dg_dtype type)
{
    static const char *const names[DG_N_DTYPES] = {
        [DG_F32] = "float32", [DG_I32] = "int32", [DG_BF16] = "bfloat16"};

    return names[type];
}

#endif
