/* wire.c - what may come between ranks: linked before MPI into a dagpt-mpi of the tests, which knows nothing of it.
 *
 * Whatever a rank sends is copied, and given to MPI later, by whichever call of MPI's comes then. Messages of one
 * sender, receiver, communicator and tag keep their order, as MPI says; all others may overtake each other. Collectives,
 * which only begin and end a run, are not on the wire. MPI is called by one thread at a time (mpi/world.h).
 *
 * Environment:
 *   DAGPT_WIRE_DELAY=US[:SPREAD]      each message takes US microseconds, and up to SPREAD more, by chance
 *   DAGPT_WIRE_SEED=N                 of that
 *   DAGPT_WIRE_MBS=N                  bandwidth from one rank to another, megabytes a second
 *   DAGPT_WIRE_CUT=RANK:K[:OTHER]     what the rank sends from its K-th message on is lost; with OTHER, what the two
 *                                     send to each other
 *   DAGPT_WIRE_BLOW=RANK/RANKS:K:HOW  in a world of RANKS, the rank is killed, stopped or leaves before its K-th event
 *   DAGPT_WIRE_BLOWN=FILE             is made then
 *   DAGPT_WIRE_EVENTS=FILE            FILE.RANK: how many events there were, in the end
 *
 * An event is a message that is sent, posted or received, or another call; signs of life, whose number depends on
 * time, are none, nor are questions whether something has come. */
#include "../../mpi/world.h"
#include "../../src/dagpt.h"
#include <sync.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct parcel {
    struct parcel *next;
    uint64_t due; /* ns */
    int to, tag, n;
    MPI_Comm comm;
    MPI_Request request; /* null: still on the wire */
    bool sent;
    char bytes[];
};

/* A persistent request to send: MPI never starts it, and so takes it for done. */
struct sender {
    MPI_Request request;
    const void *bytes;
    int n, to, tag;
    MPI_Comm comm;
};

static struct {
    int rank, ranks;
    uint64_t delay, spread, chance; /* ns; chance: the state */
    double bytes_per_ns;            /* 0: as many as you like */
    int cut, cut_other;             /* ranks, or -1 */
    uint64_t cut_at, blow_at;       /* 0: never */
    char how;
    uint64_t sent, events;
    uint64_t free_at[WORLD_MOST]; /* when the wire to each rank is free */
    struct parcel *first, **last;
    struct sender *senders; /* [n_senders] */
    size_t n_senders, room;
    MPI_Request signs[WORLD_MOST]; /* persistent ones, which receive */
} wire = {.cut = -1, .cut_other = -1, .last = &wire.first};

static const char *setting(const char *name)
{
    const char *value = getenv(name);

    return value ? value : "";
}

static void read_settings(void)
{
    unsigned long long delay = 0, spread = 0, k = 0;
    int rank, ranks;
    char how;

    sscanf(setting("DAGPT_WIRE_DELAY"), "%llu:%llu", &delay, &spread);
    wire.delay = 1000 * delay;
    wire.spread = 1000 * spread;
    wire.chance = 0x9E3779B97F4A7C15 *
                  ((uint64_t)atoi(setting("DAGPT_WIRE_SEED")) * 256 + (uint64_t)wire.rank + 1);
    wire.bytes_per_ns = 1e-3 * atof(setting("DAGPT_WIRE_MBS"));
    if (sscanf(setting("DAGPT_WIRE_CUT"), "%d:%llu:%d", &wire.cut, &k, &wire.cut_other) >= 2)
        wire.cut_at = k;
    if (sscanf(setting("DAGPT_WIRE_BLOW"), "%d/%d:%llu:%c", &rank, &ranks, &k, &how) == 4 &&
        rank == wire.rank && ranks == wire.ranks) {
        wire.blow_at = k;
        wire.how = how;
    }
}

/* ---- the blow ---- */

static void blow(void)
{
    FILE *mark = fopen(setting("DAGPT_WIRE_BLOWN"), "w");

    if (mark)
        fclose(mark);
    if (wire.how == 'l')
        _exit(0);
    kill(getpid(), wire.how == 's' ? SIGSTOP : SIGKILL);
}

