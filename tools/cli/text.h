/* text.h - the text that a subcommand was given. */
#ifndef DG_TOOLS_TEXT_H
#define DG_TOOLS_TEXT_H

#include "options.h"
#include "../../src/dagpt.h"

#include <stdio.h>

/* Bytes; any, also NUL. */
struct text {
    char *bytes; /* [n], and a NUL behind them */
    size_t n;
};

extern const struct cli_option text_options[];        /* -f */
extern const struct cli_option text_escape_options[]; /* --escapes */

enum { TEXT_WHY = 160 };

/* Longer texts are refused with 4; `why`, of less than TEXT_WHY bytes, says what was expected. 64 MiB
 * unless said. */
void text_limit(size_t bytes, const char *why);

/* The one operand, or the file of -f, or standard input. Of the last two one final line end, LF or CR
 * LF, is taken off, where `trim` says so; all else is as it stands there. Leaves with 2 when there are both or
 * many, with 4 when it is too long, and with 5 when it cannot be read. */
struct text text_read(char **operands, int n, bool trim);

/* The same in two parts: the operand, if there is one; else what it would read. */
struct text_source {
    FILE *from;
    const char *name;
};

bool text_file_given(void);
bool text_operand(char **operands, int n, struct text *t);
struct text_source text_open(void);
struct text_source text_open_file(const char *path); /* of that file, "-" or NULL: standard input */
void text_close(const struct text_source *s);        /* leaves with 5 when it could not be read */

/* With --escapes, reads them (escapes.h) in place; text_read() has done so for an operand, and takes
 * no other text then. DG_ERR_TOKEN. */
enum dg_status text_unescape(struct text *t, struct dg_error *err);
void text_free(struct text *t);

/* The next line of a source, any bytes without its end, LF or CR LF; the caller's to free. One that is
 * too long is skipped, which is said: {NULL, 0}; one that has no end leaves with 4. False: there is none. Leaves
 * with 5 when it cannot be read, and with 6 without memory. */
bool text_line(const struct text_source *s, struct text *line);

/* Takes the line end off, LF or CR LF, if there is one. */
void text_trim(struct text *t);

/* A name as one printable line (dg_one_line()); the caller's to free. */
char *text_printable(const char *name);

#endif
