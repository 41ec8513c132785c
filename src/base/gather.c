#include "gather.h"
#include "checked.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static ssize_t take(void *cookie, const char *bytes, size_t n)
{
    struct dg_gather *g = cookie;
    size_t need, room;
    char *more;

    if (g->room - g->n < n) {
        if (!dg_add(g->n, n, &need) || !dg_mul(need, 2, &room) ||
            !(more = realloc(g->text, room))) {
            errno = ENOMEM;
            return 0; /* an error, to stdio */
        }
        g->text = more;
        g->room = room;
    }
    memcpy(g->text + g->n, bytes, n);
    g->n += n;
    return (ssize_t)n;
}

bool dg_gather_open(struct dg_gather *g)
{
    *g = (struct dg_gather){0};
    g->to = fopencookie(g, "w", (cookie_io_functions_t){.write = take});
    return g->to != NULL;
}

bool dg_gather_close(struct dg_gather *g)
{
    bool ok = fflush(g->to) == 0 && !ferror(g->to);

    ok = fclose(g->to) == 0 && ok;
    g->to = NULL;
    if (!ok) {
        free(g->text);
        g->text = NULL;
        g->n = 0;
    }
    return ok;
}
