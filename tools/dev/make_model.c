/* make-model - writes a synthetic checkpoint: the real sizes and format, weights from a seed.
 *
 * Every weight is a hash of (seed, section, index), so a file depends on its arguments alone. The
 * scales make a network that behaves like one: activations of order 1, logits with a standard
 * deviation of 5, so that few ids share the probability. The gain of lnf has random signs: without
 * them each token would predict itself, because wte is both its input and its output. Rows that pad
 * the vocabulary are eight times as large as the others: a program that lets them take part shows
 * it. */
#include "../cli/output.h"
#include "../cli/signals.h"
#include "../../src/base/checked.h"
#include "../../src/model/formats/llmc.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFER_ELEMENTS = 256 << 10 };

static const char usage[] =
    "usage: make-model [OPTION]... -o FILE\n"
    "\n"
    "Writes a synthetic llm.c checkpoint.\n"
    "\n"
    "options:\n"
    "  -o FILE          where to (needed)\n"
    "  --size NAME      124M (default), 355M, 774M or 1558M: sets all dimensions\n"
    "  --layers N --heads N --channels N --vocab N --positions N\n"
    "                   set one dimension, after --size\n"
    "  --version N      1 float (default), 3 float with padded vocabulary, 5 bf16 likewise\n"
    "  --seed N         another model (1)\n"
    "  --outliers N     in N channels what layernorms write is 20 to 100 times the rest (0)\n"
    "  -h, --help       print this\n";

__attribute__((noreturn, format(printf, 2, 3))) static void die(int code, const char *format, ...)
{
    char text[1200];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    dg_one_line(text);
    fprintf(stderr, "make-model: %s\n", text);
    exit(code);
}

/* Mixes 64 bits: the finalizer of splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* How the weights of a section are spread: uniform, with that mean and standard deviation. */
struct spread {
    float mean, deviation;
};

static struct spread spread_of(const struct dg_llmc_header *h, enum dg_weight first)
{
    const float root = sqrtf((float)h->sizes.channels);

    switch (first) {
    case DG_WTE:
        return (struct spread){0.0f, 5.0f / root};
    case DG_WPE:
        return (struct spread){0.0f, 1.5f / root};
    case DG_LN1_GAIN:
    case DG_LN2_GAIN:
        return (struct spread){1.0f, 0.1f};
    case DG_Q_WEIGHT:
    case DG_FC_WEIGHT:
        return (struct spread){0.0f, 1.0f / root};
    case DG_PROJ_WEIGHT:
        return (struct spread){0.0f, 0.5f / root};
    case DG_FCPROJ_WEIGHT:
        return (struct spread){0.0f, 0.25f / root};
    case DG_LNF_GAIN:
        return (struct spread){0.0f, 1.0f};
    default: /* biases */
        return (struct spread){0.0f, 0.02f};
    }
}

/* Elements first ... first + n - 1 of a section. */
static void generate(float *to, uint64_t first, size_t n, uint64_t key, struct spread s)
{
    const float step = s.deviation * 3.4641016f / 4294967296.0f; /* a uniform's width is sqrt(12) */

    for (size_t i = 0; i < n; i++) {
        const uint64_t bits = mix(key + (first + i) * 0x9e3779b97f4a7c15u);

        to[i] = s.mean + step * (float)(int32_t)(bits >> 32);
    }
}

/* What gains and biases of a layernorm have in channel c more than in others, and what the weights that read it have
 * less: 1, or in so many of the channels, evenly spread, 20 to 100. */
static float outlier_of(uint64_t c, uint64_t channels, uint64_t outliers)
{
    if ((c + 1) * outliers / channels == c * outliers / channels)
        return 1.0f;
    return 20.0f + (float)(mix(c) % 81);
}

/* Makes outliers of elements first ... first + n - 1 of a section. In exact arithmetic logits stay what they were. */
static void spread_outliers(float *to, uint64_t first, size_t n, enum dg_weight section,
                            uint64_t channels, uint64_t outliers)
{
    const bool writes = section == DG_LN1_GAIN || section == DG_LN1_BIAS ||
                        section == DG_LN2_GAIN || section == DG_LN2_BIAS;
    const bool reads = section == DG_Q_WEIGHT || section == DG_FC_WEIGHT;

    for (size_t i = 0; i < n && (writes || reads); i++) {
        const float factor = outlier_of((first + i) % channels, channels, outliers);

        to[i] = writes ? to[i] * factor : to[i] / factor;
    }
}

/* In place, to the nearest bf16, ties to even: 2 bytes an element. */
static void to_bf16(float *buf, size_t n)
{
    uint16_t *half = (uint16_t *)(void *)buf;

    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        uint16_t h;

        memcpy(&bits, &buf[i], sizeof bits);
        h = (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
        memcpy(&half[i], &h, sizeof h);
    }
}

static void put(struct cli_output *o, const void *bytes, size_t n)
{
    if (fwrite(bytes, 1, n, o->writing.to) == n)
        return;
    cli_output_drop(o); /* errno stays */
    die(dg_status_of(errno, DG_ERR_IO), "cannot write: %s", strerror(errno));
}

static void put_header(struct cli_output *o, const struct dg_llmc_header *h)
{
    int32_t raw[DG_LLMC_HEADER_BYTES / 4] = {DG_LLMC_MAGIC,
                                             (int32_t)h->version,
                                             (int32_t)h->sizes.positions,
                                             (int32_t)h->sizes.vocab,
                                             (int32_t)h->sizes.layers,
                                             (int32_t)h->sizes.heads,
                                             (int32_t)h->sizes.channels,
                                             h->version == 1 ? 0 : (int32_t)h->padded_vocab};

    put(o, raw, sizeof raw);
}

