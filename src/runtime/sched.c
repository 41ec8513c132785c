/* The life of a tile in a dataflow step:
 *
 *   waiting   waits > 0 of its inputs are not written
 *   ready     the finisher of its last input took waits from 1 to 0; the tile is in the queue of
 *             its home worker, or the finisher runs it next
 *   running   on the one worker that popped it (or kept it)
 *   done      its output is written, and each successor's count is one lower
 *
 * A worker runs the tile it kept, else one from its own queue, else the oldest of another's, else one
 * that waits for nothing because its op has no inputs: those that load weights, in the order in which
 * they are wanted. With nothing to run it polls for a bounded time and then sleeps; who pushes wakes
 * as many as it pushed.
 *
 * Invariants: a tile is pushed or kept exactly once a step; a join is never queued: whoever takes
 * its count to 0 lowers its successors' at once; the step is over when the plan's last join, `end`,
 * is reached, and then every tile is done, because every tile leads to it.
 *
 * The finisher keeps one ready successor instead of queueing all: a chain then stays on one worker,
 * whose cache holds its input, and costs no queue. It prefers a tile whose home it is.
 *
 * What the workers share travels from cache to cache, which takes longer than some tiles. So there
 * is no count where there is one predecessor; tiles for one queue are pushed together; and a worker
 * that has run a tile which leads to a join alone, and has another such tile first in its queue, runs
 * that, too, before it lowers the join's count for all of them at once. The join could not have been
 * reached before that tile was done.
 *
 * The barrier schedule runs the same tiles op by op: workers draw tiles of one op from a counter,
 * and wait for the last of them before they go on. The serial one runs them on the caller, in
 * plan order.
 *
 * A step that is recorded (trace.h), or whose progress is told, runs the same functions; one that is
 * not pays a test of lane->watched for each tile. */
#include "sched.h"
#include "../base/arena.h"
#include "../base/checked.h"
#include "queue.h"
#include "team.h"
#include "trace.h"

/* What one worker alone touches. */
struct lane {
    _Alignas(DG_CACHE_LINE) void *scratch;
    bool watched;                /* recorded or told, this step */
    bool tells;                  /* its progress is told */
    struct dg_trace_lane *trace; /* where this step is recorded, or NULL */
    int failed;                  /* errno value of the first of its tiles that failed, or 0 */
};

/* Counters of one op in a barrier step. */
struct op_run {
    /* The next tile to draw. Relaxed: tiles of earlier ops are visible through `left`. */
    struct dg_atomic next;
    /* Tiles not done. Order: acq_rel decrements, acquire loads by the waiting workers: all outputs
     * of the op are visible to who sees 0. Partner: each other. If weakened: torn input on Arm.
     * Test: tests/unit/runtime/check_sched.c "barrier". */
    struct dg_atomic left;
};

struct dg_run {
    const struct dg_plan *plan;
    struct dg_team *team;
    const struct dg_step *step;              /* set by worker 0 before the job, as `sched` is */
    void (*job)(void *arg, unsigned worker); /* the schedule of a step that is recorded */
    struct dg_traced traced;
    struct dg_arena *arena;
    unsigned workers; /* that are awake */

    /* [n_nodes] Inputs not yet written. Set by reset() while the helpers wait at their bells; then
     * only decremented, by as many as are done, and not at all where one worker saw to all of them.
     * Order: acq_rel. Release publishes the finisher's output; acquire lets the thread that takes
     * it from 1 to 0 see every input.
     * Partner: the other decrements, all in lower(). If weakened: torn input on Arm.
     * Test: tests/unit/runtime/check_sched.c "diamond". */
    struct dg_atomic *waits;

    struct dg_queue *queues; /* [workers + 1]; the last has the tiles of ops without inputs */
    struct lane *lanes;      /* [workers] */
    struct op_run *ops;      /* [n_ops] */

    /* 1: `end` has been reached. Order: release by who reaches it, acquire by the others, so that
     * who leaves sees every tile done. Partner: each other. If weakened: nothing breaks today, since
     * the team's `left` bell orders the same for the caller. */
    _Alignas(DG_CACHE_LINE) struct dg_atomic over;
};

/* ---- making one ---- */

static struct dg_queue *queue_of(const struct dg_run *run, uint32_t tile)
{
    const unsigned home = run->plan->tiles[tile].home % run->workers;

    return &run->queues[dg_tile_op(run->plan, tile)->n_in > 0 ? home : run->workers];
}

