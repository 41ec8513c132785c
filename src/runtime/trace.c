/* What recording costs decides how it is done. A monotonic clock is some 25 ns; it is read twice for
 * each tile, and the end of one is the start of the gap before the next. The clock of a thread's
 * CPU time is a system call, 1 µs and more, longer than some tiles. It is only read after a tile or
 * a gap that took longer than LONG_NS: a thread that lost its CPU lost it for longer than that, as
 * a rule, and what it lost since the last look happened in the part that took so long. */
#include "trace.h"
#include "../base/arena.h"
#include "../base/checked.h"
#include "team.h"

#include <stdlib.h>
#include <string.h>

enum { LONG_NS = 100 * 1000, LEAST_OFF_NS = 10 * 1000 };

/* ---- making one ---- */

static bool make_lanes(struct dg_trace *t)
{
    t->lanes = dg_arena_array(t->arena, t->workers, sizeof *t->lanes);
    if (!t->lanes)
        return false;
    for (unsigned w = 0; w < t->workers; w++) {
        size_t n, bytes;

        if (!dg_add(t->max_events, 1, &n) || !dg_mul(n, sizeof *t->lanes->events, &bytes))
            return false;
        t->lanes[w].events = dg_arena_alloc(t->arena, bytes);
        if (!t->lanes[w].events)
            return false;
        memset(t->lanes[w].events, 1, bytes); /* no page faults later */
    }
    return true;
}

/* The team's next step is recorded. */
static enum dg_status join(struct dg_trace *t, struct dg_team *team, struct dg_error *err)
{
    enum dg_status st = dg_team_enter(team, err);

    if (st != DG_OK)
        return st;
    if (dg_team_trace(team)) {
        st = dg_fail(err, DG_ERR_USAGE, "trace: the team has one already");
    } else {
        dg_team_hold(team);
        t->team = team;
        t->number = dg_team_set_trace(team, t);
        t->start = dg_now_ns();
    }
    dg_team_leave(team);
    return st;
}

/* False: a step is under way that this thread itself has begun, so that the trace is still needed. */
static bool part(struct dg_trace *t)
{
    const enum dg_status st = t->team ? dg_team_enter(t->team, NULL) : DG_ERR_RESOURCE;

    if (st == DG_ERR_USAGE)
        return false;
    if (st == DG_OK) {
        dg_team_set_trace(t->team, NULL);
        dg_team_leave(t->team);
    }
    dg_team_free(t->team);
    return true;
}

enum dg_status dg_trace_new(struct dg_trace **out, struct dg_team *team, size_t max_events,
                            struct dg_error *err)
{
    struct dg_trace *t;
    enum dg_status st;

    if (!dg_is_place(out, err) || !dg_is_given(team, "team", err))
        return DG_ERR_USAGE;
    t = calloc(1, sizeof *t);
    if (!t)
        return dg_fail_memory(err, "a trace", sizeof *t);
    t->workers = dg_team_awake(team);
    t->max_events = max_events;
    t->end = UINT64_MAX;
    t->arena = dg_arena_new();
    if (!t->arena || !make_lanes(t)) {
        dg_trace_free(t);
        return dg_fail(err, DG_ERR_RESOURCE, "out of memory for %zu events of any of %u workers",
                       max_events, dg_team_awake(team));
    }
    st = join(t, team, err);
    if (st == DG_OK)
        *out = t;
    else
        dg_trace_free(t);
    return st;
}

void dg_trace_free(struct dg_trace *t)
{
    if (!t || !part(t))
        return;
    dg_arena_free(t->arena);
    free(t->plans);
    free(t->steps);
    free(t->visits);
    free(t);
}

void dg_trace_window(struct dg_trace *t, uint64_t first, uint64_t end)
{
    if (!t || dg_team_enter(t->team, NULL) != DG_OK)
        return;
    t->first = first;
    t->end = end;
    dg_team_leave(t->team);
}

void dg_trace_tell(struct dg_trace *t, void (*tell)(void *arg, const struct dg_traced_tile *tile),
                   void *arg)
{
    if (!t || dg_team_enter(t->team, NULL) != DG_OK)
        return;
    t->tell = tell;
    t->tell_arg = arg;
    dg_team_leave(t->team);
}

