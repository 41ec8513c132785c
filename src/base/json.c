/* The reader asks for the value that it expects, and the text is checked as it is passed: what is
 * skipped is checked, too. Rejected: a tree of the text. A trace of 200,000 tiles is 168 MB, and
 * its reader wants a few numbers of each event, in the order of the file.
 *
 * Numbers are checked by the grammar before strtod() sees them, which alone would also take 0x1,
 * nan and "1.". Strings lose their escapes; their bytes are not checked to be UTF-8. */
#include "json.h"

#include <stdlib.h>
#include <string.h>

void dg_json_open(struct dg_json *j, const char *text, size_t n)
{
    *j = (struct dg_json){.text = text, .at = text, .end = text + n};
}

bool dg_json_fail(struct dg_json *j, const char *expected)
{
    if (!j->error)
        j->error = expected;
    return false;
}

size_t dg_json_line(const struct dg_json *j)
{
    size_t line = 1;

    for (const char *c = j->text; c < j->at; c++)
        line += *c == '\n';
    return line;
}

/* The next character that is no blank, or '\0' at the end of the text. */
static char peek(struct dg_json *j)
{
    while (j->at < j->end && (*j->at == ' ' || *j->at == '\n' || *j->at == '\t' || *j->at == '\r'))
        j->at++;
    return j->at < j->end ? *j->at : '\0';
}

static bool take(struct dg_json *j, char c, const char *expected)
{
    if (j->error || peek(j) != c || j->at == j->end)
        return dg_json_fail(j, expected);
    j->at++;
    return true;
}

static bool enter(struct dg_json *j, char open, const char *expected)
{
    if (!take(j, open, expected))
        return false;
    if (j->depth == DG_JSON_DEPTH)
        return dg_json_fail(j, "fewer levels of objects and arrays");
    j->depth++;
    j->first = true;
    return true;
}

bool dg_json_object(struct dg_json *j)
{
    return enter(j, '{', "an object");
}

bool dg_json_array(struct dg_json *j)
{
    return enter(j, '[', "an array");
}

/* Before a member or item: false at the closing bracket, which is taken. */
static bool follows(struct dg_json *j, char close, const char *expected)
{
    const bool first = j->first;

    if (j->error)
        return false;
    j->first = false;
    if (peek(j) == close) {
        j->at++;
        j->depth--;
        return false;
    }
    return first || take(j, ',', expected);
}

bool dg_json_item(struct dg_json *j)
{
    return follows(j, ']', "',' or ']'");
}

bool dg_json_key(struct dg_json *j, char *name, size_t size)
{
    if (!follows(j, '}', "',' or '}'"))
        return false;
    if (peek(j) != '"')
        return dg_json_fail(j, "a member's name");
    return dg_json_string(j, name, size) && take(j, ':', "':'");
}

static void digits(struct dg_json *j)
{
    while (j->at < j->end && *j->at >= '0' && *j->at <= '9')
        j->at++;
}

static bool is(const struct dg_json *j, const char *any)
{
    return j->at < j->end && *j->at && strchr(any, *j->at);
}

bool dg_json_number(struct dg_json *j, double *out)
{
    char copy[64];
    const char *start, *part;
    size_t n;

    if (j->error)
        return false;
    peek(j);
    start = j->at;
    if (is(j, "-"))
        j->at++;
    part = j->at;
    digits(j);
    if (j->at == part || (*part == '0' && j->at > part + 1))
        goto fail;
    if (is(j, ".")) {
        part = ++j->at;
        digits(j);
        if (j->at == part)
            goto fail;
    }
    if (is(j, "eE")) {
        j->at++;
        if (is(j, "+-"))
            j->at++;
        part = j->at;
        digits(j);
        if (j->at == part)
            goto fail;
    }
    n = (size_t)(j->at - start); /* strtod wants an end */
    if (n >= sizeof copy)
        goto fail;
    memcpy(copy, start, n);
    copy[n] = '\0';
    *out = strtod(copy, NULL);
    return true;
fail:
    j->at = start;
    return dg_json_fail(j, "a number");
}

