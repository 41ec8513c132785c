/* Every type of op, run tile by tile on a small graph, against double precision: for each
 * instruction set and several tilings, whose results have the same bits. A tile finds NaNs wherever
 * its reads() says that it does not look, and may change nothing outside its box. Then what
 * dg_graph_check() refuses, and what dg_graph_fuse() does. */
#include "../../support/blocks.h"
#include "../../support/support.h"
#include "../../../src/base/checked.h"
#include "../../../src/base/cpu.h"
#include "../../../src/graph/plan.h"
#include "../../../src/ops/kernels/kernels.h"
#include "../../../src/ops/ops.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_OPS = 24, MOST_TENSORS = 48, POSITIONS = 40 };
static const uint32_t UNWRITTEN = 0x7fc0dead; /* a NaN that no kernel makes */

/* A graph, and memory of its own for each of its tensors; the cache for the keys and values of one
 * layer, which its cache tensors have as their data here. */
struct stage {
    struct dg_graph *g;
    struct dg_error err;
    uint64_t seed;
    uint32_t past;
    struct dg_cache cache;
    float *block[POSITIONS / DG_LANES + 1]; /* of the cache */
    struct {
        float *p;
        size_t n;
    } memory[MOST_TENSORS];
    unsigned n_memory;
    struct dg_file file;
    struct dg_source source;
};

typedef void build(struct stage *s, unsigned variant); /* the last op is the one under test */

static void stage_new(struct stage *s, build *b, unsigned variant, uint32_t past)
{
    *s = (struct stage){.seed = 3, .past = past, .file = {.fd = -1}};
    ck_assert_int_eq(dg_graph_new(&s->g, MOST_OPS, MOST_TENSORS, &s->err), DG_OK);
    b(s, variant);
}

static void stage_free(struct stage *s)
{
    for (unsigned i = 0; i < s->n_memory; i++)
        guarded_free(s->memory[i].p, s->memory[i].n);
    dg_graph_free(s->g);
    dg_file_close(&s->file);
}

/* ---- tensors ---- */

/* Where an element lies, by the text of graph/tensor.h, and of a cache by that of kernels.h for the
 * blocks of a head. A row of a cache is a position. */
static float *element(const struct dg_tensor *t, size_t row, size_t col)
{
    const size_t d = t->heads ? t->cols / t->heads : 1;
    const uint32_t head = (uint32_t)(col / d);
    struct dg_blocks b;

    switch (t->layout) {
    case DG_PANELS:
        return (float *)t->data + row / 16 * 16 * t->cols + col * 16 + row % 16;
    case DG_KEYS:
        b = dg_cache_keys(t->data, 0, head);
        return b.at[row / 16] + b.offset + col % d * 16 + row % 16;
    case DG_VALUES:
        b = dg_cache_values(t->data, 0, head);
        return b.at[row / 16] + b.offset + row % 16 * d + col % d;
    default:
        return (float *)t->data + row * t->cols + col;
    }
}

/* All that lies where the tensor does: of a cache all of it. */
static float *memory_of(const struct dg_tensor *t, size_t *bytes)
{
    const struct dg_cache *c = t->data;

    *bytes = t->role == DG_CACHE ? dg_cache_bytes(&c->shape) : dg_tensor_bytes(t);
    return t->role == DG_CACHE ? cache_memory(c) : t->data;
}

static double number(const struct dg_tensor *t, size_t row, size_t col)
{
    return (double)*element(t, row, col);
}

/* The row of memory that row `row` of this step is. */
static size_t row_of(const struct dg_tensor *t, uint32_t past, size_t row)
{
    return t->role == DG_CACHE ? past + row : row;
}

/* Memory of which nothing is written. */
static float *unwritten(struct stage *s, size_t n)
{
    float *p = guarded_floats(n);

    for (size_t i = 0; i < n; i++)
        memcpy(p + i, &UNWRITTEN, sizeof *p);
    s->memory[s->n_memory].p = p;
    s->memory[s->n_memory++].n = n;
    return p;
}

/* A tensor of which nothing is written. */
static struct dg_tensor *empty(struct stage *s, struct dg_tensor tensor)
{
    if (tensor.role == DG_CACHE)
        tensor.data = &s->cache;
    else
        tensor.data = unwritten(s, dg_tensor_elements(&tensor));
    return dg_graph_tensor(s->g, tensor);
}

/* A tensor with numbers in its first rows; everything else, padding too, is NaN. */
static struct dg_tensor *given(struct stage *s, struct dg_tensor tensor, size_t rows)
{
    struct dg_tensor *t = empty(s, tensor);

    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < t->cols; c++)
            *element(t, r, c) = random_float(&s->seed, -1.5f, 1.5f);
    return t;
}

static struct dg_tensor *activation(struct stage *s, const char *name, uint32_t rows, uint32_t cols)
{
    struct dg_tensor t = {.role = DG_ACTIVATION, .layout = DG_ROWS, .rows = rows, .cols = cols};

    snprintf(t.name, sizeof t.name, "%s", name);
    return empty(s, t);
}

static struct dg_tensor *input(struct stage *s, const char *name, uint32_t rows, uint32_t cols)
{
    struct dg_tensor t = {.role = DG_ACTIVATION, .layout = DG_ROWS, .rows = rows, .cols = cols};

    snprintf(t.name, sizeof t.name, "%s", name);
    return given(s, t, rows);
}

static struct dg_tensor *weight(struct stage *s, const char *name, enum dg_layout layout,
                                uint32_t rows, uint32_t cols)
{
    struct dg_tensor t = {.role = DG_WEIGHT, .layout = layout, .rows = rows, .cols = cols};

    snprintf(t.name, sizeof t.name, "%s", name);
    return given(s, t, rows);
}

/* Keys or values of POSITIONS positions, of which `written` hold something. */
static struct dg_tensor *cache(struct stage *s, enum dg_layout layout, uint32_t rows,
                               uint32_t heads, uint32_t head_size, size_t written)
{
    const struct dg_tensor t = {.name = "cache",
                                .role = DG_CACHE,
                                .layout = layout,
                                .rows = rows,
                                .cols = heads * head_size,
                                .heads = heads,
                                .positions = POSITIONS};

    if (!s->cache.block) {
        const struct dg_cache_shape shape = {1, heads, heads * head_size, POSITIONS, DG_F32};

        s->cache = cache_in(unwritten(s, dg_cache_bytes(&shape) / sizeof(float)), s->block, &shape);
    }
    return given(s, t, written);
}

