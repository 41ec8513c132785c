/* The reader asks for the value that it expects, and the text is checked as it is passed: what is
 * skipped is checked, too. Rejected: a tree of the text. A trace of 200,000 tiles is 168 MB, and
 * its reader wants a few numbers of each event, in the order of the file.
 *
 * Numbers are JSON's: of what number.h takes, not "1.", ".5" and "01". Strings lose their escapes. */
#include "json.h"
#include "number.h"
#include "utf8.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_GOT = 40 }; /* bytes of the text that an error shows */

void dg_json_open(struct dg_json *j, const char *text, size_t n)
{
    *j = (struct dg_json){.text = text, .at = text, .value = text, .end = text + n};
}

void dg_json_unique(struct dg_json *j, struct dg_names *names)
{
    j->names = names;
}

bool dg_json_fail(struct dg_json *j, const char *expected)
{
    if (!j->error)
        j->error = expected;
    return false;
}

bool dg_json_fail_memory(struct dg_json *j)
{
    j->no_memory = j->no_memory || !j->error;
    return dg_json_fail(j, "enough memory");
}

/* An error of the text, at `at`. */
static bool refuse(struct dg_json *j, const char *expected)
{
    if (!j->error)
        j->value = j->at;
    return dg_json_fail(j, expected);
}

enum dg_status dg_json_refuse(const struct dg_json *j, const char *name, enum dg_status wrong,
                              struct dg_error *err)
{
    char got[DG_JSON_GOT];

    dg_json_got(j, got);
    return dg_fail(err, j->no_memory ? DG_ERR_RESOURCE : wrong,
                   "%s: line %zu, byte %zu: got %s, expected %s", name, dg_json_line(j),
                   dg_json_byte(j), got, j->error);
}

size_t dg_json_line(const struct dg_json *j)
{
    size_t line = 1;

    for (const char *c = j->text; c < j->value; c++)
        line += *c == '\n';
    return line;
}

size_t dg_json_byte(const struct dg_json *j)
{
    return (size_t)(j->value - j->text);
}

/* Where a piece is cut, it is cut between two characters. */
static size_t cut(const char *piece, size_t n, size_t room)
{
    if (n <= room)
        return n;
    for (n = room; n > 0 && ((unsigned char)piece[n] & 0xc0) == 0x80;)
        n--;
    return n;
}

/* How many of the n bytes at s are one word of JSON: a string with its quotes, as far as it goes, a number
 * or a name; else one. */
static size_t word_length(const char *s, size_t n)
{
    size_t i = 1;

    if (*s == '"') {
        while (i < n && s[i] != '"')
            i += s[i] == '\\' && i + 1 < n ? 2 : 1;
        return i < n ? i + 1 : n;
    }
    if (!isalnum((unsigned char)*s) && *s != '-')
        return 1;
    while (i < n && (isalnum((unsigned char)s[i]) || (s[i] && strchr("+-._", s[i]))))
        i++;
    return i;
}

void dg_json_got(const struct dg_json *j, char text[DG_JSON_GOT])
{
    const size_t left = (size_t)(j->end - j->value);
    const unsigned char c = left > 0 ? (unsigned char)*j->value : 0;
    size_t n;

    if (left == 0) {
        strcpy(text, "the end of it");
    } else if (c == '{' || c == '[') {
        strcpy(text, c == '{' ? "an object" : "an array");
    } else if (c <= ' ' || c >= 0x7f) {
        snprintf(text, DG_JSON_GOT, "byte 0x%02X", c);
    } else {
        n = word_length(j->value, left);
        snprintf(text, DG_JSON_GOT, "%.*s%s", (int)cut(j->value, n, MOST_GOT), j->value,
                 n > MOST_GOT ? "..." : "");
    }
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
        return refuse(j, expected);
    j->at++;
    return true;
}

static bool enter(struct dg_json *j, char open, const char *expected)
{
    if (!take(j, open, expected))
        return false;
    j->value = j->at - 1;
    if (j->depth == DG_JSON_DEPTH)
        return refuse(j, "fewer levels of objects and arrays");
    j->depth++;
    j->object[j->depth] = j->objects++;
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
        j->value = j->at++;
        j->depth--;
        return false;
    }
    return first || take(j, ',', expected);
}

bool dg_json_item(struct dg_json *j)
{
    return follows(j, ']', "',' or ']'");
}

/* Remembers the name that was read last, which begins at `start`. Where it has escapes it is read once
 * more, whole. */
static bool remember(struct dg_json *j, const char *start)
{
    const size_t written = (size_t)(j->at - start) - 2; /* without the quotes */
    const char *end = j->at;
    char *copy = NULL;
    int added;

    if (written != j->length) {
        copy = malloc(written + 1);
        j->at = start;
        if (!copy)
            return dg_json_fail_memory(j);
        dg_json_string(j, copy, written + 1);
    }
    added = dg_names_add(j->names, j->object[j->depth], copy ? copy : start + 1, j->length);
    free(copy);
    j->at = added == 1 ? end : start;
    if (added < 0)
        return dg_json_fail_memory(j);
    return added == 1 || refuse(j, "a name that the object does not have yet");
}

bool dg_json_key(struct dg_json *j, char *name, size_t size)
{
    const char *start;

    if (!follows(j, '}', "',' or '}'"))
        return false;
    if (peek(j) != '"')
        return refuse(j, "a member's name");
    start = j->at;
    if (!dg_json_string(j, name, size))
        return false;
    if (name &&
        strlen(name) < (j->length < size ? j->length : size - 4)) { /* not cut, and yet shorter */
        j->at = start;
        return refuse(j, "a name without NUL");
    }
    return (!j->names || remember(j, start)) && take(j, ':', "':'");
}

