/* keeper.h - a process that stands before a rank.
 * Whoever starts ranks ends all of them at once when it sees one end: nobody could say any more what was waited for.
 * It sees the keeper, which ends when the rank does, with its exit code; but where a signal has ended the rank, not
 * before the others have had `timeout` to miss it. */
#ifndef DG_MPI_KEEPER_H
#define DG_MPI_KEEPER_H

/* Comes back in the rank, a child of the keeper, with which it ends; or in the caller itself, where it is alone, or
 * there can be no child. Before MPI and all threads. */
void keeper_begin(double timeout);

#endif
