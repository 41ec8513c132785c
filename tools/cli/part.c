/* A part that nobody writes any more is told from another's by its lock: a writer holds it, and the system lets it go
 * however the writer ends. (A process's number says less: it may be that of a process on another machine, or in
 * another container.) */
#include "part.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PART ".part-"

enum { MOST_OF_NAME = 200 }; /* bytes of a name that are taken over: with the rest it fits in 255 */

const char *cli_base_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* ---- what was left ---- */

static void empty(int folder, const char *const *files)
{
    for (; *files; files++)
        unlinkat(folder, *files, 0);
}

bool cli_folder_remove(const char *path, int fd, const char *const *files)
{
    const int opened = fd < 0 ? open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;

    if (fd < 0 && opened < 0)
        return false;
    empty(fd < 0 ? opened : fd, files);
    if (opened >= 0)
        close(opened);
    return rmdir(path) == 0;
}

/* Removes a part, unless its writer holds it. */
static void remove_if_left(int beside, const char *name, const char *const *files)
{
    const int fd = openat(beside, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;

    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) {
        if (S_ISREG(st.st_mode) && !files)
            unlinkat(beside, name, 0);
        if (S_ISDIR(st.st_mode) && files) {
            empty(fd, files);
            unlinkat(beside, name, AT_REMOVEDIR);
        }
    }
    close(fd);
}

void cli_part_clear(const char *place, const char *const *files)
{
    const char *base = cli_base_of(place);
    const size_t n = strnlen(base, MOST_OF_NAME);
    char *copy = strdup(place);
    DIR *beside = copy ? opendir(dirname(copy)) : NULL;

    for (struct dirent *e; beside && (e = readdir(beside));) {
        const char *rest = e->d_name + n;

        if (strncmp(e->d_name, base, n) == 0 && strncmp(rest, PART, strlen(PART)) == 0 &&
            rest[strlen(PART)] && !rest[strlen(PART) + strspn(rest + strlen(PART), "0123456789-")])
            remove_if_left(dirfd(beside), e->d_name, files);
    }
    if (beside)
        closedir(beside);
    free(copy);
}

/* ---- a new one ---- */

/* One of that name, locked; or -1 and errno. Another run may take it for one that was left, in the moment before it
 * is locked: then it has no name any more. */
static int make_locked(const char *path, bool folder, mode_t mode)
{
    struct stat st;
    int fd, failed;

    if (folder && mkdir(path, mode) != 0)
        return -1;
    fd = open(path,
              O_NOFOLLOW | O_CLOEXEC |
                  (folder ? O_RDONLY | O_DIRECTORY : O_WRONLY | O_CREAT | O_EXCL),
              mode);
    if (fd < 0) {
        failed = folder && errno == ENOENT ? EEXIST : errno;
        if (folder)
            rmdir(path);
        errno = failed;
        return -1;
    }
    (void)flock(fd, LOCK_EX); /* a file system without locks has none for remove_if_left() either */
    failed = fstat(fd, &st) != 0 ? errno : st.st_nlink == 0 ? EEXIST : 0;
    if (!failed)
        return fd;
    if (failed != EEXIST)
        (folder ? rmdir : unlink)(path);
    close(fd);
    errno = failed;
    return -1;
}

int cli_part_make(const char *place, bool folder, mode_t mode, char **name)
{
    const char *base = cli_base_of(place);
    const size_t kept = (size_t)(base - place) + strnlen(base, MOST_OF_NAME), size = kept + 40;
    int fd = -1;

    *name = malloc(size);
    if (!*name)
        return -1;
    for (unsigned i = 0; fd < 0 && i < 100; i++) {
        snprintf(*name, size, i ? "%.*s" PART "%ld-%u" : "%.*s" PART "%ld", (int)kept, place,
                 (long)getpid(), i);
        fd = make_locked(*name, folder, mode);
        if (fd < 0 && errno != EEXIST)
            break;
    }
    if (fd < 0) {
        const int failed = errno;

        free(*name);
        *name = NULL;
        errno = failed;
    }
    return fd;
}
