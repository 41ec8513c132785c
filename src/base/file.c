/* A file on disk or in memory behind one call, so that the model in the program is loaded as any
 * other. A read gives all bytes or an errno value: only the caller knows what they were to be, and
 * says so in its message. pread may give fewer than asked, after a signal and always above
 * 0x7ffff000 bytes (read(2)), and is then asked for the rest. */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum dg_status dg_file_open(struct dg_file *file, const char *path, struct dg_error *err)
{
    struct stat st;

    file->memory = NULL;
    /* O_NONBLOCK: opening a FIFO must not wait for a writer. It means nothing to a regular file. */
    file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file->fd < 0)
        return dg_fail(err, DG_ERR_MODEL, "%s: cannot open: %s", path, strerror(errno));
    if (fstat(file->fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        dg_file_close(file);
        return dg_fail(err, DG_ERR_MODEL, "%s: not a regular file", path);
    }
    file->bytes = (uint64_t)st.st_size;
    return DG_OK;
}

void dg_file_close(struct dg_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}

struct dg_file dg_file_of_memory(const void *data, size_t bytes)
{
    return (struct dg_file){.fd = -1, .memory = data, .bytes = bytes};
}

static int read_memory(const struct dg_file *file, uint64_t offset, void *buf, size_t bytes)
{
    if (offset > file->bytes || bytes > file->bytes - offset)
        return EIO;
    memcpy(buf, file->memory + offset, bytes);
    return 0;
}

int dg_file_read(const struct dg_file *file, uint64_t offset, void *buf, size_t bytes)
{
    char *at = buf;

    if (file->memory)
        return read_memory(file, offset, buf, bytes);
    while (bytes > 0) {
        const ssize_t got = pread(file->fd, at, bytes, (off_t)offset);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? errno : EIO;
        at += got;
        offset += (uint64_t)got;
        bytes -= (size_t)got;
    }
    return 0;
}
