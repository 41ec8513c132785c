/* Loading is an op as any other: one for each weight, whose tiles read and pack. A model that is
 * opened with a team runs a graph of those alone; else they are part of the graph of its first step,
 * and layer 0 computes while layer 5 is being read. */
#include "model.h"
#include "../base/arena.h"
#include "../base/checked.h"
#include "../ops/ops.h"
#include "../runtime/sched.h"

#include <stdio.h>
#include <string.h>

enum { TENSORS_PER_LAYER = sizeof(struct dg_layer) / sizeof(struct dg_tensor) };

/* One weight, and where a file has it: rows first_row ... of section s of a layer. A vector's place
 * is its first column. */
struct place {
    struct dg_tensor *tensor;
    enum dg_section section;
    uint32_t layer, first;
};

struct dg_loading {
    struct dg_checkpoint file;
    bool over; /* the file is closed */
    char *path;
    struct place *places;
    struct dg_source *sources; /* [count_places()] of each place */
};

static unsigned count_places(const struct dg_model *m)
{
    return 4 + m->header.sizes.layers * TENSORS_PER_LAYER;
}

/* Lists every weight of the model. This is the only place that knows which part of the file each
 * is; list has room for count_places(). */
static void list_places(struct dg_model *m, struct place *list)
{
    const uint32_t C = m->header.sizes.channels;
    struct place *p = list;

    *p++ = (struct place){&m->wte, DG_WTE, 0, 0};
    *p++ = (struct place){&m->wpe, DG_WPE, 0, 0};
    for (uint32_t i = 0; i < m->header.sizes.layers; i++) {
        struct dg_layer *l = &m->layers[i];

        *p++ = (struct place){&l->ln1_gain, DG_LN1W, i, 0};
        *p++ = (struct place){&l->ln1_bias, DG_LN1B, i, 0};
        *p++ = (struct place){&l->q_weight, DG_QKVW, i, 0};
        *p++ = (struct place){&l->q_bias, DG_QKVB, i, 0};
        *p++ = (struct place){&l->k_weight, DG_QKVW, i, C};
        *p++ = (struct place){&l->k_bias, DG_QKVB, i, C};
        *p++ = (struct place){&l->v_weight, DG_QKVW, i, 2 * C};
        *p++ = (struct place){&l->v_bias, DG_QKVB, i, 2 * C};
        *p++ = (struct place){&l->proj_weight, DG_ATTPROJW, i, 0};
        *p++ = (struct place){&l->proj_bias, DG_ATTPROJB, i, 0};
        *p++ = (struct place){&l->ln2_gain, DG_LN2W, i, 0};
        *p++ = (struct place){&l->ln2_bias, DG_LN2B, i, 0};
        *p++ = (struct place){&l->fc_weight, DG_FCW, i, 0};
        *p++ = (struct place){&l->fc_bias, DG_FCB, i, 0};
        *p++ = (struct place){&l->fcproj_weight, DG_FCPROJW, i, 0};
        *p++ = (struct place){&l->fcproj_bias, DG_FCPROJB, i, 0};
    }
    *p++ = (struct place){&m->lnf_gain, DG_LNFW, 0, 0};
    *p++ = (struct place){&m->lnf_bias, DG_LNFB, 0, 0};
}

static struct dg_tensor weight(const char *name, int layer, enum dg_layout layout, uint32_t rows,
                               uint32_t cols)
{
    struct dg_tensor t = {
        .role = DG_WEIGHT, .layout = layout, .dtype = DG_F32, .rows = rows, .cols = cols};

    if (layer < 0)
        snprintf(t.name, sizeof t.name, "%s", name);
    else
        snprintf(t.name, sizeof t.name, "h%d.%s", layer, name);
    return t;
}

