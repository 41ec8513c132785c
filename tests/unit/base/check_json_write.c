/* src/base/json_write.c: what it writes of any bytes, read back by the strict reader and by
 * Python's. */
#include "../../support/support.h"
#include "../../../src/base/json.h"
#include "../../../src/base/json_write.h"
#include "../../../src/base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 32 };

#define REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */

/* A whole string of bytes[0 ... n - 1], as text. */
static char *written(const char *bytes, size_t n, const char *also, size_t *length)
{
    char *text = NULL;
    FILE *to = open_memstream(&text, length);

    ck_assert_msg(to, "out of memory");
    putc('"', to);
    dg_json_write_bytes(to, bytes, n, also);
    putc('"', to);
    ck_assert_msg(fclose(to) == 0, "out of memory");
    return text;
}

/* The bytes with U+FFFD for each that is no part of UTF-8. */
static size_t mend(char *to, const char *bytes, size_t n)
{
    size_t made = 0;

    for (size_t i = 0; i < n;) {
        uint32_t code;
        const size_t length = dg_utf8_decode(bytes + i, n - i, &code);

        memcpy(to + made, length ? bytes + i : REPLACEMENT, length ? length : 3);
        made += length ? length : 3;
        i += length ? length : 1;
    }
    return made;
}

/* Does the text read as the bytes, and is none of the characters in it that are to be escaped? */
static void check_bytes(const char *bytes, size_t n, const char *also)
{
    char expected[3 * MOST], got[3 * MOST + 1];
    const size_t n_expected = mend(expected, bytes, n);
    size_t length;
    char *text = written(bytes, n, also, &length);
    struct dg_json j;
    uint32_t code;

    dg_json_open(&j, text, length);
    ck_assert_msg(dg_json_string(&j, got, sizeof got) && dg_json_end(&j), "%s: expected %s", text,
                  j.error);
    ck_assert_msg(memcmp(got, expected, n_expected) == 0 && got[n_expected] == '\0',
                  "%s reads as another text", text);
    for (size_t i = 0, step; i < length; i += step) {
        step = dg_utf8_decode(text + i, length - i, &code);
        ck_assert_msg(step > 0 && !dg_is_control(code), "byte %zu of %s", i, text);
        ck_assert_msg(code > 0x7F || !strchr(also, (int)code), "%c in %s", (int)code, text);
    }
    free(text);
}

START_TEST(every_byte)
{
    for (int b = 0; b < 256; b++) {
        check_bytes((const char[]){(char)b}, 1, "");
        check_bytes((const char[]){'a', (char)b, 'z'}, 3, "<");
    }
}
END_TEST

static void expect_text(const char *bytes, size_t n, const char *also, const char *expected)
{
    size_t length;
    char *text = written(bytes, n, also, &length);

    ck_assert_str_eq(text, expected);
    free(text);
}

/* What need not be escaped is not, so that names stay readable. */
START_TEST(exact)
{
    expect_text("", 0, "", "\"\"");
    expect_text("a b", 3, "", "\"a b\"");
    expect_text("ab", 1, "", "\"a\"");
    expect_text("\"\\/'", 4, "", "\"\\\"\\\\/'\"");
    expect_text("\0\n\x1F \x7F", 5, "", "\"\\u0000\\u000a\\u001f \\u007f\"");
    expect_text("<|end|>&", 8, "", "\"<|end|>&\"");
    expect_text("</a><!--", 8, "<", "\"\\u003c/a>\\u003c!--\"");
    expect_text("<&>", 3, "<>", "\"\\u003c&\\u003e\"");
    expect_text("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", 9, "<",
                "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"");
    expect_text("\xE2\x82<", 3, "<", "\"\\ufffd\\ufffd\\u003c\"");
    expect_text("\xC3\xA9", 1, "", "\"\\ufffd\""); /* the second byte is not the string's */
    expect_text("\xEF\xBF\xBF", 3, "", "\"\xEF\xBF\xBF\"");
    expect_text("\xC2\x80\xC2\x9B\xC2\x9F\xC2\xA0", 8, "", "\"\\u0080\\u009b\\u009f\xC2\xA0\"");
    expect_text("\xE2\x80\xA8\xE2\x80\xAA", 6, "", "\"\\u2028\xE2\x80\xAA\"");
}
END_TEST

START_TEST(numbers)
{
    ck_assert_str_eq(dg_json_real(0.1, 6).text, "0.1");
    ck_assert_str_eq(dg_json_real(0.1, 17).text, "0.10000000000000001");
    ck_assert_str_eq(dg_json_real(123456789, 9).text, "123456789");
    ck_assert_str_eq(dg_json_real(-2.2250738585072014e-308, 17).text, "-2.2250738585072014e-308");
    ck_assert_str_eq(dg_json_real(INFINITY, 6).text, "null");
    ck_assert_str_eq(dg_json_real(-INFINITY, 6).text, "null");
    ck_assert_str_eq(dg_json_real(NAN, 6).text, "null");
}
END_TEST

START_TEST(whole_string)
{
    char *text = NULL;
    size_t length;
    FILE *to = open_memstream(&text, &length);

    ck_assert_ptr_nonnull(to);
    dg_json_write_string(to, "a\"<\xFF", "");
    dg_json_write_string(to, "<", "<");
    dg_json_write_string(to, "", "<");
    ck_assert_int_eq(fclose(to), 0);
    ck_assert_str_eq(text, "\"a\\\"<\\ufffd\"\"\\u003c\"\"\"");
    free(text);
}
END_TEST

START_TEST(random_bytes)
{
    static const char often[] = "\"\\<>u0\n\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\xED\xA0";
    uint64_t state = 1, *const seed = &state;

    for (int i = 0; i < 100000; i++) {
        char bytes[MOST];
        const size_t n = random_below(seed, MOST);

        for (size_t k = 0; k < n; k++)
            bytes[k] = (char)(random_below(seed, 2) ? often[random_below(seed, sizeof often)]
                                                    : (char)random_below(seed, 256));
        check_bytes(bytes, n, i % 2 ? "<" : "");
    }
}
END_TEST

/* A list of 256 strings, each of one byte, with json.loads. */
START_TEST(python)
{
    static const char script[] =
        "python3 -c 'import json, sys\n"
        "got = json.loads(sys.stdin.buffer.read())\n"
        "sys.exit(got != [bytes([b]).decode(\"utf-8\", \"replace\") for b in range(256)])'";
    FILE *to;

    if (system("python3 -c '' 2>/dev/null") != 0)
        return;
    to = popen(script, "w");
    ck_assert_ptr_nonnull(to);
    for (int b = 0; b < 256; b++) {
        fputs(b ? ", \"" : "[\"", to);
        dg_json_write_bytes(to, (const char[]){(char)b}, 1, b % 2 ? "<" : "");
        putc('"', to);
    }
    putc(']', to);
    ck_assert_int_eq(pclose(to), 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {every_byte,   exact,  whole_string, numbers,
                                  random_bytes, python, NULL};

    return run_suite("json_write", tests);
}
