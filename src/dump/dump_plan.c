/* A plan's tiles and joins, those of some layers. What stands before the first layer is drawn with
 * it, and what stands after the last with that. */
#include "dump_parts.h"
#include "../base/arena.h"
#include "../graph/cut.h"

#include <stdio.h>

struct drawing {
    const struct dg_plan *plan;
    struct dg_dump *dump;
    bool *drawn;      /* [n_ops] */
    uint32_t *node;   /* [n_nodes] the dump's node of a plan's node, or DG_NOBODY */
    uint32_t *cut;    /* [n_ops] the node of an op that is not drawn, or DG_NOBODY */
    uint32_t *source; /* [n_joins] the lowest tile before it */
    uint32_t
        *twin; /* [n_joins] the join before it that leads to the same tile first, or DG_NOBODY */
    bool *fed; /* [n_joins] a tile that is drawn leads to it */
    int *rank_cluster;  /* [ranks] of a whole */
    int *layer_cluster; /* [ranks, or 1][layers] */
    int *op_cluster;    /* [n_ops] */
};

static uint32_t ranks_of(const struct drawing *w)
{
    return w->dump->options.rank ? w->dump->options.ranks : 1;
}

static bool allocate(struct drawing *w)
{
    const struct dg_plan *p = w->plan;
    struct dg_arena *a = w->dump->arena;

    w->drawn = dg_arena_array(a, p->graph->n_ops, sizeof *w->drawn);
    w->node = dg_arena_array(a, p->n_nodes, sizeof *w->node);
    w->cut = dg_arena_array(a, p->graph->n_ops, sizeof *w->cut);
    w->source = dg_arena_array(a, p->n_joins, sizeof *w->source);
    w->twin = dg_arena_array(a, p->n_joins, sizeof *w->twin);
    w->fed = dg_arena_array(a, p->n_joins, sizeof *w->fed);
    w->rank_cluster = dg_arena_array(a, ranks_of(w), sizeof *w->rank_cluster);
    w->layer_cluster =
        dg_arena_array(a, (size_t)ranks_of(w) * w->dump->layers, sizeof *w->layer_cluster);
    w->op_cluster = dg_arena_array(a, p->graph->n_ops, sizeof *w->op_cluster);
    return w->drawn && w->node && w->cut && w->source && w->twin && w->fed && w->rank_cluster &&
           w->layer_cluster && w->op_cluster;
}

/* Which ops are drawn. An op outside the layers goes with the layer whose ops it stands before or
 * after. */
static void choose_ops(struct drawing *w)
{
    const struct dg_graph *g = w->plan->graph;
    const uint32_t first = w->dump->options.first, last = w->dump->options.last;
    bool before = true; /* no op of a layer yet */

    for (unsigned i = 0; i < g->n_ops; i++) {
        const int layer = g->ops[i].layer;

        if (layer >= 0) {
            before = false;
            w->drawn[i] = (uint32_t)layer >= first && (uint32_t)layer < last;
        } else {
            w->drawn[i] = before ? first == 0 : last >= w->dump->layers;
        }
    }
}

static int add_cluster(struct drawing *w, struct dg_dump_cluster c)
{
    struct dg_dump *d = w->dump;

    c.times = 1;
    d->clusters[d->n_clusters] = c;
    return (int)d->n_clusters++;
}

/* The place of an op's layer in layer_cluster[]. */
static int *layer_of(const struct drawing *w, uint32_t op)
{
    const uint32_t *rank = w->dump->options.rank;

    return &w->layer_cluster[(rank ? rank[op] : 0) * w->dump->layers +
                             (uint32_t)w->plan->graph->ops[op].layer];
}

