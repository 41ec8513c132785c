/* The trace stands in the page as JSON that is made to be read fast, in less than a tenth of the
 * file's bytes. Names are strings; what there is much of stands in flat lists of whole numbers,
 * which tools/viewer/model.js walks once:
 *
 *   {"command", "model", "sched", "isa": text, "workers", "awake", "overhead_ns", "dropped": number,
 *    "ranks": [workers of each],                                  none: one process
 *    "read_gbps", "fma_gflops": number,                           `awake` shares of a worker; 0: not measured
 *    "sums": {...},                                               of trace_summary: times in ns
 *    "busy": [ns of each worker],
 *    "groups": [[name, type], ...],                               ops of one name in all layers
 *    "plans": [{"loads": 0 or 1, "rows": number,
 *               "ops":   [[name, type, layer, loads: 0 or 1, group], ...],
 *               "tiles": [op, r0, r1, c0, c1, home, ...],
 *               "next":  [n, n nodes, ...]}],                     of each node: tiles, then joins
 *    "steps":  [plan, past, rows, start, end, counts: 0 or 1, ...],
 *    "paths":  [span, n, n tiles, ...],                           of each step: its critical path
 *    "n_visits", "n_tiles", "n_waits": number,                    in "visits"
 *    "visits": [worker, step, enter, took, cpu, preemptions, n, n SLICEs, GAP, ...]}
 *                                                                 by worker, then by time
 *
 * A SLICE is kind, gap, took, preempted. Kind: 0 tile, 1 queue, 2 spinning, 3 parked; gap: since
 * the slice before it, or since `enter`. A tile goes on: tile - the visit's tile before it (or 0),
 * start - ready, tile - last (0: no last input), bytes, flops, GAP. Times are in ns.
 *
 * A GAP, before a tile or at the end, is its reason, as in trace_reason, 1 where there is none; of 0 (waited)
 * and 2 (nothing left) then the culprit + 1, or 0; of 0 then the time from the end of the wait to the tile. */
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
    for (size_t i = 0; i < t->n_ranks; i++)
        fprintf(to, "%s%u", i == 0 ? ",\n\"ranks\": [" : ", ", t->ranks[i].workers);
    if (t->n_ranks > 0)
        fputs("]", to);
    fprintf(to, ", \"read_gbps\": %.17g, \"fma_gflops\": %.17g", shares * limits.read_gbps,
            shares * limits.fma_gflops);
}

static void put_beyond(FILE *to, const struct trace_file *t, const struct trace_summary *s)
{
    const struct trace_group *g = trace_beyond_limits(s, t);
    struct trace_of_limits of;

    if (!g)
        return;
    of = trace_of_limits(t, g);
    fprintf(to, ", \"beyond\": {\"group\": %td, \"certain\": %d, \"read\": %.17g, \"fma\": %.17g}",
            g - s->groups, of.fma > TRACE_MOST_FMA, of.read, of.fma);
}

