/* transport.h - messages between the ranks' pieces: what an engine asks for (src/model/engine.h), on MPI.
 * Each message has a buffer and a persistent request on either side; receives are posted before a step. */
#ifndef DG_MPI_TRANSPORT_H
#define DG_MPI_TRANSPORT_H

#include "talk.h"
#include "../src/model/engine.h"

struct dg_transport mpi_transport(void);

extern bool mpi_tracing; /* this is rank 0, and steps are recorded; set it before */

/* What this rank has sent, and, rank 0, what it has heard that the others have. Between steps. */
extern struct traffic mpi_sent, mpi_sent_elsewhere;

/* The first message of this step that has not come, for the line about a rank that is missed; with the lock held. */
void mpi_waited_for(char *to, size_t size);

#endif
