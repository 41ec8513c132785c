#include "reply.h"

#include <inttypes.h>
#include <stdio.h>

/* What was noted of tokens and not told, or null. */
static json_t *take_notes(struct text *t)
{
    if (!t->r->logprobs)
        return json_null();
    return json_pack("{s:O, s:O, s:o, s:O}", "tokens", t->tokens, "token_logprobs", t->logprobs,
                     "top_logprobs", t->r->n_candidates ? json_incref(t->candidates) : json_null(),
                     "text_offset", t->offsets);
}

static json_t *choice(struct text *t)
{
    static const char *const names[] = {NULL, "stop", "length"};

    return json_pack("{s:s%, s:i, s:o, s:s?}", "text", t->told.n ? t->told.at : "", t->told.n,
                     "index", (int)t->index, "logprobs", take_notes(t), "finish_reason",
                     names[t->finish]);
}

static json_t *usage(const struct job *j)
{
    json_int_t prompt = 0, new = 0;

    for (size_t i = 0; i < j->r.n_prompts; i++)
        prompt += (json_int_t)j->r.prompts[i].n;
    for (size_t i = 0; i < j->n_texts; i++)
        new += (json_int_t)j->texts[i].n_new;
    return json_pack("{s:I, s:I, s:I}", "prompt_tokens", prompt, "completion_tokens", new,
                     "total_tokens", prompt + new);
}

/* An answer with those choices, without usage. */
static json_t *answer(const struct job *j, json_t *choices)
{
    char id[32];

    snprintf(id, sizeof id, "cmpl-%016" PRIx64, j->id);
    return json_pack("{s:s, s:s, s:I, s:s, s:o}", "id", id, "object", "text_completion", "created",
                     (json_int_t)j->created, "model", j->s->name, "choices", choices);
}

/* In a stream that has usage at its end the others have none. */
static void write_event(struct bytes *to, const struct job *j, json_t *all, json_t *of_usage)
{
    if (j->r.usage)
        json_object_set_new(all, "usage", of_usage);
    else
        json_decref(of_usage);
    json_write(to, all, "data: ", "\n\n");
}

static void forget(struct text *t)
{
    t->told.n = 0;
    json_array_clear(t->tokens);
    json_array_clear(t->logprobs);
    json_array_clear(t->candidates);
    json_array_clear(t->offsets);
}

void reply_event(struct bytes *to, struct job *j, struct text *t)
{
    if (t->told.n == 0 && t->finish == FINISH_NOT && json_array_size(t->tokens) == 0)
        return;
    write_event(to, j, answer(j, json_pack("[o]", choice(t))), json_null());
    forget(t);
}

void reply_end_of_stream(struct bytes *to, const struct job *j)
{
    if (j->r.usage)
        write_event(to, j, answer(j, json_array()), usage(j));
    bytes_print(to, "data: [DONE]\n\n");
}

void reply_whole(struct bytes *to, struct job *j)
{
    json_t *choices = json_array(), *all;

    for (size_t i = 0; i < j->n_texts; i++)
        if (json_array_append_new(choices, choice(&j->texts[i])) != 0)
            to->failed = true;
    all = answer(j, choices);
    json_object_set_new(all, "usage", usage(j));
    json_write(to, all, "", "\n");
}

void reply_model(struct bytes *to, const struct served *s, int64_t since, bool list)
{
    json_t *model = json_pack("{s:s, s:s, s:I, s:s}", "id", s->name, "object", "model", "created",
                              (json_int_t)since, "owned_by", "dagpt");

    if (list)
        model = json_pack("{s:s, s:[o]}", "object", "list", "data", model);
    json_write(to, model, "", "\n");
}
