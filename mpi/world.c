#include "world.h"
#include "../src/dagpt.h"
#include <sync.h>

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct world world;

enum { TICK_NS = 20 * 1000 * 1000, NAP_NS = 50 * 1000, SPIN_NS = 500 * 1000 };

/* Parts of the timeout. */
static const double BETWEEN_SIGNS = 0.1, SUSPECT = 0.35, GONE = 0.7, LAST_WORDS = 0.2;

enum { LINE = 400 };

/* A sign of life. */
struct sign {
    char host[WORLD_HOST];
    int32_t abandoned; /* 1 + the exit code: all are to exit; 0: they are not */
    char line[LINE];   /* what is to be said before, or "" */
};

/* To and from each rank. */
struct peer {
    MPI_Request sent, received;
    struct sign in;
    uint64_t heard; /* when, in ns */
    char host[WORLD_HOST];
};

static struct peer peers[WORLD_MOST];
static struct sign own;

/* 1: somebody calls MPI. Order: acquire, release. Partner: each other. */
static struct dg_atomic locked;
static struct dg_atomic watching; /* 0: the watch ends. Order: release, acquire. */
static struct dg_atomic spoken;   /* world_has_word(). Relaxed: nothing is read because of it. */
static struct dg_thread watch;
static bool begun;
static int end_code;

bool world_try_lock(void)
{
    return dg_load_acquire(&locked) == 0 && dg_change_acq_rel(&locked, 0, 1);
}

void world_lock(void)
{
    while (!world_try_lock())
        sched_yield();
}

void world_unlock(void)
{
    dg_store_release(&locked, 0);
}

bool world_has_word(void)
{
    return dg_change_relaxed(&spoken, 0, 1);
}

const char *world_host(int rank)
{
    return rank == world.rank ? world.host : peers[rank].host[0] ? peers[rank].host : "?";
}

void world_check(int failed)
{
    if (!failed)
        return;
    world_unlock();
    for (;;)
        pause();
}

void world_hosts(char (*to)[WORLD_HOST])
{
    MPI_Request request;

    world_lock();
    world_check(MPI_Iallgather(world.host, WORLD_HOST, MPI_BYTE, to, WORLD_HOST, MPI_BYTE,
                               MPI_COMM_WORLD, &request));
    world_unlock();
    world_wait(&request);
}

static void nap(long ns)
{
    const struct timespec t = {0, ns};

    nanosleep(&t, NULL);
}

/* ---- from one to another ---- */

static void pause_since(uint64_t start)
{
    const uint64_t waited = dg_now_ns() - start;

    if (waited > 1000 * 1000 * 1000) /* rank 0 waits for its user */
        nap(NAP_NS);
    else if (waited > SPIN_NS)
        sched_yield();
    else
        dg_pause();
}

void world_wait(MPI_Request *request)
{
    const uint64_t start = dg_now_ns();
    int done = 0;

    for (;;) {
        world_lock();
        world_check(MPI_Test(request, &done, MPI_STATUS_IGNORE));
        world_unlock();
        if (done)
            return;
        pause_since(start);
    }
}

void world_send(int to, enum world_tag tag, const void *bytes, size_t n)
{
    MPI_Request request;

    world_lock();
    world_check(MPI_Isend(bytes, (int)n, MPI_BYTE, to, (int)tag, MPI_COMM_WORLD, &request));
    world_unlock();
    world_wait(&request);
}

void *world_receive(int from, enum world_tag tag, size_t *n)
{
    const uint64_t start = dg_now_ns();
    MPI_Request request;
    MPI_Status status;
    int there = 0, bytes = 0;
    void *to;

    for (;;) {
        world_lock();
        world_check(MPI_Iprobe(from, (int)tag, MPI_COMM_WORLD, &there, &status));
        if (there)
            break;
        world_unlock();
        pause_since(start);
    }
    MPI_Get_count(&status, MPI_BYTE, &bytes);
    to = malloc((size_t)bytes + 1);
    if (!to)
        abort(); /* some bytes: this rank is missed, and the others leave */
    world_check(MPI_Irecv(to, bytes, MPI_BYTE, from, (int)tag, MPI_COMM_WORLD, &request));
    world_unlock();
    world_wait(&request);
    *n = (size_t)bytes;
    return to;
}