/* ---- between steps ---- */

static void copy_op(struct dg_trace_op *to, const struct dg_op *op)
{
    memcpy(to->name, op->name, sizeof to->name);
    memcpy(to->out, op->out->name, sizeof to->out);
    to->type = op->type->name;
    to->loads = op->type->loads;
    to->layer = op->layer;
    to->rows = op->out->rows;
    to->cols = op->out->cols;
}

static void *copy(struct dg_arena *arena, const void *from, size_t n, size_t size)
{
    void *to = dg_arena_array(arena, n, size);

    return to ? memcpy(to, from, n * size) : NULL;
}

struct dg_trace_plan *dg_trace_plan_copy(struct dg_arena *arena, const struct dg_plan *plan,
                                         uint32_t rows)
{
    struct dg_trace_plan *p = dg_arena_alloc(arena, sizeof *p);

    if (!p)
        return NULL;
    *p = (struct dg_trace_plan){.rows = rows,
                                .loads = true,
                                .n_ops = plan->graph->n_ops,
                                .n_tiles = plan->n_tiles,
                                .n_joins = plan->n_joins,
                                .n_nodes = plan->n_nodes};
    p->ops = dg_arena_array(arena, p->n_ops, sizeof *p->ops);
    p->tiles = copy(arena, plan->tiles, p->n_tiles, sizeof *p->tiles);
    p->nodes = copy(arena, plan->nodes, p->n_nodes, sizeof *p->nodes);
    p->next = copy(arena, plan->next, plan->n_edges, sizeof *p->next);
    p->cost = dg_arena_array(arena, p->n_tiles, sizeof *p->cost);
    p->more = dg_arena_array(arena, p->n_tiles, sizeof *p->more);
    if (!p->ops || !p->tiles || !p->nodes || !p->next || !p->cost || !p->more)
        return NULL;
    for (uint32_t i = 0; i < p->n_ops; i++) {
        copy_op(&p->ops[i], &plan->graph->ops[i]);
        p->loads = p->loads && p->ops[i].loads;
    }
    for (uint32_t t = 0; t < p->n_tiles; t++) {
        const struct dg_cost one = dg_tile_cost(plan, t, 1);

        p->cost[t] = dg_tile_cost(plan, t, 0);
        p->more[t].flops = one.flops - p->cost[t].flops;
        p->more[t].bytes = one.bytes - p->cost[t].bytes;
    }
    return p;
}

/* The trace has a copy of the plan, whose place is then in *traced. */
static bool have_plan(struct dg_trace *t, const struct dg_plan *plan, struct dg_traced *traced,
                      uint32_t rows)
{
    struct dg_trace_plan **plans;

    if (traced->trace == t->number)
        return true;
    plans = realloc(t->plans, (t->n_plans + (size_t)1) * sizeof(struct dg_trace_plan *));
    if (!plans)
        return false;
    t->plans = plans;
    plans[t->n_plans] = dg_trace_plan_copy(t->arena, plan, rows);
    if (!plans[t->n_plans])
        return false;
    *traced = (struct dg_traced){t->number, t->n_plans++};
    return true;
}

static bool have_room(struct dg_trace *t, const struct dg_plan *plan)
{
    size_t most = plan->n_tiles + t->workers * ((size_t)plan->graph->n_ops + 1); /* with waits */

    for (unsigned w = 0; w < t->workers; w++)
        most += t->lanes[w].n;
    if (most > t->max_events)
        return false;
    if (t->n_steps == t->max_steps) {
        const size_t max = t->max_steps ? 2 * t->max_steps : 64;
        struct dg_trace_step *steps = realloc(t->steps, max * sizeof *steps);
        struct dg_trace_visit *visits = realloc(t->visits, max * t->workers * sizeof *visits);

        t->steps = steps ? steps : t->steps;
        t->visits = visits ? visits : t->visits;
        if (!steps || !visits)
            return false;
        t->max_steps = max;
    }
    return true;
}

