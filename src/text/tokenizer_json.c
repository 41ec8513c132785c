/* tokenizer.json, as the tokenizers library writes it: of a byte-level BPE, as GPT-2's is. Strings are collected
 * first, since its members may come in any order. What would make other ids of a text and is not done here is
 * refused by name; how texts are joined, cut and padded for training is skipped. */
#include "vocabulary.h"
#include "../base/json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A growing array. */
struct list {
    void *at;
    size_t n, room;
};

struct reader {
    struct dg_json j;
    struct dg_names names;
    char *pool; /* strings without their escapes: together not longer than the file */
    size_t used;
    struct list tokens; /* struct dg_token_text; added ones too */
    struct list merges; /* struct dg_merge_text */
    bool has_model;
};

static void *push(struct reader *r, struct list *l, size_t size)
{
    if (l->n == l->room) {
        const size_t room = l->room ? 2 * l->room : 64;
        void *more = room <= SIZE_MAX / size ? realloc(l->at, room * size) : NULL;

        if (!more) {
            dg_json_fail_memory(&r->j);
            return NULL;
        }
        l->at = more;
        l->room = room;
    }
    return memset((char *)l->at + l->n++ * size, 0, size);
}

static bool read_text(struct reader *r, const char **text, size_t *n)
{
    *text = r->pool + r->used;
    if (!dg_json_string(&r->j, r->pool + r->used, (size_t)(r->j.end - r->j.at) + 1))
        return false;
    *n = r->j.length;
    r->used += *n;
    return true;
}

/* A name of the object at hand, to a text that stays. */
static bool read_name(struct reader *r, const char **text, size_t *n)
{
    *text = r->pool + r->used;
    if (!dg_json_key(&r->j, r->pool + r->used, (size_t)(r->j.end - r->j.at) + 1))
        return false;
    *n = r->j.length;
    r->used += *n;
    return true;
}

static void read_vocab(struct reader *r)
{
    const char *text;
    size_t n;

    if (dg_json_object(&r->j)) {
        while (read_name(r, &text, &n)) {
            struct dg_token_text *t = push(r, &r->tokens, sizeof *t);

            if (!t)
                return;
            *t = (struct dg_token_text){text, n, 0, DG_TOKEN_PLAIN};
            dg_json_integer(&r->j, &t->id);
        }
    }
}

