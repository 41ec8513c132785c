#include "cli.h"
#include "../../src/base/json_write.h"
#include "../../src/base/status.h"
#include "../../src/model/checkpoint.h"
#include "demo.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct cli_engine *opened; /* to be closed on the way out, however that is taken */
static bool leaving;              /* that way is an error's */
static char command_line[1024];
static const char *isa_choices[DG_N_ISA + 1]; /* their names, from cli_parse() on, and NULL */

void cli_die(enum dg_status status, const char *format, ...)
{
    char text[1200];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    dg_one_line(text);
    fflush(stdout); /* what was already made is not lost */
    fprintf(stderr, "dagpt: %s\n", text);
    leaving = true;
    if (opened)
        cli_engine_close(opened);
    exit((int)status);
}

void cli_check(enum dg_status status, const struct dg_error *err)
{
    if (status != DG_OK)
        cli_die(status, "%s", err->text);
}

void cli_flush(void)
{
    if (fflush(stdout) != 0 || ferror(stdout))
        cli_die(DG_ERR_IO, "cannot write to standard output: %s", strerror(errno));
}

void cli_json_bytes(const char *bytes, size_t n)
{
    dg_json_write_bytes(stdout, bytes, n, "");
}

void cli_json_string(const char *s)
{
    dg_json_write_string(stdout, s, "");
}

double cli_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- help ---- */

static void print_option(const struct cli_option *o)
{
    char left[64];

    snprintf(left, sizeof left, "%s%c%s--%s%s%s", o->letter ? "-" : " ",
             o->letter ? o->letter : ' ', o->letter ? ", " : "  ", o->name, o->metavar ? " " : "",
             o->metavar ? o->metavar : "");
    printf("  %-20s %s\n", left, o->help);
}

static void print_help(const struct cli_command *command)
{
    printf("usage: dagpt %s %s\n\n%s\n\noptions:\n", command->name, command->synopsis,
           command->about);
    for (const struct cli_option *const *t = command->tables; *t; t++)
        for (const struct cli_option *o = *t; o->name; o++)
            print_option(o);
    printf("  %-20s %s\n", "-h, --help", "print this");
}

/* ---- parsing ---- */

static const struct cli_option *find_option(const struct cli_command *command, const char *name,
                                            size_t n, char letter)
{
    for (const struct cli_option *const *t = command->tables; *t; t++)
        for (const struct cli_option *o = *t; o->name; o++)
            if (letter ? o->letter == letter : strlen(o->name) == n && !memcmp(o->name, name, n))
                return o;
    return NULL;
}

__attribute__((noreturn)) static void refuse_value(const struct cli_option *o, const char *value)
{
    const char *dashes = o->letter ? "-" : "--";
    const char letter[2] = {o->letter, '\0'};
    char expected[128] = "ROWSxCOLUMNS, as in 48x64";

    if (o->kind == CLI_NUMBER || o->kind == CLI_REAL) {
        snprintf(expected, sizeof expected, "a number from %.15g to %.15g", o->least, o->most);
    } else if (o->kind == CLI_CHOICE) {
        expected[0] = '\0';
        for (const char *const *c = o->choices; *c; c++)
            snprintf(expected + strlen(expected), sizeof expected - strlen(expected), "%s%s",
                     c == o->choices ? "" : " or ", *c);
    }
    cli_die(DG_ERR_USAGE, "%s%s: got '%s', expected %s", dashes, o->letter ? letter : o->name,
            value, expected);
}

bool cli_number(const char *text, uint64_t *out)
{
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0';
}

static bool parse_tile(const char *text, struct cli_tile *out)
{
    unsigned rows, cols;
    int end = 0;

    if (text[strspn(text, "0123456789x")]) /* %u would take blanks and signs */
        return false;
    if (sscanf(text, "%6ux%6u%n", &rows, &cols, &end) != 2 || text[end] || !rows || !cols)
        return false;
    *out = (struct cli_tile){rows, cols};
    return true;
}

static bool set_choice(const struct cli_option *o, const char *value)
{
    for (unsigned i = 0; o->choices[i]; i++) {
        if (strcmp(o->choices[i], value) == 0) {
            *(unsigned *)o->target = i;
            return true;
        }
    }
    return false;
}

