/* sync.h - every atomic, mutex, wait, thread and clock of the program.
 *
 * The rest of src/ uses these and nothing of <stdatomic.h> or <pthread.h>, so that a test build can
 * put another sync.h in its place. The names carry the memory order; there is no default, and no
 * fence. Which operation pairs with which is said where the field is declared. */
#ifndef DG_RUNTIME_SYNC_H
#define DG_RUNTIME_SYNC_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <time.h>

#define DG_CACHE_LINE 64

struct dg_atomic {
    atomic_uint value;
};

static inline uint32_t dg_load_relaxed(const struct dg_atomic *a)
{
    return atomic_load_explicit(&a->value, memory_order_relaxed);
}

static inline uint32_t dg_load_acquire(const struct dg_atomic *a)
{
    return atomic_load_explicit(&a->value, memory_order_acquire);
}

static inline void dg_store_relaxed(struct dg_atomic *a, uint32_t v)
{
    atomic_store_explicit(&a->value, v, memory_order_relaxed);
}

static inline void dg_store_release(struct dg_atomic *a, uint32_t v)
{
    atomic_store_explicit(&a->value, v, memory_order_release);
}

/* Adds and returns what was there before. */
static inline uint32_t dg_add_acq_rel(struct dg_atomic *a, uint32_t v)
{
    return atomic_fetch_add_explicit(&a->value, v, memory_order_acq_rel);
}

static inline uint32_t dg_add_relaxed(struct dg_atomic *a, uint32_t v)
{
    return atomic_fetch_add_explicit(&a->value, v, memory_order_relaxed);
}

/* Subtracts and returns what is left. */
static inline uint32_t dg_sub_acq_rel(struct dg_atomic *a, uint32_t v)
{
    return atomic_fetch_sub_explicit(&a->value, v, memory_order_acq_rel) - v;
}

static inline uint32_t dg_swap_acq_rel(struct dg_atomic *a, uint32_t v)
{
    return atomic_exchange_explicit(&a->value, v, memory_order_acq_rel);
}

/* from -> to; false, and nothing changed, when the value was another. */
static inline bool dg_change_acq_rel(struct dg_atomic *a, uint32_t from, uint32_t to)
{
    return atomic_compare_exchange_strong_explicit(&a->value, &from, to, memory_order_acq_rel,
                                                   memory_order_acquire);
}

static inline bool dg_change_relaxed(struct dg_atomic *a, uint32_t from, uint32_t to)
{
    return atomic_compare_exchange_strong_explicit(&a->value, &from, to, memory_order_relaxed,
                                                   memory_order_relaxed);
}

/* Says to the CPU that this thread is waiting for another's store. */
static inline void dg_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

static inline uint64_t dg_now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* How long this thread has been on a CPU, in ns. */
static inline uint64_t dg_thread_cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* How often this thread lost its CPU without asking: involuntary context switches. */
static inline uint64_t dg_thread_preemptions(void)
{
    struct rusage usage;

    return getrusage(RUSAGE_THREAD, &usage) == 0 ? (uint64_t)usage.ru_nivcsw : 0;
}

/* A bell: one thread waits for it, any may ring it. A ring before the wait is kept; rings do not
 * add up. Everything before the ring is visible after the wait. */
struct dg_bell {
    /* BELL_QUIET, BELL_RUNG, or BELL_PARKED: the waiter is in, or about to enter,
     * pthread_cond_wait. Order: acq_rel swap by the ringer, acquire loads by the waiter. Partner:
     * each other. If weakened: a woken worker reads the job of the step before. Test:
     * tests/unit/runtime/check_team.c. */
    struct dg_atomic state;
    pthread_mutex_t mutex;
    pthread_cond_t rung;
};

enum { BELL_QUIET, BELL_RUNG, BELL_PARKED };

static inline bool dg_bell_init(struct dg_bell *b)
{
    dg_store_relaxed(&b->state, BELL_QUIET); /* nobody else knows the bell yet */
    if (pthread_mutex_init(&b->mutex, NULL) != 0)
        return false;
    if (pthread_cond_init(&b->rung, NULL) == 0)
        return true;
    pthread_mutex_destroy(&b->mutex);
    return false;
}

static inline void dg_bell_destroy(struct dg_bell *b)
{
    pthread_cond_destroy(&b->rung);
    pthread_mutex_destroy(&b->mutex);
}

static inline void dg_bell_ring(struct dg_bell *b)
{
    if (dg_swap_acq_rel(&b->state, BELL_RUNG) != BELL_PARKED)
        return;
    pthread_mutex_lock(&b->mutex); /* the waiter holds it until it is inside the wait */
    pthread_cond_signal(&b->rung);
    pthread_mutex_unlock(&b->mutex);
}

/* Waits: spins for at most spin_ns, then parks. */
static inline void dg_bell_wait(struct dg_bell *b, uint64_t spin_ns)
{
    const uint64_t start = spin_ns ? dg_now_ns() : 0;

    while (spin_ns && dg_load_acquire(&b->state) != BELL_RUNG) {
        for (int i = 0; i < 16; i++)
            dg_pause();
        if (dg_now_ns() - start > spin_ns)
            break;
    }
    if (dg_load_acquire(&b->state) != BELL_RUNG) {
        pthread_mutex_lock(&b->mutex);
        if (dg_change_acq_rel(&b->state, BELL_QUIET, BELL_PARKED))
            while (dg_load_acquire(&b->state) != BELL_RUNG)
                pthread_cond_wait(&b->rung, &b->mutex);
        pthread_mutex_unlock(&b->mutex);
    }
    /* Relaxed: the next ring is only awaited by this thread, and overwrites this. */
    dg_store_relaxed(&b->state, BELL_QUIET);
}

struct dg_thread {
    pthread_t id;
};

static inline bool dg_thread_start(struct dg_thread *t, void *(*f)(void *), void *arg)
{
    return pthread_create(&t->id, NULL, f, arg) == 0;
}

static inline void dg_thread_join(struct dg_thread *t)
{
    pthread_join(t->id, NULL);
}

#endif
