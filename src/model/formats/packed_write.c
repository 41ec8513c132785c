/* Writes packed files, front to back: each weight is read and packed as a load op does it, and goes out in blocks.
 * A file system that keeps large folios then has the file in huge pages from the start, of the size and alignment
 * of the blocks. */
#include "packed.h"
#include "../../base/arena.h"
#include "../../base/checked.h"
#include "../../base/crc.h"
#include "../../base/status.h"
#include "../../ops/ops.h"
#include "../../text/vocabulary.h"
#include "../writer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 2 << 20, MOST_TIMES = 16, ALWAYS = 16 << 20 };

struct writer {
    FILE *to;
    char *block; /* [BLOCK] */
    size_t used; /* of it */
    uint64_t at; /* in the file */
    struct dg_crc crc;
    uint32_t sum;   /* of the section at hand */
    uint32_t *sums; /* [plan.n] */
    struct dg_packed plan;
};

static void put(struct writer *w, const void *bytes, size_t n)
{
    const char *from = bytes;

    w->sum = dg_crc(&w->crc, w->sum, bytes, n);
    w->at += n;
    while (n > 0) {
        const size_t some = BLOCK - w->used < n ? BLOCK - w->used : n;

        memcpy(w->block + w->used, from, some);
        w->used += some;
        from += some;
        n -= some;
        if (w->used == BLOCK) {
            fwrite(w->block, 1, BLOCK, w->to);
            w->used = 0;
        }
    }
}

static void fill(struct writer *w, uint64_t up_to)
{
    static const char zeros[DG_PACKED_PAGE];

    put(w, zeros, (size_t)(up_to - w->at)); /* less than a page */
}

static void end_section(struct writer *w, uint32_t i)
{
    fill(w, dg_packed_next(&w->plan, i));
    w->sums[i] = w->sum;
    w->sum = 0;
}

static struct dg_packed_head head_of(const struct dg_weights *from, const struct dg_packed *plan)
{
    const struct dg_sizes *z = &from->sizes;
    struct dg_packed_head h = {.version = DG_PACKED_VERSION,
                               .order = DG_PACKED_ORDER,
                               .lanes = DG_LANES,
                               .page = DG_PACKED_PAGE,
                               .sections = plan->n,
                               .bytes = plan->bytes,
                               .positions = z->positions,
                               .vocab = z->vocab,
                               .layers = z->layers,
                               .heads = z->heads,
                               .channels = z->channels,
                               .epsilon = from->recipe.epsilon,
                               .activation = from->recipe.activation,
                               .own_head = from->recipe.own_head,
                               .begin = from->begin,
                               .end = from->end};

    memcpy(h.magic, DG_PACKED_MAGIC, sizeof h.magic);
    return h;
}

/* The sum that the head holds is that of the same bytes with 0 in its place. */
static void put_head(struct writer *w, const struct dg_weights *from)
{
    static const char zeros[DG_PACKED_PAGE];
    const size_t first = (size_t)dg_packed_first(w->plan.n);
    const size_t table = w->plan.n * sizeof *w->plan.sections;
    struct dg_packed_head h = head_of(from, &w->plan);

    h.sum = dg_crc(&w->crc, 0, &h, sizeof h);
    h.sum = dg_crc(&w->crc, h.sum, w->plan.sections, table);
    h.sum = dg_crc(&w->crc, h.sum, zeros, first - sizeof h - table);
    put(w, &h, sizeof h);
    put(w, w->plan.sections, table);
    fill(w, first);
    w->sum = 0;
}

static enum dg_status put_weight(struct writer *w, const struct dg_conversion *c,
                                 struct dg_tensor t, const struct dg_source *from,
                                 struct dg_error *err)
{
    const size_t bytes = dg_size(dg_tensor_bytes(&t));
    struct dg_arena *arena = dg_arena_new();
    int failed = ENOMEM;

    t.data = arena ? dg_arena_alloc(arena, bytes) : NULL;
    if (t.data)
        failed = dg_load(&t, from);
    if (!failed)
        put(w, t.data, bytes);
    dg_arena_free(arena);
    if (failed == ENOMEM)
        return dg_fail_memory(err, t.name, bytes);
    if (failed == EDOM)
        return dg_weights_not_finite(c->weights, err);
    if (failed)
        return dg_fail(err, DG_ERR_IO, "%s: cannot read: %s", c->weights->name, strerror(failed));
    return DG_OK;
}

