/* cover.h - how much of boxes other boxes cover. */
#ifndef DG_GRAPH_COVER_H
#define DG_GRAPH_COVER_H

#include "tensor.h"

/* covered[i]: the elements of of[i], each as often as it is in one of by[0 ... n - 1]. Time grows with n + m, but for a
 * logarithm. False: out of memory. */
bool dg_cover(const struct dg_box *by, size_t n, const struct dg_box *of, size_t m,
              uint64_t *covered);

#endif
