/* From logits to an id. The sums here run in vocabulary order, in float, as the course's program
 * sums them: another order gives other last bits, and the coin can fall between. */
#include "../base/arena.h"
#include "../base/options.h"
#include "../ops/kernels/kernels.h"

#include <fenv.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

static enum dg_status check_finite(const float *logits, size_t n, struct dg_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(logits[i]))
            return dg_fail(err, DG_ERR_MODEL,
                           "logit of id %zu: got %g, expected a finite number: damaged weights", i,
                           (double)logits[i]);
    return DG_OK;
}

/* logits: at least one is above -INFINITY, and none is INFINITY or NaN. May be probs. */
static void softmax(float *probs, const float *logits, size_t n, int32_t *best)
{
    float max = -INFINITY, sum = 0.0f;

    for (size_t i = 0; i < n; i++) {
        if (logits[i] > max) {
            max = logits[i];
            *best = (int32_t)i;
        }
    }
    for (size_t i = 0; i < n; i++)
        probs[i] = logits[i] - max;
    dg_kernels_for(DG_ISA_BEST)->exp(probs, probs, n);
    for (size_t i = 0; i < n; i++)
        sum += probs[i];
    for (size_t i = 0; i < n; i++)
        probs[i] /= sum;
}

enum dg_status dg_softmax(float *probs, const float *logits, size_t n, int32_t *best,
                          struct dg_error *err)
{
    enum dg_status st = DG_OK;
    fenv_t callers;

    if (!dg_is_given(probs, "probs", err) || !dg_is_given(logits, "logits", err) ||
        !dg_is_given(best, "best", err))
        return DG_ERR_USAGE;
    if (n < 1 || n > INT32_MAX)
        st = dg_fail(err, DG_ERR_USAGE, "softmax: got %zu logits, expected 1 to %d", n, INT32_MAX);
    if (st == DG_OK)
        st = check_finite(logits, n, err);
    if (st != DG_OK)
        return st;
    fegetenv(&callers);
    fesetenv(FE_DFL_ENV);
    softmax(probs, logits, n, best);
    fesetenv(&callers);
    return DG_OK;
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

    if (!probs || n < 1 || n > INT32_MAX)
        return -1;
    fegetenv(&callers);
    fesetenv(FE_DFL_ENV);
    id = pick(probs, n, coin);
    fesetenv(&callers);
    return id;
}

static double log_probability(const float *logits, size_t n, int32_t id)
{
    double max = -INFINITY, sum = 0;

    /* Not fmax(): gcc 12 for AArch64 ends with an internal error at -O3. */
    for (size_t i = 0; i < n; i++)
        max = (double)logits[i] > max ? (double)logits[i] : max;
    for (size_t i = 0; i < n; i++)
        sum += exp((double)logits[i] - max);
    return (double)logits[id] - max - log(sum);
}

double dg_log_probability(const float *logits, size_t n, int32_t id)
{
    double p;
    fenv_t callers;

    if (!logits || id < 0 || (size_t)id >= n)
        return NAN;
    fegetenv(&callers);
    fesetenv(FE_DFL_ENV);
    p = log_probability(logits, n, id);
    fesetenv(&callers);
    return p;
}

/* ---- drawing ---- */

struct dg_sampler {
    struct dg_arena *arena; /* holds the sampler itself, too */
    struct dg_sampling how;
    uint32_t vocab;
    uint64_t state; /* of the random numbers */
    float *probs;   /* [vocab] */
    int32_t *order; /* [vocab] a heap of ids; then the ids kept, most likely first, at its end */
};

DG_NO_PADDING_AFTER(struct dg_sampling, seed);

