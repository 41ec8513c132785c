/* tools/cli/stream.h against a reference that sees the whole text at once: what is released must not
 * depend on how the text comes in. */
#include "../../support/support.h"
#include "../../../tools/cli/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 512 };

struct bytes {
    char text[MOST];
    size_t n;
};

static void append(struct bytes *b, const char *s, size_t n)
{
    ck_assert_msg(b->n + n <= MOST, "%zu bytes", b->n + n);
    memcpy(b->text + b->n, s, n);
    b->n += n;
}

/* ---- the reference ---- */

/* Bytes of the UTF-8 character at s[0 ... n - 1], by its value; 0: none is there. */
static size_t character(const unsigned char *s, size_t n)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const size_t length = s[0] < 0x80             ? 1
                          : (s[0] & 0xE0) == 0xC0 ? 2
                          : (s[0] & 0xF0) == 0xE0 ? 3
                          : (s[0] & 0xF8) == 0xF0 ? 4
                                                  : 0;
    uint32_t code;

    if (length == 0 || length > n)
        return 0;
    if (length == 1)
        return 1;
    code = s[0] & (0x7Fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xC0) != 0x80)
            return 0;
        code = code << 6 | (s[i] & 0x3Fu);
    }
    if (code < least[length] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
        return 0;
    return length;
}

/* The text with U+FFFD for each byte that is no part of a character. */
static void mend(struct bytes *out, const char *text, size_t n)
{
    out->n = 0;
    for (size_t i = 0, length; i < n; i += length ? length : 1) {
        length = character((const unsigned char *)text + i, n - i);
        append(out, length ? text + i : "\xEF\xBF\xBD", length ? length : 3);
    }
}

/* Is the first stop string to be complete one of those that end at `end`? Then where the longest of
 * them begins; SIZE_MAX otherwise. */
static size_t stop_ending_at(const char *text, size_t end, const char *const *stops, size_t n_stops)
{
    size_t longest = 0;

    for (size_t i = 0; i < n_stops; i++) {
        const size_t length = strlen(stops[i]);

        if (length <= end && length > longest && !memcmp(text + end - length, stops[i], length))
            longest = length;
    }
    return longest ? end - longest : SIZE_MAX;
}

/* What is released of a text that comes in byte by byte; returns whether a stop string ended it,
 * and how many bytes it took. */
static bool reference(struct bytes *out, const char *text, size_t n, const char *const *stops,
                      size_t n_stops, size_t *taken)
{
    for (size_t end = 1; end <= n; end++) {
        const size_t begin = stop_ending_at(text, end, stops, n_stops);

        if (begin != SIZE_MAX) {
            mend(out, text, begin);
            *taken = end;
            return true;
        }
    }
    mend(out, text, n);
    *taken = n;
    return false;
}

/* ---- what the stream releases ---- */

static void take(void *arg, const char *bytes, size_t n)
{
    ck_assert_msg(n > 0, "released nothing");
    for (size_t i = 0, length; i < n; i += length) { /* whole characters, at each release */
        length = character((const unsigned char *)bytes + i, n - i);
        ck_assert_msg(length > 0, "released a part of a character: byte 0x%02x",
                      (unsigned char)bytes[i]);
    }
    append(arg, bytes, n);
}

/* Are the bytes at the end of a text the start of a character? */
static bool begins_character(const char *text, size_t n)
{
    unsigned char whole[4];

    if (n >= 4)
        return false;
    memcpy(whole, text, n);
    for (unsigned second = 0x80; second <= 0xBF; second++) {
        memset(whole + n, 0x80, 4 - n);
        if (n == 1)
            whole[1] = (unsigned char)second;
        if (character(whole, 4) > n)
            return true;
    }
    return false;
}

/* How many bytes of a text without stop strings must be out: all but the start of a stop string at
 * its end, and of a character, and a character that is cut by that. */
static size_t sure(const char *text, size_t n, const char *const *stops, size_t n_stops)
{
    size_t most = 0, at = 0;

    for (size_t i = 0; i < n_stops; i++)
        for (size_t k = strlen(stops[i]) - 1; k > most; k--)
            if (k <= n && !memcmp(text + n - k, stops[i], k))
                most = k;
    while (at < n - most) {
        const size_t length = character((const unsigned char *)text + at, n - at);

        if (at + length > n - most || (length == 0 && begins_character(text + at, n - at)))
            break;
        at += length ? length : 1;
    }
    return at;
}

