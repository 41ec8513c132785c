/* The library as it should not be used, as far as dagpt.h says what happens then: NULL, objects that were not
 * made, frees in any order, a sequence in two threads, a team in a forked process or from within. */
#include "../../support/support.h"
#include "../../../src/dagpt.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORKERS = 3, N = 6, VOCAB = 97 };

static const char path[] = "tests/golden/tiny.bin";
static const int32_t prompt[N] = {24, 94, 91, 6, 18, 19};

struct all {
    struct dg_team *team;
    struct dg_model *model;
    struct dg_engine *engine;
    struct dg_sequence *text;
};

static void make_all_with(struct all *a, const struct dg_engine_options *opt)
{
    struct dg_error err = {0};

    ck_assert_msg(dg_team_new(&a->team, WORKERS, WORKERS, &err) == DG_OK, "%s", err.text);
    ck_assert_msg(dg_model_open(&a->model, path, a->team, &err) == DG_OK, "%s", err.text);
    ck_assert_msg(dg_engine_new(&a->engine, a->model, a->team, opt, &err) == DG_OK, "%s", err.text);
    ck_assert_msg(dg_sequence_new(&a->text, a->engine, &err) == DG_OK, "%s", err.text);
}

static void make_all(struct all *a)
{
    make_all_with(a, NULL);
}

static void free_all(struct all *a)
{
    dg_sequence_free(a->text);
    dg_engine_free(a->engine);
    dg_model_free(a->model);
    dg_team_free(a->team);
}

/* The logits after the prompt, of a sequence that has nothing. */
static void eval_prompt(struct dg_sequence *text, float logits[VOCAB])
{
    struct dg_error err = {0};

    ck_assert_msg(dg_sequence_eval(text, prompt, N, 1, &err) == DG_OK, "%s", err.text);
    memcpy(logits, dg_sequence_logits(text), VOCAB * sizeof *logits);
}

/* ---- NULL ---- */

/* The status, and a message that goes with it; both also without a place for the message. */
#define refused(expected_status, call_with_err, call_without)                                      \
    do {                                                                                           \
        struct dg_error err = {0};                                                                 \
        ck_assert_int_eq(call_with_err, expected_status);                                          \
        ck_assert_int_eq(err.status, expected_status);                                             \
        ck_assert_msg(err.text[0] && !strchr(err.text, '\n'), "'%s'", err.text);                   \
        ck_assert_int_eq(call_without, expected_status);                                           \
    } while (0)
#define refused_null(f, ...) refused(DG_ERR_USAGE, f(__VA_ARGS__, &err), f(__VA_ARGS__, NULL))

START_TEST(null_places_and_objects)
{
    struct all a;
    struct dg_team *team;
    struct dg_trace *trace;
    struct dg_model *model;
    struct dg_engine *engine;
    struct dg_sequence *text;
    struct dg_tokenizer *t;
    struct dg_sampler *sampler;
    struct dg_sizes sizes;

    make_all(&a);
    refused_null(dg_team_new, NULL, 1, 0);
    refused_null(dg_trace_new, NULL, a.team, 10);
    refused_null(dg_trace_new, &trace, NULL, 10);
    refused_null(dg_model_peek, NULL, &sizes);
    refused_null(dg_model_peek, path, NULL);
    refused_null(dg_model_open, NULL, path, a.team);
    refused_null(dg_model_open, &model, NULL, a.team);
    refused_null(dg_model_parse, NULL, "", 0, "x", a.team);
    refused_null(dg_model_parse, &model, NULL, 0, "x", a.team);
    refused_null(dg_model_parse, &model, "", 0, NULL, a.team);
    refused_null(dg_engine_new, NULL, a.model, a.team, NULL);
    refused_null(dg_engine_new, &engine, NULL, a.team, NULL);
    refused_null(dg_engine_new, &engine, a.model, NULL, NULL);
    refused_null(dg_sequence_new, NULL, a.engine);
    refused_null(dg_sequence_new, &text, NULL);
    refused_null(dg_sequence_eval, NULL, prompt, N, 1);
    refused_null(dg_sequence_eval, a.text, NULL, N, 1);
    refused_null(dg_tokenizer_open, NULL, path);
    refused_null(dg_tokenizer_open, &t, NULL);
    refused_null(dg_tokenizer_of_model, NULL, path);
    refused_null(dg_tokenizer_of_model, &t, NULL);
    refused_null(dg_tokenizer_parse, NULL, "", 0, "x");
    refused_null(dg_tokenizer_parse, &t, NULL, 1, "x");
    refused_null(dg_tokenizer_parse, &t, "", 0, NULL);
    refused_null(dg_sampler_new, NULL, 1, NULL);
    team = a.team; /* what a failed call leaves there is NULL */
    ck_assert_int_ne(dg_team_new(&team, 0, 0, NULL), DG_OK);
    ck_assert_ptr_null(team);
    model = a.model;
    ck_assert_int_ne(dg_model_open(&model, "/nonexistent", NULL, NULL), DG_OK);
    ck_assert_ptr_null(model);
    refused_null(dg_engine_new, &engine, model, team, NULL);
    refused_null(dg_sequence_new, &text, engine);
    ck_assert_ptr_null(text);
    sampler = (struct dg_sampler *)&a;
    ck_assert_int_ne(dg_sampler_new(&sampler, 0, NULL, NULL), DG_OK);
    ck_assert_ptr_null(sampler);
    free_all(&a);
}
END_TEST

