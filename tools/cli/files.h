/* files.h - no output takes the place of what the program reads, or of another output.
 *
 * Files are told apart by what they are, not by their names: links and other spellings are the same file.
 * Each is named before it is opened; who comes second is refused, with exit code 2. */
#ifndef DG_TOOLS_FILES_H
#define DG_TOOLS_FILES_H

#include <stdbool.h>

/* A file that is read, or that goes together with one. */
void cli_reads(const char *path);

/* The same of one that is open; a descriptor below 0: none. */
void cli_reads_open(const char *path, int fd);

/* A file that will be written, for this option, "--trace". alone: nothing else is printed to standard
 * output; else that is refused, too. */
void cli_writes(const char *option, const char *path, bool alone);

#endif
