/* trace_html.h - a trace as a page that shows it. */
#ifndef DG_TOOLS_TRACE_HTML_H
#define DG_TOOLS_TRACE_HTML_H

#include <stddef.h>
#include <stdio.h>

/* Writes one HTML file, which loads nothing else: the viewer (tools/viewer/) with the n bytes of
 * trace_json in it. Any bytes are safe: they cannot end the element that they are put into, and what
 * is not UTF-8 is replaced by U+FFFD. The page says so when they are not a trace. Errors: ferror(to). */
void trace_html(FILE *to, const char *trace_json, size_t n);

#endif
