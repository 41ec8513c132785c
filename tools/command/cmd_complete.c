/* dagpt complete [PROMPT] - text in, text out: one text, many of one prompt, or a conversation. */
#include "commands.h"
#include "../cli/completion.h"
#include "../cli/leaving.h"
#include "../cli/lines.h"
#include "../cli/options.h"
#include "../cli/printer.h"
#include "../cli/recording.h"
#include "../cli/sampling.h"
#include "../cli/signals.h"
#include "../cli/text.h"
#include "../cli/tokenizer.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static uint64_t most_new = 256, window, samples = 1, n_candidates;
static struct cli_texts stops;
static bool ignore_eos, echo, json, interactive;

static const struct cli_option options[] = {
    {'n', "tokens", CLI_NUMBER, "N", "at most N new tokens (256)", &most_new, 0, 1 << 24, NULL},
    {0, "stop", CLI_TEXTS, "STRING", "end before STRING; may be given 16 times", &stops, 0, 0,
     NULL},
    {0, "ignore-eos", CLI_FLAG, NULL, "go on after <|endoftext|>", &ignore_eos, 0, 0, NULL},
    {0, "window", CLI_NUMBER, "N", "beyond the model's positions, go on with the last N tokens",
     &window, 1, 1 << 24, NULL},
    {0, "samples", CLI_NUMBER, "N", "N continuations, with --seed, --seed + 1, ...", &samples, 1,
     1 << 24, NULL},
    {0, "echo", CLI_FLAG, NULL, "print the prompt, too", &echo, 0, 0, NULL},
    {0, "logprobs", CLI_NUMBER, "N",
     "each token's N likeliest candidates, with --json or on stderr", &n_candidates, 1,
     PRINTER_MOST_CANDIDATES, NULL},
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

struct work {
    struct dg_sampling how;
    struct completion c;
    struct printer p;
};

static enum finish generate(struct work *w)
{
    struct completion *c = &w->c;
    enum finish finish = FINISH_NOT;
    int32_t id;

    completion_begin(c);
    if (printer_go_on(&w->p))
        return FINISH_STOP;
    c->e->no_bar = echo && isatty(STDOUT_FILENO);
    while (finish == FINISH_NOT && c->n_new < most_new) {
        finish = completion_next(c, &id);
        if (finish == FINISH_NOT && printer_token(&w->p, id))
            finish = FINISH_STOP;
        c->e->no_bar = true; /* the text stands there */
    }
    c->e->no_bar = false;
    return finish == FINISH_NOT ? FINISH_LENGTH : finish;
}

static enum dg_status take_prompt(struct work *w, const struct text *prompt, struct dg_error *err)
{
    const enum dg_status st = completion_prompt(&w->c, prompt->bytes, prompt->n, err);

    if (st != DG_OK)
        return st;
    w->p.cut = w->c.cut;
    w->p.ends_in_blank = prompt->n > 0 && prompt->bytes[prompt->n - 1] == ' ';
    return DG_OK;
}

/* What can be looked at before the model is loaded, and room for the ids. */
static void prepare(struct work *w)
{
    struct completion *c = &w->c;

    w->how = cli_sampling();
    c->window = window;
    c->ignore_eos = ignore_eos;
    cli_request_check(NULL, 0, 0, &c->sizes);
    c->t = cli_tokenizer();
    cli_tokenizer_check(c->t, &c->sizes);
    if (!window) /* which takes the end of any prompt */
        cli_tokenizer_limit(c->t, &c->sizes, "; --window N reads the end of it");
    completion_open(c);
    w->p = (struct printer){.c = c,
                            .json = json,
                            .may_go_on = interactive,
                            .n_candidates = n_candidates,
                            .stops = stops,
                            .seed = w->how.seed};
    printer_open(&w->p);
}

/* ---- once, some times, and again and again ---- */

/* Each sample is the text that its seed alone gives. */
static void complete(struct work *w, const struct text *prompt)
{
    const uint64_t seed = w->how.seed;
    struct dg_error err;

    cli_check(take_prompt(w, prompt, &err), &err);
    w->c.e = cli_engine_open(w->c.ids, w->c.n, w->c.n);
    for (uint64_t i = 0; i < samples && !cli_signal(); i++) {
        w->p.seed = w->how.seed = seed + i;
        w->p.sample = cli_given(&samples) ? i + 1 : 0;
        w->c.sampler = cli_sampler(w->c.sizes.vocab, &w->how);
        if (i > 0)
            completion_rewind(&w->c);
        if (w->p.sample > 0)
            printer_sample(&w->p);
        if (echo)
            printer_prompt(&w->p, prompt);
        printer_end(&w->p, generate(w));
    }
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

/* A line that is a prompt of a new text; false: it cannot be, which has been said. */
static bool begin_text(struct work *w, struct text *line)
{
    struct dg_error err;
    enum dg_status st = text_unescape(line, &err);

    if (st == DG_OK)
        st = take_prompt(w, line, &err);
    if (st != DG_ERR_TOKEN)
        cli_check(st, &err);
    else
        fprintf(stderr, "dagpt: %s\n", err.text);
    if (st != DG_OK)
        return false;
    printer_forget(&w->p);
    if (echo)
        printer_prompt(&w->p, line);
    return true;
}

static void converse(struct work *w)
{
    struct lines *lines = lines_new("dagpt> ");
    struct text line;

    if (!lines)
        cli_die(DG_ERR_RESOURCE, "out of memory for lines");
    w->c.e = cli_engine_open(NULL, 0, 0);
    w->c.sampler = cli_sampler(w->c.sizes.vocab, &w->how);
    while (next_line(lines, &line)) {
        const bool goes_on = line.n == 0 && w->c.n > 0;

        if (line.bytes && (goes_on || begin_text(w, &line))) {
            printer_end(&w->p, generate(w));
            cli_signals_go_on(); /* SIGINT has ended that text alone */
        }
        text_free(&line);
    }
    lines_free(lines);
}

int cmd_complete(int argc, char **argv)
{
    const int n = cli_parse(&command, argc, argv);
    struct text prompt = {NULL, 0};
    struct work w = {0};

    if (interactive && n > 0)
        cli_die(DG_ERR_USAGE, "got a prompt and -i, expected one of them");
    cli_not_both(&interactive, &samples);
    cli_not_both(&interactive, text_options[0].target);
    prepare(&w);
    if (!interactive)
        prompt = text_read(argv + 1, n, true);
    cli_signals_catch();
    if (interactive)
        converse(&w);
    else
        complete(&w, &prompt);
    printer_close(&w.p);
    completion_close(&w.c);
    text_free(&prompt);
    return 0;
}
