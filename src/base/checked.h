/* checked.h - size arithmetic on values that came from a file or a user: it never wraps. */
#ifndef DG_BASE_CHECKED_H
#define DG_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* *out = a * b or a + b. False when the result does not fit, and *out is then unspecified. What a file says has
 * 64 bits, also where a size has 32. */
static inline bool dg_mul(uint64_t a, uint64_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

static inline bool dg_add(uint64_t a, uint64_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

/* n as a size, for an allocation; SIZE_MAX, which cannot be had, where it does not fit (on 32 bits). */
static inline size_t dg_size(uint64_t n)
{
    return n < SIZE_MAX ? (size_t)n : SIZE_MAX;
}

/* n rounded up to a multiple of m (m >= 1). The caller knows that it does not wrap. */
static inline size_t dg_round_up(size_t n, size_t m)
{
    return (n + m - 1) / m * m;
}

static inline size_t dg_div_up(size_t n, size_t m)
{
    return (n + m - 1) / m;
}

#endif
