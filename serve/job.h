/* job.h - a request for completions, from when it is read until its answer is taken. It belongs to the thread that
 * answers and to the one that runs the steps, and goes when both have let go of it. */
#ifndef DG_SERVE_JOB_H
#define DG_SERVE_JOB_H

#include "server.h"
#include "text.h"

struct MHD_Connection;

/* A connection, as long as it is open. */
struct visit {
    int fd;
    bool reading;      /* a request is to come in */
    uint64_t deadline; /* nanoseconds; 0: none */
    struct visit *next, **link;
};

struct job {
    struct server *server;
    const struct served *s;
    struct request r;
    uint64_t id, arrived, deadline; /* nanoseconds */
    int64_t created;                /* seconds of the epoch */

    /* Of the thread that runs the steps. */
    struct text *texts;                /* [n_texts] */
    size_t n_texts, n_started, n_open; /* texts that are not closed */

    /* Under the server's lock. */
    struct job *next, **link;
    struct bytes out; /* of the answer, what was not taken yet: out.at + n_sent */
    size_t n_sent;
    struct refusal why; /* where there is no answer */
    bool done;          /* all of the answer is there */
    bool gone;          /* nobody waits for it */
    bool old;           /* of a client of HTTP/1.0 */
    bool probed;        /* it has closed its half of the connection, and was sent something */
    unsigned owners;
    struct visit *visit;               /* NULL: gone */
    struct MHD_Connection *connection; /* that is suspended, or NULL */
    struct MHD_Connection *waiting;    /* a stream's */
};

/* Takes the request over; NULL: no memory, and it is freed. It has one owner. */
struct job *job_new(struct server *s, struct request *r);

/* ---- under the lock ---- */

void job_release(struct job *j);

/* Bytes were added to out since it had n. */
void job_grown(struct job *j, size_t n);

/* The thread that answers goes on, where it waits. */
void job_wake(struct job *j);

/* out is all that there will be. */
void job_done(struct job *j);

/* This is the answer, or its end. Nothing where there is one. */
void job_refuse(struct job *j, const struct refusal *why);

#endif
