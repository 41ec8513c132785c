/* gather.h - a stream that gathers in memory what is printed to it. open_memstream() is not for that: where memory is
 * missing, glibc's loses bytes without an error, or closes well and leaves NULL.
 * Threads: none. */
#ifndef DG_BASE_GATHER_H
#define DG_BASE_GATHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct dg_gather {
    FILE *to;
    char *text; /* [n], of what has been flushed; the owner's to free once it is closed */
    size_t n, room;
};

/* False: out of memory. An open one stays where it is: its stream points to it. */
bool dg_gather_open(struct dg_gather *g);

/* Closes the stream. False: memory was missing for some of it, and text is NULL. */
bool dg_gather_close(struct dg_gather *g);

#endif
