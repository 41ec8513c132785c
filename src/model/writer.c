/* A tensor is written block by block, a block being some lines of the file's. Where the source has its lines across
 * to those, a block is so many elements of each of its lines: they are read piece by piece and transposed. */
#include "writer.h"
#include "../base/checked.h"
#include "../base/status.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct dg_writer *const dg_writers[] = {&dg_writer_llmc1,
                                              &dg_writer_llmc3,
                                              &dg_writer_llmc5,
                                              &dg_writer_huggingface,
                                              &dg_writer_gguf,
                                              &dg_writer_packed,
                                              NULL};

/* ---- which writer ---- */

static bool ends_with(const char *path, const char *ending)
{
    const size_t n = strlen(path), length = strlen(ending);

    return n > length && strcmp(path + n - length, ending) == 0;
}

static bool all_are(const struct dg_weights *w, enum dg_dtype dtype)
{
    for (uint32_t i = 0; i < dg_weight_count(&w->sizes); i++)
        if (w->sources[i].file && w->sources[i].dtype != dtype)
            return false;
    return true;
}

const struct dg_writer *dg_writer_for(const char *path, const struct dg_weights *w,
                                      enum dg_dtype dtype)
{
    const bool bf16 = dtype == DG_BF16 || (dtype == DG_N_DTYPES && all_are(w, DG_BF16));

    for (size_t i = 0; dg_writers[i]; i++) {
        if (!dg_writers[i]->ending || !ends_with(path, dg_writers[i]->ending))
            continue;
        return dg_writers[i] == &dg_writer_llmc1 && bf16 ? &dg_writer_llmc5 : dg_writers[i];
    }
    return NULL;
}

int32_t dg_conversion_begin(const struct dg_conversion *c)
{
    return c->weights->begin >= 0 ? c->weights->begin : dg_tokenizer_begin(c->tokenizer);
}

int32_t dg_conversion_end(const struct dg_conversion *c)
{
    return c->weights->end >= 0 ? c->weights->end : dg_tokenizer_end(c->tokenizer);
}

uint64_t dg_conversion_elements(const struct dg_weights *w)
{
    uint64_t sum = 0;

    for (enum dg_weight i = 0; i < DG_N_WEIGHTS; i++) {
        const struct dg_weight_shape s = dg_weight_shape(&w->sizes, i);
        const uint64_t times = dg_weight_in_layers(i) ? w->sizes.layers : 1;

        if (dg_weights_find(w, i, 0)->file)
            sum += times * s.rows * s.cols;
    }
    return sum;
}

/* ---- dtypes ---- */

