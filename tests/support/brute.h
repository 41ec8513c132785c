/* brute.h - what holds of a plan, derived slowly: tensors are painted element by element with the
 * tiles that write them, and edges are followed one by one. Nothing here compares boxes, so it
 * shares no reasoning with src/graph.
 *
 * A relation between tiles is a matrix of bits: row b has bit a when tile a comes before tile b. */
#ifndef DG_TESTS_BRUTE_H
#define DG_TESTS_BRUTE_H

#include "support.h"
#include "../../src/graph/plan.h"

#include <stdlib.h>
#include <string.h>

/* An assertion for inner loops: a ck_assert is a system call, even when it holds. */
static inline void require(bool holds, const char *what)
{
    if (!holds)
        ck_abort_msg("%s", what);
}

struct relation {
    uint32_t n;
    size_t words; /* of a row */
    uint64_t *bits;
};

static inline struct relation relation_new(uint32_t n)
{
    struct relation r = {.n = n, .words = (n + 63) / 64};

    r.bits = calloc(n * r.words + 1, sizeof *r.bits);
    ck_assert_ptr_nonnull(r.bits);
    return r;
}

static inline void relate(struct relation *r, uint32_t a, uint32_t b)
{
    require(a < r->n && b < r->n, "an element that is read but that no tile writes");
    r->bits[b * r->words + a / 64] |= (uint64_t)1 << a % 64;
}

static inline bool related(const struct relation *r, uint32_t a, uint32_t b)
{
    return r->bits[b * r->words + a / 64] >> a % 64 & 1;
}

static inline uint64_t *relation_row(const struct relation *r, uint32_t b)
{
    return r->bits + b * r->words;
}

static inline bool relation_row_empty(const struct relation *r, uint32_t b)
{
    for (size_t w = 0; w < r->words; w++)
        if (relation_row(r, b)[w])
            return false;
    return true;
}

/* The op that writes t, looked for in the ops themselves; n_ops if none does. */
static inline uint32_t brute_writer(const struct dg_graph *g, const struct dg_tensor *t)
{
    uint32_t o = 0;

    while (o < g->n_ops && g->ops[o].out != t)
        o++;
    return o;
}

/* paint[row][col] of op o's output = the tile that writes it; UINT32_MAX where none does. An
 * element that two tiles write ends the test. */
static inline uint32_t *brute_paint(const struct dg_plan *plan, uint32_t o)
{
    const struct dg_tensor *out = plan->graph->ops[o].out;
    const size_t n = (size_t)out->rows * out->cols;
    uint32_t *paint = malloc(n * sizeof *paint);

    ck_assert_ptr_nonnull(paint);
    memset(paint, 0xff, n * sizeof *paint);
    for (uint32_t t = 0; t < plan->n_tiles; t++) {
        const struct dg_box box = plan->tiles[t].out;

        for (size_t r = box.r0; plan->tiles[t].op == o && r < box.r1; r++) {
            for (size_t c = box.c0; c < box.c1; c++) {
                require(r < out->rows && c < out->cols, "a tile outside its output");
                require(paint[r * out->cols + c] == UINT32_MAX, "an element with two tiles");
                paint[r * out->cols + c] = t;
            }
        }
    }
    return paint;
}

/* Relates each tile of op o with the tiles that write what it reads of in[k]. */
static inline void brute_input(const struct dg_plan *plan, uint32_t o, unsigned k,
                               struct relation *before)
{
    const struct dg_op *op = &plan->graph->ops[o];
    const uint32_t writer = brute_writer(plan->graph, op->in[k]);
    uint32_t *paint;

    if (writer == plan->graph->n_ops)
        return;
    paint = brute_paint(plan, writer);
    for (uint32_t t = 0; t < plan->n_tiles; t++) {
        struct dg_box in;

        if (plan->tiles[t].op != o)
            continue;
        in = op->type->reads(op, k, plan->tiles[t].out);
        for (size_t r = in.r0; r < in.r1; r++)
            for (size_t c = in.c0; c < in.c1; c++)
                relate(before, paint[r * op->in[k]->cols + c], t);
    }
    free(paint);
}

/* Who must come right before whom: every reader after the writers of what it reads. */
static inline struct relation brute_wanted(const struct dg_plan *plan)
{
    struct relation before = relation_new(plan->n_tiles);

    for (uint32_t o = 0; o < plan->graph->n_ops; o++)
        for (unsigned k = 0; k < plan->graph->ops[o].n_in; k++)
            brute_input(plan, o, k, &before);
    return before;
}

/* Who does come right before whom, by the plan's edges, joins resolved. */
static inline struct relation brute_direct(const struct dg_plan *plan)
{
    struct relation before = relation_new(plan->n_tiles);

    for (uint32_t a = 0; a < plan->n_tiles; a++) {
        for (uint32_t i = 0; i < plan->nodes[a].n_next; i++) {
            const uint32_t to = plan->next[plan->nodes[a].first + i];
            const struct dg_node *join = &plan->nodes[to];

            if (to < plan->n_tiles)
                relate(&before, a, to);
            else
                for (uint32_t j = 0; j < join->n_next; j++)
                    relate(&before, a, plan->next[join->first + j]);
        }
    }
    return before;
}

