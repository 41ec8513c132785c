/* dagpt tokens ID... - the course lab's program: completes a sequence of ids. Its contract decides the
 * defaults, 10 ids together and the coin of 0.5; ids are flushed one by one, since a reader may time them. */
#include "commands.h"
#include "../cli/ahead.h"
#include "../cli/engine.h"
#include "../cli/ids.h"
#include "../cli/leaving.h"
#include "../cli/options.h"
#include "../cli/recording.h"
#include "../cli/sampling.h"
#include "../cli/seconds.h"
#include "../cli/signals.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t total = 10;
static double coin = 0.5;
static bool no_cache;

static const struct cli_option options[] = {
    {'n', "total", CLI_NUMBER, "N", "ids given and completed together (10)", &total, 1, 1 << 24,
     NULL},
    {0, "coin", CLI_REAL, "X", "the cumulative probability to exceed (0.5)", &coin, 0, 1, NULL},
    {0, "no-cache", CLI_FLAG, NULL, "evaluate the whole sequence again for each id", &no_cache, 0,
     0, NULL},
    {0},
};

static const struct cli_option *const tables[] = {
    cli_model_options, options, cli_sampling_options, cli_team_options, cli_run_options,
    cli_trace_options, NULL};

static const struct cli_command command = {
    "tokens", "[OPTION]... ID...|-",
    "Completes a sequence of token ids, of standard input where it is -: prints the new ids,\n"
    "one a line, each as soon as it is known, until given and new ids are N together. The\n"
    "next id is the first, in vocabulary order, whose cumulative probability exceeds X; with\n"
    "--greedy or an option of sampling it is drawn as dagpt complete draws it.",
    tables};

struct times {
    double start, first, last; /* of the command; of the first and the last id printed */
    double prompt, decode;     /* seconds in each */
    size_t decoded;            /* ids after the first */
    size_t rows;               /* that went through the network */
};

static void print_stats(const struct times *t, size_t n)
{
    fprintf(stderr, "first token  %9.3f ms   from the start of the program's work\n",
            1e3 * (t->first - t->start));
    fprintf(stderr, "prompt       %9.3f ms   %zu tokens, %.1f tokens/s\n", 1e3 * t->prompt, n,
            (double)n / t->prompt);
    if (t->decoded > 0)
        fprintf(stderr, "decode       %9.3f ms a token   %zu tokens, %.1f tokens/s\n",
                1e3 * t->decode / (double)t->decoded, t->decoded, (double)t->decoded / t->decode);
    fprintf(stderr, "evaluated    %9zu rows\n", t->rows);
}

/* How the next id is found: by the coin, or drawn. */
struct chooser {
    float *probs;               /* [vocab] for the coin */
    struct dg_sampler *sampler; /* NULL: the coin */
};

static void open_chooser(struct chooser *c, uint32_t vocab)
{
    *c = (struct chooser){0};
    if (cli_sampling_given()) {
        const struct dg_sampling how = cli_sampling();

        c->sampler = cli_sampler(vocab, &how);
        return;
    }
    c->probs = malloc(vocab * sizeof *c->probs);
    if (!c->probs)
        cli_die(DG_ERR_RESOURCE, "out of memory for %u probabilities", vocab);
}

/* The id after ids[0 ... n - 1], from the logits of the last one. */
static int32_t choose(const struct chooser *c, const struct cli_engine *e, const int32_t *ids,
                      size_t n)
{
    const float *logits = cli_logits(e);
    struct dg_error err;
    int32_t id = 0;

    if (c->sampler) {
        cli_check(dg_sampler_next(c->sampler, logits, ids, n, &id, &err), &err);
        return id;
    }
    cli_check(dg_softmax(c->probs, logits, e->sizes.vocab, &id, &err), &err);
    return dg_pick(c->probs, e->sizes.vocab, (float)coin);
}

/* A step appends what the cache does not hold yet of ids[0 ... have - 1]: the prompt, then one id at a time; or, without
 * the cache, all of the sequence. And those behind that are known, for which there is room. False: a signal has come. */
static bool evaluate(struct cli_engine *e, int32_t *ids, size_t have, size_t n_given,
                     struct times *t)
{
    size_t from, ahead;

    if (cli_next_row(e))
        return true;
    from = no_cache ? 0 : cli_position(e);
    cli_rewind(e, from);
    ahead = cli_ahead(0, have - n_given, ids + have, (size_t)total - have - 1);
    t->rows += have + ahead - from;
    return cli_eval(e, ids + from, have + ahead - from, 1 + ahead);
}

/* Where another id was evaluated, it has not been. */
static void append(struct cli_engine *e, int32_t *ids, size_t have, size_t n_given, int32_t id)
{
    if (e->ahead > 0 && ids[have] != id)
        cli_rewind(e, have);
    ids[have] = id;
    cli_drawn(0, have - n_given, id);
}

static void complete(struct cli_engine *e, const int32_t *ids, size_t n, struct times *t)
{
    int32_t *sequence = malloc(total * sizeof *sequence);
    struct chooser chooser;

    if (!sequence)
        cli_die(DG_ERR_RESOURCE, "out of memory for %zu ids", (size_t)total);
    open_chooser(&chooser, e->sizes.vocab);
    memcpy(sequence, ids, n * sizeof *ids);
    for (size_t have = n; have < total && !cli_signal(); have++) {
        const double start = cli_seconds();

        if (!evaluate(e, sequence, have, n, t))
            break;
        append(e, sequence, have, n, choose(&chooser, e, sequence, have));
        printf("%d\n", (int)sequence[have]);
        cli_flush();
        t->last = cli_seconds();
        if (have == n) {
            t->first = t->last;
            t->prompt = t->last - start;
        } else {
            t->decode += t->last - start;
            t->decoded++;
        }
    }
    free(chooser.probs);
    free(sequence);
}

int cmd_tokens(int argc, char **argv)
{
    struct times t = {.start = cli_seconds()};
    const char *sampling;
    int32_t *ids;
    size_t n_ids;
    int n;

    cli_model.fallback = "gpt2_124M.bin";
    n = cli_parse(&command, argc, argv);
    sampling = cli_sampling_given();
    if (cli_given(&coin) && sampling)
        cli_die(DG_ERR_USAGE, "got --coin and --%s, expected one of them", sampling);
    if (n == 0)
        cli_die(DG_ERR_USAGE, "no token ids; 'dagpt tokens --help' tells more");
    ids = cli_ids(argv + 1, n, &n_ids);
    if (n_ids >= total) {
        cli_engine_open(ids, n_ids, n_ids); /* --trace: one without a step */
        fprintf(stderr, "dagpt: %zu ids given, --total is %d: nothing to complete\n", n_ids,
                (int)total);
        free(ids);
        return 0;
    }
    complete(cli_engine_open(ids, n_ids, total), ids, n_ids, &t);
    if (cli_model.stats && t.last > 0)
        print_stats(&t, n_ids);
    free(ids);
    return 0;
}
