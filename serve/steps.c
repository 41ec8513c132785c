/* A step takes one row of each text that is past its prompt, and of prompts, in the order of arrival, a share
 * (dg_batch_share()). The texts of one prompt begin together: the first reads it, the others are forks of that. A
 * prompt is begun when there is room for all of its texts, and for as many keys and values as they may come to, so
 * that no text has to end for another's sake. */
#include "steps.h"
#include "lanes.h"
#include "reply.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    ALONE =
        128, /* rows of prompts in a step in which nothing is decoded: clients may leave, and come, after it */
    NOTED = 32, /* rows with logits, which have 0.2 MB each */
    BLOCK = 16, /* positions that a sequence takes at a time */
};

static struct run {
    struct server *s;
    struct text **running; /* [parallel] */
    struct dg_part *parts; /* [parallel] of the step at hand, */
    struct text **owners;  /* [parallel] and whose they are */
    struct pollfd *polls;  /* [parallel + queue] */
    size_t n_running, n_parts;
    size_t rows;
} run;

/* ---- room ---- */

/* Positions that a text may come to. */
static size_t positions_of(const struct job *j, const struct prompt *p)
{
    const size_t left = j->s->sizes.positions - p->n;
    const size_t n = p->n + (j->r.most_new < left ? j->r.most_new : left);

    return (n + BLOCK - 1) / BLOCK * BLOCK;
}

static size_t cache_of(const struct server *s)
{
    const struct dg_sizes *z = &s->served.sizes;
    const unsigned bytes = strcmp(s->opt.held, dg_precision_name(DG_PRECISION_BF16)) ? 4 : 2;

    if (s->opt.cache == 0)
        return SIZE_MAX;
    return (size_t)((s->opt.cache << 20) / ((uint64_t)2 * bytes * z->layers * z->channels));
}

bool steps_open(struct server *s)
{
    const size_t n = s->opt.parallel;

    run.s = s;
    s->cache_left = cache_of(s);
    run.running = calloc(n, sizeof(struct text *));
    run.owners = calloc(n, sizeof(struct text *));
    run.parts = calloc(n, sizeof *run.parts);
    run.polls = calloc(n + s->opt.queue, sizeof *run.polls);
    return run.running && run.owners && run.parts && run.polls;
}

void steps_close(void)
{
    lanes_close();
    free(run.running);
    free(run.owners);
    free(run.parts);
    free(run.polls);
    run = (struct run){0};
}

static bool fits(const struct job *j, struct refusal *why)
{
    const struct server *s = j->server;

    for (size_t i = 0; i < j->r.n_prompts; i++)
        if (j->r.n * positions_of(j, &j->r.prompts[i]) > cache_of(s)) {
            REFUSE(why, "max_tokens", NULL,
                   "max_tokens: the server has memory for %zu tokens, prompt and n texts together",
                   cache_of(s));
            return false;
        }
    if (s->m.waiting + s->m.running + j->n_texts <= s->opt.parallel + s->opt.queue)
        return true;
    refuse(why, 503, "server_error", NULL, "overloaded",
           "the queue is full: %zu texts are made or wait", s->m.waiting + s->m.running);
    return false;
}

bool steps_submit(struct job *j, struct refusal *why)
{
    struct server *s = j->server;

    if (!fits(j, why))
        return false;
    j->id = ++s->last_id;
    j->owners++;
    j->link = s->last;
    *s->last = j;
    s->last = &j->next;
    s->m.waiting += j->n_texts;
    pthread_cond_signal(&s->work);
    return true;
}

/* ---- jobs, under the lock ---- */

static void leave(struct job *j)
{
    struct server *s = j->server;

    *j->link = j->next;
    if (j->next)
        j->next->link = j->link;
    else
        s->last = j->link;
    job_release(j);
}

/* A text that runs no more. */
static void close_text(struct text *t)
{
    struct job *j = t->job;

    text_close(t);
    j->server->m.running--;
    j->server->cache_left += positions_of(j, t->prompt);
    j->n_open--;
}

/* No time left, or nobody is there? */
static bool is_over(struct job *j)
{
    struct refusal late;

    if (!j->done && !j->gone && now_ns() > j->deadline) {
        refuse(&late, 504, "server_error", NULL, "timeout", "not answered after %llu s",
               (unsigned long long)j->server->opt.time_limit);
        job_refuse(j, &late);
    }
    if (j->server->stopping && !j->done) {
        refuse(&late, 503, "server_error", NULL, "shutting_down", "the server ends");
        job_refuse(j, &late);
    }
    return j->done || j->gone;
}

/* Texts and jobs that are over leave. */
static void drop(void)
{
    struct server *s = run.s;
    size_t kept = 0;
    struct job *next;

    for (size_t i = 0; i < run.n_running; i++) {
        if (is_over(run.running[i]->job))
            close_text(run.running[i]);
        else
            run.running[kept++] = run.running[i];
    }
    run.n_running = kept;
    for (struct job *j = s->first; j; j = next) {
        next = j->next;
        if (!is_over(j))
            continue;
        s->m.waiting -= j->n_texts - j->n_started;
        leave(j);
    }
}

