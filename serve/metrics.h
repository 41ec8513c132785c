/* metrics.h - what is counted, and how Prometheus reads it. */
#ifndef DG_SERVE_METRICS_H
#define DG_SERVE_METRICS_H

#include "bytes.h"

#include <stdint.h>

enum { N_BOUNDS = 16, MOST_STATUS = 600 };

/* How many values were at most each bound, and behind it; seconds. */
struct histogram {
    uint64_t in[N_BOUNDS + 1];
    uint64_t n;
    double sum;
};

struct metrics {
    uint64_t answers[MOST_STATUS]; /* by status */
    uint64_t prompt_tokens, new_tokens;
    uint64_t steps, rows;
    uint64_t left; /* jobs whose client did not wait */
    struct histogram step, first_token, gap;
    size_t waiting, running;  /* texts */
    size_t connections, held; /* held: bytes of requests and answers */
};

void metrics_add(struct histogram *h, double seconds);

/* All of them as text. */
void metrics_write(struct bytes *to, const struct metrics *m);

#endif
