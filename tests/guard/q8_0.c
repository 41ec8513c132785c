#include "q8_0.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GROUP = 32, HEADER = 256 };

/* rows x depth numbers: integers, and a scale for each group of a row. */
struct matrix {
    size_t rows, depth, groups;
    int8_t *value; /* [rows][groups * GROUP]; past a row's end 0 */
    double *scale; /* [rows][groups] */
};

struct layer {
    const float *ln1_gain, *ln1_bias, *qkv_bias, *proj_bias, *ln2_gain, *ln2_bias, *fc_bias,
        *fcproj_bias;
    struct matrix qkv, proj, fc, fcproj;
};

struct q8_0 {
    size_t positions, vocab, layers, heads, channels;
    float *weights;
    const float *wpe, *lnf_gain, *lnf_bias;
    struct matrix wte;
    struct layer *layer;
};

static void *allocate(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size);

    if (!p)
        exit(2);
    return p;
}

/* x >= 0 as a binary16 keeps it: 11 digits, and no more than 24 behind the point. */
static double binary16(double x)
{
    int exponent;
    double step;

    if (x == 0)
        return 0;
    frexp(x, &exponent);
    step = ldexp(1, exponent - 11 < -24 ? -24 : exponent - 11);
    return nearbyint(x / step) * step;
}

static void quantize(struct matrix *m, size_t row, const double *x)
{
    for (size_t g = 0; g < m->groups; g++) {
        const size_t at = g * GROUP, n = m->depth - at < GROUP ? m->depth - at : GROUP;
        double most = 0;

        for (size_t i = 0; i < n; i++)
            most = fabs(x[at + i]) > most ? fabs(x[at + i]) : most;
        for (size_t i = 0; i < n; i++)
            m->value[(row * m->groups + g) * GROUP + i] =
                (int8_t)(most > 0 ? round(x[at + i] / (most / 127)) : 0);
        m->scale[row * m->groups + g] = binary16(most / 127);
    }
}

static struct matrix new_matrix(size_t rows, size_t depth)
{
    const size_t groups = (depth + GROUP - 1) / GROUP;

    return (struct matrix){rows, depth, groups, allocate(rows * groups * GROUP, 1),
                           allocate(rows * groups, sizeof(double))};
}

static void free_matrix(struct matrix *m)
{
    free(m->value);
    free(m->scale);
}

static struct matrix of_floats(const float *w, size_t rows, size_t depth)
{
    struct matrix m = new_matrix(rows, depth);
    double *row = allocate(depth, sizeof *row);

    for (size_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < depth; i++)
            row[i] = w[r * depth + i];
        quantize(&m, r, row);
    }
    free(row);
    return m;
}

static int32_t dot(const int8_t *a, const int8_t *b)
{
    int32_t sum = 0;

    for (int i = 0; i < GROUP; i++)
        sum += a[i] * b[i];
    return sum;
}

/* y[n][w->rows] = x[n][w->depth] times w, and the bias, if there is one. */
static void product(double *y, const double *x, size_t n, const struct matrix *w, const float *bias)
{
    struct matrix q = new_matrix(n, w->depth);

    for (size_t r = 0; r < n; r++)
        quantize(&q, r, x + r * w->depth);
    for (size_t r = 0; r < n; r++) {
        for (size_t o = 0; o < w->rows; o++) {
            double sum = bias ? bias[o] : 0;

            for (size_t g = 0; g < w->groups; g++) {
                const size_t a = r * w->groups + g, b = o * w->groups + g;

                sum += q.scale[a] * w->scale[b] * dot(q.value + a * GROUP, w->value + b * GROUP);
            }
            y[r * w->rows + o] = sum;
        }
    }
    free_matrix(&q);
}

static void layernorm(double *y, const double *x, size_t n, size_t C, const float *gain,
                      const float *bias)
{
    for (size_t r = 0; r < n; r++, x += C, y += C) {
        double mean = 0, variance = 0;

        for (size_t i = 0; i < C; i++)
            mean += x[i] / (double)C;
        for (size_t i = 0; i < C; i++)
            variance += (x[i] - mean) * (x[i] - mean) / (double)C;
        for (size_t i = 0; i < C; i++)
            y[i] = (x[i] - mean) / sqrt(variance + 1e-5) * gain[i] + bias[i];
    }
}

/* y[n][C] of qkv[n][3 C], all heads. */
static void attend(double *y, const double *qkv, size_t n, size_t C, size_t heads)
{
    const size_t d = C / heads;
    double *p = allocate(n, sizeof *p);

    memset(y, 0, n * C * sizeof *y);
    for (size_t c = 0; c < C; c += d) {
        for (size_t r = 0; r < n; r++) {
            double top = -INFINITY, sum = 0;

            for (size_t t = 0; t <= r; t++) {
                p[t] = 0;
                for (size_t i = c; i < c + d; i++)
                    p[t] += qkv[r * 3 * C + i] * qkv[t * 3 * C + C + i] / sqrt((double)d);
                top = p[t] > top ? p[t] : top;
            }
            for (size_t t = 0; t <= r; t++)
                sum += p[t] = exp(p[t] - top);
            for (size_t t = 0; t <= r; t++)
                for (size_t i = c; i < c + d; i++)
                    y[r * C + i] += p[t] / sum * qkv[t * 3 * C + 2 * C + i];
        }
    }
    free(p);
}

