/* The shipped bell, team, queues and scheduler under the explorer.
 *
 * Their files are included, not linked, so that their structs can be looked at after a step; not a line of
 * them is changed. Plans are written down as lists of edges. Tiles hash the values of those that they wait
 * for, with plain reads and writes, which the explorer checks for races.
 *
 * What is asked of each schedule:
 *   each tile runs once, after all that it waits for;
 *   its value is that of the serial order;
 *   no race, also of what tiles write and of scratch;
 *   no worker is parked while a tile that is ready lies in a queue, at the time when every other worker
 *   is in a tile, so that none will come by;
 *   a tile goes to the queue that is its home's, and as many are kept as can be;
 *   a worker takes from its own queue first, then from another's, and a tile that loads at last;
 *   a wake wakes as many as it says, at the most;
 *   it ends, and then no worker counts as asleep, the queues are empty, and nothing has leaked. */
#include <sync.h>

#include "../../src/runtime/bell.c"

/* Between the files stands what counts the calls from one to another. */
static void ring_counted(struct dg_bell *b);
#define dg_bell_ring(b) ring_counted(b)
#include "../../src/runtime/team.c"
#undef dg_bell_ring

#include "../../src/runtime/queue.h"
#include "../../src/runtime/turn.c"

static void wake_counted(struct dg_team *team, unsigned n);
static uint32_t pop_checked(struct dg_queue *q, uint32_t *at);
#define dg_team_wake(team, n) wake_counted(team, n)
#define dg_queue_pop(q, at)   pop_checked(q, at)
#include "../../src/runtime/sched.c"
#undef dg_team_wake
#undef dg_queue_pop

#include <string.h>

#define UNCHECKED __attribute__((no_sanitize("thread"), noinline))

/* ---- what the library has elsewhere ---- */

static unsigned usable = 1; /* CPUs; workers spin where there are enough */

unsigned dg_usable_cpus(void)
{
    return usable;
}

/* Each request is a block of its own, so that what is next to it is found out. */
struct dg_arena {
    void *blocks[64];
    unsigned n;
};

struct dg_arena *dg_arena_new(void)
{
    return calloc(1, sizeof(struct dg_arena));
}

void dg_arena_free(struct dg_arena *arena)
{
    for (unsigned i = 0; arena && i < arena->n; i++)
        free(arena->blocks[i]);
    free(arena);
}

void *dg_arena_alloc(struct dg_arena *arena, size_t bytes)
{
    void *p = calloc(1, bytes ? bytes : 1);

    prove_check(arena->n < 64, "an arena of more than 64 blocks");
    arena->blocks[arena->n++] = p;
    return p;
}

void *dg_arena_array(struct dg_arena *arena, size_t n, size_t size)
{
    return dg_arena_alloc(arena, n * size);
}

/* ---- plans ---- */

enum { TILES = 36, NODES = 40, EDGES = 72, OPS = 8 };

enum flag {
    LOADS = 1,
    POSTED = 2,
    SENDS =
        4, /* its tiles have the tile of the same place in the next op posted, by a thread outside */
    POSTS = 8,  /* or post it themselves */
    FAILS = 16, /* in the first step */
};

/* Ops of so many tiles, and edges between nodes: tiles come first, then joins. */
struct shape {
    unsigned ops[OPS]; /* tiles of each; 0: no more */
    unsigned flags[OPS];
    unsigned pushes; /* in a step: tiles that queue, and are not kept; 0: it depends */
    unsigned joins;
    unsigned char home[TILES];
    unsigned char edges[EDGES][2]; /* {0, 0}: no more */
};

struct test {
    const struct shape *shape;
    unsigned workers, usable, steps;
    enum dg_sched sched;
    bool traced, cancels, wraps;
};

/* The plan of a test, made of what stands there. */
static struct built {
    const struct test *test;
    struct dg_plan plan;
    struct dg_graph graph;
    struct dg_op ops[OPS];
    struct dg_tensor tensors[OPS];
    struct dg_tile tiles[TILES];
    struct dg_node nodes[NODES];
    uint32_t next[EDGES], op_first[OPS + 1];
    uint64_t before[NODES]; /* tiles that a node waits for, a bit each */
    bool posts;
} built;

