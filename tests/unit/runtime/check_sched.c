/* src/runtime/sched.c: every tile once, after all that it waits for, on any number of workers.
 *
 * The graphs are made of one type of op whose tiles hash: each element written depends on its
 * place, on the number of the step, and on every element of the boxes that the tile reads. A tile
 * that runs too early reads what the step before left there, and the hash of all that follow it
 * differs from what the test itself computes in plan order.
 *
 * Counters here are relaxed, and values, scratch and plans are plain: the scheduler alone orders
 * them, so that ThreadSanitizer sees whether it does. A lost tile or wake is a hang, and
 * tests/support/progress.h ends it. */
#include "../../support/stalls.h"
#include "../../support/support.h"
#include "../../../src/base/arena.h"
#include "../../../src/base/checked.h"
#include "../../../src/graph/plan_check.h"
#include "../../../src/runtime/sched.h"
#include "../../../src/runtime/team.h"
#include "../../../src/runtime/trace.h"
#include <sync.h>

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- a type of op ---- */

enum reading { SAME, ROWS, ALL, RANDOM }; /* the box of each input that a tile reads */

struct world;
struct mail;

/* What dg_op.source of a toy op points to. */
struct toy {
    struct world *world;
    uint32_t index; /* of the op */
    struct dg_cut cut;
    enum reading reading;
    bool sends; /* each tile has those at its place in the next two ops, which are posted, posted */
};

struct shape {
    uint32_t rows, cols;
};

struct world {
    struct dg_arena *arena;
    struct dg_graph *graph;
    struct dg_plan *plan;
    struct toy *toys;
    uint32_t *values, *expected; /* [n_values] of all tensors together */
    size_t n_values, room;
    uint32_t past;      /* the number of the step */
    struct dg_run *run; /* that runs it */

    /* How tiles behave, set between steps. */
    enum dg_sched sched;
    bool slow;           /* some take longer, some sleep */
    uint32_t meet;       /* > 0: the tiles of an op of that many wait for each other */
    uint32_t fail_every; /* > 0: every so many tiles return an errno value */
    int post_fails;      /* what posts say */
    uint32_t cancel_at;  /* the tile, of no posted op, that cancels `team`; DG_NO_TILE: none */
    struct dg_team *team;
    struct mail *mail; /* who posts; NULL: the tiles themselves */

    /* What they saw. */
    struct dg_atomic *ran;      /* [n_tiles] in this step */
    struct dg_atomic *arrived;  /* [n_ops] tiles started in this step */
    struct dg_atomic done;      /* tiles finished in this step */
    struct dg_atomic early;     /* barrier: tiles that started before an earlier op was finished */
    struct dg_atomic misplaced; /* scratch that was not this worker's own, or not aligned */
    struct dg_atomic strangers; /* serial: tiles that did not run on the caller */
    pthread_t caller;
};

/* The start of a worker's scratch; zeroed when it is new. The owner is the kernel's: pthread_self() is read through
 * %gs, of which qemu-i386 gives a thread another's once a signal was handled (its threads share a table). */
struct scratch {
    pid_t owner;
    bool owned;
    struct dg_atomic users; /* 1 while a tile runs */
    uint32_t marks[60];
};

static uint32_t mix(uint32_t hash, uint32_t value)
{
    hash = (hash ^ value) * 0x9e3779b1u;
    return hash ^ hash >> 15;
}

static struct toy *toy_of(const struct dg_op *op)
{
    return (struct toy *)(uintptr_t)op->source; /* source is const for ops that load */
}

static uint32_t *at(const struct dg_tensor *t, uint32_t row, uint32_t col)
{
    return (uint32_t *)t->data + (size_t)row * t->cols + col;
}

static enum dg_status toy_check(const struct dg_op *op, struct dg_error *err)
{
    return op->source ? DG_OK : dg_fail(err, DG_ERR_USAGE, "not a toy");
}

static struct dg_cut toy_split(const struct dg_op *op, const struct dg_tiling *tiling)
{
    (void)tiling;
    return toy_of(op)->cut;
}

/* A range of 0 ... n - 1 that is not empty, near r0 ... r1 - 1. */
static void clamp(uint32_t *r0, uint32_t *r1, uint32_t n)
{
    if (*r0 >= n)
        *r0 = n - 1;
    if (*r1 > n)
        *r1 = n;
    if (*r1 <= *r0)
        *r1 = *r0 + 1;
}

static struct dg_box toy_reads(const struct dg_op *op, unsigned i, struct dg_box out)
{
    const struct dg_tensor *in = op->in[i];
    const enum reading reading = toy_of(op)->reading;
    uint64_t state = (uint64_t)out.r0 << 40 ^ (uint64_t)out.c0 << 16 ^ toy_of(op)->index << 3 ^ i;

    if (reading == RANDOM) {
        out.r0 = random_below(&state, in->rows);
        out.r1 = out.r0 + 1 + random_below(&state, 3);
        out.c0 = random_below(&state, in->cols);
        out.c1 = out.c0 + 1 + random_below(&state, in->cols);
    }
    if (reading == ALL)
        out = (struct dg_box){0, in->rows, 0, in->cols};
    if (reading == ROWS) {
        out.c0 = 0;
        out.c1 = in->cols;
    }
    clamp(&out.r0, &out.r1, in->rows);
    clamp(&out.c0, &out.c1, in->cols);
    return out;
}

static struct dg_cost toy_cost(const struct dg_op *op, struct dg_box out, uint32_t past)
{
    (void)op;
    (void)past;
    return (struct dg_cost){dg_box_area(out), 4 * dg_box_area(out)};
}

static uint64_t toy_scratch(const struct dg_op *op, struct dg_cut cut)
{
    (void)op;
    (void)cut;
    return sizeof(struct scratch);
}

static uint32_t tile_index(const struct dg_op *op, struct dg_box out)
{
    const struct toy *toy = toy_of(op);
    const uint32_t across = (uint32_t)dg_div_up(op->out->cols, toy->cut.cols);

    return toy->world->plan->op_first[toy->index] + out.r0 / toy->cut.rows * across +
           out.c0 / toy->cut.cols;
}

