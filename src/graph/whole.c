/* The whole is a plan as any other, in which a message is an edge, so that dg_plan_check_order() proves of it what it
 * proves of a plan. What it cannot know is looked at here: tensors have several writers, and no rank has all of one. */
#include "whole.h"
#include "../base/arena.h"
#include "../base/checked.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct joining {
    struct dg_whole *whole;
    struct dg_piece *const *pieces;
    uint32_t ranks;
    uint32_t *tensor; /* [ranks] where the piece's tensors begin */
    uint32_t **tile;  /* [ranks][n_tiles] where each of the piece's tiles is */
    uint32_t *join;   /* [ranks] where the piece's joins begin */
    struct dg_edges edges;
};

static void put_rank(char *name, size_t size, uint32_t rank)
{
    char with[40];

    snprintf(with, sizeof with, "%.*s@%u", (int)size - 5, name, rank);
    memcpy(name, with, size);
    name[size - 1] = '\0';
}

static void join_tensors(struct joining *j, uint32_t rank)
{
    const struct dg_graph *from = j->pieces[rank]->graph;

    j->tensor[rank] = j->whole->graph->n_tensors;
    for (unsigned i = 0; i < from->n_tensors; i++) {
        struct dg_tensor *t = dg_graph_tensor(j->whole->graph, from->tensors[i]);

        put_rank(t->name, sizeof t->name, rank);
        j->whole->plan->offset[j->tensor[rank] + i] =
            rank * dg_round_up(j->pieces[0]->plan->arena_bytes, 64) +
            j->pieces[rank]->plan->offset[i];
    }
}

static void join_op(struct joining *j, uint32_t rank, uint32_t index)
{
    const struct dg_plan *from = j->pieces[rank]->plan;
    struct dg_graph *g = j->whole->graph;
    struct dg_plan *plan = j->whole->plan;
    struct dg_tensor *tensors = g->tensors + j->tensor[rank];
    struct dg_op op = from->graph->ops[index];

    put_rank(op.name, sizeof op.name, rank);
    op.out = tensors + dg_tensor_index(from->graph, op.out);
    for (unsigned k = 0; k < op.n_in; k++)
        op.in[k] = tensors + dg_tensor_index(from->graph, op.in[k]);
    j->whole->rank[g->n_ops] = rank;
    plan->op_first[g->n_ops] = plan->n_tiles;
    for (uint32_t t = from->op_first[index]; t < from->op_first[index + 1]; t++) {
        j->tile[rank][t] = plan->n_tiles;
        plan->tiles[plan->n_tiles] = from->tiles[t];
        plan->tiles[plan->n_tiles++].op = g->n_ops;
    }
    dg_graph_op(g, op);
}

/* Op by op of the plan that was cut, first those that compute, then those that send, then those that receive. */
static void join_ops(struct joining *j)
{
    uint32_t at[DG_MAX_RANKS] = {0};
    bool more = true;

    for (uint32_t origin = 0; more; origin++) {
        more = false;
        for (uint32_t r = 0; r < j->ranks; r++) {
            if (at[r] < j->pieces[r]->graph->n_ops && j->pieces[r]->origin[at[r]] == origin)
                join_op(j, r, at[r]++);
            more |= at[r] < j->pieces[r]->graph->n_ops;
        }
    }
    j->whole->plan->op_first[j->whole->graph->n_ops] = j->whole->plan->n_tiles;
}

static uint32_t joined_node(const struct joining *j, uint32_t rank, uint32_t node)
{
    const uint32_t n_tiles = j->pieces[rank]->plan->n_tiles;

    return node < n_tiles ? j->tile[rank][node] : j->join[rank] + (node - n_tiles);
}

/* The edges of the pieces, but for those to their ends. */
static bool join_edges(struct joining *j, uint32_t *n_joins)
{
    for (uint32_t r = 0; r < j->ranks; r++) {
        const struct dg_plan *p = j->pieces[r]->plan;

        j->join[r] = j->whole->plan->n_tiles + *n_joins;
        *n_joins += p->n_joins - 1;
        for (uint32_t n = 0; n < p->n_nodes; n++)
            for (uint32_t i = 0; i < p->nodes[n].n_next; i++) {
                const uint32_t to = p->next[p->nodes[n].first + i];

                if (to != dg_plan_end(p) &&
                    !dg_edges_add(&j->edges, joined_node(j, r, n), joined_node(j, r, to)))
                    return false;
            }
    }
    return true;
}

