/* Is a replay right? A unit of work by one worker is recorded, and its trace replayed on as many
 * workers as another crew has, which does the same unit right after it. */
#include "bench.h"
#include "../cli/engine.h"
#include "../cli/leaving.h"
#include "../cli/seconds.h"
#include "../trace/trace_replay.h"
#include "../trace/trace_write.h"
#include "../../src/base/gather.h"

#include <stdlib.h>

enum { EVENTS = 1 << 18 }; /* the first crew's worker has room for: a unit of some steps */

/* Of each crew in one round. */
struct round {
    struct limits limits[BENCH_CREWS]; /* beside its unit */
    bool agree[BENCH_CREWS];           /* the probes before and after it */
    double measured_ms[BENCH_CREWS];
    double predicted_ms[BENCH_CREWS]; /* but of the first */
};

static bool kept(const struct round *r, unsigned i)
{
    return r->agree[0] && r->agree[i];
}

/* The crew's unit between two probes. */
static void take_unit(struct bench_item *item, unsigned i, struct round *r)
{
    const struct limits before = bench_probe(item->crew);
    const double start = cli_seconds();
    struct limits after;

    item->run(item->arg);
    r->measured_ms[i] = 1e3 * (cli_seconds() - start);
    after = bench_probe(item->crew);
    r->agree[i] = bench_agree(before.read_gbps, after.read_gbps) &&
                  bench_agree(before.fma_gflops, after.fma_gflops);
    r->limits[i] = (struct limits){before.workers, (before.read_gbps + after.read_gbps) / 2,
                                   (before.fma_gflops + after.fma_gflops) / 2};
}

/* The recording as dagpt trace would read it. */
static struct trace_file *read_back(struct dg_trace *trace, const struct round *r, unsigned n)
{
    struct trace_facts facts = {.command = "bench what-if",
                                .model = cli_model_path(),
                                .workers = 1,
                                .cpus = dg_usable_cpus(),
                                .isa = "",
                                .sched = dg_sched_name(DG_SCHED_DATAFLOW),
                                .weights = "",
                                .cache = "",
                                .n_limits = n};
    struct trace_file *t;
    struct dg_gather text;
    struct dg_error err;

    for (unsigned i = 0; i < n; i++)
        facts.limits[i] = r->limits[i];
    if (!dg_gather_open(&text) || !trace_write(text.to, trace, &facts, NULL) ||
        !dg_gather_close(&text))
        cli_die(DG_ERR_RESOURCE, "out of memory for a trace");
    cli_check(trace_file_parse(&t, "trace", text.text, text.n, &err), &err);
    free(text.text);
    return t;
}

static void predict(struct trace_file *t, struct round *r, unsigned n)
{
    struct replay_costs costs;
    bool ok = replay_costs(&costs, t);

    for (unsigned i = 1; i < n; i++) {
        uint64_t ns = 0;

        ok = ok && replay(&ns, t, r->limits[i].workers, false, &costs);
        r->predicted_ms[i] = 1e-6 * (double)ns;
    }
    if (!ok)
        cli_die(DG_ERR_RESOURCE, "out of memory for a replay");
    trace_file_free(t);
}

static void take_round(struct bench_item *items, unsigned n, struct round *r)
{
    struct dg_trace *trace;
    struct dg_error err;

    cli_check(dg_trace_new(&trace, items[0].crew->team, EVENTS, &err), &err);
    for (unsigned i = 0; i < n; i++)
        take_unit(&items[i], i, r);
    predict(read_back(trace, r, n), r, n);
    dg_trace_free(trace);
}

/* Of the rounds that count: those kept, or all when none was. values has room for three a round. */
static void summarize(struct bench_guess *g, const struct round *rounds, unsigned i, double *values)
{
    double *predicted = values, *measured = values + g->taken, *error = measured + g->taken;
    size_t n = 0;

    for (unsigned k = 0; k < g->taken; k++) {
        const struct round *r = &rounds[k];

        if (g->kept > 0 && !kept(r, i))
            continue;
        predicted[n] = r->predicted_ms[i];
        measured[n] = r->measured_ms[i];
        error[n++] = 100 * (r->predicted_ms[i] / r->measured_ms[i] - 1);
    }
    g->predicted_ms = limits_median(predicted, n);
    g->measured_ms = limits_median(measured, n);
    g->error = limits_median(error, n); /* and they are in order */
    g->p10 = error[n / 10];
    g->p90 = error[n - 1 - n / 10];
}

void bench_what_if(struct bench_guess *out, struct bench_item *items, unsigned n,
                   const struct bench_effort *effort)
{
    struct round *rounds = bench_allocate(BENCH_MOST_ROUNDS, sizeof *rounds);
    double *values = bench_allocate(3 * BENCH_MOST_ROUNDS, sizeof *values);
    const double start = cli_seconds();
    unsigned taken = 0, least_kept;

    for (unsigned i = 0; i < n; i++)
        items[i].run(items[i].arg); /* makes plans, and touches memory */
    for (unsigned i = 1; i < n; i++)
        out[i - 1] = (struct bench_guess){.workers = items[i].crew->workers};
    do {
        take_round(items, n, &rounds[taken]);
        least_kept = ++taken;
        for (unsigned i = 1; i < n; i++) {
            out[i - 1].taken = taken;
            out[i - 1].kept += kept(&rounds[taken - 1], i);
            if (out[i - 1].kept < least_kept)
                least_kept = out[i - 1].kept;
        }
    } while (!bench_enough(effort, cli_seconds() - start, taken, least_kept));
    for (unsigned i = 1; i < n; i++)
        summarize(&out[i - 1], rounds, i, values);
    free(rounds);
    free(values);
}