static void compute(const struct dg_op *op, struct dg_box out, uint32_t past)
{
    uint32_t hash = mix(toy_of(op)->index, past);

    for (unsigned i = 0; i < op->n_in; i++) {
        const struct dg_box in = toy_reads(op, i, out);

        for (uint32_t r = in.r0; r < in.r1; r++)
            for (uint32_t c = in.c0; c < in.c1; c++)
                hash = mix(hash, *at(op->in[i], r, c));
    }
    for (uint32_t r = out.r0; r < out.r1; r++)
        for (uint32_t c = out.c0; c < out.c1; c++)
            *at(op->out, r, c) = mix(mix(hash, r), c);
}

/* One tile in 8 takes some microseconds, one in 32 sleeps for longer than workers spin. */
static void be_slow(uint32_t tile, uint32_t past)
{
    uint64_t state = (uint64_t)past << 32 | tile;
    const uint32_t kind = random_below(&state, 32);

    if (kind == 0)
        usleep(60 + random_below(&state, 60));
    else if (kind < 5)
        for (uint32_t n = random_below(&state, 500); n > 0; n--)
            dg_pause();
}

/* Holds the tile until all tiles of its op have started: each needs a worker of its own. */
static void await_others(struct world *w, uint32_t op)
{
    const uint32_t n = w->plan->op_first[op + 1] - w->plan->op_first[op];

    if (w->meet > 0 && n == w->meet)
        while (dg_load_relaxed(&w->arrived[op]) < n)
            sched_yield();
}

/* What the tiles of a worker have in common is their thread and their scratch, and no two of them
 * run at a time. */
static void enter_scratch(struct world *w, struct scratch *s, uint32_t tile)
{
    if ((uintptr_t)s % 64 != 0 || dg_add_relaxed(&s->users, 1) != 0 ||
        (s->owned && s->owner != gettid()))
        dg_add_relaxed(&w->misplaced, 1);
    s->owned = true;
    s->owner = gettid();
    for (size_t i = 0; i < sizeof s->marks / sizeof *s->marks; i++)
        s->marks[i] = tile;
}

static void leave_scratch(struct world *w, struct scratch *s, uint32_t tile)
{
    for (size_t i = 0; i < sizeof s->marks / sizeof *s->marks; i++)
        if (s->marks[i] != tile)
            dg_add_relaxed(&w->misplaced, 1);
    dg_add_relaxed(&s->users, UINT32_MAX);
}

static bool fails(const struct world *w, uint32_t tile)
{
    return w->fail_every > 0 && tile % w->fail_every == w->fail_every - 1;
}

/* ---- posts ---- */

enum { PLACES = 64, POSTMEN = 2 };

/* What is to be posted, by threads outside the team. */
struct mail {
    struct world *world;
    struct dg_mutex mutex;
    struct dg_condition sent;
    uint32_t op[PLACES], place[PLACES], n;
    bool over;
    struct dg_thread postmen[POSTMEN];
};

/* Writes the tiles at that place in ops op + 1 and op + 2, of which the second reads the first, and
 * posts them, the second first. */
static void post(struct world *w, uint32_t op, uint32_t place)
{
    for (uint32_t k = 1; k <= 2; k++) {
        const uint32_t tile = w->plan->op_first[op + k] + place;

        compute(dg_tile_op(w->plan, tile), w->plan->tiles[tile].out, w->past);
        dg_add_relaxed(&w->ran[tile], 1);
        dg_add_relaxed(&w->done, 1);
    }
    for (uint32_t k = 2; k >= 1; k--)
        dg_run_post(w->run, w->plan->op_first[op + k] + place, w->post_fails);
}

static void send(struct world *w, uint32_t op, uint32_t place)
{
    struct mail *m = w->mail;

    if (!m) {
        post(w, op, place);
        return;
    }
    dg_mutex_lock(&m->mutex);
    m->op[m->n] = op;
    m->place[m->n++] = place;
    dg_condition_signal(&m->sent);
    dg_mutex_unlock(&m->mutex);
}

/* Posts what is sent, in some steps so late that all workers are asleep. */
static void *carry(void *arg)
{
    struct mail *m = arg;

    for (;;) {
        uint32_t op = 0, place = 0;
        bool found;

        dg_mutex_lock(&m->mutex);
        while (m->n == 0 && !m->over)
            dg_condition_wait(&m->sent, &m->mutex);
        found = m->n > 0;
        if (found) {
            op = m->op[--m->n];
            place = m->place[m->n];
        } else {
            dg_condition_signal(&m->sent); /* for the next postman */
        }
        dg_mutex_unlock(&m->mutex);
        if (!found)
            return NULL;
        if (m->world->slow)
            usleep(150);
        post(m->world, op, place);
    }
}

static void open_mail(struct mail *m, struct world *w)
{
    *m = (struct mail){.world = w};
    ck_assert(dg_mutex_init(&m->mutex) && dg_condition_init(&m->sent));
    for (int i = 0; i < POSTMEN; i++)
        ck_assert(dg_thread_start(&m->postmen[i], carry, m));
    w->mail = m;
}

static void close_mail(struct mail *m)
{
    dg_mutex_lock(&m->mutex);
    m->over = true;
    dg_condition_signal(&m->sent);
    dg_mutex_unlock(&m->mutex);
    for (int i = 0; i < POSTMEN; i++)
        dg_thread_join(&m->postmen[i]);
    dg_condition_destroy(&m->sent);
    dg_mutex_destroy(&m->mutex);
    m->world->mail = NULL;
}

/* ---- the types of op ---- */

