/* Sequences: the same bits however one is cut into evals and steps, and one that a refusal leaves as it
 * was. Samplers: sums in vocabulary order, in float, whatever the caller's
 * floating-point environment. */
#include "../../support/float_control.h"
#include "../../support/one.h"
#include "../../../src/dagpt.h"
#include "../../../src/base/cpu.h"
#include "../../../src/ops/kernels/kernels.h"

#include <errno.h>
#include <fenv.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool out_of_memory; /* for arenas */

/* Takes the place of libc's in this program, so in the library, too. */
void *mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    if (out_of_memory) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
#ifdef SYS_mmap2 /* of machines with 32 bits: an offset is in units of 4096 bytes */
    return (void *)syscall(SYS_mmap2, address, bytes, protection, flags, fd, (long)(offset >> 12));
#else
    return (void *)syscall(SYS_mmap, address, bytes, protection, flags, fd, offset);
#endif
}

int __wrap_posix_memalign(void **out, size_t align, size_t bytes),
    __real_posix_memalign(void **out, size_t align, size_t bytes);

/* What tests/support/heap_arena.c calls (Makefile: --wrap). */
int __wrap_posix_memalign(void **out, size_t align, size_t bytes)
{
    return out_of_memory ? ENOMEM : __real_posix_memalign(out, align, bytes);
}

/* tests/golden/odd.bin: 5 heads of 12 channels, V = 131: nothing is a multiple of 16 */
enum { MAX_T = 40, VOCAB = 131, SEED = 612 };
static const char *const model_path = "tests/golden/odd.bin";

/* A model, and what fresh sequences of one worker, scalar and serial, say after each id of a
 * sequence that fills it. */
struct oracle {
    struct dg_team *team; /* 4 workers, all awake, however few CPUs there are */
    struct dg_model *model;
    int32_t ids[MAX_T];
    const float *rows; /* [MAX_T][VOCAB]: expected->rows */
};

/* Made by the first test that needs it. Every test is a process of its own: they share this. */
static struct {
    bool made;
    float rows[MAX_T * VOCAB];
} * expected;

static struct dg_team *new_team(unsigned workers)
{
    struct dg_error err = {0};
    struct dg_team *team;

    ck_assert_msg(dg_team_new(&team, workers, workers, &err) == DG_OK, "%s", err.text);
    return team;
}

static void eval(struct one *s, const int32_t *ids, size_t n)
{
    one_eval(s, ids, n, 1);
}

static void fill_ids(int32_t *ids, size_t n, uint64_t state)
{
    for (size_t i = 0; i < n; i++)
        ids[i] = (int32_t)random_below(&state, VOCAB);
}

static struct dg_model *open_model(struct dg_team *team)
{
    struct dg_error err = {0};
    struct dg_model *model;

    ck_assert_msg(dg_model_open(&model, model_path, team, &err) == DG_OK, "%s", err.text);
    ck_assert_uint_eq(dg_model_sizes(model).positions, MAX_T);
    ck_assert_uint_eq(dg_model_sizes(model).vocab, VOCAB);
    return model;
}

/* rows[i] = the logits after ids[0 ... i], each by an eval of its own in a fresh sequence. */
static void oracle_rows(const int32_t *ids, float *rows)
{
    const struct dg_engine_options opt = {.isa = DG_ISA_SCALAR, .sched = DG_SCHED_SERIAL};
    struct dg_team *team = new_team(1);
    struct dg_model *model = open_model(team);

    for (size_t i = 0; i < MAX_T; i++) {
        struct one *s = one_new(model, team, &opt);

        eval(s, ids, i + 1);
        memcpy(rows + i * VOCAB, dg_sequence_logits(s->text), VOCAB * sizeof *rows);
        one_free(s);
    }
    dg_model_free(model);
    dg_team_free(team);
}

static void open_oracle(struct oracle *o)
{
    o->team = new_team(4);
    o->model = open_model(o->team);
    fill_ids(o->ids, MAX_T, SEED);
    if (!expected->made)
        oracle_rows(o->ids, expected->rows);
    expected->made = true;
    o->rows = expected->rows;
}

static void close_oracle(struct oracle *o)
{
    dg_model_free(o->model);
    dg_team_free(o->team);
}

static void check_row(const float *logits, const float *rows, size_t length)
{
    ck_assert_ptr_nonnull(logits);
    ck_assert_msg(memcmp(logits, rows + (length - 1) * VOCAB, VOCAB * sizeof *rows) == 0,
                  "other logits after %zu ids", length);
}

/* The sequence's logits are those after the first `length` ids. */
static void check_logits(const struct one *s, const struct oracle *o, size_t length)
{
    ck_assert_uint_eq(dg_sequence_position(s->text), length);
    check_row(dg_sequence_logits(s->text), o->rows, length);
}

/* ---- cuts ---- */

START_TEST(one_go_and_one_at_a_time)
{
    struct one *s;
    struct oracle o;

    open_oracle(&o);
    s = one_new(o.model, o.team, NULL);
    eval(s, o.ids, MAX_T);
    check_logits(s, &o, MAX_T);
    one_free(s);
    s = one_new(o.model, o.team, NULL);
    for (size_t i = 0; i < MAX_T; i++) {
        eval(s, o.ids + i, 1);
        check_logits(s, &o, i + 1);
    }
    one_free(s);
    close_oracle(&o);
}
END_TEST

/* The engine's own cuts, for every length that it divides and does not divide. */
START_TEST(chunks)
{
    struct oracle o;

    open_oracle(&o);
    for (uint32_t chunk = 1; chunk <= MAX_T + 1; chunk += sanitized() ? 4 : 1) {
        const struct dg_engine_options opt = {.isa = dg_isa_best(), .chunk = chunk};
        struct one *s = one_new(o.model, o.team, &opt);

        for (size_t n = MAX_T; n > 0; n -= n > 7 ? 7 : n) {
            dg_sequence_rewind(s->text, 0);
            eval(s, o.ids, n);
            check_logits(s, &o, n);
        }
        one_free(s);
    }
    close_oracle(&o);
}
END_TEST

