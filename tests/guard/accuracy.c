/* accuracy MODEL < IDS - what bf16 and int8 lose of a model, and keys and values in bf16, on the ids in standard input:
 * perplexity, how often the likeliest next id is that of f32, and how far the probabilities are from those of f32. A
 * line is a text, of which as many ids are read as the model has positions. Leaves with 1 where int8, with either cache, is
 * further from f32 than the limits that follow: accuracy MODEL [PERCENT OF PERPLEXITY [PERCENT THAT AGREE [TIMES]]]; and
 * where its divergence is more than so many TIMES that of Q8_0 as its definition says, of which there is then a line. */
#include "q8_0.h"
#include "../../src/dagpt.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORKERS = 4 };

/* What a model is held in. Q8_0 is q8_0.h's, for models in llm.c's format. */
enum held_as { F32, BF16, F32_BF16, INT8, INT8_BF16, Q8_0, N_HELD };

static const struct {
    const char *name;
    enum dg_precision weights, cache;
} kinds[N_HELD] = {
    [F32] = {"f32", DG_PRECISION_F32, DG_PRECISION_F32},
    [BF16] = {"bf16", DG_PRECISION_BF16, DG_PRECISION_F32},
    [F32_BF16] = {"f32, bf16 cache", DG_PRECISION_F32, DG_PRECISION_BF16},
    [INT8] = {"int8", DG_PRECISION_INT8, DG_PRECISION_F32},
    [INT8_BF16] = {"int8, bf16 cache", DG_PRECISION_INT8, DG_PRECISION_BF16},
    [Q8_0] = {"Q8_0", DG_PRECISION_F32, DG_PRECISION_F32},
};

struct sums {
    double loss;       /* -ln of the probability of each id after the first */
    double divergence; /* sum of p ln(p / q), p those of f32 */
    size_t agree;      /* rows of the same likeliest id */
};

struct held {
    struct dg_model *model;
    struct dg_engine *engine;
    struct q8_0 *reference; /* of Q8_0, where it was asked for */
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

static void find_logits(float *to, const struct held *h, const int32_t *ids, size_t n, size_t vocab)
{
    struct dg_sequence *text;
    struct dg_error err;

    if (h->reference) {
        q8_0_logits(h->reference, ids, n, to);
        return;
    }
    check(dg_sequence_new(&text, h->engine, &err), &err);
    check(dg_sequence_eval(text, ids, n, n, &err), &err);
    memcpy(to, dg_sequence_logits(text), n * vocab * sizeof *to);
    dg_sequence_free(text);
}

/* One text with each model, f32's first. */
static void read_text(struct held *held, int n_held, const int32_t *ids, size_t n, size_t vocab)
{
    float *exact = allocate(n * vocab, sizeof *exact), *logits = allocate(n * vocab, sizeof *exact);
    double *p = allocate(vocab, sizeof *p), *q = allocate(vocab, sizeof *q);

    find_logits(exact, &held[F32], ids, n, vocab);
    for (int h = 0; h < n_held; h++) {
        find_logits(logits, &held[h], ids, n, vocab);
        for (size_t i = 0; i < n; i++)
            count(&held[h].sums, exact + i * vocab, logits + i * vocab, vocab,
                  i + 1 < n ? ids[i + 1] : -1, p, q);
    }
    free(exact);
    free(logits);
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

/* As many kinds as are asked for. */
static void open_all(struct held *held, int n, const char *path, struct dg_team *team)
{
    struct dg_error err;

    for (int h = 0; h < n; h++) {
        const struct dg_engine_options opt = {.size = sizeof opt, .cache = kinds[h].cache};

        if (h == Q8_0) {
            held[h].reference = q8_0_open(path);
            continue;
        }
        check(dg_model_open_as(&held[h].model, path, kinds[h].weights, team, &err), &err);
        check(dg_engine_new(&held[h].engine, held[h].model, team, &opt, &err), &err);
    }
}

static void close_all(struct held *held, int n)
{
    for (int h = 0; h < n; h++) {
        dg_engine_free(held[h].engine);
        dg_model_free(held[h].model);
        q8_0_free(held[h].reference);
    }
}

/* The table. Returns whether int8 is further from f32 than that. */
static bool print(const struct held *held, int n, size_t rows, size_t texts, double most_loss,
                  double least_agree, double times)
{
    bool far = false;

    printf("%-18s%12s%10s%14s%20s   %zu ids\n", "", "perplexity", "change", "likeliest",
           "divergence, nats", rows);
    for (int h = 0; h < n; h++) {
        const struct sums *s = &held[h].sums;
        const double loss = s->loss / (double)(rows - texts);
        const double change = 100 * (exp(loss - held[F32].sums.loss / (double)(rows - texts)) - 1);
        const double agree = 100 * (double)s->agree / (double)rows;

        printf("%-18s%12.5f%+8.3f %%%12.2f %%%20.7f\n", kinds[h].name, exp(loss), change, agree,
               s->divergence / (double)rows);
        if (h == INT8 || h == INT8_BF16)
            far |= fabs(change) > most_loss || agree < least_agree;
    }
    return far || (n > Q8_0 && held[INT8].sums.divergence > times * held[Q8_0].sums.divergence);
}

int main(int argc, char **argv)
{
    const double most_loss = argc > 2 ? atof(argv[2]) : 1e9;
    const double least_agree = argc > 3 ? atof(argv[3]) : 0;
    const double times = argc > 4 ? atof(argv[4]) : 0;
    const int n_held = times > 0 ? N_HELD : Q8_0;
    struct held held[N_HELD] = {{0}};
    struct dg_team *team;
    struct dg_error err;
    struct dg_sizes z;
    int32_t *ids;
    size_t rows = 0, texts = 0, room = 0;
    char *line = NULL;
    bool far;

    if (argc < 2)
        return 2;
    check(dg_team_new(&team, WORKERS, 0, &err), &err);
    open_all(held, n_held, argv[1], team);
    z = dg_model_sizes(held[F32].model);
    ids = allocate(z.positions, sizeof *ids);
    while (getline(&line, &room, stdin) > 0) {
        const size_t n = read_ids(line, ids, z.positions, z.vocab);

        if (n == 0)
            continue;
        read_text(held, n_held, ids, n, z.vocab);
        rows += n;
        texts++;
    }
    free(line);
    if (rows == texts)
        return 2;
    far = print(held, n_held, rows, texts, most_loss, least_agree, times);
    close_all(held, n_held);
    dg_team_free(team);
    free(ids);
    return far;
}