/* Pushes text[0 ... n - 1] in parts, cuts[] bytes each, and compares with the reference. */
static void compare(const char *text, size_t n, const size_t *cuts, size_t n_cuts,
                    const char *const *stops, size_t n_stops)
{
    struct bytes got = {.n = 0}, expected, so_far;
    struct stream s = {.stops = stops, .n_stops = n_stops, .release = take, .arg = &got};
    size_t at = 0, stop_end;
    const bool stop = reference(&expected, text, n, stops, n_stops, &stop_end);
    bool stopped = false;

    for (size_t i = 0; i < n_cuts && !stopped; i++) {
        char *part = malloc(cuts[i]); /* of its own, so that reading beyond it is found */

        if (cuts[i])
            memcpy(part, text + at, cuts[i]);
        stopped = stream_push(&s, part, cuts[i]);
        free(part);
        at += cuts[i];
        ck_assert_msg(stopped == (stop && at >= stop_end), "stop at %zu, expected at %zu", at,
                      stop ? stop_end : n);
        if (!stopped) { /* all that is sure is out, and no more */
            mend(&so_far, text, sure(text, at, stops, n_stops));
            ck_assert_msg(got.n == so_far.n, "%zu bytes are out, expected %zu", got.n, so_far.n);
        }
    }
    ck_assert_msg(stopped || at == n, "the test itself: %zu of %zu bytes", at, n);
    stream_end(&s);
    ck_assert_msg(got.n == expected.n && !memcmp(got.text, expected.text, got.n),
                  "released '%.*s', expected '%.*s'", (int)got.n, got.text, (int)expected.n,
                  expected.text);
    ck_assert_msg(!s.failed, "out of memory");
    stream_free(&s);
    ck_assert_msg(!s.held, "still held");
}

/* The same, going on after each stop string, and pausing after some of the pushes where there are none:
 * nothing is lost and nothing comes twice. */
static void compare_going_on(const char *text, size_t n, const size_t *cuts, size_t n_cuts,
                             const char *const *stops, size_t n_stops)
{
    struct bytes got = {.n = 0}, expected = {.n = 0}, part;
    struct stream s = {.stops = stops, .n_stops = n_stops, .release = take, .arg = &got};
    size_t taken = 0, from = 0, n_expected = 0, n_got = 0;

    while (reference(&part, text + from, n - from, stops, n_stops, &taken)) {
        const size_t begin = stop_ending_at(text + from, taken, stops, n_stops);

        append(&expected, part.text, part.n);
        mend(&part, text + from + begin, taken - begin);
        append(&expected, part.text, part.n);
        from += taken;
        n_expected++;
    }
    append(&expected, part.text, part.n);
    for (size_t i = 0, at = 0; i < n_cuts; at += cuts[i++]) {
        bool stopped = stream_push(&s, text + at, cuts[i]);

        while (stopped) {
            const size_t before = got.n;

            stream_pause(&s); /* changes nothing */
            quick_assert_msg(got.n == before, "a pause released a stop string");
            n_got++;
            stopped = stream_go_on(&s);
            quick_assert_msg(got.n > before, "going on released no stop string");
        }
        if (n_stops == 0 && i % 2)
            stream_pause(&s);
        quick_assert_msg(!stream_go_on(&s), "went on where nothing was stopped");
    }
    stream_end(&s);
    quick_assert_msg(n_got == n_expected, "%zu stops, expected %zu", n_got, n_expected);
    quick_assert_msg(got.n == expected.n && !memcmp(got.text, expected.text, got.n),
                     "released '%.*s', expected '%.*s'", (int)got.n, got.text, (int)expected.n,
                     expected.text);
    stream_free(&s);
}