static enum dg_status refuse_message(const struct dg_piece *piece, const struct dg_message *m,
                                     const char *what, struct dg_error *err)
{
    return dg_fail(err, DG_ERR_USAGE,
                   "cut: message %u from rank %u to %u (%s rows %u:%u columns %u:%u) %s", m->number,
                   m->from, m->to, piece->graph->tensors[m->tensor].name, m->box.r0, m->box.r1,
                   m->box.c0, m->box.c1, what);
}

/* One end of a message. */
struct end {
    const struct dg_message *m;
    uint32_t rank; /* where it is sent, or received */
};

static int by_number(const void *a, const void *b)
{
    const struct dg_message *x = ((const struct end *)a)->m, *y = ((const struct end *)b)->m;

    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    if (x->to != y->to)
        return x->to < y->to ? -1 : 1;
    return (x->number > y->number) - (x->number < y->number);
}

static enum dg_status join_message(struct joining *j, const struct end *s, const struct end *r,
                                   struct dg_error *err)
{
    const struct dg_message *m = s->m;
    const struct dg_piece *piece = j->pieces[s->rank];

    if (m->from != s->rank || m->to == m->from)
        return refuse_message(piece, m, "is sent by another rank, or to itself", err);
    if (by_number(s, r) != 0 || r->rank != m->to)
        return refuse_message(piece, m, "is not sent once and received once", err);
    if (r->m->tensor != m->tensor || memcmp(&r->m->box, &m->box, sizeof m->box) != 0)
        return refuse_message(piece, m, "is received as another box", err);
    if (piece->graph->tensors[m->tensor].role == DG_CACHE)
        return refuse_message(piece, m, "is of a cache", err);
    if (!dg_edges_add(&j->edges, j->tile[s->rank][m->tile], j->tile[r->rank][r->m->tile]))
        return dg_fail_memory(err, "a cut plan", j->edges.n * sizeof *j->edges.list);
    return DG_OK;
}

/* Both ends of all messages, in one order, side by side. */
static enum dg_status join_messages(struct joining *j, struct dg_error *err)
{
    size_t sent = 0, received = 0;
    struct end *sends, *receives;
    enum dg_status st = DG_OK;

    for (uint32_t r = 0; r < j->ranks; r++) {
        sent += j->pieces[r]->n_sends;
        received += j->pieces[r]->n_receives;
    }
    if (sent != received)
        return dg_fail(err, DG_ERR_USAGE, "cut: %zu messages are sent, %zu received", sent,
                       received);
    sends = calloc(sent + 1, sizeof *sends);
    receives = calloc(sent + 1, sizeof *receives);
    sent = received = 0;
    if (!sends || !receives)
        st = dg_fail_memory(err, "a cut plan", sent * sizeof *sends);
    for (uint32_t r = 0; st == DG_OK && r < j->ranks; r++) {
        for (uint32_t i = 0; i < j->pieces[r]->n_sends; i++)
            sends[sent++] = (struct end){&j->pieces[r]->sends[i], r};
        for (uint32_t i = 0; i < j->pieces[r]->n_receives; i++)
            receives[received++] = (struct end){&j->pieces[r]->receives[i], r};
    }
    if (st == DG_OK) {
        qsort(sends, sent, sizeof *sends, by_number);
        qsort(receives, sent, sizeof *receives, by_number);
    }
    for (size_t i = 0; i < sent && st == DG_OK; i++)
        st = join_message(j, &sends[i], &receives[i], err);
    free(sends);
    free(receives);
    return st;
}

static bool make_room(struct joining *j, struct dg_error *err)
{
    struct dg_whole *w = j->whole;
    size_t ops = 0, tensors = 0, tiles = 0;
    uint32_t workers = 1;
    struct dg_arena *arena;

    for (uint32_t r = 0; r < j->ranks; r++) {
        ops += j->pieces[r]->graph->n_ops;
        tensors += j->pieces[r]->graph->n_tensors;
        tiles += j->pieces[r]->plan->n_tiles;
        workers = j->pieces[r]->plan->tiling.workers > workers ? j->pieces[r]->plan->tiling.workers
                                                               : workers;
    }
    if (dg_graph_new(&w->graph, (unsigned)ops, (unsigned)tensors, err) != DG_OK)
        return false;
    arena = w->graph->arena;
    w->plan = dg_arena_alloc(arena, sizeof *w->plan);
    w->rank = dg_arena_array(arena, ops, sizeof *w->rank);
    j->tensor = dg_arena_array(arena, j->ranks, sizeof *j->tensor);
    j->join = dg_arena_array(arena, j->ranks, sizeof *j->join);
    j->tile = dg_arena_array(arena, j->ranks, sizeof *j->tile);
    if (!w->plan || !w->rank || !j->tensor || !j->join || !j->tile)
        return false;
    for (uint32_t r = 0; r < j->ranks; r++) {
        j->tile[r] = dg_arena_array(arena, j->pieces[r]->plan->n_tiles, sizeof *j->tile[r]);
        if (!j->tile[r])
            return false;
    }
    *w->plan = (struct dg_plan){.graph = w->graph, .tiling = {.workers = workers}, .arena = arena};
    w->plan->tiles = dg_arena_array(arena, tiles, sizeof *w->plan->tiles);
    w->plan->op_first = dg_arena_array(arena, ops + 1, sizeof *w->plan->op_first);
    w->plan->offset = dg_arena_array(arena, tensors, sizeof *w->plan->offset);
    w->plan->arena_bytes = j->ranks * dg_round_up(j->pieces[0]->plan->arena_bytes, 64);
    return w->plan->tiles && w->plan->op_first && w->plan->offset;
}

