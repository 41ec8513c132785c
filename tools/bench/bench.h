/* bench.h - what the files of dagpt bench share: how something is measured, and what came out.
 *
 * Every sample stands between two probes of the machine's limits by the same workers, a few milliseconds
 * before and after it. Where the two disagree by more than BENCH_DISAGREE, the machine changed under
 * the sample, and it is discarded. Samples of several items are taken in turns, so that what is
 * compared was measured in the same state of the machine. */
#ifndef DG_TOOLS_BENCH_H
#define DG_TOOLS_BENCH_H

#include "../limits/limits.h"

#include <stdio.h>

#define BENCH_DISAGREE 0.10

enum {
    BENCH_CREWS = 33 - __builtin_clz(DG_MAX_WORKERS - 1), /* 1, 2, 4, ... DG_MAX_WORKERS workers */
    BENCH_PROMPTS = 5,
    BENCH_SHAPES = 3,
    BENCH_SCHEDS = 3, /* from DG_SCHED_DATAFLOW on */
    BENCH_HELD = 3,   /* weights, from DG_PRECISION_F32 on */
    BENCH_KINDS = 3,  /* of work that is done with each: a token, two prompts */
    BENCH_SHARES = 3, /* teams beside neighbours */
    BENCH_NEIGHBOURS = 2,
    BENCH_BATCHES = 6, /* 1, 2, 4, ... texts */
    BENCH_MOST_TEXTS = 1 << (BENCH_BATCHES - 1),
};

enum { BENCH_MOST_ROUNDS = 4096 };

/* How long to measure one section: until `seconds` have passed and every item has `rounds` samples
 * that were kept, or three times as many rounds without. */
struct bench_effort {
    double seconds;
    unsigned rounds; /* >= 1 */
};

/* A team, and the probe that brackets what it does. */
struct bench_crew {
    unsigned workers; /* awake */
    struct dg_team *team;
    struct limits_probe *probe;
    double *read, *fma; /* [n_probes] what the probes of all brackets found: GB/s, GFLOP/s */
    size_t n_probes, room;
};

struct bench_stat {
    double ms, p10, p90;  /* of the samples kept: median and spread */
    double limit_ms;      /* median: max(flops / FMA peak, bytes / read bandwidth); 0: none known */
    double limit_ratio;   /* median of ms / limit_ms, each by its own bracket; 0: none known */
    double speedup;       /* median of ms of the first item / ms, both in the same round */
    double flops, bytes;  /* of the item */
    bool memory_bound;    /* reading is the larger part of limit_ms */
    unsigned kept, taken; /* samples; kept 0: no bracket agreed, and all count */
};

/* Something to be measured. */
struct bench_item {
    void (*run)(void *arg); /* one unit of work; leaves the program on errors */
    void *arg;
    struct bench_crew *crew;
    double flops, bytes;    /* that a unit takes at the least; both 0: not known */
    struct bench_stat stat; /* the result */
    unsigned times;         /* units in a sample */
    struct bench_sample *samples;
};

/* Runs each item once to warm up, then measures them all, in turns. Fills each `stat`. */
void bench_measure(struct bench_item *items, unsigned n, const struct bench_effort *effort);

/* Is that enough, after so many rounds, of which each item had so many kept or more? */
bool bench_enough(const struct bench_effort *effort, double seconds, unsigned rounds,
                  unsigned least_kept);

/* What the crew can do now, for its brackets. */
struct limits bench_probe(struct bench_crew *c);

/* Are two numbers above 0 the same but for BENCH_DISAGREE? */
bool bench_agree(double a, double b);

/* Zeroed; leaves the program when there is no memory. Freed with free(). */
void *bench_allocate(size_t n, size_t size);

/* ---- works (bench_works.c) ---- */

struct bench_decode;
struct bench_prompt;

/* Of keys and values of so many positions, as --cache says. */
double bench_kept_bytes(const struct dg_sizes *sizes, uint32_t positions);

/* The least that a step of `rows` rows takes, with `past` positions in the cache: flops by the ops'
 * cost functions; bytes of weights and cache, each read once. */
void bench_step_cost(const struct dg_model *model, unsigned workers, uint32_t rows, uint32_t past,
                     double *flops, double *bytes);

/* A unit: one id through the network, and the choice of the next as in dagpt tokens. */
struct bench_decode *bench_decode_new(struct dg_model *model, struct dg_team *team,
                                      enum dg_sched sched);
void bench_decode_run(void *decode);
void bench_decode_step(void *decode);                     /* the network alone */
uint32_t bench_decode_past(const struct bench_decode *d); /* positions before it, on average */
void bench_decode_free(struct bench_decode *d);

/* A unit: a prompt of so many tokens into an empty cache. */
struct bench_prompt *bench_prompt_new(struct dg_model *model, struct dg_team *team,
                                      enum dg_sched sched, uint32_t tokens);
void bench_prompt_run(void *prompt);
void bench_prompt_free(struct bench_prompt *p);

/* A unit: this program as a process of its own, `dagpt tokens` with 2 ids in, from start to exit. */
struct bench_process {
    char total[16], workers[16];
    char ids[2][16];
    bool no_cache;
    double first_ms; /* to the first new id, as they say themselves: the least so far */
};
void bench_process_init(struct bench_process *p, const struct dg_sizes *z, unsigned workers,
                        uint32_t total, bool no_cache);
void bench_process_run(void *process);

/* ---- empty tiles (bench_tiles.c) ---- */

struct bench_tiles {
    const char *shape;
    uint32_t tiles;
    unsigned workers;
    double ns_per_tile; /* the least of the medians of short series of steps */
    double median, p90; /* of those medians */
};

