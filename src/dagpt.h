/* dagpt.h - GPT-2 inference on an op graph: the library's only public header.
 *
 * A team of threads runs steps, a model holds packed weights, an engine makes steps of the two, and a
 * sequence is one text being generated. The same weights and the same token ids give the same logits,
 * bit for bit, whatever the options say.
 *
 * example.c:
 *
 *     #include <dagpt.h>
 *     #include <stdio.h>
 *
 *     int main(int argc, char **argv)
 *     {
 *         int32_t ids[8] = {11, 12}; // of the vocabulary; room for six more
 *         struct dg_team *team = NULL;
 *         struct dg_model *model = NULL;
 *         struct dg_engine *engine = NULL;
 *         struct dg_sequence *text = NULL;
 *         struct dg_sampler *sampler = NULL;
 *         struct dg_error err = {DG_OK, ""};
 *         size_t n = 2;
 *
 *         if (argc < 2)
 *             return DG_ERR_USAGE;
 *         if (dg_team_new(&team, 4, 0, &err) == DG_OK &&
 *             dg_model_open(&model, argv[1], NULL, &err) == DG_OK &&
 *             dg_engine_new(&engine, model, team, NULL, &err) == DG_OK &&
 *             dg_sequence_new(&text, engine, &err) == DG_OK &&
 *             dg_sampler_new(&sampler, dg_model_sizes(model).vocab, NULL, &err) == DG_OK &&
 *             dg_sequence_eval(text, ids, n, 1, &err) == DG_OK)
 *             for (; n < 8; n++) {
 *                 if (dg_sampler_next(sampler, dg_sequence_logits(text), ids, n, &ids[n], &err) ||
 *                     dg_sequence_eval(text, &ids[n], 1, 1, &err))
 *                     break;
 *                 printf("%d\n", (int)ids[n]);
 *             }
 *         if (err.status != DG_OK)
 *             fprintf(stderr, "example: %s\n", err.text);
 *         dg_sampler_free(sampler);
 *         dg_sequence_free(text);
 *         dg_engine_free(engine);
 *         dg_model_free(model);
 *         dg_team_free(team);
 *         return (int)err.status;
 *     }
 *
 * Options: all zeros is the default of each options struct, and 0 of each enum in it means "choose".
 *          `size` is sizeof the struct, so that a program goes on working with a library whose struct
 *          has grown; 0 stands for the struct of version 0.2. What is out of its range is refused.
 * Errors:  a function that can fail returns a status and, when it is not DG_OK, fills *err, which may be
 *          NULL. What it was to make is then NULL, or as it was where that is a number. A function with
 *          a status refuses a NULL that it does not say it takes: DG_ERR_USAGE; another does nothing
 *          with it, and returns 0, NULL or what it says. Nothing here prints, exits or keeps global state.
 * Lifetime: objects are freed in any order, each once: a model lives on until the last engine of it is
 *          freed, a team until the last engine and trace of it are, an engine until its last sequence is.
 * Threads: every function may be called from any thread.
 *          A team runs one thing at a time: evals of several sequences, or engines, that share it take
 *          turns, step by step, and so do dg_model_open(), dg_team_progress() and the calls on a trace.
 *          What shares no team runs side by side, also on one model.
 *          A sequence and a sampler are used by one thread at a time; an eval that finds another of the
 *          same sequence under way is refused. Models and tokenizers are shared freely.
 * Fork:    threads are not copied into a child, so that it cannot use its parent's teams: DG_ERR_RESOURCE.
 *          It may free them, and make a team and an engine for a loaded model that it has inherited.
 */
#ifndef DAGPT_H
#define DAGPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DG_VERSION "0.2.0"

/* What the library shows: all else in it is hidden. */
#define DG_API __attribute__((visibility("default")))

/* The values are the command's exit codes, but for DG_ERR_CANCELLED, which the command turns into 130 or
 * 143. */
enum dg_status {
    DG_OK = 0,
    DG_ERR_USAGE = 2,     /* an option or argument that cannot be */
    DG_ERR_MODEL = 3,     /* a model file that is missing, damaged or of another kind */
    DG_ERR_TOKEN = 4,     /* a prompt, token id or tokenizer that cannot be used */
    DG_ERR_IO = 5,        /* reading or writing failed */
    DG_ERR_RESOURCE = 6,  /* no memory or no threads */
    DG_ERR_CANCELLED = 7, /* dg_team_cancel() ended it */
};

