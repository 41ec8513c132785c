/* A probe is a job of the team: each worker repeats its loop until the time is up, and what all of
 * them did is divided by the time that the whole took. So a worker that the system takes off its CPU
 * does less, and holds up nobody. */
#include "limits.h"
#include "limits_loops.h"
#include "../../src/base/arena.h"
#include "../../src/base/checked.h"
#include "../../src/base/cpu.h"
#include "../../src/base/status.h"
#include "../../src/runtime/team.h"

#include <stdlib.h>

/* Between two looks at the clock (20 ns): some microseconds of reading or of multiply-adds. */
enum { PAGE = 4096, PIECE = 256 << 10, FMA_TIMES = 2048, WARMED = 8 << 20 };

static const double PROBE_SECONDS = 0.005;

/* What one worker alone touches. */
struct share {
    _Alignas(DG_CACHE_LINE) const char *start; /* its part of the memory */
    size_t bytes, at;                          /* at: where it goes on reading */
    double done;                               /* bytes or multiply-adds of this probe */
    float sink;
};

struct limits_probe {
    struct dg_arena *arena; /* holds the probe itself, too */
    struct dg_team *team;
    const struct limits_loops *loops;
    struct share *shares; /* [awake] */
    uint64_t deadline;    /* of the probe that runs, on the clock of dg_now_ns() */
};

static const struct limits_loops *loops_for(enum dg_isa isa)
{
    static const struct limits_loops *const tables[DG_N_ISA] = {
        [DG_ISA_SCALAR] = &limits_scalar,
#if defined(__x86_64__)
        [DG_ISA_AVX2] = &limits_avx2,
        [DG_ISA_AVX_VNNI] = &limits_avx2,
        [DG_ISA_AVX512] = &limits_avx512,
        [DG_ISA_AVX512_VNNI] = &limits_avx512,
        [DG_ISA_AMX] = &limits_avx512,
#elif defined(__aarch64__)
        [DG_ISA_NEON] = &limits_neon,
        [DG_ISA_NEON_DOT] = &limits_neon,
#endif
    };

    return tables[dg_isa_cap(isa)];
}

size_t limits_beyond_caches(void)
{
    const size_t least = 256u << 20, most = 1024u << 20;
    const size_t cache = dg_cpu_cache_bytes();

    if (cache < least / 2)
        return least;
    return cache < most / 2 ? 2 * cache : most;
}

/* Pages that were never written are all the same one, and that one is in the first-level cache. */
static void touch(void *arg, unsigned worker)
{
    const struct share *s = &((struct limits_probe *)arg)->shares[worker];

    for (size_t at = 0; at < s->bytes; at += PAGE)
        *(float *)(void *)(s->start + at) = 1.0f;
}

/* A probe whose workers have no memory yet; NULL: there is none for it. */
static struct limits_probe *new_probe(struct dg_team *team, enum dg_isa isa)
{
    struct dg_arena *arena = dg_arena_new();
    struct limits_probe *p = arena ? dg_arena_alloc(arena, sizeof *p) : NULL;

    if (p)
        p->shares = dg_arena_array(arena, dg_team_awake(team), sizeof *p->shares);
    if (!p || !p->shares) {
        dg_arena_free(arena);
        return NULL;
    }
    p->arena = arena;
    p->team = team;
    p->loops = loops_for(isa);
    return p;
}

/* Parts of so many bytes each, one behind the other; or all of them the first. */
static void deal_out(struct limits_probe *p, const char *memory, size_t share, bool shared)
{
    for (unsigned w = 0; w < dg_team_awake(p->team); w++)
        p->shares[w] = (struct share){.start = memory + (shared ? 0 : w * share), .bytes = share};
}

enum dg_status limits_probe_new(struct limits_probe **out, struct dg_team *team, enum dg_isa isa,
                                size_t bytes, struct dg_error *err)
{
    const unsigned awake = dg_team_awake(team);
    const size_t share = dg_round_up(dg_div_up(bytes, awake) + !bytes, PAGE);
    struct limits_probe *p = new_probe(team, isa);
    char *memory = p ? dg_arena_array(p->arena, awake, share) : NULL;

    if (!memory) {
        limits_probe_free(p);
        return dg_fail_memory(err, "a read probe", share * awake);
    }
    deal_out(p, memory, share, false);
    dg_team_run(team, touch, p);
    *out = p;
    return DG_OK;
}

