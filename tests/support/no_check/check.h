/* check.h - tests and their assertions where there is no Check library: what the tests use of it, in the same
 * words, so that they run wherever the program compiles, as with musl or a cross compiler.
 *
 *     START_TEST(adds)
 *     {
 *         ck_assert_int_eq(1 + 1, 2);
 *     }
 *     END_TEST
 *
 * An assertion that does not hold says so, with its place, and ends its test; it may be any thread's. */
#ifndef DG_TESTS_NO_CHECK_H
#define DG_TESTS_NO_CHECK_H

#include <stdint.h>
#include <string.h>

typedef struct {
    const char *name;
    void (*run)(void);
} TTest;

#define START_TEST(name)                                                                           \
    static void name##_body(void);                                                                 \
    static const TTest name[1] = {{#name, name##_body}};                                           \
    static void name##_body(void)
#define END_TEST

/* Runs the tests up to NULL, each in a process of its own, and says what came of them; for main(), whose exit
 * status it returns. In the environment:
 *     CK_RUN_CASE=NAME      this test alone
 *     CK_FORK=no            all in this process, for a debugger or a sanitizer: the first failure ends it
 *     CK_DEFAULT_TIMEOUT=S  ends a test after S seconds; 0, or unless said: when it makes no progress */
int run_suite(const char *name, const TTest *const *tests);

/* Prints FILE:LINE, the test's name, and the text, and ends the test. */
__attribute__((format(printf, 3, 4), noreturn)) void ck_fail(const char *file, int line,
                                                             const char *format, ...);

#define ck_abort_msg(...) ck_fail(__FILE__, __LINE__, __VA_ARGS__)
#define ck_assert_msg(ok, ...)                                                                     \
    do {                                                                                           \
        if (!(ok))                                                                                 \
            ck_fail(__FILE__, __LINE__, __VA_ARGS__);                                              \
    } while (0)
#define ck_assert(ok) ck_assert_msg(ok, "not so: %s", #ok)

#define CK_COMPARE(type, format, x, op, y)                                                         \
    do {                                                                                           \
        type ck_x = (x);                                                                           \
        type ck_y = (y);                                                                           \
        if (!(ck_x op ck_y))                                                                       \
            ck_fail(__FILE__, __LINE__, "not so: %s %s %s; got " format " and " format, #x, #op,   \
                    #y, ck_x, ck_y);                                                               \
    } while (0)

#define ck_assert_int_eq(x, y) CK_COMPARE(intmax_t, "%jd", x, ==, y)
#define ck_assert_int_ne(x, y) CK_COMPARE(intmax_t, "%jd", x, !=, y)
#define ck_assert_int_lt(x, y) CK_COMPARE(intmax_t, "%jd", x, <, y)
#define ck_assert_int_le(x, y) CK_COMPARE(intmax_t, "%jd", x, <=, y)
#define ck_assert_int_gt(x, y) CK_COMPARE(intmax_t, "%jd", x, >, y)
#define ck_assert_int_ge(x, y) CK_COMPARE(intmax_t, "%jd", x, >=, y)

#define ck_assert_uint_eq(x, y) CK_COMPARE(uintmax_t, "%ju", x, ==, y)
#define ck_assert_uint_ne(x, y) CK_COMPARE(uintmax_t, "%ju", x, !=, y)
#define ck_assert_uint_lt(x, y) CK_COMPARE(uintmax_t, "%ju", x, <, y)
#define ck_assert_uint_le(x, y) CK_COMPARE(uintmax_t, "%ju", x, <=, y)
#define ck_assert_uint_gt(x, y) CK_COMPARE(uintmax_t, "%ju", x, >, y)
#define ck_assert_uint_ge(x, y) CK_COMPARE(uintmax_t, "%ju", x, >=, y)

#define ck_assert_double_eq(x, y) CK_COMPARE(double, "%.17g", x, ==, y)
#define ck_assert_double_ne(x, y) CK_COMPARE(double, "%.17g", x, !=, y)
#define ck_assert_double_lt(x, y) CK_COMPARE(double, "%.17g", x, <, y)
#define ck_assert_double_le(x, y) CK_COMPARE(double, "%.17g", x, <=, y)
#define ck_assert_double_gt(x, y) CK_COMPARE(double, "%.17g", x, >, y)
#define ck_assert_double_ge(x, y) CK_COMPARE(double, "%.17g", x, >=, y)
#define ck_assert_double_eq_tol(x, y, most)                                                        \
    do {                                                                                           \
        const double ck_x = (x), ck_y = (y), ck_most = (most);                                     \
        if (!(ck_x - ck_y <= ck_most && ck_y - ck_x <= ck_most))                                   \
            ck_fail(__FILE__, __LINE__, "not so: %s is %s; got %.17g and %.17g, %g apart at most", \
                    #x, #y, ck_x, ck_y, ck_most);                                                  \
    } while (0)
#define ck_assert_float_eq ck_assert_double_eq
#define ck_assert_float_ne ck_assert_double_ne
#define ck_assert_float_lt ck_assert_double_lt
#define ck_assert_float_le ck_assert_double_le
#define ck_assert_float_gt ck_assert_double_gt
#define ck_assert_float_ge ck_assert_double_ge

#define ck_assert_ptr_eq(x, y)   CK_COMPARE(const void *, "%p", x, ==, y)
#define ck_assert_ptr_ne(x, y)   CK_COMPARE(const void *, "%p", x, !=, y)
#define ck_assert_ptr_null(x)    ck_assert_ptr_eq(x, NULL)
#define ck_assert_ptr_nonnull(x) ck_assert_ptr_ne(x, NULL)

#define ck_assert_str_eq(x, y)                                                                     \
    do {                                                                                           \
        const char *const ck_x = (x), *const ck_y = (y);                                           \
        if (!ck_x || !ck_y || strcmp(ck_x, ck_y) != 0)                                             \
            ck_fail(__FILE__, __LINE__, "not so: %s is %s; got '%s' and '%s'", #x, #y,             \
                    ck_x ? ck_x : "(null)", ck_y ? ck_y : "(null)");                               \
    } while (0)

#define ck_assert_mem_eq(x, y, n)                                                                  \
    do {                                                                                           \
        const void *const ck_x = (x), *const ck_y = (y);                                           \
        const size_t ck_n = (n);                                                                   \
        if (ck_n > 0 && memcmp(ck_x, ck_y, ck_n) != 0)                                             \
            ck_fail(__FILE__, __LINE__, "not so: the %zu bytes of %s are those of %s", ck_n, #x,   \
                    #y);                                                                           \
    } while (0)

#endif
