/* The trace: what the recorder (src/runtime/trace.c) notes of real steps, how the file keeps it
 * (tools/trace/trace_write.c, trace_file.c), and what analysis and replay make of traces whose answers are
 * known. */
#include "../../support/toy.h"
#include "../../../src/runtime/sched.h"
#include "../../../src/runtime/trace.h"
#include "../../../tools/trace/trace_analysis.h"
#include "../../../tools/trace/trace_replay.h"
#include "../../../tools/trace/trace_write.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- plans that run ---- */

static uint32_t sleeps_us; /* of every tile */

static int run_toy(const struct dg_op *op, struct dg_box out, const struct dg_step *step,
                   void *scratch)
{
    (void)op;
    (void)out;
    (void)step;
    (void)scratch;
    if (sleeps_us)
        usleep(sleeps_us);
    return 0;
}

static struct dg_cost cost_toy(const struct dg_op *op, struct dg_box out, uint32_t past)
{
    return (struct dg_cost){dg_box_area(out) * (1 + op->out->rows * (uint64_t)past),
                            4 * dg_box_area(out)};
}

static struct dg_op_type running_type, loading_type;

struct world {
    struct toy_graph toys;
    struct dg_plan *plan;
    struct dg_team *team;
    struct dg_run *run;
    struct dg_trace *trace;
    struct dg_error err;
};

/* ops: levels of tiles that read the level before as a whole (through a join), or their own part. */
static void open_world(struct world *w, unsigned ops, unsigned workers, unsigned cpus,
                       size_t max_events)
{
    struct dg_tensor *at = NULL;
    char name[16];

    running_type = toy_type;
    running_type.run = run_toy;
    running_type.cost = cost_toy;
    *w = (struct world){0};
    toy_new(&w->toys);
    for (unsigned i = 0; i < ops; i++) {
        snprintf(name, sizeof name, "h%u.op%u", i / 2, i % 2);
        at = toy_step(&w->toys, name, at, 8, 12, (struct dg_cut){2, 3},
                      i % 3 ? OWN_ROWS : EVERY_ROW, i % 2 ? OWN_COLS : EVERY_COL);
        w->toys.g->ops[i].type = &running_type;
        w->toys.g->ops[i].layer = (int)i / 2;
    }
    w->plan = toy_plan(&w->toys, cpus);
    ck_assert_int_eq(dg_team_new(&w->team, workers, cpus, &w->err), DG_OK);
    ck_assert_int_eq(dg_run_new(&w->run, w->plan, w->team, &w->err), DG_OK);
    ck_assert_int_eq(dg_trace_new(&w->trace, w->team, max_events, &w->err), DG_OK);
}

static void close_world(struct world *w)
{
    dg_trace_free(w->trace);
    dg_run_free(w->run);
    toy_free(&w->toys, w->plan);
    dg_team_free(w->team);
    sleeps_us = 0;
}

static void step(struct world *w, uint32_t past, uint32_t rows, enum dg_sched sched)
{
    const struct dg_row first = {.position = past}; /* a trace looks at no other */
    const struct dg_step s = {.row = &first, .rows = rows};

    ck_assert_int_eq(dg_run_step(w->run, &s, sched), 0);
}

/* ---- what the recorder notes ---- */

/* The ends of a step's tiles; each was run once, by some worker, and events are in order of time. */
static void collect(const struct world *w, size_t step, uint64_t *starts, uint64_t *ends)
{
    const struct dg_trace *t = w->trace;
    const struct dg_trace_step *s = &t->steps[step];
    const uint32_t n = t->plans[s->plan]->n_tiles;
    uint32_t ran = 0;

    memset(ends, 0, n * sizeof *ends);
    for (unsigned k = 0; k < t->workers; k++) {
        const struct dg_trace_visit *v = &t->visits[step * t->workers + k];
        uint64_t at = v->enter;

        ck_assert_uint_ge(v->enter, s->start);
        for (size_t i = v->first; i < v->first + v->n; i++) {
            const struct dg_trace_event *e = &t->lanes[k].events[i];

            ck_assert(!e->spin || (e->spin >= at && e->spin <= e->start));
            ck_assert(!e->park || (e->park >= at && e->park >= e->spin && e->park <= e->start));
            ck_assert(e->start >= at && e->end >= e->start);
            at = e->end;
            if (e->tile == DG_NO_TILE)
                continue;
            ck_assert_uint_lt(e->tile, n);
            ck_assert_msg(ends[e->tile] == 0, "tile %u ran twice", e->tile);
            starts[e->tile] = e->start;
            ends[e->tile] = e->end;
            ran++;
        }
        ck_assert(v->leave >= at && s->end >= v->leave);
    }
    ck_assert_uint_eq(ran, n);
}

/* Ready times and last inputs, against a search over all pairs of tiles and the joins between. */
static void check_arrivals(const struct world *w, uint64_t start, const uint64_t *starts,
                           const uint64_t *ends)
{
    const struct dg_plan *p = w->plan;
    uint64_t *ready = calloc(p->n_nodes, sizeof *ready);
    uint32_t *last = calloc(p->n_nodes, sizeof *last);
    uint32_t *seen = calloc(p->n_tiles, sizeof *seen);

    dg_trace_arrivals(w->trace->plans[0], start, ends, ready, last);
    for (uint32_t t = 0; t < p->n_tiles; t++)
        seen[t] = DG_NO_TILE;
    for (uint32_t t = 0; t < p->n_tiles; t++) {
        for (uint32_t i = 0; i < p->nodes[t].n_next; i++) {
            const uint32_t n = p->next[p->nodes[t].first + i];
            const uint32_t first = n < p->n_tiles ? 0 : p->nodes[n].first;
            const uint32_t many = n < p->n_tiles ? 1 : p->nodes[n].n_next;

            for (uint32_t k = 0; k < many; k++) {
                const uint32_t to = n < p->n_tiles ? n : p->next[first + k];

                ck_assert_msg(starts[to] >= ends[t], "tile %u before its input %u", to, t);
                if (seen[to] == DG_NO_TILE || ends[t] >= ends[seen[to]])
                    seen[to] = t;
            }
        }
    }
    for (uint32_t t = 0; t < p->n_tiles; t++) {
        ck_assert_uint_eq(last[t], seen[t]);
        ck_assert_uint_eq(ready[t], seen[t] == DG_NO_TILE ? start : ends[seen[t]]);
        ck_assert_uint_le(ready[t], starts[t]);
    }
    free(ready);
    free(last);
    free(seen);
}

START_TEST(every_tile_once)
{
    static const unsigned teams[][2] = {{1, 1}, {2, 2}, {4, 4}, {7, 7}, {4, 2}};
    struct world w;

    for (unsigned i = 0; i < sizeof teams / sizeof *teams; i++) {
        open_world(&w, 7, teams[i][0], teams[i][1], 10000);
        for (unsigned k = 0; k < 6; k++) {
            sleeps_us = k >= 3 && !sanitized() ? 80 : 0; /* longer than workers spin */
            step(&w, k, 1, (enum dg_sched)(k % DG_N_SCHED));
        }
        ck_assert_uint_eq(w.trace->n_steps, 6);
        ck_assert_uint_eq(w.trace->n_plans, 1);
        ck_assert_uint_eq(w.trace->dropped, 0);
        for (unsigned k = 0; k < 6; k++) {
            uint64_t *starts = calloc(w.plan->n_tiles, sizeof *starts);
            uint64_t *ends = calloc(w.plan->n_tiles, sizeof *ends);

            collect(&w, k, starts, ends);
            check_arrivals(&w, w.trace->steps[k].start, starts, ends);
            ck_assert(k == 0 || w.trace->steps[k].start >= w.trace->steps[k - 1].end);
            free(starts);
            free(ends);
        }
        close_world(&w);
    }
}
END_TEST

