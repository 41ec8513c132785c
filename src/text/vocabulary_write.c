/* Of a token that is special or added, vocab.json and the model in tokenizer.json have the text only where it reads
 * the same as its bytes, or where merges may need it: another text would be another token there. */
#include "vocabulary_write.h"
#include "../base/arena.h"
#include "../base/json_write.h"
#include "../base/utf8.h"

#include <inttypes.h>
#include <string.h>

/* ---- lists ---- */

/* The token in GPT-2's printable characters, to `to`; its length. */
static size_t spell(const struct dg_tokenizer *t, uint32_t token, char *to)
{
    char *const start = to;

    for (size_t i = t->start[token]; i < t->start[token + 1]; i++) {
        const uint32_t code = dg_vocabulary_character((unsigned char)t->bytes[i]);

        if (code >= 0x80) /* two bytes of UTF-8: all are below U+0800 */
            *to++ = (char)(0xC0 | code >> 6);
        *to++ = (char)(code < 0x80 ? code : 0x80 | (code & 0x3F));
    }
    return (size_t)(to - start);
}

static void fill_tokens(struct dg_vocabulary_lists *l, char *pool)
{
    const struct dg_tokenizer *t = l->t;

    for (uint32_t id = 0; id < t->n; id++) {
        const size_t n = spell(t, t->token[id], pool);

        l->tokens[id] = (struct dg_token_text){pool, n, id, DG_TOKEN_PLAIN};
        pool += n;
    }
    for (uint32_t i = 0; i < t->n_special; i++)
        l->tokens[t->id[t->special[i]]].kind = i < t->n_always ? DG_TOKEN_ADDED : DG_TOKEN_SPECIAL;
}

static void fill_merges(struct dg_vocabulary_lists *l)
{
    const struct dg_tokenizer *t = l->t;

    for (size_t i = 0; i <= t->mask; i++) {
        const struct dg_merge *m = &t->merges[i];
        const struct dg_token_text *left = &l->tokens[t->id[m->left]],
                                   *right = &l->tokens[t->id[m->right]];

        if (m->rank > 0)
            l->merges[m->rank - 1] =
                (struct dg_merge_text){left->text, right->text, left->n, right->n};
    }
}

enum dg_status dg_vocabulary_lists(struct dg_vocabulary_lists *out, const struct dg_tokenizer *t,
                                   struct dg_error *err)
{
    struct dg_vocabulary_lists l = {.t = t, .arena = dg_arena_new()};
    char *pool = NULL;

    if (l.arena) {
        pool = dg_arena_array(l.arena, t->start[t->n], 2);
        l.tokens = dg_arena_array(l.arena, t->n, sizeof *l.tokens);
        l.merges = dg_arena_array(l.arena, t->n_merges, sizeof *l.merges);
    }
    if (!pool || !l.tokens || !l.merges) {
        dg_vocabulary_lists_free(&l);
        return dg_fail_memory(err, "a tokenizer", t->n * sizeof *l.tokens);
    }
    fill_tokens(&l, pool);
    fill_merges(&l);
    *out = l;
    return DG_OK;
}

void dg_vocabulary_lists_free(struct dg_vocabulary_lists *l)
{
    dg_arena_free(l->arena);
    *l = (struct dg_vocabulary_lists){0};
}

/* ---- files ---- */

enum dg_status dg_vocabulary_check_json(const struct dg_tokenizer *t, const char *name,
                                        struct dg_error *err)
{
    for (uint32_t i = 0; i < t->n_special; i++) {
        const int32_t id = t->id[t->special[i]];
        size_t n, length;
        const char *bytes = dg_tokenizer_bytes(t, id, &n);
        uint32_t code;

        for (size_t at = 0; at < n; at += length) {
            length = dg_utf8_decode(bytes + at, n - at, &code);
            if (length == 0)
                return dg_fail(err, DG_ERR_TOKEN,
                               "%s: token id %" PRId32
                               ": got bytes that are not UTF-8, expected what JSON can have",
                               name, id);
        }
    }
    return DG_OK;
}

void dg_vocabulary_write_merges(const struct dg_vocabulary_lists *l, FILE *to)
{
    fputs("#version: 0.2\n", to);
    for (uint32_t i = 0; i < l->t->n_merges; i++) {
        const struct dg_merge_text *m = &l->merges[i];

        fprintf(to, "%.*s %.*s\n", (int)m->n_left, m->left, (int)m->n_right, m->right);
    }
}

