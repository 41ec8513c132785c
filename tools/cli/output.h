/* output.h - files that are written whole or not at all.
 *
 * `path` may also be "-" (standard output), /dev/stdout, /dev/stderr, /dev/fd/N, a pipe with a name, or a
 * device: these are written to. A file is made anew beside the one named, as NAME.part-PID, and takes its
 * place in the end: with the rights and, where the system allows it, the owner of the file that was there;
 * where that is a symbolic link, in the place of what it leads to. When the program ends before, nothing
 * is left of the new file. After SIGKILL it is, and the next output of that name removes it. */
#ifndef DG_TOOLS_OUTPUT_H
#define DG_TOOLS_OUTPUT_H

#include "writing.h"

struct cli_output {
    struct cli_writing writing; /* writing.to: print there */
    char *name;                 /* of the file that it becomes; NULL: it becomes no file */
    char *beside;               /* its name for now */
};

/* N, if that is what `path` means, as /dev/fd/N does, or -1. */
int cli_output_descriptor(const char *path);

/* Where a file of that name is, or would be made: the links are followed, also one that leads to nothing
 * yet. The caller's to free; NULL, and errno, where it cannot be told. */
char *cli_output_place(const char *path);

/* Before long work: opens what is no file, and tries whether a file can be made. Then cli_output_begin()
 * makes it. cli_output_open() does both. These return false, and errno, when it cannot be written; then
 * there is nothing to drop. *o must stay where it is. A pipe's reader is waited for. */
bool cli_output_prepare(struct cli_output *o, const char *path);
bool cli_output_begin(struct cli_output *o);
bool cli_output_open(struct cli_output *o, const char *path);

bool cli_output_keep(struct cli_output *o); /* closes; on errors, what was there is still there */
void cli_output_drop(struct cli_output *o); /* closes, and removes the new file; errno stays */

#endif
