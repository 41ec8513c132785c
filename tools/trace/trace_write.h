/* trace_write.h - a recorded trace as a file: docs/formats/trace-format.md has the format. */
#ifndef DG_TOOLS_TRACE_WRITE_H
#define DG_TOOLS_TRACE_WRITE_H

#include "../../src/runtime/trace.h"
#include "../limits/limits.h"

#include <stdio.h>

/* One of several processes that ran the steps together. */
struct trace_rank {
    const char *host;
    unsigned workers;        /* awake; those of the ranks before come first */
    uint64_t clock_error_ns; /* how wrong its times may be beside rank 0's */
};

/* What the recorder does not know. */
struct trace_facts {
    const char *command, *model;
    struct dg_sizes sizes;
    const char *weights; /* what they are held in: a name of enum dg_precision */
    const char *cache;   /* the same of keys and values */
    unsigned workers, cpus;
    const char *isa, *sched;
    struct limits limits[LIMITS_MOST]; /* what so many workers can do; more and more of them */
    unsigned n_limits;                 /* 0: not measured */
    const struct trace_rank *ranks;    /* [n_ranks] */
    unsigned n_ranks;                  /* 0: it is one process */
    bool all_edges; /* an arrow for every pair of tiles, not for the last alone */
};

/* Writes the trace, and tells after each step how much of it, 0 to 1, is written (NULL: nobody). False: out of memory.
 * Errors of the stream are left to ferror(to). */
bool trace_write(FILE *to, struct dg_trace *trace, const struct trace_facts *facts,
                 void (*tell)(double done));

/* Text as a JSON string. Bytes that are not UTF-8 become U+FFFD, and '<' its escape: in a page the
 * string cannot end the element that it stands in. */
void trace_write_string(FILE *to, const char *text);

#endif
