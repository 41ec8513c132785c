/* trace_text.h - the text of a trace, wherever it comes from. */
#ifndef DG_TOOLS_TRACE_TEXT_H
#define DG_TOOLS_TRACE_TEXT_H

#include "../../src/base/status.h"

/* What errors call a path: "-" is standard input. */
const char *trace_text_name(const char *path);

/* All of a file, pipe or device, or of standard input; what gzip has packed is unpacked by gzip. *n bytes, which
 * the caller frees. Text that does not begin as an object is not read to its end. */
enum dg_status trace_text_read(char **out, size_t *n, const char *path, struct dg_error *err);

#endif