/* A wake is noted by who wakes; what passes until the woken thread is on a CPU adds up over the sleeps of a
 * gap, but for the moment that waking takes anyway. */
START_TEST(woken_later_than_wakes_take)
{
    const uint64_t now = dg_now_ns();
    struct world w;
    struct dg_trace_lane *lane;

    open_world(&w, 3, 2, 2, 10000);
    lane = &w.trace->lanes[1];
    dg_trace_enter(lane);
    dg_trace_park(lane);
    dg_trace_woken(lane, now - 2000000);
    ck_assert_uint_ge(lane->events[0].wake_off, 2000000);
    dg_trace_woken(lane, now - 3000000);
    ck_assert_uint_ge(lane->events[0].wake_off, 5000000);
    dg_trace_tile(lane, 0);
    dg_trace_done(lane);
    ck_assert_uint_eq(lane->events[1].wake_off, 0);
    close_world(&w);
}
END_TEST

/* A step that may not fit is left out as a whole, and counted; later ones that fit are not kept. */
START_TEST(dropped)
{
    struct world w;
    size_t waits, need;

    open_world(&w, 3, 2, 2, 10000);
    waits = w.plan->graph->n_ops + (size_t)1;
    need = w.plan->n_tiles + 2 * waits;
    close_world(&w);

    open_world(&w, 3, 2, 2, need - 1);
    step(&w, 0, 1, DG_SCHED_DATAFLOW);
    ck_assert_uint_eq(w.trace->n_steps, 0);
    ck_assert_uint_eq(w.trace->dropped, w.plan->n_tiles);
    close_world(&w);

    open_world(&w, 3, 2, 2, need);
    step(&w, 0, 1, DG_SCHED_DATAFLOW);
    ck_assert_uint_eq(w.trace->n_steps, 1);
    close_world(&w);

    open_world(&w, 3, 1, 1, need - waits);
    step(&w, 0, 1, DG_SCHED_SERIAL);
    step(&w, 1, 1, DG_SCHED_SERIAL);
    ck_assert_uint_eq(w.trace->n_steps, 1);
    ck_assert_uint_eq(w.trace->dropped, w.plan->n_tiles);
    close_world(&w);
}
END_TEST

START_TEST(window)
{
    struct world w;

    open_world(&w, 3, 2, 2, 10000);
    dg_trace_window(w.trace, 4, 8);
    step(&w, 0, 0, DG_SCHED_DATAFLOW); /* a model is loaded: position 0 */
    step(&w, 0, 4, DG_SCHED_DATAFLOW);
    step(&w, 2, 3, DG_SCHED_DATAFLOW); /* 2 3 4 */
    step(&w, 7, 1, DG_SCHED_DATAFLOW);
    step(&w, 8, 1, DG_SCHED_DATAFLOW);
    ck_assert_uint_eq(w.trace->n_steps, 2);
    ck_assert_uint_eq(w.trace->steps[0].past, 2);
    ck_assert_uint_eq(w.trace->steps[1].past, 7);
    ck_assert_uint_eq(w.trace->dropped, 0);
    dg_trace_window(w.trace, 0, 1);
    step(&w, 0, 0, DG_SCHED_DATAFLOW);
    ck_assert_uint_eq(w.trace->n_steps, 3);
    close_world(&w);
}
END_TEST

/* One trace for a team at a time; the next one gets plans of its own. What a trace has of a plan
 * outlives it, costs included. */
START_TEST(lives)
{
    struct world w;
    struct dg_trace *other;
    const struct dg_op *op;
    struct dg_cost cost;

    open_world(&w, 4, 2, 2, 10000);
    ck_assert_int_eq(dg_trace_new(&other, w.team, 10, &w.err), DG_ERR_USAGE);
    step(&w, 0, 1, DG_SCHED_DATAFLOW);
    dg_trace_free(w.trace);
    step(&w, 0, 1, DG_SCHED_DATAFLOW);
    ck_assert_int_eq(dg_trace_new(&w.trace, w.team, 10000, &w.err), DG_OK);
    step(&w, 5, 3, DG_SCHED_DATAFLOW);
    ck_assert_uint_eq(w.trace->n_steps, 1);
    ck_assert_uint_eq(w.trace->n_plans, 1);
    ck_assert_uint_eq(w.trace->plans[0]->rows, 3);
    op = &w.plan->graph->ops[3];
    cost = op->type->cost(op, w.plan->tiles[w.plan->op_first[3]].out, 5);
    for (unsigned i = 0; i < 2; i++) {
        const struct dg_trace_plan *p = w.trace->plans[0];
        const struct dg_cost c = dg_trace_cost(p, p->n_tiles - 1, 5);

        ck_assert_uint_eq(c.flops, cost.flops);
        ck_assert_uint_eq(c.bytes, cost.bytes);
        ck_assert_str_eq(p->ops[3].name, "h1.op1");
        ck_assert_str_eq(p->ops[3].out, "h1.op1");
        if (i == 0) { /* and again when the plan is gone */
            dg_run_free(w.run);
            toy_free(&w.toys, w.plan);
            w.run = NULL;
        }
    }
    dg_trace_free(w.trace);
    dg_team_free(w.team);
}
END_TEST

/* A tile that sleeps is not on a CPU. */
START_TEST(off_cpu)
{
    struct world w;
    const struct dg_trace_event *e;

    open_world(&w, 1, 1, 1, 1000);
    sleeps_us = 4000;
    step(&w, 0, 1, DG_SCHED_SERIAL);
    e = w.trace->lanes[0].events;
    for (size_t i = 0; i < w.trace->lanes[0].n; i++) {
        ck_assert_uint_ge(e[i].tile_off, 3000 * 1000);
        ck_assert_uint_le(e[i].tile_off, e[i].end - e[i].start);
    }
    ck_assert_uint_lt(w.trace->visits[0].cpu_ns,
                      (w.trace->visits[0].leave - w.trace->visits[0].enter) / 2);
    close_world(&w);
}
END_TEST

/* ---- through the file ---- */

static char *write_text(struct dg_trace *trace, bool all_edges, size_t *n)
{
    const struct trace_facts facts = {.command = "test \"quoted\"\n\xff \xc3\xa9",
                                      .model = "toy",
                                      .workers = 4,
                                      .cpus = 3,
                                      .isa = "scalar",
                                      .sched = "dataflow",
                                      .weights = "f32",
                                      .cache = "bf16",
                                      .limits = {{1, 30.5, 200}, {3, 60.5, 500}},
                                      .n_limits = 2,
                                      .all_edges = all_edges};
    char *text = NULL;
    FILE *to = open_memstream(&text, n);

    ck_assert_ptr_nonnull(to);
    ck_assert(trace_write(to, trace, &facts, NULL));
    fclose(to);
    return text;
}

static struct trace_file *parse(const char *text, size_t n)
{
    struct trace_file *t;
    struct dg_error err = {0};

    ck_assert_msg(trace_file_parse(&t, "text", text, n, &err) == DG_OK, "%s", err.text);
    return t;
}

