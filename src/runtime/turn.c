/* A mutex alone would not do: a thread that takes it twice, from a function that a step calls, would hang.
 * The process is compared before the mutex is touched: in a fork it may be held by a thread that is not
 * there. */
#include "turn.h"

#include <unistd.h>

bool dg_turn_init(struct dg_turn *t)
{
    *t = (struct dg_turn){.process = getpid()};
    if (!dg_mutex_init(&t->mutex))
        return false;
    if (dg_condition_init(&t->over))
        return true;
    dg_mutex_destroy(&t->mutex);
    return false;
}

void dg_turn_destroy(struct dg_turn *t)
{
    dg_condition_destroy(&t->over);
    dg_mutex_destroy(&t->mutex);
}

bool dg_turn_is_foreign(const struct dg_turn *t)
{
    return t->process != getpid();
}

enum dg_status dg_turn_take(struct dg_turn *t, struct dg_error *err)
{
    bool again;

    if (dg_turn_is_foreign(t))
        return dg_fail(err, DG_ERR_RESOURCE,
                       "team: got one of the process that this one was forked from, expected one "
                       "made here");
    dg_mutex_lock(&t->mutex);
    again = t->owner == dg_this_thread();
    t->waiting++;
    while (!again && t->owner)
        dg_condition_wait(&t->over, &t->mutex);
    t->waiting--;
    t->owner = dg_this_thread();
    dg_mutex_unlock(&t->mutex);
    return again ? dg_fail(err, DG_ERR_USAGE, "team: used from a function that it calls") : DG_OK;
}

void dg_turn_give(struct dg_turn *t)
{
    dg_mutex_lock(&t->mutex);
    t->owner = NULL;
    if (t->waiting > 0)
        dg_condition_signal(&t->over);
    dg_mutex_unlock(&t->mutex);
}
