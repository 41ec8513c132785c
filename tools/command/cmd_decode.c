/* dagpt decode [ID...] - token ids to text. Nothing is added, not even a newline, and nothing is mended
 * that is not UTF-8: an id may be a part of a character. */
#include "commands.h"
#include "../cli/engine.h"
#include "../cli/ids.h"
#include "../cli/leaving.h"
#include "../cli/options.h"
#include "../cli/stream.h"
#include "../cli/text.h"
#include "../cli/tokenizer.h"
#include "../cli/writing.h"

#include <errno.h>
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
    "Prints the text of token ids: of the IDs, the file of -f, or standard input (also -),\n"
    "separated by white space. Exactly their bytes are printed, and nothing else; on a terminal,\n"
    "control characters are shown as \\u001b, and what is not UTF-8 as U+FFFD.",
    tables};

static size_t n_decoded;

static void show(void *arg, const char *bytes, size_t n)
{
    (void)arg;
    cli_write_text(stdout, bytes, n);
}

/* On a terminal: an id may end within a character. */
static struct stream shown = {.release = show};

static void decode_word(const struct dg_tokenizer *t, const char *word)
{
    const char *bytes = NULL;
    uint64_t id;
    size_t n = 0;

    n_decoded++;
    if (cli_number(word, &id) && id <= INT32_MAX)
        bytes = dg_tokenizer_bytes(t, (int32_t)id, &n);
    if (!bytes)
        cli_die(DG_ERR_TOKEN, "token id %zu: got '%s', expected 0 to %u", n_decoded, word,
                dg_tokenizer_vocab(t) - 1);
    if (cli_on_terminal())
        stream_push(&shown, bytes, n);
    else
        fwrite(bytes, 1, n, stdout);
    if (shown.failed)
        cli_die(DG_ERR_RESOURCE, "out of memory for a text");
}

/* With -0 a NUL ends each line; of the last one the end may be missing. */
static void decode_file(const struct dg_tokenizer *t, FILE *from)
{
    enum id_kind kind, last = ID_LINE;
    char word[ID_BYTES];

    while ((kind = ids_scan(from, word)) != ID_NONE) {
        if (kind == ID_WORD)
            decode_word(t, word);
        else if (records)
            putchar('\0');
        if (ferror(stdout)) /* there may be no end of ids */
            cli_die(DG_ERR_IO, "cannot write to standard output: %s", strerror(errno));
        last = kind;
    }
    if (records && last == ID_WORD)
        putchar('\0');
}

/* The ids in an operand. */
static void decode_operand(const struct dg_tokenizer *t, char *operand)
{
    char word[ID_BYTES];
    FILE *from = *operand ? fmemopen(operand, strlen(operand), "r") : NULL;

    if (*operand && !from)
        cli_die(DG_ERR_RESOURCE, "out of memory for an argument");
    while (from && ids_scan(from, word) != ID_NONE)
        decode_word(t, word);
    if (from)
        fclose(from);
}

int cmd_decode(int argc, char **argv)
{
    const int n = cli_parse(&command, argc, argv);
    const struct dg_tokenizer *t = cli_tokenizer();

    if (n > 0 && text_file_given())
        cli_die(DG_ERR_USAGE, "got ids and -f, expected one of them");
    if (n == 0 || (n == 1 && strcmp(argv[1], "-") == 0)) {
        const struct text_source source = text_open();

        decode_file(t, source.from);
        text_close(&source);
    } else {
        for (int i = 1; i <= n; i++)
            decode_operand(t, argv[i]);
        if (records)
            putchar('\0');
    }
    stream_end(&shown);
    stream_free(&shown);
    cli_flush();
    return 0;
}
