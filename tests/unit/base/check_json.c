/* src/base/json.c: what is JSON and what is not, values, strings, and the reader's own errors. */
#include "../../support/support.h"
#include "../../../src/base/json.h"
#include "../../../src/base/number.h"

#include <fenv.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A copy that ends where the text ends, so that AddressSanitizer sees a read beyond it. */
static bool skips(const char *text, size_t n)
{
    char *copy = malloc(n + (n == 0));
    struct dg_json j;
    bool ok;

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, text, n);
    dg_json_open(&j, copy, n);
    dg_json_skip(&j);
    ok = dg_json_end(&j);
    ck_assert_int_eq(ok, j.error == NULL);
    free(copy);
    return ok;
}

static bool is_json(const char *text)
{
    return skips(text, strlen(text));
}

START_TEST(accepted)
{
    static const char *const texts[] = {"0",
                                        "-0",
                                        "1.5",
                                        "-12e3",
                                        "1E-7",
                                        "0.25e+2",
                                        "\"\"",
                                        "\"a\\n\\u00e9\\\\\\\"\"",
                                        "true",
                                        "false",
                                        "null",
                                        "[]",
                                        "{}",
                                        " [ 1 , 2 ] ",
                                        "{\"a\":{\"b\":[{},[],\"\"]},\"a\":null}\n\t\r ",
                                        "\"\xc3\xa9\"",
                                        "\"\\ud83d\\ude00\"",
                                        "[[[[[[[[]]]]]]]]",
                                        ("1111111111111111111111111111111111111111111111111"
                                         "1111111111111111111111111111111111111111e-1111")};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        ck_assert_msg(is_json(texts[i]), "%s was refused", texts[i]);
}
END_TEST

START_TEST(refused)
{
    static const char *const texts[] = {"",
                                        " ",
                                        "01",
                                        "-",
                                        "+1",
                                        "1.",
                                        ".5",
                                        "1e",
                                        "1e+",
                                        "0x1",
                                        "nan",
                                        "Infinity",
                                        "tru",
                                        "nulL",
                                        "\"",
                                        "\"a",
                                        "\"\\",
                                        "\"\\x\"",
                                        "\"\\u12\"",
                                        "\"\\u12g4\"",
                                        "\"\n\"",
                                        "'a'",
                                        "[",
                                        "[1",
                                        "[1,",
                                        "[1,]",
                                        "[,1]",
                                        "[1 2]",
                                        "]",
                                        "{",
                                        "{\"a\"",
                                        "{\"a\":",
                                        "{\"a\":1",
                                        "{\"a\":1,",
                                        "{\"a\":1,}",
                                        "{a:1}",
                                        "{\"a\" 1}",
                                        "{1:2}",
                                        "{,}",
                                        "[}",
                                        "{]",
                                        "1 2",
                                        "[] []",
                                        "{} x",
                                        "// a\n1",
                                        "\"\xff\"",
                                        "\"\xc0\xaf\"",
                                        "\"a\xe2\x82\"",
                                        "\"\xed\xa0\x80\"",
                                        "\"\xf4\x90\x80\x80\"",
                                        "\"\xc3\"",
                                        "{\"\x80\":1}",
                                        "\"\\ud83d\"",
                                        "\"\\ud83d\\u0041\"",
                                        "\"\\ude00\"",
                                        "\"\\ud83dx\"",
                                        "\"\\ud83d\\n\"",
                                        "\xef\xbb\xbf\x31"};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        ck_assert_msg(!is_json(texts[i]), "%s was accepted", texts[i]);
    ck_assert(!skips("1\0", 2));
    ck_assert(!skips("[\0]", 3));
}
END_TEST

START_TEST(depth)
{
    char text[2 * DG_JSON_DEPTH + 3];

    for (size_t n = DG_JSON_DEPTH; n <= DG_JSON_DEPTH + 1; n++) {
        memset(text, '[', n);
        memset(text + n, ']', n);
        ck_assert_int_eq(skips(text, 2 * n), n == DG_JSON_DEPTH);
    }
}
END_TEST

