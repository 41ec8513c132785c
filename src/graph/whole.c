/* The whole is a plan as any other, in which a message is an edge, so that dg_plan_check_order() proves of it what it
 * proves of a plan. What it cannot know is looked at here: tensors have several writers, and no rank has all of one. */
#include "whole.h"
#include "../base/arena.h"
#include "../base/checked.h"
#include "cover.h"

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

/* The tiles that write a tensor, those that read it, each with the box that it touches. A box that the tile before
 * reads, too, stands there once. */
struct touch {
    uint32_t tile;
    int input; /* -1: it writes it */
};

struct touches {
    struct dg_box *box; /* [n] first those that are written */
    struct touch *by;   /* [n] */
    uint64_t *covered;  /* [n] by what is written */
    size_t n, written, room;
    uint32_t *first,
        *use; /* ops by tensor: first[i] ... first[i + 1] of use, each DG_MAX_IN + 1 times its op, and input */
};

enum { WRITES = DG_MAX_IN, USES = DG_MAX_IN + 1 };

/* Of each tensor all ops that write or read it. */
static bool list_uses(const struct dg_graph *g, struct touches *t)
{
    uint32_t n = 0;

    t->first = calloc(g->n_tensors + (size_t)2, sizeof *t->first);
    t->use = calloc((size_t)g->n_ops * USES + 1, sizeof *t->use);
    if (!t->first || !t->use)
        return false;
    for (uint32_t i = 0; i < g->n_ops; i++) {
        t->first[dg_tensor_index(g, g->ops[i].out) + 2]++;
        for (unsigned k = 0; k < g->ops[i].n_in; k++)
            t->first[dg_tensor_index(g, g->ops[i].in[k]) + 2]++;
    }
    for (unsigned i = 0; i <= g->n_tensors; i++)
        t->first[i + 1] = n += t->first[i + 1];
    for (uint32_t i = 0; i < g->n_ops; i++) {
        t->use[t->first[dg_tensor_index(g, g->ops[i].out) + 1]++] = i * USES + WRITES;
        for (unsigned k = 0; k < g->ops[i].n_in; k++)
            t->use[t->first[dg_tensor_index(g, g->ops[i].in[k]) + 1]++] = i * USES + k;
    }
    return true;
}

static bool add_touch(struct touches *t, struct dg_box box, uint32_t tile, int input)
{
    const struct touch *last = t->n > t->written ? &t->by[t->n - 1] : NULL;
    const size_t room = 2 * t->room + 64;

    if (input >= 0 && last && last->input == input &&
        memcmp(&t->box[t->n - 1], &box, sizeof box) == 0)
        return true;
    if (t->n == t->room) {
        struct dg_box *boxes = realloc(t->box, room * sizeof *boxes);
        struct touch *by = boxes ? realloc(t->by, room * sizeof *by) : NULL;
        uint64_t *covered = by ? realloc(t->covered, room * sizeof *covered) : NULL;

        t->box = boxes ? boxes : t->box;
        t->by = by ? by : t->by;
        t->covered = covered ? covered : t->covered;
        t->room = covered ? room : t->room;
        if (!covered)
            return false;
    }
    t->box[t->n] = box;
    t->by[t->n++] = (struct touch){tile, input};
    return true;
}

/* Those of a tensor that write it, or those that read it. */
static bool add_uses(const struct dg_plan *plan, uint32_t tensor, bool write, struct touches *t)
{
    for (uint32_t u = t->first[tensor]; u < t->first[tensor + 1]; u++) {
        const uint32_t index = t->use[u] / USES, k = t->use[u] % USES;
        const struct dg_op *op = &plan->graph->ops[index];

        if ((k == WRITES) != write)
            continue;
        for (uint32_t i = plan->op_first[index]; i < plan->op_first[index + 1]; i++)
            if (!add_touch(t,
                           write ? plan->tiles[i].out : op->type->reads(op, k, plan->tiles[i].out),
                           i, write ? -1 : (int)k))
                return false;
    }
    return true;
}

static enum dg_status refuse_touch(const struct dg_plan *plan, const struct dg_tensor *tensor,
                                   const struct touches *t, size_t i, struct dg_error *err)
{
    const struct dg_box b = t->box[i];

    if (t->by[i].tile == DG_NO_TILE)
        return dg_fail(err, DG_ERR_USAGE, "cut: not each element of %s is written once",
                       tensor->name);
    if (t->by[i].input < 0)
        return dg_fail(err, DG_ERR_USAGE, "cut: %s rows %u:%u columns %u:%u: written twice",
                       tensor->name, b.r0, b.r1, b.c0, b.c1);
    return dg_fail(
        err, DG_ERR_USAGE,
        "cut: %s reads %s rows %u:%u columns %u:%u, of which not each element is written "
        "once",
        dg_tile_op(plan, t->by[i].tile)->name, tensor->name, b.r0, b.r1, b.c0, b.c1);
}

