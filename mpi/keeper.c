#include "keeper.h"
#include "../src/dagpt.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t rank = -1; /* its process; -1: none yet */

/* What is meant for the rank. */
static const int passed_on[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGCONT};

static void pass_on(int number)
{
    if (rank > 0)
        kill(rank, number);
}

/* How many ranks the starters of Open MPI and MPICH say that there are. */
static bool is_alone(void)
{
    const char *open_mpi = getenv("OMPI_COMM_WORLD_SIZE"), *mpich = getenv("PMI_SIZE");
    const char *size = open_mpi ? open_mpi : mpich;

    return !size || strcmp(size, "1") == 0;
}

static bool is_passed_on(int number)
{
    for (size_t i = 0; i < sizeof passed_on / sizeof *passed_on; i++)
        if (passed_on[i] == number)
            return true;
    return false;
}

/* Ends as the rank does. */
_Noreturn static void keep(double timeout)
{
    struct timespec rest = {(time_t)timeout, (long)(1e9 * (timeout - (double)(time_t)timeout))};
    int status = 0;

    while (waitpid(rank, &status, 0) < 0 && errno == EINTR)
        ;
    rank = -1;
    if (WIFEXITED(status))
        _exit(WEXITSTATUS(status));
    if (is_passed_on(WTERMSIG(status)))
        _exit(128 + WTERMSIG(status));
    for (size_t i = 0; i < sizeof passed_on / sizeof *passed_on; i++)
        signal(passed_on[i], SIG_DFL);
    while (nanosleep(&rest, &rest) != 0)
        ;
    _exit(DG_ERR_RESOURCE);
}

void keeper_begin(double timeout)
{
    struct sigaction before[sizeof passed_on / sizeof *passed_on], action = {.sa_handler = pass_on};
    const pid_t keeper = getpid();
    sigset_t all, old;
    pid_t child;

    if (is_alone())
        return;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &old);
    for (size_t i = 0; i < sizeof passed_on / sizeof *passed_on; i++)
        sigaction(passed_on[i], &action, &before[i]);
    child = fork();
    if (child > 0) {
        rank = child;
        prctl(PR_SET_NAME, "dagpt-mpi-keep");
        sigprocmask(SIG_SETMASK, &old, NULL);
        keep(timeout);
    }
    for (size_t i = 0; i < sizeof passed_on / sizeof *passed_on; i++)
        sigaction(passed_on[i], &before[i], NULL);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != keeper) /* which has ended meanwhile */
            _exit(DG_ERR_RESOURCE);
    }
    sigprocmask(SIG_SETMASK, &old, NULL);
}
