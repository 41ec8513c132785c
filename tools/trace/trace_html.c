/* The trace stands in the page as JSON that is made to be read fast, in less than a tenth of the
 * file's bytes. Names are strings; what there is much of stands in flat lists of whole numbers,
 * which tools/viewer/model.js walks once:
 *
 *   {"command", "model", "sched", "isa": text, "workers", "awake", "overhead_ns", "dropped": number,
 *    "read_gbps", "fma_gflops": number,                           `awake` shares of a worker; 0: not measured
 *    "plans": [{"loads": 0 or 1, "rows": number,
 *               "ops":   [[name, type, layer, loads: 0 or 1], ...],
 *               "tiles": [op, r0, r1, c0, c1, home, ...],
 *               "next":  [n, n nodes, ...]}],                     of each node: tiles, then joins
 *    "steps":  [plan, past, rows, start, end, ...],
 *    "n_visits", "n_tiles", "n_waits": number,                    in "visits"
 *    "visits": [worker, step, enter, took, cpu, preemptions, n, n SLICEs, ...]}
 *                                                                 by worker, then by time
 *
 * A SLICE is kind, gap, took, preempted. Kind: 0 tile, 1 queue, 2 spinning, 3 parked; gap: since
 * the slice before it, or since `enter`. A tile goes on: tile - the visit's tile before it (or 0),
 * start - ready, tile - last (0: no last input), bytes, flops. Times are in ns. */
#include "trace_html.h"
#include "trace_write.h"
#include "viewer_page.h"

#include <inttypes.h>

/* A list that is being written. */
struct list {
    FILE *to;
    size_t n;
};

static struct list open_list(FILE *to, const char *name)
{
    fprintf(to, ",\n\"%s\": [", name);
    return (struct list){to, 0};
}

static void put(struct list *l, int64_t x)
{
    fprintf(l->to, l->n++ ? ",%" PRId64 : "%" PRId64, x);
}

static void close_list(const struct list *l)
{
    putc(']', l->to);
}

static void put_string(FILE *to, const char *key, const char *text)
{
    fputs(key, to);
    trace_write_string(to, text);
}

static void put_facts(FILE *to, const struct trace_file *t)
{
    const struct limits limits = trace_own_limits(t);
    const double shares = limits.workers ? (double)t->awake / limits.workers : 0;

    put_string(to, "{\"command\": ", t->command);
    put_string(to, ",\n\"model\": ", t->model);
    put_string(to, ", \"sched\": ", t->sched);
    put_string(to, ", \"isa\": ", t->isa);
    fprintf(to, ",\n\"workers\": %u, \"awake\": %u", t->workers, t->awake);
    fprintf(to, ", \"overhead_ns\": %" PRIu64 ", \"dropped\": %" PRIu64, t->overhead_ns,
            t->dropped);
    fprintf(to, ", \"read_gbps\": %g, \"fma_gflops\": %g", shares * limits.read_gbps,
            shares * limits.fma_gflops);
}

/* ---- plans and steps ---- */

static void put_tiles(FILE *to, const struct trace_plan *p)
{
    struct list l = open_list(to, "tiles");

    for (uint32_t i = 0; i < p->n_tiles; i++) {
        const struct trace_tile *t = &p->tiles[i];
        const uint32_t row[] = {t->op, t->box.r0, t->box.r1, t->box.c0, t->box.c1, t->home};

        for (size_t k = 0; k < sizeof row / sizeof *row; k++)
            put(&l, row[k]);
    }
    close_list(&l);
}

static void put_edges(FILE *to, const struct trace_plan *p)
{
    struct list l = open_list(to, "next");

    for (uint32_t n = 0; n < p->n_nodes; n++) {
        put(&l, p->first[n + 1] - p->first[n]);
        for (uint32_t i = p->first[n]; i < p->first[n + 1]; i++)
            put(&l, p->next[i]);
    }
    close_list(&l);
}