/* No two tiles write the same element of a tensor; each element that is read, but of inputs and of weights that nobody
 * loads, is written, and all of an output is. */
static enum dg_status check_tensor(const struct dg_plan *plan, uint32_t index, bool loads,
                                   bool output, struct touches *t, struct dg_error *err)
{
    const struct dg_tensor *tensor = &plan->graph->tensors[index];
    const bool given = tensor->role == DG_INPUT || (tensor->role == DG_WEIGHT && !loads);
    bool ok;

    t->n = t->written = 0;
    ok = add_uses(plan, index, true, t);
    t->written = t->n;
    ok = ok && (given || add_uses(plan, index, false, t)) &&
         (!output || add_touch(t, dg_whole_box(tensor), DG_NO_TILE, DG_MAX_IN)) &&
         dg_cover(t->box, t->written, t->box, t->n, t->covered);
    if (!ok)
        return dg_fail_memory(err, "the plan checker", t->n * sizeof *t->box);
    for (size_t i = 0; i < t->n; i++)
        if (t->covered[i] != dg_box_area(t->box[i]))
            return refuse_touch(plan, tensor, t, i, err);
    return DG_OK;
}

static bool is_output(const struct dg_graph *cut, uint32_t tensor)
{
    for (unsigned i = 0; i < cut->n_outputs; i++)
        if (dg_tensor_index(cut, cut->outputs[i]) == tensor)
            return true;
    return false;
}

/* Rank 0 has the outputs; its tensors stand first. */
static enum dg_status check_tensors(const struct dg_whole *w, const struct dg_graph *cut,
                                    struct dg_error *err)
{
    struct touches t = {0};
    enum dg_status st = DG_OK;
    bool loads = false;

    if (!list_uses(w->graph, &t))
        st = dg_fail_memory(err, "the plan checker", w->graph->n_ops * sizeof *t.use);
    for (uint32_t i = 0; i < w->graph->n_ops; i++)
        loads |= w->graph->ops[i].type->loads;
    for (uint32_t i = 0; i < w->graph->n_tensors && st == DG_OK; i++)
        st = check_tensor(w->plan, i, loads, is_output(cut, i), &t, err);
    free(t.box);
    free(t.by);
    free(t.covered);
    free(t.first);
    free(t.use);
    return st;
}

/* Marks the tiles that a piece runs; they stand in the order of the plan that was cut. */
static void mark_run(const struct dg_plan *cut, const struct dg_piece *piece, bool *run)
{
    for (uint32_t i = 0; i < piece->graph->n_ops; i++) {
        const uint32_t op = piece->origin[i] / 3;
        uint32_t t = op < cut->graph->n_ops ? cut->op_first[op] : cut->n_tiles;

        if (piece->origin[i] % 3 != 0)
            continue;
        for (uint32_t k = piece->plan->op_first[i]; k < piece->plan->op_first[i + 1]; k++) {
            while (t < cut->n_tiles && cut->tiles[t].op == op &&
                   memcmp(&cut->tiles[t].out, &piece->plan->tiles[k].out, sizeof(struct dg_box)))
                t++;
            if (t < cut->n_tiles && cut->tiles[t].op == op)
                run[t++] = true;
        }
    }
}

/* Each tile, but for those that load what nobody reads, runs on some rank. */
static enum dg_status check_all_run(const struct dg_plan *cut, struct dg_piece *const *pieces,
                                    uint32_t ranks, struct dg_error *err)
{
    bool *run = calloc(cut->n_tiles + (size_t)1, sizeof *run);
    enum dg_status st = run ? DG_OK : dg_fail_memory(err, "the plan checker", cut->n_tiles);

    for (uint32_t r = 0; run && r < ranks; r++)
        mark_run(cut, pieces[r], run);
    for (uint32_t t = 0; t < cut->n_tiles && st == DG_OK; t++)
        if (!dg_tile_op(cut, t)->type->loads && !run[t])
            st = dg_fail(err, DG_ERR_USAGE, "cut: no rank runs tile %u (%s)", t,
                         dg_tile_op(cut, t)->name);
    free(run);
    return st;
}

enum dg_status dg_pieces_check(const struct dg_plan *cut, struct dg_piece *const *pieces,
                               uint32_t ranks, struct dg_plan_proof *proof, struct dg_error *err)
{
    struct dg_whole w;
    enum dg_status st = dg_whole_new(&w, pieces, ranks, err);

    if (st == DG_OK)
        st = check_tensors(&w, cut->graph, err);
    if (st == DG_OK)
        st = check_all_run(cut, pieces, ranks, err);
    if (st == DG_OK)
        st = dg_plan_check_order(w.plan, proof, err);
    dg_whole_free(&w);
    return st;
}
