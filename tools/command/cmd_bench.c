/* dagpt bench - speed against this machine's own limits: here is which works its sections measure, by which
 * workers. How one is measured, and why so, is in tools/bench/bench.h. */
#include "../bench/bench.h"
#include "commands.h"
#include "../cli/engine.h"
#include "../cli/files.h"
#include "../cli/leaving.h"
#include "../cli/options.h"
#include "../cli/output.h"
#include "../cli/recording.h"
#include "../cli/seconds.h"
#include "../cli/signals.h"
#include "../../src/model/model.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static double seconds = 10;
static const char *svg_path;
static bool json, quick;

static const struct cli_option options[] = {
    {0, "seconds", CLI_REAL, "S", "how long to measure a section, at least (10)", &seconds, 0.01,
     3600, NULL},
    {0, "quick", CLI_FLAG, NULL, "a glance: few samples of each", &quick, 0, 0, NULL},
    {0, "json", CLI_FLAG, NULL, "one JSON object", &json, 0, 0, NULL},
    {0, "svg", CLI_OUTPUT, "FILE", "also a picture: roofline and scaling", &svg_path, 0, 0, NULL},
    {0},
};

static const struct cli_option *const tables[] = {
    cli_model_options, options, cli_team_options, cli_run_options, cli_trace_options, NULL};

static const struct cli_command command = {
    "bench", "[OPTION]... [SECTION]...",
    "Measures this machine's limits, and then against them, in turns with probes of the\n"
    "limits, what the sections name (all unless said):\n"
    "\n"
    "  decode     one token after another\n"
    "  prompt     prompts of 16, 64, 256, 512 and 1024 tokens\n"
    "  lab        dagpt tokens as a process: 2 ids in, 8 out; and 64 ids with --no-cache\n"
    "  sched      what scheduling a tile costs: steps of empty tiles\n"
    "  schedules  dataflow, barrier and serial side by side\n"
    "  weights    f32, bf16 and int8 side by side\n"
    "  workers    1, 2, 4 ... workers: speed-up and efficiency\n"
    "  neighbours what 2, 4 and 8 workers keep of the machine beside two busy threads\n"
    "  batch      a token of each of 1, 2, 4 ... 32 texts; and gaps while a prompt is read\n"
    "  what-if    what a trace of one worker predicts for the others, and what they take\n"
    "\n"
    "Without a checkpoint: make-model --size 124M -o gpt2_124M.bin writes one.",
    tables};

enum {
    QUICK_BYTES = 64 << 20,
    QUICK_ROUNDS = 1,
    ROUNDS = 5,
    GAPS = 300,
    LAB_TOTAL = 10,
    NO_CACHE_TOTAL = 64
};

static const uint32_t prompts[BENCH_PROMPTS] = {16, 64, 256, 512, 1024};
enum { SCHEDULES_TOKENS = 64, WORKERS_TOKENS = 256, WHAT_IF_TOKENS = 64 };

struct bench {
    struct bench_effort effort;
    struct dg_model *model;
    struct dg_model *held[BENCH_HELD]; /* the model again, as other weights; NULL: none */
    unsigned n_crews;
    struct bench_crew crews[BENCH_CREWS];
    struct bench_crew beside[BENCH_SHARES]; /* neighbours */
    struct bench_report report;
};

static struct bench bench; /* closed however the program ends */

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static struct bench_crew *largest_crew(struct bench *b)
{
    return &b->crews[b->n_crews - 1];
}

/* ---- machine and model ---- */

/* Teams of 1, 2, 4, ... workers and of as many as -j and the CPUs allow. */
static void make_crews(struct bench *b)
{
    const unsigned cpus = cli_model.cpus ? (unsigned)cli_model.cpus : dg_usable_cpus();
    const unsigned most = least((unsigned)cli_model.workers, cpus);
    struct dg_error err;

    for (unsigned n = 1; b->n_crews == 0 || largest_crew(b)->workers < most; n *= 2) {
        struct bench_crew *c = &b->crews[b->n_crews++];

        cli_check(dg_team_new(&c->team, least(n, most), least(n, most), &err), &err);
        c->workers = dg_team_awake(c->team);
        if (c->workers < least(n, most)) /* the system starts no more threads */
            return;
    }
}

