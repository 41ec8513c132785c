/* An old folder is moved out of the way, the new one gets its name, and the old one is removed: in between, for a
 * moment in which no signal is taken, there is none of that name. */
#include "folder.h"
#include "output.h"
#include "part.h"
#include "signals.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_one_of(const char *name, const char *const *files)
{
    while (*files && strcmp(name, *files) != 0)
        files++;
    return *files;
}

char *cli_folder_other(const char *path, const char *const *files)
{
    DIR *folder = opendir(path);
    struct stat st;
    char *other = NULL;

    if (!folder)
        return NULL;
    for (struct dirent *e; !other && (e = readdir(folder));) {
        const bool itself = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
        const bool file = fstatat(dirfd(folder), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                          !S_ISDIR(st.st_mode);

        if (!itself && !(file && is_one_of(e->d_name, files)))
            other = strdup(e->d_name);
    }
    closedir(folder);
    return other ? other : strdup("");
}

void cli_folder_drop(struct cli_folder *f)
{
    const int failed = errno;

    if (f->file.to)
        fclose(f->file.to);
    cli_signals_hold();
    if (f->beside) {
        cli_folder_remove(f->beside, f->fd, f->files);
        cli_signals_remove(NULL);
        close(f->fd);
    }
    cli_signals_release();
    free(f->beside);
    free(f->name);
    *f = (struct cli_folder){.fd = -1};
    errno = failed;
}

/* Its name, from the root on; without the slashes behind it. */
static char *place_of(const char *path)
{
    char *copy = strdup(path), *place;
    size_t n = copy ? strlen(copy) : 0;

    while (n > 1 && copy[n - 1] == '/')
        copy[--n] = '\0';
    place = copy ? cli_output_place(copy) : NULL;
    free(copy);
    return place;
}

bool cli_folder_begin(struct cli_folder *f, const char *path, const char *const *files)
{
    *f = (struct cli_folder){.files = files, .fd = -1, .name = place_of(path)};
    if (!f->name)
        return false;
    cli_part_clear(f->name, files);
    cli_signals_hold();
    f->fd = cli_part_make(f->name, true, 0777, &f->beside);
    if (f->fd >= 0)
        cli_signals_remove_folder(f->beside, f->fd, files);
    cli_signals_release();
    if (f->fd >= 0)
        return true;
    cli_folder_drop(f);
    return false;
}

/* Closes the file at hand; is all of it written? */
static bool end_file(struct cli_folder *f)
{
    bool ok = true;

    if (f->file.to) {
        const bool flushed = cli_writing_flush(&f->file);
        const int failed = errno;

        ok = fclose(f->file.to) == 0 && flushed;
        f->file.to = NULL;
        if (!flushed)
            errno = failed;
    }
    return ok;
}

FILE *cli_folder_open(struct cli_folder *f, const char *name)
{
    int fd;

    if (!end_file(f))
        return NULL;
    fd = openat(f->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    return fd >= 0 && cli_writing_open(&f->file, fd) ? f->file.to : NULL;
}

/* Gives the folder its name, and the one that has it another, *old; NULL: there was none. */
static bool take_name(struct cli_folder *f, char **old)
{
    struct stat st;

    *old = NULL;
    if (lstat(f->name, &st) != 0 || !S_ISDIR(st.st_mode))
        return rename(f->beside, f->name) == 0;
    *old = malloc(strlen(f->beside) + 5);
    if (!*old)
        return false;
    strcat(strcpy(*old, f->beside), "-old");
    if (rename(f->name, *old) != 0)
        return false;
    if (rename(f->beside, f->name) == 0)
        return true;
    (void)rename(*old, f->name);
    return false;
}

bool cli_folder_keep(struct cli_folder *f)
{
    bool ok = end_file(f);
    char *old = NULL;

    cli_signals_hold();
    ok = ok && take_name(f, &old);
    if (ok) {
        cli_signals_remove(NULL);
        if (old)
            cli_folder_remove(old, -1, f->files);
        close(f->fd);
        free(f->beside);
        f->beside = NULL;
    }
    cli_signals_release();
    free(old);
    cli_folder_drop(f);
    return ok;
}
