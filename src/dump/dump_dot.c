/* Graphviz. Text inside nodes is in HTML-like labels, so that the name can stand out; there are no
 * tables and no records. The background is white on purpose: the colours are light, and a viewer
 * with a dark page shows a white sheet. */
#include "dump_parts.h"

#include <string.h>

static const char *escape_html(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    default:
        return NULL;
    }
}

/* Inside "...": graphviz reads backslashes, and entities such as &lt; */
static const char *escape_quoted(char c)
{
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '&':
        return "&amp;";
    default:
        return NULL;
    }
}

#define PATH "#a01010" /* the critical path */

struct colour {
    const char *type, *fill, *line;
};

/* By what an op does: products blue, attention orange, rows' statistics green, elementwise grey. */
static struct colour colour_of(const struct dg_dump_node *n)
{
    static const struct colour colours[] = {
        {"matmul", "#e3edf9", "#4a78b5"},    {"logits", "#e3edf9", "#4a78b5"},
        {"attention", "#fdeacc", "#c98716"}, {"layernorm", "#e4f3e4", "#5c9e63"},
        {"quantize", "#e4f3e4", "#5c9e63"},  {"embed", "#efe6f7", "#8a66b0"},
        {"load", "#efe6f7", "#8a66b0"},      {"send", "#fbe3ea", "#b5476b"},
        {"receive", "#fbe3ea", "#b5476b"},
    };
    static const struct colour other = {"", "#f3f3f3", "#8a8a8a"};

    for (size_t i = 0; n->op && i < sizeof colours / sizeof *colours; i++)
        if (strcmp(n->op->type->name, colours[i].type) == 0)
            return colours[i];
    return other;
}

/* The how-manyth row block of its op a box is in; -1: the op has one alone, or loads a weight. */
static int row_block(const struct dg_dump *d, const struct dg_op *op, struct dg_box box)
{
    const bool several = op->out->role != DG_WEIGHT && d->block_rows < op->out->rows;

    return several ? (int)(box.r0 / d->block_rows) : -1;
}

/* The colour of a row block's tiles and edges, so that the eye can follow it through the layers. */
static const char *row_colour(const struct dg_dump *d, const struct dg_dump_node *n)
{
    static const char *const colours[] = {"#3f78b5", "#c9701b", "#4d9a57", "#8a5fb0"};
    const int block = n->kind == DG_NODE_TILE || (n->kind == DG_NODE_JOIN && n->op)
                          ? row_block(d, n->op, n->box)
                          : -1;

    return block < 0 ? "#777777" : colours[block % 4];
}

/* From white to red: by time, the more of it there is; by slack, the less. */
static void heat(const struct dg_dump *d, const struct dg_measure *m, char colour[8])
{
    static const int cold[] = {255, 250, 242}, hot[] = {240, 110, 80};
    double x =
        d->options.paint == DG_PAINT_TIME ? m->ns / d->most_ns : 1 - m->slack_ns / d->span_ns;

    x = x > 1 ? 1 : x > 0 ? x : 0; /* nothing measured at all: 0 / 0 */
    snprintf(colour, 8, "#%02x%02x%02x", (unsigned)(cold[0] + x * (hot[0] - cold[0])) & 255,
             (unsigned)(cold[1] + x * (hot[1] - cold[1])) & 255,
             (unsigned)(cold[2] + x * (hot[2] - cold[2])) & 255);
}

static void put_lines(FILE *to, const struct dg_lines *l, const char *between,
                      const char *(*escape)(char c))
{
    for (unsigned i = 0; i < l->n; i++) {
        if (i > 0)
            fputs(between, to);
        dg_put_text(to, l->line[i], escape);
    }
}

static void put_label(FILE *to, const struct dg_dump *d, const struct dg_dump_node *n)
{
    struct dg_lines l;

    dg_node_label(d, n, &l);
    fputs("label=<", to);
    if (n->kind == DG_NODE_OP || n->kind == DG_NODE_INPUT)
        fputs("<b>", to);
    dg_put_text(to, l.line[0], escape_html);
    if (n->kind == DG_NODE_OP || n->kind == DG_NODE_INPUT)
        fputs("</b>", to);
    for (unsigned i = 1; i < l.n; i++) {
        fprintf(to, "<br/><font point-size=\"%d\" color=\"#4d4d4d\">", d->plan ? 7 : 9);
        dg_put_text(to, l.line[i], escape_html);
        fputs("</font>", to);
    }
    fputc('>', to);
}

static void put_tooltip(FILE *to, const struct dg_lines *l)
{
    fputs(", tooltip=\"", to);
    put_lines(to, l, "\\n", escape_quoted);
    fputc('"', to);
}

static void put_node(FILE *to, const struct dg_dump *d, const struct dg_dump_node *n)
{
    const bool critical = n->measured.path_ns > 0;
    struct colour c = colour_of(n);
    char hue[8];
    struct dg_lines l;

    if (n->measured.known) {
        heat(d, &n->measured, hue);
        c = (struct colour){"", hue, "#8a8a8a"};
    }

    fprintf(to, "\"%s\" [id=\"%s\", ", n->id, n->id);
    put_label(to, d, n);
    dg_node_facts(d, n, &l);
    put_tooltip(to, &l);
    switch (n->kind) {
    case DG_NODE_JOIN:
        fprintf(to,
                ", shape=ellipse, style=filled, width=0.2, height=0.14, margin=0.01, fontsize=7, "
                "fillcolor=\"#ffffff\", color=\"%s\"",
                row_colour(d, n));
        break;
    case DG_NODE_TILE:
        fprintf(to, ", fillcolor=\"%s\", color=\"%s\"", c.fill, critical ? PATH : row_colour(d, n));
        break;
    case DG_NODE_CUT:
        fputs(", style=\"rounded,dashed\", color=\"#8a8a8a\", fontcolor=\"#6a6a6a\"", to);
        break;
    case DG_NODE_INPUT:
        fputs(", style=\"rounded,filled\", fillcolor=\"#ffffff\", color=\"#8a8a8a\"", to);
        break;
    case DG_NODE_OP:
        fprintf(to, ", fillcolor=\"%s\", color=\"%s\"", c.fill, critical ? PATH : c.line);
    }
    fputs(critical ? ", penwidth=3];\n" : "];\n", to);
}

