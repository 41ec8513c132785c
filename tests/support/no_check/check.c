/* A test is a child of the suite's process, so that one that crashes or hangs is only one that failed. The
 * parent waits, and progress.h, or an alarm where a time is given, ends a child that hangs: a lost wake, as a rule. */
#include "check.h"
#include "../progress.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *running; /* the test's name */
static volatile pid_t child;
static volatile sig_atomic_t too_long;

void ck_fail(const char *file, int line, const char *format, ...)
{
    char text[2000];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(stderr, "%s:%d: %s: %s\n", file, line, running, text);
    fflush(NULL);
    _exit(EXIT_FAILURE); /* not exit(): other threads may still run */
}

static void on_alarm(int sig)
{
    (void)sig;
    too_long = 1;
    kill(child, SIGKILL);
}

/* Its exit status, or what killed it, is told by the child or here. */
static bool succeeds(const TTest *test, unsigned seconds)
{
    int status = 0;

    fflush(NULL);
    too_long = 0;
    child = fork();
    if (child == 0) {
        watch_progress();
        test->run();
        exit(EXIT_SUCCESS);
    }
    alarm(child > 0 ? seconds : 0);
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    alarm(0);
    if (child < 0)
        fprintf(stderr, "%s: no process: %s\n", test->name, strerror(errno));
    else if (too_long)
        fprintf(stderr, "%s: not done after %u s\n", test->name, seconds);
    else if (WIFSIGNALED(status))
        fprintf(stderr, "%s: %s\n", test->name, strsignal(WTERMSIG(status)));
    return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int run_suite(const char *name, const TTest *const *tests)
{
    const char *only = getenv("CK_RUN_CASE"), *fork = getenv("CK_FORK");
    const char *timeout = getenv("CK_DEFAULT_TIMEOUT");
    const unsigned seconds = timeout ? (unsigned)strtoul(timeout, NULL, 10) : 0;
    const bool here = fork && strcmp(fork, "no") == 0;
    unsigned n = 0, failed = 0;

    signal(SIGALRM, on_alarm);
    for (; *tests; tests++) {
        if (only && strcmp(only, (*tests)->name) != 0)
            continue;
        n++;
        running = (*tests)->name;
        if (here)
            (*tests)->run();
        else
            failed += !succeeds(*tests, seconds);
    }
    printf("%s: %u passed, %u failed\n", name, n - failed, failed);
    return n > 0 && failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
