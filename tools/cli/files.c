#include "files.h"
#include "leaving.h"
#include "output.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct named_file {
    const char *option; /* of an output; NULL: an input */
    const char *path;
    char *place; /* of an output that is a file: cli_output_place() */
    struct stat st;
    bool is_there;
};

static struct named_file *files; /* [n_files] */
static size_t n_files;

/* The same file; of devices that says nothing: any number may share /dev/null. */
static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && !S_ISCHR(a->st_mode);
}

static bool same(const struct named_file *a, const struct named_file *b)
{
    if (a->is_there && b->is_there)
        return same_file(&a->st, &b->st);
    return a->place && b->place && strcmp(a->place, b->place) == 0;
}

static void refuse(const struct named_file *output, const struct named_file *other)
{
    if (other->option)
        cli_die(DG_ERR_USAGE, "%s %s: got the file of %s %s, expected another", output->option,
                output->path, other->option, other->path);
    cli_die(DG_ERR_USAGE, "%s %s: got a file that is read, as %s, expected another", output->option,
            output->path, other->path);
}

static void check(const struct named_file *f)
{
    for (const struct named_file *other = files; other < files + n_files; other++)
        if ((f->option || other->option) && same(f, other))
            refuse(f->option ? f : other, f->option ? other : f);
}

static void check_standard_streams(const struct named_file *f, bool alone)
{
    struct stat st;

    if (f->is_there && fstat(STDIN_FILENO, &st) == 0 && S_ISREG(st.st_mode) &&
        same_file(&st, &f->st))
        refuse(f, &(struct named_file){.path = "standard input"});
    if (alone)
        return;
    if (cli_output_descriptor(f->path) == STDOUT_FILENO ||
        (f->is_there && fstat(STDOUT_FILENO, &st) == 0 && same_file(&st, &f->st)))
        cli_die(DG_ERR_USAGE, "%s %s: standard output has the results, expected another file",
                f->option, f->path);
}

static void add(struct named_file f)
{
    struct named_file *more = realloc(files, (n_files + 1) * sizeof *more);

    if (!more)
        cli_die(DG_ERR_RESOURCE, "out of memory for the names of files");
    f.path = strdup(f.path);
    if (!f.path)
        cli_die(DG_ERR_RESOURCE, "out of memory for the names of files");
    files = more;
    files[n_files++] = f;
}

static struct named_file look(const char *option, const char *path)
{
    struct named_file f = {.option = option, .path = path};
    const int fd = option ? cli_output_descriptor(path) : -1;

    f.is_there = (fd >= 0 ? fstat(fd, &f.st) : stat(path, &f.st)) == 0;
    if (option && fd < 0)
        f.place = cli_output_place(path);
    return f;
}

void cli_reads(const char *path)
{
    const struct named_file f = look(NULL, path);

    check(&f);
    add(f);
}

void cli_reads_open(const char *path, int fd)
{
    struct named_file f = {.path = path};

    f.is_there = fstat(fd, &f.st) == 0;
    check(&f);
    add(f);
}

void cli_writes(const char *option, const char *path, bool alone)
{
    const struct named_file f = look(option, path);

    check_standard_streams(&f, alone);
    check(&f);
    add(f);
}
