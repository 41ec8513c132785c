/* The critical path is a longest path over the edges that the plan has, tiles weighed with what they took:
 * forward for the earliest end of each node, backward for what comes after it, which gives the slack.
 * A gap is explained afterwards, and only where it is one of the longest: the search for its reason goes
 * over all tiles of its step. */
#include "trace_analysis.h"

#include <stdlib.h>
#include <string.h>

bool trace_counts(const struct trace_file *t, const struct trace_step *s)
{
    if (!t->plans[s->plan].loads)
        return true;
    for (size_t i = 0; i < t->n_steps; i++)
        if (!t->plans[t->steps[i].plan].loads)
            return false;
    return true;
}

const char *trace_short_name(const struct trace_op *op)
{
    const char *dot = op->layer >= 0 ? strchr(op->name, '.') : NULL;

    return dot ? dot + 1 : op->name;
}

/* ---- critical path ---- */

bool trace_order(const struct trace_plan *p, uint32_t *order)
{
    uint32_t *highest = malloc(p->n_joins * sizeof *highest); /* input of each join */
    uint32_t n = 0;

    if (!highest)
        return false;
    for (uint32_t t = 0; t < p->n_tiles; t++)
        for (uint32_t i = p->first[t]; i < p->first[t + 1]; i++)
            if (p->next[i] >= p->n_tiles)
                highest[p->next[i] - p->n_tiles] = t;
    for (uint32_t t = 0; t < p->n_tiles; t++) {
        order[n++] = t;
        for (uint32_t i = p->first[t]; i < p->first[t + 1]; i++) {
            const uint32_t to = p->next[i];

            if (to >= p->n_tiles && highest[to - p->n_tiles] == t) {
                highest[to - p->n_tiles] = DG_NO_TILE; /* once, also for a doubled edge */
                order[n++] = to;
            }
        }
    }
    free(highest);
    return true;
}

/* What a node takes; a join nothing. */
static uint64_t takes(const struct trace_plan *p, const struct trace_run *runs, uint32_t node)
{
    return node < p->n_tiles ? trace_time_of(&runs[node]) : 0;
}

/* The earliest end of each node, and by which node before it (or DG_NO_TILE). */
static void run_forward(const struct trace_plan *p, const struct trace_run *runs,
                        const uint32_t *order, uint64_t *ends, uint32_t *via)
{
    for (uint32_t n = 0; n < p->n_nodes; n++) {
        ends[n] = 0;
        via[n] = DG_NO_TILE;
    }
    for (uint32_t k = 0; k < p->n_nodes; k++) {
        const uint32_t n = order[k];

        ends[n] += takes(p, runs, n); /* until here: the end of its last input */
        for (uint32_t i = p->first[n]; i < p->first[n + 1]; i++) {
            const uint32_t to = p->next[i];

            if (via[to] == DG_NO_TILE || ends[n] > ends[to]) {
                ends[to] = ends[n];
                via[to] = n;
            }
        }
    }
}

/* The time from the end of each node to the end of the step. */
static void run_backward(const struct trace_plan *p, const struct trace_run *runs,
                         const uint32_t *order, uint64_t *after)
{
    for (uint32_t k = p->n_nodes; k-- > 0;) {
        const uint32_t n = order[k];

        after[n] = 0;
        for (uint32_t i = p->first[n]; i < p->first[n + 1]; i++) {
            const uint64_t all = takes(p, runs, p->next[i]) + after[p->next[i]];

            if (all > after[n])
                after[n] = all;
        }
    }
}

static void take_chain(struct trace_path *path, const struct trace_plan *p, const uint32_t *via,
                       uint32_t last)
{
    for (uint32_t n = last; n != DG_NO_TILE; n = via[n])
        if (n < p->n_tiles)
            path->tiles[path->n++] = n;
    for (size_t i = 0; i < path->n / 2; i++) {
        const uint32_t other = path->tiles[i];

        path->tiles[i] = path->tiles[path->n - 1 - i];
        path->tiles[path->n - 1 - i] = other;
    }
}

