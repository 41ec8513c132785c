/* request.c - bodies of requests to the server, for libFuzzer: what is accepted is within what was asked for, what is not has a
 * status and a reason. */
#include "../../serve/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { MOST_IDS = 64 };

static struct served served = {.sizes = {.positions = MOST_IDS, .vocab = 257},
                               .name = "small",
                               .most_ids = MOST_IDS,
                               .most_bytes = 1024,
                               .most_n = 8};

static void must(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "fuzz: not so: %s\n", what);
    abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct dg_error err;

    (void)argc;
    (void)argv;
    must(dg_tokenizer_parse(&served.tokenizer, "", 0, "bytes", &err) == DG_OK,
         "a tokenizer of bytes");
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct refusal why = {0};
    struct request r;

    if (!request_read(&r, &served, (const char *)data, n, &why)) {
        must(why.status >= 400 && why.status < 600, "what is refused has a status");
        return 0;
    }
    must(r.n >= 1 && r.n <= served.most_n && r.n_stops <= MOST_STOPS, "numbers in their ranges");
    for (size_t i = 0; i < r.n_prompts; i++) {
        must(r.prompts[i].n >= 1 && r.prompts[i].n <= served.most_ids, "so many ids");
        for (size_t k = 0; k < r.prompts[i].n; k++)
            must(r.prompts[i].ids[k] >= 0 && r.prompts[i].ids[k] < 257, "ids of the vocabulary");
    }
    request_free(&r);
    return 0;
}
