/* What was measured, as text, a section at a time, and as JSON, all at once: a reader waits for the text, and
 * a program for the object. */
#include "bench.h"
#include "../cli/text.h"
#include "../../src/base/json_write.h"

#include <stdlib.h>

/* ---- text ---- */

static void print_stat(const char *section, const char *what, const struct bench_stat *s)
{
    printf("%-10s%-22s%10.3f%10.3f%10.3f", section, what, s->ms, s->p10, s->p90);
    if (s->limit_ms > 0)
        printf("%10.3f%7.2f  %-9s", s->limit_ms, s->limit_ratio,
               s->memory_bound ? "reading" : "computing");
    else
        printf("%10s%7s  %-9s", "-", "-", "-");
    printf("%5u of %u%s\n", s->kept, s->taken, s->kept ? "" : " (so all count)");
}

static void print_head(const char *section)
{
    printf("\n%-10s%-22s%10s%10s%10s%10s%7s  %-9s%5s\n", section, "ms", "median", "10 %", "90 %",
           "limit", "ratio", "bound by", "kept");
}

void bench_print_machine(const struct bench_report *r)
{
    char *name = text_printable(r->path);

    printf("model     %s: a decoded token reads %.1f MB\n", name, 1e-6 * r->step_bytes);
    free(name);
    printf("machine   %u usable CPU%s, %s; %u workers, schedule %s\n", r->cpus,
           r->cpus == 1 ? "" : "s", dg_isa_name(r->isa), r->workers, dg_sched_name(r->sched));
    printf("          %-12s%12s%14s\n", "awake", "read GB/s", "FMA GFLOP/s");
    for (unsigned i = 0; i < r->n_crews; i++)
        printf("          %-12u%12.1f%14.1f\n", r->limits[i].workers, r->limits[i].read_gbps,
               r->limits[i].fma_gflops);
}

void bench_print_brackets(const struct bench_report *r)
{
    printf("\nprobes    %-12s%12s%14s   medians of all probes; they read %.1f MB round and round\n",
           "awake", "read GB/s", "FMA GFLOP/s", 1e-6 * r->probe_bytes);
    for (unsigned i = 0; i < r->n_crews; i++)
        if (r->brackets[i].workers)
            printf("          %-12u%12.1f%14.1f\n", r->brackets[i].workers,
                   r->brackets[i].read_gbps, r->brackets[i].fma_gflops);
}

void bench_print_decode(const struct bench_report *r)
{
    print_head("decode");
    print_stat("", "one token", &r->decode);
}

void bench_print_prompts(const struct bench_report *r)
{
    char what[64];

    print_head("prompt");
    for (unsigned i = 0; i < r->n_prompts; i++) {
        snprintf(what, sizeof what, "%u tokens", r->tokens[i]);
        print_stat("", what, &r->prompts[i]);
    }
}

void bench_print_lab(const struct bench_report *r)
{
    char what[64];

    print_head("lab");
    snprintf(what, sizeof what, "2 ids in, %u out", r->lab_ids - 2);
    print_stat("", what, &r->lab);
    for (unsigned i = 0; i < r->n_no_cache; i++) {
        snprintf(what, sizeof what, "%u ids, no cache, j %u", r->no_cache_ids,
                 r->no_cache_workers[i]);
        print_stat("", what, &r->no_cache[i]);
    }
    printf("          of the first, %.1f ms until the first id, at the least", r->lab_first_ms);
    if (r->n_no_cache > 1)
        printf("; without a cache %u workers are %.2f times as fast as 1", r->no_cache_workers[1],
               r->no_cache[1].speedup);
    printf("\n");
}

void bench_print_tiles(const struct bench_report *r)
{
    printf("\n%-10s%-22s%10s%10s%10s%10s\n", "sched", "empty tiles, ns a tile", "workers", "least",
           "median", "90 %");
    for (unsigned i = 0; i < r->n_tiles; i++)
        printf("          %-22s%10u%10.1f%10.1f%10.1f\n", r->tiles[i].shape, r->tiles[i].workers,
               r->tiles[i].ns_per_tile, r->tiles[i].median, r->tiles[i].p90);
}

