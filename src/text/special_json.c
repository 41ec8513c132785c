/* The small JSON files beside a Hugging Face tokenizer. What they say is mostly what the tokenizer says, too: only where
 * it is not, the tokenizer is made anew. */
#include "special.h"
#include "vocabulary.h"
#include "../base/json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TOKENS = 1 << 16 }; /* in such a file */

struct reader {
    struct dg_json j;
    struct dg_names names;
    const struct dg_tokenizer *t;
    char *pool; /* strings without their escapes: together not longer than the file */
    size_t used;
    struct dg_token_text *tokens; /* [n] */
    size_t n;
    int32_t begin, end; /* -1: it does not say */
};

/* One more token, whose text is the string at hand, or the name where it is one. */
static struct dg_token_text *read_token(struct reader *r, bool name, enum dg_token_kind kind)
{
    char *text = r->pool + r->used;
    const size_t room = (size_t)(r->j.end - r->j.at) + 1;
    struct dg_token_text *more;

    if (!(name ? dg_json_key : dg_json_string)(&r->j, text, room))
        return NULL;
    more = r->n < MOST_TOKENS ? realloc(r->tokens, (r->n + 1) * sizeof *more) : NULL;
    if (!more) {
        dg_json_fail(&r->j, "fewer tokens, or more memory");
        return NULL;
    }
    r->tokens = more;
    r->tokens[r->n] = (struct dg_token_text){text, r->j.length, UINT64_MAX, kind};
    r->used += r->j.length;
    return &r->tokens[r->n++];
}

/* ---- added_tokens.json ---- */

static void read_added(struct reader *r)
{
    struct dg_token_text *t;

    if (dg_json_object(&r->j))
        while ((t = read_token(r, true, DG_TOKEN_ADDED)))
            dg_json_integer(&r->j, &t->id);
    dg_json_end(&r->j);
}

/* ---- special_tokens_map.json, tokenizer_config.json ---- */

static char next_character(const struct dg_json *j)
{
    const char *at = j->at;

    while (at < j->end && (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r'))
        at++;
    return at < j->end ? *at : '\0';
}

/* A text, or {"content": text, ...}; null: there is no such token. Its id, or -1. */
static int32_t read_special(struct reader *r)
{
    const size_t before = r->n;
    char key[32];

    if (next_character(&r->j) == '"') {
        read_token(r, false, DG_TOKEN_SPECIAL);
    } else if (!dg_json_null(&r->j) && dg_json_object(&r->j)) {
        while (dg_json_key(&r->j, key, sizeof key)) {
            if (strcmp(key, "content") == 0)
                read_token(r, false, DG_TOKEN_SPECIAL);
            else
                dg_json_skip(&r->j);
        }
    }
    if (r->n == before)
        return -1;
    r->tokens[before].id = dg_vocabulary_id_of(r->t, r->tokens[before].text, r->tokens[before].n);
    return r->tokens[before].id == UINT64_MAX ? -1 : (int32_t)r->tokens[before].id;
}

static void read_named(struct reader *r)
{
    static const char *const others[] = {"unk_token", "sep_token", "pad_token", "cls_token",
                                         "mask_token"};
    char key[32];

    if (dg_json_object(&r->j)) {
        while (dg_json_key(&r->j, key, sizeof key)) {
            bool other = false;

            for (size_t i = 0; i < sizeof others / sizeof *others; i++)
                other = other || strcmp(key, others[i]) == 0;
            if (strcmp(key, "bos_token") == 0)
                r->begin = read_special(r);
            else if (strcmp(key, "eos_token") == 0)
                r->end = read_special(r);
            else if (other)
                read_special(r);
            else if (strcmp(key, "additional_special_tokens") == 0 && !dg_json_null(&r->j) &&
                     dg_json_array(&r->j))
                while (dg_json_item(&r->j))
                    read_special(r);
            else if (strcmp(key, "additional_special_tokens") != 0)
                dg_json_skip(&r->j);
        }
    }
    dg_json_end(&r->j);
}

/* ---- the tokenizer ---- */

/* Is the token one of the first `some` special ones? */
static bool is_special(const struct dg_tokenizer *t, uint32_t some, int32_t id)
{
    uint32_t token;
    size_t n;
    const char *bytes = dg_tokenizer_bytes(t, id, &n);

    return n > 0 && dg_special_at(t, some, bytes, n, &token) == n && t->id[token] == id;
}

/* Is the text read as that token, as its kind has it? */
static bool is_there(const struct dg_tokenizer *t, const struct dg_token_text *text)
{
    return text->id < t->n && is_special(t, t->n_special, (int32_t)text->id) &&
           (text->kind == DG_TOKEN_ADDED || !is_special(t, t->n_always, (int32_t)text->id));
}

/* Those of r that the tokenizer does not read yet; a text that it has under another id is refused. */
static enum dg_status take(struct dg_tokenizer **t, struct reader *r, const char *name,
                           struct dg_error *err)
{
    size_t n = 0;

    for (size_t i = 0; i < r->n; i++) {
        const struct dg_token_text one = r->tokens[i];
        const uint64_t id = dg_vocabulary_id_of(*t, one.text, one.n);

        if (id != UINT64_MAX && id != one.id)
            return dg_fail(err, DG_ERR_TOKEN,
                           "%s: '%.*s': got id %" PRIu64 ", expected %" PRIu64
                           " as the tokenizer has it",
                           name, (int)(one.n < 64 ? one.n : 64), one.text, one.id, id);
        if (id == UINT64_MAX && one.id < (*t)->n)
            return dg_fail(err, DG_ERR_TOKEN,
                           "%s: '%.*s': got id %" PRIu64
                           ", which is another token's, expected %" PRIu32 " or more",
                           name, (int)(one.n < 64 ? one.n : 64), one.text, one.id, (*t)->n);
        if (one.id != UINT64_MAX && !is_there(*t, &one))
            r->tokens[n++] = one;
    }
    return n > 0 ? dg_vocabulary_extend(t, r->tokens, n, name, err) : DG_OK;
}

static enum dg_status read_file(struct dg_tokenizer **t, const char *path,
                                void (*read)(struct reader *r), struct dg_error *err)
{
    struct reader r = {.t = *t, .begin = -1, .end = -1};
    char *text;
    size_t n;
    enum dg_status st = dg_vocabulary_load(&text, &n, path, err);

    if (st != DG_OK)
        return st;
    r.pool = malloc(n + 1);
    if (r.pool) {
        dg_json_open(&r.j, text, n);
        dg_json_unique(&r.j, &r.names);
        read(&r);
        st = r.j.error ? dg_json_refuse(&r.j, path, DG_ERR_TOKEN, err) : take(t, &r, path, err);
    } else {
        st = dg_fail_memory(err, path, n);
    }
    if (st == DG_OK)
        dg_vocabulary_ends(*t, r.begin, r.end);
    dg_names_free(&r.names);
    free(r.tokens);
    free(r.pool);
    free(text);
    return st;
}

enum dg_status dg_vocabulary_added(struct dg_tokenizer **t, const char *path, struct dg_error *err)
{
    return read_file(t, path, read_added, err);
}

enum dg_status dg_vocabulary_named(struct dg_tokenizer **t, const char *path, struct dg_error *err)
{
    return read_file(t, path, read_named, err);
}