static void add_op_cluster(struct drawing *w, uint32_t i)
{
    const struct dg_op *op = &w->plan->graph->ops[i];
    struct dg_dump *d = w->dump;
    const uint32_t *rank = d->options.rank;
    int parent = -1;

    if (rank) {
        parent = w->rank_cluster[rank[i]];
        if (parent < 0)
            parent = w->rank_cluster[rank[i]] =
                add_cluster(w, (struct dg_dump_cluster){.id = dg_dump_id(d, "@%u", rank[i]),
                                                        .parent = -1,
                                                        .rank = (int)rank[i],
                                                        .layer = -1});
    }
    if (op->layer >= 0) {
        int *layer = layer_of(w, i);

        if (*layer < 0)
            *layer = add_cluster(
                w, (struct dg_dump_cluster){.id = rank ? dg_dump_id(d, "h%d@%u", op->layer, rank[i])
                                                       : dg_dump_id(d, "h%d", op->layer),
                                            .parent = parent,
                                            .rank = -1,
                                            .layer = op->layer});
        parent = *layer;
    }
    w->op_cluster[i] = add_cluster(
        w, (struct dg_dump_cluster){.id = dg_dump_id(d, "%s", op->name),
                                    .parent = parent,
                                    .rank = -1,
                                    .layer = op->layer,
                                    .op = op,
                                    .tiles = w->plan->op_first[i + 1] - w->plan->op_first[i]});
}

static void add_op_clusters(struct drawing *w)
{
    for (uint32_t l = 0; l < ranks_of(w) * w->dump->layers; l++)
        w->layer_cluster[l] = -1;
    for (uint32_t r = 0; r < ranks_of(w); r++)
        w->rank_cluster[r] = -1;
    for (uint32_t i = 0; i < w->plan->graph->n_ops; i++)
        if (w->drawn[i])
            add_op_cluster(w, i);
}

static struct dg_dump_node *add_node(struct drawing *w, enum dg_node_kind kind, const char *id)
{
    struct dg_dump *d = w->dump;
    struct dg_dump_node *n = &d->nodes[d->n_nodes++];

    *n = (struct dg_dump_node){.id = id, .kind = kind, .cluster = -1, .times = 1};
    return n;
}

static const char *tile_id(struct dg_dump *d, const struct dg_plan *p, uint32_t t, const char *more)
{
    const struct dg_box b = p->tiles[t].out;

    return dg_dump_id(d, "%s[%u:%u,%u:%u]%s", dg_tile_op(p, t)->name, b.r0, b.r1, b.c0, b.c1, more);
}

static void add_tiles(struct drawing *w)
{
    const struct dg_plan *p = w->plan;
    struct dg_dump *d = w->dump;

    for (uint32_t t = 0; t < p->n_tiles; t++) {
        const uint32_t o = p->tiles[t].op;
        const struct dg_op *op = &p->graph->ops[o];
        struct dg_dump_node *n;

        w->node[t] = DG_NOBODY;
        if (!w->drawn[o])
            continue;
        w->node[t] = d->n_nodes;
        n = add_node(w, DG_NODE_TILE, tile_id(d, p, t, ""));
        n->cluster = w->op_cluster[o];
        n->op = op;
        n->tensor = op->out;
        n->box = p->tiles[t].out;
        n->home = p->tiles[t].home;
        n->index = t;
        if (op->type->cost)
            n->cost = dg_tile_cost(p, t, d->options.past);
    }
}

static void find_sources(struct drawing *w)
{
    const struct dg_plan *p = w->plan;

    for (uint32_t t = p->n_tiles; t-- > 0;) {
        for (uint32_t i = 0; i < p->nodes[t].n_next; i++) {
            const uint32_t to = p->next[p->nodes[t].first + i];

            if (to < p->n_tiles)
                continue;
            w->source[to - p->n_tiles] = t;
            w->fed[to - p->n_tiles] |= w->drawn[p->tiles[t].op];
        }
    }
}

/* node[] of a tile holds, for the while, the last join that leads to it first. */
static void find_twins(struct drawing *w)
{
    const struct dg_plan *p = w->plan;

    for (uint32_t t = 0; t < p->n_tiles; t++)
        w->node[t] = DG_NOBODY;
    for (uint32_t join = p->n_tiles; join < dg_plan_end(p); join++) {
        uint32_t *last = &w->node[p->next[p->nodes[join].first]];

        w->twin[join - p->n_tiles] = *last;
        *last = join;
    }
}

