/* score.c - how likely a model finds the text of a file: each id, given those before it and a beginning.
 *     cc score.c $(pkg-config --cflags --libs dagpt) -lm -o score && ./score MODEL MERGES FILE */
#include <dagpt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(enum dg_status status, const struct dg_error *err)
{
    if (status == DG_OK)
        return;
    fprintf(stderr, "score: %s\n", err->text);
    exit((int)status);
}

/* At most `room` bytes of the file. */
static size_t read_file(const char *path, char *to, size_t room)
{
    FILE *file = fopen(path, "rb");
    size_t n;

    if (!file) {
        fprintf(stderr, "score: %s: cannot open\n", path);
        exit(DG_ERR_IO);
    }
    n = fread(to, 1, room, file);
    fclose(file);
    return n;
}

int main(int argc, char **argv)
{
    static char text[65536];
    struct dg_error err;
    struct dg_team *team;
    struct dg_model *model;
    struct dg_engine *engine;
    struct dg_sequence *sequence;
    struct dg_tokenizer *tokenizer;
    const float *logits;
    uint32_t vocab;
    int32_t *ids;
    double sum = 0;
    size_t n;

    if (argc != 4) {
        fprintf(stderr, "usage: score MODEL MERGES FILE\n");
        return DG_ERR_USAGE;
    }
    check(dg_team_new(&team, 4, 0, &err), &err);
    check(dg_model_open(&model, argv[1], team, &err), &err);
    check(dg_engine_new(&engine, model, team, NULL, &err), &err);
    check(dg_sequence_new(&sequence, engine, &err), &err);
    check(dg_tokenizer_open(&tokenizer, argv[2], &err), &err);
    check(
        dg_tokenizer_encode(tokenizer, text, read_file(argv[3], text, sizeof text), &ids, &n, &err),
        &err);
    if (dg_tokenizer_begin(tokenizer) >= 0) { /* there is room for one more */
        memmove(ids + 1, ids, n++ * sizeof *ids);
        ids[0] = dg_tokenizer_begin(tokenizer);
    }
    check(dg_sequence_eval(sequence, ids, n, n, &err), &err);
    logits = dg_sequence_logits(sequence);
    vocab = dg_model_sizes(model).vocab;
    for (size_t i = 1; i < n; i++)
        sum += dg_log_probability(logits + (i - 1) * vocab, vocab, ids[i]);
    printf("%.4f\n", n > 1 ? exp(-sum / (double)(n - 1)) : 1.0); /* the perplexity */
    free(ids);
    dg_tokenizer_free(tokenizer);
    dg_sequence_free(sequence);
    dg_engine_free(engine);
    dg_model_free(model);
    dg_team_free(team);
    return 0;
}
