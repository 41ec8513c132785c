/* split.h - GPT-2's pre-split: text falls into pieces, and no token reaches across two of them.
 *
 *     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 *
 * Text is bytes. A byte that is not part of valid UTF-8 is a character of its own that is neither
 * letter, number nor space. */
#ifndef DG_TEXT_SPLIT_H
#define DG_TEXT_SPLIT_H

#include <stddef.h>

/* Bytes of the first piece of text[0 ... n - 1], n >= 1: at least 1. Time: proportional to the
 * piece and, after white space, one character more. */
size_t dg_split(const char *text, size_t n);

#endif
