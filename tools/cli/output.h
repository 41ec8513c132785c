/* output.h - files that are written whole or not at all. */
#ifndef DG_TOOLS_OUTPUT_H
#define DG_TOOLS_OUTPUT_H

#include <stdbool.h>
#include <stdio.h>

/* A new file beside `name`, which takes its place in the end; or what `name` is already, when that
 * is no file but a pipe or a device. */
struct cli_output {
    FILE *to;
    char *name, *made; /* made: the new file, or NULL */
};

/* These return false, and errno, when it cannot be written; then there is nothing to drop. */
bool cli_output_open(struct cli_output *o, const char *path);
bool cli_output_keep(struct cli_output *o); /* closes; on errors, what was there is still there */
bool cli_output_try(const char *path);      /* opens and drops: before long work, not after */
void cli_output_drop(struct cli_output *o); /* closes, and removes the new file */

#endif
