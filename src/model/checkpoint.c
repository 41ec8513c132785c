#include "checkpoint.h"
#include "../base/checked.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "weights are read as they lie in the file: little-endian"
#endif

struct dg_section_shape dg_section_shape(const struct dg_checkpoint_header *h, enum dg_section s)
{
    const uint32_t L = h->sizes.layers, C = h->sizes.channels;

    switch (s) {
    case DG_WTE:
        return (struct dg_section_shape){"wte", 1, h->padded_vocab, C};
    case DG_WPE:
        return (struct dg_section_shape){"wpe", 1, h->sizes.positions, C};
    case DG_LN1W:
        return (struct dg_section_shape){"ln1w", L, 1, C};
    case DG_LN1B:
        return (struct dg_section_shape){"ln1b", L, 1, C};
    case DG_QKVW:
        return (struct dg_section_shape){"qkvw", L, 3 * C, C};
    case DG_QKVB:
        return (struct dg_section_shape){"qkvb", L, 1, 3 * C};
    case DG_ATTPROJW:
        return (struct dg_section_shape){"attprojw", L, C, C};
    case DG_ATTPROJB:
        return (struct dg_section_shape){"attprojb", L, 1, C};
    case DG_LN2W:
        return (struct dg_section_shape){"ln2w", L, 1, C};
    case DG_LN2B:
        return (struct dg_section_shape){"ln2b", L, 1, C};
    case DG_FCW:
        return (struct dg_section_shape){"fcw", L, 4 * C, C};
    case DG_FCB:
        return (struct dg_section_shape){"fcb", L, 1, 4 * C};
    case DG_FCPROJW:
        return (struct dg_section_shape){"fcprojw", L, C, 4 * C};
    case DG_FCPROJB:
        return (struct dg_section_shape){"fcprojb", L, 1, C};
    case DG_LNFW:
        return (struct dg_section_shape){"lnfw", 1, 1, C};
    case DG_LNFB:
        return (struct dg_section_shape){"lnfb", 1, 1, C};
    case DG_N_SECTIONS:
        break;
    }
    return (struct dg_section_shape){"", 0, 0, 0};
}

static enum dg_status refuse(struct dg_error *err, const char *path, const char *field, int64_t got,
                             const char *expected)
{
    return dg_fail(err, DG_ERR_MODEL, "%s: %s: got %" PRId64 ", expected %s", path, field, got,
                   expected);
}

/* Elements of the whole payload; false when they do not fit. */
static bool payload_elements(const struct dg_checkpoint_header *h, size_t *sum)
{
    *sum = 0;
    for (enum dg_section s = 0; s < DG_N_SECTIONS; s++) {
        const struct dg_section_shape shape = dg_section_shape(h, s);
        size_t n;

        if (!dg_mul(shape.rows, shape.cols, &n) || !dg_mul(n, shape.count, &n) ||
            !dg_add(*sum, n, sum))
            return false;
    }
    return *sum < (size_t)1 << 60;
}

/* 4 * channels is a 32-bit number of columns; the other bounds only keep a field from being taken
 * for a size. The largest GPT-2 has V = 50257, L = 48, C = 1600. */
enum dg_status dg_checkpoint_check(const struct dg_checkpoint_header *h, const char *path,
                                   struct dg_error *err)
{
    const struct dg_sizes *z = &h->sizes;
    const struct {
        const char *name;
        uint32_t value, most;
    } fields[] = {
        {"maxT", z->positions, 1 << 24}, {"V", z->vocab, 1 << 26},    {"L", z->layers, 1 << 14},
        {"NH", z->heads, 1 << 20},       {"C", z->channels, 1 << 20},
    };
    size_t elements;

    if (h->version != 1 && h->version != 3 && h->version != 5)
        return refuse(err, path, "version", (int32_t)h->version, "1, 3 or 5");
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (fields[i].value < 1 || fields[i].value > fields[i].most)
            return dg_fail(err, DG_ERR_MODEL, "%s: %s: got %" PRId32 ", expected 1 to %" PRIu32,
                           path, fields[i].name, (int32_t)fields[i].value, fields[i].most);
    if (z->channels % z->heads != 0)
        return dg_fail(err, DG_ERR_MODEL,
                       "%s: NH: got %" PRIu32 ", expected a divisor of C = %" PRIu32, path,
                       z->heads, z->channels);
    if (h->padded_vocab < z->vocab || h->padded_vocab > 1 << 26)
        return dg_fail(err, DG_ERR_MODEL,
                       "%s: Vp: got %" PRId32 ", expected at least V = %" PRIu32 ", at most %d",
                       path, (int32_t)h->padded_vocab, z->vocab, 1 << 26);
    if (!payload_elements(h, &elements))
        return dg_fail(err, DG_ERR_MODEL, "%s: sizes: more weights than any file holds", path);
    return DG_OK;
}