static struct dg_tensor *token_ids(struct stage *s, uint32_t rows, uint32_t vocab)
{
    struct dg_tensor *t = empty(s, (struct dg_tensor){.name = "ids",
                                                      .role = DG_INPUT,
                                                      .layout = DG_ROWS,
                                                      .dtype = DG_I32,
                                                      .rows = rows,
                                                      .cols = 1});
    int32_t *ids = t->data;

    for (uint32_t i = 0; i < rows; i++)
        ids[i] = (int32_t)random_below(&s->seed, vocab);
    ids[0] = (int32_t)vocab - 1;
    return t;
}

/* Adds an op named under_test: type, output and up to four inputs. */
static struct dg_op *op_of(struct stage *s, const struct dg_op_type *type, struct dg_tensor *out,
                           struct dg_tensor *a, struct dg_tensor *b, struct dg_tensor *c,
                           struct dg_tensor *d)
{
    struct dg_op op = {.type = type, .name = "under_test", .in = {a, b, c, d}, .out = out};

    while (op.n_in < 4 && op.in[op.n_in])
        op.n_in++;
    return dg_graph_op(s->g, op);
}

/* ---- running ---- */

static bool inside(struct dg_box box, size_t row, size_t col)
{
    return row >= box.r0 && row < box.r1 && col >= box.c0 && col < box.c1;
}

static float *copy_of(const struct dg_tensor *t)
{
    size_t bytes;
    const float *memory = memory_of(t, &bytes);
    float *copy = malloc(bytes);

    ck_assert_ptr_nonnull(copy);
    return memcpy(copy, memory, bytes);
}

/* Does the tile say that it reads this element? An op may have a tensor as two of its inputs. */
static bool is_read(const struct dg_op *op, const struct dg_tensor *t, struct dg_box out,
                    size_t row, size_t col)
{
    for (unsigned i = 0; i < op->n_in; i++)
        if (op->in[i] == t && inside(op->type->reads(op, i, out), row, col))
            return true;
    return false;
}

/* Makes NaNs of what the tile says that it does not read; returns what was there, for show_again(). */
static float *hide(const struct dg_op *op, unsigned i, struct dg_box out, uint32_t past)
{
    const struct dg_tensor *t = op->in[i];
    float *saved;

    if (t->role != DG_ACTIVATION && t->role != DG_CACHE)
        return NULL;
    saved = malloc((size_t)t->rows * t->cols * sizeof *saved);
    ck_assert_ptr_nonnull(saved);
    for (size_t r = 0; r < t->rows; r++) {
        for (size_t c = 0; c < t->cols; c++) {
            float *e = element(t, row_of(t, past, r), c);

            saved[r * t->cols + c] = *e;
            if (!is_read(op, t, out, r, c))
                *e = NAN;
        }
    }
    return saved;
}

static void show_again(const struct dg_tensor *t, float *saved, uint32_t past)
{
    for (size_t r = 0; saved && r < t->rows; r++)
        for (size_t c = 0; c < t->cols; c++)
            *element(t, row_of(t, past, r), c) = saved[r * t->cols + c];
    free(saved);
}

/* Runs a tile, and sees that it writes all of its box and nothing else. */
static void run_tile(const struct dg_op *op, struct dg_box box, const struct dg_step *step,
                     void *scratch)
{
    const struct dg_tensor *out = op->out;
    const uint32_t past = dg_step_past(step);
    float *hidden[DG_MAX_IN], *before = copy_of(out);
    size_t bytes;
    const float *memory = memory_of(out, &bytes);

    for (unsigned i = 0; i < op->n_in; i++)
        hidden[i] = hide(op, i, box, past);
    ck_assert_int_eq(op->type->run(op, box, step, scratch), 0);
    for (unsigned i = op->n_in; i-- > 0;)
        show_again(op->in[i], hidden[i], past);
    for (size_t r = box.r0; r < box.r1; r++) {
        for (size_t c = box.c0; c < box.c1; c++) {
            const float *now = element(out, row_of(out, past, r), c);

            if (memcmp(now, &UNWRITTEN, 4) == 0)
                ck_abort_msg("%s %s: row %zu, column %zu is not written", op->type->name, op->name,
                             r, c);
            before[now - memory] = *now;
        }
    }
    ck_assert_msg(memcmp(before, memory, bytes) == 0, "%s %s: a tile wrote outside its box",
                  op->type->name, op->name);
    free(before);
}

/* The tiles that write rows of the step, in plan order, but for the first op's. */
static void run_rows(struct stage *s, const struct dg_row *row, uint32_t rows,
                     const struct dg_tiling *tiling, enum dg_isa isa)
{
    const struct dg_step step = {row, rows, dg_kernels_for(isa)};
    struct dg_plan *plan;
    void *scratch;

    ck_assert_msg(dg_graph_check(s->g, &s->err) == DG_OK, "%s", s->err.text);
    ck_assert_msg(dg_plan_new(&plan, s->g, tiling, &s->err) == DG_OK, "%s", s->err.text);
    scratch = malloc(plan->scratch_bytes + 1);
    ck_assert_ptr_nonnull(scratch);
    for (uint32_t t = plan->op_first[1]; t < plan->n_tiles; t++) {
        const struct dg_op *op = dg_tile_op(plan, t);
        struct dg_box out = plan->tiles[t].out;

        out.r1 = out.r1 < rows ? out.r1 : rows;
        if (out.r0 < out.r1)
            ck_assert_int_eq(op->type->run(op, out, &step, scratch), 0);
    }
    free(scratch);
    dg_plan_free(plan);
}

static const struct dg_op *last_op(const struct stage *s)
{
    return &s->g->ops[s->g->n_ops - 1];
}

/* All tiles in plan order; scratch is as large as the plan says. */
static void run_stage(struct stage *s, const struct dg_tiling *tiling, enum dg_isa isa)
{
    const struct dg_op *last = last_op(s); /* maybe logits */
    struct dg_row row[POSITIONS];
    const struct dg_step step = {row, POSITIONS - s->past, dg_kernels_for(isa)};
    struct dg_plan *plan;
    float *scratch;
    size_t n;

    for (uint32_t i = 0; i < step.rows; i++)
        row[i] = (struct dg_row){
            &s->cache, s->past + i,
            i < last->out->rows ? (float *)last->out->data + i * last->out->cols : NULL};
    ck_assert_msg(dg_graph_check(s->g, &s->err) == DG_OK, "%s", s->err.text);
    ck_assert_msg(dg_plan_new(&plan, s->g, tiling, &s->err) == DG_OK, "%s", s->err.text);
    n = dg_round_up(plan->scratch_bytes / 4, 16);
    scratch = guarded_floats(n);
    for (uint32_t t = 0; t < plan->n_tiles; t++) {
        for (size_t i = 0; i < n; i++)
            scratch[i] = NAN;
        run_tile(dg_tile_op(plan, t), plan->tiles[t].out, &step, scratch);
    }
    guarded_free(scratch, n);
    dg_plan_free(plan);
}