/* All ways to cut a text of up to 16 bytes: bit i of the mask is a cut behind byte i. */
static void compare_all_cuts(const char *text, size_t n, const char *const *stops, size_t n_stops)
{
    ck_assert_uint_ge(n, 1);
    ck_assert_uint_le(n, 16);
    for (uint32_t mask = 0; mask < 1u << (n - 1); mask++) {
        size_t cuts[16] = {1}, n_cuts = 1;

        for (size_t i = 1; i < n; i++) {
            if (mask >> (i - 1) & 1)
                n_cuts++;
            cuts[n_cuts - 1]++;
        }
        compare(text, n, cuts, n_cuts, stops, n_stops);
    }
}

static void expect(const char *text, const char *const *stops, size_t n_stops, const char *expected)
{
    struct bytes reference_text;
    size_t taken;

    reference(&reference_text, text, strlen(text), stops, n_stops, &taken);
    ck_assert_uint_eq(reference_text.n, strlen(expected));
    ck_assert(!memcmp(reference_text.text, expected, reference_text.n));
    compare_all_cuts(text, strlen(text), stops, n_stops);
}

#define STOPS(...)                                                                                 \
    (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)

/* ---- tests ---- */

START_TEST(characters)
{
    expect("abc", NULL, 0, "abc");
    expect("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80x", NULL, 0,
           "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80x");
    /* the least and the most of each length, and around the surrogates */
    expect("\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF", NULL, 0,
           "\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF");
    expect("\xED\x9F\xBF\xEE\x80\x80\xF0\x90\x80\x80\xF4\x8F\xBF\xBF", NULL, 0,
           "\xED\x9F\xBF\xEE\x80\x80\xF0\x90\x80\x80\xF4\x8F\xBF\xBF");
}
END_TEST

#define R "\xEF\xBF\xBD"

START_TEST(invalid_bytes)
{
    expect("\x80", NULL, 0, R);
    expect("a\xFFz", NULL, 0, "a" R "z");
    expect("\xC0\x80\xC1\xBF", NULL, 0, R R R R); /* overlong */
    expect("\xE0\x9F\xBF", NULL, 0, R R R);
    expect("\xED\xA0\x80", NULL, 0, R R R); /* a surrogate */
    expect("\xF0\x8F\xBF\xBF", NULL, 0, R R R R);
    expect("\xF4\x90\x80\x80", NULL, 0, R R R R); /* above U+10FFFF */
    expect("\xF5\x80", NULL, 0, R R);
    expect("\xE2\x82x", NULL, 0, R R "x"); /* broken off */
    expect("\xE2\x82", NULL, 0, R R);      /* at the end */
    expect("\xF0\x9F\x98", NULL, 0, R R R);
    expect("\xE2\xC3\xA9", NULL, 0, R "\xC3\xA9");
    expect("\xC3\xC3\xA9\xA9", NULL, 0, R "\xC3\xA9" R);
}
END_TEST

START_TEST(stop_strings)
{
    expect("hello world", STOPS(" wor"), "hello");
    expect("xx", STOPS("x"), "");
    expect("stop it", STOPS("stop"), ""); /* at the very beginning */
    expect("it stops", STOPS("stops"), "it ");
    expect("it stops", STOPS("stopss"), "it stops"); /* what is held comes at the end */
    expect("aaab", STOPS("aab"), "a");               /* overlaps its own start */
    expect("ababac", STOPS("abac"), "ab");
    expect("aabaab!", STOPS("aab!"), "aab");
    expect("abcd", STOPS("ab", "abc"), "");
    expect("abcd", STOPS("abc", "ab"), "");  /* one is the start of the other */
    expect("xabc", STOPS("abc", "b"), "xa"); /* "b" is complete first */
    expect("xabc", STOPS("b", "abc"), "xa");
    expect("xabc", STOPS("c", "abc"), "x"); /* of those complete at once the longest */
    expect("xabc", STOPS("abc", "bc", "c"), "x");
    expect("b1a2", STOPS("a", "b"), "");
    expect("abcabd", STOPS("abd", "abce"), "abc");
    expect("two\n\nlines", STOPS("\n\n"), "two");
}
END_TEST

