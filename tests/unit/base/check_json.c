/* src/base/json.c: what is JSON and what is not, values, strings, and the reader's own errors. */
#include "../../support/support.h"
#include "../../../src/base/json.h"

#include <stdlib.h>
#include <string.h>

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
                                        "[[[[[[[[]]]]]]]]"};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        ck_assert_msg(is_json(texts[i]), "%s was refused", texts[i]);
}
END_TEST

START_TEST(refused)
{
    static const char *const texts[] = {
        "",           " ",
        "01",         "-",
        "+1",         "1.",
        ".5",         "1e",
        "1e+",        "0x1",
        "nan",        "Infinity",
        "tru",        "nulL",
        "\"",         "\"a",
        "\"\\",       "\"\\x\"",
        "\"\\u12\"",  "\"\\u12g4\"",
        "\"\n\"",     "'a'",
        "[",          "[1",
        "[1,",        "[1,]",
        "[,1]",       "[1 2]",
        "]",          "{",
        "{\"a\"",     "{\"a\":",
        "{\"a\":1",   "{\"a\":1,",
        "{\"a\":1,}", "{a:1}",
        "{\"a\" 1}",  "{1:2}",
        "{,}",        "[}",
        "{]",         "1 2",
        "[] []",      "{} x",
        "// a\n1",    "1111111111111111111111111111111111111111111111111111111111111111111111"};

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
    check_string("\"\\ud83d\\u0041\\udc00x\"", 32,
                 "\xef\xbf\xbd"
                 "A\xef\xbf\xbdx");
    check_string("\"\\ud83d\"", 32, "\xef\xbf\xbd");
    check_string("\"abcdef\"", 4, "abc");
    check_string("\"ab\\u20acd\"", 4, "ab"); /* a character does not fit: cut before it */
    check_string("\"abcdef\"", 1, "");
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

int main(void)
{
    const TTest *const tests[] = {accepted, refused, depth, strings, values, errors_stick, NULL};

    return run_suite("json", tests);
}
