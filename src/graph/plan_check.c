/* Each part relies on those before it: once edges are known to lead upwards, one pass in plan order
 * finds all that is reached. What a tile reads is asked of its op type anew, and where activations
 * may share bytes is not taken from place.c, so that a mistake there, or in plan.c, is found here.
 *
 * Touches are sorted by groups of tensors that share bytes, so that only pairs which can meet are
 * compared. A touch is compared with the later ones until all its bytes have been written again:
 * what comes behind touches what one of these wrote, is compared with it, and so ordered with both.
 *
 * The transitive closure is a bit for each pair of tile and node: 12 MB for 10,000 tiles, but more
 * than 1 GB for the prompt of 1558M. So it is made for a strip of tiles at a time, up to the last
 * tile that one of them is compared with. Some layers behind a strip nothing is: time and memory
 * grow with the tiles, not with their pairs. */
#include "plan_check.h"
#include "../base/checked.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { STRIP = 512, STRIP_WORDS = STRIP / 64 };

static enum dg_status refuse_tile(const struct dg_plan *plan, uint32_t tile, const char *what,
                                  struct dg_error *err)
{
    const struct dg_box b = plan->tiles[tile].out;

    return dg_fail(err, DG_ERR_USAGE, "plan: tile %u (%s rows %u:%u columns %u:%u) %s", tile,
                   dg_tile_op(plan, tile)->name, b.r0, b.r1, b.c0, b.c1, what);
}

/* Each op has its tiles, whose boxes are inside the output. */
static enum dg_status check_tiles(const struct dg_plan *plan, struct dg_error *err)
{
    const struct dg_graph *g = plan->graph;

    if (plan->op_first[0] != 0 || plan->op_first[g->n_ops] != plan->n_tiles)
        return dg_fail(err, DG_ERR_USAGE, "plan: ops have tiles %u:%u, expected 0:%u",
                       plan->op_first[0], plan->op_first[g->n_ops], plan->n_tiles);
    for (uint32_t i = 0; i < g->n_ops; i++) {
        const struct dg_tensor *out = g->ops[i].out;

        for (uint32_t t = plan->op_first[i]; t < plan->op_first[i + 1]; t++) {
            const struct dg_box b = plan->tiles[t].out;

            if (b.r0 >= b.r1 || b.c0 >= b.c1 || b.r1 > out->rows || b.c1 > out->cols)
                return refuse_tile(plan, t, "is not a box of its output", err);
            if (plan->tiles[t].op != i || plan->tiles[t].home >= plan->tiling.workers)
                return refuse_tile(plan, t, "names another op, or a home that is no worker", err);
        }
    }
    return DG_OK;
}

/* Do the tiles of op i stand by their first rows? */
static bool is_by_rows(const struct dg_plan *plan, uint32_t i)
{
    for (uint32_t t = plan->op_first[i] + 1; t < plan->op_first[i + 1]; t++)
        if (plan->tiles[t].out.r0 < plan->tiles[t - 1].out.r0)
            return false;
    return true;
}

/* No two boxes of an op overlap, and their areas add up to the output's. */
static enum dg_status check_partition(const struct dg_plan *plan, struct dg_error *err)
{
    const struct dg_graph *g = plan->graph;

    for (uint32_t i = 0; i < g->n_ops; i++) {
        const struct dg_tensor *out = g->ops[i].out;
        const bool by_rows = is_by_rows(plan, i);
        const uint32_t last = plan->op_first[i + 1];
        uint64_t area = 0;

        for (uint32_t t = plan->op_first[i]; t < last; t++) {
            const struct dg_box b = plan->tiles[t].out;

            for (uint32_t u = t + 1; u < last && !(by_rows && plan->tiles[u].out.r0 >= b.r1); u++)
                if (dg_box_meets(b, plan->tiles[u].out))
                    return refuse_tile(plan, u, "overlaps another tile of its op", err);
            area += dg_box_area(plan->tiles[t].out);
        }
        if (area != (uint64_t)out->rows * out->cols)
            return dg_fail(err, DG_ERR_USAGE,
                           "plan: tiles of %s cover %" PRIu64 " elements, expected %" PRIu64,
                           g->ops[i].name, area, (uint64_t)out->rows * out->cols);
    }
    return DG_OK;
}

