/* dagpt score [TEXT] - how likely the model finds a text. Logits are needed at every position; the text goes
 * through the model in pieces, so that few of them are in memory at once.
 *
 * A text longer than the model's positions goes through it in windows, as published perplexities are made.
 * With P positions, window k reads the ids k N ... k N + P - 1 and scores those behind them, k N + 1 ... k N + P,
 * but for those that an earlier window has scored. So each id counts once, and from the second window on it
 * has P - N + 1 to P ids before it. */
#include "commands.h"
#include "../cli/engine.h"
#include "../../src/base/json_write.h"
#include "../cli/leaving.h"
#include "../cli/options.h"
#include "../cli/text.h"
#include "../cli/tokenizer.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ADVICE "; --stride N scores it by windows"

enum { ROWS = 64 }; /* of a step: logits of so many rows are kept at once */

static uint64_t stride; /* 0: one window */
static bool per_token, json;

static const struct cli_option options[] = {
    {0, "tokens", CLI_FLAG, NULL, "also a line for each token: log-probability, id, text",
     &per_token, 0, 0, NULL},
    {0, "stride", CLI_NUMBER, "N", "a longer text by windows that begin N tokens apart", &stride, 1,
     1 << 24, NULL},
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
    "a text, after <|endoftext|>. A text longer than the model's positions needs --stride.\n"
    "The model is the small one in the program, unless -m or $DAGPT_MODEL names another.",
    tables};

static void print_token(const struct dg_tokenizer *t, int32_t id, double logprob)
{
    printf(json ? "{\"logprob\": %.6f, \"id\": %d, \"text\": " : "%.6f\t%d\t", logprob, (int)id);
    cli_token_write(stdout, t, id);
    puts(json ? "}" : "");
}

/* What is read, and how it is told. */
struct reading {
    struct cli_engine *e;
    const struct dg_tokenizer *t;
    const int32_t *ids; /* [n + 1] */
    size_t n;           /* of the text; ids[0] comes before it */
};

/* Evaluates ids[at ... at + rows - 1]; the log-probability of those behind them. */
static double score_rows(const struct reading *r, size_t at, size_t rows)
{
    const uint32_t vocab = r->e->sizes.vocab;
    double sum = 0;

    if (!cli_eval(r->e, r->ids + at, rows, rows))
        cli_leave(0);
    for (size_t i = 0; i < rows; i++) {
        const int32_t id = r->ids[at + i + 1];
        const double logprob = dg_log_probability(cli_logits(r->e) + i * vocab, vocab, id);

        if (!isfinite(logprob))
            cli_die(
                DG_ERR_MODEL,
                "log-probability of token %zu: got %g, expected a finite number: damaged weights",
                at + i + 1, logprob);
        sum += logprob;
        if (per_token)
            print_token(r->t, id, logprob);
    }
    cli_flush();
    return sum;
}

/* The window of ids[begin ... end - 1]; ids up to `scored` have been scored before. */
static double score_window(const struct reading *r, size_t begin, size_t scored, size_t end)
{
    double sum = 0;

    cli_rewind(r->e, 0);
    if (scored > begin && !cli_eval(r->e, r->ids + begin, scored - begin, 0))
        cli_leave(0);
    for (size_t at = scored; at < end; at += ROWS)
        sum += score_rows(r, at, end - at < ROWS ? end - at : ROWS);
    return sum;
}

/* Log-probability of the text. */
static double score(const struct reading *r)
{
    const size_t positions = r->e->sizes.positions;
    double sum = 0;

    for (size_t begin = 0, scored = 0; scored < r->n; begin += stride) {
        const size_t end = r->n - begin < positions ? r->n : begin + positions;

        sum += score_window(r, begin, scored, end);
        scored = end;
    }
    return sum;
}

/* The id that begins a text, <|endoftext|>, and the *n ids of the text; the caller's to free. */
static int32_t *ids_of(const struct dg_tokenizer *t, const struct text *text, size_t *n)
{
    struct dg_error err;
    int32_t *ids;

    cli_check(cli_encode(t, text->bytes, text->n, &ids, n, &err), &err);
    memmove(ids + 1, ids, *n * sizeof *ids);
    ids[0] = cli_tokenizer_begin(t);
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

/* May the text be so long? */
static void check_length(size_t tokens, const struct dg_sizes *sizes)
{
    if (tokens == 0)
        cli_die(DG_ERR_TOKEN, "the text is empty");
    if (tokens > sizes->positions && !stride)
        cli_die(
            DG_ERR_TOKEN,
            "the text has %zu tokens, expected at most maxT = %u; --stride N scores it by windows",
            tokens, sizes->positions);
}

int cmd_score(int argc, char **argv)
{
    const int n = cli_parse(&command, argc, argv);
    struct reading r;
    struct dg_sizes sizes;
    struct text text;
    int32_t *ids;

    cli_request_check(NULL, 0, 0, &sizes);
    if (stride > sizes.positions)
        cli_die(DG_ERR_USAGE, "--stride: got %" PRIu64 ", expected at most maxT = %u", stride,
                sizes.positions);
    r.t = cli_tokenizer();
    cli_tokenizer_check(r.t, &sizes);
    if (!stride)
        cli_tokenizer_limit(r.t, &sizes, ADVICE);
    text = text_read(argv + 1, n, false);
    r.ids = ids = ids_of(r.t, &text, &r.n);
    check_length(r.n, &sizes);
    r.e = cli_engine_open(NULL, 0, 0);
    print_sum(score(&r), r.n, text.n);
    cli_flush();
    text_free(&text);
    free(ids);
    return 0;
}
