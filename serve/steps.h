/* steps.h - the thread that runs the engine's steps: texts join and leave between two of them. */
#ifndef DG_SERVE_STEPS_H
#define DG_SERVE_STEPS_H

#include "job.h"

/* Before the thread begins. False: no memory. */
bool steps_open(struct server *s);
void steps_close(void);

/* The thread; arg is the server. Until server.stopping, and until then all jobs are answered. */
void *steps_run(void *arg);

/* Under the lock: puts the job in the queue. False, and *why says why: there is no room. */
bool steps_submit(struct job *j, struct refusal *why);

#endif
