#include "bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void bytes_add(struct bytes *b, const char *more, size_t n)
{
    if (n > b->room - b->n) {
        const size_t room = 2 * b->room + n;
        char *at = realloc(b->at, room);

        if (!at) {
            b->failed = true;
            return;
        }
        b->at = at;
        b->room = room;
    }
    if (n > 0)
        memcpy(b->at + b->n, more, n);
    b->n += n;
}

int bytes_take(const char *more, size_t n, void *b)
{
    bytes_add(b, more, n);
    return ((struct bytes *)b)->failed ? -1 : 0;
}

void bytes_print(struct bytes *b, const char *format, ...)
{
    char text[512];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof text)
        b->failed = true;
    else
        bytes_add(b, text, (size_t)n);
}

void bytes_free(struct bytes *b)
{
    free(b->at);
    *b = (struct bytes){0};
}