uint64_t dg_checkpoint_bytes(const struct dg_checkpoint_header *h)
{
    size_t elements = 0;

    payload_elements(h, &elements);
    return DG_HEADER_BYTES + elements * (uint64_t)dg_element_bytes(h);
}

static int32_t le32(const unsigned char *p)
{
    return (int32_t)((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
                     (uint32_t)p[3] << 24);
}

static enum dg_status read_header(struct dg_checkpoint *c, const char *path, struct dg_error *err)
{
    unsigned char raw[DG_HEADER_BYTES];
    struct dg_checkpoint_header *h = &c->header;
    int failed;

    if (c->file.bytes < DG_HEADER_BYTES)
        return dg_fail(err, DG_ERR_MODEL,
                       "%s: size: got %" PRIu64 " bytes, expected a header of %d", path,
                       c->file.bytes, DG_HEADER_BYTES);
    failed = dg_file_read(&c->file, 0, raw, sizeof raw);
    if (failed)
        return dg_fail(err, DG_ERR_IO, "%s: cannot read the header: %s", path, strerror(failed));
    if (le32(raw) != DG_CHECKPOINT_MAGIC)
        return refuse(err, path, "magic number", le32(raw), "20240326 (an llm.c checkpoint)");
    h->version = (uint32_t)le32(raw + 4);
    h->sizes.positions = (uint32_t)le32(raw + 8);
    h->sizes.vocab = (uint32_t)le32(raw + 12);
    h->sizes.layers = (uint32_t)le32(raw + 16);
    h->sizes.heads = (uint32_t)le32(raw + 20);
    h->sizes.channels = (uint32_t)le32(raw + 24);
    h->padded_vocab = h->version == 1 ? h->sizes.vocab : (uint32_t)le32(raw + 28);
    return dg_checkpoint_check(h, path, err);
}

/* The version, if any, whose payload for these sizes has just the size of this file. */
static uint32_t version_that_fits(const struct dg_checkpoint *c)
{
    static const uint32_t versions[] = {1, 3, 5};

    for (size_t i = 0; i < 3; i++) {
        struct dg_checkpoint_header h = c->header;

        h.version = versions[i];
        if (h.version == 1)
            h.padded_vocab = h.sizes.vocab;
        else if (c->header.version == 1) /* files are padded to a multiple of 128 */
            h.padded_vocab = (uint32_t)dg_round_up(h.sizes.vocab, 128);
        if (h.version != c->header.version && dg_checkpoint_bytes(&h) == c->file.bytes)
            return h.version;
    }
    return 0;
}

static enum dg_status check_size(const struct dg_checkpoint *c, const char *path,
                                 struct dg_error *err)
{
    const uint64_t expected = dg_checkpoint_bytes(&c->header), got = c->file.bytes;
    const uint32_t other = version_that_fits(c);
    char hint[64] = "";

    if (got == expected)
        return DG_OK;
    if (other)
        snprintf(hint, sizeof hint, "; it is the size of a version %" PRIu32 " file", other);
    return dg_fail(err, DG_ERR_MODEL,
                   "%s: size: got %" PRIu64 " bytes, expected %" PRIu64 " for version %" PRIu32
                   " with maxT %" PRIu32 ", V %" PRIu32 ", L %" PRIu32 ", C %" PRIu32 "%s",
                   path, got, expected, c->header.version, c->header.sizes.positions,
                   c->header.sizes.vocab, c->header.sizes.layers, c->header.sizes.channels, hint);
}

/* What is left to do once c->file is open; closes it on errors. */
static enum dg_status open_rest(struct dg_checkpoint *c, const char *path, struct dg_error *err)
{
    enum dg_status st = read_header(c, path, err);
    uint64_t at = DG_HEADER_BYTES;

    if (st == DG_OK)
        st = check_size(c, path, err);
    if (st != DG_OK) {
        dg_checkpoint_close(c);
        return st;
    }
    for (enum dg_section s = 0; s < DG_N_SECTIONS; s++) {
        const struct dg_section_shape shape = dg_section_shape(&c->header, s);

        c->offset[s] = at;
        at += (uint64_t)shape.count * shape.rows * shape.cols * dg_element_bytes(&c->header);
    }
    return DG_OK;
}

enum dg_status dg_checkpoint_open(struct dg_checkpoint *c, const char *path, struct dg_error *err)
{
    const enum dg_status st = dg_file_open(&c->file, path, err);

    return st == DG_OK ? open_rest(c, path, err) : st;
}

enum dg_status dg_checkpoint_open_memory(struct dg_checkpoint *c, const void *data, size_t n,
                                         const char *name, struct dg_error *err)
{
    c->file = dg_file_of_memory(data, n);
    return open_rest(c, name, err);
}

void dg_checkpoint_close(struct dg_checkpoint *c)
{
    dg_file_close(&c->file);
}
