/* dagpt complete [PROMPT] - text in, text out. The engine keeps what it has seen of a sequence: a text that
 * goes on costs its new ids alone. Signals are looked at between two ids, so that a text ends whole. */
#include "commands.h"
#include "../cli/engine.h"
#include "../../src/base/json_write.h"
#include "../cli/leaving.h"
#include "../cli/lines.h"
#include "../cli/options.h"
#include "../cli/recording.h"
#include "../cli/sampling.h"
#include "../cli/seconds.h"
#include "../cli/signals.h"
#include "../cli/stream.h"
#include "../cli/text.h"
#include "../cli/tokenizer.h"
#include "../../src/base/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t most_new = 256;
static struct cli_texts stops;
static bool ignore_eos, echo, json, interactive;

static const struct cli_option options[] = {
    {'n', "tokens", CLI_NUMBER, "N", "at most N new tokens (256)", &most_new, 0, 1 << 24, NULL},
    {0, "stop", CLI_TEXTS, "STRING", "end before STRING; may be given 16 times", &stops, 0, 0,
     NULL},
    {0, "ignore-eos", CLI_FLAG, NULL, "go on after <|endoftext|>", &ignore_eos, 0, 0, NULL},
    {0, "echo", CLI_FLAG, NULL, "print the prompt, too", &echo, 0, 0, NULL},
    {0, "json", CLI_FLAG, NULL, "an object a token, and a last one with the statistics", &json, 0,
     0, NULL},
    {'i', "interactive", CLI_FLAG, NULL, "ask for prompts; an empty one goes on with the last text",
     &interactive, 0, 0, NULL},
    {0},
};

static const struct cli_option *const tables[] = {options,
                                                  cli_sampling_options,
                                                  cli_model_options,
                                                  cli_tokenizer_options,
                                                  text_options,
                                                  text_escape_options,
                                                  cli_encode_options,
                                                  cli_team_options,
                                                  cli_run_options,
                                                  cli_trace_options,
                                                  NULL};

static const struct cli_command command = {
    "complete", "[OPTION]... [PROMPT]",
    "Completes a text: PROMPT, the file of -f, or standard input. The text is printed as it\n"
    "is made, until <|endoftext|>, a stop string, N tokens, or the end of the model's positions.\n"
    "The model is the small one in the program, unless -m or $DAGPT_MODEL names another.",
    tables};

/* ---- one text ---- */

enum finish { FINISH_EOS, FINISH_STOP, FINISH_LENGTH, FINISH_POSITIONS, FINISH_INTERRUPTED };

static const char *const finish_names[] = {"eos", "stop", "length", "positions", "interrupted"};

struct completion {
    struct dg_sizes sizes;
    const struct dg_tokenizer *t;
    struct cli_engine *e;
    struct dg_sampler *sampler;
    uint64_t seed;
    int32_t *ids; /* [positions] the sequence: prompt and new ids */
    size_t n;     /* ids in it; the engine has seen some of them */
    struct stream out;
    double prompt_seconds, decode_seconds;
    size_t n_prompt, n_decoded, n_new; /* ids to evaluate as prompt; evaluated one by one; new */
};

static void release_text(void *arg, const char *bytes, size_t n)
{
    (void)arg;
    fwrite(bytes, 1, n, stdout);
}

static void release_json(void *arg, const char *bytes, size_t n)
{
    (void)arg;
    dg_json_write_bytes(stdout, bytes, n, "");
}

static void push(struct completion *c, const char *bytes, size_t n, bool *stopped)
{
    *stopped = stream_push(&c->out, bytes, n);
    if (c->out.failed)
        cli_die(DG_ERR_RESOURCE, "out of memory for a text");
}

