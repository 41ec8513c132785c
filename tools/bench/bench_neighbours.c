/* Windows of work alone and beside busy threads, by turns. What else runs on the machine makes both slower, so the
 * measure is not the time but what the busy threads get: so much CPU time is a fair share of a thread that
 * always wants one. What the workers keep is counted in work: as much CPU time as it takes them alone. */
#include "bench.h"
#include "../cli/leaving.h"
#include "../cli/seconds.h"
#include "../cli/signals.h"
#include "../../src/runtime/bell.h"

#include <stdlib.h>
#include <time.h>

static const double WINDOW_SECONDS = 0.2;

/* A thread that wants a CPU for as long as it is busy. */
struct neighbour {
    struct dg_thread thread;
    struct dg_bell bell;                 /* it is busy from now on, or over */
    struct dg_atomic busy, over, cpu_us; /* relaxed; cpu_us is its own CPU time, and wraps */
};

struct window {
    double seconds, cpu_seconds; /* of the whole process */
    double others_seconds;       /* CPU time of a neighbour, on average */
    unsigned units;
};

static void *be_busy(void *arg)
{
    struct neighbour *n = arg;

    for (;;) {
        dg_bell_wait(&n->bell, 0);
        if (dg_load_relaxed(&n->over))
            return NULL;
        while (dg_load_relaxed(&n->busy)) {
            for (int i = 0; i < 1000; i++)
                dg_pause();
            dg_store_relaxed(&n->cpu_us, (uint32_t)(dg_thread_cpu_ns() / 1000));
        }
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

static double cpu_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* CPU time since then, of all of them and of the one that got the least. */
static double others_seconds(const struct neighbour *list, const uint32_t *before, double *least)
{
    double sum = 0;

    *least = 1e9;
    for (int i = 0; i < BENCH_NEIGHBOURS; i++) {
        const double got = 1e-6 * (dg_load_relaxed(&list[i].cpu_us) - before[i]);

        sum += got;
        *least = got < *least ? got : *least;
    }
    return sum;
}

/* For so long at least; beside others, until each of them has had a CPU for some of it. */
static struct window run_window(const struct bench_item *item, struct neighbour *list, bool beside,
                                double least)
{
    uint32_t before[BENCH_NEIGHBOURS];
    struct window w = {0};
    const double start = cli_seconds(), cpu = cpu_seconds();
    double fewest;

    for (int i = 0; i < BENCH_NEIGHBOURS; i++) {
        before[i] = dg_load_relaxed(&list[i].cpu_us);
        dg_store_relaxed(&list[i].busy, beside);
        if (beside)
            dg_bell_ring(&list[i].bell);
    }
    do {
        item->run(item->arg);
        w.units++;
        w.seconds = cli_seconds() - start;
        w.others_seconds = others_seconds(list, before, &fewest) / BENCH_NEIGHBOURS;
    } while (w.seconds < least || (beside && fewest < least / 20 && !cli_signal()));
    w.cpu_seconds = cpu_seconds() - cpu;
    for (int i = 0; i < BENCH_NEIGHBOURS; i++)
        dg_store_relaxed(&list[i].busy, 0);
    return w;
}

/* Takes a round of one item; its figures go to place k. */
static void take_round(const struct bench_item *item, struct neighbour *list, double least,
                       double *const values[3], unsigned k)
{
    const struct window alone = run_window(item, list, false, least),
                        beside = run_window(item, list, true, least);

    values[0][k] = 1e3 * alone.seconds / alone.units;
    values[1][k] = 1e3 * beside.seconds / beside.units;
    values[2][k] = alone.cpu_seconds / alone.units * beside.units /
                   (item->crew->workers * beside.others_seconds);
}

void bench_neighbours(struct bench_share out[], struct bench_item items[], unsigned n,
                      const struct bench_effort *effort)
{
    const double least = effort->seconds < 1 ? effort->seconds / 5 : WINDOW_SECONDS;
    struct neighbour *list = bench_allocate(BENCH_NEIGHBOURS, sizeof *list);
    double *values[BENCH_SHARES][3];
    const double start = cli_seconds();
    unsigned rounds = 0;

    for (unsigned i = 0; i < n; i++)
        for (int k = 0; k < 3; k++)
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
        out[i].alone_ms = limits_median(values[i][0], rounds);
        out[i].ms = limits_median(values[i][1], rounds);
        out[i].share = limits_median(values[i][2], rounds); /* and they are in order */
        out[i].p10 = values[i][2][rounds / 10];
        out[i].p90 = values[i][2][rounds - 1 - rounds / 10];
        out[i].rounds = rounds;
        for (int k = 0; k < 3; k++)
            free(values[i][k]);
    }
    free(list);
}
