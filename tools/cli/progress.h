/* progress.h - a bar that shows how far loading or a long prompt has come. */
#ifndef DG_TOOLS_PROGRESS_H
#define DG_TOOLS_PROGRESS_H

#include "../../src/dagpt.h"

/* Where stderr is a terminal: from now on, and after a moment, a bar tells how far the team's steps
 * are with `what`. NULL: no more, and the line is empty again. */
void cli_progress(struct dg_team *team, const char *what);

#endif
