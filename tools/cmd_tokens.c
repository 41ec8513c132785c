/* dagpt tokens ID... - the course lab's program: completes a sequence of ids. */
#include "cli.h"
#include "commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t total = 10;
static double coin = 0.5;
static bool greedy, no_cache;

static const struct cli_option options[] = {
    {'n', "total", CLI_NUMBER, "N", "ids given and completed together (10)", &total, 1, 1 << 24,
     NULL},
    {0, "coin", CLI_REAL, "X", "the cumulative probability to exceed (0.5)", &coin, 0, 1, NULL},
    {0, "greedy", CLI_FLAG, NULL, "take the most likely id instead", &greedy, 0, 0, NULL},
    {0, "no-cache", CLI_FLAG, NULL, "evaluate the whole sequence again for each id", &no_cache, 0,
     0, NULL},
    {0},
};

static const struct cli_option *const tables[] = {
    cli_model_options, options, cli_team_options, cli_run_options, cli_trace_options, NULL};

static const struct cli_command command = {
    "tokens", "[OPTION]... ID...",
    "Completes a sequence of token ids: prints the new ids, one a line, each as soon as\n"
    "it is known, until given and new ids are N together. The next id is the first, in\n"
    "vocabulary order, whose cumulative probability exceeds X.",
    tables};

struct times {
    double start, first, last; /* of the command; of the first and the last id printed */
    double prompt, decode;     /* seconds in each */
    size_t decoded;            /* ids after the first */
    size_t rows;               /* that went through the network */
};

static void print_stats(const struct cli_engine *e, const struct times *t, size_t n)
{
    fprintf(stderr, "load         %9.3f ms\n", 1e3 * e->load_seconds);
    fprintf(stderr, "first token  %9.3f ms   from the start of the program's work\n",
            1e3 * (t->first - t->start));
    fprintf(stderr, "prompt       %9.3f ms   %zu tokens, %.1f tokens/s\n", 1e3 * t->prompt, n,
            (double)n / t->prompt);
    if (t->decoded > 0)
        fprintf(stderr, "decode       %9.3f ms a token   %zu tokens, %.1f tokens/s\n",
                1e3 * t->decode / (double)t->decoded, t->decoded, (double)t->decoded / t->decode);
    fprintf(stderr, "evaluated    %9zu rows\n", t->rows);
}

/* The next id, from the logits of the last one. */
static int32_t choose(const struct cli_engine *e, float *probs)
{
    struct dg_error err;
    int32_t best = 0;

    cli_check(dg_softmax(probs, dg_session_logits(e->session), e->sizes.vocab, &best, &err), &err);
    return greedy ? best : dg_pick(probs, e->sizes.vocab, (float)coin);
}

/* A step appends what the cache does not hold yet: the prompt, then one id at a time; or, without
 * the cache, all of the sequence. */
static void complete(const struct cli_engine *e, const int32_t *ids, size_t n, struct times *t)
{
    float *probs = malloc(e->sizes.vocab * sizeof *probs);
    int32_t *sequence = malloc(total * sizeof *sequence);

    if (!probs || !sequence)
        cli_die(DG_ERR_RESOURCE, "out of memory for %u probabilities", e->sizes.vocab);
    memcpy(sequence, ids, n * sizeof *ids);
    for (size_t have = n; have < total && !cli_trace_stopped(); have++) {
        const double start = cli_seconds();
        const size_t from = no_cache ? 0 : dg_session_position(e->session);

        dg_session_rewind(e->session, from);
        cli_eval(e, sequence + from, have - from);
        t->rows += have - from;
        sequence[have] = choose(e, probs);
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
    free(sequence);
    free(probs);
}

int cmd_tokens(int argc, char **argv)
{
    struct times t = {.start = cli_seconds()};
    int32_t *ids;
    int n;
    struct cli_engine e;

    cli_model.fallback = "gpt2_124M.bin";
    n = cli_parse(&command, argc, argv);
    if (n == 0)
        cli_die(DG_ERR_USAGE, "no token ids; 'dagpt tokens --help' tells more");
    ids = cli_ids(argv + 1, n);
    if ((uint64_t)n >= total) {
        cli_request_check(ids, (size_t)n, (size_t)n, &e.sizes);
        fprintf(stderr, "dagpt: %d ids given, --total is %d: nothing to complete\n", n, (int)total);
        free(ids);
        return 0;
    }
    cli_engine_open(&e, ids, (size_t)n, total);
    complete(&e, ids, (size_t)n, &t);
    if (cli_model.stats)
        print_stats(&e, &t, (size_t)n);
    cli_engine_close(&e);
    free(ids);
    return 0;
}
