/* Nothing is flushed to the disk: a crash of the machine may cost the new file, and the seconds of an
 * fsync() were most of what writing a trace took. */
#include "output.h"
#include "part.h"
#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* From now on the new file is called o->beside, or no more: NULL. */
static void call_it(struct cli_output *o, char *beside)
{
    cli_signals_remove(beside);
    free(o->beside);
    o->beside = beside;
}

void cli_output_drop(struct cli_output *o)
{
    const int failed = errno;

    if (o->writing.to)
        fclose(o->writing.to);
    cli_signals_hold();
    if (o->beside)
        unlink(o->beside);
    call_it(o, NULL);
    cli_signals_release();
    free(o->name);
    *o = (struct cli_output){0};
    errno = failed;
}

/* ---- what is no file ---- */

int cli_output_descriptor(const char *path)
{
    static const char *const folders[] = {"/dev/fd/", "/proc/self/fd/"};

    if (strcmp(path, "-") == 0 || strcmp(path, "/dev/stdout") == 0)
        return STDOUT_FILENO;
    if (strcmp(path, "/dev/stderr") == 0)
        return STDERR_FILENO;
    for (size_t i = 0; i < 2; i++) {
        const size_t n = strlen(folders[i]);
        const char *digits = path + n;

        if (strncmp(path, folders[i], n) == 0 && *digits && strlen(digits) < 9 &&
            digits[strspn(digits, "0123456789")] == '\0')
            return atoi(digits);
    }
    return -1;
}

/* A pipe or a device; one without a reader is tried again, until a signal comes. */
static int open_special(const char *path, bool pipe)
{
    const struct timespec moment = {.tv_nsec = 10 * 1000 * 1000};
    int fd;

    while ((fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)) < 0) {
        if (errno != EINTR && !(pipe && errno == ENXIO))
            return -1;
        if (cli_signal()) {
            errno = EINTR;
            return -1;
        }
        nanosleep(&moment, NULL);
    }
    return fd;
}

static bool open_stream(struct cli_output *o, int fd)
{
    return fd >= 0 && cli_writing_open(&o->writing, fd);
}

/* ---- a file ---- */

static char *join(const char *folder, const char *name)
{
    char *path = malloc(strlen(folder) + strlen(name) + 2);

    if (path)
        strcat(strcat(strcpy(path, folder), "/"), name);
    return path;
}

/* What a link's text means, where the link is; frees both. */
static char *follow(char *link, char *text)
{
    char *to = *text == '/' ? strdup(text) : join(dirname(link), text);

    free(link);
    free(text);
    return to;
}

static char *text_of_link(const char *path)
{
    char text[PATH_MAX];
    const ssize_t n = readlink(path, text, sizeof text - 1);

    return n > 0 ? strndup(text, (size_t)n) : NULL;
}

/* A path, whose last part is no link, from the root on; frees it. */
static char *absolute(char *path)
{
    char *copy = strdup(path), *folder = copy ? realpath(dirname(copy), NULL) : NULL,
         *whole = folder ? join(folder, cli_base_of(path)) : NULL;

    free(copy);
    free(folder);
    free(path);
    return whole;
}

char *cli_output_place(const char *path)
{
    char *at = realpath(path, NULL), *text;

    if (at || errno != ENOENT)
        return at;
    at = strdup(path);
    for (int i = 0; at && i < 40 && (text = text_of_link(at)); i++)
        at = follow(at, text);
    return at ? absolute(at) : NULL;
}

/* The new file, beside o->name; its name is then o->beside. */
static int make_part(struct cli_output *o, mode_t mode)
{
    char *beside;
    int fd;

    cli_signals_hold();
    fd = cli_part_make(o->name, false, mode, &beside);
    if (fd >= 0)
        call_it(o, beside);
    cli_signals_release();
    return fd;
}

/* The rights and the owner of the file that it takes the place of. A group that cannot be kept gets no more
 * than all others. */
static void take_over(int fd, const struct stat *old)
{
    mode_t mode = old->st_mode & 07777;

    if (fchown(fd, old->st_uid, old->st_gid) != 0) {
        mode &= ~(mode_t)06000;
        if (fchown(fd, (uid_t)-1, old->st_gid) != 0)
            mode &= ~(mode_t)070 | (mode & 07) << 3;
    }
    (void)fchmod(fd, mode);
}

/* ---- both ---- */

static bool try_file(struct cli_output *o)
{
    if (!cli_output_begin(o))
        return false;
    fclose(o->writing.to);
    o->writing.to = NULL;
    cli_signals_hold();
    unlink(o->beside);
    call_it(o, NULL);
    cli_signals_release();
    return true;
}

bool cli_output_prepare(struct cli_output *o, const char *path)
{
    const int fd = cli_output_descriptor(path);
    struct stat st;

    *o = (struct cli_output){0};
    if (fd >= 0)
        return open_stream(o, fcntl(fd, F_DUPFD_CLOEXEC, 3));
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        errno = EISDIR;
        return false;
    }
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return open_stream(o, open_special(path, S_ISFIFO(st.st_mode)));
    o->name = cli_output_place(path);
    if (!o->name)
        return false;
    if (!*cli_base_of(o->name)) { /* "" or "new/" */
        errno = *path ? EISDIR : ENOENT;
        cli_output_drop(o);
        return false;
    }
    cli_part_clear(o->name, NULL);
    return try_file(o);
}

bool cli_output_begin(struct cli_output *o)
{
    struct stat old;
    bool there;
    int fd;

    if (!o->name)
        return true;
    there = stat(o->name, &old) == 0;
    fd = !there || access(o->name, W_OK) == 0 ? make_part(o, there ? 0600 : 0666) : -1;
    if (fd >= 0 && there)
        take_over(fd, &old);
    if (open_stream(o, fd))
        return true;
    cli_output_drop(o);
    return false;
}

bool cli_output_open(struct cli_output *o, const char *path)
{
    return cli_output_prepare(o, path) && cli_output_begin(o);
}

/* Closes; is all of it in the file? */
static bool is_written(struct cli_output *o)
{
    const bool flushed = cli_writing_flush(&o->writing);
    const int failed = errno;
    const bool closed = fclose(o->writing.to) == 0;

    o->writing.to = NULL;
    if (!flushed)
        errno = failed;
    return flushed && closed;
}

/* Gives the file its name. */
static bool rename_it(struct cli_output *o)
{
    bool ok;

    cli_signals_hold();
    ok = rename(o->beside, o->name) == 0;
    if (ok)
        call_it(o, NULL);
    cli_signals_release();
    return ok;
}

bool cli_output_keep(struct cli_output *o)
{
    const int lock = o->name ? dup(o->writing.fd) : -1; /* until it has its name */
    const bool ok = is_written(o) && (!o->name || rename_it(o));
    int failed;

    cli_output_drop(o);
    failed = errno;
    if (lock >= 0)
        close(lock);
    errno = failed;
    return ok;
}
