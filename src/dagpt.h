/* dagpt.h - GPT-2 inference on an op graph: the library's only public header.
 *
 * A team of threads runs steps, a model holds packed weights, a session is one sequence being
 * generated. The order of use:
 *
 *     dg_team_new -> dg_model_open -> dg_session_new -> { dg_session_eval, dg_sample } ...
 *
 * and each is freed in the reverse order. The same weights and the same token ids give the same
 * logits, bit for bit, whatever the options below say.
 *
 * Threads: a team belongs to the thread that made it, and runs one thing at a time. Objects that
 *          share no team are independent. Nothing here prints, exits or keeps global state.
 * Errors:  a function that can fail returns a status and, when it is not DG_OK, fills *err.
 */
#ifndef DAGPT_H
#define DAGPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DG_VERSION "0.1.0"

/* The values are the command's exit codes. */
enum dg_status {
    DG_OK = 0,
    DG_ERR_USAGE = 2,    /* an option or argument that cannot be */
    DG_ERR_MODEL = 3,    /* a model file that is missing, damaged or of another kind */
    DG_ERR_TOKEN = 4,    /* a token id outside the vocabulary, or too many of them */
    DG_ERR_IO = 5,       /* reading or writing failed */
    DG_ERR_RESOURCE = 6, /* no memory or no threads */
};

struct dg_error {
    enum dg_status status;
    char text[1024]; /* one line, without a final newline */
};

/* Instruction sets, weakest first. */
enum dg_isa { DG_ISA_SCALAR, DG_ISA_AVX2, DG_ISA_AVX512, DG_N_ISA };

/* Three ways to run the same tiles. */
enum dg_sched {
    DG_SCHED_DATAFLOW, /* a tile runs when its last input is written */
    DG_SCHED_BARRIER,  /* all workers finish an op before any starts the next */
    DG_SCHED_SERIAL,   /* the caller alone, in plan order: the oracle of the tests */
    DG_N_SCHED
};

const char *dg_isa_name(enum dg_isa isa); /* "scalar", "avx2", "avx512" */
enum dg_isa dg_isa_best(void);            /* the strongest that this CPU and this build have */
const char *dg_sched_name(enum dg_sched sched); /* "dataflow", "barrier", "serial" */

/* CPUs that this process may use: its affinity mask, capped by the cgroup quota; at least 1. */
unsigned dg_usable_cpus(void);

/* ---- team ---- */

#define DG_MAX_WORKERS 256

struct dg_team;

/* Creates `workers` (1 ... DG_MAX_WORKERS) workers: the caller and workers - 1 new threads. At
 * most `cpus` of them are awake at a time (0: dg_usable_cpus()); the rest stay parked. */
enum dg_status dg_team_new(struct dg_team **out, unsigned workers, unsigned cpus,
                           struct dg_error *err);
void dg_team_free(struct dg_team *team); /* takes NULL */
unsigned dg_team_workers(const struct dg_team *team);
unsigned dg_team_awake(const struct dg_team *team); /* min(workers, cpus) */

/* ---- trace ---- */

struct dg_trace;

/* From now on the team's steps are recorded: every tile, and every gap between two of them, with
 * room for `max_events` of them for each worker that is awake (48 bytes each). A step is recorded
 * whole or, when it might not fit, not at all. One trace for a team at a time. */
enum dg_status dg_trace_new(struct dg_trace **out, struct dg_team *team, size_t max_events,
                            struct dg_error *err);
void dg_trace_free(struct dg_trace *trace); /* takes NULL; before its team */

/* Only the steps that evaluate positions first ... end - 1 of a sequence, or some of them, are
 * recorded. Loading a model counts as position 0. */
void dg_trace_window(struct dg_trace *trace, uint64_t first, uint64_t end);

/* ---- model ---- */

struct dg_sizes {
    uint32_t positions; /* maxT: the longest sequence */
    uint32_t vocab;     /* V: ids are 0 ... vocab - 1 */
    uint32_t layers;    /* L */
    uint32_t heads;     /* NH; divides channels */
    uint32_t channels;  /* C */
};

struct dg_model;

/* The sizes of the checkpoint at `path`, from its header and the size of the file. */
enum dg_status dg_model_peek(const char *path, struct dg_sizes *sizes, struct dg_error *err);

/* Reads the checkpoint at `path` (llm.c version 1, 3 or 5) and packs its weights, with all of the
 * team. The model keeps no reference to the team or the file. */
enum dg_status dg_model_open(struct dg_model **out, const char *path, struct dg_team *team,
                             struct dg_error *err);
void dg_model_free(struct dg_model *model); /* takes NULL; after its sessions */
struct dg_sizes dg_model_sizes(const struct dg_model *model);

/* ---- session ---- */

struct dg_session_options {
    enum dg_isa isa; /* capped by dg_isa_best() */
    enum dg_sched sched;
    uint32_t chunk;     /* rows of one prompt step; 0: the default */
    uint32_t row_block; /* rows of a tile; 0: chosen by the planner */
    uint32_t col_block; /* columns of a matmul tile, rounded up to 16; 0: chosen by the op */
    bool all_logits;    /* logits for every row of an eval, not for the last row alone */
    bool no_fuse;       /* leave gelu and add as ops of their own */
};

struct dg_session;

/* The session borrows model and team until it is freed. opt may be NULL for the defaults, which
 * are all zeros but isa = dg_isa_best(). */
enum dg_status dg_session_new(struct dg_session **out, const struct dg_model *model,
                              struct dg_team *team, const struct dg_session_options *opt,
                              struct dg_error *err);
void dg_session_free(struct dg_session *session); /* takes NULL */

/* Appends ids[0 ... n-1] to the sequence, n >= 1, as steps of at most `chunk` rows.
 * DG_ERR_TOKEN when an id is outside the vocabulary or the sequence would exceed `positions`;
 * the session is then as it was. */
enum dg_status dg_session_eval(struct dg_session *session, const int32_t *ids, size_t n,
                               struct dg_error *err);

/* [vocab] logits of the last id evaluated; with all_logits [n][vocab] of the last eval. They stay
 * valid until the next eval. NULL before the first. */
const float *dg_session_logits(const struct dg_session *session);
size_t dg_session_position(const struct dg_session *session);        /* ids evaluated so far */
void dg_session_rewind(struct dg_session *session, size_t position); /* forget the ids after it */

/* ---- sampling ---- */

/* probs[i] = exp(logits[i] - max) / sum, in float, the sum taken in vocabulary order. The maximum
 * is returned through *best (the lowest id of equals). DG_ERR_MODEL when a logit is not finite. */
enum dg_status dg_softmax(float *probs, const float *logits, size_t n, int32_t *best,
                          struct dg_error *err);

/* The first id whose cumulative probability, summed in float in vocabulary order, exceeds coin;
 * the last id when none does. */
int32_t dg_pick(const float *probs, size_t n, float coin);

#endif
