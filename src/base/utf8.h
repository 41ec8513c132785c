/* utf8.h - one character of UTF-8: its length and its code point. */
#ifndef DG_BASE_UTF8_H
#define DG_BASE_UTF8_H

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

#endif
