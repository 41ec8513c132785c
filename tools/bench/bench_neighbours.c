/* Windows of work alone and beside busy threads, by turns with windows in which the same workers do multiply-adds
 * and never wait for each other: what those keep is the fair share. So what else runs on the machine is in
 * all four. */
#include "bench.h"
#include "../cli/leaving.h"
#include "../cli/seconds.h"
#include "../../src/runtime/bell.h"

#include <stdlib.h>

static const double WINDOW_SECONDS = 0.2;

/* A thread that wants a CPU for as long as it is busy. */
struct neighbour {
    struct dg_thread thread;
    struct dg_bell bell;         /* it is busy from now on, or over */
    struct dg_atomic busy, over; /* relaxed: they carry nothing along */
};

static void *be_busy(void *arg)
{
    struct neighbour *n = arg;

    for (;;) {
        dg_bell_wait(&n->bell, 0);
        if (dg_load_relaxed(&n->over))
            return NULL;
        while (dg_load_relaxed(&n->busy))
            dg_pause();
    }
}

static void open_neighbours(struct neighbour *list)
{
    for (int i = 0; i < BENCH_NEIGHBOURS; i++)
        if (!dg_bell_init(&list[i].bell) || !dg_thread_start(&list[i].thread, be_busy, &list[i]))
            cli_die(DG_ERR_RESOURCE, "cannot start a busy thread");
}

static void close_neighbours(struct neighbour *list)
{
    for (int i = 0; i < BENCH_NEIGHBOURS; i++) {
        dg_store_relaxed(&list[i].over, 1);
        dg_bell_ring(&list[i].bell);
        dg_thread_join(&list[i].thread);
        dg_bell_destroy(&list[i].bell);
    }
}

static void let_be_busy(struct neighbour *list, bool busy)
{
    for (int i = 0; i < BENCH_NEIGHBOURS; i++) {
        dg_store_relaxed(&list[i].busy, busy);
        if (busy)
            dg_bell_ring(&list[i].bell);
    }
}

/* ms that a unit takes, over so many seconds at least. */
static double run_window(const struct bench_item *item, double least)
{
    const double start = cli_seconds();
    unsigned units = 0;
    double took;

    do {
        item->run(item->arg);
        units++;
        took = cli_seconds() - start;
    } while (took < least);
    return 1e3 * took / units;
}

enum { ALONE, BESIDE, KEPT, FAIR, OF_FAIR, N_VALUES };

/* A round of one item; its values go to place k. */
static void take_round(const struct bench_item *item, struct neighbour *list, double least,
                       double *const values[], unsigned k)
{
    const double alone = run_window(item, least), fma = limits_fma(item->crew->probe, least);
    double beside, fma_beside;

    let_be_busy(list, true);
    beside = run_window(item, least);
    fma_beside = limits_fma(item->crew->probe, least);
    let_be_busy(list, false);
    values[ALONE][k] = alone;
    values[BESIDE][k] = beside;
    values[KEPT][k] = alone / beside;
    values[FAIR][k] = fma_beside / fma;
    values[OF_FAIR][k] = values[KEPT][k] / values[FAIR][k];
}

void bench_neighbours(struct bench_share out[], struct bench_item items[], unsigned n,
                      const struct bench_effort *effort)
{
    const double least = effort->seconds < 1 ? effort->seconds / 5 : WINDOW_SECONDS;
    struct neighbour *list = bench_allocate(BENCH_NEIGHBOURS, sizeof *list);
    double *values[BENCH_SHARES][N_VALUES];
    const double start = cli_seconds();
    unsigned rounds = 0;

    for (unsigned i = 0; i < n; i++)
        for (int k = 0; k < N_VALUES; k++)
            values[i][k] = bench_allocate(BENCH_MOST_ROUNDS, sizeof(double));
    open_neighbours(list);
    for (unsigned i = 0; i < n; i++)
        items[i].run(items[i].arg); /* makes plans and touches memory */
    do {
        for (unsigned i = 0; i < n; i++)
            take_round(&items[i], list, least, values[i], rounds);
        rounds++;
    } while (!bench_enough(effort, cli_seconds() - start, rounds, rounds));
    close_neighbours(list);
    for (unsigned i = 0; i < n; i++) {
        out[i].alone_ms = limits_median(values[i][ALONE], rounds);
        out[i].ms = limits_median(values[i][BESIDE], rounds);
        out[i].kept = limits_median(values[i][KEPT], rounds);
        out[i].fair = limits_median(values[i][FAIR], rounds);
        out[i].of_fair = limits_median(values[i][OF_FAIR], rounds); /* and they are in order */
        out[i].p10 = values[i][OF_FAIR][rounds / 10];
        out[i].p90 = values[i][OF_FAIR][rounds - 1 - rounds / 10];
        out[i].rounds = rounds;
        for (int k = 0; k < N_VALUES; k++)
            free(values[i][k]);
    }
    free(list);
}
