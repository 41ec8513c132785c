/* All that is held back stands in one buffer, and each push searches it anew: it is never longer than a
 * push and the longest stop string, so that a machine with states would save nothing. */
#include "stream.h"
#include "../../src/base/utf8.h"

#include <stdlib.h>
#include <string.h>

/* Releases held[0 ... n - 1], but for a code point that reaches beyond, and moves the rest to the
 * front. */
static void release(struct stream *s, size_t n)
{
    const size_t at = dg_utf8_release(s->held, n, s->n_held, s->release, s->arg);

    s->n_held -= at;
    if (s->n_held > 0)
        memmove(s->held, s->held + at, s->n_held);
}

/* Bytes at the end of held that are the start of a code point: 0 to 3. */
static size_t start_of_code_point(const struct stream *s)
{
    size_t n = s->n_held < 3 ? s->n_held : 3;

    while (n > 0 && !dg_utf8_is_start(s->held + s->n_held - n, n))
        n--;
    return n;
}

/* Where the stop string begins that is complete first, of several that end there the longest, and its
 * length; n_held and 0: there is none. */
static size_t find_stop(const struct stream *s, size_t *length)
{
    size_t begin = s->n_held, end = s->n_held + 1;

    for (size_t i = 0; i < s->n_stops; i++) {
        const size_t n = strlen(s->stops[i]);
        const char *found = memmem(s->held, s->n_held, s->stops[i], n);
        const size_t at = found ? (size_t)(found - s->held) : 0;

        if (found && (at + n < end || (at + n == end && at < begin))) {
            begin = at;
            end = at + n;
        }
    }
    *length = begin < s->n_held ? end - begin : 0;
    return begin;
}

/* Bytes at the end of held that are the start of a stop string; the longest of them. */
static size_t start_of_stop(const struct stream *s)
{
    size_t longest = 0;

    for (size_t i = 0; i < s->n_stops; i++) {
        size_t n = strlen(s->stops[i]) - 1;

        for (n = n < s->n_held ? n : s->n_held; n > longest; n--)
            if (memcmp(s->held + s->n_held - n, s->stops[i], n) == 0)
                longest = n;
    }
    return longest;
}

static bool make_room(struct stream *s, size_t n)
{
    char *more;

    if (s->room - s->n_held >= n)
        return true;
    more = realloc(s->held, s->n_held + n + 256);
    if (!more)
        return false;
    s->held = more;
    s->room = s->n_held + n + 256;
    return true;
}

/* Releases held[0 ... n - 1], a code point that reaches beyond as one that is cut, and moves the rest to
 * the front. */
static void release_cut(struct stream *s, size_t n)
{
    const size_t rest = s->n_held - n;

    s->n_held = n;
    release(s, n);
    memmove(s->held, s->held + n, rest);
    s->n_held = rest;
}

/* Releases of held what is neither a stop string or behind it, nor may become one, or a code point. */
static bool settle(struct stream *s)
{
    const size_t stop = find_stop(s, &s->stopped);
    size_t back, point;

    if (s->stopped > 0) {
        release_cut(s, stop);
        return true;
    }
    back = start_of_stop(s);
    point = start_of_code_point(s);
    release(s, s->n_held - (back > point ? back : point));
    return false;
}

bool stream_push(struct stream *s, const char *bytes, size_t n)
{
    if (n == 0)
        return false;
    if (!make_room(s, n)) {
        s->failed = true;
        return false;
    }
    memcpy(s->held + s->n_held, bytes, n);
    s->n_held += n;
    return settle(s);
}

bool stream_go_on(struct stream *s)
{
    if (s->stopped == 0)
        return false;
    release_cut(s, s->stopped);
    return settle(s);
}

void stream_pause(struct stream *s)
{
    if (s->stopped == 0)
        release(s, s->n_held - start_of_code_point(s));
}

void stream_end(struct stream *s)
{
    if (s->stopped == 0)
        release(s, s->n_held);
    stream_clear(s);
}

void stream_clear(struct stream *s)
{
    s->n_held = s->stopped = 0;
}

void stream_free(struct stream *s)
{
    free(s->held);
    s->held = NULL;
    s->room = 0;
    stream_clear(s);
}
