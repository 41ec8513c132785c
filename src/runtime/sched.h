/* sched.h - runs a plan, step after step, on a team.
 *
 * Memory:  a run owns the counters, queues and scratch of one plan; it borrows plan and team.
 *          Nothing is allocated during a step.
 * Threads: one step of a team at a time, by a thread that has entered the team, or all by the same one. */
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
 * of a tile or post that failed; the other tiles have run all the same. ECANCELED: dg_team_cancel() has
 * been called before the last tile began; some tiles have not run, and the request is fulfilled.
 * A plan with tiles that are posted is not cancelled, since others go on with it, and recorded only where workers
 * poll: else such a tile has no time on a worker. */
int dg_run_step(struct dg_run *run, const struct dg_step *step, enum dg_sched sched);

/* A tile of an op whose type is `posted` is done: something outside, such as a message that came, has
 * written its output, or failed to: `failed` is 0 or an errno value. The step goes on, and does not end
 * before each such tile has been posted, once.
 * When:    inside dg_run_step() of this run: who posts knows that the step has begun, from a tile that
 *          has run in it. The tile's output may be written once all that the tile waits for is done;
 *          without inputs, from the beginning.
 *          The schedules barrier and serial run ops in order, so that a post must not depend on a tile
 *          of the same op or of a later one.
 * Threads: any, inside a tile or outside the team; several at once. run, its plan and team must live until
 *                   dg_run_post() has returned, which may be after dg_run_step() has. */
void dg_run_post(struct dg_run *run, uint32_t tile, int failed);

/* The same in two calls, of what a worker has found that polls: before it writes the tile's output, and when it has. A
 * recorded step has the tile as one that this worker ran. */
void dg_run_take(struct dg_run *run, unsigned worker, uint32_t tile);
void dg_run_taken(struct dg_run *run, unsigned worker, uint32_t tile, int failed);

/* From now on, poll(arg, worker, turn) is called again and again during this run's steps: by workers that have nothing to
 * do, which then do not park, the turn-th time since they wait, and by each worker after a tile (0). It looks whether a
 * message has come, and takes it: true; it returns soon, and may give up the CPU where it waits. NULL: no longer.
 * Threads: set it between steps; poll() is called by several workers at once. */
void dg_run_poll(struct dg_run *run, bool (*poll)(void *arg, unsigned worker, unsigned turn),
                 void *arg);

#endif
