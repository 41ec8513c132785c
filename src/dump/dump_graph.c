/* How a graph is folded: a run of layers becomes one group when each layer is the same as the one
 * before it, reads what that one wrote just as the one before did, and is read by the next alone.
 * The ops of a group's first layer are drawn, and stand for those of the others; the edges between
 * the first layer and the second are the loop. So an edge that is drawn is always one of the
 * graph's, or one of several that are the same but for the layer. */
#include "dump_parts.h"
#include "../base/arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum dg_status dg_dump_new(struct dg_dump **out, const struct dg_graph *g,
                           const struct dg_dump_options *options, uint64_t nodes, uint64_t edges,
                           uint64_t clusters, struct dg_error *err)
{
    struct dg_arena *arena = dg_arena_new();
    struct dg_dump *d = arena ? dg_arena_alloc(arena, sizeof *d) : NULL;

    if (!d) {
        dg_arena_free(arena);
        return dg_fail_memory(err, "a dump", sizeof *d);
    }
    d->arena = arena;
    d->options = *options;
    d->graph = g;
    d->layers = dg_graph_layers(g);
    d->nodes = dg_arena_array(arena, nodes, sizeof *d->nodes);
    d->edges = dg_arena_array(arena, edges, sizeof *d->edges);
    d->clusters = dg_arena_array(arena, clusters, sizeof *d->clusters);
    if (!d->nodes || !d->edges || !d->clusters) {
        dg_arena_free(arena);
        return dg_fail_memory(err, "a dump", nodes * sizeof *d->nodes + edges * sizeof *d->edges);
    }
    *out = d;
    return DG_OK;
}

void dg_dump_free(struct dg_dump *dump)
{
    if (dump)
        dg_arena_free(dump->arena); /* dump itself lies in it */
}

const char *dg_dump_id(struct dg_dump *dump, const char *format, ...)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                ".,:[]<#@-_";
    static const char digits[] = "0123456789ABCDEF";
    char text[256], *id, *at;
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    id = at = dg_arena_alloc(dump->arena, 3 * strlen(text) + 1);
    if (!id) {
        dump->out_of_memory = true;
        return "";
    }
    for (const char *s = text; *s; s++) {
        const unsigned char c = (unsigned char)*s;

        if (strchr(plain, c)) {
            *at++ = *s;
        } else {
            *at++ = '%';
            *at++ = digits[c >> 4];
            *at++ = digits[c & 15];
        }
    }
    return id;
}

static int by_ends(const void *a, const void *b)
{
    const struct dg_dump_edge *x = a, *y = b;

    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    if (x->to != y->to)
        return x->to < y->to ? -1 : 1;
    return (x->kind > y->kind) - (x->kind < y->kind);
}

static struct dg_dump_list *list_of(struct dg_dump *d, int cluster)
{
    return cluster < 0 ? &d->out : &d->clusters[cluster].in;
}

/* From the last to the first, so that each goes to the front. */
static void list_clusters(struct dg_dump *d)
{
    d->out = (struct dg_dump_list){DG_NOBODY, DG_NOBODY};
    for (uint32_t i = 0; i < d->n_clusters; i++)
        d->clusters[i].in = d->out;
    for (uint32_t i = d->n_nodes; i-- > 0;) {
        struct dg_dump_list *list = list_of(d, d->nodes[i].cluster);

        d->nodes[i].after = list->node;
        list->node = i;
    }
    for (uint32_t i = d->n_clusters; i-- > 0;) {
        struct dg_dump_list *list = list_of(d, d->clusters[i].parent);

        d->clusters[i].after = list->cluster;
        list->cluster = i;
    }
}

void dg_dump_sort(struct dg_dump *dump)
{
    struct dg_dump_node *nodes = dump->nodes;
    uint32_t kept = 0;

    qsort(dump->edges, dump->n_edges, sizeof *dump->edges, by_ends);
    for (uint32_t i = 0; i < dump->n_edges; i++) {
        const struct dg_dump_edge e = dump->edges[i];
        const bool cut = nodes[e.from].kind == DG_NODE_CUT || nodes[e.to].kind == DG_NODE_CUT;

        if (cut && kept > 0 && by_ends(&dump->edges[kept - 1], &e) == 0)
            dump->edges[kept - 1].times += e.times;
        else
            dump->edges[kept++] = e;
    }
    dump->n_edges = kept;
    for (uint32_t i = 0; i < kept; i++) {
        nodes[dump->edges[i].from].next++;
        nodes[dump->edges[i].to].waits++;
    }
    list_clusters(dump);
}

