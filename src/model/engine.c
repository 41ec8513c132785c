/* An engine turns rows into steps. A plan depends on how many rows there are, and how many of them get
 * logits, and on nothing else: each step brings ids, positions, caches and places for logits along. So a
 * prompt makes one plan (or two: full chunks and the rest), and the one for one row serves every token of
 * every sequence after it. The plan of a model's first step, which also loads it, serves once. One step runs
 * at a time, so all plans have their activations in the same memory. */
#include "engine.h"
#include "../base/arena.h"
#include "../base/checked.h"
#include "../base/cpu.h"
#include "../base/options.h"
#include "../ops/kernels/kernels.h"
#include "../runtime/sched.h"
#include "../runtime/team.h"
#include "gpt2.h"
#include "overflow.h"
#include "pool.h"
#include <sync.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Of 124M one takes 1.4 ms to make, and 0.2 MB. A batch has a shape for each number of sequences that are
 * decoded, and some for each with rows of prompts beside them. */
enum { MAX_PLANS = 64 };

/* A graph, its plan and all that running it takes. */
struct prepared {
    uint32_t rows, n_logits; /* rows 0: an empty place */
    uint64_t used;           /* when, in steps: the least recent goes first */
    struct dg_graph *graph;
    struct dg_plan *plan;
    struct dg_piece *piece; /* of a rank: graph and plan are its; else NULL */
    void *line;             /* its transport's */
    struct dg_run *run;
    struct dg_row *row;     /* [rows] of the step that runs */
    struct dg_arena *arena; /* rows and ids */
    void *activations;      /* where they are, so far */
    float *spare_logits;    /* [vocab] of a rank: of a row that is to have none */
};

struct dg_engine {
    struct dg_model *model;
    struct dg_team *team;
    struct dg_engine_options opt;
    const struct dg_kernels *kernels;
    struct dg_pool *pool;
    bool claims; /* the model is this engine's until it is loaded */

    /* Of a rank of several; else `transport` is NULL. */
    const struct dg_transport *transport;
    struct dg_placement *placement;
    uint32_t rank, all_workers;

    /* One for who made it, one for each sequence. Order: relaxed up; acq_rel down: who takes the last frees
     * what the others have used. */
    struct dg_atomic users;

    /* Touched by who has entered the team. */
    uint64_t clock;
    struct prepared *entered; /* for the step that is being filled, or runs */
    bool spare;               /* its last row gets logits that nobody asked for */
    struct prepared plans[MAX_PLANS];
    struct dg_arena *arena; /* of activations[room], for all plans */
    void *activations;
    uint64_t room;
};

DG_NO_PADDING_AFTER(struct dg_engine_options, reserved);

static enum dg_status check_options(const struct dg_engine_options *opt, struct dg_error *err)
{
    if ((unsigned)opt->isa >= DG_N_ISA || (opt->isa != DG_ISA_BEST && !dg_isa_built(opt->isa)))
        return dg_fail(err, DG_ERR_USAGE,
                       "isa: got %d (%s), expected one of this processor architecture",
                       (int)opt->isa, dg_isa_name(opt->isa));
    if (opt->isa == DG_ISA_AMX && dg_isa_cap(DG_ISA_AMX) != DG_ISA_AMX)
        return dg_fail(
            err, DG_ERR_USAGE,
            "isa: got amx, expected one that this processor, its system and this build have");
    if (opt->no_fuse > 1)
        return dg_fail(err, DG_ERR_USAGE, "no_fuse: got %" PRIu32 ", expected 0 or 1",
                       opt->no_fuse);
    if ((unsigned)opt->cache > DG_PRECISION_BF16)
        return dg_fail(err, DG_ERR_USAGE, "cache: got %d (%s), expected auto, f32 or bf16",
                       (int)opt->cache, dg_precision_name(opt->cache));
    if (opt->reserved)
        return dg_fail(err, DG_ERR_USAGE, "reserved: got %" PRIu32 ", expected 0", opt->reserved);
    if ((unsigned)opt->sched > DG_SCHED_SERIAL)
        return dg_fail(err, DG_ERR_USAGE, "sched: got %d, expected %d to %d", (int)opt->sched,
                       DG_SCHED_DEFAULT, DG_SCHED_SERIAL);
    return DG_OK;
}

