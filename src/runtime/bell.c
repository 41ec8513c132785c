/* A ring is one swap as long as the waiter spins: the mutex and the condition variable are for a
 * waiter that has parked, and `state` says whether it has. The waiter parks with the mutex held, by
 * a change from QUIET to PARKED that fails when a ring came first; a ringer that finds PARKED takes
 * the mutex before it signals, so that the waiter is inside the wait by then, and hears it. */
#include "bell.h"

bool dg_bell_init(struct dg_bell *b)
{
    dg_store_relaxed(&b->state, DG_BELL_QUIET); /* nobody else knows the bell yet */
    if (!dg_mutex_init(&b->mutex))
        return false;
    if (dg_condition_init(&b->rung))
        return true;
    dg_mutex_destroy(&b->mutex);
    return false;
}

void dg_bell_destroy(struct dg_bell *b)
{
    dg_condition_destroy(&b->rung);
    dg_mutex_destroy(&b->mutex);
}

void dg_bell_ring(struct dg_bell *b)
{
    if (dg_swap_acq_rel(&b->state, DG_BELL_RUNG) != DG_BELL_PARKED)
        return;
    dg_mutex_lock(&b->mutex); /* the waiter holds it until it is inside the wait */
    dg_condition_signal(&b->rung);
    dg_mutex_unlock(&b->mutex);
}

/* Until it rings, or spin_ns have passed. */
static void spin(const struct dg_bell *b, uint64_t spin_ns)
{
    const uint64_t start = dg_now_ns();

    while (dg_load_acquire(&b->state) != DG_BELL_RUNG) {
        for (int i = 0; i < 16; i++)
            dg_pause();
        if (dg_now_ns() - start > spin_ns)
            return;
    }
}

static void park(struct dg_bell *b)
{
    dg_mutex_lock(&b->mutex);
    if (dg_change_acq_rel(&b->state, DG_BELL_QUIET, DG_BELL_PARKED))
        while (dg_load_acquire(&b->state) != DG_BELL_RUNG)
            dg_condition_wait(&b->rung, &b->mutex);
    dg_mutex_unlock(&b->mutex);
}

void dg_bell_wait(struct dg_bell *b, uint64_t spin_ns)
{
    if (spin_ns)
        spin(b, spin_ns);
    if (dg_load_acquire(&b->state) != DG_BELL_RUNG)
        park(b);
    /* No plain store: a ring that has come since the last load is a part of this wait, and what was
     * written before it is visible, too. */
    (void)dg_swap_acq_rel(&b->state, DG_BELL_QUIET);
}
