/* trace_report.h - what 'dagpt trace' prints. Everything goes to standard output. */
#ifndef DG_TOOLS_TRACE_REPORT_H
#define DG_TOOLS_TRACE_REPORT_H

#include "trace_analysis.h"

void report_summary(const char *name, const struct trace_file *t, const struct trace_summary *s);
void report_summary_json(const char *name, const struct trace_file *t,
                         const struct trace_summary *s);

/* Two runs, b against a. */
struct report_run {
    const char *name;
    const struct trace_file *t;
    struct trace_summary s;
};

/* False: out of memory. */
bool report_diff(const struct report_run *a, const struct report_run *b);
bool report_diff_json(const struct report_run *a, const struct report_run *b);

/* Percent that b's steps took longer than a's; below 0: shorter. */
double report_slower(const struct report_run *a, const struct report_run *b);

/* Predictions for one number of workers: [0] dataflow, [1] barrier. 0: not measured. */
struct report_guess {
    unsigned workers;
    uint64_t predicted[2], measured[2];
};

/* one[p]: the prediction for one worker, that speed-ups are against. from: the run that was replayed. */
void report_what_if(const struct report_guess *list, size_t n, const uint64_t one[2],
                    const struct report_run *from);
void report_what_if_json(const struct report_guess *list, size_t n, const uint64_t one[2],
                         const struct report_run *from);

#endif
