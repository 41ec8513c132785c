/* Ranks that share a model give the bits that one process gives, whatever their number, the placement, the workers of
 * each, the schedule and the chunks. */
#include "../../support/one.h"
#include "../../support/ranks.h"

#include <stdio.h>

enum { LENGTH = 24, PROMPT = 17, MOST_RANKS = 7 };

struct setting {
    const char *path;
    enum dg_precision weights;
    struct dg_engine_options opt;
    enum dg_placing how;
    unsigned ranks, workers;
};

/* All logits of a prompt, and of what follows it id by id. */
static void run_text(struct one *o, size_t vocab, float *logits)
{
    int32_t ids[LENGTH];
    uint64_t state = 612;

    for (int i = 0; i < LENGTH; i++)
        ids[i] = (int32_t)random_below(&state, (uint32_t)vocab);
    one_eval(o, ids, PROMPT - 9, 0);
    one_eval(o, ids + PROMPT - 9, 9, 5);
    if (logits)
        memcpy(logits, dg_sequence_logits(o->text), 5 * vocab * sizeof *logits);
    for (int i = PROMPT; i < LENGTH; i++) {
        one_eval(o, ids + i, 1, 1);
        if (logits)
            memcpy(logits + (5 + i - PROMPT) * vocab, dg_sequence_logits(o->text),
                   vocab * sizeof *logits);
    }
}

enum { ROWS = 5 + LENGTH - PROMPT };

struct rank {
    const struct setting *s;
    const struct dg_transport *transport;
    unsigned number;
    float *logits; /* rank 0's */
};

static void *run_rank(void *arg)
{
    const struct rank *r = arg;
    const struct setting *s = r->s;
    struct dg_error err = {0};
    struct dg_model *model;
    struct dg_team *team;
    struct one *o;

    /* rank 1 has one worker less, where there are several */
    const unsigned workers = s->workers - (r->number == 1 && s->workers > 1);

    ck_assert_msg(dg_team_new(&team, workers, workers, &err) == DG_OK, "%s", err.text);
    ck_assert_msg(dg_model_open_as(&model, s->path, s->weights, NULL, &err) == DG_OK, "%s",
                  err.text);
    o = one_new(model, team, &s->opt);
    ck_assert_msg(dg_engine_join(o->engine, s->how, r->number, s->ranks, s->ranks * s->workers,
                                 r->transport, &err) == DG_OK,
                  "%s", err.text);
    run_text(o, dg_model_sizes(model).vocab, r->logits);
    one_free(o);
    dg_model_free(model);
    dg_team_free(team);
    return NULL;
}

static void run_ranks(const struct setting *s, float *logits, struct post_office *office)
{
    struct rank ranks[MOST_RANKS];
    struct dg_thread threads[MOST_RANKS];
    struct dg_transport transport;

    ck_assert(post_office_open(office, &transport));
    for (unsigned r = 0; r < s->ranks; r++)
        ranks[r] = (struct rank){s, &transport, r, r == 0 ? logits : NULL};
    for (unsigned r = 1; r < s->ranks; r++)
        ck_assert(dg_thread_start(&threads[r], run_rank, &ranks[r]));
    run_rank(&ranks[0]);
    for (unsigned r = 1; r < s->ranks; r++)
        dg_thread_join(&threads[r]);
    ck_assert_ptr_null(office->first);
    dg_mutex_destroy(&office->mutex);
}

static float *run_alone(const char *path, enum dg_precision weights, size_t *n)
{
    struct dg_error err = {0};
    struct dg_model *model;
    struct dg_team *team;
    struct one *o;
    float *logits;

    ck_assert_msg(dg_team_new(&team, 2, 2, &err) == DG_OK, "%s", err.text);
    ck_assert_msg(dg_model_open_as(&model, path, weights, NULL, &err) == DG_OK, "%s", err.text);
    *n = ROWS * (size_t)dg_model_sizes(model).vocab;
    logits = calloc(*n, sizeof *logits);
    ck_assert_ptr_nonnull(logits);
    o = one_new(model, team, NULL);
    run_text(o, dg_model_sizes(model).vocab, logits);
    one_free(o);
    dg_model_free(model);
    dg_team_free(team);
    return logits;
}

