/* dagpt trace FILE [FILE]... - what a recorded run did. It knows the file alone, neither model nor machine:
 * a trace can be read elsewhere, and later. */
#include "commands.h"
#include "ranks.h"
#include "../cli/files.h"
#include "../cli/leaving.h"
#include "../cli/options.h"
#include "../cli/output.h"
#include "../trace/trace_html.h"
#include "../trace/trace_replay.h"
#include "../trace/trace_report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool json;
static const char *what_if, *html;
static double fail_above = -1;

static const struct cli_option options[] = {
    {0, "what-if", CLI_TEXT, "LIST", "predict the time on other numbers of workers, as in 1,2,4",
     &what_if, 0, 0, NULL},
    {0, "html", CLI_OUTPUT, "OUT", "write one page that shows the trace, for a browser", &html, 0,
     0, NULL},
    {0, "fail-above", CLI_REAL, "PERCENT", "two files: exit 1 when the second is slower by more",
     &fail_above, 0, 1e6, NULL},
    {0, "json", CLI_FLAG, NULL, "one JSON object", &json, 0, 0, NULL},
    {0},
};

static const struct cli_option *const tables[] = {options, ranks_options, NULL};

static const struct cli_command command = {
    "trace", "[OPTION]... FILE [FILE]...",
    "Reads what --trace recorded. One file: where the time of workers and ops went, the\n"
    "critical path, the longest gaps and why. Two: what changed from the first to the second.\n"
    "FILE may be - for standard input, a pipe, or packed by gzip.\n"
    "With --what-if: the first file's tiles replayed on other numbers of workers, each as far "
    "from\n"
    "the machine's limits as it was; further files are runs of the same steps to compare the\n"
    "predictions with.",
    tables};

enum { MAX_FILES = 64, MAX_GUESSES = 32, SLOWER = 1 };

static struct trace_file *read_trace(const char *path)
{
    struct trace_file *t;
    struct dg_error err;

    cli_reads(path);
    cli_check(trace_file_read(&t, path, &err), &err);
    return t;
}

static void summarize(struct trace_summary *s, const struct trace_file *t)
{
    if (!trace_summarize(s, t))
        cli_die(DG_ERR_RESOURCE, "out of memory for a summary");
}

/* ---- what if ---- */

/* The numbers of the list; leaves with 2 on another text. */
static size_t parse_list(struct report_guess *list)
{
    size_t n = 0;
    const char *at = what_if;

    do {
        char *end;
        const unsigned long workers = *at >= '1' && *at <= '9' ? strtoul(at, &end, 10) : 0;

        if (n == MAX_GUESSES || workers < 1 || workers > DG_MAX_WORKERS ||
            (*end != ',' && *end != '\0'))
            cli_die(DG_ERR_USAGE,
                    "--what-if: got '%s', expected up to %d numbers from 1 to %d, as "
                    "in 1,2,4",
                    what_if, MAX_GUESSES, DG_MAX_WORKERS);
        list[n++] = (struct report_guess){.workers = (unsigned)workers};
        at = *end ? end + 1 : end;
    } while (*at || at[-1] == ',');
    return n;
}

static void predict(uint64_t ns[2], const struct trace_file *t, unsigned workers,
                    const struct replay_costs *costs)
{
    for (int p = 0; p < 2; p++)
        if (!replay(&ns[p], t, workers, p == 1, costs))
            cli_die(DG_ERR_RESOURCE, "out of memory for a replay");
}

/* A run of the same steps is what was measured for its number of workers. */
static void add_measured(struct report_guess *list, size_t n, const struct trace_file *t,
                         const struct trace_summary *first, const char *path)
{
    const int p = !strcmp(t->sched, "barrier");
    struct trace_summary s;

    summarize(&s, t);
    if (s.steps != first->steps || s.rows != first->rows)
        cli_die(DG_ERR_USAGE,
                "%s: got %zu steps of %llu tokens, expected %zu of %llu, as in the "
                "first file",
                path, s.steps, (unsigned long long)s.rows, first->steps,
                (unsigned long long)first->rows);
    for (size_t i = 0; i < n; i++)
        if (list[i].workers == trace_at_work(t))
            list[i].measured[p] = s.wall;
    trace_summary_free(&s);
}

static void run_what_if(char **paths, int n_paths)
{
    struct report_guess list[MAX_GUESSES];
    const size_t n = parse_list(list);
    struct trace_file *t = read_trace(paths[0]);
    struct replay_costs costs;
    struct trace_summary s;
    uint64_t one[2];

    if (t->n_ranks > 0)
        cli_die(DG_ERR_USAGE, "%s: got a run of %zu processes, expected --what-if of one", paths[0],
                t->n_ranks);
    summarize(&s, t);
    if (!replay_costs(&costs, t))
        cli_die(DG_ERR_RESOURCE, "out of memory for a replay");
    predict(one, t, 1, &costs);
    for (size_t i = 0; i < n; i++)
        predict(list[i].predicted, t, list[i].workers, &costs);
    add_measured(list, n, t, &s, paths[0]);
    for (int i = 1; i < n_paths; i++) {
        struct trace_file *other = read_trace(paths[i]);

        add_measured(list, n, other, &s, paths[i]);
        trace_file_free(other);
    }
    (json ? report_what_if_json : report_what_if)(list, n, one,
                                                  &(struct report_run){paths[0], t, s});
    trace_summary_free(&s);
    trace_file_free(t);
}