static void put_edge(FILE *to, const struct dg_dump *d, const struct dg_dump_edge *e)
{
    char label[DG_LINE_BYTES];
    struct dg_lines l;

    dg_edge_facts(d, e, &l);
    dg_edge_label(d, e, label, sizeof label);
    fprintf(to, "  \"%s\" -> \"%s\" [", d->nodes[e->from].id, d->nodes[e->to].id);
    fprintf(to, "id=\"%s/%s%s\"", d->nodes[e->from].id, d->nodes[e->to].id,
            e->kind == DG_EDGE_LOOP ? "/loop" : "");
    if (label[0]) {
        fputs(", label=\" ", to);
        dg_put_text(to, label, escape_quoted);
        fputs(" \"", to);
    }
    put_tooltip(to, &l);
    if (e->kind == DG_EDGE_AROUND)
        fputs(", weight=0", to);
    if (e->kind == DG_EDGE_LOOP)
        fputs(", fontcolor=\"#8a66b0\", style=dashed, constraint=false", to);
    if (e->kind == DG_EDGE_MESSAGE)
        fputs(", color=\"#b5476b\", penwidth=1.6", to);
    else if (e->critical)
        fputs(", color=\"" PATH "\", penwidth=2.5", to);
    else if (d->plan)
        fprintf(to, ", color=\"%s\"", row_colour(d, &d->nodes[e->to]));
    else if (e->kind == DG_EDGE_AROUND)
        fputs(", color=\"#5c9e63\", penwidth=1.6", to);
    else if (e->kind == DG_EDGE_LOOP)
        fputs(", color=\"#8a66b0\"", to);
    fputs("];\n", to);
}

static void begin_cluster(FILE *to, const struct dg_dump_cluster *c, int depth)
{
    char label[DG_LINE_BYTES];

    dg_cluster_label(c, label, sizeof label);
    dg_put_indent(to, depth);
    fprintf(to, "subgraph \"cluster_%s\" {\n", c->id);
    dg_put_indent(to, depth + 1);
    fprintf(to, "id=\"cluster_%s\"; label=\"", c->id);
    dg_put_text(to, label, escape_quoted);
    fprintf(to, "\"; style=\"rounded%s\"; color=\"%s\"; penwidth=%s; fontsize=%d;\n",
            c->op ? "" : ",filled", c->op ? "#d5d5d5" : "#c4c4c4", c->times > 1 ? "2" : "1",
            c->op ? 9 : 12);
    if (c->op)
        return;
    dg_put_indent(to, depth + 1);
    fputs("fillcolor=\"#fcfcfc\";\n", to);
}

void dg_dump_dot(const struct dg_dump *d, FILE *to)
{
    static const struct dg_dump_syntax syntax = {put_node, begin_cluster, "}"};
    char title[DG_LINE_BYTES];

    dg_title(d, title, sizeof title);
    fputs("digraph dagpt {\n", to);
    if (d->plan)
        fprintf(to,
                "  // layers %u:%u of %u are drawn; --layers A:B draws others, --all all of them\n",
                d->options.first, d->options.last, d->layers);
    fputs("  rankdir=TB; bgcolor=\"white\"; newrank=true; charset=\"UTF-8\"; labelloc=t; "
          "labeljust=l;\n",
          to);
    fputs(d->plan ? "  nodesep=0.06; ranksep=0.35;\n" : "  nodesep=0.3; ranksep=0.3;\n", to);
    fputs("  fontname=\"Helvetica,Arial,sans-serif\"; fontsize=12; fontcolor=\"#333333\";\n", to);
    fprintf(to,
            "  node [fontname=\"Helvetica,Arial,sans-serif\", fontsize=%d, shape=box, "
            "style=\"rounded,filled\", height=0.2, width=0.3, margin=\"%s\"];\n",
            d->plan ? 8 : 11, d->plan ? "0.04,0.02" : "0.12,0.06");
    fputs("  edge [fontname=\"Helvetica,Arial,sans-serif\", fontsize=8, fontcolor=\"#666666\", "
          "color=\"#777777\", arrowsize=0.6];\n",
          to);
    fputs("  label=\"", to);
    dg_put_text(to, d->options.model, escape_quoted);
    fputs(" · ", to);
    dg_put_text(to, title, escape_quoted);
    if (d->options.note) {
        fputs("\\l", to);
        dg_put_text(to, d->options.note, escape_quoted);
    }
    if (d->plan)
        fputs("\\lcolour of edges and borders: row block", to);
    fputs("\\l\";\n", to);
    dg_put_nodes(to, d, &syntax);
    for (uint32_t i = 0; i < d->n_edges; i++)
        put_edge(to, d, &d->edges[i]);
    fputs("}\n", to);
}