static bool set_real(const struct cli_option *o, const char *value)
{
    char *end;
    const double v = strtod(value, &end);

    *(double *)o->target = v;
    return end != value && *end == '\0' && v >= o->least && v <= o->most;
}

static void add_text(const struct cli_option *o, const char *value)
{
    struct cli_texts *t = o->target;

    if (!*value)
        cli_die(DG_ERR_USAGE, "--%s: got an empty text", o->name);
    if (t->n == CLI_MAX_TEXTS)
        cli_die(DG_ERR_USAGE, "--%s: given more than %d times", o->name, CLI_MAX_TEXTS);
    t->texts[t->n++] = value;
}

static void set_option(const struct cli_option *o, const char *value)
{
    uint64_t n;
    bool ok = true;

    switch (o->kind) {
    case CLI_FLAG:
        *(bool *)o->target = true;
        break;
    case CLI_NUMBER:
        ok = cli_number(value, &n) && (double)n >= o->least && (double)n <= o->most;
        if (ok)
            *(uint64_t *)o->target = n;
        break;
    case CLI_REAL:
        ok = set_real(o, value);
        break;
    case CLI_TEXT:
        *(const char **)o->target = value;
        break;
    case CLI_TEXTS:
        add_text(o, value);
        break;
    case CLI_CHOICE:
        ok = set_choice(o, value);
        break;
    case CLI_TILE:
        ok = parse_tile(value, o->target);
        break;
    }
    if (!ok)
        refuse_value(o, value);
}

/* Parses the option at argv[i]; returns the index of the last argument that it took. */
static int parse_option(const struct cli_command *command, int argc, char **argv, int i)
{
    const char *arg = argv[i];
    const bool is_long = arg[1] == '-';
    const char *name = arg + 1 + is_long;
    const size_t n = is_long ? strcspn(name, "=") : 1;
    const struct cli_option *o = find_option(command, name, n, is_long ? '\0' : *name);
    const char *value = name[n] ? name + n + (is_long ? 1 : 0) : NULL; /* --name=value, -jN */

    if (!strcmp(arg, "--help") || !strcmp(arg, "-h")) {
        print_help(command);
        cli_flush();
        exit(0);
    }
    if (!o)
        cli_die(DG_ERR_USAGE, "unknown option '%s'; 'dagpt %s --help' lists them", arg,
                command->name);
    if (o->kind == CLI_FLAG && value)
        cli_die(DG_ERR_USAGE, "option '%s' takes no value", arg);
    if (o->kind != CLI_FLAG && !value) {
        if (i + 1 == argc)
            cli_die(DG_ERR_USAGE, "option '%s' wants a value: %s", arg, o->metavar);
        value = argv[++i];
    }
    set_option(o, value);
    return i;
}

static void keep_command_line(const struct cli_command *command, int argc, char **argv)
{
    size_t n = (size_t)snprintf(command_line, sizeof command_line, "%s", command->name);

    for (int i = 1; i < argc && n < sizeof command_line; i++)
        n += (size_t)snprintf(command_line + n, sizeof command_line - n, " %s", argv[i]);
}

const char *cli_command_line(void)
{
    return command_line;
}

/* Of "-" and a digit only a letter of the command's own: "-5" is an operand. */
static bool is_option(const struct cli_command *command, const char *arg)
{
    const bool digit = arg[0] == '-' && arg[1] >= '0' && arg[1] <= '9';

    return digit ? find_option(command, NULL, 0, arg[1]) != NULL : arg[0] == '-' && arg[1];
}

int cli_parse(const struct cli_command *command, int argc, char **argv)
{
    bool options = true;
    int n = 0;

    keep_command_line(command, argc, argv);

    for (enum dg_isa isa = 0; isa < DG_N_ISA; isa++)
        isa_choices[isa] = dg_isa_name(isa);
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];

        if (options && strcmp(arg, "--") == 0)
            options = false;
        else if (options && is_option(command, arg))
            i = parse_option(command, argc, argv, i);
        else
            argv[++n] = argv[i];
    }
    return n;
}

/* ---- shared options ---- */

static const char *const sched_choices[] = {"dataflow", "barrier", "serial", NULL};

struct cli_model cli_model = {.fallback = DEMO_NAME, .workers = 4, .isa = DG_N_ISA};

