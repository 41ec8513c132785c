/* Reads llm.c's checkpoints: a header and the weights, in one fixed order. q, k and v are the three thirds of
 * one section; of a padded wte the model takes the first V rows, so that a padded id, which has no row, never
 * wins. */
#include "llmc.h"
#include "../../base/checked.h"
#include "../../base/status.h"
#include "../format.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct dg_llmc_section dg_llmc_section(const struct dg_llmc_header *h, int i)
{
    static const struct {
        enum dg_weight weight;
        uint32_t parts, step;
    } order[DG_LLMC_SECTIONS] = {
        {DG_WTE, 1, 0},           {DG_WPE, 1, 0},         {DG_LN1_GAIN, 1, 0},
        {DG_LN1_BIAS, 1, 0},      {DG_Q_WEIGHT, 3, 2},    {DG_Q_BIAS, 3, 2}, /* and k and v */
        {DG_PROJ_WEIGHT, 1, 0},   {DG_PROJ_BIAS, 1, 0},   {DG_LN2_GAIN, 1, 0},
        {DG_LN2_BIAS, 1, 0},      {DG_FC_WEIGHT, 1, 0},   {DG_FC_BIAS, 1, 0},
        {DG_FCPROJ_WEIGHT, 1, 0}, {DG_FCPROJ_BIAS, 1, 0}, {DG_LNF_GAIN, 1, 0},
        {DG_LNF_BIAS, 1, 0},
    };
    const enum dg_weight w = order[i].weight;
    const struct dg_weight_shape shape = dg_weight_shape(&h->sizes, w);
    struct dg_llmc_section s = {
        .first = w,
        .parts = order[i].parts,
        .step = order[i].step,
        .times = dg_weight_in_layers(w) ? h->sizes.layers : 1,
        .rows = w == DG_WTE ? h->padded_vocab : shape.rows * order[i].parts,
        .cols = shape.cols,
    };

    if (shape.layout == DG_ROWS && w != DG_WPE) { /* vectors are longer, not more */
        s.rows = 1;
        s.cols *= s.parts;
    }
    return s;
}

/* Bytes of a whole file, header included. The sizes have passed dg_sizes_check(), and Vp is below 2^27:
 * no product wraps. */
static uint64_t file_bytes(const struct dg_llmc_header *h)
{
    uint64_t elements = 0;

    for (int i = 0; i < DG_LLMC_SECTIONS; i++) {
        const struct dg_llmc_section s = dg_llmc_section(h, i);

        elements += (uint64_t)s.times * s.rows * s.cols;
    }
    return DG_LLMC_HEADER_BYTES + elements * dg_dtype_bytes(dg_llmc_dtype(h));
}

