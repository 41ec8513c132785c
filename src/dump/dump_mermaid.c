/* Mermaid, for pages that draw it themselves. A node's name is its id with every byte but letters
 * and digits as _XX, and n_ before it, since some words ("end") are Mermaid's own. */
#include "dump_parts.h"

#include <inttypes.h>

/* In "...": Mermaid reads #NN; as the character with that number, and tags. */
static const char *escape_mermaid(char c)
{
    switch (c) {
    case '"':
        return "#34;";
    case '#':
        return "#35;";
    case '&':
        return "#38;";
    case '<':
        return "#60;";
    case '>':
        return "#62;";
    case '\\':
        return "#92;";
    case '`':
        return "#96;";
    default:
        return NULL;
    }
}

static void put_id(FILE *to, char kind, const char *id)
{
    fprintf(to, "%c_", kind);
    for (; *id; id++) {
        const bool plain =
            (*id >= 'a' && *id <= 'z') || (*id >= 'A' && *id <= 'Z') || (*id >= '0' && *id <= '9');

        fprintf(to, plain ? "%c" : "_%02x", (unsigned char)*id);
    }
}

static void put_node(FILE *to, const struct dg_dump *d, const struct dg_dump_node *n)
{
    const char *open = n->kind == DG_NODE_JOIN ? "((\"" : n->kind == DG_NODE_OP ? "(\"" : "[\"";
    const char *close = n->kind == DG_NODE_JOIN ? "\"))" : n->kind == DG_NODE_OP ? "\")" : "\"]";
    struct dg_lines l;

    dg_node_label(d, n, &l);
    put_id(to, 'n', n->id);
    fputs(open, to);
    for (unsigned i = 0; i < l.n; i++) {
        if (i > 0)
            fputs("<br/>", to);
        dg_put_text(to, l.line[i], escape_mermaid);
    }
    fprintf(to, "%s\n", close);
}

static void begin_cluster(FILE *to, const struct dg_dump_cluster *c, int depth)
{
    char label[DG_LINE_BYTES];

    dg_cluster_label(c, label, sizeof label);
    dg_put_indent(to, depth);
    fputs("subgraph ", to);
    put_id(to, 'c', c->id);
    fputs("[\"", to);
    dg_put_text(to, label, escape_mermaid);
    fputs("\"]\n", to);
}

static void put_edge(FILE *to, const struct dg_dump *d, const struct dg_dump_edge *e)
{
    static const char *const arrows[] = {"-->", "==>", "-.->", "==>"};
    char label[DG_LINE_BYTES];

    dg_edge_label(d, e, label, sizeof label);
    fputs("  ", to);
    put_id(to, 'n', d->nodes[e->from].id);
    fprintf(to, " %s", arrows[e->kind]);
    if (label[0]) {
        fputs("|\"", to);
        dg_put_text(to, label, escape_mermaid);
        fputs("\"|", to);
    }
    fputc(' ', to);
    put_id(to, 'n', d->nodes[e->to].id);
    fputc('\n', to);
}

static void put_graph(FILE *to, const struct dg_dump *d)
{
    static const struct dg_dump_syntax syntax = {put_node, begin_cluster, "end"};
    char title[DG_LINE_BYTES];

    dg_title(d, title, sizeof title);
    fputs("%% ", to);
    dg_put_text(to, d->options.model, escape_mermaid);
    fputs(" · ", to);
    dg_put_text(to, title, escape_mermaid);
    fputs("\nflowchart TB\n", to);
    dg_put_nodes(to, d, &syntax);
    for (uint32_t i = 0; i < d->n_edges; i++)
        put_edge(to, d, &d->edges[i]);
    for (uint32_t i = 0; i < d->n_nodes; i++) {
        if (d->nodes[i].measured.path_ns > 0) {
            fputs("  style ", to);
            put_id(to, 'n', d->nodes[i].id);
            fputs(" stroke-width:3px,stroke:#b03020\n", to);
        }
    }
}

/* ---- what pages show ---- */

/* Counts what is written to it as JavaScript does: a character beyond U+FFFF is two. */
static ssize_t count_units(void *units, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)s[i];

        *(size_t *)units += ((c & 0xC0) != 0x80) + (c >= 0xF0);
    }
    return (ssize_t)n;
}

/* The length of the text; 0: no memory to count it. */
static size_t text_length(const struct dg_dump *d)
{
    size_t units = 0;
    FILE *to = fopencookie(&units, "w", (cookie_io_functions_t){.write = count_units});

    if (!to)
        return 0;
    put_graph(to, d);
    fclose(to);
    return units;
}

bool dg_dump_mermaid_beyond(const struct dg_dump *d, char *why, size_t size)
{
    const size_t length = text_length(d);

    if (length <= DG_MERMAID_TEXT && d->n_edges <= DG_MERMAID_EDGES)
        return false;
    snprintf(why, size,
             "beyond what pages show of Mermaid: got %" PRIu32
             " edges and %zu characters, expected at most %d and %d",
             d->n_edges, length, DG_MERMAID_EDGES, DG_MERMAID_TEXT);
    return true;
}

void dg_dump_mermaid(const struct dg_dump *d, FILE *to)
{
    char why[DG_LINE_BYTES];

    if (dg_dump_mermaid_beyond(d, why, sizeof why))
        fprintf(to, "%%%% %s\n", why);
    put_graph(to, d);
}
