/* Groups are found by a set of names, and each op knows its group: a plan may have as many names as ops. A gap is
 * explained for every pair of tiles of a worker (trace_gaps.c), the longest are kept. */
#include "trace_analysis.h"

#include <stdlib.h>
#include <string.h>

bool trace_counts(const struct trace_file *t, const struct trace_step *s)
{
    return t->only_loads || !t->plans[s->plan].loads;
}

/* The name of an op without its layer: "q" of "h3.q". */
static const char *short_name(const struct trace_op *op)
{
    const char *dot = op->layer >= 0 ? strchr(op->name, '.') : NULL;

    return dot ? dot + 1 : op->name;
}

uint32_t trace_place(const struct trace_plan *p, uint32_t tile)
{
    uint32_t low = 0, high = tile;

    while (low < high) { /* the first tile of its op: they are in the order of ops */
        const uint32_t middle = low + (high - low) / 2;

        if (p->tiles[middle].op < p->tiles[tile].op)
            low = middle + 1;
        else
            high = middle;
    }
    return tile - low;
}

/* ---- groups ---- */

/* A group's name in the set of names: name and type, each with its end. */
struct key {
    char bytes[96];
    size_t n;
};

static struct key key_of(const char *name, const char *type)
{
    struct key k;
    const size_t n = strlen(name) + 1, m = strlen(type) + 1;

    memcpy(k.bytes, name, n);
    memcpy(k.bytes + n, type, m);
    k.n = n + m;
    return k;
}

const struct trace_group *trace_group_find(const struct trace_summary *s, const char *name,
                                           const char *type)
{
    const struct key k = key_of(name, type);
    const size_t at = dg_names_find(&s->names, 0, k.bytes, k.n);

    return at != SIZE_MAX && s->is[at] < s->n_groups ? &s->groups[s->is[at]] : NULL;
}

/* The group of an op, a new one if need be; UINT32_MAX: out of memory. */
static uint32_t add_group(struct trace_summary *s, const struct trace_op *op)
{
    const char *name = short_name(op);
    const struct key k = key_of(name, op->type);
    const int added = dg_names_add(&s->names, 0, k.bytes, k.n);
    struct trace_group *g;

    if (added < 0)
        return UINT32_MAX;
    if (added == 0)
        return (uint32_t)dg_names_find(&s->names, 0, k.bytes, k.n);
    g = &s->groups[s->n_names];
    *g = (struct trace_group){.loads = op->loads, .least = UINT64_MAX, .was = s->n_names};
    memcpy(g->name, name, strlen(name) + 1);
    memcpy(g->type, op->type, sizeof g->type);
    return s->n_names++;
}

/* Every op of every plan gets its group. */
static bool name_groups(struct trace_summary *s, const struct trace_file *t)
{
    size_t ops = 1;

    for (size_t i = 0; i < t->n_plans; i++)
        ops += t->plans[i].n_ops;
    s->groups = calloc(ops, sizeof *s->groups);
    s->is = calloc(ops, sizeof *s->is);
    s->group_of = calloc(t->n_plans + 1, sizeof *s->group_of);
    if (!s->groups || !s->is || !s->group_of)
        return false;
    for (; s->n_plans < t->n_plans; s->n_plans++) {
        const struct trace_plan *p = &t->plans[s->n_plans];
        uint32_t *of = s->group_of[s->n_plans] = malloc((p->n_ops + 1) * sizeof *of);

        for (uint32_t k = 0; of && k < p->n_ops; k++)
            if ((of[k] = add_group(s, &p->ops[k])) == UINT32_MAX)
                return false;
        if (!of)
            return false;
    }
    return true;
}

/* Those that ran first, most time first. */
static int by_total(const void *a, const void *b)
{
    const struct trace_group *x = a, *y = b;

    if ((x->tiles > 0) != (y->tiles > 0))
        return x->tiles > 0 ? -1 : 1;
    if (x->total != y->total)
        return x->total > y->total ? -1 : 1;
    return (x->was > y->was) - (x->was < y->was);
}

static void sort_groups(struct trace_summary *s, const struct trace_file *t)
{
    if (s->n_names > 0)
        qsort(s->groups, s->n_names, sizeof *s->groups, by_total);
    for (uint32_t i = 0; i < s->n_names; i++) {
        s->is[s->groups[i].was] = i;
        s->n_groups += s->groups[i].tiles > 0;
        if (s->groups[i].least == UINT64_MAX)
            s->groups[i].least = 0;
    }
    for (size_t i = 0; i < t->n_plans; i++)
        for (uint32_t k = 0; k < t->plans[i].n_ops; k++)
            s->group_of[i][k] = s->is[s->group_of[i][k]];
}

static void add_tiles(struct trace_summary *s, const struct trace_plan *p,
                      const struct trace_step *step)
{
    for (uint32_t t = 0; t < p->n_tiles; t++) {
        const struct trace_run *run = &step->runs[t];
        const uint64_t took = trace_time_of(run);
        struct trace_group *g = &s->groups[s->group_of[step->plan][p->tiles[t].op]];

        g->tiles++;
        g->total += took;
        if (took < g->least && !run->preempted)
            g->least = took;
        g->most = took > g->most ? took : g->most;
        g->bytes += (double)run->bytes;
        g->flops += (double)run->flops;
        s->work += took;
    }
    s->tiles += p->n_tiles;
}

