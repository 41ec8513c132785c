/* signals.h - what SIGINT, SIGTERM and SIGHUP end, and how.
 *
 * At first each of them ends the program at once, with exit code 128 + its number. Who has something to
 * be saved calls cli_signals_catch(). What a caller has the program ignore, as nohup does, stays ignored.
 * A temporary file is removed in any case. */
#ifndef DG_TOOLS_SIGNALS_H
#define DG_TOOLS_SIGNALS_H

#include "../../src/dagpt.h"

#include <stdbool.h>
#include <stddef.h>

/* Once, before all else. From then on a file that has grown to its limit (SIGXFSZ) is an error of the
 * write, EFBIG. */
void cli_signals_begin(void);

/* From now on the first SIGINT and the first SIGTERM are noted: a loop should end, and the program
 * leave. The second of either ends the program at once, and so does SIGHUP. A pipe whose reader has gone
 * (SIGPIPE) is an error of the write, EPIPE. */
void cli_signals_catch(void);
int cli_signal(void); /* the one noted, or 0 */

/* How long a write or an open may still wait, in ms: -1, no signal was noted: as long as it takes. */
int cli_signal_patience(void);

/* Does a pipe whose reader has gone end the program, without a word? Not where SIGPIPE is ignored. */
bool cli_signal_of_pipe(void);

/* A signal that is noted also cancels what this team does, until it is another's turn; NULL: nobody's.
 * One that has been noted already cancels at once. */
void cli_signals_cancel(struct dg_team *team);

/* A SIGINT that was noted has ended what it should: the next one is the first again. */
void cli_signals_go_on(void);

/* While `on`, a signal that is noted also ends standard input: who waits for a line gets none. */
void cli_signals_end_input(bool on);

/* Between hold and release no signal comes: what is done there is done whole. */
void cli_signals_hold(void);
void cli_signals_release(void);

/* The weights are read where they lie, in the file `path`, which is open as fd: bytes[0 ... n - 1], until the program
 * leaves. If it is cut off meanwhile, or cannot be read, reading them (SIGBUS) ends the program: a line says so, and the
 * exit code is DG_ERR_MODEL or DG_ERR_IO. */
void cli_signals_mapped(const void *bytes, size_t n, int fd, const char *path);

/* Ends the program at once, as a signal does. */
__attribute__((noreturn)) void cli_signals_end(int code);

/* A file to be removed when a signal ends the program; NULL: none. Borrowed. */
void cli_signals_remove(const char *path);

/* The same of a folder, open as fd, with some of those files, a NULL-terminated list. Until cli_signals_remove(). Between
 * hold and release. */
void cli_signals_remove_folder(const char *path, int fd, const char *const *files);

#endif
