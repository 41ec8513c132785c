/* Which reader a file gets. Sizes that a file claims are compared with its real size before anything is
 * allocated for them; the readers see to that. */
#include "format.h"
#include "../base/kind.h"
#include "../base/status.h"

#include <stdlib.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "weights are read as they lie in the file: little-endian"
#endif

/* A file that is no model, by what it seems to be. */
static enum dg_status refuse(const char *name, const struct dg_kind *kind, struct dg_error *err)
{
    return dg_fail(err, DG_ERR_MODEL, "%s: kind of file: got %s, expected an llm.c checkpoint%s%s",
                   name, kind->name, kind->advice ? "; " : "", kind->advice ? kind->advice : "");
}

/* The format that the file claims to be of; the first where it claims none and is of no known kind: its
 * reader says what it expected. */
static enum dg_status find_format(const struct dg_format **out, const struct dg_file *file,
                                  const char *name, struct dg_error *err)
{
    static const struct dg_format *const formats[] = {&dg_format_llmc};
    unsigned char head[DG_KIND_HEAD];
    const size_t n = file->bytes < sizeof head ? (size_t)file->bytes : sizeof head;
    const int failed = dg_file_read(file, 0, head, n);
    const struct dg_kind *kind = failed ? NULL : dg_kind_of(head, n);

    *out = formats[0];
    for (size_t i = 0; !failed && i < sizeof formats / sizeof *formats; i++) {
        if (formats[i]->claims(head, n)) {
            *out = formats[i];
            return DG_OK;
        }
    }
    return kind ? refuse(name, kind, err) : DG_OK;
}

/* Takes over an open file, also on errors. */
static enum dg_status open_rest(struct dg_weights **out, struct dg_file file, const char *name,
                                struct dg_error *err)
{
    const struct dg_format *format;
    enum dg_status st = find_format(&format, &file, name, err);
    struct dg_weights *w = st == DG_OK ? calloc(1, sizeof *w) : NULL;

    if (!w) {
        dg_file_close(&file);
        return st == DG_OK ? dg_fail_memory(err, "a table of weights", sizeof *w) : st;
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