/* ---- the watch ---- */

static uint64_t part_of_timeout(double part)
{
    return (uint64_t)(1e9 * world.timeout * part);
}

/* Of those that live the lowest. */
static int find_speaker(uint64_t now)
{
    int r = 0;

    while (r < world.rank && now - peers[r].heard >= part_of_timeout(SUSPECT))
        r++;
    return r;
}

static void say(const char *line)
{
    if (world_has_word())
        dprintf(STDERR_FILENO, "%s\n", line);
}

/* Waits a moment until what is said to those ranks is on its way. With the lock held. */
static void push(int first, int n)
{
    const uint64_t start = dg_now_ns();
    int done, all = 0;

    while (!all && dg_now_ns() - start < part_of_timeout(LAST_WORDS) / 2) {
        all = 1;
        for (int r = first; r < first + n; r++)
            if (r != world.rank) {
                MPI_Test(&peers[r].sent, &done, MPI_STATUS_IGNORE);
                all &= done;
            }
        sched_yield();
    }
}

static void send_last(int rank)
{
    MPI_Isend(&own, sizeof own, MPI_BYTE, rank, WORLD_LIVES, MPI_COMM_WORLD, &peers[rank].sent);
}

/* All others are to exit with the code. With the lock held. */
static void tell_to_exit(int code)
{
    own.abandoned = 1 + code;
    own.line[0] = '\0';
    for (int r = 0; r < world.ranks; r++)
        if (r != world.rank)
            send_last(r);
    push(0, world.ranks);
}

/* Another ends, and all with it; it may leave to this one what there is to say. */
static void hear_last(const struct sign *in)
{
    if (!in->abandoned)
        return;
    if (in->line[0]) {
        say(in->line);
        tell_to_exit(in->abandoned - 1);
    }
    world.exit(in->abandoned - 1);
}

