/* A character is read by its bit pattern first, and its value is judged then. RFC 3629 has the same
 * rules as ranges of the second byte, which depend on the first; of the value they are three:
 * no longer a form than it needs, no surrogate, nothing above U+10FFFF. */
#include "utf8.h"

size_t dg_utf8_decode(const char *text, size_t n, uint32_t *code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000}; /* of so many bytes */
    const unsigned char *p = (const unsigned char *)text;
    const size_t length = n == 0                  ? 0
                          : p[0] < 0x80           ? 1
                          : (p[0] & 0xE0) == 0xC0 ? 2
                          : (p[0] & 0xF0) == 0xE0 ? 3
                          : (p[0] & 0xF8) == 0xF0 ? 4
                                                  : 0;
    uint32_t value;

    if (length == 0 || length > n)
        return 0;
    value = length == 1 ? p[0] : p[0] & 0x7Fu >> length;
    for (size_t i = 1; i < length; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
        value = value << 6 | (p[i] & 0x3Fu);
    }
    if (value < least[length] || (value >= 0xD800 && value < 0xE000) || value > 0x10FFFF)
        return 0;
    *code = value;
    return length;
}

/* Some bytes behind it make it whole; which second byte a first one takes varies. */
bool dg_utf8_is_start(const char *text, size_t n)
{
    static const char seconds[] = {'\x80', '\x90', '\xA0'};

    for (size_t i = 0; i < sizeof seconds; i++) {
        const char whole[4] = {text[0], n > 1 ? text[1] : seconds[i], n > 2 ? text[2] : '\x80',
                               '\x80'};
        uint32_t code;

        if (dg_utf8_decode(whole, sizeof whole, &code) > n)
            return true;
    }
    return false;
}

size_t dg_utf8_release(const char *text, size_t end, size_t n,
                       void (*release)(void *arg, const char *bytes, size_t n), void *arg)
{
    size_t at = 0, valid = 0; /* bytes of characters in front of `at`, not yet released */

    while (at < end) {
        uint32_t code;
        const size_t length = dg_utf8_decode(text + at, n - at, &code);

        if (at + length > end)
            break;
        at += length > 0 ? length : 1;
        valid += length;
        if (length > 0)
            continue;
        if (valid > 0)
            release(arg, text + at - 1 - valid, valid);
        release(arg, "\xEF\xBF\xBD", 3); /* U+FFFD */
        valid = 0;
    }
    if (valid > 0)
        release(arg, text + at - valid, valid);
    return at;
}
