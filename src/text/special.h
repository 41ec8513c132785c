/* special.h - special tokens at the beginning of a text.
 *
 * Threads: read-only once the index is made. Memory: the tokenizer's arena. */
#ifndef DG_TEXT_SPECIAL_H
#define DG_TEXT_SPECIAL_H

#include "tokenizer.h"

/* Makes the index that dg_special_at() looks into, when all special tokens are known. DG_ERR_RESOURCE: no memory. */
enum dg_status dg_special_index(struct dg_tokenizer *t, struct dg_error *err);

/* Bytes of the longest of the first `some` special tokens that text[0 ... n - 1] begins with, n >= 1, and its
 * number; 0, and *token as it was: none. `some`: all of them, or those that are read in any text. */
size_t dg_special_at(const struct dg_tokenizer *t, uint32_t some, const char *text, size_t n,
                     uint32_t *token);

#endif