static void check_string(const char *text, size_t size, const char *expected)
{
    char out[32] = "old";
    struct dg_json j;

    dg_json_open(&j, text, strlen(text));
    ck_assert_msg(dg_json_string(&j, out, size) && dg_json_end(&j), "%s: %s", text, j.error);
    ck_assert_str_eq(out, expected);
}

START_TEST(strings)
{
    check_string("\"\"", 32, "");
    check_string("\"a\\\"\\\\\\/\\b\\f\\n\\r\\tz\"", 32, "a\"\\/\b\f\n\r\tz");
    check_string("\"\\u0041\\u00e9\\u20AC\\ud83d\\ude00\"", 32,
                 "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    check_string("\"abcdef\"", 4, "abc");
    check_string("\"ab\\u20acd\"", 4, "ab"); /* a character does not fit: cut before it */
    check_string("\"ab\xe2\x82\xac"
                 "d\"",
                 4, "ab");
    check_string("\"ab\xe2\x82\xac"
                 "d\"",
                 6, "ab\xe2\x82\xac");
    check_string("\"abcdef\"", 1, "");
}
END_TEST

static const char *integer(const char *text, uint64_t *out)
{
    struct dg_json j;

    dg_json_open(&j, text, strlen(text));
    return dg_json_integer(&j, out) && dg_json_end(&j) ? NULL : j.error;
}

START_TEST(integers)
{
    static const char *const none[] = {"-1", "1.0", "1e3",   "01", "",
                                       "x",  "-0",  "\"1\"", "1.", "+1"};
    uint64_t n = 7;

    ck_assert_ptr_null(integer(" 0", &n));
    ck_assert_uint_eq(n, 0);
    ck_assert_ptr_null(integer("9007199254740993", &n)); /* 2^53 + 1 */
    ck_assert_uint_eq(n, 9007199254740993u);
    ck_assert_ptr_null(integer("18446744073709551615", &n));
    ck_assert_uint_eq(n, UINT64_MAX);
    n = 7;
    ck_assert_str_eq(integer("18446744073709551616", &n), "an integer below 2^64");
    ck_assert_str_eq(integer("99999999999999999999999", &n), "an integer below 2^64");
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        ck_assert_msg(integer(none[i], &n), "%s", none[i]);
    ck_assert_uint_eq(n, 7);
}
END_TEST

/* Is the text one whose objects have each name once? */
static bool is_unique(const char *text)
{
    struct dg_names names = {0};
    struct dg_json j;
    bool ok;

    dg_json_open(&j, text, strlen(text));
    dg_json_unique(&j, &names);
    dg_json_skip(&j);
    ok = dg_json_end(&j);
    ck_assert(ok || strcmp(j.error, "a name that the object does not have yet") == 0);
    dg_names_free(&names);
    return ok;
}

/* A name that a C string ends early is none, also where it is cut; as a value it is fine. */
START_TEST(names_without_nul)
{
    static const char *const bad[] = {"{\"key\\u0000\":1}", "{\"key\\u0000and more of it\":1}",
                                      "{\"\\u0000\":1}"};
    static const char *const good[] = {"{\"key and more\":1}", "{\"keykey\\u20ac\":1}", "{\"\":1}"};
    struct dg_json j;
    char key[8];

    for (size_t i = 0; i < 3; i++) {
        dg_json_open(&j, bad[i], strlen(bad[i]));
        ck_assert(dg_json_object(&j) && !dg_json_key(&j, key, sizeof key));
        ck_assert_str_eq(j.error, "a name without NUL");
        dg_json_open(&j, good[i], strlen(good[i]));
        ck_assert_msg(dg_json_object(&j) && dg_json_key(&j, key, sizeof key), "%s", good[i]);
    }
}
END_TEST