/* What tiles share, on the explorer's heap. */
struct job {
    struct dg_step step;
    struct dg_team *team;
    struct dg_run *run;
    uint32_t number; /* of the step */
    bool inside;
    uint8_t started[TILES], done[TILES];
    uint32_t value[TILES];
    struct dg_bell mail;
};

static struct job *job;

static uint32_t hash(uint32_t h, uint32_t v)
{
    h = (h ^ v) * 0x9e3779b1u;
    return h ^ h >> 15;
}

static uint32_t value_of(uint32_t tile, uint32_t number, const uint32_t *value)
{
    uint32_t h = hash(tile + 1, number);

    if (dg_tile_op(&built.plan, tile)->type->posted)
        return h;
    for (unsigned i = 0; i < built.plan.n_tiles; i++)
        if (built.before[tile] >> i & 1)
            h = hash(h, value[i]);
    return h;
}

/* ---- a tile ---- */

static UNCHECKED void begin_tile(uint32_t t)
{
    prove_check(job->inside, "tile %u runs outside the step", t);
    prove_check(!job->started[t], "tile %u runs twice", t);
    for (unsigned i = 0; i < built.plan.n_tiles && !built.test->cancels; i++)
        prove_check(!(built.before[t] >> i & 1) || job->done[i], "tile %u runs before tile %u", t,
                    i);
    job->started[t] = 1;
}

static UNCHECKED void end_tile(uint32_t t)
{
    job->done[t] = 1;
}

static unsigned flags_of(uint32_t tile)
{
    return built.test->shape->flags[built.tiles[tile].op];
}

static bool fails(uint32_t tile)
{
    return flags_of(tile) & FAILS && job->number == 1;
}

/* The posted tile that a sender sends. */
static uint32_t sent_by(uint32_t tile)
{
    const uint32_t op = built.tiles[tile].op;

    return built.op_first[op + 1] + tile - built.op_first[op];
}

static void post(uint32_t tile)
{
    begin_tile(tile);
    job->value[tile] = value_of(tile, job->number, job->value);
    end_tile(tile);
    dg_run_post(job->run, tile, 0);
}

static int run_toy(const struct dg_op *op, struct dg_box out, const struct dg_step *step,
                   void *scratch)
{
    const uint32_t t = out.r0;

    (void)op;
    begin_tile(t);
    prove_check(step == &job->step, "another step");
    *(uint32_t *)scratch = t;
    (void)PROVE(WORK, RELAXED, NULL, t, 0, "works on a tile");
    prove_check(*(uint32_t *)scratch == t, "scratch of two workers");
    job->value[t] = value_of(t, job->number, job->value);
    end_tile(t);
    if (flags_of(t) & POSTS)
        post(sent_by(t));
    if (flags_of(t) & SENDS)
        dg_bell_ring(&job->mail);
    return fails(t) ? EIO : 0;
}

static struct dg_cost toy_cost(const struct dg_op *op, struct dg_box out, uint32_t past)
{
    (void)op;
    (void)out;
    return (struct dg_cost){1 + past, 1};
}

static const struct dg_op_type toy_types[4] = {
    {.name = "toy", .run = run_toy, .cost = toy_cost},
    {.name = "loading", .run = run_toy, .cost = toy_cost, .loads = true},
    {.name = "posted", .cost = toy_cost, .posted = true},
};

/* ---- making the plan ---- */

static void add_edges(struct dg_plan *p, const struct shape *s)
{
    for (uint32_t n = 0; n < p->n_nodes; n++) {
        built.nodes[n].first = (uint32_t)p->n_edges;
        for (unsigned e = 0; e < EDGES && s->edges[e][1]; e++)
            if (s->edges[e][0] == n)
                built.next[p->n_edges++] = s->edges[e][1];
        if (p->n_edges == built.nodes[n].first && n < p->n_tiles)
            built.next[p->n_edges++] = dg_plan_end(p);
        built.nodes[n].n_next = (uint32_t)p->n_edges - built.nodes[n].first;
    }
    for (uint32_t e = 0; e < p->n_edges; e++)
        built.nodes[built.next[e]].waits++;
}

