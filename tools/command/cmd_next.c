/* dagpt next ID... - what could come next: the logits themselves, in digits enough to tell any two floats
 * apart, so that runs can be compared bit for bit; with --text also what the ids stand for. */
#include "commands.h"
#include "../cli/engine.h"
#include "../cli/ids.h"
#include "../cli/leaving.h"
#include "../cli/options.h"
#include "../cli/seconds.h"
#include "../cli/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>

static uint64_t top = 10;
static bool all, text, json;

static const struct cli_option options[] = {
    {0, "top", CLI_NUMBER, "K", "how many candidates (10)", &top, 1, 1 << 26, NULL},
    {0, "all", CLI_FLAG, NULL, "all ids of the vocabulary", &all, 0, 0, NULL},
    {0, "text", CLI_FLAG, NULL, "also their texts, as JSON strings", &text, 0, 0, NULL},
    {0, "json", CLI_FLAG, NULL, "one object a line", &json, 0, 0, NULL},
    {0},
};

static const struct cli_option *const tables[] = {
    cli_model_options, options, cli_tokenizer_options, cli_team_options, cli_run_options, NULL};

static const struct cli_command command = {
    "next", "[OPTION]... ID...|-",
    "Prints the candidates for the id after the given ones, of standard input where it is -,\n"
    "most likely first: id, logit and probability, separated by tabs.",
    tables};

struct candidate {
    int32_t id;
    float logit, probability;
};

/* Higher logits first; the lower id of equals. */
static int by_logit(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;

    if (x->logit != y->logit)
        return x->logit > y->logit ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static void print_candidate(const struct candidate *c, const struct dg_tokenizer *t)
{
    printf(json ? "{\"id\": %d, \"logit\": %.9g, \"probability\": %.9g" : "%d\t%.9g\t%.9g",
           (int)c->id, (double)c->logit, (double)c->probability);
    if (t) {
        fputs(json ? ", \"text\": " : "\t", stdout);
        cli_token_write(stdout, t, c->id);
    }
    puts(json ? "}" : "");
}

static void print_candidates(const struct cli_engine *e, const struct dg_tokenizer *t)
{
    const float *logits = cli_logits(e);
    const size_t n = e->sizes.vocab;
    struct candidate *list = malloc(n * sizeof *list);
    float *probs = malloc(n * sizeof *probs);
    struct dg_error err;
    int32_t best;

    if (!list || !probs)
        cli_die(DG_ERR_RESOURCE, "out of memory for %zu candidates", n);
    cli_check(dg_softmax(probs, logits, n, &best, &err), &err);
    for (size_t i = 0; i < n; i++)
        list[i] = (struct candidate){(int32_t)i, logits[i], probs[i]};
    qsort(list, n, sizeof *list, by_logit);
    for (size_t i = 0; i < n && (all || i < top); i++)
        print_candidate(&list[i], t);
    free(list);
    free(probs);
}

/* The tokenizer of --text, or NULL. */
static const struct dg_tokenizer *open_tokenizer(void)
{
    const struct dg_tokenizer *t;
    struct dg_sizes sizes;

    if (!text && cli_tokenizer_given())
        cli_die(DG_ERR_USAGE, "--vocab: expected --text with it");
    if (!text)
        return NULL;
    cli_request_check(NULL, 0, 0, &sizes);
    t = cli_tokenizer();
    cli_tokenizer_check(t, &sizes);
    return t;
}

int cmd_next(int argc, char **argv)
{
    const double start = cli_seconds();
    const struct dg_tokenizer *t;
    struct cli_engine *e;
    double prompt;
    int32_t *ids;
    size_t n_ids;
    int n;

    cli_model.fallback = "gpt2_124M.bin";
    n = cli_parse(&command, argc, argv);
    cli_not_both(&top, &all);
    if (n == 0)
        cli_die(DG_ERR_USAGE, "no token ids; 'dagpt next --help' tells more");
    ids = cli_ids(argv + 1, n, &n_ids);
    t = open_tokenizer();
    e = cli_engine_open(ids, n_ids, n_ids);
    prompt = cli_seconds();
    cli_eval(e, ids, n_ids, 1);
    prompt = cli_seconds() - prompt;
    print_candidates(e, t);
    cli_flush();
    if (cli_model.stats)
        fprintf(stderr,
                "prompt       %9.3f ms   %zu tokens, %.1f tokens/s\nin all       %9.3f ms\n",
                1e3 * prompt, n_ids, (double)n_ids / prompt, 1e3 * (cli_seconds() - start));
    free(ids);
    return 0;
}
