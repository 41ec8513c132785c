/* dagpt graph - the op graph of a step, or its plan, for Graphviz and for programs. It loads no weights. The
 * graph is built as a run builds it, or from what a trace says of its run: what is drawn is what runs. */
#include "commands.h"
#include "../cli/engine.h"
#include "../cli/files.h"
#include "../cli/leaving.h"
#include "../cli/options.h"
#include "../cli/output.h"
#include "../trace/trace_paint.h"
#include "../../src/dump/dump.h"
#include "../../src/graph/whole.h"
#include "../../src/model/engine.h"
#include "../../src/model/gpt2.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const formats[] = {"dot", "json", "mermaid", NULL};
static void (*const writers[])(const struct dg_dump *, FILE *) = {dg_dump_dot, dg_dump_json,
                                                                  dg_dump_mermaid};

static const char *const paints[] = {"time", "slack", NULL};

static const char *const placings[] = {"layers", "columns", "both", NULL}; /* enum dg_placing */

static uint64_t rows, past, step_number = UINT64_MAX, ranks;
static const char *layers, *show, *out_path, *trace_path;
static bool all, tiles, no_fuse, check, load;
static unsigned format, paint, placing = DG_N_PLACINGS;

static const struct cli_option options[] = {
    {0, "rows", CLI_NUMBER, "T", "tokens of the step (1; with --trace: its most costly)", &rows, 1,
     1 << 24, NULL},
    {0, "past", CLI_NUMBER, "P", "positions in the cache before it (0)", &past, 0, 1 << 24, NULL},
    {0, "layers", CLI_TEXT, "A:B", "unfold layers A ... B-1; with --tiles draw these alone",
     &layers, 0, 0, NULL},
    {0, "all", CLI_FLAG, NULL, "unfold, or draw, all layers", &all, 0, 0, NULL},
    {0, "tiles", CLI_FLAG, NULL, "the plan's tiles; of layers 0:2 unless said", &tiles, 0, 0, NULL},
    {0, "no-fuse", CLI_FLAG, NULL, "before gelu and residual go into the matmuls", &no_fuse, 0, 0,
     NULL},
    {0, "load", CLI_FLAG, NULL, "of the model's first step, which reads the weights", &load, 0, 0,
     NULL},
    {0, "ranks", CLI_NUMBER, "R", "the plan cut over R processes, with their messages", &ranks, 1,
     DG_MAX_RANKS, NULL},
    {0, "place", CLI_CHOICE, "HOW", "with --ranks: by layers (default), columns or both", &placing,
     0, 0, placings},
    {0, "show", CLI_TEXT, "LIST", "of shape,cost,deps,worker, or none; else what fits", &show, 0, 0,
     NULL},
    {0, "trace", CLI_TEXT, "FILE", "paint the times of a step of this trace, and its model",
     &trace_path, 0, 0, NULL},
    {0, "step", CLI_NUMBER, "N", "of the trace; else the median of those with T rows", &step_number,
     0, 1 << 30, NULL},
    {0, "color", CLI_CHOICE, "NAME", "by time (default) or slack", &paint, 0, 0, paints},
    {0, "format", CLI_CHOICE, "NAME", "dot (default), json or mermaid", &format, 0, 0, formats},
    {0, "check", CLI_FLAG, NULL, "prove the plan, and print what was proved instead", &check, 0, 0,
     NULL},
    {'o', "output", CLI_OUTPUT, "FILE", "write there; else to standard output", &out_path, 0, 0,
     NULL},
    {0},
};

static const struct cli_option *const tables[] = {cli_model_options, options, cli_team_options,
                                                  NULL};

static const struct cli_command command = {
    "graph", "[OPTION]...",
    "Writes the op graph of a step, or the plan that it is cut into, as Graphviz's DOT.\n"
    "Neighbouring layers that are the same are drawn once. Loads no weights.\n\n"
    "  dagpt graph | dot -Tsvg -o graph.svg",
    tables};

/* "A:B" with A < B <= n. */
static void parse_layers(uint32_t n, uint32_t *first, uint32_t *last)
{
    unsigned a, b;
    int end = 0;

    if (layers[strspn(layers, "0123456789:")] || sscanf(layers, "%8u:%8u%n", &a, &b, &end) != 2 ||
        layers[end] || a >= b || b > n)
        cli_die(DG_ERR_USAGE, "--layers: got '%s', expected A:B with A < B <= %u", layers, n);
    *first = a;
    *last = b;
}