static void measure_machine(struct bench *b)
{
    struct bench_report *r = &b->report;
    const size_t bytes = quick ? QUICK_BYTES : limits_beyond_caches();
    struct dg_error err;

    r->cpus = dg_usable_cpus();
    r->workers = (unsigned)cli_model.workers;
    r->isa = cli_model_isa();
    r->sched = cli_model_sched();
    r->n_crews = b->n_crews;
    for (unsigned i = 0; i < b->n_crews; i++)
        cli_check(limits_measure_in(bytes, b->crews[i].team, r->isa, b->effort.seconds / 10,
                                    &r->limits[i], &err),
                  &err);
}

/* The probes read as much as a decoded token does, so from the same caches, or from memory. */
static void open_model(struct bench *b)
{
    struct bench_report *r = &b->report;
    double flops;
    struct dg_error err;

    cli_engine_record(largest_crew(b)->team, &b->report.sizes, &b->model);
    cli_check(cli_model_open(&b->model, largest_crew(b)->team, &err), &err);
    r->path = cli_model_path();
    bench_step_cost(b->model, 1, 1, 0, &flops, &r->step_bytes);
    r->probe_bytes = fmin(r->step_bytes, (double)limits_beyond_caches());
    for (unsigned i = 0; i < b->n_crews; i++)
        cli_check(limits_probe_new(&b->crews[i].probe, b->crews[i].team, r->isa,
                                   (size_t)r->probe_bytes, &err),
                  &err);
}

static void close_all(void)
{
    struct bench *b = &bench;

    for (unsigned i = 0; i < BENCH_SHARES; i++) {
        limits_probe_free(b->beside[i].probe);
        dg_team_free(b->beside[i].team);
    }
    for (unsigned i = 0; i < b->n_crews; i++) {
        limits_probe_free(b->crews[i].probe);
        dg_team_free(b->crews[i].team);
        free(b->crews[i].read);
        free(b->crews[i].fma);
    }
    for (unsigned i = 0; i < BENCH_HELD; i++)
        dg_model_free(b->held[i]);
    dg_model_free(b->model);
}

/* The medians of a crew's probes from number `first` on; workers 0 when there are none. */
static struct limits brackets(const struct bench_crew *c, size_t first)
{
    const size_t n = c->n_probes - first;

    if (n == 0)
        return (struct limits){0};
    return (struct limits){c->workers, limits_median(c->read + first, n),
                           limits_median(c->fma + first, n)};
}

/* ---- sections ---- */

static struct bench_item decode_item(struct dg_model *m, struct bench_crew *c, enum dg_sched sched)
{
    struct bench_decode *d = bench_decode_new(m, c->team, sched);
    struct bench_item item = {.run = bench_decode_run, .arg = d, .crew = c};

    bench_step_cost(m, c->workers, 1, bench_decode_past(d), &item.flops, &item.bytes);
    return item;
}

static struct bench_item prompt_item(struct dg_model *m, struct bench_crew *c, enum dg_sched sched,
                                     uint32_t tokens)
{
    struct bench_item item = {.run = bench_prompt_run, .crew = c};

    item.arg = bench_prompt_new(m, c->team, sched, tokens);
    bench_step_cost(m, c->workers, tokens, 0, &item.flops, &item.bytes);
    return item;
}

static void measure_decode(struct bench *b)
{
    struct bench_item item = decode_item(b->model, largest_crew(b), cli_model_sched());

    bench_measure(&item, 1, &b->effort);
    b->report.decode = item.stat;
    bench_decode_free(item.arg);
}

static void measure_prompts(struct bench *b)
{
    struct bench_item items[BENCH_PROMPTS];
    unsigned n = 0;

    for (int i = 0; i < BENCH_PROMPTS; i++) {
        if (prompts[i] > b->report.sizes.positions)
            continue;
        b->report.tokens[n] = prompts[i];
        items[n++] = prompt_item(b->model, largest_crew(b), cli_model_sched(), prompts[i]);
    }
    if (n == 0) { /* a model of fewer positions: as many as it has */
        b->report.tokens[n] = b->report.sizes.positions;
        items[n++] =
            prompt_item(b->model, largest_crew(b), cli_model_sched(), b->report.sizes.positions);
    }
    bench_measure(items, n, &b->effort);
    b->report.n_prompts = n;
    for (unsigned i = 0; i < n; i++) {
        b->report.prompts[i] = items[i].stat;
        bench_prompt_free(items[i].arg);
    }
}

