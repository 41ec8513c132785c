/* The text is made where the error is found: only there are the file's name, the value and what was
 * expected at hand. It has a fixed size in the caller's struct, so that an error about memory needs
 * none. A name in it may hold anything, a newline or a terminal's escape sequence; '?' takes the
 * place of a control character, and not an escape, so that the text becomes no longer. A byte that is
 * no UTF-8 may be a control character, too: 0x9B begins an escape sequence in Latin-1. */
#include "status.h"
#include "utf8.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void dg_one_line(char *text)
{
    const size_t n = strlen(text);
    size_t made = 0;

    for (size_t at = 0, length; at < n; at += length) {
        uint32_t code;

        length = dg_utf8_decode(text + at, n - at, &code);
        if (length > 0 && !dg_is_control(code)) {
            memmove(text + made, text + at, length);
            made += length;
        } else {
            text[made++] = '?';
            length += length == 0;
        }
    }
    text[made] = '\0';
}

void dg_line(char *to, size_t size, const char *format, va_list args)
{
    static const char gap[] = "...";
    va_list again;
    size_t n, half = (size - sizeof gap) / 2;
    char *whole;

    va_copy(again, args);
    n = (size_t)vsnprintf(to, size, format, args);
    whole =
        n >= size && n <= INT_MAX ? malloc(n + 1) : NULL; /* without memory its end is left out */
    if (whole) {
        vsnprintf(whole, n + 1, format, again);
        memcpy(to + half, gap, sizeof gap - 1);
        memcpy(to + half + sizeof gap - 1, whole + n - half, half + 1);
        free(whole);
    }
    va_end(again);
    dg_one_line(to);
}

enum dg_status dg_status_of(int error, enum dg_status otherwise)
{
    return error == ENOMEM ? DG_ERR_RESOURCE : otherwise;
}

enum dg_status dg_fail(struct dg_error *err, enum dg_status status, const char *format, ...)
{
    va_list args;

    if (!err)
        return status;
    err->status = status;
    va_start(args, format);
    dg_line(err->text, sizeof err->text, format, args);
    va_end(args);
    return status;
}

bool dg_is_given(const void *p, const char *what, struct dg_error *err)
{
    if (!p)
        dg_fail(err, DG_ERR_USAGE, "%s: got NULL", what);
    return p;
}

bool dg_is_place(void *out, struct dg_error *err)
{
    if (out)
        memset(out, 0, sizeof(void *));
    return dg_is_given(out, "out", err);
}

enum dg_status dg_fail_memory(struct dg_error *err, const char *what, size_t bytes)
{
    return dg_fail(err, DG_ERR_RESOURCE, "out of memory for %s: %zu bytes", what, bytes);
}
