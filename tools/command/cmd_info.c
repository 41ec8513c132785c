/* dagpt info - the model, the machine and the plan. It loads no weights: a model's header is enough for its
 * graph and plan, and a model that does not fit into memory can be looked at. */
#include "commands.h"
#include "../cli/engine.h"
#include "../../src/base/json_write.h"
#include "../cli/leaving.h"
#include "../cli/options.h"
#include "../cli/text.h"
#include "../../src/graph/plan.h"
#include "../../src/model/format.h"
#include "../../src/model/gpt2.h"
#include "../../src/model/sequence.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t rows = 64;
static bool json;

static const struct cli_option options[] = {
    {0, "rows", CLI_NUMBER, "T", "also the plan of a prompt of T tokens (64)", &rows, 1, 1 << 24,
     NULL},
    {0, "json", CLI_FLAG, NULL, "one JSON object", &json, 0, 0, NULL},
    {0},
};

static const struct cli_option *const tables[] = {cli_model_options, options, cli_team_options,
                                                  NULL};

static const struct cli_command command = {
    "info", "[OPTION]...",
    "Prints the model (sizes, parameters, bytes), the machine (CPUs, instruction set) and\n"
    "the plans (ops, tiles, edges, bytes of activations) of one token and of a prompt.",
    tables};

struct plan_facts {
    uint32_t rows;
    unsigned ops;
    uint32_t tiles, joins;
    uint64_t edges, arena_bytes, flops;
};

static struct plan_facts plan_facts(const struct dg_model *m, uint32_t T, unsigned workers)
{
    const struct dg_gpt2_shape shape = {T, 1, true, false, dg_cache_dtype(cli_model_cache())};
    const struct dg_tiling tiling = {workers, cli_model.tile.rows, cli_model.tile.cols};
    struct plan_facts f = {.rows = T};
    struct dg_graph *g;
    struct dg_plan *p;
    struct dg_error err;

    cli_check(dg_gpt2_graph(&g, m, &shape, &err), &err);
    cli_check(dg_plan_new(&p, g, &tiling, &err), &err);
    f.ops = g->n_ops;
    f.tiles = p->n_tiles;
    f.joins = p->n_joins;
    f.edges = p->n_edges;
    f.arena_bytes = p->arena_bytes;
    for (uint32_t t = 0; t < p->n_tiles; t++)
        f.flops += dg_tile_cost(p, t, 0).flops;
    dg_plan_free(p);
    dg_graph_free(g);
    return f;
}

struct facts {
    const struct dg_weights *weights;
    const struct dg_model *model;
    uint64_t cache_bytes; /* of one sequence */
    unsigned cpus, workers, awake;
    struct plan_facts plans[2];
    bool in_place; /* weights are used where they lie in the file */
};

/* The dtypes of the file's tensors, once each, with `between` them. */
static void print_dtypes(const struct dg_weights *w, const char *between)
{
    bool has[DG_N_DTYPES] = {false}, first = true;

    for (uint32_t i = 0; i < dg_weight_count(&w->sizes); i++)
        if (w->sources[i].file)
            has[w->sources[i].dtype] = true;
    for (enum dg_dtype d = 0; d < DG_N_DTYPES; d++) {
        if (has[d])
            printf("%s%s", first ? "" : between, dg_dtype_name(d));
        first = first && !has[d];
    }
}

/* Weights of one name: one outside the layers, or one in each layer. */
struct group {
    const struct dg_tensor *first;
    uint32_t count;
    const char *dtype; /* in memory */
    uint64_t bytes;    /* of all */
};

static struct group group_of(const struct dg_model *m, enum dg_weight w)
{
    struct group g = {dg_model_weight(m, w, 0), dg_weight_in_layers(w) ? m->sizes.layers : 1, "",
                      0};

