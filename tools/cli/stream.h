/* stream.h - text on its way out, token by token.
 *
 * Held back are the start of what may become a stop string and the start of a code point that is
 * not whole; everything else is released at once. What is released is UTF-8: a byte that is not
 * becomes U+FFFD. Nothing of a stop string or behind it is ever released. */
#ifndef DG_TOOLS_STREAM_H
#define DG_TOOLS_STREAM_H

#include <stdbool.h>
#include <stddef.h>

struct stream {
    const char *const *stops; /* [n_stops], none empty */
    size_t n_stops;
    char *held; /* [n_held], with room for `room` */
    size_t n_held, room;
    void (*release)(void *arg, const char *bytes, size_t n);
    void *arg;
    bool failed; /* out of memory */
};

/* Takes bytes. True: a stop string is complete; the stream is then empty, and what came before the
 * stop string has been released. Of several, the one that is complete first counts; of those that end
 * at the same byte, the longest. So nothing depends on how a text is cut into pushes. */
bool stream_push(struct stream *s, const char *bytes, size_t n);

/* Releases what is held back: there will be no more. */
void stream_end(struct stream *s);

void stream_free(struct stream *s);

#endif