/* workers, row_block, col_block; 20 columns are rounded up to 32 */
static const struct dg_tiling tilings[] = {{1, 0, 0},  {4, 1, 16}, {2, 3, 20},
                                           {3, 0, 16}, {4, 2, 48}, {200, 0, 0}};
enum { N_TILINGS = sizeof tilings / sizeof *tilings };

/* What out[row][col] should be. */
typedef double reference(const struct dg_op *op, uint32_t past, size_t row, size_t col);

static void expect_near(const struct stage *s, reference *want, double tolerance)
{
    const struct dg_op *op = last_op(s);

    for (size_t r = 0; r < op->out->rows; r++) {
        for (size_t c = 0; c < op->out->cols; c++) {
            const double got = number(op->out, row_of(op->out, s->past, r), c);
            const double expected = want(op, s->past, r, c);

            if (!(fabs(got - expected) <= tolerance))
                ck_abort_msg("%s: row %zu, column %zu: %.9g, expected %.9g", op->type->name, r, c,
                             got, expected);
        }
    }
}

static void check_op(build *b, unsigned variant, uint32_t past, reference *want, double tolerance)
{
    float *first = NULL;

    for (enum dg_isa isa = DG_ISA_SCALAR; isa; isa = dg_isa_next(isa)) {
        for (size_t i = 0; i < N_TILINGS; i++) {
            struct stage s;
            const struct dg_tensor *out;
            const float *memory;
            size_t bytes;

            stage_new(&s, b, variant, past);
            run_stage(&s, &tilings[i], isa);
            out = last_op(&s)->out;
            memory = memory_of(out, &bytes);
            if (!first) {
                expect_near(&s, want, tolerance);
                first = copy_of(out);
            }
            ck_assert_msg(memcmp(first, memory, bytes) == 0,
                          "%s: other bits with %s and tiling %zu", last_op(&s)->type->name,
                          dg_isa_name(isa), i);
            stage_free(&s);
        }
    }
    free(first);
}

/* ---- embed ---- */

static void build_embed(struct stage *s, unsigned rows)
{
    struct dg_tensor *ids = token_ids(s, rows, 37), *wte = weight(s, "wte", DG_PANELS, 37, 21),
                     *wpe = weight(s, "wpe", DG_ROWS, 12, 21);

    op_of(s, &dg_op_embed, activation(s, "y", rows, 21), ids, wte, wpe, NULL);
}

static double embed_reference(const struct dg_op *op, uint32_t past, size_t row, size_t col)
{
    const int32_t *ids = op->in[0]->data;

    return number(op->in[1], (size_t)ids[row], col) + number(op->in[2], past + row, col);
}

START_TEST(embed)
{
    check_op(build_embed, 1, 0, embed_reference, 2e-7);
    check_op(build_embed, 7, 5, embed_reference, 2e-7); /* up to the last position */
}
END_TEST

/* ---- layernorm ---- */

static void build_layernorm(struct stage *s, unsigned rows)
{
    struct dg_tensor *x = input(s, "x", rows, 35), *gain = weight(s, "gain", DG_ROWS, 1, 35),
                     *bias = weight(s, "bias", DG_ROWS, 1, 35);

    op_of(s, &dg_op_layernorm, activation(s, "y", rows, 35), x, gain, bias, NULL)->epsilon = 1e-3f;
}

static double layernorm_reference(const struct dg_op *op, uint32_t past, size_t row, size_t col)
{
    const struct dg_tensor *x = op->in[0];
    double mean = 0.0, variance = 0.0;

    (void)past;
    for (size_t c = 0; c < x->cols; c++)
        mean += number(x, row, c) / x->cols;
    for (size_t c = 0; c < x->cols; c++)
        variance += (number(x, row, c) - mean) * (number(x, row, c) - mean) / x->cols;
    return (number(x, row, col) - mean) / sqrt(variance + 1e-3) * number(op->in[1], 0, col) +
           number(op->in[2], 0, col);
}

START_TEST(layernorm)
{
    check_op(build_layernorm, 9, 0, layernorm_reference, 2e-6);
    check_op(build_layernorm, 1, 3, layernorm_reference, 2e-6);
}
END_TEST

/* ---- tail ---- */

static void build_tail(struct stage *s, unsigned rows)
{
    op_of(s, &dg_op_tail, activation(s, "y", rows, 35), input(s, "x", 9, 35), NULL, NULL, NULL)
        ->first_row = 9 - rows;
}

static double tail_reference(const struct dg_op *op, uint32_t past, size_t row, size_t col)
{
    (void)past;
    return number(op->in[0], 9 - op->out->rows + row, col);
}

START_TEST(tail)
{
    check_op(build_tail, 1, 0, tail_reference, 0);
    check_op(build_tail, 5, 3, tail_reference, 0);
    check_op(build_tail, 9, 0, tail_reference, 0);
}
END_TEST

/* ---- matmul ---- */

enum { WITH_GELU = 1, WITH_RESIDUAL = 2, BY_HEADS = 4 };

static void build_matmul(struct stage *s, unsigned with)
{
    struct dg_tensor *x = input(s, "x", 7, 29), *w = weight(s, "w", DG_PANELS, 60, 29),
                     *bias = weight(s, "bias", DG_ROWS, 1, 60),
                     *residual = with & WITH_RESIDUAL ? input(s, "residual", 7, 60) : NULL;
    struct dg_op *op = op_of(s, &dg_op_matmul, activation(s, "y", 7, 60), x, w, bias, residual);

    op->activation = with & WITH_GELU ? DG_GELU : DG_NO_ACTIVATION;
    op->residual = with & WITH_RESIDUAL;
    op->heads = with & BY_HEADS ? 3 : 0;
}

static double gelu_of(double x)
{
    return x / 2.0 * (1.0 + tanh(sqrt(2.0 / acos(-1.0)) * (x + 0.044715 * x * x * x)));
}

static double product_reference(const struct dg_op *op, uint32_t past, size_t row, size_t col)
{
    const struct dg_tensor *x = op->in[0], *w = op->in[1];
    double sum = op->type == &dg_op_matmul ? number(op->in[2], 0, col) : 0.0;

    (void)past;
    for (size_t k = 0; k < x->cols; k++)
        sum += number(x, row, k) * number(w, col, k);
    if (op->activation)
        sum = gelu_of(sum);
    return op->residual ? sum + number(op->in[3], row, col) : sum;
}

