/* dagpt complete [PROMPT] - text in, text out: one text, many of one prompt, or a conversation. */
#include "commands.h"
#include "../cli/completion.h"
#include "../cli/leaving.h"
#include "../cli/lines.h"
#include "../cli/many.h"
#include "../cli/options.h"
#include "../cli/printer.h"
#include "../cli/prompts.h"
#include "../cli/recording.h"
#include "../cli/sampling.h"
#include "../cli/seconds.h"
#include "../cli/signals.h"
#include "../cli/text.h"
#include "../cli/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static uint64_t most_new = 256, window, samples = 1, n_candidates, parallel = 8;
static const char *prompts;
static struct cli_texts stops;
static bool ignore_eos, echo, json, interactive;

static const struct cli_option options[] = {
    {'n', "tokens", CLI_NUMBER, "N", "at most N new tokens (256)", &most_new, 0, PROMPT_MOST_TOKENS,
     NULL},
    {0, "stop", CLI_TEXTS, "STRING", "end before STRING; may be given 16 times", &stops, 0, 0,
     NULL},
    {0, "ignore-eos", CLI_FLAG, NULL, "go on after <|endoftext|>", &ignore_eos, 0, 0, NULL},
    {0, "window", CLI_NUMBER, "N", "beyond the model's positions, go on with the last N tokens",
     &window, 1, 1 << 24, NULL},
    {0, "samples", CLI_NUMBER, "N", "N continuations, with --seed, --seed + 1, ...", &samples, 1,
     1 << 24, NULL},
    {0, "prompts", CLI_TEXT, "FILE",
     "complete each line of FILE (-: standard input), a text or an object of JSON", &prompts, 0, 0,
     NULL},
    {0, "parallel", CLI_NUMBER, "N", "of --prompts and --samples, N texts at a time (8)", &parallel,
     1, MANY_MOST, NULL},
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
    if (!window && !prompts) /* which takes the end of any prompt */
        cli_tokenizer_limit(c->t, &c->sizes, "; --window N reads the end of it");
    completion_open(c);
    w->p = (struct printer){.c = c,
                            .to = stdout,
                            .json = json,
                            .may_go_on = interactive,
                            .n_candidates = n_candidates,
                            .stops = stops,
                            .seed = w->how.seed};
    printer_open(&w->p);
}

/* ---- once ---- */

static void complete(struct work *w, const struct text *prompt)
{
    struct dg_error err;

    cli_check(take_prompt(w, prompt, &err), &err);
    w->c.e = cli_engine_open(w->c.ids, w->c.n, w->c.n);
    w->c.sampler = cli_sampler(w->c.sizes.vocab, &w->how);
    if (echo)
        printer_prompt(&w->p, prompt);
    printer_end(&w->p, generate(w));
}

/* ---- many texts ---- */

/* Opens a job that goes on with j->prompt. */
static enum dg_status open_job(const struct work *w, struct job *j, const struct dg_sampling *how,
                               const struct cli_texts *until, struct dg_error *err)
{
    struct text *t = &j->prompt;
    enum dg_status st;

    j->c = (struct completion){
        .sizes = w->c.sizes, .t = w->c.t, .window = window, .ignore_eos = ignore_eos};
    completion_open(&j->c);
    j->p.stops = *until;
    j->p.seed = how->seed;
    printer_open(&j->p);
    st = dg_sampler_new(&j->c.sampler, w->c.sizes.vocab, how, err);
    if (st == DG_OK)
        st = completion_prompt(&j->c, t->bytes, t->n, err);
    j->c.number = j->p.line + j->p.sample;
    j->p.cut = j->c.cut;
    j->p.ends_in_blank = t->n > 0 && t->bytes[t->n - 1] == ' ';
    return st;
}

static void begin_job(void *arg, struct job *j)
{
    (void)arg;
    printer_heading(&j->p);
    if (echo)
        printer_prompt(&j->p, &j->prompt);
}

/* Candidates on stderr stand in the order of the texts when one is made after the other. */
static size_t texts_at_a_time(void)
{
    return n_candidates && !json ? 1 : parallel;
}

struct samples {
    struct work *w;
    const struct text *prompt;
    uint64_t taken;
    double read_seconds; /* of the prompt */
};

/* Each sample is the text that its seed alone gives. */
static bool next_sample(void *arg, struct job *j)
{
    struct samples *s = arg;
    struct dg_sampling how = s->w->how;
    struct dg_error err;

    if (s->taken == samples)
        return false;
    how.seed += s->taken++;
    j->prompt = (struct text){malloc(s->prompt->n + 1), s->prompt->n};
    if (!j->prompt.bytes)
        cli_die(DG_ERR_RESOURCE, "out of memory for a text");
    memcpy(j->prompt.bytes, s->prompt->bytes, s->prompt->n + 1);
    j->p = (struct printer){.json = json, .n_candidates = n_candidates, .sample = s->taken};
    cli_check(open_job(s->w, j, &how, &stops, &err), &err);
    if (s->taken > 1)
        j->p.cut = j->p.ends_in_blank = 0; /* which has been said */
    j->most_new = most_new;
    j->from = s->w->c.e->sequence;
    return true;
}