/* Steps of tiles that do nothing, of each of BENCH_SHAPES shapes: what scheduling costs. */
void bench_tiles(struct bench_tiles out[], struct dg_team *team, enum dg_sched sched,
                 double seconds);

/* ---- replays (bench_what_if.c) ---- */

/* What the trace of one worker predicts for others, and what these took. */
struct bench_guess {
    uint32_t tokens; /* of a prompt; 0: one decoded token */
    unsigned workers;
    double predicted_ms, measured_ms; /* medians */
    double error, p10,
        p90; /* percent that the prediction of a round is above what was measured in it:
                             * median and spread */
    unsigned kept, taken; /* rounds, as in bench_stat */
};

/* items: the same work by each of n >= 2 crews, the first of one worker, all of the schedule dataflow.
 * In each round a unit of each is taken in turn, and counts (unless none does) where both its own and
 * the first crew's probes agree. Fills n - 1 guesses. */
void bench_what_if(struct bench_guess *out, struct bench_item *items, unsigned n,
                   const struct bench_effort *effort);

/* ---- busy neighbours (bench_neighbours.c) ---- */

/* What workers keep beside BENCH_NEIGHBOURS threads that always want a CPU. */
struct bench_share {
    unsigned workers, awake;
    double alone_ms, ms;      /* a unit, alone and beside them */
    double kept;              /* ms alone / ms beside */
    double fair;              /* what multiply-adds keep, by the same workers */
    double of_fair, p10, p90; /* kept / fair: median of the rounds, as all are, and spread */
    unsigned rounds;
};

/* items: the same work by each of n <= BENCH_SHARES crews that have probes. Fills all but `workers` and `awake`. */
void bench_neighbours(struct bench_share out[], struct bench_item items[], unsigned n,
                      const struct bench_effort *effort);

/* ---- texts that share steps (bench_batch.c) ---- */

struct bench_batch;

/* A unit: one id of each of `texts` <= BENCH_MOST_TEXTS texts, in one step, and the choice of the next. */
struct bench_batch *bench_batch_new(struct dg_model *model, struct dg_team *team, unsigned texts);
void bench_batch_run(void *batch);
void bench_batch_cost(const struct dg_model *model, unsigned workers, unsigned texts, double *flops,
                      double *bytes);
void bench_batch_free(struct bench_batch *b);

/* Between two tokens of those texts, alone and while a prompt is read, dg_batch_share() ids a step. */
struct bench_gap {
    unsigned texts, share, tokens; /* of the prompt */
    double alone_ms, ms;           /* medians */
    double alone_p99, p99;
    unsigned steps; /* of each */
};

/* A round of the effort is a step beside the prompt, which is read to its end. */
void bench_gap(struct bench_gap *out, struct bench_batch *b, const struct bench_effort *effort);

/* ---- the report (bench_report.c, bench_svg.c) ---- */

struct bench_report {
    const char *path;
    struct dg_sizes sizes;
    double step_bytes;  /* that a decoded token reads */
    double probe_bytes; /* that the probes of the brackets read, round and round */
    unsigned cpus, workers, n_crews;
    enum dg_isa isa;
    enum dg_sched sched;
    struct limits limits[BENCH_CREWS];   /* at the start, reading from memory */
    struct limits brackets[BENCH_CREWS]; /* medians of all brackets: reading what a step reads, from
                                          * where it reads it; workers 0: none */
    struct bench_stat decode;
    unsigned n_prompts;
    uint32_t tokens[BENCH_PROMPTS];
    struct bench_stat prompts[BENCH_PROMPTS];
    unsigned lab_ids; /* given and completed */
    struct bench_stat lab;
    double lab_first_ms;
    unsigned n_no_cache, no_cache_ids, no_cache_workers[2];
    struct bench_stat no_cache[2];
    unsigned n_tiles;
    struct bench_tiles tiles[BENCH_CREWS * BENCH_SHAPES];
    bool has_schedules, has_held, has_workers, has_guesses;
    uint32_t schedules_tokens, workers_tokens;
    struct bench_stat schedules[BENCH_SCHEDS][2]; /* dataflow, ...: decode, prompt */
    uint32_t held_tokens[BENCH_KINDS];            /* of a prompt; of decode 0 */
    struct bench_stat held[BENCH_HELD][BENCH_KINDS];
    struct bench_stat scaling[BENCH_CREWS][2]; /* of crew i: decode, prompt */
    struct limits beside[BENCH_CREWS];         /* medians of the brackets of `scaling` alone */
    unsigned n_shares;
    struct bench_share shares[BENCH_SHARES];
    unsigned n_batches;
    struct bench_stat batches[BENCH_BATCHES]; /* of 1, 2, 4, ... texts */
    struct bench_gap gaps[BENCH_BATCHES];
    unsigned n_guesses;
    struct bench_guess guesses[2 * BENCH_CREWS];
};

/* Text, a section at a time. */
void bench_print_machine(const struct bench_report *r);
void bench_print_decode(const struct bench_report *r);
void bench_print_prompts(const struct bench_report *r);
void bench_print_lab(const struct bench_report *r);
void bench_print_tiles(const struct bench_report *r);
void bench_print_schedules(const struct bench_report *r);
void bench_print_weights(const struct bench_report *r);
void bench_print_workers(const struct bench_report *r);
void bench_print_neighbours(const struct bench_report *r);
void bench_print_batch(const struct bench_report *r);
void bench_print_what_if(const struct bench_report *r);
void bench_print_brackets(const struct bench_report *r);

/* All of it. */
void bench_print_json(const struct bench_report *r);

/* Roofline and scaling. Errors stay in the stream. */
void bench_write_svg(const struct bench_report *r, FILE *to);

#endif
