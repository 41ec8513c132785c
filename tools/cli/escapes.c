/* What an escape stands for is never longer than the escape, so the text is written over itself. */
#include "escapes.h"
#include "../../src/base/status.h"

#include <string.h>

/* The number of `digits` hexadecimal digits; UINT32_MAX: these are none. (The text ends in a NUL.) */
static uint32_t hexadecimal(const char *s, unsigned digits)
{
    static const char all[] = "0123456789abcdef0123456789ABCDEF";
    uint32_t number = 0;

    for (unsigned i = 0; i < digits; i++) {
        const char *digit = s[i] ? strchr(all, s[i]) : NULL;

        if (!digit)
            return UINT32_MAX;
        number = number << 4 | (uint32_t)((digit - all) % 16);
    }
    return number;
}

/* The code point as UTF-8, and its bytes; 0: it is none. */
static size_t put_code_point(char *to, uint32_t code)
{
    const size_t length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;

    if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
        return 0;
    to[0] = (char)(length == 1 ? code : (0xF00u >> length & 0xFF) | code >> 6 * (length - 1));
    for (size_t i = 1; i < length; i++)
        to[i] = (char)(0x80 | (code >> 6 * (length - 1 - i) & 0x3F));
    return length;
}

/* The escape at s, behind its backslash: its bytes to `to`, and their number to *made. Returns its length;
 * 0: it is none. */
static size_t read_escape(const char *s, char *to, size_t *made)
{
    static const char letters[] = "\\\"'abefnrtv0", stand_for[] = "\\\"'\a\b\033\f\n\r\t\v";
    const char *letter = *s ? strchr(letters, *s) : NULL;
    const unsigned digits = *s == 'x' ? 2 : *s == 'u' ? 4 : *s == 'U' ? 8 : 0;
    uint32_t code;

    *made = 1;
    if (letter) {
        *to = stand_for[letter - letters]; /* of '0' its final NUL */
        return 1;
    }
    code = digits ? hexadecimal(s + 1, digits) : UINT32_MAX;
    if (code == UINT32_MAX)
        return 0;
    if (digits == 2)
        *to = (char)code;
    else
        *made = put_code_point(to, code);
    return *made ? 1 + digits : 0;
}

enum dg_status escapes_read(char *text, size_t n, size_t *left, struct dg_error *err)
{
    size_t made = 0, length;

    for (size_t at = 0; at < n; made += length) {
        size_t taken;

        if (text[at] != '\\') {
            text[made] = text[at++];
            length = 1;
            continue;
        }
        taken = read_escape(text + at + 1, text + made, &length);
        if (taken == 0)
            return dg_fail(err, DG_ERR_TOKEN,
                           "--escapes: byte %zu of the text: got '%.10s', expected \\n, \\t, \\\\, "
                           "\\0, \\xHH, \\uHHHH or another escape",
                           at + 1, text + at);
        at += 1 + taken;
    }
    text[made] = '\0';
    *left = made;
    return DG_OK;
}