static unsigned parse_show(void)
{
    static const char *const names[] = {"shape", "cost", "deps", "worker"};
    unsigned mask = 0;

    if (!show)
        return trace_path ? DG_SHOW_SHAPE | DG_SHOW_COST | DG_SHOW_WORKER
               : tiles    ? DG_SHOW_SHAPE
                          : DG_SHOW_SHAPE | DG_SHOW_COST;
    if (strcmp(show, "none") == 0)
        return 0;
    for (const char *s = show;; s++) {
        const size_t n = strcspn(s, ",");
        unsigned i = 0;

        while (i < 4 && (strlen(names[i]) != n || memcmp(s, names[i], n) != 0))
            i++;
        if (i == 4)
            cli_die(DG_ERR_USAGE, "--show: got '%s', expected a list of shape,cost,deps,worker",
                    show);
        mask |= 1u << i;
        s += n;
        if (!*s)
            return mask;
    }
}

/* What is drawn, and where it came from. */
struct subject {
    const char *name; /* of the model */
    struct dg_sizes sizes;
    enum dg_precision precision;
    struct dg_recipe recipe;
    bool transposed; /* as the file has the matrices of layers */
    struct dg_gpt2_shape shape;
    struct dg_tiling tiling;
    struct trace_file *trace; /* NULL: none */
    const struct trace_step *step;
    struct dg_model *model;
    struct dg_graph *graph;
    struct dg_plan *plan;
    struct dg_piece *pieces[DG_MAX_RANKS]; /* [ranks], with --ranks */
    struct dg_whole whole;
    struct dg_dump *dump;
    char note[1024]; /* of the dump */
};

static struct subject subject; /* closed however the program ends */

static void close_subject(void)
{
    dg_dump_free(subject.dump);
    dg_whole_free(&subject.whole);
    for (uint64_t r = 0; r < ranks; r++)
        dg_piece_free(subject.pieces[r]);
    dg_plan_free(subject.plan);
    dg_graph_free(subject.graph);
    dg_model_free(subject.model);
    trace_file_free(subject.trace);
}

static void choose_from_model(struct subject *s)
{
    const struct dg_weights *w = cli_weights();
    const unsigned cpus = cli_model.cpus ? (unsigned)cli_model.cpus : dg_usable_cpus();

    s->name = cli_model_path();
    s->sizes = w->sizes;
    s->recipe = w->recipe;
    s->transposed = dg_weights_find(w, DG_Q_WEIGHT, 0)->transposed;
    s->precision = cli_model.weights;
    s->shape = (struct dg_gpt2_shape){rows ? (uint32_t)rows : 1, 1, !no_fuse, load,
                                      dg_cache_dtype(cli_model_cache())};
    s->tiling.workers = cpus < cli_model.workers ? cpus : (uint32_t)cli_model.workers;
    if (ranks > 0)
        s->tiling.workers *= (uint32_t)ranks;
    s->tiling.row_block = cli_model.tile.rows;
    s->tiling.col_block = cli_model.tile.cols;
}

/* The step that was asked for. */
static const struct trace_step *choose_step(const struct trace_file *t)
{
    const struct trace_step *step;

    if (step_number == UINT64_MAX) {
        if (!trace_step_choose(&step, t, (uint32_t)rows))
            cli_die(DG_ERR_RESOURCE, "out of memory for %zu steps", t->n_steps);
        if (!step)
            cli_die(DG_ERR_USAGE, "%s: no step %s", trace_path,
                    rows ? "of that many rows: --rows" : "that evaluates tokens");
        return step;
    }
    if (step_number >= t->n_steps || trace_plan_of(t, &t->steps[step_number])->loads ||
        t->steps[step_number].rows == 0)
        cli_die(DG_ERR_USAGE, "%s: --step: got %" PRIu64 ", expected a step that evaluates tokens",
                trace_path, step_number);
    return &t->steps[step_number];
}

/* The trace says which model ran, on how many workers, and with which rewrites. */
static void choose_from_trace(struct subject *s)
{
    const struct trace_plan *p;
    struct dg_error err;

    if (cli_model.path || cli_model.weights || cli_model.cache || past || no_fuse || load)
        cli_die(
            DG_ERR_USAGE,
            "--trace says what ran: expected no --model, --weights, --cache, --past, --no-fuse or "
            "--load");
    cli_reads(trace_path);
    cli_check(trace_file_read(&s->trace, trace_path, &err), &err);
    s->step = choose_step(s->trace);
    p = trace_plan_of(s->trace, s->step);
    s->name = s->trace->model;
    s->sizes = s->trace->sizes;
    s->recipe = DG_GPT2_RECIPE;
    s->precision = cli_precision_of_trace(s->trace->weights);
    cli_check(dg_sizes_check(&s->sizes, trace_path, &err), &err);
    s->shape =
        (struct dg_gpt2_shape){.rows = s->step->rows,
                               .fuse = true,
                               .cache = dg_cache_dtype(cli_precision_of_trace(s->trace->cache))};
    for (uint32_t i = 0; i < p->n_ops; i++) {
        if (strcmp(p->ops[i].type, "logits") == 0)
            s->shape.logits_rows = p->ops[i].rows;
        if (strcmp(p->ops[i].type, "gelu") == 0)
            s->shape.fuse = false;
        if (p->ops[i].loads)
            s->shape.load = true;
    }
    s->tiling = (struct dg_tiling){s->trace->awake, cli_model.tile.rows, cli_model.tile.cols};
}

