/* utf8.h - one character of UTF-8: its length and its code point. */
#ifndef DG_BASE_UTF8_H
#define DG_BASE_UTF8_H

#include <stdbool.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the character at text[0 ... n - 1]: 1 to 4, and its code point to *code. 0, and *code as
 * it was, where the bytes are none, or only the start of one. Reads no byte beyond the n, which may
 * be 0. Control characters and noncharacters such as U+FFFF are characters here. */
size_t dg_utf8_decode(const char *text, size_t n, uint32_t *code);

/* Does it tell a terminal something, or end a line? C0, DEL, C1, and Unicode's ends of lines and
 * paragraphs. */
static inline bool dg_is_control(uint32_t code)
{
    return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x2028 || code == 0x2029;
}

/* Are text[0 ... n - 1], n = 1 to 3, the start of a longer character? */
bool dg_utf8_is_start(const char *text, size_t n);

/* Gives text[0 ... end - 1] to release(), in pieces, as UTF-8: each byte that is no part of a character
 * becomes U+FFFD. A character that reaches beyond `end`, but not beyond n >= end, is not given. Returns how
 * many bytes were. */
size_t dg_utf8_release(const char *text, size_t end, size_t n,
                       void (*release)(void *arg, const char *bytes, size_t n), void *arg);

#endif