static void measure_lab(struct bench *b)
{
    struct bench_report *r = &b->report;
    struct bench_crew *few = &b->crews[0], *most = largest_crew(b);
    const unsigned n = b->n_crews > 1 ? 2 : 1;
    struct bench_process lab, no_cache[2];
    struct bench_item item = {.run = bench_process_run, .arg = &lab, .crew = most};
    struct bench_item items[2];

    r->lab_ids = least(LAB_TOTAL, r->sizes.positions);
    bench_process_init(&lab, &r->sizes, most->workers, r->lab_ids, false);
    bench_measure(&item, 1, &b->effort);
    r->lab = item.stat;
    r->lab_first_ms = lab.first_ms;
    r->no_cache_ids = least(NO_CACHE_TOTAL, r->sizes.positions);
    for (unsigned i = 0; i < n; i++) {
        struct bench_crew *c = i ? most : few;

        bench_process_init(&no_cache[i], &r->sizes, c->workers, r->no_cache_ids, true);
        items[i] = (struct bench_item){.run = bench_process_run, .arg = &no_cache[i], .crew = c};
        r->no_cache_workers[i] = c->workers;
    }
    bench_measure(items, n, &b->effort);
    r->n_no_cache = n;
    for (unsigned i = 0; i < n; i++)
        r->no_cache[i] = items[i].stat;
}

static void measure_tiles(struct bench *b)
{
    struct bench_report *r = &b->report;

    for (unsigned i = 0; i < b->n_crews; i++, r->n_tiles += BENCH_SHAPES)
        bench_tiles(&r->tiles[r->n_tiles], b->crews[i].team, cli_model_sched(),
                    b->effort.seconds / (BENCH_SHAPES * b->n_crews));
}

static void measure_schedules(struct bench *b)
{
    struct bench_report *r = &b->report;
    struct bench_item decode[BENCH_SCHEDS], prompt[BENCH_SCHEDS];

    r->schedules_tokens = least(SCHEDULES_TOKENS, r->sizes.positions);
    for (int s = 0; s < BENCH_SCHEDS; s++) {
        decode[s] = decode_item(b->model, largest_crew(b), DG_SCHED_DATAFLOW + (enum dg_sched)s);
        prompt[s] = prompt_item(b->model, largest_crew(b), DG_SCHED_DATAFLOW + (enum dg_sched)s,
                                r->schedules_tokens);
    }
    bench_measure(decode, BENCH_SCHEDS, &b->effort);
    bench_measure(prompt, BENCH_SCHEDS, &b->effort);
    for (int s = 0; s < BENCH_SCHEDS; s++) {
        r->schedules[s][0] = decode[s].stat;
        r->schedules[s][1] = prompt[s].stat;
        bench_decode_free(decode[s].arg);
        bench_prompt_free(prompt[s].arg);
    }
    r->has_schedules = true;
}

/* The model as those weights: the one that is open, or one more. */
static struct dg_model *held_as(struct bench *b, enum dg_precision weights)
{
    const enum dg_dtype is = dg_model_weight(b->model, DG_WTE, 0)->dtype;
    struct dg_model **m = &b->held[weights - DG_PRECISION_F32];
    struct dg_error err;

    if (dg_model_precision(DG_PRECISION_AUTO, is) == weights)
        return b->model;
    cli_model.weights = weights;
    cli_check(cli_model_open(m, largest_crew(b)->team, &err), &err);
    return *m;
}

static void measure_weights(struct bench *b)
{
    static const uint32_t tokens[BENCH_KINDS - 1] = {64, 512};
    struct bench_report *r = &b->report;
    struct bench_item items[BENCH_KINDS][BENCH_HELD];
    struct bench_crew *c = largest_crew(b);

    for (int i = 0; i < BENCH_HELD; i++) {
        struct dg_model *m = held_as(b, DG_PRECISION_F32 + (enum dg_precision)i);

        items[0][i] = decode_item(m, c, cli_model_sched());
        for (int k = 1; k < BENCH_KINDS; k++) {
            r->held_tokens[k] = least(tokens[k - 1], r->sizes.positions);
            items[k][i] = prompt_item(m, c, cli_model_sched(), r->held_tokens[k]);
        }
    }
    for (int k = 0; k < BENCH_KINDS; k++)
        bench_measure(items[k], BENCH_HELD, &b->effort);
    for (int i = 0; i < BENCH_HELD; i++) {
        for (int k = 0; k < BENCH_KINDS; k++) {
            r->held[i][k] = items[k][i].stat;
            if (k)
                bench_prompt_free(items[k][i].arg);
            else
                bench_decode_free(items[k][i].arg);
        }
    }
    r->has_held = true;
}

