/* Loading is an op as any other: one for each weight, whose tiles read and pack. A model that is
 * opened with a team runs a graph of those alone; else they are part of the graph of its first step,
 * and layer 0 computes while layer 5 is being read.
 *
 * Weights that lie in a file as they are to lie in memory are not loaded: the file is mapped, and a page of it is
 * read when a tile first comes to it. */
#include "model.h"
#include "../base/arena.h"
#include "../base/checked.h"
#include "../base/status.h"
#include "../ops/ops.h"
#include "../runtime/sched.h"
#include "../runtime/team.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static struct dg_tensor tensor_of(const struct dg_sizes *z, enum dg_weight w, uint32_t layer)
{
    const struct dg_weight_shape shape = dg_weight_shape(z, w);
    struct dg_tensor t = {.role = DG_WEIGHT,
                          .layout = shape.layout,
                          .dtype = DG_F32,
                          .rows = shape.rows,
                          .cols = shape.cols};

    dg_layer_name(t.name, sizeof t.name, dg_weight_in_layers(w) ? (int)layer : -1, shape.name);
    return t;
}

enum dg_status dg_model_outline(struct dg_model **out, const struct dg_sizes *z,
                                const struct dg_recipe *recipe, struct dg_error *err)
{
    const uint32_t n = dg_weight_count(z);
    struct dg_arena *arena = dg_arena_new();
    struct dg_model *m = arena ? dg_arena_alloc(arena, sizeof *m) : NULL;

    if (m)
        m->tensors = dg_arena_array(arena, n, sizeof *m->tensors);
    if (!m || !m->tensors) {
        dg_arena_free(arena);
        return dg_fail_memory(err, "a model's weights", n * sizeof *m->tensors);
    }
    m->arena = arena;
    m->sizes = *z;
    dg_store_relaxed(&m->state, DG_MODEL_LOADED);
    dg_store_relaxed(&m->users, 1);
    m->recipe = recipe ? *recipe : DG_GPT2_RECIPE;
    for (enum dg_weight w = 0; w < DG_N_WEIGHTS; w++)
        for (uint32_t i = 0; i < (dg_weight_in_layers(w) ? z->layers : 1); i++)
            m->tensors[dg_weight_place(w, i)] = tensor_of(z, w, i);
    if (!m->recipe.own_head)
        m->tensors[DG_HEAD].rows = 0;
    *out = m;
    return DG_OK;
}

enum dg_precision dg_model_precision(enum dg_precision wanted, enum dg_dtype from)
{
    if (wanted != DG_PRECISION_AUTO)
        return wanted;
    if (from == DG_Q8_0 || from == DG_I8)
        return DG_PRECISION_INT8;
    return from == DG_BF16 ? DG_PRECISION_BF16 : DG_PRECISION_F32;
}

static enum dg_dtype dtype_of(enum dg_precision precision)
{
    if (precision == DG_PRECISION_INT8)
        return DG_I8;
    return precision == DG_PRECISION_BF16 ? DG_BF16 : DG_F32;
}

void dg_model_hold_as(struct dg_model *m, enum dg_precision precision,
                      const struct dg_weights *weights)
{
    for (uint32_t i = 0; i < dg_weight_count(&m->sizes); i++) {
        const enum dg_dtype from = weights ? weights->sources[i].dtype : DG_F32;

        if (m->tensors[i].layout == DG_PANELS)
            m->tensors[i].dtype = dtype_of(dg_model_precision(precision, from));
    }
}

static enum dg_status take_name(struct dg_model *m, struct dg_error *err)
{
    const size_t n = strlen(m->weights->name) + 1;
    char *name = dg_arena_alloc(m->arena, n);

    if (!name)
        return dg_fail_memory(err, "a model's name", n);
    m->name = memcpy(name, m->weights->name, n);
    return DG_OK;
}

/* Memory for all weights in one piece, so that they share huge pages. */
static enum dg_status allocate(struct dg_model *m, struct dg_error *err)
{
    const uint32_t n = dg_weight_count(&m->sizes);
    uint64_t bytes = 0;
    char *at;

    for (uint32_t i = 0; i < n; i++)
        bytes += (dg_tensor_bytes(&m->tensors[i]) + 63) / 64 * 64;
    at = dg_arena_alloc(m->arena, dg_size(bytes));
    if (!at)
        return dg_fail_memory(err, "weights", dg_size(bytes));
    for (uint32_t i = 0; i < n; i++) {
        m->tensors[i].data = at;
        at += dg_round_up(dg_tensor_bytes(&m->tensors[i]), 64);
    }
    return DG_OK;
}