static void compare(const struct setting *s, const float *expected, size_t n)
{
    struct post_office office;
    float *logits = calloc(n, sizeof *logits);

    ck_assert_ptr_nonnull(logits);
    run_ranks(s, logits, &office);
    ck_assert_msg(memcmp(logits, expected, n * sizeof *logits) == 0,
                  "%s, %s, %u ranks by %s, %u workers, %s, chunk %u, tile %ux%u, %s: other bits",
                  s->path, dg_precision_name(s->weights), s->ranks, dg_placing_name(s->how),
                  s->workers, dg_sched_name(s->opt.sched), s->opt.chunk, s->opt.row_block,
                  s->opt.col_block, s->opt.no_fuse ? "unfused" : "fused");
    free(logits);
}

static void compare_model(const char *name, enum dg_precision weights)
{
    static const unsigned ranks[] = {1, 2, 3, 4, 7, 0};
    size_t n;
    char path[64];
    float *expected;

    snprintf(path, sizeof path, "tests/golden/%s", name);
    expected = run_alone(path, weights, &n);
    for (const unsigned *r = ranks; *r; r++)
        for (enum dg_placing how = 0; how < DG_N_PLACINGS; how++)
            compare(
                &(struct setting){path, weights, .how = how, .ranks = *r, .workers = 1 + *r % 2},
                expected, n);
    free(expected);
}

START_TEST(models_of_llmc)
{
    static const char *const names[] = {"tiny.bin",   "small.bin", "odd.bin",
                                        "padded.bin", "bf16.bin",  NULL};

    for (int i = 0; names[i]; i++)
        compare_model(names[i], DG_PRECISION_AUTO);
}
END_TEST

/* Those have matrices that stand transposed, and a table that more than one tensor uses. */
START_TEST(models_of_folders)
{
    static const char *const names[] = {"hf-bare", "hf-prefixed", "transformers", NULL};

    for (int i = 0; names[i]; i++)
        compare_model(names[i], DG_PRECISION_AUTO);
}
END_TEST

START_TEST(models_of_gguf)
{
    static const char *const names[] = {"gguf/small-f16.gguf", "gguf/small-bf16.gguf",
                                        "gguf/small-q8_0.gguf", NULL};

    for (int i = 0; names[i]; i++)
        compare_model(names[i], DG_PRECISION_AUTO);
}
END_TEST

/* Rows of integers are sent in groups with their scales. */
START_TEST(models_of_int8)
{
    static const char *const names[] = {"odd.bin", "hf-bare", NULL};

    for (int i = 0; names[i]; i++)
        compare_model(names[i], DG_PRECISION_INT8);
}
END_TEST

START_TEST(options)
{
    static const char path[] = "tests/golden/odd.bin";
    size_t n;
    float *expected = run_alone(path, DG_PRECISION_AUTO, &n);

    for (enum dg_placing how = 0; how < DG_N_PLACINGS; how++) {
        for (enum dg_sched sched = DG_SCHED_DATAFLOW; sched <= DG_SCHED_SERIAL; sched++) {
            struct setting s = {.path = path, .how = how, .ranks = 3, .workers = 3};

            s.opt.sched = sched;
            compare(&s, expected, n);
            s.opt.chunk = 3;
            compare(&s, expected, n);
            s.opt.row_block = 2;
            s.opt.col_block = 16;
            compare(&s, expected, n);
            s.opt.no_fuse = 1;
            compare(&s, expected, n);
        }
    }
    free(expected);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {models_of_llmc, models_of_folders, models_of_gguf,
                                  models_of_int8, options,           NULL};

    return run_suite("ranks", tests);
}