static void measure_workers(struct bench *b)
{
    struct bench_report *r = &b->report;
    struct bench_item decode[BENCH_CREWS], prompt[BENCH_CREWS];
    size_t before[BENCH_CREWS];

    r->workers_tokens = least(WORKERS_TOKENS, r->sizes.positions);
    for (unsigned i = 0; i < b->n_crews; i++) {
        before[i] = b->crews[i].n_probes;
        decode[i] = decode_item(b->model, &b->crews[i], cli_model_sched());
        prompt[i] = prompt_item(b->model, &b->crews[i], cli_model_sched(), r->workers_tokens);
    }
    bench_measure(decode, b->n_crews, &b->effort);
    bench_measure(prompt, b->n_crews, &b->effort);
    for (unsigned i = 0; i < b->n_crews; i++) {
        r->scaling[i][0] = decode[i].stat;
        r->scaling[i][1] = prompt[i].stat;
        r->beside[i] = brackets(&b->crews[i], before[i]);
        bench_decode_free(decode[i].arg);
        bench_prompt_free(prompt[i].arg);
    }
    r->has_workers = true;
}

/* The crews are teams of so many workers, of which as many are awake as there are CPUs. */
static void measure_neighbours(struct bench *b)
{
    struct bench_report *r = &b->report;
    struct bench_item items[BENCH_SHARES];
    struct dg_error err;

    for (unsigned i = 0; i < BENCH_SHARES; i++) {
        struct bench_crew *c = &b->beside[i];

        cli_check(dg_team_new(&c->team, 2u << i, (unsigned)cli_model.cpus, &err), &err);
        c->workers = dg_team_awake(c->team);
        cli_check(limits_probe_new(&c->probe, c->team, r->isa, 1, &err), &err);
        items[i] = decode_item(b->model, c, cli_model_sched());
        r->shares[i].workers = 2u << i;
        r->shares[i].awake = c->workers;
    }
    bench_neighbours(r->shares, items, BENCH_SHARES, &b->effort);
    r->n_shares = BENCH_SHARES;
    for (unsigned i = 0; i < BENCH_SHARES; i++)
        bench_decode_free(items[i].arg);
}

static void measure_batch(struct bench *b)
{
    struct bench_report *r = &b->report;
    struct bench_crew *c = largest_crew(b);
    const struct bench_effort gap = {b->effort.seconds / BENCH_BATCHES,
                                     b->effort.rounds > QUICK_ROUNDS ? GAPS : 1};
    struct bench_item items[BENCH_BATCHES];

    for (unsigned i = 0; i < BENCH_BATCHES; i++) {
        items[i] = (struct bench_item){.run = bench_batch_run, .crew = c};
        items[i].arg = bench_batch_new(b->model, c->team, 1u << i);
        bench_batch_cost(b->model, c->workers, 1u << i, &items[i].flops, &items[i].bytes);
    }
    bench_measure(items, BENCH_BATCHES, &b->effort);
    for (unsigned i = 0; i < BENCH_BATCHES; i++) {
        bench_gap(&r->gaps[i], items[i].arg, &gap);
        r->batches[i] = items[i].stat;
        bench_batch_free(items[i].arg);
    }
    r->n_batches = BENCH_BATCHES;
}

static void measure_what_if(struct bench *b)
{
    struct bench_report *r = &b->report;
    struct bench_item decode[BENCH_CREWS], prompt[BENCH_CREWS];
    const uint32_t tokens = least(WHAT_IF_TOKENS, r->sizes.positions);
    const unsigned n = b->n_crews - 1;

    r->has_guesses = true;
    if (n == 0)
        return;
    for (unsigned i = 0; i <= n; i++) {
        decode[i] = decode_item(b->model, &b->crews[i], DG_SCHED_DATAFLOW);
        decode[i].run = bench_decode_step;
        prompt[i] = prompt_item(b->model, &b->crews[i], DG_SCHED_DATAFLOW, tokens);
    }
    bench_what_if(r->guesses, decode, n + 1, &b->effort);
    bench_what_if(r->guesses + n, prompt, n + 1, &b->effort);
    for (unsigned i = 0; i <= n; i++) {
        bench_decode_free(decode[i].arg);
        bench_prompt_free(prompt[i].arg);
    }
    for (unsigned i = n; i < 2 * n; i++)
        r->guesses[i].tokens = tokens;
    r->n_guesses = 2 * n;
}

