/* src/base/utf8.c: every code point, every border, every sequence of up to 3 bytes and those of 4
 * that look like one; always where the byte behind the text cannot be read. */
#include "../../support/support.h"
#include "../../../src/base/utf8.h"

#include <stdio.h>
#include <string.h>

enum { CODES = 0x110000, ROOM = 16, UNTOUCHED = 0x5A5A5A5A };

static char *room; /* ROOM bytes that end at a closed page */

static void open_room(void)
{
    room = (char *)guarded_floats(ROOM / sizeof(float));
}

static void close_room(void)
{
    guarded_free((float *)(void *)room, ROOM / sizeof(float));
}

/* Decodes a copy of bytes[0 ... n - 1] behind which nothing can be read. */
static void expect(const char *bytes, size_t n, size_t length, uint32_t code)
{
    uint32_t got_code = UNTOUCHED;
    const size_t got = dg_utf8_decode(memcpy(room + ROOM - n, bytes, n), n, &got_code);
    char hex[2 * ROOM + 1] = "";

    if (length == 0)
        code = UNTOUCHED;
    if (got == length && got_code == code)
        return;
    for (size_t i = 0; i < n; i++)
        snprintf(hex + 2 * i, 3, "%02x", (unsigned char)bytes[i]);
    ck_abort_msg("%s: got %zu bytes, U+%04X; expected %zu, U+%04X", hex, got, (unsigned)got_code,
                 length, (unsigned)code);
}

static bool is_surrogate(uint32_t code)
{
    return code >= 0xD800 && code < 0xE000;
}

/* Valid is what utf8_encode() writes of a code point: read as many bytes as one, write it again. */
static size_t plain_length(const char *text, size_t n, uint32_t *code)
{
    char again[4];

    for (size_t length = 1; length <= 4 && length <= n; length++) {
        *code = (unsigned char)text[0] & (length == 1 ? 0xFF : 0x7F >> length);
        for (size_t i = 1; i < length; i++)
            *code = *code << 6 | ((unsigned char)text[i] & 0x3F);
        if (*code < CODES && !is_surrogate(*code) && utf8_encode(*code, again) == length &&
            memcmp(again, text, length) == 0)
            return length;
    }
    return 0;
}

static void compare(const char *bytes, size_t n)
{
    uint32_t code = 0;
    const size_t length = plain_length(bytes, n, &code);

    expect(bytes, n, length, code);
}

/* The first and last of each length, and what is just beyond: by hand, not by plain_length(). */
START_TEST(borders)
{
    static const struct {
        const char *bytes;
        size_t n, length;
        uint32_t code;
    } all[] = {
        {"", 0, 0, 0},
        {"\0", 1, 1, 0},
        {"\x7F", 1, 1, 0x7F},
        {"\x80", 1, 0, 0}, /* only goes on */
        {"\xBF", 1, 0, 0},
        {"\xC0\x80", 2, 0, 0}, /* U+0000 in two bytes */
        {"\xC1\xBF", 2, 0, 0}, /* U+007F in two bytes */
        {"\xC2\x80", 2, 2, 0x80},
        {"\xDF\xBF", 2, 2, 0x7FF},
        {"\xC2\x7F", 2, 0, 0},
        {"\xC2\xC0", 2, 0, 0},
        {"\xE0\x80\x80", 3, 0, 0}, /* U+0000 in three */
        {"\xE0\x9F\xBF", 3, 0, 0}, /* U+07FF in three */
        {"\xE0\xA0\x80", 3, 3, 0x800},
        {"\xED\x9F\xBF", 3, 3, 0xD7FF},
        {"\xED\xA0\x80", 3, 0, 0}, /* the first surrogate */
        {"\xED\xBF\xBF", 3, 0, 0}, /* the last */
        {"\xEE\x80\x80", 3, 3, 0xE000},
        {"\xEF\xBF\xBD", 3, 3, 0xFFFD},
        {"\xEF\xBF\xBE", 3, 3, 0xFFFE},
        {"\xEF\xBF\xBF", 3, 3, 0xFFFF},
        {"\xF0\x80\x80\x80", 4, 0, 0}, /* U+0000 in four */
        {"\xF0\x8F\xBF\xBF", 4, 0, 0}, /* U+FFFF in four */
        {"\xF0\x90\x80\x80", 4, 4, 0x10000},
        {"\xF4\x8F\xBF\xBF", 4, 4, 0x10FFFF},
        {"\xF4\x90\x80\x80", 4, 0, 0}, /* U+110000 */
        {"\xF7\xBF\xBF\xBF", 4, 0, 0},
        {"\xF8\x88\x80\x80\x80", 5, 0, 0}, /* what RFC 2279 had in five bytes */
        {"\xFC\x84\x80\x80\x80\x80", 6, 0, 0},
        {"\xFE", 1, 0, 0},
        {"\xFF", 1, 0, 0},
    };

    open_room();
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        expect(all[i].bytes, all[i].n, all[i].length, all[i].code);
    close_room();
}
END_TEST

/* Whole, followed by another, and with its last bytes missing. */
START_TEST(code_points)
{
    open_room();
    for (uint32_t code = 0; code < CODES; code++) {
        char text[5];
        const size_t n = utf8_encode(code, text);

        text[n] = (char)code;
        expect(text, n, is_surrogate(code) ? 0 : n, code);
        expect(text, n + 1, is_surrogate(code) ? 0 : n, code);
        for (size_t cut = 0; cut < n; cut++)
            expect(text, cut, 0, 0);
    }
    close_room();
}
END_TEST

/* All sequences of 1 to 3 bytes; of 4, all that begin like one and go on with continuation bytes,
 * and random ones. */
START_TEST(sequences)
{
    const uint32_t step = sanitized() ? 7 : 1; /* through those of 3 bytes */
    uint64_t state = 1, *const seed = &state;

    open_room();
    for (uint32_t i = 0; i < 1 << 8; i++)
        compare((const char[]){(char)i}, 1);
    for (uint32_t i = 0; i < 1 << 16; i++)
        compare((const char[]){(char)(i >> 8), (char)i}, 2);
    for (uint32_t i = 0; i < 1 << 24; i += step)
        compare((const char[]){(char)(i >> 16), (char)(i >> 8), (char)i}, 3);
    for (uint32_t i = 0; i < 1 << 21; i++)
        compare((const char[]){(char)(0xF0 | i >> 18), (char)(0x80 | (i >> 12 & 0x3F)),
                               (char)(0x80 | (i >> 6 & 0x3F)), (char)(0x80 | (i & 0x3F))},
                4);
    for (int i = 0; i < 1000000; i++) {
        char text[4];
        const size_t n = utf8_encode(0x10000 + random_below(seed, CODES - 0x10000), text);

        text[random_below(seed, 4)] = (char)random_below(seed, 256);
        compare(text, n);
    }
    close_room();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {borders, code_points, sequences, NULL};

    return run_suite("utf8", tests);
}
