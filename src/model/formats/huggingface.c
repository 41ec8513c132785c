/* Reads Hugging Face folders of GPT-2: config.json, and the weights in model.safetensors, or in several files that
 * model.safetensors.index.json lists. Matrices are stored (inputs, outputs), but for the embeddings and lm_head. */
#include "../format.h"
#include "../../base/json.h"
#include "config.h"
#include "named.h"
#include "safetensors.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_SHARDS = 256, FILE_NAME = 256 };
#define MOST_INDEX 100000000
#define WEIGHTS    "model.safetensors"
#define INDEX      WEIGHTS ".index.json"

static const struct dg_weight_name outside[] = {
    {"wte.weight", DG_WTE, 1},     {"wpe.weight", DG_WPE, 1},      {"ln_f.weight", DG_LNF_GAIN, 1},
    {"ln_f.bias", DG_LNF_BIAS, 1}, {"lm_head.weight", DG_HEAD, 1},
};

static const struct dg_weight_name inside[] = {
    {"ln_1.weight", DG_LN1_GAIN, 1},
    {"ln_1.bias", DG_LN1_BIAS, 1},
    {"attn.c_attn.weight", DG_Q_WEIGHT, 3},
    {"attn.c_attn.bias", DG_Q_BIAS, 3},
    {"attn.c_proj.weight", DG_PROJ_WEIGHT, 1},
    {"attn.c_proj.bias", DG_PROJ_BIAS, 1},
    {"ln_2.weight", DG_LN2_GAIN, 1},
    {"ln_2.bias", DG_LN2_BIAS, 1},
    {"mlp.c_fc.weight", DG_FC_WEIGHT, 1},
    {"mlp.c_fc.bias", DG_FC_BIAS, 1},
    {"mlp.c_proj.weight", DG_FCPROJ_WEIGHT, 1},
    {"mlp.c_proj.bias", DG_FCPROJ_BIAS, 1},
};

const struct dg_weight_names dg_huggingface_names = {
    "h.", outside, sizeof outside / sizeof *outside, inside, sizeof inside / sizeof *inside};

/* The causal mask, which transformers kept with the weights. */
static bool is_mask(const char *name, uint32_t layers)
{
    const char *rest;
    uint32_t layer;

    return strncmp(name, "h.", 2) == 0 && dg_layer_of(name + 2, layers, &layer, &rest) &&
           (strcmp(rest, "attn.bias") == 0 || strcmp(rest, "attn.masked_bias") == 0);
}

struct reader {
    struct dg_weights *w;
    const char *path;           /* of the file at hand */
    const struct dg_file *file; /* that file */
    struct dg_names *index;     /* tensors by shard; NULL: one file has all */
    uint32_t shard;
    size_t n_tensors;
};

static enum dg_status dtype_of(const struct reader *r, const struct dg_safetensor *t,
                               enum dg_dtype *dtype, struct dg_error *err)
{
    if (strcmp(t->dtype, "F32") == 0)
        *dtype = DG_F32;
    else if (strcmp(t->dtype, "F16") == 0)
        *dtype = DG_F16;
    else if (strcmp(t->dtype, "BF16") == 0)
        *dtype = DG_BF16;
    else
        return dg_fail(err, DG_ERR_MODEL,
                       "%s: tensor '%s': dtype: got %s, expected F32, F16 or BF16", r->path,
                       t->name, t->dtype);
    return DG_OK;
}

static enum dg_status place(void *arg, const struct dg_safetensor *t, struct dg_error *err)
{
    static const char prefix[] = "transformer.";
    struct reader *r = arg;
    const bool prefixed = strncmp(t->name, prefix, sizeof prefix - 1) == 0;
    const char *name = t->name + (prefixed ? sizeof prefix - 1 : 0);
    const struct dg_weight_name *as;
    uint32_t layer = 0;
    enum dg_dtype dtype = DG_F32;
    enum dg_status st;

    r->n_tensors++;
    if (r->index && dg_names_find(r->index, r->shard, t->name, strlen(t->name)) == SIZE_MAX)
        return dg_fail(err, DG_ERR_MODEL, "%s: tensor '%s': got it here, expected it as %s says",
                       r->path, t->name, INDEX);
    if (is_mask(name, r->w->sizes.layers))
        return DG_OK;
    as = dg_name_find(&dg_huggingface_names, name, r->w->sizes.layers, &layer);
    if (!as)
        return dg_fail(err, DG_ERR_MODEL,
                       "%s: tensor '%s': got one that a GPT-2 of %" PRIu32 " layers does not have",
                       r->path, t->name, r->w->sizes.layers);
    st = dtype_of(r, t, &dtype, err);
    if (st != DG_OK)
        return st;
    return dg_named_place(r->w, as, layer, r->file, t->offset, dtype, t->shape, t->n_dims,
                          as->first >= DG_N_WEIGHTS_OUTSIDE, t->name, r->path, err);
}