void bench_print_schedules(const struct bench_report *r)
{
    char what[64];

    print_head("schedules");
    for (int k = 0; k < 2; k++) {
        for (int s = 0; s < BENCH_SCHEDS; s++) {
            snprintf(what, sizeof what, k ? "%s, %u tokens" : "%s, one token",
                     dg_sched_name(DG_SCHED_DATAFLOW + (enum dg_sched)s), r->schedules_tokens);
            print_stat("", what, &r->schedules[s][k]);
        }
    }
}

static const char *held_name(int i)
{
    return dg_precision_name(DG_PRECISION_F32 + (enum dg_precision)i);
}

/* Times, and then the megabytes and what of the time of f32 each takes. */
void bench_print_weights(const struct bench_report *r)
{
    char what[64];

    print_head("weights");
    for (int k = 0; k < BENCH_KINDS; k++) {
        for (int i = 0; i < BENCH_HELD; i++) {
            snprintf(what, sizeof what, k ? "%s, %u tokens" : "%s, one token", held_name(i),
                     r->held_tokens[k]);
            print_stat("", what, &r->held[i][k]);
        }
    }
    printf("\n          %-22s%10s%10s%10s%10s\n", "of the time of f32", "MB", "one token", "prompt",
           "prompt");
    for (int i = 0; i < BENCH_HELD; i++)
        printf("          %-22s%10.1f%10.2f%10.2f%10.2f\n", held_name(i),
               1e-6 * r->held[i][0].bytes, 1 / r->held[i][0].speedup, 1 / r->held[i][1].speedup,
               1 / r->held[i][2].speedup);
}

void bench_print_workers(const struct bench_report *r)
{
    char what[64];

    print_head("workers");
    for (int k = 0; k < 2; k++) {
        for (unsigned i = 0; i < r->n_crews; i++) {
            snprintf(what, sizeof what, k ? "%u, %u tokens" : "%u, one token", r->limits[i].workers,
                     r->workers_tokens);
            print_stat("", what, &r->scaling[i][k]);
        }
    }
    printf("\n          %-22s%10s%10s%10s%12s%10s\n", "speed-up (efficiency)", "one token", "",
           "prompt", "", "read, FMA");
    for (unsigned i = 0; i < r->n_crews; i++) {
        const struct limits *l = &r->beside[i], *first = &r->beside[0];
        const double one = r->scaling[i][0].speedup, prompt = r->scaling[i][1].speedup;

        printf("          %-22u%10.2f  (%3.0f %%)%13.2f  (%3.0f %%)%12.2f, %.2f\n", l->workers, one,
               100 * one / l->workers, prompt, 100 * prompt / l->workers,
               l->read_gbps / first->read_gbps, l->fma_gflops / first->fma_gflops);
    }
}

void bench_print_neighbours(const struct bench_report *r)
{
    printf("\n%-11s%-23s%7s%10s%10s%8s%8s%15s%8s%8s%8s\n", "neighbours", "workers, beside 2 loops",
           "awake", "alone ms", "beside", "kept", "fair", "of fair share", "10 %", "90 %",
           "rounds");
    for (unsigned i = 0; i < r->n_shares; i++) {
        const struct bench_share *s = &r->shares[i];

        printf("           %-23u%7u%10.3f%10.3f%8.2f%8.2f%15.2f%8.2f%8.2f%8u\n", s->workers,
               s->awake, s->alone_ms, s->ms, s->kept, s->fair, s->of_fair, s->p10, s->p90,
               s->rounds);
    }
}

static double tokens_per_s(const struct bench_report *r, unsigned i)
{
    return 1e3 * (1u << i) / r->batches[i].ms;
}

static double times_one(const struct bench_report *r, unsigned i)
{
    return r->batches[i].speedup * (1u << i);
}

