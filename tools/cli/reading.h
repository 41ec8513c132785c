/* reading.h - standard input as a stream that waits for what is still to come, also where it is
 * non-blocking. */
#ifndef DG_TOOLS_READING_H
#define DG_TOOLS_READING_H

#include <stdio.h>

/* The one stream of standard input; not closed by anybody. */
FILE *cli_stdin(void);

#endif