static bool is_array(const struct reader *r)
{
    const char *at = r->j.at;

    while (at < r->j.end && (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r'))
        at++;
    return at < r->j.end && *at == '[';
}

/* "left right", or ["left", "right"]. */
static void read_merge(struct reader *r, struct dg_merge_text *m)
{
    const char *space;

    if (is_array(r)) {
        if (dg_json_array(&r->j) && dg_json_item(&r->j) && read_text(r, &m->left, &m->n_left) &&
            dg_json_item(&r->j) && read_text(r, &m->right, &m->n_right) && dg_json_item(&r->j))
            dg_json_fail(&r->j, "two tokens");
        else if (!r->j.error && !m->right)
            dg_json_fail(&r->j, "two tokens");
        return;
    }
    if (!read_text(r, &m->left, &m->n_left))
        return;
    space = m->n_left > 0 ? memchr(m->left, ' ', m->n_left) : NULL;
    if (!space) {
        dg_json_fail(&r->j, "two tokens and a space between");
        return;
    }
    m->right = space + 1;
    m->n_right = m->n_left - (size_t)(space - m->left) - 1;
    m->n_left = (size_t)(space - m->left);
}

static void read_merges(struct reader *r)
{
    if (dg_json_array(&r->j)) {
        while (dg_json_item(&r->j)) {
            struct dg_merge_text *m = push(r, &r->merges, sizeof *m);

            if (!m)
                return;
            read_merge(r, m);
        }
    }
}

/* ---- what is to have one value alone ---- */

static void expect_false(struct reader *r, const char *expected)
{
    bool value;

    if (!dg_json_null(&r->j) && dg_json_boolean(&r->j, &value) && value)
        dg_json_fail(&r->j, expected);
}

static void expect_string(struct reader *r, const char *value, const char *expected)
{
    char text[32];

    if (dg_json_string(&r->j, text, sizeof text) && strcmp(text, value) != 0)
        dg_json_fail(&r->j, expected);
}

static void expect_true(struct reader *r, const char *expected)
{
    bool value;

    if (dg_json_boolean(&r->j, &value) && !value)
        dg_json_fail(&r->j, expected);
}

/* null, or a text that is empty. */
static void expect_none(struct reader *r, const char *expected)
{
    if (!dg_json_null(&r->j))
        expect_string(r, "", expected);
}

static void expect_null(struct reader *r, const char *expected)
{
    if (!dg_json_null(&r->j))
        dg_json_fail(&r->j, expected);
}

static void read_model(struct reader *r)
{
    char key[32];

    r->has_model = true;
    if (!dg_json_object(&r->j))
        return;
    while (dg_json_key(&r->j, key, sizeof key)) {
        if (!strcmp(key, "type"))
            expect_string(r, "BPE", "\"BPE\" as the model's type");
        else if (!strcmp(key, "vocab"))
            read_vocab(r);
        else if (!strcmp(key, "merges"))
            read_merges(r);
        else if (!strcmp(key, "continuing_subword_prefix") || !strcmp(key, "end_of_word_suffix"))
            expect_none(r, "no prefix or suffix of words");
        else if (!strcmp(key, "byte_fallback"))
            expect_false(r, "byte_fallback false");
        else if (!strcmp(key, "ignore_merges"))
            expect_false(r, "ignore_merges false");
        else
            dg_json_skip(&r->j);
    }
}

static void read_pre_tokenizer(struct reader *r)
{
    char key[32];

    if (dg_json_null(&r->j))
        dg_json_fail(&r->j, "a \"ByteLevel\" pre-tokenizer");
    if (!dg_json_object(&r->j))
        return;
    while (dg_json_key(&r->j, key, sizeof key)) {
        if (!strcmp(key, "type"))
            expect_string(r, "ByteLevel", "\"ByteLevel\" as the pre-tokenizer's type");
        else if (!strcmp(key, "add_prefix_space"))
            expect_false(r, "add_prefix_space false");
        else if (!strcmp(key, "use_regex"))
            expect_true(r, "use_regex true, as GPT-2 splits a text");
        else
            dg_json_skip(&r->j);
    }
}

static void read_added_token(struct reader *r)
{
    struct dg_token_text *t = push(r, &r->tokens, sizeof *t);
    bool special = true, has_id = false;
    char key[32];

    if (!t || !dg_json_object(&r->j))
        return;
    while (dg_json_key(&r->j, key, sizeof key)) {
        if (!strcmp(key, "content"))
            read_text(r, &t->text, &t->n);
        else if (!strcmp(key, "id"))
            has_id = dg_json_integer(&r->j, &t->id);
        else if (!strcmp(key, "special"))
            dg_json_boolean(&r->j, &special);
        else if (!strcmp(key, "single_word") || !strcmp(key, "lstrip") || !strcmp(key, "rstrip"))
            expect_false(r, "single_word, lstrip and rstrip of an added token false");
        else
            dg_json_skip(&r->j);
    }
    t->kind = special ? DG_TOKEN_SPECIAL : DG_TOKEN_ADDED;
    if (!t->text || !has_id)
        dg_json_fail(&r->j, "an added token with id and content");
}

static void read_added(struct reader *r)
{
    if (dg_json_array(&r->j))
        while (dg_json_item(&r->j))
            read_added_token(r);
}

static void read_file(struct reader *r)
{
    char key[32];

    if (!dg_json_object(&r->j))
        return;
    while (dg_json_key(&r->j, key, sizeof key)) {
        if (!strcmp(key, "model"))
            read_model(r);
        else if (!strcmp(key, "added_tokens"))
            read_added(r);
        else if (!strcmp(key, "pre_tokenizer"))
            read_pre_tokenizer(r);
        else if (!strcmp(key, "normalizer"))
            expect_null(r, "null: no normalizer");
        else
            dg_json_skip(&r->j);
    }
    if (!r->has_model)
        dg_json_fail(&r->j, "a member \"model\" (this is JSON, but no tokenizer.json)");
    dg_json_end(&r->j);
}

enum dg_status dg_tokenizer_of_json(struct dg_tokenizer **out, const char *data, size_t n,
                                    const char *name, struct dg_error *err)
{
    struct reader r = {.pool = malloc(n + 1)};
    enum dg_status st;

    if (!r.pool)
        return dg_fail_memory(err, "a tokenizer", n);
    dg_json_open(&r.j, data, n);
    dg_json_unique(&r.j, &r.names);
    read_file(&r);
    if (r.j.error)
        st = dg_json_refuse(&r.j, name, DG_ERR_TOKEN, err);
    else
        st = dg_vocabulary_of_lists(out, name, r.tokens.at, r.tokens.n, r.merges.at, r.merges.n,
                                    err);
    dg_names_free(&r.names);
    free(r.tokens.at);
    free(r.merges.at);
    free(r.pool);
    return st;
}

/* ---- vocab.json ---- */

/* How many tokens there are to the texts of r; what is otherwise is an error of it. */
static enum dg_status compare(struct reader *r, const struct dg_tokenizer *t, const char *name,
                              struct dg_error *err)
{
    const struct dg_token_text *texts = r->tokens.at;

    for (size_t i = 0; i < r->tokens.n; i++) {
        const int n = (int)(texts[i].n < 64 ? texts[i].n : 64);
        const uint32_t token =
            dg_vocabulary_find_written(t, texts[i].text, texts[i].n, r->pool + r->used);

        if (token == DG_NO_TOKEN)
            return dg_fail(err, DG_ERR_TOKEN, "%s: '%.*s': got a token that no merge makes", name,
                           n, texts[i].text);
        if ((uint64_t)t->id[token] != texts[i].id)
            return dg_fail(err, DG_ERR_TOKEN,
                           "%s: '%.*s': got id %" PRIu64 ", expected %" PRId32
                           " as the merges or tokenizer.json say",
                           name, n, texts[i].text, texts[i].id, t->id[token]);
    }
    if (r->tokens.n > t->n || r->tokens.n < t->n - t->n_special)
        return dg_fail(err, DG_ERR_TOKEN, "%s: got %zu tokens, expected %" PRIu32, name,
                       r->tokens.n, t->n);
    return DG_OK;
}

enum dg_status dg_vocabulary_agrees(struct dg_tokenizer **t, const char *path, struct dg_error *err)
{
    struct reader r = {0};
    char *text;
    size_t n;
    enum dg_status st = dg_vocabulary_load(&text, &n, path, err);

    if (st != DG_OK)
        return st;
    r.pool = malloc(2 * n + 1); /* the other half: room to read a text */
    if (r.pool) {
        dg_json_open(&r.j, text, n);
        dg_json_unique(&r.j, &r.names);
        read_vocab(&r);
        dg_json_end(&r.j);
        st = r.j.error ? dg_json_refuse(&r.j, path, DG_ERR_TOKEN, err) : compare(&r, *t, path, err);
    } else {
        st = dg_fail_memory(err, path, n);
    }
    dg_names_free(&r.names);
    free(r.tokens.at);
    free(r.pool);
    free(text);
    return st;
}
