/* Dumps of graphs and plans: every fact against the graph itself, found by brute force; folding; the
 * JSON, read back; text from outside. What graphviz makes of them is in tests/command/cli_graph.sh. */
#include "../../support/outline.h"
#include "../../support/toy.h"
#include "../../../src/base/json.h"
#include "../../../src/dump/dump.h"

#include <stdlib.h>

static const struct dg_sizes sizes = {
    .positions = 128, .vocab = 331, .layers = 5, .heads = 4, .channels = 64};

static struct dg_dump *dump_graph(struct dg_graph *g, uint32_t first, uint32_t last)
{
    const struct dg_dump_options opt = {.model = "m", .rows = 1, .first = first, .last = last};
    struct dg_error err = {0};
    struct dg_dump *d = NULL;

    ck_assert_msg(dg_graph_check(g, &err) == DG_OK, "%s", err.text);
    ck_assert_msg(dg_dump_graph(&d, g, &opt, &err) == DG_OK, "%s", err.text);
    return d;
}

static struct dg_dump *dump_plan(const struct dg_plan *plan, uint32_t first, uint32_t last)
{
    const struct dg_dump_options opt = {.model = "m", .rows = 1, .first = first, .last = last};
    struct dg_error err = {0};
    struct dg_dump *d = NULL;

    ck_assert_msg(dg_dump_plan(&d, plan, &opt, &err) == DG_OK, "%s", err.text);
    return d;
}

static bool read_before(const struct dg_op *op, unsigned k)
{
    for (unsigned j = 0; j < k; j++)
        if (op->in[j] == op->in[k])
            return true;
    return false;
}

static void check_ids(const struct dg_dump *d)
{
    for (uint32_t n = 0; n < d->n_nodes; n++)
        for (uint32_t k = 0; k < n; k++)
            if (strcmp(d->nodes[n].id, d->nodes[k].id) == 0)
                ck_abort_msg("two nodes %s", d->nodes[n].id);
}

/* Adds the edge of the graph from op w (or input t) to op i to what its edge of the dump was found
 * to stand for. */
static void count_edge(const struct dg_dump *d, uint32_t *found, uint32_t from, unsigned i,
                       bool loop)
{
    for (uint32_t e = 0; e < d->n_edges; e++) {
        if (d->edges[e].from == from && d->edges[e].to == d->node_of_op[i] &&
            (d->edges[e].kind == DG_EDGE_LOOP) == loop) {
            found[e]++;
            return;
        }
    }
    ck_abort_msg("no edge to op %s", d->graph->ops[i].name);
}

/* Each edge of the graph has one in the dump, and each of the dump stands for as many as it says. */
static void check_graph_dump(const struct dg_dump *d)
{
    const struct dg_graph *g = d->graph;
    uint32_t *found = calloc(d->n_edges + 1, sizeof *found), *ops = calloc(d->n_nodes + 1, 4);

    for (unsigned i = 0; i < g->n_ops; i++) {
        const struct dg_op *op = &g->ops[i];
        const struct dg_dump_node *n = &d->nodes[d->node_of_op[i]];

        ops[d->node_of_op[i]]++;
        ck_assert_ptr_eq(n->op->type, op->type);
        ck_assert_uint_eq(n->tensor->rows, op->out->rows);
        ck_assert_uint_eq(n->tensor->cols, op->out->cols);
        for (unsigned k = 0; k < op->n_in; k++) {
            const struct dg_op *w = dg_graph_writer(g, op->in[k]);
            uint32_t from = 0;

            if (read_before(op, k) || (!w && op->in[k]->role != DG_INPUT))
                continue;
            while (!w && d->nodes[from].tensor != op->in[k])
                from++;
            if (w)
                from = d->node_of_op[w - g->ops];
            count_edge(d, found, from, i,
                       w && w->layer >= 0 && op->layer == w->layer + 1 && n->times > 1 &&
                           d->nodes[from].cluster == n->cluster);
        }
    }
    for (uint32_t e = 0; e < d->n_edges; e++)
        ck_assert_msg(found[e] == d->edges[e].times, "edge %s to %s: %u of the graph, says %u",
                      d->nodes[d->edges[e].from].id, d->nodes[d->edges[e].to].id, found[e],
                      d->edges[e].times);
    for (uint32_t n = 0; n < d->n_nodes; n++) {
        ck_assert_uint_eq(ops[n], d->nodes[n].kind == DG_NODE_OP ? d->nodes[n].times : 0);
    }
    check_ids(d);
    free(found);
    free(ops);
}

