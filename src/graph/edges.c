/* Edges are found in any order, and wanted by source: counted, then dealt out. */
#include "plan.h"
#include "../base/arena.h"

#include <stdlib.h>

bool dg_edges_add(struct dg_edges *e, uint32_t from, uint32_t to)
{
    if (e->n == e->room) {
        const size_t room = e->room ? 2 * e->room : 1024;
        struct dg_edge *list = realloc(e->list, room * sizeof *list);

        if (!list)
            return false;
        e->list = list;
        e->room = room;
    }
    e->list[e->n++] = (struct dg_edge){from, to};
    return true;
}

bool dg_edges_end(struct dg_edges *e, const struct dg_plan *plan, uint32_t end)
{
    bool *leads = calloc((size_t)plan->n_tiles + 1, sizeof *leads), ok = leads;

    for (size_t i = 0; ok && i < e->n; i++)
        if (e->list[i].from < plan->n_tiles)
            leads[e->list[i].from] = true;
    for (uint32_t t = 0; ok && t < plan->n_tiles; t++)
        ok = leads[t] || dg_edges_add(e, t, end);
    free(leads);
    return ok;
}

bool dg_edges_store(const struct dg_edges *e, struct dg_plan *plan, uint32_t n_joins)
{
    uint32_t at = 0;

    plan->n_joins = n_joins;
    plan->n_nodes = plan->n_tiles + plan->n_joins;
    plan->n_edges = e->n;
    plan->nodes = dg_arena_array(plan->arena, plan->n_nodes, sizeof *plan->nodes);
    plan->next = dg_arena_array(plan->arena, plan->n_edges, sizeof *plan->next);
    if (!plan->nodes || !plan->next || plan->n_edges > UINT32_MAX)
        return false;
    for (size_t i = 0; i < e->n; i++) {
        plan->nodes[e->list[i].from].n_next++;
        plan->nodes[e->list[i].to].waits++;
    }
    for (uint32_t n = 0; n < plan->n_nodes; n++) {
        plan->nodes[n].first = at;
        at += plan->nodes[n].n_next;
        plan->nodes[n].n_next = 0;
    }
    for (size_t i = 0; i < e->n; i++) {
        struct dg_node *from = &plan->nodes[e->list[i].from];

        plan->next[from->first + from->n_next++] = e->list[i].to;
    }
    return true;
}

void dg_edges_free(struct dg_edges *e)
{
    free(e->list);
    *e = (struct dg_edges){0};
}