START_TEST(matmul)
{
    for (unsigned with = 0; with < 8; with++)
        check_op(build_matmul, with, 2, product_reference, 1e-5);
}
END_TEST

/* Heads whose columns start inside a panel, and tiles that start inside a head. */
static const uint32_t head_sizes[] = {20, 5, 16, 24, 48};
enum { N_HEAD_SIZES = sizeof head_sizes / sizeof *head_sizes, HEADS = 3 };

/* variant: a head size, and N_HEAD_SIZES more for values instead of keys. */
static void build_cached(struct stage *s, unsigned variant)
{
    const uint32_t d = head_sizes[variant % N_HEAD_SIZES], cols = HEADS * d;
    struct dg_tensor *x = input(s, "x", 19, 29), *w = weight(s, "w", DG_PANELS, cols, 29),
                     *bias = weight(s, "bias", DG_ROWS, 1, cols);
    struct dg_tensor *y =
        cache(s, variant < N_HEAD_SIZES ? DG_KEYS : DG_VALUES, 19, HEADS, d, s->past);

    op_of(s, &dg_op_matmul, y, x, w, bias, NULL)->heads = HEADS;
}

START_TEST(matmul_into_a_cache)
{
    for (unsigned variant = 0; variant < 2 * N_HEAD_SIZES; variant++) {
        check_op(build_cached, variant, 0, product_reference, 1e-5);
        check_op(build_cached, variant, 13, product_reference, 1e-5);
        check_op(build_cached, variant, 21, product_reference, 1e-5); /* to the last position */
    }
}
END_TEST

/* ---- logits ---- */

static void build_logits(struct stage *s, unsigned rows)
{
    struct dg_tensor *x = input(s, "x", rows, 29), *wte = weight(s, "wte", DG_PANELS, 83, 29);

    op_of(s, &dg_op_logits, activation(s, "y", rows, 83), x, wte, NULL, NULL);
}

START_TEST(logits)
{
    check_op(build_logits, 1, 7, product_reference, 1e-5);
    check_op(build_logits, 5, 0, product_reference, 1e-5);
}
END_TEST

/* ---- attention ---- */

/* Positions after the last of the step hold NaNs. 19 rows are more than are handled at once. The step
 * has 19 rows, 1 row, or 19 of which the last 4 are wanted. */
static void build_attention(struct stage *s, unsigned variant)
{
    static const uint32_t steps[] = {19, 1, 19}, wanted[] = {19, 1, 4};
    const uint32_t d = head_sizes[variant % N_HEAD_SIZES], rows = wanted[variant / N_HEAD_SIZES],
                   all = steps[variant / N_HEAD_SIZES];
    struct dg_tensor *q = input(s, "q", rows, HEADS * d),
                     *k = cache(s, DG_KEYS, all, HEADS, d, s->past + all),
                     *v = cache(s, DG_VALUES, all, HEADS, d, s->past + all);
    struct dg_op *op =
        op_of(s, &dg_op_attention, activation(s, "y", rows, HEADS * d), q, k, v, NULL);

    op->heads = HEADS;
    op->first_row = all - rows;
}

static double score(const struct dg_op *op, size_t row, size_t position, size_t head)
{
    const size_t d = op->out->cols / op->heads;
    double sum = 0.0;

    for (size_t i = head * d; i < (head + 1) * d; i++)
        sum += number(op->in[0], row, i) * number(op->in[1], position, i);
    return sum / sqrt((double)d);
}

static double attention_reference(const struct dg_op *op, uint32_t past, size_t row, size_t col)
{
    const size_t head = col / (op->out->cols / op->heads);
    double weights = 0.0, sum = 0.0;

    for (size_t t = 0; t <= past + op->first_row + row; t++) {
        const double w = exp(score(op, row, t, head));

        weights += w;
        sum += w * number(op->in[2], t, col);
    }
    return sum / weights;
}

START_TEST(attention)
{
    for (unsigned variant = 0; variant < 3 * N_HEAD_SIZES; variant++) {
        check_op(build_attention, variant, 0, attention_reference, 1e-5);
        check_op(build_attention, variant, 13, attention_reference, 1e-5);
        check_op(build_attention, variant, 21, attention_reference, 1e-5);
    }
}
END_TEST

/* ---- rows of several sequences ---- */

/* Keys, values and attention of rows that are dealt out to two sequences, at positions that each has next, in
 * runs of all lengths: each row gets the bits that it has in a step of its own sequence alone. */
START_TEST(rows_of_two_sequences)
{
    enum { ROWS = 24, D = 12, CHANNELS = HEADS * D };
    const struct dg_tiling tiling = {.workers = 2, .row_block = 5};
    struct dg_row mixed[ROWS], apart[2][ROWS];
    uint32_t length[2] = {3, 0}, from[2][ROWS], n[2] = {0, 0};
    uint64_t state = 11;
    struct stage s;
    float *blocks[4][POSITIONS / DG_LANES + 1];
    struct dg_cache caches[4]; /* two of the mixed step, two of the steps apart */
    struct dg_tensor *x, *q, *k, *v, *y;
    float rows[ROWS * CHANNELS];

    stage_new(&s, build_embed, 1, 0); /* a graph, to which the ops are added */
    k = cache(&s, DG_KEYS, ROWS, HEADS, D, 0);
    v = cache(&s, DG_VALUES, ROWS, HEADS, D, 0);
    for (int i = 0; i < 4; i++) {
        float *memory = unwritten(&s, dg_cache_bytes(&s.cache.shape) / sizeof(float));

        memset(memory, 0, dg_cache_bytes(&s.cache.shape)); /* positions before the step */
        caches[i] = cache_in(memory, blocks[i], &s.cache.shape);
    }
    for (uint32_t r = 0, i = 0; r < ROWS; r++) {
        i = random_below(&state, 3) ? i : !i;
        mixed[r] = (struct dg_row){&caches[i], length[i], NULL};
        apart[i][n[i]] = (struct dg_row){&caches[2 + i], length[i]++, NULL};
        from[i][n[i]++] = r;
    }
    ck_assert(n[0] > 5 && n[1] > 5);
    x = input(&s, "x", ROWS, 29);
    q = input(&s, "q", ROWS, CHANNELS);
    y = activation(&s, "y", ROWS, CHANNELS);
    op_of(&s, &dg_op_matmul, k, x, weight(&s, "kw", DG_PANELS, CHANNELS, 29),
          weight(&s, "kb", DG_ROWS, 1, CHANNELS), NULL)
        ->heads = HEADS;
    op_of(&s, &dg_op_matmul, v, x, weight(&s, "vw", DG_PANELS, CHANNELS, 29),
          weight(&s, "vb", DG_ROWS, 1, CHANNELS), NULL)
        ->heads = HEADS;
    op_of(&s, &dg_op_attention, y, q, k, v, NULL)->heads = HEADS;
    for (enum dg_isa isa = DG_ISA_SCALAR; isa; isa = dg_isa_next(isa)) {
        run_rows(&s, mixed, ROWS, &tiling, isa);
        memcpy(rows, y->data, sizeof rows);
        for (int i = 0; i < 2; i++) {
            struct dg_tensor *const given[] = {x, q};
            float *kept[2];

            for (int t = 0; t < 2; t++) { /* the sequence's own rows come first */
                kept[t] = copy_of(given[t]);
                for (uint32_t r = 0; r < n[i]; r++)
                    memcpy(element(given[t], r, 0), kept[t] + from[i][r] * given[t]->cols,
                           given[t]->cols * sizeof(float));
            }
            run_rows(&s, apart[i], n[i], &tiling, isa);
            for (uint32_t r = 0; r < n[i]; r++)
                ck_assert_msg(memcmp(element(y, r, 0), rows + from[i][r] * CHANNELS,
                                     CHANNELS * sizeof *rows) == 0,
                              "%s: other bits in row %u", dg_isa_name(isa), from[i][r]);
            for (int t = 0; t < 2; t++) {
                memcpy(given[t]->data, kept[t], dg_tensor_bytes(given[t]));
                free(kept[t]);
            }
        }
    }
    stage_free(&s);
}
END_TEST

