/* A session turns ids into steps. A step's plan depends on its rows alone, so a prompt makes one
 * (or two: full chunks and the rest), and the one for T = 1 serves every token after it. The plan of
 * a model's first step, which also loads it, serves once. */
#include "../dagpt.h"
#include "../base/arena.h"
#include "../base/checked.h"
#include "../ops/kernels/kernels.h"
#include "../runtime/sched.h"
#include "gpt2.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PLANS = 8 };

/* A graph, its plan and all that running it takes. */
struct prepared {
    uint32_t rows, logits_rows; /* rows 0: an empty place */
    uint64_t used;              /* when, in evals: the least recent goes first */
    struct dg_graph *graph;
    struct dg_plan *plan;
    struct dg_run *run;
    struct dg_arena *arena; /* activations */
    struct dg_tensor *ids, *logits;
};

struct dg_session {
    struct dg_arena *arena; /* holds the session itself and the KV cache */
    const struct dg_model *model;
    struct dg_team *team;
    struct dg_session_options opt;
    const struct dg_kernels *kernels;
    float **keys, **values; /* [layers] */
    size_t position;
    uint64_t clock;
    struct prepared plans[MAX_PLANS];
    const float *logits; /* of the last eval, or NULL */
    float *all_logits;   /* [rows of the last eval][vocab], with opt.all_logits */
};

/* One block of positions after another, each with the keys and values of all layers. */
static enum dg_status allocate_cache(struct dg_session *s, struct dg_error *err)
{
    const struct dg_sizes z = s->model->header.sizes;
    const size_t stride = dg_gpt2_cache_stride(&z), one = (size_t)DG_LANES * z.channels;
    float *at = dg_arena_array(s->arena, dg_div_up(z.positions, DG_LANES), stride * sizeof *at);

    s->keys = dg_arena_array(s->arena, z.layers, sizeof *s->keys);
    s->values = dg_arena_array(s->arena, z.layers, sizeof *s->values);
    if (!at || !s->keys || !s->values)
        return dg_fail_memory(err, "the KV cache",
                              dg_div_up(z.positions, DG_LANES) * stride * sizeof *at);
    for (uint32_t i = 0; i < z.layers; i++) {
        s->keys[i] = at + 2 * i * one;
        s->values[i] = at + (2 * i + 1) * one;
    }
    return DG_OK;
}

enum dg_status dg_session_new(struct dg_session **out, const struct dg_model *model,
                              struct dg_team *team, const struct dg_session_options *opt,
                              struct dg_error *err)
{
    struct dg_arena *arena = dg_arena_new();
    struct dg_session *s = arena ? dg_arena_alloc(arena, sizeof *s) : NULL;
    enum dg_status st;

    if (!s) {
        dg_arena_free(arena);
        return dg_fail_memory(err, "a session", sizeof *s);
    }
    s->arena = arena;
    s->model = model;
    s->team = team;
    s->opt = opt ? *opt : (struct dg_session_options){.isa = dg_isa_best()};
    if (s->opt.isa > dg_isa_best())
        s->opt.isa = dg_isa_best();
    s->kernels = dg_kernels_for(s->opt.isa);
    st = allocate_cache(s, err);
    if (st == DG_OK)
        *out = s;
    else
        dg_session_free(s);
    return st;
}

static void discard(struct prepared *p)
{
    dg_run_free(p->run);
    dg_plan_free(p->plan);
    dg_graph_free(p->graph);
    dg_arena_free(p->arena);
    *p = (struct prepared){0};
}

void dg_session_free(struct dg_session *s)
{
    if (!s)
        return;
    for (int i = 0; i < MAX_PLANS; i++)
        discard(&s->plans[i]);
    free(s->all_logits);
    dg_arena_free(s->arena);
}

static enum dg_status prepare(struct dg_session *s, struct prepared *p, uint32_t rows,
                              uint32_t logits_rows, struct dg_error *err)
{
    const struct dg_gpt2_shape shape = {rows, logits_rows, !s->opt.no_fuse,
                                        !dg_model_is_loaded(s->model)};
    const struct dg_tiling tiling = {dg_team_awake(s->team), s->opt.row_block, s->opt.col_block};
    enum dg_status st = dg_gpt2_graph(&p->graph, s->model, &shape, err);

    if (st == DG_OK)
        st = dg_plan_new(&p->plan, p->graph, &tiling, err);
    if (st != DG_OK)
        return st;
    p->arena = dg_arena_new();
    p->ids = dg_gpt2_ids(p->graph);
    if (p->arena)
        p->ids->data = dg_arena_array(p->arena, rows, sizeof(int32_t));
    if (!p->arena || !p->ids->data)
        return dg_fail_memory(err, "ids", rows * sizeof(int32_t));
    st = dg_plan_allocate(p->plan, p->arena, err);
    if (st == DG_OK)
        st = dg_run_new(&p->run, p->plan, s->team, err);
    if (st != DG_OK)
        return st;
    for (uint32_t i = 0; i < s->model->header.sizes.layers; i++) {
        dg_gpt2_keys(p->graph, i)->data = s->keys[i];
        dg_gpt2_values(p->graph, i)->data = s->values[i];
    }
    p->logits = dg_gpt2_logits(p->graph);
    p->rows = rows;
    p->logits_rows = logits_rows;
    return DG_OK;
}

