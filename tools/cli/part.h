/* part.h - the name that an output has until it is whole: NAME.part-PID, beside NAME. */
#ifndef DG_TOOLS_PART_H
#define DG_TOOLS_PART_H

#include <stdbool.h>
#include <sys/types.h>

/* The part of a path behind its folder. */
const char *cli_base_of(const char *path);

/* A new file for output to `place`, or a new folder, which no other run removes while its descriptor is open. The
 * descriptor, and *name, which is the caller's to free; or -1, and errno. */
int cli_part_make(const char *place, bool folder, mode_t mode, char **name);

/* Removes what writers of that output have left that were killed. files: it is a folder with some of these, a
 * NULL-terminated list; NULL: a file. */
void cli_part_clear(const char *place, const char *const *files);

/* Removes those files, and the folder, which fd is a descriptor of, or -1. False, and errno: there is more in it. */
bool cli_folder_remove(const char *path, int fd, const char *const *files);

#endif
