#include "text.h"
#include "demo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *vocab_path, *file_path;

const struct cli_option text_options[] = {
    {0, "vocab", CLI_TEXT, "FILE", "merges file; else merges.txt or vocab.bpe beside the model",
     &vocab_path, 0, 0, NULL},
    {0},
};

const struct cli_option text_file_options[] = {
    {'f', "file", CLI_TEXT, "FILE", "take the text from FILE (-: standard input)", &file_path, 0, 0,
     NULL},
    {0},
};

/* ---- reading ---- */

static struct text copy_of(const char *s)
{
    struct text t = {strdup(s), strlen(s)};

    if (!t.bytes)
        cli_die(DG_ERR_RESOURCE, "out of memory for a text of %zu bytes", t.n);
    return t;
}

static struct text read_all(FILE *from, const char *name)
{
    struct text t = {NULL, 0};
    size_t room = 0, got;

    do {
        if (room - t.n < 2) {
            char *more = realloc(t.bytes, room = room ? 2 * room : 1 << 16);

            if (!more)
                cli_die(DG_ERR_RESOURCE, "%s: out of memory for a text of %zu bytes", name, room);
            t.bytes = more;
        }
        got = fread(t.bytes + t.n, 1, room - t.n - 1, from);
        t.n += got;
    } while (got > 0);
    if (ferror(from))
        cli_die(DG_ERR_IO, "%s: cannot read: %s", name, strerror(errno));
    t.bytes[t.n] = '\0';
    return t;
}

static struct text read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    struct text t;

    if (!f)
        cli_die(DG_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    t = read_all(f, path);
    fclose(f);
    return t;
}

struct text text_read(char **operands, int n, bool trim)
{
    struct text t;

    if (n > 1)
        cli_die(DG_ERR_USAGE, "got %d texts, expected one: quote it if it has blanks", n);
    if (n == 1 && file_path)
        cli_die(DG_ERR_USAGE, "got a text and -f %s, expected one of them", file_path);
    if (n == 1)
        return copy_of(operands[0]);
    if (file_path && strcmp(file_path, "-") != 0)
        t = read_file(file_path);
    else
        t = read_all(stdin, "standard input");
    if (trim && t.n > 0 && t.bytes[t.n - 1] == '\n')
        t.bytes[--t.n] = '\0';
    return t;
}

void text_free(struct text *t)
{
    free(t->bytes);
    *t = (struct text){NULL, 0};
}

char *text_line(void)
{
    char *line = NULL;
    size_t room = 0;
    const ssize_t n = getline(&line, &room, stdin);

    if (n < 0) {
        free(line);
        return NULL;
    }
    if (n > 0 && line[n - 1] == '\n')
        line[n - 1] = '\0';
    return line;
}

/* ---- the tokenizer ---- */

/* `name` in the folder of the model; the caller's to free. */
static char *beside_model(const char *name)
{
    const char *model = cli_model_path(), *slash = strrchr(model, '/');
    const size_t folder = slash ? (size_t)(slash - model) + 1 : 0;
    char *path = malloc(folder + strlen(name) + 1);

    if (!path)
        cli_die(DG_ERR_RESOURCE, "out of memory for a path");
    memcpy(path, model, folder);
    strcpy(path + folder, name);
    return path;
}

static struct dg_tokenizer *tokenizer;

static void close_tokenizer(void)
{
    dg_tokenizer_free(tokenizer);
}

static void open_tokenizer(const char *path)
{
    struct dg_error err;

    cli_check(dg_tokenizer_open(&tokenizer, path, &err), &err);
}

const struct dg_tokenizer *text_tokenizer(void)
{
    static const char *const names[] = {"merges.txt", "vocab.bpe"};
    struct dg_error err;

    atexit(close_tokenizer);
    if (vocab_path)
        open_tokenizer(vocab_path);
    else if (cli_model_is_demo())
        cli_check(dg_tokenizer_parse(&tokenizer, demo_merges,
                                     (size_t)(demo_merges_end - demo_merges), DEMO_NAME, &err),
                  &err);
    for (size_t i = 0; !tokenizer && i < sizeof names / sizeof *names; i++) {
        char *path = beside_model(names[i]);

        if (access(path, F_OK) == 0)
            open_tokenizer(path);
        free(path);
    }
    if (!tokenizer)
        cli_die(DG_ERR_TOKEN, "%s: no merges.txt or vocab.bpe beside it; --vocab FILE names one",
                cli_model_path());
    return tokenizer;
}

void text_check_vocab(const struct dg_tokenizer *t, const struct dg_sizes *sizes)
{
    if (dg_tokenizer_vocab(t) != sizes->vocab)
        cli_die(DG_ERR_TOKEN, "%s: the tokenizer has %u tokens, expected the model's V = %u",
                vocab_path ? vocab_path : cli_model_path(), dg_tokenizer_vocab(t), sizes->vocab);
}