static int32_t le32(const unsigned char *p)
{
    return (int32_t)((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
                     (uint32_t)p[3] << 24);
}

static enum dg_status refuse(struct dg_error *err, const char *path, const char *field, int64_t got,
                             const char *expected)
{
    return dg_fail(err, DG_ERR_MODEL, "%s: %s: got %" PRId64 ", expected %s", path, field, got,
                   expected);
}

enum dg_status dg_llmc_check(const struct dg_llmc_header *h, const char *path, struct dg_error *err)
{
    enum dg_status st;

    if (h->version != 1 && h->version != 3 && h->version != 5)
        return refuse(err, path, "version", (int32_t)h->version, "1, 3 or 5");
    st = dg_sizes_check(&h->sizes, path, err);
    if (st != DG_OK)
        return st;
    if (h->padded_vocab < h->sizes.vocab || h->padded_vocab > 1 << 26)
        return dg_fail(err, DG_ERR_MODEL,
                       "%s: Vp: got %" PRId32 ", expected at least V = %" PRIu32 ", at most %d",
                       path, (int32_t)h->padded_vocab, h->sizes.vocab, 1 << 26);
    return DG_OK;
}

static enum dg_status read_header(struct dg_llmc_header *h, const struct dg_weights *w,
                                  struct dg_error *err)
{
    unsigned char raw[DG_LLMC_HEADER_BYTES];
    int failed;

    if (w->bytes < DG_LLMC_HEADER_BYTES)
        return dg_fail(err, DG_ERR_MODEL,
                       "%s: size: got %" PRIu64 " bytes, expected a header of %d", w->name,
                       w->bytes, DG_LLMC_HEADER_BYTES);
    failed = dg_file_read(&w->files[0], 0, raw, sizeof raw);
    if (failed)
        return dg_fail(err, DG_ERR_IO, "%s: cannot read the header: %s", w->name, strerror(failed));
    if (le32(raw) != DG_LLMC_MAGIC)
        return refuse(err, w->name, "magic number", le32(raw), "20240326 (an llm.c checkpoint)");
    h->version = (uint32_t)le32(raw + 4);
    h->sizes.positions = (uint32_t)le32(raw + 8);
    h->sizes.vocab = (uint32_t)le32(raw + 12);
    h->sizes.layers = (uint32_t)le32(raw + 16);
    h->sizes.heads = (uint32_t)le32(raw + 20);
    h->sizes.channels = (uint32_t)le32(raw + 24);
    h->padded_vocab = h->version == 1 ? h->sizes.vocab : (uint32_t)le32(raw + 28);
    return dg_llmc_check(h, w->name, err);
}

/* The version, if any, whose payload for these sizes has just the size of this file. */
static uint32_t version_that_fits(const struct dg_llmc_header *h, uint64_t bytes)
{
    static const uint32_t versions[] = {1, 3, 5};

    for (size_t i = 0; i < 3; i++) {
        struct dg_llmc_header other = *h;

        other.version = versions[i];
        if (other.version == 1)
            other.padded_vocab = h->sizes.vocab;
        else if (h->version == 1) /* files are padded to a multiple of 128 */
            other.padded_vocab = (uint32_t)dg_round_up(h->sizes.vocab, 128);
        if (other.version != h->version && file_bytes(&other) == bytes)
            return other.version;
    }
    return 0;
}

static enum dg_status check_size(const struct dg_llmc_header *h, const struct dg_weights *w,
                                 struct dg_error *err)
{
    const uint64_t expected = file_bytes(h), got = w->bytes;
    const uint32_t other = version_that_fits(h, got);
    char hint[64] = "";

    if (got == expected)
        return DG_OK;
    if (other)
        snprintf(hint, sizeof hint, "; it is the size of a version %" PRIu32 " file", other);
    return dg_fail(err, DG_ERR_MODEL,
                   "%s: size: got %" PRIu64 " bytes, expected %" PRIu64 " for version %" PRIu32
                   " with maxT %" PRIu32 ", V %" PRIu32 ", L %" PRIu32 ", C %" PRIu32 "%s",
                   w->name, got, expected, h->version, h->sizes.positions, h->sizes.vocab,
                   h->sizes.layers, h->sizes.channels, hint);
}

/* The parts of each section, layer by layer. */
static void place(struct dg_weights *w, const struct dg_llmc_header *h)
{
    uint64_t at = DG_LLMC_HEADER_BYTES;

    for (int i = 0; i < DG_LLMC_SECTIONS; i++) {
        const struct dg_llmc_section s = dg_llmc_section(h, i);
        const uint64_t one = (uint64_t)s.rows * s.cols * dg_dtype_bytes(w->dtype);

        for (uint32_t layer = 0; layer < s.times; layer++, at += one)
            for (uint32_t p = 0; p < s.parts; p++)
                w->sources[dg_weight_place(s.first + p * s.step, layer)] =
                    dg_source_rows(&w->files[0], at + p * one / s.parts, w->dtype,
                                   dg_weight_shape(&w->sizes, s.first).cols);
    }
}

static bool claims(const unsigned char *head, size_t n)
{
    return n >= 4 && le32(head) == DG_LLMC_MAGIC;
}

static enum dg_status read(struct dg_weights *w, struct dg_error *err)
{
    struct dg_llmc_header h;
    enum dg_status st = read_header(&h, w, err);

    if (st == DG_OK)
        st = check_size(&h, w, err);
    if (st != DG_OK)
        return st;
    w->sizes = h.sizes;
    w->version = h.version;
    w->dtype = dg_llmc_dtype(&h);
    st = dg_weights_allocate(w, err);
    if (st == DG_OK)
        place(w, &h);
    return st;
}

const struct dg_format dg_format_llmc = {.name = "llm.c", .claims = claims, .read = read};
