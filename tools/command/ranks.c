/* The model's graph is built from the sizes that the trace says, and cut as a run of dagpt-mpi cuts it. */
#include "ranks.h"
#include "../cli/engine.h"
#include "../cli/leaving.h"
#include "../trace/trace_ranks.h"
#include "../../src/model/engine.h"
#include "../../src/model/gpt2.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_GUESSES = 16, N_IDEALS = 3 };

static const char *const placings[] = {"layers", "columns", "both", NULL}; /* enum dg_placing */

static const char *list, *link_text;
static unsigned placing;
static uint64_t machines;

const struct cli_option ranks_options[] = {
    {0, "ranks", CLI_TEXT, "LIST", "with --what-if W: on so many processes, of W workers each",
     &list, 0, 0, NULL},
    {0, "place", CLI_CHOICE, "HOW", "with --ranks: by layers (default), columns or both", &placing,
     0, 0, placings},
    {0, "link", CLI_TEXT, "L,B[,C]",
     "with --ranks: messages take L us, and B GB/s, and C us of a worker on either side (1)",
     &link_text, 0, 0, NULL},
    {0, "machines", CLI_NUMBER, "M", "with --ranks: they share M machines (each has its own)",
     &machines, 1, DG_MAX_RANKS, NULL},
    {0},
};

bool ranks_asked(void)
{
    for (const struct cli_option *o = ranks_options; o->name; o++)
        if (!list && cli_given(o->target))
            cli_die(DG_ERR_USAGE, "--%s: expected --ranks with it", o->name);
    return list;
}

/* What is predicted of one number of ranks. */
struct guess {
    uint32_t ranks;
    struct ranks_time time;
    uint64_t ideal_ns
        [N_IDEALS]; /* without latency; as if messages had no bytes; and took no worker's time */
    uint64_t measured_ns; /* 0: was not */
};

static size_t parse_list(struct guess *guesses)
{
    const char *at = list;
    size_t n = 0;

    do {
        char *end;
        const unsigned long ranks = *at >= '1' && *at <= '9' ? strtoul(at, &end, 10) : 0;

        if (n == MOST_GUESSES || ranks < 1 || ranks > DG_MAX_RANKS || (*end != ',' && *end != '\0'))
            cli_die(DG_ERR_USAGE,
                    "--ranks: got '%s', expected up to %d numbers from 1 to %d, as in 2,4,8", list,
                    MOST_GUESSES, DG_MAX_RANKS);
        guesses[n++] = (struct guess){.ranks = (uint32_t)ranks};
        at = *end ? end + 1 : end;
    } while (*at || at[-1] == ',');
    return n;
}

static struct ranks_link parse_link(void)
{
    double us = 0, gbps = 0, own_us = 1;
    int end = 0;

    if (!link_text)
        cli_die(DG_ERR_USAGE, "--ranks: expected --link with it");
    if (sscanf(link_text, "%lf,%lf%n,%lf%n", &us, &gbps, &end, &own_us, &end) < 2 ||
        link_text[end] || !(us >= 0 && us <= 1e6) || !(gbps >= 1e-6 && gbps <= 1e6) ||
        !(own_us >= 0 && own_us <= 1e6))
        cli_die(DG_ERR_USAGE, "--link: got '%s', expected L,B or L,B,C, in us, GB/s and us",
                link_text);
    return (struct ranks_link){1e3 * us, gbps, 1e3 * own_us};
}

/* ---- steps that are alike ---- */

struct group {
    const struct trace_plan *plan; /* of one of them */
    uint32_t rows, logits_rows;
    uint64_t n, past; /* steps, and their positions before, added up */
};

static uint32_t logits_of(const struct trace_plan *p)
{
    for (uint32_t i = 0; i < p->n_ops; i++)
        if (strcmp(p->ops[i].type, "logits") == 0)
            return p->ops[i].rows;
    return 0;
}

static size_t find_groups(struct group *groups, const struct trace_file *t)
{
    size_t n = 0;

    for (size_t i = 0; i < t->n_steps; i++) {
        const struct trace_step *s = &t->steps[i];
        const uint32_t logits_rows = logits_of(trace_plan_of(t, s));
        size_t g = 0;

        if (!trace_counts(t, s))
            continue;
        while (g < n && (groups[g].rows != s->rows || groups[g].logits_rows != logits_rows))
            g++;
        if (g == n)
            groups[n++] = (struct group){trace_plan_of(t, s), s->rows, logits_rows, 0, 0};
        groups[g].n++;
        groups[g].past += s->past;
    }
    return n;
}

