/* dg_sampler_*, dg_log_probability, against a plain reference in double precision: which ids can be
 * drawn, how often, and from which random numbers. All seeds are fixed: a test that passes once
 * passes always. */
#include "../../support/support.h"
#include "../../../src/dagpt.h"

#include <fenv.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 300 };

static const struct dg_sampling plain = {.repeat_penalty = 1, .temp = 1, .top_p = 1, .seed = 1};

static struct dg_sampler *open_sampler(uint32_t vocab, const struct dg_sampling *how)
{
    struct dg_sampler *s;
    struct dg_error err;

    ck_assert_msg(dg_sampler_new(&s, vocab, how, &err) == DG_OK, "%s", err.text);
    return s;
}

static int32_t draw(struct dg_sampler *s, const float *logits, const int32_t *ids, size_t n)
{
    struct dg_error err;
    int32_t id = -1;

    ck_assert_msg(dg_sampler_next(s, logits, ids, n, &id, &err) == DG_OK, "%s", err.text);
    return id;
}

/* ---- the reference ---- */

struct candidate {
    double logit, probability;
    int32_t id;
};

/* More likely ones first; of equals the lower id. */
static int by_probability(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;

    if (x->logit != y->logit)
        return x->logit > y->logit ? -1 : 1;
    return x->id < y->id ? -1 : 1;
}

static double sum_of(const struct candidate *c, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += c[i].probability;
    return sum;
}

/* The ids that can be drawn, most likely first, and their probabilities, which add up to 1; returns
 * how many there are. *doubt: another number would be right, too, if probabilities were a millionth
 * larger or smaller. */
static size_t reference(struct candidate *c, const float *logits, size_t vocab,
                        const struct dg_sampling *how, const int32_t *ids, size_t n, bool *doubt)
{
    size_t kept = vocab;
    double sum;

    for (size_t i = 0; i < vocab; i++) {
        c[i] = (struct candidate){.logit = (double)logits[i], .id = (int32_t)i};
        for (size_t k = 0; k < n; k++) {
            if (ids[k] != (int32_t)i)
                continue;
            c[i].logit = (float)(c[i].logit > 0 ? c[i].logit / how->repeat_penalty
                                                : c[i].logit * how->repeat_penalty);
            break;
        }
    }
    qsort(c, vocab, sizeof *c, by_probability);
    *doubt = false;
    if (how->temp == 0) {
        c[0].probability = 1;
        return 1;
    }
    for (size_t i = 0; i < vocab; i++)
        c[i].probability = exp((c[i].logit - c[0].logit) / how->temp);
    if (how->top_k > 0 && how->top_k < kept)
        kept = how->top_k;
    sum = sum_of(c, kept);
    for (size_t i = 0; i < kept && how->top_p < 1; i++) {
        const double so_far = sum_of(c, i + 1) / sum;

        if (fabs(so_far - how->top_p) < 1e-6)
            *doubt = true;
        if (so_far >= how->top_p)
            kept = i + 1;
    }
    for (size_t i = 1; i < kept; i++) {
        if (fabs(c[i].probability - how->min_p) < 1e-6 * how->min_p)
            *doubt = true;
        if (c[i].probability < how->min_p)
            kept = i;
    }
    sum = sum_of(c, kept);
    for (size_t i = 0; i < kept; i++)
        c[i].probability /= sum;
    return kept;
}

/* SplitMix64, from its paper: the state is a Weyl sequence of the golden ratio, and this is Stafford's
 * variant 13 of MurmurHash3's finish. */
static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = *state = *state + 11400714819323198485u;

    z = (z ^ (z >> 30)) * 13787848793156543929u;
    z = (z ^ (z >> 27)) * 10723151780598845931u;
    return z ^ (z >> 31);
}

/* ---- ids and how often ---- */

/* Draws `draws` ids; those that the reference does not have must not come, and the chi-square of the
 * others must be one that chance exceeds about once in a million times: by Wilson and Hilferty
 * chi-square / k is the cube of a normal variable, with mean 1 - 2 / 9k and variance 2 / 9k. Ids that
 * are expected fewer than 5 times are taken together. */
