/* The plans of a trace file, and the checks that make them safe to walk: indices are in range, and an edge
 * leads from a lower tile to a higher one, also through a join, so that every walk ends. */
#include "trace_file.h"
#include "trace_read.h"

#include <stdlib.h>
#include <string.h>

/* Names that are cut could be one name. */
static void read_name(struct trace_reader *r, char *name, size_t size, const char *expected)
{
    if (dg_json_string(&r->j, name, size) && r->j.length >= size)
        dg_json_fail(&r->j, expected);
}

/* Version 1 has the type in "op", and no "loads". */
static void read_op(struct trace_reader *r, struct trace_op *op)
{
    char key[16];
    double layer;

    if (!dg_json_object(&r->j))
        return;
    op->layer = -1;
    while (dg_json_key(&r->j, key, sizeof key)) {
        if (!strcmp(key, "name"))
            read_name(r, op->name, sizeof op->name, "an op's name of at most 63 bytes");
        else if (!strcmp(key, r->version == 1 ? "op" : "type"))
            read_name(r, op->type, sizeof op->type, "an op's type of at most 31 bytes");
        else if (!strcmp(key, "loads") && dg_json_true(&r->j))
            op->loads = true;
        else if (!strcmp(key, "layer") && trace_read_count(r, -1, 1 << 24, &layer))
            op->layer = (int)layer;
        else if (!strcmp(key, "rows"))
            trace_read_u32(r, INT32_MAX, &op->rows);
        else if (!strcmp(key, "cols"))
            trace_read_u32(r, INT32_MAX, &op->cols);
        else
            dg_json_skip(&r->j);
    }
    if (r->version == 1)
        op->loads = !strcmp(op->type, "load");
}

static void read_ops(struct trace_reader *r, struct trace_plan *p)
{
    size_t room = p->n_ops;

    if (!dg_json_array(&r->j))
        return;
    while (dg_json_item(&r->j) && trace_grow(r, &p->ops, p->n_ops, &room, sizeof *p->ops))
        read_op(r, &p->ops[p->n_ops++]);
}

static void read_tiles(struct trace_reader *r, struct trace_plan *p)
{
    size_t room = p->n_tiles;

    if (!dg_json_array(&r->j))
        return;
    while (dg_json_item(&r->j) && trace_grow(r, &p->tiles, p->n_tiles, &room, sizeof *p->tiles)) {
        struct trace_tile *t = &p->tiles[p->n_tiles++];
        uint32_t *const to[] = {&t->op, &t->box.r0, &t->box.r1, &t->box.c0, &t->box.c1, &t->home};
        size_t n = 0;

        if (!dg_json_array(&r->j))
            return;
        while (dg_json_item(&r->j))
            if (n == 6 || !trace_read_u32(r, INT32_MAX, to[n++]))
                dg_json_fail(&r->j, "six numbers for a tile");
        if (n != 6)
            dg_json_fail(&r->j, "six numbers for a tile");
    }
}

static void read_next(struct trace_reader *r, struct trace_plan *p)
{
    size_t node_room = 0, edge_room = 0, edges = 0;

    if (!dg_json_array(&r->j))
        return;
    free(p->first);
    free(p->next);
    p->first = p->next = NULL;
    p->n_nodes = 0;
    while (dg_json_item(&r->j) &&
           trace_grow(r, &p->first, p->n_nodes + 1, &node_room, sizeof *p->first)) {
        if (dg_json_array(&r->j))
            while (dg_json_item(&r->j) &&
                   trace_grow(r, &p->next, edges, &edge_room, sizeof *p->next) &&
                   trace_read_u32(r, INT32_MAX, &p->next[edges]))
                edges++;
        p->first[++p->n_nodes] = (uint32_t)edges;
    }
}

/* Of a join: its highest input and its lowest successor. */
struct between {
    uint32_t above, below;
};

/* Edges lead from lower tiles to higher ones, through at most one join. Returns what is wrong. */
static const char *check_edges(struct trace_plan *p, struct between *joins)
{
    for (uint32_t n = 0; n < p->n_nodes; n++) {
        for (uint32_t i = p->first[n]; i < p->first[n + 1]; i++) {
            const uint32_t to = p->next[i];

            if (to >= p->n_nodes)
                return "an edge leads to no node";
            if (to < p->n_tiles ? n < p->n_tiles && to <= n : n >= p->n_tiles)
                return "an edge leads back, or from a join to a join";
            p->waits[to]++;
            if (to >= p->n_tiles)
                joins[to - p->n_tiles].above = n; /* ascending */
            else if (n >= p->n_tiles && to < joins[n - p->n_tiles].below)
                joins[n - p->n_tiles].below = to;
        }
    }
    for (uint32_t i = 0; i < p->n_joins; i++)
        if (p->waits[p->n_tiles + i] == 0 || joins[i].below <= joins[i].above)
            return "a join has no input, or leads back";
    if (joins[p->n_joins - 1].below != UINT32_MAX)
        return "the last join leads on";
    return NULL;
}

/* What is wrong with the tiles, or NULL. */
static const char *check_tiles(const struct trace_plan *p)
{
    if (p->n_tiles == 0 || p->n_joins == 0 || !p->next)
        return "no tiles, joins or edges";
    if (p->n_nodes != (uint64_t)p->n_tiles + p->n_joins)
        return "`next` has not one list for each tile and join";
    for (uint32_t t = 0; t < p->n_tiles; t++) {
        const struct trace_tile *tile = &p->tiles[t];

        if (tile->op >= p->n_ops || (t > 0 && tile->op < tile[-1].op))
            return "a tile's op is not one of `ops`, or not in their order";
        if (tile->box.r0 >= tile->box.r1 || tile->box.c0 >= tile->box.c1)
            return "a tile's box is empty";
    }
    return NULL;
}

bool trace_check_plan(struct trace_plan *p, const char **wrong)
{
    struct between *joins;
    bool ok;

    *wrong = check_tiles(p);
    if (*wrong)
        return true;
    joins = malloc(p->n_joins * sizeof *joins);
    p->waits = calloc(p->n_nodes, sizeof *p->waits);
    ok = joins && p->waits;
    for (uint32_t i = 0; i < p->n_joins && ok; i++)
        joins[i] = (struct between){0, UINT32_MAX};
    if (ok)
        *wrong = check_edges(p, joins);
    free(joins);
    return ok;
}

static void read_plan(struct trace_reader *r, struct trace_plan *p)
{
    char key[16];

    if (!dg_json_object(&r->j))
        return;
    while (dg_json_key(&r->j, key, sizeof key)) {
        if (!strcmp(key, "rows"))
            trace_read_u32(r, INT32_MAX, &p->rows);
        else if (!strcmp(key, "joins"))
            trace_read_u32(r, INT32_MAX, &p->n_joins);
        else if (!strcmp(key, "ops"))
            read_ops(r, p);
        else if (!strcmp(key, "tiles"))
            read_tiles(r, p);
        else if (!strcmp(key, "next"))
            read_next(r, p);
        else
            dg_json_skip(&r->j);
    }
    p->loads = true;
    for (uint32_t i = 0; i < p->n_ops; i++)
        p->loads = p->loads && p->ops[i].loads;
}

void trace_read_plans(struct trace_reader *r)
{
    struct trace_file *t = r->t;
    size_t room = t->n_plans;

    if (!dg_json_array(&r->j))
        return;
    while (dg_json_item(&r->j) && trace_grow(r, &t->plans, t->n_plans, &room, sizeof *t->plans))
        read_plan(r, &t->plans[t->n_plans++]);
}
