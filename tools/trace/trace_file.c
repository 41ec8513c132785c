/* Two passes: the first checks the syntax and finds the two parts of the file, which may stand in
 * any order; the second reads them, plans and steps before events. Everything that is allocated is
 * in proportion to the bytes of the file: a number in it alone can claim nothing. */
#include "trace_file.h"
#include "../../src/base/file.h"
#include "../../src/base/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A slice takes more bytes than that in a file. */
enum { SLICE_BYTES = 64 };

struct reader {
    struct trace_file *t;
    const char *name;
    struct dg_json j;
    size_t bytes;
    size_t slice_room;
    uint32_t version;
    bool no_memory;
};

/* Room for element n of a list; what is new is zeroed. */
static bool grow(struct reader *r, void *list, size_t n, size_t *room, size_t size)
{
    const size_t more = n < 8 ? 16 : 2 * n;
    void **at = list, *to;

    if (n < *room)
        return true;
    to = realloc(*at, more * size);
    if (!to) {
        r->no_memory = true;
        return dg_json_fail(&r->j, "more memory");
    }
    memset((char *)to + *room * size, 0, (more - *room) * size);
    *at = to;
    *room = more;
    return true;
}

/* ---- values ---- */

static bool read_count(struct reader *r, double least, double most, double *out)
{
    if (!dg_json_number(&r->j, out))
        return false;
    if (*out >= least && *out <= most && *out == floor(*out))
        return true;
    return dg_json_fail(&r->j, "a whole number in its range before this place");
}

static bool read_u32(struct reader *r, uint32_t most, uint32_t *out)
{
    double x;

    if (!read_count(r, 0, most, &x))
        return false;
    *out = (uint32_t)x;
    return true;
}

static bool read_u64(struct reader *r, uint64_t *out)
{
    double x;

    if (!read_count(r, 0, 0x1p60, &x))
        return false;
    *out = (uint64_t)x;
    return true;
}

/* Microseconds to ns. */
static bool read_time(struct reader *r, uint64_t *out)
{
    double x;

    if (!dg_json_number(&r->j, &x))
        return false;
    if (!(x >= 0 && x <= 1e12))
        return dg_json_fail(&r->j, "a time from 0 to 1e12 us before this place");
    *out = (uint64_t)(x * 1000 + 0.5);
    return true;
}

/* A measured limit, in GB/s or GFLOP/s. */
static bool read_limit(struct reader *r, double *out)
{
    if (!dg_json_number(&r->j, out))
        return false;
    return (*out >= 1e-3 && *out <= 1e9) ||
           dg_json_fail(&r->j, "a rate from 0.001 to 1e9 before this place");
}

/* ---- plans ---- */

/* Version 1 has the type in "op", and no "loads". */
static void read_op(struct reader *r, struct trace_op *op)
{
    char key[16];
    double layer;

    if (!dg_json_object(&r->j))
        return;
    op->layer = -1;
    while (dg_json_key(&r->j, key, sizeof key)) {
        if (!strcmp(key, "name"))
            dg_json_string(&r->j, op->name, sizeof op->name);
        else if (!strcmp(key, r->version == 1 ? "op" : "type"))
            dg_json_string(&r->j, op->type, sizeof op->type);
        else if (!strcmp(key, "loads") && dg_json_true(&r->j))
            op->loads = true;
        else if (!strcmp(key, "layer") && read_count(r, -1, 1 << 24, &layer))
            op->layer = (int)layer;
        else if (!strcmp(key, "rows"))
            read_u32(r, INT32_MAX, &op->rows);
        else if (!strcmp(key, "cols"))
            read_u32(r, INT32_MAX, &op->cols);
        else
            dg_json_skip(&r->j);
    }
    if (r->version == 1)
        op->loads = !strcmp(op->type, "load");
}

static void read_ops(struct reader *r, struct trace_plan *p)
{
    size_t room = p->n_ops;

    if (!dg_json_array(&r->j))
        return;
    while (dg_json_item(&r->j) && grow(r, &p->ops, p->n_ops, &room, sizeof *p->ops))
        read_op(r, &p->ops[p->n_ops++]);
}

