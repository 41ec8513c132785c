/* The whole has the tiles of each rank in the order in which they stand in its piece (join_ops()), so that the n-th
 * tile of a rank is the n-th of those there that are its. */
#include "tracing.h"
#include "talk.h"
#include "world.h"
#include "../src/base/arena.h"
#include "../src/graph/whole.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PINGS = 16, SPARE = 2 }; /* SPARE: events that dg_trace_overhead() writes behind the last */

/* ---- rank 0: plans and steps as they come ---- */

struct whole {
    struct dg_trace_plan *plan;
    uint32_t **tile;   /* [ranks][n_tiles] where each of the piece's tiles is */
    uint32_t *n_tiles; /* [ranks] of the pieces */
};

struct told {
    size_t whole; /* index */
    uint64_t at;  /* when, before the others knew */
};

static struct {
    struct dg_arena *arena;
    struct whole *wholes;
    size_t n_wholes, room;
    struct told *steps; /* [n_steps] */
    size_t n_steps, step_room;
    bool failed; /* out of memory */
} seen;

/* Room for one more. */
static bool grow(void *list, size_t n, size_t *room, size_t size)
{
    void **at = list, *to;

    if (n < *room)
        return true;
    to = realloc(*at, (n ? 2 * n : 16) * size);
    if (!to)
        return false;
    *at = to;
    *room = n ? 2 * n : 16;
    return true;
}

static bool keep_whole(struct whole *to, const struct dg_whole *w, struct dg_piece *const *pieces,
                       uint32_t rows)
{
    bool ok;

    to->plan = dg_trace_plan_copy(seen.arena, w->plan, rows);
    to->tile = dg_arena_array(seen.arena, (size_t)world.ranks, sizeof *to->tile);
    to->n_tiles = dg_arena_array(seen.arena, (size_t)world.ranks, sizeof *to->n_tiles);
    ok = to->plan && to->tile && to->n_tiles;
    for (int r = 0; ok && r < world.ranks; r++) {
        to->tile[r] = dg_arena_array(seen.arena, pieces[r]->plan->n_tiles, sizeof *to->tile[r]);
        ok = to->tile[r];
    }
    for (uint32_t t = 0; ok && t < to->plan->n_tiles; t++) {
        const uint32_t rank = w->rank[to->plan->tiles[t].op];

        to->tile[rank][to->n_tiles[rank]++] = t;
    }
    return ok;
}

/* Tiles' homes count the workers of all ranks. */
static void move_homes(struct whole *w)
{
    uint32_t before = 0;

    for (int r = 0; r < world.ranks; before += (uint32_t)world.workers[r++])
        for (uint32_t i = 0; i < w->n_tiles[r]; i++)
            w->plan->tiles[w->tile[r][i]].home += before;
}

static bool join_pieces(struct whole *to, const struct dg_plan *plan,
                        const struct dg_placed *placed)
{
    struct dg_piece *pieces[DG_MAX_RANKS] = {NULL};
    struct dg_whole w;
    bool ok = true;

    for (int r = 0; ok && r < world.ranks; r++)
        ok = dg_piece_new(&pieces[r], plan, placed, (uint32_t)r, (uint32_t)world.workers[r],
                          NULL) == DG_OK;
    ok = ok && dg_whole_new(&w, pieces, (uint32_t)world.ranks, NULL) == DG_OK;
    if (ok) {
        ok = keep_whole(to, &w, pieces, plan->graph->inputs[0]->rows);
        if (ok)
            move_homes(to);
        dg_whole_free(&w);
    }
    for (int r = 0; r < world.ranks; r++)
        dg_piece_free(pieces[r]);
    return ok;
}

void tracing_look(const struct dg_plan *plan, const struct dg_placed *placed)
{
    seen.arena = seen.arena ? seen.arena : dg_arena_new();
    seen.failed = seen.failed || !seen.arena ||
                  !grow(&seen.wholes, seen.n_wholes, &seen.room, sizeof *seen.wholes) ||
                  !join_pieces(&seen.wholes[seen.n_wholes], plan, placed);
    seen.n_wholes += !seen.failed;
}