const struct cli_option cli_model_options[] = {
    {'m', "model", CLI_TEXT, "MODEL", "llm.c checkpoint, or demo; else $DAGPT_MODEL",
     &cli_model.path, 0, 0, NULL},
    {0},
};

const struct cli_option cli_team_options[] = {
    {'j', "workers", CLI_NUMBER, "N", "workers (4); at most as many as CPUs are awake",
     &cli_model.workers, 1, DG_MAX_WORKERS, NULL},
    {0, "cpus", CLI_NUMBER, "N", "take N as the number of CPUs instead of asking the system",
     &cli_model.cpus, 1, DG_MAX_WORKERS, NULL},
    {0, "tile", CLI_TILE, "RxC", "tiles of at most R rows and, in matmuls, C columns (chosen)",
     &cli_model.tile, 0, 0, NULL},
    {0},
};

const struct cli_option cli_run_options[] = {
    {0, "sched", CLI_CHOICE, "NAME", "dataflow (default), barrier or serial", &cli_model.sched, 0,
     0, sched_choices},
    {0, "isa", CLI_CHOICE, "NAME",
     "at most scalar, avx2 or avx512; on Arm scalar or neon (the best there is)", &cli_model.isa, 0,
     0, isa_choices},
    {0, "chunk", CLI_NUMBER, "N", "read the prompt in steps of N tokens (all at once)",
     &cli_model.chunk, 1, 1 << 24, NULL},
    {0, "stats", CLI_FLAG, NULL, "times and rates, on standard error", &cli_model.stats, 0, 0,
     NULL},
    {0},
};

/* Options that were not given keep these values, which none can be given. */
static double temp = -1, top_p = -1, min_p = -1, repeat_penalty = -1;
static uint64_t top_k = 0, seed = UINT64_MAX;
static bool greedy;

const struct cli_option cli_sampling_options[] = {
    {0, "temp", CLI_REAL, "X", "divide the logits by X (0.8); 0: the most likely id", &temp, 0, 1e6,
     NULL},
    {0, "top-k", CLI_NUMBER, "K", "only the K most likely ids (all)", &top_k, 1, 1 << 26, NULL},
    {0, "top-p", CLI_REAL, "P", "only the likeliest with probability P together (0.95)", &top_p, 0,
     1, NULL},
    {0, "min-p", CLI_REAL, "P", "only those at least P times as likely as the first (0)", &min_p, 0,
     1, NULL},
    {0, "repeat-penalty", CLI_REAL, "X", "divide the logits of ids that were there by X (1)",
     &repeat_penalty, 1, 1e6, NULL},
    {0, "seed", CLI_NUMBER, "N", "of the random numbers (from the clock)", &seed, 0, 0x1p53, NULL},
    {0, "greedy", CLI_FLAG, NULL, "the most likely id, always", &greedy, 0, 0, NULL},
    {0},
};

static bool model_is_named(void)
{
    const char *named = getenv("DAGPT_MODEL");

    return cli_model.path || (named && *named);
}

const char *cli_model_path(void)
{
    const char *named = getenv("DAGPT_MODEL");

    if (cli_model.path)
        return cli_model.path;
    return model_is_named() ? named : cli_model.fallback;
}

bool cli_model_is_demo(void)
{
    return strcmp(cli_model_path(), DEMO_NAME) == 0;
}

enum dg_status cli_checkpoint_open(struct dg_checkpoint *c, struct dg_error *err)
{
    if (cli_model_is_demo())
        return dg_checkpoint_open_memory(c, demo_model, (size_t)(demo_model_end - demo_model),
                                         DEMO_NAME, err);
    return dg_checkpoint_open(c, cli_model_path(), err);
}

enum dg_status cli_model_open(struct dg_model **out, struct dg_team *team, struct dg_error *err)
{
    if (cli_model_is_demo())
        return dg_model_parse(out, demo_model, (size_t)(demo_model_end - demo_model), DEMO_NAME,
                              team, err);
    return dg_model_open(out, cli_model_path(), team, err);
}

bool cli_sampling_given(void)
{
    return greedy || temp >= 0 || top_p >= 0 || min_p >= 0 || repeat_penalty >= 0 || top_k > 0 ||
           seed != UINT64_MAX;
}

