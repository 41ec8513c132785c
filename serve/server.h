/* server.h - what the threads of the server share: one that answers (http.c), one that runs the steps (steps.c), and
 * the main one, which waits for signals. One lock for all of it: nobody holds it for longer than it takes to write an
 * event of each text. */
#ifndef DG_SERVE_SERVER_H
#define DG_SERVE_SERVER_H

#include "metrics.h"
#include "options.h"
#include "request.h"

#include <pthread.h>
#include <time.h>

struct job;
struct visit;

/* Bytes of requests and answers that are held at a time; then requests are refused. */
#define MOST_HELD ((size_t)256 << 20)

struct server {
    struct options opt;
    struct served served;
    struct dg_team *team;
    struct dg_model *model;
    struct dg_engine *engine;
    int64_t since;   /* seconds of the epoch */
    uint64_t opened; /* nanoseconds */
    char *keys;      /* a line each; NULL: none is asked for */

    pthread_mutex_t lock;
    pthread_cond_t work; /* there may be something to do for steps.c; with the lock */

    /* Under the lock. */
    struct job *first, **last; /* not answered, in the order of arrival */
    size_t cache_left;         /* positions of the cache that nobody has been promised */
    size_t n_jobs;             /* that are not answered, or whose answer is not taken */
    uint64_t last_id;
    struct visit *visits;
    bool draining; /* no more requests */
    bool stopping; /* what runs is given up */
    struct metrics m;
};

static inline uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

#endif
