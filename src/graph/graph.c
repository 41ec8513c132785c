/* Ops and tensors are two arrays, made in full at first since ops point into them. The order of the
 * ops is one that they can run in; dg_graph_check() proves it instead of sorting.
 *
 * Edges are not kept: an op names its tensors, and who writes or reads one is found by a search
 * through the ops, of which 124M has about a hundred. So a rewrite changes ops alone, and there is
 * no second copy of the edges that it could forget. */
#include "graph.h"
#include "../base/arena.h"

#include <assert.h>
#include <stdio.h>
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

struct dg_tensor *dg_graph_end(struct dg_graph *g, struct dg_tensor tensor)
{
    const bool input = tensor.role == DG_INPUT;
    unsigned *n = input ? &g->n_inputs : &g->n_outputs;

    assert((input || tensor.role == DG_OUTPUT) && *n < DG_MAX_ENDS);
    return (input ? g->inputs : g->outputs)[(*n)++] = dg_graph_tensor(g, tensor);
}

struct dg_op *dg_graph_op(struct dg_graph *g, struct dg_op op)
{
    struct dg_op *o = &g->ops[g->n_ops];

    assert(g->n_ops < g->max_ops && op.n_in <= DG_MAX_IN);
    *o = op;
    g->n_ops++;
    return o;
}

void dg_layer_name(char *to, size_t size, int layer, const char *name)
{
    if (layer < 0)
        snprintf(to, size, "%s", name);
    else
        snprintf(to, size, "h%d.%s", layer, name);
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

static void move_pointers(struct dg_tensor **list, unsigned n, const struct dg_tensor *from,
                          struct dg_tensor *to)
{
    for (unsigned i = 0; i < n; i++)
        if (list[i] == from)
            list[i] = to;
}

/* Moves tensor `from` to place `to`, and with it every pointer of the graph. */
static void move_tensor(struct dg_graph *g, unsigned from, unsigned to)
{
    g->tensors[to] = g->tensors[from];
    move_pointers(g->inputs, g->n_inputs, &g->tensors[from], &g->tensors[to]);
    move_pointers(g->outputs, g->n_outputs, &g->tensors[from], &g->tensors[to]);
    for (unsigned i = 0; i < g->n_ops; i++) {
        struct dg_op *op = &g->ops[i];

        move_pointers(&op->out, 1, &g->tensors[from], &g->tensors[to]);
        move_pointers(op->in, op->n_in, &g->tensors[from], &g->tensors[to]);
    }
}

void dg_graph_prune(struct dg_graph *g)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < g->n_tensors; i++) {
        const enum dg_role role = g->tensors[i].role;
        struct dg_op *reader;

        if (role != DG_INPUT && role != DG_OUTPUT && !dg_graph_writer(g, &g->tensors[i]) &&
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