static void outline_layer(struct dg_layer *l, int i, uint32_t C)
{
    l->ln1_gain = weight("ln1.gain", i, DG_ROWS, 1, C);
    l->ln1_bias = weight("ln1.bias", i, DG_ROWS, 1, C);
    l->q_weight = weight("q.weight", i, DG_PANELS, C, C);
    l->q_bias = weight("q.bias", i, DG_ROWS, 1, C);
    l->k_weight = weight("k.weight", i, DG_PANELS, C, C);
    l->k_bias = weight("k.bias", i, DG_ROWS, 1, C);
    l->v_weight = weight("v.weight", i, DG_PANELS, C, C);
    l->v_bias = weight("v.bias", i, DG_ROWS, 1, C);
    l->proj_weight = weight("proj.weight", i, DG_PANELS, C, C);
    l->proj_bias = weight("proj.bias", i, DG_ROWS, 1, C);
    l->ln2_gain = weight("ln2.gain", i, DG_ROWS, 1, C);
    l->ln2_bias = weight("ln2.bias", i, DG_ROWS, 1, C);
    l->fc_weight = weight("fc.weight", i, DG_PANELS, 4 * C, C);
    l->fc_bias = weight("fc.bias", i, DG_ROWS, 1, 4 * C);
    l->fcproj_weight = weight("fcproj.weight", i, DG_PANELS, C, 4 * C);
    l->fcproj_bias = weight("fcproj.bias", i, DG_ROWS, 1, C);
}

enum dg_status dg_model_outline(struct dg_model **out, const struct dg_checkpoint_header *header,
                                struct dg_error *err)
{
    const struct dg_sizes *z = &header->sizes;
    struct dg_arena *arena = dg_arena_new();
    struct dg_model *m = arena ? dg_arena_alloc(arena, sizeof *m) : NULL;

    if (m)
        m->layers = dg_arena_array(arena, z->layers, sizeof *m->layers);
    if (!m || !m->layers) {
        dg_arena_free(arena);
        return dg_fail_memory(err, "a model's layers", z->layers * sizeof *m->layers);
    }
    m->arena = arena;
    m->header = *header;
    m->wte = weight("wte", -1, DG_PANELS, z->vocab, z->channels);
    m->wpe = weight("wpe", -1, DG_ROWS, z->positions, z->channels);
    for (uint32_t i = 0; i < z->layers; i++)
        outline_layer(&m->layers[i], (int)i, z->channels);
    m->lnf_gain = weight("lnf.gain", -1, DG_ROWS, 1, z->channels);
    m->lnf_bias = weight("lnf.bias", -1, DG_ROWS, 1, z->channels);
    *out = m;
    return DG_OK;
}

/* Memory for all weights in one piece, so that they share huge pages. */
static enum dg_status allocate(struct dg_model *m, struct dg_error *err)
{
    const struct place *list = m->loading->places;
    const unsigned n = count_places(m);
    uint64_t bytes = 0;
    char *at;

    for (unsigned i = 0; i < n; i++)
        bytes += dg_round_up(dg_tensor_bytes(list[i].tensor), 64);
    at = dg_arena_alloc(m->arena, bytes);
    if (!at)
        return dg_fail_memory(err, "weights", bytes);
    for (unsigned i = 0; i < n; i++) {
        list[i].tensor->data = at;
        at += dg_round_up(dg_tensor_bytes(list[i].tensor), 64);
    }
    return DG_OK;
}

static struct dg_source find_source(const struct dg_loading *l, const struct place *p)
{
    const struct dg_checkpoint_header *h = &l->file.header;
    const struct dg_section_shape shape = dg_section_shape(h, p->section);
    const uint32_t element = dg_element_bytes(h);
    const uint64_t matrix = (uint64_t)shape.rows * shape.cols;
    const uint64_t first = (uint64_t)p->first * (shape.rows == 1 ? 1 : shape.cols);

    return (struct dg_source){
        .file = &l->file.file,
        .offset = l->file.offset[p->section] + (p->layer * matrix + first) * element,
        .bf16 = element == 2,
    };
}

/* Memory for the weights, and where each comes from. */
static enum dg_status prepare(struct dg_model *m, const struct dg_checkpoint *c, const char *path,
                              struct dg_error *err)
{
    const unsigned n = count_places(m);
    struct dg_loading *l = dg_arena_alloc(m->arena, sizeof *l);

    if (l) {
        l->path = dg_arena_alloc(m->arena, strlen(path) + 1);
        l->places = dg_arena_array(m->arena, n, sizeof *l->places);
        l->sources = dg_arena_array(m->arena, n, sizeof *l->sources);
    }
    if (!l || !l->path || !l->places || !l->sources)
        return dg_fail_memory(err, "a list of weights", n * sizeof *l->places);
    memcpy(l->path, path, strlen(path) + 1);
    l->file = *c;
    list_places(m, l->places);
    for (unsigned i = 0; i < n; i++)
        l->sources[i] = find_source(l, &l->places[i]);
    m->loading = l;
    return allocate(m, err);
}

bool dg_model_is_loaded(const struct dg_model *m)
{
    return !m->loading || m->loading->over;
}

