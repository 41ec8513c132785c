/* What is read is not asked for its size: a pipe has none. Packed text is known by its first two bytes, not by
 * its name, and goes through a child, `gzip -dc`, since a decoder of our own would be more code than the rest of
 * the reader. The child reads a file itself; of a pipe, whose first bytes are gone by then, it gets a copy. */
#include "trace_text.h"
#include "../../src/base/kind.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

struct text {
    char *bytes; /* [n], room for more */
    size_t n, room;
    size_t blank; /* so many of the first are blanks */
};

static bool is_packed(const struct text *t)
{
    return t->n >= 2 && (unsigned char)t->bytes[0] == 0x1f && (unsigned char)t->bytes[1] == 0x8b;
}

/* Can it be a trace, by its first bytes? */
static bool is_object(struct text *t)
{
    while (t->blank < t->n && t->bytes[t->blank] && strchr(" \t\r\n", t->bytes[t->blank]))
        t->blank++;
    return t->blank == t->n || t->bytes[t->blank] == '{';
}

/* Reads on: 0 or an errno value. Stops early at what is neither packed nor an object. */
static int read_on(struct text *t, int fd)
{
    for (;;) {
        ssize_t got;

        if (t->room - t->n < 2) {
            const size_t room = t->room ? 2 * t->room : 1 << 16;
            char *more = realloc(t->bytes, room);

            if (!more)
                return ENOMEM;
            t->bytes = more;
            t->room = room;
        }
        got = read(fd, t->bytes + t->n, t->room - t->n - 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN) { /* a pipe that another has made non-blocking */
            poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, -1);
            continue;
        }
        if (got <= 0)
            return got < 0 ? errno : 0;
        t->n += (size_t)got;
        if (t->n >= 2 && !is_packed(t) && !is_object(t))
            return 0;
    }
}

static enum dg_status fail_read(struct dg_error *err, const char *name, int failed, size_t bytes)
{
    if (failed == ENOMEM)
        return dg_fail_memory(err, name, bytes);
    return dg_fail(err, DG_ERR_IO, "%s: cannot read: %s", name, strerror(failed));
}

/* ---- through gzip ---- */

/* Starts `gzip -dc` from `in`; *out is the end to read. 0 or an errno value. */
static int start_gzip(int in, int *out, pid_t *child)
{
    char *const argv[] = {"gzip", "-dc", NULL};
    posix_spawn_file_actions_t files;
    int ends[2], failed;

    if (pipe(ends) != 0)
        return errno;
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    failed = posix_spawn_file_actions_init(&files);
    if (failed == 0) {
        posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
        posix_spawn_file_actions_adddup2(&files, ends[1], STDOUT_FILENO);
        posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
        failed = posix_spawnp(child, argv[0], &files, NULL, argv, environ);
        posix_spawn_file_actions_destroy(&files);
    }
    close(ends[1]);
    if (failed)
        close(ends[0]);
    else
        *out = ends[0];
    return failed;
}

/* Reads what gzip makes of `in`. */
static enum dg_status unpack_from(struct text *t, int in, const char *name, struct dg_error *err)
{
    int out = -1, status = 0, failed;
    pid_t child;

    failed = start_gzip(in, &out, &child);
    if (failed == ENOENT)
        return dg_fail(err, DG_ERR_IO, "%s: packed by gzip, and there is no gzip to unpack it",
                       name);
    if (failed)
        return dg_fail(err, failed == ENOMEM || failed == EAGAIN ? DG_ERR_RESOURCE : DG_ERR_IO,
                       "%s: cannot start gzip to unpack it: %s", name, strerror(failed));
    failed = read_on(t, out);
    close(out); /* a gzip that has more to write then ends */
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (failed)
        return fail_read(err, name, failed, t->room);
    if (status != 0 && is_object(t))
        return dg_fail(err, DG_ERR_MODEL, "%s: damaged: gzip -dc cannot unpack it", name);
    return DG_OK;
}

/* A file with the bytes of t and what is still to come. */
static enum dg_status copy_of(FILE **to, struct text *t, int fd, const char *name,
                              struct dg_error *err)
{
    int failed = read_on(t, fd);

    if (failed)
        return fail_read(err, name, failed, t->room);
    *to = tmpfile();
    if (*to && fwrite(t->bytes, 1, t->n, *to) == t->n && fflush(*to) == 0 &&
        fseek(*to, 0, SEEK_SET) == 0)
        return DG_OK;
    return dg_fail(err, dg_status_of(errno, DG_ERR_IO), "%s: cannot keep a copy for gzip: %s", name,
                   strerror(errno));
}

/* The packed bytes become what is in them. start: where the file began to be read, < 0: a pipe. */
static enum dg_status unpack(struct text *t, int fd, off_t start, const char *name,
                             struct dg_error *err)
{
    struct text packed = *t;
    enum dg_status st = DG_OK;
    FILE *copy = NULL;

    *t = (struct text){0};
    if (start < 0 || lseek(fd, start, SEEK_SET) < 0) {
        st = copy_of(&copy, &packed, fd, name, err);
        fd = copy ? fileno(copy) : -1;
    }
    free(packed.bytes);
    if (st == DG_OK)
        st = unpack_from(t, fd, name, err);
    if (copy)
        fclose(copy);
    return st;
}

/* ---- */

/* Text that is no trace is refused where it is parsed, which tells the place. */
static enum dg_status check_kind(struct text *t, const char *name, struct dg_error *err)
{
    const struct dg_kind *kind = dg_kind_of(t->n > 0 ? t->bytes : "", t->n);
    const bool is_named = kind && (kind->id != DG_KIND_TEXT || t->n == 0);

    if (!is_named || (t->n > 0 && is_object(t)))
        return DG_OK;
    return dg_fail(err, DG_ERR_MODEL, "%s: kind of file: got %s, expected a trace", name,
                   kind->name);
}

static enum dg_status read_text(struct text *t, int fd, const char *name, struct dg_error *err)
{
    const off_t start = lseek(fd, 0, SEEK_CUR);
    int failed = read_on(t, fd);

    if (failed == EISDIR)
        return dg_fail(err, DG_ERR_MODEL, "%s: a directory: expected a trace", name);
    if (failed)
        return fail_read(err, name, failed, t->room);
    if (is_packed(t)) {
        const enum dg_status st = unpack(t, fd, start, name, err);

        if (st != DG_OK)
            return st;
    }
    return check_kind(t, name, err);
}

const char *trace_text_name(const char *path)
{
    return strcmp(path, "-") == 0 ? "standard input" : path;
}

enum dg_status trace_text_read(char **out, size_t *n, const char *path, struct dg_error *err)
{
    const bool given = strcmp(path, "-") == 0;
    const int fd = given ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    struct text t = {0};
    enum dg_status st;

    if (fd < 0)
        return dg_fail(err, dg_status_of(errno, DG_ERR_MODEL), "%s: cannot open: %s", path,
                       strerror(errno));
    st = read_text(&t, fd, trace_text_name(path), err);
    if (!given)
        close(fd);
    if (st != DG_OK) {
        free(t.bytes);
        return st;
    }
    *out = t.bytes;
    *n = t.n;
    return DG_OK;
}