/* One new id on its way out. */
static bool print_token(struct completion *c, int32_t id)
{
    size_t n;
    const char *bytes = dg_tokenizer_bytes(c->t, id, &n);
    bool stopped;

    if (json)
        printf("{\"token\": %zu, \"id\": %d, \"logprob\": %.6f, \"text\": \"", c->n_new, (int)id,
               dg_log_probability(cli_logits(c->e), c->sizes.vocab, id));
    push(c, bytes, n, &stopped);
    if (json)
        puts("\"}");
    cli_flush();
    return stopped;
}

/* Evaluates the ids that the engine has not seen, and draws the next; -1: a signal has come. */
static int32_t next_id(struct completion *c)
{
    const size_t seen = cli_position(c->e), n = c->n - seen;
    const double start = cli_seconds();
    struct dg_error err;
    int32_t id;

    if (n > 0 && !cli_eval(c->e, c->ids + seen, n, 1))
        return -1;
    cli_check(dg_sampler_next(c->sampler, cli_logits(c->e), c->ids, c->n, &id, &err), &err);
    if (c->n_new == 0) {
        c->prompt_seconds = cli_seconds() - start;
    } else {
        c->decode_seconds += cli_seconds() - start;
        c->n_decoded++;
    }
    return id;
}

static enum finish generate(struct completion *c)
{
    c->n_prompt = c->n - cli_position(c->e); /* also where none is made */
    c->n_new = c->n_decoded = 0;
    c->prompt_seconds = c->decode_seconds = 0;
    while (c->n_new < most_new) {
        int32_t id;

        if (cli_signal())
            return FINISH_INTERRUPTED;
        if (cli_position(c->e) == c->sizes.positions)
            return FINISH_POSITIONS;
        id = next_id(c);
        if (id < 0)
            return FINISH_INTERRUPTED;
        if (id == dg_tokenizer_end(c->t) && !ignore_eos)
            return FINISH_EOS;
        c->n_new++;
        if (print_token(c, id))
            return FINISH_STOP;
        if (c->n < c->sizes.positions)
            c->ids[c->n++] = id;
    }
    return FINISH_LENGTH;
}

static double rate(size_t n, double seconds)
{
    return seconds > 0 ? (double)n / seconds : 0;
}

static void print_end(struct completion *c, enum finish finish)
{
    if (json)
        printf("{\"text\": \"");
    stream_end(&c->out);
    if (json)
        printf(
            "\", \"finish\": \"%s\", \"prompt_tokens\": %zu, \"new_tokens\": %zu, \"seed\": %llu, "
            "\"prompt_ms\": %.3f, \"decode_ms_per_token\": %.3f}",
            finish_names[finish], c->n_prompt, c->n_new, (unsigned long long)c->seed,
            1e3 * c->prompt_seconds,
            c->n_decoded ? 1e3 * c->decode_seconds / (double)c->n_decoded : 0.0);
    putchar('\n');
    cli_flush();
    if (cli_model.stats)
        fprintf(stderr,
                "prompt       %9.3f ms   %zu tokens, %.1f tokens/s\n"
                "decode       %9.3f ms   %zu tokens, %.1f tokens/s\n"
                "finish       %s, seed %llu\n",
                1e3 * c->prompt_seconds, c->n_prompt, rate(c->n_prompt, c->prompt_seconds),
                1e3 * c->decode_seconds, c->n_decoded, rate(c->n_decoded, c->decode_seconds),
                finish_names[finish], (unsigned long long)c->seed);
}

static void print_prompt(struct completion *c, const struct text *prompt)
{
    bool stopped;

    if (json)
        printf("{\"prompt\": \"");
    c->out.n_stops = 0; /* a stop string in the prompt stops nothing */
    push(c, prompt->bytes, prompt->n, &stopped);
    c->out.n_stops = stops.n;
    if (json) {
        stream_end(&c->out);
        puts("\"}");
    }
    cli_flush();
}

