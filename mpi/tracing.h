/* tracing.h - what all ranks have recorded becomes one trace.
 * Rank 0 joins the pieces of each plan to one in which a message is an edge (src/graph/whole.h), and takes the steps
 * that all ranks have recorded for steps of it, with the workers of all ranks. Clocks are compared at the first step
 * and in the end; where they agree within the error of that, they are one. */
#ifndef DG_MPI_TRACING_H
#define DG_MPI_TRACING_H

#include "../src/graph/ranks.h"
#include "../tools/trace/trace_write.h"

/* ---- rank 0, where it records ---- */

void tracing_look(const struct dg_plan *plan, const struct dg_placed *placed); /* dg_transport's */
size_t tracing_plan(void);      /* which it is that was seen last */
void tracing_step(size_t plan); /* a step of that plan begins */

/* The trace of all, of which own is rank 0's, and what is to be said of the ranks. It lives until the program ends.
 * NULL: out of memory. */
struct dg_trace *tracing_join(const struct dg_trace *own, struct trace_facts *facts);

/* ---- the others ---- */

void tracing_is(const struct dg_trace *own); /* this rank's */
void tracing_answer(int32_t asked);          /* talk_follow()'s */

#endif
