/* json_write.h - writes strings and numbers of JSON (RFC 8259); json.h reads them.
 *
 * '"', '\\' and control characters (dg_is_control) are escaped; so is each ASCII character
 * of `also`, which is "" in most places. In a script element of HTML it is "<": no string can then
 * end the element. A byte that is not part of UTF-8 becomes U+FFFD; other text stands as it is.
 * Errors are left to ferror(to). */
#ifndef DG_BASE_JSON_WRITE_H
#define DG_BASE_JSON_WRITE_H

#include <stddef.h>
#include <stdio.h>

/* The inside of a string, without its quotes: bytes[0 ... n - 1]. */
void dg_json_write_bytes(FILE *to, const char *bytes, size_t n, const char *also);

/* A whole string, with its quotes. */
void dg_json_write_string(FILE *to, const char *s, const char *also);

struct dg_json_number {
    char text[32];
};

/* A number with so many significant digits, at most 17; null where it is not finite: JSON has no
 * such numbers. */
struct dg_json_number dg_json_real(double value, int digits);

#endif
