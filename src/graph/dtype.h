/* dtype.h - what the elements of a tensor, or of a matrix in a file, are. */
#ifndef DG_GRAPH_DTYPE_H
#define DG_GRAPH_DTYPE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum dg_dtype {
    DG_F32,
    DG_I32,
    DG_BF16, /* the upper half of a float */
    DG_F16,  /* IEEE 754's binary16 */
    DG_Q8_0, /* in files: groups of 32 along a row, each an F16 scale and 32 int8 */
    DG_I8,   /* in memory: the same with a float scale; dg_group and dg_panel_group of tensor.h */
    DG_N_DTYPES
};

enum { DG_Q8_0_GROUP = 32, DG_Q8_0_BYTES = 34 };

/* Of an element; 0 where elements lie in groups. */
static inline size_t dg_dtype_bytes(enum dg_dtype type)
{
    static const unsigned char bytes[DG_N_DTYPES] = {
        [DG_F32] = 4, [DG_I32] = 4, [DG_BF16] = 2, [DG_F16] = 2};

    return bytes[type];
}

/* Of n elements of a row, one after the other: of groups as many as that takes. */
static inline uint64_t dg_dtype_run(enum dg_dtype type, uint64_t n)
{
    return type == DG_Q8_0 ? (n + DG_Q8_0_GROUP - 1) / DG_Q8_0_GROUP * DG_Q8_0_BYTES
                           : n * dg_dtype_bytes(type);
}

/* A float as bf16: the nearest, of two as near the even one; beyond the largest, infinity. A NaN stays one. */
static inline uint16_t dg_bf16_of(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof bits);
    if (x != x)
        return (uint16_t)(bits >> 16 | 0x0040);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* Exactly. */
static inline float dg_float_of_bf16(uint16_t half)
{
    const uint32_t bits = (uint32_t)half << 16;
    float x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline const char *dg_dtype_name(enum dg_dtype type)
{
    static const char *const names[DG_N_DTYPES] = {
        [DG_F32] = "float32", [DG_I32] = "int32", [DG_BF16] = "bfloat16",
        [DG_F16] = "float16", [DG_Q8_0] = "Q8_0", [DG_I8] = "int8",
    };

    return names[type];
}

#endif
