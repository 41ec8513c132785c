/* recording.h - --trace: what a team does becomes a file. */
#ifndef DG_TOOLS_RECORDING_H
#define DG_TOOLS_RECORDING_H

#include "options.h"
#include "../trace/trace_write.h"

extern const struct cli_option cli_trace_options[]; /* --trace --trace-tokens --trace-edges
                                                     * --trace-events */

/* Where there is --trace: from now on the team's steps are recorded, and the file is written when the
 * program leaves, which SIGINT and SIGTERM now ask for (signals.h). `facts` but for limits and edges;
 * the texts in them, and the team, must last until then. The limits are measured with that isa, in the
 * weights of the model that *model is by then. Leaves on errors. Call it once. */
void cli_record(struct dg_team *team, enum dg_isa isa, const struct trace_facts *facts,
                struct dg_model *const *model);

/* Where another program than dagpt has set them. cli_records_elsewhere: what is recorded is for another process, and no
 * file is written here. cli_when_recorded(): gives the trace to be written, or NULL: none, and may add facts. */
extern bool cli_records_elsewhere;
extern struct dg_trace *(*cli_when_recorded)(struct dg_trace *trace, struct trace_facts *facts);

#endif