static void make_plan(struct subject *s)
{
    struct dg_error err;

    cli_check(dg_gpt2_graph(&s->graph, s->model, &s->shape, &err), &err);
    if (tiles || check || s->trace)
        cli_check(dg_plan_new(&s->plan, s->graph, &s->tiling, &err), &err);
}

/* The pieces of all ranks, and their whole. */
static void cut_plan(struct subject *s)
{
    const struct dg_gpt2_shape all_ops = {1, 1, s->shape.fuse, false, s->shape.cache};
    struct dg_placement *placement;
    struct dg_placed placed;
    struct dg_graph *g;
    struct dg_error err;

    cli_check(dg_gpt2_graph(&g, s->model, &all_ops, &err), &err);
    cli_check(dg_placement_new(&placement, g, placing, (uint32_t)ranks, &err), &err);
    cli_check(dg_place_tiles(&placed, placement, s->plan, &err), &err);
    for (uint32_t r = 0; r < ranks; r++)
        cli_check(dg_piece_new(&s->pieces[r], s->plan, &placed, r,
                               s->tiling.workers / (uint32_t)ranks, &err),
                  &err);
    dg_placed_free(&placed);
    dg_placement_free(placement);
    dg_graph_free(g);
    if (!check)
        cli_check(dg_whole_new(&s->whole, s->pieces, (uint32_t)ranks, &err), &err);
}

static void discard_plan(struct subject *s)
{
    dg_plan_free(s->plan);
    dg_graph_free(s->graph);
    s->plan = NULL;
    s->graph = NULL;
}

static bool is_of_trace(const struct subject *s, struct dg_error *err)
{
    return trace_plan_compare(trace_plan_of(s->trace, s->step), s->plan, err) == DG_OK;
}

static void build(struct subject *s)
{
    struct dg_error err;
    const uint32_t most = s->sizes.positions;

    if (s->shape.rows > most || past > most - s->shape.rows)
        cli_die(DG_ERR_USAGE, "%s: %u rows after %" PRIu64 ": expected at most maxT = %u positions",
                s->name, s->shape.rows, past, most);
    cli_check(dg_model_outline(&s->model, &s->sizes, &s->recipe, &err), &err);
    dg_model_hold_as(s->model, s->precision, s->trace ? NULL : cli_weights());
    s->model->transposed = s->transposed;
    if (load && dg_weights_in_place(cli_weights(), s->model))
        s->shape.load = false; /* there is nothing to be loaded */
    s->model->shared = ranks > 0;
    make_plan(s);
    if (ranks > 0)
        cut_plan(s);
    if (s->trace && s->shape.load &&
        !is_of_trace(s, &err)) { /* or the model stood so in its file */
        discard_plan(s);
        s->model->transposed = true;
        make_plan(s);
    }
    if (s->trace && !is_of_trace(s, &err))
        cli_die(DG_ERR_USAGE, "%s: %s (--tile must be as it was in the run)", trace_path, err.text);
}

static void print_messages(const struct subject *s)
{
    uint64_t n = 0, bytes = 0;

    for (uint32_t r = 0; r < ranks; r++) {
        n += s->pieces[r]->n_sends;
        for (uint32_t i = 0; i < s->pieces[r]->n_sends; i++)
            bytes += dg_message_bytes(s->pieces[r], &s->pieces[r]->sends[i]);
    }
    printf("%" PRIu64 " messages, %" PRIu64
           " bytes: each is sent once and received once; on each of %" PRIu64
           " ranks all that is read is written or received once\n",
           n, bytes, ranks);
}

