/* ulp [ISA] - the largest error of exp, tanh and erf over every float, against libm in double. Exits
 * with 1 when one is larger than src/ops/kernels/poly.h says. ISA: scalar, avx2, avx512 or neon; else the
 * best. */
#include "../support/ulp.h"
#include "../../src/base/cpu.h"
#include "../../src/ops/kernels/kernels.h"
#include "../../src/ops/kernels/poly.h"

#include <stdio.h>

enum { BLOCK = 1 << 14 };
static const double EXP_LIMIT = 1.009, TANH_LIMIT = 1.068,
                    ERF_LIMIT = 1.038; /* poly.h; 1.0089... is 1.009 */

typedef void map(float *y, const float *x, size_t n);

struct worst {
    double error;
    float at, got;
};

/* Floats with the bit patterns first ... last. */
static void measure(struct worst *w, map *f, double (*exact)(double), uint32_t first, uint32_t last)
{
    static float x[BLOCK], y[BLOCK];

    for (uint64_t at = first; at <= last; at += BLOCK) {
        const size_t n = last - at + 1 < BLOCK ? (size_t)(last - at + 1) : BLOCK;

        for (size_t i = 0; i < n; i++)
            x[i] = float_of_bits((uint32_t)at + (uint32_t)i);
        f(y, x, n);
        for (size_t i = 0; i < n; i++) {
            const double error = ulp_error(y[i], exact((double)x[i]));

            if (error > w->error)
                *w = (struct worst){error, x[i], y[i]};
        }
    }
}

static bool report(const char *name, const struct worst *w, double limit)
{
    const bool ok = w->error <= limit;

    printf("%-4s  %.5f ulp at %.9g (%a), where it gives %.9g; %s %.3f\n", name, w->error,
           (double)w->at, (double)w->at, (double)w->got, ok ? "within" : "MORE THAN", limit);
    return ok;
}

static enum dg_isa choose(const char *name)
{
    for (enum dg_isa isa = DG_ISA_SCALAR; name && isa; isa = dg_isa_next(isa))
        if (strcmp(name, dg_isa_name(isa)) == 0)
            return isa;
    return dg_isa_best();
}

int main(int argc, char **argv)
{
    const struct dg_kernels *k = dg_kernels_for(choose(argc > 1 ? argv[1] : NULL));
    const uint32_t minus = 1u << 31, largest = bits_of_float(INFINITY) - 1;
    struct worst e = {0}, t = {0}, r = {0};
    bool ok;

    printf("%s\n", dg_isa_name(k->isa));
    measure(&e, k->exp, exp, 0, bits_of_float(88.0f));
    measure(&e, k->exp, exp, minus, bits_of_float(POLY_EXP_MIN));
    ok = report("exp", &e, EXP_LIMIT);
    fflush(stdout);
    measure(&t, k->tanh, tanh, 0, largest);
    measure(&t, k->tanh, tanh, minus, minus | largest);
    ok = report("tanh", &t, TANH_LIMIT) && ok;
    fflush(stdout);
    measure(&r, k->erf, erf, 0, largest);
    measure(&r, k->erf, erf, minus, minus | largest);
    ok = report("erf", &r, ERF_LIMIT) && ok;
    return ok ? 0 : 1;
}