static void compare(const float *logits, uint32_t vocab, const struct dg_sampling *how,
                    const int32_t *ids, size_t n, uint32_t draws)
{
    struct candidate c[MOST];
    uint32_t counts[MOST] = {0}, seen = 0;
    struct dg_sampler *s = open_sampler(vocab, how);
    double chi_square = 0, rest = 0, rest_seen = 0;
    int cells = 0;
    bool doubt;
    const size_t kept = reference(c, logits, vocab, how, ids, n, &doubt);

    ck_assert_msg(!doubt, "the test itself is in doubt: another seed");
    for (uint32_t i = 0; i < draws; i++) {
        const int32_t id = draw(s, logits, ids, n);

        ck_assert_msg(id >= 0 && id < (int32_t)vocab, "id %d", id);
        counts[id]++;
    }
    for (size_t i = 0; i < kept; i++) {
        const double expected = c[i].probability * draws;

        seen += counts[c[i].id];
        if (expected < 5) {
            rest += expected;
            rest_seen += counts[c[i].id];
            continue;
        }
        chi_square += (counts[c[i].id] - expected) * (counts[c[i].id] - expected) / expected;
        cells++;
    }
    ck_assert_msg(seen == draws, "%u of %u draws gave an id that is not kept", draws - seen, draws);
    if (rest >= 5) {
        chi_square += (rest_seen - rest) * (rest_seen - rest) / rest;
        cells++;
    } else {
        ck_assert_double_lt(rest_seen, rest + 25);
    }
    if (cells > 1) {
        const double k = cells - 1, spread = sqrt(2 / (9 * k));

        ck_assert_msg((cbrt(chi_square / k) - (1 - 2 / (9 * k))) / spread < 4.9,
                      "chi-square %g with %g degrees of freedom", chi_square, k);
    }
    dg_sampler_free(s);
}

static uint32_t draws(void)
{
    return sanitized() ? 5000 : 200000;
}

static void fill(float *logits, uint32_t vocab, uint64_t seed)
{
    for (uint32_t i = 0; i < vocab; i++)
        logits[i] = random_float(&seed, -3, 4);
}

START_TEST(distribution)
{
    const int32_t history[] = {3, 7, 3, 3, 19, 0, 7};
    struct dg_sampling how[9];
    float logits[40];

    fill(logits, 40, 5);
    logits[3] = 3.5f;
    logits[7] = -1.5f;
    for (size_t i = 0; i < 9; i++)
        how[i] = plain;
    how[1].temp = 0.5;
    how[2].temp = 3;
    how[3].top_k = 7;
    how[4].top_p = 0.7;
    how[5].min_p = 0.1;
    how[6].repeat_penalty = 1.7;
    how[7] = (struct dg_sampling){0, 1.3, 0.8, 20, 0.9, 0.05, 12};
    how[8] = (struct dg_sampling){0, 2, 2, 30, 0.95, 0.2, 13};
    for (size_t i = 0; i < 9; i++)
        compare(logits, 40, &how[i], history, 7, draws());
}
END_TEST

/* The kept ids exactly, over many options: each that the reference has with a probability of some
 * size comes, and no other. */
START_TEST(kept_ids)
{
    const uint32_t rounds = sanitized() ? 50 : 600;
    uint64_t state = 77;
    uint32_t compared = 0;

    for (uint32_t round = 0; round < rounds; round++) {
        const uint32_t vocab = 1 + random_below(&state, 60);
        const struct dg_sampling how = {
            .repeat_penalty = round % 3 ? 1 : (double)random_float(&state, 1, 3),
            .temp = (double)random_float(&state, 0.3f, 3),
            .top_k = round % 2 ? 0 : random_below(&state, 70),
            .top_p = round % 5 < 2 ? 1 : (double)random_float(&state, 0, 1),
            .min_p = round % 7 < 4 ? 0 : (double)random_float(&state, 0, 0.5f),
            .seed = round,
        };
        int32_t ids[10];
        float logits[60];
        struct candidate c[60];
        bool can[60] = {false}, did[60] = {false}, doubt;
        struct dg_sampler *s = open_sampler(vocab, &how);
        size_t kept;

        for (uint32_t i = 0; i < vocab; i++) /* of few values, so that many are equal */
            logits[i] = round % 4 ? (float)random_below(&state, 9) * 0.25f - 1
                                  : random_float(&state, -2, 2);
        for (size_t i = 0; i < 10; i++)
            ids[i] = (int32_t)random_below(&state, vocab);
        kept = reference(c, logits, vocab, &how, ids, 10, &doubt);
        for (size_t i = 0; i < kept; i++)
            can[c[i].id] = true;
        for (int i = 0; i < 2000; i++) {
            const int32_t id = draw(s, logits, ids, 10);

            ck_assert_msg(doubt || can[id], "round %u: id %d is not one of the %zu", round, id,
                          kept);
            did[id] = true;
        }
        for (size_t i = 0; i < kept && !doubt; i++)
            ck_assert_msg(did[c[i].id] || c[i].probability < 0.008,
                          "round %u: id %d of probability %g never came", round, c[i].id,
                          c[i].probability);
        compared += !doubt;
        dg_sampler_free(s);
    }
    ck_assert_uint_gt(compared, rounds * 9 / 10);
}
END_TEST