START_TEST(null_arguments)
{
    float logits[4] = {1, 2, 3, 4}, probs[4];
    struct dg_tokenizer *t;
    struct dg_sampler *s;
    int32_t ids[] = {1}, *encoded, id;
    size_t n = 1;

    ck_assert_int_eq(dg_tokenizer_parse(&t, NULL, 0, "none", NULL), DG_OK);
    refused_null(dg_tokenizer_encode, NULL, "a", 1, &encoded, &n);
    refused_null(dg_tokenizer_encode, t, NULL, 1, &encoded, &n);
    refused_null(dg_tokenizer_encode, t, "a", 1, NULL, &n);
    refused_null(dg_tokenizer_encode, t, "a", 1, &encoded, NULL);
    refused_null(dg_tokenizer_encode_special, t, NULL, 1, &encoded, &n);
    refused(DG_ERR_RESOURCE, dg_tokenizer_encode(t, "a", SIZE_MAX, &encoded, &n, &err),
            dg_tokenizer_encode(t, "a", SIZE_MAX, &encoded, &n, NULL));
    ck_assert_ptr_null(encoded);
    ck_assert_uint_eq(n, 0);
    ck_assert_int_eq(dg_tokenizer_encode(t, NULL, 0, &encoded, &n, NULL), DG_OK);
    free(encoded);
    ck_assert_ptr_null(dg_tokenizer_bytes(t, 1, NULL));
    dg_tokenizer_free(t);

    ck_assert_int_eq(dg_sampler_new(&s, 4, NULL, NULL), DG_OK);
    refused_null(dg_sampler_next, NULL, logits, ids, 1, &id);
    refused_null(dg_sampler_next, s, NULL, ids, 1, &id);
    refused_null(dg_sampler_next, s, logits, NULL, 1, &id);
    refused_null(dg_sampler_next, s, logits, ids, 1, NULL);
    ck_assert_int_eq(dg_sampler_next(s, logits, NULL, 0, &id, NULL), DG_OK);
    ck_assert_int_eq(id, 3);
    dg_sampler_free(s);
    refused_null(dg_softmax, NULL, logits, 4, &id);
    refused_null(dg_softmax, probs, NULL, 4, &id);
    refused_null(dg_softmax, probs, logits, 4, NULL);
    refused_null(dg_softmax, probs, logits, 0, &id);
}
END_TEST

static void tell_nothing(void *arg, double done)
{
    (void)arg;
    (void)done;
}

