/* status.h - how every room reports errors: a status, and one line of text.
 * The types are public (dagpt.h); this is how they are filled. */
#ifndef DG_BASE_STATUS_H
#define DG_BASE_STATUS_H

#include "../dagpt.h"

#include <stdarg.h>

/* Fills *err (which may be NULL) and returns `status`, so that a caller can write
 * `return dg_fail(err, DG_ERR_IO, "%s: ...", path);`. The text goes through dg_one_line(). */
__attribute__((format(printf, 3, 4))) enum dg_status dg_fail(struct dg_error *err,
                                                             enum dg_status status,
                                                             const char *format, ...);

/* Makes any text one printable line of UTF-8: a control character (dg_is_control) becomes '?', and so
 * does a byte that is no part of UTF-8. */
void dg_one_line(char *text);

/* `otherwise`, or DG_ERR_RESOURCE where that errno value says that memory was missing. */
enum dg_status dg_status_of(int error, enum dg_status otherwise);

/* What printf makes of it, as one line of less than `size` bytes. Of a longer one the middle is left out: what was
 * wrong stands at its end. */
__attribute__((format(printf, 3, 0))) void dg_line(char *to, size_t size, const char *format,
                                                   va_list args);

/* False, and DG_ERR_USAGE in *err, where a function is given NULL for `what`. */
bool dg_is_given(const void *p, const char *what, struct dg_error *err);

/* The same of the place, a pointer to a pointer, for what a function makes; it is emptied, so that there is
 * no object in it when the function fails. */
bool dg_is_place(void *out, struct dg_error *err);

/* dg_fail for a failed allocation of `bytes` bytes for `what`. */
enum dg_status dg_fail_memory(struct dg_error *err, const char *what, size_t bytes);

#endif