/* ---- random numbers ---- */

/* All of 2^k ids equally likely: an id is the first k bits of a random number; in the order of
 * ids with and without the options that sort them, since equals stand by id. */
START_TEST(random_numbers)
{
    static const uint64_t published[] = {6457827717110365317u, 3203168211198807973u,
                                         9817491932198370423u, 4593380528125082431u,
                                         16408922859458223821u};
    static float logits[1 << 16];
    uint64_t state = 1234567;

    for (size_t i = 0; i < 5; i++)
        ck_assert(splitmix64(&state) == published[i]);
    for (uint32_t bits = 0; bits <= 16; bits++) {
        struct dg_sampling how = plain, sorted = plain;
        struct dg_sampler *s, *t;

        how.seed = sorted.seed = 1234567;
        sorted.min_p = 0.5;
        s = open_sampler(1u << bits, &how);
        t = open_sampler(1u << bits, &sorted);
        state = 1234567;
        for (size_t i = 0; i < 8; i++) {
            const int32_t expected =
                (int32_t)((i < 5 ? published[i] : splitmix64(&state)) >> 32 >> (32 - bits));

            if (i < 5)
                splitmix64(&state);
            ck_assert_int_eq(draw(s, logits, NULL, 0), expected);
            ck_assert_int_eq(draw(t, logits, NULL, 0), expected);
        }
        dg_sampler_free(s);
        dg_sampler_free(t);
    }
}
END_TEST

static uint64_t inverse(uint64_t odd) /* modulo 2^64; each step doubles the right bits, from 3 */
{
    uint64_t x = odd;

    for (int i = 0; i < 5; i++)
        x *= 2 - odd * x;
    return x;
}

/* The seed whose first random number is z. */
static uint64_t seed_of(uint64_t z)
{
    z = (z ^ z >> 31 ^ z >> 62) * inverse(10723151780598845931u);
    z = (z ^ z >> 27 ^ z >> 54) * inverse(13787848793156543929u);
    return (z ^ z >> 30 ^ z >> 60) - 11400714819323198485u;
}

/* Of n equally likely ids, the random numbers on both sides of each border between two: all 53 bits
 * count. */
START_TEST(borders)
{
    const float logits[30] = {0};

    for (uint32_t n = 2; n <= 30; n++) {
        const double p = (double)(1.0f / (float)n);
        double total = 0, below = 0;

        for (uint32_t i = 0; i < n; i++)
            total += p;
        for (uint32_t k = 1; k < n; k++) {
            uint64_t coin = (uint64_t)((double)k / n * 0x1p53) - 64;

            below += p;
            while ((double)coin * 0x1p-53 * total < below)
                coin++;
            for (uint32_t side = 0; side < 2; side++) { /* id k - 1, then id k */
                struct dg_sampling how = plain;
                struct dg_sampler *s;

                how.seed = seed_of((coin - 1 + side) << 11 | (k & 1 ? 0x7FF : 0));
                s = open_sampler(n, &how);
                ck_assert_int_eq(draw(s, logits, NULL, 0), (int32_t)(k - 1 + side));
                dg_sampler_free(s);
            }
        }
    }
}
END_TEST

START_TEST(seeds)
{
    static const uint64_t some[] = {0, 1, 2, UINT64_MAX, 1u << 31, (uint64_t)1 << 53};
    float logits[64];

    fill(logits, 64, 3);
    for (size_t a = 0; a < 6; a++) {
        for (size_t b = 0; b < 6; b++) {
            struct dg_sampling how = plain, other = plain;
            struct dg_sampler *s, *t;
            int same = 0;

            how.seed = some[a];
            other.seed = some[b];
            s = open_sampler(64, &how);
            t = open_sampler(64, &other);
            for (int i = 0; i < 100; i++)
                same += draw(s, logits, NULL, 0) == draw(t, logits, NULL, 0);
            ck_assert_msg(a == b ? same == 100 : same < 30, "seeds %zu and %zu: %d the same", a, b,
                          same);
            dg_sampler_free(s);
            dg_sampler_free(t);
        }
    }
}
END_TEST

/* ---- the most likely id ---- */