START_TEST(null_elsewhere)
{
    const float one = 1;
    size_t n;

    dg_team_free(NULL);
    dg_team_progress(NULL, tell_nothing, NULL);
    dg_team_cancel(NULL);
    dg_team_uncancel(NULL);
    dg_trace_free(NULL);
    dg_trace_window(NULL, 0, 1);
    dg_model_free(NULL);
    dg_engine_free(NULL);
    dg_sequence_free(NULL);
    dg_sequence_rewind(NULL, 0);
    dg_tokenizer_free(NULL);
    dg_sampler_free(NULL);
    ck_assert_uint_eq(dg_team_workers(NULL), 0);
    ck_assert_uint_eq(dg_team_awake(NULL), 0);
    ck_assert_uint_eq(dg_model_sizes(NULL).vocab, 0);
    ck_assert_ptr_null(dg_sequence_logits(NULL));
    ck_assert_uint_eq(dg_sequence_position(NULL), 0);
    ck_assert_uint_eq(dg_tokenizer_vocab(NULL), 0);
    ck_assert_int_eq(dg_tokenizer_begin(NULL), -1);
    ck_assert_int_eq(dg_tokenizer_end(NULL), -1);
    ck_assert_ptr_null(dg_tokenizer_bytes(NULL, 0, &n));
    ck_assert_int_eq(dg_pick(NULL, 1, 0.5f), -1);
    ck_assert_int_eq(dg_pick(&one, 0, 0.5f), -1);
    ck_assert(isnan(dg_log_probability(NULL, 1, 0)));
    ck_assert(isnan(dg_log_probability(&one, 0, 0)));
    ck_assert_str_eq(dg_isa_name((enum dg_isa)99), "unknown");
    ck_assert_str_eq(dg_sched_name((enum dg_sched) - 1), "unknown");
}
END_TEST

/* ---- lifetime ---- */

static void free_one(struct all *a, int which)
{
    if (which == 0)
        dg_team_free(a->team);
    else if (which == 1)
        dg_model_free(a->model);
    else if (which == 2)
        dg_engine_free(a->engine);
    else
        dg_sequence_free(a->text);
}

/* Team, model, engine and sequence, in each of the 24 orders: as long as there is the sequence, it works. */
START_TEST(freed_in_any_order)
{
    float expected[VOCAB], logits[VOCAB];
    unsigned orders = 0;
    struct all a;

    make_all(&a);
    eval_prompt(a.text, expected);
    free_all(&a);
    for (int code = 0; code < 256; code++) {
        const int which[4] = {code & 3, code >> 2 & 3, code >> 4 & 3, code >> 6};

        if ((1 << which[0] | 1 << which[1] | 1 << which[2] | 1 << which[3]) != 15)
            continue;
        orders++;
        make_all(&a);
        for (int i = 0, left = 1; i < 4; i++) {
            free_one(&a, which[i]);
            left = left && which[i] != 3;
            if (!left)
                continue;
            dg_sequence_rewind(a.text, 0);
            eval_prompt(a.text, logits);
            ck_assert_mem_eq(logits, expected, sizeof expected);
        }
    }
    ck_assert_uint_eq(orders, 24);
}
END_TEST

/* Does nothing: the step that it would free is being told. */
static void free_trace(void *arg, const struct dg_traced_tile *tile)
{
    (void)tile;
    dg_trace_free(arg);
}

START_TEST(trace_outlives_its_team)
{
    struct dg_trace *trace, *other;
    struct all a;

    make_all(&a);
    ck_assert_int_eq(dg_trace_new(&trace, a.team, 4096, NULL), DG_OK);
    dg_trace_tell(trace, free_trace, trace);
    refused_null(dg_trace_new, &other, a.team, 4096);
    ck_assert_ptr_null(other);
    ck_assert_int_eq(dg_sequence_eval(a.text, prompt, N, 1, NULL), DG_OK);
    free_all(&a);
    dg_trace_window(trace, 0, 1);
    dg_trace_free(trace);
}
END_TEST

START_TEST(unloaded_model_of_two_engines)
{
    float expected[VOCAB], logits[VOCAB];
    struct dg_engine *second, *third;
    struct dg_model *model;
    struct dg_sequence *text;
    struct all a;

    make_all(&a);
    eval_prompt(a.text, expected);
    ck_assert_int_eq(dg_model_open(&model, path, NULL, NULL), DG_OK);
    ck_assert_int_eq(dg_engine_new(&second, model, a.team, NULL, NULL), DG_OK);
    refused_null(dg_engine_new, &third, model, a.team, NULL);
    dg_engine_free(second); /* without a step: the model is free again */
    ck_assert_int_eq(dg_engine_new(&second, model, a.team, NULL, NULL), DG_OK);
    ck_assert_int_eq(dg_sequence_new(&text, second, NULL), DG_OK);
    eval_prompt(text, logits);
    ck_assert_mem_eq(logits, expected, sizeof expected);
    ck_assert_int_eq(dg_engine_new(&third, model, a.team, NULL, NULL), DG_OK); /* loaded */
    dg_sequence_free(text);
    dg_engine_free(third);
    dg_engine_free(second);
    dg_model_free(model);
    free_all(&a);
}
END_TEST

