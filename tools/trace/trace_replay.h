/* trace_replay.h - what if there were other numbers of workers: the measured tiles of a trace, run
 * again on a simulated team by the policy of src/runtime/policy.h.
 *
 * A tile keeps its distance from the machine's limits: where so many workers have less (or more) to
 * read or compute with each than those of the trace had, it takes longer (or shorter). What workers
 * lose to each other in caches is not predicted. The tiles stay as they were cut; homes are dealt out
 * again. Every worker has a CPU; beyond the machine's CPUs, each with the share that a worker has
 * when all are at work. */
#ifndef DG_TOOLS_TRACE_REPLAY_H
#define DG_TOOLS_TRACE_REPLAY_H

#include "../limits/limits.h"
#include "trace_file.h"

/* What a team takes beside its tiles, in ns. */
struct replay_costs {
    uint64_t handoff; /* from the end of a tile to the start of the next that its worker has */
    uint64_t find;    /* for a polling worker, from a tile's being ready to its start */
    uint64_t wake;    /* the same for a parked one */
    uint64_t enter;   /* for worker 1 and on, from the start of the step */
    uint64_t leave;   /* from the end of the last tile to the end of the step */
    uint64_t spin;    /* how long a worker polls before it parks */
};

/* As measured in the trace: medians; 0 where there was no such case. */
bool replay_costs(struct replay_costs *out, const struct trace_file *t);

/* One step on so many workers. barrier: all finish an op before any starts the next. */
bool replay_step(uint64_t *ns, const struct trace_plan *p, const struct trace_run *runs,
                 unsigned workers, bool barrier, const struct replay_costs *costs);

/* What a tile that took `ns` (preemption aside), with `was` for so many workers, would take with `is`;
 * `ns` where limits were not measured. Bytes that came faster than memory gives them do not count. */
double replay_time(double ns, double bytes, double flops, const struct limits *was,
                   const struct limits *is);

/* The sum over all steps that count. False: out of memory. */
bool replay(uint64_t *ns, const struct trace_file *t, unsigned workers, bool barrier,
            const struct replay_costs *costs);

#endif
