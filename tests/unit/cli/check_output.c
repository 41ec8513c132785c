/* tools/cli/output.h: what is in a folder after a file was kept, dropped, or its writer killed; what stays of
 * the file that was there; and outputs that are no files. */
#include "../../support/support.h"
#include "../../../tools/cli/output.h"
#include "../../../tools/cli/signals.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/check_output.XXXXXX", target[64];

static void begin(void)
{
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    ck_assert(mkdtemp(folder) != NULL);
    snprintf(target, sizeof target, "%s/target", folder);
    umask(022);
}

static void put(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    ck_assert(f != NULL);
    fputs(text, f);
    ck_assert(fclose(f) == 0);
}

/* "FOLDER/name" */
static const char *in_folder(const char *name)
{
    static char path[2][400];
    static int turn;

    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

static void contains(const char *path, const char *text)
{
    char got[64] = "";
    FILE *f = fopen(path, "r");

    ck_assert_msg(f != NULL, "no %s", path);
    ck_assert(fgets(got, sizeof got, f) != NULL);
    fclose(f);
    ck_assert_str_eq(got, text);
}

static unsigned count_files(void)
{
    DIR *d = opendir(folder);
    unsigned files = 0;

    ck_assert(d != NULL);
    for (struct dirent *e; (e = readdir(d));)
        files += e->d_name[0] != '.';
    closedir(d);
    return files;
}

/* The folder has n files; the target is `text`, or not there: NULL. */
static void has(unsigned n, const char *text)
{
    ck_assert_uint_eq(count_files(), n);
    if (text)
        contains(target, text);
    else
        ck_assert(access(target, F_OK) != 0);
}

static mode_t mode_of(const char *path)
{
    struct stat st;

    ck_assert(stat(path, &st) == 0);
    return st.st_mode & 07777;
}

static void end(void)
{
    char command[64];

    snprintf(command, sizeof command, "rm -r %s", folder);
    ck_assert(system(command) == 0);
}

static void write_to(const char *path, const char *text)
{
    struct cli_output o;

    ck_assert_msg(cli_output_open(&o, path), "%s: %s", path, strerror(errno));
    fputs(text, o.writing.to);
    ck_assert_msg(cli_output_keep(&o), "%s: %s", path, strerror(errno));
}

/* ---- kept, dropped, failed ---- */

START_TEST(kept_or_dropped)
{
    struct cli_output o;

    begin();
    ck_assert(cli_output_prepare(&o, target));
    has(0, NULL);
    ck_assert(cli_output_begin(&o));
    fputs("one", o.writing.to);
    fflush(o.writing.to);
    has(1, NULL);
    ck_assert(cli_output_keep(&o));
    has(1, "one");
    ck_assert_uint_eq(mode_of(target), 0644);

    ck_assert(cli_output_open(&o, target));
    fputs("two", o.writing.to);
    cli_output_drop(&o);
    has(1, "one");
    write_to(target, "three");
    has(1, "three");
    end();
}
END_TEST

START_TEST(not_kept)
{
    struct cli_output o;

    begin();
    ck_assert(!cli_output_open(&o, in_folder("none/target")));
    ck_assert_int_eq(errno, ENOENT);
    ck_assert(!cli_output_prepare(&o, folder));
    ck_assert_int_eq(errno, EISDIR);
    ck_assert(!cli_output_prepare(&o, in_folder("new/")));
    ck_assert_int_eq(errno, EISDIR);
    ck_assert(!cli_output_prepare(&o, ""));
    ck_assert_int_eq(errno, ENOENT);
    ck_assert(cli_output_open(&o, target)); /* and then it is a folder */
    fputs("one", o.writing.to);
    ck_assert(mkdir(target, 0777) == 0);
    ck_assert(!cli_output_keep(&o));
    ck_assert_int_eq(errno, EISDIR);
    ck_assert(rmdir(target) == 0);
    has(0, NULL);
    if (access("/dev/full", W_OK) == 0) {
        ck_assert(cli_output_open(&o, "/dev/full"));
        fputs("one", o.writing.to);
        ck_assert(!cli_output_keep(&o));
        ck_assert_int_eq(errno, ENOSPC);
    }
    end();
}
END_TEST

/* ---- what stays ---- */

START_TEST(rights_stay)
{
    static const mode_t modes[] = {0600, 0640, 0666, 0444};
    struct cli_output o;
    struct stat st;

    begin();
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        put(target, "old");
        ck_assert(chmod(target, modes[i]) == 0);
        if (access(target, W_OK) != 0) { /* root may write all */
            ck_assert(!cli_output_open(&o, target));
            ck_assert_int_eq(errno, EACCES);
            continue;
        }
        if (geteuid() == 0)
            ck_assert(chown(target, 12345, 54321) == 0);
        ck_assert(cli_output_open(&o, target));
        ck_assert_uint_eq(mode_of(o.beside), modes[i]);
        fputs("new", o.writing.to);
        ck_assert(cli_output_keep(&o));
        has(1, "new");
        ck_assert_uint_eq(mode_of(target), modes[i]);
        ck_assert(stat(target, &st) == 0);
        ck_assert(geteuid() != 0 || (st.st_uid == 12345 && st.st_gid == 54321));
    }
    end();
}
END_TEST

