/* GPT-2's pre-split, with PCRE2 as the oracle: the class of every code point, and the pieces of
 * short strings (all of them over a few bytes) and of random ones.
 *
 * The pattern has \p{White_Space} where GPT-2's has \s: in PCRE2, with PCRE2_UCP, \s is also U+180E,
 * which has not been white space since Unicode 6.3, nor is it to the reference tokenizer. */
#include "../../support/support.h"
#include "../../../src/base/utf8.h"
#include "../../../src/text/split.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <string.h>

#define WHITE "\\p{White_Space}"
#define SPLIT                                                                                      \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^" WHITE "\\p{L}\\p{N}]+|" WHITE               \
    "+(?!\\P{White_Space})|" WHITE "+"
#define CLASSES "(\\p{L})|(\\p{N})|(" WHITE ")|." /* the number of the group is the class */
#define UNICODE "14.0.0"                          /* of the tables in src/text/unicode.h */

enum { OTHER, LETTER, NUMBER, SPACE };
enum { CODES = 0x110000, ROOM = 256, REPLACEMENT = 0xFFFD };

/* ---- the oracle ---- */

struct oracle {
    pcre2_code *code;
    pcre2_match_data *match;
};

static struct oracle make_oracle(const char *pattern)
{
    struct oracle o;
    PCRE2_SIZE where;
    int error;

    o.code =
        pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                      PCRE2_UTF | PCRE2_UCP | PCRE2_ANCHORED | PCRE2_DOTALL, &error, &where, NULL);
    ck_assert_msg(o.code, "%s: error %d at %zu", pattern, error, (size_t)where);
    o.match = pcre2_match_data_create_from_pattern(o.code, NULL);
    ck_assert_ptr_nonnull(o.match);
    pcre2_jit_compile(o.code, PCRE2_JIT_COMPLETE); /* where it fails, the interpreter matches */
    return o;
}

static void free_oracle(struct oracle *o)
{
    pcre2_match_data_free(o->match);
    pcre2_code_free(o->code);
}

/* Matches at the start of valid UTF-8: the last group set (0: none), and bytes matched to *n_match. */
static int match(const struct oracle *o, const char *text, size_t n, size_t *n_match)
{
    const int rc = pcre2_match(o->code, (PCRE2_SPTR)text, n, 0, PCRE2_NO_UTF_CHECK, o->match, NULL);

    if (rc < 1)
        ck_abort_msg("PCRE2 gave %d", rc);
    *n_match = pcre2_get_ovector_pointer(o->match)[1];
    return rc - 1;
}

/* ---- UTF-8 ---- */

static bool is_surrogate(uint32_t code)
{
    return code >= 0xD800 && code < 0xE000;
}

/* PCRE2 takes valid UTF-8 alone. So each byte that is not part of any becomes U+FFFD, which is
 * neither letter, number nor space. from[i]: the byte of the text that valid[i] stands for. */
static size_t make_valid(const char *text, size_t n, char *valid, size_t *from)
{
    size_t made = 0;

    for (size_t at = 0; at < n;) {
        uint32_t code;
        const size_t length = dg_utf8_decode(text + at, n - at, &code);

        if (length == 0) {
            const size_t wide = utf8_encode(REPLACEMENT, valid + made);

            for (size_t i = 0; i < wide; i++)
                from[made++] = at;
            at++;
        }
        for (size_t i = 0; i < length; i++) {
            from[made] = at;
            valid[made++] = text[at++];
        }
    }
    from[made] = n;
    return made;
}

/* ---- comparisons ---- */

static char *room; /* ROOM bytes that end at a closed page */

/* Puts text[0 ... n - 1] where the byte after it cannot be read. */
static const char *guarded(const char *text, size_t n)
{
    return memcpy(room + ROOM - n, text, n);
}

