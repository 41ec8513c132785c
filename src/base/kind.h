/* kind.h - what a file seems to be, by its first bytes: for the message about one that is not what was
 * expected. */
#ifndef DG_BASE_KIND_H
#define DG_BASE_KIND_H

#include <stddef.h>

enum { DG_KIND_HEAD = 512 }; /* first bytes that are looked at, at the most */

enum dg_kind_id {
    DG_KIND_OTHER,
    DG_KIND_TEXT, /* nothing but text; or nothing */
    DG_KIND_JSON,
    DG_KIND_LLMC_TOKENIZER,
};

struct dg_kind {
    const char *name;   /* "a GGUF file" */
    const char *advice; /* what may be done about it; NULL: nothing is known */
    enum dg_kind_id id;
};

/* The kind of a file that begins with head[0 ... n - 1]; NULL where it looks like none that is known. The
 * result is a constant. */
const struct dg_kind *dg_kind_of(const void *head, size_t n);

#endif