/* Is a weight in its file as it is to be in memory, from such an address on? */
static bool fits(const struct dg_source *s, const struct dg_tensor *t)
{
    const bool panels = t->layout == DG_PANELS;

    return s->dtype == t->dtype && s->panels == panels && !s->transposed && s->offset % 64 == 0 &&
           (panels || s->stride == dg_dtype_run(s->dtype, t->cols));
}

bool dg_weights_in_place(const struct dg_weights *w, const struct dg_model *m)
{
    for (uint32_t i = 0; i < dg_weight_count(&m->sizes); i++)
        if (m->tensors[i].rows > 0 && !fits(&w->sources[i], &m->tensors[i]))
            return false;
    return w->n_files == 1;
}

/* Takes the weights from where they lie, if that can be. */
static bool use_in_place(struct dg_model *m)
{
    struct dg_weights *w = m->weights;
    const char *at = dg_weights_in_place(w, m) ? dg_file_map(&w->files[0]) : NULL;

    if (!at || (uintptr_t)at % 64 != 0)
        return false;
    for (uint32_t i = 0; i < dg_weight_count(&m->sizes); i++)
        if (m->tensors[i].rows > 0)
            m->tensors[i].data = (void *)(uintptr_t)(at + w->sources[i].offset); /* only read */
    m->in_place = true;
    return true;
}

enum dg_status dg_model_check(const struct dg_model *m, struct dg_error *err)
{
    if (!m->in_place || !dg_file_changed(&m->weights->files[0]))
        return DG_OK;
    return dg_fail(err, DG_ERR_MODEL,
                   "%s: got a file that was written to while it was in use, expected %" PRIu64
                   " bytes that stay as they are",
                   m->weights->name, m->weights->bytes);
}

enum dg_status dg_model_loaded(struct dg_model *m, int failed, struct dg_error *err)
{
    if (failed == ECANCELED)
        return dg_fail(err, DG_ERR_CANCELLED, "%s: reading the weights was cancelled",
                       m->weights->name);
    if (failed == EDOM)
        return dg_weights_not_finite(m->weights, err);
    if (failed)
        return dg_fail(err, DG_ERR_IO, "%s: cannot read the weights: %s", m->weights->name,
                       strerror(failed));
    if (!m->shared) {
        dg_weights_close(m->weights);
        m->weights = NULL;
    }
    dg_store_release(&m->state, DG_MODEL_LOADED);
    return DG_OK;
}

/* A load op for each weight. */
static enum dg_status build_load_graph(struct dg_graph **out, const struct dg_model *m,
                                       struct dg_error *err)
{
    const uint32_t n = dg_weight_count(&m->sizes);
    enum dg_status st = dg_graph_new(out, n, n, err);

    for (uint32_t i = 0; i < n && st == DG_OK; i++) /* both tables by dg_weight_place() */
        if (m->tensors[i].rows > 0)
            dg_graph_load(*out, &m->tensors[i], -1, &m->weights->sources[i]);
    return st == DG_OK ? dg_graph_check(*out, err) : st;
}

/* Loads with all of the team. */
static enum dg_status load(struct dg_model *m, struct dg_team *team, struct dg_error *err)
{
    const struct dg_tiling tiling = {.workers = dg_team_awake(team)};
    const struct dg_step step = {0};
    struct dg_graph *g = NULL;
    struct dg_plan *plan = NULL;
    struct dg_run *run = NULL;
    enum dg_status st = build_load_graph(&g, m, err);

    if (st == DG_OK)
        st = dg_plan_new(&plan, g, &tiling, err);
    if (st == DG_OK)
        st = dg_run_new(&run, plan, team, err);
    if (st == DG_OK)
        st = dg_team_enter(team, err);
    if (st == DG_OK) {
        st = dg_model_loaded(m, dg_run_step(run, &step, DG_SCHED_DATAFLOW), err);
        dg_team_leave(team);
    }
    dg_run_free(run);
    dg_plan_free(plan);
    dg_graph_free(g);
    return st;
}

enum dg_status dg_model_of_weights(struct dg_model **out, struct dg_weights *weights,
                                   enum dg_precision precision, struct dg_team *team,
                                   struct dg_error *err)
{
    struct dg_model *m;
    enum dg_status st = dg_model_outline(&m, &weights->sizes, &weights->recipe, err);

