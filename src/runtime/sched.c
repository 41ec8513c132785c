/* The life of a tile in a dataflow step:
 *
 *   waiting   waits > 0 of its inputs are not written
 *   ready     the finisher of its last input took waits from 1 to 0; the tile is in the queue of
 *             its home worker, or the finisher runs it next
 *   running   on the one worker that popped it (or kept it)
 *   done      its output is written, and each successor's count is one lower
 *
 * A worker runs the tile it kept, else one from its own queue, else the oldest of another's, else one
 * that loads a weight, in the order in which they are wanted. With nothing to run it polls for a
 * bounded time and then sleeps; who pushes wakes as many as it pushed.
 *
 * No worker is parked while a ready tile lies unclaimed, but for the time that a thread takes which is
 * about to wake one: after a push, or after taking a tile that another lies behind. The second is
 * needed, too. Of two that push to one queue, the first to have its place may be the last to write it;
 * until then the other's tile is hidden behind an empty slot, and whom the other wakes goes back to
 * sleep. The first one's wake is for one worker; that one finds both tiles, takes one, and wakes the
 * next. So each of a row of hidden tiles is passed on. (That worker was woken by a thread which
 * knew of every sleeper that did not see the slot, so it may look at the count with a relaxed load.)
 *
 * Invariants: a tile is pushed or kept exactly once a step; a join is never queued: whoever takes
 * its count to 0 lowers its successors' at once; the step is over when the plan's last join, `end`,
 * is reached, and then every tile is done, because every tile leads to it.
 *
 * What becomes of a tile that has run, and of those that it makes ready, is told in policy.h. There is
 * no count where there is one predecessor: what the workers share travels from cache to cache, which
 * takes longer than some tiles.
 *
 * A tile that is posted has one input more, the post, and is passed through like a join when the last
 * of them is there. Who posts runs no tile: it queues all that it makes ready, and wakes.
 *
 * The barrier schedule runs the same tiles op by op: workers draw tiles of one op from a counter,
 * and wait for the last of them before they go on. The serial one runs them on the caller, in
 * plan order. In both, posts count down an op's tiles as workers do.
 *
 * A step that is cancelled runs to its end in every schedule, but its tiles compute nothing from then on:
 * counts and queues are those of any step. Passing through a tile takes some 100 ns; what waits for posts is
 * not cancelled, since a tile that is left out might be the one that has them sent.
 *
 * tests/prove/sched.pml is a model of this and of team.c, and tests/prove/runtime.c explores schedules of both.
 *
 * A step that is recorded (trace.h), whose progress is told, or that polls (dg_run_poll()), runs the same functions; one that is
 * not pays a test of lane->watched for each tile. */
#include "sched.h"
#include "../base/arena.h"
#include "../base/checked.h"
#include "queue.h"
#include "team.h"
#include "trace.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>

/* What one worker alone touches. */
struct lane {
    _Alignas(DG_CACHE_LINE) void *scratch;
    bool watched;                /* recorded, told or polling, this step */
    bool tells;                  /* its progress is told */
    struct dg_trace_lane *trace; /* where this step is recorded, or NULL */
    int failed;                  /* errno value of the first of its tiles that failed, or 0 */
    bool left_out;               /* some of its tiles were, since the step was cancelled */
};

/* Counters of one op in a step that is not dataflow. */
struct op_run {
    uint32_t to_run; /* tiles that workers run: all, or none where they are posted */

    /* The next tile to draw. Relaxed: tiles of earlier ops are visible through `left`. */
    struct dg_atomic next;
    /* Tiles not done. Lowered by workers and by dg_run_post(). Order: acq_rel decrements, acquire
     * loads by the waiting workers: all outputs of the op are visible to who sees 0. Partner: each
     * other. If weakened: torn input on Arm.
     * Test: tests/unit/runtime/check_sched.c "barrier". */
    struct dg_atomic left;
};

struct dg_run {
    const struct dg_plan *plan;
    struct dg_team *team;
    const struct dg_atomic *cancelled;       /* the team's */
    const struct dg_step *step;              /* set by worker 0 before the job, as the next two */
    void (*job)(void *arg, unsigned worker); /* of the schedule */
    enum dg_sched sched;
    struct dg_traced traced;
    struct dg_arena *arena;
    unsigned workers; /* that are awake */
    bool posts;       /* some of the plan's tiles are posted */
    bool (*poll)(void *arg, unsigned worker, unsigned turn); /* dg_run_poll(), or NULL */
    void *poll_arg;
    uint32_t *inputs; /* [n_nodes] the plan's waits, and one more where a tile is posted */
    uint32_t *queue;  /* [n_nodes] index of the queue that a ready tile goes to, or NO_QUEUE */

