/* A piece is cut in two passes over the plan: the tiles, op by op; and the edges, each of which leads from the tile
 * itself, from what sends its box, or from what receives it. A join is here where one of the tiles is that wait for
 * it, and then all that it waits for is here, written or received.
 *
 * What follows a tile on its rank follows what sends its box, too: so nothing can write over the box before it is
 * sent. (When sends led nowhere, a rank's copy of a later op could be faster than the send: whole.h found it.) */
#include "cut.h"
#include "../base/arena.h"
#include "../base/checked.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOT_HERE UINT32_MAX

/* ---- op types ---- */

static const struct dg_piece *piece_of(const struct dg_op *op)
{
    return op->source;
}

/* A tile that sends messages i ... i + n - 1 writes these rows of a tensor that has no data. */
static struct dg_box send_reads(const struct dg_op *op, unsigned i, struct dg_box out)
{
    (void)i;
    return piece_of(op)->sends[out.r0].box;
}

static struct dg_cost send_cost(const struct dg_op *op, struct dg_box out, uint32_t past)
{
    const struct dg_piece *piece = piece_of(op);

    (void)past;
    return (struct dg_cost){0, (out.r1 - out.r0) * dg_message_bytes(piece, &piece->sends[out.r0])};
}

static int send_run(const struct dg_op *op, struct dg_box out, const struct dg_step *step,
                    void *scratch)
{
    const struct dg_sender *sender = &piece_of(op)->sender;

    (void)step;
    (void)scratch;
    return sender->send(sender->arg, out.r0, out.r1 - out.r0);
}

static struct dg_cost receive_cost(const struct dg_op *op, struct dg_box out, uint32_t past)
{
    (void)past;
    return (struct dg_cost){0, (out.r1 - out.r0) * dg_rows_run(op->out->dtype, out.c1 - out.c0)};
}

const struct dg_op_type dg_op_send = {
    .name = "send", .reads = send_reads, .cost = send_cost, .run = send_run};
const struct dg_op_type dg_op_receive = {.name = "receive", .posted = true, .cost = receive_cost};

/* ---- messages ---- */

/* Where row `row` of the message's tensor begins. */
static char *row_at(const struct dg_piece *piece, const struct dg_message *m,
                    const struct dg_step *step, uint32_t row)
{
    const struct dg_tensor *t = &piece->graph->tensors[m->tensor];

    return t->role == DG_OUTPUT ? (char *)step->row[step->rows - t->rows + row].logits
                                : (char *)t->data + dg_row_bytes(t) * row;
}

void dg_message_pack(const struct dg_piece *piece, const struct dg_message *m,
                     const struct dg_step *step, void *buffer)
{
    const enum dg_dtype dtype = piece->graph->tensors[m->tensor].dtype;
    const size_t first = (size_t)dg_rows_run(dtype, m->box.c0);
    const size_t bytes = (size_t)dg_rows_run(dtype, m->box.c1 - m->box.c0);
    char *to = buffer;

    for (uint32_t r = m->box.r0; r < m->box.r1; r++, to += bytes)
        memcpy(to, row_at(piece, m, step, r) + first, bytes);
}

void dg_message_unpack(const struct dg_piece *piece, const struct dg_message *m,
                       const struct dg_step *step, const void *buffer)
{
    const enum dg_dtype dtype = piece->graph->tensors[m->tensor].dtype;
    const size_t first = (size_t)dg_rows_run(dtype, m->box.c0);
    const size_t bytes = (size_t)dg_rows_run(dtype, m->box.c1 - m->box.c0);
    const char *from = buffer;

    for (uint32_t r = m->box.r0; r < m->box.r1; r++, from += bytes)
        memcpy(row_at(piece, m, step, r) + first, from, bytes);
}

/* ---- a piece ---- */

