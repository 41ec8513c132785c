/* The pattern of split.h, by hand. But for contractions, each of its alternatives is a run of one
 * class of characters, so the class of the first, behind a space or not, decides which of them
 * matches, and nothing is ever tried twice. A regular-expression library would bring the classes
 * with it, and with them a dependency and a Unicode version of its own; PCRE2 is the oracle of the
 * tests. ASCII, nearly all of most texts, is compared; other code points are searched in a table of
 * those at which the class changes. */
#include "split.h"
#include "../base/utf8.h"
#include "unicode.h"

#include <string.h>

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
    *length = dg_utf8_decode(text, n, &code);
    if (*length > 0)
        return class_of(code);
    *length = 1;
    return DG_OTHER;
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