/* Tiles to joins, then joins to tiles. */
static void find_before(const struct dg_plan *p)
{
    for (int turn = 0; turn < 2; turn++)
        for (uint32_t n = 0; n < p->n_nodes; n++)
            for (uint32_t i = 0; i < built.nodes[n].n_next; i++)
                built.before[built.next[built.nodes[n].first + i]] |=
                    n < p->n_tiles ? (uint64_t)1 << n : built.before[n];
}

static UNCHECKED void build(const struct test *test)
{
    const struct shape *s = test->shape;
    struct dg_plan *p = &built.plan;

    if (built.test == test)
        return;
    memset(&built, 0, sizeof built);
    built.test = test;
    *p = (struct dg_plan){.graph = &built.graph,
                          .tiling = {.workers = test->workers},
                          .tiles = built.tiles,
                          .nodes = built.nodes,
                          .next = built.next,
                          .op_first = built.op_first,
                          .scratch_bytes = 64};
    built.graph.ops = built.ops;
    for (unsigned op = 0; op < OPS && s->ops[op]; op++) {
        built.ops[op] = (struct dg_op){
            .type = &toy_types[s->flags[op] & 3], .layer = -1, .out = &built.tensors[op]};
        built.posts = built.posts || s->flags[op] & SENDS;
        for (unsigned i = 0; i < s->ops[op]; i++, p->n_tiles++)
            built.tiles[p->n_tiles] =
                (struct dg_tile){op, s->home[p->n_tiles], {p->n_tiles, p->n_tiles + 1, 0, 1}};
        built.op_first[op + 1] = p->n_tiles;
        built.graph.n_ops++;
    }
    p->n_joins = s->joins + 1;
    p->n_nodes = p->n_tiles + p->n_joins;
    add_edges(p, s);
    find_before(p);
}

/* ---- counting ---- */

/* Of each thread: bells that it rang, and the queues that it found empty since it had a tile, a bit each. */
static struct {
    unsigned rung, empty;
} counted[PROVE_THREADS];

static UNCHECKED void ring_counted(struct dg_bell *b)
{
    counted[prove_self()].rung++;
    dg_bell_ring(b);
}

static UNCHECKED void wake_counted(struct dg_team *team, unsigned n)
{
    const unsigned before = counted[prove_self()].rung;

    dg_team_wake(team, n);
    prove_check(counted[prove_self()].rung - before <= n, "a wake for %u wakes %u", n,
                counted[prove_self()].rung - before);
}

/* Of workers: helpers are the threads after worker 0, which is the first. */
static UNCHECKED uint32_t pop_checked(struct dg_queue *q, uint32_t *at)
{
    const unsigned worker = prove_self(), queue = (unsigned)(q - job->run->queues);
    const uint32_t tile = dg_queue_pop(q, at);
    unsigned *empty = &counted[worker].empty;

    if (tile == DG_NO_TILE) {
        *empty |= 1u << queue;
        return tile;
    }
    prove_check(queue == worker || *empty >> worker & 1, "worker %u steals tile %u from queue %u",
                worker, tile, queue);
    prove_check(queue < built.test->workers || (~*empty & ((1u << queue) - 1)) == 0,
                "worker %u loads by tile %u, with other queues not seen empty", worker, tile);
    *empty = 0;
    return tile;
}

/* ---- oracles ---- */

static UNCHECKED bool ready(uint32_t t)
{
    if (job->started[t] || dg_tile_op(&built.plan, t)->type->posted)
        return false;
    for (unsigned i = 0; i < built.plan.n_tiles; i++)
        if (built.before[t] >> i & 1 && !job->done[i])
            return false;
    return true;
}

/* No thread will take a step but those in tiles, which may take for ever. */
static void quiet(const void *arg)
{
    const struct test *test = arg;

    if (!job || !job->inside || test->cancels || test->sched > DG_SCHED_DATAFLOW)
        return;
    for (uint32_t t = 0; t < built.plan.n_tiles; t++)
        for (unsigned w = 0; ready(t) && w < test->workers; w++)
            prove_check(!prove_parked(w), "worker %u is parked, and tile %u lies ready", w, t);
}

