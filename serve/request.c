/* A table has the members: a new one is a line and its reader. What OpenAI's API has and this program has not is taken
 * where it asks for nothing. */
#include "request.h"

#include <float.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct reader {
    struct request *r;
    const struct served *s;
    const char *name; /* of the member at hand */
    struct refusal *why;
};

static bool wrong(const struct reader *r, const char *expected)
{
    REFUSE(r->why, r->name, NULL, "%s: expected %s", r->name, expected);
    return false;
}

static bool no_memory(const struct reader *r)
{
    refuse(r->why, 503, "server_error", NULL, NULL, "out of memory for a request");
    return false;
}

/* ---- values ---- */

static bool read_size(const struct reader *r, const json_t *v, size_t least, size_t most,
                      size_t *out)
{
    const json_int_t n = json_integer_value(v);
    char expected[80];

    if (json_is_integer(v) && n >= 0 && (size_t)n >= least && (size_t)n <= most) {
        *out = (size_t)n;
        return true;
    }
    snprintf(expected, sizeof expected, "a whole number from %zu to %zu", least, most);
    return wrong(r, expected);
}

static bool read_real(const struct reader *r, const json_t *v, double least, double most,
                      double *out)
{
    const double x = json_number_value(v);
    char expected[80];

    if (json_is_number(v) && x >= least && x <= most) {
        *out = x;
        return true;
    }
    snprintf(expected, sizeof expected, "a number from %g to %g", least, most);
    return wrong(r, expected);
}

static bool read_flag(const struct reader *r, const json_t *v, bool *out)
{
    *out = json_is_true(v);
    return json_is_boolean(v) || wrong(r, "true or false");
}

/* ---- prompts ---- */

/* What the ids are written as, to p->text where that is there; returns how many bytes. */
static size_t write_ids(const struct reader *r, const struct prompt *p)
{
    size_t at = 0;

    for (size_t i = 0; i < p->n; i++) {
        size_t n = 0;
        const char *bytes = dg_tokenizer_bytes(r->s->tokenizer, p->ids[i], &n);

        if (p->text)
            memcpy(p->text + at, bytes, n);
        at += n;
    }
    return at;
}

/* text[0 ... n - 1] or, where that is NULL, what the ids are written as. */
static bool keep_text(const struct reader *r, struct prompt *p, const char *text, size_t n)
{
    p->n_text = text ? n : write_ids(r, p);
    p->text = malloc(p->n_text + 1);
    if (!p->text)
        return no_memory(r);
    if (text)
        memcpy(p->text, text, n);
    else
        write_ids(r, p);
    return true;
}

static bool too_long(const struct reader *r, const char *got)
{
    REFUSE(r->why, "prompt", "context_length_exceeded",
           "prompt: got %s, expected at most %zu tokens", got, r->s->most_ids);
    return false;
}

static bool check_length(const struct reader *r, size_t n)
{
    char got[64];

    snprintf(got, sizeof got, "%zu tokens", n);
    return n <= r->s->most_ids || too_long(r, got);
}

/* Of no text the ids are what begins one. */
static bool prompt_of_text(const struct reader *r, struct prompt *p, const char *text, size_t n)
{
    struct dg_error err;
    char got[64];

    snprintf(got, sizeof got, "%zu bytes", n);
    if (n > r->s->most_bytes)
        return too_long(r, got);
    if (dg_tokenizer_encode(r->s->tokenizer, text, n, &p->ids, &p->n, &err) != DG_OK)
        return err.status == DG_ERR_RESOURCE ? no_memory(r) : wrong(r, err.text);
    if (p->n == 0)
        p->ids[p->n++] = dg_tokenizer_begin(r->s->tokenizer);
    if (p->ids[0] < 0)
        return wrong(r, "a text that is not empty: no token begins one");
    return check_length(r, p->n) && keep_text(r, p, text, n);
}

static bool prompt_of_ids(const struct reader *r, struct prompt *p, const json_t *ids)
{
    const size_t n = json_array_size(ids);
    const uint32_t vocab = r->s->sizes.vocab;
    const json_t *v;
    char expected[80];
    size_t i;

    snprintf(expected, sizeof expected, "token ids from 0 to %u, at least one", vocab - 1);
    if (n == 0)
        return wrong(r, expected);
    if (!check_length(r, n))
        return false;
    p->ids = malloc(n * sizeof *p->ids);
    if (!p->ids)
        return no_memory(r);
    json_array_foreach(ids, i, v)
    {
        const json_int_t id = json_integer_value(v);

        if (!json_is_integer(v) || id < 0 || id >= (json_int_t)vocab)
            return wrong(r, expected);
        p->ids[p->n++] = (int32_t)id;
    }
    return keep_text(r, p, NULL, 0);
}

