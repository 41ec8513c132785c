/* gpt2.c - all of GPT-2 in one file of plain C, bit for bit what dagpt computes.
 *
 *     cc -O2 -ffp-contract=off -o gpt2 spec/gpt2.c -lm
 *     ./gpt2 31373 612                  reads gpt2_124M.bin, prints ids until there are 10
 *
 * A text is a sequence of ids; each stands for some letters. For such a sequence GPT-2 computes a
 * number for each id that could come next, its logit: the larger, the likelier. One id is chosen
 * and appended, and so on. The rest is how logits come about:
 *
 *     id and position become x, a vector of C floats                                 forward()
 *     for each of L layers:
 *         x += attention(layernorm(x))          what earlier positions say to it     attention()
 *         x += mlp(layernorm(x))                what follows from x alone            mlp()
 *     layernorm(x) becomes a logit for each of V ids                                 find_logits()
 * In the smallest GPT-2 C is 768, cut into 12 heads of 64; L is 12 and V 50257.
 *
 * The contract. Each operation on floats rounds, so that a sum depends on its order; two programs
 * agree to the last bit if both round the same numbers in the same order. It is the order written
 * here. (A fast program can keep it: dagpt computes many outputs side by side, each in this order.)
 * An operation is one of float's + - * / and sqrtf, rounded to nearest (IEEE 754); fmaf(a, b, c),
 * a * b + c rounded once; or what is exact: comparing, fabsf, copysignf, ldexpf. Hence the option
 * -ffp-contract=off: no compiler may make an fmaf of a * b + c by itself. And hence exp_of() and
 * tanh_of(): those of libm differ from one system to the next.
 *
 * Where the formulas come from:
 *     [GPT-2]  Radford et al., Language Models are Unsupervised Multitask Learners, 2019
 *     [AIAYN]  Vaswani et al., Attention Is All You Need, 2017
 *     [LN]     Ba, Kiros, Hinton, Layer Normalization, 2016
 *     [GELU]   Hendrycks, Gimpel, Gaussian Error Linear Units, 2016
 *     [ResNet] He et al., Deep Residual Learning for Image Recognition, 2015
 *     [Tied]   Press, Wolf, Using the Output Embedding to Improve Language Models, 2016
 *     [CW]     Cody, Waite, Software Manual for the Elementary Functions, 1980 */
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if FLT_EVAL_METHOD != 0
#error "floats must be computed as floats; on a 32-bit x86: -msse2 -mfpmath=sse"
#endif

enum { BAD_USAGE = 2, BAD_MODEL, BAD_TOKEN, BAD_OUTPUT, NO_MEMORY, HEADER_BYTES = 1024 };

/* One line on standard error, and the end of the program with that code. */
static void fail(int code, const char *what, const char *wrong)
{
    fprintf(stderr, "gpt2: %s: %s\n", what, wrong);
    exit(code);
}

static void *allocate(size_t n, size_t size)
{
    void *memory = calloc(n, size);

    if (!memory)
        fail(NO_MEMORY, "out of memory", "use a smaller model or fewer ids");
    return memory;
}

/* Cuts the next n floats off a block; *rest is what is left of it. */
static float *take(float **rest, size_t n)
{
    return (*rest += n) - n;
}

/* ---- arithmetic: what all of the network is made of ---- */

#ifndef OTHER_PRODUCT /* int8.c has one */
/* y = W x + b, with y[n], w[n][k], x[k], b[n] or NULL for zeros. Nearly all time goes here. */
static void product(float *y, const float *w, const float *x, const float *b, size_t n, size_t k)
{
    for (size_t o = 0; o < n; o++) {
        float sum = b ? b[o] : 0.0f;

        for (size_t i = 0; i < k; i++)
            sum = fmaf(x[i], w[o * k + i], sum);
        y[o] = sum;
    }
}

/* y = a row w of a matrix. */
static void take_row(float *y, const float *w, size_t n)
{
    memcpy(y, w, n * sizeof *y);
}
#endif
#ifndef OTHER_CACHE /* bf16_cache.c has one: a number of a key or a value, as it is kept */
#define kept(x) (x)
#endif

/* x += y. A layer need only learn what to change in x, not all of x [ResNet]. */
static void add(float *x, const float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = x[i] + y[i];
}

/* The sum of all x[i], or of their squares, in 16 lanes, as registers of 16 floats add: element i
 * goes to lane i % 16; then the upper half of the lanes is added to the lower, until one is left. */
