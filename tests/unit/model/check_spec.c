/* The files in spec/ against the library: the same logits, bit for bit, and the same ids, for every golden model,
 * each format of weights, and each of keys and values. Built as BUILD/spec-*; `--logits` writes those that each id is
 * chosen from. */
#include "../../support/one.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MORE = 9, MAX_IDS = 64 };

struct both {
    const char *path; /* of the model */
    const char *spec; /* the specification's program */
    struct dg_team *team;
    struct dg_model *model;
    struct one *one;
    size_t vocab;
};

static void open_both(struct both *b, const char *path, enum dg_precision weights,
                      enum dg_precision cache)
{
    static const char *const specs[2][2] = {{"spec-gpt2", "spec-bf16_cache"},
                                            {"spec-int8", "spec-int8_bf16_cache"}};
    const struct dg_engine_options opt = {.size = sizeof opt, .cache = cache};
    struct dg_error err = {0};

    b->path = path;
    b->spec = specs[weights == DG_PRECISION_INT8][cache == DG_PRECISION_BF16];
    ck_assert_msg(dg_team_new(&b->team, 2, 2, &err) == DG_OK, "%s", err.text);
    ck_assert_msg(dg_model_open_as(&b->model, path, weights, b->team, &err) == DG_OK, "%s",
                  err.text);
    b->one = one_new(b->model, b->team, &opt);
    b->vocab = dg_model_sizes(b->model).vocab;
}

static void close_both(struct both *b)
{
    one_free(b->one);
    dg_model_free(b->model);
    dg_team_free(b->team);
}

static FILE *run_spec(const struct both *b, const char *options, size_t total, const char *prompt)
{
    char program[256], command[1024];
    FILE *out;

    snprintf(command, sizeof command, "%s -m %s -n %zu %s %s",
             build_path(b->spec, program, sizeof program), b->path, total, options, prompt);
    out = popen(command, "r");
    ck_assert_ptr_nonnull(out);
    return out;
}

/* After the prompt, and after each of the next ids: all logits of the specification are the library's,
 * and so is the id that it prints. */
static void compare(struct both *b, const char *options, const char *prompt, int32_t *ids, size_t n,
                    size_t total)
{
    char with_logits[64];
    float *probs = malloc(b->vocab * sizeof *probs), *logits = malloc(b->vocab * sizeof *logits);
    FILE *printed = run_spec(b, options, total, prompt), *written;
    struct dg_error err;
    int32_t best;

    snprintf(with_logits, sizeof with_logits, "%s --logits", options);
    written = run_spec(b, with_logits, total, prompt);
    dg_sequence_rewind(b->one->text, 0);
    for (size_t from = 0; n < total; from = n++) {
        const float *ours;

        one_eval(b->one, ids + from, n - from, 1);
        ours = dg_sequence_logits(b->one->text);
        ck_assert_uint_eq(fread(logits, sizeof *logits, b->vocab, written), b->vocab);
        ck_assert_msg(memcmp(logits, ours, b->vocab * sizeof *logits) == 0,
                      "%s %s: other logits after %zu ids, prompt %s", b->path, options, n, prompt);
        ck_assert_int_eq(dg_softmax(probs, ours, b->vocab, &best, &err), DG_OK);
        ids[n] = dg_pick(probs, b->vocab, 0.5f);
        ck_assert_int_eq(fscanf(printed, "%d", &best), 1);
        ck_assert_int_eq(best, ids[n]);
    }
    ck_assert_int_eq(fgetc(written), EOF);
    ck_assert_int_eq(pclose(written), 0);
    ck_assert_int_eq(pclose(printed), 0);
    free(logits);
    free(probs);
}

static size_t read_ids(const char *text, int32_t *ids)
{
    size_t n = 0;
    char *end;

    for (; n < MAX_IDS; text = end) {
        ids[n] = (int32_t)strtol(text, &end, 10);
        if (end == text)
            break;
        n++;
    }
    return n;
}

/* All prompts of tests/golden/NAME.txt. */
static void compare_golden(const char *name, enum dg_precision weights, enum dg_precision cache)
{
    char path[128];
    struct both b;
    char *line = NULL;
    size_t room = 0, prompts = 0;
    FILE *text;

    snprintf(path, sizeof path, "tests/golden/%s.txt", name);
    text = fopen(path, "r");
    ck_assert_ptr_nonnull(text);
    snprintf(path, sizeof path, "tests/golden/%s.bin", name);
    open_both(&b, path, weights, cache);
    while (getline(&line, &room, text) > 0) {
        int32_t ids[MAX_IDS + MORE];
        size_t n;

        if (strncmp(line, "prompt ", 7) != 0)
            continue;
        line[strcspn(line, "\n")] = '\0';
        n = read_ids(line + 7, ids);
        compare(&b, "", line + 7, ids, n, n + MORE);
        compare(&b, "--no-cache", line + 7, ids, n, n + 3);
        prompts++;
    }
    ck_assert_uint_ge(prompts, 4);
    free(line);
    fclose(text);
    close_both(&b);
}

START_TEST(floats)
{
    compare_golden("tiny", DG_PRECISION_AUTO, DG_PRECISION_F32);
    compare_golden("odd", DG_PRECISION_AUTO, DG_PRECISION_F32);
    compare_golden("small", DG_PRECISION_AUTO, DG_PRECISION_AUTO);
}
END_TEST

START_TEST(floats_padded)
{
    compare_golden("padded", DG_PRECISION_AUTO, DG_PRECISION_F32);
}
END_TEST

START_TEST(bf16)
{
    compare_golden("bf16", DG_PRECISION_AUTO, DG_PRECISION_F32);
}
END_TEST

/* Depths that are whole groups and others. */
START_TEST(int8)
{
    static const char *const names[] = {"tiny", "odd", "small", "padded", "bf16"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        compare_golden(names[i], DG_PRECISION_INT8, DG_PRECISION_F32);
}
END_TEST

START_TEST(bf16_cache)
{
    compare_golden("tiny", DG_PRECISION_AUTO, DG_PRECISION_BF16);
    compare_golden("odd", DG_PRECISION_AUTO, DG_PRECISION_BF16);
    compare_golden("padded", DG_PRECISION_AUTO, DG_PRECISION_BF16);
    compare_golden("bf16", DG_PRECISION_AUTO, DG_PRECISION_BF16);
    compare_golden("odd", DG_PRECISION_INT8, DG_PRECISION_BF16);
}
END_TEST

/* Attention over many blocks of the cache, and sums over many turns of the lanes. */
START_TEST(a_long_text)
{
    int32_t ids[128] = {838, 659};
    struct both b;

    for (enum dg_precision cache = DG_PRECISION_F32; cache <= DG_PRECISION_BF16; cache++) {
        open_both(&b, "tests/golden/small.bin", DG_PRECISION_AUTO, cache);
        compare(&b, "", "838 659", ids, 2, 128);
        close_both(&b);
    }
}
END_TEST

START_TEST(the_model_in_the_program)
{
    int32_t ids[64] = {576, 577, 258, 498};
    struct both b;

    open_both(&b, "models/demo/demo.bin", DG_PRECISION_AUTO, DG_PRECISION_F32);
    compare(&b, "", "576 577 258 498", ids, 4, 40);
    close_both(&b);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        floats, floats_padded, bf16, int8, bf16_cache, a_long_text, the_model_in_the_program, NULL};

    return run_suite("spec", tests);
}