/* ---- a plan and its pieces ---- */

struct cut {
    struct dg_model *model;
    struct dg_graph *graph;
    struct dg_plan *plan;
    struct dg_piece *pieces[DG_MAX_RANKS];
    struct dg_whole whole;
    uint32_t ranks;
};

static bool is_fused(const struct trace_plan *p)
{
    for (uint32_t i = 0; i < p->n_ops; i++)
        if (strcmp(p->ops[i].type, "gelu") == 0)
            return false;
    return true;
}

static void cut_plan(struct cut *c, const struct trace_file *t, const struct group *g,
                     unsigned workers)
{
    const enum dg_dtype cache = dg_cache_dtype(cli_precision_of_trace(t->cache));
    const struct dg_gpt2_shape shape = {g->rows, g->logits_rows, is_fused(g->plan), false, cache};
    const struct dg_gpt2_shape all_ops = {1, 1, shape.fuse, false, cache};
    const struct dg_tiling tiling = {workers * c->ranks, 0, 0};
    struct dg_placement *placement;
    struct dg_placed placed;
    struct dg_graph *all;
    struct dg_error err;

    cli_check(dg_model_outline(&c->model, &t->sizes, NULL, &err), &err);
    dg_model_hold_as(c->model, cli_precision_of_trace(t->weights), NULL);
    c->model->shared = c->ranks > 1;
    cli_check(dg_gpt2_graph(&c->graph, c->model, &shape, &err), &err);
    cli_check(dg_plan_new(&c->plan, c->graph, &tiling, &err), &err);
    cli_check(dg_gpt2_graph(&all, c->model, &all_ops, &err), &err);
    cli_check(dg_placement_new(&placement, all, placing, c->ranks, &err), &err);
    cli_check(dg_place_tiles(&placed, placement, c->plan, &err), &err);
    for (uint32_t r = 0; r < c->ranks; r++)
        cli_check(dg_piece_new(&c->pieces[r], c->plan, &placed, r, workers, &err), &err);
    dg_placed_free(&placed);
    dg_placement_free(placement);
    dg_graph_free(all);
    cli_check(dg_whole_new(&c->whole, c->pieces, c->ranks, &err), &err);
}

static void free_cut(struct cut *c)
{
    dg_whole_free(&c->whole);
    for (uint32_t r = 0; r < c->ranks; r++)
        dg_piece_free(c->pieces[r]);
    dg_plan_free(c->plan);
    dg_graph_free(c->graph);
    dg_model_free(c->model);
}

/* ---- predictions ---- */

static struct ranks_time replay_cut(const struct cut *c, const struct group *g,
                                    const struct ranks_costs *costs, unsigned workers,
                                    const struct ranks_link *link)
{
    const unsigned on = machines ? (unsigned)machines : c->ranks;
    struct ranks_time time;

    if (!ranks_replay(&time, &c->whole, c->ranks, (uint32_t)(g->past / g->n), costs, workers,
                      (c->ranks + on - 1) / on, link))
        cli_die(DG_ERR_RESOURCE, "out of memory for a replay");
    return time;
}

/* Adds what the steps of a group take. */
static void add_group(struct guess *guess, const struct trace_file *t, const struct group *g,
                      unsigned workers, const struct ranks_link *link)
{
    const struct ranks_link ideal[N_IDEALS] = {{0, link->bytes_per_ns, link->message_ns},
                                               {link->latency_ns, 1e9, link->message_ns},
                                               {link->latency_ns, link->bytes_per_ns, 0}};
    struct cut c = {.ranks = guess->ranks};
    struct ranks_costs *costs;
    struct ranks_time time;

    if (!ranks_costs_new(&costs, t, g->rows, g->logits_rows))
        cli_die(DG_ERR_RESOURCE, "out of memory for costs");
    cut_plan(&c, t, g, workers);
    time = replay_cut(&c, g, costs, workers, link);
    guess->time.ns += g->n * time.ns;
    guess->time.busy += g->n * time.busy;
    guess->time.messages += g->n * time.messages;
    guess->time.bytes += g->n * time.bytes;
    for (int i = 0; i < N_IDEALS; i++)
        guess->ideal_ns[i] += g->n * replay_cut(&c, g, costs, workers, &ideal[i]).ns;
    free_cut(&c);
    ranks_costs_free(costs);
}

/* What takes longest: the tiles of one rank, or what it would help most to be rid of. By layers, where it is tiles, ranks
 * wait for each other's. */
