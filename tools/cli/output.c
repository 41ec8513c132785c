/* The new file is written beside the one named, since only rename() replaces that at once. */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Frees, closes and removes what there is; errno stays. */
static bool give_up(struct cli_output *o)
{
    const int failed = errno;

    if (o->to)
        fclose(o->to);
    if (o->made)
        unlink(o->made);
    free(o->made);
    free(o->name);
    *o = (struct cli_output){0};
    errno = failed;
    return false;
}

/* The file beside the one named, with the rights that a new file gets. */
static int make_beside(struct cli_output *o)
{
    const mode_t mask = umask(0);
    int fd;

    umask(mask);
    o->made = malloc(strlen(o->name) + sizeof ".XXXXXX");
    if (!o->made)
        return -1;
    strcat(strcpy(o->made, o->name), ".XXXXXX");
    fd = mkstemp(o->made);
    if (fd < 0) {
        free(o->made);
        o->made = NULL;
    } else {
        fchmod(fd, 0666 & ~mask);
    }
    return fd;
}

bool cli_output_open(struct cli_output *o, const char *path)
{
    struct stat st;
    const bool exists = stat(path, &st) == 0;
    int fd;

    *o = (struct cli_output){.name = exists ? realpath(path, NULL) : strdup(path)};
    if (!o->name)
        return false;
    if (exists && !S_ISREG(st.st_mode))
        fd = open(o->name, O_WRONLY | O_CLOEXEC);
    else
        fd = make_beside(o);
    if (fd < 0)
        return give_up(o);
    o->to = fdopen(fd, "w");
    if (!o->to)
        close(fd);
    return o->to || give_up(o);
}

void cli_output_drop(struct cli_output *o)
{
    give_up(o);
}

bool cli_output_try(const char *path)
{
    struct cli_output o;

    if (!cli_output_open(&o, path))
        return false;
    cli_output_drop(&o);
    return true;
}

bool cli_output_keep(struct cli_output *o)
{
    bool ok = fflush(o->to) == 0 && !ferror(o->to) && (!o->made || fsync(fileno(o->to)) == 0);

    ok = fclose(o->to) == 0 && ok;
    o->to = NULL;
    if (!ok || (o->made && rename(o->made, o->name) != 0))
        return give_up(o);
    free(o->made);
    o->made = NULL;
    give_up(o);
    return true;
}
