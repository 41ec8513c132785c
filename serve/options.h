/* options.h - what stands on the command line of dagpt-serve. */
#ifndef DG_SERVE_OPTIONS_H
#define DG_SERVE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct options {
    const char *model, *vocab, *name; /* vocab NULL: the model's own */
    const char *weights;              /* "auto", "f32", "bf16", "int8" */
    const char *listen;
    const char *key_file; /* or NULL */
    uint64_t port, workers;
    uint64_t parallel, queue; /* texts that are made, and that wait, at a time */
    const char *held;         /* "f32", "bf16": keys and values */
    uint64_t cache;           /* MiB of keys and values; 0: as many as there is memory for */
    uint64_t prompt;          /* ids of a prompt; 0: the model's positions */
    uint64_t body, header;    /* KiB */
    uint64_t connections;
    uint64_t timeout, time_limit, grace; /* seconds */
    bool no_sandbox;
};

/* Leaves with 0 after --help and --version, and with 2 on a wrong option. */
void options_read(struct options *o, int argc, char **argv);

/* Prints "dagpt-serve: " and the text, on one line of stderr, and leaves. */
__attribute__((noreturn, format(printf, 2, 3))) void serve_die(int code, const char *format, ...);

#endif
