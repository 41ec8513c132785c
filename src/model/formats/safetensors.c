/* The header is read twice: once to check it, where of each tensor only its place is kept, and once for who asked.
 * So memory is a small multiple of the header, which is at most 100 MB and no longer than the file. */
#include "safetensors.h"
#include "../../base/checked.h"
#include "../../base/json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH_BYTES = 8 };
#define MOST_HEADER 100000000 /* safetensors' own limit */

struct place {
    uint64_t begin, end; /* in the data, behind the header */
};

struct reader {
    struct dg_json j;
    const char *name;
    uint64_t data, data_bytes; /* where the data begin, and how many they are */
    struct dg_safetensor tensor;
    struct place *places; /* [n_places] */
    size_t n_places, room;
};

static enum dg_status refuse(const struct reader *r, struct dg_error *err)
{
    char got[DG_JSON_GOT];

    dg_json_got(&r->j, got);
    return dg_fail(err, r->j.no_memory ? DG_ERR_RESOURCE : DG_ERR_MODEL,
                   "%s: header: line %zu, byte %zu: got %s, expected %s", r->name,
                   dg_json_line(&r->j), dg_json_byte(&r->j), got, r->j.error);
}

/* Bits of an element; 0: a dtype that is not known. */
static unsigned bits_of(const char *dtype)
{
    static const struct {
        const char *name;
        unsigned bits;
    } known[] = {
        {"F32", 32},    {"F16", 16},    {"BF16", 16}, {"F64", 64},    {"I64", 64},
        {"I32", 32},    {"I16", 16},    {"I8", 8},    {"U8", 8},      {"BOOL", 8},
        {"U16", 16},    {"U32", 32},    {"U64", 64},  {"C64", 64},    {"F8_E5M2", 8},
        {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F4", 4},    {"F6_E2M3", 6}, {"F6_E3M2", 6},
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(dtype, known[i].name) == 0)
            return known[i].bits;
    return 0;
}

static bool read_shape(struct reader *r)
{
    struct dg_safetensor *t = &r->tensor;

    t->n_dims = 0;
    if (!dg_json_array(&r->j))
        return false;
    while (dg_json_item(&r->j)) {
        if (t->n_dims == DG_SAFETENSORS_DIMS)
            return dg_json_fail(&r->j, "at most 8 dimensions");
        if (!dg_json_integer(&r->j, &t->shape[t->n_dims++]))
            return false;
    }
    return !r->j.error;
}

static bool read_offsets(struct reader *r, struct place *p)
{
    if (!(dg_json_array(&r->j) && dg_json_item(&r->j) && dg_json_integer(&r->j, &p->begin) &&
          dg_json_item(&r->j) && dg_json_integer(&r->j, &p->end)))
        return dg_json_fail(&r->j, "two offsets");
    return !dg_json_item(&r->j) ? !r->j.error : dg_json_fail(&r->j, "two offsets");
}

/* {"dtype": ..., "shape": ..., "data_offsets": ...} */
static bool read_tensor(struct reader *r, struct place *p)
{
    bool has_dtype = false, has_shape = false, has_offsets = false;
    char key[16];

    if (!dg_json_object(&r->j))
        return false;
    while (dg_json_key(&r->j, key, sizeof key)) {
        if (!strcmp(key, "dtype"))
            has_dtype = dg_json_string(&r->j, r->tensor.dtype, sizeof r->tensor.dtype);
        else if (!strcmp(key, "shape"))
            has_shape = read_shape(r);
        else if (!strcmp(key, "data_offsets"))
            has_offsets = read_offsets(r, p);
        else
            return dg_json_fail(&r->j, "dtype, shape and data_offsets alone");
    }
    r->tensor.offset = r->data + p->begin;
    r->tensor.bytes = p->end - p->begin;
    return !r->j.error && ((has_dtype && has_shape && has_offsets) ||
                           dg_json_fail(&r->j, "a tensor with dtype, shape and data_offsets"));
}

static bool read_metadata(struct reader *r)
{
    if (!dg_json_object(&r->j))
        return false;
    while (dg_json_key(&r->j, NULL, 0))
        dg_json_string(&r->j, NULL, 0);
    return !r->j.error;
}

/* The next tensor; false at the end or on error. */
static bool next_tensor(struct reader *r, struct place *p)
{
    while (dg_json_key(&r->j, r->tensor.name, sizeof r->tensor.name)) {
        if (strcmp(r->tensor.name, "__metadata__") != 0)
            return read_tensor(r, p);
        if (!read_metadata(r))
            return false;
    }
    return false;
}

static bool begin_header(struct reader *r, const char *text, size_t n)
{
    dg_json_open(&r->j, text, n);
    if (n == 0 || *text != '{')
        return dg_json_fail(&r->j, "'{' as the first byte");
    return dg_json_object(&r->j);
}

/* The bytes between the offsets must be those of the shape, inside the data. */
static enum dg_status check_tensor(const struct reader *r, const struct place *p,
                                   struct dg_error *err)
{
    const struct dg_safetensor *t = &r->tensor;
    const unsigned bits = bits_of(t->dtype);
    size_t elements = 1, all_bits;
    bool fits = true;

    if (bits == 0)
        return dg_fail(err, DG_ERR_MODEL,
                       "%s: tensor '%s': dtype: got '%s', expected one of safetensors'", r->name,
                       t->name, t->dtype);
    for (uint32_t i = 0; i < t->n_dims; i++)
        fits = fits && dg_mul(elements, t->shape[i], &elements);
    if (p->begin > p->end || p->end > r->data_bytes)
        return dg_fail(err, DG_ERR_MODEL,
                       "%s: tensor '%s': data_offsets: got %" PRIu64 " to %" PRIu64
                       ", expected them inside the %" PRIu64 " bytes of data",
                       r->name, t->name, p->begin, p->end, r->data_bytes);
    if (!fits || !dg_mul(elements, bits, &all_bits) || all_bits % 8 != 0 ||
        all_bits / 8 != p->end - p->begin)
        return dg_fail(err, DG_ERR_MODEL,
                       "%s: tensor '%s': got %" PRIu64
                       " bytes, expected those of its shape and dtype",
                       r->name, t->name, p->end - p->begin);
    return DG_OK;
}

static bool keep(struct reader *r, struct place p)
{
    if (r->n_places == r->room) {
        const size_t room = r->room ? 2 * r->room : 256;
        struct place *more = realloc(r->places, room * sizeof *more);

        if (!more)
            return false;
        r->places = more;
        r->room = room;
    }
    r->places[r->n_places++] = p;
    return true;
}

static int by_begin(const void *a, const void *b)
{
    const struct place *p = a, *q = b;

    if (p->begin != q->begin)
        return p->begin < q->begin ? -1 : 1;
    return p->end < q->end ? -1 : p->end > q->end;
}

/* From first to last each begins where the one before ends. */
static enum dg_status check_places(const struct reader *r, struct dg_error *err)
{
    uint64_t at = 0;

    if (r->n_places > 0)
        qsort(r->places, r->n_places, sizeof *r->places, by_begin);
    for (size_t i = 0; i < r->n_places; at = r->places[i++].end)
        if (r->places[i].begin != at)
            return dg_fail(err, DG_ERR_MODEL,
                           "%s: data: got a tensor at %" PRIu64 ", expected one at %" PRIu64
                           ", where the one before ends",
                           r->name, r->places[i].begin, at);
    if (at != r->data_bytes)
        return dg_fail(err, DG_ERR_MODEL,
                       "%s: size: got %" PRIu64 " bytes of data, expected %" PRIu64
                       ", the end of the last tensor",
                       r->name, r->data_bytes, at);
    return DG_OK;
}

static enum dg_status check_header(struct reader *r, const char *text, size_t n,
                                   struct dg_error *err)
{
    struct dg_names names = {0};
    enum dg_status st = DG_OK;
    struct place p;

    begin_header(r, text, n);
    dg_json_unique(&r->j, &names);
    while (st == DG_OK && next_tensor(r, &p)) {
        st = check_tensor(r, &p, err);
        if (st == DG_OK && !keep(r, p))
            st = dg_fail_memory(err, "a header", r->n_places * sizeof p);
    }
    if (st == DG_OK && !dg_json_end(&r->j))
        st = refuse(r, err);
    dg_names_free(&names);
    return st == DG_OK ? check_places(r, err) : st;
}

static enum dg_status load_header(char **text, size_t *n, const struct dg_file *file,
                                  const char *name, struct dg_error *err)
{
    unsigned char raw[LENGTH_BYTES];
    uint64_t length = 0;
    int failed;

    if (file->bytes < LENGTH_BYTES)
        return dg_fail(err, DG_ERR_MODEL,
                       "%s: size: got %" PRIu64 " bytes, expected a safetensors file", name,
                       file->bytes);
    failed = dg_file_read(file, 0, raw, sizeof raw);
    for (int i = LENGTH_BYTES - 1; i >= 0 && !failed; i--)
        length = length << 8 | raw[i];
    if (!failed && (length > MOST_HEADER || length > file->bytes - LENGTH_BYTES))
        return dg_fail(err, DG_ERR_MODEL,
                       "%s: length of the header: got %" PRIu64 ", expected at most %" PRIu64, name,
                       length,
                       file->bytes - LENGTH_BYTES < MOST_HEADER ? file->bytes - LENGTH_BYTES
                                                                : (uint64_t)MOST_HEADER);
    *text = failed ? NULL : malloc((size_t)length + 1);
    if (!failed && !*text)
        return dg_fail_memory(err, "a header", (size_t)length);
    if (!failed)
        failed = dg_file_read(file, LENGTH_BYTES, *text, (size_t)length);
    if (failed) {
        free(*text);
        return dg_fail(err, DG_ERR_IO, "%s: cannot read the header: %s", name, strerror(failed));
    }
    *n = (size_t)length;
    return DG_OK;
}

enum dg_status dg_safetensors_read(const struct dg_file *file, const char *name,
                                   enum dg_status (*each)(void *arg,
                                                          const struct dg_safetensor *tensor,
                                                          struct dg_error *err),
                                   void *arg, struct dg_error *err)
{
    struct reader r = {.name = name};
    struct place p;
    char *text = NULL;
    size_t n = 0;
    enum dg_status st = load_header(&text, &n, file, name, err);

    if (st != DG_OK)
        return st;
    r.data = LENGTH_BYTES + n;
    r.data_bytes = file->bytes - r.data;
    st = check_header(&r, text, n, err);
    if (st == DG_OK)
        begin_header(&r, text, n);
    while (st == DG_OK && next_tensor(&r, &p))
        st = each(arg, &r.tensor, err);
    free(r.places);
    free(text);
    return st;
}