static UNCHECKED void check_queues(const struct test *test)
{
    unsigned pushes = 0;

    for (uint32_t t = 0; t < built.plan.n_tiles; t++) {
        const struct dg_op_type *type = dg_tile_op(&built.plan, t)->type;
        const uint32_t home = type->posted  ? NO_QUEUE
                              : type->loads ? test->workers
                                            : built.tiles[t].home % test->workers;

        prove_check(job->run->queue[t] == home, "tile %u goes to queue %u", t, job->run->queue[t]);
    }
    for (unsigned w = 0; w <= test->workers; w++) {
        pushes += job->run->queues[w].tail.value;
        prove_check(job->run->queues[w].head.value == job->run->queues[w].tail.value,
                    "queue %u is not empty", w);
    }
    prove_check(!test->shape->pushes || pushes == test->shape->pushes,
                "%u tiles were queued, not %u", pushes, test->shape->pushes);
}

static UNCHECKED void check_step(const struct test *test, int failed)
{
    uint32_t expected[TILES];
    bool any_fails = false, whole = true;

    for (uint32_t t = 0; t < built.plan.n_tiles; t++) {
        any_fails = any_fails || fails(t);
        expected[t] = value_of(t, job->number, expected);
        whole = whole && job->done[t];
        prove_check(job->done[t] || failed == ECANCELED, "tile %u has not run", t);
        prove_check(job->value[t] == expected[t] || failed == ECANCELED,
                    "tile %u has another value", t);
    }
    if (test->cancels)
        prove_check(failed == (whole ? 0 : ECANCELED), "the step returns %d", failed);
    else
        prove_check(failed == (any_fails ? EIO : 0), "the step returns %d", failed);
    prove_check(job->team->sleepers.value == 0, "%u sleepers are left", job->team->sleepers.value);
    for (unsigned w = 0; w < test->workers; w++)
        prove_check(job->team->list[w].asleep.value == 0, "worker %u counts as asleep", w);
    prove_check(job->team->inside.value == 0, "%u helpers inside", job->team->inside.value);
    if (test->sched <= DG_SCHED_DATAFLOW)
        check_queues(test);
}

static UNCHECKED void begin_step(void)
{
    job->number++;
    memset(job->started, 0, sizeof job->started);
    memset(job->done, 0, sizeof job->done);
    job->inside = true;
}

/* What a step before could have left, were counters not set anew by each. */
static UNCHECKED void wrap_counters(struct dg_run *run)
{
    for (uint32_t n = 0; n < built.plan.n_nodes; n++)
        run->waits[n].value = UINT32_MAX - n;
    for (unsigned w = 0; w <= run->workers; w++)
        run->queues[w].head.value = run->queues[w].tail.value = UINT32_MAX - w;
    for (uint32_t op = 0; op < built.graph.n_ops; op++)
        run->ops[op].next.value = run->ops[op].left.value = UINT32_MAX;
    run->over.value = UINT32_MAX;
    job->team->inside.value = UINT32_MAX;
}

/* ---- scenarios ---- */

static void *carry(void *arg)
{
    const struct test *test = arg;

    for (unsigned i = 0; i < test->steps; i++) {
        dg_bell_wait(&job->mail, 0);
        for (uint32_t t = 0; t < built.plan.n_tiles; t++)
            if (flags_of(t) & SENDS)
                post(sent_by(t));
    }
    return NULL;
}

static void *cancel(void *arg)
{
    dg_team_cancel(arg);
    return NULL;
}

static void steps(const void *arg)
{
    const struct test *test = arg;
    struct dg_error err;
    struct dg_thread postman, canceller;
    struct dg_trace *trace = NULL;
    unsigned cancelled = 0;

    usable = test->usable;
    build(test);
    memset(counted, 0, sizeof counted);
    job = calloc(1, sizeof *job);
    prove_check(dg_team_new(&job->team, test->workers, test->workers, &err) == DG_OK, "no team");
    prove_check(dg_run_new(&job->run, &built.plan, job->team, &err) == DG_OK, "no run");
    if (test->traced)
        prove_check(dg_trace_new(&trace, job->team, 64, &err) == DG_OK, "no trace");
    if (built.posts) {
        dg_bell_init(&job->mail);
        dg_thread_start(&postman, carry, (void *)(uintptr_t)test);
    }
    if (test->cancels)
        dg_thread_start(&canceller, cancel, job->team);
    for (unsigned i = 0; i < test->steps; i++) {
        int failed;

        begin_step();
        if (test->wraps)
            wrap_counters(job->run);
        failed = dg_run_step(job->run, &job->step, test->sched);
        job->inside = false;
        check_step(test, failed);
        cancelled += failed == ECANCELED;
    }
    if (built.posts) {
        dg_thread_join(&postman);
        dg_bell_destroy(&job->mail);
    }
    if (test->cancels)
        dg_thread_join(&canceller);
    prove_check(cancelled <= 1, "cancelled once, and %u steps ended so", cancelled);
    dg_trace_free(trace);
    dg_run_free(job->run);
    dg_team_free(job->team);
    free(job);
    job = NULL;
}

