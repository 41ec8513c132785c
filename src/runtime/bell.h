/* bell.h - one thread waits at a bell, any may ring it. A ring before the wait is kept; rings do not
 * add up. Everything before the ring is visible after the wait.
 *
 * Threads: a bell has one waiter, always the same while others may ring; init and destroy while no
 *          other thread uses it.
 * Memory:  owns a mutex and a condition variable, freed by dg_bell_destroy(). */
#ifndef DG_RUNTIME_BELL_H
#define DG_RUNTIME_BELL_H

#include <sync.h>

struct dg_bell {
    /* DG_BELL_... below. Order: acq_rel swaps by ringer and waiter, acquire loads by the
     * waiter. Partner: each other. If weakened: a woken worker reads the job of the step before.
     * Test: tests/unit/runtime/check_team.c "bell_of_two_ringers". */
    struct dg_atomic state;
    struct dg_mutex mutex;
    struct dg_condition rung;
};

enum {
    DG_BELL_QUIET,
    DG_BELL_RUNG,
    DG_BELL_PARKED, /* the waiter is in dg_condition_wait(), or about to enter it */
};

bool dg_bell_init(struct dg_bell *b); /* false: no memory, or none of the system's resources */
void dg_bell_destroy(struct dg_bell *b);

void dg_bell_ring(struct dg_bell *b);

/* Waits: spins for at most spin_ns, then parks. */
void dg_bell_wait(struct dg_bell *b, uint64_t spin_ns);

#endif