/* ---- gelu and add ---- */

static void build_gelu(struct stage *s, unsigned rows)
{
    op_of(s, &dg_op_gelu, activation(s, "y", rows, 45), input(s, "x", rows, 45), NULL, NULL, NULL);
}

static double gelu_reference(const struct dg_op *op, uint32_t past, size_t row, size_t col)
{
    (void)past;
    return gelu_of(number(op->in[0], row, col));
}

START_TEST(gelu)
{
    check_op(build_gelu, 1, 9, gelu_reference, 1e-6);
    check_op(build_gelu, 7, 0, gelu_reference, 1e-6);
}
END_TEST

static void build_add(struct stage *s, unsigned rows)
{
    struct dg_tensor *a = input(s, "a", rows, 45), *b = input(s, "b", rows, 45);

    op_of(s, &dg_op_add, activation(s, "y", rows, 45), a, b, NULL, NULL);
}

static double add_reference(const struct dg_op *op, uint32_t past, size_t row, size_t col)
{
    (void)past;
    return number(op->in[0], row, col) + number(op->in[1], row, col);
}

START_TEST(add)
{
    check_op(build_add, 1, 9, add_reference, 2e-7);
    check_op(build_add, 7, 0, add_reference, 2e-7);
}
END_TEST

/* ---- load ---- */

enum {
    BF16 = 1,
    PANELS = 2,
    SEVERAL_TILES = 4,
    TRANSPOSED = 8, /* (inputs, outputs) in the file */
    GAPS = 16,      /* rows of the file are GAP elements longer: one of several side by side */
    TOO_SHORT = 32,
    N_LOADS = 64,
    FILE_OFFSET = 22,
    GAP = 5
};