START_TEST(greedy)
{
    struct dg_sampling how = plain;
    float logits[] = {-2, 1, 5, 0, 5, 5};
    const int32_t history[] = {2, 2, 2}, all[] = {0, 1, 2, 3, 4, 5};
    struct dg_sampler *s;

    how.temp = 0;
    how.top_p = 0; /* none of these counts */
    how.min_p = 1;
    how.top_k = 1;
    s = open_sampler(6, &how);
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(draw(s, logits, history, 3), 2);
    logits[5] = nextafterf(5, 6);
    ck_assert_int_eq(draw(s, logits, NULL, 0), 5);
    dg_sampler_free(s);
    how.repeat_penalty = 2;
    s = open_sampler(6, &how);
    logits[5] = 5;
    ck_assert_int_eq(draw(s, logits, history, 3), 4); /* 2.5: penalised once, but enough */
    logits[4] = logits[5] = 2;
    ck_assert_int_eq(draw(s, logits, history, 3), 2); /* 2.5 > 2, where 1.25 and 0.625 were not */
    memcpy(logits, (const float[]){-4, -1, -3, -5, -8, -9}, sizeof logits);
    ck_assert_int_eq(draw(s, logits, NULL, 0), 1);
    ck_assert_int_eq(draw(s, logits, all + 1, 1), 1); /* -2: multiplied where it is negative */
    logits[1] = -1.75f;
    ck_assert_int_eq(draw(s, logits, all + 1, 1), 2); /* -3.5 < -3 */
    ck_assert_int_eq(draw(s, logits, all, 6), 1);
    memset(logits, 0, sizeof logits);
    ck_assert_int_eq(draw(s, logits, all, 6), 0); /* 0 stays 0 */
    dg_sampler_free(s);
}
END_TEST

/* Options that leave the most likely id alone, or change nothing. */
START_TEST(edges)
{
    const struct dg_sampling lone[] = {
        {0, 1, 1, 1, 1, 0, 3},      {0, 1, 1, 0, 1e-300, 0, 3},     {0, 1, 1, 0, 1, 1, 3},
        {0, 1, 1e-5, 0, 1, 0, 3},   {0, 1, 1e-37, 0, 1, 0, 3},      {0, 1, 1e-45, 0, 1, 0, 3},
        {0, 1, 5e-324, 0, 1, 0, 3}, {0, 1, 1e-300, 5, 0.9, 0.1, 3},
    };
    struct dg_sampling wide = {0, 1, 1, 8, 1, 0, 3}, wider = {0, 1, 1, UINT32_MAX, 1, 0, 3};
    const float logits[] = {1, -1, 2, 0.5f, 2.5f, -3, 1, 0};
    const int32_t history[] = {1, 4, 6};
    struct dg_sampler *s, *t, *u;

    for (size_t i = 0; i < sizeof lone / sizeof *lone; i++) {
        s = open_sampler(8, &lone[i]);
        for (int k = 0; k < 300; k++)
            ck_assert_int_eq(draw(s, logits, NULL, 0), 4);
        dg_sampler_free(s);
    }
    s = open_sampler(8, &(struct dg_sampling){0, 1, 1, 0, 1, 0, 3});
    for (int k = 0; k < 200; k++) /* of one id there is no other */
        draw(s, logits, NULL, 0);
    dg_sampler_free(s);

    for (int32_t best = 0; best < 3; best++) { /* a tiny temperature, wherever the best one is */
        float three[] = {-5, -5, -5};

        three[best] = -2;
        s = open_sampler(3, &lone[6]);
        ck_assert_int_eq(draw(s, three, NULL, 0), best);
        three[best] = 2;
        ck_assert_int_eq(draw(s, three, NULL, 0), best);
        dg_sampler_free(s);
    }

    /* top_k of the whole vocabulary, or more; a penalty of 1 */
    s = open_sampler(8, &wide);
    t = open_sampler(8, &wider);
    u = open_sampler(8, &wider);
    for (int k = 0; k < 1000; k++) {
        const int32_t id = draw(s, logits, NULL, 0);

        ck_assert_int_eq(draw(t, logits, NULL, 0), id);
        ck_assert_int_eq(draw(u, logits, history, 3), id);
    }
    dg_sampler_free(s);
    dg_sampler_free(t);
    dg_sampler_free(u);
    compare(logits, 8, &wider, NULL, 0, draws());
    wide.temp = 1e6;
    compare(logits, 8, &wide, NULL, 0, draws());
    s = open_sampler(1, &plain);
    for (int k = 0; k < 100; k++)
        ck_assert_int_eq(draw(s, logits, (const int32_t[]){0}, 1), 0);
    dg_sampler_free(s);
}
END_TEST

