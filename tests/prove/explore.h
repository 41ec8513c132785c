/* explore.h - runs a program's threads as fibres of one thread, and chooses what comes next: which
 * thread takes a step, which of the stores that C11 allows a load returns, where a store comes in the
 * order of its atomic, whether a wait ends for nothing, and which allocation of a thread fails.
 *
 * A step is one operation of sync.h. Between two of them a thread's plain accesses run as one, and
 * each is checked for a race: the files under test are compiled with -fsanitize=thread, whose calls are
 * answered here (heap.c), by vector clocks. memory.c has the rules for atomics.
 *
 * The choices come from a seed, or are all tried in turn. The same seed gives the same schedule. */
#ifndef DG_TESTS_PROVE_EXPLORE_H
#define DG_TESTS_PROVE_EXPLORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PROVE_THREADS = 8 };

/* ---- what sync.h asks for ---- */

enum prove_kind {
    PROVE_LOAD,
    PROVE_STORE,
    PROVE_ADD,
    PROVE_SUB,
    PROVE_SWAP,
    PROVE_CHANGE,
    PROVE_FENCE,
    PROVE_LOCK,
    PROVE_UNLOCK,
    PROVE_WAIT, /* releases the mutex */
    PROVE_WAKE, /* takes it again, after a signal or for nothing */
    PROVE_SIGNAL,
    PROVE_JOIN,
    PROVE_PAUSE,
    PROVE_WORK, /* a tile that may take any time */
    PROVE_BEGIN,
};

/* Bits: acquire, release, and the single order of all that are sequentially consistent. */
enum prove_order { PROVE_RELAXED, PROVE_ACQUIRE, PROVE_RELEASE, PROVE_ACQ_REL, PROVE_SEQ_CST = 7 };

struct prove_place {
    const char *text, *file;
    int line;
};

/* What an atomic operation returns: the value before. */
uint32_t prove_step(enum prove_kind kind, enum prove_order order, const void *at, uint32_t a,
                    uint32_t b, const struct prove_place *place);

void prove_wait(void *condition, const void *mutex, const struct prove_place *wait,
                const struct prove_place *wake);
bool prove_start(uint32_t *index, void *(*f)(void *), void *arg);
const void *prove_this_thread(void);
bool prove_mutex_init(uint32_t *index);
void prove_mutex_destroy(const uint32_t *index);
void prove_condition_destroy(const void *condition);
uint64_t prove_now_ns(void);

void *prove_malloc(size_t n);
void *prove_calloc(size_t n, size_t size);
void *prove_realloc(void *p, size_t n);
void prove_free(void *p); /* takes NULL */

/* ---- what a scenario asks for ---- */

/* Inside a schedule. The first two end it as failed; `what` of the third is allowed to fail. */
void prove_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
#define prove_check(ok, ...)                                                                       \
    do {                                                                                           \
        if (!(ok))                                                                                 \
            prove_fail(__VA_ARGS__);                                                               \
    } while (0)
bool prove_may(const char *what);

/* One of 0 ... n - 1, each of which is tried. */
uint32_t prove_choose(uint32_t n);

/* Is that thread asleep, with no signal on its way? Threads are numbered as they start, the first 0. */
bool prove_parked(unsigned thread);
unsigned prove_self(void);
unsigned prove_threads(void);

struct prove_scenario {
    const char *name;
    void (*body)(const void *arg);  /* thread 0 */
    void (*quiet)(const void *arg); /* called when each thread sleeps or works; may be NULL */
    const void *arg;
    bool fails;        /* the schedules hold one that fails: the explorer has to find it */
    bool exhaust;      /* small enough for all its schedules */
    unsigned may_fail; /* how many of the things that may fail do so, at most */
    unsigned spurious; /* how many waits end for nothing, at most */
};

/* What happened to a scenario. */
struct prove_result {
    uint64_t schedules, steps, states;
    bool complete; /* all there are */
    bool failed;
    uint64_t seed;
    char text[256];
};

/* Schedules first ... first + n - 1 drawn from seeds, until one fails. */
void prove_random(const struct prove_scenario *s, uint64_t first, uint64_t n,
                  struct prove_result *r);

/* All schedules, or until max_states have been seen; the one that fails is printed, if so wanted. */
void prove_all(const struct prove_scenario *s, uint64_t max_states, bool print,
               struct prove_result *r);

/* Runs the schedule of that seed, and prints it. */
void prove_print(const struct prove_scenario *s, uint64_t seed, struct prove_result *r);

extern const struct prove_scenario prove_litmus[], prove_deque[],
    prove_runtime[]; /* end: no name */

#endif
