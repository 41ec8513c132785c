/* The model's header is read before anything is made: a request that cannot be is refused at once. The
 * weights are read by the first step, each before it is used. */
#include "engine.h"
#include "demo.h"
#include "files.h"
#include "leaving.h"
#include "progress.h"
#include "recording.h"
#include "signals.h"
#include "../../src/base/cpu.h"
#include "../../src/model/model.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* ---- options ---- */

struct cli_model cli_model = {.fallback = DEMO_NAME, .workers = 4, .isa = UINT_MAX};

static const char *const sched_choices[] = {"dataflow", "barrier", "serial", NULL};

static const char *const weights_choices[] = {"auto", "f32", "bf16", "int8", NULL};

static const char *const cache_choices[] = {"f32", "bf16", NULL};

static const char *const isa_choices[] = {
    "scalar",
#if defined(__x86_64__)
    "avx2",   "avx-vnni", "avx512", "avx512-vnni", "amx",
#elif defined(__aarch64__)
    "neon",
    "neon-dot",
#endif
    NULL,
};

static const enum dg_isa isas[] = {
    DG_ISA_SCALAR,
#if defined(__x86_64__)
    DG_ISA_AVX2,   DG_ISA_AVX_VNNI, DG_ISA_AVX512, DG_ISA_AVX512_VNNI, DG_ISA_AMX,
#elif defined(__aarch64__)
    DG_ISA_NEON,
    DG_ISA_NEON_DOT,
#endif
};

const struct cli_option cli_model_options[] = {
    {'m', "model", CLI_TEXT, "MODEL",
     "folder, GGUF, packed or llm.c file, or demo; else $DAGPT_MODEL", &cli_model.path, 0, 0, NULL},
    {0, "verify", CLI_FLAG, NULL, "first compare all of a packed file with the sums in it",
     &cli_model.verify, 0, 0, NULL},
    {0},
};

const struct cli_option cli_team_options[] = {
    {'j', "workers", CLI_NUMBER, "N", "workers (4); at most as many as CPUs are awake",
     &cli_model.workers, 1, DG_MAX_WORKERS, NULL},
    {0, "cpus", CLI_NUMBER, "N", "take N as the number of CPUs instead of asking the system",
     &cli_model.cpus, 1, DG_MAX_WORKERS, NULL},
    {0, "tile", CLI_TILE, "RxC", "tiles of at most R rows and, in matmuls, C columns (chosen)",
     &cli_model.tile, 0, 0, NULL},
    {0, "weights", CLI_CHOICE, "AS",
     "hold matrices as f32, bf16 or int8; auto (default): as the file has them", &cli_model.weights,
     0, 0, weights_choices},
    {0, "cache", CLI_CHOICE, "AS", "hold keys and values as f32 (default) or bf16",
     &cli_model.cache, 0, 0, cache_choices},
    {0},
};

const struct cli_option cli_run_options[] = {
    {0, "sched", CLI_CHOICE, "NAME", "dataflow (default), barrier or serial", &cli_model.sched, 0,
     0, sched_choices},
    {0, "isa", CLI_CHOICE, "NAME",
     "at most scalar, avx2, avx-vnni, avx512 or avx512-vnni, or amx; on Arm scalar, neon or "
     "neon-dot",
     &cli_model.isa, 0, 0, isa_choices},
    {0, "chunk", CLI_NUMBER, "N", "read the prompt in steps of N tokens (all at once)",
     &cli_model.chunk, 1, 1 << 24, NULL},
    {0, "stats", CLI_FLAG, NULL, "times and rates, on standard error", &cli_model.stats, 0, 0,
     NULL},
    {0},
};

enum dg_sched cli_model_sched(void)
{
    return DG_SCHED_DATAFLOW + cli_model.sched; /* as sched_choices has them */
}

enum dg_isa cli_model_isa(void)
{
    const enum dg_isa isa = cli_model.isa == UINT_MAX ? DG_ISA_BEST : isas[cli_model.isa];
    const enum dg_isa cap = dg_isa_cap(isa);

    if (isa == DG_ISA_AMX && cap != isa)
        cli_die(DG_ERR_USAGE, "--isa: got amx, expected one that this processor, its system and "
                              "this build have");
    return cap;
}

