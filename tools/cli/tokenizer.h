/* tokenizer.h - the tokenizer that was asked for. */
#ifndef DG_TOOLS_TOKENIZER_H
#define DG_TOOLS_TOKENIZER_H

#include "options.h"
#include "../../src/dagpt.h"

#include <stdio.h>

extern const struct cli_option cli_tokenizer_options[]; /* --vocab */
extern const struct cli_option cli_encode_options[];    /* --special */

bool cli_tokenizer_given(void); /* --vocab? */

/* The tokenizer of --vocab; else the model's: merges.txt, vocab.bpe, gpt2_tokenizer.bin or tokenizer.json
 * beside it, the first there is. Leaves with 3 when
 * that model cannot be, and with 4 when there is no tokenizer. Call it once; it is freed when the
 * program leaves. */
const struct dg_tokenizer *cli_tokenizer(void);

/* The same; NULL when the model has none. */
const struct dg_tokenizer *cli_tokenizer_if_any(void);

/* dg_tokenizer_encode or, with --special, dg_tokenizer_encode_special. */
enum dg_status cli_encode(const struct dg_tokenizer *t, const char *bytes, size_t n, int32_t **ids,
                          size_t *n_ids, struct dg_error *err);

/* dg_tokenizer_border (src/text/tokenizer.h) of a text that is encoded so. */
size_t cli_encode_border(const struct dg_tokenizer *t, const char *bytes, size_t n);

/* The id that begins a text. Leaves with 4 when the tokenizer has none. */
int32_t cli_tokenizer_begin(const struct dg_tokenizer *t);

/* Leaves with 4 when the tokenizer has not as many tokens as the model. */
void cli_tokenizer_check(const struct dg_tokenizer *t, const struct dg_sizes *sizes);

/* From now on a text is refused that is longer than all of the model's positions can be (text_limit()).
 * `advice` ends the message. */
void cli_tokenizer_limit(const struct dg_tokenizer *t, const struct dg_sizes *sizes,
                         const char *advice);

/* What an id stands for, as a JSON string with its quotes: on a terminal, too, it is one printable line.
 * A part of a character reads as U+FFFD. */
void cli_token_write(FILE *to, const struct dg_tokenizer *t, int32_t id);

#endif
