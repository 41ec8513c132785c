/* leaving.h - how the program ends: what is open is closed, and there is an exit code. */
#ifndef DG_TOOLS_LEAVING_H
#define DG_TOOLS_LEAVING_H

#include "../../src/dagpt.h"

/* When the program leaves, close() is called: the last one registered first. It may itself die; what
 * was registered before is still closed. */
void cli_on_leaving(void (*close)(void));

/* Closes, and exits with cli_exit_code(), where `code` has become the one so far if that was 0. */
__attribute__((noreturn)) void cli_leave(int code);

/* The first code that was not 0; else 128 and the number of a signal that has come (signals.h). */
int cli_exit_code(void);

/* Prints "dagpt: " and the text, on one line of stderr, and leaves with the status. */
__attribute__((noreturn, format(printf, 2, 3))) void cli_die(enum dg_status status,
                                                             const char *format, ...);

/* Where another program than dagpt has set it, says the text in the place of that line. */
extern void (*cli_last_words)(const char *text);

/* cli_die with err's status and text, unless status is DG_OK; or, where a signal has cancelled what was
 * done, cli_leave(). */
void cli_check(enum dg_status status, const struct dg_error *err);

/* Leaves since `path`, or standard output (NULL), could not be written, for this errno value: with 5 and a
 * line about it, or 6 where memory was missing. Without a word where a signal has come, and where the reader
 * of a pipe has gone, with 141, as a program that SIGPIPE ends. */
__attribute__((noreturn)) void cli_cannot_write(const char *path, int error);

/* Flushes stdout. cli_cannot_write() when it could not take all that was printed. */
void cli_flush(void);

#endif
