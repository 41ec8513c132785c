/* Values of a trace file. A number in the file is a double until it is known to be whole and in its
 * range; memory grows with what has been read, never by what a number claims. */
#include "trace_read.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool trace_grow(struct trace_reader *r, void *list, size_t n, size_t *room, size_t size)
{
    const size_t more = n < 8 ? 16 : 2 * n;
    void **at = list, *to;

    if (n < *room)
        return true;
    to = realloc(*at, more * size);
    if (!to)
        return dg_json_fail_memory(&r->j);
    memset((char *)to + *room * size, 0, (more - *room) * size);
    *at = to;
    *room = more;
    return true;
}

bool trace_read_count(struct trace_reader *r, double least, double most, double *out)
{
    if (!dg_json_number(&r->j, out))
        return false;
    if (*out >= least && *out <= most && *out == floor(*out))
        return true;
    return dg_json_fail(&r->j, "a whole number in its range before this place");
}

bool trace_read_u32(struct trace_reader *r, uint32_t most, uint32_t *out)
{
    double x;

    if (!trace_read_count(r, 0, most, &x))
        return false;
    *out = (uint32_t)x;
    return true;
}

bool trace_read_u64(struct trace_reader *r, uint64_t *out)
{
    double x;

    if (!trace_read_count(r, 0, 0x1p60, &x))
        return false;
    *out = (uint64_t)x;
    return true;
}

bool trace_read_text(struct trace_reader *r, char **out)
{
    const struct dg_json start = r->j;
    size_t length;
    char *text;

    if (!dg_json_string(&r->j, NULL, 0))
        return false;
    text = malloc(r->j.length + 1);
    if (!text)
        return dg_json_fail_memory(&r->j);
    free(*out);
    *out = text;
    length = r->j.length;
    r->j = start;
    return dg_json_string(&r->j, text, length + 1);
}

bool trace_read_time(struct trace_reader *r, uint64_t *out)
{
    double x;

    if (!dg_json_number(&r->j, &x))
        return false;
    if (!(x >= 0 && x <= 1e12))
        return dg_json_fail(&r->j, "a time from 0 to 1e12 us before this place");
    *out = (uint64_t)(x * 1000 + 0.5);
    return true;
}