/* The prepared plan for that shape: one that there is, or a new one in the place of the plan that
 * was used least recently. */
static enum dg_status find_plan(struct prepared **out, struct dg_session *s, uint32_t rows,
                                uint32_t logits_rows, struct dg_error *err)
{
    struct prepared *oldest = &s->plans[0];
    enum dg_status st;

    s->clock++;
    for (struct prepared *p = s->plans; p < s->plans + MAX_PLANS; p++) {
        if (p->rows == rows && p->logits_rows == logits_rows) {
            p->used = s->clock;
            *out = p;
            return DG_OK;
        }
        if (p->used < oldest->used)
            oldest = p;
    }
    discard(oldest);
    st = prepare(s, oldest, rows, logits_rows, err);
    if (st != DG_OK) {
        discard(oldest);
        return st;
    }
    oldest->used = s->clock;
    *out = oldest;
    return DG_OK;
}

static enum dg_status check_ids(const struct dg_session *s, const int32_t *ids, size_t n,
                                struct dg_error *err)
{
    const struct dg_sizes *z = &s->model->header.sizes;

    if (n > 0 && s->position == z->positions)
        return dg_fail(err, DG_ERR_TOKEN, "positions: all %" PRIu32 " of the model are used",
                       z->positions);
    if (n < 1 || n > z->positions - s->position)
        return dg_fail(
            err, DG_ERR_TOKEN,
            "positions: got %zu ids after %zu, expected 1 to %zu: the model has %" PRIu32, n,
            s->position, z->positions - s->position, z->positions);
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || (uint32_t)ids[i] >= z->vocab)
            return dg_fail(err, DG_ERR_TOKEN,
                           "token id %zu: got %" PRId32 ", expected 0 to %" PRIu32, i + 1, ids[i],
                           z->vocab - 1);
    return DG_OK;
}

/* One step: ids[0 ... rows - 1] at the session's position. all: where their logits go, or NULL. */
static enum dg_status eval_step(struct dg_session *s, const int32_t *ids, uint32_t rows,
                                uint32_t logits_rows, float *all, struct dg_error *err)
{
    const struct dg_step step = {
        .past = (uint32_t)s->position, .rows = rows, .kernels = s->kernels};
    struct prepared *p;
    enum dg_status st = find_plan(&p, s, rows, logits_rows, err);
    int failed;

    if (st != DG_OK)
        return st;
    memcpy(p->ids->data, ids, rows * sizeof *ids);
    failed = dg_run_step(p->run, &step, s->opt.sched);
    if (!dg_model_is_loaded(s->model)) {
        st = dg_model_loaded(s->model, failed, err);
        p->rows = 0; /* never again: it would load again */
    } else if (failed) {
        st = dg_fail(err, DG_ERR_IO, "a step failed: %s", strerror(failed));
    }
    if (st != DG_OK)
        return st;
    s->position += rows;
    s->logits = logits_rows ? p->logits->data : NULL;
    if (all)
        memcpy(all, s->logits, dg_tensor_bytes(p->logits));
    return DG_OK;
}

enum dg_status dg_session_eval(struct dg_session *s, const int32_t *ids, size_t n,
                               struct dg_error *err)
{
    const size_t before = s->position, vocab = s->model->header.sizes.vocab;
    const size_t chunk = s->opt.chunk ? s->opt.chunk : n;
    float *all = NULL;
    enum dg_status st = check_ids(s, ids, n, err);

    if (st != DG_OK)
        return st;
    if (s->opt.all_logits) {
        all = realloc(s->all_logits, n * vocab * sizeof *all); /* n and vocab: 24 and 26 bits */
        if (!all)
            return dg_fail_memory(err, "logits", n * vocab * sizeof *all);
        s->all_logits = all;
    }
    for (size_t i = 0, rows; i < n && st == DG_OK; i += rows) {
        rows = n - i < chunk ? n - i : chunk;
        st = eval_step(s, ids + i, (uint32_t)rows, all ? (uint32_t)rows : i + rows == n,
                       all ? all + i * vocab : NULL, err);
    }
    if (st != DG_OK)
        s->position = before;
    else if (all)
        s->logits = all;
    return st;
}

const float *dg_session_logits(const struct dg_session *s)
{
    return s->logits;
}

size_t dg_session_position(const struct dg_session *s)
{
    return s->position;
}

void dg_session_rewind(struct dg_session *s, size_t position)
{
    if (position < s->position)
        s->position = position;
}
