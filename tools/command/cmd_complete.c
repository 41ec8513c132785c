/* dagpt complete [PROMPT] - text in, text out. */
#include "../cli/cli.h"
#include "commands.h"
#include "../cli/lines.h"
#include "../cli/stream.h"
#include "../cli/text.h"
#include "../../src/base/status.h"

#include <signal.h>
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

static const struct cli_option *const tables[] = {
    options,          cli_sampling_options, cli_model_options, text_options, text_file_options,
    cli_team_options, cli_run_options,      cli_trace_options, NULL};

static const struct cli_command command = {
    "complete", "[OPTION]... [PROMPT]",
    "Completes a text: PROMPT, the file of -f, or standard input. The text is printed as it\n"
    "is made, until <|endoftext|>, a stop string, N tokens, or the end of the model's positions.\n"
    "The model is the small one in the program, unless -m or $DAGPT_MODEL names another.",
    tables};

/* ---- interruption ---- */

static volatile sig_atomic_t interrupted; /* the signal, or 0 */

/* The first signal ends the generation at the next token; a second one ends the program. */
static void on_signal(int signal_number)
{
    interrupted = signal_number;
    signal(signal_number, SIG_DFL);
}

static void handle_signals(void (*handler)(int))
{
    static const int all[] = {SIGINT, SIGTERM};

    for (int i = 0; i < 2; i++)
        if (signal(all[i], handler) == SIG_IGN) /* nohup: what the caller ignores stays ignored */
            signal(all[i], SIG_IGN);
}

/* ---- one text ---- */

enum finish { FINISH_EOS, FINISH_STOP, FINISH_LENGTH, FINISH_POSITIONS, FINISH_INTERRUPTED };

static const char *const finish_names[] = {"eos", "stop", "length", "positions", "interrupted"};

struct completion {
    struct cli_engine e;
    const struct dg_tokenizer *t;
    struct dg_sampler *sampler;
    uint64_t seed;
    int32_t *ids; /* [positions] the sequence: prompt and new ids */
    size_t n;     /* ids in it; the session has seen some of them */
    struct stream out;
    double prompt_seconds, decode_seconds;
    size_t n_prompt, n_decoded, n_new; /* ids evaluated as prompt and one by one; new ones */
};

static void release_text(void *arg, const char *bytes, size_t n)
{
    (void)arg;
    fwrite(bytes, 1, n, stdout);
}

static void release_json(void *arg, const char *bytes, size_t n)
{
    (void)arg;
    cli_json_bytes(bytes, n);
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
               dg_log_probability(dg_session_logits(c->e.session), c->e.sizes.vocab, id));
    push(c, bytes, n, &stopped);
    if (json)
        puts("\"}");
    cli_flush();
    return stopped;
}

/* Evaluates the ids that the session has not seen, and draws the next. */
static int32_t next_id(struct completion *c)
{
    const size_t seen = dg_session_position(c->e.session), n = c->n - seen;
    const double start = cli_seconds();
    struct dg_error err;
    int32_t id;

    if (n > 0)
        cli_eval(&c->e, c->ids + seen, n);
    cli_check(dg_sampler_next(c->sampler, dg_session_logits(c->e.session), c->ids, c->n, &id, &err),
              &err);
    if (c->n_new == 0) {
        c->prompt_seconds = cli_seconds() - start;
        c->n_prompt = n;
    } else {
        c->decode_seconds += cli_seconds() - start;
        c->n_decoded++;
    }
    return id;
}

