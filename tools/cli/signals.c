/* Signals are the main thread's: a worker of a team that gets one passes it on. (While libedit's handler runs,
 * which sends the signal again, it is blocked in the main thread alone.) But for SIGPIPE, which is of the
 * thread that writes.
 *
 * The handler ends standard input by putting /dev/null in its place. A read that the signal has
 * interrupted is begun again, by the kernel (SA_RESTART) or by libedit, and a read that had not begun
 * yet comes after the signal: both find the end of the input, and neither could be told otherwise. */
#include "signals.h"
#include "../../src/base/status.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_MS = 100 };

static volatile sig_atomic_t catching, interrupted, terminated, ending_input, pipe_ends;
static volatile sig_atomic_t noted_at; /* ms(), of the last that was noted */
static const char *volatile temporary;
static const char *const *volatile temporary_files; /* NULL: it is one */
static volatile sig_atomic_t temporary_folder;      /* its descriptor */
static struct dg_team *volatile working;
static pthread_t main_thread;

/* cli_signals_mapped(); bytes NULL: nothing. */
static struct {
    const char *bytes, *path;
    size_t n;
    int fd;
} mapped;

static pthread_mutex_t last_word = PTHREAD_MUTEX_INITIALIZER; /* who takes it ends the program */

/* On a monotonic clock, some of the lower bits. */
static int ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int)(t.tv_sec % 1000000 * 1000 + t.tv_nsec / 1000000);
}

static void end_input(void)
{
    const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (nothing < 0)
        return;
    dup2(nothing, STDIN_FILENO);
    close(nothing);
}

static bool take_note(int number)
{
    volatile sig_atomic_t *noted = number == SIGINT ? &interrupted : &terminated;

    if (!catching || number == SIGHUP || *noted)
        return false;
    noted_at = ms();
    *noted = 1;
    return true;
}

void cli_signals_end(int code)
{
    for (const char *const *file = temporary_files; file && *file; file++)
        unlinkat(temporary_folder, *file, 0);
    if (temporary)
        (temporary_files ? rmdir : unlink)(temporary);
    _exit(code);
}

static void on_signal(int number)
{
    const int before = errno;

    if (!pthread_equal(pthread_self(), main_thread)) {
        pthread_kill(main_thread, number);
    } else if (take_note(number)) {
        if (working)
            dg_team_cancel(working);
        if (ending_input)
            end_input();
    } else {
        cli_signals_end(128 + number);
    }
    errno = before;
}

static void on_pipe(int number)
{
    if (!catching)
        cli_signals_end(128 + number);
}

/* Only a read of the mapping raises it, in a kernel or in memcpy(): no function of libc's is interrupted that what is
 * called here could be at odds with. Several workers may come: the first has the word. */
static void on_bus(int number, siginfo_t *info, void *context)
{
    const char *at = info->si_addr;
    struct dg_error err;
    struct stat st;

    (void)context;
    if (!mapped.bytes || at < mapped.bytes || at >= mapped.bytes + mapped.n) {
        signal(number, SIG_DFL); /* and the access is made again */
        return;
    }
    pthread_mutex_lock(&last_word);
    if (fstat(mapped.fd, &st) == 0 && (uint64_t)st.st_size < mapped.n)
        dg_fail(&err, DG_ERR_MODEL,
                "%s: size: got %jd bytes, expected %zu: it was cut off while it was in use",
                mapped.path, (intmax_t)st.st_size, mapped.n);
    else
        dg_fail(&err, DG_ERR_IO, "%s: cannot read the weights: %s", mapped.path, strerror(EIO));
    dprintf(STDERR_FILENO, "dagpt: %s\n", err.text);
    cli_signals_end((int)err.status);
}

void cli_signals_mapped(const void *bytes, size_t n, int fd, const char *path)
{
    const struct sigaction action = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO};

    mapped.bytes = bytes;
    mapped.n = n;
    mapped.fd = fd;
    mapped.path = path;
    sigaction(SIGBUS, &action, NULL);
}

static void on_limit(int number)
{
    (void)number;
}

/* Takes the place of the default alone. */
static bool handle(int number, void (*handler)(int))
{
    const struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    struct sigaction now;

    return sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_DFL &&
           sigaction(number, &action, NULL) == 0;
}

void cli_signals_begin(void)
{
    main_thread = pthread_self();
    handle(SIGINT, on_signal);
    handle(SIGTERM, on_signal);
    handle(SIGHUP, on_signal);
    pipe_ends = handle(SIGPIPE, on_pipe);
    handle(SIGXFSZ, on_limit); /* not SIG_IGN, which other programs that it starts would inherit */
}

void cli_signals_catch(void)
{
    catching = 1;
}

int cli_signal(void)
{
    return terminated ? SIGTERM : interrupted ? SIGINT : 0;
}

int cli_signal_patience(void)
{
    const int passed = ms() - noted_at;

    if (!cli_signal())
        return -1;
    return passed >= 0 && passed < PATIENCE_MS ? PATIENCE_MS - passed : 0;
}

bool cli_signal_of_pipe(void)
{
    return pipe_ends;
}

void cli_signals_cancel(struct dg_team *team)
{
    working = team;
    if (team && cli_signal())
        dg_team_cancel(team);
}

void cli_signals_go_on(void)
{
    interrupted = 0;
    if (!working)
        return;
    dg_team_uncancel(working);
    if (cli_signal()) /* SIGTERM, perhaps just before */
        dg_team_cancel(working);
}

void cli_signals_end_input(bool on)
{
    ending_input = on;
}

static void mask(int how)
{
    sigset_t all;

    sigemptyset(&all);
    sigaddset(&all, SIGINT);
    sigaddset(&all, SIGTERM);
    sigaddset(&all, SIGHUP);
    pthread_sigmask(how, &all, NULL);
}

void cli_signals_hold(void)
{
    mask(SIG_BLOCK);
}

void cli_signals_release(void)
{
    mask(SIG_UNBLOCK);
}

void cli_signals_remove(const char *path)
{
    temporary_files = NULL;
    temporary = path;
}

void cli_signals_remove_folder(const char *path, int fd, const char *const *files)
{
    temporary = path;
    temporary_folder = fd;
    temporary_files = files;
}
