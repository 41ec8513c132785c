/* What is said on stderr about a text comes behind it: an error is then the only line there. */
#include "printer.h"
#include "candidates.h"
#include "leaving.h"
#include "tokenizer.h"
#include "writing.h"
#include "../../src/base/json_write.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

static const char *const finish_names[] = {"", "eos", "stop", "length", "positions", "interrupted"};

static void release_text(void *arg, const char *bytes, size_t n)
{
    const struct printer *p = arg;

    cli_write_text(p->to, bytes, n);
}

static void release_json(void *arg, const char *bytes, size_t n)
{
    const struct printer *p = arg;

    dg_json_write_bytes(p->to, bytes, n, "");
}

void printer_open(struct printer *p)
{
    p->out = (struct stream){.stops = p->stops.texts,
                             .n_stops = p->stops.n,
                             .release = p->json ? release_json : release_text,
                             .arg = p};
}

void printer_close(struct printer *p)
{
    stream_free(&p->out);
}

/* What is printed to memory need not go on its way. */
static void flush(const struct printer *p)
{
    if (p->to == stdout)
        cli_flush();
}

/* The beginning of each object: "{", and the number of the line or sample. */
static void begin_object(const struct printer *p)
{
    putc('{', p->to);
    if (p->line > 0)
        fprintf(p->to, "\"line\": %" PRIu64 ", ", p->line);
    if (p->sample > 0)
        fprintf(p->to, "\"sample\": %" PRIu64 ", ", p->sample);
}

static bool push(struct printer *p, const char *bytes, size_t n)
{
    const bool stopped = stream_push(&p->out, bytes, n);

    if (p->out.failed && p->json)
        fputs("\"}\n", p->to); /* what is printed of the object is whole */
    if (p->out.failed)
        cli_die(DG_ERR_RESOURCE, "out of memory for a text");
    return stopped;
}

/* id, text and log-probability (natural; `norm` is the logit that would have 0) of a token that could be. */
static void print_candidate(FILE *to, const struct printer *p, int32_t id, double norm)
{
    const double logprob = (double)cli_logits(p->c->e)[id] - norm;

    fprintf(to, p->json ? "{\"id\": %d, \"text\": " : "\t%d ", (int)id);
    cli_token_write(to, p->c->t, id);
    fprintf(to, p->json ? ", \"logprob\": %.6f}" : " %.6f", logprob);
}

/* In an object, or as a line on stderr: the token that was drawn, and the likeliest. */
static void print_candidates(const struct printer *p, int32_t drawn, double logprob)
{
    const double norm = (double)cli_logits(p->c->e)[drawn] - logprob;
    int32_t ids[PRINTER_MOST_CANDIDATES];
    const size_t n = cli_candidates(ids, p->n_candidates, cli_logits(p->c->e), p->c->sizes.vocab);

    if (p->json) {
        fprintf(p->to, ", \"candidates\": [");
    } else {
        if (isatty(STDOUT_FILENO) && isatty(STDERR_FILENO))
            putc('\n', stderr); /* the text stands in the same line */
        fprintf(stderr, "%zu", p->c->n_new);
        print_candidate(stderr, p, drawn, norm);
    }
    for (size_t i = 0; i < n; i++) {
        if (p->json && i > 0)
            fprintf(p->to, ", ");
        print_candidate(p->json ? p->to : stderr, p, ids[i], norm);
    }
    if (p->json)
        putc(']', p->to);
    else
        putc('\n', stderr);
}

bool printer_token(struct printer *p, int32_t id)
{
    const struct completion *c = p->c;
    size_t n;
    const char *bytes = dg_tokenizer_bytes(c->t, id, &n);
    const double logprob =
        p->json || p->n_candidates ? dg_log_probability(cli_logits(c->e), c->sizes.vocab, id) : 0;
    bool stopped;

    if (p->json) {
        begin_object(p);
        fprintf(p->to, "\"token\": %zu, \"id\": %d, \"logprob\": %.6f, \"text\": \"", c->n_new,
                (int)id, logprob);
    }
    stopped = push(p, bytes, n);
    if (p->json)
        putc('"', p->to);
    else
        flush(p);
    if (p->n_candidates)
        print_candidates(p, id, logprob);
    if (p->json) {
        fputs("}\n", p->to);
        flush(p);
    }
    return stopped;
}

void printer_heading(const struct printer *p)
{
    if (p->json)
        return;
    if (p->line > 0)
        fprintf(p->to, "---- line %" PRIu64 ", seed %" PRIu64 " ----\n", p->line, p->seed);
    else
        fprintf(p->to, "---- sample %" PRIu64 ", seed %" PRIu64 " ----\n", p->sample, p->seed);
}