/* ---- the files ---- */

/* Without memory of its own, lack of which would read as lack of the file. */
static bool has(const struct dg_weights *w, const char *name)
{
    char path[PATH_MAX];
    const int n = snprintf(path, sizeof path, "%s%s", w->folder, name);

    return n > 0 && n < PATH_MAX && access(path, F_OK) == 0;
}

/* A folder that has its weights in another format says what may be done. */
static enum dg_status no_weights(const struct dg_weights *w, struct dg_error *err)
{
    static const char *const others[] = {"pytorch_model.bin", "pytorch_model.bin.index.json",
                                         "tf_model.h5", "flax_model.msgpack"};

    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (has(w, others[i]))
            return dg_fail(err, DG_ERR_MODEL,
                           "%s: got %s, expected " WEIGHTS
                           ", which transformers' save_pretrained() writes",
                           w->name, others[i]);
    }
    return dg_fail(err, DG_ERR_MODEL, "%s: got neither " WEIGHTS " nor " INDEX, w->name);
}

/* The next of w->files, which has room for it, and its tensors. */
static enum dg_status read_file(struct reader *r, const char *name, struct dg_error *err)
{
    struct dg_weights *w = r->w;
    char *path = dg_weights_path(w, name);
    enum dg_status st;

    if (!path)
        return dg_fail_memory(err, "a name", strlen(name));
    st = dg_file_open(&w->files[w->n_files], path, err);
    if (st == DG_OK) {
        r->file = &w->files[w->n_files++];
        r->path = path;
        w->bytes += r->file->bytes;
        st = dg_safetensors_read(r->file, path, place, r, err);
    }
    free(path);
    return st;
}

static bool make_room(struct dg_weights *w, size_t n)
{
    w->files = calloc(n, sizeof *w->files);
    return w->files;
}

/* ---- several files ---- */

struct shards {
    struct dg_json j;
    struct dg_names tensors; /* each in the scope of its file */
    struct dg_names files;
    struct dg_names once; /* members of the index */
    char name[MOST_SHARDS][FILE_NAME];
};

/* A file of this folder, and of no other. */
static bool is_file_name(const char *name)
{
    return *name && *name != '.' && !strchr(name, '/') && strlen(name) < FILE_NAME - 1;
}

static void read_entry(struct shards *s, const char *tensor, size_t n)
{
    char file[FILE_NAME];
    size_t shard;

    if (!dg_json_string(&s->j, file, sizeof file))
        return;
    if (!is_file_name(file) || strlen(file) != s->j.length) {
        dg_json_fail(&s->j, "the name of a file in this folder");
        return;
    }
    shard = dg_names_find(&s->files, 0, file, strlen(file));
    if (shard == SIZE_MAX) {
        shard = s->files.n;
        if (shard == MOST_SHARDS) {
            dg_json_fail(&s->j, "at most 256 files");
            return;
        }
        if (dg_names_add(&s->files, 0, file, strlen(file)) < 0) {
            dg_json_fail_memory(&s->j);
            return;
        }
        strcpy(s->name[shard], file);
    }
    if (dg_names_add(&s->tensors, (uint32_t)shard, tensor, n) < 0)
        dg_json_fail_memory(&s->j);
}

static void read_index(struct shards *s)
{
    char key[DG_SAFETENSORS_NAME];
    bool any = false;

    if (dg_json_object(&s->j)) {
        while (dg_json_key(&s->j, key, sizeof key)) {
            if (strcmp(key, "weight_map") != 0) {
                dg_json_skip(&s->j);
                continue;
            }
            any = true;
            if (dg_json_object(&s->j))
                while (dg_json_key(&s->j, key, sizeof key))
                    read_entry(s, key, strlen(key));
        }
    }
    if (!any)
        dg_json_fail(&s->j, "a member \"weight_map\"");
    dg_json_end(&s->j);
}

static enum dg_status load_index(struct shards *s, const struct dg_weights *w, struct dg_error *err)
{
    char *path = dg_weights_path(w, INDEX), *text;
    size_t n;
    enum dg_status st = path ? dg_file_load(&text, &n, path, MOST_INDEX, err)
                             : dg_fail_memory(err, "a name", sizeof INDEX);

    if (st == DG_OK) {
        dg_json_open(&s->j, text, n);
        dg_json_unique(&s->j, &s->once);
        read_index(s);
        if (s->j.error)
            st = dg_json_refuse(&s->j, path, DG_ERR_MODEL, err);
        free(text);
    }
    free(path);
    return st;
}