/* A client that has closed its half of the connection waits, or is gone, and then what it is sent comes back as an
 * error. A stream gets a comment; another answer has not begun, and before it any client of HTTP/1.1 passes over a 102.
 * HTTP/1.0 has nothing of the kind. */
static void probe(struct job *j)
{
    static const char comment[] = ":\n\n", processing[] = "HTTP/1.1 102 Processing\r\n\r\n";
    const size_t n = j->out.n;

    j->probed = true;
    if (!j->r.stream) {
        (void)send(j->visit->fd, processing, sizeof processing - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
        return;
    }
    bytes_add(&j->out, comment, sizeof comment - 1);
    job_grown(j, n);
    job_wake(j);
}

static void look_after(struct job *j, short revents)
{
    if (!(revents & (POLLERR | POLLHUP)) && !j->old) {
        if (!j->probed)
            probe(j);
        return;
    }
    j->gone = true;
    run.s->m.left++;
    job_wake(j);
}

/* Clients that have closed their connection: where an answer is waited for, nobody else reads that. */
static void watch(void)
{
    nfds_t n = 0;

    for (struct job *j = run.s->first; j; j = j->next)
        if (j->visit)
            run.polls[n++] = (struct pollfd){j->visit->fd, POLLRDHUP, 0};
    if (n == 0 || poll(run.polls, n, 0) <= 0)
        return;
    n = 0;
    for (struct job *j = run.s->first; j; j = j->next)
        if (j->visit && run.polls[n++].revents)
            look_after(j, run.polls[n - 1].revents);
}

static bool begin_text(struct job *j, struct text *t, struct text *first)
{
    run.running[run.n_running++] = t;
    j->n_started++;
    j->server->m.waiting--;
    j->server->m.running++;
    j->server->cache_left -= positions_of(j, t->prompt);
    if (t != first)
        t->first = first;
    return text_open(t) &&
           (t != first || dg_sequence_new(&t->sequence, j->server->engine, NULL) == DG_OK);
}

/* The next prompt of the job, all texts of it. */
static void begin_prompt(struct job *j)
{
    struct text *first = &j->texts[j->n_started];
    struct refusal why;
    bool ok = true;

    for (size_t i = 0; i < j->r.n; i++)
        ok = begin_text(j, first + i, first) && ok;
    if (ok)
        return;
    refuse(&why, 503, "server_error", NULL, NULL, "out of memory for a text");
    job_refuse(j, &why);
}

/* Those that have come first, as many as there is room for; none passes another. */
static void admit(void)
{
    struct server *s = run.s;

    for (struct job *j = s->first; j; j = j->next) {
        while (j->n_started < j->n_texts) {
            const struct prompt *p = j->texts[j->n_started].prompt;

            if (j->done)
                break;
            if (run.n_running + j->r.n > s->opt.parallel ||
                j->r.n * positions_of(j, p) > s->cache_left)
                return;
            begin_prompt(j);
        }
    }
}

/* ---- a step ---- */

static void fail(struct text *t, enum dg_status st, const char *text)
{
    struct refusal why;

    pthread_mutex_lock(&run.s->lock);
    if (st == DG_ERR_CANCELLED)
        refuse(&why, 503, "server_error", NULL, "shutting_down", "the server ends");
    else
        refuse(&why, st == DG_ERR_RESOURCE ? 503 : 500, "server_error", NULL, NULL, "%s", text);
    job_refuse(t->job, &why);
    pthread_mutex_unlock(&run.s->lock);
}

/* All ids of the text are evaluated. */
static void go_on(struct text *t, const float *logits)
{
    struct dg_error err;
    enum dg_status st = DG_OK;

    if (t->n_new == t->r->most_new)
        text_end(t, FINISH_LENGTH);
    else
        st = text_draw(t, logits, &err);
    t->is_new = true;
    if (st != DG_OK)
        fail(t, st, err.text);
    else if (text_failed(t))
        fail(t, DG_ERR_RESOURCE, "out of memory for a text");
}

/* The prompt is read: its other texts begin where this one does. */
static void begin_others(struct text *first, const float *logits)
{
    struct dg_error err;

    for (size_t i = 0; i < run.n_running; i++) {
        struct text *t = run.running[i];

        if (t->first != first)
            continue;
        t->first = NULL;
        if (dg_sequence_fork(&t->sequence, first->sequence, &err) != DG_OK) {
            fail(t, err.status, err.text);
            continue;
        }
        if (text_wants_prompt(t))
            text_copy_notes(t, first);
        go_on(t, logits);
    }
}

static size_t left_of(const struct text *t)
{
    return t->sequence && t->finish == FINISH_NOT ? t->n - dg_sequence_position(t->sequence) : 0;
}

static void add_part(struct text *t, size_t n)
{
    const size_t at = dg_sequence_position(t->sequence);
    const bool noted = at < t->prompt->n && text_wants_prompt(t);
    const bool last = at + n == t->n;

    run.owners[run.n_parts] = t;
    run.parts[run.n_parts++] = (struct dg_part){t->sequence, t->ids + at, n,
                                                noted  ? n
                                                : last ? 1
                                                       : 0,
                                                DG_OK};
    run.rows += n;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void lay_out(void)
{
    size_t share;

    run.n_parts = run.rows = 0;
    for (size_t i = 0; i < run.n_running; i++)
        if (left_of(run.running[i]) == 1)
            add_part(run.running[i], 1);
    share = least(dg_batch_share(run.s->engine, run.n_parts), ALONE);
    for (size_t i = 0; i < run.n_running && share > 0; i++) {
        struct text *t = run.running[i];
        size_t n = least(left_of(t), share);

        if (left_of(t) <= 1)
            continue;
        if (text_wants_prompt(t))
            n = least(n, NOTED);
        add_part(t, n);
        share -= n;
    }
}

/* What became of a part. */
static void take(const struct dg_part *p, struct text *t, const char *error)
{
    const float *logits = dg_sequence_logits(t->sequence);
    const size_t at = dg_sequence_position(t->sequence) - (p->status == DG_OK ? p->n : 0);
    const float *last;

    if (p->status != DG_OK) {
        fail(t, p->status, error);
        return;
    }
    if (at < t->prompt->n && text_wants_prompt(t))
        text_note_prompt(t, at, p->n, logits);
    if (left_of(t) > 0)
        return;
    last = logits + (p->n_logits - 1) * t->s->sizes.vocab;
    if (t->n_new == 0)
        begin_others(t, last);
    go_on(t, last);
}

/* A text that is asked for no new token, and no notes, is at its end. */
static void end_empty(void)
{
    for (size_t i = 0; i < run.n_running; i++)
        if (run.running[i]->r->most_new == 0 && !text_wants_prompt(run.running[i]))
            text_end(run.running[i], FINISH_LENGTH);
}

/* ---- after a step, under the lock ---- */

static void note_time(struct text *t)
{
    struct metrics *m = &run.s->m;
    const uint64_t now = now_ns(), since = t->last_at ? t->last_at : t->job->arrived;

    metrics_add(t->last_at ? &m->gap : &m->first_token, 1e-9 * (double)(now - since));
    t->last_at = now;
}

/* What is new of a text goes to its job, and with the last text the job ends. */
static void tell(struct text *t)
{
    struct job *j = t->job;
    const size_t n = j->out.n;

    if (j->done || j->gone)
        return;
    if (j->r.stream)
        reply_event(&j->out, j, t);
    if (t->finish != FINISH_NOT && j->n_open == 1) {
        if (j->r.stream)
            reply_end_of_stream(&j->out, j);
        else
            reply_whole(&j->out, j);
        job_done(j);
    }
    job_grown(j, n);
    if (j->out.n > n)
        job_wake(j);
}

static void tell_all(void)
{
    size_t kept = 0;

    for (size_t i = 0; i < run.n_running; i++) {
        struct text *t = run.running[i];

        if (t->is_new && t->n_new > 0)
            note_time(t);
        tell(t);
        if (t->finish != FINISH_NOT)
            close_text(t);
        else
            run.running[kept++] = t;
        t->is_new = false;
    }
    run.n_running = kept;
}

static void count(uint64_t start, size_t made)
{
    struct metrics *m = &run.s->m;

    metrics_add(&m->step, 1e-9 * (double)(now_ns() - start));
    m->steps++;
    m->rows += run.rows;
    m->new_tokens += made;
    for (size_t i = 0; i < run.n_parts; i++)
        if (run.parts[i].ids < run.owners[i]->ids + run.owners[i]->prompt->n)
            m->prompt_tokens += run.parts[i].n;
}

/* Number of a step: of those that were counted. */
static void evaluate(struct dg_error *err)
{
    lanes_begin(run.s);
    (void)dg_batch_eval(run.parts, run.n_parts, err);
    lanes_end(run.s, run.s->m.steps + 1, run.parts, run.owners, run.n_parts);
}

static void step(void)
{
    const uint64_t start = now_ns();
    struct dg_error err = {DG_OK, ""};
    size_t made = 0;

    end_empty();
    lay_out();
    if (run.n_parts > 0)
        evaluate(&err);
    for (size_t i = 0; i < run.n_parts; i++)
        take(&run.parts[i], run.owners[i], err.text);
    for (size_t i = 0; i < run.n_running; i++)
        made += run.running[i]->is_new && run.running[i]->n_new > 0;
    pthread_mutex_lock(&run.s->lock);
    if (run.n_parts > 0)
        count(start, made);
    tell_all();
    pthread_mutex_unlock(&run.s->lock);
}

/* Who comes joins, who is over leaves. False: that is all. */
static bool change(void)
{
    struct server *s = run.s;

    pthread_mutex_lock(&s->lock);
    drop();
    watch();
    for (;;) {
        drop();
        if (s->stopping)
            break;
        admit();
        if (run.n_running > 0)
            break;
        if (!s->first)
            pthread_cond_wait(&s->work, &s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    return run.n_running > 0;
}

void *steps_run(void *arg)
{
    (void)arg;
    while (change())
        step();
    return NULL;
}