/* The caller's cuts, at random places, with and without chunks of the engine's. */
START_TEST(random_cuts)
{
    const int rounds = sanitized() ? 10 : 60;
    uint64_t state = 7;
    struct oracle o;

    open_oracle(&o);
    for (int i = 0; i < rounds; i++) {
        const struct dg_engine_options opt = {.isa = dg_isa_best(),
                                              .chunk = random_below(&state, 6)};
        struct one *s = one_new(o.model, o.team, &opt);

        for (size_t at = 0, n; at < MAX_T; at += n) {
            n = 1 + random_below(&state, MAX_T - (uint32_t)at);
            n = n > 12 ? n / 3 : n;
            eval(s, o.ids + at, n);
            check_logits(s, &o, at + n);
        }
        one_free(s);
    }
    close_oracle(&o);
}
END_TEST

/* One prompt length after another, more of them than an engine keeps plans for; then again in
 * another order. */
START_TEST(many_prompt_lengths)
{
    uint64_t state = 3;
    struct one *s;
    struct oracle o;

    open_oracle(&o);
    s = one_new(o.model, o.team, NULL);
    for (size_t n = 1; n <= MAX_T; n++) {
        dg_sequence_rewind(s->text, 0);
        eval(s, o.ids, n);
        check_logits(s, &o, n);
    }
    for (int i = 0; i < 60; i++) {
        const size_t n = 1 + random_below(&state, MAX_T - 1);

        dg_sequence_rewind(s->text, 0);
        eval(s, o.ids, n);
        check_logits(s, &o, n);
        eval(s, o.ids + n, 1);
        check_logits(s, &o, n + 1);
    }
    one_free(s);
    close_oracle(&o);
}
END_TEST

START_TEST(all_logits)
{
    struct oracle o;

    open_oracle(&o);
    for (uint32_t chunk = 0; chunk <= 17; chunk++) {
        const struct dg_engine_options opt = {.chunk = chunk};
        struct one *s = one_new(o.model, o.team, &opt);
        static const size_t cuts[] = {5, 1, 20, 14}; /* of MAX_T */

        for (size_t i = 0, at = 0; i < 4; at += cuts[i], i++) {
            one_eval(s, o.ids + at, cuts[i], cuts[i]);
            for (size_t r = 0; r < cuts[i]; r++)
                check_row(dg_sequence_logits(s->text) + r * VOCAB, o.rows, at + r + 1);
        }
        one_free(s);
    }
    close_oracle(&o);
}
END_TEST

/* ---- rewinding ---- */

START_TEST(rewind_and_go_on)
{
    static const size_t places[] = {0, 1, 15, 16, 17, 31, 39};
    struct one *s;
    struct oracle o;
    int32_t others[MAX_T];

    open_oracle(&o);
    fill_ids(others, MAX_T, 99);
    s = one_new(o.model, o.team, NULL);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const size_t at = places[i];

        dg_sequence_rewind(s->text, 0);
        eval(s, o.ids, at + 1);
        dg_sequence_rewind(s->text, at);
        ck_assert_uint_eq(dg_sequence_position(s->text), at);
        eval(s, others, MAX_T - at); /* another future, which fills the cache */
        dg_sequence_rewind(s->text, at);
        eval(s, o.ids + at, 1);
        check_logits(s, &o, at + 1);
        if (at + 1 < MAX_T) {
            eval(s, o.ids + at + 1, MAX_T - at - 1);
            check_logits(s, &o, MAX_T);
        }
    }
    one_free(s);
    close_oracle(&o);
}
END_TEST

START_TEST(rewind_goes_back_only)
{
    struct one *s;
    struct oracle o;

    open_oracle(&o);
    s = one_new(o.model, o.team, NULL);
    dg_sequence_rewind(s->text, 3);
    ck_assert_uint_eq(dg_sequence_position(s->text), 0);
    eval(s, o.ids, 6);
    dg_sequence_rewind(s->text, 5);
    ck_assert_ptr_null(dg_sequence_logits(s->text)); /* of a text that is no more */
    dg_sequence_rewind(s->text, 4);
    eval(s, o.ids + 4, 1);
    dg_sequence_rewind(s->text, 5);
    dg_sequence_rewind(s->text, 6);
    dg_sequence_rewind(s->text, SIZE_MAX);
    check_logits(s, &o, 5);
    eval(s, o.ids + 5, 1);
    check_logits(s, &o, 6);
    one_free(s);
    close_oracle(&o);
}
END_TEST

/* What the rows with logits are is a matter of each eval: none, the last, some, all. */
START_TEST(some_logits)
{
    uint64_t state = 17;
    struct oracle o;

    open_oracle(&o);
    for (int i = 0; i < (sanitized() ? 10 : 60); i++) {
        const struct dg_engine_options opt = {.chunk = random_below(&state, 9)};
        struct one *s = one_new(o.model, o.team, &opt);

        for (size_t at = 0, n; at < MAX_T; at += n) {
            n = 1 + random_below(&state, MAX_T - (uint32_t)at);
            const size_t n_logits = random_below(&state, (uint32_t)n + 1);

            one_eval(s, o.ids + at, n, n_logits);
            if (n_logits == 0)
                ck_assert_ptr_null(dg_sequence_logits(s->text));
            for (size_t r = 0; r < n_logits; r++)
                check_row(dg_sequence_logits(s->text) + r * VOCAB, o.rows,
                          at + n - n_logits + r + 1);
        }
        one_free(s);
    }
    close_oracle(&o);
}
END_TEST

START_TEST(more_rows_with_logits_than_rows)
{
    struct dg_error err = {0};
    struct one *s;
    struct oracle o;

    open_oracle(&o);
    s = one_new(o.model, o.team, NULL);
    eval(s, o.ids, 4);
    ck_assert_int_eq(dg_sequence_eval(s->text, o.ids + 4, 2, 3, &err), DG_ERR_USAGE);
    ck_assert_str_eq(err.text, "rows with logits: got 3, expected 0 to 2");
    check_logits(s, &o, 4);
    one_free(s);
    close_oracle(&o);
}
END_TEST

