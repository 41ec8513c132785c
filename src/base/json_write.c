/* What is written is UTF-8 whatever the bytes are: model files, prompts and ids name any. Control
 * characters all take the form \u00XX, which needs no table; \n and its like are only shorter. */
#include "json_write.h"
#include "utf8.h"

#include <math.h>
#include <string.h>

static void write_character(FILE *to, const char *s, size_t length, uint32_t code, const char *also)
{
    if (code == '"' || code == '\\')
        fprintf(to, "\\%c", (char)code);
    else if (dg_is_control(code) || (code < 0x80 && strchr(also, (char)code)))
        fprintf(to, "\\u%04x", (unsigned)code);
    else
        fwrite(s, 1, length, to);
}

void dg_json_write_bytes(FILE *to, const char *bytes, size_t n, const char *also)
{
    for (size_t i = 0, length; i < n; i += length) {
        uint32_t code;

        length = dg_utf8_decode(bytes + i, n - i, &code);
        if (length > 0) {
            write_character(to, bytes + i, length, code, also);
        } else {
            fputs("\\ufffd", to);
            length = 1;
        }
    }
}

void dg_json_write_string(FILE *to, const char *s, const char *also)
{
    putc('"', to);
    dg_json_write_bytes(to, s, strlen(s), also);
    putc('"', to);
}

struct dg_json_number dg_json_real(double value, int digits)
{
    struct dg_json_number n = {"null"};

    if (isfinite(value))
        snprintf(n.text, sizeof n.text, "%.*g", digits, value);
    return n;
}