static void report(const char *text, size_t n, size_t at, size_t got, size_t expected)
{
    char hex[2 * ROOM + 1] = "";

    for (size_t i = 0; i < n; i++)
        snprintf(hex + 2 * i, 3, "%02x", (unsigned char)text[i]);
    ck_abort_msg("%s: byte %zu: got %zu, expected %zu", hex, at, got, expected);
}

/* Do the pieces of the text end where PCRE2's end? */
static void compare_pieces(const struct oracle *o, const char *string, size_t n)
{
    const char *text = guarded(string, n);
    char valid[3 * ROOM];
    size_t from[3 * ROOM + 1], n_match;
    const size_t n_valid = make_valid(text, n, valid, from);

    for (size_t at = 0, v = 0; at < n; v += n_match) {
        const size_t length = dg_split(text + at, n - at);

        match(o, valid + v, n_valid - v, &n_match);
        if (at + length != from[v + n_match])
            report(text, n, at, length, from[v + n_match] - at);
        at += length;
    }
}

/* The class as the split sees it: that of the only run which the character continues. */
static int split_class(uint32_t code)
{
    static const char runs[] = {[OTHER] = '!', [LETTER] = 'a', [NUMBER] = '1', [SPACE] = '\n'};
    int class = -1;

    for (int i = OTHER; i <= SPACE; i++) {
        char text[5] = {runs[i]};
        const size_t n = 1 + utf8_encode(code, text + 1);

        if (dg_split(guarded(text, n), n) == n) {
            if (class >= 0)
                ck_abort_msg("U+%04X continues two runs", (unsigned)code);
            class = i;
        }
    }
    if (class < 0)
        ck_abort_msg("U+%04X continues no run", (unsigned)code);
    return class;
}

static int oracle_class(const struct oracle *o, uint32_t code)
{
    char text[4];
    size_t n_match;

    return match(o, text, utf8_encode(code, text), &n_match);
}

static void open_room(void)
{
    room = (char *)guarded_floats(ROOM / sizeof(float));
}

static void close_room(void)
{
    guarded_free((float *)(void *)room, ROOM / sizeof(float));
}

/* True where PCRE2 has the tables' Unicode. A later one has letters and numbers that they lack. */
static bool same_unicode(void)
{
    char version[32] = "";

    ck_assert_int_lt(pcre2_config(PCRE2_CONFIG_UNICODE_VERSION, NULL), (int)sizeof version);
    pcre2_config(PCRE2_CONFIG_UNICODE_VERSION, version);
    return strcmp(version, UNICODE) == 0;
}

/* ---- the tests ---- */

START_TEST(code_points)
{
    struct oracle o = make_oracle(CLASSES);
    const bool same = same_unicode();
    size_t counts[4] = {0};

    open_room();
    for (uint32_t code = 0; code < CODES; code++) {
        int got, expected;

        if (is_surrogate(code))
            continue;
        got = split_class(code);
        expected = oracle_class(&o, code);
        if (got != expected && (same || got != OTHER))
            ck_abort_msg("U+%04X: got class %d, expected %d", (unsigned)code, got, expected);
        counts[got]++;
    }
    ck_assert_uint_gt(counts[LETTER], 130000);
    ck_assert_uint_gt(counts[NUMBER], 1700);
    ck_assert_uint_eq(counts[SPACE], 25);
    close_room();
    free_oracle(&o);
}
END_TEST

/* Every string of up to 4 of these bytes: é, U+2003 (a space) and an emoji, whole and in parts, what
 * begins a surrogate, a contraction, and each class. */
START_TEST(short_strings)
{
    static const char bytes[] = "a1 \n's!\xC3\xA9\xE2\x80\x83\xF0\x9F\x98\xED\xA0\xFF";
    const size_t kinds = sizeof bytes - 1;
    struct oracle o = make_oracle(SPLIT);

    open_room();
    for (size_t n = 1, all = kinds; n <= 4; n++, all *= kinds) {
        for (size_t i = 0; i < all; i++) {
            char text[4];

            for (size_t k = 0, rest = i; k < n; k++, rest /= kinds)
                text[k] = bytes[rest % kinds];
            compare_pieces(&o, text, n);
        }
    }
    close_room();
    free_oracle(&o);
}
END_TEST