static bool make_queues(struct dg_run *run)
{
    const struct dg_plan *plan = run->plan;

    run->queues = dg_arena_array(run->arena, run->workers + 1, sizeof *run->queues);
    if (!run->queues)
        return false;
    for (uint32_t t = 0; t < plan->n_tiles; t++)
        queue_of(run, t)->room++;
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
        run->lanes[w].scratch = dg_arena_alloc(run->arena, run->plan->scratch_bytes);
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
        run->workers = dg_team_awake(team);
        run->waits = dg_arena_array(arena, plan->n_nodes, sizeof *run->waits);
        run->ops = dg_arena_array(arena, plan->graph->n_ops, sizeof *run->ops);
    }
    if (!run || !run->waits || !run->ops || !make_queues(run) || !make_lanes(run)) {
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

static int watch(const struct dg_run *run, const struct lane *lane, uint32_t tile)
{
    int failed;

    if (lane->trace)
        dg_trace_tile(lane->trace, tile);
    failed = compute(run, lane, tile);
    if (lane->trace)
        dg_trace_done(lane->trace);
    if (lane->tells) /* tiles are run in about the order in which they stand in the plan */
        dg_team_tell(run->team, (tile + 1.0) / run->plan->n_tiles);
    return failed;
}

static void run_tile(struct dg_run *run, unsigned worker, uint32_t tile)
{
    struct lane *lane = &run->lanes[worker];
    const int failed = lane->watched ? watch(run, lane, tile) : compute(run, lane, tile);

    if (failed && !lane->failed)
        lane->failed = failed;
}

enum { BATCH = 32 };

/* The successors that a finisher has made ready. */
struct ready {
    uint32_t kept;          /* to be run next, or DG_NO_TILE */
    unsigned pushed;        /* how many went to queues, or wait in batch */
    struct dg_queue *queue; /* that batch[0 ... n - 1] will go to */
    uint32_t batch[BATCH], n;
};

static void push_batch(struct ready *r)
{
    if (r->n > 0)
        dg_queue_push(r->queue, r->batch, r->n);
    r->n = 0;
}

static void take_ready(struct dg_run *run, unsigned worker, uint32_t tile, struct ready *r)
{
    const struct dg_queue *own = &run->queues[worker];

    if (r->kept == DG_NO_TILE) {
        r->kept = tile;
        return;
    }
    if (queue_of(run, r->kept) != own && queue_of(run, tile) == own) {
        const uint32_t other = r->kept;

        r->kept = tile;
        tile = other;
    }
    if (r->n == BATCH || (r->n > 0 && r->queue != queue_of(run, tile)))
        push_batch(r);
    r->queue = queue_of(run, tile);
    r->batch[r->n++] = tile;
    r->pushed++;
}

static void release(struct dg_run *run, unsigned worker, uint32_t node, struct ready *r);

/* n of the nodes before this one are done. Joins are passed through; they lead to tiles alone, so
 * this goes no deeper than two. */
static void lower(struct dg_run *run, unsigned worker, uint32_t node, uint32_t n, struct ready *r)
{
    if (run->plan->nodes[node].waits > n && dg_sub_acq_rel(&run->waits[node], n) > 0)
        return;
    if (node < run->plan->n_tiles) {
        take_ready(run, worker, node, r);
    } else if (node != dg_plan_end(run->plan)) {
        release(run, worker, node, r);
    } else {
        dg_store_release(&run->over, 1);
        dg_team_wake(run->team, run->workers);
    }
}

/* Lowers the counts of a node's successors. */
static void release(struct dg_run *run, unsigned worker, uint32_t node, struct ready *r)
{
    const struct dg_plan *plan = run->plan;
    const uint32_t *next = plan->next + plan->nodes[node].first;

    for (uint32_t i = 0; i < plan->nodes[node].n_next; i++)
        lower(run, worker, next[i], 1, r);
}

/* The join that is all that a tile leads to, or DG_NO_TILE. */
static uint32_t only_join(const struct dg_plan *plan, uint32_t tile)
{
    const uint32_t to = plan->next[plan->nodes[tile].first];

    return plan->nodes[tile].n_next == 1 && to >= plan->n_tiles ? to : DG_NO_TILE;
}

/* The first tile of the worker's queue, if it leads to that join alone. */
static uint32_t take_alike(struct dg_run *run, unsigned worker, uint32_t join)
{
    uint32_t head;
    const uint32_t tile = dg_queue_peek(&run->queues[worker], &head);

    if (tile == DG_NO_TILE || only_join(run->plan, tile) != join ||
        !dg_queue_take(&run->queues[worker], head))
        return DG_NO_TILE;
    return tile;
}

/* ---- waiting ---- */

/* Looks for something to do: a tile or DONE, or DG_NO_TILE to go on waiting. */
typedef uint32_t look_function(struct dg_run *run, unsigned worker, uint32_t op);

enum { DONE = UINT32_MAX - 1 };

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
            if (now - start >= spin_ns)
                break;
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
    }
}

/* ---- the three schedules ---- */

static uint32_t look_for_tile(struct dg_run *run, unsigned worker, uint32_t op)
{
    uint32_t tile;

    (void)op;
    for (unsigned i = 0; i < run->workers; i++) {
        const unsigned w = worker + i < run->workers ? worker + i : worker + i - run->workers;

        tile = dg_queue_pop(&run->queues[w]);
        if (tile != DG_NO_TILE)
            return tile;
    }
    tile = dg_queue_pop(&run->queues[run->workers]);
    if (tile != DG_NO_TILE)
        return tile;
    return dg_load_acquire(&run->over) ? DONE : DG_NO_TILE;
}