/* The second step finds no memory for its plan; the logits of the eval before have moved by then. */
START_TEST(no_logits_after_a_failed_step)
{
    const struct dg_engine_options opt = {.chunk = 7};
    struct dg_error err = {0};
    struct one *s;
    struct oracle o;

    open_oracle(&o);
    s = one_new(o.model, o.team, &opt);
    one_eval(s, o.ids, 3, 3);
    one_eval(s, o.ids + 3, 7, 7); /* makes the plan of the first step below */
    ck_assert_ptr_nonnull(dg_sequence_logits(s->text));
    out_of_memory = true;
    ck_assert_int_eq(dg_sequence_eval(s->text, o.ids + 10, 12, 12, &err), DG_ERR_RESOURCE);
    out_of_memory = false;
    ck_assert_int_eq(err.status, DG_ERR_RESOURCE);
    ck_assert_ptr_null(dg_sequence_logits(s->text));
    ck_assert_uint_eq(dg_sequence_position(s->text), 10);
    eval(s, o.ids + 10, 12);
    check_logits(s, &o, 22);
    one_free(s);
    close_oracle(&o);
}
END_TEST

/* ---- weights that are no numbers ---- */

/* The model's file, with floats first, first + step ... first + (n - 1) * step of its weights set. */
static unsigned char *spoilt(size_t *bytes, size_t first, size_t step, size_t n, float to)
{
    FILE *f = fopen(model_path, "rb");
    unsigned char *file;
    long length;

    ck_assert_ptr_nonnull(f);
    ck_assert(fseek(f, 0, SEEK_END) == 0 && (length = ftell(f)) > 0);
    rewind(f);
    *bytes = (size_t)length;
    file = malloc(*bytes);
    ck_assert(file && fread(file, 1, *bytes, f) == *bytes);
    fclose(f);
    for (size_t i = 0; i < n; i++)
        memcpy(file + 1024 + 4 * (first + i * step), &to, sizeof to);
    return file;
}

static void refused(const struct dg_error *err, enum dg_status st, const char *text)
{
    ck_assert_int_eq(st, DG_ERR_MODEL);
    ck_assert_int_eq(err->status, DG_ERR_MODEL);
    ck_assert_msg(strstr(err->text, text) == err->text, "%s", err->text);
}

/* A row that the prompt does not need, so that nothing but the load sees it. */
START_TEST(weight_that_is_not_finite)
{
    const size_t row = 60;
    struct dg_team *team = new_team(2);
    const int32_t id = 3;
    size_t bytes;
    unsigned char *file = spoilt(&bytes, VOCAB * row + 39 * row + 7, 1, 1, NAN);
    const char *text = "spoilt: wpe: row 39, column 7: got nan, expected a finite number";
    struct dg_error err = {0};
    struct dg_model *m;
    struct one *o;

    refused(&err, dg_model_parse(&m, file, bytes, "spoilt", team, &err), text);
    ck_assert_ptr_null(m);
    ck_assert_int_eq(dg_model_parse(&m, file, bytes, "spoilt", NULL, &err), DG_OK);
    o = one_new(m, team, NULL);
    for (int i = 0; i < 2; i++) {
        refused(&err, dg_sequence_eval(o->text, &id, 1, 1, &err), text);
        ck_assert_uint_eq(dg_sequence_position(o->text), 0);
        ck_assert_ptr_null(dg_sequence_logits(o->text));
    }
    one_free(o);
    dg_model_free(m);
    dg_team_free(team);
    free(file);
}
END_TEST

/* The last layer's v, and the last op, in the model's first step and in a later one. */
START_TEST(weights_that_overflow)
{
    const size_t C = 60, layers = 3, wpe = VOCAB * C, ln1 = wpe + MAX_T * C,
                 qkv = ln1 + 2 * layers * C, v = qkv + 2 * 3 * C * C + 2 * C * C;
    const struct {
        size_t first, n;
        const char *text;
    } cases[] = {{v, C, "spoilt: op h2.v: row "}, {0, C, "spoilt: op logits: row "}};
    const int32_t ids[] = {3, 1, 4, 1, 5};
    struct dg_team *team = new_team(2);
    struct dg_error err = {0};

    for (size_t i = 0; i < 4; i++) {
        size_t bytes;
        unsigned char *file = spoilt(&bytes, cases[i / 2].first, 1, cases[i / 2].n, 3.4e38f);
        struct dg_model *m;
        struct one *o;

        ck_assert_msg(dg_model_parse(&m, file, bytes, "spoilt", i % 2 ? team : NULL, &err) == DG_OK,
                      "%s", err.text);
        o = one_new(m, team, NULL);
        one_eval(o, ids, 1, 0); /* logits alone are asked for */
        for (int turn = 0; turn < 2; turn++) {
            refused(&err, dg_sequence_eval(o->text, ids + 1, 4, 2, &err), cases[i / 2].text);
            ck_assert_uint_eq(dg_sequence_position(o->text), 1);
            ck_assert_ptr_null(dg_sequence_logits(o->text));
        }
        one_free(o);
        dg_model_free(m);
        free(file);
    }
    dg_team_free(team);
}
END_TEST

/* ---- cancelled ---- */

/* Cancels a team once worker 0 has run so many tiles of its steps. */
struct fuse {
    struct dg_team *team;
    unsigned tiles;
};

static void burn(void *arg, double done)
{
    struct fuse *f = arg;

    (void)done;
    if (f->tiles > 0 && --f->tiles == 0)
        dg_team_cancel(f->team);
}

