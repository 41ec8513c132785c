/* What a process may no longer do in the sandbox, each tried in a child. */
#include "../../support/support.h"
#include "../../../tools/cli/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/dagpt-sandbox-XXXXXX";
static char inner[64], file[64], beside[64], outside[64];

static void make_files(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(inner, sizeof inner, "%s/in", folder);
    snprintf(file, sizeof file, "%s/in/file", folder);
    snprintf(beside, sizeof beside, "%s/in/beside", folder);
    snprintf(outside, sizeof outside, "%s/outside", folder);
    ck_assert_int_eq(mkdir(inner, 0700), 0);
    ck_assert_int_ge(close(open(outside, O_CREAT | O_WRONLY, 0600)), 0);
}

static void remove_files(void)
{
    unlink(file);
    unlink(beside);
    unlink(outside);
    rmdir(inner);
    rmdir(folder);
    memcpy(folder + sizeof folder - 7, "XXXXXX", 6);
}

/* Runs `run` in a child that has entered the sandbox, or has not; what it returns is its exit code; 77: this kernel cannot. */
static int in_child(bool enter, const char *out, int (*run)(void))
{
    const pid_t child = fork();
    int status;

    ck_assert_int_ge(child, 0);
    if (child == 0) {
        if (enter && sandbox_enter(&out, out ? 1 : 0))
            _exit(77);
        _exit(run());
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* 0: done; 1: refused; 2: failed otherwise. */
static int answer(bool done)
{
    return done ? 0 : errno == EPERM || errno == EACCES ? 1 : 2;
}

static int run_program(void)
{
    execl("/bin/true", "true", (char *)NULL);
    return answer(false);
}

static int make_socket(void)
{
    return answer(socket(AF_INET, SOCK_STREAM, 0) >= 0);
}

static int make_local_socket(void)
{
    return answer(socket(AF_UNIX, SOCK_STREAM, 0) >= 0);
}

static int open_to_write(void)
{
    return answer(open(outside, O_WRONLY) >= 0);
}

static int make_a_file(void)
{
    return answer(open(file, O_CREAT | O_RDWR, 0600) >= 0);
}

static int truncate_a_file(void)
{
    return answer(truncate(outside, 0) == 0);
}

static int remove_a_file(void)
{
    return answer(unlink(outside) == 0);
}

static int move_a_file(void)
{
    return answer(rename(outside, file) == 0);
}

static int make_a_folder(void)
{
    char path[80];

    snprintf(path, sizeof path, "%s/new", folder);
    return answer(mkdir(path, 0700) == 0);
}

static int read_a_file(void)
{
    char byte;
    const int fd = open("/proc/self/status", O_RDONLY);

    return answer(fd >= 0 && read(fd, &byte, 1) == 1);
}

static void *write_outside(void *result)
{
    *(int *)result = open_to_write();
    return NULL;
}

static int write_in_a_thread(void)
{
    pthread_t thread;
    int result = 2;

    if (pthread_create(&thread, NULL, write_outside, &result) != 0 ||
        pthread_join(thread, NULL) != 0)
        return 3;
    return result;
}

/* As the command writes a file: under another name beside it. */
static int write_beside(void)
{
    const int fd = open(beside, O_CREAT | O_WRONLY, 0600);

    return answer(fd >= 0 && write(fd, "x", 1) == 1 && rename(beside, file) == 0);
}

static int (*const attempts[])(void) = {run_program,   make_socket,     make_local_socket,
                                        open_to_write, truncate_a_file, remove_a_file,
                                        move_a_file,   make_a_folder,   write_in_a_thread};

enum { N_ATTEMPTS = sizeof attempts / sizeof *attempts };

/* Each can be done without, and is refused with and without a file to be written. */
START_TEST(what_is_refused)
{
    for (int i = 0; i < N_ATTEMPTS; i++) {
        const char *const outs[] = {NULL, file};
        int got;

        make_files();
        got = in_child(false, NULL, attempts[i]);
        ck_assert_msg(got == 0, "attempt %d, outside: got %d, expected 0", i, got);
        remove_files();
        make_files();
        for (int k = 0; k < 2; k++) {
            got = in_child(true, outs[k], attempts[i]);
            ck_assert_msg(got == 1 || got == 77, "attempt %d, %d to be written: got %d, expected 1",
                          i, k, got);
            if (got == 77)
                printf("sandbox: skipped: this kernel has not all of it\n");
        }
        remove_files();
    }
}
END_TEST

START_TEST(what_stays)
{
    int got;

    make_files();
    got = in_child(true, NULL, read_a_file);
    ck_assert_msg(got == 0 || got == 77, "got %d, expected 0", got);
    got = in_child(true, NULL, make_a_file);
    ck_assert_msg(got == 1 || got == 77, "got %d, expected 1", got);
    got = in_child(true, file, write_beside);
    ck_assert_msg(got == 0 || got == 77, "got %d, expected 0", got);
    remove_files();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {what_is_refused, what_stays, NULL};

    return run_suite("sandbox", tests);
}
