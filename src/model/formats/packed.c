/* Reads packed files: weights as they are to lie in memory, which are then used where they lie. What the file must
 * look like is computed from its sizes and its dtypes, and each field is compared with that: so no section can
 * overlap another, leave a hole or lie outside the file. The sums of the sections are compared only where that is
 * asked for, since that reads the whole file; the sum of the head and the table always. */
#include "packed.h"
#include "../../base/crc.h"
#include "../../base/status.h"
#include "../../ops/pack.h"
#include "../../text/vocabulary.h"
#include "../format.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A model has at most 2^14 layers (dg_sizes_check). */
enum {
    MOST_SECTIONS = DG_N_WEIGHTS_OUTSIDE + (1 << 14) * (DG_N_WEIGHTS - DG_N_WEIGHTS_OUTSIDE) + 2
};

/* ---- codes ---- */

/* By code, and what they are here: DG_N_DTYPES: nothing computes with it. */
static const struct {
    const char *name;
    enum dg_dtype dtype;
    uint32_t group;
} dtypes[] = {
    {"bytes", DG_N_DTYPES, 0},
    {"float32", DG_F32, 0},
    {"bfloat16", DG_BF16, 0},
    {"int8", DG_I8, 32},
};

enum { N_DTYPES = sizeof dtypes / sizeof *dtypes };

static uint32_t code_of(enum dg_dtype dtype)
{
    uint32_t code = N_DTYPES - 1;

    while (code > 0 && dtypes[code].dtype != dtype)
        code--;
    return code;
}

static const char *const layouts[] = {"bytes", "rows", "panels"};

/* ---- the plan ---- */

static uint64_t page_up(uint64_t n)
{
    return (n + DG_PACKED_PAGE - 1) / DG_PACKED_PAGE * DG_PACKED_PAGE;
}

uint64_t dg_packed_first(uint32_t n)
{
    return page_up(sizeof(struct dg_packed_head) + n * (uint64_t)sizeof(struct dg_packed_section));
}

uint64_t dg_packed_next(const struct dg_packed *p, uint32_t i)
{
    return i + 1 < p->n ? p->sections[i + 1].offset : p->bytes;
}

static uint32_t weights_of(const struct dg_model *m)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < dg_weight_count(&m->sizes); i++)
        n += m->tensors[i].rows > 0;
    return n;
}

static struct dg_packed_section section_of(const struct dg_tensor *t)
{
    struct dg_packed_section s = {.dtype = code_of(t->dtype),
                                  .layout =
                                      t->layout == DG_PANELS ? DG_PACKED_PANELS : DG_PACKED_ROWS,
                                  .rows = t->rows,
                                  .cols = t->cols,
                                  .group = dtypes[code_of(t->dtype)].group,
                                  .bytes = dg_tensor_bytes(t)};

    memcpy(s.name, t->name, strlen(t->name));
    return s;
}

static struct dg_packed_section bytes_section(const char *name, uint64_t bytes)
{
    struct dg_packed_section s = {.bytes = bytes};

    memcpy(s.name, name, strlen(name));
    return s;
}

enum dg_status dg_packed_plan(struct dg_packed *p, const struct dg_model *m, uint64_t tokenizer,
                              struct dg_error *err)
{
    const uint32_t n = weights_of(m) + (tokenizer > 0) + 1;
    uint64_t at = dg_packed_first(n);
    uint32_t used = 0;

    *p = (struct dg_packed){.n = n, .sections = calloc(n, sizeof *p->sections)};
    if (!p->sections)
        return dg_fail_memory(err, "a table of sections", n * sizeof *p->sections);
    for (uint32_t i = 0; i < dg_weight_count(&m->sizes); i++)
        if (m->tensors[i].rows > 0)
            p->sections[used++] = section_of(&m->tensors[i]);
    if (tokenizer > 0)
        p->sections[used++] = bytes_section("tokenizer", tokenizer);
    p->sections[used++] = bytes_section("sums", n * sizeof(uint32_t));
    for (uint32_t i = 0; i < n; i++) {
        p->sections[i].offset = at;
        p->bytes = at + p->sections[i].bytes;
        at = page_up(p->bytes);
    }
    return DG_OK;
}

