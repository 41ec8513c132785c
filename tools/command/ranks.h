/* ranks.h - dagpt trace --what-if with --ranks: the steps of a trace on several processes. */
#ifndef DG_TOOLS_RANKS_H
#define DG_TOOLS_RANKS_H

#include "../cli/options.h"
#include "../trace/trace_report.h"

extern const struct cli_option ranks_options[]; /* --ranks --place --link --machines */

bool ranks_asked(void); /* --ranks; leaves with 2 where another of them was given without it */

/* Prints the predictions for `workers` workers on each rank, beside what was measured by the other runs of the same
 * steps, others[0 ... n - 1]. Leaves on errors. */
void ranks_what_if(const struct report_run *from, unsigned workers, const struct report_run *others,
                   size_t n, bool json);

#endif
