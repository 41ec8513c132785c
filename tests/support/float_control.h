/* float_control.h - what <fenv.h> has no name for: how this thread's CPU treats denormals. */
#ifndef DG_TESTS_FLOAT_CONTROL_H
#define DG_TESTS_FLOAT_CONTROL_H

#include <stdint.h>

#if defined(__x86_64__)
#include <xmmintrin.h>

enum { FLUSH_TO_ZERO = 0x8000, DENORMALS_ARE_ZERO = 0x0040 };

/* MXCSR without its exception flags: rounding, masks and the bits above. */
static inline uint32_t float_control(void)
{
    return _mm_getcsr() & ~0x3fu;
}

static inline void add_float_control(uint32_t bits)
{
    _mm_setcsr(_mm_getcsr() | bits);
}
#elif defined(__aarch64__)

enum { FLUSH_TO_ZERO = 1 << 24, DENORMALS_ARE_ZERO = FLUSH_TO_ZERO }; /* one bit, FZ, for both */

/* FPCR. The exception flags are in another register. */
static inline uint32_t float_control(void)
{
    uint64_t fpcr;

    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    return (uint32_t)fpcr;
}

static inline void add_float_control(uint32_t bits)
{
    const uint64_t fpcr = float_control() | bits;

    __asm__ volatile("msr fpcr, %0" : : "r"(fpcr));
}
#else

enum { FLUSH_TO_ZERO = 0, DENORMALS_ARE_ZERO = 0 };

static inline uint32_t float_control(void)
{
    return 0;
}

static inline void add_float_control(uint32_t bits)
{
    (void)bits;
}
#endif

#endif
