/* Two passes: the first checks the syntax and finds the two parts of the file, which may stand in
 * any order; the second reads them, plans and steps (trace_facts.c, trace_plans.c) before events
 * (trace_events.c). Everything that is allocated is in proportion to the bytes of the file: a number in it
 * alone can claim nothing. */
#include "trace_file.h"
#include "trace_read.h"
#include "trace_text.h"

#include <stdlib.h>
#include <string.h>

static enum dg_status syntax(const struct trace_reader *r, struct dg_error *err)
{
    return r->j.error ? dg_json_refuse(&r->j, r->name, DG_ERR_MODEL, err) : DG_OK;
}

static enum dg_status read_all(struct trace_reader *r, struct dg_error *err)
{
    struct dg_json facts = {0}, events = {0};
    enum dg_status st;
    char key[16];

    if (dg_json_object(&r->j)) {
        while (dg_json_key(&r->j, key, sizeof key)) {
            if (!strcmp(key, "dagpt"))
                facts = r->j;
            else if (!strcmp(key, "traceEvents"))
                events = r->j;
            dg_json_skip(&r->j);
        }
    }
    dg_json_end(&r->j);
    st = syntax(r, err);
    if (st != DG_OK)
        return st;
    if (!facts.text || !events.text)
        return dg_fail(err, DG_ERR_MODEL, "%s: no \"%s\" in it: expected a trace by dagpt", r->name,
                       facts.text ? "traceEvents" : "dagpt");
    r->j = facts;
    trace_read_facts(r);
    st = syntax(r, err);
    if (st == DG_OK)
        st = trace_check_facts(r, err);
    if (st != DG_OK)
        return st;
    r->j = events;
    trace_read_events(r);
    st = syntax(r, err);
    return st == DG_OK ? trace_place_slices(r, err) : st;
}

enum dg_status trace_file_parse(struct trace_file **out, const char *name, const char *text,
                                size_t n, struct dg_error *err)
{
    struct trace_reader r = {.name = name, .bytes = n};
    enum dg_status st;

    r.t = calloc(1, sizeof *r.t);
    if (!r.t)
        return dg_fail_memory(err, "a trace", sizeof *r.t);
    dg_json_open(&r.j, text, n);
    r.t->command = calloc(1, 1);
    r.t->model = calloc(1, 1);
    st = r.t->command && r.t->model ? read_all(&r, err) : dg_fail_memory(err, "a trace", 2);
    if (st == DG_OK)
        *out = r.t;
    else
        trace_file_free(r.t);
    return st;
}

enum dg_status trace_file_read(struct trace_file **out, const char *path, struct dg_error *err)
{
    char *text;
    size_t n;
    enum dg_status st = trace_text_read(&text, &n, path, err);

    if (st != DG_OK)
        return st;
    st = trace_file_parse(out, trace_text_name(path), text, n, err);
    free(text);
    return st;
}

struct limits trace_limits(const struct trace_file *t, unsigned workers)
{
    const struct limits *l = t->limits;
    unsigned i = 0;

    if (t->n_limits == 0)
        return (struct limits){0};
    while (i < t->n_limits && l[i].workers < workers)
        i++;
    if (i == t->n_limits)
        return l[i - 1];
    if (i > 0 && l[i].workers > workers) {
        const double part =
            (double)(workers - l[i - 1].workers) / (l[i].workers - l[i - 1].workers);

        return (struct limits){
            workers, l[i - 1].read_gbps + part * (l[i].read_gbps - l[i - 1].read_gbps),
            l[i - 1].fma_gflops + part * (l[i].fma_gflops - l[i - 1].fma_gflops)};
    }
    return l[i];
}

void trace_file_free(struct trace_file *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n_plans; i++) {
        free(t->plans[i].ops);
        free(t->plans[i].tiles);
        free(t->plans[i].first);
        free(t->plans[i].next);
        free(t->plans[i].waits);
    }
    for (size_t i = 0; i < t->n_steps; i++) {
        free(t->steps[i].runs);
        free(t->steps[i].visits);
    }
    free(t->command);
    free(t->model);
    free(t->plans);
    free(t->steps);
    free(t->slices);
    free(t->ranks);
    free(t);
}