/* What the tile of op that writes `out` reads of a tensor: the box around all that it reads. */
static struct dg_box box_read(const struct dg_op *op, const struct dg_tensor *tensor,
                              struct dg_box out)
{
    struct dg_box all = {UINT32_MAX, 0, UINT32_MAX, 0};

    for (unsigned k = 0; k < op->n_in; k++) {
        struct dg_box b;

        if (op->in[k] != tensor)
            continue;
        b = op->type->reads(op, k, out);
        all.r0 = b.r0 < all.r0 ? b.r0 : all.r0;
        all.r1 = b.r1 > all.r1 ? b.r1 : all.r1;
        all.c0 = b.c0 < all.c0 ? b.c0 : all.c0;
        all.c1 = b.c1 > all.c1 ? b.c1 : all.c1;
    }
    return all;
}

/* The tensor that who follows a tile waits for, and the tile's box of it. */
static const struct dg_tensor *left_by(const struct dg_plan *p, uint32_t tile, struct dg_box *box)
{
    const struct dg_op *op = dg_tile_op(p, tile);

    *box = p->tiles[tile].out;
    if (op->type != &dg_op_send)
        return op->out;
    *box = op->type->reads(op, 0, *box);
    return op->in[0];
}

static struct dg_box common_box(struct dg_box a, struct dg_box b)
{
    return (struct dg_box){a.r0 > b.r0 ? a.r0 : b.r0, a.r1 < b.r1 ? a.r1 : b.r1,
                           a.c0 > b.c0 ? a.c0 : b.c0, a.c1 < b.c1 ? a.c1 : b.c1};
}

/* A join is named by the first tile that waits for it and the op that it waits for: the plan makes
 * one for each input of a group of tiles. An op that reads a tensor twice has two of one name; the
 * second gets a #. */
static void add_join(struct drawing *w, uint32_t join)
{
    const struct dg_plan *p = w->plan;
    const uint32_t first = p->next[p->nodes[join].first], source = w->source[join - p->n_tiles];
    const struct dg_op *from = dg_tile_op(p, source), *to = dg_tile_op(p, first);
    char more[40];
    size_t at = (size_t)snprintf(more, sizeof more - DG_MAX_IN, "<%s", from->name);
    struct dg_dump_node *n;

    for (uint32_t j = w->twin[join - p->n_tiles]; j != DG_NOBODY; j = w->twin[j - p->n_tiles])
        if (dg_tile_op(p, w->source[j - p->n_tiles]) == from)
            more[at++] = '#';
    more[at] = '\0';
    w->node[join] = w->dump->n_nodes;
    n = add_node(w, DG_NODE_JOIN, tile_id(w->dump, p, first, more));
    n->op = to;
    n->tensor = left_by(p, source, &n->box);
    n->box = box_read(to, n->tensor, p->tiles[first].out);
    n->index = join;
    if (from->layer == to->layer && from->layer >= 0)
        n->cluster = *layer_of(w, p->tiles[first].op);
}

static void add_joins(struct drawing *w)
{
    const struct dg_plan *p = w->plan;
    const uint32_t end = dg_plan_end(p);

    for (uint32_t join = p->n_tiles; join < end; join++) {
        const bool read = w->drawn[p->tiles[p->next[p->nodes[join].first]].op];

        w->node[join] = DG_NOBODY;
        if (read || w->fed[join - p->n_tiles])
            add_join(w, join);
    }
    w->node[end] = DG_NOBODY;
    if (w->fed[end - p->n_tiles]) {
        w->node[end] = w->dump->n_nodes;
        add_node(w, DG_NODE_JOIN, "end")->index = end;
    }
}

