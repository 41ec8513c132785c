/* load.h - where a load op, and an embed op before wte is loaded, gets its bytes. */
#ifndef DG_OPS_LOAD_H
#define DG_OPS_LOAD_H

#include "../base/file.h"
#include "../graph/graph.h"

/* A matrix in a file, row-major, without gaps. op->source points to one; NULL in a graph that is only
 * looked at. */
struct dg_source {
    const struct dg_file *file;
    uint64_t offset; /* of the first row, in bytes */
    bool bf16;       /* 2 bytes an element, the upper half of a float; else float, 4 bytes */
};

/* Adds to the graph a copy of a weight, and the op that loads it. Returns the copy. */
struct dg_tensor *dg_graph_load(struct dg_graph *g, const struct dg_tensor *weight, int layer,
                                const struct dg_source *source);

/* Elements at ... at + n - 1 of the source, as floats. 0, or an errno value. */
int dg_source_read(const struct dg_source *s, uint64_t at, size_t n, float *buf);

#endif