/* An eval that is cancelled after so many tiles of worker 0; false: it had no more, and was not. */
static bool cancel_after(struct one *s, struct dg_team *team, unsigned tiles, const int32_t *ids,
                         size_t n)
{
    const size_t before = dg_sequence_position(s->text);
    struct fuse fuse = {team, tiles};
    struct dg_error err = {0};
    enum dg_status st;

    dg_team_progress(team, burn, &fuse);
    st = dg_sequence_eval(s->text, ids, n, 1, &err);
    dg_team_progress(team, NULL, NULL);
    if (st == DG_OK) {
        dg_team_uncancel(team);
        return false;
    }
    ck_assert_int_eq(st, DG_ERR_CANCELLED);
    ck_assert_int_eq(err.status, DG_ERR_CANCELLED);
    ck_assert_uint_eq(dg_sequence_position(s->text), before);
    ck_assert_ptr_null(dg_sequence_logits(s->text));
    return true;
}

/* Whole and in chunks, by each schedule, at each tile: as if it had never begun. */
static void cancel_evals(const struct oracle *o, const struct dg_engine_options *opt)
{
    struct one *s = one_new(o->model, o->team, opt);
    struct dg_error err;
    unsigned tiles = 1;

    eval(s, o->ids, 9);
    dg_team_cancel(o->team);
    ck_assert_int_eq(dg_sequence_eval(s->text, o->ids + 9, 11, 0, &err), DG_ERR_CANCELLED);
    ck_assert_uint_eq(dg_sequence_position(s->text), 9);
    while (cancel_after(s, o->team, tiles, o->ids + 9, 11)) {
        eval(s, o->ids + 9, 11);
        check_logits(s, o, 20);
        dg_sequence_rewind(s->text, 9);
        tiles += sanitized() ? 11 : 3;
    }
    if (opt->sched == DG_SCHED_SERIAL) /* else worker 0 may have found the tiles taken */
        ck_assert_uint_gt(tiles, 30);
    check_logits(s, o, 20);
    one_free(s);
}

START_TEST(cancelled_evals)
{
    struct oracle o;

    open_oracle(&o);
    for (enum dg_sched sched = DG_SCHED_DATAFLOW; sched <= DG_SCHED_SERIAL; sched++)
        for (uint32_t chunk = 0; chunk <= 4; chunk += 4) {
            const struct dg_engine_options opt = {.sched = sched, .chunk = chunk};

            cancel_evals(&o, &opt);
        }
    close_oracle(&o);
}
END_TEST

/* The eval that reads the weights is cancelled at each of its tiles, twice: the next reads them all. */
static unsigned cancel_loading(const struct oracle *o, enum dg_sched sched)
{
    const struct dg_engine_options opt = {.sched = sched};
    unsigned tiles = 0, cancelled;

    do {
        struct dg_model *model = open_model(NULL);
        struct one *s = one_new(model, o->team, &opt);

        tiles += sanitized() ? 11 : 3;
        cancelled = 0;
        while (cancelled < 2 && cancel_after(s, o->team, tiles, o->ids, 5))
            cancelled++;
        if (cancelled == 2)
            eval(s, o->ids, 5);
        check_logits(s, o, 5);
        one_free(s);
        dg_model_free(model);
    } while (cancelled > 0);
    return tiles;
}

START_TEST(cancelled_while_loading)
{
    struct oracle o;

    open_oracle(&o);
    cancel_loading(&o, DG_SCHED_DATAFLOW);
    cancel_loading(&o, DG_SCHED_BARRIER);
    ck_assert_uint_gt(cancel_loading(&o, DG_SCHED_SERIAL), 30);
    close_oracle(&o);
}
END_TEST

/* A model that is opened with a team that has been cancelled is not; the next is. */
START_TEST(cancelled_model)
{
    struct dg_team *team = new_team(2);
    struct dg_error err = {0};
    struct dg_model *model;

    dg_team_cancel(team);
    ck_assert_int_eq(dg_model_open(&model, model_path, team, &err), DG_ERR_CANCELLED);
    ck_assert_str_eq(err.text, "tests/golden/odd.bin: reading the weights was cancelled");
    dg_model_free(open_model(team));
    dg_team_free(team);
}
END_TEST

/* ---- refusals ---- */

/* Each option beyond its range, and a struct that is none. */
START_TEST(options_out_of_range)
{
    static const struct {
        struct dg_engine_options opt;
        const char *text;
    } wrong[] = {
        {{.sched = (enum dg_sched)4}, "sched: got 4, expected 0 to 3"},
        {{.sched = (enum dg_sched) - 1}, "sched: got -1, expected 0 to 3"},
        {{.isa = (enum dg_isa)9}, "isa: got 9 (unknown), expected"},
        {{.isa = (enum dg_isa) - 1}, "isa: got -1 (unknown), expected"},
        {{.no_fuse = 2}, "no_fuse: got 2, expected 0 or 1"},
        {{.cache = DG_PRECISION_INT8}, "cache: got 3 (int8), expected auto, f32 or bf16"},
        {{.cache = (enum dg_precision) - 1}, "cache: got -1 (unknown), expected"},
        {{.reserved = 1}, "reserved: got 1, expected 0"},
        {{.size = 1}, "engine options: size: got 1, expected"},
        {{.size = SIZE_MAX}, "engine options: size: got"},
#if defined(__x86_64__)
        {{.isa = DG_ISA_NEON}, "isa: got 7 (neon), expected one of this processor architecture"},
#else
        {{.isa = DG_ISA_AVX2}, "isa: got 2 (avx2), expected one of this processor architecture"},
#endif
    };
    const struct dg_engine_options right = {.size = sizeof right, .sched = DG_SCHED_SERIAL};
    struct one *s;
    struct oracle o;

    open_oracle(&o);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct dg_engine *engine = NULL;
        struct dg_error err = {0};

        ck_assert_int_eq(dg_engine_new(&engine, o.model, o.team, &wrong[i].opt, &err),
                         DG_ERR_USAGE);
        ck_assert_ptr_null(engine);
        ck_assert_msg(strstr(err.text, wrong[i].text) == err.text, "%s", err.text);
    }
    s = one_new(o.model, o.team, &right);
    eval(s, o.ids, 3);
    check_logits(s, &o, 3);
    one_free(s);
    close_oracle(&o);
}
END_TEST

