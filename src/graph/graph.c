/* Ops and tensors are two arrays, made in full at first since ops point into them. The order of the
 * ops is one that they can run in; dg_graph_check() proves it instead of sorting.
 *
 * Edges are not kept: an op names its tensors, and who writes or reads one is found by a search
 * through the ops, of which 124M has about a hundred. So a rewrite changes ops alone, and there is
 * no second copy of the edges that it could forget. */
#include "graph.h"
#include "../base/arena.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum dg_status dg_graph_new(struct dg_graph **out, unsigned max_ops, unsigned max_tensors,
                            struct dg_error *err)
{
    struct dg_arena *arena = dg_arena_new();
    struct dg_graph *g = arena ? dg_arena_alloc(arena, sizeof *g) : NULL;

    if (!g)
        goto fail;
    g->arena = arena;
    g->max_ops = max_ops;
    g->max_tensors = max_tensors;
    g->ops = dg_arena_array(arena, max_ops, sizeof *g->ops);
    g->tensors = dg_arena_array(arena, max_tensors, sizeof *g->tensors);
    if (!g->ops || !g->tensors)
        goto fail;
    *out = g;
    return DG_OK;
fail:
    dg_arena_free(arena);
    return dg_fail_memory(err, "a graph", max_ops * sizeof(struct dg_op));
}

void dg_graph_free(struct dg_graph *g)
{
    if (g)
        dg_arena_free(g->arena); /* g itself lies in it */
}

struct dg_tensor *dg_graph_tensor(struct dg_graph *g, struct dg_tensor tensor)
{
    struct dg_tensor *t = &g->tensors[g->n_tensors];

    assert(g->n_tensors < g->max_tensors);
    *t = tensor;
    g->n_tensors++;
    return t;
}

struct dg_op *dg_graph_op(struct dg_graph *g, struct dg_op op)
{
    struct dg_op *o = &g->ops[g->n_ops];

    assert(g->n_ops < g->max_ops && op.n_in <= DG_MAX_IN);
    *o = op;
    g->n_ops++;
    return o;
}

unsigned dg_tensor_index(const struct dg_graph *g, const struct dg_tensor *t)
{
    return (unsigned)(t - g->tensors);
}

struct dg_op *dg_graph_writer(const struct dg_graph *g, const struct dg_tensor *t)
{
    for (unsigned i = 0; i < g->n_ops; i++)
        if (g->ops[i].out == t)
            return &g->ops[i];
    return NULL;
}

unsigned dg_graph_readers(const struct dg_graph *g, const struct dg_tensor *t,
                          struct dg_op **reader)
{
    unsigned n = 0;

    for (unsigned i = 0; i < g->n_ops; i++) {
        for (unsigned k = 0; k < g->ops[i].n_in; k++) {
            if (g->ops[i].in[k] == t) {
                *reader = &g->ops[i];
                n++;
            }
        }
    }
    return n;
}

void dg_graph_remove(struct dg_graph *g, struct dg_op *op)
{
    const size_t after = (size_t)(g->ops + g->n_ops - (op + 1));

    memmove(op, op + 1, after * sizeof *op);
    g->n_ops--;
}

/* Moves tensor `from` to place `to`, and with it every op's pointer. */
static void move_tensor(struct dg_graph *g, unsigned from, unsigned to)
{
    g->tensors[to] = g->tensors[from];
    for (unsigned i = 0; i < g->n_ops; i++) {
        struct dg_op *op = &g->ops[i];

        if (op->out == &g->tensors[from])
            op->out = &g->tensors[to];
        for (unsigned k = 0; k < op->n_in; k++)
            if (op->in[k] == &g->tensors[from])
                op->in[k] = &g->tensors[to];
    }
}

void dg_graph_prune(struct dg_graph *g)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < g->n_tensors; i++) {
        struct dg_op *reader;

        if (!dg_graph_writer(g, &g->tensors[i]) &&
            dg_graph_readers(g, &g->tensors[i], &reader) == 0)
            continue;
        if (kept < i)
            move_tensor(g, i, kept);
        kept++;
    }
    g->n_tensors = kept;
}

static enum dg_status check_tensor(const struct dg_tensor *t, struct dg_error *err)
{
    const bool by_head = t->layout == DG_KEYS || t->layout == DG_VALUES;

    if (t->rows == 0 || t->cols == 0)
        return dg_fail(err, DG_ERR_USAGE, "tensor %s: shape: got %u x %u, expected at least 1 x 1",
                       t->name, t->rows, t->cols);
    if (by_head && (t->heads == 0 || t->cols % t->heads != 0))
        return dg_fail(err, DG_ERR_USAGE, "tensor %s: %u columns do not divide into %u heads",
                       t->name, t->cols, t->heads);
    if (t->role == DG_CACHE && t->rows > t->positions)
        return dg_fail(err, DG_ERR_USAGE, "tensor %s: %u rows, room for %u", t->name, t->rows,
                       t->positions);
    if (t->stride > 0 && t->stride < (uint64_t)DG_LANES * t->cols)
        return dg_fail(err, DG_ERR_USAGE,
                       "tensor %s: blocks are %" PRIu64
                       " elements apart, expected %u x %u at least",
                       t->name, t->stride, DG_LANES, t->cols);
    if (t->rows > INT32_MAX || t->cols > INT32_MAX || dg_tensor_elements(t) > SIZE_MAX / 8)
        return dg_fail(err, DG_ERR_RESOURCE, "tensor %s: %u x %u cannot be addressed", t->name,
                       t->rows, t->cols);
    return DG_OK;
}

enum dg_status dg_graph_check(const struct dg_graph *g, struct dg_error *err)
{
    enum dg_status st;

    for (unsigned i = 0; i < g->n_tensors; i++) {
        st = check_tensor(&g->tensors[i], err);
        if (st != DG_OK)
            return st;
    }
    for (unsigned i = 0; i < g->n_ops; i++) {
        const struct dg_op *op = &g->ops[i];

        for (unsigned k = 0; k < op->n_in; k++) {
            const struct dg_op *writer = dg_graph_writer(g, op->in[k]);

            if (writer && writer >= op)
                return dg_fail(err, DG_ERR_USAGE, "op %s reads %s before %s writes it", op->name,
                               op->in[k]->name, writer->name);
        }
        if (dg_graph_writer(g, op->out) != op)
            return dg_fail(err, DG_ERR_USAGE, "tensor %s: written by %s and by %s", op->out->name,
                           dg_graph_writer(g, op->out)->name, op->name);
        st = op->type->check(op, err);
        if (st != DG_OK)
            return st;
    }
    return DG_OK;
}