void bench_print_batch(const struct bench_report *r)
{
    char what[64];

    print_head("batch");
    for (unsigned i = 0; i < r->n_batches; i++) {
        snprintf(what, sizeof what, "%u text%s, a token each", 1u << i, i ? "s" : "");
        print_stat("", what, &r->batches[i]);
    }
    printf("\n          %-10s%12s%10s%8s%34s%10s%10s%12s%8s\n", "texts", "tokens/s", "times 1",
           "share", "gap in ms: median, 99 %: alone", "", "beside", "", "ratio");
    for (unsigned i = 0; i < r->n_batches; i++) {
        const struct bench_gap *g = &r->gaps[i];

        printf("          %-10u%12.1f%10.2f%8u%24.3f%10.3f%10.3f%12.3f%8.2f\n", 1u << i,
               tokens_per_s(r, i), times_one(r, i), g->share, g->alone_ms, g->alone_p99, g->ms,
               g->p99, g->p99 / g->alone_ms);
    }
}

void bench_print_what_if(const struct bench_report *r)
{
    char what[64];

    printf("\n%-10s%-22s%10s%10s%10s%10s%10s%19s\n", "what-if", "ms, from 1 worker's trace",
           "predicted", "measured", "error", "10 %", "90 %", "kept");
    if (r->n_guesses == 0)
        printf("          nothing to predict: 1 worker\n");
    for (unsigned i = 0; i < r->n_guesses; i++) {
        const struct bench_guess *g = &r->guesses[i];

        if (g->tokens)
            snprintf(what, sizeof what, "%u, %u tokens", g->workers, g->tokens);
        else
            snprintf(what, sizeof what, "%u, one token", g->workers);
        printf("%10s%-25s%10.3f%10.3f%+8.1f %%%+8.1f %%%+8.1f %%%9u of %u%s\n", "", what,
               g->predicted_ms, g->measured_ms, g->error, g->p10, g->p90, g->kept, g->taken,
               g->kept ? "" : " (so all count)");
    }
}

/* ---- JSON ---- */

static struct dg_json_number real(double value)
{
    return dg_json_real(value, 6);
}

/* The members that every measurement has. */
static void json_stat(const struct bench_stat *s, const char *ms_name)
{
    printf("\"%s\": %s, \"p10\": %s, \"p90\": %s, ", ms_name, real(s->ms).text, real(s->p10).text,
           real(s->p90).text);
    if (s->limit_ms > 0)
        printf("\"limit_ms\": %s, \"limit_ratio\": %s, \"bound_by\": \"%s\", \"flops\": %s, "
               "\"bytes\": %s, ",
               real(s->limit_ms).text, real(s->limit_ratio).text,
               s->memory_bound ? "reading" : "computing", dg_json_real(s->flops, 17).text,
               dg_json_real(s->bytes, 17).text);
    printf("\"kept\": %u, \"taken\": %u", s->kept, s->taken);
}

static void json_machine(const struct bench_report *r)
{
    const struct limits *top = &r->limits[r->n_crews - 1];

    printf("{\"model\": {\"path\": ");
    dg_json_write_string(stdout, r->path, "");
    printf(", \"maxT\": %u, \"V\": %u, \"L\": %u, \"NH\": %u, \"C\": %u, \"step_bytes\": %s},\n",
           r->sizes.positions, r->sizes.vocab, r->sizes.layers, r->sizes.heads, r->sizes.channels,
           dg_json_real(r->step_bytes, 17).text);
    printf(" \"machine\": {\"cpus\": %u, \"isa\": \"%s\", \"workers\": %u, \"awake\": %u, "
           "\"read_gbps\": %s, \"fma_gflops\": %s, \"limits\": [",
           r->cpus, dg_isa_name(r->isa), r->workers, top->workers, real(top->read_gbps).text,
           real(top->fma_gflops).text);
    for (unsigned i = 0; i < r->n_crews; i++) {
        const struct limits *l = &r->limits[i], *b = &r->brackets[i];

        printf("%s{\"workers\": %u, \"read_gbps\": %s, \"fma_gflops\": %s", i ? ",\n  " : "",
               l->workers, real(l->read_gbps).text, real(l->fma_gflops).text);
        if (b->workers)
            printf(", \"bracket_read_gbps\": %s, \"bracket_fma_gflops\": %s",
                   real(b->read_gbps).text, real(b->fma_gflops).text);
        printf("}");
    }
    printf("]},\n \"sched_name\": \"%s\", \"disagree\": %g", dg_sched_name(r->sched),
           BENCH_DISAGREE);
}

