/* The terminal itself lets the user rub out. The prompt goes to stderr, since stdout has the texts alone. */
#include "lines.h"
#include "reading.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct lines {
    const char *prompt;
};

struct lines *lines_new(const char *prompt)
{
    struct lines *l = malloc(sizeof *l);

    if (!l)
        return NULL;
    l->prompt = prompt;
    if (isatty(STDIN_FILENO))
        fputs("dagpt: built without libedit: lines cannot be edited or fetched again\n", stderr);
    return l;
}

bool lines_next(struct lines *l, struct text *line)
{
    if (isatty(STDIN_FILENO)) {
        fputs(l->prompt, stderr);
        fflush(stderr);
    }
    return text_line(&(struct text_source){cli_stdin(), "standard input"}, line);
}

void lines_free(struct lines *l)
{
    free(l);
}