enum dg_precision cli_model_cache(void)
{
    return DG_PRECISION_F32 + (enum dg_precision)cli_model.cache; /* as cache_choices has them */
}

enum dg_precision cli_precision_of_trace(const char *name)
{
    enum dg_precision p = DG_PRECISION_AUTO;

    while (strcmp(dg_precision_name(p), "unknown") != 0 && strcmp(dg_precision_name(p), name) != 0)
        p++;
    return strcmp(dg_precision_name(p), name) == 0 ? p : DG_PRECISION_F32;
}

enum dg_precision cli_model_precision(const struct dg_weights *w)
{
    return dg_model_precision(cli_model.weights, dg_weights_find(w, DG_Q_WEIGHT, 0)->dtype);
}

struct dg_engine_options cli_engine_options(void)
{
    return (struct dg_engine_options){
        .size = sizeof(struct dg_engine_options),
        .isa = cli_model_isa(),
        .sched = cli_model_sched(),
        .chunk = (uint32_t)cli_model.chunk,
        .row_block = cli_model.tile.rows,
        .col_block = cli_model.tile.cols,
        .cache = cli_model_cache(),
    };
}

/* ---- the model ---- */

static bool model_is_named(void)
{
    const char *named = getenv("DAGPT_MODEL");

    return cli_model.path || (named && *named);
}

const char *cli_model_path(void)
{
    const char *named = getenv("DAGPT_MODEL");

    if (cli_model.path)
        return cli_model.path;
    return model_is_named() ? named : cli_model.fallback;
}

bool cli_model_is_demo(void)
{
    return strcmp(cli_model_path(), DEMO_NAME) == 0;
}

/* cli_check for what comes of looking at that file: says how to name another if none was named. */
static void check_model(enum dg_status status, const struct dg_error *err)
{
    if (status != DG_OK && !model_is_named())
        cli_die(status,
                "%s (make lab makes a model to try, -m demo takes the one in the program, -m or "
                "$DAGPT_MODEL names another)",
                err->text);
    cli_check(status, err);
}

/* The model is opened once: what is said of its sizes is of what is then loaded, also if another file takes its
 * name meanwhile. */
static struct dg_weights *weights;

static void close_weights(void)
{
    dg_weights_close(weights);
}

/* No output shall take the place of a file that the model consists of. */
static void name_files(const struct dg_weights *w)
{
    cli_reads(cli_model_path());
    for (uint32_t i = 0; i < w->n_files; i++)
        cli_reads_open(cli_model_path(), w->files[i].fd);
    for (size_t i = 0; dg_weights_files[i]; i++) {
        char *path = dg_weights_path(w, dg_weights_files[i]);

        if (!path)
            cli_die(DG_ERR_RESOURCE, "out of memory for a path");
        cli_reads(path);
        free(path);
    }
}

const struct dg_weights *cli_weights(void)
{
    struct dg_error err;
    enum dg_status st;

    if (weights)
        return weights;
    if (cli_model_is_demo())
        st = dg_weights_open_memory(&weights, demo_model, (size_t)(demo_model_end - demo_model),
                                    DEMO_NAME, &err);
    else
        st = dg_weights_open(&weights, cli_model_path(), &err);
    check_model(st, &err);
    cli_on_leaving(close_weights);
    if (!cli_model_is_demo())
        name_files(weights);
    if (cli_model.verify)
        cli_check(dg_weights_verify(weights, &err), &err);
    return weights;
}

enum dg_status cli_model_open(struct dg_model **out, struct dg_team *team, struct dg_error *err)
{
    struct dg_weights *w;
    enum dg_status st;

    cli_weights();
    w = weights;
    weights = NULL; /* it is the model's now */
    st = dg_model_of_weights(out, w, cli_model.weights, team, err);
    if (st == DG_OK && (*out)->in_place && w->files[0].map)
        cli_signals_mapped(w->files[0].map, (size_t)w->bytes, w->files[0].fd, cli_model_path());
    return st;
}