static void count_event(void)
{
    if (++wire.events == wire.blow_at)
        blow();
}

/* ---- the wire ---- */

static uint64_t draw(uint64_t below)
{
    wire.chance ^= wire.chance << 13;
    wire.chance ^= wire.chance >> 7;
    wire.chance ^= wire.chance << 17;
    return below ? wire.chance % below : 0;
}

static bool is_cut(int to)
{
    if (!wire.cut_at || wire.sent < wire.cut_at)
        return false;
    if (wire.cut_other < 0)
        return wire.rank == wire.cut;
    return (wire.rank == wire.cut && to == wire.cut_other) ||
           (wire.rank == wire.cut_other && to == wire.cut);
}

/* When it arrives: behind what has its sender, receiver, communicator and tag. */
static uint64_t due(int to, int tag, MPI_Comm comm, int n)
{
    uint64_t at = dg_now_ns();

    if (wire.bytes_per_ns > 0) {
        at = at > wire.free_at[to] ? at : wire.free_at[to];
        at += (uint64_t)((double)n / wire.bytes_per_ns);
        wire.free_at[to] = at;
    }
    at += wire.delay + draw(wire.spread);
    for (const struct parcel *p = wire.first; p; p = p->next)
        if (p->to == to && p->tag == tag && p->comm == comm && p->due > at)
            at = p->due;
    return at;
}

static void put(const void *bytes, int n, int to, int tag, MPI_Comm comm)
{
    struct parcel *p;

    wire.sent += tag != WORLD_LIVES || comm != MPI_COMM_WORLD;
    if (is_cut(to))
        return;
    p = malloc(sizeof *p + (size_t)n);
    if (!p)
        abort();
    *p = (struct parcel){NULL, due(to, tag, comm, n), to, tag, n, comm, MPI_REQUEST_NULL, false};
    memcpy(p->bytes, bytes, (size_t)n);
    *wire.last = p;
    wire.last = &p->next;
}

/* What is due is MPI's. */
static void move(void)
{
    const uint64_t now = dg_now_ns();
    struct parcel **at = &wire.first, *p;

    while ((p = *at)) {
        int done = 0;

        if (!p->sent && p->due <= now) {
            PMPI_Isend(p->bytes, p->n, MPI_BYTE, p->to, p->tag, p->comm, &p->request);
            p->sent = true;
        }
        if (p->sent)
            PMPI_Test(&p->request, &done, MPI_STATUS_IGNORE);
        if (done) {
            *at = p->next;
            free(p);
        } else {
            at = &p->next;
        }
    }
    wire.last = at;
}

/* ---- MPI's calls ---- */

int MPI_Init_thread(int *argc, char ***argv, int required, int *provided)
{
    const int failed = PMPI_Init_thread(argc, argv, required, provided);

    PMPI_Comm_rank(MPI_COMM_WORLD, &wire.rank);
    PMPI_Comm_size(MPI_COMM_WORLD, &wire.ranks);
    read_settings();
    count_event();
    return failed;
}

int MPI_Finalize(void)
{
    char name[4096];
    FILE *f;

    count_event();
    snprintf(name, sizeof name, "%s.%d", setting("DAGPT_WIRE_EVENTS"), wire.rank);
    f = name[0] == '.' ? NULL : fopen(name, "w");
    if (f) {
        fprintf(f, "%llu\n", (unsigned long long)wire.events);
        fclose(f);
    }
    return PMPI_Finalize();
}

int MPI_Comm_idup(MPI_Comm comm, MPI_Comm *to, MPI_Request *request)
{
    count_event();
    return PMPI_Comm_idup(comm, to, request);
}

int MPI_Iallgather(const void *from, int n, MPI_Datatype type, void *to, int m, MPI_Datatype as,
                   MPI_Comm comm, MPI_Request *request)
{
    count_event();
    return PMPI_Iallgather(from, n, type, to, m, as, comm, request);
}