static enum dg_status take_model(struct dg_engine *e, struct dg_model *m, struct dg_error *err)
{
    e->claims = dg_change_acq_rel(&m->state, DG_MODEL_UNLOADED, DG_MODEL_CLAIMED);
    if (!e->claims && !dg_model_is_loaded(m))
        return dg_fail(
            err, DG_ERR_USAGE,
            "model: another engine is to load it, and has not yet; dg_model_open() with a "
            "team loads at once");
    e->model = m;
    dg_model_hold(m);
    return DG_OK;
}

enum dg_status dg_engine_new(struct dg_engine **out, struct dg_model *model, struct dg_team *team,
                             const struct dg_engine_options *opt, struct dg_error *err)
{
    struct dg_engine_options options;
    enum dg_status st;
    struct dg_engine *e;

    if (!dg_is_place(out, err) || !dg_is_given(model, "model", err) ||
        !dg_is_given(team, "team", err))
        return DG_ERR_USAGE;
    st = dg_options_read(&options, sizeof options, sizeof options, opt, "engine options", err);
    if (st == DG_OK)
        st = check_options(&options, err);
    if (st != DG_OK)
        return st;
    e = calloc(1, sizeof *e);
    if (!e)
        return dg_fail_memory(err, "an engine", sizeof *e);
    e->opt = options;
    e->kernels = dg_kernels_for(options.isa);
    dg_store_relaxed(&e->users, 1);
    st = take_model(e, model, err);
    if (st != DG_OK) {
        free(e);
        return st;
    }
    e->team = team;
    dg_team_hold(team);
    st = dg_pool_new(&e->pool, &model->sizes, dg_cache_dtype(options.cache), options.cache_bytes,
                     err);
    if (st != DG_OK)
        dg_engine_free(e);
    else
        *out = e;
    return st;
}

static void discard(const struct dg_engine *e, struct prepared *p)
{
    if (p->line)
        e->transport->close(e->transport->arg, p->line);
    dg_run_free(p->run);
    if (p->piece) {
        dg_piece_free(p->piece);
    } else {
        dg_plan_free(p->plan);
        dg_graph_free(p->graph);
    }
    dg_arena_free(p->arena);
    *p = (struct prepared){0};
}

void dg_engine_free(struct dg_engine *e)
{
    if (!e || dg_sub_acq_rel(&e->users, 1) > 0)
        return;
    for (int i = 0; i < MAX_PLANS; i++)
        discard(e, &e->plans[i]);
    dg_placement_free(e->placement);
    if (e->claims) /* does nothing when it has loaded */
        (void)dg_change_acq_rel(&e->model->state, DG_MODEL_CLAIMED, DG_MODEL_UNLOADED);
    dg_arena_free(e->arena);
    dg_pool_free(e->pool);
    dg_model_free(e->model);
    dg_team_free(e->team);
    free(e);
}

void dg_engine_hold(struct dg_engine *e)
{
    dg_add_relaxed(&e->users, 1);
}

const struct dg_model *dg_engine_model(const struct dg_engine *e)
{
    return e->model;
}

bool dg_engine_has_logits(const struct dg_engine *e)
{
    return e->rank == 0;
}

void dg_engine_text(const struct dg_engine *e, const struct dg_sequence *s,
                    const struct dg_sequence *from)
{
    if (e->transport && e->transport->text)
        e->transport->text(e->transport->arg, s, from);
}

struct dg_pool *dg_engine_pool(struct dg_engine *e)
{
    return e->pool;
}

uint32_t dg_engine_chunk(const struct dg_engine *e)
{
    return e->opt.chunk;
}

/* Memory for the activations of a plan, if there is not as much yet. */
static enum dg_status make_room(struct dg_engine *e, uint64_t bytes, struct dg_error *err)
{
    struct dg_arena *arena;
    void *memory;

    if (bytes <= e->room)
        return DG_OK;
    arena = dg_arena_new();
    memory = arena ? dg_arena_alloc(arena, dg_size(bytes)) : NULL;
    if (!memory) {
        dg_arena_free(arena);
        return dg_fail_memory(err, "activations", dg_size(bytes));
    }
    dg_arena_free(e->arena);
    e->arena = arena;
    e->activations = memory;
    e->room = bytes;
    return DG_OK;
}