struct dg_error {
    enum dg_status status;
    char text[1024]; /* one line, without a final newline */
};

/* Instruction sets; of one processor architecture the weaker first. */
enum dg_isa {
    DG_ISA_BEST = 0, /* the strongest there is */
    DG_ISA_SCALAR = 1,
    DG_ISA_AVX2 = 2, /* x86-64, as all up to DG_ISA_AMX */
    DG_ISA_AVX_VNNI = 3,
    DG_ISA_AVX512 = 4,
    DG_ISA_AVX512_VNNI = 5,
    DG_ISA_AMX = 6,  /* only where asked for; refused where CPU or kernel do not grant it */
    DG_ISA_NEON = 7, /* AArch64, as the next */
    DG_ISA_NEON_DOT = 8,
};

/* Three ways to run the same tiles. */
enum dg_sched {
    DG_SCHED_DEFAULT = 0,  /* dataflow */
    DG_SCHED_DATAFLOW = 1, /* a tile runs when its last input is written */
    DG_SCHED_BARRIER = 2,  /* all workers finish an op before any starts the next */
    DG_SCHED_SERIAL = 3,   /* the caller alone, in plan order: the oracle of the tests */
};

/* What numbers are held in. */
enum dg_precision {
    DG_PRECISION_AUTO =
        0, /* as the file has them, where that is one of these, Q8_0 as int8; else float */
    DG_PRECISION_F32 = 1,
    DG_PRECISION_BF16 = 2, /* the upper half of a float, rounded to nearest even; a NaN stays one */
    DG_PRECISION_INT8 = 3, /* -127 ... 127 times a scale that 32 of a row share */
};

/* "best", "scalar", "avx2", "avx-vnni", "avx512", "avx512-vnni", "amx", "neon", "neon-dot"; "unknown" of another
 * number. */
DG_API const char *dg_isa_name(enum dg_isa isa);
DG_API enum dg_isa dg_isa_best(void); /* the strongest that this CPU and this build have */

/* "default", "dataflow", "barrier", "serial"; "unknown" of another number. */
DG_API const char *dg_sched_name(enum dg_sched sched);

/* "auto", "f32", "bf16", "int8"; "unknown" of another number. */
DG_API const char *dg_precision_name(enum dg_precision precision);

/* CPUs that this process may use: its affinity mask, capped by the cgroup quota; at least 1. */
DG_API unsigned dg_usable_cpus(void);

/* ---- team ---- */

#define DG_MAX_WORKERS 256

struct dg_team;

/* Creates `workers` (1 ... DG_MAX_WORKERS) workers: the caller and workers - 1 new threads. At
 * most `cpus` of them are awake at a time (0: dg_usable_cpus()); the rest stay parked. Where the system
 * starts no more threads there are fewer workers, at the least the caller: dg_team_workers() tells. */
DG_API enum dg_status dg_team_new(struct dg_team **out, unsigned workers, unsigned cpus,
                                  struct dg_error *err);
DG_API void dg_team_free(struct dg_team *team); /* takes NULL */
DG_API unsigned dg_team_workers(const struct dg_team *team);
DG_API unsigned dg_team_awake(const struct dg_team *team); /* min(workers, cpus) */

/* From now on the team's worker 0, which is the thread that calls eval, calls tell(arg, done) after each
 * tile that it has run: `done`, of 0 to 1, is how far the step has come, about. tell may cancel; what
 * else it asks of the team is refused. NULL: no more. */
DG_API void dg_team_progress(struct dg_team *team, void (*tell)(void *arg, double done), void *arg);

/* Ends what the team is at: no worker begins another tile, and the eval (or dg_model_open()) that is
 * under way, else the next one, returns DG_ERR_CANCELLED as soon as the tiles that run are done. With
 * that the request is fulfilled: the call after it works, and reads weights anew that were being read.
 * A request that comes when an eval's last tile has begun is met by the next. Several are as good as one.
 * Threads: any, and signal handlers; the team must live. */
DG_API void dg_team_cancel(struct dg_team *team);

/* Takes back a request that has not been met. Between evals. */
DG_API void dg_team_uncancel(struct dg_team *team);

/* ---- trace ---- */

struct dg_trace;

/* From now on the team's steps are recorded: every tile, and every gap between two of them, with
 * room for `max_events` of them (48 bytes each, for each worker that is awake, as any may run all). A
 * step is recorded whole or, when it might not fit, not at all. One trace for a team at a time. */
