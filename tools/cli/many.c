/* The jobs stand in a ring, in the order in which they are printed. Some run; those that have ended wait for those
 * before them, and keep their text. A step takes one id of each text that is past its prompt, and of prompts as
 * many as dg_batch_share() says, so that no text waits long for another's prompt. */
#include "many.h"
#include "leaving.h"
#include "progress.h"
#include "signals.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { AHEAD = 4 }; /* jobs in the ring for each that may run */

static struct run {
    const struct many *m;
    struct job *ring; /* [room] job i at i % room, those from first to last - 1 */
    size_t room, first, last, running;
    struct dg_part *parts; /* [parallel] of the step at hand, */
    struct job **owners;   /* [parallel] and whose they are */
    size_t n_parts;
    bool no_more;
    enum dg_status status;
} run;

static struct job *job_at(size_t i)
{
    return &run.ring[i % run.room];
}

static void close_job(struct job *j)
{
    dg_sequence_free(j->e.sequence);
    dg_sampler_free(j->c.sampler);
    if (j->so_far.to)
        dg_gather_close(&j->so_far);
    printer_close(&j->p);
    completion_close(&j->c);
    text_free(&j->prompt);
    free(j->stops);
    free(j->so_far.text);
    *j = (struct job){0};
}

static void close_run(void)
{
    for (size_t i = run.first; i < run.last; i++)
        close_job(job_at(i));
    free(run.ring);
    free(run.parts);
    free(run.owners);
    run = (struct run){0};
}

static void open_run(const struct many *m)
{
    run = (struct run){.m = m, .room = AHEAD * m->parallel};
    cli_on_leaving(close_run);
    run.ring = calloc(run.room, sizeof *run.ring);
    run.parts = calloc(m->parallel, sizeof *run.parts);
    run.owners = calloc(m->parallel, sizeof(struct job *));
    if (!run.ring || !run.parts || !run.owners)
        cli_die(DG_ERR_RESOURCE, "out of memory for %zu texts", run.room);
}

/* ---- a job ---- */

static void end_job(struct job *j, enum finish finish)
{
    j->finish = finish;
    dg_sequence_free(j->e.sequence);
    j->e.sequence = NULL;
    run.running--;
}

static void fail_job(struct job *j, enum dg_status st)
{
    j->err.status = st;
    end_job(j, FINISH_INTERRUPTED);
}

static void start_job(struct job *j)
{
    struct dg_error err;

    if (!dg_gather_open(&j->so_far))
        cli_die(DG_ERR_RESOURCE, "out of memory for a text");
    j->p.to = j->so_far.to;
    j->e = *run.m->e;
    j->e.sequence = NULL;
    if (j->from)
        cli_check(dg_sequence_fork(&j->e.sequence, j->from, &err), &err);
    else
        cli_check(dg_sequence_new(&j->e.sequence, j->e.engine, &err), &err);
    j->e.given = j->from ? dg_sequence_logits(j->from) : NULL;
    j->c.e = &j->e;
    j->p.c = &j->c;
    run.running++;
    completion_begin(&j->c);
    run.m->begin(run.m->arg, j);
}

/* As many as there is room for. */
static void bring_jobs(void)
{
    while (!run.no_more && !cli_signal() && run.running < run.m->parallel &&
           run.last - run.first < run.room) {
        struct job *j = job_at(run.last);

        run.no_more = !run.m->next(run.m->arg, j);
        if (run.no_more)
            return;
        run.last++;
        if (j->err.status == DG_OK)
            start_job(j);
        else
            j->finish = FINISH_INTERRUPTED;
    }
}

/* ---- a step ---- */

/* The next id of a text whose ids are all evaluated. */
static void draw(struct job *j)
{
    int32_t id;
    enum finish finish = completion_draw(&j->c, &id);

    if (finish == FINISH_NOT && printer_token(&j->p, id))
        finish = FINISH_STOP;
    j->e.given = NULL;
    if (finish == FINISH_NOT && j->c.n_new >= j->most_new)
        finish = FINISH_LENGTH;
    if (finish != FINISH_NOT)
        end_job(j, finish);
}

