/* bench_guard MODEL - a prompt of 32 and, after it, one decoded token, each in a function of its own,
 * for callgrind to count the instructions of (tests/guard/bench_guard.sh). One worker, the serial schedule,
 * and AVX2, which is what valgrind knows, so that every run takes the same instructions. */
#include "../../src/dagpt.h"

#include <stdio.h>
#include <stdlib.h>

#if !defined(__x86_64__)
#error "make bench-guard counts the instructions of the AVX2 kernels: x86-64 only"
#endif

enum { PROMPT = 32 };

static void must(enum dg_status status, const struct dg_error *err)
{
    if (status != DG_OK) {
        fprintf(stderr, "bench_guard: %s\n", err->text);
        exit((int)status);
    }
}

/* Not static, and never part of another function: callgrind finds them by name. */
__attribute__((noinline)) void guarded_prompt(struct dg_sequence *s, const int32_t *ids)
{
    struct dg_error err;

    must(dg_sequence_eval(s, ids, PROMPT, 1, &err), &err);
}

__attribute__((noinline)) void guarded_decode(struct dg_sequence *s, int32_t id)
{
    struct dg_error err;

    must(dg_sequence_eval(s, &id, 1, 1, &err), &err);
}

int main(int argc, char **argv)
{
    const struct dg_engine_options opt = {.isa = DG_ISA_AVX2, .sched = DG_SCHED_SERIAL};
    int32_t ids[PROMPT];
    struct dg_team *team;
    struct dg_model *model;
    struct dg_engine *engine;
    struct dg_sequence *s;
    struct dg_error err;

    if (argc != 2 || dg_isa_best() < DG_ISA_AVX2) {
        fprintf(stderr, "bench_guard: expected a model, and a CPU with AVX2\n");
        return 2;
    }
    must(dg_team_new(&team, 1, 1, &err), &err);
    must(dg_model_open(&model, argv[1], team, &err), &err);
    must(dg_engine_new(&engine, model, team, &opt, &err), &err);
    must(dg_sequence_new(&s, engine, &err), &err);
    for (int i = 0; i < PROMPT; i++)
        ids[i] = (int32_t)((uint32_t)i * 7919 % dg_model_sizes(model).vocab);
    must(dg_sequence_eval(s, ids, PROMPT, 1, &err), &err); /* makes the plans */
    must(dg_sequence_eval(s, ids, 1, 1, &err), &err);
    dg_sequence_rewind(s, 0);
    guarded_prompt(s, ids);
    guarded_decode(s, ids[0]);
    dg_sequence_free(s);
    dg_engine_free(engine);
    dg_model_free(model);
    dg_team_free(team);
    return 0;
}
