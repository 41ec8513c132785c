/* policy.h - what a worker does with a tile that it has run, and with those that this makes ready.
 *
 * A template: the scheduler (sched.c), whose workers are threads, and the replay of a trace
 * (tools/trace/trace_replay.c), whose workers are simulated, define the following and then include it.
 * Queues 0 ... workers - 1 are the workers' own; queue `workers` is for tiles that load.
 *
 *   RUN                            the struct that holds all of it
 *   workers_of(r)                  how many take part
 *   next_of(r, node, &n)           the n nodes that a node leads to
 *   queue_of(r, node)              where a tile goes when it is ready; NO_QUEUE: nowhere. A join, and a
 *                                  tile that is posted and not run, is passed through at once
 *   lower_count(r, node, n)        n more of a node's inputs are done; true: they were the last
 *   pass(r, node)                  a node of NO_QUEUE is reached; called before what it leads to
 *   push(r, queue, list, n)        at the end of a queue, in this order
 *   peek(r, queue, &at)            the first tile of a queue, or DG_NO_TILE, and its place
 *   take(r, queue, at)             takes that one out; false: another was faster
 *   pop(r, queue)                  takes the first out, or DG_NO_TILE
 *   wake(r, n)                     n tiles were pushed: up to n that sleep look again
 *
 * The finisher keeps one ready successor instead of queueing all: a chain then stays on one worker,
 * whose cache holds its input, and costs no queue. It prefers a tile whose home it is.
 *
 * What workers share travels from cache to cache, which takes longer than some tiles. So tiles for
 * one queue are pushed together; and a worker that has run a tile which leads to a join alone, and has
 * another such tile first in its queue, runs that, too, before it lowers the join's count for all of
 * them at once. The join could not have been reached before that tile was done. */
#include "../graph/plan.h"

#define NO_QUEUE UINT32_MAX

/* The queue of a tile, by its home. */
static inline uint32_t queue_for(bool loads, uint32_t home, unsigned workers)
{
    return loads ? workers : home % workers;
}

enum { BATCH = 32 };

/* What a worker has at hand between two tiles. */
struct hand {
    uint32_t kept; /* made ready, to be run next, or DG_NO_TILE */
    uint32_t
        alike; /* tiles run, all of which lead to one join, whose count they have not lowered */
    uint32_t queue; /* that batch[0 ... n - 1] will go to */
    uint32_t batch[BATCH], n;
    unsigned pushed; /* how many went to queues, or wait in batch */
};

static void push_batch(RUN *r, struct hand *h)
{
    if (h->n > 0)
        push(r, h->queue, h->batch, h->n);
    h->n = 0;
}

static void line_up(RUN *r, uint32_t tile, struct hand *h)
{
    const uint32_t queue = queue_of(r, tile);

    if (h->n == BATCH || h->queue != queue)
        push_batch(r, h);
    h->queue = queue;
    h->batch[h->n++] = tile;
    h->pushed++;
}

static void take_ready(RUN *r, unsigned worker, uint32_t tile, struct hand *h)
{
    if (h->kept == DG_NO_TILE) {
        h->kept = tile;
        return;
    }
    if (queue_of(r, h->kept) != worker && queue_of(r, tile) == worker) {
        const uint32_t other = h->kept;

        h->kept = tile;
        tile = other;
    }
    line_up(r, tile, h);
}

static void release(RUN *r, unsigned worker, uint32_t node, struct hand *h);

/* n of the nodes before this one are done. Joins lead to tiles alone, so this goes no deeper than two
 * but for posted tiles that lead to posted tiles. */
static void lower(RUN *r, unsigned worker, uint32_t node, uint32_t n, struct hand *h)
{
    if (!lower_count(r, node, n))
        return;
    if (queue_of(r, node) != NO_QUEUE) {
        take_ready(r, worker, node, h);
    } else {
        pass(r, node);
        release(r, worker, node, h);
    }
}

/* Lowers the counts of a node's successors. */
static void release(RUN *r, unsigned worker, uint32_t node, struct hand *h)
{
    uint32_t n;
    const uint32_t *next = next_of(r, node, &n);

    for (uint32_t i = 0; i < n; i++)
        lower(r, worker, next[i], 1, h);
}

/* The join that is all that a tile leads to, or DG_NO_TILE. */
static uint32_t only_join(RUN *r, uint32_t tile)
{
    uint32_t n;
    const uint32_t *next = next_of(r, tile, &n);

    return n == 1 && queue_of(r, *next) == NO_QUEUE ? *next : DG_NO_TILE;
}

/* The first tile of the worker's queue, if it leads to that join alone. */
static uint32_t take_alike(RUN *r, unsigned worker, uint32_t join)
{
    uint32_t at;
    const uint32_t tile = peek(r, worker, &at);

    if (tile == DG_NO_TILE || only_join(r, tile) != join || !take(r, worker, at))
        return DG_NO_TILE;
    return tile;
}

/* The worker has run a tile: makes its successors ready. Returns the tile that it runs next without
 * looking for one, or DG_NO_TILE. */
static uint32_t finish(RUN *r, unsigned worker, uint32_t tile, struct hand *h)
{
    const uint32_t join = only_join(r, tile);

    h->pushed = 0;
    if (join == DG_NO_TILE) {
        release(r, worker, tile, h);
    } else {
        h->alike++;
        tile = take_alike(r, worker, join);
        if (tile != DG_NO_TILE)
            return tile;
        lower(r, worker, join, h->alike, h);
        h->alike = 0;
    }
    push_batch(r, h);
    if (h->pushed > 0)
        wake(r, h->pushed);
    tile = h->kept;
    h->kept = DG_NO_TILE;
    return tile;
}

/* A tile from the worker's own queue, else the oldest of another's, else one that loads; DG_NO_TILE:
 * there is none. */
static uint32_t find(RUN *r, unsigned worker)
{
    const unsigned workers = workers_of(r);

    for (unsigned i = 0; i < workers; i++) {
        const uint32_t tile = pop(r, worker + i < workers ? worker + i : worker + i - workers);

        if (tile != DG_NO_TILE)
            return tile;
    }
    return pop(r, workers);
}
