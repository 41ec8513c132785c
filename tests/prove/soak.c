/* soak [HOURS [SEED]] - runs models in one process, for hours, and another one disturbs it: stops it (SIGSTOP)
 * in bursts, halts single threads, and gives each thread other CPUs to run on. Without HOURS: for five seconds, and one eval.
 *
 * What is asked: each eval's logits are the bits of one worker, the serial schedule and the scalar kernels,
 * whatever the model, workers, CPUs, schedule, tiles, chunks, instruction set and cancels; and evals are done. A
 * hang is judged by progress, not by time: no eval in a minute in which no thread used its CPU, or none in five
 * minutes of CPU time. */
#include "../../src/dagpt.h"
#include <sync.h>

#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LENGTH = 24, LOOK_S = 10, QUIET_LOOKS = 6, MAX_CPU_S = 300, THREADS = 64 };

static const char *const paths[] = {"tests/golden/tiny.bin", "tests/golden/odd.bin",
                                    "tests/golden/padded.bin", "tests/golden/small.bin",
                                    "models/demo/demo.bin"};
enum { MODELS = sizeof paths / sizeof *paths };

/* What the process that works tells the one that disturbs it. Relaxed: figures. */
struct told {
    struct dg_atomic evals, teams, cancelled, traced;
    char failed[512];
};

/* What that one did. */
struct storms {
    uint64_t bursts, stops, stalls, moves;
};

static struct told *told;

static uint32_t draw(uint64_t *state, uint32_t n)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX */
    return (uint32_t)((*state >> 33) % n);
}

/* ---- the process that works ---- */

__attribute__((format(printf, 1, 2), noreturn)) static void fail(const char *format, ...)
{
    va_list list;

    va_start(list, format);
    vsnprintf(told->failed, sizeof told->failed, format, list);
    va_end(list);
    _exit(1);
}

static void must(enum dg_status status, const struct dg_error *err)
{
    if (status != DG_OK)
        fail("%s", err->text);
}

static void halt(int signal_number)
{
    struct timeval t = {.tv_usec = 20 + (suseconds_t)(dg_now_ns() / 64 % 512)};

    (void)signal_number;
    select(0, NULL, NULL, NULL, &t);
}

struct text {
    int32_t ids[LENGTH];
    size_t vocab;
    float *logits; /* [LENGTH][vocab] */
};

/* A team of so many, of which one cancels now and then. */
struct round {
    const struct text *text;
    struct dg_team *team;
    struct dg_sequence *sequence;
    struct dg_engine_options opt;
    unsigned model, workers, cpus;
    bool cancels;
    struct dg_atomic over; /* relaxed */
};

/* Less and less often, so that the longest eval comes to its end at last. */
static void *cancel(void *arg)
{
    struct round *r = arg;
    uint64_t state = r->workers;
    uint32_t most = 500; /* us */

    while (!dg_load_relaxed(&r->over)) {
        const uint64_t until = dg_now_ns() + 1000ull * draw(&state, most);

        while (dg_now_ns() < until && !dg_load_relaxed(&r->over))
            usleep(500);
        dg_team_cancel(r->team);
        most = most < UINT32_MAX / 2 ? most + most / 8 : most;
    }
    return NULL;
}

/* Evaluates the text, in up to three parts, again where it was cancelled. */
static void eval(struct round *r, uint64_t *state)
{
    struct dg_error err;

    dg_sequence_rewind(r->sequence, 0);
    for (size_t at = 0, n; at < LENGTH; at += n) {
        enum dg_status st;

        n = draw(state, 2) ? LENGTH - at : 1 + draw(state, (uint32_t)(LENGTH - at));
        while ((st = dg_sequence_eval(r->sequence, r->text->ids + at, n, n, &err)) ==
               DG_ERR_CANCELLED)
            dg_add_relaxed(&told->cancelled, 1);
        must(st, &err);
        if (memcmp(dg_sequence_logits(r->sequence), r->text->logits + at * r->text->vocab,
                   n * r->text->vocab * sizeof(float)) != 0)
            fail("%s: other bits: %u workers on %u CPUs, %s, %s, chunk %u, tiles of %u x %u, ids "
                 "%zu "
                 "to %zu",
                 paths[r->model], r->workers, r->cpus, dg_sched_name(r->opt.sched),
                 dg_isa_name(r->opt.isa), r->opt.chunk, r->opt.row_block, r->opt.col_block, at,
                 at + n);
    }
    dg_add_relaxed(&told->evals, 1);
}