static enum dg_status check_sampling(const struct dg_sampling *how, struct dg_error *err)
{
    const struct {
        const char *name;
        double value, least, most;
    } fields[] = {
        {"repeat penalty", how->repeat_penalty, 1, 1e6},
        {"temperature", how->temp, 0, 1e6},
        {"top-p", how->top_p, 0, 1},
        {"min-p", how->min_p, 0, 1},
    };

    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (!(fields[i].value >= fields[i].least && fields[i].value <= fields[i].most))
            return dg_fail(err, DG_ERR_USAGE, "%s: got %g, expected %g to %g", fields[i].name,
                           fields[i].value, fields[i].least, fields[i].most);
    return DG_OK;
}

enum dg_status dg_sampler_new(struct dg_sampler **out, uint32_t vocab,
                              const struct dg_sampling *sampling, struct dg_error *err)
{
    struct dg_sampling how;
    struct dg_arena *arena;
    struct dg_sampler *s;
    enum dg_status st;

    if (!dg_is_place(out, err))
        return DG_ERR_USAGE;
    st = dg_options_read(&how, sizeof how, sizeof how, sampling, "sampling", err);
    if (st != DG_OK)
        return st;
    how.repeat_penalty = how.repeat_penalty == 0 ? 1 : how.repeat_penalty;
    how.top_p = how.top_p == 0 ? 1 : how.top_p;
    st = check_sampling(&how, err);
    if (st == DG_OK && (vocab < 1 || vocab > INT32_MAX))
        st = dg_fail(err, DG_ERR_USAGE, "vocabulary: got %u ids, expected 1 to %d", vocab,
                     INT32_MAX);
    if (st != DG_OK)
        return st;
    arena = dg_arena_new();
    s = arena ? dg_arena_alloc(arena, sizeof *s) : NULL;
    if (s) {
        s->probs = dg_arena_array(arena, vocab, sizeof *s->probs);
        s->order = dg_arena_array(arena, vocab, sizeof *s->order);
    }
    if (!s || !s->probs || !s->order) {
        dg_arena_free(arena);
        return dg_fail_memory(err, "a sampler", vocab * (sizeof *s->probs + sizeof *s->order));
    }
    s->arena = arena;
    s->how = how;
    s->vocab = vocab;
    s->state = how.seed;
    *out = s;
    return DG_OK;
}

void dg_sampler_free(struct dg_sampler *s)
{
    if (s)
        dg_arena_free(s->arena); /* s itself lies in it */
}

/* 0 <= coin < 1, a multiple of 2^-53. SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): any seed is
 * as good as another. */
static double next_coin(struct dg_sampler *s)
{
    uint64_t z = s->state += 0x9E3779B97F4A7C15u;

    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

/* Is a more likely than b? Of equals the lower id is. */
static bool before(const struct dg_sampler *s, int32_t a, int32_t b)
{
    return s->probs[a] > s->probs[b] || (s->probs[a] == s->probs[b] && a < b);
}

/* Lets the id at place i of the heap of n sink to where it belongs. */
static void sift(struct dg_sampler *s, uint32_t i, uint32_t n)
{
    const int32_t id = s->order[i];

    for (uint32_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && before(s, s->order[child + 1], s->order[child]))
            child++;
        if (!before(s, s->order[child], id))
            break;
        s->order[i] = s->order[child];
    }
    s->order[i] = id;
}

/* Takes the most likely of the n ids out of the heap, and puts it behind those that are left. */
static int32_t take_best(struct dg_sampler *s, uint32_t n)
{
    const int32_t best = s->order[0];

    s->order[0] = s->order[n - 1];
    s->order[n - 1] = best;
    sift(s, 0, n - 1);
    return best;
}

static double total(const struct dg_sampler *s)
{
    double sum = 0;

    for (uint32_t i = 0; i < s->vocab; i++)
        sum += (double)s->probs[i];
    return sum;
}

/* Puts the ids that are kept at the end of order[], the most likely last, and returns how many
 * there are; *sum is their probability. A heap gives the few that are kept in order without
 * sorting the many that are not. */