bool trace_path_find(struct trace_path *out, const struct trace_plan *p,
                     const struct trace_run *runs)
{
    uint32_t *order = malloc(p->n_nodes * sizeof *order), *via = malloc(p->n_nodes * sizeof *via);
    uint64_t *ends = malloc(p->n_nodes * sizeof *ends), *after = malloc(p->n_nodes * sizeof *after);
    bool ok = false;

    *out = (struct trace_path){.tiles = malloc(p->n_tiles * sizeof *out->tiles),
                               .slack = malloc(p->n_tiles * sizeof *out->slack)};
    if (order && via && ends && after && out->tiles && out->slack && trace_order(p, order)) {
        uint32_t last = 0;

        run_forward(p, runs, order, ends, via);
        run_backward(p, runs, order, after);
        for (uint32_t t = 0; t < p->n_tiles; t++)
            if (ends[t] > ends[last])
                last = t;
        out->span = ends[last];
        for (uint32_t t = 0; t < p->n_tiles; t++)
            out->slack[t] = out->span - ends[t] - after[t];
        take_chain(out, p, via, last);
        ok = true;
    }
    free(order);
    free(via);
    free(ends);
    free(after);
    if (!ok)
        trace_path_free(out);
    return ok;
}

void trace_path_free(struct trace_path *path)
{
    free(path->tiles);
    free(path->slack);
    *path = (struct trace_path){0};
}

/* ---- groups and workers ---- */

/* The group of an op, a new one if need be; NULL: out of memory. */
static struct trace_group *group_of(struct trace_summary *s, const struct trace_op *op)
{
    const char *name = trace_short_name(op);
    struct trace_group *more;

    for (size_t i = 0; i < s->n_groups; i++)
        if (!strcmp(s->groups[i].name, name) && !strcmp(s->groups[i].type, op->type))
            return &s->groups[i];
    more = realloc(s->groups, (s->n_groups + 1) * sizeof *more);
    if (!more)
        return NULL;
    s->groups = more;
    more[s->n_groups] = (struct trace_group){.least = UINT64_MAX};
    memcpy(more[s->n_groups].name, name, strlen(name) + 1);
    memcpy(more[s->n_groups].type, op->type, sizeof op->type);
    return &s->groups[s->n_groups++];
}

static bool add_tiles(struct trace_summary *s, const struct trace_plan *p,
                      const struct trace_step *step)
{
    struct trace_group *g = NULL;

    for (uint32_t t = 0; t < p->n_tiles; t++) {
        const struct trace_run *run = &step->runs[t];
        const uint64_t took = trace_time_of(run);

        if (t == 0 || p->tiles[t].op != p->tiles[t - 1].op)
            g = group_of(s, trace_op_of(p, t));
        if (!g)
            return false;
        g->tiles++;
        g->total += took;
        if (took < g->least && !run->preempted)
            g->least = took;
        g->most = took > g->most ? took : g->most;
        g->bytes += run->bytes;
        g->flops += run->flops;
        s->work += took;
    }
    s->tiles += p->n_tiles;
    return true;
}

static bool add_path(struct trace_summary *s, const struct trace_plan *p,
                     const struct trace_step *step)
{
    struct trace_path path;

    if (!trace_path_find(&path, p, step->runs))
        return false;
    s->span += path.span;
    s->path_tiles += path.n;
    for (size_t i = 0; i < path.n; i++) {
        struct trace_group *g = group_of(s, trace_op_of(p, path.tiles[i])); /* there is one */

        g->path += trace_time_of(&step->runs[path.tiles[i]]);
        g->path_tiles++;
    }
    trace_path_free(&path);
    return true;
}

