/* text.h - what the subcommands that read text share: the text, and the tokenizer. */
#ifndef DG_TOOLS_TEXT_H
#define DG_TOOLS_TEXT_H

#include "cli.h"

/* Bytes; any, also NUL. */
struct text {
    char *bytes; /* [n], and a NUL behind them */
    size_t n;
};

extern const struct cli_option text_options[];      /* --vocab */
extern const struct cli_option text_file_options[]; /* -f */

/* The text that a subcommand was given: its one operand, or the file of -f, or standard input. Of
 * the last two one final newline is taken off, where `trim` says so. Leaves with 2 when there are
 * both or many, and with 5 when it cannot be read. */
struct text text_read(char **operands, int n, bool trim);
void text_free(struct text *t);

/* The next line of standard input, without its end; the caller's to free. NULL: there is none. */
char *text_line(void);

/* The tokenizer of --vocab; else the model's: merges.txt or vocab.bpe beside it. Leaves with 4 when
 * there is none. Call it once; it is freed when the program ends. */
const struct dg_tokenizer *text_tokenizer(void);

/* Leaves with 4 when the tokenizer has not as many tokens as the model. */
void text_check_vocab(const struct dg_tokenizer *t, const struct dg_sizes *sizes);

#endif