/* Four hexadecimal digits after \u. */
static bool hex4(struct dg_json *j, uint32_t *code)
{
    *code = 0;
    for (int i = 0; i < 4; i++, j->at++) {
        const char *found;

        if (!is(j, "0123456789abcdefABCDEF"))
            return dg_json_fail(j, "four hexadecimal digits");
        found = strchr("0123456789abcdef", *j->at | 0x20);
        *code = *code * 16 + (uint32_t)(found - "0123456789abcdef");
    }
    return true;
}

static size_t encode(uint32_t c, char to[4])
{
    const int more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const unsigned char lead[4] = {0, 0xc0, 0xe0, 0xf0};

    to[0] = (char)(lead[more] | c >> 6 * more);
    for (int i = 1; i <= more; i++)
        to[i] = (char)(0x80 | (c >> 6 * (more - i) & 0x3f));
    return (size_t)more + 1;
}

/* What follows a backslash, as UTF-8; its length, or 0. A surrogate alone becomes U+FFFD. */
static size_t escape(struct dg_json *j, char to[4])
{
    static const char from[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    uint32_t code, low;

    if (is(j, from)) {
        to[0] = meant[strchr(from, *j->at++) - from];
        return 1;
    }
    if (!is(j, "u")) {
        dg_json_fail(j, "an escape such as \\n or \\u0041");
        return 0;
    }
    j->at++;
    if (!hex4(j, &code))
        return 0;
    if (code >= 0xd800 && code < 0xdc00 && j->end - j->at >= 6 && j->at[0] == '\\' &&
        j->at[1] == 'u') {
        const char *back = j->at;

        j->at += 2;
        if (!hex4(j, &low))
            return 0;
        if (low >= 0xdc00 && low < 0xe000)
            return encode(0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00), to);
        j->at = back;
    }
    return encode(code >= 0xd800 && code < 0xe000 ? 0xfffd : code, to);
}

bool dg_json_string(struct dg_json *j, char *out, size_t size)
{
    size_t n = 0;
    bool fits = true;

    if (!take(j, '"', "a string"))
        return false;
    while (j->at < j->end && *j->at != '"') {
        char piece[4] = {*j->at++};
        size_t length = 1;

        if ((unsigned char)piece[0] < 0x20) {
            j->at--;
            return dg_json_fail(j, "no control character in a string");
        }
        if (piece[0] == '\\' && (length = escape(j, piece)) == 0)
            return false;
        fits = fits && n + length < size;
        if (fits) {
            memcpy(out + n, piece, length);
            n += length;
        }
    }
    if (size > 0)
        out[n] = '\0';
    return take(j, '"', "the end of a string");
}

static bool word(struct dg_json *j, const char *text)
{
    const size_t n = strlen(text);

    if (j->error || peek(j) != *text || (size_t)(j->end - j->at) < n || memcmp(j->at, text, n) != 0)
        return false;
    j->at += n;
    return true;
}

bool dg_json_null(struct dg_json *j)
{
    return word(j, "null");
}

bool dg_json_true(struct dg_json *j)
{
    return word(j, "true");
}

bool dg_json_skip(struct dg_json *j)
{
    double number;

    if (j->error)
        return false;
    switch (peek(j)) {
    case '{':
        if (dg_json_object(j))
            while (dg_json_key(j, NULL, 0))
                dg_json_skip(j);
        break;
    case '[':
        if (dg_json_array(j))
            while (dg_json_item(j))
                dg_json_skip(j);
        break;
    case '"':
        dg_json_string(j, NULL, 0);
        break;
    case 't':
    case 'f':
    case 'n':
        if (!word(j, "true") && !word(j, "false") && !word(j, "null"))
            dg_json_fail(j, "a value");
        break;
    default:
        if (is(j, "-0123456789"))
            dg_json_number(j, &number);
        else
            dg_json_fail(j, "a value");
    }
    return !j->error;
}

bool dg_json_end(struct dg_json *j)
{
    if (j->error)
        return false;
    peek(j);
    return j->at == j->end || dg_json_fail(j, "the end of the file");
}