/* The transitive closure of brute_direct(): who comes before whom by any path. */
static inline struct relation brute_paths(const struct dg_plan *plan)
{
    struct relation paths = brute_direct(plan);

    for (uint32_t b = 0; b < plan->n_tiles; b++)
        for (uint32_t a = 0; a < b; a++)
            for (size_t w = 0; related(&paths, a, b) && w < paths.words; w++)
                relation_row(&paths, b)[w] |= relation_row(&paths, a)[w];
    return paths;
}

/* One tile's touch of one element, in a list of all that touch that element, the last in plan order
 * first; a tile's reads before its writes. */
struct brute_touch {
    uint32_t tile, tensor, after; /* after: the next in the list; 0: none */
    bool writes;
};

struct brute_memory {
    uint32_t *first; /* of each element's list */
    struct brute_touch *touch;
    uint32_t n, room;
};

/* Where tensor i's elements start, in floats: activations in the arena, all others behind it. For
 * i = n_tensors, where the last ends. */
static inline uint64_t brute_base(const struct dg_plan *plan, uint32_t i)
{
    const struct dg_tensor *t = plan->graph->tensors;
    uint64_t base = plan->arena_bytes / 4;

    if (i < plan->graph->n_tensors && t[i].role == DG_ACTIVATION)
        return plan->offset[i] / 4;
    for (uint32_t k = 0; k < i; k++)
        if (t[k].role != DG_ACTIVATION)
            base += (uint64_t)t[k].rows * t[k].cols;
    return base;
}

static inline void brute_touch_box(const struct dg_plan *plan, struct brute_memory *m,
                                   const struct dg_tensor *t, struct dg_box box, uint32_t tile,
                                   bool writes)
{
    const uint32_t i = dg_tensor_index(plan->graph, t);
    const uint64_t base = brute_base(plan, i);

    for (uint32_t r = box.r0; r < box.r1; r++) {
        for (uint32_t c = box.c0; c < box.c1; c++) {
            uint32_t *first = &m->first[base + (uint64_t)r * t->cols + c];

            if (m->n + 1 >= m->room) {
                m->room = 2 * m->room + 1024;
                m->touch = realloc(m->touch, m->room * sizeof *m->touch);
                require(m->touch != NULL, "memory");
            }
            m->touch[++m->n] = (struct brute_touch){tile, i, *first, writes};
            *first = m->n;
        }
    }
}

/* Does the read at i find another tensor's value? */
static inline bool brute_read_spoiled(const struct brute_memory *m, uint32_t i)
{
    uint32_t k = m->touch[i].after;

    while (k && !m->touch[k].writes)
        k = m->touch[k].after;
    return k == 0 || m->touch[k].tensor != m->touch[i].tensor;
}

static inline bool brute_element_clashes(const struct brute_memory *m, uint32_t first,
                                         const struct relation *paths)
{
    for (uint32_t i = first; i; i = m->touch[i].after) {
        if (!m->touch[i].writes && brute_read_spoiled(m, i))
            return true;
        for (uint32_t k = m->touch[i].after; k; k = m->touch[k].after) {
            const struct brute_touch *x = &m->touch[i], *y = &m->touch[k];

            if ((x->writes || y->writes) && !related(paths, x->tile, y->tile) &&
                !related(paths, y->tile, x->tile))
                return true;
        }
    }
    return false;
}

/* Is there an element that two tiles touch, one of them writing, without a path between them? Or
 * one where a tile, in plan order, reads another tensor's value, its own output included? `paths`
 * are those of the plan. */
static inline bool brute_clashes(const struct dg_plan *plan, const struct relation *paths)
{
    const struct dg_graph *g = plan->graph;
    const uint64_t elements = brute_base(plan, g->n_tensors);
    struct brute_memory m = {.first = calloc(elements + 1, sizeof *m.first)};
    bool clash = false;

    require(m.first != NULL, "memory");
    for (uint32_t t = 0; t < plan->n_tiles; t++) {
        const struct dg_op *op = dg_tile_op(plan, t);

        brute_touch_box(plan, &m, op->out, plan->tiles[t].out, t, true);
        for (unsigned k = 0; k < op->n_in; k++)
            if (brute_writer(g, op->in[k]) < g->n_ops)
                brute_touch_box(plan, &m, op->in[k], op->type->reads(op, k, plan->tiles[t].out), t,
                                false);
    }
    for (uint64_t e = 0; e < elements && !clash; e++)
        clash = brute_element_clashes(&m, m.first[e], paths);
    free(m.first);
    free(m.touch);
    return clash;
}

#endif
