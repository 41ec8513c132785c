/* GPT-2's weights by name, whatever file they are in: their shapes, which follow from the sizes, and the table
 * of where they lie, which a format's reader fills. */
#include "weights.h"
#include "../base/checked.h"
#include "../base/finite.h"
#include "../base/status.h"
#include "../graph/graph.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct dg_weight_shape dg_weight_shape(const struct dg_sizes *z, enum dg_weight w)
{
    const uint32_t C = z->channels;

    switch (w) {
    case DG_WTE:
        return (struct dg_weight_shape){"wte", DG_PANELS, z->vocab, C};
    case DG_WPE:
        return (struct dg_weight_shape){"wpe", DG_ROWS, z->positions, C};
    case DG_HEAD:
        return (struct dg_weight_shape){"head", DG_PANELS, z->vocab, C};
    case DG_LNF_GAIN:
        return (struct dg_weight_shape){"lnf.gain", DG_ROWS, 1, C};
    case DG_LNF_BIAS:
        return (struct dg_weight_shape){"lnf.bias", DG_ROWS, 1, C};
    case DG_LN1_GAIN:
        return (struct dg_weight_shape){"ln1.gain", DG_ROWS, 1, C};
    case DG_LN1_BIAS:
        return (struct dg_weight_shape){"ln1.bias", DG_ROWS, 1, C};
    case DG_Q_WEIGHT:
        return (struct dg_weight_shape){"q.weight", DG_PANELS, C, C};
    case DG_Q_BIAS:
        return (struct dg_weight_shape){"q.bias", DG_ROWS, 1, C};
    case DG_K_WEIGHT:
        return (struct dg_weight_shape){"k.weight", DG_PANELS, C, C};
    case DG_K_BIAS:
        return (struct dg_weight_shape){"k.bias", DG_ROWS, 1, C};
    case DG_V_WEIGHT:
        return (struct dg_weight_shape){"v.weight", DG_PANELS, C, C};
    case DG_V_BIAS:
        return (struct dg_weight_shape){"v.bias", DG_ROWS, 1, C};
    case DG_PROJ_WEIGHT:
        return (struct dg_weight_shape){"proj.weight", DG_PANELS, C, C};
    case DG_PROJ_BIAS:
        return (struct dg_weight_shape){"proj.bias", DG_ROWS, 1, C};
    case DG_LN2_GAIN:
        return (struct dg_weight_shape){"ln2.gain", DG_ROWS, 1, C};
    case DG_LN2_BIAS:
        return (struct dg_weight_shape){"ln2.bias", DG_ROWS, 1, C};
    case DG_FC_WEIGHT:
        return (struct dg_weight_shape){"fc.weight", DG_PANELS, 4 * C, C};
    case DG_FC_BIAS:
        return (struct dg_weight_shape){"fc.bias", DG_ROWS, 1, 4 * C};
    case DG_FCPROJ_WEIGHT:
        return (struct dg_weight_shape){"fcproj.weight", DG_PANELS, C, 4 * C};
    case DG_FCPROJ_BIAS:
        return (struct dg_weight_shape){"fcproj.bias", DG_ROWS, 1, C};
    case DG_N_WEIGHTS:
        break;
    }
    return (struct dg_weight_shape){"", DG_ROWS, 0, 0};
}

/* Can all weights together be addressed, with 16 bytes for each? */
static bool can_be_addressed(const struct dg_sizes *z)
{
    size_t sum = 0;

    for (enum dg_weight w = 0; w < DG_N_WEIGHTS; w++) {
        const struct dg_weight_shape shape = dg_weight_shape(z, w);
        size_t n;

        if (!dg_mul(shape.rows, shape.cols, &n) ||
            !dg_mul(n, dg_weight_in_layers(w) ? z->layers : 1, &n) || !dg_add(sum, n, &sum))
            return false;
    }
    return sum <= SIZE_MAX / 16;
}

/* 4 * channels is a 32-bit number of columns; the other bounds only keep a field from being taken
 * for a size. The largest GPT-2 has V = 50257, L = 48, C = 1600. */