static uint32_t keep(struct dg_sampler *s, double *sum)
{
    const uint32_t n = s->vocab, k = s->how.top_k && s->how.top_k < n ? s->how.top_k : n;
    double of_all = 0, least;
    uint32_t taken = 0, kept = 0;

    for (uint32_t i = 0; i < n; i++)
        s->order[i] = (int32_t)i;
    for (uint32_t i = n / 2; i-- > 0;)
        sift(s, i, n);
    if (k < n)
        while (taken < k)
            of_all += (double)s->probs[take_best(s, n - taken++)];
    else
        of_all = total(s);
    *sum = 0;
    do {
        const int32_t id = kept < taken ? s->order[n - 1 - kept] : take_best(s, n - taken++);

        if (kept == 0)
            least = s->how.min_p * (double)s->probs[id];
        else if ((double)s->probs[id] < least)
            break;
        *sum += (double)s->probs[id];
        kept++;
    } while (kept < k && *sum < s->how.top_p * of_all);
    return kept;
}

static int32_t draw(struct dg_sampler *s)
{
    const bool all = s->how.top_k == 0 && s->how.top_p >= 1 && s->how.min_p <= 0;
    double sum = 0, cumulative = 0, target;
    const uint32_t n = all ? s->vocab : keep(s, &sum);
    int32_t id = 0;

    target = next_coin(s) * (all ? total(s) : sum);
    for (uint32_t i = 0; i < n; i++) {
        id = all ? (int32_t)i : s->order[s->vocab - 1 - i];
        cumulative += (double)s->probs[id];
        if (target < cumulative)
            break;
    }
    return id;
}

/* The logits as they are drawn from, to s->probs, with temp > 0 less the highest: a quotient that
 * leaves the range of a float is then -INFINITY, never INFINITY. */
static void adjust(struct dg_sampler *s, const float *logits, const int32_t *ids, size_t n)
{
    const float penalty = (float)s->how.repeat_penalty;
    float max = -INFINITY;

    memcpy(s->probs, logits, s->vocab * sizeof *s->probs);
    if (penalty > 1)
        for (size_t i = 0; i < n; i++) { /* from `logits`, so that an id is penalised once */
            const float l = logits[ids[i]];

            s->probs[ids[i]] = l > 0 ? l / penalty : fmaxf(l * penalty, -FLT_MAX);
        }
    if (s->how.temp <= 0)
        return;
    for (uint32_t i = 0; i < s->vocab; i++)
        max = fmaxf(max, s->probs[i]);
    for (uint32_t i = 0; i < s->vocab; i++)
        s->probs[i] = (float)(((double)s->probs[i] - (double)max) / s->how.temp);
}

static enum dg_status check_ids(const struct dg_sampler *s, const int32_t *ids, size_t n,
                                struct dg_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || (uint32_t)ids[i] >= s->vocab)
            return dg_fail(err, DG_ERR_TOKEN,
                           "token id %zu: got %" PRId32 ", expected 0 to %" PRIu32, i + 1, ids[i],
                           s->vocab - 1);
    return DG_OK;
}

enum dg_status dg_sampler_next(struct dg_sampler *s, const float *logits, const int32_t *ids,
                               size_t n, int32_t *next, struct dg_error *err)
{
    enum dg_status st;
    fenv_t callers;

    if (!dg_is_given(s, "sampler", err) || !dg_is_given(logits, "logits", err) ||
        (n > 0 && !dg_is_given(ids, "ids", err)) || !dg_is_given(next, "next", err))
        return DG_ERR_USAGE;
    st = check_ids(s, ids, n, err);
    if (st == DG_OK)
        st = check_finite(logits, s->vocab, err);
    if (st != DG_OK)
        return st;
    fegetenv(&callers);
    fesetenv(FE_DFL_ENV);
    adjust(s, logits, ids, n);
    softmax(s->probs, s->probs, s->vocab, next);
    if (s->how.temp > 0)
        *next = draw(s);
    fesetenv(&callers);
    return DG_OK;
}
