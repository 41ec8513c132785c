/* many.h - texts that are completed side by side, in steps that they share, and printed one after the other. Each
 * is the text that it is alone. */
#ifndef DG_TOOLS_MANY_H
#define DG_TOOLS_MANY_H

#include "completion.h"
#include "printer.h"
#include "../../src/base/gather.h"

enum { MANY_MOST = 256 };

/* One of them. Who brings it fills what stands first; many.c sets c.e and p.to, and closes all. */
struct job {
    struct completion c; /* opened, with its prompt and its sampler */
    struct printer p;    /* opened */
    struct text prompt;
    uint64_t most_new;
    char *stops;              /* memory of p.stops, or NULL */
    struct dg_error err;      /* not DG_OK: it cannot be, and this is all that is printed of it */
    struct dg_sequence *from; /* it begins as a fork of this one, whose logits it has; or NULL */

    struct cli_engine e;     /* the engine, with a sequence of its own */
    enum finish finish;      /* FINISH_NOT: it runs */
    size_t taken;            /* ids in the step at hand */
    struct dg_gather so_far; /* what was printed, while others come before it */
};

struct many {
    struct cli_engine *e;
    size_t parallel; /* texts at a time, 1 ... MANY_MOST */

    /* Fills the next job, which is all zeros. False: there is none. */
    bool (*next)(void *arg, struct job *job);

    /* How far it has come, about, 0 to 1, with so many texts. NULL: that is not known. */
    double (*progress)(void *arg, double texts);

    /* A job starts: prints what comes before its text, to job->p.to. */
    void (*begin)(void *arg, struct job *job);
    void *arg;
};

/* Until there is none, or a signal has come. The status of the first that failed; of which a line says so. Leaves
 * on errors that are not of one text. Call it once. */
enum dg_status many_run(const struct many *m);

#endif
