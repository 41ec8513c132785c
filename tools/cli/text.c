/* A text is read whole before it is looked at: where a token ends depends on what follows. Standard input
 * may have no end, so a text has a limit: that of the model where it is for one. */
#include "text.h"
#include "escapes.h"
#include "files.h"
#include "leaving.h"
#include "reading.h"
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

enum { MOST_BYTES = 64 << 20 };

static size_t most_bytes = MOST_BYTES;
static char why_most[TEXT_WHY] = "expected a text of at most so many";

void text_limit(size_t bytes, const char *why)
{
    most_bytes = bytes;
    snprintf(why_most, sizeof why_most, "%s", why);
}

/* A line end that is taken off does not count. */
static bool is_too_long(const struct text *t)
{
    return t->n > most_bytes && t->n - most_bytes > 2;
}

/* Room for more bytes and the NUL. */
static void make_room(struct text *t, size_t *room, const char *name)
{
    char *more;

    if (is_too_long(t))
        cli_die(DG_ERR_TOKEN, "%s: got more than %zu bytes, %s", name, most_bytes, why_most);
    if (*room - t->n >= 2)
        return;
    *room = *room ? 2 * *room : 1 << 16;
    more = realloc(t->bytes, *room);
    if (!more)
        cli_die(DG_ERR_RESOURCE, "%s: out of memory for a text of %zu bytes", name, *room);
    t->bytes = more;
}

static struct text read_all(const struct text_source *s)
{
    struct text t = {NULL, 0};
    size_t room = 0;

    do {
        make_room(&t, &room, s->name);
        t.n += fread(t.bytes + t.n, 1, room - t.n - 1, s->from);
    } while (!feof(s->from) && !ferror(s->from)); /* at a terminal, another read would ask again */
    make_room(&t, &room, s->name);
    t.bytes[t.n] = '\0';
    return t;
}

struct text_source text_open_file(const char *path)
{
    const bool named = path && strcmp(path, "-") != 0;
    struct text_source s = {cli_stdin(), "standard input"};

    if (named)
        s = (struct text_source){fopen(path, "rb"), path};
    if (!s.from)
        cli_die(dg_status_of(errno, DG_ERR_IO), "%s: cannot open: %s", s.name, strerror(errno));
    if (named)
        cli_reads(path);
    return s;
}

struct text_source text_open(void)
{
    return text_open_file(file_path);
}

void text_close(const struct text_source *s)
{
    if (ferror(s->from))
        cli_die(dg_status_of(errno, DG_ERR_IO), "%s: cannot read: %s", s->name, strerror(errno));
    if (s->from != cli_stdin())
        fclose(s->from);
}

bool text_file_given(void)
{
    return file_path != NULL;
}

bool text_operand(char **operands, int n, struct text *t)
{
    struct dg_error err;

    if (n > 1)
        cli_die(DG_ERR_USAGE, "got %d texts, expected one: quote it if it has blanks", n);
    if (n == 1 && file_path)
        cli_die(DG_ERR_USAGE, "got a text and -f %s, expected one of them", file_path);
    if (n == 0 && escapes)
        cli_die(DG_ERR_USAGE, "--escapes: got %s, expected a text as an argument",
                file_path ? "-f" : "standard input");
    if (n == 0)
        return false;
    *t = copy_of(operands[0]);
    cli_check(text_unescape(t, &err), &err);
    return true;
}

struct text text_read(char **operands, int n, bool trim)
{
    struct text_source s;
    struct text t;

    if (text_operand(operands, n, &t))
        return t;
    s = text_open();
    t = read_all(&s);
    text_close(&s);
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

/* Refuses a line of which so much has been read, and skips the rest of it, if it has an end. */
static void skip_line(const struct text_source *s, struct text *line)
{
    static const char format[] = "%s: got a line of more than %zu bytes, %s";
    size_t n = 0;
    int c;

    text_free(line);
    while ((c = getc(s->from)) != EOF && c != '\n')
        if (n++ == MOST_BYTES)
            cli_die(DG_ERR_TOKEN, format, s->name, most_bytes, why_most);
    fprintf(stderr, "dagpt: ");
    fprintf(stderr, format, s->name, most_bytes, why_most);
    fputc('\n', stderr);
}

bool text_line(const struct text_source *s, struct text *line)
{
    size_t room = 0;
    int c;

    *line = (struct text){NULL, 0};
    do {
        make_room(line, &room, s->name);
        c = getc(s->from);
        if (c != EOF)
            line->bytes[line->n++] = (char)c;
    } while (c != EOF && c != '\n' && !is_too_long(line));
    if (is_too_long(line)) {
        skip_line(s, line);
        return true;
    }
    if (ferror(s->from))
        cli_die(dg_status_of(errno, DG_ERR_IO), "%s: cannot read: %s", s->name, strerror(errno));
    line->bytes[line->n] = '\0';
    if (line->n == 0) {
        text_free(line);
        return false;
    }
    text_trim(line);
    return true;
}

char *text_printable(const char *name)
{
    const struct text t = copy_of(name);

    dg_one_line(t.bytes);
    return t.bytes;
}
