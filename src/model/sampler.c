/* From logits to an id. The sums here run in vocabulary order, in float, as the course's program
 * sums them: another order gives other last bits, and the coin can fall between. */
#include "../base/status.h"
#include "../ops/kernels.h"

#include <fenv.h>
#include <math.h>

static enum dg_status softmax(float *probs, const float *logits, size_t n, int32_t *best,
                              struct dg_error *err)
{
    float max = -INFINITY, sum = 0.0f;

    for (size_t i = 0; i < n; i++) {
        if (!isfinite(logits[i]))
            return dg_fail(err, DG_ERR_MODEL,
                           "logit of id %zu: got %g, expected a finite number: damaged weights", i,
                           (double)logits[i]);
        if (logits[i] > max) {
            max = logits[i];
            *best = (int32_t)i;
        }
    }
    for (size_t i = 0; i < n; i++)
        probs[i] = logits[i] - max;
    dg_kernels_for(dg_isa_best())->exp(probs, probs, n);
    for (size_t i = 0; i < n; i++)
        sum += probs[i];
    for (size_t i = 0; i < n; i++)
        probs[i] /= sum;
    return DG_OK;
}

enum dg_status dg_softmax(float *probs, const float *logits, size_t n, int32_t *best,
                          struct dg_error *err)
{
    enum dg_status st;
    fenv_t callers;

    fegetenv(&callers);
    fesetenv(FE_DFL_ENV);
    st = softmax(probs, logits, n, best, err);
    fesetenv(&callers);
    return st;
}

static int32_t pick(const float *probs, size_t n, float coin)
{
    float cumulative = 0.0f;

    for (size_t i = 0; i < n; i++) {
        cumulative += probs[i];
        if (coin < cumulative)
            return (int32_t)i;
    }
    return (int32_t)n - 1;
}

int32_t dg_pick(const float *probs, size_t n, float coin)
{
    int32_t id;
    fenv_t callers;

    fegetenv(&callers);
    fesetenv(FE_DFL_ENV);
    id = pick(probs, n, coin);
    fesetenv(&callers);
    return id;
}
