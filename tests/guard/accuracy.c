/* accuracy MODEL < IDS - what bf16 and int8 lose of a model, on the ids in standard input: perplexity, how often the
 * likeliest next id is that of f32, and how far the probabilities are from those of f32. A line is a text, of
 * which as many ids are read as the model has positions. Leaves with 1 where int8 is further from f32 than the limits
 * that follow: accuracy MODEL [PERCENT OF PERPLEXITY [PERCENT THAT AGREE]]. */
#include "../../src/dagpt.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_HELD = 3, WORKERS = 4 };

struct sums {
    double loss;       /* -ln of the probability of each id after the first */
    double divergence; /* sum of p ln(p / q), p those of f32 */
    size_t agree;      /* rows of the same likeliest id */
};

struct held {
    struct dg_model *model;
    struct dg_engine *engine;
    struct sums sums;
};

static void check(enum dg_status st, const struct dg_error *err)
{
    if (st == DG_OK)
        return;
    fprintf(stderr, "accuracy: %s\n", err->text);
    exit(2);
}

static void *allocate(size_t n, size_t size)
{
    void *p = calloc(n, size);

    if (!p)
        exit(2);
    return p;
}

static size_t largest(const float *x, size_t n)
{
    size_t best = 0;

    for (size_t i = 1; i < n; i++)
        best = x[i] > x[best] ? i : best;
    return best;
}

/* to[i] = the logarithm of the probability of i. */
static void logarithms(double *to, const float *logits, size_t n)
{
    const double top = logits[largest(logits, n)];
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += exp(logits[i] - top);
    for (size_t i = 0; i < n; i++)
        to[i] = logits[i] - top - log(sum);
}

/* A row of logits beside f32's; next: the id that comes, -1: none does. */
static void count(struct sums *s, const float *exact, const float *logits, size_t vocab,
                  int32_t next, double *p, double *q)
{
    logarithms(p, exact, vocab);
    logarithms(q, logits, vocab);
    for (size_t i = 0; i < vocab; i++)
        s->divergence += exp(p[i]) * (p[i] - q[i]);
    s->agree += largest(exact, vocab) == largest(logits, vocab);
    s->loss -= next < 0 ? 0 : q[next];
}

/* One text with each model, f32's first. */
static void read_text(struct held held[N_HELD], const int32_t *ids, size_t n, size_t vocab)
{
    float *exact = allocate(n * vocab, sizeof *exact);
    double *p = allocate(vocab, sizeof *p), *q = allocate(vocab, sizeof *q);

    for (int h = 0; h < N_HELD; h++) {
        struct dg_sequence *text;
        struct dg_error err;
        const float *logits;

        check(dg_sequence_new(&text, held[h].engine, &err), &err);
        check(dg_sequence_eval(text, ids, n, n, &err), &err);
        logits = dg_sequence_logits(text);
        if (h == 0)
            memcpy(exact, logits, n * vocab * sizeof *exact);
        for (size_t i = 0; i < n; i++)
            count(&held[h].sums, exact + i * vocab, logits + i * vocab, vocab,
                  i + 1 < n ? ids[i + 1] : -1, p, q);
        dg_sequence_free(text);
    }
    free(exact);
    free(p);
    free(q);
}

/* The ids of a line, at most so many. */
static size_t read_ids(const char *line, int32_t *ids, size_t most, size_t vocab)
{
    size_t n = 0;
    char *end;

    for (; n < most; line = end) {
        const long id = strtol(line, &end, 10);

        if (end == line)
            break;
        if (id < 0 || (size_t)id >= vocab)
            exit(2);
        ids[n++] = (int32_t)id;
    }
    return n;
}

int main(int argc, char **argv)
{
    const double most_loss = argc > 2 ? atof(argv[2]) : 1e9;
    const double least_agree = argc > 3 ? atof(argv[3]) : 0;
    struct held held[N_HELD] = {{0}};
    struct dg_team *team;
    struct dg_error err;
    struct dg_sizes z;
    int32_t *ids;
    size_t rows = 0, texts = 0, room = 0;
    char *line = NULL;
    double change = 0, agree = 0;

    if (argc < 2)
        return 2;
    check(dg_team_new(&team, WORKERS, 0, &err), &err);
    for (int h = 0; h < N_HELD; h++) {
        check(dg_model_open_as(&held[h].model, argv[1], DG_PRECISION_F32 + (enum dg_precision)h,
                               team, &err),
              &err);
        check(dg_engine_new(&held[h].engine, held[h].model, team, NULL, &err), &err);
    }
    z = dg_model_sizes(held[0].model);
    ids = allocate(z.positions, sizeof *ids);
    while (getline(&line, &room, stdin) > 0) {
        const size_t n = read_ids(line, ids, z.positions, z.vocab);

        if (n == 0)
            continue;
        read_text(held, ids, n, z.vocab);
        rows += n;
        texts++;
    }
    free(line);
    if (rows == texts)
        return 2;
    printf("%-6s%12s%10s%14s%20s   %zu ids\n", "", "perplexity", "change", "likeliest",
           "divergence, nats", rows);
    for (int h = 0; h < N_HELD; h++) {
        const struct sums *s = &held[h].sums;
        const double loss = s->loss / (double)(rows - texts);

        change = 100 * (exp(loss - held[0].sums.loss / (double)(rows - texts)) - 1);
        agree = 100 * (double)s->agree / (double)rows;
        printf("%-6s%12.5f%+8.3f %%%12.2f %%%20.7f\n",
               dg_precision_name(DG_PRECISION_F32 + (enum dg_precision)h), exp(loss), change, agree,
               s->divergence / (double)rows);
        dg_engine_free(held[h].engine);
        dg_model_free(held[h].model);
    }
    dg_team_free(team);
    free(ids);
    return fabs(change) > most_loss || agree < least_agree;
}