/* 400 draws draw the ids that have a 1 in `can`, each at least once, and no others. */
static void expect_drawn(const float *logits, const struct dg_sampling *how, const char *can)
{
    const uint32_t vocab = (uint32_t)strlen(can);
    struct dg_sampler *s = open_sampler(vocab, how);
    char did[16];

    strcpy(did, can);
    memset(did, '0', vocab);
    for (int k = 0; k < 400; k++)
        did[draw(s, logits, NULL, 0)] = '1';
    ck_assert_msg(!strcmp(did, can),
                  "penalty %g, temp %g, top-k %u, top-p %g, min-p %g: ids %s, expected %s",
                  how->repeat_penalty, how->temp, how->top_k, how->top_p, how->min_p, did, can);
    dg_sampler_free(s);
}

/* Equals: min_p 1 keeps all of them, top_k and top_p the lowest ids. */
START_TEST(ties)
{
    const float logits[] = {0, 7, 1, 7, 7, 2, 7};
    const struct {
        struct dg_sampling how;
        const char *can; /* by id */
    } cases[] = {
        {{0, 1, 1, 0, 1, 1, 5}, "0101101"},       {{0, 1, 1, 3, 1, 0, 5}, "0101100"},
        {{0, 1, 1, 2, 1, 1, 5}, "0101000"},       {{0, 1, 0.01, 0, 0.4, 0, 5}, "0101000"},
        {{0, 1, 0.01, 0, 0.5, 0, 5}, "0101000"}, /* it reaches half of four */
        {{0, 1, 0.01, 0, 0.51, 0, 5}, "0101100"}, {{0, 1, 0.01, 0, 1e-300, 0, 5}, "0100000"},
        {{0, 1, 0.01, 4, 0.75, 0, 5}, "0101100"}, {{0, 1, 0.01, 2, 0.5, 0, 5}, "0100000"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_drawn(logits, &cases[i].how, cases[i].can);
}
END_TEST

/* top_p counts among those that top_k left: of 4, 3, 2 and 1 tenths the first two are 4/7 and 3/7. */
START_TEST(order_of_options)
{
    const float logits[] = {logf(1), logf(2), logf(3), logf(4)};
    const struct {
        struct dg_sampling how;
        const char *can;
    } cases[] = {
        {{0, 1, 1, 2, 0.55, 0, 5}, "0001"}, /* 0.571; of all it would be 0.4, too few */
        {{0, 1, 1, 0, 0.55, 0, 5}, "0011"},
        {{0, 1, 1, 0, 0.75, 0, 5}, "0111"},
        {{0, 1, 1, 0, 0.75, 0.6, 5}, "0011"}, /* min_p: 0.75, then 0.5 of the first */
        {{0, 1, 1, 0, 1, 0.45, 5}, "0111"},
        {{0, 1, 0.5, 0, 1, 0.45, 5}, "0011"}, /* the temperature comes before it: 0.5625, 0.25 */
        {{0, 1, 0.5, 0, 0.9, 0, 5}, "0111"},  /* 16, 9, 4, 1 of 30: 0.533, 0.833, 0.967 */
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_drawn(logits, &cases[i].how, cases[i].can);
}
END_TEST

/* Logits at the ends of the range of floats, and what options make of them. */
START_TEST(extreme_logits)
{
    const float high[] = {FLT_MAX, -FLT_MAX, FLT_MAX, 0}, low[] = {-FLT_MAX, -FLT_MAX, -1e33f};
    const int32_t ids[] = {0, 1, 2};
    struct dg_sampling how = plain;

    for (int k = 0; k < 3; k++) {
        struct dg_sampler *s;
        bool did[4] = {false};

        how.temp = k == 0 ? 1 : k == 1 ? 1e-30 : 1e6;
        s = open_sampler(4, &how);
        for (int i = 0; i < 100; i++)
            did[draw(s, high, NULL, 0)] = true;
        ck_assert(did[0] && did[2] && !did[1] && !did[3]);
        dg_sampler_free(s);
    }
    how.repeat_penalty = 1e6;
    for (int k = 0; k < 2; k++) {
        struct dg_sampler *s;

        how.temp = k;
        s = open_sampler(3, &how);
        for (int i = 0; i < 50; i++) {
            const int32_t id = draw(s, low, ids, 3); /* all of them as low as a float can be */

            ck_assert_int_ge(id, 0);
            ck_assert_int_lt(id, k ? 3 : 1);
        }
        ck_assert_int_eq(draw(s, low, ids, 2), 2);
        dg_sampler_free(s);
    }
}
END_TEST

/* ---- errors, and the caller's state ---- */

START_TEST(ranges)
{
    const struct {
        struct dg_sampling how;
        const char *text; /* NULL: right */
    } cases[] = {
        {{0, 1, 0, 0, 0, 0, 0}, NULL},
        {{0, 1e6, 1e6, UINT32_MAX, 1, 1, UINT64_MAX}, NULL},
        {{0, 0.999, 1, 0, 1, 0, 0}, "repeat penalty: got 0.999, expected 1 to 1e+06"},
        {{0, 0, 1, 0, 1, 0, 0}, NULL}, /* none */
        {{sizeof(struct dg_sampling), 1, 0, 0, 0, 0, 0}, NULL},
        {{8, 1, 0, 0, 0, 0, 0}, "sampling: size: got 8, expected"},
        {{0, 1.1e6, 1, 0, 1, 0, 0}, "repeat penalty"},
        {{0, NAN, 1, 0, 1, 0, 0}, "repeat penalty"},
        {{0, INFINITY, 1, 0, 1, 0, 0}, "repeat penalty"},
        {{0, 1, -1e-9, 0, 1, 0, 0}, "temperature: got -1e-09, expected 0 to 1e+06"},
        {{0, 1, 1.1e6, 0, 1, 0, 0}, "temperature"},
        {{0, 1, NAN, 0, 1, 0, 0}, "temperature"},
        {{0, 1, 1, 0, -0.1, 0, 0}, "top-p: got -0.1, expected 0 to 1"},
        {{0, 1, 1, 0, 1.001, 0, 0}, "top-p"},
        {{0, 1, 1, 0, NAN, 0, 0}, "top-p"},
        {{0, 1, 1, 0, 1, -0.1, 0}, "min-p: got -0.1, expected 0 to 1"},
        {{0, 1, 1, 0, 1, 1.001, 0}, "min-p"},
        {{0, 1, 1, 0, 1, NAN, 0}, "min-p"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct dg_sampler *s = NULL;
        struct dg_error err;
        const enum dg_status st = dg_sampler_new(&s, 3, &cases[i].how, &err);

        ck_assert_int_eq(st, cases[i].text ? DG_ERR_USAGE : DG_OK);
        if (cases[i].text) {
            ck_assert_int_eq(err.status, DG_ERR_USAGE);
            ck_assert_msg(strstr(err.text, cases[i].text) == err.text, "%s", err.text);
            ck_assert_ptr_null(s);
        }
        dg_sampler_free(s);
    }
    dg_sampler_free(NULL);
}
END_TEST

/* Zeros are the defaults: no penalty, all ids, and without a temperature the most likely one. */
START_TEST(zeros)
{
    const struct dg_sampling none = {0}, all = {.temp = 1, .seed = 9},
                             said = {.repeat_penalty = 1, .temp = 1, .top_p = 1, .seed = 9};
    const float logits[] = {1, 3, 2, 3};
    const int32_t history[] = {1};
    struct dg_sampler *s = open_sampler(4, &none), *t = open_sampler(4, &all),
                      *u = open_sampler(4, &said);

    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(draw(s, logits, history, 1), 1);
        ck_assert_int_eq(draw(t, logits, history, 1), draw(u, logits, history, 1));
    }
    dg_sampler_free(s);
    dg_sampler_free(t);
    dg_sampler_free(u);
}
END_TEST

/* Ids that the vocabulary does not have are refused, and nothing is read or written by them. */
START_TEST(ids_out_of_range)
{
    const struct dg_sampling how = {.repeat_penalty = 2, .temp = 1};
    static const int32_t bad[] = {-1, 4, INT32_MAX, INT32_MIN};
    const float logits[] = {1, 3, 2, 3};
    struct dg_sampler *s = open_sampler(4, &how), *none = NULL;
    struct dg_error err;

    for (int i = 0; i < 4; i++) {
        const int32_t ids[] = {0, bad[i], 5};
        int32_t next = -7;
        char text[80];

        snprintf(text, sizeof text, "token id 2: got %d, expected 0 to 3", (int)bad[i]);
        ck_assert_int_eq(dg_sampler_next(s, logits, ids, 3, &next, &err), DG_ERR_TOKEN);
        ck_assert_str_eq(err.text, text);
        ck_assert_int_eq(next, -7);
    }
    dg_sampler_free(s);
    ck_assert_int_eq(dg_sampler_new(&none, 0, &how, &err), DG_ERR_USAGE);
    ck_assert_ptr_null(none);
}
END_TEST

/* No logits have no maximum, and an id that is none no probability. */
START_TEST(nothing_to_choose_from)
{
    const float logits[] = {1, 2};
    float probs[2];
    struct dg_error err;
    int32_t best = -7;

    ck_assert_int_eq(dg_softmax(probs, logits, 0, &best, &err), DG_ERR_USAGE);
    ck_assert_int_eq(best, -7);
    ck_assert(isnan(dg_log_probability(logits, 2, 2)));
    ck_assert(isnan(dg_log_probability(logits, 2, -1)));
    ck_assert(isnan(dg_log_probability(logits, 0, 0)));
    ck_assert(!isnan(dg_log_probability(logits, 2, 1)));
}
END_TEST

START_TEST(damaged_logits)
{
    const float wrong[] = {NAN, INFINITY, -INFINITY};
    const double temps[] = {0, 1, 1e-40};

    for (size_t i = 0; i < 9; i++) {
        struct dg_sampling how = plain;
        float logits[] = {1, 2, 3, 4};
        struct dg_sampler *s;
        struct dg_error err;
        int32_t id;

        how.temp = temps[i / 3];
        s = open_sampler(4, &how);
        for (size_t at = 0; at < 4; at++) {
            char expected[64];
            const float kept = logits[at];

            logits[at] = wrong[i % 3];
            snprintf(expected, sizeof expected, "logit of id %zu: got ", at);
            ck_assert_int_eq(dg_sampler_next(s, logits, NULL, 0, &id, &err), DG_ERR_MODEL);
            ck_assert_msg(strstr(err.text, expected) == err.text, "%s", err.text);
            logits[at] = kept;
        }
        ck_assert_int_ge(draw(s, logits, NULL, 0), 0); /* no harm was done */
        dg_sampler_free(s);
    }
}
END_TEST

/* The caller's rounding mode changes nothing, and is not changed; nor are the caller's logits. */
START_TEST(rounding)
{
    static const int modes[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    const struct dg_sampling how = {0, 1.3, 0.7, 150, 0.97, 1e-3, 11};
    const int32_t history[] = {1, 2, 3, 250, 40};
    struct dg_sampler *s[4];
    float logits[MOST], kept[MOST];
    uint64_t state = 8;

    for (size_t m = 0; m < 4; m++)
        s[m] = open_sampler(MOST, &how);
    for (int i = 0; i < 3000; i++) {
        int32_t ids[4];

        for (size_t k = 0; k < MOST; k++)
            logits[k] = random_float(&state, -1, 1);
        memcpy(kept, logits, sizeof kept);
        for (size_t m = 0; m < 4; m++) {
            fesetround(modes[m]);
            ids[m] = draw(s[m], logits, history, 5);
            ck_assert_msg(fegetround() == modes[m], "another rounding mode");
            fesetround(FE_TONEAREST);
            ck_assert_msg(ids[m] == ids[0], "mode %zu: id %d, expected %d", m, ids[m], ids[0]);
        }
        ck_assert_msg(!memcmp(kept, logits, sizeof kept), "the logits have changed");
    }
    for (size_t m = 0; m < 4; m++)
        dg_sampler_free(s[m]);
}
END_TEST

/* Probabilities to the last bit, whatever the mode: the coin finds a border that rounding moves. */
START_TEST(rounding_of_softmax)
{
    static const int modes[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    float logits[MOST], probs[4][MOST];
    struct dg_error err;
    int32_t best;

    fill(logits, MOST, 17);
    for (size_t m = 0; m < 4; m++) {
        fesetround(modes[m]);
        ck_assert_int_eq(dg_softmax(probs[m], logits, MOST, &best, &err), DG_OK);
        ck_assert_int_eq(fegetround(), modes[m]);
        fesetround(FE_TONEAREST);
        ck_assert_mem_eq(probs[m], probs[0], sizeof probs[0]);
    }
    for (size_t i = 0; i < MOST; i++) { /* the cumulative sum itself as the coin */
        float coin = 0;

        for (size_t k = 0; k <= i; k++)
            coin += probs[0][k];
        for (size_t m = 0; m < 4; m++) {
            int32_t id;

            fesetround(modes[m]);
            id = dg_pick(probs[0], MOST, coin);
            ck_assert_msg(fegetround() == modes[m], "another rounding mode");
            fesetround(FE_TONEAREST);
            ck_assert_int_eq(id, (int32_t)(i + 1 < MOST ? i + 1 : i));
        }
    }
}
END_TEST

/* ---- dg_softmax, log-probability ---- */

START_TEST(softmax)
{
    struct dg_error err;
    uint64_t state = 31;

    for (int round = 0; round < 200; round++) {
        const size_t n = 1 + random_below(&state, MOST);
        const float size = round % 3 == 0 ? 1 : round % 3 == 1 ? 20 : 1000;
        float *logits = guarded_floats(n), *probs = guarded_floats(n);
        double sum = 0;
        int32_t best = -1;
        size_t first = 0;

        for (size_t i = 0; i < n; i++) /* of few values, so that the highest comes more than once */
            logits[i] = roundf(random_float(&state, -size, size) * 4) / 4;
        for (size_t i = 1; i < n; i++)
            if (logits[i] > logits[first])
                first = i;
        for (size_t i = 0; i < n; i++)
            sum += exp((double)logits[i] - (double)logits[first]);
        ck_assert_int_eq(dg_softmax(probs, logits, n, &best, &err), DG_OK);
        ck_assert_int_eq(best, (int32_t)first);
        for (size_t i = 0; i < n; i++) {
            const double expected = exp((double)logits[i] - (double)logits[first]) / sum;

            ck_assert_msg(fabs((double)probs[i] - expected) <= 3e-6 * expected + 1e-37,
                          "got %g, expected %g", (double)probs[i], expected);
        }
        guarded_free(logits, n);
        guarded_free(probs, n);
    }
}
END_TEST

START_TEST(log_probability)
{
    static float logits[5000];
    uint64_t state = 4;

    for (int round = 0; round < 60; round++) {
        const size_t n = round < 3 ? 1 + (size_t)round : 1 + random_below(&state, 5000);
        const float size = round % 3 == 0 ? 1 : round % 3 == 1 ? 30 : 1e4f;
        long double max, sum = 0, of_all = 0;

        for (size_t i = 0; i < n; i++)
            logits[i] = random_float(&state, -size, size);
        max = logits[0];
        for (size_t i = 1; i < n; i++)
            max = fmaxl(max, logits[i]);
        for (size_t i = 0; i < n; i++)
            sum += expl(logits[i] - max);
        for (size_t k = 0; k < n; k += k < 10 ? 1 : 97) {
            const double got = dg_log_probability(logits, n, (int32_t)k);
            const long double expected = logits[k] - max - logl(sum);

            ck_assert_msg(fabsl(got - expected) <= 1e-13L * (1 + fabsl(expected)),
                          "got %.17g, expected %.20Lg", got, expected);
            of_all += expl(got);
        }
        if (n <= 10)
            ck_assert(fabsl(of_all - 1) < 1e-13L);
    }
    logits[0] = FLT_MAX;
    logits[1] = -FLT_MAX;
    ck_assert_double_eq(dg_log_probability(logits, 2, 0), 0);
    ck_assert_double_eq(dg_log_probability(logits, 2, 1), -2 * (double)FLT_MAX);
    ck_assert_double_eq(dg_log_probability(logits, 1, 0), 0);
    ck_assert_double_eq(dg_log_probability((const float[]){-FLT_MAX, FLT_MAX}, 2, 1), 0);
}
END_TEST

/* A vocabulary of GPT-2's size, where the ids that are kept are few among many. */
START_TEST(large_vocabulary)
{
    enum { N = 50257 };
    float *logits = guarded_floats(N);
    const struct dg_sampling how = {0, 1, 1, 40, 0.9, 0, 6};
    struct dg_sampler *s = open_sampler(N, &how);
    struct candidate *c = malloc(N * sizeof *c);
    uint64_t state = 12;
    bool doubt;

    for (int round = 0; round < (sanitized() ? 5 : 40); round++) {
        size_t kept, at = 0;

        for (size_t i = 0; i < N; i++)
            logits[i] = random_float(&state, -10, 10);
        kept = reference(c, logits, N, &how, NULL, 0, &doubt);
        ck_assert(!doubt);
        ck_assert_uint_ge(kept, 30);
        for (int i = 0; i < 5; i++) {
            const int32_t id = draw(s, logits, NULL, 0);

            for (at = 0; at < kept && c[at].id != id; at++)
                ;
            ck_assert_uint_lt(at, kept);
        }
    }
    free(c);
    dg_sampler_free(s);
    guarded_free(logits, N);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {distribution,
                                  kept_ids,
                                  random_numbers,
                                  borders,
                                  seeds,
                                  greedy,
                                  edges,
                                  ties,
                                  order_of_options,
                                  extreme_logits,
                                  ranges,
                                  zeros,
                                  ids_out_of_range,
                                  nothing_to_choose_from,
                                  damaged_logits,
                                  rounding,
                                  rounding_of_softmax,
                                  softmax,
                                  log_probability,
                                  large_vocabulary,
                                  NULL};

    return run_suite("sampler", tests);
}
