/* A simulation by events. An event is a worker that ends its tile or looks for one; the earliest is
 * next, the lower worker of equals. What a worker does at its event is the scheduler's own code,
 * src/runtime/policy.h. A worker that found nothing polls for `spin`, and then has no event until it is
 * woken. */
#include "trace_replay.h"
#include "trace_analysis.h"
#include "../../src/runtime/team.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- costs ---- */

struct samples {
    uint64_t *list;
    size_t n;
};

static int compare(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static uint64_t median(struct samples *s)
{
    if (s->n == 0)
        return 0;
    qsort(s->list, s->n, sizeof *s->list, compare);
    return s->list[s->n / 2];
}

/* handoff: slices that are tiles, one right after the other; find, wake: tiles after a wait for
 * something that was not there when it began. */
static void sample_visit(const struct trace_file *t, const struct trace_step *step,
                         const struct trace_visit *v, struct samples s[3])
{
    const struct trace_slice *gap = NULL; /* where the wait before the tile at hand began */
    bool parked = false, spun = false;

    for (size_t i = v->first; i < v->first + v->n; i++) {
        const struct trace_slice *slice = &t->slices[i];
        uint64_t ready;

        if (slice->kind != TRACE_TILE) {
            gap = gap ? gap : slice;
            parked = parked || slice->kind == TRACE_PARKED;
            spun = spun || slice->kind == TRACE_SPINNING;
            continue;
        }
        ready = step->runs[slice->tile].ready;
        if (!parked && !spun && i > v->first)
            s[0].list[s[0].n++] = gap ? slice->start - gap->start : 0;
        else if ((parked || spun) && gap && ready > gap->start)
            s[1 + parked].list[s[1 + parked].n++] = slice->start - ready;
        gap = NULL;
        parked = spun = false;
    }
}

static uint64_t last_end(const struct trace_plan *p, const struct trace_run *runs)
{
    uint64_t end = 0;

    for (uint32_t k = 0; k < p->n_tiles; k++)
        if (runs[k].end > end)
            end = runs[k].end;
    return end;
}

bool replay_costs(struct replay_costs *out, const struct trace_file *t)
{
    const size_t visits = t->n_steps * t->awake + 1;
    struct samples s[5] = {{0}};
    bool ok = true;

    *out = (struct replay_costs){.spin = DG_SPIN_NS};
    for (int i = 0; i < 5; i++) {
        s[i].list = malloc((i < 3 ? t->n_slices + 1 : visits) * sizeof *s[i].list);
        ok = ok && s[i].list;
    }
    for (size_t i = 0; i < t->n_steps && ok; i++) {
        const struct trace_step *step = &t->steps[i];

        if (!trace_counts(t, step))
            continue;
        for (unsigned w = 0; w < t->awake; w++) {
            const struct trace_visit *v = &step->visits[w];

            sample_visit(t, step, v, s);
            if (w > 0 && v->enter > step->start)
                s[3].list[s[3].n++] = v->enter - step->start;
        }
        s[4].list[s[4].n++] = step->end - last_end(trace_plan_of(t, step), step->runs);
    }
    if (ok) {
        out->handoff = median(&s[0]);
        out->find = median(&s[1]);
        out->wake = median(&s[2]);
        out->enter = median(&s[3]);
        out->leave = median(&s[4]);
    }
    for (int i = 0; i < 5; i++)
        free(s[i].list);
    return ok;
}

/* ---- a simulated team ---- */

#define NEVER UINT64_MAX

struct lane {
    uint64_t at;                /* its next event: the end of `tile`, or a look */
    uint64_t since;             /* without a tile: since when */
    uint32_t tile;              /* that it runs, or DG_NO_TILE */
    uint32_t head, tail, first; /* its queue: team.slots[first + head ... first + tail - 1] */
};

struct team {
    const struct trace_plan *p;
    const struct trace_run *runs;
    const struct replay_costs *costs;
    unsigned workers;
    struct lane *lanes; /* [workers + 1]: the last has only a queue, of the tiles that load */
    struct hand *hands; /* [workers] */
    uint32_t *waits;    /* [n_nodes] inputs not yet written */
    uint32_t *queues;   /* [n_nodes] as in policy.h */
    uint32_t *slots;    /* [n_tiles] of all queues */
    uint64_t now;
    uint32_t done;
    uint64_t end; /* of the last tile */
};

/* Those who poll see what was pushed; up to n that sleep are woken. */
static void wake(struct team *m, unsigned n)
{
    for (unsigned i = 0; i < m->workers; i++) {
        struct lane *l = &m->lanes[i];

        if (l->tile != DG_NO_TILE || l->at != NEVER)
            continue;
        if (m->now <= l->since + m->costs->spin) {
            l->at = m->now + m->costs->find;
        } else if (n > 0) {
            l->at = m->now + m->costs->wake;
            n--;
        }
    }
}

/* ---- what src/runtime/policy.h asks for ---- */

static inline unsigned workers_of(const struct team *m)
{
    return m->workers;
}

static inline const uint32_t *next_of(const struct team *m, uint32_t node, uint32_t *n)
{
    *n = m->p->first[node + 1] - m->p->first[node];
    return m->p->next + m->p->first[node];
}

static inline uint32_t queue_of(const struct team *m, uint32_t node)
{
    return m->queues[node];
}

static inline bool lower_count(struct team *m, uint32_t node, uint32_t n)
{
    m->waits[node] -= n;
    return m->waits[node] == 0;
}

static inline void pass(struct team *m, uint32_t node)
{
    (void)m;
    (void)node;
}

static inline void push(struct team *m, uint32_t queue, const uint32_t *list, uint32_t n)
{
    struct lane *l = &m->lanes[queue];

    memcpy(m->slots + l->first + l->tail, list, n * sizeof *list);
    l->tail += n;
}

static inline uint32_t peek(const struct team *m, uint32_t queue, uint32_t *at)
{
    const struct lane *l = &m->lanes[queue];

    *at = l->head;
    return l->head < l->tail ? m->slots[l->first + l->head] : DG_NO_TILE;
}

static inline bool take(struct team *m, uint32_t queue, uint32_t at)
{
    m->lanes[queue].head = at + 1;
    return true;
}

static inline uint32_t pop(struct team *m, uint32_t queue)
{
    uint32_t at;
    const uint32_t tile = peek(m, queue, &at);

    return tile != DG_NO_TILE && take(m, queue, at) ? tile : DG_NO_TILE;
}

#define RUN struct team
#include "../../src/runtime/policy.h"

/* ---- dataflow ---- */

/* The homes that the planner would deal out for so many workers, and so the queues. */
static void deal_queues(struct team *m)
{
    const struct trace_plan *p = m->p;

    for (uint32_t a = 0, b; a < p->n_tiles; a = b) {
        const struct dg_box first = p->tiles[a].box;
        bool several = false;

        for (b = a; b < p->n_tiles && p->tiles[b].op == p->tiles[a].op; b++)
            several = several || p->tiles[b].box.r0 != first.r0;
        for (uint32_t t = a; t < b; t++) {
            const uint32_t block = p->tiles[t].box.r0 / (first.r1 - first.r0);

            m->queues[t] = queue_for(trace_op_of(p, t)->loads,
                                     dg_home(t - a, b - a, block, several, m->workers), m->workers);
        }
    }
    for (uint32_t n = p->n_tiles; n < p->n_nodes; n++)
        m->queues[n] = NO_QUEUE;
}

static void start(struct team *m, unsigned worker, uint32_t tile, uint64_t now)
{
    m->lanes[worker].tile = tile;
    m->lanes[worker].at = now + trace_time_of(&m->runs[tile]);
}

/* The worker ends a tile, if it has one, and takes the next. */
static void advance(struct team *m, unsigned worker)
{
    struct lane *l = &m->lanes[worker];
    uint64_t then = l->at;
    uint32_t next = DG_NO_TILE;

    m->now = l->at;
    if (l->tile != DG_NO_TILE) {
        m->done++;
        m->end = m->now > m->end ? m->now : m->end;
        next = finish(m, worker, l->tile, &m->hands[worker]);
        l->since = m->now;
        then += m->costs->handoff;
    }
    if (next == DG_NO_TILE)
        next = find(m, worker);
    l->tile = DG_NO_TILE;
    l->at = NEVER;
    if (next != DG_NO_TILE)
        start(m, worker, next, then);
}

static void run_dataflow(struct team *m)
{
    const struct trace_plan *p = m->p;
    uint32_t at = 0;

    for (unsigned w = 0; w < m->workers; w++) {
        m->lanes[w] = (struct lane){.at = w ? m->costs->enter : 0, .tile = DG_NO_TILE};
        m->hands[w] = (struct hand){.kept = DG_NO_TILE};
    }
    for (uint32_t t = 0; t < p->n_tiles; t++)
        m->lanes[m->queues[t]].first++; /* for now: how many */
    for (unsigned w = 0; w <= m->workers; w++) {
        const uint32_t room = m->lanes[w].first;

        m->lanes[w].first = at;
        at += room;
    }
    memcpy(m->waits, p->waits, p->n_nodes * sizeof *m->waits);
    for (uint32_t t = 0; t < p->n_tiles; t++)
        if (p->waits[t] == 0)
            push(m, m->queues[t], &t, 1);
    while (m->done < p->n_tiles) {
        unsigned next = 0;

        for (unsigned w = 1; w < m->workers; w++)
            if (m->lanes[w].at < m->lanes[next].at)
                next = w;
        advance(m, next);
    }
}

/* ---- barrier ---- */

/* Each op: the workers draw its tiles in order, and go on when the last is done. */
static void run_barrier(struct team *m)
{
    const struct trace_plan *p = m->p;

    for (unsigned w = 0; w < m->workers; w++)
        m->lanes[w] = (struct lane){.at = w ? m->costs->enter : 0};
    for (uint32_t t = 0; t < p->n_tiles; t++) {
        unsigned next = 0;

        for (unsigned w = 1; w < m->workers; w++)
            if (m->lanes[w].at < m->lanes[next].at)
                next = w;
        m->lanes[next].since = m->lanes[next].at + trace_time_of(&m->runs[t]);
        m->lanes[next].at = m->lanes[next].since + m->costs->handoff;
        m->end = m->lanes[next].since > m->end ? m->lanes[next].since : m->end;
        if (t + 1 == p->n_tiles || p->tiles[t + 1].op == p->tiles[t].op)
            continue;
        for (unsigned w = 0; w < m->workers; w++) {
            struct lane *l = &m->lanes[w];
            const uint64_t idle = m->end - l->since;

            l->at = m->end + (idle == 0               ? m->costs->handoff
                              : idle > m->costs->spin ? m->costs->wake
                                                      : m->costs->find);
        }
    }
}

/* Of any one time, so that the sums of a step of n tiles fit: numbers of a file may be absurd. */
static uint64_t longest(uint32_t n)
{
    return ((uint64_t)1 << 60) / (n + (uint64_t)1);
}

static struct replay_costs within(const struct replay_costs *c, uint64_t most)
{
    return (struct replay_costs){
        .handoff = c->handoff < most ? c->handoff : most,
        .find = c->find < most ? c->find : most,
        .wake = c->wake < most ? c->wake : most,
        .enter = c->enter < most ? c->enter : most,
        .leave = c->leave < most ? c->leave : most,
        .spin = c->spin,
    };
}

bool replay_step(uint64_t *ns, const struct trace_plan *p, const struct trace_run *runs,
                 unsigned workers, bool barrier, const struct replay_costs *costs)
{
    const struct replay_costs fit = within(costs, longest(p->n_tiles));
    struct team m = {.p = p, .runs = runs, .costs = &fit, .workers = workers};
    bool ok = false;

    m.lanes = calloc(workers + 1, sizeof *m.lanes);
    m.hands = calloc(workers, sizeof *m.hands);
    m.waits = malloc(p->n_nodes * sizeof *m.waits);
    m.queues = malloc(p->n_nodes * sizeof *m.queues);
    m.slots = malloc(p->n_tiles * sizeof *m.slots);
    if (m.lanes && m.hands && m.waits && m.queues && m.slots) {
        deal_queues(&m);
        (barrier ? run_barrier : run_dataflow)(&m);
        *ns = m.end + fit.leave;
        ok = true;
    }
    free(m.lanes);
    free(m.hands);
    free(m.waits);
    free(m.queues);
    free(m.slots);
    return ok;
}

/* ---- other limits ---- */

/* ns that a worker needs at least, with its share of what all can do. */
static double least_time(double bytes, double flops, const struct limits *l)
{
    return fmax(bytes * l->workers / l->read_gbps, flops * l->workers / l->fma_gflops);
}

double replay_time(double ns, double bytes, double flops, const struct limits *was,
                   const struct limits *is)
{
    double least;

    if (was->workers == 0 || is->workers == 0)
        return ns;
    if (bytes * was->workers > ns * was->read_gbps * TRACE_FROM_CACHE)
        bytes = 0;
    least = least_time(bytes, flops, was);
    return least > 0 ? ns * least_time(bytes, flops, is) / least : ns;
}

/* The step's tiles as they would take with so many workers; NULL: out of memory. */
static struct trace_run *runs_among(const struct trace_file *t, const struct trace_step *s,
                                    unsigned workers)
{
    const struct limits was = trace_own_limits(t), is = trace_limits(t, workers);
    const uint32_t n = trace_plan_of(t, s)->n_tiles;
    const double most = (double)longest(n) / (double)t->n_steps;
    struct trace_run *runs = malloc(n * sizeof *runs);

    for (uint32_t i = 0; runs && i < n; i++) {
        struct trace_run *r = &runs[i];

        *r = s->runs[i];
        r->preempted = 0;
        r->start = 0;
        r->end =
            (uint64_t)fmin(most, round(replay_time((double)trace_time_of(&s->runs[i]),
                                                   (double)r->bytes, (double)r->flops, &was, &is)));
    }
    return runs;
}

bool replay(uint64_t *ns, const struct trace_file *t, unsigned workers, bool barrier,
            const struct replay_costs *costs)
{
    *ns = 0;
    for (size_t i = 0; i < t->n_steps; i++) {
        const struct trace_step *s = &t->steps[i];
        struct trace_run *runs;
        uint64_t one;
        bool ok;

        if (!trace_counts(t, s))
            continue;
        runs = runs_among(t, s, workers);
        ok = runs && replay_step(&one, trace_plan_of(t, s), runs, workers, barrier, costs);
        free(runs);
        if (!ok)
            return false;
        *ns += one;
    }
    return true;
}