START_TEST(stop_strings_of_many_bytes)
{
    expect("a\xE2\x82\xAC"
           "b",
           STOPS("\xE2\x82\xAC"), "a");
    expect("\xE2\x82\xAD\xE2\x82\xAC!", STOPS("\xE2\x82\xAC"), "\xE2\x82\xAD");
    expect("\xF0\x9F\x98\x80\xF0\x9F\x98\x81", STOPS("\xF0\x9F\x98\x81"), "\xF0\x9F\x98\x80");
    expect("\xE2\x82", STOPS("\xE2\x82\xAC"), R R);
    /* Stop strings that are not UTF-8: a character before them is broken, others are not. */
    expect("\xC3\xA9x", STOPS("\xA9"), R);
    expect("\xC3\xA9x", STOPS("\xA9y"), "\xC3\xA9x");
    expect("\xE2\x82\xACx", STOPS("\x82\xACy"), "\xE2\x82\xACx");
}
END_TEST

/* Once a stop string has come, the stream is empty and can be used again. */
START_TEST(after_a_stop)
{
    const char *const stops[] = {"END"};
    struct bytes got = {.n = 0};
    struct stream s = {.stops = stops, .n_stops = 1, .release = take, .arg = &got};

    ck_assert(stream_push(&s, "one END two", 11));
    stream_end(&s);
    ck_assert_mem_eq(got.text, "one ", 4);
    ck_assert_uint_eq(got.n, 4);
    ck_assert(!stream_push(&s, "threeE", 6));
    ck_assert_uint_eq(got.n, 9);
    stream_end(&s);
    ck_assert_uint_eq(got.n, 10);
    ck_assert_mem_eq(got.text, "one threeE", 10);
    stream_free(&s);
    ck_assert(!stream_push(&s, "!", 1)); /* as a new one */
    ck_assert_uint_eq(got.n, 11);
    stream_free(&s);
}
END_TEST

/* A pause lets go of what may become a stop string, and keeps the start of a character. */
START_TEST(pause_between)
{
    const char *const stops[] = {"END"};
    struct bytes got = {.n = 0};
    struct stream s = {.stops = stops, .n_stops = 1, .release = take, .arg = &got};

    ck_assert(!stream_push(&s, "oneEN", 5));
    ck_assert_uint_eq(got.n, 3);
    stream_pause(&s);
    ck_assert_uint_eq(got.n, 5);
    ck_assert(!stream_push(&s, "D\xE2\x82", 3)); /* no stop: its start is out */
    stream_pause(&s);
    ck_assert_uint_eq(got.n, 6);
    ck_assert(stream_push(&s, "\xAC.END END", 9));
    ck_assert_uint_eq(got.n, 10);
    ck_assert(stream_go_on(&s)); /* to the next */
    ck_assert_uint_eq(got.n, 14);
    stream_end(&s); /* without the second */
    ck_assert(!stream_go_on(&s));
    ck_assert_uint_eq(got.n, 14);
    ck_assert_mem_eq(got.text, "oneEND\xE2\x82\xAC.END ", 14);
    stream_free(&s);
}
END_TEST

START_TEST(nothing)
{
    struct bytes got = {.n = 0};
    struct stream s = {.release = take, .arg = &got};

    stream_end(&s);
    ck_assert(!stream_push(&s, NULL, 0));
    stream_end(&s);
    stream_free(&s);
    stream_free(&s);
    ck_assert_uint_eq(got.n, 0);
}
END_TEST

/* What is sure is out after each push, not later. */
START_TEST(at_once)
{
    static const struct {
        const char *push;
        size_t released;
    } steps[] = {
        {"abc", 3},   {"\xF0", 3}, {"\x9F", 3}, {"\x98", 3}, {"\x80", 7},
        {"x", 8},     {"ST", 8},   {"OS", 11}, /* STO is none; S may be the start of one */
        {"\xE2", 12}, {"S", 15},   {"T", 15},   {"OP", 15},
    };
    const char *const stops[] = {"STOP"};
    struct bytes got = {.n = 0};
    struct stream s = {.stops = stops, .n_stops = 1, .release = take, .arg = &got};
    const size_t n = sizeof steps / sizeof *steps;

    for (size_t i = 0; i < n; i++) {
        ck_assert(stream_push(&s, steps[i].push, strlen(steps[i].push)) == (i + 1 == n));
        ck_assert_uint_eq(got.n, steps[i].released);
    }
    stream_free(&s);
}
END_TEST