static float sum_of(const float *x, size_t n, int squared)
{
    float lane[16] = {0};

    for (size_t i = 0; i < n; i++)
        lane[i % 16] = squared ? fmaf(x[i], x[i], lane[i % 16]) : lane[i % 16] + x[i];
    for (size_t half = 8; half > 0; half /= 2)
        for (size_t i = 0; i < half; i++)
            lane[i] = lane[i] + lane[i + half];
    return lane[0];
}

static float largest_of(const float *x, size_t n)
{
    float max = -INFINITY;

    for (size_t i = 0; i < n; i++)
        max = x[i] > max ? x[i] : max;
    return max;
}

/* e^x for x up to 88; 0 where that would be below the smallest normal float, 2^-126. With x / ln 2
 * rounded to an integer n, and r = x - n ln 2, e^x is 2^n e^r, and r is small enough for a
 * polynomial [CW]: e^r = 1 + (r + r^2 Q(r)). tools/dev/derive_poly.py derives it, and tanh_of()'s;
 * all rounding counted, they err by at most 1.009 and 1.068 units in the last place. A float from
 * 2^23 on has no digits behind the point: adding 1.5 * 2^23 rounds to an integer, and taking that
 * off leaves it. One float does not hold ln 2 well: it is 0x1.62e430p-1 - 0x1.05c610p-29. */
static float exp_of(float x)
{
    const float n = fmaf(x, 0x1.715476p+0f /* 1 / ln 2 */, 0x1.8p+23f) - 0x1.8p+23f;
    const float r = fmaf(n, 0x1.05c610p-29f, fmaf(n, -0x1.62e430p-1f, x));
    float q = 0x1.697baep-10f;

    q = fmaf(q, r, 0x1.123980p-7f);
    q = fmaf(q, r, 0x1.5559fep-5f);
    q = fmaf(q, r, 0x1.555492p-3f);
    q = fmaf(q, r, 0x1.fffffap-2f);
    if (x < -0x1.5d589ep+6f) /* -87.33654 */
        return 0.0f;
    return ldexpf(fmaf(r * r, q, r) + 1.0f, (int)lrintf(n));
}

/* With a = |x|: 1 - 2 / (e^2a + 1), which is 1 from 9.02 on. Below 0.7 that would subtract numbers
 * of about the same size, and lose digits: there it is a + a^3 P(a^2). */
static float tanh_of(float x)
{
    const float a = fabsf(x), a2 = a * a, capped = a > 0x1.20a3d8p+3f ? 0x1.20a3d8p+3f : a;
    float p = -0x1.53e692p-8f;

    p = fmaf(p, a2, 0x1.4a1fb0p-6f);
    p = fmaf(p, a2, -0x1.b6f284p-5f);
    p = fmaf(p, a2, 0x1.10fcf8p-3f);
    p = fmaf(p, a2, -0x1.555504p-2f);
    if (a < 0x1.666666p-1f) /* 0.7 */
        return copysignf(fmaf(a * a2, p, a), x);
    return copysignf(1.0f - 2.0f / (exp_of(capped + capped) + 1.0f), x);
}

/* x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) [GELU]: about x above zero, about 0 below. */
static float gelu_of(float x)
{
    const float cubic = fmaf(0.044715f * (x * x), x, x);

    return 0.5f * x * (1.0f + tanh_of(0x1.988454p-1f /* sqrt(2 / pi) */ * cubic));
}

/* y = (x - mean) / sqrt(variance + 1e-5) * gain + bias [LN]: about one, however large x is. */
static void layernorm(float *y, const float *x, const float *gain, const float *bias, size_t n)
{
    const float mean = sum_of(x, n, 0) / (float)n;
    float scale;

    for (size_t i = 0; i < n; i++)
        y[i] = x[i] - mean;
    scale = 1.0f / sqrtf(sum_of(y, n, 1) / (float)n + 1e-5f);
    for (size_t i = 0; i < n; i++)
        y[i] = fmaf(y[i] * scale, gain[i], bias[i]);
}

/* x[i] = e^x[i] / (the sum of all e^x[j]). All are lowered by the largest, or e^x would overflow. */
static void softmax(float *x, size_t n)
{
    const float max = largest_of(x, n);
    float scale;

    for (size_t i = 0; i < n; i++)
        x[i] = exp_of(x[i] - max);
    scale = 1.0f / sum_of(x, n, 0);
    for (size_t i = 0; i < n; i++)
        x[i] = x[i] * scale;
}