/* To nearest, ties to even. Of a NaN the upper half, which is made quiet where it would be an infinity. */
static uint16_t bf16_of(uint32_t bits)
{
    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(bits >> 16 | ((bits & 0x7f0000) == 0 ? 0x40 : 0));
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* The same for binary16. Below its least normal number, 2^-14, elements are multiples of 2^-24: adding 1/2 leaves
 * just those bits of a float's fraction. */
static uint16_t f16_of(uint32_t bits)
{
    const uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    float f;

    if (magnitude > 0x7f800000)
        return (uint16_t)(sign | 0x7c00 | (magnitude >> 13 & 0x3ff) |
                          ((magnitude & 0x7fe000) == 0 ? 0x200 : 0));
    if (magnitude >= 0x477ff000) /* 65520, half way to 2^16 */
        return (uint16_t)(sign | 0x7c00);
    if (magnitude >= 0x38800000)
        return (uint16_t)(sign | ((magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13));
    memcpy(&f, &magnitude, sizeof f);
    f += 0.5f;
    memcpy(&bits, &f, sizeof bits);
    return (uint16_t)(sign | (bits - 0x3f000000));
}

bool dg_narrow(enum dg_dtype dtype, float *buf, size_t n)
{
    char *to = (char *)buf;
    bool fits = true;

    for (size_t i = 0; i < n && dtype != DG_F32; i++) {
        uint32_t bits;
        uint16_t half;

        memcpy(&bits, &buf[i], sizeof bits);
        half = dtype == DG_F16 ? f16_of(bits) : bf16_of(bits);
        fits = fits &&
               (dtype != DG_F16 || (half & 0x7fff) != 0x7c00 || (bits & 0x7fffffff) == 0x7f800000);
        memcpy(to + 2 * i, &half, sizeof half);
    }
    return fits;
}

/* ---- blocks ---- */

enum { BLOCK = 4 << 20, SIDE = 32 }; /* elements; lines of a block are a multiple of SIDE */

struct tensor {
    const struct dg_conversion *c;
    const struct dg_written *as;
    FILE *to;
    struct dg_error *err;
    size_t most;          /* elements of a block */
    size_t lines, length; /* of each part, as the file has them */
    float *block;         /* [some lines][stride] */
    float *room;          /* as many */
};

static enum dg_status cannot_read(const struct tensor *t, int failed)
{
    return dg_fail(t->err, DG_ERR_IO, "%s: cannot read: %s", t->c->weights->name, strerror(failed));
}

/* to[j][i] = from[i][j]: SIDE lines at a time, so that whole cache lines are written. */
static void transpose(float *to, size_t stride, const float *from, size_t lines, size_t length)
{
    for (size_t first = 0; first < lines; first += SIDE) {
        const size_t end = first + SIDE < lines ? first + SIDE : lines;

        for (size_t j = 0; j < length; j++)
            for (size_t i = first; i < end; i++)
                to[j * stride + i] = from[i * length + j];
    }
}

/* Lines line ... line + n - 1 of a part, to to[n][length], stride apart, where the source has them across. */
static int read_across(const struct tensor *t, const struct dg_source *s, size_t line, size_t n,
                       float *to, size_t stride)
{
    const struct dg_source pieces = dg_source_behind(*s, line); /* a multiple of SIDE */
    int failed = 0;

    for (size_t i = 0, some; i < t->length && !failed; i += some) {
        some = t->most / n < t->length - i ? t->most / n : t->length - i;
        failed = dg_source_read(&pieces, i, some, n, t->room);
        if (!failed)
            transpose(to + i, stride, t->room, some, n);
    }
    return failed;
}

static int read_along(const struct tensor *t, const struct dg_source *s, size_t line, size_t n,
                      float *to, size_t stride)
{
    int failed = 0;

    if (stride == t->length)
        return dg_source_read(s, line, n, t->length, to);
    for (size_t i = 0; i < n && !failed; i++)
        failed = dg_source_read(s, line + i, 1, t->length, to + i * stride);
    return failed;
}

static enum dg_status too_large(const struct tensor *t)
{
    char layer[32] = "";

    if (dg_weight_in_layers(t->as->first))
        snprintf(layer, sizeof layer, "layer %" PRIu32 ": ", t->as->layer);
    return dg_fail(t->err, DG_ERR_MODEL,
                   "%s: %s%s: got a number of 65520 or more, expected what float16 holds",
                   t->c->weights->name, layer,
                   dg_weight_shape(&t->c->weights->sizes, t->as->first).name);
}

static enum dg_status put_block(const struct tensor *t, size_t n)
{
    const struct dg_conversion *c = t->c;
    const enum dg_dtype dtype = t->as->dtype;

    if (!dg_narrow(dtype, t->block, n))
        return too_large(t);
    if (fwrite(t->block, dg_dtype_bytes(dtype), n, t->to) != n || !c->tell(c->arg, n))
        return DG_ERR_CANCELLED;
    return DG_OK;
}

/* Those parts, side by side. */
static enum dg_status write_parts(const struct tensor *t, uint32_t first, uint32_t parts)
{
    const size_t stride = parts * t->length;
    const size_t most = t->most / stride >= SIDE ? t->most / stride / SIDE * SIDE : SIDE;
    enum dg_status st = DG_OK;

    for (size_t line = 0, n; line < t->lines && st == DG_OK; line += n) {
        int failed = 0;

        n = most < t->lines - line ? most : t->lines - line;
        for (uint32_t p = 0; p < parts && !failed; p++) {
            const struct dg_source *s =
                dg_weights_find(t->c->weights, t->as->first + 2 * (first + p), t->as->layer);

            failed = (s->transposed == t->as->transposed ? read_along : read_across)(
                t, s, line, n, t->block + p * t->length, stride);
        }
        st = failed ? cannot_read(t, failed) : put_block(t, n * stride);
    }
    return st;
}

enum dg_dtype dg_written_dtype(const struct dg_conversion *c, const struct dg_written *t)
{
    const enum dg_dtype dtype = dg_weights_find(c->weights, t->first, t->layer)->dtype;

    if (c->dtype != DG_N_DTYPES)
        return c->dtype;
    for (uint32_t p = 0; p < t->parts; p++)
        if (dg_weights_find(c->weights, t->first + 2 * p, t->layer)->dtype != dtype)
            return DG_F32;
    return dtype == DG_BF16 || dtype == DG_F16 ? dtype : DG_F32;
}

uint64_t dg_written_elements(const struct dg_sizes *sizes, const struct dg_written *t)
{
    const struct dg_weight_shape s = dg_weight_shape(sizes, t->first);

    return (uint64_t)s.rows * s.cols * t->parts;
}

enum dg_status dg_write_tensor_by(const struct dg_conversion *c, FILE *to,
                                  const struct dg_written *as, size_t block, struct dg_error *err)
{
    const struct dg_weight_shape s = dg_weight_shape(&c->weights->sizes, as->first);
    const uint32_t across = as->transposed ? as->parts : 1;
    struct tensor t = {.c = c, .as = as, .to = to, .err = err, .most = block};
    uint64_t room;
    enum dg_status st = DG_OK;

    t.lines = as->transposed ? s.cols : s.rows;
    t.length = as->transposed ? s.rows : s.cols;
    room = (uint64_t)t.length * across * SIDE < block ? block : (uint64_t)t.length * across * SIDE;
    if (room > dg_written_elements(&c->weights->sizes, as))
        room = dg_written_elements(&c->weights->sizes, as);
    t.block = malloc(dg_size(room * sizeof *t.block));
    t.room = malloc(dg_size(room * sizeof *t.room));
    if (!t.block || !t.room)
        st = dg_fail_memory(err, "lines of a tensor", dg_size(room * sizeof *t.room));
    for (uint32_t p = 0; p < as->parts && st == DG_OK; p += across)
        st = write_parts(&t, p, across);
    free(t.room);
    free(t.block);
    return st;
}

enum dg_status dg_write_tensor(const struct dg_conversion *c, FILE *to, const struct dg_written *as,
                               struct dg_error *err)
{
    return dg_write_tensor_by(c, to, as, BLOCK, err);
}
