/* signals.h - SIGINT and SIGTERM where the program does not just end by them, and what it removes
 * where it does. What a caller has the program ignore, as nohup does, stays ignored. */
#ifndef DG_TOOLS_SIGNALS_H
#define DG_TOOLS_SIGNALS_H

#include "../../src/dagpt.h"

#include <stdbool.h>

/* From now on the first SIGINT and the first SIGTERM are noted: a loop should end, and the program
 * leave. The second of either ends the program at once. */
void cli_signals_catch(void);
int cli_signal(void); /* the one noted, or 0 */

/* A signal that is noted also cancels what this team does, until it is another's turn; NULL: nobody's.
 * One that has been noted already cancels at once. */
void cli_signals_cancel(struct dg_team *team);

/* A SIGINT that was noted has ended what it should: the next one is the first again. */
void cli_signals_go_on(void);

/* While `on`, a signal that is noted also ends standard input: who waits for a line gets none. */
void cli_signals_end_input(bool on);

/* A file to be removed when a signal ends the program, SIGHUP too; NULL: none. Borrowed. */
void cli_signals_remove(const char *path);

#endif