static int toy_run(const struct dg_op *op, struct dg_box out, const struct dg_step *step,
                   void *scratch)
{
    const uint32_t tile = tile_index(op, out), index = toy_of(op)->index;
    struct world *w = toy_of(op)->world;

    enter_scratch(w, scratch, tile);
    if (w->sched == DG_SCHED_BARRIER && dg_load_relaxed(&w->done) < w->plan->op_first[index])
        dg_add_relaxed(&w->early, 1);
    if (w->sched == DG_SCHED_SERIAL && !pthread_equal(w->caller, pthread_self()))
        dg_add_relaxed(&w->strangers, 1);
    dg_add_relaxed(&w->arrived[index], 1);
    if (tile == w->cancel_at)
        dg_team_cancel(w->team);
    if (w->sched != DG_SCHED_SERIAL)
        await_others(w, index);
    if (w->slow)
        be_slow(tile, dg_step_past(step));
    compute(op, out, dg_step_past(step));
    if (toy_of(op)->sends)
        send(w, index, tile - w->plan->op_first[index]);
    dg_add_relaxed(&w->ran[tile], 1);
    dg_add_relaxed(&w->done, 1);
    leave_scratch(w, scratch, tile);
    return fails(w, tile) ? ENOSPC : 0;
}

static const struct dg_op_type toy_type = {
    .name = "toy",
    .check = toy_check,
    .split = toy_split,
    .reads = toy_reads,
    .cost = toy_cost,
    .scratch = toy_scratch,
    .run = toy_run,
};

static const struct dg_op_type posted_type = {
    .name = "posted",
    .posted = true,
    .check = toy_check,
    .split = toy_split,
    .reads = toy_reads,
    .cost = toy_cost,
};

/* ---- a graph of them ---- */

static void open_world(struct world *w, unsigned max_ops, size_t max_values)
{
    struct dg_error err = {0};

    *w = (struct world){.room = max_values, .caller = pthread_self(), .cancel_at = DG_NO_TILE};
    w->arena = dg_arena_new();
    ck_assert_ptr_nonnull(w->arena);
    ck_assert_int_eq(dg_graph_new(&w->graph, max_ops, max_ops, &err), DG_OK);
    w->toys = dg_arena_array(w->arena, max_ops, sizeof *w->toys);
    w->values = dg_arena_array(w->arena, max_values, sizeof *w->values);
    w->expected = dg_arena_array(w->arena, max_values, sizeof *w->expected);
    w->arrived = dg_arena_array(w->arena, max_ops, sizeof *w->arrived);
    ck_assert(w->toys && w->values && w->expected && w->arrived);
}

static void close_world(struct world *w)
{
    free(w->ran);
    dg_plan_free(w->plan);
    dg_graph_free(w->graph);
    dg_arena_free(w->arena);
}

/* Adds an op without inputs. Its output has the role of a weight, so that the plan lays no other
 * tensor over it: after a step all values are there to be compared. */
static struct dg_op *add_op(struct world *w, struct shape shape, struct dg_cut cut,
                            enum reading reading)
{
    struct toy *toy = &w->toys[w->graph->n_ops];
    struct dg_tensor t = {.role = DG_WEIGHT, .dtype = DG_I32};
    struct dg_op op = {.type = &toy_type, .layer = -1, .source = toy};

    *toy = (struct toy){w, w->graph->n_ops, cut, reading, false};
    t.rows = shape.rows;
    t.cols = shape.cols;
    t.data = w->values + w->n_values;
    w->n_values += (size_t)shape.rows * shape.cols;
    ck_assert_uint_le(w->n_values, w->room);
    op.out = dg_graph_tensor(w->graph, t);
    return dg_graph_op(w->graph, op);
}

static void add_input(struct dg_op *op, const struct dg_op *from)
{
    op->in[op->n_in++] = from->out;
}

/* The plan for a team of so many workers. Proved where that takes no time. */
static void make_plan(struct world *w, unsigned workers)
{
    const struct dg_tiling tiling = {.workers = workers};
    struct dg_plan_proof proof;
    struct dg_error err = {0};

    dg_plan_free(w->plan);
    w->plan = NULL;
    ck_assert_msg(dg_graph_check(w->graph, &err) == DG_OK, "%s", err.text);
    ck_assert_msg(dg_plan_new(&w->plan, w->graph, &tiling, &err) == DG_OK, "%s", err.text);
    if (w->plan->n_tiles < 400)
        ck_assert_msg(dg_plan_check(w->plan, &proof, &err) == DG_OK, "%s", err.text);
    free(w->ran);
    w->ran = calloc(w->plan->n_tiles, sizeof *w->ran);
    ck_assert_ptr_nonnull(w->ran);
}

/* ---- steps ---- */

/* What the next step should give, to expected[]. */
static void expect(struct world *w)
{
    for (uint32_t t = 0; t < w->plan->n_tiles; t++)
        compute(dg_tile_op(w->plan, t), w->plan->tiles[t].out, w->past);
    memcpy(w->expected, w->values, w->n_values * sizeof *w->values);
}

/* Clears the counters, and makes all values those of no step. */
static void forget(struct world *w)
{
    memset(w->values, 0xee, w->n_values * sizeof *w->values);
    for (uint32_t t = 0; t < w->plan->n_tiles; t++)
        dg_store_relaxed(&w->ran[t], 0);
    for (uint32_t i = 0; i < w->graph->n_ops; i++)
        dg_store_relaxed(&w->arrived[i], 0);
    dg_store_relaxed(&w->done, 0);
}

static void check_step(const struct world *w)
{
    for (uint32_t t = 0; t < w->plan->n_tiles; t++)
        if (dg_load_relaxed(&w->ran[t]) != 1)
            ck_abort_msg("tile %u ran %u times", t, dg_load_relaxed(&w->ran[t]));
    for (size_t i = 0; i < w->n_values; i++)
        if (w->values[i] != w->expected[i])
            ck_abort_msg("step %u: value %zu: got %08x, expected %08x", w->past, i, w->values[i],
                         w->expected[i]);
    ck_assert_uint_eq(dg_load_relaxed(&w->early), 0);
    ck_assert_uint_eq(dg_load_relaxed(&w->misplaced), 0);
    ck_assert_uint_eq(dg_load_relaxed(&w->strangers), 0);
}

static int run_step(struct world *w, struct dg_run *run, enum dg_sched sched)
{
    const struct dg_row row = {.position = ++w->past};
    const struct dg_step s = {.row = &row, .rows = 1};

    w->sched = sched;
    w->run = run;
    expect(w);
    forget(w);
    return dg_run_step(run, &s, sched);
}

