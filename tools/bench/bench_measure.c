/* Probe, work, probe, work, ... : see bench.h. A sample repeats its work until it lasts about as long
 * as the probes around it; longer, and the machine has time to change; shorter, and starting the
 * work weighs too much. */
#include "bench.h"
#include "../cli/leaving.h"
#include "../cli/seconds.h"
#include "../cli/signals.h"

#include <math.h>
#include <stdlib.h>

static const double PROBE_SECONDS = 0.003; /* reading, and again multiply-adds */
static const double SAMPLE_SECONDS = 0.006;

struct bench_sample {
    double ms, limit_ms;
    bool memory_bound, kept;
};

void *bench_allocate(size_t n, size_t size)
{
    void *p = calloc(n, size);

    if (!p)
        cli_die(DG_ERR_RESOURCE, "out of memory for measurements");
    return p;
}

struct limits bench_probe(struct bench_crew *c)
{
    struct limits l = {.workers = c->workers};

    l.read_gbps = limits_read(c->probe, PROBE_SECONDS);
    l.fma_gflops = limits_fma(c->probe, PROBE_SECONDS);
    if (c->n_probes == c->room) {
        c->room = c->room ? 2 * c->room : 256;
        c->read = realloc(c->read, c->room * sizeof *c->read);
        c->fma = realloc(c->fma, c->room * sizeof *c->fma);
        if (!c->read || !c->fma)
            cli_die(DG_ERR_RESOURCE, "out of memory for measurements");
    }
    c->read[c->n_probes] = l.read_gbps;
    c->fma[c->n_probes++] = l.fma_gflops;
    return l;
}

bool bench_agree(double a, double b)
{
    return fabs(a - b) <= BENCH_DISAGREE * fmin(a, b);
}

/* Milliseconds that a unit takes at the least. An item without costs has those of reading 1 GB, for
 * the comparison of before and after alone. */
static double limit_ms(const struct bench_item *item, const struct limits *l, bool *memory_bound)
{
    const bool known = item->bytes > 0;
    const double reading = 1e-6 * (known ? item->bytes : 1e9) / l->read_gbps;
    const double computing = 1e-6 * item->flops / l->fma_gflops;

    *memory_bound = reading >= computing;
    return fmax(reading, computing);
}

static double run_ms(const struct bench_item *item, unsigned times)
{
    const double start = cli_seconds();

    for (unsigned i = 0; i < times; i++)
        item->run(item->arg);
    return 1e3 * (cli_seconds() - start) / times;
}

/* The first run makes plans and touches memory; the second says how long one takes. */
static void warm_up(struct bench_item *item)
{
    run_ms(item, 1);
    item->times = (unsigned)fmin(1e6, 1 + 1e3 * SAMPLE_SECONDS / run_ms(item, 1));
    run_ms(item, item->times);
}

static void take_sample(struct bench_item *item, struct bench_sample *s, struct limits *before)
{
    bool ignored;
    double first, second;
    struct limits after;

    s->ms = run_ms(item, item->times);
    after = bench_probe(item->crew);
    first = limit_ms(item, before, &ignored);
    second = limit_ms(item, &after, &s->memory_bound);
    s->limit_ms = (first + second) / 2;
    s->kept = bench_agree(first, second);
    *before = after;
}

/* The samples that count: those kept, or all when none was. values has room for n. */
static size_t select_samples(const struct bench_item *item, size_t n, double *values,
                             double (*value)(const struct bench_sample *))
{
    size_t m = 0;

    for (size_t i = 0; i < n; i++)
        if (item->samples[i].kept || item->stat.kept == 0)
            values[m++] = value(&item->samples[i]);
    return m;
}

static double value_ms(const struct bench_sample *s)
{
    return s->ms;
}

static double value_limit(const struct bench_sample *s)
{
    return s->limit_ms;
}

static double value_ratio(const struct bench_sample *s)
{
    return s->ms / s->limit_ms;
}

/* Of rounds in which both samples were kept; of all when there is none. */
static double speedup(const struct bench_item *base, const struct bench_item *item, size_t n,
                      double *values)
{
    size_t m = 0;

    for (int all = 0; all < 2 && m == 0; all++)
        for (size_t i = 0; i < n; i++)
            if (all || (base->samples[i].kept && item->samples[i].kept))
                values[m++] = base->samples[i].ms / item->samples[i].ms;
    return limits_median(values, m);
}

static void summarize(struct bench_item *base, struct bench_item *item, size_t n, double *values)
{
    struct bench_stat *s = &item->stat;
    size_t m, memory = 0;

    *s = (struct bench_stat){.flops = item->flops, .bytes = item->bytes, .taken = (unsigned)n};
    for (size_t i = 0; i < n; i++) {
        s->kept += item->samples[i].kept;
        memory += item->samples[i].memory_bound;
    }
    s->memory_bound = 2 * memory >= n;
    m = select_samples(item, n, values, value_ms);
    s->ms = limits_median(values, m); /* and values are in order */
    s->p10 = values[m / 10];
    s->p90 = values[m - 1 - m / 10];
    if (item->bytes > 0) {
        m = select_samples(item, n, values, value_limit);
        s->limit_ms = limits_median(values, m);
        m = select_samples(item, n, values, value_ratio);
        s->limit_ratio = limits_median(values, m);
    }
    s->speedup = speedup(base, item, n, values);
}

bool bench_enough(const struct bench_effort *effort, double seconds, unsigned rounds,
                  unsigned least_kept)
{
    if (rounds == BENCH_MOST_ROUNDS || cli_signal())
        return true;
    return seconds >= effort->seconds &&
           (least_kept >= effort->rounds || rounds >= 3 * effort->rounds);
}

void bench_measure(struct bench_item *items, unsigned n, const struct bench_effort *effort)
{
    double *values = bench_allocate(BENCH_MOST_ROUNDS, sizeof *values);
    const struct bench_crew *probed = NULL;
    struct limits before = {0};
    unsigned rounds = 0, least_kept;
    double start;

    for (unsigned i = 0; i < n; i++) {
        items[i].samples = bench_allocate(BENCH_MOST_ROUNDS, sizeof *items[i].samples);
        items[i].stat.kept = 0;
        warm_up(&items[i]);
    }
    start = cli_seconds();
    do {
        least_kept = ++rounds;
        for (unsigned i = 0; i < n; i++) {
            struct bench_sample *s = &items[i].samples[rounds - 1];

            if (probed != items[i].crew)
                before = bench_probe(items[i].crew);
            probed = items[i].crew;
            take_sample(&items[i], s, &before);
            items[i].stat.kept += s->kept;
            if (items[i].stat.kept < least_kept)
                least_kept = items[i].stat.kept;
        }
    } while (!bench_enough(effort, cli_seconds() - start, rounds, least_kept));
    for (unsigned i = 0; i < n; i++)
        summarize(&items[0], &items[i], rounds, values);
    for (unsigned i = 0; i < n; i++)
        free(items[i].samples);
    free(values);
}
