/* request.h - the body of a POST /v1/completions, read and checked. */
#ifndef DG_SERVE_REQUEST_H
#define DG_SERVE_REQUEST_H

#include "refusal.h"

#include <dagpt.h>

enum { MOST_STOPS = 16, MOST_CHOICES = 128, MOST_LOGPROBS = 5, DEFAULT_TOKENS = 16 };

/* What requests are asked of. */
struct served {
    struct dg_tokenizer *tokenizer;
    struct dg_sizes sizes;
    const char *name;
    size_t most_ids;   /* of a prompt */
    size_t most_bytes; /* of a prompt's text: more cannot be so few ids */
    size_t most_n;     /* texts of one prompt */
};

struct prompt {
    int32_t *ids; /* [n], n >= 1 */
    size_t n;
    char *text; /* [n_text], as it was given, or as its ids are written */
    size_t n_text;
};

struct request {
    struct prompt *prompts; /* [n_prompts] */
    size_t n_prompts;
    size_t n; /* texts of each */
    size_t most_new;
    bool logprobs; /* of each token, and of so many candidates */
    size_t n_candidates;
    bool echo, stream, usage; /* usage: at the end of a stream, too */
    struct dg_sampling how;   /* text i of a prompt has seed + i */
    char *stops[MOST_STOPS];
    size_t n_stops;
};

/* Reads body[0 ... n - 1]. False: *why says why not, and there is nothing to free. */
bool request_read(struct request *r, const struct served *s, const char *body, size_t n,
                  struct refusal *why);
void request_free(struct request *r);

#endif