static int step(struct world *w, struct dg_run *run, enum dg_sched sched)
{
    const int failed = run_step(w, run, sched);

    check_step(w);
    return failed;
}

/* ---- teams ---- */

/* Workers and how many of them may be awake. Those above the number of CPUs never spin. */
static const struct {
    unsigned workers, cpus;
} teams[] = {{1, 1}, {2, 2}, {3, 3}, {4, 4}, {7, 7}, {16, 16}, {4, 2}};

enum { N_TEAMS = sizeof teams / sizeof *teams };

static struct dg_team *new_team(unsigned i)
{
    struct dg_error err = {0};
    struct dg_team *team = NULL;

    ck_assert_msg(dg_team_new(&team, teams[i].workers, teams[i].cpus, &err) == DG_OK, "%s",
                  err.text);
    return team;
}

static struct dg_run *new_run(const struct world *w, struct dg_team *team)
{
    struct dg_error err = {0};
    struct dg_run *run = NULL;

    ck_assert_msg(dg_run_new(&run, w->plan, team, &err) == DG_OK, "%s", err.text);
    return run;
}

/* So many steps of each schedule, by turns, on one team. The plan is cut for all workers, awake or
 * not: homes beyond the awake ones are wrapped. */
static void run_on_team(struct world *w, unsigned i, unsigned steps)
{
    struct dg_team *team = new_team(i);
    struct dg_run *run;

    make_plan(w, teams[i].workers);
    run = new_run(w, team);
    for (unsigned k = 0; k < steps * DG_N_SCHED; k++)
        ck_assert_int_eq(step(w, run, (enum dg_sched)(k % DG_N_SCHED)), 0);
    dg_run_free(run);
    dg_team_free(team);
}

static void run_on_all(struct world *w, unsigned steps)
{
    for (unsigned i = 0; i < N_TEAMS; i++)
        run_on_team(w, i, steps);
}

/* ---- the graphs ---- */

static const struct shape one = {1, 1};
static const struct dg_cut single = {1, 1};

/* A source, `wide` tiles each on two sides that read it, and a sink that reads both sides. */
static void open_diamond(struct world *w, uint32_t wide)
{
    const struct shape side = {1, wide};
    struct dg_op *source, *left, *right, *sink;

    open_world(w, 4, 2 * wide + 2);
    source = add_op(w, one, single, SAME);
    left = add_op(w, side, single, ALL);
    right = add_op(w, side, single, ALL);
    sink = add_op(w, one, single, ALL);
    add_input(left, source);
    add_input(right, source);
    add_input(sink, left);
    add_input(sink, right);
}

START_TEST(diamond)
{
    for (uint32_t wide = 1; wide <= 9; wide += 4) {
        struct world w;

        open_diamond(&w, wide);
        run_on_all(&w, sanitized() ? 60 : 200);
        close_world(&w);
    }
}
END_TEST

/* n ops of which each reads the one before: tiles in a row, several rows side by side, or layers. */
static void open_chain(struct world *w, uint32_t n, struct shape shape, struct dg_cut cut,
                       enum reading reading)
{
    struct dg_op *last, *op;

    open_world(w, n, (size_t)n * shape.rows * shape.cols);
    last = add_op(w, shape, cut, reading);
    for (uint32_t i = 1; i < n; i++) {
        op = add_op(w, shape, cut, reading);
        add_input(op, last);
        last = op;
    }
}

START_TEST(chain)
{
    struct world w;

    open_chain(&w, 2000, one, single, SAME);
    run_on_all(&w, 1);
    close_world(&w);
}
END_TEST

/* Rows that do not meet: each is a chain of its own, and has a home of its own. */
START_TEST(side_by_side)
{
    const struct shape shape = {12, 3};
    struct world w;

    open_chain(&w, 60, shape, (struct dg_cut){1, 3}, SAME);
    run_on_all(&w, sanitized() ? 3 : 12);
    close_world(&w);
}
END_TEST

static void open_fan(struct world *w, uint32_t wide)
{
    const struct shape shape = {1, wide};
    struct dg_op *source, *fan, *sink;

    open_world(w, 3, wide + 2);
    source = add_op(w, one, single, SAME);
    fan = add_op(w, shape, single, ALL);
    sink = add_op(w, one, single, ALL);
    add_input(fan, source);
    add_input(sink, fan);
}

START_TEST(fan)
{
    struct world w;

    open_fan(&w, 10000);
    run_on_all(&w, sanitized() ? 1 : 3);
    close_world(&w);
}
END_TEST

/* Layers of so many tiles, each tile reading the whole layer before: a join between any two. */
static void open_layers(struct world *w, uint32_t layers, uint32_t wide)
{
    const struct shape shape = {1, 4 * wide};

    open_chain(w, layers, shape, (struct dg_cut){1, 4}, ALL);
}

START_TEST(layers)
{
    struct world w;

    open_layers(&w, 120, 16);
    run_on_all(&w, sanitized() ? 1 : 4);
    ck_assert_uint_eq(w.plan->n_tiles, 120 * 16);
    ck_assert_uint_eq(w.plan->n_joins, 119 + 1);
    close_world(&w);
}
END_TEST

static void open_random(struct world *w, uint64_t seed)
{
    uint64_t state = seed;
    const uint32_t n = 2 + random_below(&state, 24);

    open_world(w, n, (size_t)n * 10 * 24);
    for (uint32_t i = 0; i < n; i++) {
        const struct shape shape = {1 + random_below(&state, 10), 1 + random_below(&state, 24)};
        const struct dg_cut cut = {1 + random_below(&state, 4), 1 + random_below(&state, 12)};
        struct dg_op *op = add_op(w, shape, cut, (enum reading)random_below(&state, 4));

        for (uint32_t k = random_below(&state, i < DG_MAX_IN ? i + 1 : DG_MAX_IN + 1); k > 0; k--)
            add_input(op, &w->graph->ops[random_below(&state, i)]);
    }
}

