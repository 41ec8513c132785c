/* Texts that share steps: what a step of many costs, and how long it becomes while a prompt is read in between. */
#include "bench.h"
#include "../cli/engine.h"
#include "../cli/leaving.h"
#include "../cli/seconds.h"
#include "../../src/model/model.h"

#include <math.h>
#include <stdlib.h>

/* A text goes back to PAST positions after as many tokens; MOST_GAPS: samples of each kind. */
enum { PAST = 16, TOKENS = 64, PROMPT = 512, MOST_GAPS = 4096 };

struct bench_batch {
    struct dg_engine *engine;
    struct dg_sequence *texts[BENCH_MOST_TEXTS], *reader;
    int32_t ids[BENCH_MOST_TEXTS], *prompt; /* [n_prompt] */
    float *probs;
    size_t n, n_prompt, past, tokens;
    uint32_t vocab;
};

static int32_t some_id(const struct bench_batch *b, size_t i)
{
    return (int32_t)((31373 + 7919 * i) % b->vocab);
}

static struct dg_sequence *new_sequence(struct bench_batch *b)
{
    struct dg_sequence *s;
    struct dg_error err;

    cli_check(dg_sequence_new(&s, b->engine, &err), &err);
    return s;
}

struct bench_batch *bench_batch_new(struct dg_model *model, struct dg_team *team, unsigned texts)
{
    const struct dg_engine_options opt = cli_engine_options();
    const size_t positions = model->sizes.positions;
    struct bench_batch *b = bench_allocate(1, sizeof *b);
    struct dg_error err;

    cli_check(dg_engine_new(&b->engine, model, team, &opt, &err), &err);
    b->vocab = model->sizes.vocab;
    b->n = texts;
    b->n_prompt = positions < PROMPT ? positions : PROMPT;
    b->past = positions / 2 < PAST ? positions / 2 : PAST;
    b->tokens = positions - b->past < TOKENS ? positions - b->past : TOKENS;
    b->probs = bench_allocate(b->vocab, sizeof *b->probs);
    b->prompt = bench_allocate(b->n_prompt, sizeof *b->prompt);
    for (size_t i = 0; i < b->n_prompt; i++)
        b->prompt[i] = some_id(b, i);
    b->reader = new_sequence(b);
    for (size_t i = 0; i < b->n; i++) {
        b->texts[i] = new_sequence(b);
        b->ids[i] = some_id(b, i);
        cli_check(dg_sequence_eval(b->texts[i], b->prompt, b->past, 0, &err), &err);
    }
    return b;
}

void bench_batch_free(struct bench_batch *b)
{
    for (size_t i = 0; i < b->n; i++)
        dg_sequence_free(b->texts[i]);
    dg_sequence_free(b->reader);
    dg_engine_free(b->engine);
    free(b->prompt);
    free(b->probs);
    free(b);
}

/* The next id of each text, as in bench_decode_run(). */
static void choose(struct bench_batch *b)
{
    struct dg_error err;
    int32_t best;

    for (size_t i = 0; i < b->n; i++) {
        cli_check(dg_softmax(b->probs, dg_sequence_logits(b->texts[i]), b->vocab, &best, &err),
                  &err);
        b->ids[i] = dg_pick(b->probs, b->vocab, 0.5f);
    }
}

/* A token of each text, beside `share` ids of the prompt. */
static void step(struct bench_batch *b, size_t share)
{
    struct dg_part parts[BENCH_MOST_TEXTS + 1];
    const size_t read = dg_sequence_position(b->reader), left = b->n_prompt - read;
    size_t n = b->n;
    struct dg_error err;

    for (size_t i = 0; i < n; i++) {
        if (dg_sequence_position(b->texts[i]) == b->past + b->tokens)
            dg_sequence_rewind(b->texts[i], b->past);
        parts[i] = (struct dg_part){b->texts[i], &b->ids[i], 1, 1, DG_OK};
    }
    if (share > 0)
        parts[n++] = (struct dg_part){b->reader, b->prompt + read, share < left ? share : left,
                                      share < left ? 0 : 1, DG_OK};
    cli_check(dg_batch_eval(parts, n, &err), &err);
    choose(b);
}

void bench_batch_run(void *batch)
{
    step(batch, 0);
}

/* Each text's flops, cache and row of wpe are its own; the weights are read once. */
void bench_batch_cost(const struct dg_model *m, unsigned workers, unsigned texts, double *flops,
                      double *bytes)
{
    const struct dg_sizes *z = &m->sizes;
    const uint32_t past = PAST + TOKENS / 2;

    bench_step_cost(m, workers, 1, past, flops, bytes);
    *flops *= texts;
    *bytes += (texts - 1.0) * (sizeof(float) * z->channels + bench_kept_bytes(z, past + 1));
}

/* ---- gaps ---- */

static double time_step(struct bench_batch *b, size_t share)
{
    const double start = cli_seconds();

    step(b, share);
    return 1e3 * (cli_seconds() - start);
}

/* The value that 99 of 100 are at most; of a list in order. */
static double most_of(const double *values, size_t n)
{
    return values[(size_t)ceil(0.99 * (double)n) - 1];
}

/* A prompt, in turns with steps without: so both are measured in the same state of the machine. */
static size_t read_prompt(struct bench_batch *b, size_t share, double *alone, double *beside)
{
    size_t n = 0;

    dg_sequence_rewind(b->reader, 0);
    while (dg_sequence_position(b->reader) < b->n_prompt) {
        alone[n] = time_step(b, 0);
        beside[n++] = time_step(b, share);
    }
    return n;
}

/* The three shapes of steps. */
static void make_plans(struct bench_batch *b, size_t share)
{
    struct dg_error err;

    step(b, 0);
    dg_sequence_rewind(b->reader, 0);
    if (b->n_prompt > share)
        cli_check(
            dg_sequence_eval(b->reader, b->prompt, (b->n_prompt - 1) / share * share, 0, &err),
            &err);
    step(b, share);
    dg_sequence_rewind(b->reader, 0);
    step(b, share);
}

void bench_gap(struct bench_gap *out, struct bench_batch *b, const struct bench_effort *effort)
{
    double *alone = bench_allocate(MOST_GAPS, sizeof *alone);
    double *beside = bench_allocate(MOST_GAPS, sizeof *beside);
    const double start = cli_seconds();
    const size_t share = dg_batch_share(b->engine, b->n);
    const size_t steps = (b->n_prompt + share - 1) / share;
    size_t n = 0;

    make_plans(b, share);
    do {
        n += read_prompt(b, share, alone + n, beside + n);
    } while (!bench_enough(effort, cli_seconds() - start, 0, (unsigned)n) &&
             n + steps <= MOST_GAPS);
    out->texts = (unsigned)b->n;
    out->share = (unsigned)share;
    out->tokens = (unsigned)b->n_prompt;
    out->steps = (unsigned)n;
    out->alone_ms = limits_median(alone, n);
    out->ms = limits_median(beside, n); /* and they are in order */
    out->alone_p99 = most_of(alone, n);
    out->p99 = most_of(beside, n);
    free(alone);
    free(beside);
}