    /* [n_nodes] Inputs not yet written. Set by reset() while the helpers wait at their bells; then
     * only decremented, by as many as are done, and not at all where one thread saw to all of them.
     * Order: acq_rel. Release publishes the finisher's output; acquire lets the thread that takes
     * it from 1 to 0 see every input.
     * Partner: the other decrements, all in lower_count(). If weakened: torn input on Arm.
     * Test: tests/unit/runtime/check_sched.c "diamond". */
    struct dg_atomic *waits;

    struct dg_queue *queues; /* [workers + 1]; the last has the tiles that load */
    struct lane *lanes;      /* [workers] */
    struct op_run *ops;      /* [n_ops] */

    /* 1: `end` has been reached. Order: release by who reaches it, acquire by the others, so that
     * who leaves sees every tile done. Partner: each other. If weakened: nothing breaks today, since
     * the team's `left` bell orders the same for the caller. */
    _Alignas(DG_CACHE_LINE) struct dg_atomic over;

    /* errno value of the first post that failed, or 0. Relaxed: the caller of dg_run_step() reads it
     * after the step, which the post's decrement of a count, acq_rel, comes before. */
    struct dg_atomic post_failed;
};

/* ---- what policy.h asks for ---- */

static inline unsigned workers_of(const struct dg_run *run)
{
    return run->workers;
}

static inline const uint32_t *next_of(const struct dg_run *run, uint32_t node, uint32_t *n)
{
    const struct dg_node *from = &run->plan->nodes[node];

    *n = from->n_next;
    return run->plan->next + from->first;
}

static inline uint32_t queue_of(const struct dg_run *run, uint32_t node)
{
    return run->queue[node];
}

static inline bool lower_count(struct dg_run *run, uint32_t node, uint32_t n)
{
    return run->inputs[node] <= n || dg_sub_acq_rel(&run->waits[node], n) == 0;
}

static inline void pass(struct dg_run *run, uint32_t node)
{
    if (node == dg_plan_end(run->plan)) {
        dg_store_release(&run->over, 1);
        dg_team_wake(run->team, run->workers);
    }
}

/* A tile has been taken, and another lies behind it: see "no worker is parked" above. */
static inline void wake_for_next(struct dg_run *run, uint32_t queue, uint32_t taken)
{
    if (dg_queue_holds(&run->queues[queue], taken + 1) && dg_team_sleepers(run->team))
        dg_team_wake(run->team, 1);
}

static inline void push(struct dg_run *run, uint32_t queue, const uint32_t *list, uint32_t n)
{
    dg_queue_push(&run->queues[queue], list, n);
}

static inline uint32_t peek(const struct dg_run *run, uint32_t queue, uint32_t *at)
{
    return dg_queue_peek(&run->queues[queue], at);
}

static inline bool take(struct dg_run *run, uint32_t queue, uint32_t at)
{
    if (!dg_queue_take(&run->queues[queue], at))
        return false;
    wake_for_next(run, queue, at);
    return true;
}

static inline uint32_t pop(struct dg_run *run, uint32_t queue)
{
    uint32_t at;
    const uint32_t tile = dg_queue_pop(&run->queues[queue], &at);

    if (tile != DG_NO_TILE)
        wake_for_next(run, queue, at);
    return tile;
}

static inline void wake(struct dg_run *run, unsigned n)
{
    dg_team_wake(run->team, n);
}

#define RUN struct dg_run
#include "policy.h"

/* ---- making one ---- */

/* What a node waits for, and where it goes then. */
static bool make_nodes(struct dg_run *run)
{
    const struct dg_plan *plan = run->plan;

    run->inputs = dg_arena_array(run->arena, plan->n_nodes, sizeof *run->inputs);
    run->queue = dg_arena_array(run->arena, plan->n_nodes, sizeof *run->queue);
    run->waits = dg_arena_array(run->arena, plan->n_nodes, sizeof *run->waits);
    if (!run->inputs || !run->queue || !run->waits)
        return false;
    for (uint32_t n = 0; n < plan->n_nodes; n++) {
        const struct dg_op_type *type = n < plan->n_tiles ? dg_tile_op(plan, n)->type : NULL;

        run->inputs[n] = plan->nodes[n].waits + (type && type->posted);
        run->queue[n] = type && !type->posted
                            ? queue_for(type->loads, plan->tiles[n].home, run->workers)
                            : NO_QUEUE;
        run->posts = run->posts || (type && type->posted);
    }
    return true;
}

