/* ranks.h - several ranks in one process: engines that run a plan together, each on a team and a thread of its own, with
 * messages in memory. */
#ifndef DG_TESTS_RANKS_H
#define DG_TESTS_RANKS_H

#include "support.h"
#include "../../src/dagpt.h"
#include "../../src/model/engine.h"
#include "../../src/runtime/sched.h"
#include <sync.h>

#include <sched.h>
#include <stdlib.h>
#include <string.h>

struct letter {
    uint32_t from, to, number;
    struct letter *next;
    char data[];
};

/* Letters that nobody has fetched, oldest first. */
struct post_office {
    struct dg_mutex mutex;
    struct letter *first, **last;
    uint64_t sent, bytes;
};

/* A piece's. */
struct line {
    struct post_office *office;
    struct dg_piece *piece;
    struct dg_run *run;
    const struct dg_step *step;
    bool *got; /* [n_receives] this step; under the office's mutex */
};

static int post_send(void *arg, uint32_t i, uint32_t n)
{
    struct line *line = arg;
    struct post_office *o = line->office;

    for (const struct dg_message *m = line->piece->sends + i; n > 0; n--, m++) {
        const size_t bytes = dg_message_bytes(line->piece, m);
        struct letter *l = malloc(sizeof *l + bytes);

        if (!l)
            return 12; /* ENOMEM */
        *l = (struct letter){m->from, m->to, m->number, NULL};
        dg_message_pack(line->piece, m, line->step, l->data);
        dg_mutex_lock(&o->mutex);
        *o->last = l;
        o->last = &l->next;
        o->sent++;
        o->bytes += bytes;
        dg_mutex_unlock(&o->mutex);
    }
    return 0;
}

static enum dg_status post_open(void *arg, void **out, struct dg_piece *piece, struct dg_run *run,
                                struct dg_error *err)
{
    struct line *line = calloc(1, sizeof *line);

    (void)err;
    ck_assert_ptr_nonnull(line);
    *line = (struct line){arg, piece, run, NULL, calloc(piece->n_receives + 1, sizeof *line->got)};
    ck_assert_ptr_nonnull(line->got);
    piece->sender = (struct dg_sender){post_send, line};
    *out = line;
    return DG_OK;
}

static void post_close(void *arg, void *p)
{
    struct line *line = p;

    (void)arg;
    free(line->got);
    free(line);
}

static enum dg_status post_begin(void *arg, void *p, const struct dg_step *step, const int32_t *ids,
                                 uint32_t n_logits, struct dg_overflow *watched,
                                 struct dg_error *err)
{
    struct line *line = p;

    (void)arg, (void)ids, (void)n_logits, (void)watched, (void)err;
    line->step = step;
    memset(line->got, 0, line->piece->n_receives * sizeof *line->got);
    return DG_OK;
}

/* The receive that the letter is for, or n_receives. */
static uint32_t addressee(const struct line *line, const struct letter *l)
{
    uint32_t i = 0;

    while (i < line->piece->n_receives && (l->to != line->piece->rank || line->got[i] ||
                                           line->piece->receives[i].from != l->from ||
                                           line->piece->receives[i].number != l->number))
        i++;
    return i;
}

static bool post_poll(void *p, unsigned worker, unsigned turn)
{
    struct line *line = p;
    struct post_office *o = line->office;
    uint32_t found = line->piece->n_receives;

    dg_mutex_lock(&o->mutex);
    for (struct letter **l = &o->first; *l && found == line->piece->n_receives;) {
        struct letter *got = *l;

        found = addressee(line, got);
        if (found == line->piece->n_receives) {
            l = &got->next;
            continue;
        }
        line->got[found] = true;
        dg_run_take(line->run, worker, line->piece->receives[found].tile);
        dg_message_unpack(line->piece, &line->piece->receives[found], line->step, got->data);
        *l = got->next;
        if (o->last == &got->next)
            o->last = l;
        free(got);
    }
    dg_mutex_unlock(&o->mutex);
    if (found == line->piece->n_receives) {
        if (turn > 100)
            sched_yield();
        return false;
    }
    dg_run_taken(line->run, worker, line->piece->receives[found].tile, 0);
    return true;
}

static enum dg_status post_end(void *arg, void *line, struct dg_error *err)
{
    (void)arg, (void)line, (void)err;
    return DG_OK;
}

static inline bool post_office_open(struct post_office *o, struct dg_transport *t)
{
    *o = (struct post_office){.last = &o->first};
    *t = (struct dg_transport){NULL,       NULL,      post_open, post_close,
                               post_begin, post_poll, post_end,  o};
    return dg_mutex_init(&o->mutex);
}

#endif