DG_API enum dg_status dg_trace_new(struct dg_trace **out, struct dg_team *team, size_t max_events,
                                   struct dg_error *err);
DG_API void dg_trace_free(struct dg_trace *trace); /* takes NULL; called by tell it does nothing */

/* Only the steps that evaluate positions first ... end - 1 of a sequence, or some of them, are
 * recorded. Loading a model counts as position 0. */
DG_API void dg_trace_window(struct dg_trace *trace, uint64_t first, uint64_t end);

/* A tile that has run: rows r0 ... r1 - 1, columns c0 ... c1 - 1 of its op's output. The struct may grow at
 * its end. */
struct dg_traced_tile {
    const char *op;   /* "h3.q", until the trace is freed */
    const char *type; /* of the op: "matmul", "attention", ... */
    int layer;        /* -1: of none */
    unsigned worker;
    uint32_t tile;           /* of the plan, from 0 */
    uint32_t r0, r1, c0, c1; /* its box */
    uint32_t rows, past;     /* positions that the step evaluates, and those before it */
    uint64_t step;           /* of those that were told, from 0 */
    uint64_t start, end;     /* nanoseconds of CLOCK_MONOTONIC */
    uint64_t idle;           /* nanoseconds before it in which the worker spun or slept */
    uint64_t flops, bytes;   /* what its op says that it computes, reads and writes */
};

/* From now on tell(arg, tile) is called for each tile of a step that is recorded, as soon as the step is
 * over, by the thread that called eval and before that returns; worker by worker, in the order in which
 * each has run them. So no tile is slowed down, and telling allocates nothing. What has been told is
 * forgotten: max_events need be those of one step alone. tell may cancel; what else it asks of the team
 * is refused. A step that was cancelled is not told. NULL: no more. */
DG_API void dg_trace_tell(struct dg_trace *trace,
                          void (*tell)(void *arg, const struct dg_traced_tile *tile), void *arg);

/* ---- model ---- */

struct dg_sizes {
    uint32_t positions; /* maxT: the longest sequence */
    uint32_t vocab;     /* V: ids are 0 ... vocab - 1 */
    uint32_t layers;    /* L */
    uint32_t heads;     /* NH; divides channels */
    uint32_t channels;  /* C */
};

struct dg_model;

/* The sizes of the model file at `path`, from its header and the size of the file. */
DG_API enum dg_status dg_model_peek(const char *path, struct dg_sizes *sizes, struct dg_error *err);

/* Reads the model at `path` (an llm.c checkpoint, version 1, 3 or 5; a GGUF file; a Hugging Face folder; or a
 * packed file) and packs its weights, with all of the team, to which the model keeps no reference. Without a
 * team (NULL) the weights are read as part of the model's first step, each before it is used, and an eval
 * that cannot read the file fails with DG_ERR_IO. Until that eval has returned, the model takes one engine
 * alone. A weight that is infinite or NaN is refused (DG_ERR_MODEL).
 * The weights of a packed file are not read, but used where they lie: in a mapping of the file, whose pages all
 * processes share, until the model is freed. The file has to stay as it is meanwhile; it may be renamed, or
 * removed. Of one that was written to, an eval fails with DG_ERR_MODEL. But a tile that comes to a page which is
 * no longer in the file, or which the disk does not give, raises SIGBUS in its thread: a program whose files
 * others may cut off reads such a file by itself, and gives it to dg_model_parse(). */
DG_API enum dg_status dg_model_open(struct dg_model **out, const char *path, struct dg_team *team,
                                    struct dg_error *err);

/* The same from data[0 ... n - 1], which `name` stands for in errors, and which must last until the
 * weights are read; of a packed file, until the model is freed, since its weights are used where they lie. Where
 * data is no multiple of 64, they are read all the same. */
DG_API enum dg_status dg_model_parse(struct dg_model **out, const void *data, size_t n,
                                     const char *name, struct dg_team *team, struct dg_error *err);

/* The same with the model's matrices in memory as `weights` says, however the file has them: of each half the
 * bytes is half the time that a decoded token takes. dg_model_open() and dg_model_parse() take
 * DG_PRECISION_AUTO. Biases, gains and the positions' vectors are always floats, and so is what is
 * computed: a weight of bf16 is made a float, exactly, where it is used. With int8 rows are rounded to groups
 * as the weights are before they are multiplied; a product's sum of a group is exact, and sums of groups are
 * added in float. Bits are the same with all instruction sets, whatever `weights` is. */
