/* seconds.h - the clock of what is printed about times. */
#ifndef DG_TOOLS_SECONDS_H
#define DG_TOOLS_SECONDS_H

#include <time.h>

/* Seconds on a monotonic clock. */
static inline double cli_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#endif