/* ---- head and table ---- */

struct reader {
    const struct dg_weights *w;
    struct dg_error *err;
    char *raw; /* [first] all before the first section */
    uint64_t first;
    struct dg_packed_head head;
    const struct dg_packed_section *sections; /* [head.sections] in raw */
    struct dg_packed must;
    struct dg_sizes sizes;
    struct dg_recipe recipe;
};

__attribute__((format(printf, 2, 3))) static enum dg_status refuse(const struct reader *r,
                                                                   const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return dg_fail(r->err, DG_ERR_MODEL, "%s: %s", r->w->name, text);
}

static enum dg_status read_bytes(const struct reader *r, uint64_t at, void *to, size_t n)
{
    const int failed = dg_file_read(&r->w->files[0], at, to, n);

    if (failed)
        return dg_fail(r->err, DG_ERR_IO, "%s: cannot read: %s", r->w->name, strerror(failed));
    return DG_OK;
}

/* What must be right before the rest means anything: first of all the version. */
static enum dg_status read_head(struct reader *r)
{
    struct dg_packed_head *h = &r->head;
    enum dg_status st;

    if (r->w->bytes < sizeof *h)
        return refuse(r, "size: got %" PRIu64 " bytes, expected a head of %zu", r->w->bytes,
                      sizeof *h);
    st = read_bytes(r, 0, h, sizeof *h);
    if (st != DG_OK)
        return st;
    if (memcmp(h->magic, DG_PACKED_MAGIC, sizeof h->magic) != 0)
        return refuse(r, "magic number: got that of another kind of file, or a damaged one, "
                         "expected a packed file's");
    if (h->order != DG_PACKED_ORDER)
        return refuse(r, "byte order: got 0x%08" PRIx32 ", expected 0x%08x, little-endian",
                      h->order, DG_PACKED_ORDER);
    if (h->version != DG_PACKED_VERSION)
        return refuse(r, "version: got %" PRIu32 ", expected %d; dagpt convert makes it anew",
                      h->version, DG_PACKED_VERSION);
    if (h->bytes != r->w->bytes)
        return refuse(r, "size: got %" PRIu64 " bytes, expected %" PRIu64, r->w->bytes, h->bytes);
    if (h->sections < 1 || h->sections > MOST_SECTIONS)
        return refuse(r, "sections: got %" PRIu32 ", expected 1 to %d", h->sections, MOST_SECTIONS);
    r->first = dg_packed_first(h->sections);
    if (r->first > r->w->bytes)
        return refuse(r, "sections: got %" PRIu32 ", expected a table of them inside the file",
                      h->sections);
    return DG_OK;
}

static enum dg_status check_sum(const struct reader *r)
{
    struct dg_crc crc;
    uint32_t sum;

    dg_crc_tables(&crc);
    memset(r->raw + offsetof(struct dg_packed_head, sum), 0, sizeof r->head.sum);
    sum = dg_crc(&crc, 0, r->raw, (size_t)r->first);
    if (sum != r->head.sum)
        return refuse(r, "sum of the head: got 0x%08" PRIx32 ", expected 0x%08" PRIx32, sum,
                      r->head.sum);
    return DG_OK;
}

static enum dg_status check_id(const struct reader *r, const char *name, int32_t id)
{
    if (id < -1 || id >= (int32_t)r->sizes.vocab)
        return refuse(r, "%s: got %" PRId32 ", expected an id below V = %" PRIu32 ", or -1", name,
                      id, r->sizes.vocab);
    return DG_OK;
}

static enum dg_status check_recipe(const struct reader *r)
{
    const struct dg_packed_head *h = &r->head;
    enum dg_status st = check_id(r, "begin", h->begin);