DG_API enum dg_status dg_model_open_as(struct dg_model **out, const char *path,
                                       enum dg_precision weights, struct dg_team *team,
                                       struct dg_error *err);
DG_API enum dg_status dg_model_parse_as(struct dg_model **out, const void *data, size_t n,
                                        const char *name, enum dg_precision weights,
                                        struct dg_team *team, struct dg_error *err);

/* Reads all of the packed file at `path`, and compares it with the sums in it. DG_ERR_MODEL: it is damaged;
 * DG_ERR_USAGE: the file is a model of another format, which has no sums. */
DG_API enum dg_status dg_model_verify(const char *path, struct dg_error *err);
DG_API void dg_model_free(struct dg_model *model); /* takes NULL */
DG_API struct dg_sizes dg_model_sizes(const struct dg_model *model);

/* ---- tokenizer ---- */

/* GPT-2's byte-pair encoding. Read-only once open: threads may share it. */
struct dg_tokenizer;

/* Reads a tokenizer's file, of one of three kinds, which its first bytes tell: merges (merges.txt,
 * vocab.bpe), where ids 0 ... 255 are the bytes, then come what the merges make and, last,
 * <|endoftext|>; tokenizer.json; or llm.c's gpt2_tokenizer.bin. The second reads data[0 ... n - 1], which
 * `name` stands for in errors; of no bytes, they are merges, and none. An empty file is refused. DG_ERR_TOKEN. */
DG_API enum dg_status dg_tokenizer_open(struct dg_tokenizer **out, const char *path,
                                        struct dg_error *err);
DG_API enum dg_status dg_tokenizer_parse(struct dg_tokenizer **out, const char *data, size_t n,
                                         const char *name, struct dg_error *err);

/* That of the model at `path`: in its file, else the first there is, in its folder, of merges.txt, vocab.bpe,
 * gpt2_tokenizer.bin and tokenizer.json; of a Hugging Face folder tokenizer.json comes first. DG_ERR_MODEL,
 * DG_ERR_TOKEN. */
DG_API enum dg_status dg_tokenizer_of_model(struct dg_tokenizer **out, const char *path,
                                            struct dg_error *err);
DG_API void dg_tokenizer_free(struct dg_tokenizer *t);            /* takes NULL */
DG_API uint32_t dg_tokenizer_vocab(const struct dg_tokenizer *t); /* ids are 0 ... this - 1 */

/* The ids that stand at the beginning and at the end of a text: of both <|endoftext|>, where the file does
 * not say otherwise. -1: there is none, or t is NULL. */
DG_API int32_t dg_tokenizer_begin(const struct dg_tokenizer *t);
DG_API int32_t dg_tokenizer_end(const struct dg_tokenizer *t);

/* The ids of text[0 ... n - 1], any bytes: *ids has *n_ids of them, and room for one more, and is the
 * caller's to free().
 * "<|endoftext|>" in a text is text. Time: proportional to n. */
DG_API enum dg_status dg_tokenizer_encode(const struct dg_tokenizer *t, const char *text, size_t n,
                                          int32_t **ids, size_t *n_ids, struct dg_error *err);

/* The same, but the special tokens in a text, of which a merges file brings one, <|endoftext|>, are
 * read as their ids (tokens that tokenizer.json adds without calling them special are always); of several
 * at one place the longest. What stands between them is encoded as if each were a text of its own.
 * Not for text that strangers wrote. */
DG_API enum dg_status dg_tokenizer_encode_special(const struct dg_tokenizer *t, const char *text,
                                                  size_t n, int32_t **ids, size_t *n_ids,
                                                  struct dg_error *err);

/* The *n bytes that id stands for; NULL when it is not in the vocabulary. */
DG_API const char *dg_tokenizer_bytes(const struct dg_tokenizer *t, int32_t id, size_t *n);

/* Ids become text one by one. An id may end within a character of UTF-8: its bytes are held back until the
 * character is whole. What can be no part of one becomes U+FFFD, so that all that comes out is UTF-8. */
struct dg_stream;

/* The tokenizer must last until the stream is freed. Nothing is allocated later. */
DG_API enum dg_status dg_stream_new(struct dg_stream **out, const struct dg_tokenizer *t,
                                    struct dg_error *err);
DG_API void dg_stream_free(struct dg_stream *stream); /* takes NULL */

