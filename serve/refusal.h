/* refusal.h - an answer that is an error, in the form of OpenAI's API. */
#ifndef DG_SERVE_REFUSAL_H
#define DG_SERVE_REFUSAL_H

#include "bytes.h"

struct refusal {
    unsigned status;                 /* HTTP's; 0: it is none */
    const char *type, *param, *code; /* the last two may be NULL */
    char text[256];
};

__attribute__((format(printf, 6, 7))) void refuse(struct refusal *why, unsigned status,
                                                  const char *type, const char *param,
                                                  const char *code, const char *format, ...);

/* A request that cannot be, whoever asks it: 400. */
#define REFUSE(why, param, code, ...)                                                              \
    refuse(why, 400, "invalid_request_error", param, code, __VA_ARGS__)

/* {"error": ...}; as an event of a stream where `event` says so. */
void refusal_write(struct bytes *to, const struct refusal *why, bool event);

/* Writes the JSON between two texts, and takes it over; NULL: memory was missing. */
struct json_t;
void json_write(struct bytes *to, struct json_t *all, const char *before, const char *behind);

#endif