static void add_visit(struct trace_worker *w, const struct trace_file *t,
                      const struct trace_step *step, const struct trace_visit *v)
{
    uint64_t known = 0;

    for (size_t i = v->first; i < v->first + v->n; i++) {
        const struct trace_slice *s = &t->slices[i];
        const uint64_t took = s->end - s->start - s->preempted;

        known += s->end - s->start;
        w->preempted += s->preempted;
        switch (s->kind) {
        case TRACE_TILE:
            w->busy += took;
            w->tiles++;
            break;
        case TRACE_QUEUE:
            w->queue += took;
            break;
        case TRACE_SPINNING:
            w->spinning += took;
            break;
        case TRACE_PARKED:
            w->parked += took;
            break;
        }
    }
    w->outside += step->end - step->start > known ? step->end - step->start - known : 0;
    w->cpu += v->cpu;
    w->preemptions += v->preemptions;
}

/* ---- gaps ---- */

/* Keeps the longest ones, the longest first. */
static void keep_gap(struct trace_summary *s, const struct trace_gap *gap)
{
    size_t at = s->n_gaps;

    while (at > 0 && s->gaps[at - 1].end - s->gaps[at - 1].start < gap->end - gap->start)
        at--;
    if (at == TRACE_GAPS)
        return;
    if (s->n_gaps < TRACE_GAPS)
        s->n_gaps++;
    memmove(&s->gaps[at + 1], &s->gaps[at], (s->n_gaps - 1 - at) * sizeof *s->gaps);
    s->gaps[at] = *gap;
}

/* The gap that slice i of a visit begins; *next is the slice after it. */
static struct trace_gap gap_from(const struct trace_file *t, size_t i, size_t end, size_t *next)
{
    const struct trace_slice *s = &t->slices[i];
    struct trace_gap gap = {.step = s->step, .worker = s->worker, .start = s->start};

    for (; i < end && t->slices[i].kind != TRACE_TILE; i++) {
        const uint64_t took = t->slices[i].end - t->slices[i].start;

        if (t->slices[i].kind == TRACE_QUEUE)
            gap.queue += took;
        else if (t->slices[i].kind == TRACE_SPINNING)
            gap.spinning += took;
        else
            gap.parked += took;
        gap.preempted += t->slices[i].preempted;
        gap.end = t->slices[i].end;
    }
    *next = i;
    return gap;
}

/* The tile whose end the gap waited for, or DG_NO_TILE. In a dataflow step it is the last input
 * of the next tile; at a barrier, and at the end of a step, the last of the others to end. */
static uint32_t find_awaited(const struct trace_file *t, const struct trace_gap *gap,
                             uint32_t next_tile)
{
    const struct trace_step *step = &t->steps[gap->step];
    const struct trace_plan *p = trace_plan_of(t, step);
    uint32_t found = DG_NO_TILE;

    if (next_tile != DG_NO_TILE && strcmp(t->sched, "barrier") != 0) {
        found = step->runs[next_tile].last;
        return found != DG_NO_TILE && step->runs[found].end > gap->start ? found : DG_NO_TILE;
    }
    for (uint32_t k = 0; k < p->n_tiles; k++) {
        const struct trace_run *run = &step->runs[k];

        if (run->worker != gap->worker && run->end > gap->start && run->end <= gap->end &&
            (found == DG_NO_TILE || run->end > step->runs[found].end))
            found = k;
    }
    return found;
}

/* The awaited tile waited in its turn: of the chain of last inputs that leads to it, the tile that
 * ran for the most of the gap. */
static uint32_t find_culprit(const struct trace_run *runs, const struct trace_gap *gap,
                             uint32_t awaited)
{
    uint32_t found = awaited;
    uint64_t most = 0;

    for (uint32_t k = awaited; k != DG_NO_TILE && runs[k].end > gap->start; k = runs[k].last) {
        const uint64_t from = runs[k].start > gap->start ? runs[k].start : gap->start;

        if (runs[k].end - from > most) {
            most = runs[k].end - from;
            found = k;
        }
    }
    return found;
}

/* Was a tile ready and not yet started for half of the gap? */
static bool any_ready(const struct trace_file *t, const struct trace_gap *gap)
{
    const struct trace_step *step = &t->steps[gap->step];
    const struct trace_plan *p = trace_plan_of(t, step);

    for (uint32_t k = 0; k < p->n_tiles; k++) {
        const struct trace_run *run = &step->runs[k];
        const uint64_t from = run->ready > gap->start ? run->ready : gap->start,
                       to = run->start < gap->end ? run->start : gap->end;

        if (to > from && 2 * (to - from) >= gap->end - gap->start)
            return true;
    }
    return false;
}