static void check_plan(const struct trace_plan *got, const struct dg_plan *p)
{
    ck_assert_uint_eq(got->n_tiles, p->n_tiles);
    ck_assert_uint_eq(got->n_joins, p->n_joins);
    ck_assert_uint_eq(got->n_ops, p->graph->n_ops);
    for (uint32_t i = 0; i < p->n_tiles; i++) {
        ck_assert_uint_eq(got->tiles[i].op, p->tiles[i].op);
        ck_assert_uint_eq(got->tiles[i].home, p->tiles[i].home);
        ck_assert_mem_eq(&got->tiles[i].box, &p->tiles[i].out, sizeof(struct dg_box));
    }
    for (uint32_t n = 0; n < p->n_nodes; n++) {
        ck_assert_uint_eq(got->waits[n], p->nodes[n].waits);
        ck_assert_uint_eq(got->first[n], p->nodes[n].first);
    }
    ck_assert_mem_eq(got->next, p->next, p->n_edges * sizeof *p->next);
}

START_TEST(written_and_read)
{
    struct world w;
    struct trace_file *t;
    uint64_t *starts, *ends;
    size_t n;
    char *text;

    open_world(&w, 5, 3, 3, 10000);
    loading_type = running_type;
    loading_type.loads = true;
    w.toys.g->ops[0].type = &loading_type;
    step(&w, 0, 0, DG_SCHED_DATAFLOW);
    step(&w, 2, 1, DG_SCHED_DATAFLOW);
    text = write_text(w.trace, false, &n);
    t = parse(text, n);
    ck_assert_str_eq(t->command, "test \"quoted\"\n\xef\xbf\xbd \xc3\xa9");
    ck_assert_str_eq(t->model, "toy");
    ck_assert(t->workers == 4 && t->awake == 3 && t->cpus == 3 && t->n_plans == 1);
    ck_assert(t->n_limits == 2 && trace_limits(t, 3).read_gbps == 60.5);
    ck_assert(trace_limits(t, 1).fma_gflops == 200 && trace_limits(t, 2).fma_gflops == 350);
    ck_assert(trace_limits(t, 2).workers == 2 && trace_limits(t, 2).read_gbps == 45.5);
    ck_assert(trace_limits(t, 8).workers == 3 && trace_limits(t, 8).fma_gflops == 500);
    ck_assert_uint_eq(t->n_steps, 2);
    ck_assert_str_eq(t->plans[0].ops[1].type, "toy");
    ck_assert(t->plans[0].ops[0].loads && !t->plans[0].ops[1].loads && !t->plans[0].loads);
    check_plan(&t->plans[0], w.plan);
    starts = calloc(w.plan->n_tiles, sizeof *starts);
    ends = calloc(w.plan->n_tiles, sizeof *ends);
    collect(&w, 1, starts, ends);
    for (uint32_t i = 0; i < w.plan->n_tiles; i++) {
        ck_assert_uint_eq(t->steps[1].runs[i].start, starts[i] - w.trace->start);
        ck_assert_uint_eq(t->steps[1].runs[i].end, ends[i] - w.trace->start);
        ck_assert_uint_eq(t->steps[1].runs[i].flops, dg_tile_cost(w.plan, i, 2).flops);
    }
    for (unsigned k = 0; k < 3; k++)
        ck_assert_uint_eq(t->steps[1].visits[k].enter,
                          w.trace->visits[3 + k].enter - w.trace->start);
    trace_file_free(t);
    free(text);
    free(starts);
    free(ends);
    close_world(&w);
}
END_TEST

static size_t count_of(const char *text, const char *what)
{
    size_t n = 0;

    for (const char *at = text; (at = strstr(at, what)); at += strlen(what))
        n++;
    return n;
}

/* Arrows: one to each tile that waits for another, or one for each pair. */
START_TEST(arrows)
{
    struct world w;
    size_t n, pairs = 0, waiting = 0;
    char *text;

    open_world(&w, 5, 2, 2, 10000);
    step(&w, 0, 1, DG_SCHED_DATAFLOW);
    for (uint32_t t = 0; t < w.plan->n_tiles; t++) {
        waiting += w.plan->nodes[t].waits > 0;
        for (uint32_t i = 0; i < w.plan->nodes[t].n_next; i++) {
            const uint32_t to = w.plan->next[w.plan->nodes[t].first + i];

            pairs += to < w.plan->n_tiles ? 1 : w.plan->nodes[to].n_next;
        }
    }
    for (int all = 0; all < 2; all++) {
        text = write_text(w.trace, all, &n);
        ck_assert_uint_eq(count_of(text, "\"ph\": \"s\""), all ? pairs : waiting);
        ck_assert_uint_eq(count_of(text, "\"ph\": \"f\""), all ? pairs : waiting);
        free(text);
    }
    ck_assert_uint_gt(pairs, waiting);
    close_world(&w);
}
END_TEST

/* Ends that a reader adds up in doubles: no slice passes the next of its lane, or the end of its step,
 * also after a day of recording. */
START_TEST(ends_in_doubles)
{
    static const uint64_t later[] = {0, 1234567891, (uint64_t)1e14};
    struct world w;
    size_t n;

    for (unsigned i = 0; i < 3; i++) {
        double step_end = 0, at = 0;
        char *text;

        open_world(&w, 7, 1, 1, 10000);
        for (unsigned k = 0; k < 20; k++)
            step(&w, k, 1, DG_SCHED_DATAFLOW);
        w.trace->start -= later[i];
        text = write_text(w.trace, false, &n);
        for (const char *line = strstr(text, "\"cat\": \""); line;
             line = strstr(line + 1, "\"cat\": \"")) {
            const char *ts = strstr(line, "\"ts\": "), *dur = strstr(line, "\"dur\": ");
            double start, end;

            if (!strncmp(line, "\"cat\": \"edge", 12))
                continue;
            start = strtod(ts + 6, NULL);
            end = start + strtod(dur + 7, NULL);
            if (strncmp(line, "\"cat\": \"step", 12) == 0) {
                ck_assert(start >= step_end && start >= at);
                step_end = end;
            } else {
                ck_assert(start >= at && end <= step_end);
            }
            at = strncmp(line, "\"cat\": \"step", 12) ? end : start;
        }
        ck_assert(at > 0);
        free(text);
        close_world(&w);
    }
}
END_TEST

/* ---- traces made by hand ---- */

/* Two workers; tile 0, then 1 and 2, then 3, through `end`. Times in us:
 *   worker 0: 0 [0,10] 1 [11,41]  queue [10,11]  3 [42,52] queue [41,42]
 *   worker 1: spinning [1,11] 2 [12,20] queue [11,12]  spinning [20,30] parked [30,52] */