static void evals(struct round *r, struct dg_engine *engine, uint64_t *state)
{
    struct dg_thread canceller;
    struct dg_trace *trace = NULL;
    struct dg_error err;

    must(dg_sequence_new(&r->sequence, engine, &err), &err);
    if (draw(state, 8) == 0) {
        must(dg_trace_new(&trace, r->team, 20000, &err), &err);
        dg_add_relaxed(&told->traced, 1);
    }
    dg_store_relaxed(&r->over, 0);
    if (r->cancels) /* where the system has no more threads, nobody does */
        r->cancels = dg_thread_start(&canceller, cancel, r);
    for (uint32_t i = 1 + draw(state, 40); i > 0; i--)
        eval(r, state);
    if (r->cancels) {
        dg_store_relaxed(&r->over, 1);
        dg_thread_join(&canceller);
    }
    dg_trace_free(trace);
    dg_sequence_free(r->sequence);
}

static void one_team(const struct text *texts, uint64_t *state)
{
    struct round r = {.model = draw(state, MODELS), .workers = 1 + draw(state, 12)};
    struct dg_model *model;
    struct dg_engine *engine;
    struct dg_error err;

    r.text = &texts[r.model];
    r.cpus = 1 + draw(state, r.workers);
    r.cancels = draw(state, 4) == 0;
    r.opt = (struct dg_engine_options){.isa = 1 + (enum dg_isa)draw(state, (uint32_t)dg_isa_best()),
                                       .sched = draw(state, 3) ? DG_SCHED_DATAFLOW
                                                               : (enum dg_sched)draw(state, 4),
                                       .chunk = draw(state, 2) * draw(state, LENGTH),
                                       .row_block = draw(state, 2) * draw(state, 9),
                                       .col_block = draw(state, 2) * 16 * draw(state, 5),
                                       .no_fuse = draw(state, 2)};
    must(dg_team_new(&r.team, r.workers, r.cpus, &err), &err);
    must(dg_model_open(&model, paths[r.model], r.team, &err), &err);
    must(dg_engine_new(&engine, model, r.team, &r.opt, &err), &err);
    evals(&r, engine, state);
    dg_engine_free(engine);
    dg_model_free(model);
    dg_team_free(r.team);
    dg_add_relaxed(&told->teams, 1);
}

/* The bits that are expected. */
static void reference(struct text *t, const char *path, uint64_t *state)
{
    const struct dg_engine_options opt = {.isa = DG_ISA_SCALAR, .sched = DG_SCHED_SERIAL};
    struct dg_team *team;
    struct dg_model *model;
    struct dg_engine *engine;
    struct dg_sequence *sequence;
    struct dg_error err;

    must(dg_team_new(&team, 1, 1, &err), &err);
    must(dg_model_open(&model, path, team, &err), &err);
    must(dg_engine_new(&engine, model, team, &opt, &err), &err);
    must(dg_sequence_new(&sequence, engine, &err), &err);
    t->vocab = dg_model_sizes(model).vocab;
    t->logits = malloc(LENGTH * t->vocab * sizeof *t->logits);
    if (!t->logits)
        fail("no memory");
    for (int i = 0; i < LENGTH; i++)
        t->ids[i] = (int32_t)draw(state, (uint32_t)t->vocab);
    must(dg_sequence_eval(sequence, t->ids, LENGTH, LENGTH, &err), &err);
    memcpy(t->logits, dg_sequence_logits(sequence), LENGTH * t->vocab * sizeof *t->logits);
    dg_sequence_free(sequence);
    dg_engine_free(engine);
    dg_model_free(model);
    dg_team_free(team);
}

__attribute__((noreturn)) static void work(uint64_t state)
{
    const struct sigaction action = {.sa_handler = halt, .sa_flags = SA_RESTART};
    static struct text texts[MODELS];

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigaction(SIGUSR2, &action, NULL);
    for (unsigned m = 0; m < MODELS; m++)
        reference(&texts[m], paths[m], &state);
    for (;;)
        one_team(texts, &state);
}

/* ---- the one that disturbs it ---- */

/* The threads that the process has at the moment. */
static unsigned list_threads(pid_t process, pid_t *threads)
{
    char path[64];
    unsigned n = 0;
    DIR *tasks;

    snprintf(path, sizeof path, "/proc/%d/task", (int)process);
    tasks = opendir(path);
    for (struct dirent *d; tasks && n < THREADS && (d = readdir(tasks));)
        if (d->d_name[0] != '.')
            threads[n++] = (pid_t)atol(d->d_name);
    if (tasks)
        closedir(tasks);
    return n;
}

/* A thread may be gone by then: these calls may fail. */
static void move(const cpu_set_t *usable, pid_t thread, uint64_t *state, struct storms *s)
{
    cpu_set_t some;

    CPU_ZERO(&some);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, usable) && draw(state, 2))
            CPU_SET(cpu, &some);
    if (CPU_COUNT(&some) > 0 && sched_setaffinity(thread, sizeof some, &some) == 0)
        s->moves++;
}

static void stop(pid_t process, uint64_t *state, struct storms *s)
{
    for (uint32_t i = 1 + draw(state, 30); i > 0; i--) {
        kill(process, SIGSTOP);
        usleep(draw(state, 3000));
        kill(process, SIGCONT);
        usleep(draw(state, 1000));
        s->stops++;
    }
    s->bursts++;
}

