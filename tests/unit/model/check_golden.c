/* What an outside float64 program says about the models in tests/golden, through the library. Each
 * .txt has, for some prompts, the ids of the course's rule (`lab`), of the most likely id
 * (`greedy`), and all logits after the prompt. */
#include "../../support/one.h"
#include "../../../src/base/cpu.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_IDS = 64, MAX_VOCAB = 1024 };
static const double TOLERANCE = 2e-4; /* of a logit, absolute */

struct golden {
    struct dg_team *team;
    struct dg_model *model;
    struct one *one;
    struct dg_sizes sizes;
    FILE *text;
};

/* `answers`: the .txt beside, by its name. */
static void open_golden(struct golden *g, const char *name, const char *answers, enum dg_isa isa,
                        enum dg_precision precision)
{
    const struct dg_engine_options opt = {.isa = isa};
    struct dg_error err = {0};
    char path[128];

    ck_assert_msg(dg_team_new(&g->team, 2, 2, &err) == DG_OK, "%s", err.text);
    snprintf(path, sizeof path, "tests/golden/%s", name);
    ck_assert_msg(dg_model_open_as(&g->model, path, precision, g->team, &err) == DG_OK, "%s",
                  err.text);
    g->one = one_new(g->model, g->team, &opt);
    g->sizes = dg_model_sizes(g->model);
    snprintf(path, sizeof path, "tests/golden/%s.txt", answers);
    g->text = fopen(path, "r");
    ck_assert_ptr_nonnull(g->text);
}

static void close_golden(struct golden *g)
{
    fclose(g->text);
    one_free(g->one);
    dg_model_free(g->model);
    dg_team_free(g->team);
}

/* The numbers of a line after its first word. */
static size_t numbers(char *line, double *out, size_t room)
{
    size_t n = 0;

    strtok(line, " \n");
    for (char *word; (word = strtok(NULL, " \n"));) {
        ck_assert_uint_lt(n, room);
        out[n++] = strtod(word, NULL);
    }
    return n;
}

static void eval(struct golden *g, const int32_t *ids, size_t n)
{
    one_eval(g->one, ids, n, 1);
}

static void check_logits(struct golden *g, const double *prompt, size_t n, const double *logits)
{
    int32_t ids[MAX_IDS];

    for (size_t i = 0; i < n; i++)
        ids[i] = (int32_t)prompt[i];
    dg_sequence_rewind(g->one->text, 0);
    eval(g, ids, n);
    for (size_t i = 0; i < g->sizes.vocab; i++)
        ck_assert_double_eq_tol(dg_sequence_logits(g->one->text)[i], logits[i], TOLERANCE);
}

static void check_ids(struct golden *g, const double *prompt, size_t n, const double *next,
                      size_t n_next, bool greedy)
{
    float probs[MAX_VOCAB];
    struct dg_error err;
    int32_t ids[MAX_IDS], id = 0, best;

    for (size_t i = 0; i < n; i++)
        ids[i] = (int32_t)prompt[i];
    dg_sequence_rewind(g->one->text, 0);
    for (size_t i = 0; i < n_next; i++) {
        eval(g, i ? &id : ids, i ? 1 : n);
        ck_assert_int_eq(
            dg_softmax(probs, dg_sequence_logits(g->one->text), g->sizes.vocab, &best, &err),
            DG_OK);
        id = greedy ? best : dg_pick(probs, g->sizes.vocab, 0.5f);
        ck_assert_int_eq(id, (int32_t)next[i]);
    }
}

static void check_model(const char *name, const char *answers, enum dg_isa isa)
{
    double prompt[MAX_IDS], values[MAX_VOCAB];
    size_t n = 0, m, room = 0, cases = 0;
    struct golden g;
    char *line = NULL;

    open_golden(&g, name, answers, isa, DG_PRECISION_AUTO);
    while (getline(&line, &room, g.text) > 0) {
        const char kind = line[0];

        if (kind == '#')
            continue;
        m = numbers(line, kind == 'p' ? prompt : values, kind == 'p' ? MAX_IDS : MAX_VOCAB);
        if (kind == 'p') {
            n = m;
        } else if (strcmp(line, "logits") == 0) {
            ck_assert_uint_eq(m, g.sizes.vocab);
            check_logits(&g, prompt, n, values);
            cases++;
        } else {
            ck_assert_uint_gt(m, 0);
            check_ids(&g, prompt, n, values, m, strcmp(line, "greedy") == 0);
            cases++;
        }
    }
    ck_assert_uint_ge(cases, 12);
    free(line);
    close_golden(&g);
}

static void check_all(const char *name, const char *answers)
{
    for (enum dg_isa isa = DG_ISA_SCALAR; isa; isa = dg_isa_next(isa))
        check_model(name, answers, isa);
}

START_TEST(tiny)
{
    check_all("tiny.bin", "tiny");
}
END_TEST

START_TEST(odd)
{
    check_all("odd.bin", "odd");
}
END_TEST

START_TEST(padded)
{
    check_all("padded.bin", "padded");
}
END_TEST

START_TEST(bf16)
{
    check_all("bf16.bin", "bf16");
}
END_TEST

START_TEST(small)
{
    check_all("small.bin", "small");
}
END_TEST

START_TEST(folders)
{
    check_all("hf-bare", "hf-bare");
    check_all("hf-prefixed", "hf-prefixed");
}
END_TEST

START_TEST(gguf)
{
    check_all("gguf/small-f32.gguf", "small");
}
END_TEST

/* Every logit of some positions, to hash[n]. */
static uint64_t hash_of_logits(const char *name)
{
    static const int32_t ids[] = {838, 659, 3, 1008, 0, 77, 500};
    enum { N = sizeof ids / sizeof *ids };
    uint64_t hash = 0xCBF29CE484222325u;
    struct golden g;

    open_golden(&g, name, "small", DG_ISA_BEST, DG_PRECISION_F32);
    one_eval(g.one, ids, N, N);
    for (size_t i = 0; i < N * sizeof(float) * g.sizes.vocab; i++)
        hash =
            (hash ^ ((const unsigned char *)dg_sequence_logits(g.one->text))[i]) * 0x100000001B3u;
    close_golden(&g);
    return hash;
}

/* A file of narrow weights gives, in floats, the bits of what they mean. */
START_TEST(expansions)
{
    static const char *const kinds[] = {"f16", "bf16", "q8_0"};
    const uint64_t exact = hash_of_logits("gguf/small-f32.gguf");

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        char narrow[64], wide[64];

        snprintf(narrow, sizeof narrow, "gguf/small-%s.gguf", kinds[i]);
        snprintf(wide, sizeof wide, "gguf/small-%s-expanded.gguf", kinds[i]);
        ck_assert_msg(hash_of_logits(narrow) == hash_of_logits(wide), "%s", kinds[i]);
        ck_assert_msg(hash_of_logits(narrow) != exact, "%s", kinds[i]);
    }
    ck_assert(hash_of_logits("small.bin") == exact);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {tiny, odd, padded, bf16, small, folders, gguf, expansions, NULL};

    return run_suite("golden", tests);
}
