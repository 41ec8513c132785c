/* pack.h - how floats become a weight in memory, and back: a new dtype of weights is a packer here, and a
 * product in each table of kernels. */
#ifndef DG_OPS_PACK_H
#define DG_OPS_PACK_H

#include "../graph/tensor.h"

/* Is there a packer for the weight's layout and dtype? */
bool dg_can_pack(const struct dg_tensor *w);

/* Stores rows row ... row + n - 1 of a weight from rows[n][cols], n <= DG_LANES. In panels row is a
 * multiple of DG_LANES, and lanes past the last row of the weight stay as they are: zero. */
void dg_pack(const struct dg_tensor *w, size_t row, size_t n, const float *rows);

/* Stores columns 32 g ... 32 g + 31 of a row of a weight of int8, of whose values those past its end are 0. */
void dg_pack_group(const struct dg_tensor *w, size_t row, size_t g, float scale,
                   const int8_t *values);

/* Stores columns col ... col + n - 1 from columns[n][rows], of int8 whole groups of them; of those lanes past
 * the last row stay as they are, too. */
void dg_pack_columns(const struct dg_tensor *w, size_t col, size_t n, const float *columns);

/* One row of it, to to[cols]. */
void dg_unpack(const struct dg_tensor *w, size_t row, float *to);

/* The first n elements of a group of int8. */
void dg_unpack_group(const struct dg_panel_group *g, size_t lane, float *to, size_t n);

/* row[0 ... n - 1] becomes what a weight of that dtype, which has a packer, makes of it. */
void dg_pack_round(enum dg_dtype dtype, float *row, size_t n);

#endif
