/* Rank 0 tells a step when its own receives are posted.
 *
 * Messages come in about the order in which they are numbered, so that only the first of those that have not come are
 * tested: a test of hundreds took as long as a tile. All are in the end, since those that have come make room. */
#include "transport.h"
#include "tracing.h"
#include "world.h"
#include "../src/base/status.h"
#include "../src/runtime/sched.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TESTED = 32,
    SPINS =
        500 /* turns, some 100 us: who yields to others that run may be away for a step of the kernel's, some ms */
};

struct line {
    struct dg_piece *piece;
    struct dg_run *run;
    size_t whole; /* tracing_plan(), where steps are recorded */
    const struct dg_step *step;
    struct dg_overflow *watched;   /* of the step at hand; NULL: it is not */
    char *buffers;                 /* of receives, then of sends: one for all messages of a tile */
    char **received, **sent;       /* [n_receives], [n_sends] into buffers */
    MPI_Request *receives, *sends; /* [n_receives], [n_sends] persistent */

    /* With the lock held: those that have not come this step, in their order. */
    MPI_Request *open; /* [n_receives] the first n_open */
    uint32_t *number;  /* [n_receives] which each of them is */
    uint32_t n_open;
};

static struct line *running;                 /* with the lock held */
struct traffic mpi_sent, mpi_sent_elsewhere; /* mpi_sent: with the lock held */

static bool is_same_tile(const struct dg_piece *piece, uint32_t i)
{
    return i > 0 && piece->sends[i].tile == piece->sends[i - 1].tile;
}

/* Places for all messages in `buffers`, whose size is returned; NULL: none yet. */
static size_t lay_out(struct line *l)
{
    const struct dg_piece *p = l->piece;
    size_t at = 0, last = 0;

    for (uint32_t i = 0; i < p->n_receives; i++) {
        l->received[i] = l->buffers ? l->buffers + at : NULL;
        at += (dg_message_bytes(p, &p->receives[i]) + 63) / 64 * 64;
    }
    for (uint32_t i = 0; i < p->n_sends; i++) {
        if (!is_same_tile(p, i)) {
            last = at;
            at += (dg_message_bytes(p, &p->sends[i]) + 63) / 64 * 64;
        }
        l->sent[i] = l->buffers ? l->buffers + last : NULL;
    }
    return at;
}

static bool allocate(struct line *l)
{
    const size_t n = l->piece->n_receives + (size_t)1, m = l->piece->n_sends + (size_t)1;

    l->received = calloc(n, sizeof *l->received);
    l->receives = calloc(n, sizeof(MPI_Request));
    l->open = calloc(n, sizeof(MPI_Request));
    l->number = calloc(n, sizeof *l->number);
    l->sent = calloc(m, sizeof *l->sent);
    l->sends = calloc(m, sizeof(MPI_Request));
    if (!l->received || !l->receives || !l->open || !l->number || !l->sent || !l->sends)
        return false;
    l->buffers = malloc(lay_out(l) + 1);
    return l->buffers && (lay_out(l), true);
}

/* Fits into an int: a tile's box is far smaller. */
static int bytes_of(const struct line *l, const struct dg_message *m)
{
    return (int)dg_message_bytes(l->piece, m);
}

static int send(void *arg, uint32_t i, uint32_t n)
{
    struct line *l = arg;

    dg_message_pack(l->piece, &l->piece->sends[i], l->step, l->sent[i]);
    world_lock();
    world_check(MPI_Startall((int)n, l->sends + i));
    mpi_sent.messages += n;
    mpi_sent.bytes += n * (uint64_t)bytes_of(l, &l->piece->sends[i]);
    world_unlock();
    return 0;
}

static void close_line(void *arg, void *line)
{
    struct line *l = line;

    (void)arg;
    world_lock();
    for (uint32_t i = 0; l->receives && i < l->piece->n_receives; i++)
        if (l->receives[i])
            MPI_Request_free(&l->receives[i]);
    for (uint32_t i = 0; l->sends && i < l->piece->n_sends; i++)
        if (l->sends[i])
            MPI_Request_free(&l->sends[i]);
    world_unlock();
    free(l->buffers);
    free(l->received);
    free(l->receives);
    free(l->open);
    free(l->number);
    free(l->sent);
    free(l->sends);
    free(l);
}

static enum dg_status check_messages(const struct dg_piece *p, struct dg_error *err)
{
    for (uint32_t i = 0; i < p->n_receives; i++)
        if (p->receives[i].number > (uint32_t)world.most_tag ||
            dg_message_bytes(p, &p->receives[i]) > INT32_MAX)
            return dg_fail(err, DG_ERR_RESOURCE,
                           "messages from a rank: got %u, expected at most %d, of 2 GB each",
                           p->receives[i].number, world.most_tag);
    return DG_OK;
}

static enum dg_status open_line(void *arg, void **out, struct dg_piece *piece, struct dg_run *run,
                                struct dg_error *err)
{
    struct line *l = calloc(1, sizeof *l);
    const enum dg_status st = check_messages(piece, err);

