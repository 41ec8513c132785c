/* finite.h - are numbers neither infinite nor NaN? Asked of every weight that is loaded, and of all logits. */
#ifndef DG_BASE_FINITE_H
#define DG_BASE_FINITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint32_t dg_four __attribute__((vector_size(16)));

/* Are x[0 ... n - 1] all finite? An exponent of all ones, and no other, carries into the sign when one is
 * added to it. */
static inline bool dg_are_finite(const float *x, size_t n)
{
    const uint32_t magnitude = 0x7fffffff, one = 0x00800000;
    dg_four any[2] = {{0}}, eight[2];
    uint32_t all = 0, bits;
    size_t i = 0;

    for (; i + 8 <= n; i += 8) {
        memcpy(eight, x + i, sizeof eight);
        any[0] |= (eight[0] & magnitude) + one;
        any[1] |= (eight[1] & magnitude) + one;
    }
    any[0] |= any[1];
    for (; i < n; i++) {
        memcpy(&bits, x + i, sizeof bits);
        all |= (bits & magnitude) + one;
    }
    return !((any[0][0] | any[0][1] | any[0][2] | any[0][3] | all) & 0x80000000);
}

#endif