static bool add_prompt(const struct reader *r, const json_t *v)
{
    struct prompt *p = &r->r->prompts[r->r->n_prompts++]; /* free() takes what there is of it */

    if (json_is_string(v))
        return prompt_of_text(r, p, json_string_value(v), json_string_length(v));
    if (json_is_array(v))
        return prompt_of_ids(r, p, v);
    return wrong(r, "a text, token ids, or an array of one of them");
}

/* Ids are one prompt; an array of anything else has many. */
static bool read_prompt(struct reader *r, const json_t *v)
{
    const bool many = json_is_array(v) && !json_is_integer(json_array_get(v, 0));
    const size_t n = many ? json_array_size(v) : 1;

    if (n < 1 || n > MOST_CHOICES)
        return wrong(r, "1 to 128 prompts");
    r->r->prompts = calloc(n, sizeof *r->r->prompts);
    if (!r->r->prompts)
        return no_memory(r);
    for (size_t i = 0; i < n; i++)
        if (!add_prompt(r, many ? json_array_get(v, i) : v))
            return false;
    return true;
}

/* ---- members ---- */

static bool read_model(struct reader *r, const json_t *v)
{
    if (!json_is_string(v))
        return wrong(r, "a text");
    if (strcmp(json_string_value(v), r->s->name) == 0)
        return true;
    refuse(r->why, 404, "invalid_request_error", "model", "model_not_found",
           "model: there is none but '%s'", r->s->name);
    return false;
}

static bool add_stop(struct reader *r, const json_t *v)
{
    struct request *q = r->r;

    if (!json_is_string(v) || json_string_length(v) == 0 ||
        strlen(json_string_value(v)) != json_string_length(v) || q->n_stops == MOST_STOPS)
        return wrong(r, "1 to 16 texts that are not empty, without NUL");
    q->stops[q->n_stops] = strdup(json_string_value(v));
    return q->stops[q->n_stops++] || (q->n_stops--, no_memory(r));
}

static bool read_stop(struct reader *r, const json_t *v)
{
    const json_t *one;
    size_t i;

    if (!json_is_array(v))
        return add_stop(r, v);
    json_array_foreach(v, i, one) if (!add_stop(r, one)) return false;
    return true;
}

static bool read_max_tokens(struct reader *r, const json_t *v)
{
    return read_size(r, v, 0, 1 << 24, &r->r->most_new);
}

static bool read_n(struct reader *r, const json_t *v)
{
    return read_size(r, v, 1, r->s->most_n, &r->r->n);
}

static bool read_best_of(struct reader *r, const json_t *v)
{
    return (json_is_integer(v) && json_integer_value(v) == (json_int_t)r->r->n) ||
           wrong(r, "what n is: all texts are given");
}

static bool read_logprobs(struct reader *r, const json_t *v)
{
    r->r->logprobs = true;
    return read_size(r, v, 0, MOST_LOGPROBS, &r->r->n_candidates);
}

static bool read_temperature(struct reader *r, const json_t *v)
{
    return read_real(r, v, 0, 2, &r->r->how.temp);
}

/* As dagpt complete --top-p takes it: 0 is the likeliest alone. */
static bool read_top_p(struct reader *r, const json_t *v)
{
    if (!read_real(r, v, 0, 1, &r->r->how.top_p))
        return false;
    r->r->how.top_p = fmax(r->r->how.top_p, DBL_MIN);
    return true;
}

static bool read_top_k(struct reader *r, const json_t *v)
{
    size_t k;

    if (!read_size(r, v, 1, UINT32_MAX, &k))
        return false;
    r->r->how.top_k = (uint32_t)k;
    return true;
}

static bool read_min_p(struct reader *r, const json_t *v)
{
    return read_real(r, v, 0, 1, &r->r->how.min_p);
}

static bool read_repeat_penalty(struct reader *r, const json_t *v)
{
    return read_real(r, v, 1, 1e6, &r->r->how.repeat_penalty);
}

static bool read_seed(struct reader *r, const json_t *v)
{
    r->r->how.seed = (uint64_t)json_integer_value(v);
    return json_is_integer(v) || wrong(r, "a whole number");
}

static bool read_echo(struct reader *r, const json_t *v)
{
    return read_flag(r, v, &r->r->echo);
}

static bool read_stream(struct reader *r, const json_t *v)
{
    return read_flag(r, v, &r->r->stream);
}

