/* A file on disk or in memory behind one call, so that the model in the program is loaded as any
 * other. A read gives all bytes or an errno value: only the caller knows what they were to be, and
 * says so in its message. pread may give fewer than asked, after a signal and always above
 * 0x7ffff000 bytes (read(2)), and is then asked for the rest.
 *
 * A mapping is private: some file systems have no other, and one that is only read shares its pages all the
 * same. Huge pages are asked for: they let a disk be read 2 MiB at a time, and the first access to 500 MB in pages
 * of 4 KiB takes tens of milliseconds of a CPU, where a hypervisor follows each page 300. */
#include "file.h"
#include "checked.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum dg_status dg_file_open(struct dg_file *file, const char *path, struct dg_error *err)
{
    struct stat st;

    *file = (struct dg_file){.fd = -1};
    /* O_NONBLOCK: opening a FIFO must not wait for a writer. It means nothing to a regular file. */
    file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file->fd < 0)
        return dg_fail(err, dg_status_of(errno, DG_ERR_MODEL), "%s: cannot open: %s", path,
                       strerror(errno));
    if (fstat(file->fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        dg_file_close(file);
        return dg_fail(err, DG_ERR_MODEL, "%s: not a regular file", path);
    }
    file->bytes = (uint64_t)st.st_size;
    file->written = st.st_mtim;
    return DG_OK;
}

void dg_file_close(struct dg_file *file)
{
    if (file->map)
        munmap(file->map, (size_t)file->bytes);
    if (file->fd >= 0)
        close(file->fd);
    file->map = NULL;
    file->fd = -1;
}

const void *dg_file_map(struct dg_file *file)
{
    const size_t n = dg_size(file->bytes);
    void *map;

    if (file->memory || file->map)
        return file->memory ? file->memory : file->map;
    if (n == SIZE_MAX)
        return NULL;
    map = mmap(NULL, n, PROT_READ, MAP_PRIVATE, file->fd, 0);
    if (map == MAP_FAILED)
        return NULL;
#ifdef MADV_HUGEPAGE
    madvise(map, n, MADV_HUGEPAGE); /* advice: a refusal changes nothing but speed */
#endif
    return file->map = map;
}

bool dg_file_changed(const struct dg_file *file)
{
    struct stat st;

    return !file->memory && (fstat(file->fd, &st) != 0 || (uint64_t)st.st_size != file->bytes ||
                             st.st_mtim.tv_sec != file->written.tv_sec ||
                             st.st_mtim.tv_nsec != file->written.tv_nsec);
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

enum dg_status dg_file_load(char **data, size_t *n, const char *path, uint64_t most,
                            struct dg_error *err)
{
    struct dg_file file;
    enum dg_status st = dg_file_open(&file, path, err);
    char *all;
    int failed;

    if (st != DG_OK)
        return st;
    if (file.bytes > most || file.bytes >= SIZE_MAX) {
        dg_file_close(&file);
        return dg_fail(err, DG_ERR_MODEL,
                       "%s: size: got %" PRIu64 " bytes, expected at most %" PRIu64, path,
                       file.bytes, most);
    }
    all = malloc((size_t)file.bytes + 1);
    failed = all ? dg_file_read(&file, 0, all, (size_t)file.bytes) : 0;
    dg_file_close(&file);
    if (!all)
        return dg_fail_memory(err, path, (size_t)file.bytes);
    if (failed) {
        free(all);
        return dg_fail(err, dg_status_of(failed, DG_ERR_IO), "%s: cannot read: %s", path,
                       strerror(failed));
    }
    all[file.bytes] = '\0';
    *data = all;
    *n = (size_t)file.bytes;
    return DG_OK;
}
