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

const char *const dg_weights_files[] = {"config.json",
                                        "generation_config.json",
                                        "model.safetensors.index.json",
                                        "tokenizer.json",
                                        "vocab.json",
                                        "merges.txt",
                                        "vocab.bpe",
                                        "gpt2_tokenizer.bin",
                                        "added_tokens.json",
                                        "tokenizer_config.json",
                                        "special_tokens_map.json",
                                        NULL};

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

/* What a folder's other files say of the tokens; vocab.json may not contradict. */
static enum dg_status complete(struct dg_tokenizer **t, const struct dg_weights *w,
                               struct dg_error *err)
{
    static const struct {
        const char *name;
        enum dg_status (*read)(struct dg_tokenizer **t, const char *path, struct dg_error *err);
    } files[] = {{"added_tokens.json", dg_vocabulary_added},
                 {"tokenizer_config.json", dg_vocabulary_named},
                 {"special_tokens_map.json", dg_vocabulary_named},
                 {"vocab.json", dg_vocabulary_agrees}};
    enum dg_status st = DG_OK;

    for (size_t i = 0; i < sizeof files / sizeof *files && st == DG_OK; i++) {
        char *path;

        st = find(&path, w, files[i].name, err);
        if (st == DG_OK && path)
            st = files[i].read(t, path, err);
        free(path);
    }
    return st;
}

/* Where the folder lists the tokens they are made as many as the model has ids. The merges alone are no list: it
 * may be that some are missing. */
static enum dg_status fit(struct dg_tokenizer **t, const struct dg_weights *w, struct dg_error *err)
{
    static const char *const lists[] = {"tokenizer.json", "vocab.json"};

    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        char *path;
        const enum dg_status st = find(&path, w, lists[i], err);

        if (st != DG_OK)
            return st;
        if (path) {
            free(path);
            return dg_vocabulary_fit(t, w->sizes.vocab, w->name, err);
        }
    }
    return DG_OK;
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
            st = complete(&t, w, err);
        if (st == DG_OK && t && folder)
            st = fit(&t, w, err);
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

enum dg_status dg_tokenizer_of_model(struct dg_tokenizer **out, const char *path,
                                     struct dg_error *err)
{
    struct dg_weights *w;
    enum dg_status st;

    if (!dg_is_place(out, err) || !dg_is_given(path, "path", err))
        return DG_ERR_USAGE;
    st = dg_weights_open(&w, path, err);
    if (st != DG_OK)
        return st;
    st = dg_weights_tokenizer(out, w, err);
    dg_weights_close(w);
    return st;
}