static const char by_hand[] =
    "{\"dagpt\": {\"version\": 2, \"program\": \"dagpt\", \"command\": \"c\", \"model\": "
    "{\"name\": \"m\"},\n"
    "\"machine\": {\"cpus\": 2, \"isa\": \"scalar\", \"limits\": []},\n"
    "\"workers\": 2, \"awake\": 2, \"sched\": \"dataflow\", \"overhead_ns\": 50, \"dropped\": 0,\n"
    "\"plans\": [{\"rows\": 1, \"ops\": [\n"
    "{\"name\": \"a\", \"type\": \"x\", \"layer\": -1, \"out\": \"a\", \"rows\": 1, \"cols\": 1},\n"
    "{\"name\": \"h0.b\", \"type\": \"y\", \"layer\": 0, \"out\": \"b\", \"rows\": 1, \"cols\": "
    "2},\n"
    "{\"name\": \"h1.b\", \"type\": \"y\", \"layer\": 1, \"out\": \"c\", \"rows\": 1, \"cols\": "
    "1}],\n"
    "\"tiles\": [[0, 0, 1, 0, 1, 0], [1, 0, 1, 0, 1, 0], [1, 0, 1, 1, 2, 1], [2, 0, 1, 0, 1, 0]],\n"
    "\"joins\": 1, \"next\": [[1, 2], [3], [3], [4], []]}],\n"
    "\"steps\": [{\"plan\": 0, \"past\": 0, \"rows\": 1, \"start\": 0, \"end\": 54.000}]},\n"
    "\"traceEvents\": [\n"
    "{\"ph\": \"M\", \"pid\": 1, \"name\": \"process_name\", \"args\": {\"name\": \"dagpt\"}},\n"
    "{\"ph\": \"X\", \"tid\": 0, \"cat\": \"step\", \"name\": \"step 0\", \"ts\": 0, \"dur\": 53, "
    "\"args\": "
    "{\"step\": 0, \"cpu\": 50, \"preemptions\": 2}},\n"
    "{\"ph\": \"X\", \"tid\": 1, \"cat\": \"step\", \"name\": \"step 0\", \"ts\": 1, \"dur\": 51, "
    "\"args\": "
    "{\"step\": 0, \"cpu\": 28, \"preemptions\": 0}},\n"
    "{\"ph\": \"X\", \"tid\": 0, \"cat\": \"tile\", \"name\": \"a\", \"ts\": 0, \"dur\": 10, "
    "\"args\": "
    "{\"step\": 0, \"tile\": 0, \"ready\": 0, \"last\": null, \"bytes\": 100, \"flops\": 10}},\n"
    "{\"ph\": \"X\", \"tid\": 0, \"cat\": \"wait\", \"name\": \"queue\", \"ts\": 10, \"dur\": 1, "
    "\"args\": "
    "{\"step\": 0}},\n"
    "{\"ph\": \"X\", \"tid\": 0, \"cat\": \"tile\", \"name\": \"h0.b\", \"ts\": 11, \"dur\": 30, "
    "\"args\": "
    "{\"step\": 0, \"tile\": 1, \"ready\": 10, \"last\": 0, \"bytes\": 100, \"flops\": 60, "
    "\"preempted\": 5}},\n"
    "{\"ph\": \"X\", \"tid\": 0, \"cat\": \"wait\", \"name\": \"queue\", \"ts\": 41, \"dur\": 1, "
    "\"args\": "
    "{\"step\": 0}},\n"
    "{\"ph\": \"X\", \"tid\": 0, \"cat\": \"tile\", \"name\": \"h1.b\", \"ts\": 42, \"dur\": 10, "
    "\"args\": "
    "{\"step\": 0, \"tile\": 3, \"ready\": 41, \"last\": 1, \"bytes\": 100, \"flops\": 10}},\n"
    "{\"ph\": \"X\", \"tid\": 1, \"cat\": \"wait\", \"name\": \"spinning\", \"ts\": 1, \"dur\": "
    "11, \"args\": "
    "{\"step\": 0}},\n"
    "{\"ph\": \"X\", \"tid\": 1, \"cat\": \"tile\", \"name\": \"h0.b\", \"ts\": 12, \"dur\": 8, "
    "\"args\": "
    "{\"step\": 0, \"tile\": 2, \"ready\": 10, \"last\": 0, \"bytes\": 100, \"flops\": 10}},\n"
    "{\"ph\": \"X\", \"tid\": 1, \"cat\": \"wait\", \"name\": \"spinning\", \"ts\": 20, \"dur\": "
    "10, \"args\": "
    "{\"step\": 0}},\n"
    "{\"ph\": \"X\", \"tid\": 1, \"cat\": \"wait\", \"name\": \"parked\", \"ts\": 30, \"dur\": 22, "
    "\"args\": "
    "{\"step\": 0}}\n"
    "]}\n";

/* The text with the first `from` replaced. */
static char *change(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    char *out = malloc(strlen(text) + strlen(to) + 1);

    ck_assert_msg(at, "'%s' is not in the text", from);
    ck_assert_ptr_nonnull(out);
    memcpy(out, text, (size_t)(at - text));
    strcpy(out + (at - text), to);
    strcat(out, at + strlen(from));
    return out;
}

START_TEST(summary)
{
    struct trace_file *t = parse(by_hand, strlen(by_hand));
    struct trace_summary s;

    ck_assert(trace_summarize(&s, t));
    ck_assert(s.steps == 1 && s.tiles == 4 && s.rows == 1 && s.load_steps == 0);
    ck_assert_uint_eq(s.wall, 54000);
    ck_assert_uint_eq(s.work, 10000 + 25000 + 8000 + 10000); /* tile 1 less its preemption */
    ck_assert_uint_eq(s.span, 10000 + 25000 + 10000);
    ck_assert_uint_eq(s.path_tiles, 3);
    ck_assert_uint_eq(s.scheduler, 2000);
    ck_assert_uint_eq(s.workers[0].busy, 45000);
    ck_assert_uint_eq(s.workers[0].queue, 2000);
    ck_assert_uint_eq(s.workers[0].preempted, 5000);
    ck_assert_uint_eq(s.workers[0].outside, 2000);
    ck_assert_uint_eq(s.workers[0].preemptions, 2);
    ck_assert_uint_eq(s.workers[1].busy, 8000);
    ck_assert_uint_eq(s.workers[1].spinning, 21000);
    ck_assert_uint_eq(s.workers[1].parked, 22000);
    ck_assert_uint_eq(s.workers[1].outside, 3000);
    ck_assert_uint_eq(s.n_groups, 2);
    ck_assert_str_eq(s.groups[0].name, "b"); /* of both layers */
    ck_assert_str_eq(s.groups[0].type, "y");
    ck_assert(s.groups[0].tiles == 3 && s.groups[0].total == 43000 && s.groups[0].least == 8000 &&
              s.groups[0].most == 25000 && s.groups[0].bytes == 300 && s.groups[0].flops == 80 &&
              s.groups[0].path == 35000 && s.groups[0].path_tiles == 2);
    trace_summary_free(&s);
    trace_file_free(t);
}
END_TEST

START_TEST(gaps)
{
    struct trace_file *t = parse(by_hand, strlen(by_hand));
    struct trace_summary s;

    ck_assert(trace_summarize(&s, t));
    ck_assert_uint_eq(s.n_gaps, 8);
    /* From 20 to 52 worker 1 waits for the end of the step: tile 3 ends it, but 1 took most. */
    ck_assert(s.gaps[0].worker == 1 && s.gaps[0].start == 20000 && s.gaps[0].end == 52000);
    ck_assert(s.gaps[0].spinning == 10000 && s.gaps[0].parked == 22000 && s.gaps[0].queue == 0);
    ck_assert(s.gaps[0].reason == TRACE_NOTHING && s.gaps[0].tile == 1 && s.gaps[0].late == 0);
    /* From 1 to 12 it waits for tile 0, and starts 2 after its end. */
    ck_assert(s.gaps[1].worker == 1 && s.gaps[1].reason == TRACE_WAITED && s.gaps[1].tile == 0);
    ck_assert_uint_eq(s.gaps[1].late, 2000);
    /* It leaves the step 2 before its end. */
    ck_assert(s.gaps[2].worker == 1 && s.gaps[2].reason == TRACE_OUTSIDE);
    ck_assert(s.gaps[2].start == 52000 && s.gaps[2].end == 54000);
    ck_assert(s.gaps[3].worker == 0 && s.gaps[3].queue == 1000);
    ck_assert(s.gaps[3].reason == TRACE_LATE);
    ck_assert_uint_eq(s.idle[TRACE_WAITED], 9000);
    ck_assert_uint_eq(s.idle[TRACE_LATE], 2000 + 2000);
    ck_assert_uint_eq(s.idle[TRACE_NOTHING], 32000 + 1000);
    ck_assert_uint_eq(s.idle[TRACE_OUTSIDE], 1000 + 1000 + 2000);
    trace_summary_free(&s);
    trace_file_free(t);
}
END_TEST