static uint32_t count_nodes(const struct dg_dump *d, enum dg_node_kind kind)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < d->n_nodes; i++)
        n += d->nodes[i].kind == kind;
    return n;
}

static const struct dg_dump_node *find_node(const struct dg_dump *d, const char *id)
{
    for (uint32_t i = 0; i < d->n_nodes; i++)
        if (strcmp(d->nodes[i].id, id) == 0)
            return &d->nodes[i];
    ck_abort_msg("no node %s", id);
}

START_TEST(unfolded)
{
    for (int fuse = 0; fuse < 2; fuse++) {
        struct dg_model *m = outline(sizes);
        struct dg_graph *g = outline_graph(m, (struct dg_gpt2_shape){20, 1, fuse, false, DG_F32});
        struct dg_dump *d = dump_graph(g, 0, sizes.layers);

        check_graph_dump(d);
        ck_assert_uint_eq(count_nodes(d, DG_NODE_OP), g->n_ops);
        ck_assert_uint_eq(count_nodes(d, DG_NODE_INPUT), 1);
        ck_assert_uint_eq(d->n_clusters, sizes.layers);
        for (unsigned i = 0; i < g->n_ops; i++) {
            const struct dg_op *op = &g->ops[i];
            const struct dg_box whole = {0, op->out->rows, 0, op->out->cols};
            const struct dg_dump_node *n = find_node(d, op->name);

            ck_assert_ptr_eq(n->op, op);
            ck_assert_uint_eq(n->cost.flops, op->type->cost(op, whole, 0).flops);
            ck_assert_uint_eq(n->cost.bytes, op->type->cost(op, whole, 0).bytes);
        }
        dg_dump_free(d);
        dg_graph_free(g);
        dg_model_free(m);
    }
}
END_TEST

/* All ranges of layers: those inside by themselves, those before and after drawn once. */
START_TEST(folded)
{
    struct dg_model *m = outline(sizes);

    for (int fuse = 0; fuse < 2; fuse++) {
        struct dg_graph *g = outline_graph(m, (struct dg_gpt2_shape){20, 20, fuse, false, DG_F32});
        const uint32_t per_layer = (g->n_ops - 3) / sizes.layers;

        for (uint32_t a = 0; a < sizes.layers; a++) {
            for (uint32_t b = a; b <= sizes.layers; b++) {
                struct dg_dump *d = dump_graph(g, a, b);
                const uint32_t groups = a == b ? 1 : (a > 0) + b - a + (b < sizes.layers);

                check_graph_dump(d);
                ck_assert_uint_eq(d->n_clusters, groups);
                ck_assert_uint_eq(count_nodes(d, DG_NODE_OP), 3 + groups * per_layer);
                dg_dump_free(d);
            }
        }
        dg_graph_free(g);
    }
    dg_model_free(m);
}
END_TEST

START_TEST(folded_ids)
{
    struct dg_model *m = outline(sizes);
    struct dg_graph *g = outline_graph(m, (struct dg_gpt2_shape){1, 1, true, false, DG_F32});
    struct dg_dump *d = dump_graph(g, 3, 4);

    ck_assert_uint_eq(find_node(d, "h0:3.q")->times, 3);
    ck_assert_uint_eq(find_node(d, "h3.q")->times, 1);
    ck_assert_uint_eq(find_node(d, "h4.q")->times, 1);
    ck_assert_uint_eq(find_node(d, "h0:3.fcproj")->waits, 2);
    dg_dump_free(d);
    dg_graph_free(g);
    dg_model_free(m);
}
END_TEST

/* Layers of one op each, y = f(x): `odd` has another width inside, or none has (-1). */
static struct toy_graph chain(int odd, bool skip)
{
    struct toy_graph t;
    struct dg_tensor *x, *before = NULL;

