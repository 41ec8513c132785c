/* dagpt encode [TEXT] - text to token ids. A text is taken byte for byte, its final newline too: what
 * dagpt decode makes of the ids is the text again. */
#include "commands.h"
#include "../cli/engine.h"
#include "../cli/leaving.h"
#include "../cli/options.h"
#include "../cli/text.h"
#include "../cli/tokenizer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_WORD = 16 << 20 }; /* bytes of text in which no id is certain yet */

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

static size_t n_line; /* ids on this line */

static void print_ids(const struct dg_tokenizer *t, const char *bytes, size_t n)
{
    struct dg_error err;
    int32_t *ids;
    size_t n_ids;

    cli_check(cli_encode(t, bytes, n, &ids, &n_ids, &err), &err);
    for (size_t i = 0; i < n_ids; i++)
        printf("%s%d", n_line++ ? " " : "", (int)ids[i]);
    free(ids);
}

static void end_line(void)
{
    putchar('\n');
    n_line = 0;
}

/* Prints the ids of text[0 ... n - 1], or, where more will follow, of as much of it as has ids already;
 * returns how much. With -0 a NUL ends each text; one behind the last NUL counts, too. */
static size_t print_text(const struct dg_tokenizer *t, const char *text, size_t n, bool is_end)
{
    size_t at = 0, ready;
    const char *nul;

    while (records && (nul = memchr(text + at, '\0', n - at))) {
        print_ids(t, text + at, (size_t)(nul - text) - at);
        end_line();
        at = (size_t)(nul - text) + 1;
    }
    ready = is_end ? n - at : cli_encode_border(t, text + at, n - at);
    print_ids(t, text + at, ready);
    if (is_end && (!records || n_line > 0))
        end_line();
    return at + ready;
}

/* A text without an end is encoded, too; only a word without one is not. */
static void print_source(const struct dg_tokenizer *t, const struct text_source *s)
{
    size_t n = 0, room = 0, done;
    char *text = NULL;

    do {
        if (n == room) {
            if (room == MOST_WORD)
                cli_die(DG_ERR_TOKEN, "%s: got a word of more than %d bytes, expected shorter ones",
                        s->name, MOST_WORD);
            room = room ? 2 * room : 1 << 18;
            text = realloc(text, room);
            if (!text)
                cli_die(DG_ERR_RESOURCE, "%s: out of memory for a text of %zu bytes", s->name,
                        room);
        }
        n += fread(text + n, 1, room - n, s->from);
        if (ferror(s->from)) /* text_close() says so */
            break;
        done = print_text(t, text, n, n < room);
        if (ferror(stdout))
            cli_die(DG_ERR_IO, "cannot write to standard output: %s", strerror(errno));
        memmove(text, text + done, n - done);
        n -= done;
    } while (!feof(s->from));
    free(text);
}

int cmd_encode(int argc, char **argv)
{
    const int n = cli_parse(&command, argc, argv);
    const struct dg_tokenizer *t = cli_tokenizer();
    struct text_source s;
    struct text text;

    if (text_operand(argv + 1, n, &text)) {
        print_text(t, text.bytes, text.n, true);
        text_free(&text);
    } else {
        s = text_open();
        print_source(t, &s);
        text_close(&s);
    }
    cli_flush();
    return 0;
}