static void read_tiles(struct reader *r, struct trace_plan *p)
{
    size_t room = p->n_tiles;

    if (!dg_json_array(&r->j))
        return;
    while (dg_json_item(&r->j) && grow(r, &p->tiles, p->n_tiles, &room, sizeof *p->tiles)) {
        struct trace_tile *t = &p->tiles[p->n_tiles++];
        uint32_t *const to[] = {&t->op, &t->box.r0, &t->box.r1, &t->box.c0, &t->box.c1, &t->home};
        size_t n = 0;

        if (!dg_json_array(&r->j))
            return;
        while (dg_json_item(&r->j))
            if (n == 6 || !read_u32(r, INT32_MAX, to[n++]))
                dg_json_fail(&r->j, "six numbers for a tile");
        if (n != 6)
            dg_json_fail(&r->j, "six numbers for a tile");
    }
}

static void read_next(struct reader *r, struct trace_plan *p)
{
    size_t node_room = 0, edge_room = 0, edges = 0;

    if (!dg_json_array(&r->j))
        return;
    free(p->first);
    free(p->next);
    p->first = p->next = NULL;
    p->n_nodes = 0;
    while (dg_json_item(&r->j) &&
           grow(r, &p->first, p->n_nodes + 1, &node_room, sizeof *p->first)) {
        if (dg_json_array(&r->j))
            while (dg_json_item(&r->j) && grow(r, &p->next, edges, &edge_room, sizeof *p->next) &&
                   read_u32(r, INT32_MAX, &p->next[edges]))
                edges++;
        p->first[++p->n_nodes] = (uint32_t)edges;
    }
}

/* Of a join: its highest input and its lowest successor. */
struct between {
    uint32_t above, below;
};

/* Edges lead from lower tiles to higher ones, through at most one join. Returns what is wrong. */
static const char *check_edges(struct trace_plan *p, struct between *joins)
{
    for (uint32_t n = 0; n < p->n_nodes; n++) {
        for (uint32_t i = p->first[n]; i < p->first[n + 1]; i++) {
            const uint32_t to = p->next[i];

            if (to >= p->n_nodes)
                return "an edge leads to no node";
            if (to < p->n_tiles ? n < p->n_tiles && to <= n : n >= p->n_tiles)
                return "an edge leads back, or from a join to a join";
            p->waits[to]++;
            if (to >= p->n_tiles)
                joins[to - p->n_tiles].above = n; /* ascending */
            else if (n >= p->n_tiles && to < joins[n - p->n_tiles].below)
                joins[n - p->n_tiles].below = to;
        }
    }
    for (uint32_t i = 0; i < p->n_joins; i++)
        if (p->waits[p->n_tiles + i] == 0 || joins[i].below <= joins[i].above)
            return "a join has no input, or leads back";
    if (joins[p->n_joins - 1].below != UINT32_MAX)
        return "the last join leads on";
    return NULL;
}

static const char *check_plan(struct trace_plan *p)
{
    struct between *joins;
    const char *wrong;

    if (p->n_tiles == 0 || p->n_joins == 0 || !p->next)
        return "no tiles, joins or edges";
    if (p->n_nodes != (uint64_t)p->n_tiles + p->n_joins)
        return "`next` has not one list for each tile and join";
    for (uint32_t t = 0; t < p->n_tiles; t++) {
        const struct trace_tile *tile = &p->tiles[t];

        if (tile->op >= p->n_ops || (t > 0 && tile->op < tile[-1].op))
            return "a tile's op is not one of `ops`, or not in their order";
        if (tile->box.r0 >= tile->box.r1 || tile->box.c0 >= tile->box.c1)
            return "a tile's box is empty";
    }
    joins = malloc(p->n_joins * sizeof *joins);
    p->waits = calloc(p->n_nodes, sizeof *p->waits);
    wrong = "out of memory";
    if (joins && p->waits) {
        for (uint32_t i = 0; i < p->n_joins; i++)
            joins[i] = (struct between){0, UINT32_MAX};
        wrong = check_edges(p, joins);
    }
    free(joins);
    return wrong;
}

