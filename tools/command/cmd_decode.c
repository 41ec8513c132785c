/* dagpt decode [ID...] - token ids to text. Nothing is added, not even a newline, and nothing is mended
 * that is not UTF-8: an id may be a part of a character. */
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
    {'0', "null", CLI_FLAG, NULL, "a text for each line of ids, each ended by NUL", &records, 0, 0,
     NULL},
    {0},
};

static const struct cli_option *const tables[] = {options, text_options, cli_tokenizer_options,
                                                  cli_model_options, NULL};

static const struct cli_command command = {
    "decode", "[OPTION]... [ID]...",
    "Prints the text of token ids: of the IDs, the file of -f, or standard input, separated by\n"
    "white space. Exactly their bytes are printed, and nothing else.",
    tables};

static size_t n_decoded;

/* The word at *at, if there is one before the end of the text; *at is then behind it. */
static bool decode_word(const struct dg_tokenizer *t, char **at)
{
    char *word = *at + strspn(*at, " \t\r\n\v\f");
    const size_t length = strcspn(word, " \t\r\n\v\f");
    const char *bytes = NULL;
    uint64_t id;
    size_t n = 0;
    char end;

    if (length == 0)
        return false;
    end = word[length];
    word[length] = '\0';
    n_decoded++;
    if (cli_number(word, &id) && id <= INT32_MAX)
        bytes = dg_tokenizer_bytes(t, (int32_t)id, &n);
    if (!bytes)
        cli_die(DG_ERR_TOKEN, "token id %zu: got '%s', expected 0 to %u", n_decoded, word,
                dg_tokenizer_vocab(t) - 1);
    fwrite(bytes, 1, n, stdout);
    word[length] = end;
    *at = word + length;
    return true;
}

static void decode_words(const struct dg_tokenizer *t, char *words)
{
    while (decode_word(t, &words))
        ;
}

static void decode_text(const struct dg_tokenizer *t, struct text *text)
{
    char *at = text->bytes, *end = text->bytes + text->n;

    if (strlen(text->bytes) != text->n)
        cli_die(DG_ERR_TOKEN, "token ids: got a NUL byte, expected numbers and white space");
    while (records && at < end) {
        char *line_end = memchr(at, '\n', (size_t)(end - at));

        if (!line_end)
            line_end = end;
        *line_end = '\0';
        decode_words(t, at);
        putchar('\0');
        at = line_end + 1;
    }
    if (!records)
        decode_words(t, at);
}

int cmd_decode(int argc, char **argv)
{
    const int n = cli_parse(&command, argc, argv);
    const struct dg_tokenizer *t = cli_tokenizer();
    struct text text = {NULL, 0};

    for (int i = 1; i <= n; i++)
        decode_words(t, argv[i]);
    if (n > 0 && records)
        putchar('\0');
    if (n == 0) {
        text = text_read(NULL, 0, false);
        decode_text(t, &text);
    }
    cli_flush();
    text_free(&text);
    return 0;
}
