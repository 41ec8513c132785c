/* src/ops/kernels/amx.c on machines without AMX: each tile instruction that it takes is emulated here, bit for bit, from
 * its definition in Intel's manual (Software Developer's Manual, volume 2: LDTILECFG, TILEZERO, TILELOADD, TDPBSUD,
 * TILESTORED). The Makefile compiles it for that with support/amx_emulation.h. The rest, in AVX-512, runs as it is;
 * where there is none, nothing is tested. Arrays end at a page that must not be touched. */
#include "../../support/support.h"
#include "../../support/amx_emulation.h"
#include "../../../src/base/cpu.h"
#include "../../../src/ops/kernels/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the instructions ---- */

enum { TILES = 8, MOST_ROWS = 16, MOST_BYTES = 64, P = DG_LANES };

static struct {
    bool configured;
    uint16_t row_bytes[TILES];
    uint8_t rows[TILES];
    uint8_t data[TILES][MOST_ROWS][MOST_BYTES];
} unit;

void emulated_load_config(const void *memory)
{
    const uint8_t *config = memory;

    ck_assert_uint_eq(config[0], 1); /* the palette; then the row to start at, and reserved ones */
    for (int i = 1; i < 16; i++)
        ck_assert_uint_eq(config[i], 0);
    memset(&unit, 0, sizeof unit);
    unit.configured = true;
    for (int t = 0; t < 16; t++) {
        uint16_t bytes;

        memcpy(&bytes, config + 16 + 2 * t, sizeof bytes);
        ck_assert(t < TILES || (bytes == 0 && config[48 + t] == 0));
        ck_assert(bytes <= MOST_BYTES && config[48 + t] <= MOST_ROWS);
        ck_assert((bytes == 0) == (config[48 + t] == 0));
        if (t < TILES) {
            unit.row_bytes[t] = bytes;
            unit.rows[t] = config[48 + t];
        }
    }
}

void emulated_release(void)
{
    memset(&unit, 0, sizeof unit);
}

void emulated_zero(int t)
{
    ck_assert(unit.configured && unit.rows[t] > 0);
    memset(unit.data[t], 0, sizeof unit.data[t]);
}

void emulated_load(int t, const void *memory, long stride)
{
    emulated_zero(t);
    for (int i = 0; i < unit.rows[t]; i++)
        memcpy(unit.data[t][i], (const char *)memory + i * stride, unit.row_bytes[t]);
}

void emulated_store(int t, void *memory, long stride)
{
    ck_assert(unit.configured && unit.rows[t] > 0);
    for (int i = 0; i < unit.rows[t]; i++)
        memcpy((char *)memory + i * stride, unit.data[t][i], unit.row_bytes[t]);
}

/* c += a * b: bytes of a have a sign, those of b have none; sums of 32 bits wrap. */
void emulated_multiply(int c, int a, int b)
{
    ck_assert(unit.rows[c] == unit.rows[a] && unit.row_bytes[c] == unit.row_bytes[b] &&
              unit.row_bytes[a] == 4 * unit.rows[b]);
    for (int m = 0; m < unit.rows[c]; m++) {
        for (int n = 0; n < unit.row_bytes[c] / 4; n++) {
            uint32_t sum;

            memcpy(&sum, &unit.data[c][m][4 * n], sizeof sum);
            for (int k = 0; k < unit.row_bytes[a]; k++)
                sum += (uint32_t)((int8_t)unit.data[a][m][k] *
                                  (int)unit.data[b][k / 4][4 * n + k % 4]);
            memcpy(&unit.data[c][m][4 * n], &sum, sizeof sum);
        }
    }
}

/* ---- against scalar ---- */

/* extreme: the largest integers, whose sums are the largest there are. */
static void fill(struct dg_group *x, size_t n_x, struct dg_panel_group *w, size_t n_w, bool extreme,
                 uint64_t *seed)
{
    for (size_t i = 0; i < n_x; i++) {
        int32_t sum = 0;

        for (size_t k = 0; k < DG_GROUP; k++) {
            x[i].value[k] =
                (int8_t)(extreme ? (i % 2 ? -127 : 127) : (int)random_below(seed, 255) - 127);
            sum += x[i].value[k];
        }
        x[i].scale = random_float(seed, 0.0f, 2.0f);
        x[i].start = -128 * sum;
    }
    for (size_t i = 0; i < n_w; i++) {
        uint8_t *bytes = w[i].weight[0][0];

        for (size_t l = 0; l < P; l++)
            w[i].scale[l] = random_float(seed, -2.0f, 2.0f);
        for (size_t k = 0; k < sizeof w[i].weight; k++)
            bytes[k] = (uint8_t)(extreme ? 255 * (k / 4 % 2) : random_below(seed, 256));
    }
}

static void compare(size_t rows, size_t cols, size_t depth, bool extreme)
{
    const size_t groups = dg_groups(depth), panels = (cols + P - 1) / P;
    const size_t x_floats = groups * sizeof(struct dg_group) / sizeof(float);
    const size_t w_floats = panels * groups * sizeof(struct dg_panel_group) / sizeof(float);
    float *x = guarded_floats(rows * x_floats), *w = guarded_floats(w_floats);
    float *y = guarded_floats(rows * cols), *bias = guarded_floats(cols);
    float *want = malloc(rows * cols * sizeof *want);
    uint64_t seed = rows + cols + depth;

    ck_assert_ptr_nonnull(want);
    fill((void *)x, rows * groups, (void *)w, panels * groups, extreme, &seed);
    for (size_t i = 0; i < cols; i++)
        bias[i] = random_float(&seed, -1.0f, 1.0f);
    for (int i = 0; i < 2; i++) {
        const float *b = i ? bias : NULL;

        dg_kernels_scalar.matmul[DG_I8](want, cols, x, x_floats, w, b, rows, cols, depth);
        emulated_matmul(y, cols, x, x_floats, w, b, rows, cols, depth);
        ck_assert_msg(memcmp(y, want, rows * cols * sizeof *y) == 0, "%zu x %zu, depth %zu", rows,
                      cols, depth);
        ck_assert(!unit.configured); /* tiles are left as they were */
    }
    free(want);
    guarded_free(x, rows * x_floats);
    guarded_free(w, w_floats);
    guarded_free(y, rows * cols);
    guarded_free(bias, cols);
}

START_TEST(tiles_equal_scalar)
{
    static const size_t depths[] = {1, 32, 33, 300};

    for (size_t rows = 1; rows <= 50; rows += 1 + rows / 18)
        for (size_t cols = 1; cols <= 50; cols += 7)
            for (size_t d = 0; d < 2 * sizeof depths / sizeof *depths; d++)
                compare(rows, cols, depths[d / 2], d % 2);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {tiles_equal_scalar, NULL};

    if (dg_isa_cap(DG_ISA_AVX512_VNNI) != DG_ISA_AVX512_VNNI) {
        puts("amx: skipped: this CPU has no AVX-512 with VNNI, in which the rest of it is");
        return 0;
    }
    return run_suite("amx", tests);
}
