/* What stands beside the events of a trace file: the run, its machine, its plans and its steps. What else
 * is read by the version of the format is told in read_op() of trace_plans.c; the version itself may stand
 * anywhere, and so is looked for first. */
#include "trace_file.h"
#include "trace_read.h"

#include <stdlib.h>
#include <string.h>

/* A slice takes more bytes than that in a file. */
enum { SLICE_BYTES = 64 };

static void read_step(struct trace_reader *r, struct trace_step *s)
{
    char key[16];

    if (!dg_json_object(&r->j))
        return;
    while (dg_json_key(&r->j, key, sizeof key)) {
        if (!strcmp(key, "plan"))
            trace_read_u32(r, INT32_MAX, &s->plan);
        else if (!strcmp(key, "past"))
            trace_read_u32(r, INT32_MAX, &s->past);
        else if (!strcmp(key, "rows"))
            trace_read_u32(r, INT32_MAX, &s->rows);
        else if (!strcmp(key, "start"))
            trace_read_time(r, &s->start);
        else if (!strcmp(key, "end"))
            trace_read_time(r, &s->end);
        else
            dg_json_skip(&r->j);
    }
}

static void read_steps(struct trace_reader *r)
{
    struct trace_file *t = r->t;
    size_t room = t->n_steps;

    if (!dg_json_array(&r->j))
        return;
    while (dg_json_item(&r->j) && trace_grow(r, &t->steps, t->n_steps, &room, sizeof *t->steps))
        read_step(r, &t->steps[t->n_steps++]);
}

static void read_model(struct trace_reader *r)
{
    struct dg_sizes *z = &r->t->sizes;
    char key[16];

    if (!dg_json_object(&r->j))
        return;
    while (dg_json_key(&r->j, key, sizeof key)) {
        if (!strcmp(key, "name"))
            trace_read_text(r, &r->t->model);
        else if (!strcmp(key, "positions"))
            trace_read_u32(r, INT32_MAX, &z->positions);
        else if (!strcmp(key, "vocab"))
            trace_read_u32(r, INT32_MAX, &z->vocab);
        else if (!strcmp(key, "layers"))
            trace_read_u32(r, INT32_MAX, &z->layers);
        else if (!strcmp(key, "heads"))
            trace_read_u32(r, INT32_MAX, &z->heads);
        else if (!strcmp(key, "channels"))
            trace_read_u32(r, INT32_MAX, &z->channels);
        else if (!strcmp(key, "weights"))
            dg_json_string(&r->j, r->t->weights, sizeof r->t->weights);
        else if (!strcmp(key, "cache"))
            dg_json_string(&r->j, r->t->cache, sizeof r->t->cache);
        else
            dg_json_skip(&r->j);
    }
}

/* A measured limit, in GB/s or GFLOP/s. */
static bool read_limit(struct trace_reader *r, double *out)
{
    if (!dg_json_number(&r->j, out))
        return false;
    return (*out >= 1e-3 && *out <= 1e9) ||
           dg_json_fail(&r->j, "a rate from 0.001 to 1e9 before this place");
}

static void read_limits(struct trace_reader *r)
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
                trace_read_u32(r, DG_MAX_WORKERS, &l.workers);
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

static void read_machine(struct trace_reader *r)
{
    char key[16];

    if (!dg_json_object(&r->j))
        return;
    while (dg_json_key(&r->j, key, sizeof key)) {
        if (!strcmp(key, "cpus"))
            trace_read_u32(r, INT32_MAX, &r->t->cpus);
        else if (!strcmp(key, "isa"))
            dg_json_string(&r->j, r->t->isa, sizeof r->t->isa);
        else if (!strcmp(key, "limits"))
            read_limits(r);
        else
            dg_json_skip(&r->j);
    }
}

static void read_rank(struct trace_reader *r, struct trace_process *rank)
{
    char key[16];

    if (!dg_json_object(&r->j))
        return;
    while (dg_json_key(&r->j, key, sizeof key)) {
        if (!strcmp(key, "host"))
            dg_json_string(&r->j, rank->host, sizeof rank->host);
        else if (!strcmp(key, "workers"))
            trace_read_u32(r, DG_MAX_WORKERS, &rank->workers);
        else if (!strcmp(key, "clock_error_ns"))
            trace_read_u64(r, &rank->clock_error);
        else
            dg_json_skip(&r->j);
    }
}

static void read_ranks(struct trace_reader *r)
{
    struct trace_file *t = r->t;
    size_t room = t->n_ranks;

    if (!dg_json_array(&r->j))
        return;
    while (dg_json_item(&r->j) && trace_grow(r, &t->ranks, t->n_ranks, &room, sizeof *t->ranks))
        read_rank(r, &t->ranks[t->n_ranks++]);
}

/* Are all workers some rank's? */
static bool have_workers(const struct trace_file *t)
{
    uint64_t workers = 0;

    for (size_t i = 0; i < t->n_ranks; i++)
        workers += t->ranks[i].workers;
    return t->n_ranks == 0 || workers == t->awake;
}

/* Looks ahead: how the rest is read depends on it. */
static void read_version(struct trace_reader *r)
{
    const struct dg_json start = r->j;
    char key[16];

    if (!dg_json_object(&r->j))
        return;
    while (dg_json_key(&r->j, key, sizeof key))
        if (strcmp(key, "version") != 0 || !trace_read_u32(r, INT32_MAX, &r->version))
            dg_json_skip(&r->j);
    if (r->version != 1 && r->version != 2)
        dg_json_fail(&r->j, "version 1 or 2 of the format before this place");
    if (!r->j.error)
        r->j = start;
}

void trace_read_facts(struct trace_reader *r)
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
            trace_read_text(r, &t->command);
        else if (!strcmp(key, "sched"))
            dg_json_string(&r->j, t->sched, sizeof t->sched);
        else if (!strcmp(key, "workers"))
            trace_read_u32(r, DG_MAX_WORKERS, &t->workers);
        else if (!strcmp(key, "awake"))
            trace_read_u32(r, DG_MAX_WORKERS, &t->awake);
        else if (!strcmp(key, "overhead_ns"))
            trace_read_u64(r, &t->overhead_ns);
        else if (!strcmp(key, "dropped"))
            trace_read_u64(r, &t->dropped);
        else if (!strcmp(key, "model"))
            read_model(r);
        else if (!strcmp(key, "machine"))
            read_machine(r);
        else if (!strcmp(key, "ranks"))
            read_ranks(r);
        else if (!strcmp(key, "plans"))
            trace_read_plans(r);
        else if (!strcmp(key, "steps"))
            read_steps(r);
        else
            dg_json_skip(&r->j);
    }
    if (t->awake == 0 || t->awake > t->workers)
        dg_json_fail(&r->j,
                     "at least one worker awake, and no more than there are, before this place");
    else if (!have_workers(t))
        dg_json_fail(&r->j, "ranks whose workers are those that are awake, before this place");
}

enum dg_status trace_check_facts(struct trace_reader *r, struct dg_error *err)
{
    struct trace_file *t = r->t;
    size_t slices = 0;

    t->only_loads = true;
    for (size_t i = 0; i < t->n_plans; i++) {
        const char *wrong;

        if (!trace_check_plan(&t->plans[i], &wrong))
            return dg_fail_memory(err, "a plan", t->plans[i].n_nodes * sizeof *t->plans[i].waits);
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
        t->only_loads = t->only_loads && t->plans[s->plan].loads;
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