    toy_new(&t);
    x = toy_step(&t, "in", NULL, 8, 8, (struct dg_cut){4, 8}, OWN_ROWS, EVERY_COL);
    for (int i = 0; i < 6; i++) {
        struct dg_tensor *mid, *y;
        char name[24];
        struct dg_op *op;

        snprintf(name, sizeof name, "h%d.a", i);
        mid =
            toy_step(&t, name, x, 8, i == odd ? 16 : 8, (struct dg_cut){4, 8}, OWN_ROWS, EVERY_COL);
        t.g->ops[t.g->n_ops - 1].layer = i;
        snprintf(name, sizeof name, "h%d.b", i);
        y = toy_step(&t, name, mid, 8, 8, (struct dg_cut){4, 8}, OWN_ROWS, EVERY_COL);
        op = &t.g->ops[t.g->n_ops - 1];
        op->layer = i;
        if (skip && i == 3)
            toy_read(&t, op, before, OWN_ROWS, EVERY_COL); /* of layer 1 */
        if (i == 1)
            before = mid;
        x = y;
    }
    return t;
}

START_TEST(layers_that_differ)
{
    const int clusters_of[] = {1, 2, 3, 3, 3, 3, 2}; /* odd = -1, 0 ... 5 */

    for (int odd = -1; odd < 6; odd++) {
        struct toy_graph t = chain(odd, false);
        struct dg_dump *d = dump_graph(t.g, 0, 0);

        check_graph_dump(d);
        ck_assert_int_eq((int)d->n_clusters, clusters_of[odd + 1]);
        dg_dump_free(d);
        toy_free(&t, NULL);
    }
}
END_TEST

/* What layer 3 reads of layer 1 must be seen to come from layer 1. */
START_TEST(layer_that_is_read_later)
{
    struct toy_graph t = chain(-1, true);
    struct dg_dump *d = dump_graph(t.g, 0, 0);

    check_graph_dump(d);
    ck_assert_str_eq(find_node(d, "h0:2.a")->id, "h0:2.a");
    ck_assert_uint_eq(find_node(d, "h3.b")->waits, 2);
    dg_dump_free(d);
    toy_free(&t, NULL);
}
END_TEST

/* Layers that all read one tensor: the edge stands for one in each. */
START_TEST(tensor_for_all_layers)
{
    struct toy_graph t;
    struct dg_tensor *all, *x;
    struct dg_dump *d;

    toy_new(&t);
    all = toy_step(&t, "all", NULL, 8, 8, (struct dg_cut){4, 8}, OWN_ROWS, EVERY_COL);
    x = toy_step(&t, "in", NULL, 8, 8, (struct dg_cut){4, 8}, OWN_ROWS, EVERY_COL);
    for (int i = 0; i < 4; i++) {
        char name[24];

        snprintf(name, sizeof name, "h%d.a", i);
        x = toy_step(&t, name, x, 8, 8, (struct dg_cut){4, 8}, OWN_ROWS, EVERY_COL);
        toy_read(&t, &t.g->ops[t.g->n_ops - 1], all, OWN_ROWS, EVERY_COL);
        t.g->ops[t.g->n_ops - 1].layer = i;
    }
    d = dump_graph(t.g, 0, 0);
    check_graph_dump(d);
    ck_assert_uint_eq(d->n_clusters, 1);
    ck_assert_uint_eq(d->n_edges, 3); /* all, in, and the loop */
    dg_dump_free(d);
    toy_free(&t, NULL);
}
END_TEST

/* ---- plans ---- */

/* Is the op drawn when layers a ... b - 1 are? */
static bool drawn(const struct dg_graph *g, unsigned op, uint32_t a, uint32_t b, uint32_t layers)
{
    const int layer = g->ops[op].layer;

    if (layer < 0)
        return op == 0 ? a == 0 : b == layers; /* embed; lnf and logits */
    return (uint32_t)layer >= a && (uint32_t)layer < b;
}

