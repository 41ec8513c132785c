/* One way out, from main() and from wherever an error is found: whoever opens something that has to be
 * closed registers how, so that this file knows none of them. It is not atexit(): a function that
 * closes may find an error, such as a full disk, and that changes the exit code. */
#include "leaving.h"
#include "signals.h"
#include "writing.h"
#include "../../src/base/status.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_OPEN = 8 };

static void (*open_things[MOST_OPEN])(void); /* [n_open], the last is closed first */
static unsigned n_open;
static int exit_code; /* the first that was not 0 */

void cli_on_leaving(void (*close)(void))
{
    assert(n_open < MOST_OPEN);
    open_things[n_open++] = close;
}

int cli_exit_code(void)
{
    if (exit_code == 0 && cli_signal() != 0)
        return 128 + cli_signal();
    return exit_code;
}

void cli_leave(int code)
{
    if (exit_code == 0)
        exit_code = code;
    while (n_open > 0)
        open_things[--n_open]();
    exit(cli_exit_code());
}

void (*cli_last_words)(const char *text);

void cli_die(enum dg_status status, const char *format, ...)
{
    char text[1200];
    va_list args;

    va_start(args, format);
    dg_line(text, sizeof text, format, args);
    va_end(args);
    fflush(stdout); /* what was already made is not lost */
    if (cli_last_words)
        cli_last_words(text);
    else
        fprintf(stderr, "dagpt: %s\n", text);
    cli_leave((int)status);
}

void cli_check(enum dg_status status, const struct dg_error *err)
{
    if (status == DG_ERR_CANCELLED) /* by a signal */
        cli_leave(0);
    if (status != DG_OK)
        cli_die(status, "%s", err->text);
}

void cli_cannot_write(const char *path, int error)
{
    const enum dg_status st = dg_status_of(error, DG_ERR_IO);

    if (cli_signal())
        cli_leave(0);
    if (error == EPIPE && cli_signal_of_pipe())
        cli_leave(128 + SIGPIPE);
    if (path)
        cli_die(st, "%s: cannot write: %s", path, strerror(error));
    cli_die(st, "cannot write to standard output: %s", strerror(error));
}

void cli_flush(void)
{
    if (!cli_stdout_flush())
        cli_cannot_write(NULL, errno);
}
