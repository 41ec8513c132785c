/* dump_parts.h - what the files that collect a dump, and those that write it, share. */
#ifndef DG_DUMP_DUMP_PARTS_H
#define DG_DUMP_DUMP_PARTS_H

#include "dump.h"

/* ---- collecting: dump_graph.c ---- */

/* An empty dump with room for so many nodes, edges and clusters. */
enum dg_status dg_dump_new(struct dg_dump **out, const struct dg_graph *g,
                           const struct dg_dump_options *options, uint64_t nodes, uint64_t edges,
                           uint64_t clusters, struct dg_error *err);

/* A formatted name in the dump's memory, with every byte but letters, digits and .,:[]<#@-_ as %XX,
 * so that it can be a node's name in DOT. Sets dump->out_of_memory when it cannot. */
__attribute__((format(printf, 2, 3))) const char *dg_dump_id(struct dg_dump *dump,
                                                             const char *format, ...);

/* Sorts the edges by (from, to), adds up those from or to a cut node that are the same, counts every node's
 * edges, and lists what is in each cluster. */
void dg_dump_sort(struct dg_dump *dump);

/* The number of layers that the graph's ops name: the highest layer + 1. */
uint32_t dg_graph_layers(const struct dg_graph *g);

/* An op's or tensor's name without "hN.", N being `layer`. */
const char *dg_short_name(const char *name, int layer);

/* ---- text: dump_text.c ---- */

enum { DG_MAX_LINES = 16, DG_LINE_BYTES = 160 };

/* What a node says, in lines. */
struct dg_lines {
    unsigned n;
    char line[DG_MAX_LINES][DG_LINE_BYTES];
};

/* The lines inside the node, the first of them its name, by options.show. */
void dg_node_label(const struct dg_dump *dump, const struct dg_dump_node *n, struct dg_lines *l);

/* Everything there is to say of a node, of an edge. */
void dg_node_facts(const struct dg_dump *dump, const struct dg_dump_node *n, struct dg_lines *l);
void dg_edge_facts(const struct dg_dump *dump, const struct dg_dump_edge *e, struct dg_lines *l);

/* What stands at an edge; empty: nothing. */
void dg_edge_label(const struct dg_dump *dump, const struct dg_dump_edge *e, char *to, size_t size);

void dg_cluster_label(const struct dg_dump_cluster *c, char *to, size_t size);

/* What the dump shows, without options.model and options.note. */
void dg_title(const struct dg_dump *dump, char *to, size_t size);

void dg_put_indent(FILE *to, int depth);

/* How a format writes nodes, and the beginning and end of clusters, `depth` clusters deep. */
struct dg_dump_syntax {
    void (*node)(FILE *to, const struct dg_dump *dump, const struct dg_dump_node *n);
    void (*begin)(FILE *to, const struct dg_dump_cluster *c, int depth);
    const char *end;
};

/* Writes all nodes and clusters, each cluster with what is in it. */
void dg_put_nodes(FILE *to, const struct dg_dump *dump, const struct dg_dump_syntax *syntax);

/* Writes s; `escape` gives what stands for an ASCII character, or NULL for itself. */
void dg_put_text(FILE *to, const char *s, const char *(*escape)(char c));

#endif