/* Takes the next id. What is known of the text now and was not before: (*text)[0 ... *n - 1], without a NUL,
 * valid until the next call; *n may be 0. DG_ERR_TOKEN, and nothing changes, when id is not in the
 * vocabulary. */
DG_API enum dg_status dg_stream_push(struct dg_stream *stream, int32_t id, const char **text,
                                     size_t *n, struct dg_error *err);

/* The text is at its end: the *n bytes of what was held back. The stream begins anew. */
DG_API const char *dg_stream_end(struct dg_stream *stream, size_t *n);

/* ---- engine and sequence ---- */

struct dg_engine_options {
    size_t size;     /* of this struct; 0: that of version 0.2 */
    enum dg_isa isa; /* at most this one; one of another processor architecture is refused */
    enum dg_sched sched;
    uint32_t chunk;     /* rows of one step, at the most; 0: an eval is one step */
    uint32_t row_block; /* rows of a tile, at the most; 0: chosen by the planner */
    uint32_t col_block; /* columns of a matmul tile, rounded up to 16; 0: chosen by the op */
    uint32_t no_fuse;   /* 1: leave gelu and add as ops of their own */
    uint64_t
        cache_bytes; /* of the keys and values of all sequences together, at the most; 0: any number */
    /* What keys and values are held in: DG_PRECISION_BF16, half the bytes, each rounded once, when it is stored,
     * and widened exactly where it is read; otherwise DG_PRECISION_F32. The bits are the same, of each, on all
     * instruction sets, for any chunks and in any batch. DG_PRECISION_INT8 is refused. */
    enum dg_precision cache;
    uint32_t reserved; /* 0 */
};

/* A model, a team, and the plans that were made so far, by shape; the least recently used goes when
 * there are many. */
struct dg_engine;

/* opt may be NULL for the defaults. DG_ERR_USAGE when an option is out of its range, or the model is still
 * to be loaded by the first eval of another engine. */
DG_API enum dg_status dg_engine_new(struct dg_engine **out, struct dg_model *model,
                                    struct dg_team *team, const struct dg_engine_options *opt,
                                    struct dg_error *err);
DG_API void dg_engine_free(struct dg_engine *engine); /* takes NULL */

/* One text: its ids so far, as keys and values, and the logits of the last eval. */
struct dg_sequence;

DG_API enum dg_status dg_sequence_new(struct dg_sequence **out, struct dg_engine *engine,
                                      struct dg_error *err);
/* Takes NULL. Does nothing while an eval of the sequence is under way. */
DG_API void dg_sequence_free(struct dg_sequence *sequence);

/* Another sequence of the same ids, which it need not evaluate: the two share the memory of what they have in
 * common, and go on each by itself. It has no logits: those of its last id are `from`'s. DG_ERR_USAGE
 * while an eval of `from` is under way. */
DG_API enum dg_status dg_sequence_fork(struct dg_sequence **out, struct dg_sequence *from,
                                       struct dg_error *err);

/* Appends ids[0 ... n-1] to the sequence, n >= 1, in steps of at most `chunk` rows, and gives the last
 * n_logits of them logits, 0 <= n_logits <= n.
 * Refused, and the sequence is as it was: DG_ERR_TOKEN when n is 0, an id is outside the vocabulary or
 * the sequence would exceed `positions`; DG_ERR_USAGE when n_logits is out of its range, another eval of
 * the sequence is under way, or a function that an eval of the team calls has called this. Where memory
 * is missing, or `cache_bytes` are used up (DG_ERR_RESOURCE), the weights cannot be read (DG_ERR_IO), one
 * of them or a logit is not finite (DG_ERR_MODEL, which names the weight, or the op that overflows), or
 * dg_team_cancel() or dg_sequence_cancel() has been called (DG_ERR_CANCELLED), the position is as it was,
 * and there are no logits. */
DG_API enum dg_status dg_sequence_eval(struct dg_sequence *sequence, const int32_t *ids, size_t n,
                                       size_t n_logits, struct dg_error *err);

/* What an eval of many sequences appends to one of them. */
struct dg_part {
    struct dg_sequence *sequence;
    const int32_t *ids;
    size_t n, n_logits;
    enum dg_status status; /* what became of it: filled by the eval */
};

/* The same for several sequences of one engine, each in one part, in steps that they share: weights are read
 * once for all rows of a step. Each gets the bits that it has alone, whatever stands beside it. A step
 * takes what is left of the parts in their order, until it has `chunk` rows, or `positions`. So what is said
 * above of an eval holds for each part: one that is refused, cancelled or finds no memory leaves the others
 * as they are. DG_OK when all are; else the status of the first of them that failed, and its message. A
 * NULL, or sequences of several engines: DG_ERR_USAGE, and nothing has happened. */