START_TEST(names_stand_once)
{
    ck_assert(is_unique("{\"a\":{\"a\":1,\"b\":2},\"b\":{\"a\":1},\"c\":[{\"a\":1},{\"a\":2}]}"));
    ck_assert(is_unique("{\"\":1,\"a\":2,\"A\":3,\"\\u0000\":4}"));
    ck_assert(!is_unique("{\"a\":1,\"a\":1}"));
    ck_assert(!is_unique("{\"\":1,\"\":1}"));
    ck_assert(!is_unique("{\"a\":1,\"\\u0061\":1}")); /* the same name, written otherwise */
    ck_assert(!is_unique("{\"\\u00e9x\":1,\"\xc3\xa9x\":1}"));
    ck_assert(!is_unique("[{\"a\":{\"b\":1,\"c\":[],\"b\":2}}]"));
    ck_assert(!is_unique("{\"a\":{\"x\":1},\"b\":2,\"a\":{\"y\":1}}"));
}
END_TEST

/* 2^17 names, among them none twice, and then one. */
START_TEST(many_names)
{
    struct dg_names set = {0};
    char name[16];

    for (int i = 0; i < 1 << 17; i++)
        ck_assert_int_eq(
            dg_names_add(&set, (uint32_t)i & 3, name, (size_t)snprintf(name, sizeof name, "%d", i)),
            1);
    ck_assert_uint_eq(set.n, 1 << 17);
    ck_assert_int_eq(dg_names_add(&set, 77777 & 3, "77777", 5), 0);
    ck_assert_uint_eq(dg_names_find(&set, 77777 & 3, "77777", 5), 77777);
    ck_assert_uint_eq(dg_names_find(&set, 0, "77777", 5), SIZE_MAX);
    ck_assert_int_eq(dg_names_add(&set, 0, "77777", 5), 1); /* of another scope */
    dg_names_free(&set);
    ck_assert_uint_eq(dg_names_find(&set, 0, "77777", 5), SIZE_MAX);
}
END_TEST

/* The first that the paper on SipHash gives, of its key. */
START_TEST(hash)
{
    const struct dg_hash_key key = {{0x0706050403020100, 0x0f0e0d0c0b0a0908}};
    const unsigned char bytes[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};

    ck_assert_uint_eq(dg_hash(&key, bytes, sizeof bytes), 0xa129ca6149be45e5);
}
END_TEST

/* The CPU's time for 100,000 names; crowded: such that crowd one part of the table when their places are those of a
 * hash that all know. */
static clock_t time_of_names(bool crowded)
{
    enum { NAMES = 100000 };
    static char names[NAMES][16];
    struct dg_names set = {0};
    clock_t start;

    for (uint32_t i = 0, n = 0; n < NAMES; i++) {
        snprintf(names[n], sizeof names[n], "name %u", i);
        n += !crowded || crowds(names[n], strlen(names[n]));
    }
    start = clock();
    for (int i = 0; i < NAMES; i++)
        ck_assert(dg_names_add(&set, 0, names[i], strlen(names[i])) == 1);
    dg_names_free(&set);
    return clock() - start;
}

START_TEST(names_made_to_collide)
{
    const clock_t plain = time_of_names(false), crowded = time_of_names(true);

    ck_assert_msg(crowded < 10 * plain + CLOCKS_PER_SEC / 10, "%ld ticks, others take %ld",
                  (long)crowded, (long)plain);
}
END_TEST

static double number(const char *text)
{
    double value = NAN;

    ck_assert_uint_eq(dg_number_length(text, strlen(text)), strlen(text));
    ck_assert(dg_number_read(text, strlen(text), &value));
    return value;
}

