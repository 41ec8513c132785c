/* tools/cli/output.h: what is in a folder after a file was kept, dropped, or its writer killed; on a file
 * system with unnamed files and, by an open() that refuses them, on one without. */
#include "../../support/support.h"
#include "../../../tools/cli/output.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static bool without_unnamed;
static char folder[] = "/tmp/check_output.XXXXXX", target[64];

/* Instead of libc's. */
int open(const char *path, int flags, ...)
{
    va_list more;
    mode_t mode = 0;

    if (flags & (O_CREAT | __O_TMPFILE)) {
        va_start(more, flags);
        mode = va_arg(more, mode_t);
        va_end(more);
    }
    if (without_unnamed && (flags & O_TMPFILE) == O_TMPFILE) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static void begin(void)
{
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    ck_assert(mkdtemp(folder) != NULL);
    snprintf(target, sizeof target, "%s/target", folder);
}

static void put(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    ck_assert(f != NULL);
    fputs(text, f);
    ck_assert(fclose(f) == 0);
}

/* The folder has n files; the target is `text`, or not there: NULL. */
static void has(unsigned n, const char *text)
{
    DIR *d = opendir(folder);
    FILE *f = fopen(target, "r");
    char got[64] = "";
    unsigned files = 0;

    ck_assert(d != NULL);
    for (struct dirent *e; (e = readdir(d));)
        files += e->d_name[0] != '.';
    closedir(d);
    ck_assert_uint_eq(files, n);
    ck_assert((f != NULL) == (text != NULL));
    if (!f)
        return;
    ck_assert(fgets(got, sizeof got, f) != NULL);
    fclose(f);
    ck_assert_str_eq(got, text);
}

static void end(void)
{
    char command[64];

    snprintf(command, sizeof command, "rm -r %s", folder);
    ck_assert(system(command) == 0);
}

/* Runs a test both ways; the first only where the file system has unnamed files. */
static void both_ways(void (*test)(void))
{
    const int fd = open("/tmp", O_TMPFILE | O_WRONLY, 0600);

    for (int i = fd < 0; i < 2; i++) {
        without_unnamed = i;
        begin();
        test();
        end();
    }
    without_unnamed = false;
    close(fd);
}

static void keep_and_drop(void)
{
    struct cli_output o;
    struct stat st;

    umask(022);
    ck_assert(cli_output_open(&o, target));
    fputs("one", o.to);
    fflush(o.to);
    has(without_unnamed, NULL);
    ck_assert(cli_output_keep(&o));
    has(1, "one");
    ck_assert(stat(target, &st) == 0 && (st.st_mode & 0777) == 0644);

    ck_assert(cli_output_open(&o, target));
    fputs("two", o.to);
    cli_output_drop(&o);
    has(1, "one");
    ck_assert(cli_output_try(target));
    has(1, "one");
    ck_assert(cli_output_open(&o, target));
    fputs("three", o.to);
    ck_assert(cli_output_keep(&o));
    has(1, "three");
}

START_TEST(kept_or_dropped)
{
    both_ways(keep_and_drop);
}
END_TEST

/* Names beside it may be taken. */
static void keep_among_others(void)
{
    struct cli_output o;
    char path[80];

    put(target, "old");
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s.%d", target, i);
        put(path, "another's");
    }
    ck_assert(cli_output_open(&o, target));
    fputs("new", o.to);
    ck_assert(cli_output_keep(&o));
    has(4, "new");
}

START_TEST(names_taken)
{
    both_ways(keep_among_others);
}
END_TEST

static void fail_to_keep(void)
{
    struct cli_output o;
    char path[80];

    snprintf(path, sizeof path, "%s/none/target", folder);
    ck_assert(!cli_output_open(&o, path));
    ck_assert_int_eq(errno, ENOENT);
    ck_assert(cli_output_open(&o, target)); /* and then it is a folder */
    fputs("one", o.to);
    ck_assert(mkdir(target, 0777) == 0);
    ck_assert(!cli_output_keep(&o));
    ck_assert_int_eq(errno, EISDIR);
    ck_assert(rmdir(target) == 0);
    has(0, NULL);
}

START_TEST(not_kept)
{
    both_ways(fail_to_keep);
}
END_TEST

/* A child that this signal ends in the middle of writing. */
static void kill_writer(int number)
{
    const pid_t pid = fork();
    int status;

    ck_assert(pid >= 0);
    if (pid == 0) {
        struct cli_output o;

        signal(number, SIG_DFL);
        if (!cli_output_open(&o, target))
            _exit(98);
        for (int i = 0; i < 1 << 20; i++)
            putc('x', o.to);
        raise(number);
        _exit(99);
    }
    ck_assert(waitpid(pid, &status, 0) == pid);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == number);
}

static void kill_writers(void)
{
    static const int numbers[] = {SIGHUP, SIGINT, SIGTERM, SIGKILL};
    const int n = without_unnamed ? 3 : 4; /* only the kernel can remove what SIGKILL leaves */

    for (int i = 0; i < n; i++) {
        kill_writer(numbers[i]);
        has(0, NULL);
    }
    put(target, "old");
    for (int i = 0; i < n; i++) {
        kill_writer(numbers[i]);
        has(1, "old");
    }
}

START_TEST(writer_killed)
{
    both_ways(kill_writers);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {kept_or_dropped, names_taken, not_kept, writer_killed, NULL};

    return run_suite("output", tests);
}
