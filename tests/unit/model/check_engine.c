/* Steps whose rows are of several sequences: each row gets the logits that it has alone, whatever stands
 * beside it. */
#include "../../support/blocks.h"
#include "../../support/one.h"
#include "../../../src/base/cpu.h"
#include "../../../src/model/engine.h"

#include <string.h>

enum { TEXTS = 3, LENGTH = 30, VOCAB = 131, POSITIONS = 40 }; /* of tests/golden/odd.bin */

/* A text, and the logits after each of its ids, as a sequence of its own gets them. */
struct text {
    int32_t ids[LENGTH];
    float rows[LENGTH * VOCAB];
    struct dg_cache cache; /* for the mixed steps */
    float *block[POSITIONS / DG_LANES + 1];
    uint32_t position;
};

static struct text texts[TEXTS];

static void open_texts(struct dg_model *model, struct dg_team *team)
{
    const struct dg_sizes z = dg_model_sizes(model);
    const struct dg_cache_shape shape = {z.layers, z.heads, z.channels, z.positions, DG_F32};
    uint64_t state = 41;

    for (int i = 0; i < TEXTS; i++) {
        struct text *t = &texts[i];
        struct one *o = one_new(model, team, NULL);
        float *memory;

        for (int k = 0; k < LENGTH; k++)
            t->ids[k] = (int32_t)random_below(&state, VOCAB);
        one_eval(o, t->ids, LENGTH, LENGTH);
        memcpy(t->rows, dg_sequence_logits(o->text), sizeof t->rows);
        one_free(o);
        memory = calloc(1, dg_cache_bytes(&shape));
        ck_assert_ptr_nonnull(memory);
        t->cache = cache_in(memory, t->block, &shape);
    }
}

/* A step of `rows` rows, dealt out to the texts in runs; all get logits. Returns how many it had. */
static uint32_t mixed_step(struct dg_engine *e, uint32_t rows, uint64_t *state)
{
    struct dg_row row[LENGTH * TEXTS];
    int32_t ids[LENGTH * TEXTS];
    struct dg_rows to;
    const float *want[LENGTH * TEXTS];
    static float got[LENGTH * TEXTS * VOCAB];
    const bool apart =
        random_below(state, 2) > 0; /* no row's logits lie behind those of the one before */
    struct dg_error err = {0};
    uint32_t n = 0;

    for (uint32_t tries = 0, i = 0; n < rows && tries < 1000; tries++) {
        struct text *t;

        i = random_below(state, 3) ? i : random_below(state, TEXTS);
        t = &texts[i];
        if (t->position == LENGTH)
            continue;
        row[n] = (struct dg_row){&t->cache, t->position, got + (apart ? rows - 1 - n : n) * VOCAB};
        ids[n] = t->ids[t->position];
        want[n++] = t->rows + t->position++ * VOCAB;
    }
    if (n == 0)
        return 0;
    ck_assert_msg(dg_engine_enter(e, n, n, &to, &err) == DG_OK, "%s", err.text);
    memcpy(to.row, row, n * sizeof *row);
    memcpy(to.id, ids, n * sizeof *ids);
    ck_assert_msg(dg_engine_run(e, &err) == DG_OK, "%s", err.text);
    for (uint32_t r = 0; r < n; r++)
        ck_assert_msg(memcmp(row[r].logits, want[r], VOCAB * sizeof *got) == 0,
                      "row %u of %u, at position %u: other logits", r, n, row[r].position);
    return n;
}

START_TEST(rows_of_several_sequences)
{
    static const unsigned workers[] = {1, 4};
    uint64_t state = 5;

    for (int w = 0; w < 2; w++) {
        struct dg_error err = {0};
        struct dg_team *team;
        struct dg_model *model;

        ck_assert_int_eq(dg_team_new(&team, workers[w], workers[w], &err), DG_OK);
        ck_assert_int_eq(dg_model_open(&model, "tests/golden/odd.bin", team, &err), DG_OK);
        open_texts(model, team);
        for (enum dg_isa isa = DG_ISA_SCALAR; isa; isa = dg_isa_next(isa)) {
            for (int round = 0; round < (sanitized() ? 3 : 20); round++) {
                const struct dg_engine_options opt = {.isa = isa,
                                                      .row_block = random_below(&state, 9)};
                struct dg_engine *e;

                ck_assert_int_eq(dg_engine_new(&e, model, team, &opt, &err), DG_OK);
                for (int i = 0; i < TEXTS; i++)
                    texts[i].position = 0;
                while (mixed_step(e, 1 + random_below(&state, 20), &state) > 0)
                    ;
                for (int i = 0; i < TEXTS; i++)
                    ck_assert_uint_eq(texts[i].position, LENGTH);
                dg_engine_free(e);
            }
        }
        for (int i = 0; i < TEXTS; i++)
            free(cache_memory(&texts[i].cache));
        dg_model_free(model);
        dg_team_free(team);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {rows_of_several_sequences, NULL};

    return run_suite("engine", tests);
}