static void put_sums(FILE *to, const struct trace_file *t, const struct trace_summary *s)
{
    struct list l;

    fprintf(to,
            ",\n\"sums\": {\"steps\": %zu, \"tiles\": %zu, \"rows\": %" PRIu64
            ", \"wall\": %" PRIu64 ", \"elapsed\": %" PRIu64 ", \"work\": %" PRIu64
            ", \"span\": %" PRIu64 ", \"pathTiles\": %" PRIu64 ", \"scheduler\": %" PRIu64,
            s->steps, s->tiles, s->rows, s->wall, s->elapsed, s->work, s->span, s->path_tiles,
            s->scheduler);
    fprintf(to,
            ", \"loadSteps\": %zu, \"loadWall\": %" PRIu64
            ", \"loadTiles\": %zu, \"loading\": %" PRIu64 ", \"all\": %" PRIu64,
            s->load_steps, s->load_wall, s->load_tiles, s->loading, s->all);
    put_beyond(to, t, s);
    putc('}', to);
    l = open_list(to, "busy");
    for (unsigned w = 0; w < t->awake; w++)
        put(&l, (int64_t)s->workers[w].busy);
    close_list(&l);
    fputs(",\n\"groups\": [", to);
    for (size_t i = 0; i < s->n_names; i++) {
        put_string(to, i ? ",\n[" : "[", s->groups[i].name);
        put_string(to, ",", s->groups[i].type);
        putc(']', to);
    }
    putc(']', to);
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

static void put_plan(FILE *to, const struct trace_plan *p, const uint32_t *group_of)
{
    fprintf(to, "{\"loads\": %d, \"rows\": %u, \"ops\": [", p->loads, p->rows);
    for (uint32_t i = 0; i < p->n_ops; i++) {
        put_string(to, i ? ",\n[" : "[", p->ops[i].name);
        put_string(to, ",", p->ops[i].type);
        fprintf(to, ",%d,%d,%u]", p->ops[i].layer, p->ops[i].loads, group_of[i]);
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
        put(&l, trace_counts(t, s));
    }
    close_list(&l);
}

static bool put_paths(FILE *to, const struct trace_file *t)
{
    struct list l = open_list(to, "paths");

    for (size_t i = 0; i < t->n_steps; i++) {
        struct trace_path path;

        if (!trace_path_find(&path, trace_plan_of(t, &t->steps[i]), t->steps[i].runs))
            return false;
        put(&l, (int64_t)path.span);
        put(&l, (int64_t)path.n);
        for (size_t k = 0; k < path.n; k++)
            put(&l, path.tiles[k]);
        trace_path_free(&path);
    }
    close_list(&l);
    return true;
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

/* The gap before this tile (DG_NO_TILE: after the last) of those that are left. */
static void put_gap(struct list *l, const struct trace_gap **left, const struct trace_gap *end,
                    uint32_t next)
{
    const struct trace_gap *gap = *left;

    if (gap == end || gap->next != next || gap->reason == TRACE_OUTSIDE) {
        put(l, TRACE_LATE);
        return;
    }
    ++*left;
    put(l, gap->reason);
    if (gap->reason == TRACE_WAITED || gap->reason == TRACE_NOTHING)
        put(l, gap->tile == DG_NO_TILE ? 0 : gap->tile + (int64_t)1);
    if (gap->reason == TRACE_WAITED)
        put(l, (int64_t)gap->late);
}

static void put_visit(struct list *l, struct trace_gaps *gaps, uint32_t worker, size_t step)
{
    const struct trace_file *t = gaps->t;
    const struct trace_visit *v = &t->steps[step].visits[worker];
    const struct trace_gap *gap = gaps->list, *end = gap + trace_gaps_of(gaps, step, worker);
    uint64_t at = v->enter;
    uint32_t tile = 0;

    put(l, worker);
    put(l, (int64_t)step);
    put(l, (int64_t)v->enter);
    put(l, (int64_t)(v->leave - v->enter));
    put(l, (int64_t)v->cpu);
    put(l, (int64_t)v->preemptions);
    put(l, (int64_t)v->n);
    if (gap < end && gap->reason == TRACE_OUTSIDE && gap->end <= v->enter)
        gap++;
    for (size_t i = v->first; i < v->first + v->n; i++) {
        const struct trace_slice *s = &t->slices[i];

        put(l, s->kind);
        put(l, (int64_t)(s->start - at));
        put(l, (int64_t)(s->end - s->start));
        put(l, (int64_t)s->preempted);
        at = s->end;
        if (s->kind == TRACE_TILE) {
            put_run(l, &t->steps[step].runs[s->tile], s->tile, tile);
            put_gap(l, &gap, end, s->tile);
            tile = s->tile;
        }
    }
    put_gap(l, &gap, end, DG_NO_TILE);
}

static void put_counts(FILE *to, const struct trace_file *t)
{
    size_t visits = 0, tiles = 0;

    for (size_t i = 0; i < t->n_steps; i++) {
        tiles += trace_plan_of(t, &t->steps[i])->n_tiles;
        for (uint32_t w = 0; w < t->awake; w++)
            visits += trace_took_part(&t->steps[i].visits[w]);
    }
    fprintf(to, ",\n\"n_visits\": %zu, \"n_tiles\": %zu, \"n_waits\": %zu", visits, tiles,
            t->n_slices - tiles);
}

static bool put_visits(FILE *to, const struct trace_file *t)
{
    struct trace_gaps gaps;
    struct list l = open_list(to, "visits");

    if (!trace_gaps_new(&gaps, t))
        return false;
    for (uint32_t w = 0; w < t->awake; w++)
        for (size_t i = 0; i < t->n_steps; i++)
            if (trace_took_part(&t->steps[i].visits[w]))
                put_visit(&l, &gaps, w, i);
    trace_gaps_free(&gaps);
    close_list(&l);
    return true;
}

bool trace_html(FILE *to, const struct trace_file *t, const struct trace_summary *s)
{
    fwrite(viewer_head, 1, sizeof viewer_head, to);
    put_facts(to, t);
    put_sums(to, t, s);
    fputs(",\n\"plans\": [", to);
    for (size_t i = 0; i < t->n_plans; i++) {
        fputs(i ? ",\n" : "", to);
        put_plan(to, &t->plans[i], s->group_of[i]);
    }
    putc(']', to);
    put_steps(to, t);
    put_counts(to, t);
    if (!put_paths(to, t) || !put_visits(to, t))
        return false;
    putc('}', to);
    fwrite(viewer_tail, 1, sizeof viewer_tail, to);
    return true;
}
