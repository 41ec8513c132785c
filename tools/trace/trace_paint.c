/* The trace and the dump were made from two plans, one that ran and one that was built anew from the sizes
 * in the trace. They are compared tile by tile and edge by edge first, so that the n-th tile of the one is
 * the n-th of the other and times need no names to find their nodes. */
#include "trace_paint.h"
#include "trace_analysis.h"

#include <stdlib.h>
#include <string.h>

#define NOBODY UINT32_MAX

static uint64_t wall(const struct trace_step *s)
{
    return s->end - s->start;
}

static bool eligible(const struct trace_file *t, const struct trace_step *s)
{
    return !trace_plan_of(t, s)->loads && s->rows > 0;
}

/* By the number of rows, then by time, then by place. */
static int by_rows(const void *a, const void *b)
{
    const struct trace_step *x = *(const struct trace_step *const *)a,
                            *y = *(const struct trace_step *const *)b;

    if (x->rows != y->rows)
        return x->rows < y->rows ? -1 : 1;
    if (wall(x) != wall(y))
        return wall(x) < wall(y) ? -1 : 1;
    return x < y ? -1 : x > y;
}

/* Of sorted steps the middle one of those with `rows` rows; 0: of those that took most time together. */
static const struct trace_step *median(const struct trace_step **list, size_t n, uint32_t rows)
{
    const struct trace_step *found = NULL;
    uint64_t most = 0;

    for (size_t a = 0, b; a < n; a = b) {
        uint64_t sum = 0;

        for (b = a; b < n && list[b]->rows == list[a]->rows; b++)
            sum += wall(list[b]);
        if (rows ? list[a]->rows == rows : !found || sum > most) {
            most = sum;
            found = list[a + (b - a - 1) / 2];
        }
    }
    return found;
}

bool trace_step_choose(const struct trace_step **out, const struct trace_file *t, uint32_t rows)
{
    const struct trace_step **list = malloc((t->n_steps + 1) * sizeof *list);
    size_t n = 0;

    if (!list)
        return false;
    for (size_t i = 0; i < t->n_steps; i++)
        if (eligible(t, &t->steps[i]))
            list[n++] = &t->steps[i];
    if (n > 0)
        qsort(list, n, sizeof *list, by_rows);
    *out = median(list, n, rows);
    free(list);
    return true;
}

enum dg_status trace_plan_compare(const struct trace_plan *p, const struct dg_plan *plan,
                                  struct dg_error *err)
{
    const struct dg_graph *g = plan->graph;

    if (p->n_ops != g->n_ops || p->n_tiles != plan->n_tiles || p->n_joins != plan->n_joins)
        return dg_fail(err, DG_ERR_USAGE,
                       "the trace's plan has %u ops, %u tiles and %u joins, expected %u, %u and %u",
                       p->n_ops, p->n_tiles, p->n_joins, g->n_ops, plan->n_tiles, plan->n_joins);
    for (uint32_t i = 0; i < p->n_ops; i++)
        if (strcmp(p->ops[i].name, g->ops[i].name) != 0 ||
            strcmp(p->ops[i].type, g->ops[i].type->name) != 0)
            return dg_fail(err, DG_ERR_USAGE,
                           "the trace's plan: op %u is %s (%s), expected %s (%s)", i,
                           p->ops[i].name, p->ops[i].type, g->ops[i].name, g->ops[i].type->name);
    for (uint32_t i = 0; i < p->n_tiles; i++) {
        const struct dg_box a = p->tiles[i].box, b = plan->tiles[i].out;

        if (p->tiles[i].op != plan->tiles[i].op || memcmp(&a, &b, sizeof a) != 0)
            return dg_fail(err, DG_ERR_USAGE,
                           "the trace's plan: tile %u is %s rows %u:%u columns %u:%u, expected "
                           "%s rows %u:%u columns %u:%u",
                           i, p->ops[p->tiles[i].op].name, a.r0, a.r1, a.c0, a.c1,
                           dg_tile_op(plan, i)->name, b.r0, b.r1, b.c0, b.c1);
    }
    for (uint32_t n = 0; n < p->n_nodes; n++)
        if (p->first[n + 1] - p->first[n] != plan->nodes[n].n_next ||
            memcmp(p->next + p->first[n], plan->next + plan->nodes[n].first,
                   plan->nodes[n].n_next * sizeof *plan->next) != 0)
            return dg_fail(err, DG_ERR_USAGE, "the trace's plan: node %u leads elsewhere", n);
    return DG_OK;
}