/* Texts, stop strings and cuts by chance, from few symbols, so that they meet. */
START_TEST(by_chance)
{
    static const char *const symbols[] = {"a",    "b",    "\xC3", "\xA9",     "\xE2",
                                          "\x82", "\xAC", "\xF0", "\xC3\xA9", "\xE2\x82\xAC"};
    const uint32_t rounds = sanitized() ? 10000 : 100000;
    uint64_t state = 99;
    uint32_t stopped = 0;

    for (uint32_t round = 0; round < rounds; round++) {
        const uint32_t kinds = 2 + random_below(&state, 9), n_stops = random_below(&state, 4);
        char stop_texts[3][16], text[64];
        const char *stops[3];
        size_t n = 0, cuts[64], n_cuts = 0, taken;
        struct bytes out;

        for (uint32_t i = 0; i < n_stops; i++) {
            stop_texts[i][0] = '\0';
            for (uint32_t k = 1 + random_below(&state, 4); k > 0; k--)
                strcat(stop_texts[i], symbols[random_below(&state, kinds)]);
            stops[i] = stop_texts[i];
        }
        for (uint32_t k = 1 + random_below(&state, 20); k > 0; k--) {
            const char *symbol = symbols[random_below(&state, kinds)];

            memcpy(text + n, symbol, strlen(symbol));
            n += strlen(symbol);
        }
        for (size_t at = 0; at < n; at += cuts[n_cuts++]) {
            cuts[n_cuts] = random_below(&state, 6);
            if (cuts[n_cuts] == 0 && n_cuts > 30)
                cuts[n_cuts] = n - at;
            if (cuts[n_cuts] > n - at)
                cuts[n_cuts] = n - at;
        }
        stopped += reference(&out, text, n, stops, n_stops, &taken);
        compare(text, n, cuts, n_cuts, stops, n_stops);
        compare_going_on(text, n, cuts, n_cuts, stops, n_stops);
    }
    ck_assert_uint_gt(stopped, rounds / 10);
    ck_assert_uint_lt(stopped, rounds - rounds / 10);
}
END_TEST

/* More than the first room: a stop string that begins again and again. */
START_TEST(long_held)
{
    enum { N = 3000 };
    char stop[N + 1];
    const char *const stops[] = {stop};
    size_t released = 0;
    struct bytes got = {.n = 0};
    struct stream s = {.stops = stops, .n_stops = 1, .release = take, .arg = &got};

    memset(stop, 'a', N);
    stop[N - 1] = 'b';
    stop[N] = '\0';
    for (size_t i = 0; i < N - 1; i++)
        ck_assert(!stream_push(&s, "a", 1));
    ck_assert_uint_eq(got.n, 0);
    for (; released < 100; released++)
        ck_assert(!stream_push(&s, "a", 1));
    ck_assert_uint_eq(got.n, 100);
    ck_assert(stream_push(&s, "bz", 2));
    stream_end(&s);
    ck_assert_uint_eq(got.n, 100);
    stream_free(&s);
}
END_TEST

/* No memory: that is said, and nothing is lost of what came before. */
START_TEST(too_large)
{
    const char *const stops[] = {"ab"};
    struct bytes got = {.n = 0};
    struct stream s = {.stops = stops, .n_stops = 1, .release = take, .arg = &got};
    volatile size_t huge = SIZE_MAX / 2; /* bytes that are not there, and are not read */

    if (sanitized()) /* AddressSanitizer ends the program */
        return;
    ck_assert(!stream_push(&s, "xa", 2));
    ck_assert(!s.failed);
    ck_assert(!stream_push(&s, "", huge));
    ck_assert(s.failed);
    stream_end(&s);
    ck_assert_uint_eq(got.n, 2);
    stream_free(&s);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        characters,   invalid_bytes, stop_strings, stop_strings_of_many_bytes,
        after_a_stop, pause_between, nothing,      at_once,
        by_chance,    long_held,     too_large,    NULL};

    return run_suite("stream", tests);
}