/* ---- the model: a file of weights ---- */

struct model {
    size_t positions, vocab, layers, heads, channels; /* maxT, V, L, NH, C */
    size_t padded;                                    /* Vp: rows of wte in the file */
    float *weights;                                   /* all that follow, as the file has them */

    const float *wte;                         /* [Vp][C]: a vector for each id */
    const float *wpe;                         /* [maxT][C]: one for each position */
    const float *ln1_gain, *ln1_bias;         /* [L][C] */
    const float *qkv_weight, *qkv_bias;       /* [L][3C][C], [L][3C]: for q, then k, then v */
    const float *proj_weight, *proj_bias;     /* [L][C][C], [L][C] */
    const float *ln2_gain, *ln2_bias;         /* [L][C] */
    const float *fc_weight, *fc_bias;         /* [L][4C][C], [L][4C] */
    const float *fcproj_weight, *fcproj_bias; /* [L][C][4C], [L][C] */
    const float *lnf_gain, *lnf_bias;         /* [C] */
};

static void place_weights(struct model *m)
{
    const size_t L = m->layers, C = m->channels;
    float *rest = m->weights;

    m->wte = take(&rest, m->padded * C);
    m->wpe = take(&rest, m->positions * C);
    m->ln1_gain = take(&rest, L * C);
    m->ln1_bias = take(&rest, L * C);
    m->qkv_weight = take(&rest, L * 3 * C * C);
    m->qkv_bias = take(&rest, L * 3 * C);
    m->proj_weight = take(&rest, L * C * C);
    m->proj_bias = take(&rest, L * C);
    m->ln2_gain = take(&rest, L * C);
    m->ln2_bias = take(&rest, L * C);
    m->fc_weight = take(&rest, L * 4 * C * C);
    m->fc_bias = take(&rest, L * 4 * C);
    m->fcproj_weight = take(&rest, L * C * 4 * C);
    m->fcproj_bias = take(&rest, L * C);
    m->lnf_gain = take(&rest, C);
    m->lnf_bias = take(&rest, C);
}

/* A number of the file's; the lowest byte comes first, whatever machine this is. */
static uint32_t number_at(const unsigned char *p, size_t bytes)
{
    uint32_t number = 0;

    for (size_t i = 0; i < bytes; i++)
        number |= (uint32_t)p[i] << 8 * i;
    return number;
}

/* Reads llm.c's header (docs/formats/llmc-checkpoint.md). Returns the bytes of a weight. */
static size_t read_header(struct model *m, FILE *file, const char *path)
{
    static const uint32_t most[] = {1 << 24, 1 << 26, 1 << 14, 1 << 20, 1 << 20, 1 << 26};
    size_t *const size[] = {&m->positions, &m->vocab,    &m->layers,
                            &m->heads,     &m->channels, &m->padded};
    unsigned char header[HEADER_BYTES];
    uint32_t version;

    if (fread(header, 1, sizeof header, file) != sizeof header || number_at(header, 4) != 20240326)
        fail(BAD_MODEL, path, "not a checkpoint of llm.c");
    version = number_at(header + 4, 4);
    if (version != 1 && version != 3 && version != 5)
        fail(BAD_MODEL, path, "not of version 1, 3 or 5");
    for (size_t i = 0; i < 6; i++) {
        *size[i] = i == 5 && version == 1 ? m->vocab : number_at(header + 8 + 4 * i, 4);
        if (*size[i] < 1 || *size[i] > most[i])
            fail(BAD_MODEL, path, "maxT, V, L, NH, C or Vp cannot be");
    }
    if (m->channels % m->heads != 0 || m->padded < m->vocab)
        fail(BAD_MODEL, path, "C is no multiple of NH, or Vp is below V");
    return version == 5 ? 2 /* bf16, the upper half of a float */ : 4;
}

/* To floats where they lie, the last one first: a bf16, half of a float, takes less room. */
static void widen(float *weights, size_t n, size_t bytes)
{
    const unsigned char *raw = (const unsigned char *)weights;

    for (size_t i = n; i-- > 0;) {
        const uint32_t bits = number_at(raw + i * bytes, bytes) << (32 - 8 * bytes);

        memcpy(&weights[i], &bits, sizeof bits);
    }
}

