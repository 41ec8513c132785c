/* What is measured: a decoded token, a prompt, and this program run as a process. The
 * first two are set up once and run many times; the process is all of it, from its start to its end. */
#include "bench.h"
#include "../cli/engine.h"
#include "../cli/leaving.h"
#include "../cli/signals.h"
#include "../../src/graph/plan.h"
#include "../../src/model/engine.h"
#include "../../src/model/gpt2.h"
#include "../../src/model/model.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Decoding starts after so many positions, and goes back to there after as many tokens. */
enum { DECODE_PAST = 16, DECODE_TOKENS = 64 };

/* An engine for one text. */
struct bench_text {
    struct dg_engine *engine;
    struct dg_sequence *sequence;
};

static struct bench_text new_text(struct dg_model *model, struct dg_team *team, enum dg_sched sched)
{
    struct dg_engine_options opt = cli_engine_options();
    struct bench_text t;
    struct dg_error err;

    opt.sched = sched;
    cli_check(dg_engine_new(&t.engine, model, team, &opt, &err), &err);
    cli_check(dg_sequence_new(&t.sequence, t.engine, &err), &err);
    return t;
}

static void free_text(struct bench_text t)
{
    dg_sequence_free(t.sequence);
    dg_engine_free(t.engine);
}

static void eval(const struct bench_text *t, const int32_t *ids, size_t n)
{
    struct dg_error err;

    cli_check(dg_sequence_eval(t->sequence, ids, n, 1, &err), &err);
}

/* Some id for position i. */
static int32_t some_id(uint32_t vocab, size_t i)
{
    return (int32_t)((31373 + 7919 * i) % vocab);
}

double bench_kept_bytes(const struct dg_sizes *z, uint32_t positions)
{
    return 2.0 * z->layers * positions * z->channels *
           (double)dg_dtype_bytes(dg_cache_dtype(cli_model_cache()));
}

void bench_step_cost(const struct dg_model *m, unsigned workers, uint32_t rows, uint32_t past,
                     double *flops, double *bytes)
{
    const struct dg_sizes *z = &m->sizes;
    const struct dg_gpt2_shape shape = {rows, 1, true, false, dg_cache_dtype(cli_model_cache())};
    const struct dg_tiling tiling = {workers, cli_model.tile.rows, cli_model.tile.cols};
    const double row = sizeof(float) * (double)z->channels;
    struct dg_graph *g;
    struct dg_plan *p;
    struct dg_error err;

    cli_check(dg_gpt2_graph(&g, m, &shape, &err), &err);
    cli_check(dg_plan_new(&p, g, &tiling, &err), &err);
    *flops = 0;
    for (uint32_t t = 0; t < p->n_tiles; t++)
        *flops += (double)dg_tile_cost(p, t, past).flops;
    dg_plan_free(p);
    dg_graph_free(g);
    *bytes = (double)dg_model_bytes(m) - (z->positions - rows) * row + /* of wpe, `rows` rows */
             bench_kept_bytes(z, past + rows);                         /* K and V */
}

/* ---- decoding ---- */

struct bench_decode {
    struct bench_text text;
    float *probs;
    uint32_t vocab, past, tokens;
    int32_t id;
};

struct bench_decode *bench_decode_new(struct dg_model *model, struct dg_team *team,
                                      enum dg_sched sched)
{
    const struct dg_sizes z = model->sizes;
    struct bench_decode *d = bench_allocate(1, sizeof *d);

    d->text = new_text(model, team, sched);
    d->probs = bench_allocate(z.vocab, sizeof *d->probs);
    d->vocab = z.vocab;
    d->past = z.positions / 2 < DECODE_PAST ? z.positions / 2 : DECODE_PAST;
    d->tokens = z.positions - d->past < DECODE_TOKENS ? z.positions - d->past : DECODE_TOKENS;
    for (uint32_t i = 0; i < d->past; i++) {
        const int32_t id = some_id(z.vocab, i);

        eval(&d->text, &id, 1);
    }
    d->id = some_id(z.vocab, d->past);
    return d;
}

void bench_decode_step(void *decode)
{
    struct bench_decode *d = decode;

    if (dg_sequence_position(d->text.sequence) == d->past + d->tokens)
        dg_sequence_rewind(d->text.sequence, d->past);
    eval(&d->text, &d->id, 1);
}

void bench_decode_run(void *decode)
{
    struct bench_decode *d = decode;
    struct dg_error err;
    int32_t best;

    bench_decode_step(d);
    cli_check(dg_softmax(d->probs, dg_sequence_logits(d->text.sequence), d->vocab, &best, &err),
              &err);
    d->id = dg_pick(d->probs, d->vocab, 0.5f);
}

uint32_t bench_decode_past(const struct bench_decode *d)
{
    return d->past + (d->tokens - 1) / 2;
}