static void read_plan(struct reader *r, struct trace_plan *p)
{
    char key[16];

    if (!dg_json_object(&r->j))
        return;
    while (dg_json_key(&r->j, key, sizeof key)) {
        if (!strcmp(key, "rows"))
            read_u32(r, INT32_MAX, &p->rows);
        else if (!strcmp(key, "joins"))
            read_u32(r, INT32_MAX, &p->n_joins);
        else if (!strcmp(key, "ops"))
            read_ops(r, p);
        else if (!strcmp(key, "tiles"))
            read_tiles(r, p);
        else if (!strcmp(key, "next"))
            read_next(r, p);
        else
            dg_json_skip(&r->j);
    }
    p->loads = true;
    for (uint32_t i = 0; i < p->n_ops; i++)
        p->loads = p->loads && p->ops[i].loads;
}

/* ---- what stands beside the events ---- */

static void read_plans(struct reader *r)
{
    struct trace_file *t = r->t;
    size_t room = t->n_plans;

    if (!dg_json_array(&r->j))
        return;
    while (dg_json_item(&r->j) && grow(r, &t->plans, t->n_plans, &room, sizeof *t->plans))
        read_plan(r, &t->plans[t->n_plans++]);
}

static void read_step(struct reader *r, struct trace_step *s)
{
    char key[16];

    if (!dg_json_object(&r->j))
        return;
    while (dg_json_key(&r->j, key, sizeof key)) {
        if (!strcmp(key, "plan"))
            read_u32(r, INT32_MAX, &s->plan);
        else if (!strcmp(key, "past"))
            read_u32(r, INT32_MAX, &s->past);
        else if (!strcmp(key, "rows"))
            read_u32(r, INT32_MAX, &s->rows);
        else if (!strcmp(key, "start"))
            read_time(r, &s->start);
        else if (!strcmp(key, "end"))
            read_time(r, &s->end);
        else
            dg_json_skip(&r->j);
    }
}

static void read_steps(struct reader *r)
{
    struct trace_file *t = r->t;
    size_t room = t->n_steps;

    if (!dg_json_array(&r->j))
        return;
    while (dg_json_item(&r->j) && grow(r, &t->steps, t->n_steps, &room, sizeof *t->steps))
        read_step(r, &t->steps[t->n_steps++]);
}

static void read_model(struct reader *r)
{
    struct dg_sizes *z = &r->t->sizes;
    char key[16];

    if (!dg_json_object(&r->j))
        return;
    while (dg_json_key(&r->j, key, sizeof key)) {
        if (!strcmp(key, "name"))
            dg_json_string(&r->j, r->t->model, sizeof r->t->model);
        else if (!strcmp(key, "positions"))
            read_u32(r, INT32_MAX, &z->positions);
        else if (!strcmp(key, "vocab"))
            read_u32(r, INT32_MAX, &z->vocab);
        else if (!strcmp(key, "layers"))
            read_u32(r, INT32_MAX, &z->layers);
        else if (!strcmp(key, "heads"))
            read_u32(r, INT32_MAX, &z->heads);
        else if (!strcmp(key, "channels"))
            read_u32(r, INT32_MAX, &z->channels);
        else
            dg_json_skip(&r->j);
    }
}

static void read_limits(struct reader *r)
{
    struct trace_file *t = r->t;
    char key[16];

    if (!dg_json_array(&r->j))
        return;
    while (dg_json_item(&r->j)) {
        struct limits l = {0};

        if (!dg_json_object(&r->j))
            return;
        while (dg_json_key(&r->j, key, sizeof key)) {
            if (!strcmp(key, "workers"))
                read_u32(r, DG_MAX_WORKERS, &l.workers);
            else if (!strcmp(key, "read_gbps"))
                read_limit(r, &l.read_gbps);
            else if (!strcmp(key, "fma_gflops"))
                read_limit(r, &l.fma_gflops);
            else
                dg_json_skip(&r->j);
        }
        if (t->n_limits == LIMITS_MOST || l.read_gbps == 0 || l.fma_gflops == 0 ||
            l.workers <= (t->n_limits ? t->limits[t->n_limits - 1].workers : 0)) {
            dg_json_fail(&r->j, "limits of more and more workers, at most 16, before this place");
            return;
        }
        t->limits[t->n_limits++] = l;
    }
}

