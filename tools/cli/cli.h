/* cli.h - what the subcommands share: options, opening the model, and ending with an exit code.
 *
 * A subcommand lists its options in a table; the same table parses the arguments and prints the
 * help. Errors are one line on stderr, "dagpt: ...", and leave with the exit code of the status. */
#ifndef DG_TOOLS_CLI_H
#define DG_TOOLS_CLI_H

#include "../../src/dagpt.h"

#include <stdio.h>

enum cli_kind { CLI_FLAG, CLI_NUMBER, CLI_REAL, CLI_TEXT, CLI_TEXTS, CLI_CHOICE, CLI_TILE };

struct cli_option {
    char letter;      /* 0: none */
    const char *name; /* without the dashes */
    enum cli_kind kind;
    const char *metavar; /* of the value; NULL for a flag */
    const char *help;
    void *target;       /* of the kind: bool, uint64_t, double, const char *, struct cli_texts,
                         * unsigned, struct cli_tile */
    double least, most; /* of a number */
    const char *const *choices; /* NULL-terminated */
};

enum { CLI_MAX_TEXTS = 16 };

struct cli_texts {
    const char *texts[CLI_MAX_TEXTS]; /* [n], none empty */
    size_t n;
};

struct cli_tile {
    uint32_t rows, cols; /* 0: not given */
};

struct cli_command {
    const char *name;
    const char *synopsis;                   /* what follows "dagpt NAME" */
    const char *about;                      /* one or more lines */
    const struct cli_option *const *tables; /* NULL-terminated list of option tables, each of which
                                             * ends with a NULL name */
};

/* Parses argv[1 ...]. Operands (all else, and what follows "--") are moved to argv[1 ... n];
 * returns n. "-5" is an operand, unless the command has an option of that letter. Leaves with 0
 * after --help, and with 2 on a wrong option. */
int cli_parse(const struct cli_command *command, int argc, char **argv);

/* Prints "dagpt: " and the text, closes the engine if one is open, and exits. */
__attribute__((noreturn, format(printf, 2, 3))) void cli_die(enum dg_status status,
                                                             const char *format, ...);

/* cli_die with err's status and text, unless status is DG_OK. */
void cli_check(enum dg_status status, const struct dg_error *err);

/* Leaves with 5 when stdout could not take what was printed. Flushes. */
void cli_flush(void);

/* Prints bytes to stdout as the inside of a JSON string, or s as a whole one with its quotes. What
 * is not UTF-8 becomes U+FFFD. */
void cli_json_bytes(const char *bytes, size_t n);
void cli_json_string(const char *s);

/* ---- options that many subcommands have, and what comes of them ---- */

struct cli_model {
    const char *path;     /* -m; cli_model_path() when NULL */
    const char *fallback; /* the model when none is named; a subcommand may set another */
    uint64_t workers;     /* -j */
    uint64_t cpus;        /* --cpus */
    unsigned sched, isa;
    uint64_t chunk;
    struct cli_tile tile;
    bool stats;
    bool all_logits; /* dg_session_options.all_logits; for a subcommand to set */
};

extern struct cli_model cli_model;
extern const struct cli_option cli_model_options[]; /* -m */
extern const struct cli_option cli_team_options[];  /* -j --cpus --tile */
extern const struct cli_option cli_run_options[];   /* --sched --isa --chunk --stats */

/* -m, else $DAGPT_MODEL, else the fallback. */
const char *cli_model_path(void);
bool cli_model_is_demo(void); /* is it the one in the program, and no file? */

struct dg_checkpoint;

/* dg_checkpoint_open, or dg_checkpoint_open_memory of the demo. */
enum dg_status cli_checkpoint_open(struct dg_checkpoint *c, struct dg_error *err);

/* dg_model_open, or dg_model_parse of the demo. */
enum dg_status cli_model_open(struct dg_model **out, struct dg_team *team, struct dg_error *err);

/* cli_check for what comes of looking at that file: says how to name another if none was named. */
void cli_model_check(enum dg_status status, const struct dg_error *err);

/* How ids are drawn: the options as they were given, and the defaults of the others. */
extern const struct cli_option cli_sampling_options[];
bool cli_sampling_given(void); /* one of them? */
struct dg_sampling cli_sampling(void);

/* A sampler; leaves when there can be none. Call it once; it is freed when the program ends. */
struct dg_sampler *cli_sampler(uint32_t vocab, const struct dg_sampling *how);

/* A decimal number without sign or blanks, all of the text; false otherwise. */
bool cli_number(const char *text, uint64_t *out);

/* Operands to ids. Leaves with 4 when one is not a number. Owned by the caller. */
int32_t *cli_ids(char **operands, int n);

/* Everything that evaluating takes, in the order in which it is made. */
struct cli_engine {
    struct dg_sizes sizes;
    struct dg_team *team;
    struct dg_model *model;
    struct dg_session *session;
    bool loaded; /* by the first cli_eval() */
};

/* Before any work, from the model's header: are the n ids in the vocabulary, and are there `total`
 * positions? Leaves with 3 or 4 when not; *sizes are the model's. */
void cli_request_check(const int32_t *ids, size_t n, size_t total, struct dg_sizes *sizes);

/* cli_request_check, then makes team, model and session. Leaves on errors. */
void cli_engine_open(struct cli_engine *e, const int32_t *ids, size_t n, size_t total);
void cli_engine_close(struct cli_engine *e);

/* ---- files that are written whole or not at all ---- */

/* A new file beside `name`, which takes its place in the end; or what `name` is already, when that
 * is no file but a pipe or a device. */
struct cli_output {
    FILE *to;
    char *name, *made; /* made: the new file, or NULL */
};

/* These return false, and errno, when it cannot be written; then there is nothing to drop. */
bool cli_output_open(struct cli_output *o, const char *path);
bool cli_output_keep(struct cli_output *o); /* closes; on errors, what was there is still there */
bool cli_output_try(const char *path);      /* opens and drops: before long work, not after */
void cli_output_drop(struct cli_output *o); /* closes, and removes the new file */

/* ---- --trace ---- */

/* A subcommand that lists them records: cli_engine_open() begins, cli_engine_close() writes. */
extern const struct cli_option cli_trace_options[]; /* --trace --trace-tokens --trace-edges
                                                     * --trace-events */
void cli_trace_begin(struct cli_engine *e);         /* between making the team and loading */

/* Writes the trace, if there is one. leaving: after an error, which stays the exit code. */
void cli_trace_end(const struct cli_engine *e, bool leaving);

/* A signal asks to end: true only with --trace, which then writes before the signal is obeyed in
 * cli_trace_end(). A loop over tokens should leave. */
bool cli_trace_stopped(void);

const char *cli_command_line(void); /* the subcommand and its arguments, once parsed */

/* Evaluates ids; the first time the weights are read meanwhile. With a progress bar, then and where
 * there are many. Leaves on errors. */
void cli_eval(struct cli_engine *e, const int32_t *ids, size_t n);

/* Where stderr is a terminal: from now on, and after a moment, a bar tells how far the team's steps
 * are with `what`. NULL: no more, and the line is empty again. */
void cli_progress(struct dg_team *team, const char *what);

double cli_seconds(void); /* a monotonic clock */

#endif