    if (st == DG_OK)
        st = check_id(r, "end", h->end);
    if (st != DG_OK)
        return st;
    if (!(h->epsilon > 0.0f && h->epsilon <= 1.0f))
        return refuse(r, "epsilon: got %g, expected above 0, up to 1", (double)h->epsilon);
    if (h->activation == DG_NO_ACTIVATION || h->activation >= DG_N_ACTIVATIONS)
        return refuse(r, "activation: got %" PRIu32 ", expected 1 to %d", h->activation,
                      DG_N_ACTIVATIONS - 1);
    if (h->own_head > 1)
        return refuse(r, "own head: got %" PRIu32 ", expected 0 or 1", h->own_head);
    return DG_OK;
}

static enum dg_status check_fields(struct reader *r)
{
    const struct dg_packed_head *h = &r->head;
    enum dg_status st;

    if (h->lanes != DG_LANES)
        return refuse(r, "outputs in a panel: got %" PRIu32 ", expected %d", h->lanes, DG_LANES);
    if (h->page != DG_PACKED_PAGE)
        return refuse(r, "page: got %" PRIu32 ", expected %d", h->page, DG_PACKED_PAGE);
    for (size_t i = 0; i < sizeof h->zero / sizeof *h->zero; i++)
        if (h->zero[i])
            return refuse(r,
                          "head: got %" PRIu32 " where a later version may have a field, "
                          "expected 0",
                          h->zero[i]);
    r->sizes = (struct dg_sizes){h->positions, h->vocab, h->layers, h->heads, h->channels};
    st = dg_sizes_check(&r->sizes, r->w->name, r->err);
    if (st == DG_OK)
        st = check_recipe(r);
    r->recipe = (struct dg_recipe){h->activation, h->epsilon, h->own_head};
    return st;
}

/* ---- sections ---- */

/* A weight is taken to have the dtype that the file says, if it is one that this program has. */
static enum dg_status take_dtype(const struct reader *r, const struct dg_packed_section *s,
                                 struct dg_tensor *t)
{
    const bool known = s->dtype < N_DTYPES;

    t->dtype = known ? dtypes[s->dtype].dtype : DG_N_DTYPES;
    if (t->dtype != DG_N_DTYPES && dg_can_pack(t))
        return DG_OK;
    if (known)
        return refuse(r,
                      "section '%s': dtype: got %s, expected one that this program computes with",
                      t->name, dtypes[s->dtype].name);
    return refuse(r, "section '%s': dtype: got %" PRIu32 ", which is not known", t->name, s->dtype);
}

static enum dg_status take_dtypes(const struct reader *r, struct dg_model *m)
{
    enum dg_status st = DG_OK;
    uint32_t used = 0;

    for (uint32_t i = 0; i < dg_weight_count(&m->sizes) && st == DG_OK; i++)
        if (m->tensors[i].rows > 0)
            st = take_dtype(r, &r->sections[used++], &m->tensors[i]);
    return st;
}

static enum dg_status compare_section(const struct reader *r, uint32_t i)
{
    const struct dg_packed_section *is = &r->sections[i], *must = &r->must.sections[i];
    const struct {
        const char *name;
        uint64_t is, must;
    } fields[] = {
        {"rows", is->rows, must->rows},       {"columns", is->cols, must->cols},
        {"group", is->group, must->group},    {"reserved field", is->zero, must->zero},
        {"offset", is->offset, must->offset}, {"bytes", is->bytes, must->bytes},
        {"dtype", is->dtype, must->dtype},
    };

    if (memcmp(is->name, must->name, sizeof is->name) != 0)
        return refuse(r, "section %" PRIu32 ": got '%.24s', expected '%s'", i, is->name,
                      must->name);
    if (is->layout != must->layout)
        return refuse(r, "section '%s': layout: got %" PRIu32 ", expected %" PRIu32 ", %s",
                      must->name, is->layout, must->layout, layouts[must->layout]);
    for (size_t f = 0; f < sizeof fields / sizeof *fields; f++)
        if (fields[f].is != fields[f].must)
            return refuse(r, "section '%s': %s: got %" PRIu64 ", expected %" PRIu64, must->name,
                          fields[f].name, fields[f].is, fields[f].must);
    return DG_OK;
}

