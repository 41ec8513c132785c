/* Where activations lie: two tensors may share bytes when the one is dead before the other is born.
 *
 * Without barriers "before" is not a moment: while one row block is in layer 5, another may still
 * read layer 2. What holds is an order per row, so only tensors of one shape share, at the same
 * offset: row r of the new one lies on row r of the old one, and it is enough that every tile that
 * writes row r of the new comes after every tile that touches row r of the old.
 *
 * That is decided between ops, once for all rows, from the boxes that their tiles read. For an op X
 *
 *     jointly(X) = ops Y: every tile of Y with row r comes before some tile of X with row r
 *     alone(X)   = ops Y: every tile of Y with row r comes before every tile of X with row r
 *
 * and for an input of X that P writes, where each tile of X reads at least its own rows of it:
 *
 *     alone(X)   includes alone(P)
 *     jointly(X) includes jointly(P) and P     if X's tiles of one row read, together, all columns
 *     alone(X)   includes jointly(P) and P     if each of X's tiles reads all columns
 *
 * (Attention tiles read the columns of one head: together all, alone not. The projection behind
 * them reads all.) X may write over a tensor when its writer and all its readers are in alone(X),
 * and no reader reads other rows of it than it writes: row 1 of a causal reader may still want row
 * 0 when X's row 0 is written.
 *
 * Of the ops before it an op knows the last few hundred, some layers of them; what touches an older one is
 * taken as not done with it. So work and memory grow with the graph, not with its square, and a tensor that
 * is not overwritten within those layers keeps its place.
 *
 * Rejected: asking the tiles themselves. It finds the same places, but the ancestors of 10,000
 * tiles are 12 MB of bits, and 1558M's prompt has ten times as many. The plan checker does ask the
 * tiles, in strips, and so proves this shortcut on every plan that the tests make. */
#include "plan.h"
#include "../base/arena.h"
#include "../base/checked.h"

#include <stdlib.h>

enum { WORDS = 8 };

/* A set of ops before op x: bit y % 64 of word[x / 64 - y / 64] is op y. Older ones are in no set. */
struct set {
    uint64_t word[WORDS];
};

struct order {
    struct set *jointly, *alone; /* [n_ops] */
    bool *astray; /* [n_tensors] is read by a tile that writes other rows than it reads */
};

/* Adds op p's set to op x's. */
static void include(struct set *into, uint32_t x, const struct set *set, uint32_t p)
{
    const uint32_t apart = x / 64 - p / 64;

    for (uint32_t i = apart; i < WORDS; i++)
        into->word[i] |= set->word[i - apart];
}

static void include_one(struct set *into, uint32_t x, uint32_t op)
{
    const uint32_t apart = x / 64 - op / 64;

    if (apart < WORDS)
        into->word[apart] |= (uint64_t)1 << op % 64;
}

static bool has(const struct set *set, uint32_t x, uint32_t op)
{
    const uint32_t apart = x / 64 - op / 64;

    return op < x && apart < WORDS && (set->word[apart] >> op % 64 & 1);
}

/* How the tiles of an op read one input. */
struct reading {
    bool own_rows; /* each tile reads at least the rows that it writes */
    bool astray;   /* some tile reads other rows, too */
    bool jointly;  /* the tiles of one row block read all columns together */
    bool alone;    /* each tile reads all columns */
};

static struct reading reading_of(const struct dg_plan *plan, uint32_t op_index, unsigned i)
{
    const struct dg_op *op = &plan->graph->ops[op_index];
    const uint32_t cols = op->in[i]->cols;
    struct reading r = {true, false, true, true};
    uint32_t covered = 0; /* columns 0 ... covered - 1 are read by this row block's tiles so far */

    for (uint32_t t = plan->op_first[op_index]; t < plan->op_first[op_index + 1]; t++) {
        const struct dg_box out = plan->tiles[t].out, in = op->type->reads(op, i, out);

        if (out.c0 == 0)
            covered = 0;
        if (in.c0 <= covered && in.c1 > covered)
            covered = in.c1;
        if (in.r0 > out.r0 || in.r1 < out.r1)
            r.own_rows = false;
        if (in.r0 < out.r0 || in.r1 > out.r1)
            r.astray = true;
        if (in.c0 > 0 || in.c1 < cols)
            r.alone = false;
        if (out.c1 == op->out->cols && covered < cols)
            r.jointly = false;
    }
    return r;
}

