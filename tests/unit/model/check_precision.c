/* What weights are held in: of every format, and however they are loaded, a matrix in memory is what the file
 * has, rounded as pack.h says, and the logits are those of that. */
#include "../../support/one.h"
#include "../../../src/base/cpu.h"
#include "../../../src/model/model.h"
#include "../../../src/ops/pack.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH = 21 };

static const char *const models[] = {
    "tests/golden/tiny.bin",           "tests/golden/odd.bin", "tests/golden/padded.bin",
    "tests/golden/bf16.bin",           "tests/golden/hf-bare", "tests/golden/hf-prefixed",
    "tests/golden/gguf/small-f16.gguf"};
enum { N_MODELS = sizeof models / sizeof *models };

static struct dg_team *team_new(unsigned workers)
{
    struct dg_error err = {0};
    struct dg_team *team;

    ck_assert_msg(dg_team_new(&team, workers, workers, &err) == DG_OK, "%s", err.text);
    return team;
}

/* team: that loads it at once, or NULL: its first step will. */
static struct dg_model *open_as(const char *path, enum dg_precision precision, struct dg_team *team)
{
    struct dg_error err = {0};
    struct dg_model *m;

    ck_assert_msg(dg_model_open_as(&m, path, precision, team, &err) == DG_OK, "%s", err.text);
    return m;
}

/* ---- in memory ---- */

static float *new_row(size_t n)
{
    float *row = malloc(n * sizeof *row);

    ck_assert_ptr_nonnull(row);
    return row;
}

/* Each row of `held` is that of `exact` rounded. */
static void compare_weight(const struct dg_tensor *exact, const struct dg_tensor *held)
{
    const size_t bytes = exact->cols * sizeof(float);
    float *want = new_row(exact->cols), *got = new_row(exact->cols);

    for (size_t r = 0; r < exact->rows; r++) {
        dg_unpack(exact, r, want);
        if (held->dtype != DG_F32)
            dg_pack_round(held->dtype, want, exact->cols);
        dg_unpack(held, r, got);
        ck_assert_msg(memcmp(got, want, bytes) == 0, "%s, row %zu", held->name, r);
    }
    free(want);
    free(got);
}

static void compare_weights(const char *path, enum dg_precision precision, enum dg_dtype dtype)
{
    struct dg_team *team = team_new(2);
    struct dg_model *exact = open_as(path, DG_PRECISION_F32, team),
                    *held = open_as(path, precision, team);

    for (uint32_t i = 0; i < dg_weight_count(&held->sizes); i++) {
        const struct dg_tensor *t = &held->tensors[i];

        if (t->rows == 0)
            continue;
        ck_assert_int_eq(t->dtype, t->layout == DG_PANELS ? dtype : DG_F32);
        compare_weight(&exact->tensors[i], t);
    }
    dg_model_free(exact);
    dg_model_free(held);
    dg_team_free(team);
}

START_TEST(weights_are_rounded_once)
{
    for (size_t i = 0; i < N_MODELS; i++) {
        compare_weights(models[i], DG_PRECISION_F32, DG_F32);
        compare_weights(models[i], DG_PRECISION_BF16, DG_BF16);
        compare_weights(models[i], DG_PRECISION_INT8, DG_I8);
        compare_weights(models[i], DG_PRECISION_AUTO, strstr(models[i], "bf16") ? DG_BF16 : DG_F32);
    }
}
END_TEST

/* ---- logits ---- */

/* LENGTH rows of logits, some of them decoded. The caller's to free. */
static float *logits_of(struct dg_model *model, struct dg_team *team, enum dg_isa isa)
{
    const struct dg_engine_options opt = {.size = sizeof opt, .isa = isa};
    const size_t vocab = dg_model_sizes(model).vocab;
    float *logits = new_row(LENGTH * vocab);
    struct one *o = one_new(model, team, &opt);
    int32_t ids[LENGTH];
    uint64_t state = 17;

    for (int i = 0; i < LENGTH; i++)
        ids[i] = (int32_t)random_below(&state, (uint32_t)vocab);
    one_eval(o, ids, LENGTH - 3, LENGTH - 3);
    memcpy(logits, dg_sequence_logits(o->text), (LENGTH - 3) * vocab * sizeof *logits);
    for (size_t i = LENGTH - 3; i < LENGTH; i++) {
        one_eval(o, ids + i, 1, 1);
        memcpy(logits + i * vocab, dg_sequence_logits(o->text), vocab * sizeof *logits);
    }
    one_free(o);
    return logits;
}

