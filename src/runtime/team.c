/* The life of a helper (workers 1 ... awake - 1): wait at its bell; do the job; say that it has
 * left; wait again. Workers from `awake` on wait at their bells until the team is freed.
 *
 * Waking a sleeper takes two steps, because most of the time there is none: the count `sleepers`
 * says whether to look at all, the flag `asleep` which worker. A worker that dozes raises the
 * count, then its flag, then looks again; a waker reads the count, then takes the flags down. So
 *
 *     sleepers >= number of flags that are up
 *
 * and no wake is lost. Both sides touch count and flag with read-modify-writes, so for each of the
 * two one side comes first. If the waker is first at either, the worker's operation reads from the
 * waker's, and what the waker made before is visible to the second look. If the worker is first at
 * both, the waker sees a count above 0 and finds the flag up.
 *
 * (Flag before count would be wrong: a waker on behalf of another thing could take down the flag
 * and the count of a sleeper that it does not belong to, and leave that one asleep with a count of
 * 0.) */
#include "team.h"
#include "bell.h"
#include "turn.h"

#include <fenv.h>
#include <stdlib.h>

enum { JOB_SPIN_NS = 200 * 1000 };

struct worker {
    _Alignas(DG_CACHE_LINE) struct dg_bell bell; /* waits: the worker; rings: anyone */

    /* 1: this worker dozes or sleeps; who changes it to 0 must ring the bell (another) or not sleep
     * (the worker itself).
     * Order: acq_rel read-modify-writes alone. Partner: each other, in doze, rise and wake; see the
     * top of the file. If weakened: a lost wake. Test: tests/unit/runtime/check_team.c "no_lost_wake_stalled". */
    struct dg_atomic asleep;
    bool timed;     /* wakes are; changed by the worker, while its flag is down */
    uint64_t woken; /* when the last one came. Written before the ring, by who took the flag down */
    struct dg_thread thread;
    struct dg_team *team;
    unsigned index;
};

struct dg_team {
    unsigned workers, awake;
    unsigned started; /* threads that run: workers 1 ... started */
    struct dg_turn turn;

    /* One for who made it, and one for each engine and trace. Order: relaxed up, by who has one; acq_rel
     * down: who takes the last sees all that the others did. If weakened: a bell is freed that another
     * thread's step still rings. */
    struct dg_atomic users;
    uint64_t spin_ns, job_spin_ns;
    struct worker *list;                  /* [workers] */
    void (*tell)(void *arg, double done); /* or NULL */
    void *tell_arg;
    struct dg_trace *trace;
    uint64_t traces; /* how many there have been */

    /* 1: cancelled. Set by any thread, cleared by worker 0 when that has ended a step, and read by
     * the workers before each tile.
     * Relaxed: it carries nothing along. That a tile behind one that was left out may still run, on
     * what is not there, does no harm: worker 0 learns from the lanes that a tile was left out.
     * Test: tests/unit/runtime/check_sched.c "cancelled". */
    struct dg_atomic cancelled;

    /* The job. Written by worker 0 before it rings the bells, read by helpers after. */
    void (*job)(void *arg, unsigned worker);
    void *arg;
    bool over; /* no more jobs: leave */

    /* Helpers that have not left the job. Set by worker 0 before the bells; each helper takes one
     * off, and the last rings `left`.
     * Order: acq_rel. Partner: the other helpers' decrements: what all of them wrote is visible to
     * the last, and through the bell to worker 0. If weakened: the caller reads a torn output.
     * Test: tests/unit/runtime/check_team.c. */
    _Alignas(DG_CACHE_LINE) struct dg_atomic inside;

    /* Worker 0 waits here for the helpers. Not at its own bell: a ring that woke it inside the job
     * could still be there, and two rings are as good as one. */
    struct dg_bell left;

