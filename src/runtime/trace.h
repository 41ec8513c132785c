/* trace.h - records what the workers of a team do: each tile, and each gap between two of them.
 *
 * A worker's record is a list of events, one for each tile that it ran, with the gap before it. What
 * is not measured is not stored: when a tile became ready, and by which other, follows from the
 * ends of all tiles and the plan's edges (dg_trace_arrivals()).
 *
 * A step is recorded whole or not at all: dg_trace_begin() sees before the step that there is
 * room for all of it, whoever runs its tiles, so that nothing is checked or allocated while tiles run. Plans are copied
 * when their first step is recorded; the originals may be freed.
 *
 * Times:   nanoseconds of dg_now_ns().
 * Memory:  a trace owns all that it points to. Each awake worker has places for max_events
 *          events, for it may run every tile; between steps a few words for each step and a copy of
 *          each plan.
 * Threads: dg_trace_begin() and dg_trace_finish() on worker 0, outside the job; the calls that take
 *          a lane on the lane's worker. Everything may be read between steps. */
#ifndef DG_RUNTIME_TRACE_H
#define DG_RUNTIME_TRACE_H

#include "../graph/plan.h"
#include <sync.h>

/* A tile and the gap before it. The gap begins at the end of the event before (of the first: when
 * the worker entered the step) and has up to three parts, in this order: at work on counts and
 * queues; from `spin` on polling; from `park` on asleep. */
struct dg_trace_event {
    uint32_t tile;     /* index in the plan; DG_NO_TILE: the wait was not for a tile */
    uint32_t gap_off;  /* ns of the gap, parts asleep aside, that the thread was not on a CPU */
    uint32_t tile_off; /* the same of the tile; both 0 where it cannot have been long */
    uint32_t wake_off; /* ns of the part asleep, from wakes to being on a CPU, that were as long */
    uint64_t spin, park; /* 0: did not */
    uint64_t start, end; /* of the tile; without one: both are the end of the gap */
};

/* A worker's part of a step: events first ... first + n - 1 of its lane. */
struct dg_trace_visit {
    uint64_t enter, leave;
    uint64_t cpu_ns;      /* on a CPU */
    uint64_t preemptions; /* involuntary context switches */
    size_t first, n;
};

struct dg_trace_step {
    uint64_t
        number; /* of the steps that the team has begun since recording did, recorded or not; from 0 */
    uint32_t plan; /* index in plans */
    uint32_t past; /* positions before it */
    uint64_t start, end;
};

struct dg_trace_op {
    char name[24], out[24]; /* of the op, and of the tensor that it writes */
    const char *type;
    bool loads;
    int layer;
    uint32_t rows, cols; /* of the output */
};

struct dg_trace_plan {
    uint32_t rows; /* positions that a step evaluates; may be 0 */
    bool loads;    /* all its ops do */
    uint32_t n_ops, n_tiles, n_joins, n_nodes;
    struct dg_trace_op *ops; /* [n_ops] */
    struct dg_tile *tiles;   /* [n_tiles] */
    struct dg_node *nodes;   /* [n_nodes] */
    uint32_t *next;
    struct dg_cost *cost, *more; /* [n_tiles] with past 0, and what each position adds */
};

struct dg_trace_lane {
    _Alignas(DG_CACHE_LINE) struct dg_trace_event *events; /* [max_events + 1] */
    size_t n;
    uint64_t last; /* where the gap at hand begins */
    struct dg_trace_visit visit;

    /* The last look at the thread's CPU time, and how long it has been asleep since. */
    uint64_t seen, seen_cpu, asleep;
};

struct dg_trace {
    struct dg_team *team;
    uint64_t number; /* of the traces that this team has had; from 1 */
    unsigned workers;
    size_t max_events;   /* of all workers together */
    uint64_t first, end; /* positions to record */
    uint64_t start;      /* when recording began */
    uint64_t begun;      /* steps */
    uint64_t dropped;    /* tiles of steps that there was no room for */

    void (*tell)(void *arg, const struct dg_traced_tile *tile); /* or NULL */
    void *tell_arg;
    uint64_t told; /* steps */

    struct dg_trace_lane *lanes; /* [workers] */
    struct dg_trace_plan **plans;
    uint32_t n_plans;
    struct dg_trace_step *steps;
    struct dg_trace_visit *visits; /* [n_steps][workers] */
    size_t n_steps;
    size_t max_steps;
    struct dg_arena *arena; /* events and plans */
};

/* Which copy of its plan a run has in a trace. */
struct dg_traced {
    uint64_t trace; /* number; 0: none yet */
    uint32_t plan;
};

/* A copy of a plan of steps of so many rows, in the arena; NULL: there is no room. */
struct dg_trace_plan *dg_trace_plan_copy(struct dg_arena *arena, const struct dg_plan *plan,
                                         uint32_t rows);

/* Opens the record of a step. False: outside the window, or no room, and nothing is recorded. */
bool dg_trace_begin(struct dg_trace *trace, const struct dg_plan *plan, struct dg_traced *traced,
                    const struct dg_step *step);

/* Closes it; of a step that was not whole nothing is kept. */
void dg_trace_finish(struct dg_trace *trace, bool whole);

/* Inside the step, by the lane's worker: enter; then for each tile perhaps spin and park, woken after each
 * sleep, which a wake at that time ended, then tile and done; nothing() after a wait that ended without a tile; leave. */
void dg_trace_enter(struct dg_trace_lane *lane);
void dg_trace_spin(struct dg_trace_lane *lane, uint64_t now);
void dg_trace_park(struct dg_trace_lane *lane);
void dg_trace_woken(struct dg_trace_lane *lane, uint64_t woken);
void dg_trace_tile(struct dg_trace_lane *lane, uint32_t tile);
void dg_trace_done(struct dg_trace_lane *lane);
void dg_trace_nothing(struct dg_trace_lane *lane);
void dg_trace_leave(struct dg_trace_lane *lane);

/* What recording a tile takes, in ns: the median of some thousands, measured now. */
uint64_t dg_trace_overhead(struct dg_trace *trace);

/* From the tiles' ends: ready[t], when the last input of tile t was written, and last[t], the tile
 * that wrote it. Of a tile that waits for nothing: `start` and DG_NO_TILE. Of equals the
 * higher tile is the last. ready and last have n_nodes places; those of joins are scratch. */
void dg_trace_arrivals(const struct dg_trace_plan *plan, uint64_t start, const uint64_t *end,
                       uint64_t *ready, uint32_t *last);

static inline struct dg_cost dg_trace_cost(const struct dg_trace_plan *plan, uint32_t tile,
                                           uint32_t past)
{
    const struct dg_cost cost = plan->cost[tile], more = plan->more[tile];

    return (struct dg_cost){cost.flops + past * more.flops, cost.bytes + past * more.bytes};
}

#endif