static bool read_stream_options(struct reader *r, const json_t *v)
{
    const char *key;
    json_t *value;

    if (!json_is_object(v))
        return wrong(r, "an object");
    json_object_foreach((json_t *)v, key, value)
    {
        if (strcmp(key, "include_usage") == 0 && !read_flag(r, value, &r->r->usage))
            return false;
    }
    return true;
}

static bool read_nothing(struct reader *r, const json_t *v)
{
    const bool nothing = (json_is_number(v) && json_number_value(v) == 0) ||
                         (json_is_object(v) && json_object_size(v) == 0) ||
                         (json_is_string(v) && json_string_length(v) == 0);

    return nothing || wrong(r, "nothing: this server has no such thing");
}

static bool read_user(struct reader *r, const json_t *v)
{
    return json_is_string(v) || wrong(r, "a text");
}

/* In the order in which they are read: best_of is compared with n. */
static const struct member {
    const char *name;
    bool (*read)(struct reader *r, const json_t *v);
} members[] = {
    {"model", read_model},
    {"prompt", read_prompt},
    {"max_tokens", read_max_tokens},
    {"temperature", read_temperature},
    {"top_p", read_top_p},
    {"top_k", read_top_k},
    {"min_p", read_min_p},
    {"repeat_penalty", read_repeat_penalty},
    {"seed", read_seed},
    {"stop", read_stop},
    {"n", read_n},
    {"best_of", read_best_of},
    {"logprobs", read_logprobs},
    {"echo", read_echo},
    {"stream", read_stream},
    {"stream_options", read_stream_options},
    {"user", read_user},
    {"frequency_penalty", read_nothing},
    {"presence_penalty", read_nothing},
    {"logit_bias", read_nothing},
    {"suffix", read_nothing},
};

enum { N_MEMBERS = sizeof members / sizeof *members };

static bool are_known(const json_t *body, struct refusal *why)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)body, key, value)
    {
        size_t i = 0;

        (void)value;
        while (i < N_MEMBERS && strcmp(members[i].name, key) != 0)
            i++;
        if (i == N_MEMBERS) {
            REFUSE(why, NULL, NULL, "there is no argument '%.64s'", key);
            return false;
        }
    }
    return true;
}

/* A member that is null is as one that is not there. */
static bool read_members(struct reader *r, const json_t *body)
{
    for (size_t i = 0; i < N_MEMBERS; i++) {
        const json_t *v = json_object_get(body, members[i].name);

        r->name = members[i].name;
        if (v && !json_is_null(v) && !members[i].read(r, v))
            return false;
    }
    return true;
}

/* Without a prompt a text begins. */
static bool complete(struct reader *r)
{
    json_t *none = json_string("");
    bool ok = true;

    r->name = "prompt";
    if (r->r->n_prompts == 0)
        ok = none ? read_prompt(r, none) : no_memory(r);
    json_decref(none);
    r->name = "n";
    if (ok && r->r->n_prompts * r->r->n > MOST_CHOICES)
        return wrong(r, "at most 128 texts of a request");
    return ok;
}

static bool read_body(struct reader *r, const json_t *body)
{
    if (!json_is_object(body)) {
        REFUSE(r->why, NULL, NULL, "the body: expected an object of JSON");
        return false;
    }
    return are_known(body, r->why) && read_members(r, body) && complete(r);
}

static uint64_t any_seed(void)
{
    uint64_t seed = 0;

    while (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        ;
    return seed;
}

bool request_read(struct request *q, const struct served *s, const char *bytes, size_t n,
                  struct refusal *why)
{
    struct reader r = {.r = q, .s = s, .why = why};
    json_error_t error;
    json_t *body;
    bool ok = false;

    *q = (struct request){
        .n = 1,
        .most_new = DEFAULT_TOKENS,
        .how = {.size = sizeof q->how, .temp = 1, .top_p = 1, .seed = any_seed()},
    };
    body = json_loadb(bytes, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (body)
        ok = read_body(&r, body);
    else if (json_error_code(&error) == json_error_out_of_memory)
        no_memory(&r);
    else
        REFUSE(why, NULL, NULL, "the body is no JSON: byte %d: %s", error.position, error.text);
    json_decref(body);
    if (!ok)
        request_free(q);
    return ok;
}

void request_free(struct request *q)
{
    for (size_t i = 0; i < q->n_prompts; i++) {
        free(q->prompts[i].ids);
        free(q->prompts[i].text);
    }
    free(q->prompts);
    for (size_t i = 0; i < q->n_stops; i++)
        free(q->stops[i]);
    *q = (struct request){0};
}
