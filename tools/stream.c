#include "stream.h"
#include "../src/model/split.h"

#include <stdlib.h>
#include <string.h>

static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */

/* Releases held[0 ... n - 1], and moves the rest to the front. */
static void release(struct stream *s, size_t n)
{
    size_t valid = 0; /* bytes of valid UTF-8 in front of `at`, not yet released */

    for (size_t at = 0, length; at < n; at += length) {
        length = dg_utf8_length(s->held + at, n - at);
        if (length > 0) {
            valid += length;
            continue;
        }
        if (valid > 0)
            s->release(s->arg, s->held + at - valid, valid);
        s->release(s->arg, replacement, sizeof replacement - 1);
        valid = 0;
        length = 1;
    }
    if (valid > 0)
        s->release(s->arg, s->held + n - valid, valid);
    s->n_held -= n;
    memmove(s->held, s->held + n, s->n_held);
}

/* Are s[0 ... n - 1], n = 1 to 3, the start of a longer code point? They are if some bytes behind
 * them make it whole; which second byte a first one takes varies. */
static bool is_start_of_code_point(const char *s, size_t n)
{
    static const char seconds[] = {'\x80', '\x90', '\xA0'};

    for (size_t i = 0; i < sizeof seconds; i++) {
        const char whole[4] = {s[0], n > 1 ? s[1] : seconds[i], n > 2 ? s[2] : '\x80', '\x80'};

        if (dg_utf8_length(whole, sizeof whole) > n)
            return true;
    }
    return false;
}

/* Bytes at the end of held that are the start of a code point: 0 to 3. */
static size_t start_of_code_point(const struct stream *s)
{
    size_t n = s->n_held < 3 ? s->n_held : 3;

    while (n > 0 && !is_start_of_code_point(s->held + s->n_held - n, n))
        n--;
    return n;
}

/* Where the first stop string in held begins; n_held: there is none. */
static size_t find_stop(const struct stream *s)
{
    size_t first = s->n_held;

    for (size_t i = 0; i < s->n_stops; i++) {
        const char *at = memmem(s->held, s->n_held, s->stops[i], strlen(s->stops[i]));

        if (at && (size_t)(at - s->held) < first)
            first = (size_t)(at - s->held);
    }
    return first;
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

bool stream_push(struct stream *s, const char *bytes, size_t n)
{
    size_t stop, back, point;

    if (!make_room(s, n)) {
        s->failed = true;
        return false;
    }
    memcpy(s->held + s->n_held, bytes, n);
    s->n_held += n;
    stop = find_stop(s);
    if (stop < s->n_held) {
        release(s, stop);
        s->n_held = 0;
        return true;
    }
    back = start_of_stop(s);
    point = start_of_code_point(s);
    release(s, s->n_held - (back > point ? back : point));
    return false;
}

void stream_end(struct stream *s)
{
    release(s, s->n_held);
}

void stream_free(struct stream *s)
{
    free(s->held);
    s->held = NULL;
    s->n_held = s->room = 0;
}
