/* text.h - the text that a subcommand was given. */
#ifndef DG_TOOLS_TEXT_H
#define DG_TOOLS_TEXT_H

#include "options.h"
#include "../../src/dagpt.h"

/* Bytes; any, also NUL. */
struct text {
    char *bytes; /* [n], and a NUL behind them */
    size_t n;
};

extern const struct cli_option text_options[];        /* -f */
extern const struct cli_option text_escape_options[]; /* --escapes */

/* The one operand, or the file of -f, or standard input. Of the last two one final line end, LF or CR
 * LF, is taken off, where `trim` says so; all else is as it stands there. Leaves with 2 when there are both or
 * many, and with 5 when it cannot be read. */
struct text text_read(char **operands, int n, bool trim);

/* With --escapes, reads them (escapes.h) in place; text_read() has done so for an operand, and takes
 * no other text then. DG_ERR_TOKEN. */
enum dg_status text_unescape(struct text *t, struct dg_error *err);
void text_free(struct text *t);

/* The next line of standard input, any bytes without its end, LF or CR LF; the caller's to free. False:
 * there is none. Leaves with 5 when it cannot be read, and with 6 without memory. */
bool text_line(struct text *line);

/* Takes the line end off, LF or CR LF, if there is one. */
void text_trim(struct text *t);

/* A name as one printable line (dg_one_line()); the caller's to free. */
char *text_printable(const char *name);

#endif
