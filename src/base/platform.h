/* platform.h - what this program counts on, of the compiler and of the machine. Where it does not hold, the
 * same weights and ids would give other bits, or files would be read wrongly; so it does not compile.
 * The kernels and all that handles tensors include this (graph/tensor.h), and the readers of weights. */
#ifndef DG_BASE_PLATFORM_H
#define DG_BASE_PLATFORM_H

#include <float.h>
#include <limits.h>

#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) ||     \
    defined(__NO_SIGNED_ZEROS__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "dagpt: -ffast-math and its parts (-Ofast has them) change results: compile without them"
#endif

#if FLT_EVAL_METHOD != 0
#error "dagpt: floats get more bits than they have: on 32-bit x86 use -msse2 -mfpmath=sse"
#endif

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "dagpt: this machine is not little-endian, and weights are read as they lie in files"
#endif

_Static_assert(CHAR_BIT == 8 && sizeof(int) == 4,
               "dagpt: bytes have 8 bits, and an int has 4 bytes");
_Static_assert(FLT_RADIX == 2 && FLT_MANT_DIG == 24 && DBL_MANT_DIG == 53 && sizeof(float) == 4,
               "dagpt: floats and doubles are those of IEEE 754");
_Static_assert(sizeof 0.1 == sizeof(double), "dagpt: -fsingle-precision-constant changes results");

#endif
