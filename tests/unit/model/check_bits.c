/* Promise 1: one SHA-256 of all logits of a sequence, whatever the workers, schedule, instruction
 * set, chunking, tile size, fusion and machine. The hashes below are those of the scalar kernels and
 * the serial schedule on x86-64. The quick form takes a part of the combinations; with
 * DAGPT_BITS=full in the environment (make test-bits) all of them. */
#include "../../support/one.h"
#include "../../support/packed.h"
#include "../../../src/base/cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH = 40 };

static const unsigned full_workers[] = {1, 2, 3, 4, 7, 16, 0}, quick_workers[] = {1, 2, 7, 0};
static const uint32_t full_chunks[] = {1, 2, 3, 7, 16, LENGTH, 0};
static const uint32_t quick_chunks[] = {1, 7, LENGTH, 0};
static const struct {
    uint32_t rows, cols;
} tiles[] = {{0, 0}, {1, 16}, {5, 32}};

static bool full(void)
{
    const char *bits = getenv("DAGPT_BITS");

    return bits && strcmp(bits, "full") == 0;
}

/* The hash of LENGTH rows of logits of a fixed sequence of ids. */
static void hash_logits(struct dg_model *model, struct dg_team *team,
                        const struct dg_engine_options *opt, char hex[65])
{
    const size_t vocab = dg_model_sizes(model).vocab;
    struct one *o = one_new(model, team, opt);
    int32_t ids[LENGTH];
    uint64_t state = 612;

    for (int i = 0; i < LENGTH; i++)
        ids[i] = (int32_t)random_below(&state, (uint32_t)vocab);
    one_eval(o, ids, LENGTH, LENGTH);
    sha256_hex(dg_sequence_logits(o->text), LENGTH * vocab * sizeof(float), hex);
    one_free(o);
}

static void compare(struct dg_model *model, struct dg_team *team,
                    const struct dg_engine_options *opt, const char *expected, unsigned *count)
{
    char hex[65];

    hash_logits(model, team, opt, hex);
    ck_assert_msg(strcmp(hex, expected) == 0,
                  "%u workers, %s, %s, chunk %u, tile %ux%u, %s, cache %s: got %s, expected %s",
                  dg_team_workers(team), dg_sched_name(opt->sched), dg_isa_name(opt->isa),
                  opt->chunk, opt->row_block, opt->col_block, opt->no_fuse ? "unfused" : "fused",
                  dg_precision_name(opt->cache), hex, expected);
    ++*count;
}

/* All combinations of one team. Every worker is awake, however few CPUs there are. */
static void compare_team(const char *path, enum dg_precision precision, enum dg_precision cache,
                         unsigned workers, const char *expected, unsigned *count)
{
    const uint32_t *chunks = full() ? full_chunks : quick_chunks;
    const size_t n_tiles = full() ? sizeof tiles / sizeof *tiles : 2;
    struct dg_error err = {0};
    struct dg_model *model;
    struct dg_team *team;

    ck_assert_msg(dg_team_new(&team, workers, workers, &err) == DG_OK, "%s", err.text);
    ck_assert_msg(dg_model_open_as(&model, path, precision, team, &err) == DG_OK, "%s", err.text);
    for (enum dg_sched sched = DG_SCHED_DATAFLOW; sched <= DG_SCHED_SERIAL; sched++) {
        for (enum dg_isa isa = DG_ISA_SCALAR; isa; isa = dg_isa_next(isa)) {
            for (const uint32_t *chunk = chunks; *chunk; chunk++) {
                for (size_t t = 0; t < n_tiles; t++) {
                    const struct dg_engine_options opt = {
                        .size = sizeof opt,
                        .isa = isa,
                        .sched = sched,
                        .chunk = *chunk,
                        .row_block = tiles[t].rows,
                        .col_block = tiles[t].cols,
                        .no_fuse = t == 1,
                        .cache = cache,
                    };

                    compare(model, team, &opt, expected, count);
                }
            }
        }
    }
    dg_model_free(model);
    dg_team_free(team);
}