size_t tracing_plan(void)
{
    return seen.n_wholes - 1;
}

static void compare_clocks(size_t when);

void tracing_step(size_t plan)
{
    if (seen.n_steps == 0)
        compare_clocks(0);
    seen.failed =
        seen.failed || !grow(&seen.steps, seen.n_steps, &seen.step_room, sizeof *seen.steps);
    if (!seen.failed)
        seen.steps[seen.n_steps++] = (struct told){plan, dg_now_ns()};
}

/* ---- clocks ---- */

/* How far another's clock is before this one at that time, of this one; and by how much that may be wrong. */
struct reading {
    int64_t at, ahead, error;
};

static struct reading clocks[DG_MAX_RANKS][2];

/* Of some questions the one that was answered soonest tells most. */
static struct reading compare_clock(int rank)
{
    struct reading best = {0};

    for (int i = 0; i < PINGS; i++) {
        const int64_t asked = (int64_t)dg_now_ns();
        int64_t there, answered;
        size_t n;
        void *answer;

        talk_ask(rank, TALK_CLOCK);
        answer = world_receive(rank, WORLD_TRACE, &n);
        answered = (int64_t)dg_now_ns();
        memcpy(&there, answer, sizeof there);
        free(answer);
        if (i == 0 || answered - asked < 2 * best.error)
            best = (struct reading){(asked + answered) / 2, there - (asked + answered) / 2,
                                    (answered - asked + 1) / 2};
    }
    return best;
}

static void compare_clocks(size_t when)
{
    for (int r = 1; r < world.ranks; r++)
        clocks[r][when] = compare_clock(r);
}

static bool is_one_clock(int rank)
{
    for (int i = 0; i < 2; i++)
        if (llabs(clocks[rank][i].ahead) > clocks[rank][i].error)
            return false;
    return true;
}

/* Turns times of another rank into such of this one. What it did in a step was after the step was told, and before the
 * next was; clocks that are wrong by a little do not change that. */
struct converter {
    const struct reading *readings; /* NULL: they are of this clock */
    uint64_t least, most;
};

static struct converter converter_of(int rank, uint64_t step)
{
    const bool last = step + 1 == seen.n_steps;

    return (struct converter){rank > 0 && !is_one_clock(rank) ? clocks[rank] : NULL,
                              seen.steps[step].at, last ? UINT64_MAX : seen.steps[step + 1].at};
}

/* Between the two readings a straight line. */
static uint64_t here(const struct converter *c, uint64_t there)
{
    const struct reading *a = c->readings, *b = a + 1;
    double passed, part;
    uint64_t t;

    if (!a || there == 0) /* 0: it was not */
        return there;
    passed = (double)((int64_t)there - a->ahead - a->at);
    part = b->at > a->at ? passed / (double)(b->at - a->at) : 0;
    t = there - (uint64_t)(a->ahead + (int64_t)(part * (double)(b->ahead - a->ahead)));
    return t < c->least ? c->least : t > c->most ? c->most : t;
}

/* ---- the others: what they have recorded ---- */

static const struct dg_trace *recorded; /* NULL: nothing */

/* What is sent: of each step this, then a visit and its events of each worker; first one with n = -1. */
struct sent_step {
    uint64_t number, start, end, n; /* n: steps that follow, or events */
};

void tracing_is(const struct dg_trace *own)
{
    recorded = own;
}

