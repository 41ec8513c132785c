/* world.h - the ranks: who they are, one lock for all of MPI, what one says to another, and whether they live.
 *
 * MPI is asked for SERIALIZED: any thread may call it, one at a time, with world_lock held. Nobody waits with the lock
 * held.
 * Each rank tells every other ten times in `timeout` that it lives. A rank of which nothing is heard, since it was
 * killed, stopped or cut off, is given up: all others end with 6 within `timeout`, whatever their other threads do, and
 * the first of them says which rank that is and for what it waited itself. */
#ifndef DG_MPI_WORLD_H
#define DG_MPI_WORLD_H

#include <mpi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WORLD_HOST = 64, WORLD_MOST = 256 };

struct world {
    int rank, ranks;
    int most_tag;            /* of a message */
    MPI_Comm messages;       /* between pieces */
    double timeout;          /* seconds */
    int workers[WORLD_MOST]; /* of each rank, once they have joined */
    char host[WORLD_HOST];

    /* Ends this process at once, whatever its other threads do. Set before world_begin(). */
    __attribute__((noreturn)) void (*exit)(int code);

    /* What is waited for, or "": for the line. With the lock held. */
    void (*waited_for)(char *to, size_t size);
};

extern struct world world;

/* Starts MPI; from now on ranks are missed. False: it has no SERIALIZED, and a line has said so. */
bool world_begin(double timeout);
void world_end(
    int code); /* all ranks call it: nobody is missed any more, and MPI ends; a rank that hangs in it exits with the code */

void world_lock(void);
bool world_try_lock(void);
void world_unlock(void);

/* What an MPI call returned, with the lock held. An error is of a rank that is gone: does not come back, and the watch
 * ends this process. */
void world_check(int failed);

/* Until the request is done. After a second it is looked at less often. */
void world_wait(MPI_Request *request);

/* Bytes from one rank to another, in the order in which they were sent. Both wait; what was received is the caller's
 * to free(). */
enum world_tag { WORLD_LIVES, WORLD_AGREE, WORLD_STEP, WORLD_DONE, WORLD_TRACE };
void world_send(int to, enum world_tag tag, const void *bytes, size_t n);
void *world_receive(int from, enum world_tag tag, size_t *n);

const char *world_host(int rank); /* "?": it has not said so yet */

void world_hosts(char (*to)[WORLD_HOST]); /* [ranks] of all; all ranks call it */

/* True for the first who asks: one line is said, by one thread, of why this rank ends. */
bool world_has_word(void);

/* Ranks may wait for each other in a step that does not end: all are told to exit, and this one does, with the code. */
_Noreturn void world_abandon(int code);

#endif
