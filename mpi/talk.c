/* Texts have numbers, from 0 on, which rank 0 gives them when they are first heard of. Where it goes back in one, or a
 * new one has an old number, the rows themselves say so: what is behind the position of the first is gone. */
#include "talk.h"
#include "world.h"
#include "../src/base/status.h"
#include "../src/model/sequence.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_OF_ERROR = 400 };

/* What is told: a step of `rows`, which follow. Or BYE: there are no more; FORK: text `first` begins with what text
 * `second` has before position `third`; GONE: text `first` is. Or what talk_ask() asks, below all these. */
enum { BYE = 0, FORK = -1, GONE = -2 };

struct told {
    int32_t rows;
    int32_t first, second, third; /* of a step: rows with logits, 1: it is watched, 0 */
};

struct told_row {
    int32_t text, position, id;
};

struct answer {
    int32_t status; /* 0: the step is done */
    uint64_t found; /* of one that is watched: struct dg_overflow's */
    uint64_t messages, bytes;
    char text[WORDS_OF_ERROR]; /* what is wrong, or was found */
};

/* ---- rank 0 ---- */

static struct answer *answers; /* [ranks] of the step at hand */
static MPI_Request *requests;  /* [ranks]; rank 0's is null */
static bool one_failed;        /* with the lock held */

static bool expect_answers(void)
{
    if (!answers) {
        answers = calloc((size_t)world.ranks, sizeof *answers);
        requests = calloc((size_t)world.ranks, sizeof(MPI_Request));
        if (!answers || !requests)
            return false;
        for (int r = 0; r < world.ranks; r++)
            requests[r] = MPI_REQUEST_NULL;
    }
    world_lock();
    for (int r = 1; r < world.ranks; r++)
        world_check(MPI_Irecv(&answers[r], sizeof *answers, MPI_BYTE, r, WORLD_DONE, MPI_COMM_WORLD,
                              &requests[r]));
    world_unlock();
    return true;
}

static void tell_all(const void *told, size_t bytes)
{
    for (int r = 1; r < world.ranks; r++)
        world_send(r, WORLD_STEP, told, bytes);
}

static const struct dg_cache **texts; /* [n_texts] which each number is; NULL: none */
static size_t n_texts;

/* The number of a text, or n_texts. */
static size_t find_text(const struct dg_cache *cache)
{
    size_t i = 0;

    while (i < n_texts && texts[i] != cache)
        i++;
    return i;
}

/* The same; a new one where there is none. n_texts: out of memory. */
static size_t number_text(const struct dg_cache *cache)
{
    size_t i = find_text(cache);
    const struct dg_cache **more;

    i = i < n_texts ? i : find_text(NULL);
    if (i == n_texts) {
        more = realloc(texts, (n_texts + 1) * sizeof(const struct dg_cache *));
        if (!more)
            return n_texts;
        texts = more;
        n_texts++;
    }
    texts[i] = cache;
    return i;
}

void talk_text(const struct dg_sequence *s, const struct dg_sequence *from)
{
    const size_t known = find_text(from ? &from->cache : &s->cache);
    struct told t;

    if (world.rank > 0 || known == n_texts || one_failed) /* it has no positions yet */
        return;
    if (from) {
        const size_t number = number_text(&s->cache);

        if (number == n_texts)
            return; /* and so talk_step() will have no memory either */
        t = (struct told){FORK, (int32_t)number, (int32_t)known, (int32_t)s->position};
    } else {
        texts[known] = NULL;
        t = (struct told){GONE, (int32_t)known, 0, 0};
    }
    tell_all(&t, sizeof t);
}