static void disturb(pid_t process, const cpu_set_t *usable, uint64_t *state, struct storms *s)
{
    pid_t threads[THREADS];
    const unsigned n = list_threads(process, threads);

    if (draw(state, 8) == 0)
        stop(process, state, s);
    for (unsigned i = 0; i < n; i++) {
        if (draw(state, 4) == 0)
            move(usable, threads[i], state, s);
        /* Not before the handler is there. */
        if (dg_load_relaxed(&told->evals) > 0 && draw(state, 2) &&
            syscall(SYS_tgkill, process, threads[i], SIGUSR2) == 0)
            s->stalls++;
    }
    usleep(draw(state, 20000));
}

/* Between two looks: evals, and CPU time of the process. Without an eval it is left in peace, so that the CPU time
 * is its own. */
struct watch {
    uint64_t next_ns, cpu_ns, cpu_at_eval_ns;
    uint32_t evals;
    unsigned quiet;
    bool calm;
};

static uint64_t cpu_of(pid_t process)
{
    clockid_t clock;
    struct timespec t;

    if (clock_getcpuclockid(process, &clock) != 0 || clock_gettime(clock, &t) != 0)
        return 0;
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Why the process hangs, or NULL. */
static const char *look(struct watch *w, pid_t process)
{
    const uint32_t evals = dg_load_relaxed(&told->evals);
    const uint64_t cpu = cpu_of(process);

    if (dg_now_ns() < w->next_ns)
        return NULL;
    w->next_ns = dg_now_ns() + LOOK_S * 1000000000ull;
    if (evals != w->evals)
        w->cpu_at_eval_ns = cpu;
    w->calm = evals == w->evals;
    w->quiet = w->calm && cpu - w->cpu_ns < 1000000 ? w->quiet + 1 : 0;
    w->evals = evals;
    w->cpu_ns = cpu;
    if (w->quiet >= QUIET_LOOKS)
        return "all its threads sleep";
    return (cpu - w->cpu_at_eval_ns) / 1000000000u > MAX_CPU_S ? "it runs, and ends no eval" : NULL;
}

static void print_figures(double seconds, const struct storms *s)
{
    printf(
        "soak: %.0f s: %u evals of %u teams, all of the same bits; %u cancelled, %u teams traced; "
        "%llu stops in %llu bursts, %llu threads halted, %llu moved\n",
        seconds, dg_load_relaxed(&told->evals), dg_load_relaxed(&told->teams),
        dg_load_relaxed(&told->cancelled), dg_load_relaxed(&told->traced),
        (unsigned long long)s->stops, (unsigned long long)s->bursts, (unsigned long long)s->stalls,
        (unsigned long long)s->moves);
    fflush(stdout);
}

/* Until the time is over, or something is wrong. */
static const char *watch(pid_t process, double seconds, uint64_t state, struct storms *s)
{
    const uint64_t start = dg_now_ns();
    uint64_t told_at = start;
    struct watch w = {.next_ns = start};
    const char *wrong = NULL;
    cpu_set_t usable;

    sched_getaffinity(0, sizeof usable, &usable);
    while (!wrong &&
           (1e-9 * (double)(dg_now_ns() - start) < seconds || dg_load_relaxed(&told->evals) == 0)) {
        if (waitpid(process, NULL, WNOHANG) != 0)
            return *told->failed ? told->failed : "it ended";
        if (w.calm)
            usleep(20000);
        else
            disturb(process, &usable, &state, s);
        w.calm = w.calm && dg_load_relaxed(&told->evals) == w.evals;
        wrong = look(&w, process);
        if (dg_now_ns() - told_at > 600 * 1000000000ull) {
            told_at = dg_now_ns();
            print_figures(1e-9 * (double)(told_at - start), s);
        }
    }
    if (!wrong)
        print_figures(1e-9 * (double)(dg_now_ns() - start), s);
    kill(process, SIGKILL);
    waitpid(process, NULL, 0);
    return wrong;
}

int main(int argc, char **argv)
{
    const double seconds = argc > 1 ? 3600 * atof(argv[1]) : 5;
    const uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    struct storms storms = {0};
    const char *wrong;
    pid_t process;

    told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (told == MAP_FAILED || seconds <= 0) {
        fprintf(stderr, "usage: soak [HOURS [SEED]]\n");
        return 2;
    }
    process = fork();
    if (process == 0)
        work(seed);
    wrong = process < 0 ? "no process" : watch(process, seconds, ~seed, &storms);
    if (wrong)
        printf("soak: FAILED with seed %llu after %u evals: %s\n", (unsigned long long)seed,
               dg_load_relaxed(&told->evals), wrong);
    return wrong ? 1 : 0;
}
