/* Which reader a file gets. Sizes that a file claims are compared with its real size before anything is
 * allocated for them; the readers see to that. */
#include "format.h"
#include "../base/status.h"

#include <stdlib.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "weights are read as they lie in the file: little-endian"
#endif

/* The format that the file claims to be of; the first where it claims none, whose reader says what it
 * expected. */
static const struct dg_format *format_of(const struct dg_file *file)
{
    static const struct dg_format *const formats[] = {&dg_format_llmc};
    unsigned char head[DG_FORMAT_HEAD];
    const size_t n = file->bytes < sizeof head ? (size_t)file->bytes : sizeof head;

    if (dg_file_read(file, 0, head, n) == 0)
        for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
            if (formats[i]->claims(head, n))
                return formats[i];
    return formats[0];
}

/* Takes over an open file, also on errors. */
static enum dg_status open_rest(struct dg_weights **out, struct dg_file file, const char *name,
                                struct dg_error *err)
{
    const struct dg_format *format = format_of(&file);
    struct dg_weights *w = calloc(1, sizeof *w);
    enum dg_status st;

    if (!w) {
        dg_file_close(&file);
        return dg_fail_memory(err, "a table of weights", sizeof *w);
    }
    w->file = file;
    w->format = format->name;
    w->name = strdup(name);
    st = w->name ? format->read(w, err) : dg_fail_memory(err, "a name", strlen(name));
    if (st == DG_OK)
        *out = w;
    else
        dg_weights_close(w);
    return st;
}

enum dg_status dg_weights_open(struct dg_weights **out, const char *path, struct dg_error *err)
{
    struct dg_file file;
    const enum dg_status st = dg_file_open(&file, path, err);

    return st == DG_OK ? open_rest(out, file, path, err) : st;
}

enum dg_status dg_weights_open_memory(struct dg_weights **out, const void *data, size_t n,
                                      const char *name, struct dg_error *err)
{
    return open_rest(out, dg_file_of_memory(data, n), name, err);
}
