/* trace_file.h - a trace file (docs/formats/trace-format.md) read back: checked facts.
 *
 * What is here can be relied on: indices are in range; plans are acyclic, and an edge leads from a
 * lower tile to a higher one, also through a join; every tile of every step ran once; a worker's
 * slices of a step do not overlap, lie inside its visit, and are in order of time; a visit lies in
 * its step.
 * Times:  ns since the trace began.
 * Memory: a trace owns all that it points to. Read-only. */
#ifndef DG_TOOLS_TRACE_FILE_H
#define DG_TOOLS_TRACE_FILE_H

#include "../../src/graph/plan.h"
#include "../../src/base/status.h"
#include "../../src/dagpt.h"
#include "../limits/limits.h"

#include <string.h>

struct trace_op {
    char name[64], type[32];
    int layer;  /* -1: outside the blocks */
    bool loads; /* its tiles fill a weight from a file */
    uint32_t rows, cols;
};

struct trace_tile {
    uint32_t op, home;
    struct dg_box box;
};

struct trace_plan {
    bool loads; /* all its ops do */
    uint32_t rows;
    uint32_t n_ops, n_tiles, n_joins, n_nodes; /* nodes: tiles first, then joins; `end` is last */
    struct trace_op *ops;
    struct trace_tile *tiles;
    uint32_t *first; /* [n_nodes + 1]: node n leads to next[first[n]] ... next[first[n + 1] - 1] */
    uint32_t *next;
    uint32_t *waits; /* [n_nodes] edges that lead there */
};

/* One tile of a step, as it ran. */
struct trace_run {
    uint32_t worker;
    uint32_t last; /* the tile that wrote its last input, or DG_NO_TILE */
    uint64_t ready, start, end;
    uint64_t preempted; /* ns of it */
    uint64_t bytes, flops;
};

enum trace_kind { TRACE_TILE, TRACE_QUEUE, TRACE_SPINNING, TRACE_PARKED };

struct trace_slice {
    enum trace_kind kind;
    uint32_t step, worker;
    uint32_t tile; /* of TRACE_TILE */
    uint64_t start, end, preempted;
};

/* A worker's part of a step. */
struct trace_visit {
    uint64_t enter, leave, cpu, preemptions; /* enter == leave: took no part */
    size_t first, n;                         /* its slices */
};

struct trace_step {
    uint32_t plan, past, rows;
    uint64_t start, end;
    struct trace_run *runs;     /* [n_tiles] */
    struct trace_visit *visits; /* [awake] */
};

/* One of several processes. */
struct trace_process {
    char host[64];
    uint32_t workers;     /* those of the ranks before come first */
    uint64_t clock_error; /* how wrong its times may be beside rank 0's */
};

struct trace_file {
    char *command, *model;
    char program[64], isa[16], sched[16];
    char weights[16];      /* what the model's are held in; empty: not said */
    char cache[16];        /* what keys and values are; the same */
    struct dg_sizes sizes; /* the model's; 0: not said */
    unsigned cpus, workers, awake;
    struct limits limits[LIMITS_MOST]; /* what so many workers can do; more and more of them */
    unsigned n_limits;                 /* 0: not measured */
    uint64_t overhead_ns, dropped;
    struct trace_plan *plans;
    struct trace_step *steps;
    struct trace_slice *slices; /* by step, worker, time */
    size_t n_plans, n_steps, n_slices;
    struct trace_process *ranks; /* [n_ranks] */
    size_t n_ranks;              /* 0: it is one process */
    bool only_loads;             /* no step is of a plan that does more */
};

/* From a file or pipe, or from standard input ("-"), also packed by gzip. DG_ERR_MODEL: not a trace, or a
 * damaged one; the text says where. */
enum dg_status trace_file_read(struct trace_file **out, const char *path, struct dg_error *err);

/* The same from text; `name` is for errors. */
enum dg_status trace_file_parse(struct trace_file **out, const char *name, const char *text,
                                size_t n, struct dg_error *err);
void trace_file_free(struct trace_file *t); /* takes NULL */

/* What so many workers of that machine can do: between two numbers that were measured a straight
 * line. Beyond them what the next of them can do, whose number is in `workers`: a worker's share is
 * read_gbps / workers. Not measured: zeros. */
struct limits trace_limits(const struct trace_file *t, unsigned workers);

/* How many workers ran tiles at a time, at most. */
static inline unsigned trace_at_work(const struct trace_file *t)
{
    return strcmp(t->sched, "serial") ? t->awake : 1;
}

/* What those workers could do. */
static inline struct limits trace_own_limits(const struct trace_file *t)
{
    return trace_limits(t, trace_at_work(t));
}

/* Of a worker; 0 where there is one process. */
static inline unsigned trace_rank_of(const struct trace_file *t, unsigned worker)
{
    unsigned rank = 0;

    while (rank + 1 < t->n_ranks && worker >= t->ranks[rank].workers)
        worker -= t->ranks[rank++].workers;
    return rank;
}

static inline bool trace_took_part(const struct trace_visit *v)
{
    return v->n > 0 || v->leave > v->enter;
}

static inline const struct trace_plan *trace_plan_of(const struct trace_file *t,
                                                     const struct trace_step *s)
{
    return &t->plans[s->plan];
}

static inline const struct trace_op *trace_op_of(const struct trace_plan *p, uint32_t tile)
{
    return &p->ops[p->tiles[tile].op];
}

#endif