static void put_section(struct cli_output *o, const struct dg_llmc_header *h, int section,
                        uint64_t seed, uint64_t outliers, float *buf)
{
    const struct dg_llmc_section s = dg_llmc_section(h, section);
    const uint64_t n = (uint64_t)s.times * s.rows * s.cols;
    const uint64_t padding = s.first == DG_WTE ? (uint64_t)h->sizes.vocab * s.cols : n;

    for (uint64_t i = 0; i < n;) {
        const uint64_t end = i < padding ? padding : n;
        const size_t m = end - i < BUFFER_ELEMENTS ? (size_t)(end - i) : BUFFER_ELEMENTS;
        struct spread spread = spread_of(h, s.first);

        if (i >= padding)
            spread.deviation *= 8.0f;
        generate(buf, i, m, mix(mix(seed) + (uint64_t)section), spread);
        spread_outliers(buf, i, m, s.first, h->sizes.channels, outliers);
        if (h->version == 5)
            to_bf16(buf, m);
        put(o, buf, m * dg_dtype_bytes(dg_llmc_dtype(h)));
        i += m;
    }
}

/* A failure, and a signal, leave an earlier file as it was, and nothing beside it. */
static void write_model(const char *path, const struct dg_llmc_header *h, uint64_t seed,
                        uint64_t outliers)
{
    float *buf = malloc(BUFFER_ELEMENTS * sizeof *buf);
    struct cli_output o;

    if (!buf)
        die(DG_ERR_RESOURCE, "out of memory");
    if (!cli_output_open(&o, path))
        die(dg_status_of(errno, DG_ERR_IO), "%s: cannot create: %s", path, strerror(errno));
    put_header(&o, h);
    for (int i = 0; i < DG_LLMC_SECTIONS; i++)
        put_section(&o, h, i, seed, outliers, buf);
    if (!cli_output_keep(&o))
        die(dg_status_of(errno, DG_ERR_IO), "%s: cannot finish: %s", path, strerror(errno));
    free(buf);
}

static struct dg_sizes sizes_of(const char *name)
{
    static const struct {
        const char *name;
        struct dg_sizes sizes;
    } known[] = {
        {"124M", {1024, 50257, 12, 12, 768}},
        {"355M", {1024, 50257, 24, 16, 1024}},
        {"774M", {1024, 50257, 36, 20, 1280}},
        {"1558M", {1024, 50257, 48, 25, 1600}},
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].name, name) == 0)
            return known[i].sizes;
    die(DG_ERR_USAGE, "--size: got '%s', expected 124M, 355M, 774M or 1558M", name);
}

static uint64_t number(const char *option, const char *text, uint64_t most)
{
    char *end;
    uint64_t n;

    errno = 0;
    n = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || n > most)
        die(DG_ERR_USAGE, "%s: got '%s', expected a number up to %llu", option, text,
            (unsigned long long)most);
    return n;
}

int main(int argc, char **argv)
{
    struct dg_llmc_header h = {.version = 1, .sizes = sizes_of("124M")};
    const struct {
        const char *name;
        uint32_t *target;
    } fields[] = {
        {"--layers", &h.sizes.layers},       {"--heads", &h.sizes.heads},
        {"--channels", &h.sizes.channels},   {"--vocab", &h.sizes.vocab},
        {"--positions", &h.sizes.positions}, {"--version", &h.version},
    };
    const char *path = NULL;
    struct dg_error err;
    uint64_t seed = 1, outliers = 0;

    for (int i = 1; i < argc; i++) {
        const char *option = argv[i], *value = argv[i + 1]; /* argv[argc] is NULL */
        bool known = false;

        if (!strcmp(option, "-h") || !strcmp(option, "--help")) {
            if (fputs(usage, stdout) < 0 || fflush(stdout) != 0)
                die(DG_ERR_IO, "cannot write to standard output: %s", strerror(errno));
            return 0;
        }
        if (!value)
            die(DG_ERR_USAGE, "'%s' is unknown or wants a value; --help tells more", option);
        i++;
        for (size_t k = 0; k < sizeof fields / sizeof *fields; k++) {
            if (!strcmp(option, fields[k].name)) {
                *fields[k].target = (uint32_t)number(option, value, INT32_MAX);
                known = true;
            }
        }
        if (!strcmp(option, "-o"))
            path = value;
        else if (!strcmp(option, "--size"))
            h.sizes = sizes_of(value);
        else if (!strcmp(option, "--seed"))
            seed = number(option, value, UINT64_MAX);
        else if (!strcmp(option, "--outliers"))
            outliers = number(option, value, INT32_MAX);
        else if (!known)
            die(DG_ERR_USAGE, "unknown option '%s'; --help tells more", option);
    }
    cli_signals_begin();
    if (!path)
        die(DG_ERR_USAGE, "no -o FILE; --help tells more");
    h.padded_vocab = h.version == 1 ? h.sizes.vocab : (uint32_t)dg_round_up(h.sizes.vocab, 128);
    if (dg_llmc_check(&h, path, &err) != DG_OK)
        die(DG_ERR_USAGE, "%s", err.text);
    if (outliers > h.sizes.channels)
        die(DG_ERR_USAGE, "--outliers: got %llu, expected at most %u, the channels",
            (unsigned long long)outliers, h.sizes.channels);
    write_model(path, &h, seed, outliers);
    return 0;
}
