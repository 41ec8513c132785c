/* Members of a line's object are named as the options are. Their ranges are the sampler's to check. */
#include "prompts.h"
#include "../../src/base/json.h"
#include "../../src/base/status.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    struct prompt_line *l;
    struct dg_json j;
    struct text prompt; /* bytes NULL: there was none */
    char *at;           /* in l->memory: room for the strings that are still to come */
    size_t room;
};

/* The next string of the text: it and a NUL are never longer than what is left of the line. */
static bool read_string(struct reader *r, char **out)
{
    if (!dg_json_string(&r->j, r->at, r->room))
        return false;
    *out = r->at;
    r->at += r->j.length + 1;
    r->room -= r->j.length + 1;
    return true;
}

static bool read_prompt(struct reader *r)
{
    return read_string(r, &r->prompt.bytes) && ((r->prompt.n = r->j.length), true);
}

static bool add_stop(struct reader *r)
{
    struct cli_texts *stops = &r->l->stops;
    char *s;

    if (!read_string(r, &s))
        return false;
    if (r->j.length == 0 || memchr(s, '\0', r->j.length) || stops->n == CLI_MAX_TEXTS)
        return dg_json_fail(&r->j, "1 to 16 texts that are not empty");
    stops->texts[stops->n++] = s;
    return true;
}

static bool read_stops(struct reader *r)
{
    r->l->stops.n = 0;
    if (r->j.at[strspn(r->j.at, " \t\r\n")] == '"')
        return add_stop(r);
    if (!dg_json_array(&r->j))
        return false;
    while (dg_json_item(&r->j))
        if (!add_stop(r))
            return false;
    return !r->j.error;
}

static bool read_tokens(struct reader *r)
{
    if (!dg_json_integer(&r->j, &r->l->tokens))
        return false;
    return r->l->tokens <= PROMPT_MOST_TOKENS || dg_json_fail(&r->j, "at most 16777216 tokens");
}

static bool read_top_k(struct reader *r)
{
    uint64_t k;

    if (!dg_json_integer(&r->j, &k))
        return false;
    if (k < 1 || k > UINT32_MAX)
        return dg_json_fail(&r->j, "a number from 1 on");
    r->l->how.top_k = (uint32_t)k;
    return true;
}

/* As --top-p takes it: 0 is the likeliest alone. */
static bool read_top_p(struct reader *r)
{
    if (!dg_json_number(&r->j, &r->l->how.top_p))
        return false;
    if (r->l->how.top_p >= 0)
        r->l->how.top_p = fmax(r->l->how.top_p, DBL_MIN);
    return true;
}

static bool read_member(struct reader *r, const char *name)
{
    struct dg_sampling *how = &r->l->how;

    if (strcmp(name, "prompt") == 0)
        return read_prompt(r);
    if (strcmp(name, "stop") == 0)
        return read_stops(r);
    if (strcmp(name, "tokens") == 0)
        return read_tokens(r);
    if (strcmp(name, "seed") == 0)
        return dg_json_integer(&r->j, &how->seed);
    if (strcmp(name, "temp") == 0)
        return dg_json_number(&r->j, &how->temp);
    if (strcmp(name, "top_k") == 0)
        return read_top_k(r);
    if (strcmp(name, "top_p") == 0)
        return read_top_p(r);
    if (strcmp(name, "min_p") == 0)
        return dg_json_number(&r->j, &how->min_p);
    if (strcmp(name, "repeat_penalty") == 0)
        return dg_json_number(&r->j, &how->repeat_penalty);
    return dg_json_fail(&r->j, "prompt, tokens, stop, seed, temp, top_k, top_p, min_p or "
                               "repeat_penalty");
}

static bool read_object(struct reader *r)
{
    char name[32];

    if (!dg_json_object(&r->j))
        return false;
    while (dg_json_key(&r->j, name, sizeof name))
        if (!read_member(r, name))
            return false;
    if (!r->j.error && !r->prompt.bytes)
        return dg_json_fail(&r->j, "a member \"prompt\"");
    return dg_json_end(&r->j);
}

static enum dg_status refuse(const struct dg_json *j, struct dg_error *err)
{
    char got[DG_JSON_GOT];

    dg_json_got(j, got);
    return dg_fail(err, DG_ERR_TOKEN, "byte %zu: got %s, expected %s", dg_json_byte(j) + 1, got,
                   j->error);
}

static enum dg_status read_json(struct prompt_line *l, struct text *line, struct dg_error *err)
{
    struct reader r = {.l = l, .room = line->n + 1};
    struct dg_names names = {0};
    bool ok;

    l->memory = r.at = malloc(r.room);
    if (!r.at)
        return dg_fail_memory(err, "a prompt", r.room);
    dg_json_open(&r.j, line->bytes, line->n);
    dg_json_unique(&r.j, &names);
    ok = read_object(&r);
    dg_names_free(&names);
    if (!ok && r.j.no_memory)
        return dg_fail_memory(err, "a prompt", r.room);
    if (!ok)
        return refuse(&r.j, err);
    l->prompt.bytes = malloc(r.prompt.n + 1);
    if (!l->prompt.bytes)
        return dg_fail_memory(err, "a prompt", r.prompt.n + 1);
    memcpy(l->prompt.bytes, r.prompt.bytes, r.prompt.n + 1);
    l->prompt.n = r.prompt.n;
    return DG_OK;
}

enum dg_status prompt_line_read(struct prompt_line *l, struct text *line, struct dg_error *err)
{
    enum dg_status st;

    if (line->n == 0 || line->bytes[0] != '{') {
        l->prompt = *line;
        *line = (struct text){NULL, 0};
        return DG_OK;
    }
    st = read_json(l, line, err);
    text_free(line);
    if (st == DG_OK)
        return DG_OK;
    free(l->memory);
    l->memory = NULL;
    return st;
}
