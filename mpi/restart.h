/* restart.h - --on-failure restart: a process that starts ranks, and again with those that are left where one was lost.
 *
 * The ranks that were started first only say where they are, and MPI ends in all of them. Rank 0 then starts ranks of its
 * own, with an mpirun of its own, through which it hears what their rank 0 prints (frames.h). Where they end before that
 * has said all, it starts them without the one that was lost, in front of the same standard input: the same options make
 * the same bits, of which those that were printed are left out. */
#ifndef DG_MPI_RESTART_H
#define DG_MPI_RESTART_H

#include <stdint.h>

enum { RESTART_HOST = 64 };

struct restart {
    const char *launch; /* the command that starts ranks, and its options, between blanks */
    char (*hosts)[RESTART_HOST]; /* [ranks] of each rank; changes */
    int ranks;                   /* changes */
    int argc;                    /* the arguments of each, */
    char **argv;                 /* [argc], of which argv[0] is the program */
    uint64_t clock; /* which they take for the clock's where it decides what is printed */
};

/* Until all is said, or no ranks are left. Returns the exit code. */
int restart_run(struct restart *r);

#endif
