/* packed.h - a packed file of any model. */
#ifndef DG_TESTS_PACKED_H
#define DG_TESTS_PACKED_H

#include "support.h"
#include "../../src/model/writer.h"

#include <stdio.h>

static inline FILE *pack_open(void *arg, const char *name)
{
    ck_assert_ptr_null(name);
    return arg;
}

static inline bool pack_tell(void *arg, uint64_t elements)
{
    return arg && elements > 0;
}

/* Writes the model at `from`, with its tokenizer if it has one, as a packed file to `to`. */
static inline void pack_model(const char *from, FILE *to)
{
    struct dg_conversion c = {.writer = &dg_writer_packed,
                              .dtype = DG_N_DTYPES,
                              .open = pack_open,
                              .tell = pack_tell,
                              .arg = to};
    struct dg_tokenizer *t = NULL;
    struct dg_error err = {0};
    struct dg_weights *w;

    ck_assert_ptr_nonnull(to);
    ck_assert_msg(dg_weights_open(&w, from, &err) == DG_OK, "%s", err.text);
    if (dg_weights_tokenizer(&t, w, NULL) == DG_OK && dg_tokenizer_vocab(t) == w->sizes.vocab)
        c.tokenizer = t;
    c.weights = w;
    ck_assert_int_eq(c.writer->check(&c, &err), DG_OK);
    ck_assert_msg(c.writer->write(&c, &err) == DG_OK, "%s", err.text);
    dg_tokenizer_free(t);
    dg_weights_close(w);
}

/* The same to a file of that name in the folder of the build, whose path goes to path[size]. */
static inline void pack_file(const char *from, const char *name, char *path, size_t size)
{
    FILE *to = fopen(build_path(name, path, size), "wb");

    pack_model(from, to);
    ck_assert_int_eq(fclose(to), 0);
}

#endif
