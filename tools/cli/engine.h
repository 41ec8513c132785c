/* engine.h - the model that was asked for, and all that evaluating it takes. */
#ifndef DG_TOOLS_ENGINE_H
#define DG_TOOLS_ENGINE_H

#include "options.h"
#include "../../src/dagpt.h"

struct dg_weights;

/* ---- options ---- */

struct cli_model {
    const char *path;     /* -m; cli_model_path() when NULL */
    const char *fallback; /* the model when none is named; a subcommand may set another */
    uint64_t workers;     /* -j */
    uint64_t cpus;        /* --cpus */
    unsigned sched, isa;  /* places in the lists of names; cli_model_sched(), cli_model_isa() */
    uint64_t chunk;
    struct cli_tile tile;
    unsigned weights; /* an enum dg_precision */
    unsigned cache;   /* a place in the list of names; cli_model_cache() */
    bool stats;
    bool verify; /* --verify */
};

extern struct cli_model cli_model;
extern const struct cli_option cli_model_options[]; /* -m --verify */
extern const struct cli_option cli_team_options[];  /* -j --cpus --tile --weights --cache */
extern const struct cli_option cli_run_options[];   /* --sched --isa --chunk --stats */

enum dg_sched cli_model_sched(void); /* --sched */
enum dg_isa cli_model_isa(void);     /* --isa, or the best of this CPU where that is less */

enum dg_precision cli_model_cache(void); /* --cache */

/* What a trace names, as its facts do. Of one that does not say it, floats. */
enum dg_precision cli_precision_of_trace(const char *name);

/* What a model of those weights is held in, as --weights says; of several dtypes that of h0.q. */
enum dg_precision cli_model_precision(const struct dg_weights *weights);

/* What --sched, --isa, --chunk, --tile and --cache say. */
struct dg_engine_options cli_engine_options(void);

/* ---- the model ---- */

/* -m, else $DAGPT_MODEL, else the fallback. */
const char *cli_model_path(void);
bool cli_model_is_demo(void); /* is it the one in the program, and no file? */

/* The model's weights, which are opened by the first call, and closed when the program leaves; with --verify all of
 * their file is read. Leaves on errors. */
const struct dg_weights *cli_weights(void);

/* dg_model_of_weights of those, once. */
enum dg_status cli_model_open(struct dg_model **out, struct dg_team *team, struct dg_error *err);

/* Before any work, from the model's header: are the n ids in the vocabulary, and are there `total`
 * positions? Leaves with 3 or 4 when not; *sizes are the model's. */
void cli_request_check(const int32_t *ids, size_t n, size_t total, struct dg_sizes *sizes);

/* ---- the engine ---- */

struct cli_engine {
    struct dg_sizes sizes;
    struct dg_team *team;
    struct dg_model *model;
    struct dg_engine *engine;
    struct dg_sequence *sequence;
    bool loaded;        /* by the first cli_eval() */
    bool no_bar;        /* what stands in the terminal's line is not to be drawn over */
    const float *given; /* logits that are there before the sequence has any of its own; or NULL */
    size_t row;         /* of the logits of the last eval: which cli_logits() are, */
    size_t ahead;       /* and how many rows are behind it */
};

/* cli_request_check, then makes team, model, engine and a sequence, which are freed when the program leaves, and
 * records the team. Leaves on errors. Call it once. */
struct cli_engine *cli_engine_open(const int32_t *ids, size_t n, size_t total);

/* Called by it at its end, where another program than dagpt has set it. */
extern void (*cli_when_opened)(struct cli_engine *e);

/* Where there is --trace (recording.h), from now on the team's steps with a model of those sizes, which
 * *model will be, are recorded. Team and model must last until the program leaves. */
void cli_engine_record(struct dg_team *team, const struct dg_sizes *sizes,
                       struct dg_model *const *model);

/* Evaluates ids, the last n_logits of them with logits; the first time the weights are read meanwhile.
 * With a progress bar, then and where there are many, unless no_bar. Leaves on errors. False: a signal has come
 * (signals.h); nothing was appended, and there are no logits. */
bool cli_eval(struct cli_engine *e, const int32_t *ids, size_t n, size_t n_logits);

const float *cli_logits(const struct cli_engine *e); /* given, or those of `row` */
bool cli_next_row(struct cli_engine *e);             /* the next one; false: there is none ahead */
size_t cli_position(const struct cli_engine *e);     /* dg_sequence_position */
void cli_rewind(struct cli_engine *e, size_t position); /* dg_sequence_rewind */

#endif
