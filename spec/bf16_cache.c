/* bf16_cache.c - gpt2.c with its keys and values in bf16, bit for bit what dagpt computes with --cache bf16.
 *
 *     cc -O2 -ffp-contract=off -o gpt2-bf16-cache spec/bf16_cache.c -lm
 *     cc -O2 -ffp-contract=off -DINT8 -o gpt2-int8-bf16-cache spec/bf16_cache.c -lm     with matrices in int8, too
 *
 * A bf16 is the upper half of a float: as far a range, and 8 digits of two. All that is computed with keys and
 * values is in float. (Here they are rounded whenever they are read. A program that keeps half of each rounds once.) */
#include <stdint.h>
#include <string.h>

/* x rounded to a bf16: the nearest, of two as near the one whose last bit is 0; beyond the largest, infinity. A
 * NaN stays one. */
static float kept(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof bits);
    if (x == x)
        bits += 0x7fff + (bits >> 16 & 1);
    else
        bits |= 0x400000;
    bits &= 0xffff0000;
    memcpy(&x, &bits, sizeof x);
    return x;
}

#define OTHER_CACHE
#ifdef INT8
#include "int8.c"
#else
#include "gpt2.c"
#endif
