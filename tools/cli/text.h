/* text.h - the text that a subcommand was given. */
#ifndef DG_TOOLS_TEXT_H
#define DG_TOOLS_TEXT_H

#include "options.h"

/* Bytes; any, also NUL. */
struct text {
    char *bytes; /* [n], and a NUL behind them */
    size_t n;
};

extern const struct cli_option text_options[]; /* -f */

/* The one operand, or the file of -f, or standard input. Of the last two one final newline is taken
 * off, where `trim` says so. Leaves with 2 when there are both or many, and with 5 when it cannot be
 * read. */
struct text text_read(char **operands, int n, bool trim);
void text_free(struct text *t);

/* The next line of standard input, without its end; the caller's to free. NULL: there is none. */
char *text_line(void);

#endif