int MPI_Ibarrier(MPI_Comm comm, MPI_Request *request)
{
    count_event();
    return PMPI_Ibarrier(comm, request);
}

int MPI_Isend(const void *bytes, int n, MPI_Datatype type, int to, int tag, MPI_Comm comm,
              MPI_Request *request)
{
    (void)type; /* bytes */
    if (tag != WORLD_LIVES)
        count_event();
    put(bytes, n, to, tag, comm);
    *request = MPI_REQUEST_NULL;
    move();
    return MPI_SUCCESS;
}

int MPI_Irecv(void *bytes, int n, MPI_Datatype type, int from, int tag, MPI_Comm comm,
              MPI_Request *request)
{
    count_event();
    return PMPI_Irecv(bytes, n, type, from, tag, comm, request);
}

int MPI_Recv_init(void *bytes, int n, MPI_Datatype type, int from, int tag, MPI_Comm comm,
                  MPI_Request *request)
{
    const int failed = PMPI_Recv_init(bytes, n, type, from, tag, comm, request);

    if (comm == MPI_COMM_WORLD && tag == WORLD_LIVES)
        wire.signs[from] = *request;
    else
        count_event();
    return failed;
}

int MPI_Send_init(const void *bytes, int n, MPI_Datatype type, int to, int tag, MPI_Comm comm,
                  MPI_Request *request)
{
    const int failed = PMPI_Send_init(bytes, n, type, to, tag, comm, request);

    if (wire.n_senders == wire.room) {
        wire.room = 2 * wire.room + 64;
        wire.senders = realloc(wire.senders, wire.room * sizeof *wire.senders);
        if (!wire.senders)
            abort();
    }
    wire.senders[wire.n_senders++] = (struct sender){*request, bytes, n, to, tag, comm};
    return failed;
}

static struct sender *find_sender(MPI_Request request)
{
    for (size_t i = wire.n_senders; i-- > 0;)
        if (wire.senders[i].request == request)
            return &wire.senders[i];
    return NULL;
}

int MPI_Start(MPI_Request *request)
{
    const struct sender *s = find_sender(*request);

    if (!s)
        return PMPI_Start(request);
    put(s->bytes, s->n, s->to, s->tag, s->comm);
    move();
    return MPI_SUCCESS;
}

int MPI_Startall(int n, MPI_Request *requests)
{
    for (int i = 0; i < n; i++) {
        count_event();
        MPI_Start(&requests[i]);
    }
    return MPI_SUCCESS;
}

int MPI_Request_free(MPI_Request *request)
{
    struct sender *s = find_sender(*request);

    if (s)
        *s = wire.senders[--wire.n_senders];
    return PMPI_Request_free(request);
}

static bool is_sign(MPI_Request request)
{
    for (int r = 0; r < wire.ranks; r++)
        if (r != wire.rank && wire.signs[r] == request)
            return true;
    return false;
}

int MPI_Test(MPI_Request *request, int *done, MPI_Status *status)
{
    const bool counts =
        *request != MPI_REQUEST_NULL && !find_sender(*request) && !is_sign(*request);
    int failed;

    move();
    failed = PMPI_Test(request, done, status);
    if (counts && *done)
        count_event();
    return failed;
}

int MPI_Testany(int n, MPI_Request *requests, int *which, int *done, MPI_Status *status)
{
    int failed;

    move();
    failed = PMPI_Testany(n, requests, which, done, status);
    if (*done && *which != MPI_UNDEFINED)
        count_event();
    return failed;
}

int MPI_Testsome(int n, MPI_Request *requests, int *done, int *which, MPI_Status *statuses)
{
    int failed;

    move();
    failed = PMPI_Testsome(n, requests, done, which, statuses);
    for (int i = 0; i < *done; i++) /* MPI_UNDEFINED is negative */
        count_event();
    return failed;
}

int MPI_Iprobe(int from, int tag, MPI_Comm comm, int *there, MPI_Status *status)
{
    move();
    return PMPI_Iprobe(from, tag, comm, there, status);
}