/* In-range successors; waits equal to in-degrees; edges upwards. A join's key is the highest tile
 * before it: each of its successors must be higher. */
static enum dg_status check_edges(const struct dg_plan *plan, uint32_t *in_degree,
                                  uint32_t *highest, struct dg_error *err)
{
    for (uint32_t n = 0; n < plan->n_nodes; n++) {
        const struct dg_node *node = &plan->nodes[n];

        if (node->first > plan->n_edges || node->n_next > plan->n_edges - node->first)
            return dg_fail(err, DG_ERR_USAGE, "plan: node %u: successors out of range", n);
        for (uint32_t i = 0; i < node->n_next; i++) {
            const uint32_t to = plan->next[node->first + i];

            if (to >= plan->n_nodes)
                return dg_fail(err, DG_ERR_USAGE, "plan: node %u: successor %u out of range", n,
                               to);
            in_degree[to]++;
            if (n < plan->n_tiles && to >= plan->n_tiles && n > highest[to - plan->n_tiles])
                highest[to - plan->n_tiles] = n;
            if (n < plan->n_tiles && to < plan->n_tiles && to <= n)
                return refuse_tile(plan, n, "has an edge to a tile that is not after it", err);
        }
    }
    for (uint32_t n = plan->n_tiles; n < plan->n_nodes; n++) {
        for (uint32_t i = 0; i < plan->nodes[n].n_next; i++) {
            const uint32_t to = plan->next[plan->nodes[n].first + i];

            if (to >= plan->n_tiles || to <= highest[n - plan->n_tiles])
                return dg_fail(err, DG_ERR_USAGE,
                               "plan: join %u leads to node %u, which is not after tile %u", n, to,
                               highest[n - plan->n_tiles]);
        }
    }
    for (uint32_t n = 0; n < plan->n_nodes; n++)
        if (plan->nodes[n].waits != in_degree[n])
            return dg_fail(err, DG_ERR_USAGE, "plan: node %u waits for %u, but %u edges lead to it",
                           n, plan->nodes[n].waits, in_degree[n]);
    return DG_OK;
}

/* With upward edges and matching counts every tile is reached: follow edges back from it and a tile
 * that waits for nothing is met. A join could still have none before it, and a tile could lead
 * nowhere. `end` cannot lead on: the last tile leads to it, and nothing is above that. */
static enum dg_status check_reach(const struct dg_plan *plan, struct dg_error *err)
{
    for (uint32_t n = 0; n < plan->n_nodes; n++) {
        if (n >= plan->n_tiles && plan->nodes[n].waits == 0)
            return dg_fail(err, DG_ERR_USAGE, "plan: join %u is never reached", n);
        if (n != dg_plan_end(plan) && plan->nodes[n].n_next == 0)
            return dg_fail(err, DG_ERR_USAGE, "plan: node %u does not lead to the end", n);
    }
    return DG_OK;
}

static enum dg_status check_places(const struct dg_plan *plan, struct dg_error *err)
{
    for (unsigned i = 0; i < plan->graph->n_tensors; i++) {
        const struct dg_tensor *t = &plan->graph->tensors[i];
        const uint64_t bytes = dg_tensor_bytes(t);

        if (t->role == DG_ACTIVATION && dg_graph_writer(plan->graph, t) &&
            (bytes > plan->arena_bytes || plan->offset[i] > plan->arena_bytes - bytes ||
             plan->offset[i] % 64 != 0))
            return dg_fail(err, DG_ERR_USAGE, "plan: tensor %s is misaligned or outside the arena",
                           t->name);
    }
    return DG_OK;
}

/* One tile's touch of one tensor. */
struct touch {
    uint32_t tile;
    uint32_t tensor;
    uint32_t group; /* tensors of different groups have no byte in common */
    uint32_t born;  /* the op that writes it; of a tensor that is read and has several, the first */
    bool writes;
    struct dg_box box;
    size_t next; /* touch of the tile, or n */
};

/* Bytes from begin on, before end; those of a group that are touched, or none. */
struct hull {
    uint64_t begin, end;
};