uint32_t dg_graph_layers(const struct dg_graph *g)
{
    int top = -1;

    for (unsigned i = 0; i < g->n_ops; i++)
        if (g->ops[i].layer > top)
            top = g->ops[i].layer;
    return (uint32_t)(top + 1);
}

const char *dg_short_name(const char *name, int layer)
{
    char prefix[16];
    const int n = snprintf(prefix, sizeof prefix, "h%d.", layer);

    return layer >= 0 && strncmp(name, prefix, (size_t)n) == 0 ? name + n : name;
}

/* What folding needs to know of the graph. */
struct folding {
    const struct dg_graph *g;
    uint32_t layers;
    int *last_reader;   /* [n_tensors] the highest layer that reads it; outside: INT32_MAX */
    uint32_t *place;    /* [n_ops] the how-manyth of its layer's ops */
    uint32_t *op_at;    /* [n_ops] layer by layer: the ops of layer l are */
    uint32_t *layer_at; /* [layers + 1]   op_at[layer_at[l] ... layer_at[l + 1] - 1] */
    uint32_t *group;    /* [layers] the first layer of its group */
};

static bool prepare(struct folding *f, struct dg_dump *d)
{
    const struct dg_graph *g = d->graph;

    assert(g->linked);
    f->g = g;
    f->layers = d->layers;
    f->last_reader = dg_arena_array(d->arena, g->n_tensors, sizeof *f->last_reader);
    f->place = dg_arena_array(d->arena, g->n_ops, sizeof *f->place);
    f->op_at = dg_arena_array(d->arena, g->n_ops, sizeof *f->op_at);
    f->layer_at = dg_arena_array(d->arena, (size_t)d->layers + 1, sizeof *f->layer_at);
    f->group = dg_arena_array(d->arena, d->layers, sizeof *f->group);
    if (!f->last_reader || !f->place || !f->op_at || !f->layer_at || !f->group)
        return false;
    for (unsigned t = 0; t < g->n_tensors; t++)
        f->last_reader[t] = -1;
    for (unsigned i = 0; i < g->n_ops; i++) {
        const struct dg_op *op = &g->ops[i];

        for (unsigned k = 0; k < op->n_in; k++) {
            int *last = &f->last_reader[dg_tensor_index(g, op->in[k])];
            const int layer = op->layer < 0 ? INT32_MAX : op->layer;

            *last = layer > *last ? layer : *last;
        }
        if (op->layer >= 0)
            f->place[i] = f->layer_at[op->layer + 1]++;
    }
    for (uint32_t l = 0; l < d->layers; l++)
        f->layer_at[l + 1] += f->layer_at[l];
    for (unsigned i = 0; i < g->n_ops; i++)
        if (g->ops[i].layer >= 0)
            f->op_at[f->layer_at[g->ops[i].layer] + f->place[i]] = i;
    return true;
}

static bool same_tensor(const struct dg_tensor *a, const struct dg_tensor *b)
{
    return a->role == b->role && a->layout == b->layout && a->dtype == b->dtype &&
           a->rows == b->rows && a->cols == b->cols && a->heads == b->heads &&
           a->positions == b->positions;
}

/* Input k of op b does for layer b->layer what input k of op a does for the layer before. `first`:
 * a's layer is the first of its group, and may read what anybody wrote where the others read the
 * layer before. */
static bool same_input(const struct folding *f, const struct dg_op *a, const struct dg_op *b,
                       unsigned k, bool first)
{
    const struct dg_graph *g = f->g;
    const uint32_t wa = g->writer[dg_tensor_index(g, a->in[k])],
                   wb = g->writer[dg_tensor_index(g, b->in[k])];
    int to_a, to_b; /* how many layers back */

    if (!same_tensor(a->in[k], b->in[k]))
        return false;
    if (a->in[k] == b->in[k])
        return wa == DG_NO_OP || g->ops[wa].layer < 0;
    if (wa == DG_NO_OP && wb == DG_NO_OP)
        return a->in[k]->role == DG_WEIGHT && b->in[k]->role == DG_WEIGHT;
    if (wa == DG_NO_OP || wb == DG_NO_OP || g->ops[wb].layer < 0)
        return false;
    to_a = a->layer - g->ops[wa].layer;
    to_b = b->layer - g->ops[wb].layer;
    if (to_b == 0)
        return to_a == 0 && f->place[wa] == f->place[wb];
    if (to_b != 1)
        return false;
    return first ? to_a != 0 : to_a == 1 && f->place[wa] == f->place[wb];
}