static bool make_ops(struct dg_run *run)
{
    const struct dg_graph *g = run->plan->graph;
    const uint32_t *first = run->plan->op_first;

    run->ops = dg_arena_array(run->arena, g->n_ops, sizeof *run->ops);
    for (uint32_t op = 0; run->ops && op < g->n_ops; op++)
        run->ops[op].to_run = g->ops[op].type->posted ? 0 : first[op + 1] - first[op];
    return run->ops;
}

static bool make_queues(struct dg_run *run)
{
    run->queues = dg_arena_array(run->arena, run->workers + 1, sizeof *run->queues);
    if (!run->queues)
        return false;
    for (uint32_t t = 0; t < run->plan->n_tiles; t++)
        if (run->queue[t] != NO_QUEUE)
            run->queues[run->queue[t]].room++;
    for (unsigned w = 0; w <= run->workers; w++) {
        run->queues[w].slots = dg_arena_array(run->arena, run->queues[w].room + (size_t)1,
                                              sizeof *run->queues[w].slots);
        if (!run->queues[w].slots)
            return false;
    }
    return true;
}

static bool make_lanes(struct dg_run *run)
{
    run->lanes = dg_arena_array(run->arena, run->workers, sizeof *run->lanes);
    if (!run->lanes)
        return false;
    for (unsigned w = 0; w < run->workers; w++) {
        run->lanes[w].scratch = dg_arena_alloc(run->arena, dg_size(run->plan->scratch_bytes));
        if (!run->lanes[w].scratch)
            return false;
    }
    return true;
}

enum dg_status dg_run_new(struct dg_run **out, const struct dg_plan *plan, struct dg_team *team,
                          struct dg_error *err)
{
    struct dg_arena *arena = dg_arena_new();
    struct dg_run *run = arena ? dg_arena_alloc(arena, sizeof *run) : NULL;

    if (run) {
        run->arena = arena;
        run->plan = plan;
        run->team = team;
        run->cancelled = dg_team_cancelled(team);
        run->workers = dg_team_awake(team);
    }
    if (!run || !make_nodes(run) || !make_ops(run) || !make_queues(run) || !make_lanes(run)) {
        dg_arena_free(arena);
        return dg_fail_memory(err, "a run", plan->n_nodes * sizeof *run->waits);
    }
    *out = run;
    return DG_OK;
}

void dg_run_free(struct dg_run *run)
{
    if (run)
        dg_arena_free(run->arena); /* run itself lies in it */
}

/* ---- one tile ---- */

static int compute(const struct dg_run *run, const struct lane *lane, uint32_t tile)
{
    const struct dg_op *op = dg_tile_op(run->plan, tile);

    return op->type->run(op, run->plan->tiles[tile].out, run->step, lane->scratch);
}

static int watch(const struct dg_run *run, unsigned worker, uint32_t tile)
{
    const struct lane *lane = &run->lanes[worker];
    int failed;

    if (lane->trace)
        dg_trace_tile(lane->trace, tile);
    failed = compute(run, lane, tile);
    if (lane->trace)
        dg_trace_done(lane->trace);
    if (lane->tells) /* tiles are run in about the order in which they stand in the plan */
        dg_team_tell(run->team, (tile + 1.0) / run->plan->n_tiles);
    if (run->poll)
        run->poll(run->poll_arg, worker, 0);
    return failed;
}

static void run_tile(struct dg_run *run, unsigned worker, uint32_t tile)
{
    struct lane *lane = &run->lanes[worker];
    int failed;

    if (dg_load_relaxed(run->cancelled) && !run->posts) {
        lane->left_out = true;
        return;
    }
    failed = lane->watched ? watch(run, worker, tile) : compute(run, lane, tile);
    if (failed && !lane->failed)
        lane->failed = failed;
}

/* ---- waiting ---- */

/* Looks for something to do: a tile or DONE, or DG_NO_TILE to go on waiting. */
typedef uint32_t look_function(struct dg_run *run, unsigned worker, uint32_t op);

#define DONE (UINT32_MAX - 1)

