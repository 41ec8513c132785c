/* tokenizer.h - the tokenizer that was asked for. */
#ifndef DG_TOOLS_TOKENIZER_H
#define DG_TOOLS_TOKENIZER_H

#include "options.h"
#include "../../src/dagpt.h"

extern const struct cli_option cli_tokenizer_options[]; /* --vocab */
extern const struct cli_option cli_encode_options[];    /* --special */

/* The tokenizer of --vocab; else the model's: merges.txt, vocab.bpe, gpt2_tokenizer.bin or tokenizer.json
 * beside it, the first there is. Leaves with 3 when
 * that model cannot be, and with 4 when there is no tokenizer. Call it once; it is freed when the
 * program leaves. */
const struct dg_tokenizer *cli_tokenizer(void);

/* dg_tokenizer_encode or, with --special, dg_tokenizer_encode_special. */
enum dg_status cli_encode(const struct dg_tokenizer *t, const char *bytes, size_t n, int32_t **ids,
                          size_t *n_ids, struct dg_error *err);

/* Leaves with 4 when the tokenizer has not as many tokens as the model. */
void cli_tokenizer_check(const struct dg_tokenizer *t, const struct dg_sizes *sizes);

#endif