START_TEST(links_stay)
{
    char text[64] = "";

    begin();
    ck_assert(mkdir(in_folder("there"), 0777) == 0);
    ck_assert(symlink("there/far", in_folder("near")) == 0);
    ck_assert(symlink("../target", in_folder("there/far")) == 0);
    write_to(in_folder("near"), "one"); /* leads to nothing yet */
    has(3, "one");
    write_to(in_folder("near"), "two");
    has(3, "two");
    ck_assert(readlink(in_folder("near"), text, sizeof text - 1) == 9);
    ck_assert_str_eq(text, "there/far");
    ck_assert(link(target, in_folder("hard")) == 0);
    write_to(in_folder("hard"), "three"); /* a name of its own from then on */
    has(4, "two");
    contains(in_folder("hard"), "three");
    end();
}
END_TEST

START_TEST(longest_name)
{
    char name[256];

    begin();
    memset(name, 'n', 255);
    name[255] = '\0';
    write_to(in_folder(name), "one");
    write_to(in_folder(name), "two");
    contains(in_folder(name), "two");
    ck_assert_uint_eq(count_files(), 1);
    end();
}
END_TEST

/* ---- part files ---- */

/* "target.part-" and the rest */
static const char *part(const char *rest)
{
    char name[64];

    snprintf(name, sizeof name, "target.part-%s", rest);
    return in_folder(name);
}

/* What nobody writes is removed, what is another's stays; a planted link is not followed. */
START_TEST(parts_of_others)
{
    struct cli_output live, o;
    char own[32];

    begin();
    put(part("99"), "left by a killed writer");
    put(part("99-1"), "left by a killed writer");
    put(part("99x"), "no part");
    put(in_folder("target.part"), "no part");
    put(in_folder("other.part-99"), "another's");
    put(in_folder("victim"), "a victim");
    ck_assert(cli_output_open(&live, target));
    snprintf(own, sizeof own, "%ld-1", (long)getpid());
    ck_assert(symlink("victim", part(own)) == 0);
    ck_assert(cli_output_open(&o, target));
    fputs("one", o.writing.to);
    ck_assert(cli_output_keep(&o));
    contains(in_folder("victim"), "a victim");
    ck_assert(unlink(part(own)) == 0);
    has(6, "one"); /* the part of `live`, three that are no parts, victim, target */
    fputs("two", live.writing.to);
    ck_assert(cli_output_keep(&live));
    has(5, "two");
    end();
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
        cli_signals_begin();
        if (!cli_output_open(&o, target))
            _exit(98);
        for (int i = 0; i < 1 << 20; i++)
            putc('x', o.writing.to);
        raise(number);
        _exit(99);
    }
    ck_assert(waitpid(pid, &status, 0) == pid);
    ck_assert(number == SIGKILL ? WIFSIGNALED(status)
                                : WIFEXITED(status) && WEXITSTATUS(status) == 128 + number);
}