/* ---- bells and teams alone ---- */

struct ringing {
    struct dg_bell bell;
    struct dg_atomic flags[2];
    uint32_t data[2];
    unsigned ringers;
};

struct ringer {
    struct ringing *r;
    unsigned i;
};

static void *ring(void *arg)
{
    const struct ringer *self = arg;

    self->r->data[self->i] = 1;
    dg_store_relaxed(&self->r->flags[self->i], 1);
    dg_bell_ring(&self->r->bell);
    return NULL;
}

/* Rings may be heard together; none is lost, nor what was written before it. */
static void ringers(const void *arg)
{
    const unsigned n = *(const unsigned *)arg & 15;
    const uint64_t spin = *(const unsigned *)arg & 16 ? 1000 : 0;
    struct ringing *r = calloc(1, sizeof *r);
    struct ringer *self = calloc(n, sizeof *self);
    struct dg_thread t[2];

    prove_check(dg_bell_init(&r->bell), "no bell");
    for (unsigned i = 0; i < n; i++) {
        self[i] = (struct ringer){r, i};
        dg_thread_start(&t[i], ring, &self[i]);
    }
    for (;;) {
        unsigned heard = 0;

        dg_bell_wait(&r->bell, spin);
        for (unsigned i = 0; i < n; i++)
            heard += dg_load_relaxed(&r->flags[i]);
        if (heard == n)
            break;
    }
    if (n == 1)
        prove_check(r->data[0] == 1, "heard, and not written");
    for (unsigned i = 0; i < n; i++)
        dg_thread_join(&t[i]);
    dg_bell_destroy(&r->bell);
    free(self);
    free(r);
}

struct tally {
    uint32_t turns[4];
};

static void count_turn(void *arg, unsigned worker)
{
    struct tally *t = arg;

    t->turns[worker]++;
}

/* A team of three for two jobs. What may fail does so in some schedules: then there are fewer workers, or
 * there is no team, and nothing is left. */
static void team(const void *arg)
{
    struct tally *t = calloc(1, sizeof *t);
    struct dg_team *made = NULL;
    struct dg_error err;

    usable = *(const unsigned *)arg;
    if (dg_team_new(&made, 3, 3, &err) == DG_OK) {
        for (unsigned i = 1; i <= 2; i++) {
            dg_team_run(made, count_turn, t);
            for (unsigned w = 0; w < dg_team_workers(made); w++)
                prove_check(t->turns[w] == i, "worker %u: %u turns, not %u", w, t->turns[w], i);
        }
        dg_team_free(made);
    }
    free(t);
}

/* Two threads use a team of two by turns; each job finds what the one before left. */
struct sharing {
    struct dg_team *team;
    struct tally tally;
    uint32_t jobs; /* plain: whose turn it is may */
};

static void share(struct sharing *s)
{
    struct dg_error err;

    prove_check(dg_team_enter(s->team, &err) == DG_OK, "not entered");
    s->jobs++;
    dg_team_run(s->team, count_turn, &s->tally);
    for (unsigned w = 0; w < 2; w++)
        prove_check(s->tally.turns[w] == s->jobs, "worker %u: %u turns, not %u", w,
                    s->tally.turns[w], s->jobs);
    prove_check(dg_team_enter(s->team, &err) == DG_ERR_USAGE, "entered twice");
    dg_team_leave(s->team);
    dg_team_free(s->team);
}

static void *share_too(void *arg)
{
    share(arg);
    return NULL;
}