bool dg_trace_begin(struct dg_trace *t, const struct dg_plan *plan, struct dg_traced *traced,
                    const struct dg_step *step)
{
    const uint64_t number = t->begun++;
    const uint32_t past = dg_step_past(step);
    const uint64_t first = past, end = first + (step->rows ? step->rows : 1);

    if (end <= t->first || first >= t->end)
        return false;
    if (!have_room(t, plan) || !have_plan(t, plan, traced, step->rows)) {
        t->dropped += plan->n_tiles;
        return false;
    }
    t->steps[t->n_steps] =
        (struct dg_trace_step){.number = number, .plan = traced->plan, .past = past};
    t->steps[t->n_steps].start = dg_now_ns();
    return true;
}

static void tell_tile(const struct dg_trace *t, const struct dg_trace_step *step, unsigned worker,
                      const struct dg_trace_event *e)
{
    const struct dg_trace_plan *plan = t->plans[step->plan];
    const struct dg_tile *tile = &plan->tiles[e->tile];
    const struct dg_trace_op *op = &plan->ops[tile->op];
    const struct dg_cost cost = dg_trace_cost(plan, e->tile, step->past);
    const uint64_t idle = e->spin ? e->spin : e->park; /* since when */

    t->tell(t->tell_arg, &(struct dg_traced_tile){
                             .op = op->name,
                             .type = op->type,
                             .layer = op->layer,
                             .worker = worker,
                             .tile = e->tile,
                             .r0 = tile->out.r0,
                             .r1 = tile->out.r1,
                             .c0 = tile->out.c0,
                             .c1 = tile->out.c1,
                             .rows = plan->rows,
                             .past = step->past,
                             .step = t->told,
                             .start = e->start,
                             .end = e->end,
                             .idle = idle ? e->start - idle : 0,
                             .flops = cost.flops,
                             .bytes = cost.bytes,
                         });
}

static void forget(struct dg_trace *t)
{
    for (unsigned w = 0; w < t->workers; w++)
        t->lanes[w].n = t->lanes[w].visit.first;
}

static void tell_step(struct dg_trace *t)
{
    for (unsigned w = 0; w < t->workers; w++) {
        const struct dg_trace_lane *lane = &t->lanes[w];

        for (size_t i = lane->visit.first; i < lane->n; i++)
            if (lane->events[i].tile != DG_NO_TILE)
                tell_tile(t, &t->steps[t->n_steps], w, &lane->events[i]);
    }
    t->told++;
}

void dg_trace_finish(struct dg_trace *t, bool whole)
{
    if (whole && t->tell)
        tell_step(t);
    if (!whole || t->tell) {
        forget(t);
        return;
    }
    t->steps[t->n_steps].end = dg_now_ns();
    for (unsigned w = 0; w < t->workers; w++)
        t->visits[t->n_steps * t->workers + w] = t->lanes[w].visit;
    t->n_steps++;
}

/* ---- inside a step ---- */

/* How much of the last `most` ns, which end now, the thread was not on a CPU. */
static uint32_t off_cpu(struct dg_trace_lane *lane, uint64_t now, uint64_t most)
{
    const uint64_t cpu = dg_thread_cpu_ns();
    const uint64_t on = cpu - lane->seen_cpu + lane->asleep, wall = now - lane->seen;
    uint64_t off = wall > on ? wall - on : 0;

    lane->seen = now;
    lane->seen_cpu = cpu;
    lane->asleep = 0;
    if (off > most)
        off = most;
    if (off < LEAST_OFF_NS)
        return 0;
    return off < UINT32_MAX ? (uint32_t)off : UINT32_MAX;
}

/* An event without a wait; its room was made sure of before the step. */
static void next_event(struct dg_trace_lane *lane, uint64_t now)
{
    lane->last = now;
    lane->events[lane->n].spin = lane->events[lane->n].park = 0;
    lane->events[lane->n].wake_off = 0;
}

void dg_trace_enter(struct dg_trace_lane *lane)
{
    lane->visit = (struct dg_trace_visit){.first = lane->n};
    lane->visit.preemptions = dg_thread_preemptions();
    lane->visit.cpu_ns = lane->seen_cpu = dg_thread_cpu_ns();
    lane->visit.enter = lane->seen = dg_now_ns();
    lane->asleep = 0;
    next_event(lane, lane->visit.enter);
}

void dg_trace_spin(struct dg_trace_lane *lane, uint64_t now)
{
    lane->events[lane->n].spin = now;
}