    if (st != DG_OK) {
        dg_weights_close(weights);
        return st;
    }
    m->weights = weights;
    dg_model_hold_as(m, precision, weights);
    st = take_name(m, err);
    if (st == DG_OK && !use_in_place(m)) {
        dg_store_relaxed(&m->state, DG_MODEL_UNLOADED);
        st = allocate(m, err);
        if (st == DG_OK && team)
            st = load(m, team, err);
    }
    if (st == DG_OK)
        *out = m;
    else
        dg_model_free(m);
    return st;
}

static const char *const precision_names[] = {"auto", "f32", "bf16", "int8"};

enum { N_PRECISIONS = sizeof precision_names / sizeof *precision_names };

const char *dg_precision_name(enum dg_precision precision)
{
    return (unsigned)precision < N_PRECISIONS ? precision_names[precision] : "unknown";
}

static bool is_precision(enum dg_precision precision, struct dg_error *err)
{
    if ((unsigned)precision < N_PRECISIONS)
        return true;
    dg_fail(err, DG_ERR_USAGE, "weights: got %d, expected %d to %d", (int)precision,
            DG_PRECISION_AUTO, N_PRECISIONS - 1);
    return false;
}

enum dg_status dg_model_open_as(struct dg_model **out, const char *path, enum dg_precision weights,
                                struct dg_team *team, struct dg_error *err)
{
    struct dg_weights *w;
    enum dg_status st;

    if (!dg_is_place(out, err) || !dg_is_given(path, "path", err) || !is_precision(weights, err))
        return DG_ERR_USAGE;
    st = dg_weights_open(&w, path, err);
    return st == DG_OK ? dg_model_of_weights(out, w, weights, team, err) : st;
}

enum dg_status dg_model_parse_as(struct dg_model **out, const void *data, size_t n,
                                 const char *name, enum dg_precision weights, struct dg_team *team,
                                 struct dg_error *err)
{
    struct dg_weights *w;
    enum dg_status st;

    if (!dg_is_place(out, err) || !dg_is_given(data, "data", err) ||
        !dg_is_given(name, "name", err) || !is_precision(weights, err))
        return DG_ERR_USAGE;
    st = dg_weights_open_memory(&w, data, n, name, err);
    return st == DG_OK ? dg_model_of_weights(out, w, weights, team, err) : st;
}

enum dg_status dg_model_open(struct dg_model **out, const char *path, struct dg_team *team,
                             struct dg_error *err)
{
    return dg_model_open_as(out, path, DG_PRECISION_AUTO, team, err);
}

enum dg_status dg_model_parse(struct dg_model **out, const void *data, size_t n, const char *name,
                              struct dg_team *team, struct dg_error *err)
{
    return dg_model_parse_as(out, data, n, name, DG_PRECISION_AUTO, team, err);
}

enum dg_status dg_model_peek(const char *path, struct dg_sizes *sizes, struct dg_error *err)
{
    struct dg_weights *w;
    enum dg_status st;

    if (!dg_is_given(path, "path", err) || !dg_is_given(sizes, "sizes", err))
        return DG_ERR_USAGE;
    st = dg_weights_open(&w, path, err);
    if (st != DG_OK)
        return st;
    *sizes = w->sizes;
    dg_weights_close(w);
    return DG_OK;
}

enum dg_status dg_model_verify(const char *path, struct dg_error *err)
{
    struct dg_weights *w;
    enum dg_status st;

    if (!dg_is_given(path, "path", err))
        return DG_ERR_USAGE;
    st = dg_weights_open(&w, path, err);
    if (st != DG_OK)
        return st;
    st = dg_weights_verify(w, err);
    dg_weights_close(w);
    return st;
}

void dg_model_free(struct dg_model *m)
{
    if (!m || dg_sub_acq_rel(&m->users, 1) > 0)
        return;
    dg_weights_close(m->weights);
    dg_arena_free(m->arena); /* m itself lies in it */
}

struct dg_sizes dg_model_sizes(const struct dg_model *m)
{
    return m ? m->sizes : (struct dg_sizes){0};
}

uint64_t dg_model_parameters(const struct dg_model *m)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < dg_weight_count(&m->sizes); i++)
        n += (uint64_t)m->tensors[i].rows * m->tensors[i].cols;
    return n;
}

uint64_t dg_model_bytes(const struct dg_model *m)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < dg_weight_count(&m->sizes); i++)
        n += dg_tensor_bytes(&m->tensors[i]);
    return n;
}
