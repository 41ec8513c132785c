/* stream.h - text on its way out, token by token.
 *
 * Held back are the start of what may become a stop string and the start of a code point that is
 * not whole; everything else is released at once. What is released is UTF-8: a byte that is not
 * becomes U+FFFD. A stop string and what is behind it is released only when the text goes on. */
#ifndef DG_TOOLS_STREAM_H
#define DG_TOOLS_STREAM_H

#include <stdbool.h>
#include <stddef.h>

struct stream {
    const char *const *stops; /* [n_stops], none empty */
    size_t n_stops;
    char *held; /* [n_held], with room for `room` */
    size_t n_held, room;
    size_t stopped; /* bytes of the stop string that held begins with; 0: no text was stopped */
    void (*release)(void *arg, const char *bytes, size_t n);
    void *arg;
    bool failed; /* out of memory */
};

/* Takes bytes. True: a stop string is complete; what came before it has been released, and no more is
 * taken until one of the functions below was called. Of several, the one that is complete first counts; of
 * those that end at the same byte, the longest. So nothing depends on how a text is cut into pushes. */
bool stream_push(struct stream *s, const char *bytes, size_t n);

/* A stopped text goes on: releases the stop string, and takes what was behind it as stream_push() does. One
 * that was not stopped goes on without it. */
bool stream_go_on(struct stream *s);

/* The text ends for now: releases what may become a stop string, which is then none. The start of a code
 * point stays, and so does a stop string. */
void stream_pause(struct stream *s);

/* Releases what is held back, but no stop string and nothing behind it, which is dropped: there will be no
 * more. */
void stream_end(struct stream *s);

void stream_clear(struct stream *s); /* drops all that is held back */
void stream_free(struct stream *s);

#endif
