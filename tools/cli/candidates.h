/* candidates.h - the ids that a model finds likeliest. */
#ifndef DG_TOOLS_CANDIDATES_H
#define DG_TOOLS_CANDIDATES_H

#include <stddef.h>
#include <stdint.h>

/* The min(k, n) ids with the highest of n logits to ids[], the highest first, of equals the lower id;
 * returns how many. No logit is NaN. Time: n, and for each that is among the first so far k. */
size_t cli_candidates(int32_t *ids, size_t k, const float *logits, size_t n);

#endif