static enum dg_status put_weights(struct writer *w, const struct dg_conversion *c,
                                  const struct dg_model *m, struct dg_error *err)
{
    uint32_t section = 0;

    for (uint32_t i = 0; i < dg_weight_count(&m->sizes); i++) {
        const struct dg_tensor *t = &m->tensors[i];
        enum dg_status st;

        if (t->rows == 0)
            continue;
        st = put_weight(w, c, *t, &c->weights->sources[i], err);
        if (st != DG_OK)
            return st;
        end_section(w, section++);
        if (ferror(w->to) || !c->tell(c->arg, (uint64_t)t->rows * t->cols))
            return DG_ERR_CANCELLED;
    }
    return DG_OK;
}

/* The tokenizer, and the sums: of each section before, and then of these sums. */
static enum dg_status put_rest(struct writer *w, const char *tokenizer, size_t n)
{
    const uint32_t last = w->plan.n - 1;

    if (n > 0) {
        put(w, tokenizer, n);
        end_section(w, last - 1);
    }
    put(w, w->sums, last * sizeof *w->sums);
    w->sums[last] = w->sum;
    put(w, &w->sums[last], sizeof *w->sums);
    fwrite(w->block, 1, w->used, w->to);
    return ferror(w->to) ? DG_ERR_CANCELLED : DG_OK;
}

/* A weight takes a page at least, and its outputs go by sixteens: of weights of a few elements each the file would be
 * hundreds of times as large. */
static enum dg_status check_growth(const struct dg_packed *plan, const struct dg_conversion *c,
                                   struct dg_error *err)
{
    const uint64_t weights = sizeof(float) * dg_conversion_elements(c->weights);

    if (plan->bytes <= ALWAYS || plan->bytes / MOST_TIMES <= weights)
        return DG_OK;
    return dg_fail(err, DG_ERR_MODEL,
                   "%s: sizes: got weights of %" PRIu64 " bytes, packed in pages %" PRIu64
                   ", expected at most %d times as many",
                   c->weights->name, weights, plan->bytes, MOST_TIMES);
}

static enum dg_status put_all(struct writer *w, const struct dg_conversion *c,
                              const struct dg_model *m, const char *tokenizer, size_t n,
                              struct dg_error *err)
{
    enum dg_status st = dg_packed_plan(&w->plan, m, n, err);

    if (st == DG_OK)
        st = check_growth(&w->plan, c, err);
    if (st != DG_OK)
        return st;
    w->block = malloc(BLOCK);
    w->sums = calloc(w->plan.n, sizeof *w->sums);
    if (!w->block || !w->sums)
        return dg_fail_memory(err, "a block of a file", BLOCK);
    w->to = c->open(c->arg, NULL);
    if (!w->to)
        return DG_ERR_CANCELLED;
    setvbuf(w->to, NULL, _IONBF, 0); /* else blocks are cut anew */
    put_head(w, c->weights);
    st = put_weights(w, c, m, err);
    return st == DG_OK ? put_rest(w, tokenizer, n) : st;
}

/* Weights are written as a model holds them that is opened with auto, or as the conversion says. */
static enum dg_precision precision_of(const struct dg_conversion *c)
{
    return c->dtype == DG_BF16  ? DG_PRECISION_BF16
           : c->dtype == DG_I8  ? DG_PRECISION_INT8
           : c->dtype == DG_F32 ? DG_PRECISION_F32
                                : DG_PRECISION_AUTO;
}

static enum dg_status write_file(const struct dg_conversion *c, struct dg_error *err)
{
    struct writer *w = calloc(1, sizeof *w);
    struct dg_model *m = NULL;
    char *tokenizer = NULL;
    size_t n = 0;
    enum dg_status st = w ? dg_model_outline(&m, &c->weights->sizes, &c->weights->recipe, err)
                          : dg_fail_memory(err, "a table of sums", sizeof *w);

    if (st == DG_OK && c->tokenizer) {
        tokenizer = dg_tokenizer_pack(c->tokenizer, &n);
        if (!tokenizer)
            st = dg_fail_memory(err, "a tokenizer", n);
    }
    if (st == DG_OK) {
        dg_crc_tables(&w->crc);
        dg_model_hold_as(m, precision_of(c), c->weights);
        st = put_all(w, c, m, tokenizer, n, err);
    }
    if (w) {
        free(w->plan.sections);
        free(w->sums);
        free(w->block);
    }
    free(w);
    free(tokenizer);
    dg_model_free(m);
    return st;
}

static enum dg_status check(const struct dg_conversion *c, struct dg_error *err)
{
    if (c->dtype != DG_F16)
        return DG_OK;
    return dg_fail(err, DG_ERR_MODEL,
                   "%s: dtype: got %s, expected float32, bfloat16 or int8 in a packed file",
                   c->weights->name, dg_dtype_name(c->dtype));
}

const struct dg_writer dg_writer_packed = {.name = "packed",
                                           .ending = ".dagpt",
                                           .about = "a packed file",
                                           .tokenizer = true,
                                           .check = check,
                                           .write = write_file};
