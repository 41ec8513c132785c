/* sequence.h - a sequence as those know it that evaluate it. */
#ifndef DG_MODEL_SEQUENCE_H
#define DG_MODEL_SEQUENCE_H

#include "engine.h"
#include "pool.h"
#include <sync.h>

struct dg_sequence {
    struct dg_arena *arena; /* holds the sequence itself, and room for its pages */
    struct dg_engine *engine;
    struct dg_sizes sizes;
    struct dg_pages pages;
    struct dg_cache cache; /* whose blocks are the pages */
    size_t position;
    float *logits; /* room for `room` of them */
    size_t room;
    bool has_logits; /* of the last eval */

    /* While it is evaluated, batch.c's: positions before, and rows in the step at hand. */
    size_t before;
    uint32_t rows;

    /* 1: a thread evaluates it, or forks it. Order: acq_rel up, release down: who comes next sees what the
     * one before has done. If weakened: an eval goes on from another's half-written position. */
    struct dg_atomic busy;

    /* 1: its eval is to end. Order: release up, acq_rel down, so that who finds it sees what the one who
     * asked did before. If weakened: only that is lost, the request itself is not. */
    struct dg_atomic cancelled;
};

/* Memory for the keys and values of one sequence of a model of those sizes, held so; 0: it cannot be addressed. */
size_t dg_sequence_cache_bytes(const struct dg_sizes *sizes, enum dg_precision cache);

#endif