static uint32_t wait_for(struct dg_run *run, unsigned worker, look_function *look, uint32_t op)
{
    struct dg_trace_lane *trace = run->lanes[worker].trace;
    const uint64_t spin_ns = dg_team_spin_ns(run->team);
    uint64_t start = 0;
    uint32_t found;

    for (unsigned turn = 0;; turn++) {
        found = look(run, worker, op);
        if (found != DG_NO_TILE)
            return found;
        if (turn % 16 == 0) {
            const uint64_t now = spin_ns ? dg_now_ns() : 0;

            if (start == 0) {
                start = now;
                if (trace && spin_ns)
                    dg_trace_spin(trace, now);
            }
            if (now - start >= spin_ns && !run->poll)
                break;
        }
        if (run->poll && run->poll(run->poll_arg, worker, turn)) {
            start = 0; /* another wait begins */
            turn = UINT_MAX;
        }
        dg_pause();
    }
    if (trace)
        dg_trace_park(trace);
    for (;;) {
        dg_team_doze(run->team, worker);
        found = look(run, worker, op);
        if (found != DG_NO_TILE) {
            dg_team_rise(run->team, worker);
            return found;
        }
        dg_team_sleep(run->team, worker);
        if (trace)
            dg_trace_woken(trace, dg_team_woken(run->team, worker));
    }
}

/* ---- the three schedules ---- */

static uint32_t look_for_tile(struct dg_run *run, unsigned worker, uint32_t op)
{
    const uint32_t tile = find(run, worker);

    (void)op;
    if (tile != DG_NO_TILE)
        return tile;
    return dg_load_acquire(&run->over) ? DONE : DG_NO_TILE;
}

static void dataflow(void *arg, unsigned worker)
{
    struct dg_run *run = arg;
    struct hand hand = {.kept = DG_NO_TILE};
    uint32_t tile = DG_NO_TILE;

    for (;;) {
        if (tile == DG_NO_TILE)
            tile = wait_for(run, worker, look_for_tile, 0);
        if (tile == DONE)
            return;
        run_tile(run, worker, tile);
        tile = finish(run, worker, tile, &hand);
    }
}

static uint32_t look_for_end_of_op(struct dg_run *run, unsigned worker, uint32_t op)
{
    (void)worker;
    return dg_load_acquire(&run->ops[op].left) == 0 ? DONE : DG_NO_TILE;
}

static void barrier(void *arg, unsigned worker)
{
    struct dg_run *run = arg;

    for (uint32_t op = 0; op < run->plan->graph->n_ops; op++) {
        const uint32_t first = run->plan->op_first[op], n = run->ops[op].to_run;
        uint32_t i, done = 0;

        while ((i = dg_add_relaxed(&run->ops[op].next, 1)) < n) {
            run_tile(run, worker, first + i);
            done++;
        }
        if (done > 0 && dg_sub_acq_rel(&run->ops[op].left, done) == 0)
            dg_team_wake(run->team, run->workers);
        wait_for(run, worker, look_for_end_of_op, op);
        if (run->lanes[worker].trace)
            dg_trace_nothing(run->lanes[worker].trace);
    }
}

static void serial(void *arg, unsigned worker)
{
    struct dg_run *run = arg;

    for (uint32_t op = 0; worker == 0 && op < run->plan->graph->n_ops; op++) {
        const uint32_t first = run->plan->op_first[op], n = run->ops[op].to_run;

        for (uint32_t i = 0; i < n; i++)
            run_tile(run, worker, first + i);
        if (n == 0) /* posted */
            wait_for(run, worker, look_for_end_of_op, op);
    }
}

static void recorded(void *arg, unsigned worker)
{
    struct dg_run *run = arg;
    struct dg_trace_lane *trace = run->lanes[worker].trace;

    dg_trace_enter(trace);
    dg_team_time_wakes(run->team, worker, true);
    run->job(run, worker);
    dg_team_time_wakes(run->team, worker, false);
    dg_trace_nothing(trace);
    dg_trace_leave(trace);
}

/* Before a step, while the helpers wait at their bells. Relaxed stores: the bells publish them. */
static void reset_dataflow(struct dg_run *run)
{
    const struct dg_plan *plan = run->plan;

    dg_store_relaxed(&run->over, run->inputs[dg_plan_end(plan)] == 0); /* a plan without tiles */
    for (uint32_t n = 0; n < plan->n_nodes; n++)
        dg_store_relaxed(&run->waits[n], run->inputs[n]);
    for (unsigned w = 0; w <= run->workers; w++)
        dg_queue_reset(&run->queues[w]);
    for (uint32_t t = 0; t < plan->n_tiles; t++)
        if (run->inputs[t] == 0)
            push(run, run->queue[t], &t, 1);
}