/* Graphs of 2 to 25 ops with 0 to 5 inputs, any of them the same, and cuts and boxes of all kinds:
 * each on one of the teams. */
START_TEST(random_graphs)
{
    const unsigned n = sanitized() ? 70 : 280;

    for (unsigned i = 0; i < n; i++) {
        struct world w;

        open_random(&w, i + 1);
        w.slow = i % 8 == 7;
        run_on_team(&w, i % N_TEAMS, 3);
        close_world(&w);
    }
}
END_TEST

/* Up to 5,000 tiles, up to 2,000 of which lead to one, or come from one, with joins and without. */
static void open_large(struct world *w, uint64_t seed)
{
    uint64_t state = seed;
    uint32_t room = random_below(&state, 5001);

    open_world(w, 64, room + 1);
    while (room > 0 && w->graph->n_ops < 64) {
        const uint32_t most = random_below(&state, 3) ? 2000 : 3;
        const uint32_t wide = 1 + random_below(&state, most < room ? most : room);
        const struct shape shape = {1, wide};
        const unsigned n = w->graph->n_ops;
        struct dg_op *op = add_op(w, shape, single, random_below(&state, 3) ? SAME : ALL);

        for (uint32_t k = random_below(&state, n < 3 ? n + 1 : 4); k > 0; k--)
            add_input(op, &w->graph->ops[n - 1 - random_below(&state, n < 4 ? n : 4)]);
        room -= wide;
    }
}

START_TEST(large_random_graphs)
{
    static const unsigned workers[] = {1, 2, 3, 5, 8, 16, 33, 64};
    uint32_t most = 0, widest = 0;

    for (unsigned i = 0; i < (sanitized() ? 8u : 32u); i++) {
        const unsigned n = workers[i % 8];
        struct dg_error err = {0};
        struct dg_team *team;
        struct dg_run *run;
        struct world w;

        open_large(&w, 4000 + i);
        make_plan(&w, n);
        ck_assert_int_eq(dg_team_new(&team, n, n, &err), DG_OK);
        run = new_run(&w, team);
        for (int k = 0; k < 3; k++)
            ck_assert_int_eq(step(&w, run, k < 2 ? DG_SCHED_DATAFLOW : DG_SCHED_BARRIER), 0);
        most = w.plan->n_tiles > most ? w.plan->n_tiles : most;
        for (uint32_t t = 0; t < w.plan->n_nodes; t++)
            widest = w.plan->nodes[t].n_next > widest ? w.plan->nodes[t].n_next : widest;
        dg_run_free(run);
        dg_team_free(team);
        close_world(&w);
    }
    ck_assert_uint_gt(most, 4500);
    ck_assert_uint_gt(widest, 1500);
}
END_TEST

/* Ops of 1 to 20 tiles in a row under the barrier schedule alone: many ends of ops per tile. */
START_TEST(barrier)
{
    const unsigned steps = sanitized() ? 10 : 60;
    struct world w;

    open_world(&w, 40, 40 * 20);
    for (uint32_t i = 0; i < 40; i++) {
        const struct shape shape = {1, 1 + i * 7 % 20};
        struct dg_op *op = add_op(&w, shape, single, ALL);

        if (i > 0)
            add_input(op, &w.graph->ops[i - 1]);
    }
    for (unsigned i = 0; i < N_TEAMS; i++) {
        struct dg_team *team = new_team(i);
        struct dg_run *run;

        make_plan(&w, teams[i].workers);
        run = new_run(&w, team);
        for (unsigned k = 0; k < steps; k++) {
            w.slow = k % 4 == 3;
            ck_assert_int_eq(step(&w, run, DG_SCHED_BARRIER), 0);
        }
        dg_run_free(run);
        dg_team_free(team);
    }
    close_world(&w);
}
END_TEST

/* Layers of as many tiles as workers, one tile between, and each tile of a layer waits inside for
 * all others: a worker that sleeps on while its tile lies in a queue is a hang. The single tiles
 * are slow in some steps, so that the others have parked when it pushes the layer. */
static void meet_on_team(unsigned i, unsigned steps, bool stalled)
{
    struct dg_team *team = new_team(i);
    const unsigned n = dg_team_awake(team);
    struct stalls stalls;
    struct dg_run *run;
    struct world w;

    open_world(&w, 20, 20 * n);
    for (uint32_t k = 0; k < 20; k++) {
        const struct shape shape = {1, k % 2 ? n : 1};
        struct dg_op *op = add_op(&w, shape, single, ALL);

        if (k > 0)
            add_input(op, &w.graph->ops[k - 1]);
    }
    make_plan(&w, teams[i].workers);
    run = new_run(&w, team);
    w.meet = n;
    if (stalled)
        stalls_begin(&stalls);
    for (unsigned k = 0; k < steps; k++) {
        w.slow = k % 2;
        ck_assert_int_eq(step(&w, run, k % 3 ? DG_SCHED_DATAFLOW : DG_SCHED_BARRIER), 0);
    }
    if (stalled)
        stalls_end(&stalls);
    dg_run_free(run);
    dg_team_free(team);
    close_world(&w);
}

START_TEST(parking)
{
    for (unsigned i = 0; i < N_TEAMS; i++)
        meet_on_team(i, (sanitized() ? 300 : 1200) / teams[i].workers, false);
}
END_TEST

/* The same, and graphs of all kinds, with workers that stop at any instruction for a while. */
START_TEST(stalled)
{
    const unsigned graphs = sanitized() ? 14 : 70;

    for (unsigned i = 1; i < N_TEAMS; i++)
        meet_on_team(i, (sanitized() ? 100 : 400) / teams[i].workers, true);
    for (unsigned i = 0; i < graphs; i++) {
        struct dg_team *team = new_team(i % N_TEAMS);
        struct stalls stalls;
        struct dg_run *run;
        struct world w;

        open_random(&w, 1000 + i);
        make_plan(&w, teams[i % N_TEAMS].workers);
        run = new_run(&w, team);
        stalls_begin(&stalls);
        for (unsigned k = 0; k < 10; k++)
            ck_assert_int_eq(step(&w, run, (enum dg_sched)(k % 2)), 0);
        stalls_end(&stalls);
        dg_run_free(run);
        dg_team_free(team);
        close_world(&w);
    }
}
END_TEST

