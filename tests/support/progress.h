/* progress.h - ends a test that hangs. That is judged by what it does, not by the time that it takes, which on a busy
 * machine may be any: no thread of the process was on a CPU for a minute, or all of them together were on
 * CPUs for ten.
 *
 * A timer's signal looks every ten seconds. It ends what sleeps without being restarted, as select() does, early.
 * With DAGPT_EMULATED in the environment there is none: qemu-i386 loses a part of the floating-point state where
 * a signal comes. */
#ifndef DG_TESTS_PROGRESS_H
#define DG_TESTS_PROGRESS_H

#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_S = 10, LEAST_NS = 1000000, LOOKS = 6 };
#define MOST_NS 600000000000ll

/* CPU time of the process: at the start, and at the last look. */
static struct {
    long long start, last;
    int still;
} progress;

static long long cpu_time_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void look_for_progress(int signal_number)
{
    static const char sleeps[] = "hangs: no thread was on a CPU for a minute\n",
                      spins[] = "hangs: ten minutes of CPU time\n";
    const long long now = cpu_time_ns();

    (void)signal_number;
    progress.still = now - progress.last < LEAST_NS ? progress.still + 1 : 0;
    progress.last = now;
    if (progress.still >= LOOKS && write(2, sleeps, sizeof sleeps - 1) > 0)
        abort();
    if (now - progress.start >= MOST_NS && write(2, spins, sizeof spins - 1) > 0)
        abort();
}

/* For the process that runs the test. */
static inline void watch_progress(void)
{
    const struct sigaction action = {.sa_handler = look_for_progress, .sa_flags = SA_RESTART};
    const struct itimerval every = {{LOOK_S, 0}, {LOOK_S, 0}};

    if (getenv("DAGPT_EMULATED"))
        return;
    progress.start = cpu_time_ns();
    progress.still = 0;
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
}

#endif