/* The first gap of worker 1, with other facts. */
static struct trace_gap gap_with(const char *from, const char *to)
{
    char *text = change(by_hand, from, to);
    struct trace_file *t = parse(text, strlen(text));
    struct trace_summary s;
    struct trace_gap found = {.reason = TRACE_N_REASONS};

    ck_assert(trace_summarize(&s, t));
    for (size_t i = 0; i < s.n_gaps; i++)
        if (s.gaps[i].worker == 1 && s.gaps[i].start == 1000)
            found = s.gaps[i];
    trace_summary_free(&s);
    trace_file_free(t);
    free(text);
    return found;
}

static enum trace_reason reason_with(const char *from, const char *to)
{
    return gap_with(from, to).reason;
}

START_TEST(reasons)
{
    ck_assert_int_eq(reason_with("", ""), TRACE_WAITED);
    ck_assert_int_eq(reason_with("\"sched\": \"dataflow\"", "\"sched\": \"barrier\""),
                     TRACE_WAITED);
    ck_assert_int_eq(reason_with("\"dur\": 11, \"args\": {\"step\": 0}",
                                 "\"dur\": 11, \"args\": {\"step\": 0, \"preempted\": 6}"),
                     TRACE_PREEMPTED);
    ck_assert_int_eq(reason_with("\"tile\": 2, \"ready\": 10, \"last\": 0",
                                 "\"tile\": 2, \"ready\": 1, \"last\": null"),
                     TRACE_LATE);
    ck_assert_int_eq(reason_with("\"tile\": 2, \"ready\": 10, \"last\": 0",
                                 "\"tile\": 2, \"ready\": 11, \"last\": null"),
                     TRACE_WAITED);
}
END_TEST

/* Who is asleep, and woken, waits for a CPU and for no tile. */
START_TEST(woken_without_a_cpu)
{
    const char *const asleep = "\"spinning\", \"ts\": 1, \"dur\": 11, \"args\": {\"step\": 0}";
    const struct trace_gap awake =
        gap_with("\"dur\": 11, \"args\": {\"step\": 0}",
                 "\"dur\": 11, \"args\": {\"step\": 0, \"preempted\": 6}");
    const struct trace_gap gap = gap_with(
        asleep, "\"parked\", \"ts\": 1, \"dur\": 11, \"args\": {\"step\": 0, \"preempted\": 6}");

    ck_assert(awake.preempted == 6000 && awake.woken == 0 && awake.spinning == 5000);
    ck_assert(gap.preempted == 6000 && gap.woken == 6000 && gap.parked == 5000);
    ck_assert_int_eq(gap.reason, TRACE_PREEMPTED);
}
END_TEST

/* Each group is found by its name and type, also among many; a tile's place is its number in its op. */
START_TEST(groups)
{
    struct trace_file *t = parse(by_hand, strlen(by_hand));
    const struct trace_group *g;
    struct trace_summary s;

    ck_assert(trace_summarize(&s, t));
    g = trace_group_find(&s, "b", "y");
    ck_assert(g == &s.groups[0] && s.group_of[0][1] == 0 && s.group_of[0][2] == 0);
    ck_assert(trace_group_find(&s, "a", "x") == &s.groups[1] && s.group_of[0][0] == 1);
    ck_assert(!trace_group_find(&s, "a", "y") && !trace_group_find(&s, "", ""));
    ck_assert(trace_of_limits(t, g).read == 0 && !trace_beyond_limits(&s, t));
    t->n_limits = 1;
    t->limits[0] =
        (struct limits){2, 20, 0.004}; /* a worker's share: 10 bytes/ns, 0.002 flops/ns */
    ck_assert(fabs(trace_of_limits(t, g).read - 300 / 43000.0 / 10) < 1e-12);
    ck_assert(fabs(trace_of_limits(t, g).fma - 80 / 43000.0 / 0.002) < 1e-12); /* 93 % */
    ck_assert(!trace_beyond_limits(&s, t));
    t->limits[0].fma_gflops = 0.003;
    ck_assert(trace_beyond_limits(&s, t) == g);
    for (uint32_t i = 0; i < 4; i++)
        ck_assert_uint_eq(trace_place(&t->plans[0], i), i == 2);
    trace_summary_free(&s);
    trace_file_free(t);
}
END_TEST

START_TEST(path)
{
    struct trace_file *t = parse(by_hand, strlen(by_hand));
    struct trace_path p;

    ck_assert(trace_path_find(&p, &t->plans[0], t->steps[0].runs));
    ck_assert_uint_eq(p.span, 45000);
    ck_assert_uint_eq(p.n, 3);
    ck_assert(p.tiles[0] == 0 && p.tiles[1] == 1 && p.tiles[2] == 3);
    ck_assert(p.slack[0] == 0 && p.slack[1] == 0 && p.slack[2] == 17000 && p.slack[3] == 0);
    trace_path_free(&p);
    trace_file_free(t);
}
END_TEST

/* by_hand with these members in its first op, and in the two others; does its plan load? */
static void check_loads(const char *first, const char *others, bool of_plan)
{
    static const char *const layers[] = {"\"layer\": -1", "\"layer\": 0", "\"layer\": 1"};
    char *text = change(by_hand, "", "");
    struct trace_file *t;
    struct trace_summary s;

    for (int i = 0; i < 3; i++) {
        char members[64], *before = text;

        snprintf(members, sizeof members, "%s%s", i ? others : first, layers[i]);
        text = change(before, layers[i], members);
        free(before);
    }
    t = parse(text, strlen(text));
    ck_assert_int_eq(t->plans[0].ops[0].loads, strstr(first, "true") != NULL);
    ck_assert_int_eq(t->plans[0].ops[1].loads, strstr(others, "true") != NULL);
    ck_assert_int_eq(t->plans[0].loads, of_plan);
    ck_assert(trace_summarize(&s, t));
    ck_assert_uint_eq(s.load_steps, of_plan);
    trace_summary_free(&s);
    trace_file_free(t);
    free(text);
}

/* A plan loads when all its ops do; what these are called says nothing. */
START_TEST(loads)
{
    check_loads("", "", false);
    check_loads("\"type\": \"load\", ", "\"type\": \"load\", ", false);
    check_loads("\"loads\": true, ", "", false);
    check_loads("\"loads\": true, ", "\"loads\": false, ", false);
    check_loads("\"loads\": true, ", "\"loads\": true, ", true);
}
END_TEST

/* Version 1: the type was in "op", and those of type "load" load; also with the version behind. */
START_TEST(version_1)
{
    char *one = change(by_hand, "\"version\": 2, ", ""),
         *two = change(one, "\"awake\": 2", "\"awake\": 2, \"version\": 1"),
         *three = change(two, "\"type\": \"x\"", "\"op\": \"load\", \"type\": \"z\""),
         *all = change(three, "\"type\": \"y\"", "\"op\": \"y\"");
    struct trace_file *t = parse(all, strlen(all));

    ck_assert_str_eq(t->plans[0].ops[0].type, "load");
    ck_assert_str_eq(t->plans[0].ops[1].type, "y");
    ck_assert(t->plans[0].ops[0].loads && !t->plans[0].ops[1].loads && !t->plans[0].loads);
    trace_file_free(t);
    free(one);
    free(two);
    free(three);
    free(all);
}
END_TEST