/* The sizes are believed when the file has just the bytes that they ask for. */
static void open_model(struct model *m, const char *path)
{
    FILE *file = fopen(path, "rb");
    uint64_t n, C;
    size_t bytes;
    long got;

    if (!file)
        fail(BAD_MODEL, path, "cannot open");
    bytes = read_header(m, file, path);
    C = m->channels;
    n = C * (m->padded + m->positions + m->layers * (12 * C + 13) + 2);
    got = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    if (got < HEADER_BYTES || (uint64_t)got - HEADER_BYTES != n * bytes)
        fail(BAD_MODEL, path, "has not the bytes that the sizes in its header ask for");
    m->weights = allocate((size_t)n, sizeof *m->weights);
    if (fseek(file, HEADER_BYTES, SEEK_SET) != 0 || fread(m->weights, bytes, (size_t)n, file) != n)
        fail(BAD_MODEL, path, "cannot read the weights");
    fclose(file);
    widen(m->weights, (size_t)n, bytes);
    place_weights(m);
}

/* ---- the network: one id at one position ---- */

struct text {
    size_t room;                            /* positions that fit */
    float *keys, *values;                   /* [L][room][C] of the positions so far: the cache */
    float *x;                               /* [C]: what runs through all layers; and on its way: */
    float *normed, *query, *mixed, *change; /* [C] */
    float *hidden;                          /* [4C] */
    float *scores;                          /* [room] of a query and each key */
    float *logits;                          /* [V] */
};

static void open_text(struct text *s, const struct model *m, size_t room)
{
    const size_t C = m->channels;
    float *rest = allocate(9 * C + room + m->vocab, sizeof *rest);

    s->room = room;
    s->keys = allocate(2 * m->layers * C, room * sizeof *s->keys);
    s->values = s->keys + m->layers * C * room;
    s->x = take(&rest, C);
    s->normed = take(&rest, C);
    s->query = take(&rest, C);
    s->mixed = take(&rest, C);
    s->hidden = take(&rest, 4 * C);
    s->change = take(&rest, C);
    s->scores = take(&rest, room);
    s->logits = take(&rest, m->vocab);
}

/* One head of attention, softmax(q k^T / sqrt(d)) v [AIAYN, equation 1], for one query: the better
 * it matches a position's key, the more it takes of its value. These are `stride` apart. */
static void head(float *mixed, const float *query, const float *keys, const float *values,
                 float *scores, size_t n, size_t d, size_t stride)
{
    const float scale = 1.0f / sqrtf((float)d);

    for (size_t t = 0; t < n; t++) {
        float sum = 0.0f;

        for (size_t i = 0; i < d; i++)
            sum = fmaf(query[i], kept(keys[t * stride + i]), sum);
        scores[t] = sum * scale;
    }
    softmax(scores, n);
    for (size_t i = 0; i < d; i++) {
        float sum = 0.0f;

        for (size_t t = 0; t < n; t++)
            sum = fmaf(scores[t], kept(values[t * stride + i]), sum);
        mixed[i] = sum;
    }
}

/* Attention of layer l at position t, which sees positions 0 to t. As none sees a later one, a key
 * and a value never change: they are computed once and kept. A head has d of the C channels. */
static void attention(const struct model *m, struct text *s, size_t l, size_t t)
{
    const size_t C = m->channels, d = C / m->heads;
    const float *w = m->qkv_weight + l * 3 * C * C, *b = m->qkv_bias + l * 3 * C;
    float *keys = s->keys + l * s->room * C, *values = s->values + l * s->room * C;

    layernorm(s->normed, s->x, m->ln1_gain + l * C, m->ln1_bias + l * C, C);
    product(s->query, w, s->normed, b, C, C);
    product(keys + t * C, w + C * C, s->normed, b + C, C, C);
    product(values + t * C, w + 2 * C * C, s->normed, b + 2 * C, C, C);
    for (size_t c = 0; c < C; c += d)
        head(s->mixed + c, s->query + c, keys + c, values + c, s->scores, t + 1, d, C);
    product(s->change, m->proj_weight + l * C * C, s->mixed, m->proj_bias + l * C, C, C);
    add(s->x, s->change, C);
}

/* The other half of layer l: C channels to 4C, gelu, and back to C. */
static void mlp(const struct model *m, struct text *s, size_t l)
{
    const size_t C = m->channels, H = 4 * C;

    layernorm(s->normed, s->x, m->ln2_gain + l * C, m->ln2_bias + l * C, C);
    product(s->hidden, m->fc_weight + l * H * C, s->normed, m->fc_bias + l * H, H, C);
    for (size_t i = 0; i < H; i++)
        s->hidden[i] = gelu_of(s->hidden[i]);
    product(s->change, m->fcproj_weight + l * C * H, s->hidden, m->fcproj_bias + l * C, C, H);
    add(s->x, s->change, C);
}

