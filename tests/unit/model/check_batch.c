/* Many sequences in one step: each gets the bits that it has alone, in any company, whoever comes, forks, goes
 * back, is cancelled or leaves beside it; and the memory that they hold. */
#include "../../support/support.h"
#include "../../../src/base/cpu.h"
#include "../../../src/dagpt.h"
#include "../../../src/graph/plan_check.h"
#include "../../../src/model/gpt2.h"
#include "../../../src/model/sequence.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    TEXTS = 6,
    LENGTH = 40,
    VOCAB = 131,
    MOST = 9
}; /* of tests/golden/odd.bin: all its positions */

static const char path[] = "tests/golden/odd.bin";

/* Texts, and the logits after each of their ids, as a sequence has them alone. */
static struct {
    int32_t ids[LENGTH];
    float logits[LENGTH][VOCAB];
} texts[TEXTS];

static enum dg_precision held = DG_PRECISION_F32;  /* what models are opened as, */
static enum dg_precision cache = DG_PRECISION_F32; /* and keys and values are held in */

struct setting {
    struct dg_team *team;
    struct dg_model *model;
    struct dg_engine *engine;
};

static void make_setting(struct setting *a, unsigned workers, const struct dg_engine_options *opt)
{
    struct dg_engine_options with = opt ? *opt : (struct dg_engine_options){0};
    struct dg_error err = {0};

    with.cache = cache;
    ck_assert_msg(dg_team_new(&a->team, workers, workers, &err) == DG_OK, "%s", err.text);
    ck_assert_msg(dg_model_open_as(&a->model, path, held, a->team, &err) == DG_OK, "%s", err.text);
    ck_assert_msg(dg_engine_new(&a->engine, a->model, a->team, &with, &err) == DG_OK, "%s",
                  err.text);
}

static void free_setting(struct setting *a)
{
    dg_engine_free(a->engine);
    dg_model_free(a->model);
    dg_team_free(a->team);
}

static struct dg_sequence *new_sequence(struct dg_engine *e)
{
    struct dg_sequence *s;
    struct dg_error err = {0};

    ck_assert_msg(dg_sequence_new(&s, e, &err) == DG_OK, "%s", err.text);
    return s;
}

/* The first half of the texts begin alike, as forks of one do. */
static void make_texts(void)
{
    const struct dg_engine_options opt = {.isa = DG_ISA_SCALAR, .sched = DG_SCHED_SERIAL};
    uint64_t state = 41;
    struct setting a;

    make_setting(&a, 1, &opt);
    for (int t = 0; t < TEXTS; t++) {
        struct dg_sequence *s = new_sequence(a.engine);

        for (int i = 0; i < LENGTH; i++)
            texts[t].ids[i] = (int32_t)random_below(&state, VOCAB);
        if (t > 0 && t < TEXTS / 2)
            memcpy(texts[t].ids, texts[0].ids, (size_t)(t * 11) * sizeof texts[t].ids[0]);
        ck_assert_int_eq(dg_sequence_eval(s, texts[t].ids, LENGTH, LENGTH, NULL), DG_OK);
        memcpy(texts[t].logits, dg_sequence_logits(s), sizeof texts[t].logits);
        dg_sequence_free(s);
    }
    free_setting(&a);
}

/* Are the logits of the last n_logits positions those of the text? */
static void expect_logits(const struct dg_sequence *s, int text, size_t n_logits)
{
    const size_t end = dg_sequence_position(s);
    const float *logits = dg_sequence_logits(s);

    ck_assert_msg((logits != NULL) == (n_logits > 0), "logits where there are none, or none");
    for (size_t i = 0; i < n_logits; i++)
        ck_assert_msg(memcmp(logits + i * VOCAB, texts[text].logits[end - n_logits + i],
                             sizeof texts[text].logits[0]) == 0,
                      "text %d: other bits after position %zu", text, end - n_logits + i);
}

/* ---- any company ---- */

struct member {
    struct dg_sequence *s; /* NULL: an empty place */
    int text;
    bool cancelled;
};

static void come(struct member *m, struct dg_engine *e, uint64_t *state)
{
    *m = (struct member){new_sequence(e), (int)random_below(state, TEXTS), false};
}