void dg_trace_park(struct dg_trace_lane *lane)
{
    lane->events[lane->n].park = dg_now_ns();
}

/* Waking up takes a moment on a free CPU, too. */
void dg_trace_woken(struct dg_trace_lane *lane, uint64_t woken)
{
    const uint64_t took = dg_now_ns() - woken;
    uint32_t *off = &lane->events[lane->n].wake_off;

    if (took > LONG_NS)
        *off = took < UINT32_MAX - *off ? *off + (uint32_t)took : UINT32_MAX;
}

/* The gap ends: returns when. */
static uint64_t end_gap(struct dg_trace_lane *lane, struct dg_trace_event *e)
{
    const uint64_t now = dg_now_ns(), asleep = e->park ? now - e->park : 0,
                   gap = now - lane->last - asleep;

    lane->asleep += asleep;
    e->gap_off = 0;
    if (gap <= LONG_NS)
        return now;
    e->gap_off = off_cpu(lane, now, gap);
    return dg_now_ns();
}

void dg_trace_tile(struct dg_trace_lane *lane, uint32_t tile)
{
    struct dg_trace_event *e = &lane->events[lane->n];

    e->tile = tile;
    e->start = end_gap(lane, e);
}

void dg_trace_done(struct dg_trace_lane *lane)
{
    struct dg_trace_event *e = &lane->events[lane->n++];
    const uint64_t took = (e->end = dg_now_ns()) - e->start;

    e->tile_off = took > LONG_NS ? off_cpu(lane, e->end, took) : 0;
    next_event(lane, e->end);
}

void dg_trace_nothing(struct dg_trace_lane *lane)
{
    struct dg_trace_event *e = &lane->events[lane->n];

    if (!e->spin && !e->park)
        return;
    e->tile = DG_NO_TILE;
    e->tile_off = 0;
    e->start = e->end = end_gap(lane, e);
    lane->n++;
    next_event(lane, e->end);
}

void dg_trace_leave(struct dg_trace_lane *lane)
{
    struct dg_trace_visit *v = &lane->visit;

    v->leave = dg_now_ns();
    v->cpu_ns = dg_thread_cpu_ns() - v->cpu_ns;
    v->preemptions = dg_thread_preemptions() - v->preemptions;
    v->n = lane->n - v->first;
}

/* ---- afterwards ---- */

static int compare(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

uint64_t dg_trace_overhead(struct dg_trace *t)
{
    enum { TURNS = 31, TILES = 200 };
    struct dg_trace_lane lane = t->lanes[0]; /* writes the event after the last, again and again */
    uint64_t took[TURNS];

    for (int i = 0; i < TURNS; i++) {
        const uint64_t start = dg_now_ns();

        lane.last = start;
        for (int k = 0; k < TILES; k++) {
            dg_trace_tile(&lane, 0);
            dg_trace_done(&lane);
            lane.n--;
        }
        took[i] = (dg_now_ns() - start) / TILES;
    }
    qsort(took, TURNS, sizeof *took, compare);
    return took[TURNS / 2];
}

/* A node gets an input, written by `tile` at `end`. */
static void arrive(uint64_t end, uint32_t tile, uint64_t *ready, uint32_t *last)
{
    if (*last == DG_NO_TILE || end > *ready || (end == *ready && tile > *last)) {
        *ready = end;
        *last = tile;
    }
}

void dg_trace_arrivals(const struct dg_trace_plan *plan, uint64_t start, const uint64_t *end,
                       uint64_t *ready, uint32_t *last)
{
    for (uint32_t n = 0; n < plan->n_nodes; n++) {
        ready[n] = start;
        last[n] = DG_NO_TILE;
    }
    /* Tiles first: after them the joins, whose inputs are tiles alone, have their last. */
    for (uint32_t n = 0; n < plan->n_nodes; n++) {
        const struct dg_node *node = &plan->nodes[n];
        const bool tile = n < plan->n_tiles;

        for (uint32_t i = 0; i < node->n_next; i++) {
            const uint32_t to = plan->next[node->first + i];

            arrive(tile ? end[n] : ready[n], tile ? n : last[n], &ready[to], &last[to]);
        }
    }
}