static void json_lab(const struct bench_report *r)
{
    printf(",\n \"lab\": {\"ids_in\": 2, \"ids_out\": %u, \"first_ms\": %s, ", r->lab_ids - 2,
           real(r->lab_first_ms).text);
    json_stat(&r->lab, "ms");
    printf("},\n \"no_cache\": [");
    for (unsigned i = 0; i < r->n_no_cache; i++) {
        printf("%s{\"ids\": %u, \"workers\": %u, \"speedup\": %s, ", i ? ",\n  " : "",
               r->no_cache_ids, r->no_cache_workers[i], real(r->no_cache[i].speedup).text);
        json_stat(&r->no_cache[i], "ms");
        printf("}");
    }
    printf("]");
}

static void json_pair(const struct bench_stat pair[2], uint32_t tokens)
{
    printf("\"decode\": {");
    json_stat(&pair[0], "ms_per_token");
    printf("},\n   \"prefill\": {\"tokens\": %u, ", tokens);
    json_stat(&pair[1], "ms");
    printf("}}");
}

static void json_weights(const struct bench_report *r)
{
    for (int i = 0; i < BENCH_HELD; i++) {
        const struct bench_stat *s = r->held[i];

        printf("%s{\"weights\": \"%s\", \"decode_speedup\": %s, \"decode\": {",
               i ? ",\n  " : ",\n \"weights\": [", held_name(i), real(s->speedup).text);
        json_stat(s, "ms_per_token");
        for (int k = 1; k < BENCH_KINDS; k++) {
            printf("%s{\"tokens\": %u, \"speedup\": %s, ",
                   k > 1 ? ",\n    " : "},\n   \"prefill\": [", r->held_tokens[k],
                   real(s[k].speedup).text);
            json_stat(&s[k], "ms");
            printf("}");
        }
        printf("]}%s", i + 1 == BENCH_HELD ? "]" : "");
    }
}

static void json_workers(const struct bench_report *r)
{
    printf(",\n \"workers\": [");
    for (unsigned i = 0; i < r->n_crews; i++) {
        const unsigned n = r->limits[i].workers;
        const struct bench_stat *s = r->scaling[i];
        const struct limits *l = &r->beside[i], *first = &r->beside[0];

        printf("%s{\"workers\": %u, \"decode_speedup\": %s, \"decode_efficiency\": %s, "
               "\"prefill_speedup\": %s, \"prefill_efficiency\": %s,\n   \"read_speedup\": "
               "%s, \"fma_speedup\": %s,\n   ",
               i ? ",\n  " : "", n, real(s[0].speedup).text, real(s[0].speedup / n).text,
               real(s[1].speedup).text, real(s[1].speedup / n).text,
               real(l->read_gbps / first->read_gbps).text,
               real(l->fma_gflops / first->fma_gflops).text);
        json_pair(s, r->workers_tokens);
    }
    printf("]");
}

static void json_guesses(const struct bench_report *r)
{
    printf(",\n \"what_if\": [");
    for (unsigned i = 0; i < r->n_guesses; i++) {
        const struct bench_guess *g = &r->guesses[i];

        printf("%s{\"tokens\": %u, \"workers\": %u, \"predicted_ms\": %s, \"measured_ms\": %s, "
               "\"error\": %s, \"p10\": %s, \"p90\": %s, \"kept\": %u, \"taken\": %u}",
               i ? ",\n  " : "", g->tokens ? g->tokens : 1, g->workers, real(g->predicted_ms).text,
               real(g->measured_ms).text, real(g->error).text, real(g->p10).text, real(g->p90).text,
               g->kept, g->taken);
    }
    printf("]");
}

