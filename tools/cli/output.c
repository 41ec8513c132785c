/* The new file has no name (O_TMPFILE) until it is whole: the kernel removes it, however the program
 * ends. Then it is linked to its name; where a file has that, to a name beside it, since only rename()
 * replaces one. A file system without unnamed files, or a system without /proc, gets a file beside
 * from the start, which is removed by hand. */
#include "output.h"
#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* From now on the new file is called o->beside, or no more: NULL. */
static void call_it(struct cli_output *o, char *beside)
{
    cli_signals_remove(beside);
    free(o->beside);
    o->beside = beside;
}

/* Frees, closes and removes what there is; errno stays. */
void cli_output_drop(struct cli_output *o)
{
    const int failed = errno;

    if (o->to)
        fclose(o->to);
    if (o->beside)
        unlink(o->beside);
    call_it(o, NULL);
    free(o->name);
    *o = (struct cli_output){0};
    errno = failed;
}

/* The file that a descriptor is open for, by a name. */
static const char *name_of(int fd, char buffer[32])
{
    snprintf(buffer, 32, "/proc/self/fd/%d", fd);
    return buffer;
}

/* An unnamed file in the folder of the one named, with the rights that a new file gets; or -1. */
static int open_unnamed(struct cli_output *o)
{
    char *folder = strdup(o->name), name[32];
    int fd = folder ? open(dirname(folder), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666) : -1;

    free(folder);
    if (fd >= 0 && access(name_of(fd, name), F_OK) != 0) {
        close(fd);
        fd = -1;
    }
    o->unnamed = fd >= 0;
    return fd;
}

/* The same with a name, beside the one named. */
static int open_beside(struct cli_output *o)
{
    static const char end[] = ".XXXXXX";
    char *beside = malloc(strlen(o->name) + sizeof end);
    const mode_t mask = umask(0);
    int fd;

    umask(mask);
    if (!beside)
        return -1;
    strcat(strcpy(beside, o->name), end);
    fd = mkstemp(beside);
    if (fd < 0) {
        free(beside);
        return -1;
    }
    call_it(o, beside);
    fchmod(fd, 0666 & ~mask);
    return fd;
}

static int open_new(struct cli_output *o)
{
    const int fd = open_unnamed(o);

    return fd >= 0 ? fd : open_beside(o);
}

bool cli_output_open(struct cli_output *o, const char *path)
{
    struct stat st;
    const bool exists = stat(path, &st) == 0, new = !exists || S_ISREG(st.st_mode);
    int fd;

    *o = (struct cli_output){.name = exists && new ? realpath(path, NULL) : strdup(path)};
    if (!o->name)
        return false;
    fd = new ? open_new(o) : open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        o->to = fdopen(fd, "w");
        if (o->to)
            return true;
        close(fd);
    }
    cli_output_drop(o);
    return false;
}

bool cli_output_try(const char *path)
{
    struct cli_output o;
    struct stat st;

    if (stat(path, &st) == 0 && S_ISFIFO(st.st_mode)) /* its reader would get the end */
        return access(path, W_OK) == 0;
    if (!cli_output_open(&o, path))
        return false;
    cli_output_drop(&o);
    return true;
}

static bool link_to(struct cli_output *o, const char *name)
{
    char from[32];

    return linkat(AT_FDCWD, name_of(fileno(o->to), from), AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0;
}

/* Gives the unnamed file its name or, where there is a file of that name, one beside it. */
static bool give_name(struct cli_output *o)
{
    const size_t size = strlen(o->name) + sizeof ".4294967295";
    char *beside;
    bool linked = link_to(o, o->name);

    if (linked || errno != EEXIST)
        return linked;
    beside = malloc(size);
    for (unsigned i = 0; beside && !linked && errno == EEXIST; i++) {
        snprintf(beside, size, "%s.%u", o->name, i);
        linked = link_to(o, beside);
    }
    if (linked)
        call_it(o, beside);
    else
        free(beside);
    return linked;
}

/* Is all of it in the file? */
static bool is_written(struct cli_output *o)
{
    if (fflush(o->to) != 0)
        return false;
    if (ferror(o->to)) { /* an earlier write failed, and errno may have changed since */
        errno = EIO;
        return false;
    }
    return (!o->unnamed && !o->beside) || fsync(fileno(o->to)) == 0;
}

bool cli_output_keep(struct cli_output *o)
{
    const bool ok = is_written(o) && (!o->unnamed || give_name(o)) &&
                    (!o->beside || rename(o->beside, o->name) == 0);

    if (ok)
        call_it(o, NULL); /* it is o->name now */
    cli_output_drop(o);
    return ok;
}