/* Runs a tile, and those alike that are first in the queue, and makes their successors ready. */
static void run_alike(struct dg_run *run, unsigned worker, uint32_t tile, struct ready *r)
{
    const uint32_t join = only_join(run->plan, tile);
    uint32_t n = 0;

    if (join == DG_NO_TILE) {
        run_tile(run, worker, tile);
        release(run, worker, tile, r);
        return;
    }
    for (; tile != DG_NO_TILE; n++) {
        run_tile(run, worker, tile);
        tile = take_alike(run, worker, join);
    }
    lower(run, worker, join, n, r);
}

static void dataflow(void *arg, unsigned worker)
{
    struct dg_run *run = arg;
    struct ready r = {.kept = DG_NO_TILE};

    for (;;) {
        const uint32_t tile =
            r.kept != DG_NO_TILE ? r.kept : wait_for(run, worker, look_for_tile, 0);

        if (tile == DONE)
            return;
        r.kept = DG_NO_TILE;
        r.pushed = 0;
        run_alike(run, worker, tile, &r);
        push_batch(&r);
        if (r.pushed > 0)
            dg_team_wake(run->team, r.pushed);
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
    const uint32_t *first = run->plan->op_first;

    for (uint32_t op = 0; op < run->plan->graph->n_ops; op++) {
        const uint32_t n = first[op + 1] - first[op];
        uint32_t i, done = 0;

        while ((i = dg_add_relaxed(&run->ops[op].next, 1)) < n) {
            run_tile(run, worker, first[op] + i);
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

    if (worker == 0)
        for (uint32_t t = 0; t < run->plan->n_tiles; t++)
            run_tile(run, worker, t);
}

static void recorded(void *arg, unsigned worker)
{
    struct dg_run *run = arg;
    struct dg_trace_lane *trace = run->lanes[worker].trace;

    dg_trace_enter(trace);
    run->job(run, worker);
    dg_trace_nothing(trace);
    dg_trace_leave(trace);
}

/* Before a step, while the helpers wait at their bells. Relaxed stores: the bells publish them. */
static void reset_dataflow(struct dg_run *run)
{
    const struct dg_plan *plan = run->plan;

    dg_store_relaxed(&run->over, 0);
    for (uint32_t n = 0; n < plan->n_nodes; n++)
        dg_store_relaxed(&run->waits[n], plan->nodes[n].waits);
    for (unsigned w = 0; w <= run->workers; w++)
        dg_queue_reset(&run->queues[w]);
    for (uint32_t t = 0; t < plan->n_tiles; t++)
        if (plan->nodes[t].waits == 0)
            dg_queue_push(queue_of(run, t), &t, 1);
}

static void reset_barrier(struct dg_run *run)
{
    for (uint32_t op = 0; op < run->plan->graph->n_ops; op++) {
        dg_store_relaxed(&run->ops[op].next, 0);
        dg_store_relaxed(&run->ops[op].left, run->plan->op_first[op + 1] - run->plan->op_first[op]);
    }
}

int dg_run_step(struct dg_run *run, const struct dg_step *step, enum dg_sched sched)
{
    static void (*const jobs[DG_N_SCHED])(void *, unsigned) = {
        [DG_SCHED_DEFAULT] = dataflow,
        [DG_SCHED_DATAFLOW] = dataflow,
        [DG_SCHED_BARRIER] = barrier,
        [DG_SCHED_SERIAL] = serial,
    };
    struct dg_trace *trace = dg_team_trace(run->team);
    int failed = 0;

    run->step = step;
    if (jobs[sched] == dataflow)
        reset_dataflow(run);
    else if (jobs[sched] == barrier)
        reset_barrier(run);
    if (trace && !dg_trace_begin(trace, run->plan, &run->traced, step))
        trace = NULL;
    for (unsigned w = 0; w < run->workers; w++) {
        run->lanes[w].failed = 0;
        run->lanes[w].trace = trace ? &trace->lanes[w] : NULL;
        run->lanes[w].tells = w == 0 && dg_team_tells(run->team);
        run->lanes[w].watched = run->lanes[w].trace || run->lanes[w].tells;
    }
    run->job = jobs[sched];
    dg_team_run(run->team, trace ? recorded : run->job, run);
    if (trace)
        dg_trace_finish(trace);
    for (unsigned w = 0; w < run->workers && !failed; w++)
        failed = run->lanes[w].failed;
    return failed;
}

const char *dg_sched_name(enum dg_sched sched)
{
    static const char *const names[DG_N_SCHED] = {"default", "dataflow", "barrier", "serial"};

    return (unsigned)sched < DG_N_SCHED ? names[sched] : "unknown";
}
