/* tools/cli/leaving.h and signals.h: each case ends a child, whose exit code, signal and last words are
 * looked at. */
#include "../../support/support.h"
#include "../../../tools/cli/leaving.h"
#include "../../../tools/cli/signals.h"
#include "../../../tools/cli/writing.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char said[1024]; /* by the last child, on stderr */

/* What wait() tells of a child that does this, its standard output being the file named. */
static int status_of(void (*what)(void), const char *output)
{
    int ends[2], status;
    ssize_t got;
    size_t n = 0;
    pid_t pid;

    ck_assert(pipe(ends) == 0);
    fflush(stdout);
    pid = fork();
    ck_assert(pid >= 0);
    if (pid == 0) {
        dup2(open(output, O_WRONLY), STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        cli_signals_begin();
        cli_write_stdout();
        what();
        _exit(99);
    }
    close(ends[1]);
    while ((got = read(ends[0], said + n, sizeof said - 1 - n)) > 0)
        n += (size_t)got;
    said[n] = '\0';
    close(ends[0]);
    ck_assert(waitpid(pid, &status, 0) == pid);
    return status;
}

static void exits(void (*what)(void), const char *output, int code, const char *words)
{
    const int status = status_of(what, output);

    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == code, "status 0x%x, expected code %d",
                  (unsigned)status, code);
    ck_assert_str_eq(said, words);
}

/* ---- what is open ---- */

static void close_first(void)
{
    fprintf(stderr, "first, code %d\n", cli_exit_code());
}

static void close_second(void)
{
    cli_die(DG_ERR_IO, "second");
}

static void close_third(void)
{
    fprintf(stderr, "third, code %d\n", cli_exit_code());
}

static void open_three(void)
{
    cli_on_leaving(close_first);
    cli_on_leaving(close_second);
    cli_on_leaving(close_third);
}

static void leave(void)
{
    open_three();
    cli_leave(0);
}

static void die(void)
{
    open_three();
    cli_die(DG_ERR_TOKEN, "%s\n%s", "two", "lines");
}

START_TEST(the_last_is_closed_first)
{
    exits(leave, "/dev/null", DG_ERR_IO, "third, code 0\ndagpt: second\nfirst, code 5\n");
    exits(die, "/dev/null", DG_ERR_TOKEN,
          "dagpt: two?lines\nthird, code 4\ndagpt: second\nfirst, code 4\n");
}
END_TEST

/* ---- standard output ---- */

static void flush_all(void)
{
    fputs("some", stdout);
    cli_flush();
    cli_leave(0);
}

/* The write that fails is that of a full buffer; nothing is left in it for the flush to fail with, and what it
 * failed with is told all the same. */
static void flush_nothing(void)
{
    static char buffer[64], text[65];

    setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    memset(text, 'x', sizeof text);
    fwrite(text, 1, sizeof text, stdout);
    errno = 0; /* any call may change it */
    cli_flush();
}

START_TEST(full)
{
    exits(flush_all, "/dev/null", 0, "");
    if (access("/dev/full", W_OK) != 0)
        return;
    exits(flush_all, "/dev/full", DG_ERR_IO,
          "dagpt: cannot write to standard output: No space left on device\n");
#ifdef __GLIBC__ /* elsewhere it is lost: tools/cli/writing.c */
    exits(flush_nothing, "/dev/full", DG_ERR_IO,
          "dagpt: cannot write to standard output: No space left on device\n");
#else
    exits(flush_nothing, "/dev/full", DG_ERR_IO,
          "dagpt: cannot write to standard output: I/O error\n");
#endif
}
END_TEST

/* ---- signals ---- */

static void end_by_signal(void)
{
    cli_signals_catch();
    raise(SIGTERM);
    cli_leave(0);
}

static void end_by_both(void)
{
    cli_signals_catch();
    raise(SIGINT);
    raise(SIGTERM);
    cli_leave(0);
}

static void die_after_signal(void)
{
    cli_signals_catch();
    raise(SIGINT);
    cli_die(DG_ERR_IO, "an error");
}

static void go_on(void)
{
    cli_signals_catch();
    for (int i = 0; i < 2; i++) {
        raise(SIGINT);
        if (cli_signal() != SIGINT)
            _exit(98);
        cli_signals_go_on();
    }
    cli_leave(cli_signal());
}

static void second_signal(void)
{
    cli_signals_catch();
    raise(SIGINT);
    raise(SIGINT);
}

static void ignore(void)
{
    signal(SIGINT, SIG_IGN);
    cli_signals_begin();
    cli_signals_catch();
    raise(SIGINT);
    cli_leave(cli_signal());
}

START_TEST(signals)
{
    int status;

    exits(end_by_signal, "/dev/null", 128 + SIGTERM, "");
    exits(end_by_both, "/dev/null", 128 + SIGTERM, "");
    exits(die_after_signal, "/dev/null", DG_ERR_IO, "dagpt: an error\n");
    exits(go_on, "/dev/null", 0, "");
    exits(ignore, "/dev/null", 0, "");
    status = status_of(second_signal, "/dev/null");
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGINT);
}
END_TEST

/* A read that waits gets the end when the signal comes. */
static void wait_for_input(void)
{
    int ends[2];
    char byte;

    if (pipe(ends) != 0 || dup2(ends[0], STDIN_FILENO) < 0)
        _exit(98);
    cli_signals_catch();
    cli_signals_end_input(true);
    if (fork() == 0) {
        usleep(100000);
        kill(getppid(), SIGTERM);
        _exit(0);
    }
    if (read(STDIN_FILENO, &byte, 1) != 0)
        _exit(97);
    cli_leave(0);
}

START_TEST(end_of_input)
{
    if (sanitized()) /* ThreadSanitizer puts the handler off until read() returns */
        return;
    exits(wait_for_input, "/dev/null", 128 + SIGTERM, "");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {the_last_is_closed_first, full, signals, end_of_input, NULL};

    return run_suite("leaving", tests);
}
