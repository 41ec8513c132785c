/* format.h - what a reader of a file format does. A new format is a file in formats/, and a line here and in
 * format.c. */
#ifndef DG_MODEL_FORMAT_H
#define DG_MODEL_FORMAT_H

#include "weights.h"

struct dg_format {
    const char *name;

    /* Does a file that begins with these bytes, DG_KIND_HEAD or all there are, claim to be of this format?
     * NULL: it reads folders. */
    bool (*claims)(const unsigned char *head, size_t n);

    /* From w->files[0], or a folder's reader from w->folder: fills sizes and recipe, which must pass
     * dg_sizes_check(), version and dtype, and compares them with the size of the file; then calls
     * dg_weights_allocate() and fills w->sources. DG_ERR_MODEL, DG_ERR_IO. */
    enum dg_status (*read)(struct dg_weights *w, struct dg_error *err);

    /* The tokenizer in w->files[0]; NULL: the format has none; *out NULL: this file has none. DG_ERR_TOKEN. */
    enum dg_status (*tokenizer)(struct dg_tokenizer **out, const struct dg_weights *w,
                                struct dg_error *err);

    /* Are all bytes of w->files[0] those that were written? NULL: the format cannot tell. DG_ERR_MODEL, DG_ERR_IO. */
    enum dg_status (*verify)(const struct dg_weights *w, struct dg_error *err);
};

extern const struct dg_format dg_format_llmc;
extern const struct dg_format dg_format_gguf;
extern const struct dg_format dg_format_huggingface;
extern const struct dg_format dg_format_packed;

#endif
