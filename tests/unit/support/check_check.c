/* What runs the tests without Check: each way in which a test can fail is seen, and what holds is no failure. */
#include "../../support/no_check/check.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

START_TEST(passes)
{
    ck_assert(1);
    ck_assert_int_eq(-1, -1);
    ck_assert_int_lt(-1, 1);
    ck_assert_uint_eq(UINT64_MAX, -1);
    ck_assert_uint_gt(SIZE_MAX, 1);
    ck_assert_double_eq_tol(1.0, 1.5, 0.5);
    ck_assert_ptr_eq(passes, passes);
    ck_assert_str_eq("a", "a");
    ck_assert_mem_eq("ab", "ac", 1);
}
END_TEST

START_TEST(not_equal)
{
    ck_assert_int_eq(1, 2);
}
END_TEST

START_TEST(not_near)
{
    ck_assert_double_eq_tol(1.0, 0.0 / 0.0, 0.5);
}
END_TEST

START_TEST(another_text)
{
    ck_assert_str_eq("a", getenv("no such variable"));
}
END_TEST

START_TEST(other_bytes)
{
    ck_assert_mem_eq("ab", "ac", 2);
}
END_TEST

START_TEST(nothing_there)
{
    ck_assert_ptr_nonnull(NULL);
}
END_TEST

START_TEST(killed)
{
    raise(SIGKILL);
}
END_TEST

START_TEST(hangs)
{
    pause();
}
END_TEST

START_TEST(leaves)
{
    exit(3);
}
END_TEST

static void *fails(void *arg)
{
    ck_assert_ptr_null(&arg);
    return NULL;
}

START_TEST(fails_in_a_thread)
{
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, fails, NULL), 0);
    pthread_join(thread, NULL);
}
END_TEST

/* run_suite() of these, with nothing printed. */
static int suite_of(const TTest *const *tests)
{
    const int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO);
    const int nothing = open("/dev/null", O_WRONLY);
    int status;

    fflush(stdout);
    dup2(nothing, STDOUT_FILENO);
    dup2(nothing, STDERR_FILENO);
    status = run_suite("inner", tests);
    fflush(stdout);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    return status;
}

START_TEST(failures_are_seen)
{
    const TTest *const bad[] = {not_equal, not_near, another_text, other_bytes,      nothing_there,
                                killed,    hangs,    leaves,       fails_in_a_thread};
    const TTest *one[3] = {passes, passes, NULL};

    unsetenv("CK_FORK");
    setenv("CK_DEFAULT_TIMEOUT", "1", 1);
    ck_assert_int_eq(suite_of(one), EXIT_SUCCESS);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        for (size_t at = 0; at < 2; at++) {
            one[at] = bad[i];
            one[!at] = passes;
            ck_assert_msg(suite_of(one) == EXIT_FAILURE, "%s passed", bad[i]->name);
        }
}
END_TEST

START_TEST(one_alone)
{
    const TTest *const both[] = {passes, not_equal, NULL};

    unsetenv("CK_FORK");
    setenv("CK_RUN_CASE", "passes", 1);
    ck_assert_int_eq(suite_of(both), EXIT_SUCCESS);
    setenv("CK_RUN_CASE", "not_equal", 1);
    ck_assert_int_eq(suite_of(both), EXIT_FAILURE);
    setenv("CK_RUN_CASE", "no such test", 1);
    ck_assert_int_eq(suite_of(both), EXIT_FAILURE);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {passes, failures_are_seen, one_alone, NULL};

    return run_suite("no_check", tests);
}
