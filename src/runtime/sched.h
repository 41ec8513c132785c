/* sched.h - runs a plan, step after step, on a team.
 *
 * Memory:  a run owns the counters, queues and scratch of one plan; it borrows plan and team.
 *          Nothing is allocated during a step.
 * Threads: one step of a team at a time, started by the thread that made the team. */
#ifndef DG_RUNTIME_SCHED_H
#define DG_RUNTIME_SCHED_H

#include "../graph/plan.h"

enum { DG_N_SCHED = DG_SCHED_SERIAL + 1 }; /* for tables by enum dg_sched */

struct dg_run;

/* plan->tiling.workers should be dg_team_awake(team): homes beyond are wrapped. */
enum dg_status dg_run_new(struct dg_run **out, const struct dg_plan *plan, struct dg_team *team,
                          struct dg_error *err);
void dg_run_free(struct dg_run *run); /* takes NULL */

/* Runs every tile of the plan once, each after all that it waits for. Returns 0, or the errno value
 * of a tile that failed; the other tiles have run all the same. */
int dg_run_step(struct dg_run *run, const struct dg_step *step, enum dg_sched sched);

#endif
