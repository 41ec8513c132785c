/* writer.h - what a writer of a file format does: of a model that is open it makes the format's file or folder. A new
 * one is a file in formats/, and a line here and in writer.c. format.h is the same for readers.
 * Memory:  a writer holds some lines of one tensor at a time, whatever the model's size.
 * Threads: none. */
#ifndef DG_MODEL_WRITER_H
#define DG_MODEL_WRITER_H

#include "weights.h"

#include <stdio.h>

/* A model on its way from one file to another. */
struct dg_conversion {
    const struct dg_writer *writer;
    const struct dg_weights *weights;
    const struct dg_tokenizer *tokenizer; /* of sizes.vocab tokens; NULL: there is none at hand */
    /* DG_F32, DG_BF16, DG_F16: of all elements; of a packed file's matrices also DG_I8; DG_N_DTYPES: as the format
     * has it. */
    enum dg_dtype dtype;

    /* A new file for what is written from now on: a folder's of that name, or the only one, name NULL. It is closed by
     * who opened it, may be a pipe, and takes bytes from front to back: nobody seeks. NULL: it cannot be written. */
    FILE *(*open)(void *arg, const char *name);

    /* So many elements more are on their way. False: that was all, for the disk is full or the user has left. */
    bool (*tell)(void *arg, uint64_t elements);
    void *arg;
};

struct dg_writer {
    const char *name;   /* "llmc3" */
    const char *ending; /* of files that get this format for their name, ".gguf"; NULL: none do */
    const char *about;  /* "an llm.c checkpoint of version 3" */
    const char *const *
        files; /* NULL: it writes one file; else a folder, of these, NULL-terminated, or some of them */
    bool tokenizer;   /* it holds one */
    uint32_t version; /* where writers of one format differ in it */

    /* Is there nothing in the model that the format does not hold? DG_ERR_MODEL names it. */
    enum dg_status (*check)(const struct dg_conversion *c, struct dg_error *err);

    /* After check(). DG_ERR_CANCELLED: a file, or tell(), has said no. DG_ERR_MODEL, DG_ERR_IO: of what is read;
     * DG_ERR_RESOURCE. */
    enum dg_status (*write)(const struct dg_conversion *c, struct dg_error *err);
};

extern const struct dg_writer dg_writer_llmc1;
extern const struct dg_writer dg_writer_llmc3;
extern const struct dg_writer dg_writer_llmc5;
extern const struct dg_writer dg_writer_huggingface;
extern const struct dg_writer dg_writer_gguf;
extern const struct dg_writer dg_writer_packed;

/* All of them, NULL-terminated. */
extern const struct dg_writer *const dg_writers[];

/* The writer that `path` asks for by its ending, which of two of one ending is said by dtype or, of DG_N_DTYPES, by
 * what the weights are; NULL: it asks for none. */
const struct dg_writer *dg_writer_for(const char *path, const struct dg_weights *w,
                                      enum dg_dtype dtype);

/* The ids that begin and end a text; -1: nobody says so. */
int32_t dg_conversion_begin(const struct dg_conversion *c);
int32_t dg_conversion_end(const struct dg_conversion *c);

/* Elements of all weights: what tell() hears of in the end. */
uint64_t dg_conversion_elements(const struct dg_weights *w);

/* ---- for writers ---- */

/* A tensor of a file: a weight, or `parts` of them, first, first + 2, ..., as q, k and v stand in enum dg_weight. */
struct dg_written {
    enum dg_weight first;
    uint32_t parts;  /* 1 or 3 */
    uint32_t layer;  /* of those in layers */
    bool transposed; /* as (inputs, outputs), parts side by side; else parts follow each other */
    enum dg_dtype dtype; /* DG_F32, DG_BF16, DG_F16 */
};

/* As the conversion says, or else as its source has it, where that is one of those three and the same of all parts; or
 * else DG_F32. */
enum dg_dtype dg_written_dtype(const struct dg_conversion *c, const struct dg_written *t);

uint64_t dg_written_elements(const struct dg_sizes *sizes, const struct dg_written *t);

/* Elements are rounded to nearest, ties to even, where the dtype is narrower than theirs; a NaN stays one. In
 * DG_F16 a number that would become infinite is refused: DG_ERR_MODEL. */
enum dg_status dg_write_tensor(const struct dg_conversion *c, FILE *to, const struct dg_written *t,
                               struct dg_error *err);

/* The same by blocks of so many elements, 32 or more; the bytes do not depend on it. */
enum dg_status dg_write_tensor_by(const struct dg_conversion *c, FILE *to,
                                  const struct dg_written *t, size_t block, struct dg_error *err);

/* In place: floats buf[0 ... n - 1] to elements of that dtype, one after the other. False: a number would become
 * infinite in DG_F16. */
bool dg_narrow(enum dg_dtype dtype, float *buf, size_t n);

#endif