enum dg_status dg_engine_join(struct dg_engine *e, enum dg_placing how, uint32_t rank,
                              uint32_t ranks, uint32_t workers,
                              const struct dg_transport *transport, struct dg_error *err)
{
    const struct dg_gpt2_shape all = {1, 1, !e->opt.no_fuse, false, dg_cache_dtype(e->opt.cache)};
    struct dg_graph *g = NULL;
    enum dg_status st;

    if (dg_model_is_loaded(e->model) && !e->model->in_place)
        return dg_fail(err, DG_ERR_USAGE, "model: expected one that is not loaded");
    e->model->shared = true;
    st = dg_gpt2_graph(&g, e->model, &all, err);
    if (st == DG_OK)
        st = dg_placement_new(&e->placement, g, how, ranks, err);
    dg_graph_free(g);
    if (st == DG_OK) {
        e->transport = transport;
        e->rank = rank;
        e->all_workers = workers;
    }
    return st;
}

/* The rank's piece in the place of the whole plan. */
static enum dg_status take_piece(struct dg_engine *e, struct prepared *p, struct dg_error *err)
{
    struct dg_placed placed;
    enum dg_status st = dg_place_tiles(&placed, e->placement, p->plan, err);

    if (st != DG_OK)
        return st;
    st = dg_piece_new(&p->piece, p->plan, &placed, e->rank, dg_team_awake(e->team), err);
    if (st == DG_OK && e->transport->look)
        e->transport->look(e->transport->arg, p->plan, &placed);
    dg_placed_free(&placed);
    if (st != DG_OK)
        return st;
    dg_plan_free(p->plan);
    dg_graph_free(p->graph);
    p->plan = p->piece->plan;
    p->graph = p->piece->graph;
    return DG_OK;
}

static enum dg_status open_line(struct dg_engine *e, struct prepared *p, struct dg_error *err)
{
    const struct dg_transport *t = e->transport;
    const size_t vocab = e->model->sizes.vocab;
    enum dg_status st;

    p->spare_logits = dg_arena_array(p->arena, vocab, sizeof *p->spare_logits);
    if (!p->spare_logits)
        return dg_fail_memory(err, "logits", vocab * sizeof *p->spare_logits);
    st = t->open(t->arg, &p->line, p->piece, p->run, err);
    if (st == DG_OK)
        dg_run_poll(p->run, t->poll, p->line);
    return st;
}

static enum dg_status prepare(struct dg_engine *e, struct prepared *p, uint32_t rows,
                              uint32_t n_logits, struct dg_error *err)
{
    const struct dg_gpt2_shape shape = {rows, n_logits, !e->opt.no_fuse,
                                        !dg_model_is_loaded(e->model),
                                        dg_cache_dtype(e->opt.cache)};
    const struct dg_tiling tiling = {e->transport ? e->all_workers : dg_team_awake(e->team),
                                     e->opt.row_block, e->opt.col_block};
    enum dg_status st = dg_gpt2_graph(&p->graph, e->model, &shape, err);

    if (st == DG_OK)
        st = dg_plan_new(&p->plan, p->graph, &tiling, err);
    if (st == DG_OK && e->transport)
        st = take_piece(e, p, err);
    if (st != DG_OK)
        return st;
    p->arena = dg_arena_new();
    if (p->arena) {
        p->row = dg_arena_array(p->arena, rows, sizeof *p->row);
        p->graph->inputs[0]->data = dg_arena_array(p->arena, rows, sizeof(int32_t));
    }
    if (!p->arena || !p->row || !p->graph->inputs[0]->data)
        return dg_fail_memory(err, "rows", rows * sizeof *p->row);
    st = make_room(e, p->plan->arena_bytes, err);
    if (st == DG_OK)
        st = dg_run_new(&p->run, p->plan, e->team, err);
    if (st == DG_OK && e->transport)
        st = open_line(e, p, err);
    p->rows = rows;
    p->n_logits = n_logits;
    return st;
}

/* The prepared plan for that shape: one that there is, or a new one in the place of the plan that
 * was used least recently. */
static enum dg_status find_plan(struct prepared **out, struct dg_engine *e, uint32_t rows,
                                uint32_t n_logits, struct dg_error *err)
{
    struct prepared *oldest = &e->plans[0];
    enum dg_status st;

    e->clock++;
    for (struct prepared *p = e->plans; p < e->plans + MAX_PLANS; p++) {
        if (p->rows == rows && p->n_logits == n_logits) {
            p->used = e->clock;
            *out = p;
            return DG_OK;
        }
        if (p->used < oldest->used)
            oldest = p;
    }
    discard(e, oldest);
    st = prepare(e, oldest, rows, n_logits, err);
    if (st != DG_OK) {
        discard(e, oldest);
        return st;
    }
    oldest->used = e->clock;
    *out = oldest;
    return DG_OK;
}