    g.dtype = dg_dtype_name(g.first->dtype);
    for (uint32_t i = 0; i < g.count; i++) {
        const struct dg_tensor *t = dg_model_weight(m, w, i);

        if (t->dtype != g.first->dtype)
            g.dtype = "several";
        g.bytes += dg_tensor_bytes(t);
    }
    return g;
}

static const char *name_of(const struct dg_model *m, enum dg_weight w)
{
    return dg_weight_shape(&m->sizes, w).name;
}

static void print_weights(const struct dg_model *m)
{
    printf("weights   %-14s %6s %15s %-9s %12s\n", "", "tensors", "each", "in memory", "bytes");
    for (enum dg_weight w = 0; w < DG_N_WEIGHTS; w++) {
        const struct group g = group_of(m, w);
        char each[32];

        if (g.first->rows == 0)
            continue;
        snprintf(each, sizeof each, "%u x %u", g.first->rows, g.first->cols);
        printf("          %-14s %7u %15s %-9s %12" PRIu64 "\n", name_of(m, w), g.count, each,
               g.dtype, g.bytes);
    }
}

static void print_json_weights(const struct dg_model *m)
{
    printf(" \"weights\": [");
    for (enum dg_weight w = 0; w < DG_N_WEIGHTS; w++) {
        const struct group g = group_of(m, w);

        if (g.first->rows > 0)
            printf("%s{\"name\": \"%s\", \"tensors\": %u, \"rows\": %u, \"cols\": %u, \"dtype\": "
                   "\"%s\", \"bytes\": %" PRIu64 "}",
                   w ? ",\n  " : "", name_of(m, w), g.count, g.first->rows, g.first->cols, g.dtype,
                   g.bytes);
    }
    printf("],\n");
}

static void print_recipe(const struct dg_weights *w)
{
    printf("          %s, epsilon %g, logits by %s", dg_activation_name(w->recipe.activation),
           (double)w->recipe.epsilon, w->recipe.own_head ? "a head of its own" : "wte");
    if (w->begin >= 0)
        printf("; a text begins with %d", (int)w->begin);
    if (w->end >= 0)
        printf("; it ends with %d", (int)w->end);
    printf("\n");
}

static void print_id(const char *name, int32_t id)
{
    if (id < 0)
        printf(", \"%s\": null", name);
    else
        printf(", \"%s\": %d", name, (int)id);
}

static void print_text(const struct facts *f)
{
    const struct dg_weights *w = f->weights;
    char *name = text_printable(cli_model_path());

    printf("model     %s\n", name);
    free(name);
    printf("          %s", w->format->name);
    if (w->version > 0)
        printf(" version %u", w->version);
    printf(", ");
    print_dtypes(w, " and ");
    printf("; maxT %u, V %u, L %u, NH %u, C %u\n", w->sizes.positions, w->sizes.vocab,
           w->sizes.layers, w->sizes.heads, w->sizes.channels);
    print_recipe(w);
    printf("          %" PRIu64 " parameters; %" PRIu64 " bytes in the file, %" PRIu64
           " %s, %" PRIu64 " for the KV cache in %s\n",
           dg_model_parameters(f->model), w->bytes, dg_model_bytes(f->model),
           f->in_place ? "used where they lie" : "packed in memory", f->cache_bytes,
           dg_dtype_name(dg_cache_dtype(cli_model_cache())));
    if (cli_model.verify)
        printf("          all sections have the sums that the file says\n");
    print_weights(f->model);
    printf("machine   %u usable CPU%s, %s\n", f->cpus, f->cpus == 1 ? "" : "s",
           dg_isa_name(dg_isa_best()));
    printf("          %u workers, %u awake at a time\n", f->workers, f->awake);
    printf("plan      %6s %6s %8s %8s %9s %12s %12s\n", "rows", "ops", "tiles", "joins", "edges",
           "arena bytes", "MFLOP");
    for (int i = 0; i < 2; i++) {
        const struct plan_facts *p = &f->plans[i];

        printf("          %6u %6u %8u %8u %9" PRIu64 " %12" PRIu64 " %12.1f\n", p->rows, p->ops,
               p->tiles, p->joins, p->edges, p->arena_bytes, 1e-6 * (double)p->flops);
    }
}

