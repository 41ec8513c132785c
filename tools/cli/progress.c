/* The bar of a step is drawn by the worker that runs it, between two tiles: a thread for it would take a
 * CPU from the others. */
#include "progress.h"
#include "seconds.h"

#include <stdio.h>
#include <unistd.h>

#define FIRST_SECONDS 0.3 /* what is done by then needs no bar */
#define NEXT_SECONDS  0.1

enum { WIDTH = 32 };

static struct {
    const char *what; /* NULL: nothing */
    double next;      /* cli_seconds() when to draw again */
    double done;      /* that was drawn last; below 0: nothing was */
} bar;

void cli_progress_begin(const char *what)
{
    if (!isatty(STDERR_FILENO))
        return;
    bar.what = what;
    bar.next = cli_seconds() + FIRST_SECONDS;
    bar.done = -1;
}

void cli_progress_at(double done)
{
    const double now = cli_seconds();
    const int full = (int)(done * WIDTH);

    if (!bar.what || now < bar.next || done <= bar.done)
        return;
    bar.next = now + NEXT_SECONDS;
    bar.done = done;
    fprintf(stderr, "\r%s [%.*s%*s] %3.0f %%", bar.what, full, "################################",
            WIDTH - full, "", 100 * done);
    fflush(stderr);
}

void cli_progress_end(void)
{
    if (bar.what && bar.done >= 0)
        fputs("\r\033[K", stderr); /* ECMA-48: erase to the end of the line */
    bar.what = NULL;
}

static void tell(void *arg, double done)
{
    (void)arg;
    cli_progress_at(done);
}

void cli_progress(struct dg_team *team, const char *what)
{
    if (what)
        cli_progress_begin(what);
    else
        cli_progress_end();
    dg_team_progress(team, bar.what ? tell : NULL, NULL);
}