static const uint32_t spaces[] = {0x09,   0x0A,   0x0B,   0x0C,   0x0D,   0x20,   0x85,
                                  0xA0,   0x1680, 0x2000, 0x2001, 0x2002, 0x2003, 0x2004,
                                  0x2005, 0x2006, 0x2007, 0x2008, 0x2009, 0x200A, 0x2028,
                                  0x2029, 0x202F, 0x205F, 0x3000};
static const uint32_t letters[] = {'b',    'S',    0xAA,   0xE9,    0x416,   0x5D0,  0x3042,
                                   0x4E2D, 0xAC00, 0xFB01, 0x10400, 0x1D400, 0x20000};
static const uint32_t numbers[] = {'0',    '9',    0xB2,   0xBD,    0x664,   0x967,
                                   0x2167, 0x3007, 0x3288, 0x10107, 0x1D7D8, 0x1F101};
static const uint32_t others[] = {'\'',   '-',    '_',    '{',    0xAD,   0x301,   0x94D,  0x180E,
                                  0x200B, 0x200D, 0x20AC, 0xFE0F, 0xFEFF, 0x1F468, 0x1F600};
static const char *const words[] = {"'s", "'t", "'re", "'ve", "'m",  "'ll", "'d",
                                    "'S", "'r", "'l",  " '",  "don", "''s", "x"};

#define ONE_OF(list) ((list)[random_below(seed, sizeof(list) / sizeof *(list))])
enum { KINDS = 9 };

/* A random character or word of a kind to `to`; its bytes. */
static size_t random_part(uint64_t *seed, uint32_t kind, bool same, char *to)
{
    uint32_t code;

    switch (kind) {
    case 0:
        return utf8_encode(' ', to);
    case 1:
        return utf8_encode(0x20 + random_below(seed, 0x5F), to);
    case 2:
        return utf8_encode(ONE_OF(spaces), to);
    case 3:
        return utf8_encode(ONE_OF(letters), to);
    case 4:
        return utf8_encode(ONE_OF(numbers), to);
    case 5:
        return utf8_encode(ONE_OF(others), to);
    case 6:
        return (size_t)(stpcpy(to, ONE_OF(words)) - to);
    case 7: /* any character of the pages in use, but what is in a later Unicode alone */
        do
            code = random_below(seed, random_below(seed, 2) ? 0x3000 : 0x20000);
        while (is_surrogate(code) || (!same && split_class(code) == OTHER));
        return utf8_encode(code, to);
    default: /* a byte: seldom part of valid UTF-8 */
        *to = (char)random_below(seed, 256);
        return 1;
    }
}

/* Some kinds in each string, so that there are long runs as well as mixtures. */
START_TEST(random_strings)
{
    struct oracle o = make_oracle(SPLIT);
    const bool same = same_unicode();
    const int strings = sanitized() ? 100000 : 1000000;
    uint64_t state = 1, *const seed = &state;

    open_room();
    for (int i = 0; i < strings; i++) {
        const uint32_t kinds = 1 + random_below(seed, (1 << KINDS) - 1);
        const uint32_t parts = 1 + random_below(seed, 16);
        char text[ROOM];
        size_t n = 0;

        for (uint32_t made = 0; made < parts;) {
            const uint32_t kind = random_below(seed, KINDS);

            if (kinds >> kind & 1) {
                n += random_part(seed, kind, same, text + n);
                made++;
            }
        }
        compare_pieces(&o, text, n);
    }
    close_room();
    free_oracle(&o);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {code_points, short_strings, random_strings, NULL};

    return run_suite("split", tests);
}