/* The tokenizer's section is the one before the last, where there is one more than weights and sums take. */
static uint64_t tokenizer_bytes(const struct reader *r, const struct dg_model *m)
{
    return r->head.sections == weights_of(m) + 2 ? r->sections[weights_of(m)].bytes : 0;
}

static enum dg_status compare_sections(struct reader *r, struct dg_model *m)
{
    const uint32_t n = r->head.sections, weights = weights_of(m);
    enum dg_status st;

    if (n != weights + 1 && n != weights + 2)
        return refuse(r,
                      "sections: got %" PRIu32 ", expected %" PRIu32 ", or one more for a "
                      "tokenizer",
                      n, weights + 1);
    if (n == weights + 2 &&
        (tokenizer_bytes(r, m) == 0 || tokenizer_bytes(r, m) > DG_MOST_TOKENIZER))
        return refuse(r, "section 'tokenizer': bytes: got %" PRIu64 ", expected 1 to %u",
                      tokenizer_bytes(r, m), DG_MOST_TOKENIZER);
    st = take_dtypes(r, m);
    if (st == DG_OK)
        st = dg_packed_plan(&r->must, m, tokenizer_bytes(r, m), r->err);
    for (uint32_t i = 0; i < n && st == DG_OK; i++)
        st = compare_section(r, i);
    if (st == DG_OK && r->must.bytes != r->head.bytes)
        return refuse(
            r, "size: got %" PRIu64 " bytes, expected %" PRIu64 ", the end of the last section",
            r->head.bytes, r->must.bytes);
    return st;
}

static enum dg_status check_table(struct reader *r)
{
    struct dg_model *m = NULL;
    enum dg_status st = check_fields(r);

    if (st == DG_OK)
        st = dg_model_outline(&m, &r->sizes, &r->recipe, r->err);
    if (st != DG_OK)
        return st;
    st = compare_sections(r, m);
    dg_model_free(m);
    return st;
}

/* Reads and checks all but the sections themselves. */
static enum dg_status open_reader(struct reader *r, const struct dg_weights *w,
                                  struct dg_error *err)
{
    enum dg_status st;

    *r = (struct reader){.w = w, .err = err};
    st = read_head(r);
    if (st != DG_OK)
        return st;
    r->raw = malloc((size_t)r->first);
    if (!r->raw)
        return dg_fail_memory(err, "a table of sections", (size_t)r->first);
    r->sections = (struct dg_packed_section *)(r->raw + sizeof r->head);
    st = read_bytes(r, 0, r->raw, (size_t)r->first);
    if (st == DG_OK)
        st = check_sum(r);
    if (st == DG_OK)
        st = check_table(r);
    return st;
}

static void close_reader(struct reader *r)
{
    free(r->raw);
    free(r->must.sections);
}

/* ---- the model ---- */

static struct dg_source source_of(const struct dg_weights *w, const struct dg_packed_section *s)
{
    const bool panels = s->layout == DG_PACKED_PANELS;
    const uint64_t lines = panels ? (s->rows + DG_LANES - 1) / DG_LANES : s->rows;

    return (struct dg_source){.file = &w->files[0],
                              .offset = s->offset,
                              .stride = s->bytes / lines,
                              .dtype = dtypes[s->dtype].dtype,
                              .panels = panels};
}

static enum dg_status describe(struct dg_weights *w, const struct reader *r)
{
    uint32_t used = 0;
    enum dg_status st;

    w->version = r->head.version;
    w->sizes = r->sizes;
    w->recipe = r->recipe;
    w->begin = r->head.begin;
    w->end = r->head.end;
    st = dg_weights_allocate(w, r->err);
    for (uint32_t i = 0; i < dg_weight_count(&w->sizes) && st == DG_OK; i++)
        if (i != DG_HEAD || w->recipe.own_head)
            w->sources[i] = source_of(w, &r->must.sections[used++]);
    if (st == DG_OK)
        w->dtype = dg_weights_find(w, DG_Q_WEIGHT, 0)->dtype;
    return st;
}

