/* sandbox.h - takes rights from this process that it does not need, so that a file which would take it over finds little to
 * do. They cannot be had back; threads that are made later have as few.
 *
 * Afterwards these fail, with EACCES or EPERM:
 *   - running a program;
 *   - making a socket, connecting, listening; what is connected stays so, and what listens goes on accepting;
 *   - making, changing, moving and removing files, but beside those that are to be written;
 *   - reading or writing another process's memory, tracing it, mounting, loading modules, and the like.
 * Reading files, memory, threads, time and what is open already stay as they are. seccomp does all but the third, and
 * that where nothing is to be written; Landlock does the third, and execution again.
 *
 * Threads: others that are there by then lose what seccomp takes, but not what Landlock does. */
#ifndef DG_TOOLS_SANDBOX_H
#define DG_TOOLS_SANDBOX_H

#include <stddef.h>

/* out[0 ... n - 1]: files or folders that are to be written; their folders can be written to. n = 0: none. Returns NULL,
 * or what this kernel lacks, as a sentence without its end: the rest holds. */
const char *sandbox_enter(const char *const *out, size_t n);

#endif