/* The node that stands for node n of the plan: its own, or its op's cut. */
static uint32_t node_for(const struct dg_dump *d, const struct dg_plan *p, uint32_t n)
{
    for (uint32_t i = 0; i < d->n_nodes; i++)
        if ((d->nodes[i].kind == DG_NODE_TILE || d->nodes[i].kind == DG_NODE_JOIN) &&
            d->nodes[i].index == n)
            return i;
    for (uint32_t i = 0; i < d->n_nodes && n < p->n_tiles; i++)
        if (d->nodes[i].kind == DG_NODE_CUT && d->nodes[i].index == p->tiles[n].op)
            return i;
    return UINT32_MAX;
}

/* Every edge of the plan with a tile that is drawn at its end, or that leads to or from a join which
 * has one, is there, and nothing else. */
static void check_plan_dump(const struct dg_dump *d, uint32_t a, uint32_t b)
{
    const struct dg_plan *p = d->plan;
    const uint32_t layers = d->layers;
    uint64_t expected = 0, times = 0;
    bool *near = calloc(p->n_nodes, sizeof *near); /* is drawn */

    for (uint32_t t = 0; t < p->n_tiles; t++)
        near[t] = drawn(p->graph, p->tiles[t].op, a, b, layers);
    for (uint32_t n = 0; n < p->n_nodes; n++) {
        for (uint32_t i = 0; i < p->nodes[n].n_next; i++) {
            const uint32_t to = p->next[p->nodes[n].first + i];

            if (to >= p->n_tiles)
                near[to] |= near[n];
            else if (n >= p->n_tiles)
                near[n] |= near[to];
        }
    }
    for (uint32_t n = 0; n < p->n_nodes; n++) {
        for (uint32_t i = 0; i < p->nodes[n].n_next; i++) {
            const uint32_t to = p->next[p->nodes[n].first + i];
            uint32_t from_node, to_node, e = 0;

            if (!near[n] && !near[to])
                continue;
            expected++;
            from_node = node_for(d, p, n);
            to_node = node_for(d, p, to);
            while (e < d->n_edges && (d->edges[e].from != from_node || d->edges[e].to != to_node))
                e++;
            ck_assert_msg(e < d->n_edges, "no edge from node %u to node %u", n, to);
        }
    }
    for (uint32_t e = 0; e < d->n_edges; e++) {
        const bool cut = d->nodes[d->edges[e].from].kind == DG_NODE_CUT ||
                         d->nodes[d->edges[e].to].kind == DG_NODE_CUT;

        times += d->edges[e].times;
        ck_assert(cut || d->edges[e].times == 1);
        if (e > 0 && d->edges[e - 1].from == d->edges[e].from &&
            d->edges[e - 1].to == d->edges[e].to)
            ck_abort_msg("two edges from %s to %s", d->nodes[d->edges[e].from].id,
                         d->nodes[d->edges[e].to].id);
    }
    ck_assert_uint_eq(times, expected);
    for (uint32_t n = 0; n < p->n_nodes; n++) {
        const uint32_t i = node_for(d, p, n);

        ck_assert(near[n] == (i != UINT32_MAX && d->nodes[i].kind != DG_NODE_CUT));
        if (near[n] && n < p->n_tiles) {
            ck_assert(memcmp(&d->nodes[i].box, &p->tiles[n].out, sizeof p->tiles[n].out) == 0);
            ck_assert_uint_eq(d->nodes[i].cost.flops, dg_tile_cost(p, n, 0).flops);
            ck_assert_uint_eq(d->nodes[i].home, p->tiles[n].home);
        }
        if (near[n] && n < p->n_tiles && a == 0 && b == layers)
            ck_assert_uint_eq(d->nodes[i].waits, p->nodes[n].waits);
    }
    check_ids(d);
    free(near);
}

START_TEST(plans)
{
    const struct dg_sizes small = {
        .positions = 64, .vocab = 100, .layers = 3, .heads = 4, .channels = 64};
    const uint32_t rows[] = {1, 40};
    struct dg_model *m = outline(small);

    for (int r = 0; r < 2; r++) {
        struct dg_graph *g =
            outline_graph(m, (struct dg_gpt2_shape){rows[r], 1, true, false, DG_F32});
        struct dg_plan *p = outline_plan(g, (struct dg_tiling){.workers = 2});

        for (uint32_t a = 0; a < small.layers; a++) {
            for (uint32_t b = a + 1; b <= small.layers; b++) {
                struct dg_dump *d = dump_plan(p, a, b);

                check_plan_dump(d, a, b);
                dg_dump_free(d);
            }
        }
        dg_plan_free(p);
        dg_graph_free(g);
    }
    dg_model_free(m);
}
END_TEST

