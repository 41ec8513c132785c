/* src/runtime/queue.h: first in, first out, and each tile to exactly one of many threads.
 *
 * What a tile carries is written and read plainly, and every counter here is relaxed: the queue
 * alone orders them, so that ThreadSanitizer sees whether it does. */
#include "../../support/support.h"
#include "../../../src/runtime/queue.h"

#include <sched.h>
#include <stdlib.h>

static struct dg_queue *new_queue(uint32_t room)
{
    struct dg_queue *q = aligned_alloc(DG_CACHE_LINE, sizeof *q);

    ck_assert_ptr_nonnull(q);
    q->room = room;
    q->slots = calloc((size_t)room + 1, sizeof *q->slots);
    ck_assert_ptr_nonnull(q->slots);
    dg_queue_reset(q);
    return q;
}

static void free_queue(struct dg_queue *q)
{
    free(q->slots);
    free(q);
}

static void push(struct dg_queue *q, uint32_t tile)
{
    dg_queue_push(q, &tile, 1);
}

static uint32_t pop(struct dg_queue *q)
{
    uint32_t at;

    return dg_queue_pop(q, &at);
}

START_TEST(empty)
{
    struct dg_queue *q = new_queue(3), *none = new_queue(0);

    for (int i = 0; i < 5; i++) {
        ck_assert_uint_eq(pop(q), DG_NO_TILE);
        ck_assert_uint_eq(pop(none), DG_NO_TILE);
    }
    push(q, 0);
    ck_assert_uint_eq(pop(q), 0);
    ck_assert_uint_eq(pop(q), DG_NO_TILE);
    free_queue(q);
    free_queue(none);
}
END_TEST

START_TEST(fifo)
{
    enum { N = 1000 };
    struct dg_queue *q = new_queue(N);
    uint64_t state = 7;
    uint32_t in = 0, out = 0;

    while (out < N) {
        uint32_t list[5], n = 0;

        while (n < random_below(&state, 6) && n < 5 && in < N)
            list[n++] = 3 * in++;
        dg_queue_push(q, list, n);
        for (n = random_below(&state, 5); n > 0 && out < in; n--)
            ck_assert_uint_eq(pop(q), 3 * out++);
        if (out == in)
            ck_assert_uint_eq(pop(q), DG_NO_TILE);
    }
    free_queue(q);
}
END_TEST

/* Full or not, popped or not: after a reset the queue is empty and has all its room. */
START_TEST(reset)
{
    enum { ROOM = 4 };
    struct dg_queue *q = new_queue(ROOM);

    for (uint32_t pushes = 0; pushes <= ROOM; pushes++) {
        for (uint32_t pops = 0; pops <= pushes; pops++) {
            for (uint32_t i = 0; i < pushes; i++)
                push(q, i);
            for (uint32_t i = 0; i < pops; i++)
                ck_assert_uint_eq(pop(q), i);
            dg_queue_reset(q);
            ck_assert_uint_eq(pop(q), DG_NO_TILE);
        }
    }
    for (uint32_t i = 0; i < ROOM; i++)
        push(q, 100 + i);
    for (uint32_t i = 0; i < ROOM; i++)
        ck_assert_uint_eq(pop(q), 100 + i);
    free_queue(q);
}
END_TEST

/* What is seen can be taken once. */
START_TEST(take_what_was_seen)
{
    struct dg_queue *q = new_queue(3);
    uint32_t head, again;

    ck_assert_uint_eq(dg_queue_peek(q, &head), DG_NO_TILE);
    dg_queue_push(q, (uint32_t[]){7, 8, 9}, 3);
    ck_assert_uint_eq(dg_queue_peek(q, &head), 7);
    ck_assert_uint_eq(dg_queue_peek(q, &again), 7);
    ck_assert(dg_queue_take(q, head));
    ck_assert(!dg_queue_take(q, again));
    ck_assert_uint_eq(pop(q), 8);
    ck_assert_uint_eq(dg_queue_peek(q, &head), 9);
    ck_assert_uint_eq(pop(q), 9);
    ck_assert(!dg_queue_take(q, head));
    ck_assert_uint_eq(dg_queue_peek(q, &head), DG_NO_TILE);
    free_queue(q);
}
END_TEST

/* ---- many threads ---- */

