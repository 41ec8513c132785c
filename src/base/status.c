/* The text is made where the error is found: only there are the file's name, the value and what was
 * expected at hand. It has a fixed size in the caller's struct, so that an error about memory needs
 * none. A name in it may hold anything, a newline or a terminal's escape sequence; '?' takes the
 * place of a control character, and not an escape, so that the text keeps its length. */
#include "status.h"

#include <stdarg.h>
#include <stdio.h>

void dg_one_line(char *text)
{
    for (unsigned char *c = (unsigned char *)text; *c; c++)
        if (*c < 0x20 || *c == 0x7f)
            *c = '?';
}

enum dg_status dg_fail(struct dg_error *err, enum dg_status status, const char *format, ...)
{
    va_list args;

    if (!err)
        return status;
    err->status = status;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    dg_one_line(err->text);
    return status;
}

enum dg_status dg_fail_memory(struct dg_error *err, const char *what, size_t bytes)
{
    return dg_fail(err, DG_ERR_RESOURCE, "out of memory for %s: %zu bytes", what, bytes);
}
