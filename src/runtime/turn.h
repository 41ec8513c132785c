/* turn.h - one thread at a time uses a team; the others wait for their turn.
 * Memory:  owns a mutex and a condition variable.
 * Threads: any; init and destroy while no other thread uses it. */
#ifndef DG_RUNTIME_TURN_H
#define DG_RUNTIME_TURN_H

#include "../base/status.h"
#include <sync.h>

struct dg_turn {
    struct dg_mutex mutex; /* guards the next three */
    struct dg_condition over;
    const void *owner; /* what stands for the thread whose turn it is; NULL: nobody's */
    unsigned waiting;
    long process; /* that made it: a fork has none of its threads */
};

bool dg_turn_init(struct dg_turn *t); /* false: no memory, or none of the system's resources */
void dg_turn_destroy(struct dg_turn *t);

/* Waits for the turn. Refused: DG_ERR_USAGE when it is this thread's already, since that would wait for
 * ever; DG_ERR_RESOURCE in a process that was forked after dg_turn_init(). */
enum dg_status dg_turn_take(struct dg_turn *t, struct dg_error *err);
void dg_turn_give(struct dg_turn *t);

bool dg_turn_is_foreign(const struct dg_turn *t); /* in such a forked process? */

#endif