/* The eval is refused with a text that has `part` in it, and changes nothing. */
static void check_refused(struct one *s, const int32_t *ids, size_t n, const char *part)
{
    const size_t position = dg_sequence_position(s->text);
    const float *logits = dg_sequence_logits(s->text);
    struct dg_error err = {0};
    float before[VOCAB];

    if (logits)
        memcpy(before, logits, sizeof before);
    ck_assert_int_eq(dg_sequence_eval(s->text, ids, n, 1, &err), DG_ERR_TOKEN);
    ck_assert_int_eq(err.status, DG_ERR_TOKEN);
    ck_assert_ptr_null(strchr(err.text, '\n'));
    ck_assert_msg(strstr(err.text, part) != NULL, "got '%s', expected '%s' in it", err.text, part);
    ck_assert_uint_eq(dg_sequence_position(s->text), position);
    ck_assert_ptr_eq(dg_sequence_logits(s->text), logits);
    if (logits)
        ck_assert_mem_eq(logits, before, sizeof before);
    ck_assert_int_eq(dg_sequence_eval(s->text, ids, n, 1, NULL), DG_ERR_TOKEN);
}

START_TEST(no_logits_before_the_first_eval)
{
    const int32_t bad[] = {0, VOCAB};
    struct one *s;
    struct oracle o;

    open_oracle(&o);
    s = one_new(o.model, o.team, NULL);
    ck_assert_ptr_null(dg_sequence_logits(s->text));
    ck_assert_uint_eq(dg_sequence_position(s->text), 0);
    check_refused(s, bad, 2, "token id 2");
    ck_assert_ptr_null(dg_sequence_logits(s->text));
    one_free(s);
    close_oracle(&o);
}
END_TEST

START_TEST(as_many_positions_as_there_are)
{
    int32_t more[MAX_T + 1];
    struct one *s;
    struct oracle o;

    open_oracle(&o);
    memcpy(more, o.ids, sizeof o.ids);
    more[MAX_T] = 0;
    s = one_new(o.model, o.team, NULL);
    check_refused(s, more, MAX_T + 1, "got 41 ids after 0, expected 1 to 40");
    check_refused(s, more, SIZE_MAX, "positions");
    eval(s, o.ids, MAX_T - 2);
    check_refused(s, more, 3, "got 3 ids after 38, expected 1 to 2");
    check_logits(s, &o, MAX_T - 2);
    eval(s, o.ids + MAX_T - 2, 2);
    check_refused(s, more, 1, "positions: all 40 of the model are used");
    check_logits(s, &o, MAX_T);
    dg_sequence_rewind(s->text, MAX_T - 1);
    eval(s, o.ids + MAX_T - 1, 1);
    check_logits(s, &o, MAX_T);
    one_free(s);
    close_oracle(&o);
}
END_TEST

START_TEST(ids_that_are_none)
{
    static const int32_t none[] = {-1, VOCAB, INT32_MAX, INT32_MIN};
    struct one *s;
    struct oracle o;

    open_oracle(&o);
    s = one_new(o.model, o.team, NULL);
    eval(s, o.ids, 8);
    check_refused(s, o.ids, 0, "got 0 ids");
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        for (size_t at = 0; at < 20; at += 5) {
            int32_t ids[20] = {0};
            char part[64];

            ids[at] = none[i];
            ids[19] = none[i]; /* the first of them is named */
            snprintf(part, sizeof part, "token id %zu: got %d, expected 0 to 130", at + 1, none[i]);
            check_refused(s, ids, 20, part);
        }
    }
    eval(s, o.ids + 8, MAX_T - 8);
    check_logits(s, &o, MAX_T);
    one_free(s);
    close_oracle(&o);
}
END_TEST

/* ---- several sequences, several ways ---- */

START_TEST(two_sequences)
{
    struct one *a, *b, *c;
    struct dg_team *alone;
    int32_t others[MAX_T];
    struct oracle o;
    static float rows[MAX_T * VOCAB];

    open_oracle(&o);
    fill_ids(others, MAX_T, 4);
    oracle_rows(others, rows);
    alone = new_team(1);
    a = one_new(o.model, o.team, NULL);
    b = one_new(o.model, o.team, NULL);
    c = one_new(o.model, alone, NULL);
    eval(a, o.ids, 17);
    eval(b, others, 3);
    eval(c, others, 9);
    check_logits(a, &o, 17);
    for (size_t i = 0; i < 20; i++) {
        eval(b, others + 3 + i, 1);
        eval(a, o.ids + 17 + i, 1);
        eval(c, others + 9 + i, 1);
        check_row(dg_sequence_logits(b->text), rows, 3 + i + 1);
        check_logits(a, &o, 17 + i + 1);
        check_row(dg_sequence_logits(c->text), rows, 9 + i + 1);
    }
    one_free(a);
    eval(b, others + 23, MAX_T - 23);
    check_row(dg_sequence_logits(b->text), rows, MAX_T);
    one_free(b);
    one_free(c);
    dg_team_free(alone);
    close_oracle(&o);
}
END_TEST

/* They share the engine's plans, and nothing else. */
START_TEST(two_sequences_of_one_engine)
{
    struct dg_sequence *other;
    struct dg_error err = {0};
    struct one *s;
    int32_t others[MAX_T];
    struct oracle o;
    static float rows[MAX_T * VOCAB];

    open_oracle(&o);
    fill_ids(others, MAX_T, 4);
    oracle_rows(others, rows);
    s = one_new(o.model, o.team, NULL);
    ck_assert_int_eq(dg_sequence_new(&other, s->engine, &err), DG_OK);
    eval(s, o.ids, 9);
    ck_assert_int_eq(dg_sequence_eval(other, others, 9, 2, &err), DG_OK);
    check_logits(s, &o, 9); /* the other's eval left them alone */
    for (size_t i = 9; i < MAX_T; i++) {
        eval(s, o.ids + i, 1);
        ck_assert_int_eq(dg_sequence_eval(other, others + i, 1, 1, &err), DG_OK);
        check_logits(s, &o, i + 1);
        check_row(dg_sequence_logits(other), rows, i + 1);
    }
    dg_sequence_free(other);
    one_free(s);
    close_oracle(&o);
}
END_TEST

