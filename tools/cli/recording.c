/* The recording is in memory until the program leaves: whatever ends it, what was recorded by then is
 * written, after the work and never during a step. */
#include "recording.h"
#include "leaving.h"
#include "output.h"
#include "signals.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *path, *window;
static uint64_t events = 1 << 18;
static unsigned edges;

static const char *const edge_choices[] = {"last", "all", NULL};

const struct cli_option cli_trace_options[] = {
    {0, "trace", CLI_TEXT, "FILE", "record the tiles of each step; 'dagpt trace FILE' reads it",
     &path, 0, 0, NULL},
    {0, "trace-tokens", CLI_TEXT, "A:B", "only steps on tokens A to B - 1 of the sequence", &window,
     0, 0, NULL},
    {0, "trace-edges", CLI_CHOICE, "NAME", "arrows to a tile from the last of its inputs, or all",
     &edges, 0, 0, edge_choices},
    {0, "trace-events", CLI_NUMBER, "N", "room for N tiles and waits of each worker (262144)",
     &events, 1, 1 << 26, NULL},
    {0},
};

/* The machine's limits are measured for so long each, after a recording of WORTH_LIMITS seconds or more. */
#define LIMITS_SECONDS 0.1
#define WORTH_LIMITS   0.2

static struct recording {
    struct dg_trace *trace;
    enum dg_isa isa;
    struct trace_facts facts;
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

/* By 1, 2, 4, ... workers and by as many as there are CPUs; how many numbers of workers that were. */
static unsigned measure_limits(struct limits limits[LIMITS_MOST], enum dg_isa isa)
{
    const unsigned most = dg_usable_cpus();
    unsigned n = 0;

    for (unsigned w = 1; n < LIMITS_MOST && !cli_signal(); w = 2 * w < most ? 2 * w : most) {
        struct dg_team *team;
        enum dg_status st;

        if (dg_team_new(&team, w, w, NULL) != DG_OK)
            break;
        st = limits_measure(team, isa, LIMITS_SECONDS, &limits[n], NULL);
        dg_team_free(team);
        if (st != DG_OK)
            break;
        n++;
        if (w == most)
            break;
    }
    return n;
}

/* errno of what failed, or 0. */
static int write_trace(struct recording *r)
{
    struct cli_output output;

    if (!cli_output_open(&output, path))
        return errno;
    if (!trace_write(output.to, r->trace, &r->facts)) {
        cli_output_drop(&output);
        return ENOMEM;
    }
    return cli_output_keep(&output) ? 0 : errno;
}

static void end_recording(void)
{
    struct recording *r = &recording;
    const uint64_t dropped = r->trace->dropped;
    int failed;

    r->facts.all_edges = edges == 1;
    if (cli_exit_code() == 0 && recorded_seconds(r->trace) >= WORTH_LIMITS)
        r->facts.n_limits = measure_limits(r->facts.limits, r->isa);
    failed = write_trace(r);
    dg_trace_free(r->trace);
    if (dropped)
        fprintf(stderr,
                "dagpt: %s: no room for steps of %" PRIu64
                " tiles (--trace-events, --trace-tokens)\n",
                path, dropped);
    if (failed)
        cli_die(DG_ERR_IO, "%s: cannot write: %s", path, strerror(failed));
}

/* ---- the beginning ---- */

void cli_record(struct dg_team *team, enum dg_isa isa, const struct trace_facts *facts)
{
    struct recording *r = &recording;
    uint64_t first = 0, end = UINT64_MAX;
    struct dg_error err;

    if (window && !parse_window(window, &first, &end))
        cli_die(DG_ERR_USAGE, "--trace-tokens: got '%s', expected A:B with A < B, as in 0:64",
                window);
    if (!path)
        return;
    if (!cli_output_try(path))
        cli_die(DG_ERR_IO, "%s: cannot write: %s", path, strerror(errno));
    cli_check(dg_trace_new(&r->trace, team, events, &err), &err);
    dg_trace_window(r->trace, first, end);
    r->isa = isa;
    r->facts = *facts;
    cli_on_leaving(end_recording);
    cli_signals_catch();
}
