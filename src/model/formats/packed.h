/* packed.h - how a packed file is laid out (docs/formats/packed.md), for its reader (packed.c) and its writer.
 *
 * A head, a table of sections, zeros up to a page, and the sections, each from a page on: a weight each, in the
 * order of dg_weight_place(); a tokenizer, which may be missing; and the sums of all of these. So all but the
 * sums and the tokenizer's size follows from the sizes and dtypes of the model: a reader computes what must be
 * there and compares. */
#ifndef DG_MODEL_FORMATS_PACKED_H
#define DG_MODEL_FORMATS_PACKED_H

#include "../model.h"

#define DG_PACKED_MAGIC                                                                            \
    "\x89"                                                                                         \
    "dagpt\r\n"

enum {
    DG_PACKED_VERSION = 1,
    DG_PACKED_ORDER = 0x01020304, /* as a little-endian machine writes it */
    DG_PACKED_PAGE = 4096,
    DG_PACKED_NAME = 24
};

/* As it lies in the file. */
struct dg_packed_head {
    char magic[8];
    uint32_t version, order;
    uint32_t lanes, page; /* DG_LANES, DG_PACKED_PAGE */
    uint32_t sections;    /* in the table */
    uint32_t sum;         /* CRC-32 of all before the first section, with 0 here */
    uint64_t bytes;       /* of the file */
    uint32_t positions, vocab, layers, heads, channels;
    float epsilon;
    uint32_t activation, own_head;
    int32_t begin, end; /* -1: the model says nothing */
    uint32_t zero[4];
};

enum dg_packed_layout { DG_PACKED_BYTES, DG_PACKED_ROWS, DG_PACKED_PANELS };

/* As it lies in the file. A section has `bytes` bytes from `offset` on, and zeros behind them up to where the
 * next begins; nothing follows the last. */
struct dg_packed_section {
    char name
        [DG_PACKED_NAME]; /* of the weight, "h3.q.weight"; "tokenizer", "sums"; zeros behind it */
    uint32_t dtype;       /* 0: bytes; else of the list in packed.c */
    uint32_t layout;      /* an enum dg_packed_layout */
    uint32_t rows, cols;  /* of a weight */
    uint32_t group;       /* elements that share a scale; 0: there are no scales */
    uint32_t zero;
    uint64_t offset, bytes;
};

_Static_assert(sizeof(struct dg_packed_head) == 96 && sizeof(struct dg_packed_section) == 64,
               "dagpt: these structs are the bytes of a file");

/* Where all of a file's sections lie. */
struct dg_packed {
    struct dg_packed_section *sections; /* [n] the caller's to free */
    uint32_t n;
    uint64_t bytes; /* of the file */
};

/* The file of a model whose weights are to be in memory as the tensors of the outline m are, with a tokenizer of
 * so many bytes, or 0: none. */
enum dg_status dg_packed_plan(struct dg_packed *p, const struct dg_model *m, uint64_t tokenizer,
                              struct dg_error *err);

/* Where the first of n sections begins; where the one behind section i does, or the file ends. */
uint64_t dg_packed_first(uint32_t n);
uint64_t dg_packed_next(const struct dg_packed *p, uint32_t i);

#endif