static void json_shares(const struct bench_report *r)
{
    for (unsigned i = 0; i < r->n_shares; i++) {
        const struct bench_share *s = &r->shares[i];

        printf("%s{\"workers\": %u, \"awake\": %u, \"alone_ms\": %s, \"ms\": %s, "
               "\"kept\": %s, \"fair\": %s, \"of_fair_share\": %s, \"p10\": %s, \"p90\": %s, "
               "\"rounds\": %u}%s",
               i ? ",\n  " : ",\n \"neighbours\": [", s->workers, s->awake, real(s->alone_ms).text,
               real(s->ms).text, real(s->kept).text, real(s->fair).text, real(s->of_fair).text,
               real(s->p10).text, real(s->p90).text, s->rounds, i + 1 == r->n_shares ? "]" : "");
    }
}

static void json_batches(const struct bench_report *r)
{
    for (unsigned i = 0; i < r->n_batches; i++) {
        const struct bench_gap *g = &r->gaps[i];

        printf("%s{\"texts\": %u, \"tokens_per_s\": %s, \"speedup\": %s, ",
               i ? ",\n  " : ",\n \"batch\": [", 1u << i, real(tokens_per_s(r, i)).text,
               real(times_one(r, i)).text);
        json_stat(&r->batches[i], "ms");
        printf(
            ",\n   \"gap\": {\"tokens\": %u, \"share\": %u, \"alone_ms\": %s, \"alone_p99\": %s, "
            "\"ms\": %s, \"p99\": %s, \"ratio\": %s, \"steps\": %u}}%s",
            g->tokens, g->share, real(g->alone_ms).text, real(g->alone_p99).text, real(g->ms).text,
            real(g->p99).text, real(g->p99 / g->alone_ms).text, g->steps,
            i + 1 == r->n_batches ? "]" : "");
    }
}

void bench_print_json(const struct bench_report *r)
{
    json_machine(r);
    if (r->decode.taken) {
        printf(",\n \"decode\": {");
        json_stat(&r->decode, "ms_per_token");
        printf("}");
    }
    for (unsigned i = 0; i < r->n_prompts; i++) {
        printf("%s{\"tokens\": %u, ", i ? ",\n  " : ",\n \"prefill\": [", r->tokens[i]);
        json_stat(&r->prompts[i], "ms");
        printf("}%s", i + 1 == r->n_prompts ? "]" : "");
    }
    if (r->lab.taken)
        json_lab(r);
    for (unsigned i = 0; i < r->n_tiles; i++)
        printf("%s{\"shape\": \"%s\", \"tiles\": %u, \"workers\": %u, \"ns_per_tile\": %s, "
               "\"median\": %s, \"p90\": %s}%s",
               i ? ",\n  " : ",\n \"sched\": [", r->tiles[i].shape, r->tiles[i].tiles,
               r->tiles[i].workers, real(r->tiles[i].ns_per_tile).text,
               real(r->tiles[i].median).text, real(r->tiles[i].p90).text,
               i + 1 == r->n_tiles ? "]" : "");
    for (int s = 0; r->has_schedules && s < BENCH_SCHEDS; s++) {
        printf("%s{\"name\": \"%s\", ", s ? ",\n  " : ",\n \"schedules\": [",
               dg_sched_name(DG_SCHED_DATAFLOW + (enum dg_sched)s));
        json_pair(r->schedules[s], r->schedules_tokens);
        printf("%s", s + 1 == BENCH_SCHEDS ? "]" : "");
    }
    if (r->has_held)
        json_weights(r);
    if (r->has_workers)
        json_workers(r);
    json_shares(r);
    json_batches(r);
    if (r->has_guesses)
        json_guesses(r);
    printf("}\n");
}
