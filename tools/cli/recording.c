/* The recording is in memory until the program leaves: whatever ends it, what was recorded by then is
 * written, after the work and never during a step. */
#include "recording.h"
#include "files.h"
#include "leaving.h"
#include "output.h"
#include "progress.h"
#include "signals.h"
#include "../../src/model/model.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *path, *window;
static uint64_t events = 60000;
static unsigned edges;

static const char *const edge_choices[] = {"last", "all", NULL};

const struct cli_option cli_trace_options[] = {
    {0, "trace", CLI_OUTPUT, "FILE", "record the tiles of each step; 'dagpt trace FILE' reads it",
     &path, 0, 0, NULL},
    {0, "trace-tokens", CLI_TEXT, "A:B", "only steps on tokens A to B - 1 of the sequence", &window,
     0, 0, NULL},
    {0, "trace-edges", CLI_CHOICE, "NAME", "arrows to a tile from the last of its inputs, or all",
     &edges, 0, 0, edge_choices},
    {0, "trace-events", CLI_NUMBER, "N", "room for N tiles and waits (60000)", &events, 1, 1 << 26,
     NULL},
    {0},
};

/* The machine's limits are measured for so long each, after a recording of WORTH_LIMITS seconds or more. */
#define LIMITS_SECONDS 0.06
#define WORTH_LIMITS   0.2

static struct recording {
    struct dg_trace *trace;
    enum dg_isa isa;
    struct dg_model *const *model;
    struct trace_facts facts;
    struct cli_output output;
} recording;

/* "A:B", A < B. */
static bool parse_window(const char *text, uint64_t *first, uint64_t *end)
{
    char *at;

    if (text[strspn(text, "0123456789:")] || *text == ':') /* strtoull takes blanks and signs */
        return false;
    errno = 0;
    *first = strtoull(text, &at, 10);
    if (*at != ':' || !at[1])
        return false;
    *end = strtoull(at + 1, &at, 10);
    return *at == '\0' && errno == 0 && *first < *end;
}

/* ---- the end ---- */

static double recorded_seconds(const struct dg_trace *tr)
{
    uint64_t ns = 0;

    for (size_t i = 0; i < tr->n_steps; i++)
        ns += tr->steps[i].end - tr->steps[i].start;
    return 1e-9 * (double)ns;
}

/* What so many workers can do. In the model's weights, which are there, and are what steps read: touching
 * as much memory anew took seconds, on some machines, behind a run of a fifth of one. */
static bool measure(const struct recording *r, unsigned workers, struct limits *limits)
{
    const struct dg_model *m = *r->model;
    struct dg_team *team;
    enum dg_status st;

    if (dg_team_new(&team, workers, workers, NULL) != DG_OK)
        return false;
    st = limits_measure_on(m->tensors[0].data, dg_model_bytes(m), team, r->isa, LIMITS_SECONDS,
                           cli_signal, limits, NULL);
    dg_team_free(team);
    return st == DG_OK;
}

/* By 1, 2, 4, ... workers and by as many as there are CPUs. A signal ends it. */
static void measure_limits(struct recording *r)
{
    const unsigned most = dg_usable_cpus();
    struct trace_facts *f = &r->facts;

    cli_progress_begin("measuring the limits of the machine");
    for (unsigned w = 1; f->n_limits < LIMITS_MOST; w = 2 * w < most ? 2 * w : most) {
        if (!measure(r, w, &f->limits[f->n_limits]))
            break;
        f->n_limits++;
        cli_progress_at((double)w / most);
        if (w == most)
            break;
    }
    cli_progress_end();
}

/* Are they worth it, and is there a model to measure them in? */
static bool wants_limits(const struct recording *r)
{
    return cli_exit_code() == 0 && recorded_seconds(r->trace) >= WORTH_LIMITS && *r->model &&
           dg_model_is_loaded(*r->model);
}

/* errno of what failed, or 0. */
static int write_trace(struct recording *r, struct dg_trace *trace)
{
    bool ok;

    if (!cli_output_begin(&r->output))
        return errno;
    cli_progress_begin("writing the trace");
    ok = trace_write(r->output.writing.to, trace, &r->facts, cli_progress_at);
    cli_progress_end();
    if (!ok) {
        cli_output_drop(&r->output);
        return ENOMEM;
    }
    return cli_output_keep(&r->output) ? 0 : errno;
}

bool cli_records_elsewhere;
struct dg_trace *(*cli_when_recorded)(struct dg_trace *trace, struct trace_facts *facts);

static void end_recording(void)
{
    struct recording *r = &recording;
    struct dg_trace *trace = r->trace;
    uint64_t dropped;
    bool empty;
    int failed;

    cli_signals_cancel(NULL);
    r->facts.all_edges = edges == 1;
    if (cli_when_recorded)
        trace = cli_when_recorded(trace, &r->facts);
    else if (wants_limits(r))
        measure_limits(r);
    if (!trace) {
        dg_trace_free(r->trace);
        return;
    }
    dropped = trace->dropped;
    empty = trace->n_steps == 0;
    failed = write_trace(r, trace);
    dg_trace_free(r->trace);
    if (dropped)
        fprintf(stderr,
                "dagpt: %s: no room for steps of %" PRIu64
                " tiles (--trace-events, --trace-tokens)\n",
                path, dropped);
    if (failed)
        cli_cannot_write(path, failed);
    if (empty)
        fprintf(stderr, "dagpt: %s: no step was recorded\n", path);
}

/* ---- the beginning ---- */

void cli_record(struct dg_team *team, enum dg_isa isa, const struct trace_facts *facts,
                struct dg_model *const *model)
{
    struct recording *r = &recording;
    uint64_t first = 0, end = UINT64_MAX;
    struct dg_error err;

    if (window && !parse_window(window, &first, &end))
        cli_die(DG_ERR_USAGE, "--trace-tokens: got '%s', expected A:B with A < B, as in 0:64",
                window);
    for (const struct cli_option *o = cli_trace_options + 1; !path && o->name; o++)
        if (cli_given(o->target))
            cli_die(DG_ERR_USAGE, "got --%s, expected --trace with it", o->name);
    if (!path)
        return;
    if (!cli_records_elsewhere) {
        cli_writes("--trace", path, false);
        if (!cli_output_prepare(&r->output, path))
            cli_cannot_write(path, errno);
    }
    cli_check(dg_trace_new(&r->trace, team, events, &err), &err);
    dg_trace_window(r->trace, first, end);
    r->isa = isa;
    r->model = model;
    r->facts = *facts;
    cli_on_leaving(end_recording);
    cli_signals_catch();
    cli_signals_cancel(team);
}