static void turns(const void *arg)
{
    struct sharing *s = calloc(1, sizeof *s);
    struct dg_thread other;
    struct dg_error err;

    usable = *(const unsigned *)arg;
    prove_check(dg_team_new(&s->team, 2, 2, &err) == DG_OK, "no team");
    dg_team_hold(s->team);
    (void)dg_thread_start(&other, share_too, s);
    share(s);
    dg_thread_join(&other);
    free(s);
}

/* Two workers hand a turn on by waking all, and the others doze and look in vain: what they wait for is the
 * end. A wake that takes down one of those must not hide a sleeper whose turn it is. */
struct handing {
    struct dg_team *team;
    uint32_t end;
    struct dg_atomic turn;
    uint32_t last; /* plain: who has the turn may */
};

static void await_turn(struct handing *h, unsigned worker, uint32_t first)
{
    for (;;) {
        dg_team_doze(h->team, worker);
        if (dg_load_acquire(&h->turn) >= first)
            break;
        dg_team_sleep(h->team, worker);
    }
    dg_team_rise(h->team, worker);
}

static void hand_on(void *arg, unsigned worker)
{
    struct handing *h = arg;

    for (uint32_t mine = worker; worker < 2 && mine < h->end; mine += 2) {
        await_turn(h, worker, mine);
        prove_check(h->last == mine, "turn %u comes after %u turns", mine, h->last);
        h->last = mine + 1;
        dg_store_release(&h->turn, mine + 1);
        dg_team_wake(h->team, dg_team_awake(h->team));
    }
    await_turn(h, worker, h->end);
}

static void handing(const void *arg)
{
    const unsigned workers = *(const unsigned *)arg;
    struct handing *h = calloc(1, sizeof *h);
    struct dg_error err;

    usable = 1;
    h->end = 4;
    prove_check(dg_team_new(&h->team, workers, workers, &err) == DG_OK, "no team");
    dg_team_run(h->team, hand_on, h);
    prove_check(h->last == h->end, "%u turns", h->last);
    dg_team_free(h->team);
    free(h);
}

/* ---- the plans ---- */

static const struct shape empty = {.ops = {0}};
static const struct shape chain = {.pushes = 1, .ops = {1, 1, 1}, .edges = {{0, 1}, {1, 2}}};
static const struct shape diamond = {
    .pushes = 2, .ops = {1, 2, 1}, .home = {0, 1, 0, 1}, .edges = {{0, 1}, {0, 2}, {1, 3}, {2, 3}}};
/* Two tiles that each make two more ready for one queue: two pushers. */
static const struct shape pushers = {.pushes = 4,
                                     .ops = {2, 4},
                                     .home = {0, 1, 2, 2, 2, 2},
                                     .edges = {{0, 2}, {0, 3}, {1, 4}, {1, 5}}};
/* Two tiles meet in a join, which three more wait for. */
static const struct shape meeting = {.pushes = 4,
                                     .ops = {2, 3},
                                     .joins = 1,
                                     .home = {0, 1, 0, 1, 0},
                                     .edges = {{0, 5}, {1, 5}, {5, 2}, {5, 3}, {5, 4}}};
/* Tiles of one queue that lead to two joins, in turn. */
static const struct shape two_joins = {.ops = {4, 2},
                                       .pushes = 4,
                                       .joins = 2,
                                       .edges = {{0, 6}, {1, 7}, {2, 6}, {3, 7}, {6, 4}, {7, 5}}};
static const struct shape layers = {
    .pushes = 4,
    .ops = {2, 2, 2},
    .joins = 2,
    .home = {0, 1, 0, 1, 0, 1},
    .edges = {{0, 6}, {1, 6}, {6, 2}, {6, 3}, {2, 7}, {3, 7}, {7, 4}, {7, 5}}};
static const struct shape sources = {.pushes = 6, .ops = {6}, .home = {0, 0, 1, 1, 2, 2}};
static const struct shape two_sources = {.ops = {2}, .home = {1, 1}};
static const struct shape three_sources = {.ops = {3}, .pushes = 3, .home = {1, 1, 1}};
static const struct shape loading = {.ops = {1, 2, 2},
                                     .flags = {0, LOADS, 0},
                                     .home = {0, 0, 1, 1, 0},
                                     .edges = {{0, 1}, {0, 2}, {1, 3}, {2, 4}}};
