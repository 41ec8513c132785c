/* file.h - reading a file at given offsets; the file may also be bytes in memory.
 * Reads go through pread: a file that shrinks or a disk that fails while it is read is then an error value. What
 * is used where it lies is mapped, and raises SIGBUS then.
 * Threads: any number may read one file at once; one maps it. */
#ifndef DG_BASE_FILE_H
#define DG_BASE_FILE_H

#include <stdint.h>

#include "status.h"

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

struct dg_file {
    int fd;                  /* -1: closed, or in memory */
    const char *memory;      /* NULL: on disk */
    uint64_t bytes;          /* size when it was opened */
    struct timespec written; /* last, when it was opened */
    void *map;               /* [bytes] by dg_file_map(); NULL: it is not mapped */
};

/* Opens a regular file. DG_ERR_MODEL when it does not exist or is not one. */
enum dg_status dg_file_open(struct dg_file *file, const char *path, struct dg_error *err);
void dg_file_close(struct dg_file *file); /* takes a closed one */

/* A file that is data[0 ... bytes - 1], which it borrows. */
struct dg_file dg_file_of_memory(const void *data, size_t bytes);

/* Reads exactly `bytes` bytes at `offset`. 0, or an errno value; EIO also stands for a file that
 * ended early. */
int dg_file_read(const struct dg_file *file, uint64_t offset, void *buf, size_t bytes);

/* The file's bytes where they lie, read-only, until it is closed: those in memory, or else pages of the
 * system's cache, which all processes share. NULL where the system cannot map it. */
const void *dg_file_map(struct dg_file *file);

/* Was it written to, or cut off, since it was opened? Of bytes in memory nothing is known: false. */
bool dg_file_changed(const struct dg_file *file);

/* All of a file of at most `most` bytes: *data[*n], and a '\0' behind them, is the caller's to free().
 * DG_ERR_MODEL when it is none or larger, DG_ERR_IO, DG_ERR_RESOURCE. */
enum dg_status dg_file_load(char **data, size_t *n, const char *path, uint64_t most,
                            struct dg_error *err);

#endif