/* An op that reads one tensor twice has two joins, and they have two names. */
START_TEST(joins_of_one_name)
{
    struct toy_graph t;
    struct dg_tensor *x, *y;
    struct dg_plan *p;
    struct dg_dump *d;

    toy_new(&t);
    x = toy_step(&t, "x", NULL, 8, 8, (struct dg_cut){8, 1}, OWN_ROWS, EVERY_COL);
    y = toy_step(&t, "y", x, 8, 8, (struct dg_cut){8, 1}, OWN_ROWS, EVERY_COL);
    toy_read(&t, &t.g->ops[1], x, OWN_ROWS, EVERY_COL);
    ck_assert_uint_eq(y->rows, 8);
    p = toy_plan(&t, 1);
    ck_assert_uint_eq(p->n_joins, 3);
    d = dump_plan(p, 0, 0);
    ck_assert_uint_eq(d->n_nodes, p->n_nodes);
    ck_assert_uint_eq(d->n_edges, p->n_edges);
    find_node(d, "y[0:8,0:1]<x");
    find_node(d, "y[0:8,0:1]<x#");
    find_node(d, "end");
    dg_dump_free(d);
    toy_free(&t, p);
}
END_TEST

/* ---- what is written ---- */

static char *written(const struct dg_dump *d, void (*writer)(const struct dg_dump *, FILE *))
{
    char *text = NULL;
    size_t n;
    FILE *to = open_memstream(&text, &n);

    ck_assert_ptr_nonnull(to);
    writer(d, to);
    ck_assert_int_eq(fclose(to), 0);
    return text;
}

/* Reads the members "a" and "b" (strings) and "times" of each object of an array. */
static uint32_t read_list(struct dg_json *j, const char *a, const char *b, char (*pairs)[2][128],
                          double *times)
{
    uint32_t n = 0;
    char key[64];

    ck_assert(dg_json_array(j));
    while (dg_json_item(j)) {
        ck_assert(dg_json_object(j));
        while (dg_json_key(j, key, sizeof key)) {
            if (!strcmp(key, a))
                ck_assert(dg_json_string(j, pairs[n][0], 128));
            else if (b && !strcmp(key, b))
                ck_assert(dg_json_string(j, pairs[n][1], 128));
            else if (!strcmp(key, "times"))
                ck_assert(dg_json_number(j, &times[n]));
            else
                dg_json_skip(j);
        }
        n++;
    }
    return n;
}

/* The JSON has the dump's nodes and edges, in order. */
static void check_json(const struct dg_dump *d)
{
    char *text = written(d, dg_dump_json), key[64];
    char(*pairs)[2][128] = calloc((size_t)d->n_nodes + d->n_edges, sizeof *pairs);
    double *times = calloc((size_t)d->n_nodes + d->n_edges, sizeof *times);
    unsigned lists = 0;
    struct dg_json j;

    dg_json_open(&j, text, strlen(text));
    ck_assert(dg_json_object(&j));
    while (dg_json_key(&j, key, sizeof key)) {
        if (!strcmp(key, "nodes")) {
            ck_assert_uint_eq(read_list(&j, "id", NULL, pairs, times), d->n_nodes);
            for (uint32_t i = 0; i < d->n_nodes; i++)
                ck_assert_str_eq(pairs[i][0], d->nodes[i].id);
            lists++;
        } else if (!strcmp(key, "edges")) {
            ck_assert_uint_eq(read_list(&j, "from", "to", pairs, times), d->n_edges);
            for (uint32_t i = 0; i < d->n_edges; i++) {
                ck_assert_str_eq(pairs[i][0], d->nodes[d->edges[i].from].id);
                ck_assert_str_eq(pairs[i][1], d->nodes[d->edges[i].to].id);
                ck_assert_uint_eq((uint32_t)times[i], d->edges[i].times);
            }
            lists++;
        } else {
            dg_json_skip(&j);
        }
    }
    ck_assert_msg(dg_json_end(&j), "line %zu: expected %s", dg_json_line(&j), j.error);
    ck_assert_uint_eq(lists, 2);
    free(text);
    free(pairs);
    free(times);
}