void limits_probe_free(struct limits_probe *p)
{
    if (p)
        dg_arena_free(p->arena);
}

/* The next `bytes` bytes of a share, from its end on to its start. */
static void read_on(const struct limits_loops *loops, struct share *s, size_t bytes)
{
    while (bytes > 0) {
        const size_t left = s->bytes - s->at, n = bytes < left ? bytes : left;

        s->sink += loops->read((const float *)(void *)(s->start + s->at), n / sizeof(float));
        s->at = n < left ? s->at + n : 0;
        bytes -= n;
    }
}

/* A piece at the least, also where other programs have had the CPU until the deadline. */
static void read_job(void *arg, unsigned worker)
{
    struct limits_probe *p = arg;
    struct share *s = &p->shares[worker];

    s->done = 0;
    do {
        read_on(p->loops, s, PIECE);
        s->done += PIECE;
    } while (dg_now_ns() < p->deadline);
}

static void fma_job(void *arg, unsigned worker)
{
    struct limits_probe *p = arg;
    struct share *s = &p->shares[worker];

    s->done = 0;
    do {
        s->sink += p->loops->fma(FMA_TIMES);
        s->done += FMA_TIMES;
    } while (dg_now_ns() < p->deadline);
}

static void nothing(void *arg, unsigned worker)
{
    (void)arg;
    (void)worker;
}

/* What all workers did, per nanosecond. */
static double measure(struct limits_probe *p, void (*job)(void *, unsigned), double seconds)
{
    uint64_t start;
    double done = 0;

    dg_team_run(p->team, nothing, NULL); /* afterwards the helpers are awake */
    start = dg_now_ns();
    p->deadline = start + (uint64_t)(1e9 * seconds);
    dg_team_run(p->team, job, p);
    for (unsigned w = 0; w < dg_team_awake(p->team); w++)
        done += p->shares[w].done;
    return done / (double)(dg_now_ns() - start);
}

double limits_read(struct limits_probe *p, double seconds)
{
    if (p->shares[0].bytes <= WARMED) /* what a cache may hold shall be there */
        (void)measure(p, read_job, seconds / 4);
    return measure(p, read_job, seconds);
}

double limits_fma(struct limits_probe *p, double seconds)
{
    return measure(p, fma_job, seconds) * 2 * LIMITS_CHAINS * (double)p->loops->lanes;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double limits_median(double *values, size_t n)
{
    qsort(values, n, sizeof *values, by_value);
    return (values[(n - 1) / 2] + values[n / 2]) / 2;
}

static enum dg_status measure_both(struct limits_probe *p, double seconds, int (*stop)(void),
                                   struct limits *out, struct dg_error *err)
{
    enum { MOST = 1000 };
    const size_t wanted = (size_t)(seconds / (2 * PROBE_SECONDS));
    const size_t n = wanted < 3 ? 3 : wanted < MOST ? wanted : MOST;
    double read[MOST], fma[MOST];

    for (size_t i = 0; i < n; i++) {
        if (stop && stop())
            return dg_fail(err, DG_ERR_CANCELLED, "measuring the limits was cancelled");
        read[i] = limits_read(p, PROBE_SECONDS);
        fma[i] = limits_fma(p, PROBE_SECONDS);
    }
    *out = (struct limits){dg_team_awake(p->team), limits_median(read, n), limits_median(fma, n)};
    return DG_OK;
}

enum dg_status limits_measure_in(size_t bytes, struct dg_team *team, enum dg_isa isa,
                                 double seconds, struct limits *out, struct dg_error *err)
{
    struct limits_probe *p = NULL;
    enum dg_status st = limits_probe_new(&p, team, isa, bytes, err);

    if (st == DG_OK)
        st = measure_both(p, seconds, NULL, out, err);
    limits_probe_free(p);
    return st;
}

enum dg_status limits_measure_on(const void *memory, size_t bytes, struct dg_team *team,
                                 enum dg_isa isa, double seconds, int (*stop)(void),
                                 struct limits *out, struct dg_error *err)
{
    const size_t share = bytes / dg_team_awake(team) / PAGE * PAGE;
    struct limits_probe *p = new_probe(team, isa);
    enum dg_status st;

    if (!p)
        return dg_fail_memory(err, "a read probe", sizeof *p);
    deal_out(p, memory, share ? share : PAGE, !share);
    st = measure_both(p, seconds, stop, out, err);
    limits_probe_free(p);
    return st;
}