static enum dg_status read_model(struct dg_weights *w, struct dg_error *err)
{
    struct reader r;
    enum dg_status st = open_reader(&r, w, err);

    if (st == DG_OK)
        st = describe(w, &r);
    close_reader(&r);
    return st;
}

static bool claims(const unsigned char *head, size_t n)
{
    return n >= 8 && memcmp(head, DG_PACKED_MAGIC, 8) == 0;
}

/* ---- the tokenizer ---- */

static enum dg_status parse_tokenizer(struct dg_tokenizer **out, const struct reader *r,
                                      const struct dg_packed_section *s)
{
    const size_t n = (size_t)s->bytes; /* at most DG_MOST_TOKENIZER */
    char *data = malloc(n);
    enum dg_status st;

    if (!data)
        return dg_fail_memory(r->err, "a tokenizer", n);
    st = read_bytes(r, s->offset, data, n);
    if (st == DG_OK)
        st = dg_tokenizer_of_packed(out, data, n, r->w->name, r->err);
    free(data);
    return st;
}

static enum dg_status read_tokenizer(struct dg_tokenizer **out, const struct dg_weights *w,
                                     struct dg_error *err)
{
    struct reader r;
    enum dg_status st = open_reader(&r, w, err);

    *out = NULL;
    if (st == DG_OK) {
        const uint32_t n = r.must.n;
        const struct dg_packed_section *s = n > 1 ? &r.must.sections[n - 2] : NULL;

        if (s && strcmp(s->name, "tokenizer") == 0)
            st = parse_tokenizer(out, &r, s);
    }
    close_reader(&r);
    return st;
}

/* ---- the sums ---- */

/* *sum, 0 before, becomes that of bytes from ... end - 1. */
static enum dg_status sum_of(const struct reader *r, const struct dg_crc *crc, uint64_t from,
                             uint64_t end, uint32_t *sum)
{
    enum { SOME = 1 << 20 };
    char *some = malloc(SOME);
    enum dg_status st = DG_OK;

    if (!some)
        return dg_fail_memory(r->err, "a part of a file", SOME);
    for (uint64_t at = from; at < end && st == DG_OK;) {
        const size_t n = end - at < SOME ? (size_t)(end - at) : SOME;

        st = read_bytes(r, at, some, n);
        *sum = dg_crc(crc, *sum, some, n);
        at += n;
    }
    free(some);
    return st;
}

/* sums[n]: of all sections, and in the last place of the sums before it. */
static enum dg_status compare_sums(const struct reader *r, const uint32_t *sums)
{
    const uint32_t n = r->must.n;
    struct dg_crc crc;

    dg_crc_tables(&crc);
    for (uint32_t i = 0; i < n; i++) {
        const uint64_t from = r->must.sections[i].offset;
        const uint64_t end =
            i + 1 < n ? dg_packed_next(&r->must, i) : r->must.bytes - sizeof(uint32_t);
        uint32_t sum = 0;
        const enum dg_status st = sum_of(r, &crc, from, end, &sum);

        if (st != DG_OK)
            return st;
        if (sum != sums[i])
            return refuse(r, "section '%s': sum: got 0x%08" PRIx32 ", expected 0x%08" PRIx32,
                          r->must.sections[i].name, sum, sums[i]);
    }
    return DG_OK;
}

static enum dg_status verify(const struct dg_weights *w, struct dg_error *err)
{
    struct reader r;
    enum dg_status st = open_reader(&r, w, err);

    if (st == DG_OK) {
        const struct dg_packed_section *s = &r.must.sections[r.must.n - 1];
        uint32_t *sums = malloc((size_t)s->bytes);

        st = sums ? read_bytes(&r, s->offset, sums, (size_t)s->bytes)
                  : dg_fail_memory(err, "a table of sums", (size_t)s->bytes);
        if (st == DG_OK)
            st = compare_sums(&r, sums);
        free(sums);
    }
    close_reader(&r);
    return st;
}

const struct dg_format dg_format_packed = {.name = "packed",
                                           .claims = claims,
                                           .read = read_model,
                                           .tokenizer = read_tokenizer,
                                           .verify = verify};