START_TEST(json)
{
    struct dg_model *m = outline(sizes);
    struct dg_graph *g = outline_graph(m, (struct dg_gpt2_shape){20, 1, true, false, DG_F32});
    struct dg_plan *p = outline_plan(g, (struct dg_tiling){.workers = 2});
    struct dg_dump *dumps[] = {dump_graph(g, 0, 0), dump_graph(g, 0, 5), dump_plan(p, 1, 3)};

    for (int i = 0; i < 3; i++) {
        check_json(dumps[i]);
        dg_dump_free(dumps[i]);
    }
    dg_plan_free(p);
    dg_graph_free(g);
    dg_model_free(m);
}
END_TEST

static bool one_line_of_text(const char *s)
{
    for (; *s; s++)
        if (((unsigned char)*s < 0x20 && *s != '\n') || *s == 0x7f)
            return false;
    return true;
}

/* Names with everything in them that a format could take for its own. */
START_TEST(hostile_names)
{
    static const char name[] =
        "a\"b\\c<d>&e;\n\x01\xff\xc3\x28\xed\xa0\x80\xef\xbf\xbf\xc3\xa9\x7f\xc2\x85#`";
    const struct dg_dump_options opt = {.model = name, .rows = 1, .show = 15, .note = name};
    struct toy_graph t;
    struct dg_error err;
    struct dg_dump *d;
    char *text;

    toy_new(&t);
    toy_step(&t,
             "q\"\\<&>\n\xff"
             "x",
             NULL, 8, 8, (struct dg_cut){4, 8}, OWN_ROWS, EVERY_COL);
    ck_assert(dg_graph_check(t.g, &err) == DG_OK && dg_dump_graph(&d, t.g, &opt, &err) == DG_OK);
    ck_assert_str_eq(d->nodes[0].id, "q%22%5C<%26%3E%0A%FFx");
    check_json(d);
    text = written(d, dg_dump_json);
    ck_assert_ptr_nonnull(strstr(text,
                                 "\"model\": \"a\\\"b\\\\c<d>&e;\\u000a\\u0001\\ufffd\\ufffd("
                                 "\\ufffd\\ufffd\\ufffd\xef\xbf\xbf\xc3\xa9\\u007f\\u0085#`\""));
    free(text);
    text = written(d, dg_dump_dot);
    ck_assert_ptr_nonnull(
        strstr(text, "label=\"a\\\"b\\\\c<d>&amp;e;\\\\x0a\\\\x01\\\\xff\\\\xc3("
                     "\\\\xed\\\\xa0\\\\x80\\\\xef\\\\xbf\\\\xbf\xc3\xa9\\\\x7f\\\\xc2\\\\x85#`"));
    ck_assert_ptr_nonnull(strstr(text, "<b>q\"\\&lt;&amp;&gt;\\x0a\\xffx: toy</b>"));
    ck_assert(one_line_of_text(text));
    free(text);
    text = written(d, dg_dump_mermaid);
    ck_assert_ptr_nonnull(strstr(text, "%% a#34;b#92;c#60;d#62;#38;e;#92;x0a#92;x01"));
    ck_assert_ptr_nonnull(strstr(text, "(\"q#34;#92;#60;#38;#62;#92;x0a#92;xffx: toy<br/>"));
    ck_assert(one_line_of_text(text));
    free(text);
    dg_dump_free(d);
    toy_free(&t, NULL);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {unfolded,
                                  folded,
                                  folded_ids,
                                  layers_that_differ,
                                  layer_that_is_read_later,
                                  tensor_for_all_layers,
                                  plans,
                                  joins_of_one_name,
                                  json,
                                  hostile_names,
                                  NULL};

    return run_suite("dump", tests);
}