/* Element i of the file: a finite number that a bf16 holds, unlike its neighbours. */
static float in_file(uint64_t i)
{
    const uint32_t upper = (uint32_t)(0x3f80 + i * 7919 % 0x3f00) | (uint32_t)(i & 1) << 15;
    const uint32_t bits = upper << 16;
    float x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

/* A file that no name leads to, with n elements after FILE_OFFSET bytes of something else. */
static void write_file(struct stage *s, size_t n, bool bf16)
{
    char path[] = "/tmp/check_ops.XXXXXX";
    FILE *f = fdopen(mkstemp(path), "wb");

    ck_assert_ptr_nonnull(f);
    for (size_t i = 0; i < FILE_OFFSET; i++)
        putc(0xee, f);
    for (size_t i = 0; i < n; i++) {
        const float x = in_file(i);
        uint32_t bits;
        uint16_t half;

        memcpy(&bits, &x, sizeof bits);
        half = (uint16_t)(bits >> 16);
        fwrite(bf16 ? (const void *)&half : &x, bf16 ? sizeof half : sizeof x, 1, f);
    }
    ck_assert_int_eq(fclose(f), 0);
    ck_assert_msg(dg_file_open(&s->file, path, &s->err) == DG_OK, "%s", s->err.text);
    unlink(path);
}

/* 5000 columns make tiles of 64 rows; the last panel is not full. */
static void build_load(struct stage *s, unsigned variant)
{
    const bool several = variant & SEVERAL_TILES;
    struct dg_tensor w = {.name = "w",
                          .role = DG_WEIGHT,
                          .layout = variant & PANELS ? DG_PANELS : DG_ROWS,
                          .rows = several ? 135 : 37,
                          .cols = several ? 5000 : 19};
    const bool transposed = variant & TRANSPOSED;
    const size_t lines = transposed ? w.cols : w.rows, length = transposed ? w.rows : w.cols;
    const size_t stride = length + (variant & GAPS ? GAP : 0), n = (lines - 1) * stride + length;
    const size_t bytes = variant & BF16 ? 2 : 4;

    write_file(s, variant & TOO_SHORT ? n - 1 : n, variant & BF16);
    s->source = (struct dg_source){.file = &s->file,
                                   .offset = FILE_OFFSET,
                                   .stride = stride * bytes,
                                   .transposed = transposed,
                                   .dtype = variant & BF16 ? DG_BF16 : DG_F32};
    op_of(s, &dg_op_load, empty(s, w), NULL, NULL, NULL, NULL)->source = &s->source;
}

static double load_reference(const struct dg_op *op, uint32_t past, size_t row, size_t col)
{
    const struct dg_source *s = op->source;
    const size_t bytes = s->dtype == DG_BF16 ? 2 : 4;

    (void)past;
    return (double)in_file((s->transposed ? col : row) * s->stride / bytes +
                           (s->transposed ? row : col));
}

START_TEST(load)
{
    for (unsigned variant = 0; variant < TOO_SHORT; variant++) {
        struct stage s;

        stage_new(&s, build_load, variant, 0);
        run_stage(&s, &tilings[1], DG_ISA_SCALAR);
        expect_near(&s, load_reference, 0.0);
        stage_free(&s);
    }
}
END_TEST

/* The last tile of a file that ends one element early fails; those before it do not. */
START_TEST(load_of_a_short_file)
{
    for (unsigned variant = TOO_SHORT; variant < N_LOADS; variant++) {
        const struct dg_step step = {.kernels = &dg_kernels_scalar};
        struct dg_plan *plan;
        struct stage s;
        void *scratch;

        stage_new(&s, build_load, variant, 0);
        ck_assert_int_eq(dg_graph_check(s.g, &s.err), DG_OK);
        ck_assert_int_eq(dg_plan_new(&plan, s.g, &tilings[0], &s.err), DG_OK);
        ck_assert_int_eq(plan->n_tiles, variant & SEVERAL_TILES ? 3 : 1);
        scratch = malloc(plan->scratch_bytes);
        for (uint32_t t = 0; t < plan->n_tiles; t++) {
            const int failed =
                last_op(&s)->type->run(last_op(&s), plan->tiles[t].out, &step, scratch);

            ck_assert_msg((failed > 0) == (t + 1 == plan->n_tiles), "tile %u: %d", t, failed);
        }
        free(scratch);
        dg_plan_free(plan);
        stage_free(&s);
    }
}
END_TEST

/* ---- shapes that dg_graph_check() refuses ---- */

static void expect_refused(struct stage *s, const char *what)
{
    s->err.text[0] = '\0';
    ck_assert_msg(dg_graph_check(s->g, &s->err) == DG_ERR_USAGE, "%s: %s is accepted",
                  last_op(s)->type->name, what);
    ck_assert_msg(strstr(s->err.text, "op under_test") != NULL, "%s: %s: \"%s\"",
                  last_op(s)->type->name, what, s->err.text);
}

enum change { MORE_ROWS = 1, MORE_COLS = 2, OTHER_LAYOUT = 4, OTHER_TYPE = 8, END_OF_CHANGES = 16 };

static void make_change(struct dg_tensor *t, enum change change)
{
    switch (change) {
    case MORE_ROWS:
        t->rows++;
        break;
    case MORE_COLS:
        t->cols += t->heads ? t->heads : 1;
        break;
    case OTHER_LAYOUT: /* rows for panels, keys for values, and the reverse */
        t->layout = (enum dg_layout)(t->layout ^ 1);
        break;
    default:
        t->dtype = t->dtype == DG_F32 ? DG_I32 : DG_F32;
    }
}

/* Each tensor of the op changed in each way. free_to: for in[0], in[1], ... and the output, the
 * changes that give another graph that is right. */
static void refuse_changes(build *b, unsigned variant, const unsigned *free_to)
{
    struct stage s;
    unsigned n_in;

    stage_new(&s, b, variant, 3);
    n_in = last_op(&s)->n_in;
    ck_assert_msg(dg_graph_check(s.g, &s.err) == DG_OK, "%s", s.err.text);
    for (unsigned i = 0; i <= n_in; i++) {
        struct dg_tensor *t = i < n_in ? last_op(&s)->in[i] : last_op(&s)->out;
        const struct dg_tensor good = *t;

        for (unsigned change = 1; change < END_OF_CHANGES; change *= 2) {
            char what[64];

            if (free_to[i] & change)
                continue;
            snprintf(what, sizeof what, "change %u of tensor %u (%s)", change, i, t->name);
            make_change(t, (enum change)change);
            expect_refused(&s, what);
            *t = good;
        }
    }
    stage_free(&s);
}

/* One input too few and one too many. */
static void refuse_inputs(build *b, unsigned variant)
{
    struct stage s;
    struct dg_op *op;

    stage_new(&s, b, variant, 3);
    op = &s.g->ops[s.g->n_ops - 1];
    op->in[op->n_in] = op->in[0];
    op->n_in++;
    expect_refused(&s, "one input more");
    op->n_in -= 2;
    expect_refused(&s, "one input less");
    stage_free(&s);
}

START_TEST(wrong_shapes)
{
    static const struct {
        build *b;
        unsigned variant, free_to[DG_MAX_IN + 1];
    } ops[] = {
        /* a column of ids lies in memory alike in both layouts; V and maxT are the model's */
        {build_embed, 5, {OTHER_LAYOUT, MORE_ROWS, MORE_ROWS}},
        {build_layernorm, 9, {0}},
        {build_tail, 5, {0}},
        {build_matmul, 0, {0}},
        {build_matmul, WITH_GELU | WITH_RESIDUAL | BY_HEADS, {0}},
        {build_cached, 0, {0, 0, 0, OTHER_LAYOUT}},
        {build_cached, N_HEAD_SIZES, {0, 0, 0, OTHER_LAYOUT}},
        {build_logits, 3, {0}},
        {build_attention, 0, {0}},
        {build_gelu, 3, {0}},
        {build_add, 3, {0}},
    };

    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        refuse_changes(ops[i].b, ops[i].variant, ops[i].free_to);
        refuse_inputs(ops[i].b, ops[i].variant);
    }
}
END_TEST

START_TEST(wrong_tail)
{
    struct stage s;

    stage_new(&s, build_tail, 5, 0);
    s.g->ops[0].first_row = 3;
    expect_refused(&s, "an earlier first row");
    s.g->ops[0].first_row = 5;
    expect_refused(&s, "a later first row");
    stage_free(&s);
}
END_TEST

START_TEST(wrong_attention)
{
    struct stage s;
    struct dg_op *op;

    stage_new(&s, build_attention, 0, 3);
    op = &s.g->ops[0];
    op->heads = 0;
    expect_refused(&s, "no heads");
    op->heads = 7; /* does not divide 60 */
    expect_refused(&s, "an odd number of heads");
    op->heads = 6; /* the caches have 3 */
    expect_refused(&s, "other heads than those of the caches");
    op->in[1]->heads = 6;
    expect_refused(&s, "other heads than those of V");
    op->in[1]->heads = 3;
    op->in[2]->heads = op->heads = 6;
    expect_refused(&s, "other heads than those of K");
    op->in[2]->heads = op->heads = 3;
    op->in[1]->role = DG_ACTIVATION;
    expect_refused(&s, "keys that are no cache");
    op->in[1]->role = DG_CACHE;
    op->in[2]->positions--;
    expect_refused(&s, "a shorter cache of values");
    stage_free(&s);
}
END_TEST

