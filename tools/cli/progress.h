/* progress.h - a bar that shows how far loading, a long prompt or a trace has come. */
#ifndef DG_TOOLS_PROGRESS_H
#define DG_TOOLS_PROGRESS_H

#include "../../src/dagpt.h"

/* Where stderr is a terminal: after a moment, and then now and again, a bar tells how far `what` has come,
 * 0 to 1; in the end the line is empty again. */
void cli_progress_begin(const char *what);
void cli_progress_at(double done);
void cli_progress_end(void);

/* The same of the team's steps, from now on; NULL: that was all. */
void cli_progress(struct dg_team *team, const char *what);

#endif
