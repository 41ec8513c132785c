/* A text is read whole before it is looked at: where a token ends depends on what follows. */
#include "text.h"
#include "escapes.h"
#include "leaving.h"
#include "../../src/base/status.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *file_path;

const struct cli_option text_options[] = {
    {'f', "file", CLI_TEXT, "FILE", "take the text from FILE (-: standard input)", &file_path, 0, 0,
     NULL},
    {0},
};

static bool escapes;

const struct cli_option text_escape_options[] = {
    {0, "escapes", CLI_FLAG, NULL, "\\n, \\t, \\\\, \\0, \\xHH, ... in a text that is an argument",
     &escapes, 0, 0, NULL},
    {0},
};

enum dg_status text_unescape(struct text *t, struct dg_error *err)
{
    return escapes ? escapes_read(t->bytes, t->n, &t->n, err) : DG_OK;
}

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
    size_t room = 0;

    do {
        if (room - t.n < 2) {
            char *more = realloc(t.bytes, room = room ? 2 * room : 1 << 16);

            if (!more)
                cli_die(DG_ERR_RESOURCE, "%s: out of memory for a text of %zu bytes", name, room);
            t.bytes = more;
        }
        t.n += fread(t.bytes + t.n, 1, room - t.n - 1, from);
    } while (!feof(from) && !ferror(from)); /* at a terminal, another read would ask again */
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
    struct dg_error err;
    struct text t;

    if (n > 1)
        cli_die(DG_ERR_USAGE, "got %d texts, expected one: quote it if it has blanks", n);
    if (n == 1 && file_path)
        cli_die(DG_ERR_USAGE, "got a text and -f %s, expected one of them", file_path);
    if (n == 1) {
        t = copy_of(operands[0]);
        cli_check(text_unescape(&t, &err), &err);
        return t;
    }
    if (escapes)
        cli_die(DG_ERR_USAGE, "--escapes: got %s, expected a text as an argument",
                file_path ? "-f" : "standard input");
    if (file_path && strcmp(file_path, "-") != 0)
        t = read_file(file_path);
    else
        t = read_all(stdin, "standard input");
    if (trim)
        text_trim(&t);
    return t;
}

void text_free(struct text *t)
{
    free(t->bytes);
    *t = (struct text){NULL, 0};
}

void text_trim(struct text *t)
{
    if (t->n == 0 || t->bytes[t->n - 1] != '\n')
        return;
    t->n--;
    if (t->n > 0 && t->bytes[t->n - 1] == '\r')
        t->n--;
    t->bytes[t->n] = '\0';
}

bool text_line(struct text *line)
{
    char *bytes = NULL;
    size_t room = 0;
    ssize_t n;

    errno = 0;
    n = getline(&bytes, &room, stdin);
    if (n < 0) {
        const int failed = errno;

        free(bytes);
        if (failed == ENOMEM)
            cli_die(DG_ERR_RESOURCE, "standard input: out of memory for a line");
        if (ferror(stdin))
            cli_die(DG_ERR_IO, "standard input: cannot read: %s", strerror(failed));
        return false;
    }
    *line = (struct text){bytes, (size_t)n};
    text_trim(line);
    return true;
}

char *text_printable(const char *name)
{
    const struct text t = copy_of(name);

    dg_one_line(t.bytes);
    return t.bytes;
}