struct builder {
    struct dg_piece *piece;
    const struct dg_plan *from;
    const struct dg_placed *placed;
    uint32_t workers;
    uint32_t
        *node; /* [from's n_nodes] the piece's node that runs, receives or joins; or NOT_HERE */
    uint32_t *done; /* [from's n_nodes] the one that sends its output; the same where none does */
    uint32_t *sent; /* [ranks] messages from this rank to each so far */
    uint32_t *received; /* [ranks] messages to this rank */
    struct dg_edges edges;
};

/* Does a tile wait for `tile` at that rank, or is its output wanted there? */
static bool is_wanted(const struct builder *b, uint32_t tile, uint32_t rank)
{
    const struct dg_plan *plan = b->from;
    const struct dg_node *n = &plan->nodes[tile];

    for (uint32_t i = 0; i < n->n_next; i++)
        if (dg_is_placed(b->placed, plan->next[n->first + i], rank))
            return true;
    return rank == 0 && dg_tile_op(plan, tile)->out->role == DG_OUTPUT;
}

/* The rank that sends a tile's output: the first that runs it. */
static uint32_t sender_of(const struct builder *b, uint32_t tile)
{
    uint32_t rank = 0;

    while (rank < b->piece->ranks && !dg_is_placed(b->placed, tile, rank))
        rank++;
    return rank;
}

static bool is_here(const struct builder *b, uint32_t node)
{
    return dg_is_placed(b->placed, node, b->piece->rank);
}

static bool is_message(const struct builder *b, uint32_t tile, uint32_t to)
{
    return !dg_is_placed(b->placed, tile, to) && is_wanted(b, tile, to);
}

/* At most: messages sent and received. */
static void count_messages(const struct builder *b, size_t *sends, size_t *receives)
{
    for (uint32_t t = 0; t < b->from->n_tiles; t++) {
        if (!is_here(b, t))
            *receives += is_wanted(b, t, b->piece->rank);
        else if (sender_of(b, t) == b->piece->rank)
            for (uint32_t to = 0; to < b->piece->ranks; to++)
                *sends += is_message(b, t, to);
    }
}

/* A tile's output is sent by the same rank to all; so the numbers follow from the tiles before. */
static struct dg_message message_of(const struct builder *b, uint32_t tile, uint32_t from,
                                    uint32_t to)
{
    const struct dg_plan *plan = b->from;

    return (struct dg_message){.tensor = dg_tensor_index(plan->graph, dg_tile_op(plan, tile)->out),
                               .box = plan->tiles[tile].out,
                               .from = from,
                               .to = to};
}

/* The rows of a weight that tiles here read of what a tile loads; its columns are left as they are. */
static void clip(const struct builder *b, uint32_t node, const struct dg_tensor *weight,
                 struct dg_box *rows)
{
    const struct dg_plan *plan = b->from;
    const struct dg_node *n = &plan->nodes[node];

    for (uint32_t i = 0; i < n->n_next; i++) {
        const uint32_t to = plan->next[n->first + i];

        if (to >= plan->n_tiles) {
            clip(b, to, weight, rows);
            continue;
        }
        for (unsigned k = 0; is_here(b, to) && k < dg_tile_op(plan, to)->n_in; k++) {
            const struct dg_op *op = dg_tile_op(plan, to);

            if (op->in[k] == weight) {
                const struct dg_box in = op->type->reads(op, k, plan->tiles[to].out);

                rows->r0 = in.r0 < rows->r0 ? in.r0 : rows->r0;
                rows->r1 = in.r1 > rows->r1 ? in.r1 : rows->r1;
            }
        }
    }
}

static struct dg_box box_here(const struct builder *b, uint32_t tile)
{
    struct dg_box box = b->from->tiles[tile].out, rows = {UINT32_MAX, 0, 0, 0};

    if (dg_tile_op(b->from, tile)->type->loads) {
        clip(b, tile, dg_tile_op(b->from, tile)->out, &rows);
        box.r0 = rows.r0 > box.r0 ? rows.r0 : box.r0;
        box.r1 = rows.r1 < box.r1 ? rows.r1 : box.r1;
    }
    return box;
}

