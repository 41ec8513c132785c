/* Each part relies on those before it: once edges are known to lead upwards, one pass in plan order
 * finds all that is reached. What a tile reads is asked of its op type anew, and where activations
 * may share bytes is not taken from place.c, so that a mistake there, or in plan.c, is found here.
 *
 * The transitive closure is a bit for each pair of tile and node: 12 MB for 10,000 tiles, but more
 * than 1 GB for the prompt of 1558M. So it is made for a strip of tiles at a time, and each strip's
 * pairs are compared before the next. Touches are sorted by groups of tensors that share bytes, so
 * that only pairs which can meet are compared. */
#include "plan_check.h"
#include "../base/checked.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { STRIP = 4096, STRIP_WORDS = STRIP / 64 };

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

/* No two boxes of an op overlap, and their areas add up to the output's. */
static enum dg_status check_partition(const struct dg_plan *plan, struct dg_error *err)
{
    const struct dg_graph *g = plan->graph;

    for (uint32_t i = 0; i < g->n_ops; i++) {
        const struct dg_tensor *out = g->ops[i].out;
        uint64_t area = 0;

        for (uint32_t t = plan->op_first[i]; t < plan->op_first[i + 1]; t++) {
            for (uint32_t u = plan->op_first[i]; u < t; u++)
                if (dg_box_meets(plan->tiles[t].out, plan->tiles[u].out))
                    return refuse_tile(plan, t, "overlaps another tile of its op", err);
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
    uint32_t born;  /* the op that writes the tensor, of several the first */
    bool writes;
    struct dg_box box;
};

struct touches {
    struct touch *list; /* by group, then by tile */
    size_t n;
};

/* Where element (row, col) of an activation lies in the arena, in bytes. */
static uint64_t place_of(const struct dg_plan *plan, uint32_t tensor, uint64_t row, uint64_t col)
{
    const struct dg_tensor *t = &plan->graph->tensors[tensor];

    /* of int8 a column is in no byte before its share of the row */
    return plan->offset[tensor] + row * dg_row_bytes(t) + col * dg_row_bytes(t) / t->cols;
}

/* Do two touches meet in at least one byte? Same tensor, or same place and shape: when the boxes
 * do. Otherwise, in the arena, when the byte ranges from the first to the last element do, which
 * may see a meeting where there is none, but never misses one. */
static bool meet(const struct dg_plan *plan, const struct touch *a, const struct touch *b)
{
    const struct dg_tensor *ta = &plan->graph->tensors[a->tensor];
    const struct dg_tensor *tb = &plan->graph->tensors[b->tensor];

    if (a->tensor == b->tensor)
        return dg_box_meets(a->box, b->box);
    if (ta->role != DG_ACTIVATION || tb->role != DG_ACTIVATION)
        return false;
    if (plan->offset[a->tensor] == plan->offset[b->tensor] && ta->cols == tb->cols &&
        ta->dtype == tb->dtype)
        return dg_box_meets(a->box, b->box);
    return place_of(plan, a->tensor, a->box.r0, a->box.c0) <
               place_of(plan, b->tensor, b->box.r1 - 1, b->box.c1) &&
           place_of(plan, b->tensor, b->box.r0, b->box.c0) <
               place_of(plan, a->tensor, a->box.r1 - 1, a->box.c1);
}

/* group[i] = the lowest tensor that tensor i is linked to by common bytes. */
static void group_tensors(const struct dg_plan *plan, uint32_t *group)
{
    const struct dg_tensor *t = plan->graph->tensors;
    const uint32_t n = plan->graph->n_tensors;

    for (uint32_t i = 0; i < n; i++) {
        const uint64_t i0 = plan->offset[i], i1 = i0 + dg_tensor_bytes(&t[i]);

        group[i] = i;
        for (uint32_t k = 0; k < i && t[i].role == DG_ACTIVATION; k++) {
            const uint64_t k0 = plan->offset[k], k1 = k0 + dg_tensor_bytes(&t[k]);
            const uint32_t low = group[k] < group[i] ? group[k] : group[i];
            const uint32_t high = group[k] ^ group[i] ^ low;

            if (t[k].role != DG_ACTIVATION || low == high || i0 >= k1 || k0 >= i1)
                continue;
            for (uint32_t j = 0; j <= i; j++)
                if (group[j] == high)
                    group[j] = low;
        }
    }
}

static int by_group(const void *a, const void *b)
{
    const struct touch *x = a, *y = b;

    if (x->group != y->group)
        return x->group < y->group ? -1 : 1;
    return (x->tile > y->tile) - (x->tile < y->tile);
}

/* All touches of tensors that an op of this plan writes. */
static bool collect_touches(const struct dg_plan *plan, struct touches *ts)
{
    const struct dg_graph *g = plan->graph;
    uint32_t *group = calloc(g->n_tensors + 1, sizeof *group);

    ts->list = calloc((size_t)plan->n_tiles * (DG_MAX_IN + 1) + 1, sizeof *ts->list);
    if (!ts->list || !group) {
        free(group);
        return false;
    }
    group_tensors(plan, group);
    for (uint32_t o = 0; o < g->n_ops; o++) {
        const struct dg_op *op = &g->ops[o];

        const uint32_t out = dg_tensor_index(g, op->out);
        const uint32_t born = (uint32_t)(dg_graph_writer(g, op->out) - g->ops);

        for (uint32_t t = plan->op_first[o]; t < plan->op_first[o + 1]; t++)
            ts->list[ts->n++] = (struct touch){t, out, group[out], born, true, plan->tiles[t].out};
        for (unsigned k = 0; k < op->n_in; k++) {
            const uint32_t i = dg_tensor_index(g, op->in[k]);
            const struct dg_op *writer = dg_graph_writer(g, op->in[k]);

            if (!writer)
                continue;
            for (uint32_t t = plan->op_first[o]; t < plan->op_first[o + 1]; t++)
                ts->list[ts->n++] =
                    (struct touch){t,        i,
                                   group[i], (uint32_t)(writer - g->ops),
                                   false,    op->type->reads(op, k, plan->tiles[t].out)};
        }
    }
    free(group);
    qsort(ts->list, ts->n, sizeof *ts->list, by_group);
    return true;
}

/* reach[n] has bit s set when tile strip + s leads to node n. Tiles are visited in order; a join is
 * passed on once the last tile before it was. */
static void close_strip(const struct dg_plan *plan, uint32_t strip, uint64_t *reach, uint32_t *left)
{
    memset(reach, 0, (size_t)plan->n_nodes * STRIP_WORDS * sizeof *reach);
    for (uint32_t n = 0; n < plan->n_nodes; n++)
        left[n] = plan->nodes[n].waits;
    for (uint32_t t = strip; t-- > 0;) /* tiles before the strip only count down the joins */
        for (uint32_t i = 0; i < plan->nodes[t].n_next; i++)
            left[plan->next[plan->nodes[t].first + i]]--;
    for (uint32_t t = strip; t < plan->n_tiles; t++) {
        uint64_t *from = reach + (size_t)t * STRIP_WORDS;
        const bool own = t - strip < STRIP;

        if (own)
            from[(t - strip) / 64] |= (uint64_t)1 << (t - strip) % 64;
        for (uint32_t i = 0; i < plan->nodes[t].n_next; i++) {
            const uint32_t to = plan->next[plan->nodes[t].first + i];
            uint64_t *into = reach + (size_t)to * STRIP_WORDS;

            for (size_t w = 0; w < STRIP_WORDS; w++)
                into[w] |= from[w];
            if (--left[to] > 0 || to < plan->n_tiles)
                continue;
            for (uint32_t k = 0; k < plan->nodes[to].n_next; k++) {
                uint64_t *past =
                    reach + (size_t)plan->next[plan->nodes[to].first + k] * STRIP_WORDS;

                for (size_t w = 0; w < STRIP_WORDS; w++)
                    past[w] |= into[w];
            }
        }
    }
}

/* Of two touches that meet, a's tile not after b's: is what b reads gone by then? That is so when a
 * writes another tensor there that is younger than b's; and within a tile, which may read after it
 * has written. */
static bool spoils(const struct touch *a, const struct touch *b)
{
    return a->tile == b->tile || (a->writes && !b->writes && a->born > b->born);
}

/* Compares every touch by a tile of the strip with every later tile's touch in its group. */
static enum dg_status check_strip(const struct dg_plan *plan, const struct touches *ts,
                                  uint32_t strip, const uint64_t *reach, uint64_t *pairs,
                                  struct dg_error *err)
{
    for (size_t i = 0; i < ts->n; i++) {
        const struct touch *a = &ts->list[i];

        if (a->tile < strip || a->tile - strip >= STRIP)
            continue;
        for (size_t k = i + 1; k < ts->n && ts->list[k].group == a->group; k++) {
            const struct touch *b = &ts->list[k];
            const uint32_t bit = a->tile - strip;

            if (!(a->writes || b->writes) || !meet(plan, a, b))
                continue;
            if (spoils(a, b)) {
                const struct touch *w = a->writes ? a : b, *r = a->writes ? b : a;

                return dg_fail(err, DG_ERR_USAGE,
                               "plan: tile %u (%s) writes over %s, which tile %u (%s) still reads",
                               w->tile, dg_tile_op(plan, w->tile)->name,
                               plan->graph->tensors[r->tensor].name, r->tile,
                               dg_tile_op(plan, r->tile)->name);
            }
            if (!(reach[(size_t)b->tile * STRIP_WORDS + bit / 64] >> bit % 64 & 1)) {
                const struct dg_box box = plan->tiles[b->tile].out;

                return dg_fail(err, DG_ERR_USAGE,
                               "plan: tiles %u (%s) and %u (%s rows %u:%u columns %u:%u) touch the "
                               "same bytes of %s and are not ordered",
                               a->tile, dg_tile_op(plan, a->tile)->name, b->tile,
                               dg_tile_op(plan, b->tile)->name, box.r0, box.r1, box.c0, box.c1,
                               plan->graph->tensors[b->tensor].name);
            }
            ++*pairs;
        }
    }
    return DG_OK;
}

static enum dg_status check_pairs(const struct dg_plan *plan, uint64_t *pairs, uint32_t *left,
                                  struct dg_error *err)
{
    uint64_t *reach = calloc((size_t)plan->n_nodes * STRIP_WORDS, sizeof *reach);
    struct touches ts = {0};
    enum dg_status st = DG_OK;

    if (!reach || !collect_touches(plan, &ts))
        st = dg_fail_memory(err, "the plan checker", (size_t)plan->n_nodes * STRIP / 8);
    for (uint32_t strip = 0; st == DG_OK && strip < plan->n_tiles; strip += STRIP) {
        close_strip(plan, strip, reach, left);
        st = check_strip(plan, &ts, strip, reach, pairs, err);
    }
    free(reach);
    free(ts.list);
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
        st = check_pairs(plan, &proof->pairs, counts, err);
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
