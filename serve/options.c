#include "options.h"

#include <dagpt.h>

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct row {
    char letter; /* 0: none */
    const char *name, *metavar, *help;
    size_t text, number; /* where it is in struct options; one of them is NOWHERE */
    uint64_t least, most;
};

#define NOWHERE                   SIZE_MAX
#define TEXT(name)                offsetof(struct options, name), NOWHERE, 0, 0
#define NUMBER(name, least, most) NOWHERE, offsetof(struct options, name), least, most

static const struct row rows[] = {
    {'m', "model", "MODEL", "folder, GGUF, packed or llm.c file; else $DAGPT_MODEL", TEXT(model)},
    {0, "vocab", "FILE", "tokenizer; else the model's own", TEXT(vocab)},
    {0, "name", "NAME", "what requests call the model (its file's name)", TEXT(name)},
    {0, "weights", "AS", "hold matrices as f32, bf16 or int8; auto (default): as the file has them",
     TEXT(weights)},
    {'j', "workers", "N", "workers (4); at most as many as CPUs are awake",
     NUMBER(workers, 1, DG_MAX_WORKERS)},
    {0, "listen", "ADDRESS", "numeric; 0.0.0.0 or :: is any (127.0.0.1)", TEXT(listen)},
    {0, "port", "N", "of TCP; 0: one that is free (8080)", NUMBER(port, 0, 65535)},
    {0, "api-key-file", "FILE", "answer only who has one of its lines as key", TEXT(key_file)},
    {0, "parallel", "N", "make N texts at a time (32)", NUMBER(parallel, 1, 1024)},
    {0, "queue", "N", "let N texts wait (256); further ones are refused", NUMBER(queue, 0, 65536)},
    {0, "cache", "AS", "hold keys and values as f32 (default) or bf16", TEXT(held)},
    {0, "cache", "MIB", "of keys and values, at the most (what there is memory for)",
     NUMBER(cache, 1, 1 << 24)},
    {0, "prompt", "N", "tokens of a prompt, at the most (the model's positions)",
     NUMBER(prompt, 1, 1 << 24)},
    {0, "body", "KIB", "of a request, at the most (1024)", NUMBER(body, 1, 1 << 16)},
    {0, "header", "KIB", "of a request's header, at the most (32)", NUMBER(header, 4, 1024)},
    {0, "connections", "N", "at a time (2048)", NUMBER(connections, 1, 1 << 16)},
    {0, "timeout", "S", "for a request to come in, or an answer to be taken (30)",
     NUMBER(timeout, 1, 86400)},
    {0, "time-limit", "S", "for a request to be answered (600)", NUMBER(time_limit, 1, 86400)},
    {0, "grace", "S", "after SIGTERM, for what runs to end (30)", NUMBER(grace, 0, 86400)},
};

enum { N_ROWS = sizeof rows / sizeof *rows };

void serve_die(int code, const char *format, ...)
{
    va_list args;

    fputs("dagpt-serve: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    putc('\n', stderr);
    exit(code);
}

static void print_help(void)
{
    printf("usage: dagpt-serve [OPTION]...\n\n"
           "Answers requests for completions over HTTP, as OpenAI's API has them:\n"
           "POST /v1/completions; GET /v1/models, /health and /metrics.\n\noptions:\n");
    for (const struct row *r = rows; r < rows + N_ROWS; r++) {
        char left[64];

        snprintf(left, sizeof left, "%s%c%s--%s %s", r->letter ? "-" : " ",
                 r->letter ? r->letter : ' ', r->letter ? ", " : "  ", r->name, r->metavar);
        printf("  %-21s %s\n", left, r->help);
    }
    printf("  %-21s %s\n", "    --no-sandbox", "keep all rights, once the model is open");
    printf("  %-21s %s\n  %-21s %s\n", "-h, --help", "print this", "    --version", "print it");
}

static void set(struct options *o, const struct row *r, const char *value)
{
    char *end;
    uint64_t n;

    /* of two rows of one name the second is for numbers */
    if (r + 1 < rows + N_ROWS && !strcmp(r->name, r[1].name) && *value >= '0' && *value <= '9')
        r++;
    if (r->text != NOWHERE) {
        *(const char **)((char *)o + r->text) = value;
        return;
    }
    errno = 0;
    n = strtoull(value, &end, 10);
    if (*value < '0' || *value > '9' || errno || *end || n < r->least || n > r->most)
        serve_die(DG_ERR_USAGE, "--%s: got '%s', expected a number from %" PRIu64 " to %" PRIu64,
                  r->name, value, r->least, r->most);
    *(uint64_t *)((char *)o + r->number) = n;
}

static const struct row *find(const char *name, size_t n, bool letter)
{
    for (const struct row *r = rows; r < rows + N_ROWS; r++)
        if (letter ? r->letter == *name : strlen(r->name) == n && !memcmp(r->name, name, n))
            return r;
    return NULL;
}

__attribute__((noreturn)) static void leave(void)
{
    exit(fflush(stdout) == 0 ? 0 : DG_ERR_IO);
}

/* The option at argv[i]; returns the index of the last argument that it took. There are no abbreviations. */
static int parse(struct options *o, int argc, char **argv, int i)
{
    const bool is_long = strncmp(argv[i], "--", 2) == 0;
    const char *name = argv[i] + 1 + is_long;
    const size_t n = is_long ? strcspn(name, "=") : 1;
    const struct row *r = *name ? find(name, n, !is_long) : NULL;

    if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
        print_help();
        leave();
    }
    if (!strcmp(argv[i], "--version")) {
        printf("dagpt-serve %s\n", DG_VERSION);
        leave();
    }
    if (!strcmp(argv[i], "--no-sandbox")) {
        o->no_sandbox = true;
        return i;
    }
    if (argv[i][0] != '-')
        serve_die(DG_ERR_USAGE, "got '%s', expected options alone", argv[i]);
    if (!r)
        serve_die(DG_ERR_USAGE, "unknown option '%s'; 'dagpt-serve --help' lists them", argv[i]);
    if (name[n]) {
        set(o, r, name + n + is_long);
        return i;
    }
    if (i + 1 == argc)
        serve_die(DG_ERR_USAGE, "option '%s' wants a value: %s", argv[i], r->metavar);
    set(o, r, argv[i + 1]);
    return i + 1;
}

void options_read(struct options *o, int argc, char **argv)
{
    const char *slash;

    *o = (struct options){
        .model = getenv("DAGPT_MODEL"),
        .weights = dg_precision_name(DG_PRECISION_AUTO),
        .held = dg_precision_name(DG_PRECISION_F32),
        .listen = "127.0.0.1",
        .port = 8080,
        .workers = 4,
        .parallel = 32,
        .queue = 256,
        .body = 1024,
        .header = 32,
        .connections = 2048,
        .timeout = 30,
        .time_limit = 600,
        .grace = 30,
    };
    for (int i = 1; i < argc; i++)
        i = parse(o, argc, argv, i);
    if (!o->model || !*o->model)
        serve_die(DG_ERR_USAGE, "got no model, expected -m MODEL or $DAGPT_MODEL");
    slash = strrchr(o->model, '/');
    if (!o->name)
        o->name = slash && slash[1] ? slash + 1 : o->model;
}