/* The ids of a prompt, to c->ids. An empty prompt is the beginning of a text. DG_ERR_TOKEN when they are too many. */
static enum dg_status take_prompt(struct completion *c, const struct text *prompt,
                                  struct dg_error *err)
{
    int32_t *ids;
    size_t n;
    enum dg_status st = cli_encode(c->t, prompt->bytes, prompt->n, &ids, &n, err);

    if (st != DG_OK)
        return st;
    if (n == 0)
        ids[n++] = cli_tokenizer_begin(c->t);
    if (n > c->sizes.positions) {
        st = dg_fail(err, DG_ERR_TOKEN, "the prompt has %zu tokens, expected at most maxT = %u", n,
                     c->sizes.positions);
    } else {
        memcpy(c->ids, ids, n * sizeof *ids);
        c->n = n;
    }
    free(ids);
    return st;
}

/* What can be looked at before the model is loaded, and room for the ids. */
static void prepare(struct completion *c)
{
    cli_request_check(NULL, 0, 0, &c->sizes);
    c->t = cli_tokenizer();
    cli_tokenizer_check(c->t, &c->sizes);
    cli_tokenizer_limit(c->t, &c->sizes);
    c->ids = malloc(c->sizes.positions * sizeof *c->ids);
    if (!c->ids)
        cli_die(DG_ERR_RESOURCE, "out of memory for %u ids", c->sizes.positions);
}

static void open_sampler(struct completion *c)
{
    const struct dg_sampling how = cli_sampling();

    c->seed = how.seed;
    c->sampler = cli_sampler(c->sizes.vocab, &how);
}

/* ---- once, and again and again ---- */

static void complete_once(struct completion *c, const struct text *prompt)
{
    struct dg_error err;

    cli_check(take_prompt(c, prompt, &err), &err);
    c->e = cli_engine_open(c->ids, c->n, c->n);
    open_sampler(c);
    if (echo)
        print_prompt(c, prompt);
    print_end(c, generate(c));
}

/* The next line; false when there is none, or a signal has come. */
static bool next_line(struct lines *lines, struct text *line)
{
    bool got = false;

    cli_signals_end_input(true);
    if (!cli_signal())
        got = lines_next(lines, line);
    cli_signals_end_input(false);
    if (got && cli_signal()) {
        text_free(line);
        return false;
    }
    return got;
}

/* One line of the conversation. SIGINT ends its text alone. */
static void answer(struct completion *c, struct text *prompt)
{
    struct dg_error err;

    if (prompt->n > 0 || c->n == 0) {
        if (text_unescape(prompt, &err) != DG_OK || take_prompt(c, prompt, &err) != DG_OK) {
            fprintf(stderr, "dagpt: %s\n", err.text);
            return;
        }
        cli_rewind(c->e, 0);
    }
    if (echo)
        print_prompt(c, prompt);
    print_end(c, generate(c));
    cli_signals_go_on();
}

static void converse(struct completion *c)
{
    struct lines *lines = lines_new("dagpt> ");
    struct text line;

    if (!lines)
        cli_die(DG_ERR_RESOURCE, "out of memory for lines");
    c->e = cli_engine_open(NULL, 0, 0);
    open_sampler(c);
    while (next_line(lines, &line)) {
        answer(c, &line);
        text_free(&line);
    }
    lines_free(lines);
}

int cmd_complete(int argc, char **argv)
{
    const int n = cli_parse(&command, argc, argv);
    struct completion c = {.out = {.stops = stops.texts,
                                   .n_stops = stops.n,
                                   .release = json ? release_json : release_text}};
    struct text prompt = {NULL, 0};

    if (interactive && n > 0)
        cli_die(DG_ERR_USAGE, "got a prompt and -i, expected one of them");
    prepare(&c);
    if (!interactive)
        prompt = text_read(argv + 1, n, true);
    cli_signals_catch();
    if (interactive)
        converse(&c);
    else
        complete_once(&c, &prompt);
    stream_free(&c.out);
    text_free(&prompt);
    free(c.ids);
    return 0;
}
