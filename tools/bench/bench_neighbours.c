/* Windows of work alone and beside busy threads, by turns: what is compared was measured in the same state of the
 * machine. */
#include "bench.h"
#include "../cli/leaving.h"
#include "../cli/seconds.h"
#include "../../src/runtime/bell.h"

#include <math.h>
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

/* ms that a unit takes, over so many seconds at least. */
static double run_window(const struct bench_item *item, struct neighbour *list, bool beside,
                         double least)
{
    const double start = cli_seconds();
    unsigned units = 0;
    double took;

    for (int i = 0; beside && i < BENCH_NEIGHBOURS; i++) {
        dg_store_relaxed(&list[i].busy, 1);
        dg_bell_ring(&list[i].bell);
    }
    do {
        item->run(item->arg);
        units++;
        took = cli_seconds() - start;
    } while (took < least);
    for (int i = 0; i < BENCH_NEIGHBOURS; i++)
        dg_store_relaxed(&list[i].busy, 0);
    return 1e3 * took / units;
}

/* Of what so many threads keep when as many neighbours come as BENCH_NEIGHBOURS. */
static double fair(unsigned awake, unsigned cpus)
{
    return fmin(1, (double)cpus / (awake + BENCH_NEIGHBOURS)) / fmin(1, (double)cpus / awake);
}

void bench_neighbours(struct bench_share out[], struct bench_item items[], unsigned n,
                      unsigned cpus, const struct bench_effort *effort)
{
    const double least = effort->seconds < 1 ? effort->seconds / 5 : WINDOW_SECONDS;
    struct neighbour *list = bench_allocate(BENCH_NEIGHBOURS, sizeof *list);
    double *values[BENCH_SHARES][3]; /* ms alone, ms beside, what is kept */
    const double start = cli_seconds();
    unsigned rounds = 0;

    for (unsigned i = 0; i < n; i++)
        for (int k = 0; k < 3; k++)
            values[i][k] = bench_allocate(BENCH_MOST_ROUNDS, sizeof(double));
    open_neighbours(list);
    for (unsigned i = 0; i < n; i++)
        items[i].run(items[i].arg); /* makes plans and touches memory */
    do {
        for (unsigned i = 0; i < n; i++) {
            values[i][0][rounds] = run_window(&items[i], list, false, least);
            values[i][1][rounds] = run_window(&items[i], list, true, least);
            values[i][2][rounds] = values[i][0][rounds] / values[i][1][rounds];
        }
        rounds++;
    } while (!bench_enough(effort, cli_seconds() - start, rounds, rounds));
    close_neighbours(list);
    for (unsigned i = 0; i < n; i++) {
        out[i].alone_ms = limits_median(values[i][0], rounds);
        out[i].ms = limits_median(values[i][1], rounds);
        out[i].kept = limits_median(values[i][2], rounds); /* and they are in order */
        out[i].p10 = values[i][2][rounds / 10];
        out[i].p90 = values[i][2][rounds - 1 - rounds / 10];
        out[i].of_fair = out[i].kept / fair(items[i].crew->workers, cpus);
        out[i].rounds = rounds;
        for (int k = 0; k < 3; k++)
            free(values[i][k]);
    }
    free(list);
}
