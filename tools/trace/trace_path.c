/* The critical path: a longest path over the edges that the plan has, tiles weighed with what they took:
 * forward for the earliest end of each node, backward for what comes after it, which gives the slack. */
#include "trace_analysis.h"

#include <stdlib.h>

bool trace_order(const struct trace_plan *p, uint32_t *order)
{
    uint32_t *highest = malloc(p->n_joins * sizeof *highest); /* input of each join */
    uint32_t n = 0;

    if (!highest)
        return false;
    for (uint32_t t = 0; t < p->n_tiles; t++)
        for (uint32_t i = p->first[t]; i < p->first[t + 1]; i++)
            if (p->next[i] >= p->n_tiles)
                highest[p->next[i] - p->n_tiles] = t;
    for (uint32_t t = 0; t < p->n_tiles; t++) {
        order[n++] = t;
        for (uint32_t i = p->first[t]; i < p->first[t + 1]; i++) {
            const uint32_t to = p->next[i];

            if (to >= p->n_tiles && highest[to - p->n_tiles] == t) {
                highest[to - p->n_tiles] = DG_NO_TILE; /* once, also for a doubled edge */
                order[n++] = to;
            }
        }
    }
    free(highest);
    return true;
}

/* What a node takes; a join nothing. */
static uint64_t takes(const struct trace_plan *p, const struct trace_run *runs, uint32_t node)
{
    return node < p->n_tiles ? trace_time_of(&runs[node]) : 0;
}

/* The earliest end of each node, and by which node before it (or DG_NO_TILE). */
static void run_forward(const struct trace_plan *p, const struct trace_run *runs,
                        const uint32_t *order, uint64_t *ends, uint32_t *via)
{
    for (uint32_t n = 0; n < p->n_nodes; n++) {
        ends[n] = 0;
        via[n] = DG_NO_TILE;
    }
    for (uint32_t k = 0; k < p->n_nodes; k++) {
        const uint32_t n = order[k];

        ends[n] += takes(p, runs, n); /* until here: the end of its last input */
        for (uint32_t i = p->first[n]; i < p->first[n + 1]; i++) {
            const uint32_t to = p->next[i];

            if (via[to] == DG_NO_TILE || ends[n] > ends[to]) {
                ends[to] = ends[n];
                via[to] = n;
            }
        }
    }
}

/* The time from the end of each node to the end of the step. */
static void run_backward(const struct trace_plan *p, const struct trace_run *runs,
                         const uint32_t *order, uint64_t *after)
{
    for (uint32_t k = p->n_nodes; k-- > 0;) {
        const uint32_t n = order[k];

        after[n] = 0;
        for (uint32_t i = p->first[n]; i < p->first[n + 1]; i++) {
            const uint64_t all = takes(p, runs, p->next[i]) + after[p->next[i]];

            if (all > after[n])
                after[n] = all;
        }
    }
}

static void take_chain(struct trace_path *path, const struct trace_plan *p, const uint32_t *via,
                       uint32_t last)
{
    for (uint32_t n = last; n != DG_NO_TILE; n = via[n])
        if (n < p->n_tiles)
            path->tiles[path->n++] = n;
    for (size_t i = 0; i < path->n / 2; i++) {
        const uint32_t other = path->tiles[i];

        path->tiles[i] = path->tiles[path->n - 1 - i];
        path->tiles[path->n - 1 - i] = other;
    }
}

bool trace_path_find(struct trace_path *out, const struct trace_plan *p,
                     const struct trace_run *runs)
{
    uint32_t *order = malloc(p->n_nodes * sizeof *order), *via = malloc(p->n_nodes * sizeof *via);
    uint64_t *ends = malloc(p->n_nodes * sizeof *ends), *after = malloc(p->n_nodes * sizeof *after);
    bool ok = false;

    *out = (struct trace_path){.tiles = malloc(p->n_tiles * sizeof *out->tiles),
                               .slack = malloc(p->n_tiles * sizeof *out->slack)};
    if (order && via && ends && after && out->tiles && out->slack && trace_order(p, order)) {
        uint32_t last = 0;

        run_forward(p, runs, order, ends, via);
        run_backward(p, runs, order, after);
        for (uint32_t t = 0; t < p->n_tiles; t++)
            if (ends[t] > ends[last])
                last = t;
        out->span = ends[last];
        for (uint32_t t = 0; t < p->n_tiles; t++)
            out->slack[t] = out->span - ends[t] - after[t];
        take_chain(out, p, via, last);
        ok = true;
    }
    free(order);
    free(via);
    free(ends);
    free(after);
    if (!ok)
        trace_path_free(out);
    return ok;
}

void trace_path_free(struct trace_path *path)
{
    free(path->tiles);
    free(path->slack);
    *path = (struct trace_path){0};
}
