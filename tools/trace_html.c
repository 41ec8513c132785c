#include "trace_html.h"
#include "viewer_page.h"

/* The length of the UTF-8 sequence at s, of which n >= 1 bytes are there; 0 when it is none.
 * Table 3-7 of the Unicode standard: no overlong forms, no surrogates, nothing past U+10FFFF. */
static size_t utf8_length(const unsigned char *s, size_t n)
{
    const size_t length = s[0] < 0x80 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    unsigned char least = 0x80, most = 0xbf; /* of the second byte */

    if (length == 1)
        return 1;
    if (s[0] < 0xc2 || s[0] > 0xf4 || n < length)
        return 0;
    if (s[0] == 0xe0)
        least = 0xa0;
    else if (s[0] == 0xed)
        most = 0x9f;
    else if (s[0] == 0xf0)
        least = 0x90;
    else if (s[0] == 0xf4)
        most = 0x8f;
    if (s[1] < least || s[1] > most)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

/* Without '<' no "</script" and no "<!--" can come about. In JSON it stands in strings alone, where
 * the escape means the same. */
static void write_json(FILE *to, const unsigned char *s, size_t n)
{
    size_t done = 0, i = 0;

    while (i < n) {
        const size_t length = utf8_length(s + i, n - i);

        if (length > 0 && s[i] != '<') {
            i += length;
            continue;
        }
        fwrite(s + done, 1, i - done, to);
        fputs(length > 0 ? "\\u003c" : "\xef\xbf\xbd", to);
        done = ++i;
    }
    fwrite(s + done, 1, n - done, to);
}

void trace_html(FILE *to, const char *trace_json, size_t n)
{
    fwrite(viewer_head, 1, sizeof viewer_head, to);
    write_json(to, (const unsigned char *)trace_json, n);
    fwrite(viewer_tail, 1, sizeof viewer_tail, to);
}