    /* Workers that doze or sleep, or more for a moment.
     * Order: acq_rel read-modify-writes alone. Partner: each other, in doze, rise and wake; see the
     * top of the file. If weakened: a tile waits in a queue while the worker that could run it
     * sleeps. Test: tests/unit/runtime/check_sched.c "parking". */
    _Alignas(DG_CACHE_LINE) struct dg_atomic sleepers;
};

static void *helper(void *arg)
{
    struct worker *self = arg;
    struct dg_team *team = self->team;

    fesetenv(FE_DFL_ENV);
    for (;;) {
        dg_bell_wait(&self->bell, team->job_spin_ns);
        if (team->over)
            return NULL;
        team->job(team->arg, self->index);
        if (dg_sub_acq_rel(&team->inside, 1) == 0)
            dg_bell_ring(&team->left);
    }
}

static bool start_worker(struct dg_team *team, unsigned i)
{
    struct worker *w = &team->list[i];

    w->team = team;
    w->index = i;
    w->timed = false;
    dg_store_relaxed(&w->asleep, 0);
    if (!dg_bell_init(&w->bell))
        return false;
    if (i == 0)
        return true;
    if (!dg_thread_start(&w->thread, helper, w)) {
        dg_bell_destroy(&w->bell);
        return false;
    }
    team->started = i;
    return true;
}

enum dg_status dg_team_new(struct dg_team **out, unsigned workers, unsigned cpus,
                           struct dg_error *err)
{
    const unsigned usable = dg_usable_cpus();
    struct dg_team *team;

    if (!dg_is_place(out, err))
        return DG_ERR_USAGE;
    if (workers < 1 || workers > DG_MAX_WORKERS)
        return dg_fail(err, DG_ERR_USAGE, "workers: got %u, expected 1 to %d", workers,
                       DG_MAX_WORKERS);
    team = aligned_alloc(DG_CACHE_LINE, sizeof *team);
    if (!team)
        return dg_fail_memory(err, "a team", sizeof *team);
    *team = (struct dg_team){.workers = workers};
    dg_store_relaxed(&team->users, 1);
    if (cpus == 0)
        cpus = usable;
    team->awake = workers < cpus ? workers : cpus;
    if (team->awake <= usable) {
        team->spin_ns = DG_SPIN_NS;
        team->job_spin_ns = JOB_SPIN_NS;
    }
    team->list = aligned_alloc(DG_CACHE_LINE, workers * sizeof *team->list);
    if (!team->list || !dg_bell_init(&team->left))
        goto fail;
    if (!dg_turn_init(&team->turn))
        goto fail_after_left;
    if (!start_worker(team, 0)) {
        dg_turn_destroy(&team->turn);
        goto fail_after_left;
    }
    for (unsigned i = 1; i < workers && start_worker(team, i); i++)
        ;
    team->workers = team->started + 1; /* the threads that the system gives are enough */
    if (team->awake > team->workers)
        team->awake = team->workers;
    *out = team;
    return DG_OK;
fail_after_left:
    dg_bell_destroy(&team->left);
fail:
    free(team->list);
    free(team);
    return dg_fail_memory(err, "a team", workers * sizeof *team->list);
}

static void end_helpers(struct dg_team *team)
{
    team->over = true;
    for (unsigned i = 1; i <= team->started; i++) {
        dg_bell_ring(&team->list[i].bell);
        dg_thread_join(&team->list[i].thread);
        dg_bell_destroy(&team->list[i].bell);
    }
    dg_bell_destroy(&team->list[0].bell);
    dg_bell_destroy(&team->left);
    dg_turn_destroy(&team->turn);
}

void dg_team_hold(struct dg_team *team)
{
    dg_add_relaxed(&team->users, 1);
}

/* A fork has no helpers to end, and its bells may be as a helper left them in the middle of a wait. */
void dg_team_free(struct dg_team *team)
{
    if (!team || dg_sub_acq_rel(&team->users, 1) > 0)
        return;
    if (!dg_turn_is_foreign(&team->turn))
        end_helpers(team);
    free(team->list);
    free(team);
}