enum dg_status talk_step(const struct dg_step *step, const int32_t *ids, uint32_t n_logits,
                         bool watched, struct dg_error *err)
{
    const size_t bytes = sizeof(struct told) + step->rows * sizeof(struct told_row);
    struct told *told = malloc(bytes);
    struct told_row *rows = (struct told_row *)(told + 1);
    bool ok = told && expect_answers();

    for (uint32_t r = 0; ok && r < step->rows; r++) {
        const size_t text = number_text(step->row[r].cache);

        ok = text < n_texts;
        rows[r] = (struct told_row){(int32_t)text, (int32_t)step->row[r].position, ids[r]};
    }
    if (ok) {
        *told = (struct told){(int32_t)step->rows, (int32_t)n_logits, watched, 0};
        tell_all(told, bytes);
    }
    free(told);
    return ok ? DG_OK : dg_fail_memory(err, "a step", bytes);
}

bool talk_failed(void)
{
    int which, done;

    if (one_failed || !requests)
        return one_failed;
    world_check(MPI_Testany(world.ranks, requests, &which, &done, MPI_STATUS_IGNORE));
    one_failed = done && which != MPI_UNDEFINED && answers[which].status != DG_OK;
    return one_failed;
}

enum dg_status talk_answers(struct traffic *sum, struct dg_overflow *watched, struct dg_error *err)
{
    for (int r = 1; r < world.ranks && !one_failed; r++)
        world_wait(&requests[r]);
    for (int r = 1; r < world.ranks; r++) {
        sum->messages += answers[r].messages;
        sum->bytes += answers[r].bytes;
        if (answers[r].status != DG_OK)
            return dg_fail(err, (enum dg_status)answers[r].status, "rank %d on %s: %s", r,
                           world_host(r), answers[r].text);
        if (watched && answers[r].found < watched->at) {
            watched->at = answers[r].found;
            dg_fail(&watched->err, DG_ERR_MODEL, "%s", answers[r].text);
        }
    }
    return DG_OK;
}

void talk_ask(int rank, int32_t what)
{
    const struct told t = {what, 0, 0, 0};

    world_send(rank, WORLD_STEP, &t, sizeof t);
}

void talk_bye(void)
{
    const struct told t = {BYE, 0, 0, 0};

    tell_all(&t, sizeof t);
    free(answers);
    free(requests);
    free(texts);
}

/* ---- the others ---- */

/* What this rank has of the texts. */
struct follower {
    struct dg_engine *engine;
    struct dg_sequence **text; /* [n]; NULL: none of that number */
    size_t n;
    float *logits; /* [room][vocab] that nobody reads */
    size_t room;
};

/* The text of that number; a new one where there is none. */
static enum dg_status find_sequence(struct follower *f, size_t number, struct dg_sequence **out,
                                    struct dg_error *err)
{
    enum dg_status st = DG_OK;

    if (number >= f->n) {
        struct dg_sequence **more = realloc(f->text, (number + 1) * sizeof *more);

        if (!more)
            return dg_fail_memory(err, "texts", (number + 1) * sizeof *more);
        for (; f->n <= number; f->n++)
            more[f->n] = NULL;
        f->text = more;
    }
    if (!f->text[number])
        st = dg_sequence_new(&f->text[number], f->engine, err);
    *out = f->text[number];
    return st;
}

static enum dg_status fork_text(struct follower *f, const struct told *t, struct dg_error *err)
{
    struct dg_sequence *from, *old;
    enum dg_status st = find_sequence(f, (size_t)t->second, &from, err);

    if (st == DG_OK)
        st = find_sequence(f, (size_t)t->first, &old, err);
    if (st != DG_OK)
        return st;
    dg_sequence_rewind(from, (size_t)t->third);
    dg_sequence_free(old);
    f->text[t->first] = NULL;
    return dg_sequence_fork(&f->text[t->first], from, err);
}

static enum dg_status make_room(struct follower *f, size_t n_logits, struct dg_error *err)
{
    const size_t vocab = dg_engine_model(f->engine)->sizes.vocab;
    float *more;