static void check_variant(const struct oracle *o, const struct dg_engine_options *opt)
{
    struct one *s = one_new(o->model, o->team, opt);

    eval(s, o->ids, 19);
    check_logits(s, o, 19);
    eval(s, o->ids + 19, 1);
    check_logits(s, o, 20);
    eval(s, o->ids + 20, MAX_T - 20);
    check_logits(s, o, MAX_T);
    one_free(s);
}

START_TEST(tiles)
{
    static const uint32_t rows[] = {0, 1, 3, 8, 16, 1000}, cols[] = {0, 1, 16, 17, 48, 100000};
    struct oracle o;

    open_oracle(&o);
    for (size_t r = 0; r < 6; r += sanitized() ? 2 : 1) {
        for (size_t c = 0; c < 6; c++) {
            const struct dg_engine_options opt = {.isa = dg_isa_best(),
                                                  .row_block = rows[r],
                                                  .col_block = cols[c],
                                                  .no_fuse = c % 2 == 1};

            check_variant(&o, &opt);
        }
    }
    close_oracle(&o);
}
END_TEST

/* An isa above the best there is counts as the best. */
START_TEST(schedules_and_instruction_sets)
{
    struct oracle o;

    open_oracle(&o);
    for (enum dg_sched sched = 0; sched <= DG_SCHED_SERIAL; sched++) {
        for (enum dg_isa isa = 0; isa <= DG_ISA_NEON_DOT; isa++) {
            if (isa != DG_ISA_BEST &&
                (!dg_isa_built(isa) || (isa == DG_ISA_AMX && dg_isa_cap(isa) != isa)))
                continue;
            for (int no_fuse = 0; no_fuse < 2; no_fuse++) {
                const struct dg_engine_options opt = {
                    .isa = isa, .sched = sched, .no_fuse = no_fuse};

                check_variant(&o, &opt);
            }
        }
    }
    close_oracle(&o);
}
END_TEST

/* ---- the caller's floating-point environment ---- */

struct environment {
    fenv_t saved;
    uint32_t control;
};

/* Rounding upward; on x86-64 and AArch64 also denormals as zeros. */
static void spoil(struct environment *e)
{
    fegetenv(&e->saved);
    ck_assert_int_eq(fesetround(FE_UPWARD), 0);
    add_float_control(FLUSH_TO_ZERO | DENORMALS_ARE_ZERO);
    e->control = float_control();
}

/* Puts back what there was before; the library must have left what spoil() set. */
static void restore(const struct environment *e)
{
    const int rounding = fegetround();
    const uint32_t found = float_control();

    fesetenv(&e->saved);
    ck_assert_uint_eq(found, e->control);
    ck_assert_int_eq(rounding, FE_UPWARD);
}

START_TEST(eval_in_another_environment)
{
    struct oracle o;

    open_oracle(&o);
    for (unsigned workers = 1; workers <= 4; workers += 3) {
        struct dg_team *team = new_team(workers);

        for (enum dg_sched sched = 0; sched <= DG_SCHED_SERIAL; sched++) {
            const struct dg_engine_options opt = {.isa = dg_isa_best(), .sched = sched};
            struct one *s = one_new(o.model, team, &opt);
            struct environment e;

            spoil(&e);
            eval(s, o.ids, 20);
            eval(s, o.ids + 20, 1);
            restore(&e);
            check_logits(s, &o, 21);
            one_free(s);
        }
        dg_team_free(team);
    }
    close_oracle(&o);
}
END_TEST

/* Of a model that is opened, with `loading` or, if that is NULL, by its first step, and evaluated; the caller's to free. */
static float *logits_of(const char *path, enum dg_precision precision, struct dg_team *loading,
                        struct dg_team *team, bool spoiled, size_t *vocab)
{
    static const int32_t ids[] = {3, 1, 4, 1, 5};
    struct environment e;
    struct dg_error err = {0};
    struct dg_model *model;
    enum dg_status st;
    struct one *s;
    float *logits;

    if (spoiled)
        spoil(&e);
    st = dg_model_open_as(&model, path, precision, loading, &err);
    ck_assert_msg(st == DG_OK, "%s", err.text);
    s = one_new(model, team, NULL);
    one_eval(s, ids, 5, 1);
    if (spoiled)
        restore(&e);
    *vocab = dg_model_sizes(model).vocab;
    logits = malloc(*vocab * sizeof *logits);
    ck_assert_ptr_nonnull(logits);
    memcpy(logits, dg_sequence_logits(s->text), *vocab * sizeof *logits);
    one_free(s);
    dg_model_free(model);
    return logits;
}

START_TEST(loaded_in_another_environment)
{
    static const char *const paths[] = {"tests/golden/tiny.bin", "tests/golden/bf16.bin",
                                        "tests/golden/hf-bare", "tests/golden/gguf/small-f16.gguf",
                                        "tests/golden/gguf/small-q8_0.gguf"};
    struct dg_team *team = new_team(2);

    for (size_t p = 0; p < sizeof paths / sizeof *paths; p++)
        for (enum dg_precision as = DG_PRECISION_F32; as <= DG_PRECISION_INT8; as++) {
            size_t n;
            float *plain = logits_of(paths[p], as, team, team, false, &n);

            for (int late = 0; late < 2; late++) {
                float *other = logits_of(paths[p], as, late ? NULL : team, team, true, &n);

                ck_assert_msg(memcmp(plain, other, n * sizeof *plain) == 0,
                              "%s as %s: other logits", paths[p], dg_precision_name(as));
                free(other);
            }
            free(plain);
        }
    dg_team_free(team);
}
END_TEST

/* A copy of tests/golden/tiny.bin whose last layernorm gives 1e-40, a denormal, whatever it gets:
 * gain 0, bias 1e-40. Flushed to zero, it would make all logits 0. */
