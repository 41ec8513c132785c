/* dump.h - a graph or a plan for people and programs: nodes, edges and clusters, collected once and
 * then written as DOT, JSON or Mermaid, which so show the same facts. docs/formats/graph-json.md explains
 * each of them.
 *
 * Of a graph (dg_dump_graph) a node is an op, or an input that no op writes; weights are facts of
 * the op that reads them. Neighbouring layers that are equal in everything but the names of their
 * ops and weights are drawn once: their nodes stand for `times` ops each, and edges of kind
 * DG_EDGE_LOOP lead from a layer to the next.
 *
 * Of a plan (dg_dump_plan) a node is a tile or a join. Where only some layers are drawn, an op
 * outside them that has an edge to a tile inside is one node of kind DG_NODE_CUT, and its edges
 * count the edges of the plan that they stand for. Of a plan that is cut over ranks, each rank's tiles are in a cluster
 * of its own, and edges of kind DG_EDGE_MESSAGE lead from one to another.
 *
 * Memory:  a dump owns its lists and borrows the graph or plan, which must outlive it.
 * Threads: built by one; read-only while it is written. */
#ifndef DG_DUMP_DUMP_H
#define DG_DUMP_DUMP_H

#include "../dagpt.h"
#include "../graph/ranks.h"

#include <stdio.h>

enum dg_node_kind { DG_NODE_INPUT, DG_NODE_OP, DG_NODE_TILE, DG_NODE_JOIN, DG_NODE_CUT };

enum dg_edge_kind {
    DG_EDGE_DATA,
    DG_EDGE_AROUND,  /* data, past other ops: there is a longer way from the one to the other */
    DG_EDGE_LOOP,    /* to the next of the layers that are drawn once */
    DG_EDGE_MESSAGE, /* from a rank to another */
};

enum { DG_WORKER_WORDS = (DG_MAX_WORKERS + 63) / 64 };

/* What was measured of the tiles that a node stands for. */
struct dg_measure {
    bool known;
    double ns;         /* sum over its tiles of the time that they ran */
    double share;      /* of the time of all tiles, 0 ... 1 */
    double slack_ns;   /* how much later it could have ended; the least of its tiles */
    double path_ns;    /* of its time, what is on the critical path */
    double path_share; /* of the critical path, 0 ... 1 */
    uint64_t workers[DG_WORKER_WORDS]; /* bit w % 64 of word w / 64: worker w ran one of them */
};

#define DG_NOBODY UINT32_MAX /* where the index of a node or cluster may stand */

struct dg_dump_node {
    const char *id; /* unique in the dump; the same for the same thing in every dump */
    enum dg_node_kind kind;
    int cluster;                    /* index, or -1 */
    const struct dg_op *op;         /* NULL: an input, or the join `end` */
    const struct dg_tensor *tensor; /* that it writes, or is, or (a join) waits for; NULL: `end` */
    struct dg_box box;              /* of the tensor */
    struct dg_cost cost;            /* of one of `times` */
    uint32_t times;                 /* ops that it stands for: layers op->layer and following */
    uint32_t waits, next;           /* edges that lead to it, and from it, folded ones once */
    uint32_t home;                  /* of a tile: the worker that should run it */
    uint32_t index;                 /* of an op in the graph, of a tile or join in the plan */
    uint32_t after;                 /* the next node of its cluster, or DG_NOBODY */
    struct dg_measure measured;
};

struct dg_dump_edge {
    uint32_t from, to; /* nodes */
    enum dg_edge_kind kind;
    const struct dg_tensor *tensor; /* what is waited for; NULL: the edge leads to `end` */
    struct dg_box box;              /* of the tensor */
    uint32_t times;                 /* edges of the graph or plan that it stands for */
    bool critical;                  /* measured: the critical path goes along it */
};

/* The first node and the first cluster of what is in a cluster, or DG_NOBODY; `after` leads to the next. */
struct dg_dump_list {
    uint32_t node, cluster;
};

