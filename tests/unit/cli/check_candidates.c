/* tools/cli/candidates.h against a sort of all ids. */
#include "../../support/support.h"
#include "../../../tools/cli/candidates.h"

#include <math.h>
#include <stdlib.h>

enum { MOST = 400 };

static const float *sorted_by; /* for qsort */

static int by_logit(const void *a, const void *b)
{
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

    if (sorted_by[x] != sorted_by[y])
        return sorted_by[x] > sorted_by[y] ? -1 : 1;
    return (x > y) - (x < y);
}

static void compare(const float *logits, size_t n, size_t k)
{
    int32_t expected[MOST], *got = malloc(k * sizeof *got);
    const size_t most = k < n ? k : n;

    for (size_t i = 0; i < n; i++)
        expected[i] = (int32_t)i;
    sorted_by = logits;
    qsort(expected, n, sizeof *expected, by_logit);
    quick_assert_msg(cli_candidates(got, k, logits, n) == most, "of %zu ids not %zu", n, most);
    for (size_t i = 0; i < most; i++)
        quick_assert_msg(got[i] == expected[i], "place %zu of %zu: got %d, expected %d", i, k,
                         (int)got[i], (int)expected[i]);
    free(got);
}

/* Of few values, so that there are equals; of all sizes around the number that is asked for. */
START_TEST(by_chance)
{
    float logits[MOST];
    uint64_t state = 21;

    for (int round = 0; round < 3000; round++) {
        const size_t n = 1 + random_below(&state, round % 2 ? MOST : 6);
        const float size = round % 3 == 0 ? 1e6f : 3;

        for (size_t i = 0; i < n; i++)
            logits[i] = roundf(random_float(&state, -size, size));
        if (round % 5 == 0)
            logits[random_below(&state, (uint32_t)n)] = -INFINITY;
        compare(logits, n, 1 + random_below(&state, round % 7 ? 8 : MOST));
    }
}
END_TEST

START_TEST(orders)
{
    float up[MOST], down[MOST], same[MOST] = {0};

    for (size_t i = 0; i < MOST; i++) {
        up[i] = (float)i;
        down[i] = -(float)i;
    }
    for (size_t k = 1; k < 2 * MOST; k += 57) {
        compare(up, MOST, k);
        compare(down, MOST, k);
        compare(same, MOST, k);
    }
    ck_assert_uint_eq(cli_candidates(NULL, 0, up, MOST), 0);
    ck_assert_uint_eq(cli_candidates(NULL, 0, NULL, 0), 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {by_chance, orders, NULL};

    return run_suite("candidates", tests);
}