static void write_denormal_model(char *path)
{
    enum { BYTES = 37696, C = 16 };
    const float gain[C] = {0}, tiny = 1e-40f;
    char *bytes = malloc(BYTES);
    FILE *in = fopen("tests/golden/tiny.bin", "rb"), *out;

    ck_assert(in && bytes && fread(bytes, 1, BYTES, in) == BYTES);
    fclose(in);
    memcpy(bytes + BYTES - 2 * sizeof gain, gain, sizeof gain);
    for (int i = 0; i < C; i++)
        memcpy(bytes + BYTES - (C - i) * sizeof tiny, &tiny, sizeof tiny);
    out = fdopen(mkstemp(path), "wb");
    ck_assert(out && fwrite(bytes, 1, BYTES, out) == BYTES && fclose(out) == 0);
    free(bytes);
}

START_TEST(denormals_are_kept)
{
    char path[] = "/tmp/dagpt-sequence-XXXXXX";
    const int32_t ids[] = {24, 94, 91};
    struct dg_error err = {0};
    struct dg_team *team = new_team(1);
    struct dg_model *model;

    write_denormal_model(path);
    ck_assert_msg(dg_model_open(&model, path, team, &err) == DG_OK, "%s", err.text);
    unlink(path);
    for (enum dg_sched sched = 0; sched <= DG_SCHED_SERIAL; sched++) {
        for (enum dg_isa isa = DG_ISA_SCALAR; isa; isa = dg_isa_next(isa)) {
            const struct dg_engine_options opt = {.isa = isa, .sched = sched};
            struct one *s = one_new(model, team, &opt);
            struct environment e;
            unsigned zeros = 0;

            spoil(&e);
            eval(s, ids, 3);
            restore(&e);
            for (int i = 0; i < 97; i++)
                zeros += dg_sequence_logits(s->text)[i] == 0.0f;
            ck_assert_uint_lt(zeros, 10);
            one_free(s);
        }
    }
    dg_model_free(model);
    dg_team_free(team);
}
END_TEST

/* ---- softmax ---- */

static void softmax(float *probs, const float *logits, size_t n, int32_t *best)
{
    struct dg_error err = {0};

    ck_assert_msg(dg_softmax(probs, logits, n, best, &err) == DG_OK, "%s", err.text);
}

enum { MAX_N = 1000 };

static void random_logits(float *logits, size_t n, float spread, uint64_t *state)
{
    for (size_t i = 0; i < n; i++)
        logits[i] = random_float(state, -spread, spread);
}

static void check_double(const float *logits, size_t n)
{
    float probs[MAX_N];
    double top = -INFINITY, sum = 0;
    int32_t best = -1;

    softmax(probs, logits, n, &best);
    for (size_t i = 0; i < n; i++)
        top = fmax(top, logits[i]);
    for (size_t i = 0; i < n; i++)
        sum += exp(logits[i] - top);
    ck_assert(logits[best] == (float)top);
    /* a subtraction of up to 2 * 80, exp, n - 1 additions, a division: half an ulp each, but that
     * the subtraction's is absolute */
    for (size_t i = 0; i < n; i++) {
        const double exact = exp(logits[i] - top) / sum;

        ck_assert_double_eq_tol(probs[i], exact, 1e-37 + exact * ((double)n + 164) * 0x1p-24);
    }
}

START_TEST(softmax_against_double)
{
    static const float spreads[] = {0.0f, 0.01f, 1.0f, 10.0f, 80.0f};
    static const size_t lengths[] = {1, 2, 15, 16, 17, 131, MAX_N};
    uint64_t state = 5;
    float logits[MAX_N];

    for (size_t i = 0; i < sizeof spreads / sizeof *spreads; i++) {
        for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
            random_logits(logits, lengths[k], spreads[i], &state);
            check_double(logits, lengths[k]);
        }
    }
    for (size_t i = 0; i < MAX_N; i++) /* the difference of these is no float */
        logits[i] = i % 2 ? 3e38f : -3e38f;
    check_double(logits, MAX_N);
}
END_TEST

/* exp, the plain float sum in vocabulary order and the division, bit for bit. */
static void check_exactly(const float *logits, size_t n)
{
    float probs[MAX_N], exact[MAX_N] = {0}, top = logits[0];
    volatile float sum = 0.0f; /* each addition is rounded to float */
    int32_t best = -1;

    for (size_t i = 1; i < n; i++)
        top = logits[i] > top ? logits[i] : top;
    for (size_t i = 0; i < n; i++)
        exact[i] = logits[i] - top;
    dg_kernels_scalar.exp(exact, exact, n);
    for (size_t i = 0; i < n; i++)
        sum = sum + exact[i];
    for (size_t i = 0; i < n; i++)
        exact[i] = exact[i] / sum;
    softmax(probs, logits, n, &best);
    ck_assert_mem_eq(probs, exact, n * sizeof *probs);
}

START_TEST(softmax_sums_in_order)
{
    float logits[MAX_N], probs[MAX_N];
    uint64_t state = 8;
    int32_t best = -1;

    /* exp(-17) is less than half an ulp of 1: added to 1 one by one, 999 of them vanish; added to
     * each other first, they do not */
    logits[0] = 0.0f;
    for (int i = 1; i < MAX_N; i++)
        logits[i] = -17.0f;
    softmax(probs, logits, MAX_N, &best);
    ck_assert_int_eq(best, 0);
    ck_assert(probs[0] == 1.0f);
    check_exactly(logits, MAX_N);
    logits[0] = -17.0f;
    logits[MAX_N - 1] = 0.0f;
    softmax(probs, logits, MAX_N, &best);
    ck_assert_int_eq(best, MAX_N - 1);
    ck_assert(probs[MAX_N - 1] < 1.0f);
    check_exactly(logits, MAX_N);
    for (int i = 0; i < 50; i++) {
        random_logits(logits, MAX_N, 10.0f, &state);
        check_exactly(logits, 1 + random_below(&state, MAX_N));
    }
}
END_TEST

