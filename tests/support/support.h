/* support.h - what the test suites share. */
#ifndef DG_TESTS_SUPPORT_H
#define DG_TESTS_SUPPORT_H

#include <check.h> /* Check's, or no_check/check.h */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Runs a suite of one test case made of `tests` (NULL-terminated); for main(), whose exit status it returns. */
int run_suite(const char *name, const TTest *const *tests);

/* ck_assert_msg for what is asserted millions of times: of those, Check writes down each. */
#define quick_assert_msg(ok, ...)                                                                  \
    do {                                                                                           \
        if (!(ok))                                                                                 \
            ck_abort_msg(__VA_ARGS__);                                                             \
    } while (0)

/* True under a sanitizer or an emulator of another machine: tests whose only size is time then do less. */
bool sanitized(void);

/* Floats that end at a page that must not be touched, and start at one: an access outside
 * [0, n) ends the test. n = 0 gives a pointer to nothing. Freed with guarded_free. */
float *guarded_floats(size_t n);
void guarded_free(float *p, size_t n);

/* A random generator: splitmix64. */
uint64_t random_bits(uint64_t *state);
uint32_t random_below(uint64_t *state, uint32_t n); /* 0 ... n - 1 */
float random_float(uint64_t *state, float low, float high);

/* A code point's UTF-8, up to 4 bytes, to `to`; how many they are. Surrogates are written, too. */
size_t utf8_encode(uint32_t code, char *to);

/* Is the place of these bytes in the first part of a table of 2^18, by FNV-1a, which all know? One in 32 is. */
bool crowds(const char *s, size_t n);

/* "BUILD/NAME" for a program of this build. */
const char *build_path(const char *name, char *buf, size_t size);

/* SHA-256 (FIPS 180-4) of n bytes, as 64 hexadecimal digits. */
void sha256_hex(const void *data, size_t n, char hex[65]);

#endif
