/* q8_0.h - GPT-2 with its matrices and what they are multiplied with in Q8_0, as the format is defined: in groups of 32
 * along the depth, scale = the largest magnitude / 127 as a binary16, each integer the nearest to x / scale before that is
 * rounded, of two as near the one further from 0. Sums of products of integers are exact, all else is in double. It
 * shares no code with the library. */
#ifndef TESTS_GUARD_Q8_0_H
#define TESTS_GUARD_Q8_0_H

#include <stddef.h>
#include <stdint.h>

struct q8_0;

/* An llm.c checkpoint of version 1, in floats. Leaves with 2 on errors. */
struct q8_0 *q8_0_open(const char *path);
void q8_0_free(struct q8_0 *m);

/* The logits after each of n ids, to logits[n][V]. */
void q8_0_logits(struct q8_0 *m, const int32_t *ids, size_t n, float *logits);

#endif
