/* folder.h - a folder of files that is written whole or not at all, as output.h has it of one file: its files are
 * written into NAME.part-PID, which takes its name in the end. */
#ifndef DG_TOOLS_FOLDER_H
#define DG_TOOLS_FOLDER_H

#include "writing.h"

struct cli_folder {
    const char *const *files; /* that may be in it, NULL-terminated */
    char *name;               /* what it becomes */
    char *beside;             /* its name for now; NULL: it is not there */
    int fd;                   /* of it; -1 */
    struct cli_writing file;  /* the one at hand */
};

/* Makes the new folder. Only `files`, which must last, are ever made in it. *f must stay where it is. False, and
 * errno: it cannot be made; then there is nothing to drop. */
bool cli_folder_begin(struct cli_folder *f, const char *path, const char *const *files);

/* A new file in it, for what is written from now on; the one before is closed. NULL, and errno: one of the two cannot
 * be written. */
FILE *cli_folder_open(struct cli_folder *f, const char *name);

/* Gives it its name. A folder that has it, with no other files in it than some of those, is then gone. False, and
 * errno: what was there is still there. Nothing is left to be dropped. */
bool cli_folder_keep(struct cli_folder *f);

void cli_folder_drop(struct cli_folder *f); /* removes it; errno stays; takes zeroes */

/* Something in the folder `path` that is none of those files; "" if there is nothing else, NULL, and errno, if that
 * cannot be told. The caller's to free. */
char *cli_folder_other(const char *path, const char *const *files);

#endif
