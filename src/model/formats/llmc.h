/* llmc.h - how an llm.c checkpoint is laid out, for its reader (llmc.c) and for who writes one.
 *
 * The header is 256 little-endian int32: magic, version, maxT, V, L, NH, C, Vp, then zeros.
 *   version 1: float, wte has V rows (Vp is not used)
 *   version 3: float, wte has Vp >= V rows, the last Vp - V of them padding
 *   version 5: bf16, wte as in version 3
 * Then the sections, without gaps, each for all layers. Matrices are (outputs, inputs), row-major. */
#ifndef DG_MODEL_FORMATS_LLMC_H
#define DG_MODEL_FORMATS_LLMC_H

#include "../weights.h"

enum { DG_LLMC_MAGIC = 20240326, DG_LLMC_HEADER_BYTES = 1024, DG_LLMC_SECTIONS = 16 };

struct dg_llmc_header {
    uint32_t version; /* 1, 3 or 5 */
    struct dg_sizes sizes;
    uint32_t padded_vocab; /* rows of wte in the file; version 1: sizes.vocab */
};

/* Section i: `times` matrices, 1 or one for each layer, of rows x cols (a vector has 1 row). Each is one
 * weight, or `parts` weights of equal size, rows after rows: first, first + step, ... */
struct dg_llmc_section {
    enum dg_weight first;
    uint32_t parts, step;
    uint32_t times, rows, cols;
};

struct dg_llmc_section dg_llmc_section(const struct dg_llmc_header *h, int i);

static inline enum dg_dtype dg_llmc_dtype(const struct dg_llmc_header *h)
{
    return h->version == 5 ? DG_BF16 : DG_F32;
}

/* Do the fields make a checkpoint? DG_ERR_MODEL names the field, its value and what was expected; `name`
 * starts the message. */
enum dg_status dg_llmc_check(const struct dg_llmc_header *h, const char *name,
                             struct dg_error *err);

#endif