static struct dg_op *add_op(struct builder *b, uint32_t from, uint32_t kind, struct dg_op op)
{
    struct dg_piece *piece = b->piece;
    struct dg_plan *plan = piece->plan;
    struct dg_op *added = dg_graph_op(piece->graph, op);
    const uint32_t i = (uint32_t)(added - piece->graph->ops);

    piece->origin[i] = 3 * from + kind;
    plan->op_first[i] = plan->n_tiles;
    return added;
}

static void add_tile(struct builder *b, struct dg_box out, uint32_t home)
{
    struct dg_plan *plan = b->piece->plan;

    plan->tiles[plan->n_tiles++] = (struct dg_tile){b->piece->graph->n_ops - 1, home, out};
}

/* The piece's own tiles of an op of the plan. */
static void add_own(struct builder *b, uint32_t index)
{
    const struct dg_plan *from = b->from;
    const struct dg_graph *g = from->graph;
    const uint32_t first = from->op_first[index], last = from->op_first[index + 1];
    const bool several = from->tiles[first].out.r0 != from->tiles[last - 1].out.r0;
    struct dg_op op = g->ops[index];
    uint32_t n = 0, i = 0, block = 0;

    for (uint32_t t = first; t < last; t++)
        n += is_here(b, t);
    if (n == 0)
        return;
    op.out = &b->piece->graph->tensors[dg_tensor_index(g, op.out)];
    for (unsigned k = 0; k < op.n_in; k++)
        op.in[k] = &b->piece->graph->tensors[dg_tensor_index(g, op.in[k])];
    add_op(b, index, 0, op);
    for (uint32_t t = first; t < last; t++) {
        block += t > first && from->tiles[t].out.r0 != from->tiles[t - 1].out.r0;
        if (!is_here(b, t))
            continue;
        b->node[t] = b->done[t] = b->piece->plan->n_tiles;
        add_tile(b, box_here(b, t), dg_home(i++, n, block, several, b->workers));
    }
}

static struct dg_op other_op(const struct builder *b, const struct dg_op *of, const char *name,
                             const struct dg_op_type *type)
{
    struct dg_op op = {.type = type, .layer = of->layer, .source = b->piece};

    snprintf(op.name, sizeof op.name, "%.*s.%s", 14, of->name, name);
    return op;
}

/* The messages of one tile; how many. */
static uint32_t add_messages(struct builder *b, uint32_t tile)
{
    struct dg_piece *piece = b->piece;
    const uint32_t first = piece->n_sends;

    if (!is_here(b, tile) || sender_of(b, tile) != piece->rank)
        return 0;
    for (uint32_t to = 0; to < piece->ranks; to++) {
        struct dg_message m = message_of(b, tile, piece->rank, to);

        if (!is_message(b, tile, to))
            continue;
        m.number = b->sent[to]++;
        m.tile = piece->plan->n_tiles;
        piece->sends[piece->n_sends++] = m;
    }
    return piece->n_sends - first;
}

static void add_sends(struct builder *b, uint32_t index)
{
    struct dg_piece *piece = b->piece;
    const struct dg_op *of = &b->from->graph->ops[index];
    bool begun = false;

    for (uint32_t t = b->from->op_first[index]; t < b->from->op_first[index + 1]; t++) {
        const uint32_t n = add_messages(b, t), i = piece->n_sends - n;

        if (n == 0)
            continue;
        if (!begun) {
            struct dg_op op = other_op(b, of, "send", &dg_op_send);

            op.in[op.n_in++] = &piece->graph->tensors[piece->sends[i].tensor];
            op.out = &piece->graph->tensors[b->from->graph->n_tensors];
            add_op(b, index, 1, op);
            begun = true;
        }
        b->done[t] = piece->plan->n_tiles;
        add_tile(b, (struct dg_box){i, i + n, 0, 1}, piece->plan->tiles[b->node[t]].home);
    }
}

