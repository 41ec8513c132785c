/* stalls.h - halts threads of this process at random instructions, each for some tens or hundreds
 * of microseconds, as a busy machine might once a day. A window of two instructions in a protocol
 * is then met within seconds.
 *
 * A thread of its own sends SIGUSR2 to the threads that there were at the start; the handler
 * sleeps. Under ThreadSanitizer, which delivers signals late, it does little. Under qemu-i386 ($DAGPT_EMULATED)
 * it halts nobody: a thread that handled a signal goes on there with the thread-local memory of the thread made
 * last (%gs is looked up again, in a table that all threads share), and its malloc() with that one's lists. */
#ifndef DG_TESTS_STALLS_H
#define DG_TESTS_STALLS_H

#include "support.h"
#include <sync.h>

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <unistd.h>

struct stalls {
    struct dg_thread thread;
    struct dg_atomic over; /* relaxed: the join orders what follows */
    uint64_t seed;
    long victims[32];
    uint32_t n;
};

static void stall(int signal_number)
{
    struct timeval t = {.tv_usec = 20 + (suseconds_t)(dg_now_ns() / 64 % 128)};
    const int keep = errno;

    (void)signal_number;
    select(0, NULL, NULL, NULL, &t);
    errno = keep;
}

#ifdef __i386__
static inline bool may_stall(void)
{
    return !getenv("DAGPT_EMULATED");
}
#else
static inline bool may_stall(void)
{
    return true;
}
#endif

static void *send_stalls(void *arg)
{
    struct stalls *s = arg;

    while (dg_load_relaxed(&s->over) == 0) {
        syscall(SYS_tgkill, getpid(), s->victims[random_below(&s->seed, s->n)], SIGUSR2);
        usleep(random_below(&s->seed, 40));
    }
    return NULL;
}

/* Starts it, for all threads of this process. Call it once the team is made. */
static void stalls_begin(struct stalls *s)
{
    const struct sigaction action = {.sa_handler = stall, .sa_flags = SA_RESTART};
    DIR *tasks = opendir("/proc/self/task");

    *s = (struct stalls){.seed = 1};
    dg_store_relaxed(&s->over, !may_stall());
    ck_assert_ptr_nonnull(tasks);
    for (struct dirent *d; (d = readdir(tasks)) && s->n < 32;)
        if (d->d_name[0] != '.')
            s->victims[s->n++] = atol(d->d_name);
    closedir(tasks);
    ck_assert_int_eq(sigaction(SIGUSR2, &action, NULL), 0);
    ck_assert(dg_thread_start(&s->thread, send_stalls, s));
}

/* Call it before the team is freed. */
static void stalls_end(struct stalls *s)
{
    dg_store_relaxed(&s->over, 1);
    dg_thread_join(&s->thread);
}

#endif
