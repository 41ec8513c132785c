/* safetensors.h - the tensors in a safetensors file: 8 little-endian bytes of a length, so many of JSON, which
 * names each tensor with its dtype, its shape and where in the rest it lies. */
#ifndef DG_MODEL_FORMATS_SAFETENSORS_H
#define DG_MODEL_FORMATS_SAFETENSORS_H

#include "../../base/file.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DG_SAFETENSORS_DIMS = 8, DG_SAFETENSORS_NAME = 256 };

struct dg_safetensor {
    char name[DG_SAFETENSORS_NAME]; /* cut where it is longer */
    char dtype[16];                 /* "F32" */
    uint32_t n_dims;
    uint64_t shape[DG_SAFETENSORS_DIMS];
    uint64_t offset, bytes; /* in the file */
};

/* Calls each(arg, tensor) for every tensor, in the order of the header, which is checked whole before: the
 * file is its header and the tensors without overlap and gap. A status of each() that is not DG_OK ends it and
 * is returned. `name` stands for the file in errors. DG_ERR_MODEL, DG_ERR_IO, DG_ERR_RESOURCE. */
enum dg_status dg_safetensors_read(const struct dg_file *file, const char *name,
                                   enum dg_status (*each)(void *arg,
                                                          const struct dg_safetensor *tensor,
                                                          struct dg_error *err),
                                   void *arg, struct dg_error *err);

#endif
