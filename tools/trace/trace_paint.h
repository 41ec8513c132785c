/* trace_paint.h - the times of one step of a trace, on a dump of the graph or plan that it ran. */
#ifndef DG_TOOLS_TRACE_PAINT_H
#define DG_TOOLS_TRACE_PAINT_H

#include "trace_file.h"
#include "../../src/dump/dump.h"

/* The step to look at: of those with `rows` rows (0: of the number of rows that took the most time)
 * the one of median time, the lower of two. *out NULL: there is none. False: out of memory. */
bool trace_step_choose(const struct trace_step **out, const struct trace_file *t, uint32_t rows);

/* DG_ERR_USAGE, and where they differ first, unless the trace's plan is the same as this one. */
enum dg_status trace_plan_compare(const struct trace_plan *p, const struct dg_plan *plan,
                                  struct dg_error *err);

/* Fills what is measured. The step's plan must be the same as `plan`, and the dump one of it or of
 * its graph. */
enum dg_status trace_paint(struct dg_dump *dump, const struct dg_plan *plan,
                           const struct trace_file *t, const struct trace_step *step,
                           struct dg_error *err);

#endif