/* ---- files that are not traces ---- */

static void check_refused(const char *text, size_t n, const char *expected)
{
    struct trace_file *t;
    struct dg_error err = {0};

    ck_assert_msg(trace_file_parse(&t, "text", text, n, &err) == DG_ERR_MODEL, "accepted: %s",
                  expected);
    ck_assert_msg(strstr(err.text, expected), "got '%s', expected '%s'", err.text, expected);
    ck_assert_msg(!strncmp(err.text, "text: ", 6), "got '%s'", err.text);
}

START_TEST(foreign)
{
    static const char *const texts[][2] = {
        {"", "an object"},
        {"[]", "an object"},
        {"[{\"ph\": \"X\"}]", "an object"},
        {"{}", "no \"dagpt\" in it"},
        {"{\"traceEvents\": []}", "no \"dagpt\" in it"},
        {"{\"dagpt\": {}}", "no \"traceEvents\" in it"},
        {"{\"dagpt\": {}, \"traceEvents\": []}", "version 1"},
        {"{\"dagpt\": 7, \"traceEvents\": []}", "an object"},
        {"{\"dagpt\": {\"version\": 1, \"awake\": 0}, \"traceEvents\": []}", "at least one worker"},
    };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        check_refused(texts[i][0], strlen(texts[i][0]), texts[i][1]);
}
END_TEST

#define LIMIT(n) "{\"workers\": " #n ", \"read_gbps\": 7.5, \"fma_gflops\": 100}"
#define LIMITS_OF_1_TO_8                                                                           \
    LIMIT(1)                                                                                       \
    "," LIMIT(2) "," LIMIT(3) "," LIMIT(4) "," LIMIT(5) "," LIMIT(6) "," LIMIT(7) "," LIMIT(8)
#define LIMITS_OF_9_TO_16                                                                          \
    LIMIT(9)                                                                                       \
    "," LIMIT(10) "," LIMIT(11) "," LIMIT(12) "," LIMIT(13) "," LIMIT(14) "," LIMIT(15) "," LIMIT( \
        16)

#define NAME_OF_64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

START_TEST(damaged)
{
    static const char *const changes[][3] = {
        {"\"version\": 2", "\"version\": 3", "version 1 or 2"},
        {"\"awake\": 2", "\"awake\": 257", "whole number in its range"},
        {"\"awake\": 2", "\"awake\": 1.5", "whole number"},
        {"\"awake\": 2", "\"awake\": \"2\"", "a number"},
        {"\"awake\": 2", "\"awake\": 1", "a step and a worker of this trace"},
        {"\"limits\": []", "\"limits\": [{\"workers\": 1, \"read_gbps\": 0}]", "a rate from"},
        {"\"limits\": []", "\"limits\": [{\"workers\": 1, \"fma_gflops\": 2e9}]", "a rate from"},
        {"\"limits\": []", "\"limits\": [{\"workers\": 257}]", "whole number in its range"},
        {"\"limits\": []", "\"limits\": [" LIMIT(2) ", " LIMIT(2) "]", "limits of more and"},
        {"\"limits\": []", "\"limits\": [" LIMIT(2) ", " LIMIT(1) "]", "limits of more and"},
        {"\"limits\": []", "\"limits\": [" LIMITS_OF_1_TO_8 "," LIMITS_OF_9_TO_16 "," LIMIT(17) "]",
         "limits of more and"},
        {"\"limits\": []", "\"limits\": [{\"workers\": 1, \"read_gbps\": 1}]",
         "limits of more and"},
        {"\"limits\": []", "\"limits\": [{\"read_gbps\": 1, \"fma_gflops\": 1}]",
         "limits of more and"},
        {"\"name\": \"a\"", "\"name\": \"" NAME_OF_64 "\"", "name of at most 63 bytes"},
        {"[0, 0, 1, 0, 1, 0]", "[7, 0, 1, 0, 1, 0]", "op is not one"},
        {"[0, 0, 1, 0, 1, 0]", "[0, 1, 1, 0, 1, 0]", "box is empty"},
        {"[0, 0, 1, 0, 1, 0]", "[0, 0, 1, 0, 1]", "six numbers"},
        {"[0, 0, 1, 0, 1, 0]", "[0, 0, 1, 0, 1, 0, 0]", "six numbers"},
        {"[0, 0, 1, 0, 1, 0]", "[0, 0, 1e300, 0, 1, 0]", "whole number"},
        {"\"joins\": 1", "\"joins\": 2", "one list for each"},
        {"\"joins\": 1", "\"joins\": 4294967295", "whole number"},
        {"[1, 2], [3], [3], [4], []", "[1, 2], [3], [3], [9], []", "leads to no node"},
        {"[1, 2], [3], [3], [4], []", "[1, 2], [0], [3], [4], []", "leads back"},
        {"[1, 2], [3], [3], [4], []", "[1, 2], [1], [3], [4], []", "leads back"},
        {"[1, 2], [3], [3], [4], []", "[4], [4], [4], [4], [1]", "leads back"},
        {"[1, 2], [3], [3], [4], []", "[4], [3], [3], [], [1]", "last join leads on"},
        {"[1, 2], [3], [3], [4], []", "[1, 2], [3], [3], [], []", "no input"},
        {"{\"plan\": 0", "{\"plan\": 3", "plan 3 of 1"},
        {"\"end\": 54.000", "\"end\": -1", "a time from 0"},
        {"\"start\": 0, \"end\": 54.000", "\"start\": 60, \"end\": 54", "order of time"},
        {"\"tile\": 3", "\"tile\": 4", "a tile of its plan"},
        {"\"tile\": 3", "\"tile\": 2", "each tile once"},
        {"\"ready\": 41, \"last\": 1", "\"ready\": 43, \"last\": 1", "ready in its step"},
        {"\"ready\": 41, \"last\": 1", "\"ready\": 41, \"last\": 3", "a tile after the last"},
        {"\"tid\": 1, \"cat\": \"tile\"", "\"tid\": 0, \"cat\": \"tile\"", "overlap"},
        {"\"ts\": 30, \"dur\": 22", "\"ts\": 30, \"dur\": 23", "overlap or leave"},
        {"\"preempted\": 5", "\"preempted\": 31", "preempted for less"},
        {"\"name\": \"parked\"", "\"name\": \"asleep\"", "spinning, parked or queue"},
        {"\"cat\": \"tile\", \"name\": \"h1.b\"", "\"cat\": \"other\"", "tile 3 has no slice"},
        {"\"ts\": 30", "\"ts\": \"30\"", "a number"},
        {"]}\n", "]}\n}", "end of the file"},
    };

    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        char *text = change(by_hand, changes[i][0], changes[i][1]);

        check_refused(text, strlen(text), changes[i][2]);
        free(text);
    }
}
END_TEST