static void add_receives(struct builder *b, uint32_t index)
{
    struct dg_piece *piece = b->piece;
    struct dg_op op = other_op(b, &b->from->graph->ops[index], "recv", &dg_op_receive);
    bool begun = false;

    for (uint32_t t = b->from->op_first[index]; t < b->from->op_first[index + 1]; t++) {
        struct dg_message m;

        if (!is_message(b, t, piece->rank))
            continue;
        m = message_of(b, t, sender_of(b, t), piece->rank);
        if (!begun) {
            op.out = &piece->graph->tensors[m.tensor];
            add_op(b, index, 2, op);
            begun = true;
        }
        m.number = b->received[m.from]++;
        m.tile = b->node[t] = b->done[t] = piece->plan->n_tiles;
        piece->receives[piece->n_receives++] = m;
        add_tile(b, m.box, 0);
    }
}

static bool add_edges(struct builder *b)
{
    const struct dg_plan *from = b->from;
    struct dg_piece *piece = b->piece;
    uint32_t n_joins = 0;
    bool ok = true;

    for (uint32_t n = from->n_tiles; n < from->n_nodes; n++)
        if (is_here(b, n))
            b->node[n] = b->done[n] = piece->plan->n_tiles + n_joins++;
    for (uint32_t n = 0; n < from->n_nodes; n++)
        for (uint32_t i = 0; ok && i < from->nodes[n].n_next; i++) {
            const uint32_t to = from->next[from->nodes[n].first + i];

            if (is_here(b, to))
                ok = dg_edges_add(&b->edges, b->done[n], b->node[to]);
        }
    for (uint32_t t = 0; ok && t < from->n_tiles; t++)
        ok = b->node[t] == b->done[t] || dg_edges_add(&b->edges, b->node[t], b->done[t]);
    return ok && dg_edges_end(&b->edges, piece->plan, piece->plan->n_tiles + n_joins) &&
           dg_edges_store(&b->edges, piece->plan, n_joins + 1);
}

/* Activations lie as in the plan that was cut, where they share memory. Where ranks do not wait for each other as its
 * tiles do, another rank's message might come before the last tile has read what lies there: then none shares. */
static void place_activations(const struct builder *b)
{
    const struct dg_plan *from = b->from;
    const struct dg_graph *g = from->graph;
    struct dg_plan *plan = b->piece->plan;

    memcpy(plan->offset, from->offset, g->n_tensors * sizeof *plan->offset);
    plan->arena_bytes = from->arena_bytes;
    if (b->placed->even)
        return;
    plan->arena_bytes = 0;
    for (unsigned i = 0; i < g->n_tensors; i++) {
        if (g->tensors[i].role != DG_ACTIVATION)
            continue;
        plan->offset[i] = plan->arena_bytes;
        plan->arena_bytes += dg_round_up(dg_tensor_bytes(&g->tensors[i]), 64);
    }
}

/* The graph's tensors, and the one that sends write. */
static bool copy_tensors(struct dg_graph *to, const struct dg_graph *from, uint32_t n_sends)
{
    struct dg_tensor sent = {.name = "sent", .role = DG_OUTPUT, .dtype = DG_F32, .cols = 1};

    for (unsigned i = 0; i < from->n_tensors; i++)
        dg_graph_tensor(to, from->tensors[i]);
    for (unsigned i = 0; i < from->n_inputs; i++)
        to->inputs[to->n_inputs++] = &to->tensors[dg_tensor_index(from, from->inputs[i])];
    for (unsigned i = 0; i < from->n_outputs; i++)
        to->outputs[to->n_outputs++] = &to->tensors[dg_tensor_index(from, from->outputs[i])];
    sent.rows = n_sends > 0 ? n_sends : 1;
    dg_graph_tensor(to, sent);
    return true;
}