/* ---- threads ---- */

struct thread {
    pthread_t id;
    struct dg_sequence *text;
    const float *expected;
    unsigned evals, refused;
};

/* Evaluates again and again, and looks at the logits each time. */
static void *own_sequence(void *arg)
{
    struct thread *t = arg;
    float logits[VOCAB];

    for (unsigned i = 0; i < t->evals; i++) {
        dg_sequence_rewind(t->text, 0);
        eval_prompt(t->text, logits);
        ck_assert_mem_eq(logits, t->expected, sizeof logits);
    }
    return NULL;
}

static void run_threads(struct thread *t, int n, void *(*f)(void *arg))
{
    for (int i = 0; i < n; i++)
        ck_assert_int_eq(pthread_create(&t[i].id, NULL, f, &t[i]), 0);
    for (int i = 0; i < n; i++)
        pthread_join(t[i].id, NULL);
}

/* Sequences of one engine, and of another that shares the team: they take turns. */
START_TEST(sequences_in_threads)
{
    enum { THREADS = 4 };
    const unsigned evals = sanitized() ? 20 : 200;
    struct thread t[THREADS];
    struct dg_engine *other;
    float expected[VOCAB];
    struct all a;

    make_all(&a);
    eval_prompt(a.text, expected);
    ck_assert_int_eq(dg_engine_new(&other, a.model, a.team, NULL, NULL), DG_OK);
    for (int i = 0; i < THREADS; i++) {
        t[i] = (struct thread){.expected = expected, .evals = evals};
        ck_assert_int_eq(dg_sequence_new(&t[i].text, i < 2 ? a.engine : other, NULL), DG_OK);
    }
    run_threads(t, THREADS, own_sequence);
    for (int i = 0; i < THREADS; i++)
        dg_sequence_free(t[i].text);
    dg_engine_free(other);
    free_all(&a);
}
END_TEST

/* Engines with teams of their own, on one model and on two: side by side. */
START_TEST(teams_side_by_side)
{
    const unsigned evals = sanitized() ? 20 : 200;
    struct all a, b;
    struct dg_team *team;
    struct dg_engine *engine;
    struct dg_sequence *text;
    float expected[VOCAB];

    make_all(&a);
    make_all(&b);
    eval_prompt(a.text, expected);
    ck_assert_int_eq(dg_team_new(&team, 2, 2, NULL), DG_OK);
    ck_assert_int_eq(dg_engine_new(&engine, a.model, team, NULL, NULL), DG_OK);
    ck_assert_int_eq(dg_sequence_new(&text, engine, NULL), DG_OK);
    {
        struct thread t[] = {{.text = a.text, .expected = expected, .evals = evals},
                             {.text = b.text, .expected = expected, .evals = evals},
                             {.text = text, .expected = expected, .evals = evals}};

        run_threads(t, 3, own_sequence);
    }
    dg_sequence_free(text);
    dg_engine_free(engine);
    dg_team_free(team);
    free_all(&b);
    free_all(&a);
}
END_TEST

/* Called inside an eval: another thread's eval of the same sequence is refused now, for sure. */
struct inside {
    struct dg_sequence *text, *other;
    unsigned calls;
    enum dg_status here, here_other, there;
    char message[1024];
};

static void *eval_there(void *arg)
{
    struct inside *in = arg;
    struct dg_error err = {0};

    in->there = dg_sequence_eval(in->text, prompt, 1, 0, &err);
    memcpy(in->message, err.text, sizeof in->message);
    return NULL;
}