START_TEST(lowest_of_equals)
{
    float logits[40], probs[40];
    int32_t best = -1;

    for (int i = 0; i < 40; i++)
        logits[i] = (float)-i;
    logits[7] = logits[8] = logits[23] = logits[39] = 5.0f;
    softmax(probs, logits, 40, &best);
    ck_assert_int_eq(best, 7);
    ck_assert(probs[7] == probs[8] && probs[7] == probs[39]);
    for (int i = 0; i < 40; i++)
        logits[i] = i == 3 ? -0.0f : i == 30 ? 0.0f : -1.0f;
    softmax(probs, logits, 40, &best);
    ck_assert_int_eq(best, 3);
    for (int i = 0; i < 40; i++)
        logits[i] = -3e38f;
    softmax(probs, logits, 40, &best);
    ck_assert_int_eq(best, 0);
    ck_assert(probs[0] == 1.0f / 40 && probs[39] == 1.0f / 40);
}
END_TEST

START_TEST(logits_that_are_no_numbers)
{
    const float wrong[] = {NAN, -NAN, INFINITY, -INFINITY};
    static const int places[] = {0, 16, 39};
    float logits[40], probs[40];
    struct dg_error err = {0};
    int32_t best;

    for (size_t i = 0; i < 4; i++) {
        for (int k = 0; k < 3; k++) {
            char start[32];

            memset(logits, 0, sizeof logits);
            logits[places[k]] = wrong[i];
            ck_assert_int_eq(dg_softmax(probs, logits, 40, &best, &err), DG_ERR_MODEL);
            snprintf(start, sizeof start, "logit of id %d: got ", places[k]);
            ck_assert_msg(strncmp(err.text, start, strlen(start)) == 0, "%s", err.text);
        }
    }
}
END_TEST

START_TEST(softmax_in_another_environment)
{
    float logits[MAX_N], usual[MAX_N], probs[MAX_N];
    uint64_t state = 21;

    for (int i = 0; i < 20; i++) {
        struct environment e;
        int32_t best, again;

        /* a spread of 45: the quotients of the smallest are denormal */
        random_logits(logits, MAX_N, i % 2 ? 3.0f : 45.0f, &state);
        softmax(usual, logits, MAX_N, &best);
        spoil(&e);
        softmax(probs, logits, MAX_N, &again);
        restore(&e);
        ck_assert_mem_eq(probs, usual, sizeof probs);
        ck_assert_int_eq(again, best);
    }
}
END_TEST

/* ---- pick ---- */

START_TEST(pick_exceeds_the_coin)
{
    static const float probs[] = {0.25f, 0.25f, 0.0f, 0.5f};
    static const float late[] = {0.0f, 0.0f, 0.5f, 0.25f};

    ck_assert_int_eq(dg_pick(probs, 4, 0.0f), 0);
    ck_assert_int_eq(dg_pick(probs, 4, nextafterf(0.25f, 0.0f)), 0);
    ck_assert_int_eq(dg_pick(probs, 4, 0.25f), 1); /* 0.25 does not exceed it */
    ck_assert_int_eq(dg_pick(probs, 4, nextafterf(0.5f, 0.0f)), 1);
    ck_assert_int_eq(dg_pick(probs, 4, 0.5f), 3);
    ck_assert_int_eq(dg_pick(probs, 4, nextafterf(1.0f, 0.0f)), 3);
    ck_assert_int_eq(dg_pick(probs, 4, 1.0f), 3);
    ck_assert_int_eq(dg_pick(probs, 4, 2.0f), 3);
    ck_assert_int_eq(dg_pick(late, 4, 0.0f), 2);
    ck_assert_int_eq(dg_pick(late, 4, 0.75f), 3); /* the total, which nothing exceeds */
    ck_assert_int_eq(dg_pick(late, 4, 0.9f), 3);
    ck_assert_int_eq(dg_pick(late, 1, 0.0f), 0);
}
END_TEST

/* 2^-26 is less than half an ulp of 0.5: in float, the sum stays at 0.5 until the end. Flushed to
 * zero, 1e-40 would not exceed 0. */
static void check_float_sums(void)
{
    static const float denormal[] = {0.0f, 1e-40f, 1.0f};
    float probs[MAX_N];

    for (int i = 1; i < MAX_N - 1; i++)
        probs[i] = 0x1p-26f;
    probs[0] = probs[MAX_N - 1] = 0.5f;
    ck_assert_int_eq(dg_pick(probs, MAX_N, 0.5f), MAX_N - 1);
    ck_assert_int_eq(dg_pick(denormal, 3, 0.0f), 1);
}

START_TEST(pick_sums_in_float)
{
    check_float_sums();
}
END_TEST

START_TEST(pick_in_another_environment)
{
    struct environment e;

    spoil(&e);
    check_float_sums();
    restore(&e);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {one_go_and_one_at_a_time,
                                  chunks,
                                  random_cuts,
                                  many_prompt_lengths,
                                  all_logits,
                                  some_logits,
                                  more_rows_with_logits_than_rows,
                                  no_logits_after_a_failed_step,
                                  weight_that_is_not_finite,
                                  weights_that_overflow,
                                  cancelled_evals,
                                  cancelled_while_loading,
                                  cancelled_model,
                                  rewind_and_go_on,
                                  rewind_goes_back_only,
                                  options_out_of_range,
                                  no_logits_before_the_first_eval,
                                  as_many_positions_as_there_are,
                                  ids_that_are_none,
                                  two_sequences,
                                  two_sequences_of_one_engine,
                                  tiles,
                                  schedules_and_instruction_sets,
                                  eval_in_another_environment,
                                  loaded_in_another_environment,
                                  denormals_are_kept,
                                  softmax_against_double,
                                  softmax_sums_in_order,
                                  lowest_of_equals,
                                  logits_that_are_no_numbers,
                                  softmax_in_another_environment,
                                  pick_exceeds_the_coin,
                                  pick_sums_in_float,
                                  pick_in_another_environment,
                                  NULL};

    expected =
        mmap(NULL, sizeof *expected, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (expected == MAP_FAILED) {
        perror("mmap");
        return EXIT_FAILURE;
    }
    return run_suite("sequence", tests);
}
