/* The model's own tokenizer is in it or beside it. So the model is looked at first: one that is not there has
 * none, and that is what was wrong. */
#include "tokenizer.h"
#include "demo.h"
#include "engine.h"
#include "files.h"
#include "leaving.h"
#include "text.h"
#include "../../src/base/checked.h"
#include "../../src/base/json_write.h"
#include "../../src/model/weights.h"
#include "../../src/text/tokenizer.h"

static const char *vocab_path;
static bool special;

const struct cli_option cli_tokenizer_options[] = {
    {0, "vocab", CLI_TEXT, "FILE", "tokenizer; else the model's own", &vocab_path, 0, 0, NULL},
    {0},
};

bool cli_tokenizer_given(void)
{
    return vocab_path != NULL;
}

const struct cli_option cli_encode_options[] = {
    {0, "special", CLI_FLAG, NULL, "<|endoftext|> in the text is the mark, not text", &special, 0,
     0, NULL},
    {0},
};

enum dg_status cli_encode(const struct dg_tokenizer *t, const char *bytes, size_t n, int32_t **ids,
                          size_t *n_ids, struct dg_error *err)
{
    return (special ? dg_tokenizer_encode_special : dg_tokenizer_encode)(t, bytes, n, ids, n_ids,
                                                                         err);
}

size_t cli_encode_border(const struct dg_tokenizer *t, const char *bytes, size_t n)
{
    return dg_tokenizer_border(t, bytes, n, special);
}

static struct dg_tokenizer *tokenizer;

static void close_tokenizer(void)
{
    dg_tokenizer_free(tokenizer);
}

static void open_tokenizer(const char *path)
{
    struct dg_error err;

    cli_reads(path);
    cli_check(dg_tokenizer_open(&tokenizer, path, &err), &err);
}

static void open_of_model(void)
{
    const struct dg_weights *w = cli_weights();
    struct dg_error err;

    if (dg_weights_tokenizer(&tokenizer, w, &err) != DG_OK)
        cli_die(err.status, "%s (--vocab FILE names another)", err.text);
}

static void open_demo(void)
{
    const size_t n = (size_t)(demo_merges_end - demo_merges);
    struct dg_error err;

    cli_check(dg_tokenizer_parse(&tokenizer, demo_merges, n, DEMO_NAME, &err), &err);
}

const struct dg_tokenizer *cli_tokenizer(void)
{
    if (vocab_path)
        open_tokenizer(vocab_path);
    else if (cli_model_is_demo())
        open_demo();
    else
        open_of_model();
    cli_on_leaving(close_tokenizer);
    return tokenizer;
}

const struct dg_tokenizer *cli_tokenizer_if_any(void)
{
    struct dg_error err;

    if (vocab_path || cli_model_is_demo())
        return cli_tokenizer();
    cli_check(dg_weights_tokenizer_if_any(&tokenizer, cli_weights(), &err), &err);
    cli_on_leaving(close_tokenizer);
    return tokenizer;
}

void cli_tokenizer_check(const struct dg_tokenizer *t, const struct dg_sizes *sizes)
{
    if (dg_tokenizer_vocab(t) != sizes->vocab)
        cli_die(DG_ERR_TOKEN, "%s: the tokenizer has %u tokens, expected the model's V = %u",
                vocab_path ? vocab_path : cli_model_path(), dg_tokenizer_vocab(t), sizes->vocab);
}

void cli_tokenizer_limit(const struct dg_tokenizer *t, const struct dg_sizes *sizes,
                         const char *advice)
{
    size_t longest = 1, n, most;
    char why[TEXT_WHY];

    for (uint32_t id = 0; id < dg_tokenizer_vocab(t); id++)
        if (dg_tokenizer_bytes(t, (int32_t)id, &n) && n > longest)
            longest = n;
    if (!dg_mul(longest, sizes->positions, &most))
        return;
    snprintf(why, sizeof why, "expected at most maxT = %u tokens of at most %zu bytes%s",
             sizes->positions, longest, advice);
    text_limit(most, why);
}

void cli_token_write(FILE *to, const struct dg_tokenizer *t, int32_t id)
{
    size_t n = 0;
    const char *bytes = dg_tokenizer_bytes(t, id, &n);

    putc('"', to);
    dg_json_write_bytes(to, bytes, n, "");
    putc('"', to);
}

int32_t cli_tokenizer_begin(const struct dg_tokenizer *t)
{
    const int32_t id = dg_tokenizer_begin(t);

    if (id < 0)
        cli_die(DG_ERR_TOKEN, "%s: the tokenizer has no token that begins a text",
                vocab_path ? vocab_path : cli_model_path());
    return id;
}