static const struct {
    const char *name;
    void (*measure)(struct bench *b);
    void (*print)(const struct bench_report *r);
} sections[] = {
    {"decode", measure_decode, bench_print_decode},
    {"prompt", measure_prompts, bench_print_prompts},
    {"lab", measure_lab, bench_print_lab},
    {"sched", measure_tiles, bench_print_tiles},
    {"schedules", measure_schedules, bench_print_schedules},
    {"weights", measure_weights, bench_print_weights},
    {"workers", measure_workers, bench_print_workers},
    {"neighbours", measure_neighbours, bench_print_neighbours},
    {"batch", measure_batch, bench_print_batch},
    {"what-if", measure_what_if, bench_print_what_if},
};

enum { N_SECTIONS = sizeof sections / sizeof *sections };

/* ---- the command ---- */

static void check_section(const char *name)
{
    for (int i = 0; i < N_SECTIONS; i++)
        if (strcmp(name, sections[i].name) == 0)
            return;
    cli_die(DG_ERR_USAGE,
            "bench: got '%s', expected decode, prompt, lab, sched, schedules, weights, workers, "
            "neighbours, batch or what-if",
            name);
}

static bool wanted(const char *name, char **operands, int n)
{
    for (int i = 0; i < n; i++)
        if (strcmp(name, operands[i]) == 0)
            return true;
    return n == 0;
}

static void print(void (*part)(const struct bench_report *r), const struct bench_report *r)
{
    part(r);
    cli_flush(); /* each part as soon as it is known */
}

static void run_section(struct bench *b, int i)
{
    const double start = cli_seconds();

    sections[i].measure(b);
    if (!json)
        print(sections[i].print, &b->report);
    if (cli_model.stats)
        fprintf(stderr, "%-12s %9.3f s\n", sections[i].name, cli_seconds() - start);
}

static struct cli_output svg;

static void write_svg(const struct bench_report *r)
{
    if (!cli_output_begin(&svg))
        cli_cannot_write(svg_path, errno);
    bench_write_svg(r, svg.writing.to);
    if (!cli_output_keep(&svg))
        cli_cannot_write(svg_path, errno);
}

int cmd_bench(int argc, char **argv)
{
    const int n = cli_parse(&command, argc, argv);
    struct bench *b = &bench;
    struct dg_sizes *z = &b->report.sizes;

    cli_not_both(&quick, &seconds);
    for (int i = 1; i <= n; i++)
        check_section(argv[i]);
    cli_request_check(NULL, 0, 0, z);
    if (wanted("lab", argv + 1, n) && z->positions < 3)
        cli_die(DG_ERR_TOKEN, "%s: the lab's run has 2 ids in: expected maxT of 3 or more, got %u",
                cli_model_path(), z->positions);
    if (svg_path) {
        cli_writes("--svg", svg_path, false);
        if (!cli_output_prepare(&svg, svg_path))
            cli_cannot_write(svg_path, errno);
    }
    cli_on_leaving(close_all);
    b->effort = (struct bench_effort){quick ? 0.1 : seconds, quick ? QUICK_ROUNDS : ROUNDS};
    make_crews(b);
    measure_machine(b);
    open_model(b);
    if (!json)
        print(bench_print_machine, &b->report);
    for (int i = 0; i < N_SECTIONS; i++)
        if (wanted(sections[i].name, argv + 1, n) && !cli_signal())
            run_section(b, i);
    for (unsigned i = 0; i < b->n_crews; i++)
        b->report.brackets[i] = brackets(&b->crews[i], 0);
    if (b->report.brackets[b->n_crews - 1].workers && !json)
        print(bench_print_brackets, &b->report);
    if (json)
        print(bench_print_json, &b->report);
    if (svg_path && !cli_signal())
        write_svg(&b->report);
    return 0;
}
