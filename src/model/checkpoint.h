/* checkpoint.h - llm.c's checkpoint files: a header and the weights, in one fixed order.
 *
 * The header is 256 little-endian int32: magic, version, maxT, V, L, NH, C, Vp, then zeros.
 *   version 1: float, wte has V rows (Vp is not used)
 *   version 3: float, wte has Vp >= V rows, the last Vp - V of them padding
 *   version 5: bf16, wte as in version 3
 * Then the sections below, each for all layers, without gaps. Matrices are (outputs, inputs),
 * row-major. */
#ifndef DG_MODEL_CHECKPOINT_H
#define DG_MODEL_CHECKPOINT_H

#include "../base/file.h"

enum { DG_CHECKPOINT_MAGIC = 20240326, DG_HEADER_BYTES = 1024 };

enum dg_section {
    DG_WTE,
    DG_WPE,
    DG_LN1W,
    DG_LN1B,
    DG_QKVW,
    DG_QKVB,
    DG_ATTPROJW,
    DG_ATTPROJB,
    DG_LN2W,
    DG_LN2B,
    DG_FCW,
    DG_FCB,
    DG_FCPROJW,
    DG_FCPROJB,
    DG_LNFW,
    DG_LNFB,
    DG_N_SECTIONS
};

/* One section: `count` matrices (1, or one for each layer) of rows x cols; a vector has 1 row. */
struct dg_section_shape {
    const char *name;
    uint32_t count, rows, cols;
};

struct dg_checkpoint_header {
    uint32_t version; /* 1, 3 or 5 */
    struct dg_sizes sizes;
    uint32_t padded_vocab; /* rows of wte in the file; version 1: sizes.vocab */
};

struct dg_section_shape dg_section_shape(const struct dg_checkpoint_header *h, enum dg_section s);

static inline uint32_t dg_element_bytes(const struct dg_checkpoint_header *h)
{
    return h->version == 5 ? 2 : 4;
}

/* Do the sizes make a model? DG_ERR_MODEL names the field, its value and what was expected; `path`
 * starts the message. Sizes that pass have at most 2^31 - 1 as each field, and a payload below 2^62
 * bytes. */
enum dg_status dg_checkpoint_check(const struct dg_checkpoint_header *h, const char *path,
                                   struct dg_error *err);

/* Bytes of a whole file, header included. The header must have passed dg_checkpoint_check(). */
uint64_t dg_checkpoint_bytes(const struct dg_checkpoint_header *h);

/* An open checkpoint whose size has been compared with its header. */
struct dg_checkpoint {
    struct dg_file file;
    struct dg_checkpoint_header header;
    uint64_t offset[DG_N_SECTIONS]; /* in bytes, from the start of the file */
};

/* The file at `path`; or data[0 ... n - 1], which `name` stands for in errors. */
enum dg_status dg_checkpoint_open(struct dg_checkpoint *c, const char *path, struct dg_error *err);
enum dg_status dg_checkpoint_open_memory(struct dg_checkpoint *c, const void *data, size_t n,
                                         const char *name, struct dg_error *err);
void dg_checkpoint_close(struct dg_checkpoint *c);

#endif
