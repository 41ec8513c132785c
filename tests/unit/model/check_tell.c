/* dg_trace_tell(): every tile of every step is told once, with its box, and nothing is kept. */
#include "../../support/one.h"

#include <stdlib.h>
#include <string.h>

enum { WORKERS = 3, EVENTS = 600, STEPS = 300, MOST_TILES = 512 };

struct told {
    struct dg_team *team;
    struct dg_model *model;
    struct dg_trace *trace;
    struct one *one;
    unsigned calls;
    uint64_t step;          /* of the last call */
    unsigned tiles, n;      /* of a whole step; of this one so far */
    bool seen[MOST_TILES];  /* in this step */
    uint64_t last[WORKERS]; /* end of each worker's last tile */
    uint64_t flops;
    uint32_t rows, past;
    enum dg_status inside; /* of an eval within tell */
    bool cancel;
};

static void begin_step(struct told *t, const struct dg_traced_tile *tile)
{
    if (t->calls > 0) {
        ck_assert_msg(tile->step == t->step + 1, "step %d", (int)tile->step);
        ck_assert_msg(!t->tiles || t->n == t->tiles, "%u tiles", t->n);
        t->tiles = t->n;
    }
    t->step = tile->step;
    t->n = 0;
    t->flops = 0;
    memset(t->seen, 0, sizeof t->seen);
}

static void tell(void *arg, const struct dg_traced_tile *tile)
{
    struct told *t = arg;

    if (t->calls == 0 || tile->step != t->step)
        begin_step(t, tile);
    t->calls++;
    t->n++;
    t->flops += tile->flops;
    t->rows = tile->rows;
    t->past = tile->past;
    ck_assert_uint_lt(tile->tile, MOST_TILES);
    ck_assert(!t->seen[tile->tile]);
    t->seen[tile->tile] = true;
    ck_assert_uint_lt(tile->worker, WORKERS);
    ck_assert_uint_le(t->last[tile->worker], tile->start);
    ck_assert_uint_le(tile->start, tile->end);
    ck_assert_uint_le(tile->idle, tile->start);
    t->last[tile->worker] = tile->end;
    ck_assert(tile->r0 < tile->r1 && tile->c0 < tile->c1);
    ck_assert(tile->op[0] && tile->type[0] && tile->layer >= -1 && tile->layer < 2);
    if (t->calls == 1)
        t->inside = dg_sequence_eval(t->one->text, &(int32_t){1}, 1, 0, NULL);
    if (t->cancel)
        dg_team_cancel(t->team);
}

static void open_told(struct told *t)
{
    struct dg_error err = {0};

    *t = (struct told){0};
    ck_assert_msg(dg_team_new(&t->team, WORKERS, WORKERS, &err) == DG_OK, "%s", err.text);
    ck_assert_msg(dg_model_open(&t->model, "tests/golden/tiny.bin", t->team, &err) == DG_OK, "%s",
                  err.text);
    t->one = one_new(t->model, t->team, NULL);
    ck_assert_msg(dg_trace_new(&t->trace, t->team, EVENTS, &err) == DG_OK, "%s", err.text);
    dg_trace_tell(t->trace, tell, t);
}

static void close_told(struct told *t)
{
    dg_trace_free(t->trace);
    one_free(t->one);
    dg_model_free(t->model);
    dg_team_free(t->team);
}

/* Room for the events of a step or two, and many steps: with nothing kept all of them fit. */
START_TEST(every_tile_once)
{
    struct told t;

    open_told(&t);
    for (int i = 0; i < STEPS; i++) {
        dg_sequence_rewind(t.one->text, (size_t)(i % 7));
        one_eval(t.one, &(int32_t){i % 97}, 1, 1);
        ck_assert_uint_eq(t.step, i);
        ck_assert_uint_eq(t.rows, 1);
        ck_assert_uint_eq(t.past, i % 7);
    }
    for (uint32_t tile = 0; tile < MOST_TILES; tile++) /* all that the plan has, without a hole */
        ck_assert(t.seen[tile] == (tile < t.n));
    ck_assert_uint_gt(t.flops, 2 * 2 * 12 * 16 * 16); /* two layers' products alone */
    ck_assert_int_eq(t.inside, DG_ERR_USAGE);

    dg_trace_tell(t.trace, NULL, NULL);
    one_eval(t.one, &(int32_t){1}, 1, 1);
    ck_assert_uint_eq(t.step, STEPS - 1);
    dg_trace_tell(t.trace, tell, &t);
    dg_trace_window(t.trace, 1000, 2000);
    one_eval(t.one, &(int32_t){1}, 1, 1);
    ck_assert_uint_eq(t.step, STEPS - 1);
    dg_trace_free(t.trace);
    t.trace = NULL;
    one_eval(t.one, &(int32_t){1}, 1, 1);
    ck_assert_uint_eq(t.step, STEPS - 1);
    close_told(&t);
}
END_TEST

/* Cancelling from there ends the next eval. */
START_TEST(cancelled_from_there)
{
    struct told t;

    open_told(&t);
    t.cancel = true;
    one_eval(t.one, &(int32_t){1}, 1, 1);
    ck_assert_uint_gt(t.calls, 0);
    t.cancel = false;
    t.calls = 0;
    ck_assert_int_eq(dg_sequence_eval(t.one->text, &(int32_t){1}, 1, 1, NULL), DG_ERR_CANCELLED);
    ck_assert_uint_eq(t.calls, 0);
    one_eval(t.one, &(int32_t){1}, 1, 1);
    ck_assert_uint_gt(t.calls, 0);
    dg_trace_tell(NULL, tell, &t);
    close_told(&t);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {every_tile_once, cancelled_from_there, NULL};

    return run_suite("tell", tests);
}