/* node[n]: the dump's node for node n of the plan, or NOBODY. */
static void map_nodes(const struct dg_dump *d, const struct dg_plan *plan, uint32_t *node)
{
    for (uint32_t n = 0; n < plan->n_nodes; n++)
        node[n] = NOBODY;
    for (uint32_t t = 0; t < plan->n_tiles && !d->plan; t++)
        node[t] = d->node_of_op[plan->tiles[t].op];
    for (uint32_t i = 0; i < d->n_nodes && d->plan; i++)
        if (d->nodes[i].kind == DG_NODE_TILE || d->nodes[i].kind == DG_NODE_JOIN)
            node[d->nodes[i].index] = i;
}

static void add_run(struct dg_dump_node *n, const struct trace_run *run, uint64_t slack)
{
    struct dg_measure *m = &n->measured;

    if (!m->known || (double)slack < m->slack_ns)
        m->slack_ns = (double)slack;
    m->known = true;
    m->ns += (double)trace_time_of(run);
    m->workers[run->worker / 64] |= (uint64_t)1 << run->worker % 64;
}

static void mark_edge(struct dg_dump *d, uint32_t from, uint32_t to)
{
    for (uint32_t i = 0; from != NOBODY && to != NOBODY && i < d->n_edges; i++)
        if (d->edges[i].from == from && d->edges[i].to == to)
            d->edges[i].critical = true;
}

static bool leads_to(const struct dg_plan *plan, uint32_t from, uint32_t to)
{
    for (uint32_t i = 0; i < plan->nodes[from].n_next; i++)
        if (plan->next[plan->nodes[from].first + i] == to)
            return true;
    return false;
}

/* The edge of the critical path from one tile to the next: itself, or through a join. */
static void mark_step(struct dg_dump *d, const struct dg_plan *plan, const uint32_t *node,
                      uint32_t from, uint32_t to)
{
    if (!d->plan || leads_to(plan, from, to)) {
        mark_edge(d, node[from], node[to]);
        return;
    }
    for (uint32_t j = plan->n_tiles; j < plan->n_nodes; j++) {
        if (leads_to(plan, from, j) && leads_to(plan, j, to)) {
            mark_edge(d, node[from], node[j]);
            mark_edge(d, node[j], node[to]);
            return;
        }
    }
}

enum dg_status trace_paint(struct dg_dump *d, const struct dg_plan *plan,
                           const struct trace_file *t, const struct trace_step *step,
                           struct dg_error *err)
{
    uint32_t *node = malloc(plan->n_nodes * sizeof *node);
    struct trace_path path = {0};
    double all = 0;

    if (!node || !trace_path_find(&path, trace_plan_of(t, step), step->runs)) {
        free(node);
        return dg_fail_memory(err, "the critical path", plan->n_nodes * sizeof *node);
    }
    map_nodes(d, plan, node);
    for (uint32_t i = 0; i < plan->n_tiles; i++) {
        all += (double)trace_time_of(&step->runs[i]);
        if (node[i] != NOBODY)
            add_run(&d->nodes[node[i]], &step->runs[i], path.slack[i]);
    }
    d->measured = true;
    d->span_ns = (double)path.span;
    for (size_t i = 0; i < path.n; i++) {
        const uint32_t n = node[path.tiles[i]];

        if (n != NOBODY)
            d->nodes[n].measured.path_ns += (double)trace_time_of(&step->runs[path.tiles[i]]);
        if (i > 0)
            mark_step(d, plan, node, path.tiles[i - 1], path.tiles[i]);
    }
    for (uint32_t n = 0; n < d->n_nodes; n++) {
        struct dg_measure *m = &d->nodes[n].measured;

        m->share = all > 0 ? m->ns / all : 0;
        m->path_share = path.span > 0 ? m->path_ns / (double)path.span : 0;
        d->most_ns = m->ns > d->most_ns ? m->ns : d->most_ns;
    }
    trace_path_free(&path);
    free(node);
    return DG_OK;
}