static void send_step(const struct dg_trace *t, size_t step)
{
    const struct dg_trace_step *s = &t->steps[step];
    const struct dg_trace_visit *v = t->visits + step * t->workers;
    struct sent_step head = {s->number, s->start, s->end, 0};
    size_t bytes = sizeof head + t->workers * sizeof *v;
    char *to, *at;

    for (unsigned w = 0; w < t->workers; w++)
        bytes += v[w].n * sizeof *t->lanes[w].events;
    to = malloc(bytes);
    if (!to)
        abort(); /* this rank is missed, and the others leave */
    at = mempcpy(to, &head, sizeof head);
    at = mempcpy(at, v, t->workers * sizeof *v);
    for (unsigned w = 0; w < t->workers; w++)
        at = mempcpy(at, t->lanes[w].events + v[w].first, v[w].n * sizeof *t->lanes[w].events);
    world_send(0, WORLD_TRACE, to, bytes);
    free(to);
}

void tracing_answer(int32_t asked)
{
    const uint64_t now = dg_now_ns();
    struct sent_step all = {0};

    if (asked == TALK_CLOCK) {
        world_send(0, WORLD_TRACE, &now, sizeof now);
        return;
    }
    if (recorded)
        all = (struct sent_step){recorded->dropped, 0, 0, recorded->n_steps};
    world_send(0, WORLD_TRACE, &all, sizeof all);
    for (size_t i = 0; i < all.n; i++)
        send_step(recorded, i);
}

/* ---- rank 0: one trace ---- */

/* What rank r has recorded. */
struct part {
    struct sent_step **steps; /* [n] */
    size_t n;
};

static struct part receive_part(int rank, uint64_t *dropped)
{
    struct sent_step *head;
    struct part p = {0};
    size_t bytes;

    talk_ask(rank, TALK_TRACE);
    head = world_receive(rank, WORLD_TRACE, &bytes);
    p.n = (size_t)head->n;
    *dropped += head->number;
    free(head);
    p.steps = calloc(p.n + 1, sizeof(struct sent_step *));
    for (size_t i = 0; i < p.n; i++) {
        struct sent_step *s = world_receive(rank, WORLD_TRACE, &bytes);

        if (p.steps)
            p.steps[i] = s;
        else
            free(s);
    }
    return p;
}

/* The step of that number, or NULL: that rank has not recorded it. */
static const struct sent_step *find_step(const struct part *p, uint64_t number)
{
    for (size_t i = 0; p->steps && i < p->n; i++)
        if (p->steps[i]->number == number)
            return p->steps[i];
    return NULL;
}

/* Where a worker's events of a step come from. */
struct visited {
    struct dg_trace_visit visit;
    const struct dg_trace_event *events;
};

static struct visited visit_of(const struct dg_trace *own, size_t step, const struct sent_step *s,
                               int rank, unsigned worker)
{
    const unsigned workers = (unsigned)world.workers[rank];
    struct visited v;
    const struct dg_trace_visit *visits;
    const char *at;

    if (rank == 0) {
        v.visit = own->visits[step * own->workers + worker];
        v.events = own->lanes[worker].events + v.visit.first;
        return v;
    }
    visits = (const void *)(s + 1);
    v.visit = visits[worker];
    at = (const char *)(visits + workers);
    for (unsigned w = 0; w < worker; w++)
        at += visits[w].n * sizeof *v.events;
    v.events = (const void *)at;
    return v;
}

static bool add_visit(struct dg_trace *t, unsigned lane, const struct visited *from,
                      const struct converter *c, const uint32_t *tile)
{
    struct dg_trace_lane *to = &t->lanes[lane];
    struct dg_trace_visit *v = &t->visits[t->n_steps * t->workers + lane];
    struct dg_trace_event *events =
        realloc(to->events, (to->n + from->visit.n + SPARE) * sizeof *to->events);

    if (!events)
        return false;
    to->events = events;
    *v = from->visit;
    v->enter = here(c, v->enter);
    v->leave = here(c, v->leave);
    v->first = to->n;
    for (size_t i = 0; i < v->n; i++) {
        struct dg_trace_event *e = &to->events[to->n++];

        *e = from->events[i];
        if (e->tile != DG_NO_TILE)
            e->tile = tile[e->tile];
        e->spin = here(c, e->spin);
        e->park = here(c, e->park);
        e->start = here(c, e->start);
        e->end = here(c, e->end);
    }
    return true;
}