static void explain(const struct trace_file *t, struct trace_gap *gap, uint32_t next_tile)
{
    const struct trace_run *runs = t->steps[gap->step].runs;
    const uint32_t awaited = find_awaited(t, gap, next_tile);

    if (2 * gap->preempted >= gap->end - gap->start) {
        gap->reason = TRACE_PREEMPTED;
    } else if (awaited != DG_NO_TILE) {
        gap->reason = TRACE_WAITED;
        gap->late = gap->end - runs[awaited].end;
        gap->tile = find_culprit(runs, gap, awaited);
    } else {
        gap->reason = any_ready(t, gap) ? TRACE_LATE : TRACE_NOTHING;
    }
}

static void find_gaps(struct trace_summary *s, const struct trace_file *t,
                      const struct trace_visit *v)
{
    const size_t end = v->first + v->n;

    for (size_t i = v->first, next; i < end; i = next) {
        next = i + 1;
        if (t->slices[i].kind != TRACE_TILE) {
            const struct trace_gap gap = gap_from(t, i, end, &next);

            keep_gap(s, &gap);
        }
    }
}

/* The tile that the worker of a gap ran after it, or DG_NO_TILE. */
static uint32_t tile_after(const struct trace_file *t, const struct trace_gap *gap)
{
    const struct trace_visit *v = &t->steps[gap->step].visits[gap->worker];

    for (size_t i = v->first; i < v->first + v->n; i++)
        if (t->slices[i].kind == TRACE_TILE && t->slices[i].start >= gap->end)
            return t->slices[i].tile;
    return DG_NO_TILE;
}

/* ---- all of it ---- */

static int by_total(const void *a, const void *b)
{
    const struct trace_group *x = a, *y = b;

    return (x->total < y->total) - (x->total > y->total);
}

static bool add_step(struct trace_summary *s, const struct trace_file *t,
                     const struct trace_step *step)
{
    const struct trace_plan *p = trace_plan_of(t, step);

    s->steps++;
    s->rows += step->rows;
    s->wall += step->end - step->start;
    if (!add_tiles(s, p, step) || !add_path(s, p, step))
        return false;
    for (unsigned w = 0; w < t->awake; w++) {
        add_visit(&s->workers[w], t, step, &step->visits[w]);
        find_gaps(s, t, &step->visits[w]);
    }
    return true;
}

bool trace_summarize(struct trace_summary *s, const struct trace_file *t)
{
    bool ok;

    *s = (struct trace_summary){.workers = calloc(t->awake, sizeof *s->workers)};
    ok = s->workers;
    for (size_t i = 0; i < t->n_steps && ok; i++) {
        const struct trace_step *step = &t->steps[i];

        if (t->plans[step->plan].loads) {
            s->load_steps++;
            s->load += step->end - step->start;
        }
        if (trace_counts(t, step))
            ok = add_step(s, t, step);
    }
    if (!ok) {
        trace_summary_free(s);
        return false;
    }
    if (t->n_steps > 0)
        s->elapsed = t->steps[t->n_steps - 1].end - t->steps[0].start;
    for (unsigned w = 0; w < t->awake; w++)
        s->scheduler += s->workers[w].queue;
    for (size_t i = 0; i < s->n_gaps; i++)
        explain(t, &s->gaps[i], tile_after(t, &s->gaps[i]));
    for (size_t i = 0; i < s->n_groups; i++)
        if (s->groups[i].least == UINT64_MAX)
            s->groups[i].least = 0;
    if (s->n_groups > 0)
        qsort(s->groups, s->n_groups, sizeof *s->groups, by_total);
    return true;
}

void trace_summary_free(struct trace_summary *s)
{
    free(s->workers);
    free(s->groups);
    *s = (struct trace_summary){0};
}
