/* one.h - an engine that has one sequence. */
#ifndef DG_TESTS_ONE_H
#define DG_TESTS_ONE_H

#include "support.h"
#include "../../src/dagpt.h"

#include <stdlib.h>

struct one {
    struct dg_engine *engine;
    struct dg_sequence *text;
};

static inline struct one *one_new(struct dg_model *model, struct dg_team *team,
                                  const struct dg_engine_options *opt)
{
    struct one *o = calloc(1, sizeof *o);
    struct dg_error err = {0};

    ck_assert_ptr_nonnull(o);
    ck_assert_msg(dg_engine_new(&o->engine, model, team, opt, &err) == DG_OK, "%s", err.text);
    ck_assert_msg(dg_sequence_new(&o->text, o->engine, &err) == DG_OK, "%s", err.text);
    return o;
}

static inline void one_free(struct one *o)
{
    dg_sequence_free(o->text);
    dg_engine_free(o->engine);
    free(o);
}

/* Appends ids; the last n_logits of them get logits. */
static inline void one_eval(struct one *o, const int32_t *ids, size_t n, size_t n_logits)
{
    const size_t before = dg_sequence_position(o->text);
    struct dg_error err = {0};

    ck_assert_msg(dg_sequence_eval(o->text, ids, n, n_logits, &err) == DG_OK, "%s", err.text);
    ck_assert_uint_eq(dg_sequence_position(o->text), before + n);
}

#endif