struct touches {
    struct touch *list; /* by group, then by tile */
    size_t n;
    size_t *first; /* [n_tiles] touch of a tile, or n */
    struct hull *
        tree; /* [2 * leaves] of touch i at leaves + i, and of nodes 2 * i and 2 * i + 1 at node i */
    struct hull *wrote; /* [2 * leaves] the same of those that write */
    size_t leaves;      /* a power of two */
};

/* Where element (row, col) of an activation lies in the arena, in bytes. */
static uint64_t place_of(const struct dg_plan *plan, uint32_t tensor, uint64_t row, uint64_t col)
{
    const struct dg_tensor *t = &plan->graph->tensors[tensor];

    /* of int8 a column is in no byte before its share of the row */
    return plan->offset[tensor] + row * dg_row_bytes(t) + col * dg_row_bytes(t) / t->cols;
}

/* Same tensor, or same place and shape: the same boxes are the same bytes. */
static bool same_place(const struct dg_plan *plan, uint32_t a, uint32_t b)
{
    const struct dg_tensor *ta = &plan->graph->tensors[a], *tb = &plan->graph->tensors[b];

    return a == b ||
           (ta->role == DG_ACTIVATION && tb->role == DG_ACTIVATION &&
            plan->offset[a] == plan->offset[b] && ta->cols == tb->cols && ta->dtype == tb->dtype);
}

/* From the first to the last byte. Of touches of a group that meet, these do. */
static struct hull hull_of(const struct dg_plan *plan, const struct touch *t)
{
    return (struct hull){place_of(plan, t->tensor, t->box.r0, t->box.c0),
                         place_of(plan, t->tensor, t->box.r1 - (uint64_t)1, t->box.c1)};
}

static bool hulls_meet(struct hull a, struct hull b)
{
    return a.begin < b.end && b.begin < a.end;
}

/* Do two touches meet in at least one byte? In the same place when the boxes do. Otherwise, in the arena, when the byte ranges from the first to the last element do, which
 * may see a meeting where there is none, but never misses one. */
static bool meet(const struct dg_plan *plan, const struct touch *a, const struct touch *b)
{
    const struct dg_tensor *ta = &plan->graph->tensors[a->tensor];
    const struct dg_tensor *tb = &plan->graph->tensors[b->tensor];

    if (same_place(plan, a->tensor, b->tensor))
        return dg_box_meets(a->box, b->box);
    if (ta->role != DG_ACTIVATION || tb->role != DG_ACTIVATION)
        return false;
    return hulls_meet(hull_of(plan, a), hull_of(plan, b));
}

/* The bytes of an activation in the arena. */
struct span {
    uint64_t begin, end;
    uint32_t tensor;
};

static int by_begin(const void *a, const void *b)
{
    const struct span *x = a, *y = b;

    return (x->begin > y->begin) - (x->begin < y->begin);
}

/* group[i] = a tensor that tensor i is linked to by common bytes, the same of all that are. */
static bool group_tensors(const struct dg_plan *plan, uint32_t *group)
{
    const struct dg_tensor *t = plan->graph->tensors;
    struct span *spans = calloc(plan->graph->n_tensors + 1, sizeof *spans);
    uint64_t end = 0;
    size_t n = 0;

    if (!spans)
        return false;
    for (uint32_t i = 0; i < plan->graph->n_tensors; i++) {
        group[i] = i;
        if (t[i].role == DG_ACTIVATION)
            spans[n++] =
                (struct span){plan->offset[i], plan->offset[i] + dg_tensor_bytes(&t[i]), i};
    }
    qsort(spans, n, sizeof *spans, by_begin);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && spans[i].begin < end)
            group[spans[i].tensor] = group[spans[i - 1].tensor];
        else
            end = 0;
        end = spans[i].end > end ? spans[i].end : end;
    }
    free(spans);
    return true;
}

static int by_group(const void *a, const void *b)
{
    const struct touch *x = a, *y = b;

    if (x->group != y->group)
        return x->group < y->group ? -1 : 1;
    return (x->tile > y->tile) - (x->tile < y->tile);
}

/* Hulls of what is behind each node, so that touches which cannot meet are passed over many at a time. */
static void fill_tree(struct hull *tree, size_t leaves)
{
    for (size_t i = leaves; i-- > 1;) {
        const struct hull a = tree[2 * i], b = tree[2 * i + 1];

        tree[i] =
            (struct hull){a.begin < b.begin ? a.begin : b.begin, a.end > b.end ? a.end : b.end};
    }
}