void printer_prompt(struct printer *p, const struct text *prompt)
{
    if (p->json) {
        begin_object(p);
        fprintf(p->to, "\"prompt\": \"");
    }
    p->out.n_stops = 0; /* a stop string in the prompt stops nothing */
    push(p, prompt->bytes, prompt->n);
    p->out.n_stops = p->stops.n;
    if (p->json) {
        stream_end(&p->out);
        fputs("\"}\n", p->to);
    }
    flush(p);
}

bool printer_go_on(struct printer *p)
{
    bool stopped;

    if (p->out.stopped == 0)
        return false;
    if (p->json) {
        begin_object(p);
        fprintf(p->to, "\"text\": \"");
    }
    stopped = stream_go_on(&p->out);
    if (p->json)
        fputs("\"}\n", p->to);
    flush(p);
    return stopped;
}

void printer_forget(struct printer *p)
{
    stream_clear(&p->out);
}

static double rate(size_t n, double seconds)
{
    return seconds > 0 ? (double)n / seconds : 0;
}

static void print_statistics(const struct printer *p, enum finish finish)
{
    const struct completion *c = p->c;

    fprintf(stderr,
            "prompt       %9.3f ms   %zu tokens, %.1f tokens/s\n"
            "decode       %9.3f ms   %zu tokens, %.1f tokens/s\n",
            1e3 * c->read_seconds, c->n_read, rate(c->n_read, c->read_seconds),
            1e3 * c->decode_seconds, c->n_decoded, rate(c->n_decoded, c->decode_seconds));
    if (c->window)
        fprintf(stderr, "windows      %9.3f ms   %zu of %zu tokens, read anew\n",
                1e3 * c->window_seconds, c->n_windows, c->window);
    fprintf(stderr, "finish       %s, seed %" PRIu64 "\n", finish_names[finish], p->seed);
}

static void print_last_object(const struct printer *p, enum finish finish)
{
    const struct completion *c = p->c;

    fprintf(p->to, "\", \"finish\": \"%s\", \"prompt_tokens\": %zu, \"new_tokens\": %zu, ",
            finish_names[finish], c->n_before, c->n_new);
    if (c->window)
        fprintf(p->to, "\"windows\": %zu, ", c->n_windows);
    fprintf(p->to, "\"seed\": %" PRIu64 ", \"prompt_ms\": %.3f, \"decode_ms_per_token\": %.3f}",
            p->seed, 1e3 * c->read_seconds,
            c->n_decoded ? 1e3 * c->decode_seconds / (double)c->n_decoded : 0.0);
}

/* What a user may not expect. */
static void print_notes(struct printer *p, enum finish finish)
{
    const struct completion *c = p->c;
    char whose[32] = "";

    if (p->line > 0)
        snprintf(whose, sizeof whose, "line %" PRIu64 ": ", p->line);
    if (p->cut)
        fprintf(stderr, "dagpt: %sthe prompt has %zu tokens: the last %zu were read (--window)\n",
                whose, p->cut, c->window);
    if (p->ends_in_blank)
        fprintf(
            stderr,
            "dagpt: %sthe prompt ends in a blank: most tokens begin with theirs, and follow better "
            "without it\n",
            whose);
    if (finish == FINISH_POSITIONS)
        fprintf(
            stderr,
            "dagpt: %sthe text ends at the last of the model's %u positions: --window N goes on "
            "with its last N tokens\n",
            whose, c->sizes.positions);
    p->cut = 0;
    p->ends_in_blank = false;
}

void printer_end(struct printer *p, enum finish finish)
{
    if (p->json) {
        begin_object(p);
        fprintf(p->to, "\"text\": \"");
    }
    if (p->may_go_on && finish != FINISH_EOS)
        stream_pause(&p->out); /* it may go on */
    else
        stream_end(&p->out);
    if (p->json)
        print_last_object(p, finish);
    putc('\n', p->to);
    flush(p);
    if (cli_model.stats)
        print_statistics(p, finish);
    print_notes(p, finish);
}

void printer_failed(const struct printer *p, const struct dg_error *err)
{
    if (p->json) {
        begin_object(p);
        fprintf(p->to, "\"error\": ");
        dg_json_write_string(p->to, err->text, "");
        fputs("}\n", p->to);
        flush(p);
    }
    fprintf(stderr, "dagpt: %s:%" PRIu64 ": %s\n", p->name, p->line, err->text);
}
