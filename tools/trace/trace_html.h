/* trace_html.h - a trace as a page that shows it. */
#ifndef DG_TOOLS_TRACE_HTML_H
#define DG_TOOLS_TRACE_HTML_H

#include "trace_file.h"

#include <stdio.h>

/* Writes one HTML file, which loads nothing else: the viewer (tools/viewer/) with the trace in it.
 * Names may be any bytes: they cannot end the element that they are put into. Errors: ferror(to). */
void trace_html(FILE *to, const struct trace_file *t);

#endif
