/* trace_analysis.h - what a recorded run did: where the time of each worker and each op went, the
 * critical path, the longest gaps and why. docs/formats/trace-format.md says what each word means; both the
 * report of 'dagpt trace' and its page have their figures from here.
 *
 * All figures are of the steps that evaluate tokens, unless there are no others than such that load a
 * model; `loading` and `all` are of all steps. Times are ns. */
#ifndef DG_TOOLS_TRACE_ANALYSIS_H
#define DG_TOOLS_TRACE_ANALYSIS_H

#include "trace_file.h"
#include "../../src/base/names.h"

/* The ops of all layers that have one name ("q" of h0.q, h1.q, ...), and one type. */
struct trace_group {
    char name[64], type[32];
    bool loads;
    uint64_t tiles, total, least,
        most; /* time of tiles, but preemption; least: of those without any */
    double bytes, flops;
    uint64_t path, path_tiles; /* on the critical path */
    uint64_t awaited,
        late;     /* of messages: gaps before them, and how much of those after they were sent */
    uint32_t was; /* its place in the order in which names were met */
};

/* tile time but preemption + queue + spinning + parked + preempted + outside = wall of the steps */
struct trace_worker {
    uint64_t tiles, busy, queue, spinning, parked, preempted, outside;
    uint64_t cpu, preemptions;
};

enum trace_reason {
    TRACE_WAITED,  /* for `tile`; DG_NO_TILE: for an input that the file does not name */
    TRACE_LATE,    /* the next tile was ready: the worker was slow to find it, or to wake */
    TRACE_NOTHING, /* no further tile in the step: until its end */
    TRACE_PREEMPTED, /* the thread was not on a CPU for half of it or more, or woken and not yet on one */
    TRACE_OUTSIDE, /* before the worker entered the step, after it left, or it took no part */
    TRACE_N_REASONS
};

/* A time within a step in which a worker ran no tile. */
struct trace_gap {
    uint32_t step, worker;
    uint64_t start, end, queue, spinning, parked, preempted; /* the states without preemption */
    uint64_t woken; /* of `preempted`: it was asleep, and woken */
    enum trace_reason reason;
    uint32_t next; /* the tile that the worker ran then, or DG_NO_TILE */
    uint32_t tile; /* of the tiles waited for, one after the other, the longest; or DG_NO_TILE */
    uint64_t late; /* from the end of the last of them to the end of the gap */
};

enum { TRACE_GAPS = 10 };

struct trace_summary {
    size_t steps, tiles, load_steps, load_tiles;
    uint64_t rows;             /* tokens evaluated */
    uint64_t elapsed;          /* from the start of the first step to the end of the last */
    uint64_t wall;             /* in steps */
    uint64_t load_wall;        /* in steps that only load */
    uint64_t loading, all;     /* time of tiles that load, and of all tiles; without preemption */
    uint64_t work;             /* all tile time but preemption */
    uint64_t span, path_tiles; /* of the critical paths, step by step */
    uint64_t scheduler;        /* queue time */
    uint64_t
        idle[TRACE_N_REASONS]; /* of all workers; of a gap that waited, `late` is in TRACE_LATE */
    struct trace_worker *workers; /* [awake] */
    struct trace_group *groups;   /* [n_names] most time first; n_groups of them ran */
    size_t n_groups;
    uint32_t n_names;
    uint32_t **group_of; /* [n_plans][n_ops] index in groups */
    size_t n_plans;
    struct dg_names names;             /* of groups, in the order in which they were met */
    uint32_t *is;                      /* [n_names] index in groups */
    struct trace_gap gaps[TRACE_GAPS]; /* the longest first; not of workers that took no part */
    size_t n_gaps;
};

/* False: out of memory. */
bool trace_summarize(struct trace_summary *out, const struct trace_file *t);
void trace_summary_free(struct trace_summary *s);

/* The group that ran with this name and type, or NULL. */
const struct trace_group *trace_group_find(const struct trace_summary *s, const char *name,
                                           const char *type);

/* What came faster than the probe read memory, by so much, came from a cache. Decoded tokens were up to
 * 1.04 times as fast as the probes around them (docs/performance.md). */
#define TRACE_FROM_CACHE 1.25
#define TRACE_MOST_FMA   1.1 /* FMAs have no cache to come from: beyond, the limits are wrong */

/* What a group reached of one worker's share of the machine's limits; 0 where they were not measured. Reads
 * may come from caches and be above 1; FMAs cannot. */
struct trace_of_limits {
    double read, fma;
};

struct trace_of_limits trace_of_limits(const struct trace_file *t, const struct trace_group *g);

/* The group, of those with a hundredth of the work or more, that is most beyond what the limits allow, or
 * NULL: the limits hold. */
const struct trace_group *trace_beyond_limits(const struct trace_summary *s,
                                              const struct trace_file *t);

/* ---- gaps ---- */

struct trace_gaps {
    const struct trace_file *t;
    struct trace_gap *list; /* [n] in order of time */
    size_t n;
    struct trace_ends *ends; /* tiles of `step` by their ends */
    size_t step;
};

bool trace_gaps_new(struct trace_gaps *g, const struct trace_file *t); /* false: out of memory */
void trace_gaps_free(struct trace_gaps *g);

/* Fills the list with the gaps of a worker in a step; how many there are. */
size_t trace_gaps_of(struct trace_gaps *g, size_t step, unsigned worker);

/* ---- steps and tiles ---- */

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

/* Which of its op's tiles a tile is: tiles are called so, "h3.q tile 0". */
uint32_t trace_place(const struct trace_plan *p, uint32_t tile);

static inline uint64_t trace_time_of(const struct trace_run *run)
{
    return run->end - run->start - run->preempted;
}

#endif
