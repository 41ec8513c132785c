/* bytes.h - bytes that grow at their end. */
#ifndef DG_SERVE_BYTES_H
#define DG_SERVE_BYTES_H

#include <stdbool.h>
#include <stddef.h>

/* All zeros: none. */
struct bytes {
    char *at; /* [n] */
    size_t n, room;
    bool failed; /* memory was missing, and what was to be added is not there */
};

void bytes_add(struct bytes *b, const char *more, size_t n);

/* For jansson's json_dump_callback(); `b` is a struct bytes. */
int bytes_take(const char *more, size_t n, void *b);

__attribute__((format(printf, 2, 3))) void bytes_print(struct bytes *b, const char *format, ...);
void bytes_free(struct bytes *b); /* none are there then */

#endif
