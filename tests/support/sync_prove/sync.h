/* sync.h - every operation is a step that the explorer (tests/prove/explore.h) chooses and carries out,
 * by C11's rules, on fibres of one thread. `make SYNC=tests/support/sync_prove`.
 *
 * Memory that is asked for in a schedule comes from the explorer's heap, which knows who wrote what. */
#ifndef DG_TESTS_SYNC_PROVE_H
#define DG_TESTS_SYNC_PROVE_H

#include "../../prove/explore.h"

#include <stdlib.h>

#define DG_CACHE_LINE 64

struct dg_atomic {
    uint32_t value;
};

#define PROVE_PLACE(text)                                                                          \
    (__extension__({                                                                               \
        static const struct prove_place place = {text, __FILE__, __LINE__};                        \
        &place;                                                                                    \
    }))

/* Of what: the address, its order, two operands. */
#define PROVE(kind, order, at, a, b, text)                                                         \
    prove_step(PROVE_##kind, PROVE_##order, at, a, b, PROVE_PLACE(text))

#define dg_load_relaxed(x) PROVE(LOAD, RELAXED, x, 0, 0, "load_relaxed(" #x ")")
#define dg_load_acquire(x) PROVE(LOAD, ACQUIRE, x, 0, 0, "load_acquire(" #x ")")
#define dg_store_relaxed(x, v)                                                                     \
    ((void)PROVE(STORE, RELAXED, x, v, 0, "store_relaxed(" #x ", " #v ")"))
#define dg_store_release(x, v)                                                                     \
    ((void)PROVE(STORE, RELEASE, x, v, 0, "store_release(" #x ", " #v ")"))
#define dg_add_relaxed(x, v)  PROVE(ADD, RELAXED, x, v, 0, "add_relaxed(" #x ", " #v ")")
#define dg_add_acq_rel(x, v)  PROVE(ADD, ACQ_REL, x, v, 0, "add_acq_rel(" #x ", " #v ")")
#define dg_sub_acq_rel(x, v)  prove_sub_acq_rel(x, v, PROVE_PLACE("sub_acq_rel(" #x ", " #v ")"))
#define dg_swap_acq_rel(x, v) PROVE(SWAP, ACQ_REL, x, v, 0, "swap_acq_rel(" #x ", " #v ")")
#define dg_change_relaxed(x, from, to)                                                             \
    prove_change(PROVE_RELAXED, x, from, to, PROVE_PLACE("change_relaxed(" #x ", " #from ")"))
#define dg_change_acq_rel(x, from, to)                                                             \
    prove_change(PROVE_ACQ_REL, x, from, to, PROVE_PLACE("change_acq_rel(" #x ", " #from ")"))

static inline uint32_t prove_sub_acq_rel(struct dg_atomic *a, uint32_t v,
                                         const struct prove_place *p)
{
    return prove_step(PROVE_SUB, PROVE_ACQ_REL, a, v, 0, p) - v;
}

static inline bool prove_change(enum prove_order order, struct dg_atomic *a, uint32_t from,
                                uint32_t to, const struct prove_place *p)
{
    return prove_step(PROVE_CHANGE, order, a, from, to, p) == from;
}

#define dg_pause()  ((void)PROVE(PAUSE, RELAXED, NULL, 0, 0, "pause"))
#define dg_now_ns() prove_now_ns()

static inline uint64_t dg_thread_cpu_ns(void)
{
    return prove_now_ns();
}

static inline uint64_t dg_thread_preemptions(void)
{
    return 0;
}

struct dg_mutex {
    uint32_t index;
};

struct dg_condition {
    uint32_t waiters;
};

static inline bool dg_mutex_init(struct dg_mutex *m)
{
    return prove_mutex_init(&m->index);
}

static inline bool dg_condition_init(struct dg_condition *c)
{
    c->waiters = 0;
    return prove_may("a condition");
}

#define dg_mutex_destroy(m)     prove_mutex_destroy(&(m)->index)
#define dg_condition_destroy(c) prove_condition_destroy(c)
#define dg_mutex_lock(m)        ((void)PROVE(LOCK, ACQUIRE, m, 0, 0, "lock(" #m ")"))
#define dg_mutex_unlock(m)      ((void)PROVE(UNLOCK, RELEASE, m, 0, 0, "unlock(" #m ")"))
#define dg_condition_wait(c, m)                                                                    \
    prove_wait(c, m, PROVE_PLACE("wait(" #c ")"), PROVE_PLACE("wake(" #c ")"))
#define dg_condition_signal(c) ((void)PROVE(SIGNAL, RELAXED, c, 0, 0, "signal(" #c ")"))

struct dg_thread {
    uint32_t index;
};

static inline bool dg_thread_start(struct dg_thread *t, void *(*f)(void *), void *arg)
{
    return prove_start(&t->index, f, arg);
}

#define dg_this_thread()  prove_this_thread()
#define dg_thread_join(t) ((void)PROVE(JOIN, ACQUIRE, NULL, (t)->index, 0, "join(" #t ")"))

#define malloc(n)           prove_malloc(n)
#define calloc(n, size)     prove_calloc(n, size)
#define realloc(p, n)       prove_realloc(p, n)
#define aligned_alloc(a, n) prove_malloc(n)
#define free(p)             prove_free(p)

#endif
