#include "named.h"
#include "../../base/status.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool dg_layer_of(const char *text, uint32_t layers, uint32_t *layer, const char **rest)
{
    uint32_t n = 0;
    const char *c = text;

    for (; *c >= '0' && *c <= '9' && n < layers; c++)
        n = n * 10 + (uint32_t)(*c - '0');
    *layer = n;
    *rest = c + 1;
    return c > text && *c == '.' && n < layers && (*text != '0' || c == text + 1);
}

const struct dg_weight_name *dg_name_find(const struct dg_weight_names *names, const char *name,
                                          uint32_t layers, uint32_t *layer)
{
    const size_t n = strlen(names->layer);
    const bool inside = strncmp(name, names->layer, n) == 0;
    const struct dg_weight_name *list = inside ? names->inside : names->outside;

    *layer = 0;
    if (inside && !dg_layer_of(name + n, layers, layer, &name))
        return NULL;
    for (size_t i = 0; i < (inside ? names->n_inside : names->n_outside); i++)
        if (strcmp(list[i].name, name) == 0)
            return &list[i];
    return NULL;
}

static void print_shape(char *to, size_t size, const uint64_t *shape, uint32_t n)
{
    size_t used = 0;

    to[0] = '\0';
    for (uint32_t i = 0; i < n && used < size; i++)
        used += (size_t)snprintf(to + used, size - used, "%s%" PRIu64, i ? ", " : "", shape[i]);
}

uint32_t dg_named_shape(const struct dg_sizes *sizes, enum dg_weight first, uint32_t parts,
                        bool transposed, uint64_t shape[2])
{
    const struct dg_weight_shape s = dg_weight_shape(sizes, first);
    const bool vector = s.layout == DG_ROWS && first != DG_WPE;

    if (vector) {
        shape[0] = (uint64_t)s.cols * parts;
        return 1;
    }
    shape[transposed ? 1 : 0] = (uint64_t)s.rows * parts;
    shape[transposed ? 0 : 1] = s.cols;
    return 2;
}

static enum dg_status check_shape(const struct dg_weights *w, const struct dg_weight_name *as,
                                  const uint64_t *shape, uint32_t n_dims, bool transposed,
                                  const char *tensor, const char *name, struct dg_error *err)
{
    uint64_t expected[2];
    const uint32_t n = dg_named_shape(&w->sizes, as->first, as->parts, transposed, expected);
    char got_text[128], expected_text[64];

    if (n == n_dims && memcmp(shape, expected, n * sizeof *shape) == 0)
        return DG_OK;
    print_shape(got_text, sizeof got_text, shape, n_dims);
    print_shape(expected_text, sizeof expected_text, expected, n);
    return dg_fail(err, DG_ERR_MODEL, "%s: tensor '%s': shape: got [%s], expected [%s]", name,
                   tensor, got_text, expected_text);
}

enum dg_status dg_named_place(struct dg_weights *w, const struct dg_weight_name *as, uint32_t layer,
                              const struct dg_file *file, uint64_t offset, enum dg_dtype dtype,
                              const uint64_t *shape, uint32_t n_dims, bool transposed,
                              const char *tensor, const char *name, struct dg_error *err)
{
    const struct dg_weight_shape s = dg_weight_shape(&w->sizes, as->first);
    const enum dg_status st =
        check_shape(w, as, shape, n_dims, transposed && n_dims == 2, tensor, name, err);
    const bool across = transposed && n_dims == 2; /* parts stand side by side */
    const uint64_t line = dg_dtype_run(dtype, across ? (uint64_t)s.rows * as->parts : s.cols);
    const uint64_t part = across ? dg_dtype_run(dtype, s.rows) : s.rows * line;

    if (st != DG_OK)
        return st;
    for (uint32_t p = 0; p < as->parts; p++) {
        struct dg_source *to = &w->sources[dg_weight_place(as->first + 2 * p, layer)];

        if (to->file)
            return dg_fail(err, DG_ERR_MODEL,
                           "%s: tensor '%s': got a second tensor for that weight", name, tensor);
        *to = (struct dg_source){.file = file,
                                 .offset = offset + p * part,
                                 .stride = line,
                                 .dtype = dtype,
                                 .transposed = across};
    }
    return DG_OK;
}

enum dg_status dg_named_all(const struct dg_weights *w, struct dg_error *err)
{
    for (enum dg_weight i = 0; i < DG_N_WEIGHTS; i++) {
        const char *name = dg_weight_shape(&w->sizes, i).name;

        if (i == DG_HEAD && !w->recipe.own_head)
            continue;
        for (uint32_t layer = 0; layer < (dg_weight_in_layers(i) ? w->sizes.layers : 1); layer++) {
            if (dg_weights_find(w, i, layer)->file)
                continue;
            if (!dg_weight_in_layers(i))
                return dg_fail(err, DG_ERR_MODEL, "%s: %s: got no tensor for it", w->name, name);
            return dg_fail(err, DG_ERR_MODEL, "%s: layer %" PRIu32 ": %s: got no tensor for it",
                           w->name, layer, name);
        }
    }
    return DG_OK;
}

/* ---- for writers ---- */

static void add(struct dg_named *to, const struct dg_conversion *c,
                const struct dg_weight_names *names, const struct dg_weight_name *as,
                uint32_t layer)
{
    to->as = (struct dg_written){.first = as->first, .parts = as->parts, .layer = layer};
    to->as.dtype = dg_written_dtype(c, &to->as);
    if (dg_weight_in_layers(as->first))
        snprintf(to->name, sizeof to->name, "%s%" PRIu32 ".%s", names->layer, layer, as->name);
    else
        snprintf(to->name, sizeof to->name, "%s", as->name);
}

enum dg_status dg_named_list(struct dg_named **out, size_t *n, const struct dg_conversion *c,
                             const struct dg_weight_names *names, struct dg_error *err)
{
    const uint32_t layers = c->weights->sizes.layers;
    const size_t most = names->n_outside + layers * names->n_inside;
    struct dg_named *list = calloc(most, sizeof *list);

    if (!list)
        return dg_fail_memory(err, "names of tensors", most * sizeof *list);
    *out = list;
    for (size_t i = 0; i < names->n_outside; i++)
        if (dg_weights_find(c->weights, names->outside[i].first, 0)->file)
            add(list++, c, names, &names->outside[i], 0);
    for (uint32_t layer = 0; layer < layers; layer++)
        for (size_t i = 0; i < names->n_inside; i++)
            add(list++, c, names, &names->inside[i], layer);
    *n = (size_t)(list - *out);
    return DG_OK;
}
