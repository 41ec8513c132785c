/* gelu, and what stands in its place in some models, as ops of their own; dg_graph_fuse() makes them part of the
 * matmul before them. */
#include "common.h"

static enum dg_status check(const struct dg_op *op, struct dg_error *err)
{
    enum dg_status st = dg_expect_inputs(op, 1, err);

    if (st == DG_OK)
        st = dg_expect_shape(op, "x", op->in[0], DG_ROWS, op->out->rows, op->out->cols, err);
    if (st == DG_OK)
        st = dg_expect_shape(op, "y", op->out, DG_ROWS, op->in[0]->rows, op->in[0]->cols, err);
    return st;
}

static struct dg_cost cost(const struct dg_op *op, struct dg_box out, uint32_t past)
{
    (void)past;
    return (struct dg_cost){10 * dg_box_area(out),
                            dg_dtype_bytes(op->out->dtype) * 2 * dg_box_area(out)};
}

static int run(const struct dg_op *op, struct dg_box out, const struct dg_step *step, void *scratch)
{
    (void)scratch;
    for (size_t r = out.r0; r < out.r1; r++)
        dg_activate(step->kernels, dg_activation_of(op->type), dg_at(op->out, r, out.c0),
                    dg_at(op->in[0], r, out.c0), out.c1 - out.c0);
    return 0;
}

#define ACTIVATION(text)                                                                           \
    {                                                                                              \
        .name = text, .check = check, .split = dg_cut_rows, .reads = dg_reads_same, .cost = cost,  \
        .run = run                                                                                 \
    }

const struct dg_op_type dg_op_gelu = ACTIVATION("gelu");
const struct dg_op_type dg_op_gelu_erf = ACTIVATION("gelu_erf");
const struct dg_op_type dg_op_relu = ACTIVATION("relu");

static const struct dg_op_type *const types[DG_N_ACTIVATIONS] = {
    [DG_GELU] = &dg_op_gelu, [DG_GELU_ERF] = &dg_op_gelu_erf, [DG_RELU] = &dg_op_relu};

enum dg_activation dg_activation_of(const struct dg_op_type *type)
{
    for (enum dg_activation a = DG_NO_ACTIVATION + 1; a < DG_N_ACTIVATIONS; a++)
        if (types[a] == type)
            return a;
    return DG_NO_ACTIVATION;
}

const struct dg_op_type *dg_op_of_activation(enum dg_activation a)
{
    return types[a];
}
