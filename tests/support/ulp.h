/* ulp.h - the error of a float in units of the last place. */
#ifndef DG_TESTS_ULP_H
#define DG_TESTS_ULP_H

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline float float_of_bits(uint32_t bits)
{
    float x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint32_t bits_of_float(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* |got - exact| in spacings of the floats around `exact`, correctly rounded; infinite for a NaN. */
static inline double ulp_error(float got, double exact)
{
    const int field = (int)(bits_of_float((float)exact) >> 23 & 255);
    const uint64_t bits = (uint64_t)(1023 + 150 - (field ? field : 1)) << 52;
    const double off = fabs((double)got - exact);
    double per_ulp; /* 1 / spacing; the spacing is 2^(field - 150) */

    memcpy(&per_ulp, &bits, sizeof per_ulp);
    return off == off ? off * per_ulp : (double)INFINITY;
}

#endif