    (void)arg;
    if (l)
        *l = (struct line){.piece = piece, .run = run, .whole = mpi_tracing ? tracing_plan() : 0};
    if (st != DG_OK || !l || !allocate(l)) {
        if (l)
            close_line(NULL, l);
        return st != DG_OK ? st : dg_fail_memory(err, "messages", sizeof *l);
    }
    world_lock();
    for (uint32_t i = 0; i < piece->n_receives; i++) {
        const struct dg_message *m = &piece->receives[i];

        MPI_Recv_init(l->received[i], bytes_of(l, m), MPI_BYTE, (int)m->from, (int)m->number,
                      world.messages, &l->receives[i]);
    }
    for (uint32_t i = 0; i < piece->n_sends; i++) {
        const struct dg_message *m = &piece->sends[i];

        MPI_Send_init(l->sent[i], bytes_of(l, m), MPI_BYTE, (int)m->to, (int)m->number,
                      world.messages, &l->sends[i]);
    }
    world_unlock();
    piece->sender = (struct dg_sender){send, l};
    *out = l;
    return DG_OK;
}

static enum dg_status begin(void *arg, void *line, const struct dg_step *step, const int32_t *ids,
                            uint32_t n_logits, struct dg_overflow *watched, struct dg_error *err)
{
    struct line *l = line;

    (void)arg;
    l->step = step;
    l->watched = watched;
    world_lock();
    l->n_open = l->piece->n_receives;
    memcpy(l->open, l->receives, l->n_open * sizeof *l->open);
    for (uint32_t i = 0; i < l->n_open; i++)
        l->number[i] = i;
    if (l->n_open > 0)
        world_check(MPI_Startall((int)l->n_open, l->open));
    running = l;
    mpi_sent.steps++;
    world_unlock();
    if (mpi_tracing)
        tracing_step(l->whole);
    return world.rank == 0 ? talk_step(step, ids, n_logits, watched, err) : DG_OK;
}

/* Which of the first receives have come, to came[]; with the lock held. */
static int test(struct line *l, uint32_t came[TESTED])
{
    const int n = l->n_open < TESTED ? (int)l->n_open : TESTED;
    MPI_Status ignored[TESTED];
    int done = 0, which[TESTED];
    uint32_t kept = 0;
    bool gone[TESTED] = {false};

    if (n == 0)
        return 0;
    world_check(MPI_Testsome(n, l->open, &done, which, ignored));
    if (done <= 0)
        return 0; /* or MPI_UNDEFINED, which is negative */
    for (int i = 0; i < done; i++) {
        came[i] = l->number[which[i]];
        gone[which[i]] = true;
    }
    for (uint32_t i = 0; i < l->n_open; i++) {
        if (i < TESTED && gone[i])
            continue;
        l->open[kept] = l->open[i];
        l->number[kept++] = l->number[i];
    }
    l->n_open = kept;
    return done;
}

/* Another rank cannot run the step: what has not come is taken as failed, so that the step ends. With the lock held;
 * the number of those, to *open. */
static uint32_t give_up(struct line *l, uint32_t **failed)
{
    const uint32_t n = l->n_open;

    l->n_open = 0;
    *failed = l->number;
    return n;
}

/* Most messages come within some 10 us: only who has waited for longer gives up the CPU. */
static void rest(unsigned turn)
{
    if (turn > SPINS)
        sched_yield();
}

static bool poll_line(void *line, unsigned worker, unsigned turn)
{
    struct line *l = line;
    uint32_t came[TESTED], n_failed = 0, *failed = NULL;
    int n;

    if (!world_try_lock()) {
        rest(turn);
        return false;
    }
    n = test(l, came);
    if (n == 0 && world.rank == 0 && talk_failed())
        n_failed = give_up(l, &failed);
    world_unlock();
    if (n == 0)
        rest(turn);
    for (int i = 0; i < n; i++) {
        const struct dg_message *m = &l->piece->receives[came[i]];

        dg_run_take(l->run, worker, m->tile);
        dg_message_unpack(l->piece, m, l->step, l->received[came[i]]);
        dg_run_taken(l->run, worker, m->tile, 0);
    }
    for (uint32_t i = 0; i < n_failed; i++) {
        dg_run_take(l->run, worker, l->piece->receives[failed[i]].tile);
        dg_run_taken(l->run, worker, l->piece->receives[failed[i]].tile, EIO);
    }
    return n > 0 || n_failed > 0;
}

static enum dg_status end(void *arg, void *line, struct dg_error *err)
{
    struct line *l = line;

    (void)arg;
    world_lock();
    running = NULL;
    world_unlock();
    if (world.rank == 0) {
        const enum dg_status st = talk_answers(&mpi_sent_elsewhere, l->watched, err);

        if (st != DG_OK)
            return st; /* who cannot run the step takes nothing */
    }
    for (uint32_t i = 0; i < l->piece->n_sends; i++)
        world_wait(&l->sends[i]);
    return DG_OK;
}

static void look(void *arg, const struct dg_plan *plan, const struct dg_placed *placed)
{
    (void)arg;
    tracing_look(plan, placed);
}

static void text(void *arg, const struct dg_sequence *s, const struct dg_sequence *from)
{
    (void)arg;
    talk_text(s, from);
}

bool mpi_tracing;

struct dg_transport mpi_transport(void)
{
    return (struct dg_transport){.look = mpi_tracing ? look : NULL,
                                 .text = text,
                                 .open = open_line,
                                 .close = close_line,
                                 .begin = begin,
                                 .poll = poll_line,
                                 .end = end};
}

void mpi_waited_for(char *to, size_t size)
{
    const struct dg_message *m;

    to[0] = '\0';
    if (!running || running->n_open == 0)
        return;
    m = &running->piece->receives[running->number[0]];
    snprintf(to, size, "%s rows %u:%u columns %u:%u from rank %u",
             running->piece->graph->tensors[m->tensor].name, m->box.r0, m->box.r1, m->box.c0,
             m->box.c1, m->from);
}