/* Is op b of a layer what op a is in the layer before? */
static bool same_op(const struct folding *f, const struct dg_op *a, const struct dg_op *b,
                    bool first)
{
    if (a->type != b->type || a->n_in != b->n_in || a->heads != b->heads ||
        a->activation != b->activation || a->first_row != b->first_row ||
        a->residual != b->residual || !same_tensor(a->out, b->out))
        return false;
    if (strcmp(dg_short_name(a->name, a->layer), dg_short_name(b->name, b->layer)) != 0)
        return false;
    for (unsigned k = 0; k < a->n_in; k++)
        if (!same_input(f, a, b, k, first))
            return false;
    return true;
}

/* Can layer l + 1 be drawn by the nodes of layer l's group? */
static bool continues(const struct folding *f, uint32_t l)
{
    const uint32_t *a = f->op_at + f->layer_at[l], *b = f->op_at + f->layer_at[l + 1];
    const uint32_t n = f->layer_at[l + 1] - f->layer_at[l];

    if (n == 0 || f->layer_at[l + 2] - f->layer_at[l + 1] != n)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        if (!same_op(f, &f->g->ops[a[i]], &f->g->ops[b[i]], f->group[l] == l) ||
            f->last_reader[dg_tensor_index(f->g, f->g->ops[a[i]].out)] > (int)l + 1)
            return false;
    }
    return true;
}

/* Layers from options.first to before options.last stay by themselves. */
static void find_groups(struct folding *f, const struct dg_dump_options *o)
{
    for (uint32_t l = 0; l < f->layers; l++) {
        const bool folded = l > 0 && (l < o->first || l - 1 >= o->last || o->first >= o->last);

        f->group[l] = folded && continues(f, l - 1) ? f->group[l - 1] : l;
    }
}

static uint32_t group_size(const struct folding *f, uint32_t first)
{
    uint32_t end = first + 1;

    while (end < f->layers && f->group[end] == first)
        end++;
    return end - first;
}

static void add_clusters(struct dg_dump *d, const struct folding *f, int *cluster)
{
    for (uint32_t l = 0; l < f->layers; l++) {
        struct dg_dump_cluster *c = &d->clusters[d->n_clusters];
        const uint32_t times = f->group[l] == l ? group_size(f, l) : 0;

        cluster[l] = -1;
        if (times == 0 || f->layer_at[l] == f->layer_at[l + 1])
            continue;
        cluster[l] = (int)d->n_clusters++;
        c->id = times > 1 ? dg_dump_id(d, "h%u:%u", l, l + times) : dg_dump_id(d, "h%u", l);
        c->parent = -1;
        c->rank = -1;
        c->layer = (int)l;
        c->times = times;
    }
}

/* A node for each input that no op writes, and for each op that is drawn. */
static void add_nodes(struct dg_dump *d, const struct folding *f, const int *cluster,
                      uint32_t *input_node)
{
    const struct dg_graph *g = d->graph;

    for (unsigned t = 0; t < g->n_tensors; t++) {
        const struct dg_tensor *tensor = &g->tensors[t];
        struct dg_dump_node *n = &d->nodes[d->n_nodes];

        if (tensor->role != DG_INPUT || g->writer[t] != DG_NO_OP)
            continue;
        input_node[t] = d->n_nodes++;
        *n = (struct dg_dump_node){.id = dg_dump_id(d, "%s", tensor->name),
                                   .kind = DG_NODE_INPUT,
                                   .cluster = -1,
                                   .tensor = tensor,
                                   .box = dg_whole_box(tensor),
                                   .times = 1,
                                   .index = t};
    }
    for (unsigned i = 0; i < g->n_ops; i++) {
        const struct dg_op *op = &g->ops[i];
        const uint32_t group = op->layer < 0 ? 0 : f->group[op->layer];
        struct dg_dump_node *n = &d->nodes[d->n_nodes];

        if (op->layer >= 0 && group != (uint32_t)op->layer) {
            d->node_of_op[i] = d->node_of_op[f->op_at[f->layer_at[group] + f->place[i]]];
            continue;
        }
        d->node_of_op[i] = d->n_nodes++;
        *n = (struct dg_dump_node){.kind = DG_NODE_OP,
                                   .cluster = op->layer < 0 ? -1 : cluster[op->layer],
                                   .op = op,
                                   .tensor = op->out,
                                   .box = dg_whole_box(op->out),
                                   .times = op->layer < 0 ? 1 : group_size(f, group),
                                   .index = i};
        if (op->type->cost)
            n->cost = op->type->cost(op, n->box, d->options.past);
        n->id = n->times == 1 ? dg_dump_id(d, "%s", op->name)
                              : dg_dump_id(d, "h%u:%u.%s", group, group + n->times,
                                           dg_short_name(op->name, op->layer));
    }
}