/* The same on several processes; --what-if is how many workers each has. */
static void run_ranks(char **paths, int n_paths)
{
    struct report_guess list[MAX_GUESSES];
    struct report_run runs[MAX_FILES];

    if (parse_list(list) != 1)
        cli_die(DG_ERR_USAGE, "--what-if: got '%s', expected one number with --ranks", what_if);
    for (int i = 0; i < n_paths; i++) {
        runs[i] = (struct report_run){paths[i], read_trace(paths[i]), {0}};
        summarize(&runs[i].s, runs[i].t);
    }
    if (runs[0].t->n_ranks > 0)
        cli_die(DG_ERR_USAGE, "%s: got a run of %zu processes, expected --what-if of one", paths[0],
                runs[0].t->n_ranks);
    ranks_what_if(&runs[0], list[0].workers, runs + 1, (size_t)n_paths - 1, json);
    for (int i = 0; i < n_paths; i++) {
        trace_summary_free(&runs[i].s);
        trace_file_free((struct trace_file *)runs[i].t);
    }
}

/* ---- one file, two files ---- */

static void run_summary(const char *path)
{
    struct trace_file *t = read_trace(path);
    struct trace_summary s;

    summarize(&s, t);
    (json ? report_summary_json : report_summary)(path, t, &s);
    trace_summary_free(&s);
    trace_file_free(t);
}

static void write_page(const char *path)
{
    struct trace_file *t;
    struct cli_output output;
    struct trace_summary s;

    cli_writes("--html", html, true);
    t = read_trace(path);
    summarize(&s, t);
    if (!cli_output_open(&output, html))
        cli_cannot_write(html, errno);
    if (!trace_html(output.writing.to, t, &s)) {
        cli_output_drop(&output);
        cli_die(DG_ERR_RESOURCE, "out of memory for a page");
    }
    if (!cli_output_keep(&output))
        cli_cannot_write(html, errno);
    trace_summary_free(&s);
    trace_file_free(t);
}

static int run_diff(char **paths)
{
    struct trace_file *a = read_trace(paths[0]), *b = read_trace(paths[1]);
    struct report_run runs[2] = {{paths[0], a, {0}}, {paths[1], b, {0}}};
    int status = 0;

    summarize(&runs[0].s, a);
    summarize(&runs[1].s, b);
    if (!(json ? report_diff_json : report_diff)(&runs[0], &runs[1]))
        cli_die(DG_ERR_RESOURCE, "out of memory for a comparison");
    if (fail_above >= 0) {
        if (runs[0].s.steps != runs[1].s.steps || runs[0].s.rows != runs[1].s.rows)
            cli_die(DG_ERR_USAGE, "--fail-above: the two files have other steps");
        if (report_slower(&runs[0], &runs[1]) > fail_above) {
            cli_flush();
            fprintf(stderr, "dagpt: %s: %.1f %% slower than %s, more than %g %%\n", paths[1],
                    report_slower(&runs[0], &runs[1]), paths[0], fail_above);
            status = SLOWER;
        }
    }
    for (int i = 0; i < 2; i++)
        trace_summary_free(&runs[i].s);
    trace_file_free(a);
    trace_file_free(b);
    return status;
}

/* "-" more than once would be two readers of one text. */
static void check_paths(char **paths, int n)
{
    int inputs = 0;

    for (int i = 0; i < n; i++)
        inputs += strcmp(paths[i], "-") == 0;
    if (inputs > 1)
        cli_die(DG_ERR_USAGE, "trace: got standard input %d times, expected it once", inputs);
}

int cmd_trace(int argc, char **argv)
{
    const int n = cli_parse(&command, argc, argv);
    int status = 0;

    if (n == 0)
        cli_die(DG_ERR_USAGE, "no trace file; 'dagpt trace --help' tells more");
    if (n > (what_if ? MAX_FILES : 2))
        cli_die(DG_ERR_USAGE, "trace: got %d files, expected at most %d", n,
                what_if ? MAX_FILES : 2);
    if (fail_above >= 0 && (what_if || n != 2))
        cli_die(DG_ERR_USAGE, "--fail-above compares two files");
    if (html && (what_if || json || n != 1))
        cli_die(DG_ERR_USAGE, "--html takes one file, and neither --what-if nor --json");
    check_paths(argv + 1, n);
    if (ranks_asked() && !what_if)
        cli_die(DG_ERR_USAGE, "--ranks: expected --what-if with it");
    if (html)
        write_page(argv[1]);
    else if (ranks_asked())
        run_ranks(argv + 1, n);
    else if (what_if)
        run_what_if(argv + 1, n);
    else if (n == 1)
        run_summary(argv[1]);
    else
        status = run_diff(argv + 1);
    cli_flush();
    return status;
}
