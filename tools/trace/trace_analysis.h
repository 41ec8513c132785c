/* trace_analysis.h - what a recorded run did: where the time of each worker and each op went, the
 * critical path, the longest gaps and why.
 *
 * All figures are of the steps that evaluate tokens; a step that loads a model counts in `load`
 * alone, unless there are no others. Times are ns. */
#ifndef DG_TOOLS_TRACE_ANALYSIS_H
#define DG_TOOLS_TRACE_ANALYSIS_H

#include "trace_file.h"

/* The ops of all layers that have one name ("q" of h0.q, h1.q, ...), and one type. */
struct trace_group {
    char name[64], type[32];
    uint64_t tiles, total, least,
        most; /* time of tiles, but preemption; least: of those without any */
    uint64_t bytes, flops;
    uint64_t path, path_tiles; /* on the critical path */
};

/* tile time but preemption + queue + spinning + parked + preempted + outside = wall of the steps */
struct trace_worker {
    uint64_t tiles, busy, queue, spinning, parked, preempted, outside;
    uint64_t cpu, preemptions;
};

enum trace_reason {
    TRACE_WAITED,    /* for `tile`, which was not finished */
    TRACE_NOTHING,   /* no tile ready anywhere, and none of another worker ended the gap */
    TRACE_LATE,      /* a tile was ready: the worker was slow to find it, or to wake */
    TRACE_PREEMPTED, /* the thread was not on a CPU for half of it or more */
    TRACE_N_REASONS
};

/* From the end of a tile to the start of the next of the same worker and step. */
struct trace_gap {
    uint32_t step, worker;
    uint64_t start, end, queue, spinning, parked, preempted;
    enum trace_reason reason;
    uint32_t tile; /* TRACE_WAITED: of the tiles waited for, one after the other, the longest */
    uint64_t late; /* TRACE_WAITED: from the end of the last of them to the end of the gap */
};

enum { TRACE_GAPS = 10 };

struct trace_summary {
    size_t steps, tiles, load_steps;
    uint64_t rows;                /* tokens evaluated */
    uint64_t elapsed;             /* from the start of the first step to the end of the last */
    uint64_t wall;                /* in steps */
    uint64_t load, work;          /* in load steps; all tile time but preemption */
    uint64_t span, path_tiles;    /* of the critical paths, step by step */
    uint64_t scheduler;           /* queue time */
    struct trace_worker *workers; /* [awake] */
    struct trace_group *groups;   /* most time first */
    size_t n_groups;
    struct trace_gap gaps[TRACE_GAPS]; /* longest first */
    size_t n_gaps;
};

/* False: out of memory. */
bool trace_summarize(struct trace_summary *out, const struct trace_file *t);
void trace_summary_free(struct trace_summary *s);

/* Is this one of the steps that figures are of? */
bool trace_counts(const struct trace_file *t, const struct trace_step *s);

/* The longest chain of tiles, by measured time without preemption, over a step's edges. */
struct trace_path {
    uint64_t span;
    uint32_t *tiles; /* [n] in order */
    size_t n;
    uint64_t *slack; /* [n_tiles] how much longer each could take without a longer span */
};

bool trace_path_find(struct trace_path *out, const struct trace_plan *p,
                     const struct trace_run *runs);
void trace_path_free(struct trace_path *path);

/* The nodes in an order in which each comes after all that lead to it; [n_nodes]. False: out of memory. */
bool trace_order(const struct trace_plan *p, uint32_t *order);

/* The name of an op without its layer: "q" of "h3.q". */
const char *trace_short_name(const struct trace_op *op);

static inline uint64_t trace_time_of(const struct trace_run *run)
{
    return run->end - run->start - run->preempted;
}

#endif