static void read_machine(struct reader *r)
{
    char key[16];

    if (!dg_json_object(&r->j))
        return;
    while (dg_json_key(&r->j, key, sizeof key)) {
        if (!strcmp(key, "cpus"))
            read_u32(r, INT32_MAX, &r->t->cpus);
        else if (!strcmp(key, "isa"))
            dg_json_string(&r->j, r->t->isa, sizeof r->t->isa);
        else if (!strcmp(key, "limits"))
            read_limits(r);
        else
            dg_json_skip(&r->j);
    }
}

/* Looks ahead: how the rest is read depends on it. */
static void read_version(struct reader *r)
{
    const struct dg_json start = r->j;
    char key[16];

    if (!dg_json_object(&r->j))
        return;
    while (dg_json_key(&r->j, key, sizeof key))
        if (strcmp(key, "version") != 0 || !read_u32(r, INT32_MAX, &r->version))
            dg_json_skip(&r->j);
    if (r->version != 1 && r->version != 2)
        dg_json_fail(&r->j, "version 1 or 2 of the format before this place");
    if (!r->j.error)
        r->j = start;
}

static void read_facts(struct reader *r)
{
    struct trace_file *t = r->t;
    char key[16];

    read_version(r);
    if (!dg_json_object(&r->j))
        return;
    while (dg_json_key(&r->j, key, sizeof key)) {
        if (!strcmp(key, "program"))
            dg_json_string(&r->j, t->program, sizeof t->program);
        else if (!strcmp(key, "command"))
            dg_json_string(&r->j, t->command, sizeof t->command);
        else if (!strcmp(key, "sched"))
            dg_json_string(&r->j, t->sched, sizeof t->sched);
        else if (!strcmp(key, "workers"))
            read_u32(r, DG_MAX_WORKERS, &t->workers);
        else if (!strcmp(key, "awake"))
            read_u32(r, DG_MAX_WORKERS, &t->awake);
        else if (!strcmp(key, "overhead_ns"))
            read_u64(r, &t->overhead_ns);
        else if (!strcmp(key, "dropped"))
            read_u64(r, &t->dropped);
        else if (!strcmp(key, "model"))
            read_model(r);
        else if (!strcmp(key, "machine"))
            read_machine(r);
        else if (!strcmp(key, "plans"))
            read_plans(r);
        else if (!strcmp(key, "steps"))
            read_steps(r);
        else
            dg_json_skip(&r->j);
    }
    if (t->awake == 0)
        dg_json_fail(&r->j, "at least one worker before this place");
}

static enum dg_status check_facts(struct reader *r, struct dg_error *err)
{
    struct trace_file *t = r->t;
    size_t slices = 0;

    for (size_t i = 0; i < t->n_plans; i++) {
        const char *wrong = check_plan(&t->plans[i]);

        if (wrong)
            return dg_fail(err, DG_ERR_MODEL, "%s: plan %zu: %s", r->name, i, wrong);
    }
    for (size_t i = 0; i < t->n_steps; i++) {
        struct trace_step *s = &t->steps[i];

        if (s->plan >= t->n_plans)
            return dg_fail(err, DG_ERR_MODEL, "%s: step %zu: plan %u of %zu", r->name, i, s->plan,
                           t->n_plans);
        if (s->end < s->start || (i > 0 && s->start < s[-1].end))
            return dg_fail(err, DG_ERR_MODEL, "%s: step %zu: steps are not in order of time",
                           r->name, i);
        slices += t->plans[s->plan].n_tiles + t->awake; /* no wrap: both are below 2^32 */
        if (slices > r->bytes / SLICE_BYTES)
            return dg_fail(err, DG_ERR_MODEL, "%s: step %zu: more tiles than the file can have",
                           r->name, i);
    }
    for (size_t i = 0; i < t->n_steps; i++) {
        struct trace_step *s = &t->steps[i];

        s->runs = calloc(t->plans[s->plan].n_tiles, sizeof *s->runs);
        s->visits = calloc(t->awake, sizeof *s->visits);
        if (!s->runs || !s->visits)
            return dg_fail_memory(err, "a trace", slices * sizeof *s->runs);
        for (uint32_t k = 0; k < t->plans[s->plan].n_tiles; k++)
            s->runs[k].worker = UINT32_MAX; /* did not run yet */
    }
    return DG_OK;
}

