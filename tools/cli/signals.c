/* Signals are the main thread's: a worker of a team that gets one passes it on. (While libedit's handler runs,
 * which sends the signal again, it is blocked in the main thread alone.)
 *
 * The handler ends standard input by putting /dev/null in its place. A read that the signal has
 * interrupted is begun again, by the kernel (SA_RESTART) or by libedit, and a read that had not begun
 * yet comes after the signal: both find the end of the input, and neither could be told otherwise. */
#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static volatile sig_atomic_t catching, interrupted, terminated, ending_input;
static const char *volatile temporary;
static struct dg_team *volatile working;
static pthread_t main_thread;

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
    *noted = 1;
    return true;
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
        if (temporary)
            unlink(temporary);
        signal(number, SIG_DFL);
        raise(number); /* comes when this returns */
    }
    errno = before;
}

static void handle(int number)
{
    const struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct sigaction now;

    main_thread = pthread_self();
    if (sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
        sigaction(number, &action, NULL);
}

void cli_signals_catch(void)
{
    catching = 1;
    handle(SIGINT);
    handle(SIGTERM);
}

int cli_signal(void)
{
    return terminated ? SIGTERM : interrupted ? SIGINT : 0;
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

void cli_signals_remove(const char *path)
{
    temporary = path;
    if (!path)
        return;
    handle(SIGHUP);
    handle(SIGINT);
    handle(SIGTERM);
}
