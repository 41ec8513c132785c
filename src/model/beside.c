/* The tokenizer that belongs to a model. A format may have it in its file; else it is the first there is of some
 * files in the model's folder. A Hugging Face folder's tokenizer.json says most, and comes first there; beside a
 * file, where other models' may lie, too, the merges do. */
#include "format.h"
#include "../base/status.h"
#include "../text/vocabulary.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const in_folder[] = {"tokenizer.json", "merges.txt", "vocab.bpe",
                                        "gpt2_tokenizer.bin", NULL};
static const char *const beside_file[] = {"merges.txt", "vocab.bpe", "gpt2_tokenizer.bin",
                                          "tokenizer.json", NULL};

const char *const dg_weights_files[] = {"config.json",        "model.safetensors.index.json",
                                        "tokenizer.json",     "vocab.json",
                                        "merges.txt",         "vocab.bpe",
                                        "gpt2_tokenizer.bin", NULL};

/* The folder's file of that name to *path, which is NULL where there is none. */
static enum dg_status find(char **path, const struct dg_weights *w, const char *name,
                           struct dg_error *err)
{
    *path = dg_weights_path(w, name);
    if (!*path)
        return dg_fail_memory(err, "a name", strlen(name));
    if (access(*path, F_OK) != 0) {
        free(*path);
        *path = NULL;
    }
    return DG_OK;
}

static enum dg_status open_first(struct dg_tokenizer **out, const struct dg_weights *w,
                                 const char *const *names, struct dg_error *err)
{
    for (; *names; names++) {
        char *path;
        enum dg_status st = find(&path, w, *names, err);

        if (st == DG_OK && path)
            st = dg_tokenizer_open(out, path, err);
        if (st != DG_OK || path) {
            free(path);
            return st;
        }
    }
    return DG_OK;
}

/* A folder that has vocab.json, too, may not contradict itself. */
static enum dg_status check_vocab(const struct dg_tokenizer *t, const struct dg_weights *w,
                                  struct dg_error *err)
{
    char *path;
    enum dg_status st = find(&path, w, "vocab.json", err);

    if (st == DG_OK && path)
        st = dg_vocabulary_agrees(t, path, err);
    free(path);
    return st;
}

enum dg_status dg_weights_tokenizer_if_any(struct dg_tokenizer **out, const struct dg_weights *w,
                                           struct dg_error *err)
{
    const bool folder = !w->format->claims;
    struct dg_tokenizer *t = NULL;
    enum dg_status st = w->format->tokenizer ? w->format->tokenizer(&t, w, err) : DG_OK;

    if (st == DG_OK && !t && w->folder) {
        st = open_first(&t, w, folder ? in_folder : beside_file, err);
        if (st == DG_OK && t && folder)
            st = check_vocab(t, w, err);
    }
    if (st != DG_OK) {
        dg_tokenizer_free(t);
        return st;
    }
    if (t)
        dg_vocabulary_ends(t, w->begin, w->end);
    *out = t;
    return DG_OK;
}

enum dg_status dg_weights_tokenizer(struct dg_tokenizer **out, const struct dg_weights *w,
                                    struct dg_error *err)
{
    const enum dg_status st = dg_weights_tokenizer_if_any(out, w, err);

    if (st != DG_OK || *out)
        return st;
    return dg_fail(err, DG_ERR_TOKEN,
                   "%s: no merges.txt, vocab.bpe, gpt2_tokenizer.bin or tokenizer.json %s it",
                   w->name, w->format->claims ? "beside" : "in");
}
