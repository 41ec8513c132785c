/* dagpt score [TEXT] - how likely the model finds a text. Logits are needed at every position; the text goes
 * through the model in pieces, so that few of them are in memory at once. */
#include "commands.h"
#include "../cli/engine.h"
#include "../../src/base/json_write.h"
#include "../cli/leaving.h"
#include "../cli/options.h"
#include "../cli/text.h"
#include "../cli/tokenizer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 64 }; /* of a step: logits of so many rows are kept at once */

static bool per_token, json;

static const struct cli_option options[] = {
    {0, "tokens", CLI_FLAG, NULL, "also a line for each token: log-probability, id, text",
     &per_token, 0, 0, NULL},
    {0, "json", CLI_FLAG, NULL, "objects, one a line", &json, 0, 0, NULL},
    {0},
};

static const struct cli_option *const tables[] = {options,
                                                  text_options,
                                                  text_escape_options,
                                                  cli_encode_options,
                                                  cli_model_options,
                                                  cli_tokenizer_options,
                                                  cli_team_options,
                                                  cli_run_options,
                                                  NULL};

static const struct cli_command command = {
    "score", "[OPTION]... [TEXT]",
    "Prints the log-probability (natural) and the perplexity of a text: of TEXT, the file of\n"
    "-f, or standard input, byte for byte. Its first token is judged as one at the beginning of\n"
    "a text, after <|endoftext|>. The model is the small one in the program, unless -m or\n"
    "$DAGPT_MODEL names another.",
    tables};

static void print_token(const struct dg_tokenizer *t, int32_t id, double logprob)
{
    printf(json ? "{\"logprob\": %.6f, \"id\": %d, \"text\": " : "%.6f\t%d\t", logprob, (int)id);
    cli_token_write(stdout, t, id);
    puts(json ? "}" : "");
}

/* Log-probability of ids[1 ... n - 1], each after those before it. */
static double score(struct cli_engine *e, const struct dg_tokenizer *t, const int32_t *ids,
                    size_t n)
{
    double sum = 0;

    for (size_t i = 0; i + 1 < n; i += ROWS) {
        const size_t rows = n - 1 - i < ROWS ? n - 1 - i : ROWS;
        const float *logits;

        if (!cli_eval(e, ids + i, rows, rows))
            cli_leave(0);
        logits = cli_logits(e);
        for (size_t r = 0; r < rows; r++) {
            const int32_t id = ids[i + r + 1];
            const double logprob =
                dg_log_probability(logits + r * e->sizes.vocab, e->sizes.vocab, id);

            if (!isfinite(logprob))
                cli_die(DG_ERR_MODEL,
                        "log-probability of token %zu: got %g, expected a finite number: damaged "
                        "weights",
                        i + r + 1, logprob);
            sum += logprob;
            if (per_token)
                print_token(t, id, logprob);
        }
        cli_flush();
    }
    return sum;
}

/* The id that begins a text, <|endoftext|>, and the ids of the text; the caller's to free. */
static int32_t *ids_of(const struct dg_tokenizer *t, const struct text *text, size_t *n)
{
    struct dg_error err;
    int32_t *ids;

    cli_check(cli_encode(t, text->bytes, text->n, &ids, n, &err), &err);
    memmove(ids + 1, ids, *n * sizeof *ids);
    ids[0] = cli_tokenizer_begin(t);
    (*n)++;
    return ids;
}

static void print_sum(double sum, size_t tokens, size_t bytes)
{
    const double mean = sum / (double)tokens, bits = -sum / log(2) / (double)bytes;

    if (json)
        printf("{\"tokens\": %zu, \"bytes\": %zu, \"logprob\": %.6f, \"mean_logprob\": %.6f, "
               "\"perplexity\": %s, \"bits_per_byte\": %.6f}\n",
               tokens, bytes, sum, mean, dg_json_real(exp(-mean), 12).text, bits);
    else
        printf("tokens           %zu\nbytes            %zu\nlog-probability  %.6f\n"
               "  per token      %.6f\nperplexity       %.6f\nbits per byte    %.6f\n",
               tokens, bytes, sum, mean, exp(-mean), bits);
}

int cmd_score(int argc, char **argv)
{
    const int n = cli_parse(&command, argc, argv);
    const struct dg_tokenizer *t;
    struct dg_sizes sizes;
    struct text text;
    int32_t *ids;
    size_t n_ids;

    cli_request_check(NULL, 0, 0, &sizes);
    t = cli_tokenizer();
    cli_tokenizer_check(t, &sizes);
    cli_tokenizer_limit(t, &sizes);
    text = text_read(argv + 1, n, false);
    if (text.n == 0)
        cli_die(DG_ERR_TOKEN, "the text is empty");
    ids = ids_of(t, &text, &n_ids);
    if (n_ids - 1 > sizes.positions)
        cli_die(DG_ERR_TOKEN, "the text has %zu tokens, expected at most maxT = %u", n_ids - 1,
                sizes.positions);
    print_sum(score(cli_engine_open(NULL, 0, 0), t, ids, n_ids), n_ids - 1, text.n);
    cli_flush();
    text_free(&text);
    free(ids);
    return 0;
}
