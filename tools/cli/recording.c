/* --trace: records what the team does between cli_engine_open() and cli_engine_close(). */
#include "cli.h"
#include "../limits/limits.h"
#include "../trace/trace_write.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
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

static struct dg_trace *trace;
static volatile sig_atomic_t stopped; /* the signal that asked for it */

static void stop(int signal_number)
{
    stopped = signal_number;
}

/* A signal that would end the program ends the recording first. */
static void catch_signal(int number)
{
    const struct sigaction catch = {.sa_handler = stop};
    struct sigaction now;

    if (sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
        sigaction(number, &catch, NULL);
}

bool cli_trace_stopped(void)
{
    return stopped != 0;
}

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

/* ---- begin and end ---- */

void cli_trace_begin(struct cli_engine *e)
{
    uint64_t first = 0, end = UINT64_MAX;
    struct dg_error err;

    if (window && !parse_window(window, &first, &end))
        cli_die(DG_ERR_USAGE, "--trace-tokens: got '%s', expected A:B with A < B, as in 0:64",
                window);
    if (!path)
        return;
    if (!cli_output_try(path))
        cli_die(DG_ERR_IO, "%s: cannot write: %s", path, strerror(errno));
    cli_check(dg_trace_new(&trace, e->team, events, &err), &err);
    dg_trace_window(trace, first, end);
    catch_signal(SIGINT);
    catch_signal(SIGTERM);
}

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

    for (unsigned w = 1; n < LIMITS_MOST && !stopped; w = 2 * w < most ? 2 * w : most) {
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

static struct trace_facts facts_of(const struct cli_engine *e, bool measure)
{
    const char *slash = strrchr(cli_model_path(), '/');
    const enum dg_isa isa = cli_model.isa < dg_isa_best() ? cli_model.isa : dg_isa_best();
    struct trace_facts f = {
        .command = cli_command_line(),
        .model = slash ? slash + 1 : cli_model_path(),
        .sizes = e->sizes,
        .workers = dg_team_workers(e->team),
        .cpus = cli_model.cpus ? (unsigned)cli_model.cpus : dg_usable_cpus(),
        .isa = dg_isa_name(isa),
        .sched = dg_sched_name(cli_model.sched),
        .all_edges = edges == 1,
    };

    f.n_limits = measure ? measure_limits(f.limits, isa) : 0;
    return f;
}

/* errno of what failed, or 0. */
static int write_trace(const struct cli_engine *e, struct dg_trace *tr, bool measure)
{
    const struct trace_facts facts = facts_of(e, measure);
    struct cli_output output;

    if (!cli_output_open(&output, path))
        return errno;
    if (!trace_write(output.to, tr, &facts)) {
        cli_output_drop(&output);
        return ENOMEM;
    }
    return cli_output_keep(&output) ? 0 : errno;
}

void cli_trace_end(const struct cli_engine *e, bool leaving)
{
    struct dg_trace *tr = trace;
    uint64_t dropped;
    int failed;

    if (!tr)
        return;
    trace = NULL; /* an error below closes the engine again */
    dropped = tr->dropped;
    failed = write_trace(e, tr, !leaving && !stopped && recorded_seconds(tr) >= WORTH_LIMITS);
    dg_trace_free(tr);
    if (dropped)
        fprintf(stderr,
                "dagpt: %s: no room for steps of %" PRIu64
                " tiles (--trace-events, --trace-tokens)\n",
                path, dropped);
    if (failed && leaving)
        fprintf(stderr, "dagpt: %s: cannot write: %s\n", path, strerror(failed));
    else if (failed)
        cli_die(DG_ERR_IO, "%s: cannot write: %s", path, strerror(failed));
    if (stopped && !leaving) {
        signal(stopped, SIG_DFL);
        raise(stopped);
    }
}
