/* What ops have in common: how a product is cut and what it reads, and the shapes that they expect. */
#include "common.h"
#include "pack.h"

enum dg_status dg_expect_shape(const struct dg_op *op, const char *what, const struct dg_tensor *t,
                               enum dg_layout layout, uint32_t rows, uint32_t cols,
                               struct dg_error *err)
{
    if (t->dtype != DG_F32 || t->layout != layout)
        return dg_fail(err, DG_ERR_USAGE, "op %s: %s (%s) is in a layout that %s does not take",
                       op->name, what, t->name, op->type->name);
    if (t->rows != rows || t->cols != cols)
        return dg_fail(err, DG_ERR_USAGE, "op %s: shape of %s (%s): got %u x %u, expected %u x %u",
                       op->name, what, t->name, t->rows, t->cols, rows, cols);
    return DG_OK;
}

enum dg_status dg_expect_cache(const struct dg_op *op, const char *what, const struct dg_tensor *t,
                               enum dg_layout layout, uint32_t rows, uint32_t cols,
                               struct dg_error *err)
{
    struct dg_tensor as_float = *t;

    if (dg_kernels_scalar.scores[t->dtype])
        as_float.dtype = DG_F32;
    return dg_expect_shape(op, what, &as_float, layout, rows, cols, err);
}

enum dg_status dg_expect_factor(const struct dg_op *op, const struct dg_tensor *x,
                                const struct dg_tensor *w, uint32_t rows, struct dg_error *err)
{
    struct dg_tensor as_float = *x;

    if (w->dtype == DG_I8)
        as_float.dtype = x->dtype == DG_I8 ? DG_F32 : DG_I8;
    return dg_expect_shape(op, "x", &as_float, DG_ROWS, rows, w->cols, err);
}

enum dg_status dg_expect_panels(const struct dg_op *op, const char *what, const struct dg_tensor *w,
                                uint32_t rows, uint32_t cols, struct dg_error *err)
{
    struct dg_tensor as_float = *w;

    if (dg_kernels_scalar.matmul[w->dtype] && dg_can_pack(w))
        as_float.dtype = DG_F32;
    return dg_expect_shape(op, what, &as_float, DG_PANELS, rows, cols, err);
}

enum dg_status dg_expect_inputs(const struct dg_op *op, unsigned n, struct dg_error *err)
{
    if (op->n_in != n)
        return dg_fail(err, DG_ERR_USAGE, "op %s: inputs: got %u, expected %u", op->name, op->n_in,
                       n);
    return DG_OK;
}

/* A step of one row block would be one tile, for which all other workers would wait. */
enum { ROWS_ALONE = 16 };

struct dg_cut dg_cut_rows(const struct dg_op *op, const struct dg_tiling *tiling)
{
    const uint32_t rows = tiling->row_block;

    return (struct dg_cut){rows >= op->out->rows && rows > ROWS_ALONE ? ROWS_ALONE : rows,
                           op->out->cols};
}

/* A tile should hold enough weights that running it dwarfs handing it over, and few enough that each
 * worker gets several. Weights are what one row costs: it reads each of them once. It is a multiple of
 * four panels wide, where there are as many: four streams side by side come faster from memory than two
 * (docs/performance.md). */
enum { TILE_MOST = 96 << 10, TILE_LEAST = 4 << 10, TILES_PER_WORKER = 3, STREAMS = 4 * DG_LANES };

/* A matmul that is cut by heads gets whole heads (rounded up to whole panels): one, if that is wide
 * enough, so that attention waits for no other head's columns. */
struct dg_cut dg_cut_product(const struct dg_op *op, const struct dg_tiling *tiling)
{
    const uint32_t depth = op->in[1]->cols, cols = op->out->cols;
    const uint32_t share = cols / (TILES_PER_WORKER * tiling->workers);
    uint32_t unit = (uint32_t)dg_round_up(dg_div_up(TILE_LEAST, depth), STREAMS), width;

    if (unit > cols)
        unit = cols;
    if (tiling->col_block > 0) {
        width = tiling->col_block < cols ? tiling->col_block : cols;
    } else if (op->heads > 0) {
        width = (uint32_t)dg_round_up(cols / op->heads, DG_LANES);
        width *= (uint32_t)dg_div_up(unit, width);
    } else {
        width = TILE_MOST / depth < share ? TILE_MOST / depth : share;
        width = (uint32_t)dg_round_up(width > 0 ? width : 1, unit);
    }
    return (struct dg_cut){tiling->row_block, (uint32_t)dg_round_up(width, DG_LANES)};
}

uint64_t dg_product_bytes(const struct dg_op *op, struct dg_box out, unsigned more)
{
    const uint64_t depth = op->in[1]->cols, rows = out.r1 - out.r0, cols = out.c1 - out.c0;

    return rows * dg_row_bytes(op->in[0]) + sizeof(float) * more * cols +
           dg_dtype_bytes(op->out->dtype) * rows * cols +
           cols * dg_output_bytes(op->in[1]->dtype, depth);
}

size_t dg_rows_alike(const struct dg_step *step, size_t row, size_t most)
{
    const struct dg_row *first = &step->row[row];
    size_t n = 1;

    while (n < most && first[n].cache == first->cache && first[n].position == first->position + n)
        n++;
    return n;
}

struct dg_box dg_reads_same(const struct dg_op *op, unsigned i, struct dg_box out)
{
    (void)op;
    (void)i;
    return out;
}

/* A column of the output is a row of the weight, and a column of the bias. */
struct dg_box dg_reads_product(const struct dg_op *op, unsigned i, struct dg_box out)
{
    if (i == 1)
        return (struct dg_box){out.c0, out.c1, 0, op->in[1]->cols};
    if (i == 2)
        return (struct dg_box){0, 1, out.c0, out.c1};
    return (struct dg_box){out.r0, out.r1, 0, op->in[i]->cols};
}