enum dg_status dg_whole_new(struct dg_whole *out, struct dg_piece *const *pieces, uint32_t ranks,
                            struct dg_error *err)
{
    struct joining j = {.whole = out, .pieces = pieces, .ranks = ranks};
    uint32_t n_joins = 0;
    enum dg_status st;

    *out = (struct dg_whole){0};
    if (!make_room(&j, err)) {
        st = dg_fail_memory(err, "a cut plan", pieces[0]->plan->n_tiles * sizeof(struct dg_tile));
        goto out;
    }
    for (uint32_t r = 0; r < ranks; r++)
        join_tensors(&j, r);
    join_ops(&j);
    dg_graph_link(out->graph);
    st = join_edges(&j, &n_joins)
             ? join_messages(&j, err)
             : dg_fail_memory(err, "a cut plan", j.edges.n * sizeof *j.edges.list);
    if (st == DG_OK && !(dg_edges_end(&j.edges, out->plan, out->plan->n_tiles + n_joins) &&
                         dg_edges_store(&j.edges, out->plan, n_joins + 1)))
        st = dg_fail_memory(err, "a cut plan", j.edges.n * sizeof *j.edges.list);
out:
    dg_edges_free(&j.edges);
    if (st != DG_OK)
        dg_whole_free(out);
    return st;
}

void dg_whole_free(struct dg_whole *w)
{
    dg_graph_free(w->graph); /* plan and ranks lie in its memory */
    *w = (struct dg_whole){0};
}

/* ---- what is proved of it ---- */

static uint64_t common_area(struct dg_box a, struct dg_box b)
{
    const struct dg_box c = {a.r0 > b.r0 ? a.r0 : b.r0, a.r1 < b.r1 ? a.r1 : b.r1,
                             a.c0 > b.c0 ? a.c0 : b.c0, a.c1 < b.c1 ? a.c1 : b.c1};

    return dg_box_meets(a, b) ? dg_box_area(c) : 0;
}

/* Elements of the box that the ops ops[0 ... n - 1] write, each as often as it is written. */
static uint64_t written(const struct dg_plan *plan, const uint32_t *ops, uint32_t n,
                        struct dg_box box)
{
    uint64_t area = 0;

    for (uint32_t i = 0; i < n; i++)
        for (uint32_t t = plan->op_first[ops[i]]; t < plan->op_first[ops[i] + 1]; t++)
            area += common_area(plan->tiles[t].out, box);
    return area;
}

/* Where there is one, ops[] are all of them. */
static uint32_t find_writers(const struct dg_graph *g, const struct dg_tensor *t, uint32_t *ops)
{
    const struct dg_op *first = dg_graph_writer(g, t);
    uint32_t n = 0;

    for (uint32_t i = first ? (uint32_t)(first - g->ops) : g->n_ops; i < g->n_ops; i++)
        if (g->ops[i].out == t)
            ops[n++] = i;
    return n;
}

/* No two of the tiles that write a tensor write the same element. */
static enum dg_status check_once(const struct dg_whole *w, uint32_t index, uint32_t *ops,
                                 struct dg_error *err)
{
    const struct dg_plan *plan = w->plan;
    const uint32_t n = find_writers(w->graph, w->graph->ops[index].out, ops);

    for (uint32_t t = plan->op_first[index]; t < plan->op_first[index + 1]; t++)
        if (written(plan, ops, n, plan->tiles[t].out) != dg_box_area(plan->tiles[t].out))
            return dg_fail(err, DG_ERR_USAGE, "cut: %s rows %u:%u columns %u:%u: written twice",
                           w->graph->ops[index].out->name, plan->tiles[t].out.r0,
                           plan->tiles[t].out.r1, plan->tiles[t].out.c0, plan->tiles[t].out.c1);
    return DG_OK;
}