void cli_request_check(const int32_t *ids, size_t n, size_t total, struct dg_sizes *z)
{
    *z = cli_weights()->sizes;
    for (size_t i = 0; i < n; i++)
        if ((uint32_t)ids[i] >= z->vocab)
            cli_die(DG_ERR_TOKEN, "token id %zu: got %" PRId32 ", expected 0 to %" PRIu32, i + 1,
                    ids[i], z->vocab - 1);
    if (total > z->positions)
        cli_die(DG_ERR_TOKEN, "%s: got %zu ids in all, expected at most maxT = %" PRIu32,
                cli_model_path(), total, z->positions);
}

/* ---- the engine ---- */

static struct cli_engine engine;

static void close_engine(void)
{
    dg_sequence_free(engine.sequence);
    dg_engine_free(engine.engine);
    dg_model_free(engine.model);
    cli_signals_cancel(NULL);
    dg_team_free(engine.team);
}

void cli_engine_record(struct dg_team *team, const struct dg_sizes *sizes,
                       struct dg_model *const *model)
{
    const char *slash = strrchr(cli_model_path(), '/');
    const struct trace_facts facts = {
        .command = cli_command_line(),
        .model = slash ? slash + 1 : cli_model_path(),
        .sizes = *sizes,
        .weights = dg_precision_name(cli_model_precision(cli_weights())),
        .cache = dg_precision_name(cli_model_cache()),
        .workers = dg_team_workers(team),
        .cpus = cli_model.cpus ? (unsigned)cli_model.cpus : dg_usable_cpus(),
        .isa = dg_isa_name(cli_model_isa()),
        .sched = dg_sched_name(cli_model_sched()),
    };

    cli_record(team, cli_model_isa(), &facts, model);
}

void (*cli_when_opened)(struct cli_engine *e);

struct cli_engine *cli_engine_open(const int32_t *ids, size_t n, size_t total)
{
    const struct dg_engine_options opt = cli_engine_options();
    struct cli_engine *e = &engine;
    struct dg_error err;

    cli_on_leaving(close_engine);
    cli_request_check(ids, n, total, &e->sizes);
    cli_check(dg_team_new(&e->team, (unsigned)cli_model.workers, (unsigned)cli_model.cpus, &err),
              &err);
    if (dg_team_workers(e->team) < (unsigned)cli_model.workers)
        fprintf(stderr, "dagpt: workers: got %u, expected %u: the system starts no more threads\n",
                dg_team_workers(e->team), (unsigned)cli_model.workers);
    cli_signals_cancel(e->team);
    cli_engine_record(e->team, &e->sizes, &e->model);
    cli_check(cli_model_open(&e->model, NULL, &err), &err);
    cli_check(dg_engine_new(&e->engine, e->model, e->team, &opt, &err), &err);
    cli_check(dg_sequence_new(&e->sequence, e->engine, &err), &err);
    if (cli_when_opened)
        cli_when_opened(e);
    return e;
}

bool cli_eval(struct cli_engine *e, const int32_t *ids, size_t n, size_t n_logits)
{
    const bool bar = !e->no_bar && (n > 1 || !e->loaded);
    struct dg_error err;
    enum dg_status st;

    if (bar)
        cli_progress(e->team, e->loaded ? "reading the prompt"
                              : n > 1   ? "loading, reading the prompt"
                                        : "loading");
    e->row = 0;
    e->ahead = n_logits > 0 ? n_logits - 1 : 0;
    st = dg_sequence_eval(e->sequence, ids, n, n_logits, &err);
    if (bar)
        cli_progress(e->team, NULL);
    if (st == DG_ERR_CANCELLED)
        return false;
    cli_check(st, &err);
    e->loaded = true;
    return true;
}

const float *cli_logits(const struct cli_engine *e)
{
    const float *logits = dg_sequence_logits(e->sequence);

    return e->given ? e->given : logits ? logits + e->row * e->sizes.vocab : NULL;
}

bool cli_next_row(struct cli_engine *e)
{
    if (e->ahead == 0)
        return false;
    e->row++;
    e->ahead--;
    return true;
}

size_t cli_position(const struct cli_engine *e)
{
    return dg_sequence_position(e->sequence);
}

void cli_rewind(struct cli_engine *e, size_t position)
{
    dg_sequence_rewind(e->sequence, position);
    e->row = e->ahead = 0;
}