/* A short file cannot claim many tiles: a thousand steps of a plan, and no slices. */
START_TEST(absurd)
{
    char *text = malloc(1 << 16), *at = text;
    struct trace_file *t;
    struct dg_error err = {0};

    ck_assert_ptr_nonnull(text);
    at += sprintf(at,
                  "{\"dagpt\": {\"version\": 2, \"workers\": 256, \"awake\": 256, \"plans\": [{"
                  "\"joins\": 1, \"ops\": [{}], \"tiles\": [[0,0,1,0,1,0]], \"next\": [[1],[]]}], "
                  "\"steps\": [{}");
    for (int i = 1; i < 1000; i++)
        at += sprintf(at, ",{}");
    sprintf(at, "]}, \"traceEvents\": []}");
    ck_assert_int_eq(trace_file_parse(&t, "text", text, strlen(text), &err), DG_ERR_MODEL);
    ck_assert_msg(strstr(err.text, "more tiles than the file can have"), "%s", err.text);
    free(text);
}
END_TEST

/* Any order of keys, and the two parts in either order. */
START_TEST(other_order)
{
    const char *comma = strstr(by_hand, ",\n\"traceEvents\"");
    char *text = malloc(sizeof by_hand + 8);
    struct trace_file *t;

    sprintf(text, "{%.*s,%.*s}", (int)(strlen(comma) - 3), comma + 1, (int)(comma - by_hand - 1),
            by_hand + 1);
    t = parse(text, strlen(text));
    ck_assert(t->n_steps == 1 && t->n_slices == 9);
    trace_file_free(t);
    free(text);
}
END_TEST

static void replay_all(const struct trace_file *t)
{
    struct replay_costs costs;
    uint64_t ns;

    ck_assert(replay_costs(&costs, t));
    for (unsigned workers = 1; workers <= DG_MAX_WORKERS; workers = 8 * workers + workers / 2)
        ck_assert(replay(&ns, t, workers, workers > 8, &costs));
}

/* A trace with a byte changed, cut short, or doubled in parts is read or refused, never more. */
START_TEST(mutations)
{
    const unsigned rounds = sanitized() ? 3000 : 20000;
    char *whole = change(by_hand, "\"limits\": []", "\"limits\": [" LIMITS_OF_1_TO_8 "]");
    const size_t length = strlen(whole);
    uint64_t state = 5;
    unsigned refused = 0;

    for (unsigned i = 0; i < rounds; i++) {
        char *text = malloc(2 * length);
        size_t n = length;
        struct trace_file *t = NULL;
        struct dg_error err = {0};
        struct trace_summary s;
        enum dg_status st;

        memcpy(text, whole, n);
        for (unsigned k = random_below(&state, 4); k > 0; k--)
            text[random_below(&state, (uint32_t)n)] =
                "0123456789-.,:[]{}\"e"[random_below(&state, 20)];
        if (i % 5 == 0)
            n = random_below(&state, (uint32_t)n);
        if (i % 7 == 0) {
            const size_t from = random_below(&state, (uint32_t)length / 2), many = length / 3;

            memmove(text + from + many, text + from, n > from ? n - from : 0);
            n += n > from ? many : 0;
        }
        text = realloc(text, n + (n == 0)); /* so that AddressSanitizer sees a read beyond it */
        st = trace_file_parse(&t, "text", text, n, &err);
        ck_assert(st == DG_OK || st == DG_ERR_MODEL);
        refused += st != DG_OK;
        if (st == DG_OK) {
            ck_assert(trace_summarize(&s, t));
            trace_summary_free(&s);
            replay_all(t);
            trace_file_free(t);
        }
        free(text);
    }
    free(whole);
    ck_assert(refused > rounds / 4 && refused < rounds);
}
END_TEST

/* ---- replay ---- */

/* A plan of one row of tiles for each op; chained: tile i of an op waits for tile i of the one
 * before; else for all of them. Every tile takes `takes` ns. */
struct layers {
    struct trace_plan p;
    struct trace_op ops[8];
    struct trace_tile tiles[64];
    uint32_t first[80], next[300], waits[80];
    struct trace_run runs[64];
};

static void make_layers(struct layers *l, uint32_t ops, uint32_t across, bool chained,
                        uint64_t takes)
{
    struct trace_plan *p = &l->p;
    uint32_t edges = 0;

    memset(l, 0, sizeof *l);
    *p = (struct trace_plan){.rows = 1, .n_ops = ops, .n_tiles = ops * across, .n_joins = 1};
    p->n_nodes = p->n_tiles + 1;
    p->ops = l->ops;
    p->tiles = l->tiles;
    p->first = l->first;
    p->next = l->next;
    p->waits = l->waits;
    for (uint32_t t = 0; t < p->n_tiles; t++) {
        const uint32_t op = t / across, i = t % across;

        p->tiles[t] = (struct trace_tile){op, 0, {0, 1, i, i + 1}};
        l->runs[t] = (struct trace_run){.start = 0, .end = takes};
        for (uint32_t k = 0; op + 1 < ops && k < across; k++)
            if (!chained || k == i)
                p->next[edges++] = (op + 1) * across + k;
        if (op + 1 == ops)
            p->next[edges++] = p->n_tiles;
        p->first[t + 1] = edges;
    }
    p->first[p->n_nodes] = edges;
    for (uint32_t i = 0; i < edges; i++)
        p->waits[p->next[i]]++;
}

static uint64_t replayed(const struct layers *l, unsigned workers, bool barrier,
                         const struct replay_costs *costs)
{
    uint64_t ns = 0;

    ck_assert(replay_step(&ns, &l->p, l->runs, workers, barrier, costs));
    return ns;
}

START_TEST(replay_without_costs)
{
    const struct replay_costs free_of_cost = {.spin = 50000};
    struct layers l;

    make_layers(&l, 1, 8, false, 10);
    for (int b = 0; b < 2; b++) {
        ck_assert_uint_eq(replayed(&l, 1, b, &free_of_cost), 80);
        ck_assert_uint_eq(replayed(&l, 2, b, &free_of_cost), 40);
        ck_assert_uint_eq(replayed(&l, 3, b, &free_of_cost), 30);
        ck_assert_uint_eq(replayed(&l, 8, b, &free_of_cost), 10);
        ck_assert_uint_eq(replayed(&l, 256, b, &free_of_cost), 10);
    }
    make_layers(&l, 5, 1, false, 10); /* a chain gains nothing */
    ck_assert_uint_eq(replayed(&l, 1, false, &free_of_cost), 50);
    ck_assert_uint_eq(replayed(&l, 4, false, &free_of_cost), 50);
    ck_assert_uint_eq(replayed(&l, 4, true, &free_of_cost), 50);
    make_layers(&l, 4, 4, true, 10);
    l.runs[0].end = 50; /* chains of 80, 40, 40 and 40 */
    ck_assert_uint_eq(replayed(&l, 1, false, &free_of_cost), 200);
    ck_assert_uint_eq(replayed(&l, 4, false, &free_of_cost), 80);
    ck_assert_uint_eq(replayed(&l, 4, true, &free_of_cost), 80);
    l.runs[5].end = 50; /* 80 and 80 side by side; with barriers 50 + 50 + 10 + 10 */
    ck_assert_uint_eq(replayed(&l, 4, false, &free_of_cost), 80);
    ck_assert_uint_eq(replayed(&l, 4, true, &free_of_cost), 120);
    make_layers(&l, 3, 4, false, 10); /* dense: every level ends before the next begins */
    ck_assert_uint_eq(replayed(&l, 2, false, &free_of_cost), 60);
    ck_assert_uint_eq(replayed(&l, 2, true, &free_of_cost), 60);
}
END_TEST

