/* tokenizer.h - what the tests need to know of the tokenizer beyond dagpt.h. */
#ifndef DG_MODEL_TOKENIZER_H
#define DG_MODEL_TOKENIZER_H

#include "../base/status.h"

/* dg_tokenizer_encode with another window: pieces longer than `window` bytes (>= 1) are encoded in
 * parts of so many. The ids do not depend on it. */
enum dg_status dg_tokenizer_encode_by(const struct dg_tokenizer *t, size_t window, const char *text,
                                      size_t n, int32_t **ids, size_t *n_ids, struct dg_error *err);

#endif