static void try_inside(void *arg, double done)
{
    struct inside *in = arg;
    pthread_t thread;

    (void)done;
    if (in->calls++ > 0)
        return;
    dg_sequence_rewind(in->text, 0);
    dg_sequence_free(in->text);
    in->here = dg_sequence_eval(in->text, prompt, 1, 0, NULL);
    in->here_other = dg_sequence_eval(in->other, prompt, 1, 0, NULL);
    ck_assert_int_eq(pthread_create(&thread, NULL, eval_there, in), 0);
    pthread_join(thread, NULL);
}

START_TEST(inside_an_eval)
{
    /* worker 0 runs all tiles */
    const struct dg_engine_options opt = {.sched = DG_SCHED_SERIAL};
    float expected[VOCAB], logits[VOCAB];
    struct inside in = {0};
    struct all a;

    make_all_with(&a, &opt);
    eval_prompt(a.text, expected);
    dg_sequence_rewind(a.text, 0);
    in.text = a.text;
    ck_assert_int_eq(dg_sequence_new(&in.other, a.engine, NULL), DG_OK);
    dg_team_progress(a.team, try_inside, &in);
    eval_prompt(a.text, logits);
    dg_team_progress(a.team, NULL, NULL);
    ck_assert_uint_gt(in.calls, 0);
    ck_assert_int_eq(in.here, DG_ERR_USAGE);
    ck_assert_int_eq(in.here_other, DG_ERR_USAGE);
    ck_assert_int_eq(in.there, DG_ERR_USAGE);
    ck_assert_msg(strstr(in.message, "another eval"), "%s", in.message);
    ck_assert_mem_eq(logits, expected, sizeof logits); /* the sequence is as it was */
    ck_assert_uint_eq(dg_sequence_position(a.text), N);
    ck_assert_uint_eq(dg_sequence_position(in.other), 0);
    dg_sequence_free(in.other);
    free_all(&a);
}
END_TEST

/* ---- fork ---- */

/* In the child: 0 when all is as dagpt.h says, else which of it is not. */
static int child(struct all *a, struct dg_trace *trace, const float *expected)
{
    struct dg_error err = {0};
    struct all own = {.model = a->model};
    struct dg_model *model;

    if (dg_sequence_eval(a->text, prompt, N, 1, &err) != DG_ERR_RESOURCE ||
        !strstr(err.text, "fork"))
        return 1;
    if (dg_sequence_position(a->text) != 0 || dg_sequence_logits(a->text))
        return 2;
    if (dg_model_open(&model, path, a->team, &err) != DG_ERR_RESOURCE || model)
        return 3;
    dg_team_progress(a->team, tell_nothing, NULL);
    dg_trace_free(trace);
    /* ThreadSanitizer and qemu-user end a fork that starts threads. */
    if (sanitized())
        return 0;
    if (dg_team_new(&own.team, WORKERS, WORKERS, &err) != DG_OK ||
        dg_engine_new(&own.engine, own.model, own.team, NULL, &err) != DG_OK ||
        dg_sequence_new(&own.text, own.engine, &err) != DG_OK ||
        dg_sequence_eval(own.text, prompt, N, 1, &err) != DG_OK)
        return 4;
    if (memcmp(dg_sequence_logits(own.text), expected, VOCAB * sizeof *expected) != 0)
        return 5;
    dg_sequence_free(own.text);
    dg_engine_free(own.engine);
    dg_team_free(own.team);
    free_all(a);
    return 0;
}

START_TEST(forked)
{
    float expected[VOCAB], logits[VOCAB];
    struct dg_trace *trace;
    struct all a;
    int status;
    pid_t pid;

    make_all(&a);
    eval_prompt(a.text, expected);
    dg_sequence_rewind(a.text, 0);
    ck_assert_int_eq(dg_trace_new(&trace, a.team, 4096, NULL), DG_OK);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        _exit(child(&a, trace, expected));
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    eval_prompt(a.text, logits); /* the parent's are as they were */
    ck_assert_mem_eq(logits, expected, sizeof logits);
    dg_trace_free(trace);
    free_all(&a);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {null_places_and_objects,
                                  null_arguments,
                                  null_elsewhere,
                                  freed_in_any_order,
                                  trace_outlives_its_team,
                                  unloaded_model_of_two_engines,
                                  sequences_in_threads,
                                  teams_side_by_side,
                                  inside_an_eval,
                                  forked,
                                  NULL};

    return run_suite("misuse", tests);
}