START_TEST(writer_killed)
{
    static const int numbers[] = {SIGHUP, SIGINT, SIGTERM, SIGPIPE};

    begin();
    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
            kill_writer(numbers[i]);
            has(k, k ? "one" : NULL);
        }
        kill_writer(SIGKILL);
        has(k + 1, k ? "one" : NULL);
        write_to(target, "one");
        has(1, "one");
    }
    end();
}
END_TEST

/* ---- no files ---- */

static void reads(int fd, const char *text)
{
    char got[64] = "";

    ck_assert_int_eq(read(fd, got, sizeof got - 1), (ssize_t)strlen(text));
    ck_assert_str_eq(got, text);
}

START_TEST(descriptors)
{
    static const char *const names[] = {"/dev/fd/%d", "/proc/self/fd/%d"};
    int ends[2], sockets[2];
    char name[40];

    ck_assert(pipe(ends) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
    for (size_t i = 0; i < 2; i++) {
        snprintf(name, sizeof name, names[i], ends[1]);
        write_to(name, "one");
        reads(ends[0], "one");
        snprintf(name, sizeof name, names[i], sockets[1]); /* open() refuses sockets */
        write_to(name, "two");
        reads(sockets[0], "two");
    }
    ck_assert_int_eq(cli_output_descriptor("-"), 1);
    ck_assert_int_eq(cli_output_descriptor("/dev/stdout"), 1);
    ck_assert_int_eq(cli_output_descriptor("/dev/stderr"), 2);
    ck_assert_int_eq(cli_output_descriptor("/dev/fd/"), -1);
    ck_assert_int_eq(cli_output_descriptor("/dev/fd/1x"), -1);
    ck_assert_int_eq(cli_output_descriptor("./-"), -1);
}
END_TEST

/* One that is a pipe is opened once, and its reader waited for. */
START_TEST(named_pipe)
{
    struct cli_output o;
    pid_t pid;
    int status;

    begin();
    ck_assert(mkfifo(target, 0600) == 0);
    pid = fork();
    ck_assert(pid >= 0);
    if (pid == 0) {
        char got[8] = "";
        int fd;

        usleep(50000);
        fd = open(target, O_RDONLY);
        usleep(50000);
        _exit(read(fd, got, 7) == 3 && read(fd, got, 7) == 0 && !strcmp(got, "one") ? 0 : 1);
    }
    ck_assert(cli_output_prepare(&o, target));
    ck_assert(cli_output_begin(&o));
    fputs("one", o.writing.to);
    ck_assert(cli_output_keep(&o));
    ck_assert(waitpid(pid, &status, 0) == pid && status == 0);
    ck_assert_uint_eq(count_files(), 1);
    end();
}
END_TEST

/* A pipe that is not read for a while, and that says so instead of waiting. */
START_TEST(non_blocking_pipe)
{
    enum { BYTES = 1 << 20 };
    struct cli_output o;
    int ends[2], status;
    char name[40];
    pid_t pid;

    ck_assert(pipe2(ends, O_NONBLOCK) == 0);
    fcntl(ends[0], F_SETFL, 0);
    pid = fork();
    ck_assert(pid >= 0);
    if (pid == 0) {
        static char got[4096];
        size_t n = 0;

        close(ends[1]);
        usleep(50000);
        for (ssize_t some; (some = read(ends[0], got, sizeof got)) > 0;)
            n += (size_t)some;
        _exit(n == BYTES ? 0 : 1);
    }
    close(ends[0]);
    snprintf(name, sizeof name, "/dev/fd/%d", ends[1]);
    ck_assert(cli_output_open(&o, name));
    for (int i = 0; i < BYTES; i++)
        putc('x', o.writing.to);
    ck_assert(cli_output_keep(&o));
    close(ends[1]);
    ck_assert(waitpid(pid, &status, 0) == pid && status == 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {kept_or_dropped, not_kept,          rights_stay,   links_stay,
                                  longest_name,    parts_of_others,   writer_killed, descriptors,
                                  named_pipe,      non_blocking_pipe, NULL};

    return run_suite("output", tests);
}