static bool allocate(struct builder *b)
{
    struct dg_piece *piece = b->piece;
    const struct dg_plan *from = b->from;
    const struct dg_graph *g = from->graph;
    struct dg_arena *arena = piece->graph->arena;
    struct dg_plan *plan = piece->plan = dg_arena_alloc(arena, sizeof *plan);
    size_t sends = 0, receives = 0;

    count_messages(b, &sends, &receives);
    piece->sends = dg_arena_array(arena, sends, sizeof *piece->sends);
    piece->receives = dg_arena_array(arena, receives, sizeof *piece->receives);
    piece->origin = dg_arena_array(arena, 3 * (size_t)g->n_ops, sizeof *piece->origin);
    b->node = malloc(((size_t)from->n_nodes + 1) * sizeof *b->node);
    b->done = malloc(((size_t)from->n_nodes + 1) * sizeof *b->done);
    b->sent = calloc(piece->ranks, sizeof *b->sent);
    b->received = calloc(piece->ranks, sizeof *b->received);
    if (!plan || !piece->sends || !piece->receives || !piece->origin || !b->node || !b->sent ||
        !b->received || !b->done || sends + receives + from->n_tiles > UINT32_MAX / 4)
        return false;
    for (uint32_t n = 0; n < from->n_nodes; n++)
        b->node[n] = b->done[n] = NOT_HERE;
    *plan = (struct dg_plan){.graph = piece->graph,
                             .tiling = from->tiling,
                             .scratch_bytes = from->scratch_bytes,
                             .arena = arena};
    plan->tiling.workers = b->workers;
    plan->tiles = dg_arena_array(arena, from->n_tiles + sends + receives, sizeof *plan->tiles);
    plan->op_first = dg_arena_array(arena, 3 * (size_t)g->n_ops + 1, sizeof *plan->op_first);
    plan->offset = dg_arena_array(arena, g->n_tensors + (size_t)1, sizeof *plan->offset);
    if (!plan->tiles || !plan->op_first || !plan->offset)
        return false;
    place_activations(b);
    return copy_tensors(piece->graph, g, (uint32_t)sends);
}

static bool build(struct builder *b)
{
    if (!allocate(b))
        return false;
    for (uint32_t i = 0; i < b->from->graph->n_ops; i++) {
        add_own(b, i);
        add_sends(b, i);
        add_receives(b, i);
    }
    b->piece->plan->op_first[b->piece->graph->n_ops] = b->piece->plan->n_tiles;
    dg_graph_link(b->piece->graph);
    return add_edges(b);
}

enum dg_status dg_piece_new(struct dg_piece **out, const struct dg_plan *plan,
                            const struct dg_placed *placed, uint32_t rank, uint32_t workers,
                            struct dg_error *err)
{
    const struct dg_graph *g = plan->graph;
    struct builder b = {.from = plan, .placed = placed, .workers = workers};
    struct dg_graph *graph;
    enum dg_status st = dg_graph_new(&graph, 3 * g->n_ops, g->n_tensors + 1, err);

    if (st != DG_OK)
        return st;
    b.piece = dg_arena_alloc(graph->arena, sizeof *b.piece);
    if (b.piece)
        *b.piece = (struct dg_piece){.rank = rank, .ranks = placed->ranks, .graph = graph};
    if (!b.piece || !build(&b)) {
        st = dg_fail_memory(err, "a rank's piece of a plan", plan->n_tiles * sizeof *plan->tiles);
        dg_graph_free(graph);
    } else {
        *out = b.piece;
    }
    dg_edges_free(&b.edges);
    free(b.node);
    free(b.sent);
    free(b.received);
    free(b.done);
    return st;
}

void dg_piece_free(struct dg_piece *piece)
{
    if (piece)
        dg_graph_free(piece->graph); /* piece and plan lie in its memory */
}