static void exchange_signs(uint64_t now, bool send)
{
    for (int r = 0; r < world.ranks; r++) {
        struct peer *p = &peers[r];
        int done = 0;

        if (r == world.rank)
            continue;
        if (MPI_Test(&p->received, &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && done) {
            hear_last(&p->in);
            p->heard = now;
            memcpy(p->host, p->in.host, sizeof p->host);
            MPI_Start(&p->received);
        }
        if (!send)
            continue;
        if (MPI_Test(&p->sent, &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && done)
            MPI_Start(&p->sent); /* one that nobody takes is left alone */
    }
}

/* It says, most often, that it misses the same rank. One that hears of that rank says what this one does. With the lock
 * held. */
static void leave_word_with(int speaker, const char *line)
{
    const uint64_t start = dg_now_ns();

    while (dg_now_ns() - start < part_of_timeout(LAST_WORDS)) {
        exchange_signs(dg_now_ns(), false);
        nap(TICK_NS);
    }
    own.abandoned = 1 + DG_ERR_RESOURCE;
    snprintf(own.line, sizeof own.line, "%s", line);
    send_last(speaker);
    push(speaker, 1);
    nap(2 * TICK_NS);
}

/* Ends all that live, and one that was stopped should it ever go on. Each rank finds out by itself; who does not speak
 * waits until that is done, since whoever started the ranks may end all of them when one ends. With the lock held, or
 * `rank` is this one, whose MPI does not return. */
_Noreturn static void give_up(int rank, uint64_t now, double silence)
{
    const int speaker = find_speaker(now);
    char what[160] = "", line[LINE];

    if (world.waited_for && rank != world.rank)
        world.waited_for(what, sizeof what);
    snprintf(line, sizeof line,
             "dagpt-mpi: rank %d on %s: not heard of for %.1f s; rank %d on %s waited for %s", rank,
             world_host(rank), silence, world.rank, world.host, what[0] ? what : "its next step");
    if (speaker == world.rank)
        say(line);
    if (rank == world.rank)
        usleep((useconds_t)(part_of_timeout(LAST_WORDS) / 1000));
    else if (speaker == world.rank)
        tell_to_exit(DG_ERR_RESOURCE);
    else
        leave_word_with(speaker, line);
    world.exit(DG_ERR_RESOURCE);
}

/* Who was stopped itself, and goes on, has missed what the others sent: they get their time again. */
static bool was_stopped(uint64_t now, uint64_t before)
{
    if (now - before < part_of_timeout(SUSPECT))
        return false;
    for (int r = 0; r < world.ranks; r++)
        peers[r].heard = now;
    return true;
}

static void *watch_peers(void *arg)
{
    const uint64_t limit = part_of_timeout(GONE), pause = part_of_timeout(BETWEEN_SIGNS);
    uint64_t sent = 0, turned = dg_now_ns(), looked = turned;

    (void)arg;
    while (dg_load_acquire(&watching)) {
        const uint64_t now = dg_now_ns();

        if (was_stopped(now, turned))
            looked = now;
        turned = now;
        if (!world_try_lock()) { /* somebody is quick, or MPI does not return */
            if (now - looked > limit)
                give_up(world.rank, now, 1e-9 * (double)(now - looked));
            sched_yield();
            continue;
        }
        looked = now;
        exchange_signs(now, now - sent > pause);
        sent = now - sent > pause ? now : sent;
        for (int r = 0; r < world.ranks; r++)
            if (r != world.rank && now - peers[r].heard > limit)
                give_up(r, now, 1e-9 * (double)(now - peers[r].heard));
        world_unlock();
        nap(TICK_NS);
    }
    return NULL;
}

static void start_watch(void)
{
    memcpy(own.host, world.host, sizeof own.host);
    for (int r = 0; r < world.ranks; r++) {
        struct peer *p = &peers[r];

        p->heard = dg_now_ns();
        if (r == world.rank)
            continue;
        MPI_Recv_init(&p->in, sizeof p->in, MPI_BYTE, r, WORLD_LIVES, MPI_COMM_WORLD, &p->received);
        MPI_Send_init(&own, sizeof own, MPI_BYTE, r, WORLD_LIVES, MPI_COMM_WORLD, &p->sent);
        MPI_Start(&p->received);
    }
    dg_store_release(&watching, 1);
    begun = dg_thread_start(&watch, watch_peers, NULL);
}

static void stop_watch(void)
{
    if (begun) {
        dg_store_release(&watching, 0);
        dg_thread_join(&watch);
    }
    begun = false;
}

void world_abandon(int code)
{
    stop_watch();
    world_lock();
    tell_to_exit(code);
    world.exit(code);
}

/* ---- beginning and end ---- */

bool world_begin(double timeout)
{
    int provided, flag, *most;
    MPI_Request made;

    MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &provided);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_rank(MPI_COMM_WORLD, &world.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &world.ranks);
    if (provided < MPI_THREAD_SERIALIZED || world.ranks > WORLD_MOST) {
        if (world.rank == 0 && provided < MPI_THREAD_SERIALIZED)
            fprintf(stderr, "dagpt-mpi: MPI: got threads of level %d, expected SERIALIZED (%d)\n",
                    provided, MPI_THREAD_SERIALIZED);
        else if (world.rank == 0)
            fprintf(stderr, "dagpt-mpi: ranks: got %d, expected 1 to %d\n", world.ranks,
                    WORLD_MOST);
        MPI_Finalize();
        return false;
    }
    world.timeout = timeout;
    gethostname(world.host, sizeof world.host - 1);
    start_watch();
    world_lock();
    world_check(MPI_Comm_idup(MPI_COMM_WORLD, &world.messages, &made));
    world_unlock();
    world_wait(&made);
    world_lock();
    MPI_Comm_get_attr(world.messages, MPI_TAG_UB, &most, &flag);
    world.most_tag = flag ? *most : 32767;
    world_unlock();
    return true;
}

static void on_alarm(int number)
{
    (void)number;
    world.exit(end_code);
}

void world_end(int code)
{
    MPI_Request all_here;

    world_lock();
    world_check(MPI_Ibarrier(world.messages, &all_here));
    world_unlock();
    world_wait(&all_here);
    stop_watch();
    end_code = code; /* all is written: what MPI does not end in time is ended */
    signal(SIGALRM, on_alarm);
    alarm(world.timeout < 1 ? 1 : (unsigned)world.timeout);
    for (int r = 0; r < world.ranks; r++) {
        if (r == world.rank)
            continue;
        MPI_Cancel(&peers[r].received);
        MPI_Request_free(&peers[r].received);
        MPI_Request_free(&peers[r].sent);
    }
    MPI_Finalize();
}
