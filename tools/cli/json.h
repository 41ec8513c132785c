/* json.h - JSON on stdout. */
#ifndef DG_TOOLS_JSON_H
#define DG_TOOLS_JSON_H

#include <stddef.h>

/* Prints bytes to stdout as the inside of a JSON string, or s as a whole one with its quotes. What
 * is not UTF-8 becomes U+FFFD. */
void cli_json_bytes(const char *bytes, size_t n);
void cli_json_string(const char *s);

#endif
