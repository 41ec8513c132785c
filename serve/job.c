#include "job.h"

#include <microhttpd.h>
#include <stdlib.h>

struct job *job_new(struct server *s, struct request *r)
{
    struct job *j = calloc(1, sizeof *j);
    const size_t n = r->n_prompts * r->n;

    if (j)
        j->texts = calloc(n, sizeof *j->texts);
    if (!j || !j->texts) {
        free(j);
        request_free(r);
        return NULL;
    }
    j->server = s;
    j->s = &s->served;
    j->r = *r;
    j->n_texts = j->n_open = n;
    j->owners = 1;
    j->created = (int64_t)time(NULL);
    j->arrived = now_ns();
    j->deadline = j->arrived + s->opt.time_limit * 1000000000u;
    for (unsigned i = 0; i < n; i++)
        text_init(&j->texts[i], j, &j->r, j->s, &j->r.prompts[i / r->n], i);
    return j;
}

void job_release(struct job *j)
{
    if (--j->owners > 0)
        return;
    j->server->m.held -= j->out.n;
    bytes_free(&j->out);
    for (size_t i = 0; i < j->n_texts; i++)
        text_free(&j->texts[i]);
    free(j->texts);
    request_free(&j->r);
    free(j);
}

void job_grown(struct job *j, size_t n)
{
    j->server->m.held += j->out.n - n;
}

void job_wake(struct job *j)
{
    if (j->connection)
        MHD_resume_connection(j->connection);
    j->connection = NULL;
}

void job_done(struct job *j)
{
    j->done = true;
    if (j->visit)
        j->visit->deadline = now_ns() + j->server->opt.timeout * 1000000000u;
    job_wake(j);
}

void job_refuse(struct job *j, const struct refusal *why)
{
    const size_t n = j->out.n;

    if (j->done)
        return;
    j->why = *why;
    if (j->r.stream)
        refusal_write(&j->out, why, true);
    job_grown(j, n);
    job_done(j);
}