static void add(double *x, const double *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] += y[i];
}

static double gelu(double x)
{
    return x / 2 * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
}

void q8_0_logits(struct q8_0 *m, const int32_t *ids, size_t n, float *logits)
{
    const size_t C = m->channels;
    double *x = allocate(n * C, sizeof *x), *normed = allocate(n * C, sizeof *x);
    double *wide = allocate(n * 4 * C, sizeof *x), *change = allocate(n * C, sizeof *x);
    double *last = allocate(n * m->vocab, sizeof *x);

    for (size_t r = 0; r < n; r++)
        for (size_t i = 0; i < C; i++) {
            const size_t at = (size_t)ids[r] * m->wte.groups * GROUP + i;

            x[r * C + i] = m->wte.value[at] * m->wte.scale[at / GROUP] + m->wpe[r * C + i];
        }
    for (const struct layer *l = m->layer; l < m->layer + m->layers; l++) {
        layernorm(normed, x, n, C, l->ln1_gain, l->ln1_bias);
        product(wide, normed, n, &l->qkv, l->qkv_bias);
        attend(normed, wide, n, C, m->heads);
        product(change, normed, n, &l->proj, l->proj_bias);
        add(x, change, n * C);
        layernorm(normed, x, n, C, l->ln2_gain, l->ln2_bias);
        product(wide, normed, n, &l->fc, l->fc_bias);
        for (size_t i = 0; i < n * 4 * C; i++)
            wide[i] = gelu(wide[i]);
        product(change, wide, n, &l->fcproj, l->fcproj_bias);
        add(x, change, n * C);
    }
    layernorm(normed, x, n, C, m->lnf_gain, m->lnf_bias);
    product(last, normed, n, &m->wte, NULL);
    for (size_t i = 0; i < n * m->vocab; i++)
        logits[i] = (float)last[i];
    free(x);
    free(normed);
    free(wide);
    free(change);
    free(last);
}

static const float *take(const float **rest, size_t n)
{
    return (*rest += n) - n;
}

/* In the order of llm.c's file: of each kind those of all layers. */
static void place(struct q8_0 *m)
{
    const size_t C = m->channels, L = m->layers;
    const float *rest = m->weights;

    m->layer = allocate(L, sizeof *m->layer);
    m->wte = of_floats(take(&rest, m->vocab * C), m->vocab, C);
    m->wpe = take(&rest, m->positions * C);
    for (size_t l = 0; l < L; l++)
        m->layer[l].ln1_gain = take(&rest, C);
    for (size_t l = 0; l < L; l++)
        m->layer[l].ln1_bias = take(&rest, C);
    for (size_t l = 0; l < L; l++)
        m->layer[l].qkv = of_floats(take(&rest, 3 * C * C), 3 * C, C);
    for (size_t l = 0; l < L; l++)
        m->layer[l].qkv_bias = take(&rest, 3 * C);
    for (size_t l = 0; l < L; l++)
        m->layer[l].proj = of_floats(take(&rest, C * C), C, C);
    for (size_t l = 0; l < L; l++)
        m->layer[l].proj_bias = take(&rest, C);
    for (size_t l = 0; l < L; l++)
        m->layer[l].ln2_gain = take(&rest, C);
    for (size_t l = 0; l < L; l++)
        m->layer[l].ln2_bias = take(&rest, C);
    for (size_t l = 0; l < L; l++)
        m->layer[l].fc = of_floats(take(&rest, 4 * C * C), 4 * C, C);
    for (size_t l = 0; l < L; l++)
        m->layer[l].fc_bias = take(&rest, 4 * C);
    for (size_t l = 0; l < L; l++)
        m->layer[l].fcproj = of_floats(take(&rest, 4 * C * C), C, 4 * C);
    for (size_t l = 0; l < L; l++)
        m->layer[l].fcproj_bias = take(&rest, C);
    m->lnf_gain = take(&rest, C);
    m->lnf_bias = take(&rest, C);
}

struct q8_0 *q8_0_open(const char *path)
{
    struct q8_0 *m = allocate(1, sizeof *m);
    FILE *f = fopen(path, "rb");
    int32_t h[HEADER];
    size_t n;

    if (!f || fread(h, sizeof *h, HEADER, f) != HEADER || h[0] != 20240326 || h[1] != 1) {
        fprintf(stderr, "q8_0: %s: expected an llm.c checkpoint of floats\n", path);
        exit(2);
    }
    m->positions = (size_t)h[2];
    m->vocab = (size_t)h[3];
    m->layers = (size_t)h[4];
    m->heads = (size_t)h[5];
    m->channels = (size_t)h[6];
    n = m->channels * (m->vocab + m->positions + m->layers * (12 * m->channels + 13) + 2);
    m->weights = allocate(n, sizeof *m->weights);
    if (fread(m->weights, sizeof *m->weights, n, f) != n)
        exit(2);
    fclose(f);
    place(m);
    return m;
}

void q8_0_free(struct q8_0 *m)
{
    if (!m)
        return;
    free_matrix(&m->wte);
    for (struct layer *l = m->layer; l < m->layer + m->layers; l++) {
        free_matrix(&l->qkv);
        free_matrix(&l->proj);
        free_matrix(&l->fc);
        free_matrix(&l->fcproj);
    }
    free(m->layer);
    free(m->weights);
    free(m);
}