static void reset_ops(struct dg_run *run)
{
    for (uint32_t op = 0; op < run->plan->graph->n_ops; op++) {
        dg_store_relaxed(&run->ops[op].next, 0);
        dg_store_relaxed(&run->ops[op].left, run->plan->op_first[op + 1] - run->plan->op_first[op]);
    }
}

/* What the step returns. */
static int outcome(const struct dg_run *run)
{
    int failed = (int)dg_load_relaxed(&run->post_failed);

    for (unsigned w = run->workers; w-- > 0;)
        failed = run->lanes[w].failed ? run->lanes[w].failed : failed;
    for (unsigned w = 0; w < run->workers; w++)
        failed = run->lanes[w].left_out ? ECANCELED : failed;
    return failed;
}

int dg_run_step(struct dg_run *run, const struct dg_step *step, enum dg_sched sched)
{
    static void (*const jobs[DG_N_SCHED])(void *, unsigned) = {
        [DG_SCHED_DATAFLOW] = dataflow,
        [DG_SCHED_BARRIER] = barrier,
        [DG_SCHED_SERIAL] = serial,
    };
    struct dg_trace *trace = dg_team_trace(run->team);
    int failed;

    run->step = step;
    run->sched = sched == DG_SCHED_DEFAULT ? DG_SCHED_DATAFLOW : sched;
    dg_store_relaxed(&run->post_failed, 0);
    if (run->sched == DG_SCHED_DATAFLOW)
        reset_dataflow(run);
    else if (sched == DG_SCHED_BARRIER || run->posts) /* serial waits for posts alone */
        reset_ops(run);
    if (trace &&
        ((run->posts && !run->poll) || !dg_trace_begin(trace, run->plan, &run->traced, step)))
        trace = NULL;
    for (unsigned w = 0; w < run->workers; w++) {
        run->lanes[w].failed = 0;
        run->lanes[w].left_out = false;
        run->lanes[w].trace = trace ? &trace->lanes[w] : NULL;
        run->lanes[w].tells = w == 0 && dg_team_tells(run->team);
        run->lanes[w].watched = run->lanes[w].trace || run->lanes[w].tells || run->poll;
    }
    run->job = jobs[run->sched];
    dg_team_run(run->team, trace ? recorded : run->job, run);
    failed = outcome(run);
    if (trace)
        dg_trace_finish(trace, failed != ECANCELED);
    if (failed == ECANCELED)
        dg_team_uncancel(run->team);
    return failed;
}

/* Who posts is no worker here, even on a worker's thread: no queue is its own. */
static void post_dataflow(struct dg_run *run, uint32_t tile)
{
    struct hand hand = {.kept = DG_NO_TILE};

    lower(run, UINT_MAX, tile, 1, &hand);
    if (hand.kept != DG_NO_TILE)
        line_up(run, hand.kept, &hand);
    push_batch(run, &hand);
    if (hand.pushed > 0)
        wake(run, hand.pushed);
}

void dg_run_post(struct dg_run *run, uint32_t tile, int failed)
{
    struct op_run *op = &run->ops[run->plan->tiles[tile].op];

    assert(dg_tile_op(run->plan, tile)->type->posted);
    if (failed)
        (void)dg_change_relaxed(&run->post_failed, 0, (uint32_t)failed);
    if (run->sched == DG_SCHED_DATAFLOW)
        post_dataflow(run, tile);
    else if (dg_sub_acq_rel(&op->left, 1) == 0)
        dg_team_wake(run->team, run->workers);
}

void dg_run_take(struct dg_run *run, unsigned worker, uint32_t tile)
{
    if (run->lanes[worker].trace)
        dg_trace_tile(run->lanes[worker].trace, tile);
}

void dg_run_taken(struct dg_run *run, unsigned worker, uint32_t tile, int failed)
{
    if (run->lanes[worker].trace)
        dg_trace_done(run->lanes[worker].trace);
    dg_run_post(run, tile, failed);
}

void dg_run_poll(struct dg_run *run, bool (*poll)(void *arg, unsigned worker, unsigned turn),
                 void *arg)
{
    run->poll = poll;
    run->poll_arg = arg;
}

const char *dg_sched_name(enum dg_sched sched)
{
    static const char *const names[DG_N_SCHED] = {"default", "dataflow", "barrier", "serial"};

    return (unsigned)sched < DG_N_SCHED ? names[sched] : "unknown";
}