const struct dg_tensor *dg_model_weight(const struct dg_model *m, unsigned i)
{
    const struct dg_tensor *const outside[] = {&m->wte, &m->wpe, &m->lnf_gain, &m->lnf_bias};

    if (i < 4)
        return outside[i];
    i -= 4;
    return i < m->header.sizes.layers * TENSORS_PER_LAYER
               ? (const struct dg_tensor *)&m->layers[i / TENSORS_PER_LAYER] + i % TENSORS_PER_LAYER
               : NULL;
}

const struct dg_source *dg_model_source(const struct dg_model *m, const struct dg_tensor *weight)
{
    unsigned i = 0;

    if (dg_model_is_loaded(m))
        return NULL;
    while (m->loading->places[i].tensor != weight)
        i++;
    return &m->loading->sources[i];
}

enum dg_status dg_model_loaded(const struct dg_model *m, int failed, struct dg_error *err)
{
    if (failed)
        return dg_fail(err, DG_ERR_IO, "%s: cannot read the weights: %s", m->loading->path,
                       strerror(failed));
    dg_checkpoint_close(&m->loading->file);
    m->loading->over = true;
    return DG_OK;
}

/* A load op for each weight. */
static enum dg_status build_load_graph(struct dg_graph **out, const struct dg_model *m,
                                       struct dg_error *err)
{
    const unsigned n = count_places(m);
    enum dg_status st = dg_graph_new(out, n, n, err);

    for (unsigned i = 0; i < n && st == DG_OK; i++)
        dg_graph_load(*out, m->loading->places[i].tensor, -1, &m->loading->sources[i]);
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
        st = dg_model_loaded(m, dg_run_step(run, &step, DG_SCHED_DATAFLOW), err);
    dg_run_free(run);
    dg_plan_free(plan);
    dg_graph_free(g);
    return st;
}

/* Takes over an open checkpoint. */
static enum dg_status open_model(struct dg_model **out, struct dg_checkpoint *c, const char *path,
                                 struct dg_team *team, struct dg_error *err)
{
    struct dg_model *m = NULL;
    enum dg_status st = dg_model_outline(&m, &c->header, err);

    if (st == DG_OK)
        st = prepare(m, c, path, err);
    if (st != DG_OK)
        dg_checkpoint_close(c);
    else if (team)
        st = load(m, team, err);
    if (st == DG_OK)
        *out = m;
    else
        dg_model_free(m);
    return st;
}

enum dg_status dg_model_open(struct dg_model **out, const char *path, struct dg_team *team,
                             struct dg_error *err)
{
    struct dg_checkpoint c;
    const enum dg_status st = dg_checkpoint_open(&c, path, err);

    return st == DG_OK ? open_model(out, &c, path, team, err) : st;
}

enum dg_status dg_model_parse(struct dg_model **out, const void *data, size_t n, const char *name,
                              struct dg_team *team, struct dg_error *err)
{
    struct dg_checkpoint c;
    const enum dg_status st = dg_checkpoint_open_memory(&c, data, n, name, err);

    return st == DG_OK ? open_model(out, &c, name, team, err) : st;
}

enum dg_status dg_model_peek(const char *path, struct dg_sizes *sizes, struct dg_error *err)
{
    struct dg_checkpoint c;
    enum dg_status st = dg_checkpoint_open(&c, path, err);

    if (st != DG_OK)
        return st;
    *sizes = c.header.sizes;
    dg_checkpoint_close(&c);
    return DG_OK;
}

void dg_model_free(struct dg_model *m)
{
    if (!m)
        return;
    if (!dg_model_is_loaded(m))
        dg_checkpoint_close(&m->loading->file);
    dg_arena_free(m->arena);
}

struct dg_sizes dg_model_sizes(const struct dg_model *m)
{
    return m->header.sizes;
}

static uint64_t sum(const struct dg_model *m, uint64_t (*of)(const struct dg_tensor *))
{
    const struct dg_tensor *w;
    uint64_t n = 0;

    for (unsigned i = 0; (w = dg_model_weight(m, i)) != NULL; i++)
        n += of(w);
    return n;
}

static uint64_t parameters_of(const struct dg_tensor *t)
{
    return (uint64_t)t->rows * t->cols;
}

uint64_t dg_model_parameters(const struct dg_model *m)
{
    return sum(m, parameters_of);
}

uint64_t dg_model_bytes(const struct dg_model *m)
{
    return sum(m, dg_tensor_bytes);
}