static void put_plan(FILE *to, const struct trace_plan *p)
{
    fprintf(to, "{\"loads\": %d, \"rows\": %u, \"ops\": [", p->loads, p->rows);
    for (uint32_t i = 0; i < p->n_ops; i++) {
        put_string(to, i ? ",\n[" : "[", p->ops[i].name);
        put_string(to, ",", p->ops[i].type);
        fprintf(to, ",%d,%d]", p->ops[i].layer, p->ops[i].loads);
    }
    putc(']', to);
    put_tiles(to, p);
    put_edges(to, p);
    putc('}', to);
}

static void put_steps(FILE *to, const struct trace_file *t)
{
    struct list l = open_list(to, "steps");

    for (size_t i = 0; i < t->n_steps; i++) {
        const struct trace_step *s = &t->steps[i];

        put(&l, s->plan);
        put(&l, s->past);
        put(&l, s->rows);
        put(&l, (int64_t)s->start);
        put(&l, (int64_t)s->end);
    }
    close_list(&l);
}

/* ---- what ran ---- */

static void put_run(struct list *l, const struct trace_run *run, int64_t tile, int64_t before)
{
    put(l, tile - before);
    put(l, (int64_t)(run->start - run->ready));
    put(l, run->last == DG_NO_TILE ? 0 : tile - run->last);
    put(l, (int64_t)run->bytes);
    put(l, (int64_t)run->flops);
}

static bool took_part(const struct trace_visit *v)
{
    return v->n > 0 || v->leave > v->enter;
}

static void put_visit(struct list *l, const struct trace_file *t, uint32_t worker, size_t step)
{
    const struct trace_visit *v = &t->steps[step].visits[worker];
    uint64_t at = v->enter;
    uint32_t tile = 0;

    put(l, worker);
    put(l, (int64_t)step);
    put(l, (int64_t)v->enter);
    put(l, (int64_t)(v->leave - v->enter));
    put(l, (int64_t)v->cpu);
    put(l, (int64_t)v->preemptions);
    put(l, (int64_t)v->n);
    for (size_t i = v->first; i < v->first + v->n; i++) {
        const struct trace_slice *s = &t->slices[i];

        put(l, s->kind);
        put(l, (int64_t)(s->start - at));
        put(l, (int64_t)(s->end - s->start));
        put(l, (int64_t)s->preempted);
        at = s->end;
        if (s->kind == TRACE_TILE) {
            put_run(l, &t->steps[step].runs[s->tile], s->tile, tile);
            tile = s->tile;
        }
    }
}

static void put_counts(FILE *to, const struct trace_file *t)
{
    size_t visits = 0, tiles = 0;

    for (size_t i = 0; i < t->n_steps; i++) {
        tiles += trace_plan_of(t, &t->steps[i])->n_tiles;
        for (uint32_t w = 0; w < t->awake; w++)
            visits += took_part(&t->steps[i].visits[w]);
    }
    fprintf(to, ",\n\"n_visits\": %zu, \"n_tiles\": %zu, \"n_waits\": %zu", visits, tiles,
            t->n_slices - tiles);
}

void trace_html(FILE *to, const struct trace_file *t)
{
    struct list l;

    fwrite(viewer_head, 1, sizeof viewer_head, to);
    put_facts(to, t);
    fputs(",\n\"plans\": [", to);
    for (size_t i = 0; i < t->n_plans; i++) {
        fputs(i ? ",\n" : "", to);
        put_plan(to, &t->plans[i]);
    }
    putc(']', to);
    put_steps(to, t);
    put_counts(to, t);
    l = open_list(to, "visits");
    for (uint32_t w = 0; w < t->awake; w++)
        for (size_t i = 0; i < t->n_steps; i++)
            if (took_part(&t->steps[i].visits[w]))
                put_visit(&l, t, w, i);
    close_list(&l);
    putc('}', to);
    fwrite(viewer_tail, 1, sizeof viewer_tail, to);
}