/* ---- events ---- */

struct event {
    char phase[4], category[8], name[16];
    uint32_t worker, step, tile, last;
    uint64_t start, took, ready, bytes, flops, preempted, cpu, preemptions;
};

static void read_args(struct reader *r, struct event *e)
{
    char key[16];

    if (!dg_json_object(&r->j))
        return;
    while (dg_json_key(&r->j, key, sizeof key)) {
        if (!strcmp(key, "step"))
            read_u32(r, INT32_MAX, &e->step);
        else if (!strcmp(key, "tile"))
            read_u32(r, INT32_MAX, &e->tile);
        else if (!strcmp(key, "ready"))
            read_time(r, &e->ready);
        else if (!strcmp(key, "last") && !dg_json_null(&r->j))
            read_u32(r, INT32_MAX, &e->last);
        else if (!strcmp(key, "last"))
            e->last = DG_NO_TILE;
        else if (!strcmp(key, "bytes"))
            read_u64(r, &e->bytes);
        else if (!strcmp(key, "flops"))
            read_u64(r, &e->flops);
        else if (!strcmp(key, "preempted"))
            read_time(r, &e->preempted);
        else if (!strcmp(key, "cpu"))
            read_time(r, &e->cpu);
        else if (!strcmp(key, "preemptions"))
            read_u64(r, &e->preemptions);
        else
            dg_json_skip(&r->j);
    }
}

/* Keys of one event, in any order. Of events that are none of ours only the syntax counts. */
static void read_event(struct reader *r, struct event *e)
{
    const struct dg_json start = r->j;
    char key[8];

    if (!dg_json_object(&r->j))
        return;
    while (dg_json_key(&r->j, key, sizeof key)) {
        if (!strcmp(key, "ph"))
            dg_json_string(&r->j, e->phase, sizeof e->phase);
        else if (!strcmp(key, "cat"))
            dg_json_string(&r->j, e->category, sizeof e->category);
        else
            dg_json_skip(&r->j);
    }
    if (strcmp(e->phase, "X") != 0)
        return;
    r->j = start;
    dg_json_object(&r->j);
    while (dg_json_key(&r->j, key, sizeof key)) {
        if (!strcmp(key, "name"))
            dg_json_string(&r->j, e->name, sizeof e->name);
        else if (!strcmp(key, "tid"))
            read_u32(r, INT32_MAX, &e->worker);
        else if (!strcmp(key, "ts"))
            read_time(r, &e->start);
        else if (!strcmp(key, "dur"))
            read_time(r, &e->took);
        else if (!strcmp(key, "args"))
            read_args(r, e);
        else
            dg_json_skip(&r->j);
    }
}

static bool add_slice(struct reader *r, const struct event *e, enum trace_kind kind)
{
    struct trace_file *t = r->t;

    if (!grow(r, &t->slices, t->n_slices, &r->slice_room, sizeof *t->slices))
        return false;
    t->slices[t->n_slices++] = (struct trace_slice){
        kind,        e->step, e->worker, kind ? DG_NO_TILE : e->tile, e->start, e->start + e->took,
        e->preempted};
    return true;
}

