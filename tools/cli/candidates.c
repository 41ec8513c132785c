/* An insertion into a short list: of a vocabulary most logits are below the last of it, and cost one
 * comparison. */
#include "candidates.h"

size_t cli_candidates(int32_t *ids, size_t k, const float *logits, size_t n)
{
    size_t found = 0;

    for (size_t i = 0; i < n && k > 0; i++) {
        size_t at = found < k ? found++ : k;

        if (at == k && logits[i] <= logits[ids[k - 1]])
            continue;
        for (at = at < k ? at : k - 1; at > 0 && logits[ids[at - 1]] < logits[i]; at--)
            ids[at] = ids[at - 1];
        ids[at] = (int32_t)i;
    }
    return found;
}