enum dg_status dg_sizes_check(const struct dg_sizes *z, const char *name, struct dg_error *err)
{
    const struct {
        const char *name;
        uint32_t value, most;
    } fields[] = {
        {"maxT", z->positions, 1 << 24}, {"V", z->vocab, 1 << 26},    {"L", z->layers, 1 << 14},
        {"NH", z->heads, 1 << 20},       {"C", z->channels, 1 << 20},
    };

    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (fields[i].value < 1 || fields[i].value > fields[i].most)
            return dg_fail(err, DG_ERR_MODEL, "%s: %s: got %" PRId32 ", expected 1 to %" PRIu32,
                           name, fields[i].name, (int32_t)fields[i].value, fields[i].most);
    if (z->channels % z->heads != 0)
        return dg_fail(err, DG_ERR_MODEL,
                       "%s: NH: got %" PRIu32 ", expected a divisor of C = %" PRIu32, name,
                       z->heads, z->channels);
    if (!can_be_addressed(z))
        return dg_fail(err, DG_ERR_MODEL,
                       "%s: sizes: got more weights than %zu bits can address, expected fewer",
                       name, 8 * sizeof(size_t));
    return DG_OK;
}

enum dg_status dg_weights_allocate(struct dg_weights *w, struct dg_error *err)
{
    const size_t n = dg_weight_count(&w->sizes);

    w->sources = calloc(n, sizeof *w->sources);
    return w->sources ? DG_OK : dg_fail_memory(err, "a table of weights", n * sizeof *w->sources);
}

char *dg_weights_path(const struct dg_weights *w, const char *name)
{
    const size_t n = strlen(w->folder), length = strlen(name);
    char *path = malloc(n + length + 1);

    if (path) {
        memcpy(path, w->folder, n);
        memcpy(path + n, name, length + 1);
    }
    return path;
}

/* Looks through one weight, line by line; DG_OK: all are finite. line: room for one. */
static enum dg_status look_through(const struct dg_weights *w, enum dg_weight weight,
                                   uint32_t layer, float *line, struct dg_error *err)
{
    const struct dg_source *s = dg_weights_find(w, weight, layer);
    const struct dg_weight_shape shape = dg_weight_shape(&w->sizes, weight);
    const size_t lines = s->transposed ? shape.cols : shape.rows;
    const size_t length = s->transposed ? shape.rows : shape.cols;
    char name[24];

    dg_layer_name(name, sizeof name, dg_weight_in_layers(weight) ? (int)layer : -1, shape.name);
    for (size_t i = 0, k; s->file && i < lines; i++) {
        const int failed = dg_source_read(s, i, 1, length, line);

        if (failed)
            return dg_fail(err, DG_ERR_IO, "%s: cannot read the weights: %s", w->name,
                           strerror(failed));
        for (k = 0; k < length && dg_are_finite(line + k, 1); k++)
            ;
        if (k < length)
            return dg_fail(
                err, DG_ERR_MODEL,
                "%s: %s: row %zu, column %zu: got %g, expected a finite number: damaged weights",
                w->name, name, s->transposed ? k : i, s->transposed ? i : k, (double)line[k]);
    }
    return DG_OK;
}

enum dg_status dg_weights_finite(const struct dg_weights *w, struct dg_error *err)
{
    const struct dg_sizes *z = &w->sizes;
    const size_t most = 4 * (size_t)z->channels > z->vocab ? 4 * (size_t)z->channels : z->vocab;
    float *line = malloc(most * sizeof *line);
    enum dg_status st = line ? DG_OK : dg_fail_memory(err, "a row of weights", most * sizeof *line);

    for (enum dg_weight i = 0; i < DG_N_WEIGHTS && st == DG_OK; i++)
        for (uint32_t layer = 0; layer < (dg_weight_in_layers(i) ? z->layers : 1); layer++)
            if (st == DG_OK)
                st = look_through(w, i, layer, line, err);
    free(line);
    return st;
}

enum dg_status dg_weights_not_finite(const struct dg_weights *w, struct dg_error *err)
{
    const enum dg_status st = dg_weights_finite(w, err);

    return st == DG_OK
               ? dg_fail(err, DG_ERR_IO,
                         "%s: a weight was not finite, and is: the file has changed meanwhile",
                         w->name)
               : st;
}

void dg_weights_close(struct dg_weights *w)
{
    if (!w)
        return;
    for (uint32_t i = 0; i < w->n_files; i++)
        dg_file_close(&w->files[i]);
    free(w->files);
    free(w->sources);
    free(w->folder);
    free(w->name);
    free(w);
}