static bool add_tile(struct reader *r, const struct event *e)
{
    struct trace_step *s = &r->t->steps[e->step];
    struct trace_run *run;

    if (e->tile >= r->t->plans[s->plan].n_tiles)
        return dg_json_fail(&r->j, "a tile of its plan before this place");
    run = &s->runs[e->tile];
    if (run->worker != UINT32_MAX)
        return dg_json_fail(&r->j, "each tile once a step: another before this place");
    if (e->ready > e->start || e->ready < s->start)
        return dg_json_fail(&r->j, "a tile that is ready in its step, before it starts");
    if (e->last != DG_NO_TILE && e->last >= e->tile)
        return dg_json_fail(&r->j, "a tile after the last that it waits for");
    *run = (struct trace_run){e->worker,          e->last,      e->ready, e->start,
                              e->start + e->took, e->preempted, e->bytes, e->flops};
    return add_slice(r, e, TRACE_TILE);
}

static bool add_event(struct reader *r, const struct event *e)
{
    static const char *const waits[] = {NULL, "queue", "spinning", "parked"};
    const bool is_step = !strcmp(e->category, "step"), is_tile = !strcmp(e->category, "tile");

    if (strcmp(e->phase, "X") != 0 || (!is_step && !is_tile && strcmp(e->category, "wait") != 0))
        return true;
    if (e->step >= r->t->n_steps || e->worker >= r->t->awake)
        return dg_json_fail(&r->j, "a step and a worker of this trace before this place");
    if (e->preempted > e->took)
        return dg_json_fail(&r->j, "a slice that is preempted for less than all its time");
    if (is_tile)
        return add_tile(r, e);
    if (is_step) {
        struct trace_visit *v = &r->t->steps[e->step].visits[e->worker];

        *v = (struct trace_visit){e->start, e->start + e->took, e->cpu, e->preemptions, 0, 0};
        return true;
    }
    for (int k = TRACE_QUEUE; k <= TRACE_PARKED; k++)
        if (!strcmp(e->name, waits[k]))
            return add_slice(r, e, (enum trace_kind)k);
    return dg_json_fail(&r->j, "a wait that is spinning, parked or queue before this place");
}

static void read_events(struct reader *r)
{
    if (!dg_json_array(&r->j))
        return;
    while (dg_json_item(&r->j)) {
        struct event e = {.step = UINT32_MAX, .tile = UINT32_MAX, .last = DG_NO_TILE};

        read_event(r, &e);
        if (!r->j.error)
            add_event(r, &e);
    }
}