/* Each element that an op reads, but for inputs and weights that nobody loads, is written once on its rank. */
static enum dg_status check_input(const struct dg_whole *w, uint32_t index, unsigned k, bool loads,
                                  uint32_t *ops, struct dg_error *err)
{
    const struct dg_plan *plan = w->plan;
    const struct dg_op *op = &w->graph->ops[index];
    const struct dg_tensor *in = op->in[k];
    const uint32_t n = find_writers(w->graph, in, ops);

    if (in->role == DG_INPUT || (in->role == DG_WEIGHT && !loads))
        return DG_OK;
    for (uint32_t t = plan->op_first[index]; t < plan->op_first[index + 1]; t++) {
        const struct dg_box box = op->type->reads(op, k, plan->tiles[t].out);

        if (written(plan, ops, n, box) != dg_box_area(box))
            return dg_fail(
                err, DG_ERR_USAGE,
                "cut: %s reads %s rows %u:%u columns %u:%u, of which not each element is "
                "written once",
                op->name, in->name, box.r0, box.r1, box.c0, box.c1);
    }
    return DG_OK;
}

static enum dg_status check_inputs(const struct dg_whole *w, uint32_t *ops, struct dg_error *err)
{
    enum dg_status st = DG_OK;
    bool loads = false;

    for (uint32_t i = 0; i < w->graph->n_ops; i++)
        loads |= w->graph->ops[i].type->loads;
    for (uint32_t i = 0; i < w->graph->n_ops && st == DG_OK; i++) {
        st = check_once(w, i, ops, err);
        for (unsigned k = 0; k < w->graph->ops[i].n_in && st == DG_OK; k++)
            st = check_input(w, i, k, loads, ops, err);
    }
    return st;
}

/* Rank 0 has the outputs; its tensors stand first. */
static enum dg_status check_outputs(const struct dg_whole *w, const struct dg_graph *cut,
                                    uint32_t *ops, struct dg_error *err)
{
    for (unsigned i = 0; i < cut->n_outputs; i++) {
        const struct dg_tensor *t = &w->graph->tensors[dg_tensor_index(cut, cut->outputs[i])];
        const uint32_t n = find_writers(w->graph, t, ops);

        if (written(w->plan, ops, n, dg_whole_box(t)) != dg_box_area(dg_whole_box(t)))
            return dg_fail(err, DG_ERR_USAGE, "cut: not each element of %s is written once",
                           t->name);
    }
    return DG_OK;
}

static bool is_run(const struct dg_piece *piece, uint32_t op, struct dg_box box)
{
    for (uint32_t i = 0; i < piece->graph->n_ops; i++)
        if (piece->origin[i] == 3 * op)
            for (uint32_t t = piece->plan->op_first[i]; t < piece->plan->op_first[i + 1]; t++)
                if (memcmp(&piece->plan->tiles[t].out, &box, sizeof box) == 0)
                    return true;
    return false;
}

/* Each tile, but for those that load what nobody reads, runs on some rank. */
static enum dg_status check_all_run(const struct dg_plan *cut, struct dg_piece *const *pieces,
                                    uint32_t ranks, struct dg_error *err)
{
    for (uint32_t t = 0; t < cut->n_tiles; t++) {
        uint32_t r = 0;

        if (dg_tile_op(cut, t)->type->loads)
            continue;
        while (r < ranks && !is_run(pieces[r], cut->tiles[t].op, cut->tiles[t].out))
            r++;
        if (r == ranks)
            return dg_fail(err, DG_ERR_USAGE, "cut: no rank runs tile %u (%s)", t,
                           dg_tile_op(cut, t)->name);
    }
    return DG_OK;
}

enum dg_status dg_pieces_check(const struct dg_plan *cut, struct dg_piece *const *pieces,
                               uint32_t ranks, struct dg_plan_proof *proof, struct dg_error *err)
{
    struct dg_whole w;
    enum dg_status st = dg_whole_new(&w, pieces, ranks, err);
    uint32_t *ops;

    if (st != DG_OK)
        return st;
    ops = calloc(w.graph->n_ops + 1, sizeof *ops);
    if (!ops)
        st = dg_fail_memory(err, "the plan checker", w.graph->n_ops * sizeof *ops);
    if (st == DG_OK)
        st = check_inputs(&w, ops, err);
    if (st == DG_OK)
        st = check_outputs(&w, cut->graph, ops, err);
    if (st == DG_OK)
        st = check_all_run(cut, pieces, ranks, err);
    if (st == DG_OK)
        st = dg_plan_check_order(w.plan, proof, err);
    free(ops);
    dg_whole_free(&w);
    return st;
}
