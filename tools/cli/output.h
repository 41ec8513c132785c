/* output.h - files that are written whole or not at all. */
#ifndef DG_TOOLS_OUTPUT_H
#define DG_TOOLS_OUTPUT_H

#include <stdbool.h>
#include <stdio.h>

/* A new file, which takes the place of `name` in the end; or what `name` is already, when that is no
 * file but a pipe or a device. When the program ends before, nothing is left of the new file. Only SIGKILL
 * may leave it beside `name`: between link and rename, or where a file system has no unnamed files. */
struct cli_output {
    FILE *to;
    char *name;
    bool unnamed; /* the new file has no name yet */
    char *beside; /* its name for now, if it has one */
};

/* These return false, and errno, when it cannot be written; then there is nothing to drop. */
bool cli_output_open(struct cli_output *o, const char *path);
bool cli_output_keep(struct cli_output *o); /* closes; on errors, what was there is still there */
bool cli_output_try(const char *path);      /* opens and drops: before long work, not after */
void cli_output_drop(struct cli_output *o); /* closes, and removes the new file */

#endif
