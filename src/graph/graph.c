/* Ops and tensors are two arrays, made in full at first since ops point into them. The order of the
 * ops is one that they can run in; dg_graph_check() proves it instead of sorting.
 *
 * An op names its tensors. Who writes and reads a tensor is found in one pass through the ops, so that
 * the work on a graph grows with it and no faster: a file of 1.6 MB can have 16,384 layers. */
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
    g->writer = dg_arena_array(arena, max_tensors, sizeof *g->writer);
    g->first = dg_arena_array(arena, (size_t)max_tensors + 1, sizeof *g->first);
    g->reader = dg_arena_array(arena, (size_t)max_ops * DG_MAX_IN, sizeof *g->reader);
    if (!g->ops || !g->tensors || !g->writer || !g->first || !g->reader)
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
    g->linked = false;
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
    g->linked = false;
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

/* first[t] goes from the number of t's readers to where they end, and down to where they begin. */
void dg_graph_link(struct dg_graph *g)
{
    uint32_t at = 0;

    memset(g->writer, 0xff, g->n_tensors * sizeof *g->writer); /* DG_NO_OP */
    memset(g->first, 0, ((size_t)g->n_tensors + 1) * sizeof *g->first);
    for (uint32_t i = g->n_ops; i-- > 0;) {
        const struct dg_op *op = &g->ops[i];

        g->writer[dg_tensor_index(g, op->out)] = i; /* of several, the first */
        for (unsigned k = 0; k < op->n_in; k++)
            g->first[dg_tensor_index(g, op->in[k])]++;
    }
    for (unsigned t = 0; t <= g->n_tensors; t++)
        g->first[t] = at += g->first[t];
    for (uint32_t i = g->n_ops; i-- > 0;)
        for (unsigned k = 0; k < g->ops[i].n_in; k++)
            g->reader[--g->first[dg_tensor_index(g, g->ops[i].in[k])]] = i;
    g->linked = true;
}

struct dg_op *dg_graph_writer(const struct dg_graph *g, const struct dg_tensor *t)
{
    const uint32_t op = g->writer[dg_tensor_index(g, t)];

    assert(g->linked);
    return op == DG_NO_OP ? NULL : &g->ops[op];
}

unsigned dg_graph_readers(const struct dg_graph *g, const struct dg_tensor *t)
{
    const uint32_t *first = &g->first[dg_tensor_index(g, t)];

    assert(g->linked);
    return first[1] - first[0];
}

void dg_graph_merge(struct dg_graph *g, struct dg_op *op, struct dg_op *heir)
{
    heir->out = op->out;
    g->writer[dg_tensor_index(g, op->out)] = (uint32_t)(heir - g->ops);
    op->type = NULL;
}

static bool is_used(const struct dg_graph *g, const struct dg_tensor *t)
{
    return t->role == DG_INPUT || t->role == DG_OUTPUT || dg_graph_writer(g, t) ||
           dg_graph_readers(g, t) > 0;
}

/* Points at where tensor t is now that was at place i before: to[i]. */
static void move_pointers(const struct dg_graph *g, struct dg_tensor **list, unsigned n,
                          const uint32_t *to)
{
    for (unsigned i = 0; i < n; i++)
        list[i] = &g->tensors[to[dg_tensor_index(g, list[i])]];
}

void dg_graph_prune(struct dg_graph *g)
{
    uint32_t *to = g->writer; /* of a tensor that was looked at: its new place */
    unsigned ops = 0, tensors = 0;

    for (unsigned i = 0; i < g->n_ops; i++)
        if (g->ops[i].type)
            g->ops[ops++] = g->ops[i];
    g->n_ops = ops;
    dg_graph_link(g);
    for (unsigned i = 0; i < g->n_tensors; i++) {
        if (!is_used(g, &g->tensors[i]))
            continue;
        to[i] = tensors;
        g->tensors[tensors++] = g->tensors[i];
    }
    g->n_tensors = tensors;
    move_pointers(g, g->inputs, g->n_inputs, to);
    move_pointers(g, g->outputs, g->n_outputs, to);
    for (unsigned i = 0; i < g->n_ops; i++) {
        move_pointers(g, &g->ops[i].out, 1, to);
        move_pointers(g, g->ops[i].in, g->ops[i].n_in, to);
    }
    dg_graph_link(g);
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

enum dg_status dg_graph_check(struct dg_graph *g, struct dg_error *err)
{
    enum dg_status st;

    for (unsigned i = 0; i < g->n_tensors; i++) {
        st = check_tensor(&g->tensors[i], err);
        if (st != DG_OK)
            return st;
    }
    dg_graph_link(g);
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