static void go(struct member *m)
{
    dg_sequence_free(m->s);
    m->s = NULL;
}

/* Takes the place of another as a fork of m, of a text that begins as m's has so far. */
static void fork_into(struct member *to, const struct member *m, uint64_t *state)
{
    const size_t n = dg_sequence_position(m->s);
    int text = (int)random_below(state, TEXTS);
    struct dg_error err = {0};

    if (memcmp(texts[text].ids, texts[m->text].ids, n * sizeof texts[0].ids[0]) != 0)
        text = m->text;
    go(to);
    ck_assert_msg(dg_sequence_fork(&to->s, m->s, &err) == DG_OK, "%s", err.text);
    ck_assert_ptr_null(dg_sequence_logits(to->s));
    ck_assert_uint_eq(dg_sequence_position(to->s), n);
    to->text = text;
    to->cancelled = false;
}

/* What happens to a member between two evals. */
static void live(struct member *m, struct member *all, struct dg_engine *e, uint64_t *state)
{
    struct member *other = &all[random_below(state, MOST)];

    if (!m->s) {
        if (random_below(state, 2))
            come(m, e, state);
        return;
    }
    switch (random_below(state, 12)) {
    case 0:
        go(m);
        break;
    case 1:
        dg_sequence_rewind(m->s, random_below(state, LENGTH));
        break;
    case 2:
    case 3:
        if (other != m)
            fork_into(other, m, state);
        break;
    case 4:
        dg_sequence_cancel(m->s);
        m->cancelled = true;
        break;
    }
}

static struct dg_part part_of(const struct member *m, uint64_t *state)
{
    const size_t at = dg_sequence_position(m->s), left = LENGTH - at;
    const size_t n = random_below(state, 2) ? 1 : 1 + random_below(state, (uint32_t)left);

    return (struct dg_part){m->s, texts[m->text].ids + at, n,
                            random_below(state, 3) ? 1 : random_below(state, (uint32_t)n + 1),
                            DG_ERR_IO};
}

static void expect_part(struct member *m, const struct dg_part *p, size_t before)
{
    if (m->cancelled) {
        ck_assert_int_eq(p->status, DG_ERR_CANCELLED);
        ck_assert_uint_eq(dg_sequence_position(m->s), before);
        ck_assert_ptr_null(dg_sequence_logits(m->s));
    } else {
        ck_assert_int_eq(p->status, DG_OK);
        ck_assert_uint_eq(dg_sequence_position(m->s), before + p->n);
        expect_logits(m->s, m->text, p->n_logits);
    }
    m->cancelled = false;
}

/* An eval of some of them, in any order. False: of none. */
static bool eval_some(struct member *all, uint64_t *state)
{
    const uint32_t first = random_below(state, MOST);
    struct member *who[MOST];
    struct dg_part parts[MOST];
    size_t before[MOST], n = 0;
    bool cancelled = false;
    struct dg_error err = {0};
    enum dg_status st;

    for (uint32_t i = 0; i < MOST; i++) {
        struct member *m = &all[(first + i) % MOST];

        if (!m->s || dg_sequence_position(m->s) == LENGTH || random_below(state, 5) == 0)
            continue;
        who[n] = m;
        before[n] = dg_sequence_position(m->s);
        parts[n++] = part_of(m, state);
        cancelled |= m->cancelled;
    }
    st = dg_batch_eval(parts, n, &err);
    ck_assert_msg(st == (cancelled ? DG_ERR_CANCELLED : DG_OK), "%d: %s", st, err.text);
    for (size_t i = 0; i < n; i++)
        expect_part(who[i], &parts[i], before[i]);
    return n > 0;
}

/* So many evals; each finds another company. */
static unsigned random_life(struct dg_engine *e, unsigned evals, uint64_t *state)
{
    struct member all[MOST] = {0};
    unsigned mixes = 0;

    for (unsigned i = 0; i < evals; i++) {
        for (struct member *m = all; m < all + MOST; m++)
            live(m, all, e, state);
        mixes += eval_some(all, state);
    }
    for (struct member *m = all; m < all + MOST; m++)
        go(m);
    return mixes;
}