static bool make_trees(const struct dg_plan *plan, struct touches *ts)
{
    const struct hull none = {UINT64_MAX, 0};

    for (ts->leaves = 1; ts->leaves < ts->n;)
        ts->leaves *= 2;
    ts->tree = calloc(2 * ts->leaves, sizeof *ts->tree);
    ts->wrote = calloc(2 * ts->leaves, sizeof *ts->wrote);
    if (!ts->tree || !ts->wrote)
        return false;
    for (size_t i = 0; i < ts->leaves; i++) {
        const struct hull h = i < ts->n ? hull_of(plan, &ts->list[i]) : none;

        ts->tree[ts->leaves + i] = h;
        ts->wrote[ts->leaves + i] = i < ts->n && ts->list[i].writes ? h : none;
    }
    fill_tree(ts->tree, ts->leaves);
    fill_tree(ts->wrote, ts->leaves);
    return true;
}

/* The first touch from k on that may meet the hull, and writes if `writes`; n: none does. */
static size_t next_touch(const struct touches *ts, size_t k, struct hull hull, bool writes)
{
    const struct hull *tree = writes ? ts->wrote : ts->tree;
    size_t node = ts->leaves + k;

    if (k >= ts->n)
        return ts->n;
    for (;;) {
        if (hulls_meet(tree[node], hull)) {
            if (node >= ts->leaves)
                return node - ts->leaves;
            node *= 2;
            continue;
        }
        while (node & 1)
            node /= 2;
        if (node == 0)
            return ts->n;
        node++;
    }
}

/* All touches of tensors that an op of this plan writes. */
static bool collect_touches(const struct dg_plan *plan, struct touches *ts)
{
    const struct dg_graph *g = plan->graph;
    uint32_t *group = calloc(g->n_tensors + 1, sizeof *group);

    ts->list = calloc((size_t)plan->n_tiles * (DG_MAX_IN + 1) + 1, sizeof *ts->list);
    ts->first = calloc((size_t)plan->n_tiles + 1, sizeof *ts->first);
    if (!ts->list || !ts->first || !group || !group_tensors(plan, group)) {
        free(group);
        return false;
    }
    for (uint32_t o = 0; o < g->n_ops; o++) {
        const struct dg_op *op = &g->ops[o];

        const uint32_t out = dg_tensor_index(g, op->out);

        for (uint32_t t = plan->op_first[o]; t < plan->op_first[o + 1]; t++)
            ts->list[ts->n++] = (struct touch){t, out, group[out], o, true, plan->tiles[t].out, 0};
        for (unsigned k = 0; k < op->n_in; k++) {
            const uint32_t i = dg_tensor_index(g, op->in[k]);
            const struct dg_op *writer = dg_graph_writer(g, op->in[k]);

            if (!writer)
                continue;
            for (uint32_t t = plan->op_first[o]; t < plan->op_first[o + 1]; t++)
                ts->list[ts->n++] =
                    (struct touch){t,        i,
                                   group[i], (uint32_t)(writer - g->ops),
                                   false,    op->type->reads(op, k, plan->tiles[t].out),
                                   0};
        }
    }
    free(group);
    qsort(ts->list, ts->n, sizeof *ts->list, by_group);
    for (uint32_t t = 0; t < plan->n_tiles; t++)
        ts->first[t] = ts->n;
    for (size_t i = ts->n; i-- > 0;) {
        ts->list[i].next = ts->first[ts->list[i].tile];
        ts->first[ts->list[i].tile] = i;
    }
    return make_trees(plan, ts);
}

/* Which tiles of a strip lead to which nodes. */
struct closure {
    const struct dg_plan *plan;
    const uint32_t
        *highest;         /* [n_joins] the last tile before a join, which is passed on behind it */
    uint64_t *reach;      /* [n_nodes][STRIP_WORDS] bit s: tile first + s leads to the node */
    uint32_t *strip_of;   /* [n_nodes] what reach has is of this strip; of another: no bit */
    uint32_t strip;       /* from 1 */
    uint32_t first, done; /* tiles first ... done - 1 have been passed on */
};