static const struct shape posted = {.ops = {1, 1, 2},
                                    .flags = {SENDS, POSTED, 0},
                                    .home = {0, 0, 1, 0},
                                    .edges = {{0, 1}, {1, 2}, {1, 3}}};
static const struct shape posting = {.ops = {1, 1, 2},
                                     .flags = {POSTS, POSTED, 0},
                                     .home = {0, 0, 1, 0},
                                     .edges = {{0, 1}, {1, 2}, {1, 3}}};
static const struct shape failing = {
    .ops = {1, 2}, .flags = {0, FAILS}, .home = {0, 1, 0}, .edges = {{0, 1}, {0, 2}}};
static const struct shape wide = {.pushes = 6,
                                  .ops = {1, 6, 1},
                                  .joins = 1,
                                  .home = {0, 0, 0, 1, 1, 2, 2, 0},
                                  .edges = {{0, 1},
                                            {0, 2},
                                            {0, 3},
                                            {0, 4},
                                            {0, 5},
                                            {0, 6},
                                            {1, 8},
                                            {2, 8},
                                            {3, 8},
                                            {4, 8},
                                            {5, 8},
                                            {6, 8},
                                            {8, 7}}};
/* More tiles for one queue than a worker pushes at once. */
static const struct shape fan = {
    .pushes = 34,
    .ops = {1, 34},
    .edges = {{0, 1},  {0, 2},  {0, 3},  {0, 4},  {0, 5},  {0, 6},  {0, 7},  {0, 8},  {0, 9},
              {0, 10}, {0, 11}, {0, 12}, {0, 13}, {0, 14}, {0, 15}, {0, 16}, {0, 17}, {0, 18},
              {0, 19}, {0, 20}, {0, 21}, {0, 22}, {0, 23}, {0, 24}, {0, 25}, {0, 26}, {0, 27},
              {0, 28}, {0, 29}, {0, 30}, {0, 31}, {0, 32}, {0, 33}, {0, 34}}};
static const struct shape grid = {.ops = {3, 3, 3},
                                  .home = {0, 1, 2, 0, 1, 2, 0, 1, 2},
                                  .edges = {{0, 3},
                                            {1, 3},
                                            {1, 4},
                                            {2, 4},
                                            {2, 5},
                                            {0, 5},
                                            {3, 6},
                                            {4, 6},
                                            {4, 7},
                                            {5, 7},
                                            {5, 8},
                                            {3, 8}}};

#define STEPS(text, s, w, cpus, all, ...)                                                          \
    {                                                                                              \
        .name = text, .body = steps, .quiet = quiet, .exhaust = all, .arg = &(const struct test)   \
        {                                                                                          \
            .shape = &s, .workers = w, .usable = cpus, __VA_ARGS__                                 \
        }                                                                                          \
    }