static bool is(const struct dg_json *j, const char *any)
{
    return j->at < j->end && *j->at && strchr(any, *j->at);
}

/* Is this number, which dg_number_length() has passed, one of JSON's? */
static bool is_json(const char *number, size_t n)
{
    const char *whole = number + (*number == '-'), *end = number + n;
    const char *point = memchr(number, '.', n);

    return whole[0] != '.' &&
           !(whole[0] == '0' && whole + 1 < end && whole[1] >= '0' && whole[1] <= '9') &&
           (!point || (point + 1 < end && point[1] >= '0' && point[1] <= '9'));
}

bool dg_json_number(struct dg_json *j, double *out)
{
    size_t n;

    if (j->error)
        return false;
    peek(j);
    n = dg_number_length(j->at, (size_t)(j->end - j->at));
    if (n == 0 || !is_json(j->at, n))
        return refuse(j, "a number");
    if (!dg_number_read(j->at, n, out))
        return dg_json_fail_memory(j);
    j->value = j->at;
    j->at += n;
    return true;
}

bool dg_json_integer(struct dg_json *j, uint64_t *out)
{
    const char *start;
    uint64_t value = 0;
    bool fits = true;

    if (j->error)
        return false;
    peek(j);
    start = j->at;
    for (; is(j, "0123456789"); j->at++)
        fits = fits && !__builtin_mul_overflow(value, 10, &value) &&
               !__builtin_add_overflow(value, (uint64_t)(*j->at - '0'), &value);
    if (j->at == start || !fits || (*start == '0' && j->at > start + 1) || is(j, ".eE")) {
        j->at = start;
        return refuse(j, fits ? "an integer, 0 or more" : "an integer below 2^64");
    }
    *out = value;
    j->value = start;
    return true;
}

/* Four hexadecimal digits after \u. */
static bool hex4(struct dg_json *j, uint32_t *code)
{
    *code = 0;
    for (int i = 0; i < 4; i++, j->at++) {
        const char *found;

        if (!is(j, "0123456789abcdefABCDEF"))
            return refuse(j, "four hexadecimal digits");
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

/* After the first half of a surrogate pair, the second. */
static bool low_surrogate(struct dg_json *j, uint32_t *low)
{
    const char *start = j->at;

    if (j->end - j->at >= 6 && j->at[0] == '\\' && j->at[1] == 'u') {
        j->at += 2;
        if (hex4(j, low) && *low >= 0xdc00 && *low < 0xe000)
            return true;
    }
    j->at = start;
    return refuse(j, "the other half of a surrogate pair");
}

/* What follows a backslash, as UTF-8; its length, or 0. */
static size_t escape(struct dg_json *j, char to[4])
{
    static const char from[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    uint32_t code, low;

    if (is(j, from)) {
        to[0] = meant[strchr(from, *j->at++) - from];
        return 1;
    }
    if (!is(j, "u")) {
        refuse(j, "an escape such as \\n or \\u0041");
        return 0;
    }
    j->at++;
    if (!hex4(j, &code))
        return 0;
    if (code < 0xd800 || code >= 0xe000)
        return encode(code, to);
    if (code >= 0xdc00) {
        refuse(j, "the first half of a surrogate pair before it");
        return 0;
    }
    return low_surrogate(j, &low) ? encode(0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00), to)
                                  : 0;
}

/* Bytes of a string up to the next escape, its end or what may not stand there, which must be UTF-8. */
static size_t plain_bytes(struct dg_json *j)
{
    const char *at = j->at;
    uint32_t code;

    while (at < j->end) {
        const unsigned char c = (unsigned char)*at;
        size_t n = 1;

        if (c == '"' || c == '\\' || c < 0x20)
            break;
        if (c >= 0x80 && (n = dg_utf8_decode(at, (size_t)(j->end - at), &code)) == 0)
            break;
        at += n;
    }
    return (size_t)(at - j->at);
}

bool dg_json_string(struct dg_json *j, char *out, size_t size)
{
    size_t n = 0;
    bool fits = true;

    if (!take(j, '"', "a string"))
        return false;
    j->value = j->at - 1;
    j->length = 0;
    while (j->at < j->end && *j->at != '"') {
        char escaped[4];
        const char *piece = j->at;
        size_t length = plain_bytes(j), kept;

        j->at += length;
        if (length == 0) {
            piece = escaped;
            if ((unsigned char)*j->at < 0x20)
                return refuse(j, "no control character in a string");
            if (*j->at != '\\')
                return refuse(j, "UTF-8");
            j->at++;
            length = escape(j, escaped);
            if (length == 0)
                return false;
        }
        j->length += length;
        if (!fits || size == 0)
            continue;
        kept = cut(piece, length, size - 1 - n);
        memcpy(out + n, piece, kept);
        n += kept;
        fits = kept == length;
    }
    if (size > 0)
        out[n] = '\0';
    return take(j, '"', "the end of a string");
}

static bool word(struct dg_json *j, const char *text)
{
    const size_t n = strlen(text);

    if (j->error)
        return false;
    peek(j);
    j->value = j->at;
    if ((size_t)(j->end - j->at) < n || memcmp(j->at, text, n) != 0)
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

bool dg_json_boolean(struct dg_json *j, bool *out)
{
    *out = word(j, "true");
    return *out || word(j, "false") || refuse(j, "true or false");
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
            refuse(j, "a value");
        break;
    default:
        if (is(j, "-0123456789"))
            dg_json_number(j, &number);
        else
            refuse(j, "a value");
    }
    return !j->error;
}

bool dg_json_end(struct dg_json *j)
{
    if (j->error)
        return false;
    peek(j);
    return j->at == j->end || refuse(j, "the end of the file");
}
