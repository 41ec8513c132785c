/* format.h - what a reader of a file format does. A new format is a file in formats/, and a line in
 * format.c. */
#ifndef DG_MODEL_FORMAT_H
#define DG_MODEL_FORMAT_H

#include "weights.h"

struct dg_format {
    const char *name;

    /* Does a file that begins with these bytes claim to be of this format? */
    bool (*claims)(const unsigned char *head, size_t n);

    /* From w->file: fills sizes, which must pass dg_sizes_check(), version and dtype, and compares
     * them with the size of the file; then calls dg_weights_allocate() and fills w->sources. DG_ERR_MODEL,
     * DG_ERR_IO. */
    enum dg_status (*read)(struct dg_weights *w, struct dg_error *err);
};

enum { DG_FORMAT_HEAD = 16 }; /* bytes that claims() gets, fewer of a shorter file */

extern const struct dg_format dg_format_llmc;

#endif