    if (n_logits <= f->room)
        return DG_OK;
    more = realloc(f->logits, n_logits * vocab * sizeof *more);
    if (!more)
        return dg_fail_memory(err, "logits", n_logits * vocab * sizeof *more);
    f->logits = more;
    f->room = n_logits;
    return DG_OK;
}

/* A row: its text goes on from there. */
static enum dg_status fill_row(struct follower *f, const struct told_row *told, struct dg_row *row,
                               struct dg_error *err)
{
    const size_t at = (size_t)told->position;
    struct dg_sequence *s;
    enum dg_status st = find_sequence(f, (size_t)told->text, &s, err);

    if (st != DG_OK)
        return st;
    dg_sequence_rewind(s, at);
    st = dg_pages_reserve(&s->pages, at, at + 1, err);
    s->position = at + 1;
    *row = (struct dg_row){&s->cache, (uint32_t)at, NULL};
    return st;
}

static enum dg_status run_told(struct follower *f, const struct told *t, struct dg_overflow *found,
                               struct dg_error *err)
{
    const struct told_row *told = (const struct told_row *)(t + 1);
    const uint32_t rows = (uint32_t)t->rows, n_logits = (uint32_t)t->first;
    const size_t vocab = dg_engine_model(f->engine)->sizes.vocab;
    struct dg_row *row = calloc(rows, sizeof *row);
    enum dg_status st = row ? make_room(f, n_logits, err) : dg_fail_memory(err, "rows", rows);
    struct dg_rows to;

    for (uint32_t r = 0; r < rows && st == DG_OK; r++)
        st = fill_row(f, &told[r], &row[r], err);
    if (st == DG_OK)
        st = dg_engine_enter(f->engine, rows, n_logits, &to, err);
    for (uint32_t r = 0; r < rows && st == DG_OK; r++) {
        to.id[r] = told[r].id;
        to.row[r] = row[r];
        if (r >= rows - n_logits)
            to.row[r].logits = f->logits + (r - (rows - n_logits)) * vocab;
    }
    free(row);
    if (st != DG_OK)
        return st;
    return t->second ? dg_engine_watch(f->engine, found, err) : dg_engine_run(f->engine, err);
}

static void answer_step(enum dg_status st, const struct dg_overflow *found,
                        const struct dg_error *err, const struct traffic *before,
                        const struct traffic *sent)
{
    struct answer a = {(int32_t)st, found->at, sent->messages - before->messages,
                       sent->bytes - before->bytes, ""};

    if (st != DG_OK || found->at != DG_NO_OVERFLOW)
        snprintf(a.text, sizeof a.text, "%.*s", (int)sizeof a.text - 1,
                 st != DG_OK ? err->text : found->err.text);
    world_send(0, WORLD_DONE, &a, sizeof a);
}

void talk_follow(struct cli_engine *e, const struct traffic *sent, void (*answer)(int32_t what))
{
    struct follower f = {.engine = e->engine};
    enum dg_status st = DG_OK;
    struct dg_error err;
    struct told *t;
    size_t n;

    for (; (t = world_receive(0, WORLD_STEP, &n))->rows != BYE; free(t)) {
        const struct traffic before = *sent;

        if (t->rows == FORK) {
            st = fork_text(&f, t, &err); /* what is wrong is told with the next step */
        } else if (t->rows == GONE) {
            dg_sequence_free((size_t)t->first < f.n ? f.text[t->first] : NULL);
            if ((size_t)t->first < f.n)
                f.text[t->first] = NULL;
        } else if (t->rows < 0) {
            answer(t->rows);
        } else {
            struct dg_overflow found = {.at = DG_NO_OVERFLOW};

            st = st == DG_OK ? run_told(&f, t, &found, &err) : st;
            answer_step(st, &found, &err, &before, sent);
        }
    }
    free(t);
    for (size_t i = 0; i < f.n; i++)
        dg_sequence_free(f.text[i]);
    free(f.text);
    free(f.logits);
}