static enum dg_status read_shards(struct reader *r, struct dg_error *err)
{
    struct shards *s = calloc(1, sizeof *s);
    enum dg_status st = s ? load_index(s, r->w, err) : dg_fail_memory(err, "an index", sizeof *s);

    if (st == DG_OK && !make_room(r->w, s->files.n + 1))
        st = dg_fail_memory(err, "files", s->files.n * sizeof *r->w->files);
    if (st == DG_OK)
        r->index = &s->tensors;
    for (r->shard = 0; st == DG_OK && r->shard < s->files.n; r->shard++)
        st = read_file(r, s->name[r->shard], err);
    if (st == DG_OK && r->n_tensors != s->tensors.n)
        st = dg_fail(err, DG_ERR_MODEL,
                     "%s: " INDEX ": got %zu tensors, expected the %zu of its files", r->w->name,
                     s->tensors.n, r->n_tensors);
    if (s) {
        dg_names_free(&s->tensors);
        dg_names_free(&s->files);
        dg_names_free(&s->once);
    }
    free(s);
    return st;
}

/* ---- the whole ---- */

enum { ROWS = 64 }; /* that are compared at once */

/* A head that is said to be tied is the embedding, or the folder contradicts itself. */
static enum dg_status compare_head(struct dg_weights *w, float *rows, struct dg_error *err)
{
    const size_t n = w->sizes.channels;

    for (uint32_t i = 0, some; i < w->sizes.vocab; i += some) {
        int failed;

        some = w->sizes.vocab - i < ROWS ? w->sizes.vocab - i : ROWS;
        failed = dg_source_read(&w->sources[DG_HEAD], i, some, n, rows);
        if (!failed)
            failed = dg_source_read(&w->sources[DG_WTE], i, some, n, rows + ROWS * n);
        if (failed)
            return dg_fail(err, DG_ERR_IO, "%s: cannot read: %s", w->name, strerror(failed));
        if (memcmp(rows, rows + ROWS * n, some * n * sizeof *rows) != 0)
            return dg_fail(err, DG_ERR_MODEL,
                           "%s: lm_head.weight: got other weights than wte.weight, to which "
                           "config.json ties it",
                           w->name);
    }
    return DG_OK;
}

static enum dg_status check_tied(struct dg_weights *w, struct dg_error *err)
{
    const size_t bytes = 2 * ROWS * sizeof(float) * w->sizes.channels;
    float *rows;
    enum dg_status st;

    if (w->recipe.own_head || !w->sources[DG_HEAD].file)
        return DG_OK;
    rows = malloc(bytes);
    st = rows ? compare_head(w, rows, err) : dg_fail_memory(err, "rows", bytes);
    free(rows);
    w->sources[DG_HEAD] = (struct dg_source){0};
    return st;
}

static enum dg_status read_config(struct dg_weights *w, struct dg_error *err)
{
    char *path = dg_weights_path(w, "config.json"),
         *other = dg_weights_path(w, "generation_config.json");
    enum dg_status st = DG_OK;

    if (!path || !other)
        st = dg_fail_memory(err, "a name", strlen(w->name));
    else if (access(path, F_OK) != 0)
        st = dg_fail(
            err, DG_ERR_MODEL,
            "%s: got a folder without config.json, expected a Hugging Face folder, or a file",
            w->name);
    if (st == DG_OK)
        st = dg_config_read(w, path, err);
    if (st == DG_OK && access(other, F_OK) == 0)
        st = dg_generation_config_read(w, other, err);
    free(other);
    free(path);
    return st;
}

static enum dg_status read_folder(struct dg_weights *w, struct dg_error *err)
{
    struct reader r = {.w = w};
    enum dg_status st = read_config(w, err);
    const bool one = has(w, WEIGHTS);

    if (st == DG_OK && !one && !has(w, INDEX))
        st = no_weights(w, err);
    if (st == DG_OK)
        st = dg_weights_allocate(w, err);
    if (st == DG_OK && one)
        st = make_room(w, 1) ? read_file(&r, WEIGHTS, err)
                             : dg_fail_memory(err, "a file", sizeof *w->files);
    else if (st == DG_OK)
        st = read_shards(&r, err);
    if (st == DG_OK)
        st = dg_named_all(w, err);
    if (st == DG_OK)
        st = check_tied(w, err);
    if (st == DG_OK)
        w->dtype = dg_weights_find(w, DG_Q_WEIGHT, 0)->dtype;
    return st;
}

const struct dg_format dg_format_huggingface = {.name = "safetensors", .read = read_folder};