void bench_decode_free(struct bench_decode *d)
{
    free_text(d->text);
    free(d->probs);
    free(d);
}

/* ---- prompts ---- */

struct bench_prompt {
    struct bench_text text;
    int32_t *ids;
    uint32_t n;
};

struct bench_prompt *bench_prompt_new(struct dg_model *model, struct dg_team *team,
                                      enum dg_sched sched, uint32_t tokens)
{
    struct bench_prompt *p = bench_allocate(1, sizeof *p);

    p->text = new_text(model, team, sched);
    p->ids = bench_allocate(tokens, sizeof *p->ids);
    p->n = tokens;
    for (uint32_t i = 0; i < tokens; i++)
        p->ids[i] = some_id(model->sizes.vocab, i);
    return p;
}

void bench_prompt_run(void *prompt)
{
    struct bench_prompt *p = prompt;

    dg_sequence_rewind(p->text.sequence, 0);
    eval(&p->text, p->ids, p->n);
}

void bench_prompt_free(struct bench_prompt *p)
{
    free_text(p->text);
    free(p->ids);
    free(p);
}

/* ---- a process ---- */

void bench_process_init(struct bench_process *p, const struct dg_sizes *z, unsigned workers,
                        uint32_t total, bool no_cache)
{
    *p = (struct bench_process){.no_cache = no_cache};
    snprintf(p->total, sizeof p->total, "%u", total);
    snprintf(p->workers, sizeof p->workers, "%u", workers);
    snprintf(p->ids[0], sizeof p->ids[0], "%d", (int)(31373 % z->vocab));
    snprintf(p->ids[1], sizeof p->ids[1], "%d", (int)(612 % z->vocab));
}

/* Starts it with standard error in a pipe, whose end is returned, and results thrown away. Not fork:
 * copying the page tables of a model and a probe would count as the process's own time. */
static int start_process(const struct bench_process *p, pid_t *pid)
{
    const char *isa = dg_isa_name(cli_model_isa());
    const char *argv[] = {"dagpt",
                          "tokens",
                          "--stats",
                          "-m",
                          cli_model_path(),
                          "-j",
                          p->workers,
                          "--cpus",
                          p->workers,
                          "--isa",
                          isa,
                          "--sched",
                          dg_sched_name(cli_model_sched()),
                          "--weights",
                          dg_precision_name((enum dg_precision)cli_model.weights),
                          "--cache",
                          dg_precision_name(cli_model_cache()),
                          "--total",
                          p->total,
                          p->ids[0],
                          p->ids[1],
                          p->no_cache ? "--no-cache" : NULL,
                          NULL};
    posix_spawn_file_actions_t files;
    int ends[2], failed;

    if (pipe2(ends, O_CLOEXEC) != 0)
        cli_die(DG_ERR_RESOURCE, "cannot make a pipe: %s", strerror(errno));
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&files, ends[1], 2);
    failed = posix_spawn(pid, "/proc/self/exe", &files, NULL, (char *const *)argv, environ);
    posix_spawn_file_actions_destroy(&files);
    close(ends[1]);
    if (failed)
        cli_die(DG_ERR_RESOURCE, "cannot run /proc/self/exe: %s", strerror(failed));
    return ends[0];
}

enum { LOOK_MS = 50 }; /* how often a signal is looked for: one may come just before poll() */

/* What the process says, until it ends. A signal that is noted ends it, too, whoever else has got it. */
static void hear_process(int from, pid_t pid, char *text, size_t room)
{
    struct pollfd p = {.fd = from, .events = POLLIN};
    ssize_t got = 1;
    size_t n = 0;

    while (got != 0 && n < room - 1) {
        if (poll(&p, 1, LOOK_MS) <= 0) {
            if (cli_signal())
                kill(pid, SIGKILL); /* it has nothing to save */
            continue;
        }
        got = read(from, text + n, room - 1 - n);
        if (got < 0 && errno != EINTR)
            break;
        n += got > 0 ? (size_t)got : 0;
    }
    text[n] = '\0';
}

void bench_process_run(void *process)
{
    struct bench_process *p = process;
    char text[2048];
    const char *line;
    double first_ms;
    int status;
    pid_t pid;
    const int from = start_process(p, &pid);

    hear_process(from, pid, text, sizeof text);
    close(from);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if ((!WIFEXITED(status) || WEXITSTATUS(status) != 0) && !cli_signal())
        cli_die(DG_ERR_RESOURCE, "dagpt tokens, run as a process, failed: %.*s",
                (int)strcspn(text, "\n"), text);
    line = strstr(text, "first token");
    if (line && sscanf(line, "first token %lf ms", &first_ms) == 1 &&
        (p->first_ms == 0 || first_ms < p->first_ms))
        p->first_ms = first_ms;
}
