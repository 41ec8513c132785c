/* Each descriptor has one owner: whatever fails while a model or tokenizer is opened, each that was opened is
 * closed, and none twice, which would close another thread's. */
#include "../../support/support.h"
#include "../../../src/dagpt.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What the library calls (Makefile: --wrap), and what stands behind it. */
void *__wrap_malloc(size_t n), *__real_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size), *__real_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n), *__real_realloc(void *p, size_t n);
int __wrap_close(int fd), __real_close(int fd);

static long allowed = -1; /* allocations before the one that fails; below 0: none fails */
static int closed, closed_twice;

static bool fails(void)
{
    return allowed >= 0 && allowed-- == 0;
}

void *__wrap_malloc(size_t n)
{
    return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    return fails() ? NULL : __real_realloc(p, n);
}

int __wrap_close(int fd)
{
    closed++;
    closed_twice += fcntl(fd, F_GETFD) < 0;
    return __real_close(fd);
}

static int count_open(void)
{
    int n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static enum dg_status open_model(const char *path, struct dg_team *team, struct dg_error *err)
{
    struct dg_model *m = NULL;
    const enum dg_status st = dg_model_open(&m, path, team, err);

    dg_model_free(m);
    return st;
}

static enum dg_status open_tokenizer(const char *path, struct dg_team *team, struct dg_error *err)
{
    struct dg_tokenizer *t = NULL;
    const enum dg_status st = dg_tokenizer_open(&t, path, err);

    (void)team;
    dg_tokenizer_free(t);
    return st;
}

/* Opens the file with every allocation failing in turn, until none is left to fail. */
static void open_without_memory(const char *path,
                                enum dg_status (*open_it)(const char *, struct dg_team *,
                                                          struct dg_error *),
                                bool loads)
{
    struct dg_team *team = NULL;
    struct dg_error err;
    enum dg_status st = DG_ERR_RESOURCE;
    int before;

    if (loads)
        ck_assert_int_eq(dg_team_new(&team, 1, 0, &err), DG_OK);
    before = count_open();
    closed = 0;
    for (long n = 0; st != DG_OK; n++) {
        ck_assert_int_lt((int)n, 100000);
        allowed = n;
        st = open_it(path, team, &err);
        allowed = -1;
        ck_assert_msg(st == DG_OK || st == DG_ERR_RESOURCE, "%s without allocation %ld: %s", path,
                      n, err.text);
        ck_assert_msg(closed_twice == 0, "%s without allocation %ld: closed twice", path, n);
        ck_assert_msg(count_open() == before, "%s without allocation %ld: left open", path, n);
    }
    ck_assert_int_gt(closed, 0);
    dg_team_free(team);
}

START_TEST(without_memory)
{
    static const char *const models[] = {"tests/golden/tiny.bin", "tests/golden/bf16.bin",
                                         "tests/golden/hf-bare",
                                         "tests/golden/gguf/small-f32.gguf"};

    for (int loads = 0; loads < 2; loads++)
        for (size_t i = 0; i < sizeof models / sizeof *models; i++)
            open_without_memory(models[i], open_model, loads);
    open_without_memory("models/demo/merges.txt", open_tokenizer, false);
}
END_TEST

/* The first `n` bytes of a file, in a file of their own. */
static void cut(const char *from, long n, const char *to)
{
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");

    ck_assert(in && out);
    for (int c; n-- > 0 && (c = getc(in)) != EOF;)
        putc(c, out);
    ck_assert(fclose(in) == 0 && fclose(out) == 0);
}

START_TEST(files_cut_short)
{
    static const char *const models[] = {"tests/golden/tiny.bin",
                                         "tests/golden/gguf/small-f32.gguf"};
    static const long lengths[] = {0, 3, 100, 1023, 1024, 1025, 5000};
    const int before = count_open();
    char path[] = "/tmp/check_closing.XXXXXX";
    struct dg_error err;
    const int fd = mkstemp(path);

    ck_assert(fd >= 0 && close(fd) == 0);
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
            cut(models[i], lengths[k], path);
            ck_assert_int_ne(open_model(path, NULL, &err), DG_OK);
            ck_assert_msg(closed_twice == 0, "%s, %ld bytes: closed twice", models[i], lengths[k]);
            ck_assert_msg(count_open() == before, "%s, %ld bytes: left open", models[i],
                          lengths[k]);
        }
    }
    unlink(path);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {without_memory, files_cut_short, NULL};

    return run_suite("closing", tests);
}
