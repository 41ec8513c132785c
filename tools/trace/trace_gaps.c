/* A gap is explained by the tile whose end it waited for: in a dataflow step the last input of the tile that
 * came next; at a barrier, and where none came, the last tile of the others to end in it. That tile waited in
 * its turn, so that the one to name is further up the chain of last inputs. Tiles sorted by their ends make the
 * search for the last of them short. */
#include "trace_analysis.h"

#include <stdlib.h>
#include <string.h>

struct trace_ends {
    uint64_t end;
    uint32_t tile;
};

static int by_end(const void *a, const void *b)
{
    const struct trace_ends *x = a, *y = b;

    if (x->end != y->end)
        return x->end < y->end ? -1 : 1;
    return (x->tile > y->tile) - (x->tile < y->tile);
}

bool trace_gaps_new(struct trace_gaps *g, const struct trace_file *t)
{
    size_t tiles = 0, most = 0;

    for (size_t i = 0; i < t->n_steps; i++) {
        const uint32_t n = trace_plan_of(t, &t->steps[i])->n_tiles;

        tiles = n > tiles ? n : tiles;
        for (unsigned w = 0; w < t->awake; w++)
            most = t->steps[i].visits[w].n > most ? t->steps[i].visits[w].n : most;
    }
    *g = (struct trace_gaps){.t = t, .step = SIZE_MAX};
    g->ends = malloc((tiles + 1) * sizeof *g->ends);
    g->list = malloc((most + 3) * sizeof *g->list); /* before each tile, at the end, and outside */
    if (g->ends && g->list)
        return true;
    trace_gaps_free(g);
    return false;
}

void trace_gaps_free(struct trace_gaps *g)
{
    free(g->ends);
    free(g->list);
    *g = (struct trace_gaps){0};
}

static void sort_ends(struct trace_gaps *g, size_t step)
{
    const struct trace_step *s = &g->t->steps[step];
    const uint32_t n = trace_plan_of(g->t, s)->n_tiles;

    if (g->step == step)
        return;
    g->step = step;
    for (uint32_t k = 0; k < n; k++)
        g->ends[k] = (struct trace_ends){s->runs[k].end, k};
    qsort(g->ends, n, sizeof *g->ends, by_end);
}

/* ---- why ---- */

/* The last tile of another worker to end in the gap, or DG_NO_TILE. */
static uint32_t last_of_others(const struct trace_gaps *g, const struct trace_gap *gap)
{
    const struct trace_step *s = &g->t->steps[gap->step];
    size_t low = 0, high = trace_plan_of(g->t, s)->n_tiles;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (g->ends[middle].end <= gap->end)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low > 0 && g->ends[low - 1].end > gap->start; low--)
        if (s->runs[g->ends[low - 1].tile].worker != gap->worker)
            return g->ends[low - 1].tile;
    return DG_NO_TILE;
}

static uint32_t find_awaited(const struct trace_gaps *g, const struct trace_gap *gap, uint32_t next)
{
    const struct trace_run *runs = g->t->steps[gap->step].runs;
    uint32_t last;

    if (next == DG_NO_TILE || !strcmp(g->t->sched, "barrier"))
        return last_of_others(g, gap);
    last = runs[next].last;
    return last != DG_NO_TILE && runs[last].end > gap->start && runs[last].end <= gap->end
               ? last
               : DG_NO_TILE;
}

/* Of the chain of last inputs that leads to the awaited tile, the one that ran for the most of the gap. */
static uint32_t find_culprit(const struct trace_run *runs, const struct trace_gap *gap,
                             uint32_t awaited)
{
    uint64_t most = 0, before = gap->end;
    uint32_t found = awaited;

    for (uint32_t k = awaited; k != DG_NO_TILE && runs[k].end > gap->start && runs[k].end <= before;
         k = runs[k].last) {
        const uint64_t from = runs[k].start > gap->start ? runs[k].start : gap->start;

        if (runs[k].end - from > most) {
            most = runs[k].end - from;
            found = k;
        }
        before = runs[k].start;
    }
    return found;
}

static void explain(const struct trace_gaps *g, struct trace_gap *gap)
{
    const struct trace_run *runs = g->t->steps[gap->step].runs;
    const uint32_t awaited = find_awaited(g, gap, gap->next);
    uint64_t until = gap->start; /* so long it waited */

    if (awaited != DG_NO_TILE)
        until = runs[awaited].end;
    else if (gap->next != DG_NO_TILE && runs[gap->next].ready > until)
        until = runs[gap->next].ready; /* for an input that the file does not name */
    gap->tile = awaited == DG_NO_TILE ? DG_NO_TILE : find_culprit(runs, gap, awaited);
    gap->late = gap->end - until;
    gap->reason = 2 * gap->preempted >= gap->end - gap->start ? TRACE_PREEMPTED
                  : gap->next == DG_NO_TILE                   ? TRACE_NOTHING
                  : until > gap->start                        ? TRACE_WAITED
                                                              : TRACE_LATE;
}

/* ---- where ---- */

static void add_outside(struct trace_gaps *g, const struct trace_gap *of, uint64_t start,
                        uint64_t end)
{
    struct trace_gap gap = {.step = of->step, .worker = of->worker, .start = start, .end = end};

    if (start >= end)
        return;
    gap.reason = TRACE_OUTSIDE;
    gap.tile = gap.next = DG_NO_TILE;
    g->list[g->n++] = gap;
}

/* The gap so far ends at `end`, before the tile `next`; the one after it begins at `then`. */
static void close_gap(struct trace_gaps *g, struct trace_gap *gap, uint64_t end, uint32_t next,
                      uint64_t then)
{
    gap->end = end;
    gap->next = next;
    if (gap->start < end) {
        explain(g, gap);
        g->list[g->n++] = *gap;
    }
    *gap = (struct trace_gap){.step = gap->step, .worker = gap->worker, .start = then};
}

static void add_wait(struct trace_gap *gap, const struct trace_slice *s)
{
    const uint64_t took = s->end - s->start - s->preempted;

    *(s->kind == TRACE_QUEUE      ? &gap->queue
      : s->kind == TRACE_SPINNING ? &gap->spinning
                                  : &gap->parked) += took;
    gap->preempted += s->preempted;
    if (s->kind == TRACE_PARKED)
        gap->woken += s->preempted;
}

size_t trace_gaps_of(struct trace_gaps *g, size_t step, unsigned worker)
{
    const struct trace_step *s = &g->t->steps[step];
    const struct trace_visit *v = &s->visits[worker];
    struct trace_gap gap = {.step = (uint32_t)step, .worker = worker, .start = v->enter};

    g->n = 0;
    if (!trace_took_part(v)) {
        add_outside(g, &gap, s->start, s->end);
        return g->n;
    }
    sort_ends(g, step);
    add_outside(g, &gap, s->start, v->enter);
    for (size_t i = v->first; i < v->first + v->n; i++) {
        const struct trace_slice *slice = &g->t->slices[i];

        if (slice->kind == TRACE_TILE)
            close_gap(g, &gap, slice->start, slice->tile, slice->end);
        else
            add_wait(&gap, slice);
    }
    close_gap(g, &gap, v->leave, DG_NO_TILE, v->leave);
    add_outside(g, &gap, v->leave, s->end);
    return g->n;
}