START_TEST(wrong_matmul_into_a_cache)
{
    struct stage s;
    struct dg_op *op;

    stage_new(&s, build_cached, 0, 3);
    op = &s.g->ops[0];
    op->activation = DG_GELU;
    expect_refused(&s, "gelu into a cache");
    op->activation = DG_NO_ACTIVATION;
    op->in[op->n_in++] = input(&s, "residual", op->out->rows, op->out->cols);
    op->residual = true;
    expect_refused(&s, "a residual into a cache");
    op->residual = false;
    op->n_in--;
    op->out->layout = DG_ROWS;
    expect_refused(&s, "a cache in rows");
    op->out->layout = DG_PANELS;
    expect_refused(&s, "a cache in panels");
    stage_free(&s);
}
END_TEST

START_TEST(wrong_load)
{
    struct stage s;
    struct dg_op *op;

    stage_new(&s, build_load, PANELS, 0);
    op = &s.g->ops[0];
    ck_assert_int_eq(dg_graph_check(s.g, &s.err), DG_OK);
    op->out->role = DG_ACTIVATION;
    expect_refused(&s, "an activation from a file");
    op->out->role = DG_WEIGHT;
    op->out->dtype = DG_I32;
    expect_refused(&s, "integers from a file");
    op->out->dtype = DG_F32;
    op->in[op->n_in++] = input(&s, "x", 1, 1);
    expect_refused(&s, "an input");
    stage_free(&s);
}
END_TEST

/* ---- fusion ---- */

static struct dg_tensor *layernorm_of(struct stage *s, struct dg_tensor *x)
{
    struct dg_tensor *gain = weight(s, "gain", DG_ROWS, 1, x->cols),
                     *bias = weight(s, "bias", DG_ROWS, 1, x->cols),
                     *y = activation(s, "normal", x->rows, x->cols);

    op_of(s, &dg_op_layernorm, y, x, gain, bias, NULL);
    return y;
}

static struct dg_tensor *last_of(struct stage *s, struct dg_tensor *x)
{
    struct dg_tensor *y = activation(s, "last", 1, x->cols);

    op_of(s, &dg_op_tail, y, x, NULL, NULL, NULL)->first_row = x->rows - 1;
    return y;
}

static struct dg_op *product_to(struct stage *s, struct dg_tensor *y, struct dg_tensor *x)
{
    struct dg_tensor *w = weight(s, "w", DG_PANELS, y->cols, x->cols),
                     *bias = weight(s, "bias", DG_ROWS, 1, y->cols);

    return op_of(s, &dg_op_matmul, y, x, w, bias, NULL);
}

static struct dg_tensor *product_of(struct stage *s, struct dg_tensor *x, uint32_t cols)
{
    struct dg_tensor *y = activation(s, "product", x->rows, cols);

    product_to(s, y, x);
    return y;
}

static struct dg_tensor *gelu_after(struct stage *s, struct dg_tensor *x)
{
    struct dg_tensor *y = activation(s, "gelu", x->rows, x->cols);

    op_of(s, &dg_op_gelu, y, x, NULL, NULL, NULL);
    return y;
}

static struct dg_tensor *sum_of(struct stage *s, struct dg_tensor *a, struct dg_tensor *b)
{
    struct dg_tensor *y = activation(s, "sum", a->rows, a->cols);

    op_of(s, &dg_op_add, y, a, b, NULL, NULL);
    return y;
}

enum { T = 5, C = 36, V = 50 };

static struct dg_tensor *attention_of(struct stage *s, struct dg_tensor *x)
{
    struct dg_tensor *q = activation(s, "q", T, C), *y = activation(s, "mixed", T, C),
                     *k = cache(s, DG_KEYS, T, HEADS, C / HEADS, s->past),
                     *v = cache(s, DG_VALUES, T, HEADS, C / HEADS, s->past);

    product_to(s, q, x)->heads = HEADS;
    product_to(s, k, x)->heads = HEADS;
    product_to(s, v, x)->heads = HEADS;
    op_of(s, &dg_op_attention, y, q, k, v, NULL)->heads = HEADS;
    return y;
}

/* A GPT-2 of one layer, which asks for the logits of its last row. */
static void build_gpt2(struct stage *s, unsigned variant)
{
    struct dg_tensor *ids = token_ids(s, T, V), *wte = weight(s, "wte", DG_PANELS, V, C),
                     *wpe = weight(s, "wpe", DG_ROWS, 40, C), *x = activation(s, "x", T, C);

    (void)variant;
    op_of(s, &dg_op_embed, x, ids, wte, wpe, NULL);
    x = sum_of(s, x, product_of(s, attention_of(s, layernorm_of(s, x)), C));
    x = sum_of(s, x, product_of(s, gelu_after(s, product_of(s, layernorm_of(s, x), 4 * C)), C));
    x = layernorm_of(s, last_of(s, x));
    op_of(s, &dg_op_logits, activation(s, "logits", 1, V), x, wte, NULL, NULL);
}

/* Graphs with no, one or two ops that can be absorbed. */
enum {
    PRODUCT_READ_TWICE,
    SUM_WITH_ITSELF,
    PRODUCT_IN_TWO_SUMS,
    OTHER_WRITTEN_LATER,
    OTHER_WRITTEN_LATER_B,
    GELU_OF_LAYERNORM,
    GELU_OF_GELU,
    GELU_OF_SUM,
    SUM_A,
    SUM_B,
    SUM_WITH_OWN_INPUT,
    SUM_OF_PRODUCTS,
    SUM_OF_PRODUCTS_REVERSED,
    GELU_THEN_SUM,
    N_SMALL
};

static const unsigned absorbed[N_SMALL] = {
    [GELU_OF_GELU] = 1,
    [GELU_OF_SUM] = 1,
    [SUM_A] = 1,
    [SUM_B] = 1,
    [SUM_OF_PRODUCTS] = 1,
    [SUM_OF_PRODUCTS_REVERSED] = 1,
    [SUM_WITH_OWN_INPUT] = 1,
    [GELU_THEN_SUM] = 2,
};