const struct prove_scenario prove_runtime[] = {
    {.name = "bell, one ringer",
     .body = ringers,
     .arg = &(const unsigned){1},
     .exhaust = true,
     .spurious = 1},
    {.name = "bell, two ringers",
     .body = ringers,
     .arg = &(const unsigned){2},
     .exhaust = true,
     .spurious = 1},
    {.name = "bell, two ringers, spins", .body = ringers, .arg = &(const unsigned){2 + 16}},
    {.name = "team of 3", .body = team, .arg = &(const unsigned){1}, .exhaust = true},
    {.name = "team of 3, refusals",
     .body = team,
     .arg = &(const unsigned){1},
     .exhaust = true,
     .may_fail = 1},
    {.name = "team of 3, spins", .body = team, .arg = &(const unsigned){3}, .spurious = 1},
    {.name = "team of 2, by turns", .body = turns, .arg = &(const unsigned){1}, .exhaust = true},
    {.name = "team of 2, by turns, spins",
     .body = turns,
     .arg = &(const unsigned){2},
     .spurious = 1},
    {.name = "handing on, 2 workers",
     .body = handing,
     .arg = &(const unsigned){2},
     .exhaust = true},
    {.name = "handing on, 3 workers",
     .body = handing,
     .arg = &(const unsigned){3},
     .exhaust = true},
    {.name = "handing on, 4 workers", .body = handing, .arg = &(const unsigned){4}},
    STEPS("empty, 2 workers, 2 steps", empty, 2, 1, true, .steps = 2),
    STEPS("chain of 3, 2 workers", chain, 2, 1, true, .steps = 1),
    STEPS("diamond, 2 workers", diamond, 2, 1, true, .steps = 1),
    STEPS("diamond, 2 workers, 2 steps", diamond, 2, 1, true, .steps = 2),
    STEPS("diamond, 3 workers", diamond, 3, 1, true, .steps = 1),
    STEPS("meeting in a join, 2 workers", meeting, 2, 1, true, .steps = 1),
    STEPS("meeting in a join, 3 workers", meeting, 3, 1, true, .steps = 1),
    STEPS("two joins, 2 workers, 2 steps", two_joins, 2, 1, true, .steps = 2),
    STEPS("counters near wrap, 2 workers, 2 steps", two_joins, 2, 1, true, .steps = 2,
          .wraps = true),
    STEPS("counters near wrap, barrier, 3 workers, 2 steps", layers, 3, 1, false, .steps = 2,
          .wraps = true, .sched = DG_SCHED_BARRIER),
    STEPS("pushers, 2 workers", pushers, 2, 1, true, .steps = 1),
    STEPS("pushers, 3 workers, 2 steps", pushers, 3, 1, false, .steps = 2),
    STEPS("pushers, 4 workers, 2 steps", pushers, 4, 1, false, .steps = 2),
    STEPS("two sources of one queue, 2 workers", two_sources, 2, 1, true, .steps = 1),
    STEPS("two sources of one queue, 3 workers", two_sources, 3, 1, true, .steps = 1),
    STEPS("three sources of one queue, 2 workers", three_sources, 2, 1, true, .steps = 1),
    STEPS("sources everywhere, 3 workers, 2 steps", sources, 3, 1, false, .steps = 2),
    STEPS("layers, 2 workers", layers, 2, 1, true, .steps = 1),
    STEPS("layers, 3 workers, 2 steps", layers, 3, 1, false, .steps = 2),
    STEPS("layers, 3 workers, 2 steps, spins", layers, 3, 3, false, .steps = 2),
    STEPS("grid, 3 workers, 2 steps", grid, 3, 1, false, .steps = 2),
    STEPS("grid, 4 workers, 2 steps, spins", grid, 4, 4, false, .steps = 2),
    STEPS("wide, 3 workers, 2 steps", wide, 3, 1, false, .steps = 2),
    STEPS("fan of 34, 2 workers, 2 steps", fan, 2, 1, false, .steps = 2),
    STEPS("loading, 3 workers, 2 steps", loading, 3, 1, false, .steps = 2),
    STEPS("posted from outside, 2 workers", posted, 2, 1, true, .steps = 1),
    STEPS("posted from outside, 3 workers, 2 steps", posted, 3, 1, false, .steps = 2),
    STEPS("posted by a tile, 3 workers, 2 steps", posting, 3, 1, false, .steps = 2),
    STEPS("failing tiles, 3 workers, 2 steps", failing, 3, 1, false, .steps = 2),
    STEPS("traced layers, 3 workers, 2 steps", layers, 3, 1, false, .steps = 2, .traced = true),
    STEPS("cancelled chain, 2 workers", chain, 2, 1, true, .steps = 1, .cancels = true),
    STEPS("cancelled layers, 3 workers, 2 steps", layers, 3, 1, false, .steps = 2, .cancels = true),
    STEPS("cancelled barrier, 3 workers, 2 steps", layers, 3, 1, false, .steps = 2, .cancels = true,
          .sched = DG_SCHED_BARRIER),
    STEPS("barrier, layers, 2 workers", layers, 2, 1, true, .steps = 1, .sched = DG_SCHED_BARRIER),
    STEPS("barrier, layers, 3 workers, 2 steps", layers, 3, 1, false, .steps = 2,
          .sched = DG_SCHED_BARRIER),
    STEPS("barrier, posted, 3 workers, 2 steps", posted, 3, 1, false, .steps = 2,
          .sched = DG_SCHED_BARRIER),
    STEPS("serial, posted, 2 workers, 2 steps", posted, 2, 1, false, .steps = 2,
          .sched = DG_SCHED_SERIAL),
    {0},
};