enum { MAX_PUSHERS = 4, MAX_POPPERS = 4 };

struct crowd {
    struct dg_queue *queue;
    uint32_t pushers, n;       /* pusher p pushes tiles p * n ... p * n + n - 1, ascending */
    uint32_t *carried;         /* [pushers * n] written before the push */
    struct dg_atomic *popped;  /* [pushers * n] how often */
    struct dg_atomic n_popped; /* all of them */
    struct dg_atomic wrong;    /* not in order, or not what was carried */
};

struct member {
    struct crowd *crowd;
    uint32_t index;
    struct dg_thread thread;
};

static void *pusher(void *arg)
{
    const struct member *m = arg;
    struct crowd *c = m->crowd;

    uint32_t list[7], n = 0;

    for (uint32_t i = m->index * c->n; i < (m->index + 1) * c->n; i++) {
        c->carried[i] = i ^ 0x5555;
        list[n++] = i;
        if (n > i % 7 || i + 1 == (m->index + 1) * c->n) { /* 1 to 7 at a time */
            dg_queue_push(c->queue, list, n);
            n = 0;
        }
    }
    return NULL;
}

/* One popper meets the tiles of one pusher in the order in which they were pushed. */
static void *popper(void *arg)
{
    struct crowd *c = ((struct member *)arg)->crowd;
    uint32_t next[MAX_PUSHERS] = {0};

    while (dg_load_relaxed(&c->n_popped) < c->pushers * c->n) {
        const uint32_t tile = pop(c->queue);

        if (tile == DG_NO_TILE) {
            sched_yield();
            continue;
        }
        if (tile >= c->pushers * c->n || c->carried[tile] != (tile ^ 0x5555) ||
            tile % c->n < next[tile / c->n]) {
            dg_add_relaxed(&c->wrong, 1);
        } else {
            next[tile / c->n] = tile % c->n + 1;
            dg_add_relaxed(&c->popped[tile], 1);
        }
        dg_add_relaxed(&c->n_popped, 1);
    }
    return NULL;
}

static void start(struct member *list, uint32_t n, struct crowd *c, void *(*f)(void *))
{
    for (uint32_t i = 0; i < n; i++) {
        list[i] = (struct member){.crowd = c, .index = i};
        ck_assert(dg_thread_start(&list[i].thread, f, &list[i]));
    }
}

static void run_crowd(uint32_t pushers, uint32_t poppers, uint32_t n)
{
    struct crowd c = {.queue = new_queue(pushers * n), .pushers = pushers, .n = n};
    struct member in[MAX_PUSHERS], out[MAX_POPPERS];

    c.carried = calloc(pushers * n, sizeof *c.carried);
    c.popped = calloc(pushers * n, sizeof *c.popped);
    start(out, poppers, &c, popper);
    start(in, pushers, &c, pusher);
    for (uint32_t i = 0; i < pushers; i++)
        dg_thread_join(&in[i].thread);
    for (uint32_t i = 0; i < poppers; i++)
        dg_thread_join(&out[i].thread);
    ck_assert_uint_eq(dg_load_relaxed(&c.wrong), 0);
    for (uint32_t i = 0; i < pushers * n; i++)
        ck_assert_uint_eq(dg_load_relaxed(&c.popped[i]), 1);
    ck_assert_uint_eq(pop(c.queue), DG_NO_TILE);
    free_queue(c.queue);
    free(c.carried);
    free(c.popped);
}

START_TEST(each_tile_once)
{
    const uint32_t n = sanitized() ? 5000 : 40000;

    for (uint32_t pushers = 1; pushers <= MAX_PUSHERS; pushers++)
        for (uint32_t poppers = 1; poppers <= MAX_POPPERS; poppers++)
            run_crowd(pushers, poppers, n / pushers);
}
END_TEST

/* Short crowds: most of their time is the start and the end, where the queue is nearly empty. */
START_TEST(short_crowds)
{
    const uint32_t rounds = sanitized() ? 50 : 400;

    for (uint32_t i = 0; i < rounds; i++)
        run_crowd(1 + i % MAX_PUSHERS, 1 + i / MAX_PUSHERS % MAX_POPPERS, 1 + i % 30);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {empty,          fifo,         reset, take_what_was_seen,
                                  each_tile_once, short_crowds, NULL};

    return run_suite("queue", tests);
}