static const char *bound_of(const struct guess *g)
{
    static const char *const names[N_IDEALS] = {"latency", "bytes", "messages"};
    const char *bound = placing == DG_PLACE_LAYERS && g->ranks > 1 ? "stages" : "tiles";
    uint64_t most = g->time.busy;

    for (int i = 0; i < N_IDEALS; i++)
        if (g->time.ns > g->ideal_ns[i] && g->time.ns - g->ideal_ns[i] > most) {
            most = g->time.ns - g->ideal_ns[i];
            bound = names[i];
        }
    return bound;
}

static void add_measured(struct guess *guesses, size_t n, const struct report_run *run,
                         const struct report_run *from)
{
    if (run->s.steps != from->s.steps || run->s.rows != from->s.rows)
        cli_die(DG_ERR_USAGE,
                "%s: got %zu steps of %llu tokens, expected %zu of %llu, as in the first file",
                run->name, run->s.steps, (unsigned long long)run->s.rows, from->s.steps,
                (unsigned long long)from->s.rows);
    for (size_t i = 0; i < n; i++)
        if (guesses[i].ranks == (run->t->n_ranks ? run->t->n_ranks : 1))
            guesses[i].measured_ns = run->s.wall;
}

static void print_guess(const struct guess *g, const struct guess *one,
                        const struct report_run *from)
{
    const double steps = (double)from->s.steps, speedup = (double)one->time.ns / (double)g->time.ns;

    printf("%-6u %12.3f %8.2f %10.0f%% %9.0f %10.1f   %-8s", g->ranks, 1e-6 * (double)g->time.ns,
           speedup, 100 * speedup / g->ranks, (double)g->time.messages / steps,
           1e-3 * (double)g->time.bytes / steps, bound_of(g));
    if (g->measured_ns)
        printf(" %11.3f %+7.1f%%\n", 1e-6 * (double)g->measured_ns,
               100 * ((double)g->time.ns / (double)g->measured_ns - 1));
    else
        printf(" %11s %8s\n", "-", "-");
}

static void print_json(const struct guess *g, const struct guess *one,
                       const struct report_run *from, bool first)
{
    const double steps = (double)from->s.steps, speedup = (double)one->time.ns / (double)g->time.ns;

    printf("%s{\"ranks\": %u, \"predicted_us\": %.3f, \"speedup\": %.3f, \"efficiency\": %.3f, "
           "\"messages\": %.1f, \"bytes\": %.0f, \"bound\": \"%s\", \"measured_us\": ",
           first ? "" : ",\n  ", g->ranks, 1e-3 * (double)g->time.ns, speedup, speedup / g->ranks,
           (double)g->time.messages / steps, (double)g->time.bytes / steps, bound_of(g));
    if (g->measured_ns)
        printf("%.3f}", 1e-3 * (double)g->measured_ns);
    else
        printf("null}");
}

void ranks_what_if(const struct report_run *from, unsigned workers, const struct report_run *others,
                   size_t n_others, bool json)
{
    const struct ranks_link link = parse_link();
    struct guess guesses[MOST_GUESSES + 1] = {{.ranks = 1}};
    const size_t n = 1 + parse_list(guesses + 1);
    struct group *groups = calloc(from->t->n_steps + 1, sizeof *groups);
    size_t n_groups;
    struct dg_error err;

    if (!groups)
        cli_die(DG_ERR_RESOURCE, "out of memory for %zu steps", from->t->n_steps);
    cli_check(dg_sizes_check(&from->t->sizes, from->name, &err), &err);
    n_groups = find_groups(groups, from->t);
    for (size_t i = 0; i < n; i++)
        for (size_t g = 0; g < n_groups; g++)
            add_group(&guesses[i], from->t, &groups[g], workers, &link);
    for (size_t i = 0; i < n_others; i++)
        add_measured(guesses, n, &others[i], from);
    free(groups);
    if (json)
        printf("{\"workers\": %u, \"place\": \"%s\", \"steps\": %zu, \"what_if\": [", workers,
               placings[placing], from->s.steps);
    else
        printf("\nwhat if, %u worker%s a rank, by %s; messages and kB of one of %zu steps\n"
               "ranks  predicted ms speed-up efficiency  messages         kB   bound    measured "
               "ms    error\n",
               workers, workers > 1 ? "s" : "", placings[placing], from->s.steps);
    for (size_t i = 1; i < n; i++)
        if (json)
            print_json(&guesses[i], &guesses[0], from, i == 1);
        else
            print_guess(&guesses[i], &guesses[0], from);
    if (json)
        printf("]}\n");
}