static void order_op(const struct dg_plan *plan, struct order *o, uint32_t x)
{
    const struct dg_graph *g = plan->graph;
    struct set *jointly = &o->jointly[x], *alone = &o->alone[x];

    for (unsigned i = 0; i < g->ops[x].n_in; i++) {
        const struct dg_op *writer = dg_graph_writer(g, g->ops[x].in[i]);
        const uint32_t p = writer ? (uint32_t)(writer - g->ops) : 0;
        struct reading r;

        if (!writer)
            continue;
        r = reading_of(plan, x, i);
        if (r.astray)
            o->astray[dg_tensor_index(g, g->ops[x].in[i])] = true;
        if (!r.own_rows)
            continue;
        include(alone, x, &o->alone[p], p);
        if (r.jointly) {
            include(jointly, x, &o->jointly[p], p);
            include_one(jointly, x, p);
        }
        if (r.alone) {
            include(alone, x, &o->jointly[p], p);
            include_one(alone, x, p);
        }
    }
}

/* Is everyone who touches tensor t in alone(x)? Never so for a result: an op whose output nobody reads
 * comes before no other. */
static bool dead_before(const struct dg_graph *g, uint32_t t, const struct set *alone, uint32_t x)
{
    for (uint32_t i = g->first[t]; i < g->first[t + 1]; i++)
        if (!has(alone, x, g->reader[i]))
            return false;
    return has(alone, x, g->writer[t]);
}

/* A place in the arena and the last tensor that lies there. */
struct slot {
    const struct dg_tensor *last;
    uint64_t offset;
};

static uint64_t take_slot(const struct dg_plan *plan, const struct order *o, struct slot *slots,
                          unsigned *n_slots, uint32_t x, uint64_t *end)
{
    const struct dg_graph *g = plan->graph;
    const struct dg_tensor *t = g->ops[x].out;

    for (unsigned i = 0; i < *n_slots; i++) {
        const struct dg_tensor *last = slots[i].last;
        const uint32_t index = dg_tensor_index(g, last);

        if (last->rows == t->rows && last->cols == t->cols && last->layout == t->layout &&
            last->dtype == t->dtype && !o->astray[index] &&
            dead_before(g, index, &o->alone[x], x)) {
            slots[i].last = t;
            return slots[i].offset;
        }
    }
    slots[*n_slots] = (struct slot){t, *end};
    *end += dg_round_up(dg_tensor_bytes(t), 64);
    return slots[(*n_slots)++].offset;
}

bool dg_plan_place(struct dg_plan *plan)
{
    const struct dg_graph *g = plan->graph;
    struct order o;
    struct slot *slots = calloc(g->n_tensors + 1, sizeof *slots);
    unsigned n_slots = 0;
    bool ok = false;

    o.jointly = calloc((size_t)g->n_ops + 1, sizeof *o.jointly);
    o.alone = calloc((size_t)g->n_ops + 1, sizeof *o.alone);
    o.astray = calloc(g->n_tensors + 1, sizeof *o.astray);
    plan->offset = dg_arena_array(plan->arena, g->n_tensors, sizeof *plan->offset);
    if (!slots || !o.astray || !o.jointly || !o.alone || !plan->offset)
        goto out;
    for (uint32_t x = 0; x < g->n_ops; x++) {
        const struct dg_tensor *t = g->ops[x].out;

        order_op(plan, &o, x);
        if (t->role == DG_ACTIVATION)
            plan->offset[dg_tensor_index(g, t)] =
                take_slot(plan, &o, slots, &n_slots, x, &plan->arena_bytes);
    }
    ok = true;
out:
    free(slots);
    free(o.jointly);
    free(o.alone);
    free(o.astray);
    return ok;
}