static enum finish generate(struct completion *c)
{
    c->n_prompt = c->n_new = c->n_decoded = 0;
    c->prompt_seconds = c->decode_seconds = 0;
    while (c->n_new < most_new) {
        int32_t id;

        if (interrupted)
            return FINISH_INTERRUPTED;
        if (dg_session_position(c->e.session) == c->e.sizes.positions)
            return FINISH_POSITIONS;
        id = next_id(c);
        if (id == dg_tokenizer_end(c->t) && !ignore_eos)
            return FINISH_EOS;
        c->n_new++;
        if (print_token(c, id))
            return FINISH_STOP;
        if (c->n < c->e.sizes.positions)
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

/* The ids of a prompt, to c->ids. An empty prompt is the beginning of a text: the id that ends the
 * one before. DG_ERR_TOKEN when they are too many. */
static enum dg_status take_prompt(struct completion *c, const struct text *prompt,
                                  struct dg_error *err)
{
    int32_t *ids;
    size_t n;
    enum dg_status st = dg_tokenizer_encode(c->t, prompt->bytes, prompt->n, &ids, &n, err);

    if (st != DG_OK)
        return st;
    if (n == 0)
        ids[n++] = dg_tokenizer_end(c->t);
    if (n > c->e.sizes.positions) {
        st = dg_fail(err, DG_ERR_TOKEN, "the prompt has %zu tokens, expected at most maxT = %u", n,
                     c->e.sizes.positions);
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
    cli_request_check(NULL, 0, 0, &c->e.sizes);
    text_check_vocab(c->t, &c->e.sizes);
    c->ids = malloc(c->e.sizes.positions * sizeof *c->ids);
    if (!c->ids)
        cli_die(DG_ERR_RESOURCE, "out of memory for %u ids", c->e.sizes.positions);
}

static void open_sampler(struct completion *c)
{
    const struct dg_sampling how = cli_sampling();

    c->seed = how.seed;
    c->sampler = cli_sampler(c->e.sizes.vocab, &how);
}

static int exit_code(enum finish finish)
{
    return finish == FINISH_INTERRUPTED ? 128 + interrupted : 0;
}

/* ---- once, and again and again ---- */

static int complete_once(struct completion *c, const struct text *prompt)
{
    struct dg_error err;
    enum finish finish;

    cli_check(take_prompt(c, prompt, &err), &err);
    handle_signals(on_signal);
    cli_engine_open(&c->e, c->ids, c->n, c->n);
    open_sampler(c);
    if (echo)
        print_prompt(c, prompt);
    finish = generate(c);
    print_end(c, finish);
    return exit_code(finish);
}

/* One line of the conversation; false after SIGTERM. */
static bool answer(struct completion *c, const struct text *prompt)
{
    struct dg_error err;

    if (prompt->n > 0 || c->n == 0) {
        if (take_prompt(c, prompt, &err) != DG_OK) {
            fprintf(stderr, "dagpt: %s\n", err.text);
            return true;
        }
        dg_session_rewind(c->e.session, 0);
    }
    interrupted = 0;
    handle_signals(on_signal);
    if (echo)
        print_prompt(c, prompt);
    print_end(c, generate(c));
    handle_signals(SIG_DFL);
    return interrupted != SIGTERM;
}

static int converse(struct completion *c)
{
    struct lines *lines = lines_new("dagpt> ");
    bool more = true;
    char *line;

    if (!lines)
        cli_die(DG_ERR_RESOURCE, "out of memory for lines");
    cli_engine_open(&c->e, NULL, 0, 0);
    open_sampler(c);
    while (more && (line = lines_next(lines))) {
        more = answer(c, &(struct text){line, strlen(line)});
        free(line);
    }
    lines_free(lines);
    return more ? 0 : 128 + SIGTERM;
}

int cmd_complete(int argc, char **argv)
{
    const int n = cli_parse(&command, argc, argv);
    struct completion c = {.out = {.stops = stops.texts,
                                   .n_stops = stops.n,
                                   .release = json ? release_json : release_text}};
    struct text prompt = {NULL, 0};
    int code;

    if (interactive && n > 0)
        cli_die(DG_ERR_USAGE, "got a prompt and -i, expected one of them");
    c.t = text_tokenizer();
    prepare(&c);
    if (!interactive)
        prompt = text_read(argv + 1, n, true);
    code = interactive ? converse(&c) : complete_once(&c, &prompt);
    cli_engine_close(&c.e);
    stream_free(&c.out);
    text_free(&prompt);
    free(c.ids);
    return code;
}
