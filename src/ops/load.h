/* load.h - where a load op gets its bytes. */
#ifndef DG_OPS_LOAD_H
#define DG_OPS_LOAD_H

#include "../base/file.h"

/* A matrix in a file, row-major, without gaps. op->source of a load op points to one. */
struct dg_source {
    const struct dg_file *file;
    uint64_t offset; /* of the first row, in bytes */
    bool bf16;       /* 2 bytes an element, the upper half of a float; else float, 4 bytes */
};

#endif
