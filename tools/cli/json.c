/* Strings of any bytes as JSON: it has no other bytes than UTF-8's, so that the rest is replaced. */
#include "json.h"
#include "../../src/text/split.h"

#include <stdio.h>
#include <string.h>

void cli_json_bytes(const char *s, size_t n)
{
    for (size_t i = 0, length; i < n; i += length) {
        length = dg_utf8_length(s + i, n - i);
        if (length == 0) {
            fputs("\\ufffd", stdout);
            length = 1;
        } else if (length > 1) {
            fwrite(s + i, 1, length, stdout);
        } else if (s[i] == '"' || s[i] == '\\') {
            printf("\\%c", s[i]);
        } else if ((unsigned char)s[i] < 0x20 || s[i] == 0x7F) {
            printf("\\u%04x", (unsigned)s[i]);
        } else {
            putchar(s[i]);
        }
    }
}

void cli_json_string(const char *s)
{
    putchar('"');
    cli_json_bytes(s, strlen(s));
    putchar('"');
}