/* A rank, a layer, layers drawn once, or (of a plan) an op and its tiles. */
struct dg_dump_cluster {
    const char *id;
    int parent;             /* index of an earlier cluster, or -1 */
    int rank;               /* that it stands for, or -1 */
    int layer;              /* the (first) layer; -1: outside the blocks, or a rank */
    uint32_t times;         /* layers that are drawn once */
    const struct dg_op *op; /* NULL: a layer, or a rank */
    uint32_t tiles;         /* of the op in the plan */
    struct dg_dump_list in; /* what is in it */
    uint32_t after;         /* the next cluster of its parent, or DG_NOBODY */
};

/* Details of a node's text; tooltips and JSON have them all. */
enum {
    DG_SHOW_SHAPE = 1,  /* shapes of tensors; of a tile: its box */
    DG_SHOW_COST = 2,   /* FLOPs and bytes; where measured: time and rates */
    DG_SHOW_DEPS = 4,   /* how many edges lead to it and from it; of a plan: text at edges */
    DG_SHOW_WORKER = 8, /* a tile's home; where measured: the workers that ran it */
};

/* What the colour of a node means where times are known. */
enum dg_paint { DG_PAINT_TIME, DG_PAINT_SLACK };

struct dg_dump_options {
    const char *model;    /* its name, any bytes, for the title */
    uint32_t rows, past;  /* of the step */
    bool fused;           /* for the title */
    uint32_t first, last; /* layers first ... last - 1 are not folded (a plan: are drawn) */
    unsigned show;        /* DG_SHOW_... */
    enum dg_paint paint;
    const char *note; /* another line of the title, or NULL */

    /* Of the whole of a plan that is cut (src/graph/whole.h); else NULL and 0. */
    const uint32_t *rank; /* [n_ops] */
    uint32_t ranks;
    enum dg_placing placing;
};

struct dg_dump {
    struct dg_dump_options options;
    const struct dg_graph *graph;
    const struct dg_plan *plan;       /* NULL: a dump of a graph */
    struct dg_dump_node *nodes;       /* [n_nodes] */
    struct dg_dump_edge *edges;       /* [n_edges], by from, then to */
    struct dg_dump_cluster *clusters; /* [n_clusters] */
    uint32_t n_nodes, n_edges, n_clusters;
    struct dg_dump_list out; /* what is in no cluster */
    uint32_t *node_of_op;    /* [n_ops] of a graph: the node that stands for the op */
    uint32_t layers;         /* of the graph */
    uint32_t block_rows;     /* rows of a row block of the plan: of its highest tile */

    /* Set by who fills `measured` of the nodes and `critical` of the edges. */
    bool measured;
    double most_ns; /* the largest time of a node */
    double span_ns; /* of the critical path: no node has more slack */

    struct dg_arena *arena;
    bool out_of_memory; /* for an id, while the dump was made */
};

/* The graph must have passed dg_graph_check(). DG_ERR_RESOURCE when memory runs out. */
enum dg_status dg_dump_graph(struct dg_dump **out, const struct dg_graph *g,
                             const struct dg_dump_options *options, struct dg_error *err);
enum dg_status dg_dump_plan(struct dg_dump **out, const struct dg_plan *plan,
                            const struct dg_dump_options *options, struct dg_error *err);
void dg_dump_free(struct dg_dump *dump); /* takes NULL */

/* The writers. Text that came from elsewhere is escaped: bytes that are no UTF-8, and control
 * characters, are written as \xNN, in JSON as U+FFFD and \u00NN. Whether all could be written, the
 * caller asks ferror(). */
void dg_dump_dot(const struct dg_dump *dump, FILE *to);
void dg_dump_json(const struct dg_dump *dump, FILE *to);
void dg_dump_mermaid(const struct dg_dump *dump, FILE *to);

/* The defaults of maxEdges and maxTextSize in Mermaid, which GitHub and others keep. */
enum { DG_MERMAID_EDGES = 500, DG_MERMAID_TEXT = 50000 };

/* Would pages refuse the dump as Mermaid, for more than so many edges or characters? Then why, as a line
 * without its end, which dg_dump_mermaid() also writes as a comment before all else. */
bool dg_dump_mermaid_beyond(const struct dg_dump *dump, char *why, size_t size);

#endif