static void use_activations(struct prepared *p, void *memory)
{
    if (p->activations == memory)
        return;
    dg_plan_use(p->plan, memory);
    p->activations = memory;
}

enum dg_status dg_engine_enter(struct dg_engine *e, uint32_t rows, uint32_t n_logits,
                               struct dg_rows *out, struct dg_error *err)
{
    enum dg_status st = dg_team_enter(e->team, err);

    if (st != DG_OK)
        return st;
    /* A rank loads the weights that its tiles read: with logits those are all. */
    e->spare = e->transport && !dg_model_is_loaded(e->model) && n_logits == 0;
    st = find_plan(&e->entered, e, rows, n_logits + e->spare, err);
    if (st != DG_OK) {
        dg_team_leave(e->team);
        return st;
    }
    use_activations(e->entered, e->activations);
    *out = (struct dg_rows){e->entered->row, e->entered->graph->inputs[0]->data};
    return DG_OK;
}

/* dg_run_step(), of a rank between the transport's begin and end, whose errors are *st. `watched`: or NULL. */
static int run_step(struct dg_engine *e, struct prepared *p, struct dg_overflow *watched,
                    enum dg_status *st, struct dg_error *err)
{
    const struct dg_step step = {.row = p->row, .rows = p->rows, .kernels = e->kernels};
    const struct dg_transport *t = e->transport;
    int failed;

    *st = DG_OK;
    if (!t)
        return dg_run_step(p->run, &step, e->opt.sched);
    if (e->spare)
        p->row[p->rows - 1].logits = p->spare_logits;
    *st = t->begin(t->arg, p->line, &step, p->graph->inputs[0]->data, p->n_logits, watched, err);
    if (*st != DG_OK)
        return 0;
    failed = dg_run_step(p->run, &step, e->opt.sched);
    *st = t->end(t->arg, p->line, err);
    return failed;
}

enum dg_status dg_engine_run(struct dg_engine *e, struct dg_error *err)
{
    struct prepared *p = e->entered;
    enum dg_status st;
    const int failed = run_step(e, p, NULL, &st, err);

    if (st != DG_OK) {
        dg_team_leave(e->team);
        return st;
    }
    if (!dg_model_is_loaded(e->model)) {
        st = dg_model_loaded(e->model, failed, err);
        discard(e, p); /* it would load again */
    } else if (failed == ECANCELED) {
        st = dg_fail(err, DG_ERR_CANCELLED, "the step was cancelled");
    } else if (failed) {
        st = dg_fail(err, DG_ERR_IO, "a step failed: %s", strerror(failed));
    } else {
        st = dg_model_check(e->model, err);
    }
    dg_team_leave(e->team);
    return st;
}

/* All ranks run the step again; rank 0 is told what the others have found. */
static enum dg_status watch_ranks(struct dg_engine *e, struct prepared *p,
                                  struct dg_overflow *found, struct dg_error *err)
{
    struct dg_watch *watch;
    enum dg_status st = dg_watch_begin(&watch, p->piece, e->model->name, found, err);

    if (st != DG_OK)
        return st;
    if (run_step(e, p, found, &st, err) != 0 && st == DG_OK)
        st = dg_fail(err, DG_ERR_IO, "a step failed");
    dg_watch_end(watch);
    return st;
}

enum dg_status dg_engine_watch(struct dg_engine *e, struct dg_overflow *found, struct dg_error *err)
{
    const enum dg_status st = watch_ranks(e, e->entered, found, err);

    dg_team_leave(e->team);
    return st;
}

enum dg_status dg_engine_find_overflow(struct dg_engine *e, struct dg_error *err)
{
    struct prepared *p = e->entered;
    const struct dg_step step = {.row = p->row, .rows = p->rows, .kernels = e->kernels};
    struct dg_overflow found = {.at = DG_NO_OVERFLOW};
    enum dg_status st = DG_OK;

    if (e->model->in_place) /* no load has looked at them */
        st = dg_weights_finite(e->model->weights, err);
    if (st == DG_OK && e->transport) {
        st = watch_ranks(e, p, &found, err);
        if (st == DG_OK && found.at != DG_NO_OVERFLOW)
            *err = found.err;
        else if (st == DG_OK)
            dg_fail(err, DG_ERR_MODEL, "%s: logits: got no finite numbers: damaged weights",
                    e->model->name);
        st = st == DG_OK ? DG_ERR_MODEL : st;
    } else if (st == DG_OK) {
        st = dg_overflow_find(p->plan, &step, e->model->name, err);
    }
    dg_team_leave(e->team);
    return st;
}
