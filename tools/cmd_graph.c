/* dagpt graph - the op graph of a step, or its plan, for Graphviz and for programs. Loads no
 * weights. */
#include "cli.h"
#include "commands.h"
#include "../src/graph/dump.h"
#include "../src/graph/plan_check.h"
#include "../src/model/gpt2.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const formats[] = {"dot", "json", "mermaid", NULL};
static void (*const writers[])(const struct dg_dump *, FILE *) = {dg_dump_dot, dg_dump_json,
                                                                  dg_dump_mermaid};

static uint64_t rows = 1, past;
static const char *layers, *show, *out_path;
static bool all, tiles, no_fuse, check;
static unsigned format;

static const struct cli_option options[] = {
    {0, "rows", CLI_NUMBER, "T", "tokens of the step (1)", &rows, 1, 1 << 24, NULL},
    {0, "past", CLI_NUMBER, "P", "positions in the cache before it (0)", &past, 0, 1 << 24, NULL},
    {0, "layers", CLI_TEXT, "A:B", "unfold layers A ... B-1; with --tiles draw these alone",
     &layers, 0, 0, NULL},
    {0, "all", CLI_FLAG, NULL, "all layers", &all, 0, 0, NULL},
    {0, "tiles", CLI_FLAG, NULL, "the plan's tiles; of layers 0:2 unless said", &tiles, 0, 0, NULL},
    {0, "no-fuse", CLI_FLAG, NULL, "before gelu and residual go into the matmuls", &no_fuse, 0, 0,
     NULL},
    {0, "show", CLI_TEXT, "LIST", "of shape,cost,deps,worker, or none (shape,cost; tiles: shape)",
     &show, 0, 0, NULL},
    {0, "format", CLI_CHOICE, "NAME", "dot (default), json or mermaid", &format, 0, 0, formats},
    {0, "check", CLI_FLAG, NULL, "prove the plan, and print what was proved", &check, 0, 0, NULL},
    {'o', "output", CLI_TEXT, "FILE", "write there; else to standard output", &out_path, 0, 0,
     NULL},
    {0},
};

static const struct cli_option *const tables[] = {cli_model_options, options, cli_team_options,
                                                  NULL};

static const struct cli_command command = {
    "graph", "[OPTION]...",
    "Writes the op graph of a step, or the plan that it is cut into, for Graphviz.\n"
    "Layers that are the same are drawn once.",
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
        return tiles ? DG_SHOW_SHAPE : DG_SHOW_SHAPE | DG_SHOW_COST;
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

static void print_proof(const struct dg_plan *plan)
{
    struct dg_plan_proof proof;
    struct dg_error err;

    cli_check(dg_plan_check(plan, &proof, &err), &err);
    printf("proved: %" PRIu64 " tiles, %" PRIu64 " joins, %" PRIu64 " edges, %" PRIu64 " pairs\n",
           proof.tiles, proof.joins, proof.edges, proof.pairs);
}

static void write_dump(const struct dg_dump *d)
{
    FILE *to = out_path ? fopen(out_path, "w") : stdout;
    bool failed;

    if (!to)
        cli_die(DG_ERR_IO, "%s: cannot open: %s", out_path, strerror(errno));
    writers[format](d, to);
    failed = fflush(to) != 0 || ferror(to);
    if (to != stdout)
        failed |= fclose(to) != 0;
    if (failed)
        cli_die(DG_ERR_IO, "%s: cannot write: %s", out_path ? out_path : "standard output",
                strerror(errno));
}

int cmd_graph(int argc, char **argv)
{
    const int n = cli_parse(&command, argc, argv);
    struct dg_gpt2_shape shape;
    struct dg_tiling tiling;
    struct dg_dump_options opt = {0};
    struct dg_checkpoint c;
    struct dg_model *m;
    struct dg_graph *g;
    struct dg_plan *plan = NULL;
    struct dg_dump *d;
    struct dg_error err;

    if (n > 0)
        cli_die(DG_ERR_USAGE, "graph takes no argument: got '%s'", argv[1]);
    cli_model_check(cli_checkpoint_open(&c, &err), &err);
    cli_check(dg_model_outline(&m, &c.header, &err), &err);
    shape = (struct dg_gpt2_shape){(uint32_t)rows, 1, !no_fuse};
    tiling =
        (struct dg_tiling){(uint32_t)cli_model.workers, cli_model.tile.rows, cli_model.tile.cols};
    cli_check(dg_gpt2_graph(&g, m, &shape, &err), &err);
    opt.model = cli_model_path();
    opt.rows = (uint32_t)rows;
    opt.past = (uint32_t)past;
    opt.fused = !no_fuse;
    opt.show = parse_show();
    opt.last = all ? c.header.sizes.layers : tiles ? 2 : 0;
    if (layers)
        parse_layers(c.header.sizes.layers, &opt.first, &opt.last);
    if (tiles || check)
        cli_check(dg_plan_new(&plan, g, &tiling, &err), &err);
    if (check) {
        print_proof(plan);
    } else {
        cli_check(tiles ? dg_dump_plan(&d, plan, &opt, &err) : dg_dump_graph(&d, g, &opt, &err),
                  &err);
        write_dump(d);
        dg_dump_free(d);
    }
    dg_plan_free(plan);
    dg_graph_free(g);
    dg_model_free(m);
    dg_checkpoint_close(&c);
    cli_flush();
    return 0;
}