/* Adds a step of rank 0's that all others have recorded, too. */
static bool add_step(struct dg_trace *t, const struct dg_trace *own, size_t step,
                     const struct part *parts)
{
    struct dg_trace_step s = own->steps[step];
    const struct sent_step *there[DG_MAX_RANKS] = {NULL};
    unsigned lane = 0;

    s.plan = (uint32_t)seen.steps[s.number].whole;
    for (int r = 1; r < world.ranks; r++) {
        const struct converter c = converter_of(r, s.number);

        there[r] = find_step(&parts[r], s.number);
        if (!there[r])
            return true;
        s.start = here(&c, there[r]->start) < s.start ? here(&c, there[r]->start) : s.start;
        s.end = here(&c, there[r]->end) > s.end ? here(&c, there[r]->end) : s.end;
    }
    for (int r = 0; r < world.ranks; r++) {
        const struct converter c = converter_of(r, s.number);

        for (int w = 0; w < world.workers[r]; w++) {
            const struct visited v = visit_of(own, step, there[r], r, (unsigned)w);

            if (!add_visit(t, lane++, &v, &c, seen.wholes[s.plan].tile[r]))
                return false;
        }
    }
    t->steps[t->n_steps++] = s;
    return true;
}

/* An empty one for all ranks' workers, with the plans that there are. */
static struct dg_trace *open_joined(const struct dg_trace *own)
{
    static struct dg_trace t;

    t = (struct dg_trace){.start = own->start, .dropped = own->dropped};
    for (int r = 0; r < world.ranks; r++)
        t.workers += (unsigned)world.workers[r];
    t.lanes = aligned_alloc(_Alignof(struct dg_trace_lane), t.workers * sizeof *t.lanes);
    t.plans = calloc(seen.n_wholes + 1, sizeof(struct dg_trace_plan *));
    t.steps = calloc(own->n_steps + 1, sizeof *t.steps);
    t.visits = calloc(own->n_steps * t.workers + 1, sizeof *t.visits);
    if (!t.lanes || !t.plans || !t.steps || !t.visits)
        return NULL;
    memset(t.lanes, 0, t.workers * sizeof *t.lanes);
    t.lanes[0].events = calloc(SPARE, sizeof *t.lanes[0].events);
    for (t.n_plans = 0; t.n_plans < seen.n_wholes; t.n_plans++)
        t.plans[t.n_plans] = seen.wholes[t.n_plans].plan;
    return t.lanes[0].events ? &t : NULL;
}

/* In ns: of two times of different ranks, how wrong the difference may be. */
static uint64_t clock_error(int rank)
{
    const struct reading *c = clocks[rank];

    return (uint64_t)(c[0].error > c[1].error ? c[0].error : c[1].error);
}

struct dg_trace *tracing_join(const struct dg_trace *own, struct trace_facts *facts)
{
    static struct trace_rank ranks[DG_MAX_RANKS];
    static struct part parts[DG_MAX_RANKS];
    struct dg_trace *t = seen.failed ? NULL : open_joined(own);
    bool ok = t;

    if (own->n_steps > 0)
        compare_clocks(1);
    for (int r = 0; r < world.ranks && t; r++) {
        if (r > 0)
            parts[r] = receive_part(r, &t->dropped);
        ranks[r] = (struct trace_rank){world_host(r), (unsigned)world.workers[r], clock_error(r)};
        ok = ok && (r == 0 || parts[r].steps);
    }
    for (size_t i = 0; ok && i < own->n_steps; i++)
        ok = add_step(t, own, i, parts);
    facts->ranks = ranks;
    facts->n_ranks = (unsigned)world.ranks;
    facts->workers = t ? t->workers : 0;
    return ok ? t : NULL;
}