/* How many edges of the graph an edge to input k of an op that is drawn stands for: in each layer
 * one, but an input from before the group leads to the first layer alone, unless all read it. */
static uint32_t edge_times(const struct dg_dump *d, const struct folding *f, const struct dg_op *op,
                           unsigned k, const struct dg_op *writer)
{
    const uint32_t i = (uint32_t)(op - d->graph->ops), times = d->nodes[d->node_of_op[i]].times;
    const struct dg_op *second;

    if (times == 1 || (writer && writer->layer == op->layer))
        return times;
    second = &d->graph->ops[f->op_at[f->layer_at[op->layer + 1] + f->place[i]]];
    return second->in[k] == op->in[k] ? times : 1;
}

/* The edges to one op: of one that is drawn all, of the second of a group those of the loop. */
static void add_edges_to(struct dg_dump *d, const struct folding *f, unsigned i,
                         const uint32_t *input_node)
{
    const struct dg_graph *g = d->graph;
    const struct dg_op *op = &g->ops[i];
    const uint32_t to = d->node_of_op[i];
    const bool drawn = d->nodes[to].index == i;
    const bool second = !drawn && op->layer == d->nodes[to].op->layer + 1;

    for (unsigned k = 0; k < op->n_in && (drawn || second); k++) {
        const uint32_t t = dg_tensor_index(g, op->in[k]), w = g->writer[t];
        const struct dg_op *writer = w == DG_NO_OP ? NULL : &g->ops[w];
        struct dg_dump_edge e = {.to = to,
                                 .kind = second ? DG_EDGE_LOOP : DG_EDGE_DATA,
                                 .tensor = op->in[k],
                                 .box = dg_whole_box(op->in[k]),
                                 .times = second ? d->nodes[to].times - 1
                                                 : edge_times(d, f, op, k, writer)};
        bool again = false;

        for (unsigned j = 0; j < k; j++)
            again |= op->in[j] == op->in[k];
        if (again || (!writer && op->in[k]->role != DG_INPUT))
            continue;
        if (second && (!writer || writer->layer != op->layer - 1))
            continue;
        e.from = writer ? d->node_of_op[w] : input_node[t];
        d->edges[d->n_edges++] = e;
    }
}

/* Which edges have a longer way beside them: those that skip a rank, ranks being longest paths. Ops
 * stand in an order in which all that lead to one come before it. */
static bool mark_around(struct dg_dump *d)
{
    uint32_t *rank = dg_arena_array(d->arena, d->n_nodes, sizeof *rank);

    if (!rank)
        return false;
    for (uint32_t i = 0; i < d->n_edges; i++) { /* by from, ascending: rank[from] is final */
        const struct dg_dump_edge *e = &d->edges[i];

        if (e->kind != DG_EDGE_LOOP && rank[e->to] < rank[e->from] + 1)
            rank[e->to] = rank[e->from] + 1;
    }
    for (uint32_t i = 0; i < d->n_edges; i++) {
        struct dg_dump_edge *e = &d->edges[i];

        if (e->kind == DG_EDGE_DATA && rank[e->to] > rank[e->from] + 1)
            e->kind = DG_EDGE_AROUND;
    }
    return true;
}

enum dg_status dg_dump_graph(struct dg_dump **out, const struct dg_graph *g,
                             const struct dg_dump_options *options, struct dg_error *err)
{
    const uint64_t nodes = (uint64_t)g->n_ops + g->n_tensors;
    struct folding f;
    struct dg_dump *d;
    uint32_t *input_node;
    int *cluster;
    enum dg_status st =
        dg_dump_new(&d, g, options, nodes, (uint64_t)g->n_ops * DG_MAX_IN, dg_graph_layers(g), err);

    if (st != DG_OK)
        return st;
    d->node_of_op = dg_arena_array(d->arena, g->n_ops, sizeof *d->node_of_op);
    input_node = dg_arena_array(d->arena, g->n_tensors, sizeof *input_node);
    cluster = dg_arena_array(d->arena, d->layers, sizeof *cluster);
    if (!d->node_of_op || !input_node || !cluster || !prepare(&f, d))
        goto fail;
    find_groups(&f, options);
    add_clusters(d, &f, cluster);
    add_nodes(d, &f, cluster, input_node);
    for (unsigned i = 0; i < g->n_ops; i++)
        add_edges_to(d, &f, i, input_node);
    dg_dump_sort(d);
    if (!mark_around(d) || d->out_of_memory)
        goto fail;
    *out = d;
    return DG_OK;
fail:
    dg_dump_free(d);
    return dg_fail_memory(err, "a dump", (size_t)nodes * sizeof *d->nodes);
}