static void print_proof(const struct subject *s)
{
    struct dg_plan_proof proof;
    struct dg_error err;

    cli_check(ranks > 0 ? dg_pieces_check(s->plan, s->pieces, (uint32_t)ranks, &proof, &err)
                        : dg_plan_check(s->plan, &proof, &err),
              &err);
    printf("%" PRIu64 " tiles: %s\n"
           "%" PRIu64 " edges, %" PRIu64
           " joins: acyclic; counts match edges; every tile is reached "
           "and leads to the end\n"
           "%" PRIu64 " pairs that touch the same bytes, one writing: ordered, and with them all "
           "others; nothing is "
           "overwritten that is still to be read\n",
           proof.tiles,
           ranks > 0 ? "those of the ranks run all of the plan"
                     : "those of each op partition its output",
           proof.edges, proof.joins, proof.pairs);
    if (ranks > 0)
        print_messages(s);
}

/* The line of the title that says what the colours are. */
static void describe_paint(const struct subject *s, double span_ns, double most_ns, char *to,
                           size_t size)
{
    const double wall = 1e-6 * (double)(s->step->end - s->step->start);

    snprintf(to, size,
             "step %zu of %s: %.3f ms on %u workers · bold: the critical path, %.3f ms · colour: "
             "%s, white to red from %.3f to %.3f ms",
             (size_t)(s->step - s->trace->steps), trace_path, wall, s->trace->awake, 1e-6 * span_ns,
             paint == DG_PAINT_TIME ? "time" : "slack", paint == DG_PAINT_TIME ? 0 : 1e-6 * span_ns,
             paint == DG_PAINT_TIME ? 1e-6 * most_ns : 0);
}

static void write_dump(const struct dg_dump *d)
{
    struct cli_output output;

    if (!out_path) {
        writers[format](d, stdout);
        return;
    }
    if (!cli_output_open(&output, out_path))
        cli_cannot_write(out_path, errno);
    writers[format](d, output.writing.to);
    if (!cli_output_keep(&output))
        cli_cannot_write(out_path, errno);
}

static void draw(struct subject *s)
{
    const uint32_t n_layers = s->sizes.layers;
    struct dg_dump_options opt = {
        .model = s->name,
        .rows = s->shape.rows,
        .past = (uint32_t)past,
        .fused = s->shape.fuse,
        .last = all            ? n_layers
                : !tiles       ? 0
                : n_layers < 2 ? n_layers
                               : 2,
        .show = parse_show(),
        .paint = paint,
        .rank = s->whole.rank,
        .ranks = (uint32_t)ranks,
        .placing = placing,
    };
    struct dg_error err;
    char why[160];

    if (layers)
        parse_layers(n_layers, &opt.first, &opt.last);
    cli_check(tiles ? dg_dump_plan(&s->dump, ranks > 0 ? s->whole.plan : s->plan, &opt, &err)
                    : dg_dump_graph(&s->dump, s->graph, &opt, &err),
              &err);
    if (s->trace) {
        cli_check(trace_paint(s->dump, s->plan, s->trace, s->step, &err), &err);
        describe_paint(s, s->dump->span_ns, s->dump->most_ns, s->note, sizeof s->note);
        s->dump->options.note = s->note;
    }
    write_dump(s->dump);
    if (writers[format] == dg_dump_mermaid && dg_dump_mermaid_beyond(s->dump, why, sizeof why))
        fprintf(stderr, "dagpt: %s\n", why);
}

int cmd_graph(int argc, char **argv)
{
    const int n = cli_parse(&command, argc, argv);
    struct subject *s = &subject;

    if (n > 0)
        cli_die(DG_ERR_USAGE, "graph takes no argument: got '%s'", argv[1]);
    cli_not_both(&layers, &all);
    cli_not_both(&load, &past);
    cli_not_both(&check, &out_path);
    cli_not_both(&check, &format);
    if (!trace_path && (step_number != UINT64_MAX || paint != DG_PAINT_TIME))
        cli_die(DG_ERR_USAGE, "--step and --color: expected --trace with them");
    if (ranks == 0 && placing != DG_N_PLACINGS)
        cli_die(DG_ERR_USAGE, "--place: expected --ranks with it");
    if (ranks > 0 && trace_path)
        cli_die(DG_ERR_USAGE, "--ranks: a trace is of one process");
    placing = placing == DG_N_PLACINGS ? DG_PLACE_LAYERS : placing;
    tiles = tiles || ranks > 0;
    cli_on_leaving(close_subject);
    if (out_path && !check)
        cli_writes("-o", out_path, true);
    if (trace_path)
        choose_from_trace(s);
    else
        choose_from_model(s);
    if (s->trace)
        past = s->step->past;
    build(s);
    if (check)
        print_proof(s);
    else
        draw(s);
    cli_flush();
    return 0;
}