static void begin_sample(void *arg, struct job *j)
{
    const struct samples *s = arg;

    begin_job(arg, j);
    if (j->p.sample > 1)
        return;
    j->c.n_read = cli_position(s->w->c.e);
    j->c.read_seconds = s->read_seconds;
}

static double samples_done(void *arg, double texts)
{
    (void)arg;
    return texts / (double)samples;
}

/* The prompt is read once; the samples are forks of it. */
static enum dg_status draw_samples(struct work *w, const struct text *prompt)
{
    struct samples s = {.w = w, .prompt = prompt};
    struct many m = {.parallel = texts_at_a_time(),
                     .next = next_sample,
                     .progress = samples_done,
                     .begin = begin_sample,
                     .arg = &s};
    const double start = cli_seconds();
    struct dg_error err;

    cli_check(take_prompt(w, prompt, &err), &err);
    m.e = w->c.e = cli_engine_open(w->c.ids, w->c.n, w->c.n);
    if (most_new > 0 && !cli_eval(m.e, w->c.ids, w->c.n, 1))
        return DG_OK;
    s.read_seconds = cli_seconds() - start;
    return many_run(&m);
}

struct prompt_file {
    struct work *w;
    struct text_source from;
    uint64_t line;        /* that was read last, from 1 */
    uint64_t read, bytes; /* of the file so far, and in all; 0: that is not known */
};

/* A line that cannot be is a job of its own, so that it is said in its place. */
static bool next_prompt(void *arg, struct job *j)
{
    struct prompt_file *f = arg;
    struct prompt_line l = {.tokens = most_new, .how = f->w->how, .stops = stops};
    struct dg_error err = {DG_OK, ""};
    struct text line;
    enum dg_status st;
    bool got;

    cli_signals_end_input(true);
    got = !cli_signal() && text_line(&f->from, &line);
    cli_signals_end_input(false);
    if (!got || cli_signal()) {
        if (got)
            text_free(&line);
        return false;
    }
    f->read += line.n + 1;
    j->p = (struct printer){
        .json = json, .n_candidates = n_candidates, .line = ++f->line, .name = f->from.name};
    if (line.bytes)
        st = prompt_line_read(&l, &line, &err);
    else
        st = dg_fail(&err, DG_ERR_TOKEN, "the line is too long");
    j->prompt = l.prompt;
    j->stops = l.memory;
    j->most_new = l.tokens;
    if (st == DG_OK)
        st = open_job(f->w, j, &l.how, &l.stops, &err);
    if (st != DG_OK)
        j->err = err;
    if (st == DG_ERR_USAGE)
        j->err.status = DG_ERR_TOKEN;
    return true;
}

static double prompts_done(void *arg, double texts)
{
    const struct prompt_file *f = arg;

    return f->line ? (double)f->read / (double)f->bytes * texts / (double)f->line : 0;
}

static enum dg_status complete_lines(struct work *w)
{
    struct prompt_file f = {.w = w, .from = text_open_file(prompts)};
    struct many m = {
        .parallel = texts_at_a_time(), .next = next_prompt, .begin = begin_job, .arg = &f};
    struct stat s;
    enum dg_status st;

    if (fstat(fileno(f.from.from), &s) == 0 && S_ISREG(s.st_mode) && s.st_size > 0) {
        f.bytes = (uint64_t)s.st_size;
        m.progress = prompts_done;
    }
    m.e = cli_engine_open(NULL, 0, 0);
    st = many_run(&m);
    text_close(&f.from);
    return st;
}

/* ---- a conversation ---- */

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

static void check_options(int n)
{
    if (interactive && n > 0)
        cli_die(DG_ERR_USAGE, "got a prompt and -i, expected one of them");
    if (prompts && n > 0)
        cli_die(DG_ERR_USAGE, "got a prompt and --prompts, expected one of them");
    cli_not_both(&interactive, &samples);
    cli_not_both(&interactive, &prompts);
    cli_not_both(&interactive, &parallel);
    cli_not_both(&interactive, text_options[0].target);
    cli_not_both(&prompts, &samples);
    cli_not_both(&prompts, text_options[0].target);
    cli_not_both(&prompts, text_escape_options[0].target);
    if (cli_given(&parallel) && !prompts && !cli_given(&samples))
        cli_die(DG_ERR_USAGE, "got --parallel, expected it with --prompts or --samples");
}

int cmd_complete(int argc, char **argv)
{
    const int n = cli_parse(&command, argc, argv);
    struct text prompt = {NULL, 0};
    enum dg_status st = DG_OK;
    struct work w = {0};

    check_options(n);
    prepare(&w);
    if (!interactive && !prompts)
        prompt = text_read(argv + 1, n, true);
    cli_signals_catch();
    if (interactive)
        converse(&w);
    else if (prompts)
        st = complete_lines(&w);
    else if (cli_given(&samples))
        st = draw_samples(&w, &prompt);
    else
        complete(&w, &prompt);
    printer_close(&w.p);
    completion_close(&w.c);
    text_free(&prompt);
    return (int)st;
}