static int by_place(const void *a, const void *b)
{
    const struct trace_slice *x = a, *y = b;

    if (x->step != y->step)
        return x->step < y->step ? -1 : 1;
    if (x->worker != y->worker)
        return x->worker < y->worker ? -1 : 1;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* Sorts the slices and gives each visit its own. */
static enum dg_status place_slices(struct reader *r, struct dg_error *err)
{
    struct trace_file *t = r->t;

    if (t->n_slices > 0)
        qsort(t->slices, t->n_slices, sizeof *t->slices, by_place);
    for (size_t i = 0; i < t->n_slices; i++) {
        const struct trace_slice *s = &t->slices[i];
        struct trace_visit *v = &t->steps[s->step].visits[s->worker];

        if (v->n++ == 0)
            v->first = i;
        if (s->start < v->enter || s->end > v->leave || (v->n > 1 && s->start < s[-1].end))
            return dg_fail(err, DG_ERR_MODEL,
                           "%s: step %u, worker %u: slices at %.3f us overlap or leave the step's",
                           r->name, s->step, s->worker, 1e-3 * (double)s->start);
    }
    for (size_t i = 0; i < t->n_steps; i++)
        for (uint32_t k = 0; k < t->plans[t->steps[i].plan].n_tiles; k++)
            if (t->steps[i].runs[k].worker == UINT32_MAX)
                return dg_fail(err, DG_ERR_MODEL, "%s: step %zu: tile %u has no slice", r->name, i,
                               k);
    return DG_OK;
}

/* ---- the file ---- */

static enum dg_status syntax(const struct reader *r, struct dg_error *err)
{
    const bool ours = !r->no_memory;

    if (!r->j.error)
        return DG_OK;
    return dg_fail(err, ours ? DG_ERR_MODEL : DG_ERR_RESOURCE,
                   "%s: line %zu, byte %zu: expected %s", r->name, dg_json_line(&r->j),
                   (size_t)(r->j.at - r->j.text), r->j.error);
}

static enum dg_status read_all(struct reader *r, struct dg_error *err)
{
    struct dg_json facts = {0}, events = {0};
    enum dg_status st;
    char key[16];

    if (dg_json_object(&r->j)) {
        while (dg_json_key(&r->j, key, sizeof key)) {
            if (!strcmp(key, "dagpt"))
                facts = r->j;
            else if (!strcmp(key, "traceEvents"))
                events = r->j;
            dg_json_skip(&r->j);
        }
    }
    dg_json_end(&r->j);
    st = syntax(r, err);
    if (st != DG_OK)
        return st;
    if (!facts.text || !events.text)
        return dg_fail(err, DG_ERR_MODEL, "%s: no \"%s\" in it: expected a trace by dagpt", r->name,
                       facts.text ? "traceEvents" : "dagpt");
    r->j = facts;
    read_facts(r);
    st = syntax(r, err);
    if (st == DG_OK)
        st = check_facts(r, err);
    if (st != DG_OK)
        return st;
    r->j = events;
    read_events(r);
    st = syntax(r, err);
    return st == DG_OK ? place_slices(r, err) : st;
}

enum dg_status trace_file_parse(struct trace_file **out, const char *name, const char *text,
                                size_t n, struct dg_error *err)
{
    struct reader r = {.name = name, .bytes = n};
    enum dg_status st;

    r.t = calloc(1, sizeof *r.t);
    if (!r.t)
        return dg_fail_memory(err, "a trace", sizeof *r.t);
    dg_json_open(&r.j, text, n);
    st = read_all(&r, err);
    if (st == DG_OK)
        *out = r.t;
    else
        trace_file_free(r.t);
    return st;
}

/* All of a file, *n bytes; the caller frees it. */
static enum dg_status file_text(char **out, size_t *n, const char *path, struct dg_error *err)
{
    struct dg_file file;
    enum dg_status st = dg_file_open(&file, path, err);
    int failed;

    if (st != DG_OK)
        return st;
    *n = file.bytes;
    *out = malloc(*n + 1);
    if (!*out) {
        dg_file_close(&file);
        return dg_fail_memory(err, path, *n);
    }
    failed = dg_file_read(&file, 0, *out, *n);
    dg_file_close(&file);
    if (!failed)
        return DG_OK;
    free(*out);
    return dg_fail(err, DG_ERR_IO, "%s: cannot read: %s", path, strerror(failed));
}

enum dg_status trace_file_read(struct trace_file **out, const char *path, struct dg_error *err)
{
    char *text;
    size_t n;
    enum dg_status st = file_text(&text, &n, path, err);

    if (st != DG_OK)
        return st;
    st = trace_file_parse(out, path, text, n, err);
    free(text);
    return st;
}

struct limits trace_limits(const struct trace_file *t, unsigned workers)
{
    const struct limits *l = t->limits;
    unsigned i = 0;

    if (t->n_limits == 0)
        return (struct limits){0};
    while (i < t->n_limits && l[i].workers < workers)
        i++;
    if (i == t->n_limits)
        return l[i - 1];
    if (i > 0 && l[i].workers > workers) {
        const double part =
            (double)(workers - l[i - 1].workers) / (l[i].workers - l[i - 1].workers);

        return (struct limits){
            workers, l[i - 1].read_gbps + part * (l[i].read_gbps - l[i - 1].read_gbps),
            l[i - 1].fma_gflops + part * (l[i].fma_gflops - l[i - 1].fma_gflops)};
    }
    return l[i];
}

void trace_file_free(struct trace_file *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n_plans; i++) {
        free(t->plans[i].ops);
        free(t->plans[i].tiles);
        free(t->plans[i].first);
        free(t->plans[i].next);
        free(t->plans[i].waits);
    }
    for (size_t i = 0; i < t->n_steps; i++) {
        free(t->steps[i].runs);
        free(t->steps[i].visits);
    }
    free(t->plans);
    free(t->steps);
    free(t->slices);
    free(t);
}
