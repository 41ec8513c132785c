/* complete.c - text in, text out: completes TEXT by up to 100 ids, the most likely each time.
 *     cc complete.c $(pkg-config --cflags --libs dagpt) -o complete && ./complete MODEL MERGES TEXT */
#include <dagpt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    struct dg_team *team = NULL;
    struct dg_model *model = NULL;
    struct dg_engine *engine = NULL;
    struct dg_sequence *sequence = NULL;
    struct dg_tokenizer *tokens = NULL;
    struct dg_stream *stream = NULL;
    struct dg_sampler *sampler = NULL;
    struct dg_error err = {DG_ERR_USAGE, "usage: complete MODEL MERGES TEXT"};
    const char *text;
    int32_t *ids = NULL, id;
    size_t n, bytes;

    if (argc == 4 && !dg_team_new(&team, 4, 0, &err) &&
        !dg_model_open(&model, argv[1], team, &err) &&
        !dg_engine_new(&engine, model, team, NULL, &err) &&
        !dg_sequence_new(&sequence, engine, &err) && !dg_tokenizer_open(&tokens, argv[2], &err) &&
        !dg_stream_new(&stream, tokens, &err) &&
        !dg_sampler_new(&sampler, dg_model_sizes(model).vocab, NULL, &err) &&
        !dg_tokenizer_encode(tokens, argv[3], strlen(argv[3]), &ids, &n, &err) &&
        !dg_sequence_eval(sequence, ids, n, 1, &err)) {
        err.status = DG_OK;
        for (int made = 0; made < 100; made++) {
            if (dg_sampler_next(sampler, dg_sequence_logits(sequence), NULL, 0, &id, &err) ||
                id == dg_tokenizer_end(tokens) || dg_stream_push(stream, id, &text, &bytes, &err) ||
                dg_sequence_eval(sequence, &id, 1, 1, &err))
                break;
            printf("%.*s", (int)bytes, text);
            fflush(stdout);
        }
        putchar('\n');
    }
    if (err.status != DG_OK)
        fprintf(stderr, "complete: %s\n", err.text);
    free(ids);
    dg_sampler_free(sampler);
    dg_stream_free(stream);
    dg_tokenizer_free(tokens);
    dg_sequence_free(sequence);
    dg_engine_free(engine);
    dg_model_free(model);
    dg_team_free(team);
    return (int)err.status;
}
