/* Writes llm.c's checkpoints. The rows that pad a vocabulary to a multiple of 128 are zeros, as are the numbers of the
 * header that nobody has given a meaning. */
#include "../writer.h"
#include "../../base/checked.h"
#include "../../base/status.h"
#include "llmc.h"

#include <stdlib.h>

enum { PAD = 128 };

static struct dg_llmc_header header_of(const struct dg_conversion *c)
{
    const struct dg_sizes *z = &c->weights->sizes;
    const uint32_t version = c->writer->version;

    return (struct dg_llmc_header){version, *z,
                                   version == 1 ? z->vocab : (uint32_t)dg_round_up(z->vocab, PAD)};
}

/* The header says sizes and nothing else: all the rest must be as in the published models. */
static enum dg_status check(const struct dg_conversion *c, struct dg_error *err)
{
    const struct dg_recipe *r = &c->weights->recipe, gpt2 = DG_GPT2_RECIPE;
    const struct dg_llmc_header h = header_of(c);
    const char *name = c->weights->name;

    if (r->own_head)
        return dg_fail(err, DG_ERR_MODEL,
                       "%s: got a head of its own, expected logits by wte: "
                       "an llm.c checkpoint holds no head",
                       name);
    if (r->activation != gpt2.activation)
        return dg_fail(err, DG_ERR_MODEL,
                       "%s: activation: got %s, expected %s: an llm.c checkpoint holds no other",
                       name, dg_activation_name(r->activation),
                       dg_activation_name(gpt2.activation));
    if (r->epsilon < gpt2.epsilon || r->epsilon > gpt2.epsilon)
        return dg_fail(err, DG_ERR_MODEL,
                       "%s: epsilon: got %g, expected %g: an llm.c checkpoint holds no other", name,
                       (double)r->epsilon, (double)gpt2.epsilon);
    if (c->dtype != DG_N_DTYPES && c->dtype != dg_llmc_dtype(&h))
        return dg_fail(err, DG_ERR_USAGE,
                       "dtype: got %s, expected %s, which version %u of an llm.c checkpoint has",
                       dg_dtype_name(c->dtype), dg_dtype_name(dg_llmc_dtype(&h)), h.version);
    return dg_llmc_check(&h, name, err);
}

static enum dg_status put_header(const struct dg_llmc_header *h, FILE *to)
{
    const uint32_t fields[] = {
        DG_LLMC_MAGIC,   h->version,     h->sizes.positions, h->sizes.vocab,
        h->sizes.layers, h->sizes.heads, h->sizes.channels,  h->version == 1 ? 0 : h->padded_vocab,
    };
    unsigned char raw[DG_LLMC_HEADER_BYTES] = {0};

    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        for (size_t byte = 0; byte < 4; byte++)
            raw[4 * i + byte] = (unsigned char)(fields[i] >> 8 * byte);
    return fwrite(raw, sizeof raw, 1, to) == 1 ? DG_OK : DG_ERR_CANCELLED;
}

static enum dg_status put_zeros(FILE *to, uint64_t bytes)
{
    static const char zeros[4096];

    for (uint64_t n; bytes > 0; bytes -= n) {
        n = bytes < sizeof zeros ? bytes : sizeof zeros;
        if (fwrite(zeros, 1, (size_t)n, to) != n)
            return DG_ERR_CANCELLED;
    }
    return DG_OK;
}

static enum dg_status put_section(const struct dg_conversion *c, const struct dg_llmc_header *h,
                                  FILE *to, int i, struct dg_error *err)
{
    const struct dg_llmc_section s = dg_llmc_section(h, i);
    const enum dg_dtype dtype = dg_llmc_dtype(h);
    enum dg_status st = DG_OK;

    for (uint32_t layer = 0; layer < s.times && st == DG_OK; layer++)
        st = dg_write_tensor(c, to, &(struct dg_written){s.first, s.parts, layer, false, dtype},
                             err);
    if (st == DG_OK && s.first == DG_WTE)
        st = put_zeros(to, (uint64_t)(h->padded_vocab - h->sizes.vocab) * s.cols *
                               dg_dtype_bytes(dtype));
    return st;
}

static enum dg_status write_file(const struct dg_conversion *c, struct dg_error *err)
{
    const struct dg_llmc_header h = header_of(c);
    FILE *to = c->open(c->arg, NULL);
    enum dg_status st = to ? put_header(&h, to) : DG_ERR_CANCELLED;

    for (int i = 0; i < DG_LLMC_SECTIONS && st == DG_OK; i++)
        st = put_section(c, &h, to, i, err);
    return st;
}

const struct dg_writer dg_writer_llmc1 = {.name = "llmc1",
                                          .ending = ".bin",
                                          .about = "an llm.c checkpoint of version 1",
                                          .version = 1,
                                          .check = check,
                                          .write = write_file};
const struct dg_writer dg_writer_llmc3 = {.name = "llmc3",
                                          .about = "an llm.c checkpoint of version 3",
                                          .version = 3,
                                          .check = check,
                                          .write = write_file};
const struct dg_writer dg_writer_llmc5 = {.name = "llmc5",
                                          .ending = ".bin",
                                          .about = "an llm.c checkpoint of version 5",
                                          .version = 5,
                                          .check = check,
                                          .write = write_file};