/* A number is the same in a locale whose point is a comma (where there is one), and however the caller rounds. */
START_TEST(numbers_of_any_caller)
{
    static const char *const commas[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "tr_TR.UTF-8",
                                         "nl_NL.UTF-8"};
    static const int roundings[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};

    for (int i = 0; i < 4 && !setlocale(LC_NUMERIC, commas[i]); i++)
        ;
    for (int i = 0; i < 4; i++) {
        fesetround(roundings[i]);
        ck_assert(number("0.1") == 0.1);
        ck_assert(number("1e-5") == 1e-5);
        ck_assert(number("-.3E+1") == -3.0);
        ck_assert(
            number("179769313486231580793728971405303415079934132710037826936173778980444968292764"
                   "7509466490179775872070963302864166928879109465555478519404026306574886715058"
                   "20681908902000708383676273854845817711531764475730270069855571366959622842914"
                   "819860834936475292719074168444365510704342711559699508093042880177904174497791"
                   "9") == INFINITY);
        ck_assert_int_eq(fegetround(), roundings[i]);
    }
    fesetround(FE_TONEAREST);
}
END_TEST

START_TEST(no_numbers)
{
    static const char *const none[] = {"", "-", ".", "+1", " 1", "e5", "-.e1", "inf", "nan", "x"};
    static const char *const longer[] = {"1e",  "1e+",   "0x1",
                                         "1,5", "1.5.5", "1 "}; /* begin with one */

    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        ck_assert_uint_eq(dg_number_length(none[i], strlen(none[i])), 0);
    for (size_t i = 0; i < sizeof longer / sizeof *longer; i++) {
        const size_t n = dg_number_length(longer[i], strlen(longer[i]));

        ck_assert(n > 0 && n < strlen(longer[i]));
    }
    ck_assert_uint_eq(dg_number_length("123", 2), 2); /* looks no further */
}
END_TEST

START_TEST(booleans)
{
    static const char text[] = "[true, false, 1]";
    struct dg_json j;
    bool value = false;

    dg_json_open(&j, text, strlen(text));
    ck_assert(dg_json_array(&j) && dg_json_item(&j) && dg_json_boolean(&j, &value) && value);
    ck_assert(dg_json_item(&j) && dg_json_boolean(&j, &value) && !value);
    ck_assert(dg_json_item(&j) && !dg_json_boolean(&j, &value));
    ck_assert_str_eq(j.error, "true or false");
}
END_TEST

START_TEST(values)
{
    static const char text[] =
        "{\"n\": -2.5e1, \"list\": [1, null, true, 3], \"deep\": {\"x\": []}, \"end\": \"z\"}";
    struct dg_json j;
    char key[8], end[8] = "";
    double n = 0, sum = 0, item;
    int nulls = 0, trues = 0, members = 0;

    dg_json_open(&j, text, strlen(text));
    ck_assert(dg_json_object(&j));
    while (dg_json_key(&j, key, sizeof key)) {
        members++;
        if (!strcmp(key, "n")) {
            dg_json_number(&j, &n);
        } else if (!strcmp(key, "list")) {
            ck_assert(dg_json_array(&j));
            while (dg_json_item(&j)) {
                if (dg_json_null(&j))
                    nulls++;
                else if (dg_json_true(&j))
                    trues++;
                else if (dg_json_number(&j, &item))
                    sum += item;
            }
        } else if (!strcmp(key, "end")) {
            dg_json_string(&j, end, sizeof end);
        } else {
            dg_json_skip(&j);
        }
    }
    ck_assert_msg(dg_json_end(&j), "%s", j.error);
    ck_assert(n == -25 && sum == 4 && nulls == 1 && trues == 1 && members == 4);
    ck_assert_str_eq(end, "z");
}
END_TEST

