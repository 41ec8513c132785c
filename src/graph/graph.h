/* graph.h - ops and the tensors between them, for a step of T rows.
 * Ops stand in an order in which every tensor is written before it is read, and each tensor is
 * written by at most one op (of a rank's piece of a plan, cut.h, by one that computes and one that receives).
 * Inputs and outputs are kept by number through rewrites, which move and remove other tensors.
 * A rewrite links the graph, changes and merges ops, and prunes.
 * Memory:  a graph owns its ops and tensors (their structs, not their data).
 * Threads: built by one; read-only afterwards. */
#ifndef DG_GRAPH_GRAPH_H
#define DG_GRAPH_GRAPH_H

#include "op.h"

enum { DG_MAX_ENDS = 4 };

#define DG_NO_OP UINT32_MAX /* where the index of an op may stand */

struct dg_graph {
    struct dg_arena *arena;
    struct dg_op *ops; /* [n_ops] */
    unsigned n_ops, max_ops;
    struct dg_tensor *tensors; /* [n_tensors] */
    unsigned n_tensors, max_tensors;
    struct dg_tensor *inputs[DG_MAX_ENDS], *outputs[DG_MAX_ENDS]; /* in the order of adding */
    unsigned n_inputs, n_outputs;

    /* As dg_graph_link() found them: tensor t is written by op writer[t], or DG_NO_OP, and read by ops
     * reader[first[t] ... first[t + 1] - 1], one for each input that t is, ascending. */
    uint32_t *writer, *first, *reader;
    bool linked; /* since an op or tensor was added */
};

/* A graph with room for so many ops and tensors. */
enum dg_status dg_graph_new(struct dg_graph **out, unsigned max_ops, unsigned max_tensors,
                            struct dg_error *err);
void dg_graph_free(struct dg_graph *g); /* takes NULL */

/* Adds a copy of the given tensor or op and returns it; pointers stay valid. There must be room:
 * who builds a graph knows how large it gets. */
struct dg_tensor *dg_graph_tensor(struct dg_graph *g, struct dg_tensor tensor);

/* The same for a tensor of role DG_INPUT or DG_OUTPUT, which goes into that list, too; DG_MAX_ENDS
 * of each at the most. */
struct dg_tensor *dg_graph_end(struct dg_graph *g, struct dg_tensor tensor);

struct dg_op *dg_graph_op(struct dg_graph *g, struct dg_op op);

/* Finds who writes and reads each tensor, after ops were added or changed. */
void dg_graph_link(struct dg_graph *g);

/* Links the graph and checks the whole: shapes of every op, sizes that can be addressed, one writer per
 * tensor, and written before read. DG_ERR_USAGE names the op. Run it once a graph is built or rewritten. */
enum dg_status dg_graph_check(struct dg_graph *g, struct dg_error *err);

/* The name of an op or tensor of a layer, "h3.q"; layer -1: outside the layers, the name itself. */
void dg_layer_name(char *to, size_t size, int layer, const char *name);

unsigned dg_tensor_index(const struct dg_graph *g, const struct dg_tensor *t);

/* The op that writes t, or NULL: a weight, an input, or cache rows of earlier steps. */
struct dg_op *dg_graph_writer(const struct dg_graph *g, const struct dg_tensor *t);

/* How many inputs of ops t is. */
unsigned dg_graph_readers(const struct dg_graph *g, const struct dg_tensor *t);

/* `heir` writes the output of `op` from here on, instead of its own, and `op` is gone: its type is NULL, and
 * it keeps its place until dg_graph_prune(). */
void dg_graph_merge(struct dg_graph *g, struct dg_op *op, struct dg_op *heir);

/* Takes out the ops that are gone, and the tensors that no op reads or writes, but for inputs and outputs;
 * and links. Pointers to ops and tensors do not survive, except those that the graph keeps. */
void dg_graph_prune(struct dg_graph *g);

#endif