static void expect_logits(struct dg_model *model, struct dg_team *team, enum dg_isa isa,
                          const float *want, const char *what)
{
    float *got = logits_of(model, team, isa);

    ck_assert_msg(memcmp(got, want, LENGTH * dg_model_sizes(model).vocab * sizeof *got) == 0,
                  "%s, %s", dg_isa_name(isa), what);
    free(got);
}

/* The model as floats that are each what the narrower one is. */
static void round_all(struct dg_model *m, enum dg_dtype dtype)
{
    for (uint32_t i = 0; i < dg_weight_count(&m->sizes); i++) {
        const struct dg_tensor *t = &m->tensors[i];
        float *rows = new_row((size_t)DG_LANES * t->cols);

        for (size_t r = 0; r < t->rows && t->layout == DG_PANELS; r += DG_LANES) {
            const size_t n = t->rows - r < DG_LANES ? t->rows - r : DG_LANES;

            for (size_t k = 0; k < n; k++) {
                dg_unpack(t, r + k, rows + k * t->cols);
                dg_pack_round(dtype, rows + k * t->cols, t->cols);
            }
            dg_pack(t, r, n, rows);
        }
        free(rows);
    }
}

/* bf16 gives the bits of the same weights as floats; the first step embeds from the file. */
START_TEST(bf16_has_the_bits_of_its_floats)
{
    struct dg_team *team = team_new(2);

    for (size_t i = 0; i < N_MODELS; i++) {
        struct dg_model *floats = open_as(models[i], DG_PRECISION_F32, team);
        struct dg_model *loaded = open_as(models[i], DG_PRECISION_BF16, team);
        float *want;

        round_all(floats, DG_BF16);
        want = logits_of(floats, team, DG_ISA_SCALAR);
        for (enum dg_isa isa = DG_ISA_SCALAR; isa; isa = dg_isa_next(isa)) {
            struct dg_model *unread = open_as(models[i], DG_PRECISION_BF16, NULL);

            expect_logits(loaded, team, isa, want, models[i]);
            expect_logits(unread, team, isa, want, models[i]);
            dg_model_free(unread);
        }
        free(want);
        dg_model_free(floats);
        dg_model_free(loaded);
    }
    dg_team_free(team);
}
END_TEST

/* int8 has one hash on all sets, loaded at once or in the first step, in whatever steps and tiles. */
START_TEST(int8_has_the_same_bits_everywhere)
{
    struct dg_team *team = team_new(3);

    for (size_t i = 0; i < N_MODELS; i++) {
        struct dg_model *loaded = open_as(models[i], DG_PRECISION_INT8, team);
        float *want = logits_of(loaded, team, DG_ISA_SCALAR);

        for (enum dg_isa isa = DG_ISA_SCALAR; isa; isa = dg_isa_next(isa)) {
            struct dg_model *unread = open_as(models[i], DG_PRECISION_INT8, NULL);

            expect_logits(loaded, team, isa, want, models[i]);
            expect_logits(unread, team, isa, want, models[i]);
            dg_model_free(unread);
        }
        free(want);
        dg_model_free(loaded);
    }
    dg_team_free(team);
}
END_TEST

/* A file's groups of Q8_0 are in memory what they are in the file: the scale widened, each integer, -128 too. */
START_TEST(q8_0_stays_as_it_is)
{
    static const char path[] = "tests/golden/gguf/small-q8_0.gguf";
    struct dg_team *team = team_new(2);
    struct dg_model *floats = open_as(path, DG_PRECISION_F32, team),
                    *held = open_as(path, DG_PRECISION_AUTO, team),
                    *unread = open_as(path, DG_PRECISION_INT8, NULL);
    float *want = logits_of(held, team, DG_ISA_SCALAR);
    size_t found = 0;

    for (uint32_t i = 0; i < dg_weight_count(&held->sizes); i++) {
        const struct dg_tensor *t = &held->tensors[i];
        float *exact = new_row(t->cols), *got = new_row(t->cols);

        for (size_t r = 0; r < t->rows && t->dtype == DG_I8; r++) {
            dg_unpack(&floats->tensors[i], r, exact);
            dg_unpack(t, r, got);
            ck_assert(memcmp(exact, got, t->cols * sizeof *got) == 0);
            found++;
        }
        free(exact);
        free(got);
    }
    ck_assert_uint_gt(found, 0);
    expect_logits(unread, team, DG_ISA_BEST, want, path);
    free(want);
    dg_model_free(floats);
    dg_model_free(held);
    dg_model_free(unread);
    dg_team_free(team);
}
END_TEST

