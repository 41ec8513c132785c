/* The terminal itself lets the user rub out. The prompt goes to stderr, since stdout has the texts alone. */
#include "lines.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct lines {
    const char *prompt;
};

struct lines *lines_new(const char *prompt)
{
    struct lines *l = malloc(sizeof *l);

    if (l)
        l->prompt = prompt;
    return l;
}

char *lines_next(struct lines *l)
{
    if (isatty(STDIN_FILENO)) {
        fputs(l->prompt, stderr);
        fflush(stderr);
    }
    return text_line();
}

void lines_free(struct lines *l)
{
    free(l);
}