enum dg_status dg_team_enter(struct dg_team *team, struct dg_error *err)
{
    return dg_turn_take(&team->turn, err);
}

void dg_team_leave(struct dg_team *team)
{
    dg_turn_give(&team->turn);
}

unsigned dg_team_workers(const struct dg_team *team)
{
    return team ? team->workers : 0;
}

unsigned dg_team_awake(const struct dg_team *team)
{
    return team ? team->awake : 0;
}

uint64_t dg_team_spin_ns(const struct dg_team *team)
{
    return team->spin_ns;
}

void dg_team_progress(struct dg_team *team, void (*tell)(void *arg, double done), void *arg)
{
    if (!team || dg_team_enter(team, NULL) != DG_OK)
        return;
    team->tell = tell;
    team->tell_arg = arg;
    dg_team_leave(team);
}

bool dg_team_tells(const struct dg_team *team)
{
    return team->tell != NULL;
}

void dg_team_tell(const struct dg_team *team, double done)
{
    team->tell(team->tell_arg, done);
}

void dg_team_cancel(struct dg_team *team)
{
    if (team)
        dg_store_relaxed(&team->cancelled, 1);
}

void dg_team_uncancel(struct dg_team *team)
{
    if (team)
        dg_store_relaxed(&team->cancelled, 0);
}

const struct dg_atomic *dg_team_cancelled(const struct dg_team *team)
{
    return &team->cancelled;
}

struct dg_trace *dg_team_trace(const struct dg_team *team)
{
    return team->trace;
}

uint64_t dg_team_set_trace(struct dg_team *team, struct dg_trace *trace)
{
    team->trace = trace;
    return trace ? ++team->traces : team->traces;
}

void dg_team_run(struct dg_team *team, void (*job)(void *arg, unsigned worker), void *arg)
{
    fenv_t callers;

    fegetenv(&callers);
    fesetenv(FE_DFL_ENV);
    team->job = job;
    team->arg = arg;
    dg_store_relaxed(&team->inside, team->awake - 1); /* published by the bells */
    for (unsigned i = 1; i < team->awake; i++)
        dg_bell_ring(&team->list[i].bell);
    job(arg, 0);
    if (team->awake > 1)
        dg_bell_wait(&team->left, team->spin_ns);
    fesetenv(&callers);
}

void dg_team_doze(struct dg_team *team, unsigned worker)
{
    dg_add_acq_rel(&team->sleepers, 1);
    (void)dg_swap_acq_rel(&team->list[worker].asleep, 1);
}

void dg_team_rise(struct dg_team *team, unsigned worker)
{
    if (dg_change_acq_rel(&team->list[worker].asleep, 1, 0)) {
        dg_sub_acq_rel(&team->sleepers, 1);
        return;
    }
    dg_bell_wait(&team->list[worker].bell, team->spin_ns); /* someone is ringing */
    dg_team_wake(team, 1);                                 /* this worker has work: pass it on */
}

void dg_team_sleep(struct dg_team *team, unsigned worker)
{
    dg_bell_wait(&team->list[worker].bell, 0);
}

void dg_team_time_wakes(struct dg_team *team, unsigned worker, bool on)
{
    team->list[worker].timed = on;
}

uint64_t dg_team_woken(const struct dg_team *team, unsigned worker)
{
    return team->list[worker].woken;
}

bool dg_team_sleepers(const struct dg_team *team)
{
    return dg_load_relaxed(&team->sleepers) != 0;
}

void dg_team_wake(struct dg_team *team, unsigned n)
{
    if (dg_add_acq_rel(&team->sleepers, 0) == 0) /* a read that takes part in the order of writes */
        return;
    for (unsigned i = 0; i < team->awake && n > 0; i++) {
        struct worker *w = &team->list[i];

        if (dg_swap_acq_rel(&w->asleep, 0)) {
            dg_sub_acq_rel(&team->sleepers, 1);
            if (w->timed)
                w->woken = dg_now_ns();
            dg_bell_ring(&w->bell);
            n--;
        }
    }
}