static unsigned char *read_all(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    unsigned char *bytes = malloc(1 << 20);

    ck_assert(f && bytes);
    *n = fread(bytes, 1, 1 << 20, f);
    ck_assert_uint_lt(*n, 1 << 20);
    fclose(f);
    return bytes;
}

/* A scale that is infinite or NaN is refused, and its weight named, whatever its integers become. */
START_TEST(scales_are_finite)
{
    static const uint16_t scales[] = {0x7c00, 0xfc00, 0x7e00, 0x7c01};
    struct dg_team *team = team_new(1);
    struct dg_error err = {0};
    struct dg_weights *w;
    struct dg_model *m;
    size_t n, at;
    unsigned char *file = read_all("tests/golden/gguf/small-q8_0.gguf", &n);

    ck_assert_int_eq(dg_weights_open_memory(&w, file, n, "file", &err), DG_OK);
    ck_assert_int_eq(dg_weights_find(w, DG_WTE, 0)->dtype, DG_Q8_0);
    at = dg_weights_find(w, DG_WTE, 0)->offset + 5 * DG_Q8_0_BYTES; /* row 2 of 64 columns */
    dg_weights_close(w);
    for (size_t i = 0; i < 4 * 4; i++) {
        memcpy(file + at, &scales[i / 4], sizeof *scales);
        ck_assert_int_eq(
            dg_model_parse_as(&m, file, n, "file", (enum dg_precision)(i % 4), team, &err),
            DG_ERR_MODEL);
        ck_assert_msg(strstr(err.text, "file: wte: row 2, column 32: got ") == err.text, "%s",
                      err.text);
    }
    free(file);
    dg_team_free(team);
}
END_TEST

/* ---- rounding ---- */

static float float_of(uint32_t bits)
{
    float x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Of the two bf16 around a float the nearer one, as doubles tell; of two as near the one that ends in 0. */
static uint16_t nearest(uint32_t bits)
{
    const uint16_t down = (uint16_t)(bits >> 16), up = (uint16_t)(down + 1);
    const double x = float_of(bits), low = float_of((uint32_t)down << 16);
    const double high = (up & 0x7fff) == 0x7f80 ? copysign(0x1p128, x) /* where infinity stands */
                                                : (double)float_of((uint32_t)up << 16);
    const double to_low = fabs(x - low), to_high = fabs(high - x);

    return to_low < to_high || (to_low == to_high && !(down & 1)) ? down : up;
}

START_TEST(bf16_is_the_nearest)
{
    static const uint32_t lower[] = {0, 1, 0x7fff, 0x8000, 0x8001, 0xffff};

    for (uint32_t upper = 0; upper < 1 << 16; upper++) {
        for (size_t i = 0; i < sizeof lower / sizeof *lower; i++) {
            const uint32_t bits = upper << 16 | lower[i];
            const uint16_t got = dg_bf16_of(float_of(bits));

            if ((bits & 0x7fffffff) > 0x7f800000)
                quick_assert_msg((got & 0x7fff) > 0x7f80 && (got ^ upper) >> 15 == 0, "%08x", bits);
            else if ((bits & 0x7fffffff) == 0x7f800000)
                ck_assert_uint_eq(got, upper);
            else
                quick_assert_msg(got == nearest(bits), "%08x: got %04x, expected %04x", bits, got,
                                 nearest(bits));
        }
    }
}
END_TEST

START_TEST(other_numbers_are_refused)
{
    struct dg_error err = {0};
    struct dg_model *m = (struct dg_model *)&err;

    ck_assert_int_eq(dg_model_open_as(&m, models[0], (enum dg_precision)99, NULL, &err),
                     DG_ERR_USAGE);
    ck_assert_ptr_null(m);
    ck_assert_ptr_nonnull(strstr(err.text, "weights: got 99"));
    ck_assert_int_eq(dg_model_parse_as(&m, "", 0, "x", (enum dg_precision) - 1, NULL, &err),
                     DG_ERR_USAGE);
    ck_assert_str_eq(dg_precision_name(DG_PRECISION_AUTO), "auto");
    ck_assert_str_eq(dg_precision_name(DG_PRECISION_BF16), "bf16");
    ck_assert_str_eq(dg_precision_name((enum dg_precision) - 1), "unknown");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {weights_are_rounded_once,
                                  bf16_has_the_bits_of_its_floats,
                                  int8_has_the_same_bits_everywhere,
                                  q8_0_stays_as_it_is,
                                  scales_are_finite,
                                  bf16_is_the_nearest,
                                  other_numbers_are_refused,
                                  NULL};

    return run_suite("precision", tests);
}
