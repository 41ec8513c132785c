/* world.h - what the explorer's files share: threads, clocks, and the memory that schedules live in. */
#ifndef DG_TESTS_PROVE_WORLD_H
#define DG_TESTS_PROVE_WORLD_H

#include "explore.h"

enum {
    HEAP_BYTES = 256 << 10,
    STACK_BYTES = 32 << 10,
    WORLD_BYTES = HEAP_BYTES + PROVE_THREADS * STACK_BYTES,
    GRANULES = WORLD_BYTES / 4,
    MAX_STORES = 64,
    MAX_ATOMICS = 512,
    MAX_MUTEXES = 64,
};

/* c[t]: up to which of thread t's times its owner has seen all. */
struct clock {
    uint32_t c[PROVE_THREADS];
};

enum state { UNUSED, RUNNING, FINISHED };

struct thread {
    enum state state;
    void *sp; /* of the fibre, while it is not running */
    void *(*f)(void *);
    void *arg;
    struct clock seen;
    struct clock to_acquire; /* of what its relaxed loads read, for a fence */
    struct clock released;   /* at its last release fence */

    /* The step that it is about to take, and what the last one returned. */
    enum prove_kind kind;
    enum prove_order order;
    const void *at;
    uint32_t a, b;
    const struct prove_place *place;
    uint32_t result;

    bool signalled;
    bool slow;      /* in a tile that takes as long as it can */
    unsigned stale; /* loads in a row that returned an old value */
    int priority;
};

struct mutex {
    bool alive;
    int owner; /* -1: none */
    struct clock seen;
};

struct world {
    struct thread threads[PROVE_THREADS];
    unsigned n_threads;
    struct thread *now; /* whose fibre runs; NULL: none */
    struct mutex mutexes[MAX_MUTEXES];
    unsigned n_mutexes;
    struct clock seq_cst;
    unsigned may_fail, spurious; /* left */
    uint64_t ns;
    bool running; /* a schedule is */
};

extern struct world world;
extern char *world_base; /* the heap, then the stacks */

static inline bool knows(const struct clock *c, unsigned thread, uint32_t time)
{
    return c->c[thread] >= time;
}

static inline void join_clock(struct clock *to, const struct clock *from)
{
    for (int i = 0; i < PROVE_THREADS; i++)
        to->c[i] = to->c[i] > from->c[i] ? to->c[i] : from->c[i];
}

static inline unsigned index_of(const struct thread *t)
{
    return (unsigned)(t - world.threads);
}

static inline char *stack_of(unsigned thread)
{
    return world_base + HEAP_BYTES + thread * STACK_BYTES;
}

/* ---- heap.c ---- */

void heap_reset(void);
size_t heap_used(void);
uint64_t heap_leaked(void); /* bytes */

/* Who wrote an address last, before it was used as an atomic; clean: known to all. */
void heap_writer(const void *at, unsigned *thread, uint32_t *time);

/* ---- memory.c ---- */

void memory_reset(void);
void memory_step(struct thread *t);                 /* carries out its load, store, ... */
void memory_free(const char *from, const char *to); /* atomics there end */

/* ---- what is hashed: see explorer.c ---- */

struct canon {
    uint64_t bits[PROVE_THREADS][64]; /* times that matter */
    uint32_t before[PROVE_THREADS][64];
};

static inline void canon_time(struct canon *c, unsigned thread, uint32_t time)
{
    if (time / 64 < 64)
        c->bits[thread][time / 64] |= UINT64_C(1) << time % 64;
}

/* How many of the times that matter are at or before that. */
static inline uint32_t canon_rank(const struct canon *c, unsigned thread, uint32_t time)
{
    return c->before[thread][time / 64] +
           (uint32_t)__builtin_popcountll(c->bits[thread][time / 64] << (63 - time % 64));
}

static inline uint64_t mix(uint64_t h, uint64_t v)
{
    const __uint128_t m =
        (__uint128_t)(h ^ v ^ UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xd6e8feb86659fd93);

    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static inline uint64_t mix_clock(uint64_t h, const struct canon *c, const struct clock *clock)
{
    for (unsigned i = 0; i < world.n_threads; i += 2)
        h = mix(h, canon_rank(c, i, clock->c[i]) | (uint64_t)canon_rank(c, i + 1, clock->c[i + 1])
                                                       << 32);
    return h;
}

void heap_canon(struct canon *c);
uint64_t heap_hash(const struct canon *c);
void memory_canon(struct canon *c);
uint64_t memory_hash(const struct canon *c);

/* ---- explorer.c ---- */

void note(const char *format, ...)
    __attribute__((format(printf, 1, 2))); /* where a schedule is printed */

/* Where the two accesses of a race are, as places of the program; NULL: unknown. For the failure that is
 * told next. */
void places_of_failure(const void *here, const void *there);

#endif