/* The node that stands for an op that is not drawn. */
static uint32_t cut_node(struct drawing *w, uint32_t op)
{
    const struct dg_op *o = &w->plan->graph->ops[op];
    struct dg_dump_node *n;

    if (w->cut[op] == DG_NOBODY) {
        w->cut[op] = w->dump->n_nodes;
        n = add_node(w, DG_NODE_CUT, dg_dump_id(w->dump, "%s", o->name));
        n->op = o;
        n->tensor = o->out;
        n->box = dg_whole_box(o->out);
        n->index = op;
    }
    return w->cut[op];
}

/* The edge from node `from` of the plan to node `to`, where at least one of them is drawn. */
static void add_edge(struct drawing *w, uint32_t from, uint32_t to)
{
    const struct dg_plan *p = w->plan;
    struct dg_dump *d = w->dump;
    uint32_t a = w->node[from], b = w->node[to];
    const uint32_t tile = from < p->n_tiles ? from : w->source[from - p->n_tiles];
    struct dg_dump_edge e = {.kind = DG_EDGE_DATA, .times = 1};

    if (a == DG_NOBODY && b == DG_NOBODY)
        return;
    if (to != dg_plan_end(p)) {
        e.tensor = left_by(p, tile, &e.box);
        if (to < p->n_tiles && dg_tile_op(p, to)->type == &dg_op_receive)
            e.kind = DG_EDGE_MESSAGE;
        if (to < p->n_tiles && e.kind == DG_EDGE_DATA) {
            const struct dg_box read = box_read(dg_tile_op(p, to), e.tensor, p->tiles[to].out);

            e.box = from < p->n_tiles ? common_box(read, e.box) : read;
        }
    }
    e.from = a != DG_NOBODY ? a : cut_node(w, p->tiles[from].op);
    e.to = b != DG_NOBODY ? b : cut_node(w, p->tiles[to].op);
    d->edges[d->n_edges++] = e;
}

/* Ops without weights may be cut finer than into row blocks; the rows of a weight are no rows of the step. */
static uint32_t rows_of_a_block(const struct dg_plan *plan)
{
    uint32_t most = 1;

    for (uint32_t t = 0; t < plan->n_tiles; t++) {
        const uint32_t rows = plan->tiles[t].out.r1 - plan->tiles[t].out.r0;

        if (dg_tile_op(plan, t)->out->role != DG_WEIGHT && rows > most)
            most = rows;
    }
    return most;
}

enum dg_status dg_dump_plan(struct dg_dump **out, const struct dg_plan *plan,
                            const struct dg_dump_options *options, struct dg_error *err)
{
    const struct dg_graph *g = plan->graph;
    const uint64_t nodes = (uint64_t)plan->n_nodes + g->n_ops;
    struct drawing w = {.plan = plan};
    enum dg_status st = dg_dump_new(
        &w.dump, g, options, nodes, plan->n_edges,
        g->n_ops + (uint64_t)(options->rank ? options->ranks : 1) * (dg_graph_layers(g) + 1), err);

    if (st != DG_OK)
        return st;
    w.dump->plan = plan;
    w.dump->block_rows = rows_of_a_block(plan);
    if (!allocate(&w))
        goto fail;
    choose_ops(&w);
    find_sources(&w);
    find_twins(&w);
    add_op_clusters(&w);
    add_tiles(&w);
    add_joins(&w);
    for (unsigned i = 0; i < g->n_ops; i++)
        w.cut[i] = DG_NOBODY;
    for (uint32_t n = 0; n < plan->n_nodes; n++)
        for (uint32_t i = 0; i < plan->nodes[n].n_next; i++)
            add_edge(&w, n, plan->next[plan->nodes[n].first + i]);
    if (w.dump->out_of_memory)
        goto fail;
    dg_dump_sort(w.dump);
    *out = w.dump;
    return DG_OK;
fail:
    dg_dump_free(w.dump);
    return dg_fail_memory(err, "a dump", (size_t)nodes * sizeof *w.dump->nodes);
}