/* Tiles that keep one worker for so long that the others spin out and park, in all shapes. */
START_TEST(slow_tiles)
{
    struct world w;

    open_layers(&w, 8, 10);
    w.slow = true;
    run_on_all(&w, sanitized() ? 10 : 30);
    close_world(&w);
    open_fan(&w, 60);
    w.slow = true;
    run_on_all(&w, sanitized() ? 10 : 30);
    close_world(&w);
}
END_TEST

/* One run, step after step; between some of them the helpers park. */
START_TEST(many_steps)
{
    static const unsigned some[] = {1, 3, 6};
    const unsigned steps = sanitized() ? 500 : 3000;

    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        struct dg_team *team = new_team(some[i]);
        struct dg_run *run;
        struct world w;

        open_diamond(&w, 3);
        make_plan(&w, teams[some[i]].workers);
        run = new_run(&w, team);
        for (unsigned k = 0; k < steps; k++) {
            ck_assert_int_eq(step(&w, run, DG_SCHED_DATAFLOW), 0);
            if (k % 50 == 0)
                usleep(300);
        }
        dg_run_free(run);
        dg_team_free(team);
        close_world(&w);
    }
}
END_TEST

/* Two plans of different size on one team, by turns, as a prompt and its answer are. */
START_TEST(two_runs)
{
    for (unsigned i = 0; i < N_TEAMS; i++) {
        struct dg_team *team = new_team(i);
        struct dg_run *run[2];
        struct world w[2];

        open_diamond(&w[0], 5);
        open_layers(&w[1], 6, 5);
        for (int k = 0; k < 2; k++) {
            make_plan(&w[k], teams[i].workers);
            run[k] = new_run(&w[k], team);
        }
        for (unsigned k = 0; k < 60; k++)
            ck_assert_int_eq(step(&w[k % 2], run[k % 2], (enum dg_sched)(k % DG_N_SCHED)), 0);
        for (int k = 0; k < 2; k++) {
            dg_run_free(run[k]);
            close_world(&w[k]);
        }
        dg_team_free(team);
    }
    dg_run_free(NULL);
}
END_TEST

/* A tile that fails fails the step, and no more than that step; step() has seen that all ran. */
static void fail_on_team(struct world *w, unsigned i)
{
    struct dg_team *team = new_team(i);
    struct dg_run *run;

    make_plan(w, teams[i].workers);
    run = new_run(w, team);
    for (unsigned k = 0; k < 3 * DG_N_SCHED; k++) {
        const enum dg_sched sched = (enum dg_sched)(k % DG_N_SCHED);

        w->fail_every = w->plan->n_tiles / (1 + k); /* one tile of all, or several */
        ck_assert_int_eq(step(w, run, sched), ENOSPC);
        w->fail_every = 0;
        ck_assert_int_eq(step(w, run, sched), 0);
    }
    dg_run_free(run);
    dg_team_free(team);
}

/* What other schedulers were caught with; more of it is in check_team.c and check_misuse.c (docs/reliability.md). */
/* The planner makes none. */
START_TEST(empty_plan)
{
    struct dg_graph graph = {0};
    struct dg_node end = {0};
    uint32_t op_first = 0;
    const struct dg_plan plan = {.graph = &graph,
                                 .tiling = {.workers = 4},
                                 .n_joins = 1,
                                 .n_nodes = 1,
                                 .nodes = &end,
                                 .op_first = &op_first,
                                 .scratch_bytes = 64};
    const struct dg_step none = {0};
    struct dg_error err = {0};

    for (unsigned i = 0; i < N_TEAMS; i++) {
        struct dg_team *team = new_team(i);
        struct dg_run *run;

        ck_assert_int_eq(dg_run_new(&run, &plan, team, &err), DG_OK);
        for (unsigned k = 0; k < 50 * DG_N_SCHED; k++)
            ck_assert_int_eq(dg_run_step(run, &none, (enum dg_sched)(k % DG_N_SCHED)), 0);
        dg_run_free(run);
        dg_team_free(team);
    }
}
END_TEST

START_TEST(freed_as_the_step_returns)
{
    struct dg_team *team = new_team(3);

    for (unsigned k = 0; k < 200; k++) {
        struct world w;
        struct dg_run *run;

        open_random(&w, 1000 + k);
        make_plan(&w, teams[3].workers);
        run = new_run(&w, team);
        ck_assert_int_eq(step(&w, run, DG_SCHED_DATAFLOW), 0);
        dg_run_free(run);
        close_world(&w); /* and the plan, while helpers may still be on their way to their bells */
    }
    dg_team_free(team);
}
END_TEST

START_TEST(another_team_each_step)
{
    static const unsigned workers[] = {1, 64, 2, 5, 33, 4};
    struct dg_team *team[6];
    struct dg_run *run[6];
    struct dg_error err = {0};
    struct world w;

    open_layers(&w, 8, 16);
    make_plan(&w, 4);
    for (unsigned i = 0; i < 6; i++) {
        ck_assert(dg_team_new(&team[i], workers[i], workers[i], &err) == DG_OK);
        run[i] = new_run(&w, team[i]);
    }
    for (unsigned k = 0; k < (sanitized() ? 24u : 120u); k++)
        ck_assert_int_eq(step(&w, run[k % 6], DG_SCHED_DATAFLOW), 0);
    for (unsigned i = 0; i < 6; i++) {
        dg_run_free(run[i]);
        dg_team_free(team[i]);
    }
    close_world(&w);
}
END_TEST

static void *run_some(void *arg)
{
    for (uint64_t k = 0; k < (sanitized() ? 4 : 20); k++) {
        struct world w;

        open_random(&w, *(const unsigned *)arg + k);
        run_on_team(&w, 2, 3);
        close_world(&w);
    }
    return NULL;
}

