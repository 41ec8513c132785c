/* dagpt encode [TEXT] - text to token ids. A text is taken byte for byte, its final newline too: what
 * dagpt decode makes of the ids is the text again. */
#include "commands.h"
#include "../cli/engine.h"
#include "../cli/leaving.h"
#include "../cli/options.h"
#include "../cli/text.h"
#include "../cli/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool records;

static const struct cli_option options[] = {
    {'0', "null", CLI_FLAG, NULL, "texts end in NUL; a line of ids for each", &records, 0, 0, NULL},
    {0},
};

static const struct cli_option *const tables[] = {
    options,           text_options, text_escape_options, cli_encode_options, cli_tokenizer_options,
    cli_model_options, NULL};

static const struct cli_command command = {
    "encode", "[OPTION]... [TEXT]",
    "Prints the token ids of a text, on one line: of TEXT, the file of -f, or standard input,\n"
    "byte for byte. The tokenizer is that of the model in the program, unless --vocab, -m or\n"
    "$DAGPT_MODEL names another.",
    tables};

static void print_ids(const struct dg_tokenizer *t, const char *bytes, size_t n)
{
    struct dg_error err;
    int32_t *ids;
    size_t n_ids;

    cli_check(cli_encode(t, bytes, n, &ids, &n_ids, &err), &err);
    for (size_t i = 0; i < n_ids; i++)
        printf("%s%d", i ? " " : "", (int)ids[i]);
    putchar('\n');
    free(ids);
}

/* A text behind the last NUL counts, too. */
static void print_records(const struct dg_tokenizer *t, const struct text *text)
{
    const char *at = text->bytes, *end = text->bytes + text->n;

    while (at < end) {
        const char *nul = memchr(at, '\0', (size_t)(end - at));
        const size_t n = (size_t)((nul ? nul : end) - at);

        print_ids(t, at, n);
        at += n + 1;
    }
}

int cmd_encode(int argc, char **argv)
{
    const int n = cli_parse(&command, argc, argv);
    const struct dg_tokenizer *t = cli_tokenizer();
    struct text text = text_read(argv + 1, n, false);

    if (records)
        print_records(t, &text);
    else
        print_ids(t, text.bytes, text.n);
    cli_flush();
    text_free(&text);
    return 0;
}
