/* The text is the command's, by the same means: the sampler's ids, whose bytes pass through tools/cli/stream.h. */
#include "text.h"
#include "../tools/cli/candidates.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void release(void *arg, const char *bytes, size_t n)
{
    bytes_add(arg, bytes, n);
}

void text_init(struct text *t, struct job *job, const struct request *r, const struct served *s,
               const struct prompt *p, unsigned index)
{
    *t = (struct text){.job = job, .r = r, .prompt = p, .s = s, .index = index};
    t->out = (struct stream){.stops = (const char *const *)r->stops, .release = release};
}

/* ---- notes of tokens ---- */

static bool new_notes(struct text *t)
{
    t->tokens = json_array();
    t->logprobs = json_array();
    t->candidates = json_array();
    t->offsets = json_array();
    return t->tokens && t->logprobs && t->candidates && t->offsets;
}

/* Its text; where that is no UTF-8, "bytes:" and each byte as \xHH. */
static json_t *token_name(const struct text *t, int32_t id)
{
    size_t n;
    const char *bytes = dg_tokenizer_bytes(t->s->tokenizer, id, &n);
    json_t *name = json_stringn(bytes, n);
    struct bytes hex = {0};

    if (name)
        return name;
    bytes_print(&hex, "bytes:");
    for (size_t i = 0; i < n; i++)
        bytes_print(&hex, "\\x%02x", (unsigned)(unsigned char)bytes[i]);
    name = hex.failed ? NULL : json_stringn(hex.at, hex.n);
    bytes_free(&hex);
    return name;
}

static void add_candidate(const struct text *t, json_t *to, int32_t id, double logprob)
{
    json_t *name = token_name(t, id);

    if (name)
        json_object_setn_new(to, json_string_value(name), json_string_length(name),
                             json_real(logprob));
    json_decref(name);
}

/* The likeliest, and the one that is there. */
static json_t *candidates_of(const struct text *t, const float *logits, int32_t id, double logprob)
{
    const double norm = (double)logits[id] - logprob;
    int32_t ids[MOST_LOGPROBS];
    const size_t n = cli_candidates(ids, t->r->n_candidates, logits, t->s->sizes.vocab);
    json_t *all = json_object();

    for (size_t i = 0; i < n; i++)
        add_candidate(t, all, ids[i], (double)logits[ids[i]] - norm);
    add_candidate(t, all, id, logprob);
    return all;
}

static size_t characters(const char *bytes, size_t n)
{
    size_t chars = 0;

    for (size_t i = 0; i < n; i++)
        chars += ((unsigned char)bytes[i] & 0xC0) != 0x80;
    return chars;
}

/* The next token; logits NULL: it is the first, of which there are none. */
static void note(struct text *t, int32_t id, const float *logits)
{
    size_t n;
    const char *bytes = dg_tokenizer_bytes(t->s->tokenizer, id, &n);
    double logprob;

    if (!t->r->logprobs)
        return;
    json_array_append_new(t->tokens, token_name(t, id));
    json_array_append_new(t->offsets, json_integer((json_int_t)t->n_chars));
    t->n_chars += characters(bytes, n);
    if (!logits) {
        json_array_append_new(t->logprobs, json_null());
        json_array_append_new(t->candidates, json_null());
        return;
    }
    logprob = dg_log_probability(logits, t->s->sizes.vocab, id);
    json_array_append_new(t->logprobs, json_real(logprob));
    json_array_append_new(t->candidates, candidates_of(t, logits, id, logprob));
}

bool text_wants_prompt(const struct text *t)
{
    return t->r->logprobs && t->r->echo;
}

void text_note_prompt(struct text *t, size_t first, size_t n, const float *logits)
{
    if (first == 0)
        note(t, t->ids[0], NULL);
    for (size_t i = 0; i < n && first + i + 1 < t->prompt->n; i++)
        note(t, t->ids[first + i + 1], logits + i * t->s->sizes.vocab);
}

void text_copy_notes(struct text *t, const struct text *from)
{
    json_array_extend(t->tokens, from->tokens);
    json_array_extend(t->logprobs, from->logprobs);
    json_array_extend(t->candidates, from->candidates);
    json_array_extend(t->offsets, from->offsets);
    t->n_chars = from->n_chars;
}

/* ---- the text ---- */

/* A stop string in the prompt stops nothing. */
static void echo(struct text *t)
{
    t->out.n_stops = 0;
    if (t->r->echo)
        stream_push(&t->out, t->prompt->text, t->prompt->n_text);
    t->out.n_stops = t->r->n_stops;
    if (!text_wants_prompt(t))
        t->n_chars = characters(t->prompt->text, t->prompt->n_text);
}

/* There is room for the id that the last position gives, too. */
bool text_open(struct text *t)
{
    const size_t left = t->s->sizes.positions + 1 - t->prompt->n;
    struct dg_sampling how = t->r->how;

    how.seed += t->index % t->r->n;
    t->out.arg = &t->told;
    t->n = t->prompt->n;
    t->ids = malloc((t->n + (t->r->most_new < left ? t->r->most_new : left)) * sizeof *t->ids);
    if (!t->ids || dg_sampler_new(&t->sampler, t->s->sizes.vocab, &how, NULL) != DG_OK ||
        (t->r->logprobs && !new_notes(t)))
        return false;
    memcpy(t->ids, t->prompt->ids, t->n * sizeof *t->ids);
    echo(t);
    return !text_failed(t);
}

void text_close(struct text *t)
{
    dg_sequence_free(t->sequence);
    dg_sampler_free(t->sampler);
    stream_free(&t->out);
    free(t->ids);
    t->sequence = NULL;
    t->sampler = NULL;
    t->ids = NULL;
}

void text_free(struct text *t)
{
    text_close(t);
    bytes_free(&t->told);
    json_decref(t->tokens);
    json_decref(t->logprobs);
    json_decref(t->candidates);
    json_decref(t->offsets);
}

enum dg_status text_draw(struct text *t, const float *logits, struct dg_error *err)
{
    int32_t id;
    size_t n;
    const char *bytes;
    const enum dg_status st = dg_sampler_next(t->sampler, logits, t->ids, t->n, &id, err);

    if (st != DG_OK)
        return st;
    t->ids[t->n++] = id;
    if (id == dg_tokenizer_end(t->s->tokenizer)) {
        text_end(t, FINISH_STOP);
        return DG_OK;
    }
    t->n_new++;
    note(t, id, logits);
    bytes = dg_tokenizer_bytes(t->s->tokenizer, id, &n);
    if (stream_push(&t->out, bytes, n))
        text_end(t, FINISH_STOP);
    else if (t->n_new == t->r->most_new || t->n > t->s->sizes.positions)
        text_end(t, FINISH_LENGTH);
    return DG_OK;
}

void text_end(struct text *t, enum finish finish)
{
    t->finish = finish;
    stream_end(&t->out);
}

bool text_failed(const struct text *t)
{
    return t->out.failed || t->told.failed;
}