START_TEST(two_teams_at_once)
{
    static const unsigned seeds[] = {2000, 3000};
    struct dg_thread other;

    ck_assert(dg_thread_start(&other, run_some, (void *)(uintptr_t)&seeds[1]));
    run_some((void *)(uintptr_t)&seeds[0]);
    dg_thread_join(&other);
}
END_TEST

START_TEST(failing_tile)
{
    struct world w;

    open_layers(&w, 6, 8);
    for (unsigned i = 0; i < N_TEAMS; i++)
        fail_on_team(&w, i);
    close_world(&w);
}
END_TEST

/* ---- cancelling ---- */

/* What a tile wrote is what it should, or nothing if it did not run. */
static void check_tile(const struct world *w, uint32_t tile)
{
    const struct dg_box box = w->plan->tiles[tile].out;
    const struct dg_tensor *out = dg_tile_op(w->plan, tile)->out;
    const uint32_t ran = dg_load_relaxed(&w->ran[tile]);

    ck_assert_msg(ran <= 1, "tile %u ran %u times", tile, ran);
    for (uint32_t r = box.r0; r < box.r1; r++)
        for (uint32_t c = box.c0; c < box.c1; c++) {
            const size_t i = (size_t)(at(out, r, c) - w->values);

            ck_assert_msg(w->values[i] == (ran ? w->expected[i] : 0xeeeeeeee),
                          "tile %u, which ran %u times, wrote %08x", tile, ran, w->values[i]);
        }
}

/* Of a step that may have been cancelled: how many tiles ran. */
static uint32_t check_part(const struct world *w)
{
    uint32_t ran = 0;

    for (uint32_t t = 0; t < w->plan->n_tiles; t++) {
        check_tile(w, t);
        ran += dg_load_relaxed(&w->ran[t]);
    }
    return ran;
}

/* A step that tile t cancels, of which every tile that ran had its inputs; and one behind it. Where t was
 * among the last to begin, the step may be whole: then the request is met by the next. */
static void cancel_at(struct world *w, struct dg_run *run, enum dg_sched sched, uint32_t t)
{
    uint32_t ran;
    int failed;

    w->cancel_at = t;
    failed = run_step(w, run, sched);
    ran = check_part(w);
    ck_assert_uint_eq(dg_load_relaxed(&w->ran[t]), 1);
    ck_assert_int_eq(failed, ran < w->plan->n_tiles ? ECANCELED : 0);
    if (sched == DG_SCHED_SERIAL)
        ck_assert_uint_eq(ran, t + 1);
    w->cancel_at = DG_NO_TILE;
    if (failed == 0) {
        ck_assert_int_eq(run_step(w, run, sched), ECANCELED);
        ck_assert_uint_eq(check_part(w), 0);
    }
    ck_assert_int_eq(step(w, run, sched), 0);
}

/* At each of the tiles 0, stride, 2 stride, ... */
static void cancel_on_team(struct world *w, unsigned i, uint32_t stride)
{
    struct dg_team *team = new_team(i);
    struct dg_run *run;

    make_plan(w, teams[i].workers);
    run = new_run(w, team);
    w->team = team;
    for (enum dg_sched sched = DG_SCHED_DATAFLOW; sched <= DG_SCHED_SERIAL; sched++) {
        for (uint32_t t = 0; t < w->plan->n_tiles; t += stride)
            cancel_at(w, run, sched, t);
        dg_team_cancel(team);
        dg_team_cancel(team);
        ck_assert_int_eq(run_step(w, run, sched), ECANCELED);
        ck_assert_uint_eq(check_part(w), 0);
        ck_assert_int_eq(step(w, run, sched), 0);
        dg_team_cancel(team);
        dg_team_uncancel(team);
        ck_assert_int_eq(step(w, run, sched), 0);
    }
    dg_run_free(run);
    dg_team_free(team);
}

START_TEST(cancelled)
{
    struct world w;

    open_layers(&w, 6, 5);
    for (unsigned i = 0; i < N_TEAMS; i++)
        cancel_on_team(&w, i, 1);
    close_world(&w);
    for (unsigned i = 0; i < N_TEAMS; i++) {
        open_random(&w, 2000 + i);
        cancel_on_team(&w, i, 7);
        close_world(&w);
    }
}
END_TEST

struct canceller {
    struct dg_thread thread;
    struct dg_team *team;
    struct dg_atomic over; /* relaxed: the join orders what follows */
};

static void *cancel_at_any_time(void *arg)
{
    struct canceller *c = arg;
    uint64_t seed = 7;

    while (dg_load_relaxed(&c->over) == 0) {
        usleep(random_below(&seed, 400));
        dg_team_cancel(c->team);
    }
    return NULL;
}

/* Another thread cancels at any time: a step is whole or says that it is not. */
START_TEST(cancelled_from_outside)
{
    for (unsigned i = 0; i < N_TEAMS; i++) {
        struct canceller c = {.team = new_team(i)};
        struct dg_run *run;
        struct world w;

        open_layers(&w, 6, 8);
        make_plan(&w, teams[i].workers);
        run = new_run(&w, c.team);
        w.slow = true;
        ck_assert(dg_thread_start(&c.thread, cancel_at_any_time, &c));
        for (unsigned k = 0; k < 60; k++) {
            const int failed = run_step(&w, run, (enum dg_sched)(k % DG_N_SCHED));

            ck_assert_int_eq(failed, check_part(&w) < w.plan->n_tiles ? ECANCELED : 0);
        }
        dg_store_relaxed(&c.over, 1);
        dg_thread_join(&c.thread);
        dg_team_uncancel(c.team);
        ck_assert_int_eq(step(&w, run, DG_SCHED_DATAFLOW), 0);
        dg_run_free(run);
        dg_team_free(c.team);
        close_world(&w);
    }
}
END_TEST

