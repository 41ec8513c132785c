/* The bar is drawn by the worker that runs the steps, between two tiles: a thread for it would take a
 * CPU from the others. */
#include "progress.h"
#include "seconds.h"

#include <stdio.h>
#include <unistd.h>

#define FIRST_SECONDS 0.3 /* what is done by then needs no bar */
#define NEXT_SECONDS  0.1

enum { WIDTH = 32 };

static struct {
    const char *what;
    double next; /* cli_seconds() when to draw again */
    double done; /* that was drawn last; below 0: nothing was */
} bar;

static void tell(void *arg, double done)
{
    const double now = cli_seconds();
    const int full = (int)(done * WIDTH);

    (void)arg;
    if (now < bar.next || done <= bar.done)
        return;
    bar.next = now + NEXT_SECONDS;
    bar.done = done;
    fprintf(stderr, "\r%s [%.*s%*s] %3.0f %%", bar.what, full, "################################",
            WIDTH - full, "", 100 * done);
    fflush(stderr);
}

void cli_progress(struct dg_team *team, const char *what)
{
    if (!isatty(STDERR_FILENO))
        return;
    if (!what && bar.done >= 0)
        fputs("\r\033[K", stderr); /* ECMA-48: erase to the end of the line */
    bar.what = what;
    bar.next = cli_seconds() + FIRST_SECONDS;
    bar.done = -1;
    dg_team_progress(team, what ? tell : NULL, NULL);
}
