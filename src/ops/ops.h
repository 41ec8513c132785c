/* ops.h - the types of ops: how each is cut into tiles and how a tile computes.
 * Every type is a constant in a file of its own; graph/op.h says what its functions promise. */
#ifndef DG_OPS_OPS_H
#define DG_OPS_OPS_H

#include "../graph/graph.h"
#include "source.h"

/* Shapes: T rows in the step, R the last of them, C channels, N outputs, V vocabulary; w and wte in
 * panels, the rest in rows. */
extern const struct dg_op_type dg_op_embed;     /* ids[T][1], wte[V][C], wpe[][C] -> [T][C]; without
                                                 * wte its rows come from op->source (source.h) */
extern const struct dg_op_type dg_op_layernorm; /* x[T][C], gain[1][C], bias[1][C] -> [T][C] */
extern const struct dg_op_type dg_op_matmul;    /* x[T][C], w[N][C], bias[1][N] (, residual[T][N]
                                                 * if op->residual) -> [T][N] in rows or a cache */
extern const struct dg_op_type dg_op_attention; /* q[R][C], K[T][C], V[T][C] of a cache -> [R][C] */
extern const struct dg_op_type dg_op_gelu;      /* x[T][N] -> [T][N] */
extern const struct dg_op_type dg_op_gelu_erf;  /* the same */
extern const struct dg_op_type dg_op_relu;      /* the same */
extern const struct dg_op_type dg_op_add;       /* a[T][C], b[T][C] -> [T][C] */
extern const struct dg_op_type dg_op_tail;      /* x[T][C] -> [R][C] */
extern const struct dg_op_type dg_op_logits;    /* x[T][C], wte[V][C] -> [T][V]: matmul, no bias */
extern const struct dg_op_type dg_op_quantize;  /* x[T][C] -> [T][C] of int8, for such weights */
extern const struct dg_op_type dg_op_load;      /* a file (op->source, source.h) -> a weight */

/* The op of an activation, which is not DG_NO_ACTIVATION; and the activation of an op, which is that for
 * all others. */
const struct dg_op_type *dg_op_of_activation(enum dg_activation activation);
enum dg_activation dg_activation_of(const struct dg_op_type *type);

/* Adds to the graph a copy of a weight, and the op that loads it. Returns the copy. */
struct dg_tensor *dg_graph_load(struct dg_graph *g, const struct dg_tensor *weight, int layer,
                                const struct dg_source *source);

/* Fills a weight, whose data is zeroed, without a graph. 0, or an errno value. */
int dg_load(const struct dg_tensor *weight, const struct dg_source *from);

/* Rewrites the graph: an activation, then an add, that alone reads the output of a matmul becomes part of
 * that matmul. Changes no bit of the result. Returns how many ops went. Pointers into the graph do
 * not survive. */
unsigned dg_graph_fuse(struct dg_graph *g);

#endif