/* Nothing is kept of a step that was cancelled, and the next is recorded in its place. */
START_TEST(cancelled_and_recorded)
{
    struct dg_team *team = new_team(3);
    struct dg_error err = {0};
    struct dg_trace *trace;
    struct dg_run *run;
    struct world w;

    open_layers(&w, 6, 5);
    make_plan(&w, teams[3].workers);
    run = new_run(&w, team);
    w.team = team;
    ck_assert_int_eq(dg_trace_new(&trace, team, 1000, &err), DG_OK);
    for (unsigned k = 0; k < 12; k++) {
        const enum dg_sched sched = (enum dg_sched)(k % DG_N_SCHED);
        uint32_t tiles = 0;

        w.cancel_at = w.plan->n_tiles / 2;
        ck_assert_int_eq(run_step(&w, run, sched), ECANCELED);
        ck_assert_uint_eq(trace->n_steps, k);
        w.cancel_at = DG_NO_TILE;
        ck_assert_int_eq(step(&w, run, sched), 0);
        ck_assert_uint_eq(trace->n_steps, k + 1);
        for (unsigned i = 0; i < trace->workers; i++) {
            const struct dg_trace_visit *v = &trace->visits[k * trace->workers + i];

            for (size_t e = v->first; e < v->first + v->n; e++)
                tiles += trace->lanes[i].events[e].tile != DG_NO_TILE;
        }
        ck_assert_uint_eq(tiles, w.plan->n_tiles);
    }
    ck_assert_uint_eq(trace->dropped, 0);
    dg_trace_free(trace);
    dg_run_free(run);
    dg_team_free(team);
    close_world(&w);
}
END_TEST

/* Groups of a layer, a layer that sends, two that are posted, and a sink that reads all but the first.
 * What is posted first reads the first layer, which the sender's tile has read, or nothing. */
static void open_posted(struct world *w, uint32_t groups, uint32_t wide)
{
    const struct shape layer = {1, wide};
    struct dg_op *last = NULL;

    open_world(w, 5 * groups, (size_t)groups * (4 * wide + 1));
    for (uint32_t g = 0; g < groups; g++) {
        struct dg_op *source = add_op(w, layer, single, ALL),
                     *sender = add_op(w, layer, single, SAME),
                     *first = add_op(w, layer, single, SAME),
                     *second = add_op(w, layer, single, SAME), *sink = add_op(w, one, single, ALL);

        if (last)
            add_input(source, last);
        add_input(sender, source);
        if (g % 2 == 0)
            add_input(first, source);
        add_input(second, first);
        add_input(sink, sender);
        add_input(sink, first);
        add_input(sink, second);
        toy_of(sender)->sends = true;
        first->type = second->type = &posted_type;
        last = sink;
    }
}

/* Steps of all schedules; in some of them posts come late. */
static void post_on_all(bool outside)
{
    for (unsigned i = 0; i < N_TEAMS; i++) {
        const unsigned steps = sanitized() ? 30 : 150;
        struct dg_team *team = new_team(i);
        struct dg_run *run;
        struct mail mail;
        struct world w;

        open_posted(&w, 6, 1 + i % 4);
        make_plan(&w, teams[i].workers);
        run = new_run(&w, team);
        if (outside)
            open_mail(&mail, &w);
        for (unsigned k = 0; k < steps; k++) {
            w.slow = k % 5 == 4;
            w.post_fails = k % 7 == 6 ? EPIPE : 0;
            ck_assert_int_eq(step(&w, run, (enum dg_sched)(k % DG_N_SCHED)), w.post_fails);
        }
        if (outside)
            close_mail(&mail);
        dg_run_free(run);
        dg_team_free(team);
        close_world(&w);
    }
}

START_TEST(posts_from_tiles)
{
    post_on_all(false);
}
END_TEST

START_TEST(posts_from_outside)
{
    post_on_all(true);
}
END_TEST

/* A plan with posted tiles is not cancelled: the request waits for another. */
START_TEST(posts_uncancelled)
{
    struct dg_team *team = new_team(1);
    struct dg_run *posted, *run;
    struct world w, other;

    open_posted(&w, 2, 3);
    open_layers(&other, 2, 3);
    make_plan(&w, teams[1].workers);
    make_plan(&other, teams[1].workers);
    posted = new_run(&w, team);
    run = new_run(&other, team);
    dg_team_cancel(team);
    for (unsigned k = 0; k < DG_N_SCHED; k++)
        ck_assert_int_eq(step(&w, posted, (enum dg_sched)k), 0);
    ck_assert_int_eq(run_step(&other, run, DG_SCHED_DATAFLOW), ECANCELED);
    dg_run_free(posted);
    dg_run_free(run);
    dg_team_free(team);
    close_world(&w);
    close_world(&other);
}
END_TEST

/* A plan with posted tiles is left out of a trace, and not counted as dropped. */
START_TEST(posts_unrecorded)
{
    struct dg_team *team = new_team(1);
    struct dg_error err = {0};
    struct dg_trace *trace;
    struct dg_run *run;
    struct world w;

    open_posted(&w, 2, 3);
    make_plan(&w, teams[1].workers);
    run = new_run(&w, team);
    ck_assert_int_eq(dg_trace_new(&trace, team, 1000, &err), DG_OK);
    for (unsigned k = 0; k < DG_N_SCHED; k++)
        ck_assert_int_eq(step(&w, run, (enum dg_sched)k), 0);
    ck_assert(trace->n_steps == 0 && trace->n_plans == 0 && trace->dropped == 0);
    dg_trace_free(trace);
    dg_run_free(run);
    dg_team_free(team);
    close_world(&w);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {diamond,
                                  chain,
                                  side_by_side,
                                  fan,
                                  layers,
                                  random_graphs,
                                  large_random_graphs,
                                  barrier,
                                  parking,
                                  stalled,
                                  slow_tiles,
                                  many_steps,
                                  two_runs,
                                  empty_plan,
                                  freed_as_the_step_returns,
                                  another_team_each_step,
                                  two_teams_at_once,
                                  failing_tile,
                                  cancelled,
                                  cancelled_from_outside,
                                  cancelled_and_recorded,
                                  posts_from_tiles,
                                  posts_from_outside,
                                  posts_uncancelled,
                                  posts_unrecorded,
                                  NULL};

    return run_suite("sched", tests);
}