/* The first error stays, with its line; what follows reads nothing. */
START_TEST(errors_stick)
{
    static const char text[] = "{\"a\": 1,\n \"b\": \"2\",\n \"c\": 3}";
    struct dg_json j;
    char key[8];
    double n = 7;

    dg_json_open(&j, text, strlen(text));
    ck_assert(dg_json_object(&j) && dg_json_key(&j, key, sizeof key) && dg_json_number(&j, &n));
    ck_assert(dg_json_key(&j, key, sizeof key));
    ck_assert(!dg_json_number(&j, &n));
    ck_assert_str_eq(j.error, "a number");
    ck_assert_uint_eq(dg_json_line(&j), 2);
    ck_assert(!dg_json_fail(&j, "another"));
    ck_assert_str_eq(j.error, "a number");
    ck_assert(!dg_json_key(&j, key, sizeof key) && !dg_json_item(&j) && !dg_json_skip(&j));
    ck_assert(!dg_json_object(&j) && !dg_json_array(&j) && !dg_json_null(&j) && !dg_json_end(&j));
    ck_assert(n == 1);
}
END_TEST

/* An error shows what stands there: at the place where the text is wrong, or, of what a reader refuses, all of the
 * value that was read last. */
START_TEST(got)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "line 1, byte 0: got the end of it, expected an object"},
        {"[1]", "line 1, byte 0: got an array, expected an object"},
        {"{\"a\":1", "line 1, byte 6: got the end of it, expected ',' or '}'"},
        {"{\"a\":\"x", "line 1, byte 7: got the end of it, expected the end of a string"},
        {"{\"a\":\"\\q\"}", "line 1, byte 7: got q, expected an escape such as"},
        {"{\"a\":\"\xff\"}", "line 1, byte 6: got byte 0xFF, expected UTF-8"},
        {"{\"a\":\"\x01\"}", "line 1, byte 6: got byte 0x01, expected no control"},
        {"{\"a\":nul}", "line 1, byte 5: got nul, expected a value"},
        {"{\"a\":1,\n\"a\":2}", "line 2, byte 8: got \"a\", expected a name that"},
        {"{\"no\": \"llama\" }", "line 1, byte 7: got \"llama\", expected another"},
        {"{\"no\": \"a\\\"b\"}", "line 1, byte 7: got \"a\\\"b\", expected another"},
        {"{\"no\": \"llllllllllllllllllllllllllllllllllllllllllllllllllllll\"}",
         "got \"lllllllllllllllllllllllllllllllllllllll..., expected another"},
        {"{\"no\":\n-1.5e+3 }", "line 2, byte 7: got -1.5e+3, expected another"},
        {"{\"no\": null}", "line 1, byte 7: got null, expected another"},
        {"{\"no\": true}", "line 1, byte 7: got true, expected another"},
        {"{\"no\": [1, 2] }", "line 1, byte 12: got ], expected another"},
        {"{\"last\": 1 }", "line 1, byte 11: got }, expected another"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct dg_names names = {0};
        struct dg_error err = {0};
        struct dg_json j;
        char key[8] = "";

        dg_json_open(&j, cases[i].text, strlen(cases[i].text));
        dg_json_unique(&j, &names);
        if (dg_json_object(&j)) {
            while (dg_json_key(&j, key, sizeof key)) {
                dg_json_skip(&j);
                if (!strcmp(key, "no"))
                    dg_json_fail(&j, "another");
            }
            if (!strcmp(key, "last"))
                dg_json_fail(&j, "another");
        }
        dg_json_end(&j);
        ck_assert_int_eq(dg_json_refuse(&j, "t", DG_ERR_MODEL, &err), DG_ERR_MODEL);
        ck_assert_msg(strstr(err.text, cases[i].message), "%s: %s", cases[i].message, err.text);
        dg_names_free(&names);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {accepted,
                                  got,
                                  refused,
                                  depth,
                                  strings,
                                  integers,
                                  names_without_nul,
                                  names_stand_once,
                                  many_names,
                                  hash,
                                  names_made_to_collide,
                                  numbers_of_any_caller,
                                  no_numbers,
                                  booleans,
                                  values,
                                  errors_stick,
                                  NULL};

    return run_suite("json", tests);
}
