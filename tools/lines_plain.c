#include "lines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
    char *line = NULL;
    size_t room = 0;
    ssize_t n;

    if (isatty(STDIN_FILENO)) {
        fputs(l->prompt, stderr);
        fflush(stderr);
    }
    n = getline(&line, &room, stdin);
    if (n < 0) {
        free(line);
        return NULL;
    }
    if (n > 0 && line[n - 1] == '\n')
        line[n - 1] = '\0';
    return line;
}

void lines_free(struct lines *l)
{
    free(l);
}
