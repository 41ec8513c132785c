/* sync.h - that of src/runtime/sync, whose operations first let other threads go ahead, at random
 * places: most do nothing, some give up the CPU, a few sleep for longer than workers spin. What two
 * threads do then meets in orders that a quiet machine never shows. `make SYNC=tests/support/sync_yield`.
 *
 * Each source file of a program draws from a sequence of its own in each thread, seeded by the order in
 * which its threads came, and by DAGPT_YIELD_SEED in the environment. No memory order is made stronger: what is drawn is relaxed, or the thread's. */
#ifndef DG_TESTS_SYNC_YIELD_H
#define DG_TESTS_SYNC_YIELD_H

#include "../../../src/runtime/sync/sync.h"

#include <sched.h>
#include <stdlib.h>

static inline void dg_sync_yield(void)
{
    static atomic_uint threads;
    static _Thread_local uint64_t state;
    const struct timespec a_while = {.tv_nsec = 60 * 1000};

    if (state == 0) {
        const char *seed = getenv("DAGPT_YIELD_SEED");

        state = 1 + atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) +
                (seed ? strtoull(seed, NULL, 10) << 32 : 0);
    }
    state = state * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX */
    if (state >> 53 == 0)                                        /* one in 2048 */
        nanosleep(&a_while, NULL);
    else if (state >> 59 == 0) /* one in 32 */
        sched_yield();
}

/* A macro is not expanded inside itself: the names on the right are the functions. */
#define dg_load_relaxed(a)             (dg_sync_yield(), dg_load_relaxed(a))
#define dg_load_acquire(a)             (dg_sync_yield(), dg_load_acquire(a))
#define dg_store_relaxed(a, v)         (dg_sync_yield(), dg_store_relaxed(a, v))
#define dg_store_release(a, v)         (dg_sync_yield(), dg_store_release(a, v))
#define dg_add_relaxed(a, v)           (dg_sync_yield(), dg_add_relaxed(a, v))
#define dg_add_acq_rel(a, v)           (dg_sync_yield(), dg_add_acq_rel(a, v))
#define dg_sub_acq_rel(a, v)           (dg_sync_yield(), dg_sub_acq_rel(a, v))
#define dg_swap_acq_rel(a, v)          (dg_sync_yield(), dg_swap_acq_rel(a, v))
#define dg_change_relaxed(a, from, to) (dg_sync_yield(), dg_change_relaxed(a, from, to))
#define dg_change_acq_rel(a, from, to) (dg_sync_yield(), dg_change_acq_rel(a, from, to))
#define dg_mutex_lock(m)               (dg_sync_yield(), dg_mutex_lock(m))
#define dg_mutex_unlock(m)             (dg_sync_yield(), dg_mutex_unlock(m))
#define dg_condition_wait(c, m)        (dg_sync_yield(), dg_condition_wait(c, m))
#define dg_condition_signal(c)         (dg_sync_yield(), dg_condition_signal(c))

#endif
