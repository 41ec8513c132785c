/* toy.h - an op type that computes nothing and can be cut, and read from, in every way: plans
 * without a model. How an op is cut and what its tiles read stands in its struct toy. */
#ifndef DG_TESTS_TOY_H
#define DG_TESTS_TOY_H

#include "support.h"
#include "../../src/graph/plan.h"

#include <stdio.h>
#include <string.h>

/* Rows and columns of an input that the tile writing `out` reads. */
enum toy_rows {
    OWN_ROWS,   /* those it writes */
    PAST_ROWS,  /* from 0 to those it writes: causal */
    EVERY_ROW,  /* all of the input's */
    FINAL_ROWS, /* those it writes, counted from the end: lnf of a prompt */
    N_TOY_ROWS
};
enum toy_cols {
    OWN_COLS,    /* those it writes */
    GROUP_COLS,  /* the groups of 8 columns that those lie in: heads */
    MIRROR_COLS, /* those it writes, counted from the end */
    EVERY_COL,   /* all of the input's */
    N_TOY_COLS
};

enum { TOY_OPS = 40, TOY_TENSORS = 48, TOY_GROUP = 8 };

struct toy {
    struct dg_cut cut; /* 0: what the planner says (rows), or all (columns) */
    enum toy_rows rows[DG_MAX_IN];
    enum toy_cols cols[DG_MAX_IN];
};

struct toy_graph {
    struct dg_graph *g;
    struct toy toys[TOY_OPS]; /* of the op with the same index */
};

static inline enum dg_status toy_check(const struct dg_op *op, struct dg_error *err)
{
    (void)op;
    (void)err;
    return DG_OK;
}

static inline struct dg_cut toy_split(const struct dg_op *op, const struct dg_tiling *tiling)
{
    const struct toy *toy = op->source;
    struct dg_cut cut = toy->cut;

    if (tiling->workers < 1 || tiling->row_block < 1 || tiling->row_block > op->out->rows)
        ck_abort_msg("a row block of %u rows, of %u", tiling->row_block, op->out->rows);
    if (cut.rows == 0)
        cut.rows = tiling->row_block;
    if (cut.cols == 0)
        cut.cols = tiling->col_block ? tiling->col_block : op->out->cols;
    return cut;
}

static inline struct dg_box toy_reads(const struct dg_op *op, unsigned i, struct dg_box out)
{
    const struct toy *toy = op->source;
    const struct dg_tensor *in = op->in[i], *y = op->out;
    struct dg_box box = out;

    if (toy->rows[i] == PAST_ROWS || toy->rows[i] == EVERY_ROW)
        box.r0 = 0;
    if (toy->rows[i] == EVERY_ROW)
        box.r1 = in->rows;
    if (toy->rows[i] == FINAL_ROWS) {
        box.r0 += in->rows - y->rows;
        box.r1 += in->rows - y->rows;
    }
    if (toy->cols[i] == GROUP_COLS) {
        box.c0 = out.c0 / TOY_GROUP * TOY_GROUP;
        box.c1 = (out.c1 + TOY_GROUP - 1) / TOY_GROUP * TOY_GROUP;
        box.c1 = box.c1 < in->cols ? box.c1 : in->cols;
    }
    if (toy->cols[i] == MIRROR_COLS) {
        box.c0 = in->cols - out.c1;
        box.c1 = in->cols - out.c0;
    }
    if (toy->cols[i] == EVERY_COL) {
        box.c0 = 0;
        box.c1 = in->cols;
    }
    return box;
}

static inline uint64_t toy_scratch(const struct dg_op *op, struct dg_cut cut)
{
    (void)op;
    return 4 * (uint64_t)cut.rows * cut.cols;
}

static const struct dg_op_type toy_type = {
    .name = "toy",
    .check = toy_check,
    .split = toy_split,
    .reads = toy_reads,
    .scratch = toy_scratch,
};

static inline void toy_new(struct toy_graph *t)
{
    struct dg_error err = {0};

    *t = (struct toy_graph){0};
    ck_assert_msg(dg_graph_new(&t->g, TOY_OPS, TOY_TENSORS, &err) == DG_OK, "%s", err.text);
}

static inline struct dg_tensor *toy_tensor(struct toy_graph *t, enum dg_role role, const char *name,
                                           uint32_t rows, uint32_t cols)
{
    struct dg_tensor tensor = {.role = role, .rows = rows, .cols = cols, .positions = 0};

    if (role == DG_CACHE)
        tensor.positions = rows;
    snprintf(tensor.name, sizeof tensor.name, "%s", name);
    return dg_graph_tensor(t->g, tensor);
}

/* Adds an op that writes `out`, in tiles of cut_rows x cut_cols (0: as struct toy says). */
static inline struct dg_op *toy_op(struct toy_graph *t, const char *name, struct dg_tensor *out,
                                   uint32_t cut_rows, uint32_t cut_cols)
{
    struct toy *toy = &t->toys[t->g->n_ops];
    struct dg_op op = {.type = &toy_type, .layer = -1, .out = out, .source = toy};

    toy->cut = (struct dg_cut){cut_rows, cut_cols};
    snprintf(op.name, sizeof op.name, "%s", name);
    return dg_graph_op(t->g, op);
}

static inline void toy_read(struct toy_graph *t, struct dg_op *op, struct dg_tensor *in,
                            enum toy_rows rows, enum toy_cols cols)
{
    struct toy *toy = &t->toys[op - t->g->ops];

    toy->rows[op->n_in] = rows;
    toy->cols[op->n_in] = cols;
    op->in[op->n_in++] = in;
}

/* An op and the activation of the same name that it writes from `in` (NULL: from nothing). */
static inline struct dg_tensor *toy_step(struct toy_graph *t, const char *name,
                                         struct dg_tensor *in, uint32_t rows, uint32_t cols,
                                         struct dg_cut cut, enum toy_rows r, enum toy_cols c)
{
    struct dg_tensor *out = toy_tensor(t, DG_ACTIVATION, name, rows, cols);
    struct dg_op *op = toy_op(t, name, out, cut.rows, cut.cols);

    if (in)
        toy_read(t, op, in, r, c);
    return out;
}

static inline struct dg_plan *toy_plan(struct toy_graph *t, uint32_t workers)
{
    const struct dg_tiling tiling = {.workers = workers};
    struct dg_error err = {0};
    struct dg_plan *plan = NULL;

    ck_assert_msg(dg_graph_check(t->g, &err) == DG_OK, "%s", err.text);
    ck_assert_msg(dg_plan_new(&plan, t->g, &tiling, &err) == DG_OK, "%s", err.text);
    return plan;
}

static inline void toy_free(struct toy_graph *t, struct dg_plan *plan)
{
    dg_plan_free(plan);
    dg_graph_free(t->g);
}

#endif
