/* Which reader a file gets. Sizes that a file claims are compared with its real size before anything is
 * allocated for them; the readers see to that. */
#include "format.h"
#include "../base/kind.h"
#include "../base/platform.h"
#include "../base/status.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A file that is no model, by what it seems to be. */
static enum dg_status refuse(const char *name, const struct dg_kind *kind, struct dg_error *err)
{
    return dg_fail(err, DG_ERR_MODEL,
                   "%s: kind of file: got %s, expected a Hugging Face folder, a GGUF file, a "
                   "packed file or an "
                   "llm.c checkpoint%s%s",
                   name, kind->name, kind->advice ? "; " : "", kind->advice ? kind->advice : "");
}

/* The format that the file claims to be of; the first where it claims none and is of no known kind: its
 * reader says what it expected. */
static enum dg_status find_format(const struct dg_format **out, const struct dg_file *file,
                                  const char *name, struct dg_error *err)
{
    static const struct dg_format *const formats[] = {&dg_format_llmc, &dg_format_gguf,
                                                      &dg_format_packed};
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

/* The folder of a file: all before its name. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return strndup(path, slash ? (size_t)(slash - path) + 1 : 0);
}

static struct dg_weights *new_weights(const char *name, char *folder)
{
    struct dg_weights *w = calloc(1, sizeof *w);

    if (!w) {
        free(folder);
        return NULL;
    }
    w->name = strdup(name);
    w->folder = folder;
    w->recipe = DG_GPT2_RECIPE;
    w->begin = w->end = -1;
    if (!w->name) {
        dg_weights_close(w);
        return NULL;
    }
    return w;
}

/* Takes over the weights, also on errors. */
static enum dg_status read_rest(struct dg_weights **out, struct dg_weights *w, struct dg_error *err)
{
    const enum dg_status st = w->format->read(w, err);

    if (st == DG_OK)
        *out = w;
    else
        dg_weights_close(w);
    return st;
}

/* Takes over an open file and the name of its folder, also on errors. */
static enum dg_status open_rest(struct dg_weights **out, struct dg_file file, const char *name,
                                char *folder, struct dg_error *err)
{
    struct dg_weights *w = new_weights(name, folder);
    enum dg_status st = DG_OK;

    if (w)
        w->files = malloc(sizeof *w->files);
    if (!w || !w->files) {
        dg_weights_close(w);
        dg_file_close(&file);
        return dg_fail_memory(err, "a table of weights", sizeof *w);
    }
    w->files[0] = file;
    w->n_files = 1;
    w->bytes = file.bytes;
    st = find_format(&w->format, &file, name, err);
    if (st == DG_OK)
        return read_rest(out, w, err);
    dg_weights_close(w);
    return st;
}

static enum dg_status open_folder(struct dg_weights **out, const char *path, struct dg_error *err)
{
    const size_t n = strlen(path);
    char *folder = malloc(n + 2);
    struct dg_weights *w;

    if (folder) {
        memcpy(folder, path, n + 1);
        if (path[n - 1] != '/')
            memcpy(folder + n, "/", 2);
    }
    w = folder ? new_weights(path, folder) : NULL;
    if (!w)
        return dg_fail_memory(err, "a table of weights", sizeof *w);
    w->format = &dg_format_huggingface;
    return read_rest(out, w, err);
}

enum dg_status dg_weights_open(struct dg_weights **out, const char *path, struct dg_error *err)
{
    struct dg_file file;
    struct stat about;
    char *folder;
    enum dg_status st;

    if (stat(path, &about) == 0 && S_ISDIR(about.st_mode))
        return open_folder(out, path, err);
    st = dg_file_open(&file, path, err);
    if (st != DG_OK)
        return st;
    folder = folder_of(path);
    if (!folder) {
        dg_file_close(&file);
        return dg_fail_memory(err, "a name", strlen(path));
    }
    return open_rest(out, file, path, folder, err);
}

enum dg_status dg_weights_open_memory(struct dg_weights **out, const void *data, size_t n,
                                      const char *name, struct dg_error *err)
{
    return open_rest(out, dg_file_of_memory(data, n), name, NULL, err);
}

enum dg_status dg_weights_verify(const struct dg_weights *w, struct dg_error *err)
{
    if (!w->format->verify)
        return dg_fail(err, DG_ERR_USAGE,
                       "%s: format: got %s, which has no sums to verify, expected a packed file",
                       w->name, w->format->name);
    return w->format->verify(w, err);
}
