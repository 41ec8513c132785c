#include "split.h"
#include "unicode.h"

#include <string.h>

size_t dg_utf8_length(const char *text, size_t n)
{
    const unsigned char *p = (const unsigned char *)text;
    /* RFC 3629, 4: the second byte's range depends on the first, so that there is no overlong form,
     * no surrogate, and nothing above U+10FFFF. */
    const unsigned char least = p[0] == 0xE0 ? 0xA0 : p[0] == 0xF0 ? 0x90 : 0x80;
    const unsigned char most = p[0] == 0xED ? 0x9F : p[0] == 0xF4 ? 0x8F : 0xBF;
    const size_t length = p[0] < 0x80   ? 1
                          : p[0] < 0xC2 ? 0
                          : p[0] < 0xE0 ? 2
                          : p[0] < 0xF0 ? 3
                          : p[0] < 0xF5 ? 4
                                        : 0;

    if (length > n || (length > 1 && (p[1] < least || p[1] > most)))
        return 0;
    for (size_t i = 2; i < length; i++)
        if (p[i] < 0x80 || p[i] > 0xBF)
            return 0;
    return length;
}

static enum dg_class class_of(uint32_t code)
{
    size_t low = 0, high = sizeof dg_class_changes / sizeof *dg_class_changes;

    while (high - low > 1) { /* dg_class_changes[low] <= code < dg_class_changes[high] */
        const size_t middle = (low + high) / 2;

        if (dg_class_changes[middle] >> 2 <= code)
            low = middle;
        else
            high = middle;
    }
    return (enum dg_class)(dg_class_changes[low] & 3);
}

/* The class of the character at text[0 ... n - 1], n >= 1, and its bytes. */
static enum dg_class classify(const char *text, size_t n, size_t *length)
{
    const unsigned char first = (unsigned char)*text;
    uint32_t code;

    *length = 1;
    if (first < 0x80) {
        if ((first | 0x20) >= 'a' && (first | 0x20) <= 'z')
            return DG_LETTER;
        if (first >= '0' && first <= '9')
            return DG_NUMBER;
        return first == ' ' || (first >= '\t' && first <= '\r') ? DG_SPACE : DG_OTHER;
    }
    if (dg_utf8_length(text, n) == 0)
        return DG_OTHER;
    *length = dg_utf8_length(text, n);
    code = first & (0x7Fu >> *length);
    for (size_t i = 1; i < *length; i++)
        code = code << 6 | ((unsigned char)text[i] & 0x3Fu);
    return class_of(code);
}

/* Bytes of the longest run of `class` at the start of the text; *last: of its last character. */
static size_t run_of(enum dg_class class, const char *text, size_t n, size_t *last)
{
    size_t at = 0, length;

    *last = 0;
    while (at < n && classify(text + at, n - at, &length) == class) {
        at += length;
        *last = length;
    }
    return at;
}

static size_t contraction(const char *text, size_t n)
{
    static const char *const all[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strlen(all[i]) <= n && memcmp(text, all[i], strlen(all[i])) == 0)
            return strlen(all[i]);
    return 0;
}

size_t dg_split(const char *text, size_t n)
{
    const size_t space = *text == ' ' && n > 1;
    size_t length, last;
    enum dg_class class = classify(text + space, n - space, &length);

    if (*text == '\'' && contraction(text, n) > 0)
        return contraction(text, n);
    if (class != DG_SPACE)
        return space + run_of(class, text + space, n - space, &last);
    length = run_of(DG_SPACE, text, n, &last);
    /* White space before a word leaves its last character to the word, if it has another. */
    return length == n || length == last ? length : length - last;
}