/* Over all workers and instruction sets, with the weights as they are held, until there were so many mixes. */
static void many_lives(unsigned least, uint64_t *state)
{
    static const unsigned workers[] = {1, 2, 5};
    unsigned mixes = 0;

    make_texts();
    while (mixes < least) {
        for (int w = 0; w < 3; w++) {
            for (enum dg_isa isa = DG_ISA_SCALAR; isa; isa = dg_isa_next(isa)) {
                const struct dg_engine_options opt = {.isa = isa,
                                                      .chunk = random_below(state, 3) * 7,
                                                      .row_block = random_below(state, 12),
                                                      .sched = random_below(state, 4)};
                struct setting a;

                make_setting(&a, workers[w], &opt);
                mixes += random_life(a.engine, 30, state);
                free_setting(&a);
            }
        }
    }
}

START_TEST(any_company)
{
    uint64_t state = 7;

    for (held = DG_PRECISION_F32; held <= DG_PRECISION_INT8; held++)
        many_lives(sanitized() ? 50 : 1000, &state);
    held = DG_PRECISION_F32;
    cache = DG_PRECISION_BF16;
    many_lives(50, &state);
    cache = DG_PRECISION_F32;
}
END_TEST

START_TEST(shares)
{
    static const size_t least[] = {0, 4, 3, 2};

    for (held = DG_PRECISION_F32; held <= DG_PRECISION_INT8; held++) {
        struct setting a;

        make_setting(&a, 1, NULL);
        ck_assert_uint_eq(dg_batch_share(a.engine, 0), SIZE_MAX);
        ck_assert_uint_eq(dg_batch_share(a.engine, 1), least[held]);
        ck_assert_uint_eq(dg_batch_share(a.engine, 2 * least[held] + 2), least[held] + 1);
        ck_assert_uint_eq(dg_batch_share(a.engine, 31), 15);
        free_setting(&a);
    }
    held = DG_PRECISION_F32;
}
END_TEST

/* A plan knows how many rows there are, and not whose. So what is proved of it holds for any company. */
START_TEST(plans_of_all_shapes)
{
    enum { ROWS = 12 };
    const struct dg_tiling tilings[] = {{.workers = 1}, {.workers = 4, .row_block = 5}};
    struct dg_error err = {0};
    struct setting a;

    make_setting(&a, 1, NULL);
    for (uint32_t rows = 1; rows <= ROWS; rows++) {
        for (uint32_t n_logits = 0; n_logits <= rows; n_logits++) {
            const struct dg_gpt2_shape shape = {rows, n_logits, true, false, DG_F32};
            struct dg_graph *g;

            ck_assert_msg(dg_gpt2_graph(&g, a.model, &shape, &err) == DG_OK, "%s", err.text);
            for (int t = 0; t < 2; t++) {
                struct dg_plan_proof proof;
                struct dg_plan *plan;

                ck_assert_msg(dg_plan_new(&plan, g, &tilings[t], &err) == DG_OK, "%s", err.text);
                ck_assert_msg(dg_plan_check(plan, &proof, &err) == DG_OK, "%s", err.text);
                dg_plan_free(plan);
            }
            dg_graph_free(g);
        }
    }
    free_setting(&a);
}
END_TEST

/* ---- threads ---- */

struct worker {
    pthread_t id;
    struct dg_engine *engine;
    uint64_t state;
};

static void *random_lives(void *arg)
{
    struct worker *w = arg;

    random_life(w->engine, sanitized() ? 20 : 100, &w->state);
    return NULL;
}

