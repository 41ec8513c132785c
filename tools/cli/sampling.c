/* Whether sampling was asked for at all, dagpt tokens does not take for granted. */
#include "sampling.h"
#include "leaving.h"

#include <float.h>
#include <math.h>
#include <time.h>

static double temp = 0.8, top_p = 0.95, min_p = 0, repeat_penalty = 1;
static uint64_t top_k = 0, seed;
static bool greedy;

uint64_t cli_seed_clock;

const struct cli_option cli_sampling_options[] = {
    {0, "temp", CLI_REAL, "X", "divide the logits by X (0.8); 0: the most likely id", &temp, 0, 1e6,
     NULL},
    {0, "top-k", CLI_NUMBER, "K", "only the K most likely ids (all)", &top_k, 1, 1 << 26, NULL},
    {0, "top-p", CLI_REAL, "P", "only the likeliest with probability P together (0.95)", &top_p, 0,
     1, NULL},
    {0, "min-p", CLI_REAL, "P", "only those at least P times as likely as the first (0)", &min_p, 0,
     1, NULL},
    {0, "repeat-penalty", CLI_REAL, "X", "divide the logits of ids that were there by X (1)",
     &repeat_penalty, 1, 1e6, NULL},
    {0, "seed", CLI_NUMBER, "N", "of the random numbers (from the clock)", &seed, 0, 0x1p64, NULL},
    {0, "greedy", CLI_FLAG, NULL, "the most likely id, always", &greedy, 0, 0, NULL},
    {0},
};

/* What is drawn by, beside what always takes the likeliest. */
static void refuse_contradictions(void)
{
    for (const struct cli_option *o = cli_sampling_options; o->name; o++)
        if (o->target != &greedy && o->target != &repeat_penalty)
            cli_not_both(&greedy, o->target);
}

const char *cli_sampling_given(void)
{
    refuse_contradictions();
    for (const struct cli_option *o = cli_sampling_options; o->name; o++)
        if (cli_given(o->target))
            return o->name;
    return NULL;
}

struct dg_sampling cli_sampling(void)
{
    refuse_contradictions();
    if (!cli_given(&seed)) { /* 53 bits, so that a JSON reader gets what --seed takes */
        struct timespec t;

        clock_gettime(CLOCK_REALTIME, &t);
        seed = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
        seed = (cli_seed_clock ? cli_seed_clock : seed) & 0x1FFFFFFFFFFFFF;
    }
    return (struct dg_sampling){
        .size = sizeof(struct dg_sampling),
        .repeat_penalty = repeat_penalty,
        .temp = greedy ? 0 : temp,
        .top_k = (uint32_t)top_k,
        .top_p = fmax(top_p, DBL_MIN), /* 0 would be all, not the first alone */
        .min_p = min_p,
        .seed = seed,
    };
}

static struct dg_sampler *sampler;

static void close_sampler(void)
{
    dg_sampler_free(sampler);
}

struct dg_sampler *cli_sampler(uint32_t vocab, const struct dg_sampling *how)
{
    struct dg_error err;

    if (sampler)
        close_sampler();
    else
        cli_on_leaving(close_sampler);
    sampler = NULL;
    cli_check(dg_sampler_new(&sampler, vocab, how, &err), &err);
    return sampler;
}
