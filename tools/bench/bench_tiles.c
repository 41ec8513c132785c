/* What scheduling costs: graphs whose tiles do nothing, so that a step is all scheduling. Steps follow
 * each other at once, so no worker has gone to sleep between them. Neighbours on the machine only
 * make a step slower; hence the least of the medians. */
#include "bench.h"
#include "../cli/leaving.h"
#include "../cli/seconds.h"
#include "../cli/signals.h"
#include "../../src/base/status.h"
#include "../../src/graph/plan.h"
#include "../../src/runtime/sched.h"

#include <stdlib.h>

enum { SERIES = 25, MOST_SERIES = 4096 };

/* Op 0 has `first` tiles, the others `tiles`; each tile reads all that the op before wrote. */
static const struct shape {
    const char *name;
    unsigned ops;
    uint32_t first, tiles;
} shapes[BENCH_SHAPES] = {
    {"120 x (16 + join)", 120, 16, 16},
    {"chain of 2000", 2000, 1, 1},
    {"fan of 10000", 2, 1, 10000},
};

static enum dg_status check(const struct dg_op *op, struct dg_error *err)
{
    (void)op;
    (void)err;
    return DG_OK;
}

static struct dg_cut split(const struct dg_op *op, const struct dg_tiling *tiling)
{
    (void)op;
    (void)tiling;
    return (struct dg_cut){1, 1};
}

static struct dg_box reads(const struct dg_op *op, unsigned i, struct dg_box out)
{
    (void)out;
    return (struct dg_box){0, op->in[i]->rows, 0, op->in[i]->cols};
}

static struct dg_cost cost(const struct dg_op *op, struct dg_box out, uint32_t past)
{
    (void)op;
    (void)out;
    (void)past;
    return (struct dg_cost){0, 0};
}

static int run(const struct dg_op *op, struct dg_box out, const struct dg_step *step, void *scratch)
{
    (void)op;
    (void)out;
    (void)step;
    (void)scratch;
    return 0;
}

static const struct dg_op_type empty = {
    .name = "empty", .check = check, .split = split, .reads = reads, .cost = cost, .run = run};

static struct dg_graph *make_graph(const struct shape *shape)
{
    struct dg_graph *g;
    struct dg_error err;
    struct dg_tensor *last = NULL;

    cli_check(dg_graph_new(&g, shape->ops, shape->ops, &err), &err);
    for (unsigned i = 0; i < shape->ops; i++) {
        struct dg_tensor t = {
            .role = DG_ACTIVATION, .rows = 1, .cols = i == 0 ? shape->first : shape->tiles};
        struct dg_op op = {.type = &empty, .layer = -1, .in = {last}, .n_in = last != NULL};

        snprintf(t.name, sizeof t.name, "empty%u", i);
        snprintf(op.name, sizeof op.name, "empty%u", i);
        op.out = last = dg_graph_tensor(g, t);
        dg_graph_op(g, op);
    }
    cli_check(dg_graph_check(g, &err), &err);
    return g;
}

/* The median nanoseconds of a series of steps, per tile. */
static double series(struct dg_run *r, const struct dg_plan *plan, enum dg_sched sched)
{
    const struct dg_step step = {0};
    double ns[SERIES];

    for (int i = 0; i < SERIES; i++) {
        const double start = cli_seconds();

        dg_run_step(r, &step, sched);
        ns[i] = 1e9 * (cli_seconds() - start) / plan->n_tiles;
    }
    return limits_median(ns, SERIES);
}

static void measure(struct bench_tiles *out, const struct shape *shape, struct dg_team *team,
                    enum dg_sched sched, double seconds)
{
    const struct dg_tiling tiling = {.workers = dg_team_awake(team)};
    struct dg_graph *g = make_graph(shape);
    double *medians = malloc(MOST_SERIES * sizeof *medians), start;
    struct dg_error err;
    struct dg_plan *plan;
    struct dg_run *r;
    size_t n = 0;

    if (!medians)
        cli_die(DG_ERR_RESOURCE, "out of memory for measurements");
    cli_check(dg_plan_new(&plan, g, &tiling, &err), &err);
    cli_check(dg_run_new(&r, plan, team, &err), &err);
    series(r, plan, sched); /* warms up */
    start = cli_seconds();
    do
        medians[n++] = series(r, plan, sched);
    while (n < MOST_SERIES && cli_seconds() - start < seconds && !cli_signal());
    *out = (struct bench_tiles){
        shape->name, plan->n_tiles, tiling.workers, 0, limits_median(medians, n), 0};
    out->ns_per_tile = medians[0]; /* limits_median() has put them in order */
    out->p90 = medians[n - 1 - n / 10];
    dg_run_free(r);
    dg_plan_free(plan);
    dg_graph_free(g);
    free(medians);
}

void bench_tiles(struct bench_tiles out[], struct dg_team *team, enum dg_sched sched,
                 double seconds)
{
    for (int i = 0; i < BENCH_SHAPES; i++)
        measure(&out[i], &shapes[i], team, sched, seconds);
}