static bool is_in_vocab(const struct dg_vocabulary_lists *l, uint32_t id, uint32_t n_made)
{
    const struct dg_token_text *text = &l->tokens[id];
    size_t n;
    const char *bytes = dg_tokenizer_bytes(l->t, (int32_t)id, &n);

    return text->kind == DG_TOKEN_PLAIN || l->t->token[id] < n_made ||
           (n == text->n && memcmp(bytes, text->text, n) == 0);
}

/* "{", then each token and its id, with `between` before it, and ": " or ":". */
static void write_vocab(const struct dg_vocabulary_lists *l, FILE *to, const char *between,
                        const char *colon)
{
    uint32_t n_made =
        DG_N_BYTES; /* tokens that are bytes or made by merges: the others come later */
    const char *comma = "";

    for (uint32_t i = 0; i < l->t->n_merges; i++)
        if (l->t->made[i] >= n_made)
            n_made = l->t->made[i] + 1;
    putc('{', to);
    for (uint32_t id = 0; id < l->t->n; id++) {
        if (!is_in_vocab(l, id, n_made))
            continue;
        fprintf(to, "%s%s\"", comma, between);
        dg_json_write_bytes(to, l->tokens[id].text, l->tokens[id].n, "");
        fprintf(to, "\"%s%" PRIu32, colon, id);
        comma = ",";
    }
}

void dg_vocabulary_write_vocab(const struct dg_vocabulary_lists *l, FILE *to)
{
    write_vocab(l, to, "", ":");
    putc('}', to);
}

static void write_added(const struct dg_vocabulary_lists *l, FILE *to)
{
    const char *comma = "";

    fputs("  \"added_tokens\": [", to);
    for (uint32_t id = 0; id < l->t->n; id++) {
        size_t n;
        const char *bytes = dg_tokenizer_bytes(l->t, (int32_t)id, &n);

        if (l->tokens[id].kind == DG_TOKEN_PLAIN)
            continue;
        fprintf(to, "%s\n    {\n      \"id\": %" PRIu32 ",\n      \"content\": \"", comma, id);
        dg_json_write_bytes(to, bytes, n, "");
        fprintf(
            to,
            "\",\n      \"single_word\": false,\n      \"lstrip\": false,\n"
            "      \"rstrip\": false,\n      \"normalized\": true,\n      \"special\": %s\n    }",
            l->tokens[id].kind == DG_TOKEN_SPECIAL ? "true" : "false");
        comma = ",";
    }
    fprintf(to, "%s],\n", *comma ? "\n  " : "");
}

static void write_byte_level(FILE *to, const char *name, bool space, bool trim)
{
    fprintf(to,
            "  \"%s\": {\n    \"type\": \"ByteLevel\",\n    \"add_prefix_space\": %s,\n"
            "    \"trim_offsets\": %s,\n    \"use_regex\": true\n  },\n",
            name, space ? "true" : "false", trim ? "true" : "false");
}

static void write_merge_list(const struct dg_vocabulary_lists *l, FILE *to)
{
    fputs("    \"merges\": [", to);
    for (uint32_t i = 0; i < l->t->n_merges; i++) {
        const struct dg_merge_text *m = &l->merges[i];

        fprintf(to, "%s\n      \"", i ? "," : "");
        dg_json_write_bytes(to, m->left, m->n_left, "");
        putc(' ', to);
        dg_json_write_bytes(to, m->right, m->n_right, "");
        putc('"', to);
    }
    fprintf(to, "%s]\n", l->t->n_merges ? "\n    " : "");
}

void dg_vocabulary_write_json(const struct dg_vocabulary_lists *l, FILE *to)
{
    fputs("{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n", to);
    write_added(l, to);
    fputs("  \"normalizer\": null,\n", to);
    write_byte_level(to, "pre_tokenizer", false, true);
    write_byte_level(to, "post_processor", true, false);
    write_byte_level(to, "decoder", true, true);
    fputs(
        "  \"model\": {\n    \"type\": \"BPE\",\n    \"dropout\": null,\n    \"unk_token\": null,\n"
        "    \"continuing_subword_prefix\": \"\",\n    \"end_of_word_suffix\": \"\",\n"
        "    \"fuse_unk\": false,\n    \"byte_fallback\": false,\n    \"vocab\": ",
        to);
    write_vocab(l, to, "\n      ", ": ");
    fputs("\n    },\n", to);
    write_merge_list(l, to);
    fputs("  }\n}", to);
}