START_TEST(replay_with_costs)
{
    struct replay_costs c = {.handoff = 1, .spin = 1000};
    struct layers l;

    make_layers(&l, 3, 1, false, 10); /* two hand-offs between three tiles */
    ck_assert_uint_eq(replayed(&l, 1, false, &c), 32);
    ck_assert_uint_eq(replayed(&l, 1, true, &c), 32);
    c.leave = 5;
    ck_assert_uint_eq(replayed(&l, 1, false, &c), 37);
    c = (struct replay_costs){.enter = 7, .spin = 1000};
    make_layers(&l, 1, 2, false, 10); /* the second tile waits for worker 1 */
    ck_assert_uint_eq(replayed(&l, 2, false, &c), 17);
    ck_assert_uint_eq(replayed(&l, 2, true, &c), 17);
    c = (struct replay_costs){.find = 3, .wake = 40, .spin = 1000};
    make_layers(&l, 2, 2, false, 10);
    l.runs[1].end = 0;
    l.runs[0].end = 100; /* worker 1 polls until 100, then finds its tile */
    ck_assert_uint_eq(replayed(&l, 2, false, &c), 113);
    ck_assert_uint_eq(replayed(&l, 2, true, &c), 113);
    c.spin = 50; /* it is asleep by then: worker 0 takes both before it has woken up */
    ck_assert_uint_eq(replayed(&l, 2, false, &c), 120);
    l.runs[2].end = l.runs[3].end = 100;
    ck_assert_uint_eq(replayed(&l, 2, false, &c), 240);
    ck_assert_uint_eq(replayed(&l, 2, true, &c), 240);
}
END_TEST

/* A worker takes what is at home first: of five tiles, the first three are worker 0's, and the long
 * last one worker 1's. Drawn in order, it comes last. */
START_TEST(replay_homes)
{
    const struct replay_costs c = {.spin = 50000};
    struct layers l;

    make_layers(&l, 1, 5, false, 10);
    l.runs[4].end = 90;
    ck_assert_uint_eq(replayed(&l, 2, false, &c), 100); /* 0 1 2 | 3 4 */
    ck_assert_uint_eq(replayed(&l, 2, true, &c), 110);  /* 0 2 4 | 1 3 */
}
END_TEST

/* Tiles that load come last: the long one of four, though it stands first, begins when both that compute
 * have run. */
START_TEST(replay_loads_last)
{
    const struct replay_costs c = {.spin = 50000};
    struct layers l;

    make_layers(&l, 1, 4, false, 10);
    l.p.n_ops = 2;
    l.tiles[2].op = l.tiles[3].op = 1;
    l.runs[0].end = 90;
    ck_assert_uint_eq(replayed(&l, 2, false, &c), 90); /* 0 | 1 3 2 */
    l.ops[0].loads = true;
    ck_assert_uint_eq(replayed(&l, 2, false, &c), 100); /* 2 0 | 3 1 */
}
END_TEST

/* Of two tiles that it makes ready, a worker keeps the one whose home it is, and runs it at once; the
 * other worker finds the other one. */
START_TEST(replay_keeps_own)
{
    const struct replay_costs c = {.find = 5, .spin = 50000};
    struct layers l;

    make_layers(&l, 2, 2, true, 10);
    l.tiles[1].op = 1; /* 0 leads to 3 and 2, whose homes are 1 and 0 ... */
    l.tiles[2].op = l.tiles[3].op = 2;
    l.p.n_ops = 3;
    l.first[1] = 2;
    l.first[2] = 3;
    l.next[0] = 3;
    l.next[1] = 2;
    l.next[2] = 4; /* ... and 1 to the end */
    l.first[3] = 4;
    l.next[3] = 4;
    l.first[4] = l.first[5] = 5;
    l.next[4] = 4;
    l.waits[2] = l.waits[3] = 1;
    l.waits[4] = 3;
    l.runs[1].end = 0; /* worker 1 polls when they are made */
    l.runs[2].end = 30;
    ck_assert_uint_eq(replayed(&l, 2, false, &c), 10 + 30);
}
END_TEST

/* Costs are medians of what the slices say. */
START_TEST(costs)
{
    struct trace_file *t = parse(by_hand, strlen(by_hand));
    struct replay_costs c;
    uint64_t ns;

    ck_assert(replay_costs(&c, t));
    ck_assert_uint_eq(c.handoff, 1000);
    ck_assert_uint_eq(c.find, 2000);
    ck_assert_uint_eq(c.wake, 0);
    ck_assert_uint_eq(c.enter, 1000);
    ck_assert_uint_eq(c.leave, 2000);
    ck_assert(replay(&ns, t, 1, false, &c));
    ck_assert_uint_eq(ns, 10000 + 25000 + 8000 + 10000 + 3 * 1000 + 2000);
    ck_assert(replay(&ns, t, 2, false, &c));
    ck_assert_uint_eq(ns, 10000 + 25000 + 10000 + 2 * 1000 + 2000);
    trace_file_free(t);
}
END_TEST

/* One worker reads 30 GB/s and computes 200 GFLOP/s, two have 20 and 200 each. */
START_TEST(replay_limits)
{
    const struct limits one = {1, 30, 200}, two = {2, 40, 400}, none = {0};

    ck_assert(replay_time(100, 3000, 0, &one, &two) == 150); /* at the limit of reading */
    ck_assert(replay_time(200, 3000, 0, &one, &two) == 300); /* at half of it */
    ck_assert(replay_time(150, 3000, 0, &two, &one) == 100);
    ck_assert(replay_time(100, 3000, 20000, &one, &two) == 150);
    ck_assert(replay_time(100, 1000, 20000, &one, &two) == 100); /* of computing */
    ck_assert(replay_time(100, 6000, 100, &one, &two) == 100);   /* from a cache */
    ck_assert(replay_time(100, 0, 0, &one, &two) == 100);
    ck_assert(replay_time(100, 3000, 0, &one, &none) == 100);
    ck_assert(replay_time(100, 3000, 0, &none, &two) == 100);
}
END_TEST

/* In a whole trace: two workers had half as much each as one has. */
START_TEST(replay_by_limits)
{
    const struct replay_costs free_of_cost = {.spin = 50000};
    char *text = change(by_hand, "\"limits\": []",
                        "\"limits\": [{\"workers\": 1, \"read_gbps\": 40, \"fma_gflops\": 10}, "
                        "{\"workers\": 2, \"read_gbps\": 40, \"fma_gflops\": 10}]");
    struct trace_file *without = parse(by_hand, strlen(by_hand)), *with = parse(text, strlen(text));
    uint64_t ns[2];

    for (unsigned workers = 1; workers <= 8; workers++) {
        ck_assert(replay(&ns[0], without, workers, false, &free_of_cost));
        ck_assert(replay(&ns[1], with, workers, false, &free_of_cost));
        ck_assert_uint_eq(ns[1], workers == 1 ? ns[0] / 2 : ns[0]);
    }
    trace_file_free(without);
    trace_file_free(with);
    free(text);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {every_tile_once,
                                  woken_later_than_wakes_take,
                                  dropped,
                                  window,
                                  lives,
                                  off_cpu,
                                  written_and_read,
                                  arrows,
                                  ends_in_doubles,
                                  summary,
                                  gaps,
                                  reasons,
                                  woken_without_a_cpu,
                                  groups,
                                  path,
                                  loads,
                                  version_1,
                                  foreign,
                                  damaged,
                                  absurd,
                                  other_order,
                                  mutations,
                                  replay_without_costs,
                                  replay_with_costs,
                                  replay_limits,
                                  replay_by_limits,
                                  replay_homes,
                                  replay_loads_last,
                                  replay_keeps_own,
                                  costs,
                                  NULL};

    return run_suite("trace", tests);
}