static void build_small(struct stage *s, unsigned variant)
{
    struct dg_tensor *x = input(s, "x", T, C), *r = input(s, "r", T, C), *m = NULL, *n;

    if (variant != GELU_OF_LAYERNORM)
        m = product_of(s, x, C);
    switch (variant) {
    case PRODUCT_READ_TWICE:
        sum_of(s, gelu_after(s, m), m);
        break;
    case SUM_WITH_ITSELF:
        sum_of(s, m, m);
        break;
    case PRODUCT_IN_TWO_SUMS:
        sum_of(s, sum_of(s, m, r), m);
        break;
    case OTHER_WRITTEN_LATER:
        sum_of(s, layernorm_of(s, x), m);
        break;
    case OTHER_WRITTEN_LATER_B:
        sum_of(s, m, layernorm_of(s, x));
        break;
    case GELU_OF_LAYERNORM:
        gelu_after(s, layernorm_of(s, x));
        break;
    case GELU_OF_GELU:
        gelu_after(s, gelu_after(s, m));
        break;
    case GELU_OF_SUM:
        gelu_after(s, sum_of(s, r, m));
        break;
    case SUM_A:
        sum_of(s, m, r);
        break;
    case SUM_B:
        sum_of(s, r, m);
        break;
    case SUM_WITH_OWN_INPUT:
        sum_of(s, x, m);
        break;
    case SUM_OF_PRODUCTS:
        sum_of(s, m, product_of(s, r, C));
        break;
    case SUM_OF_PRODUCTS_REVERSED:
        n = product_of(s, r, C);
        sum_of(s, n, m);
        break;
    default:
        sum_of(s, r, gelu_after(s, m));
    }
}

/* The bits of all that outlives a step: the last op's output and the caches. */
static void expect_same_results(const struct stage *a, const struct stage *b, const char *what)
{
    const struct dg_tensor *x = last_op(a)->out, *y = last_op(b)->out;

    ck_assert_msg(memcmp(x->data, y->data, dg_tensor_bytes(x)) == 0, "%s: other results", what);
    if (a->cache.block)
        ck_assert_msg(memcmp(cache_memory(&a->cache), cache_memory(&b->cache),
                             dg_cache_bytes(&a->cache.shape)) == 0,
                      "%s: other cache", what);
}

/* How many tensors no op names any more. */
static unsigned orphans(struct dg_graph *g)
{
    unsigned n = 0;

    dg_graph_link(g);
    for (unsigned i = 0; i < g->n_tensors; i++)
        n += !dg_graph_writer(g, &g->tensors[i]) && dg_graph_readers(g, &g->tensors[i]) == 0;
    return n;
}

static void check_fusion(build *b, unsigned variant, unsigned gone)
{
    for (enum dg_isa isa = DG_ISA_SCALAR; isa; isa = dg_isa_next(isa)) {
        for (size_t i = 0; i < N_TILINGS; i++) {
            struct stage apart, fused;
            char what[64];
            unsigned n;

            stage_new(&apart, b, variant, 6);
            stage_new(&fused, b, variant, 6);
            n = fused.g->n_ops;
            ck_assert_uint_eq(dg_graph_fuse(fused.g), gone);
            ck_assert_uint_eq(fused.g->n_ops, n - gone);
            ck_assert_uint_eq(fused.g->n_tensors, apart.g->n_tensors - orphans(apart.g) - gone);
            ck_assert_uint_eq(orphans(fused.g), 0);
            run_stage(&apart, &tilings[i], isa);
            run_stage(&fused, &tilings[i], isa);
            snprintf(what, sizeof what, "variant %u, %s", variant, dg_isa_name(isa));
            expect_same_results(&apart, &fused, what);
            stage_free(&apart);
            stage_free(&fused);
        }
    }
}

START_TEST(fusion_of_gpt2)
{
    check_fusion(build_gpt2, 0, 3);
}
END_TEST

START_TEST(fusion_where_it_may)
{
    for (unsigned variant = 0; variant < N_SMALL; variant++)
        check_fusion(build_small, variant, absorbed[variant]);
}
END_TEST

static void expect_op(const struct dg_op *op, bool gelu_in, bool residual, const char *out)
{
    ck_assert_ptr_eq(op->type, &dg_op_matmul);
    ck_assert_int_eq(op->activation, gelu_in ? DG_GELU : DG_NO_ACTIVATION);
    ck_assert_int_eq(op->residual, residual);
    ck_assert_uint_eq(op->n_in, residual ? 4 : 3);
    ck_assert_str_eq(op->out->name, out);
}

/* What the fused ops look like: in GPT-2's block, and where either of two products could take the
 * sum, but one runs too early. */
START_TEST(fused_ops)
{
    struct stage s;

    stage_new(&s, build_gpt2, 0, 0);
    dg_graph_fuse(s.g);
    expect_op(&s.g->ops[2], false, false, "q");
    expect_op(&s.g->ops[6], false, true, "sum");
    ck_assert_ptr_eq(s.g->ops[6].in[3], s.g->ops[0].out);
    expect_op(&s.g->ops[8], true, false, "gelu");
    expect_op(&s.g->ops[9], false, true, "sum");
    ck_assert_ptr_eq(s.g->ops[9].in[3], s.g->ops[6].out);
    stage_free(&s);
    for (unsigned variant = SUM_OF_PRODUCTS; variant <= SUM_OF_PRODUCTS_REVERSED; variant++) {
        stage_new(&s, build_small, variant, 0);
        dg_graph_fuse(s.g);
        expect_op(&s.g->ops[0], false, false, "product");
        expect_op(&s.g->ops[1], false, true, "sum");
        ck_assert_ptr_eq(s.g->ops[1].in[3], s.g->ops[0].out);
        stage_free(&s);
    }
}
END_TEST

/* A cache outlives the step, so a product in one keeps its output. Only fusion looks at this
 * graph: no gelu reads a cache. */
static void build_cached_gelu(struct stage *s, unsigned variant)
{
    struct dg_tensor *x = input(s, "x", T, C), *k = cache(s, DG_KEYS, T, HEADS, C / HEADS, 0);

    (void)variant;
    product_to(s, k, x);
    gelu_after(s, k);
}

START_TEST(no_fusion_into_a_cache)
{
    struct stage s;

    stage_new(&s, build_cached_gelu, 0, 0);
    ck_assert_uint_eq(dg_graph_fuse(s.g), 0);
    ck_assert_uint_eq(s.g->n_ops, 2);
    expect_op(&s.g->ops[0], false, false, "cache");
    stage_free(&s);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {embed,
                                  layernorm,
                                  tail,
                                  matmul,
                                  matmul_into_a_cache,
                                  logits,
                                  attention,
                                  rows_of_two_sequences,
                                  gelu,
                                  add,
                                  load,
                                  load_of_a_short_file,
                                  wrong_shapes,
                                  wrong_tail,
                                  wrong_attention,
                                  wrong_matmul_into_a_cache,
                                  wrong_load,
                                  fusion_of_gpt2,
                                  fusion_where_it_may,
                                  fused_ops,
                                  no_fusion_into_a_cache,
                                  NULL};

    return run_suite("ops", tests);
}