DG_API enum dg_status dg_batch_eval(struct dg_part *parts, size_t n_parts, struct dg_error *err);

/* A long part holds up all others of its step. How many ids of prompts should be added, together, to a step
 * in which `decoding` sequences get one id each, so that 99 of 100 such steps take less than twice as long as
 * without them: half as many as those, and at least 4 where the engine's model holds its matrices as float,
 * 3 as bf16, 2 as int8; any number, SIZE_MAX, beside none. No clock has a part in it; docs/performance.md has
 * what was measured. 0 for engine NULL. */
DG_API size_t dg_batch_share(const struct dg_engine *engine, size_t decoding);

/* Ends the sequence's part in the eval that is under way, else in the next one, as soon as the step at hand is
 * over: DG_ERR_CANCELLED, and the request is fulfilled. Other parts go on.
 * Threads: any, and signal handlers, beside any call but dg_sequence_free(). */
DG_API void dg_sequence_cancel(struct dg_sequence *sequence);

/* [n_logits][vocab] of the last eval, valid until the next call that changes the sequence. NULL where
 * there are none: before the first eval, after one without or one that failed but was not refused, and
 * after a rewind. */
DG_API const float *dg_sequence_logits(const struct dg_sequence *sequence);
DG_API size_t dg_sequence_position(const struct dg_sequence *sequence); /* ids evaluated so far */

/* Forgets the ids from `position` on; does nothing when there are none, or an eval is under way. */
DG_API void dg_sequence_rewind(struct dg_sequence *sequence, size_t position);

/* ---- sampling ---- */

/* probs[i] = exp(logits[i] - max) / sum, in float, the sum taken in vocabulary order. The maximum
 * is returned through *best (the lowest id of equals). n >= 1, else DG_ERR_USAGE; DG_ERR_MODEL when a
 * logit is not finite. */
DG_API enum dg_status dg_softmax(float *probs, const float *logits, size_t n, int32_t *best,
                                 struct dg_error *err);

/* The first id whose cumulative probability, summed in float in vocabulary order, exceeds coin;
 * the last id when none does. -1 when there are no probabilities: n is 0, or probs NULL. */
DG_API int32_t dg_pick(const float *probs, size_t n, float coin);

/* log(exp(logits[id]) / sum over all n), natural, in double precision; NaN unless 0 <= id < n, and for
 * logits NULL. */
DG_API double dg_log_probability(const float *logits, size_t n, int32_t id);

/* How the next id is drawn, in the order in which it is applied. All zeros: the most likely id. */
struct dg_sampling {
    size_t size;           /* of this struct; 0: that of version 0.2 */
    double repeat_penalty; /* >= 1: an id of the sequence has its logit divided by it if positive,
                            * else multiplied; 1 or 0: none */
    double temp;           /* > 0: logits are divided by it; 0: the most likely id, the lowest of
                            * equals, and nothing below applies */
    uint32_t top_k;        /* only the k most likely ids, of equals the lowest; 0: all */
    double top_p;          /* of these only the fewest, most likely first, whose probability
                            * together reaches top_p of theirs, 0 ... 1; 1 or 0: all */
    double min_p;          /* of these only those at least min_p times as likely as the most
                            * likely one, 0 ... 1; 0: all */
    uint64_t seed;
};

struct dg_sampler;

/* A source of ids of a vocabulary of `vocab` >= 1: the same sampling, logits and sequence give the same
 * ids, on any machine. sampling may be NULL for the defaults. DG_ERR_USAGE when an option is out of its
 * range. */
DG_API enum dg_status dg_sampler_new(struct dg_sampler **out, uint32_t vocab,
                                     const struct dg_sampling *sampling, struct dg_error *err);
DG_API void dg_sampler_free(struct dg_sampler *s); /* takes NULL */

/* Draws the id after ids[0 ... n - 1] from their logits [vocab]. DG_ERR_MODEL when a logit is not
 * finite, DG_ERR_TOKEN when an id is outside the vocabulary. */
DG_API enum dg_status dg_sampler_next(struct dg_sampler *s, const float *logits, const int32_t *ids,
                                      size_t n, int32_t *next, struct dg_error *err);

#ifdef __cplusplus
}
#endif

#endif