static void add_loading(struct trace_summary *s, const struct trace_plan *p,
                        const struct trace_step *step)
{
    for (uint32_t t = 0; t < p->n_tiles; t++) {
        const uint64_t took = trace_time_of(&step->runs[t]);

        s->all += took;
        if (trace_op_of(p, t)->loads) {
            s->loading += took;
            s->load_tiles++;
        }
    }
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
        struct trace_group *g = &s->groups[s->group_of[step->plan][p->tiles[path.tiles[i]].op]];

        g->path += trace_time_of(&step->runs[path.tiles[i]]);
        g->path_tiles++;
    }
    trace_path_free(&path);
    return true;
}

/* ---- limits ---- */

struct trace_of_limits trace_of_limits(const struct trace_file *t, const struct trace_group *g)
{
    const struct limits l = trace_own_limits(t);

    if (l.workers == 0 || g->total == 0)
        return (struct trace_of_limits){0, 0};
    return (struct trace_of_limits){
        g->bytes / (double)g->total * l.workers / l.read_gbps,
        g->flops / (double)g->total * l.workers / l.fma_gflops,
    };
}

const struct trace_group *trace_beyond_limits(const struct trace_summary *s,
                                              const struct trace_file *t)
{
    const struct trace_group *found = NULL;
    double most = 1;

    for (size_t i = 0; i < s->n_groups && 100 * s->groups[i].total >= s->work; i++) {
        const struct trace_of_limits of = trace_of_limits(t, &s->groups[i]);
        const double read = of.read / TRACE_FROM_CACHE, fma = of.fma / TRACE_MOST_FMA,
                     more = fma > 1 ? 1e9 * fma : read; /* what is certain before what is not */

        if (more > most) {
            most = more;
            found = &s->groups[i];
        }
    }
    return found;
}

/* ---- workers and gaps ---- */

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

/* A gap that ended with a message. */
static void add_message(struct trace_summary *s, const struct trace_file *t,
                        const struct trace_gap *gap)
{
    const struct trace_step *of = &t->steps[gap->step];
    const struct trace_plan *p = trace_plan_of(t, of);
    struct trace_group *g;

    if (gap->next == DG_NO_TILE || strcmp(trace_op_of(p, gap->next)->type, "receive") != 0)
        return;
    g = &s->groups[s->group_of[of->plan][p->tiles[gap->next].op]];
    g->awaited += gap->end - gap->start - gap->preempted;
    g->late += gap->reason == TRACE_PREEMPTED ? 0 : gap->late;
}

static void add_gaps(struct trace_summary *s, struct trace_gaps *gaps, size_t step, unsigned worker)
{
    const struct trace_step *of = &gaps->t->steps[step];
    const size_t n = trace_gaps_of(gaps, step, worker);

    for (size_t i = 0; i < n; i++) {
        const struct trace_gap *gap = &gaps->list[i];
        const uint64_t late = gap->reason == TRACE_WAITED ? gap->late : 0;

        s->idle[gap->reason] += gap->end - gap->start - late;
        s->idle[TRACE_LATE] += late;
        add_message(s, gaps->t, gap);
        if (trace_took_part(&of->visits[worker]))
            keep_gap(s, gap);
    }
}

/* ---- all of it ---- */

static bool add_step(struct trace_summary *s, struct trace_gaps *gaps, size_t step)
{
    const struct trace_file *t = gaps->t;
    const struct trace_step *of = &t->steps[step];
    const struct trace_plan *p = trace_plan_of(t, of);

    s->steps++;
    s->rows += of->rows;
    s->wall += of->end - of->start;
    add_tiles(s, p, of);
    if (!add_path(s, p, of))
        return false;
    for (unsigned w = 0; w < t->awake; w++) {
        add_visit(&s->workers[w], t, of, &of->visits[w]);
        add_gaps(s, gaps, step, w);
    }
    return true;
}

static bool add_steps(struct trace_summary *s, const struct trace_file *t)
{
    struct trace_gaps gaps;
    bool ok = trace_gaps_new(&gaps, t);

    for (size_t i = 0; i < t->n_steps && ok; i++) {
        const struct trace_step *step = &t->steps[i];

        add_loading(s, trace_plan_of(t, step), step);
        if (t->plans[step->plan].loads) {
            s->load_steps++;
            s->load_wall += step->end - step->start;
        }
        if (trace_counts(t, step))
            ok = add_step(s, &gaps, i);
    }
    trace_gaps_free(&gaps);
    return ok;
}

bool trace_summarize(struct trace_summary *s, const struct trace_file *t)
{
    *s = (struct trace_summary){.workers = calloc(t->awake, sizeof *s->workers)};
    if (!s->workers || !name_groups(s, t) || !add_steps(s, t)) {
        trace_summary_free(s);
        return false;
    }
    sort_groups(s, t);
    if (t->n_steps > 0)
        s->elapsed = t->steps[t->n_steps - 1].end - t->steps[0].start;
    for (unsigned w = 0; w < t->awake; w++)
        s->scheduler += s->workers[w].queue;
    return true;
}

void trace_summary_free(struct trace_summary *s)
{
    for (size_t i = 0; s->group_of && i < s->n_plans; i++)
        free(s->group_of[i]);
    free(s->group_of);
    free(s->is);
    dg_names_free(&s->names);
    free(s->groups);
    free(s->workers);
    *s = (struct trace_summary){0};
}
