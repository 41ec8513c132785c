/* sync.h - every atomic, mutex, wait, thread and clock of the program.
 *
 * The rest of src/ uses these and nothing of <stdatomic.h> or <pthread.h>, and includes them as
 * <sync.h>: `make SYNC=FOLDER` puts the sync.h of another folder in place of this one. The names
 * carry the memory order; there is no default, and no fence. Which operation pairs with which is said
 * where the field is declared. */
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

/* How often this thread lost its CPU without asking: involuntary context switches. 0 where the system counts
 * those of processes alone. */
#ifdef RUSAGE_THREAD
static inline uint64_t dg_thread_preemptions(void)
{
    struct rusage usage;

    return getrusage(RUSAGE_THREAD, &usage) == 0 ? (uint64_t)usage.ru_nivcsw : 0;
}
#else
static inline uint64_t dg_thread_preemptions(void)
{
    return 0;
}
#endif

/* A mutex, and a condition to wait for with it held. init: false, no memory or none of the system's
 * resources. A wait may end without a signal. */
struct dg_mutex {
    pthread_mutex_t mutex;
};

struct dg_condition {
    pthread_cond_t condition;
};

static inline bool dg_mutex_init(struct dg_mutex *m)
{
    return pthread_mutex_init(&m->mutex, NULL) == 0;
}

static inline void dg_mutex_destroy(struct dg_mutex *m)
{
    pthread_mutex_destroy(&m->mutex);
}

static inline void dg_mutex_lock(struct dg_mutex *m)
{
    pthread_mutex_lock(&m->mutex);
}

static inline void dg_mutex_unlock(struct dg_mutex *m)
{
    pthread_mutex_unlock(&m->mutex);
}

static inline bool dg_condition_init(struct dg_condition *c)
{
    return pthread_cond_init(&c->condition, NULL) == 0;
}

static inline void dg_condition_destroy(struct dg_condition *c)
{
    pthread_cond_destroy(&c->condition);
}

static inline void dg_condition_wait(struct dg_condition *c, struct dg_mutex *m)
{
    pthread_cond_wait(&c->condition, &m->mutex);
}

/* Wakes one of those that wait. */
static inline void dg_condition_signal(struct dg_condition *c)
{
    pthread_cond_signal(&c->condition);
}

struct dg_thread {
    pthread_t id;
};

static inline bool dg_thread_start(struct dg_thread *t, void *(*f)(void *), void *arg)
{
    return pthread_create(&t->id, NULL, f, arg) == 0;
}

/* What stands for this thread: the same at each call, and another one in each thread that lives. */
static inline const void *dg_this_thread(void)
{
    static _Thread_local const char here;

    return &here;
}

static inline void dg_thread_join(struct dg_thread *t)
{
    pthread_join(t->id, NULL);
}

#endif