static void compare_all(const char *path, enum dg_precision precision, enum dg_precision cache,
                        const char *expected)
{
    const struct dg_engine_options oracle = {
        .size = sizeof oracle, .isa = DG_ISA_SCALAR, .sched = DG_SCHED_SERIAL, .cache = cache};
    struct dg_error err = {0};
    struct dg_model *model;
    struct dg_team *team;
    unsigned count = 0;

    ck_assert_msg(dg_team_new(&team, 1, 1, &err) == DG_OK, "%s", err.text);
    ck_assert_msg(dg_model_open_as(&model, path, precision, team, &err) == DG_OK, "%s", err.text);
    compare(model, team, &oracle, expected, &count);
    dg_model_free(model);
    dg_team_free(team);
    for (const unsigned *w = full() ? full_workers : quick_workers; *w; w++)
        compare_team(path, precision, cache, *w, expected, &count);
    printf("%s  %s, %s, cache %s: %u combinations\n", expected, path, dg_precision_name(precision),
           dg_precision_name(cache), count);
}

START_TEST(sha256_of_a_known_text)
{
    char hex[65];

    sha256_hex("abc", 3, hex); /* FIPS 180-4, appendix */
    ck_assert_str_eq(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, hex);
    ck_assert_str_eq(hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}
END_TEST

START_TEST(odd)
{
    compare_all("tests/golden/odd.bin", DG_PRECISION_AUTO, DG_PRECISION_F32,
                "3e3036a0c410b2142639e6047349f1b7d7c3e6e30d1ad0b3242cae55027c3c93");
}
END_TEST

/* The same weights in fewer bytes: bits of their own, and as many ways to compute them. */
START_TEST(odd_narrow)
{
    compare_all("tests/golden/odd.bin", DG_PRECISION_BF16, DG_PRECISION_F32,
                "b871290984e90b1c62ed7a020729ac01263a253627b3bd209cb010e4d6dfc76a");
    compare_all("tests/golden/odd.bin", DG_PRECISION_INT8, DG_PRECISION_F32,
                "6ef4ae26a61c7a98bddb1899ddea54e8a0f99e0462d4664345c83e7a4f38df94");
}
END_TEST

/* Keys and values in bf16, with each format of weights. */
START_TEST(odd_bf16_cache)
{
    compare_all("tests/golden/odd.bin", DG_PRECISION_AUTO, DG_PRECISION_BF16,
                "12da2f5d206894f4baa82e5d9f3cb2634d427c9f197bc6bfa9a4f15961e90363");
    compare_all("tests/golden/odd.bin", DG_PRECISION_BF16, DG_PRECISION_BF16,
                "ebc039eb13b7959b74de2a43783776332a4f68ad89e328a77c1a48879af918bf");
    compare_all("tests/golden/odd.bin", DG_PRECISION_INT8, DG_PRECISION_BF16,
                "d1cebff6dc0f2fffa97695a9649b405c3b7fdd884ef82fc4e7dba02537edcc24");
}
END_TEST

START_TEST(small)
{
    if (full())
        compare_all("tests/golden/small.bin", DG_PRECISION_AUTO, DG_PRECISION_F32,
                    "26bebb234e39cd245799ef225ca865b9e79a9352e89d495ab9b94623e3f16d9a");
}
END_TEST

/* Weights that are used where they lie in a mapping. */
static void compare_packed(const char *from, const char *expected)
{
    char path[256];

    pack_file(from, "bits.dagpt", path, sizeof path);
    compare_all(path, DG_PRECISION_AUTO, DG_PRECISION_F32, expected);
    remove(path);
}

START_TEST(odd_packed)
{
    compare_packed("tests/golden/odd.bin",
                   "3e3036a0c410b2142639e6047349f1b7d7c3e6e30d1ad0b3242cae55027c3c93");
}
END_TEST

START_TEST(small_packed)
{
    if (full())
        compare_packed("tests/golden/small.bin",
                       "26bebb234e39cd245799ef225ca865b9e79a9352e89d495ab9b94623e3f16d9a");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {sha256_of_a_known_text, odd,   odd_narrow,
                                  odd_bf16_cache,         small, odd_packed,
                                  small_packed,           NULL};

    return run_suite("bits", tests);
}
