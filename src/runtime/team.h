/* team.h - the workers: threads that are made once, wait for a job, and do it together.
 *
 * At most `awake` workers take part in a job: min(workers, usable CPUs). The others stay parked:
 * they could only take CPUs from those that hold a tile. (Four workers on two CPUs, all of them
 * awake: see docs/performance.md.)
 *
 * Threads: whoever calls dg_team_run() is worker 0 for that job: any thread that has entered, or all the
 *          while the same one. The sleeping calls below are for workers inside a job. */
#ifndef DG_RUNTIME_TEAM_H
#define DG_RUNTIME_TEAM_H

#include "../base/status.h"
#include <sync.h>

/* Between the two the team is this thread's: it waits until it is. dg_turn_take() has the errors. */
enum dg_status dg_team_enter(struct dg_team *team, struct dg_error *err);
void dg_team_leave(struct dg_team *team);

/* One user more: dg_team_free() has to be called once more before the team is gone. */
void dg_team_hold(struct dg_team *team);

/* Runs job(arg, worker) on every awake worker, worker 0 being the caller, and returns when all
 * have returned. Floating-point environment: the default one (rounding to nearest, denormals kept,
 * no traps) on all of them; the caller's own is put back. */
void dg_team_run(struct dg_team *team, void (*job)(void *arg, unsigned worker), void *arg);

/* How long a worker with nothing to do spins before it sleeps. */
enum { DG_SPIN_NS = 50 * 1000 };

/* That, or 0 for an oversubscribed team. */
uint64_t dg_team_spin_ns(const struct dg_team *team);

/* Has dg_team_progress() set a function? Calls it. */
bool dg_team_tells(const struct dg_team *team);
void dg_team_tell(const struct dg_team *team, double done);

/* Not 0: dg_team_cancel() has been called, and what the team does is to end. */
const struct dg_atomic *dg_team_cancelled(const struct dg_team *team);

/* The trace that records this team's steps, or NULL. Setting one returns its number, counted from 1. */
struct dg_trace *dg_team_trace(const struct dg_team *team);
uint64_t dg_team_set_trace(struct dg_team *team, struct dg_trace *trace);

/* Sleeping inside a job, without missing what happens meanwhile:
 *
 *     dg_team_doze(team, w);              from here on a wake is kept
 *     if (there is something to do)       look again: it may have come just before
 *         dg_team_rise(team, w);
 *     else
 *         dg_team_sleep(team, w);         until another worker calls dg_team_wake()
 *
 * Who makes something to do calls dg_team_wake() afterwards: either it sees the dozing worker, or
 * the worker's second look sees what it made. */
void dg_team_doze(struct dg_team *team, unsigned worker);
void dg_team_rise(struct dg_team *team, unsigned worker);
void dg_team_sleep(struct dg_team *team, unsigned worker);

/* By the worker itself, awake: from here on who wakes it notes when. woken: when the wake came that ended its
 * last sleep, in ns of dg_now_ns(). A thread that is woken may have to wait for a CPU. */
void dg_team_time_wakes(struct dg_team *team, unsigned worker, bool on);
uint64_t dg_team_woken(const struct dg_team *team, unsigned worker);

/* Does any worker doze or sleep that this thread knows of? Cheaper than a wake, and no substitute for one. */
bool dg_team_sleepers(const struct dg_team *team);

/* Wakes up to n of the workers that doze or sleep. */
void dg_team_wake(struct dg_team *team, unsigned n);

#endif