/* What the job asks for next; one whose logits are there goes on at once. Returns how many ids, 0: it has ended. */
static size_t wanted(struct job *j, const int32_t **ids)
{
    size_t n = 0;

    while (j->finish == FINISH_NOT) {
        enum finish finish =
            j->c.n_new < j->most_new ? completion_wants(&j->c, ids, &n) : FINISH_LENGTH;

        if (finish != FINISH_NOT)
            end_job(j, finish);
        else if (n > 0)
            return n;
        else
            draw(j);
    }
    return 0;
}

static void add_part(struct job *j, const int32_t *ids, size_t n)
{
    j->taken = n;
    run.owners[run.n_parts] = j;
    run.parts[run.n_parts++] =
        (struct dg_part){j->e.sequence, ids, n, completion_takes(&j->c, n), DG_OK};
}

/* One id of each text that is decoded, then a share of prompts. */
static void lay_out(void)
{
    size_t share, n;
    const int32_t *ids;

    run.n_parts = 0;
    for (size_t i = run.first; i < run.last; i++) {
        struct job *j = job_at(i);

        j->taken = 0;
        if (wanted(j, &ids) == 1)
            add_part(j, ids, 1);
    }
    share = dg_batch_share(run.m->e->engine, run.n_parts);
    for (size_t i = run.first; i < run.last && share > 0; i++) {
        struct job *j = job_at(i);

        if (j->finish != FINISH_NOT || j->taken > 0)
            continue;
        n = wanted(j, &ids);
        add_part(j, ids, n < share ? n : share);
        share -= j->taken;
    }
}

static void step(void)
{
    struct dg_error err;

    lay_out();
    if (run.n_parts == 0)
        return;
    if (!run.m->e->loaded)
        cli_progress(run.m->e->team, "loading");
    (void)dg_batch_eval(run.parts, run.n_parts, &err);
    if (!run.m->e->loaded)
        cli_progress(run.m->e->team, NULL);
    run.m->e->loaded = true;
    for (size_t i = 0; i < run.n_parts; i++) {
        struct job *j = run.owners[i];
        const enum dg_status st = run.parts[i].status;

        if (st == DG_OK && run.parts[i].n_logits > 0)
            draw(j);
        else if (st == DG_ERR_RESOURCE || st == DG_ERR_TOKEN)
            j->err = err, fail_job(j, st);
        else if (st != DG_OK && st != DG_ERR_CANCELLED)
            cli_check(st, &err);
    }
}

/* ---- printing ---- */

/* All before it are printed: what is held of it goes to standard output, as what comes from now on does. */
static void show(struct job *j)
{
    if (j->p.to == stdout)
        return;
    if (j->p.to && !dg_gather_close(&j->so_far))
        cli_die(DG_ERR_RESOURCE, "out of memory for a text");
    j->p.to = stdout;
    if (j->so_far.n > 0)
        fwrite(j->so_far.text, 1, j->so_far.n, stdout);
    free(j->so_far.text);
    j->so_far.text = NULL;
    cli_flush();
}

static void print_jobs(void)
{
    for (; run.first < run.last; run.first++) {
        struct job *j = job_at(run.first);

        show(j);
        if (j->finish == FINISH_NOT)
            return;
        if (j->err.status != DG_OK)
            printer_failed(&j->p, &j->err);
        else
            printer_end(&j->p, j->finish);
        if (run.status == DG_OK)
            run.status = j->err.status;
        close_job(j);
    }
}

/* Those that are printed, and what there is of the others. */
static double texts(void)
{
    double n = (double)run.first;

    for (size_t i = run.first; i < run.last; i++) {
        const struct job *j = job_at(i);

        n += j->finish == FINISH_NOT ? (double)j->c.n_new / (double)j->most_new : 1;
    }
    return n;
}

enum dg_status many_run(const struct many *m)
{
    bool bar = m->progress && !isatty(STDOUT_FILENO); /* none where the text stands */

    open_run(m);
    do {
        bring_jobs();
        step();
        print_jobs();
        if (bar && m->e->loaded) {
            cli_progress_begin("completing");
            bar = false;
        }
        if (m->progress)
            cli_progress_at(m->progress(m->arg, texts()));
    } while (run.first < run.last || (!run.no_more && !cli_signal()));
    cli_progress_end();
    return run.status;
}
