/* Activation and residual into the matmul that feeds them. The matmul takes over the output tensor of the
 * op that goes; its own output, which nobody writes or reads any more, is pruned. */
#include "common.h"

/* Makes `op` part of the matmul that writes its input `i`, where that is possible. */
static bool absorb(struct dg_graph *g, struct dg_op *op, unsigned i)
{
    struct dg_tensor *between = op->in[i];
    struct dg_op *m = dg_graph_writer(g, between);

    if (!m || m->type != &dg_op_matmul || between->role != DG_ACTIVATION || m->residual ||
        dg_graph_readers(g, between) != 1)
        return false;
    if (op->type == &dg_op_add) {
        struct dg_tensor *other = op->in[1 - i];
        const struct dg_op *writer = dg_graph_writer(g, other);

        if (writer && writer > m) /* not yet written when m runs */
            return false;
        m->in[m->n_in++] = other;
        m->residual = true;
    } else {
        if (m->activation)
            return false;
        m->activation = dg_activation_of(op->type);
    }
    dg_graph_merge(g, op, m);
    return true;
}

unsigned dg_graph_fuse(struct dg_graph *g)
{
    unsigned gone = 0;

    dg_graph_link(g);
    for (unsigned i = 0; i < g->n_ops; i++) {
        struct dg_op *op = &g->ops[i];

        gone += (dg_activation_of(op->type) && absorb(g, op, 0)) ||
                (op->type == &dg_op_add && (absorb(g, op, 1) || absorb(g, op, 0)));
    }
    dg_graph_prune(g);
    return gone;
}
