/* The events of a trace file: the slices of tiles and waits, and each worker's part of each step. They may
 * come in any order, and keys of an event, too: an event is read twice, first for what it is. */
#include "trace_file.h"
#include "trace_read.h"

#include <stdlib.h>
#include <string.h>

struct event {
    char phase[4], category[8], name[16];
    uint32_t worker, step, tile, last;
    uint64_t start, took, ready, bytes, flops, preempted, cpu, preemptions;
};

static void read_args(struct trace_reader *r, struct event *e)
{
    char key[16];

    if (!dg_json_object(&r->j))
        return;
    while (dg_json_key(&r->j, key, sizeof key)) {
        if (!strcmp(key, "step"))
            trace_read_u32(r, INT32_MAX, &e->step);
        else if (!strcmp(key, "tile"))
            trace_read_u32(r, INT32_MAX, &e->tile);
        else if (!strcmp(key, "ready"))
            trace_read_time(r, &e->ready);
        else if (!strcmp(key, "last") && !dg_json_null(&r->j))
            trace_read_u32(r, INT32_MAX, &e->last);
        else if (!strcmp(key, "last"))
            e->last = DG_NO_TILE;
        else if (!strcmp(key, "bytes"))
            trace_read_u64(r, &e->bytes);
        else if (!strcmp(key, "flops"))
            trace_read_u64(r, &e->flops);
        else if (!strcmp(key, "preempted"))
            trace_read_time(r, &e->preempted);
        else if (!strcmp(key, "cpu"))
            trace_read_time(r, &e->cpu);
        else if (!strcmp(key, "preemptions"))
            trace_read_u64(r, &e->preemptions);
        else
            dg_json_skip(&r->j);
    }
}

/* Keys of one event, in any order. Of events that are none of ours only the syntax counts. */
static void read_event(struct trace_reader *r, struct event *e)
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
            trace_read_u32(r, INT32_MAX, &e->worker);
        else if (!strcmp(key, "ts"))
            trace_read_time(r, &e->start);
        else if (!strcmp(key, "dur"))
            trace_read_time(r, &e->took);
        else if (!strcmp(key, "args"))
            read_args(r, e);
        else
            dg_json_skip(&r->j);
    }
}

static bool add_slice(struct trace_reader *r, const struct event *e, enum trace_kind kind)
{
    struct trace_file *t = r->t;

    if (!trace_grow(r, &t->slices, t->n_slices, &r->slice_room, sizeof *t->slices))
        return false;
    t->slices[t->n_slices++] = (struct trace_slice){
        kind,        e->step, e->worker, kind ? DG_NO_TILE : e->tile, e->start, e->start + e->took,
        e->preempted};
    return true;
}

static bool add_tile(struct trace_reader *r, const struct event *e)
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

static bool add_event(struct trace_reader *r, const struct event *e)
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

void trace_read_events(struct trace_reader *r)
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

enum dg_status trace_place_slices(struct trace_reader *r, struct dg_error *err)
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
        for (unsigned w = 0; w < t->awake; w++) {
            const struct trace_step *s = &t->steps[i];
            const struct trace_visit *v = &s->visits[w];

            if (trace_took_part(v) && (v->enter < s->start || v->leave > s->end))
                return dg_fail(err, DG_ERR_MODEL, "%s: step %zu, worker %u: leaves the step",
                               r->name, i, w);
        }
    for (size_t i = 0; i < t->n_steps; i++)
        for (uint32_t k = 0; k < t->plans[t->steps[i].plan].n_tiles; k++)
            if (t->steps[i].runs[k].worker == UINT32_MAX)
                return dg_fail(err, DG_ERR_MODEL, "%s: step %zu: tile %u has no slice", r->name, i,
                               k);
    return DG_OK;
}
