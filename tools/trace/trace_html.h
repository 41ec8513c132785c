/* trace_html.h - a trace as a page that shows it. */
#ifndef DG_TOOLS_TRACE_HTML_H
#define DG_TOOLS_TRACE_HTML_H

#include "trace_analysis.h"

#include <stdio.h>

/* Writes one HTML file, which loads nothing else: the viewer (tools/viewer/) with the trace in it, and with
 * its summary, so that the page has the figures of the report. Names may be any bytes: they cannot end the
 * element that they are put into. False: out of memory. Errors of the stream: ferror(to). */
bool trace_html(FILE *to, const struct trace_file *t, const struct trace_summary *s);

#endif