static void print_json(const struct facts *f)
{
    const struct dg_weights *w = f->weights;

    printf("{\"model\": {\"path\": ");
    dg_json_write_string(stdout, cli_model_path(), "");
    printf(", \"format\": \"%s\", \"version\": %u, \"dtype\": \"%s\", \"maxT\": %u, \"V\": %u, "
           "\"L\": %u, \"NH\": %u, \"C\": %u, "
           "\"parameters\": %" PRIu64 ", \"file_bytes\": %" PRIu64 ", \"packed_bytes\": %" PRIu64
           ", \"cache_bytes\": %" PRIu64 ", \"cache_dtype\": \"%s\",\n",
           w->format->name, w->version, dg_dtype_name(w->dtype), w->sizes.positions, w->sizes.vocab,
           w->sizes.layers, w->sizes.heads, w->sizes.channels, dg_model_parameters(f->model),
           w->bytes, dg_model_bytes(f->model), f->cache_bytes,
           dg_dtype_name(dg_cache_dtype(cli_model_cache())));
    printf("  \"in_place\": %s, \"verified\": %s, ", f->in_place ? "true" : "false",
           cli_model.verify ? "true" : "false");
    printf("\"dtypes\": [\"");
    print_dtypes(w, "\", \"");
    printf("\"], \"files\": %u, \"activation\": \"%s\", \"epsilon\": %g, \"own_head\": %s",
           w->n_files, dg_activation_name(w->recipe.activation), (double)w->recipe.epsilon,
           w->recipe.own_head ? "true" : "false");
    print_id("begin", w->begin);
    print_id("end", w->end);
    printf("},\n");
    print_json_weights(f->model);
    printf(" \"machine\": {\"cpus\": %u, \"isa\": \"%s\", \"workers\": %u, \"awake\": %u},\n",
           f->cpus, dg_isa_name(dg_isa_best()), f->workers, f->awake);
    printf(" \"plans\": [");
    for (int i = 0; i < 2; i++) {
        const struct plan_facts *p = &f->plans[i];

        printf("%s{\"rows\": %u, \"ops\": %u, \"tiles\": %u, \"joins\": %u, \"edges\": %" PRIu64
               ", \"arena_bytes\": %" PRIu64 ", \"flops\": %" PRIu64 "}",
               i ? ",\n  " : "", p->rows, p->ops, p->tiles, p->joins, p->edges, p->arena_bytes,
               p->flops);
    }
    printf("]}\n");
}

int cmd_info(int argc, char **argv)
{
    const int n = cli_parse(&command, argc, argv);
    const struct dg_weights *w;
    struct dg_model *m;
    struct dg_error err;
    struct facts f = {.cpus = dg_usable_cpus(), .workers = (unsigned)cli_model.workers};

    if (n > 0)
        cli_die(DG_ERR_USAGE, "info takes no argument: got '%s'", argv[1]);
    w = cli_weights();
    cli_check(dg_model_outline(&m, &w->sizes, &w->recipe, &err), &err);
    dg_model_hold_as(m, cli_model.weights, w);
    f.weights = w;
    f.model = m;
    f.in_place = dg_weights_in_place(w, m);
    f.cache_bytes = dg_sequence_cache_bytes(&w->sizes, cli_model_cache());
    f.awake = cli_model.cpus ? (unsigned)cli_model.cpus : f.cpus;
    if (f.awake > f.workers)
        f.awake = f.workers;
    if (rows > w->sizes.positions)
        rows = w->sizes.positions;
    f.plans[0] = plan_facts(m, 1, f.awake);
    f.plans[1] = plan_facts(m, (uint32_t)rows, f.awake);
    (json ? print_json : print_text)(&f);
    dg_model_free(m);
    cli_flush();
    return 0;
}