struct dg_sampling cli_sampling(void)
{
    if (seed == UINT64_MAX) { /* 53 bits, so that a JSON reader gets what --seed takes */
        struct timespec t;

        clock_gettime(CLOCK_REALTIME, &t);
        seed = ((uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec) & 0x1FFFFFFFFFFFFF;
    }
    return (struct dg_sampling){
        .repeat_penalty = repeat_penalty >= 0 ? repeat_penalty : 1,
        .temp = greedy      ? 0
                : temp >= 0 ? temp
                            : 0.8,
        .top_k = (uint32_t)top_k,
        .top_p = top_p >= 0 ? top_p : 0.95,
        .min_p = min_p >= 0 ? min_p : 0,
        .seed = seed,
    };
}

static struct dg_sampler *sampler;

static void close_sampler(void)
{
    dg_sampler_free(sampler);
}

struct dg_sampler *cli_sampler(uint32_t vocab, const struct dg_sampling *how)
{
    struct dg_error err;

    atexit(close_sampler);
    cli_check(dg_sampler_new(&sampler, vocab, how, &err), &err);
    return sampler;
}

int32_t *cli_ids(char **operands, int n)
{
    int32_t *ids = calloc((size_t)n + 1, sizeof *ids);

    if (!ids)
        cli_die(DG_ERR_RESOURCE, "out of memory for %d ids", n);
    for (int i = 0; i < n; i++) {
        uint64_t id;

        if (!cli_number(operands[i], &id) || id > INT32_MAX)
            cli_die(DG_ERR_TOKEN, "token id %d: got '%s', expected a number of the vocabulary",
                    i + 1, operands[i]);
        ids[i] = (int32_t)id;
    }
    return ids;
}

void cli_model_check(enum dg_status status, const struct dg_error *err)
{
    if (status != DG_OK && !model_is_named())
        cli_die(status, "%s (-m or $DAGPT_MODEL names another model)", err->text);
    cli_check(status, err);
}

void cli_request_check(const int32_t *ids, size_t n, size_t total, struct dg_sizes *z)
{
    struct dg_checkpoint c;
    struct dg_error err;

    cli_model_check(cli_checkpoint_open(&c, &err), &err);
    *z = c.header.sizes;
    dg_checkpoint_close(&c);
    for (size_t i = 0; i < n; i++)
        if ((uint32_t)ids[i] >= z->vocab)
            cli_die(DG_ERR_TOKEN, "token id %zu: got %" PRId32 ", expected 0 to %" PRIu32, i + 1,
                    ids[i], z->vocab - 1);
    if (total > z->positions)
        cli_die(DG_ERR_TOKEN, "%s: %zu ids in all: expected at most maxT = %" PRIu32,
                cli_model_path(), total, z->positions);
}

void cli_engine_open(struct cli_engine *e, const int32_t *ids, size_t n, size_t total)
{
    const struct dg_session_options opt = {
        .isa = cli_model.isa < DG_N_ISA ? cli_model.isa : dg_isa_best(),
        .sched = cli_model.sched,
        .chunk = (uint32_t)cli_model.chunk,
        .row_block = cli_model.tile.rows,
        .col_block = cli_model.tile.cols,
        .all_logits = cli_model.all_logits,
    };
    struct dg_error err;

    *e = (struct cli_engine){0};
    opened = e;
    cli_request_check(ids, n, total, &e->sizes);
    cli_check(dg_team_new(&e->team, (unsigned)cli_model.workers, (unsigned)cli_model.cpus, &err),
              &err);
    cli_trace_begin(e);
    cli_check(cli_model_open(&e->model, NULL, &err), &err);
    cli_check(dg_session_new(&e->session, e->model, e->team, &opt, &err), &err);
}

void cli_eval(struct cli_engine *e, const int32_t *ids, size_t n)
{
    const bool bar = n > 1 || !e->loaded;
    struct dg_error err;
    enum dg_status st;

    if (bar)
        cli_progress(e->team, e->loaded ? "reading the prompt"
                              : n > 1   ? "loading, reading the prompt"
                                        : "loading");
    st = dg_session_eval(e->session, ids, n, &err);
    if (bar)
        cli_progress(e->team, NULL);
    cli_check(st, &err);
    e->loaded = true;
}

void cli_engine_close(struct cli_engine *e)
{
    cli_trace_end(e, leaving);
    opened = NULL;
    dg_session_free(e->session);
    dg_model_free(e->model);
    dg_team_free(e->team);
}