/* Batches of several threads on one engine: their steps take turns. */
START_TEST(batches_in_threads)
{
    enum { THREADS = 3 };
    struct worker w[THREADS];
    struct setting a;

    make_texts();
    make_setting(&a, 2, NULL);
    for (int i = 0; i < THREADS; i++) {
        w[i] = (struct worker){.engine = a.engine, .state = (uint64_t)i};
        ck_assert_int_eq(pthread_create(&w[i].id, NULL, random_lives, &w[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(w[i].id, NULL);
    free_setting(&a);
}
END_TEST

static atomic_bool over;

static void *cancel_again_and_again(void *arg)
{
    uint64_t state = 3;
    uint32_t most = 3000; /* more and more, until an eval fits in between on a slow machine, too */

    while (!atomic_load(&over)) {
        dg_sequence_cancel(arg);
        for (uint32_t n = random_below(&state, most); n > 0 && !atomic_load(&over);)
            n--;
        most += most < 1u << 30 ? most / 64 : 0;
    }
    return NULL;
}

/* A sequence that is cancelled at any time by another thread, and one beside it. */
START_TEST(cancelled_from_a_thread)
{
    const struct dg_engine_options opt = {.chunk = 4};
    unsigned cancelled = 0, done = 0;
    struct dg_sequence *s[2];
    struct setting a;
    pthread_t id;

    make_texts();
    make_setting(&a, 2, &opt);
    s[0] = new_sequence(a.engine);
    s[1] = new_sequence(a.engine);
    atomic_store(&over, false);
    ck_assert_int_eq(pthread_create(&id, NULL, cancel_again_and_again, s[0]), 0);
    for (int i = 0; i < 20000 && (i < 200 || !cancelled || !done); i++) {
        struct dg_part p[2] = {{s[0], texts[4].ids, 9, 1, DG_OK},
                               {s[1], texts[5].ids, 7, 2, DG_OK}};
        const enum dg_status st = dg_batch_eval(p, 2, NULL);

        ck_assert(st == DG_OK || st == DG_ERR_CANCELLED);
        ck_assert_int_eq(p[0].status, st);
        ck_assert_int_eq(p[1].status, DG_OK);
        expect_logits(s[0], 4, st == DG_OK);
        expect_logits(s[1], 5, 2);
        ck_assert_uint_eq(dg_sequence_position(s[0]), st == DG_OK ? 9 : 0);
        cancelled += st != DG_OK;
        done += st == DG_OK;
        dg_sequence_rewind(s[0], 0);
        dg_sequence_rewind(s[1], 0);
    }
    atomic_store(&over, true);
    pthread_join(id, NULL);
    ck_assert(cancelled > 0 && done > 0);
    dg_sequence_free(s[0]);
    dg_sequence_free(s[1]);
    free_setting(&a);
}
END_TEST

/* ---- memory ---- */

/* A pool of four blocks of 16 positions. */
static void make_small_pool(struct setting *a)
{
    const struct dg_sizes z = {
        .positions = 40, .vocab = VOCAB, .layers = 3, .heads = 5, .channels = 60};
    const uint64_t block =
        dg_sequence_cache_bytes(&z, DG_PRECISION_F32) / 3; /* 40 positions are 3 */
    const struct dg_engine_options opt = {.cache_bytes = 5 * block - 1};

    make_setting(a, 2, &opt);
}

static enum dg_status append(struct dg_sequence *s, int text, size_t n)
{
    return dg_sequence_eval(s, texts[text].ids + dg_sequence_position(s), n, 0, NULL);
}

START_TEST(bounded_memory)
{
    struct dg_error err = {0};
    struct dg_sequence *s[3];
    struct dg_part p[3];
    struct setting a;

    make_texts();
    make_small_pool(&a);
    for (int i = 0; i < 3; i++) {
        s[i] = new_sequence(a.engine);
        p[i] = (struct dg_part){s[i], texts[i].ids, i == 1 ? 33 : 16, 1, DG_OK};
    }
    ck_assert_int_eq(append(s[0], 0, 16), DG_OK);
    p[0] = (struct dg_part){s[0], texts[0].ids + 16, 1, 1, DG_OK};
    ck_assert_int_eq(dg_batch_eval(p, 3, &err), DG_ERR_RESOURCE); /* 2 + 3 + 1 blocks */
    ck_assert_msg(strstr(err.text, "KV cache") != NULL, "%s", err.text);
    ck_assert(p[0].status == DG_OK && p[1].status == DG_ERR_RESOURCE && p[2].status == DG_OK);
    expect_logits(s[0], 0, 1);
    expect_logits(s[1], 1, 0);
    expect_logits(s[2], 2, 1);
    ck_assert_uint_eq(dg_sequence_position(s[1]), 0); /* and it has given back what it had got */
    ck_assert_int_eq(append(s[1], 1, 17), DG_ERR_RESOURCE);
    ck_assert_int_eq(append(s[1], 1, 16), DG_OK);
    ck_assert_int_eq(append(s[2], 2, 1), DG_ERR_RESOURCE);
    dg_sequence_rewind(s[0], 16); /* frees one */
    ck_assert_int_eq(append(s[2], 2, 1), DG_OK);
    dg_sequence_free(s[0]);
    ck_assert_int_eq(append(s[1], 1, 16), DG_OK);
    dg_sequence_free(s[1]);
    dg_sequence_free(s[2]);
    free_setting(&a);
}
END_TEST

/* Forks take memory only where they go apart: the block in which that is, and those behind it. */
START_TEST(forks_share_memory)
{
    struct dg_sequence *s, *f[3];
    struct setting a;

    make_texts();
    make_small_pool(&a);
    s = new_sequence(a.engine);
    ck_assert_int_eq(append(s, 0, 20), DG_OK);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(dg_sequence_fork(&f[i], s, NULL), DG_OK);
    ck_assert_int_eq(append(s, 0, 1), DG_OK); /* 3 blocks */
    ck_assert_int_eq(dg_sequence_eval(f[0], texts[0].ids + 20, 2, 2, NULL), DG_OK);
    expect_logits(f[0], 0, 2);
    ck_assert_int_eq(append(f[1], 0, 1), DG_ERR_RESOURCE);
    ck_assert_uint_eq(dg_sequence_position(f[1]), 20);
    dg_sequence_free(f[2]);
    ck_assert_int_eq(dg_sequence_eval(f[1], texts[0].ids + 20, 1, 1, NULL),
                     DG_OK); /* the last holder */
    expect_logits(f[1], 0, 1);
    dg_sequence_free(s);
    ck_assert_int_eq(dg_sequence_eval(f[1], texts[0].ids + 21, 19, 1, NULL), DG_OK);
    expect_logits(f[1], 0, 1);
    dg_sequence_free(f[0]);
    dg_sequence_rewind(f[1], 5); /* into a block that was shared */
    ck_assert_int_eq(dg_sequence_eval(f[1], texts[0].ids + 5, 3, 3, NULL), DG_OK);
    expect_logits(f[1], 0, 3);
    dg_sequence_free(f[1]);
    free_setting(&a);
}
END_TEST

/* ---- misuse ---- */

/* What one part cannot do costs the others nothing. */
START_TEST(parts_that_cannot_be)
{
    static const int32_t no_id[] = {VOCAB};
    struct dg_sequence *s[5];
    struct dg_part p[6];
    struct dg_error err = {0};
    struct setting a;

    make_texts();
    make_setting(&a, 2, NULL);
    for (int i = 0; i < 5; i++) {
        s[i] = new_sequence(a.engine);
        p[i] = (struct dg_part){s[i], texts[i].ids, 3, 1, DG_OK};
    }
    p[0].n = LENGTH + 1;
    p[1].ids = no_id;
    p[1].n = 1;
    p[2].n_logits = 4;
    p[3].n = 0;
    p[5] = p[4]; /* twice */
    ck_assert_int_eq(dg_batch_eval(p, 6, &err), DG_ERR_TOKEN);
    ck_assert_msg(strstr(err.text, "got 41 ids") != NULL, "%s", err.text); /* the first one's */
    ck_assert(p[0].status == DG_ERR_TOKEN && p[1].status == DG_ERR_TOKEN &&
              p[2].status == DG_ERR_USAGE && p[3].status == DG_ERR_TOKEN && p[4].status == DG_OK &&
              p[5].status == DG_ERR_USAGE);
    for (int i = 0; i < 4; i++)
        ck_assert_uint_eq(dg_sequence_position(s[i]), 0);
    ck_assert_uint_eq(dg_sequence_position(s[4]), 3);
    expect_logits(s[4], 4, 1);
    ck_assert_int_eq(dg_batch_eval(p + 5, 1, NULL), DG_OK); /* nobody has kept it */
    for (int i = 0; i < 5; i++)
        dg_sequence_free(s[i]);
    free_setting(&a);
}
END_TEST

START_TEST(calls_that_cannot_be)
{
    struct dg_sequence *s, *other, *out;
    struct dg_engine *e;
    struct dg_part p[2];
    struct setting a;

    make_texts();
    make_setting(&a, 2, NULL);
    ck_assert_int_eq(dg_engine_new(&e, a.model, a.team, NULL, NULL), DG_OK);
    s = new_sequence(a.engine);
    other = new_sequence(e);
    p[0] = (struct dg_part){s, texts[0].ids, 3, 1, DG_OK};
    p[1] = (struct dg_part){other, texts[1].ids, 3, 1, DG_OK};
    ck_assert_int_eq(dg_batch_eval(NULL, 0, NULL), DG_OK);
    ck_assert_int_eq(dg_batch_eval(NULL, 1, NULL), DG_ERR_USAGE);
    ck_assert_int_eq(dg_batch_eval(p, 2, NULL), DG_ERR_USAGE);
    p[1].sequence = NULL;
    ck_assert_int_eq(dg_batch_eval(p, 2, NULL), DG_ERR_USAGE);
    p[1] = (struct dg_part){s, NULL, 3, 1, DG_OK};
    ck_assert_int_eq(dg_batch_eval(p, 2, NULL), DG_ERR_USAGE);
    ck_assert_uint_eq(dg_sequence_position(s), 0);
    ck_assert_int_eq(dg_sequence_fork(NULL, s, NULL), DG_ERR_USAGE);
    out = s;
    ck_assert_int_eq(dg_sequence_fork(&out, NULL, NULL), DG_ERR_USAGE);
    ck_assert_ptr_null(out);
    ck_assert_uint_eq(dg_batch_share(NULL, 1), 0);
    dg_sequence_cancel(NULL);
    dg_sequence_free(s);
    dg_sequence_free(other);
    dg_engine_free(e);
    free_setting(&a);
}
END_TEST

struct inside {
    struct dg_sequence *s;
    unsigned calls;
};

/* While the sequence is evaluated it is neither forked, rewound, freed nor evaluated. */
static void ask_inside(void *arg, double done)
{
    struct inside *in = arg;
    struct dg_part p = {in->s, texts[0].ids, 1, 0, DG_OK};
    struct dg_sequence *out;

    (void)done;
    ck_assert_int_eq(dg_sequence_fork(&out, in->s, NULL), DG_ERR_USAGE);
    ck_assert_int_eq(dg_batch_eval(&p, 1, NULL), DG_ERR_USAGE);
    dg_sequence_rewind(in->s, 0);
    dg_sequence_free(in->s);
    in->calls++;
}

START_TEST(while_it_is_evaluated)
{
    struct inside in = {0};
    struct setting a;

    make_texts();
    make_setting(&a, 1, NULL);
    in.s = new_sequence(a.engine);
    ck_assert_int_eq(append(in.s, 0, 4), DG_OK);
    dg_team_progress(a.team, ask_inside, &in);
    ck_assert_int_eq(dg_sequence_eval(in.s, texts[0].ids + 4, 9, 2, NULL), DG_OK);
    ck_assert_uint_gt(in.calls, 0);
    expect_logits(in.s, 0, 2);
    dg_sequence_free(in.s);
    free_setting(&a);
}
END_TEST

/* An engine lives as long as its forks. */
START_TEST(forks_outlive_all)
{
    struct dg_sequence *s, *f;
    struct setting a;

    make_texts();
    make_setting(&a, 2, NULL);
    s = new_sequence(a.engine);
    ck_assert_int_eq(append(s, 3, 10), DG_OK);
    ck_assert_int_eq(dg_sequence_fork(&f, s, NULL), DG_OK);
    free_setting(&a);
    dg_sequence_free(s);
    ck_assert_int_eq(dg_sequence_eval(f, texts[3].ids + 10, 30, 30, NULL), DG_OK);
    expect_logits(f, 3, 30);
    dg_sequence_free(f);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {any_company,
                                  shares,
                                  plans_of_all_shapes,
                                  batches_in_threads,
                                  cancelled_from_a_thread,
                                  bounded_memory,
                                  forks_share_memory,
                                  parts_that_cannot_be,
                                  calls_that_cannot_be,
                                  while_it_is_evaluated,
                                  forks_outlive_all,
                                  NULL};

    return run_suite("batch", tests);
}