static uint64_t *reach_of(struct closure *c, uint32_t node)
{
    uint64_t *row = c->reach + (size_t)node * STRIP_WORDS;

    if (c->strip_of[node] != c->strip)
        memset(row, 0, STRIP_WORDS * sizeof *row);
    c->strip_of[node] = c->strip;
    return row;
}

static void pass_on(struct closure *c, uint32_t node, uint32_t to)
{
    const uint64_t *from = c->reach + (size_t)node * STRIP_WORDS;
    uint64_t *into;

    if (c->strip_of[node] != c->strip)
        return; /* no tile of the strip leads here */
    into = reach_of(c, to);
    for (size_t w = 0; w < STRIP_WORDS; w++)
        into[w] |= from[w];
}

/* Afterwards the reach of tile `end` is known, and of those before it. */
static void close_up_to(struct closure *c, uint32_t end)
{
    const struct dg_plan *plan = c->plan;

    for (; c->done < end; c->done++) {
        const uint32_t t = c->done;

        if (t - c->first < STRIP)
            reach_of(c, t)[(t - c->first) / 64] |= (uint64_t)1 << (t - c->first) % 64;
        for (uint32_t i = 0; i < plan->nodes[t].n_next; i++) {
            const uint32_t to = plan->next[plan->nodes[t].first + i];

            pass_on(c, t, to);
            if (to < plan->n_tiles || c->highest[to - plan->n_tiles] != t)
                continue;
            for (uint32_t k = 0; k < plan->nodes[to].n_next; k++)
                pass_on(c, to, plan->next[plan->nodes[to].first + k]);
        }
    }
}

static bool leads_to(struct closure *c, uint32_t tile, uint32_t to)
{
    const uint32_t bit = tile - c->first;

    close_up_to(c, to);
    return reach_of(c, to)[bit / 64] >> bit % 64 & 1;
}

/* What is left of a box when others are taken from it. */
struct rest {
    struct dg_box box[16];
    unsigned n;
};

/* Where that would be too many boxes, one stays as it is. */
static void take_from(struct rest *rest, struct dg_box b)
{
    for (unsigned i = rest->n; i-- > 0;) {
        const struct dg_box x = rest->box[i];
        const uint32_t r0 = x.r0 > b.r0 ? x.r0 : b.r0, r1 = x.r1 < b.r1 ? x.r1 : b.r1;
        const struct dg_box pieces[] = {{x.r0, r0, x.c0, x.c1},
                                        {r1, x.r1, x.c0, x.c1},
                                        {r0, r1, x.c0, b.c0},
                                        {r0, r1, b.c1, x.c1}};

        if (!dg_box_meets(x, b) || rest->n + 3 > sizeof rest->box / sizeof *rest->box)
            continue;
        rest->box[i] = rest->box[--rest->n];
        for (unsigned k = 0; k < 4; k++)
            if (pieces[k].r0 < pieces[k].r1 && pieces[k].c0 < pieces[k].c1)
                rest->box[rest->n++] = pieces[k];
    }
}

/* Of two touches that meet, a's tile not after b's: is what b reads gone by then? That is so when a
 * writes another tensor there, and b's was written before; and within a tile, which may read after it
 * has written. */
static bool spoils(const struct touch *a, const struct touch *b)
{
    return a->tile == b->tile ||
           (a->writes && !b->writes && a->tensor != b->tensor && a->born > b->born);
}

/* Of touch b behind a, which meets it. */
static enum dg_status check_pair(struct closure *c, const struct touch *a, const struct touch *b,
                                 struct dg_error *err)
{
    const struct dg_plan *plan = c->plan;

    if (spoils(a, b)) {
        const struct touch *w = a->writes ? a : b, *r = a->writes ? b : a;

        return dg_fail(err, DG_ERR_USAGE,
                       "plan: tile %u (%s) writes over %s, which tile %u (%s) still reads", w->tile,
                       dg_tile_op(plan, w->tile)->name, plan->graph->tensors[r->tensor].name,
                       r->tile, dg_tile_op(plan, r->tile)->name);
    }
    if (!leads_to(c, a->tile, b->tile)) {
        const struct dg_box box = plan->tiles[b->tile].out;

        return dg_fail(err, DG_ERR_USAGE,
                       "plan: tiles %u (%s) and %u (%s rows %u:%u columns %u:%u) touch the "
                       "same bytes of %s and are not ordered",
                       a->tile, dg_tile_op(plan, a->tile)->name, b->tile,
                       dg_tile_op(plan, b->tile)->name, box.r0, box.r1, box.c0, box.c1,
                       plan->graph->tensors[b->tensor].name);
    }
    return DG_OK;
}