/* The id at position t, after those at 0 to t - 1. Each half of a layer is given layernorm(x), and
 * what it says is added to x itself [GPT-2, section 2.3]. */
static void forward(const struct model *m, struct text *s, int id, size_t t)
{
    const size_t C = m->channels;

    take_row(s->x, m->wte + (size_t)id * C, C);
    add(s->x, m->wpe + t * C, C);
    for (size_t l = 0; l < m->layers; l++) {
        attention(m, s, l, t);
        mlp(m, s, l);
    }
}

/* How well x matches the vector of each id [Tied]. */
static void find_logits(const struct model *m, struct text *s)
{
    layernorm(s->normed, s->x, m->lnf_gain, m->lnf_bias, m->channels);
    product(s->logits, m->wte, s->normed, NULL, m->vocab, m->channels);
}

/* The next id: softmax makes probabilities of the logits (here its sum is a plain one); they are
 * added up from id 0 on, and the id whose probability takes the sum above the coin is it. A coin
 * thrown evenly in 0 to 1 gives each id as often as it is likely; the lab's is always 0.5. */
static int choose(float *logits, size_t vocab, float coin)
{
    const float max = largest_of(logits, vocab);
    float sum = 0.0f, reached = 0.0f;

    for (size_t id = 0; id < vocab; id++) {
        if (!isfinite(logits[id]))
            fail(BAD_MODEL, "a logit", "not finite: the weights are damaged");
        logits[id] = exp_of(logits[id] - max);
        sum = sum + logits[id];
    }
    for (size_t id = 0; id < vocab; id++) {
        reached = reached + logits[id] / sum;
        if (reached > coin)
            return (int)id;
    }
    return (int)vocab - 1;
}

/* Prints ids until there are `total`, or writes the logits that each is chosen from, V floats. With
 * the cache only new ids go through the network; without it all do, each time. */
static void complete(const struct model *m, struct text *s, int *ids, size_t n, size_t total,
                     int no_cache, int logits)
{
    for (size_t t = 0; n < total; n++) {
        for (t = no_cache ? 0 : t; t < n; t++)
            forward(m, s, ids[t], t);
        find_logits(m, s);
        if (logits)
            fwrite(s->logits, sizeof *s->logits, m->vocab, stdout);
        ids[n] = choose(s->logits, m->vocab, 0.5f);
        if (!logits)
            printf("%d\n", ids[n]);
        fflush(stdout);
    }
}

static size_t number_of(const char *word, size_t most, const char *wrong)
{
    char *end;
    const unsigned long number = strtoul(word, &end, 10);

    if (word[0] < '0' || word[0] > '9' || *end || number > most)
        fail(BAD_TOKEN, word, wrong);
    return number;
}

int main(int argc, char **argv)
{
    const char *path = "gpt2_124M.bin";
    size_t n, total = 10;
    int no_cache = 0, logits = 0, i = 1, *ids;
    struct model m;
    struct text s;

    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "--no-cache") == 0)
            no_cache = 1;
        else if (strcmp(argv[i], "--logits") == 0)
            logits = 1;
        else if (strcmp(argv[i], "-m") == 0 && i + 1 < argc)
            path = argv[++i];
        else if (strcmp(argv[i], "-n") == 0 && i + 1 < argc)
            total = number_of(argv[++i], 1 << 24, "no count of ids");
        else
            break;
    }
    if (i >= argc || argv[i][0] == '-')
        fail(BAD_USAGE, "usage", "gpt2 [-m MODEL] [-n TOTAL] [--no-cache] [--logits] ID...");
    n = (size_t)(argc - i);
    total = total > n ? total : n;
    open_model(&m, path);
    if (total > m.positions)
        fail(BAD_TOKEN, path, "has fewer positions than that many ids take");
    ids = allocate(total, sizeof *ids);
    for (size_t t = 0; t < n; t++)
        ids[t] = (int)number_of(argv[i++], m.vocab - 1, "no id of this model");
    open_text(&s, &m, total);
    complete(&m, &s, ids, n, total, no_cache, logits);
    free(s.x);
    free(s.keys);
    free(ids);
    free(m.weights);
    if (fflush(stdout) != 0 || ferror(stdout))
        fail(BAD_OUTPUT, "standard output", "cannot write all of it");
    return 0;
}
