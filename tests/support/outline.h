/* outline.h - GPT-2 graphs and plans of any size, without weights. */
#ifndef DG_TESTS_OUTLINE_H
#define DG_TESTS_OUTLINE_H

#include "support.h"
#include "../../src/graph/plan.h"
#include "../../src/model/gpt2.h"

static inline struct dg_model *outline(struct dg_sizes sizes)
{
    struct dg_error err = {0};
    struct dg_model *model = NULL;

    ck_assert_msg(dg_sizes_check(&sizes, "test", &err) == DG_OK, "%s", err.text);
    ck_assert_msg(dg_model_outline(&model, &sizes, NULL, &err) == DG_OK, "%s", err.text);
    return model;
}

static inline struct dg_graph *outline_graph(const struct dg_model *model,
                                             struct dg_gpt2_shape shape)
{
    struct dg_error err = {0};
    struct dg_graph *g = NULL;

    ck_assert_msg(dg_gpt2_graph(&g, model, &shape, &err) == DG_OK, "%s", err.text);
    return g;
}

static inline struct dg_plan *outline_plan(struct dg_graph *g, struct dg_tiling tiling)
{
    struct dg_error err = {0};
    struct dg_plan *plan = NULL;

    ck_assert_msg(dg_plan_new(&plan, g, &tiling, &err) == DG_OK, "%s", err.text);
    return plan;
}

#endif