/* Compares touch i with the later ones of its group, until all that it touches has been written again. */
static enum dg_status check_touch(struct closure *c, const struct touches *ts, size_t i,
                                  uint64_t *pairs, struct dg_error *err)
{
    const struct touch *a = &ts->list[i];
    const struct hull hull = hull_of(c->plan, a);
    struct rest rest = {{a->box}, 1};

    for (size_t k = i; rest.n > 0;) {
        const struct touch *b;
        enum dg_status st;

        k = next_touch(ts, k + 1, hull, !a->writes);
        if (k == ts->n || ts->list[k].group != a->group)
            break;
        b = &ts->list[k];
        if (!meet(c->plan, a, b))
            continue;
        st = check_pair(c, a, b, err);
        if (st != DG_OK)
            return st;
        ++*pairs;
        if (b->writes && same_place(c->plan, a->tensor, b->tensor))
            take_from(&rest, b->box);
    }
    return DG_OK;
}

static enum dg_status check_strip(struct closure *c, const struct touches *ts, uint64_t *pairs,
                                  struct dg_error *err)
{
    const uint32_t n = c->plan->n_tiles;
    enum dg_status st = DG_OK;

    for (uint32_t t = c->first; t < n && t - c->first < STRIP; t++)
        for (size_t i = ts->first[t]; st == DG_OK && i < ts->n; i = ts->list[i].next)
            st = check_touch(c, ts, i, pairs, err);
    return st;
}

static enum dg_status check_pairs(const struct dg_plan *plan, const uint32_t *highest,
                                  uint64_t *pairs, struct dg_error *err)
{
    struct closure c = {.plan = plan, .highest = highest};
    struct touches ts = {0};
    enum dg_status st = DG_OK;

    c.reach = calloc((size_t)plan->n_nodes * STRIP_WORDS, sizeof *c.reach);
    c.strip_of = calloc(plan->n_nodes, sizeof *c.strip_of);
    if (!c.reach || !c.strip_of || !collect_touches(plan, &ts))
        st = dg_fail_memory(err, "the plan checker", (size_t)plan->n_nodes * STRIP / 8);
    while (st == DG_OK && c.first < plan->n_tiles) {
        c.strip++;
        c.done = c.first;
        st = check_strip(&c, &ts, pairs, err);
        c.first += plan->n_tiles - c.first < STRIP ? plan->n_tiles - c.first : STRIP;
    }
    free(c.reach);
    free(c.strip_of);
    free(ts.list);
    free(ts.first);
    free(ts.tree);
    free(ts.wrote);
    return st;
}

enum dg_status dg_plan_check_order(const struct dg_plan *plan, struct dg_plan_proof *proof,
                                   struct dg_error *err)
{
    uint32_t *counts = calloc((size_t)plan->n_nodes + plan->n_joins, sizeof *counts);
    enum dg_status st;

    if (!counts)
        return dg_fail_memory(err, "the plan checker", plan->n_nodes * sizeof *counts);
    *proof = (struct dg_plan_proof){plan->n_tiles, plan->n_joins, plan->n_edges, 0};
    st = check_tiles(plan, err);
    if (st == DG_OK)
        st = check_edges(plan, counts, counts + plan->n_nodes, err);
    if (st == DG_OK)
        st = check_reach(plan, err);
    if (st == DG_OK)
        st = check_places(plan, err);
    if (st == DG_OK)
        st = check_pairs(plan, counts + plan->n_nodes, &proof->pairs, err);
    free(counts);
    return st;
}

enum dg_status dg_plan_check(const struct dg_plan *plan, struct dg_plan_proof *proof,
                             struct dg_error *err)
{
    enum dg_status st = check_tiles(plan, err); /* which the next relies on */

    if (st == DG_OK)
        st = check_partition(plan, err);
    return st == DG_OK ? dg_plan_check_order(plan, proof, err) : st;
}
