/* queue.h - tiles whose inputs are all written, waiting for a worker; first in, first out.
 *
 * A step pushes each tile at most once, so a queue with room for all tiles that may come needs no
 * wrapping: positions only grow until the reset.
 *
 * Threads: any may push and pop; reset while no other thread uses the queue.
 * Memory:  holds indices, borrows its slots. */
#ifndef DG_RUNTIME_QUEUE_H
#define DG_RUNTIME_QUEUE_H

#include "../graph/plan.h"
#include <sync.h>

struct dg_queue {
    /* The next position to write. Relaxed: it hands out positions and publishes nothing. */
    _Alignas(DG_CACHE_LINE) struct dg_atomic tail;

    /* The next position to read. Relaxed: whoever moves it from h to h + 1 owns slot h, whose
     * content it has read with acquire before. */
    _Alignas(DG_CACHE_LINE) struct dg_atomic head;

    /* [room] 0: not written yet; else tile + 1.
     * Order: release by push, acquire by pop. Partner: each other. If weakened: a stolen tile reads
     * its inputs before they are visible. Test: tests/unit/runtime/check_sched.c "diamond" under TSan. */
    _Alignas(DG_CACHE_LINE) struct dg_atomic *slots;
    uint32_t room;
};

/* room + 1 slots are needed: pop looks at one past the last. */
static inline void dg_queue_reset(struct dg_queue *q)
{
    dg_store_relaxed(&q->tail, 0);
    dg_store_relaxed(&q->head, 0);
    for (uint32_t i = 0; i <= q->room; i++)
        dg_store_relaxed(&q->slots[i], 0);
}

/* Tiles list[0 ... n - 1], in this order. */
static inline void dg_queue_push(struct dg_queue *q, const uint32_t *list, uint32_t n)
{
    const uint32_t at = dg_add_relaxed(&q->tail, n);

    for (uint32_t i = 0; i < n; i++)
        dg_store_release(&q->slots[at + i], list[i] + 1);
}

/* The oldest tile and its position; DG_NO_TILE when there is none, or when the oldest is still being
 * pushed: tiles behind it wait a moment longer, but its pusher wakes a worker once it is there. */
static inline uint32_t dg_queue_peek(const struct dg_queue *q, uint32_t *head)
{
    *head = dg_load_relaxed(&q->head);
    return dg_load_acquire(&q->slots[*head]) - 1; /* 0 - 1 is DG_NO_TILE */
}

/* Is there a tile at that position, which may be one past the last? Relaxed: the answer is a reason to wake
 * somebody, who looks for itself. */
static inline bool dg_queue_holds(const struct dg_queue *q, uint32_t at)
{
    return dg_load_relaxed(&q->slots[at]) != 0;
}

/* Takes the tile that was seen at that position; false when another worker was faster. */
static inline bool dg_queue_take(struct dg_queue *q, uint32_t head)
{
    return dg_change_relaxed(&q->head, head, head + 1);
}

/* Takes the oldest tile, and tells its position, or DG_NO_TILE. */
static inline uint32_t dg_queue_pop(struct dg_queue *q, uint32_t *head)
{
    for (;;) {
        const uint32_t tile = dg_queue_peek(q, head);

        if (tile == DG_NO_TILE || dg_queue_take(q, *head))
            return tile;
    }
}

#endif
