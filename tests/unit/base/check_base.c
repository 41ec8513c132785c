/* src/base: error text, checked arithmetic, arena, files, and what a machine offers. Files and
 * cgroup trees are made in a temporary folder. */
#include "../../support/support.h"
#include "../../../src/base/arena.h"
#include "../../../src/base/checked.h"
#include "../../../src/base/cpu.h"
#include "../../../src/base/crc.h"
#include "../../../src/base/file.h"
#include "../../../src/base/finite.h"
#include "../../../src/base/gather.h"
#include "../../../src/base/options.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- a folder with some files ---- */

struct text_file {
    const char *path; /* relative to the folder; NULL ends a list */
    const char *text;
};

static void make_folder(char root[32])
{
    strcpy(root, "/tmp/dagpt-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static void remove_folder(const char *root)
{
    ck_assert_int_eq(nftw(root, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* "root/name" in buf. */
static const char *in_folder(const char *root, const char *name, char buf[256])
{
    snprintf(buf, 256, "%s/%s", root, name);
    return buf;
}

static void write_file(const char *root, const char *name, const void *data, size_t n)
{
    char path[256];
    FILE *f;

    in_folder(root, name, path);
    for (char *slash = path + strlen(root); (slash = strchr(slash + 1, '/'));) {
        *slash = '\0';
        ck_assert(mkdir(path, 0700) == 0 || errno == EEXIST);
        *slash = '/';
    }
    f = fopen(path, "we");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(data, 1, n, f), n);
    ck_assert_int_eq(fclose(f), 0);
}

/* dg_cgroup_cpus() on a machine that has these files and no others. */
static unsigned cpus_with(const struct text_file *files)
{
    char root[32];
    unsigned cpus;

    make_folder(root);
    for (; files->path; files++)
        write_file(root, files->path, files->text, strlen(files->text));
    cpus = dg_cgroup_cpus(root);
    remove_folder(root);
    return cpus;
}

/* ---- status ---- */

START_TEST(fail_fills)
{
    struct dg_error err = {0};

    ck_assert_int_eq(dg_fail(&err, DG_ERR_MODEL, "%s: got %d", "a.bin", 7), DG_ERR_MODEL);
    ck_assert_int_eq(err.status, DG_ERR_MODEL);
    ck_assert_str_eq(err.text, "a.bin: got 7");
    ck_assert_int_eq(dg_fail_memory(&err, "a plan", 4096), DG_ERR_RESOURCE);
    ck_assert_int_eq(err.status, DG_ERR_RESOURCE);
    ck_assert_str_eq(err.text, "out of memory for a plan: 4096 bytes");
}
END_TEST

START_TEST(fail_without_error)
{
    ck_assert_int_eq(dg_fail(NULL, DG_ERR_IO, "%s", "lost"), DG_ERR_IO);
    ck_assert_int_eq(dg_fail_memory(NULL, "a plan", 1), DG_ERR_RESOURCE);
}
END_TEST

/* Lengths on both sides of the room there is. */
START_TEST(fail_truncates)
{
    const size_t room = sizeof((struct dg_error *)0)->text;
    char text[4001] = {0};
    struct {
        struct dg_error err;
        unsigned char after[16];
    } e;

    memset(text, 'x', 4000);
    for (size_t n = room - 3; n < room + 3; n++) {
        memset(&e, 0x5a, sizeof e);
        dg_fail(&e.err, DG_ERR_IO, "%.*s", (int)n, text);
        ck_assert_uint_eq(strlen(e.err.text), n < room ? n : room - 1);
        for (size_t i = 0; i < sizeof e.after; i++)
            ck_assert_uint_eq(e.after[i], 0x5a);
    }
    dg_fail(&e.err, DG_ERR_IO, "%s", text);
    ck_assert_uint_eq(strlen(e.err.text), room - 1);
}
END_TEST

static void expect_line(const char *text, const char *expected)
{
    struct dg_error err;

    dg_fail(&err, DG_ERR_TOKEN, "%s", text);
    ck_assert_str_eq(err.text, expected);
}

/* Of a text that is too long the end is kept, which says what was wrong. */
START_TEST(fail_leaves_out_the_middle)
{
    static char path[5000];
    struct dg_error err;

    memset(path, 'x', sizeof path - 1);
    dg_fail(&err, DG_ERR_IO, "%s: cannot open: %s", path, "no such file");
    ck_assert_uint_eq(strlen(err.text), sizeof err.text - 1);
    ck_assert(strncmp(err.text, "xxxx", 4) == 0 && strstr(err.text, "xxx...xxx"));
    ck_assert_str_eq(strrchr(err.text, 'x') + 1, ": cannot open: no such file");
}
END_TEST

/* Controls become '?', and so do bytes that are no UTF-8; all else stays. */
START_TEST(fail_is_one_line)
{
    char text[256];
    struct dg_error err;

    for (int i = 0; i < 255; i++)
        text[i] = (char)(i + 1);
    text[255] = '\0';
    dg_fail(&err, DG_ERR_TOKEN, "%s", text);
    ck_assert_uint_eq(strlen(err.text), 255);
    for (int i = 0; i < 255; i++)
        ck_assert_int_eq(err.text[i], i + 1 < 0x20 || i + 1 >= 0x7f ? '?' : text[i]);
    expect_line("a\xC2\x80\xC2\x9B\xC2\x9Fz", "a???z");
    expect_line("\xC2\xA0\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80",
                "\xC2\xA0\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
    expect_line("\xE2\x80\xA8\xE2\x80\xA9\xE2\x80\xA6", "??\xE2\x80\xA6");
    expect_line("\xC3\xA9\x9B[2J\xC3", "\xC3\xA9?[2J?");
    expect_line("\xED\xA0\x80\xC0\x9B", "?????");
}
END_TEST

/* ---- checked arithmetic ---- */

START_TEST(multiply)
{
    const size_t half = (size_t)1 << (sizeof(size_t) * CHAR_BIT / 2);
    size_t n;

    ck_assert(dg_mul(0, SIZE_MAX, &n) && n == 0);
    ck_assert(dg_mul(SIZE_MAX, 0, &n) && n == 0);
    ck_assert(dg_mul(SIZE_MAX, 1, &n) && n == SIZE_MAX);
    ck_assert(dg_mul(SIZE_MAX / 3, 3, &n) && n == SIZE_MAX / 3 * 3);
    ck_assert(dg_mul(half, half - 1, &n) && n == half * (half - 1));
    ck_assert(!dg_mul(half, half, &n));
    ck_assert(!dg_mul(SIZE_MAX, 2, &n));
    ck_assert(!dg_mul(SIZE_MAX / 2 + 1, 2, &n));
    ck_assert(!dg_mul(SIZE_MAX, SIZE_MAX, &n));
}
END_TEST

START_TEST(add)
{
    size_t n;

    ck_assert(dg_add(SIZE_MAX, 0, &n) && n == SIZE_MAX);
    ck_assert(dg_add(SIZE_MAX - 1, 1, &n) && n == SIZE_MAX);
    ck_assert(!dg_add(SIZE_MAX, 1, &n));
    ck_assert(!dg_add(1, SIZE_MAX, &n));
    ck_assert(!dg_add(SIZE_MAX, SIZE_MAX, &n));
}
END_TEST

START_TEST(finite_at_every_place)
{
    static const uint32_t bad[] = {0x7f800000, 0xff800000, 0x7f800001, 0x7fc00000, 0xffffffff};
    static const uint32_t good[] = {0x7f7fffff, 0xff7fffff, 0, 0x80000000, 1, 0x807fffff};
    float x[20];

    for (size_t n = 0; n <= 20; n++) {
        for (size_t i = 0; i < n; i++)
            memcpy(&x[i], &good[i % 6], sizeof *x);
        ck_assert(dg_are_finite(x, n));
        for (size_t i = 0; i < n; i++) {
            memcpy(&x[i], &bad[(i + n) % 5], sizeof *x);
            ck_assert_msg(!dg_are_finite(x, n), "%zu of %zu", i, n);
            ck_assert(dg_are_finite(x, i));
            memcpy(&x[i], &good[i % 6], sizeof *x);
        }
    }
    ck_assert(dg_are_finite(NULL, 0));
}
END_TEST

START_TEST(round_up)
{
    ck_assert_uint_eq(dg_round_up(0, 64), 0);
    ck_assert_uint_eq(dg_round_up(1, 64), 64);
    ck_assert_uint_eq(dg_round_up(64, 64), 64);
    ck_assert_uint_eq(dg_round_up(65, 64), 128);
    ck_assert_uint_eq(dg_round_up(7, 3), 9);
    ck_assert_uint_eq(dg_round_up(7, 1), 7);
    ck_assert_uint_eq(dg_round_up(SIZE_MAX - 63, 64), SIZE_MAX - 63);
    ck_assert_uint_eq(dg_div_up(0, 5), 0);
    ck_assert_uint_eq(dg_div_up(1, 5), 1);
    ck_assert_uint_eq(dg_div_up(5, 5), 1);
    ck_assert_uint_eq(dg_div_up(6, 5), 2);
    ck_assert_uint_eq(dg_div_up(SIZE_MAX, 1), SIZE_MAX);
}
END_TEST

/* ---- arena ---- */

static void check_block(const unsigned char *p, size_t n, size_t align)
{
    ck_assert_ptr_nonnull(p);
    ck_assert_uint_eq((uintptr_t)p % align, 0);
    for (size_t i = 0; i < n; i++)
        if (p[i] != 0)
            ck_abort_msg("byte %zu of %zu is not zero", i, n);
}

/* Sizes around those at which a request gets its own block, and huge pages. */
START_TEST(arena_alignment)
{
    static const size_t edges[] = {1, 63, 64, 65, 4096, 256 << 10, 512 << 10, 2 << 20, 5 << 20};
    struct dg_arena *arena = dg_arena_new();

    ck_assert_ptr_nonnull(arena);
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
        for (size_t n = edges[i] > 65 ? edges[i] - 65 : 1; n <= edges[i] + 1; n += 22) {
            unsigned char *p = dg_arena_alloc(arena, n);

            check_block(p, n, n >= 2 << 20 ? 2 << 20 : 64);
            memset(p, 0xff, n); /* so that a block that overlaps this one is not zero */
        }
        check_block(dg_arena_alloc(arena, edges[i]), edges[i], edges[i] >= 2 << 20 ? 2 << 20 : 64);
    }
    dg_arena_free(arena);
}
END_TEST

/* Each block is filled with a byte of its own; a neighbour that overlaps it would change some. */
START_TEST(arena_no_overlap)
{
    enum { N = 4000 };
    struct dg_arena *arena = dg_arena_new();
    unsigned char **blocks = calloc(N, sizeof *blocks);
    size_t *sizes = calloc(N, sizeof *sizes);
    uint64_t state = 1;

    for (size_t i = 0; i < N; i++) {
        sizes[i] = random_below(&state, i % 100 == 0 ? 400 << 10 : 2000);
        blocks[i] = dg_arena_alloc(arena, sizes[i]);
        check_block(blocks[i], sizes[i], 64);
        memset(blocks[i], (int)(i % 251 + 1), sizes[i]);
    }
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k < sizes[i]; k++)
            if (blocks[i][k] != i % 251 + 1)
                ck_abort_msg("byte %zu of block %zu was overwritten", k, i);
    dg_arena_free(arena);
    free(blocks);
    free(sizes);
}
END_TEST

START_TEST(arena_too_much)
{
    struct dg_arena *arena = dg_arena_new();

    for (size_t less = 0; less < 200; less++)
        ck_assert_ptr_null(dg_arena_alloc(arena, SIZE_MAX - less));
    ck_assert_ptr_null(dg_arena_alloc(arena, SIZE_MAX - (2 << 20) - 63));
    ck_assert_ptr_null(dg_arena_alloc(arena, SIZE_MAX / 8 * 7));
    ck_assert_ptr_null(dg_arena_array(arena, SIZE_MAX / 2 + 1, 2));
    ck_assert_ptr_null(dg_arena_array(arena, SIZE_MAX / 64 + 2, 64));
    check_block(dg_arena_alloc(arena, 100), 100, 64); /* it still serves */
    check_block(dg_arena_array(arena, 25, 4), 100, 64);
    dg_arena_free(arena);
}
END_TEST

/* As the first request of all, and when a block is just full. */
START_TEST(arena_size_zero)
{
    struct dg_arena *arena = dg_arena_new();

    ck_assert_ptr_nonnull(dg_arena_alloc(arena, 0));
    for (int i = 0; i < 3 * (256 << 10) / 4096; i++) {
        check_block(dg_arena_alloc(arena, 4096), 4096, 64);
        ck_assert_ptr_nonnull(dg_arena_alloc(arena, 0));
    }
    ck_assert_ptr_nonnull(dg_arena_array(arena, 0, SIZE_MAX));
    ck_assert_ptr_nonnull(dg_arena_array(arena, SIZE_MAX, 0));
    dg_arena_free(arena);
    dg_arena_free(NULL);
}
END_TEST

/* ---- files ---- */

static void check_refused(const char *path, const char *why)
{
    struct dg_error err = {0};
    struct dg_file file;

    ck_assert_int_eq(dg_file_open(&file, path, &err), DG_ERR_MODEL);
    ck_assert_int_eq(err.status, DG_ERR_MODEL);
    ck_assert_ptr_nonnull(strstr(err.text, why));
    ck_assert_int_eq(strncmp(err.text, path, strlen(path)), 0);
    ck_assert_int_eq(file.fd, -1);
    dg_file_close(&file);
}

/* Opening a FIFO that nobody writes to would wait for ever without O_NONBLOCK. */
START_TEST(file_refused)
{
    char root[32], path[256];

    make_folder(root);
    check_refused(in_folder(root, "missing", path), "No such file");
    check_refused(root, "not a regular file");
    check_refused("/dev/null", "not a regular file");
    ck_assert_int_eq(mkfifo(in_folder(root, "fifo", path), 0600), 0);
    check_refused(path, "not a regular file");
    remove_folder(root);
}
END_TEST

/* A file of 1000 bytes whose byte i is i % 256. */
static void open_bytes(struct dg_file *file, char root[32])
{
    unsigned char bytes[1000];
    char path[256];

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)i;
    make_folder(root);
    write_file(root, "bytes", bytes, sizeof bytes);
    ck_assert_int_eq(dg_file_open(file, in_folder(root, "bytes", path), NULL), DG_OK);
    ck_assert_uint_eq(file->bytes, 1000);
}

START_TEST(file_read)
{
    unsigned char got[1001];
    struct dg_file file;
    char root[32];

    open_bytes(&file, root);
    for (size_t offset = 1000; offset-- > 0;) { /* backwards: no read follows from the last */
        const size_t n = 1 + offset * 7 % (1000 - offset);

        memset(got, 0x5a, sizeof got);
        ck_assert_int_eq(dg_file_read(&file, offset, got, n), 0);
        for (size_t i = 0; i < n; i++)
            ck_assert_uint_eq(got[i], (offset + i) % 256);
        ck_assert_uint_eq(got[n], 0x5a);
    }
    dg_file_close(&file);
    ck_assert_int_eq(file.fd, -1);
    dg_file_close(&file);
    remove_folder(root);
}
END_TEST

START_TEST(file_mapped)
{
    struct dg_file file, memory;
    const unsigned char *bytes;
    char root[32], path[256];

    open_bytes(&file, root);
    bytes = dg_file_map(&file);
    ck_assert_ptr_nonnull(bytes);
    ck_assert(dg_file_map(&file) == bytes);
    for (size_t i = 0; i < 1000; i++)
        ck_assert_uint_eq(bytes[i], i % 256);
    memory = dg_file_of_memory(bytes, 1000);
    ck_assert(dg_file_map(&memory) == bytes);
    ck_assert(!dg_file_changed(&file) && !dg_file_changed(&memory));
    ck_assert_int_eq(truncate(in_folder(root, "bytes", path), 999), 0);
    ck_assert(dg_file_changed(&file));
    dg_file_close(&file);
    dg_file_close(&file);
    ck_assert_ptr_null(file.map);
    remove_folder(root);
}
END_TEST

/* Other bytes of the same number, later. */
START_TEST(file_written_to)
{
    const struct timespec later[2] = {{.tv_sec = 2000000000}, {.tv_sec = 2000000000}};
    struct dg_file file;
    char root[32], path[256];

    open_bytes(&file, root);
    ck_assert_int_eq(utimensat(AT_FDCWD, in_folder(root, "bytes", path), later, 0), 0);
    ck_assert(dg_file_changed(&file));
    dg_file_close(&file);
    remove_folder(root);
}
END_TEST

/* "123456789" has the sum by which all implementations are compared; and a sum goes on where another ended. */
START_TEST(crc)
{
    static unsigned char bytes[300];
    struct dg_crc tables;

    dg_crc_tables(&tables);
    ck_assert_uint_eq(dg_crc(&tables, 0, "123456789", 9), 0xCBF43926);
    ck_assert_uint_eq(dg_crc(&tables, 0, "", 0), 0);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * i);
    for (size_t i = 0; i <= sizeof bytes; i++)
        ck_assert_uint_eq(
            dg_crc(&tables, dg_crc(&tables, 0, bytes, i), bytes + i, sizeof bytes - i),
            dg_crc(&tables, 0, bytes, sizeof bytes));
}
END_TEST

START_TEST(file_read_past_end)
{
    struct dg_file file;
    char root[32], path[256], got[16];

    open_bytes(&file, root);
    ck_assert_int_eq(dg_file_read(&file, 984, got, 16), 0);
    ck_assert_int_eq(dg_file_read(&file, 985, got, 16), EIO);
    ck_assert_int_eq(dg_file_read(&file, 1000, got, 1), EIO);
    ck_assert_int_eq(dg_file_read(&file, 1000, got, 0), 0);
    ck_assert_int_eq(dg_file_read(&file, (uint64_t)1 << 40, got, 1), EIO);
    ck_assert_int_ne(dg_file_read(&file, UINT64_MAX, got, 1), 0); /* not an off_t */
    ck_assert_int_eq(truncate(in_folder(root, "bytes", path), 500), 0);
    ck_assert_int_eq(dg_file_read(&file, 490, got, 16), EIO); /* it shrank after it was opened */
    dg_file_close(&file);
    remove_folder(root);
}
END_TEST

/* ---- cpus ---- */

START_TEST(quota_v2)
{
    ck_assert_uint_eq(dg_quota_v2("200000 100000\n"), 2);
    ck_assert_uint_eq(dg_quota_v2("200001 100000\n"), 3);
    ck_assert_uint_eq(dg_quota_v2("50000 100000"), 1);
    ck_assert_uint_eq(dg_quota_v2("1 100000"), 1);
    ck_assert_uint_eq(dg_quota_v2("1000000 1000\n"), 1000);
    ck_assert_uint_eq(dg_quota_v2("max 100000\n"), 0);
    ck_assert_uint_eq(dg_quota_v2(""), 0);
    ck_assert_uint_eq(dg_quota_v2("\n"), 0);
    ck_assert_uint_eq(dg_quota_v2("200000"), 0);
    ck_assert_uint_eq(dg_quota_v2("200000 x"), 0);
    ck_assert_uint_eq(dg_quota_v2("two hundred"), 0);
    ck_assert_uint_eq(dg_quota_v2("0 100000"), 0);
    ck_assert_uint_eq(dg_quota_v2("200000 0"), 0);
    ck_assert_uint_eq(dg_quota_v2("-200000 100000"), 0);
    ck_assert_uint_eq(dg_quota_v2("200000 -100000"), 0);
}
END_TEST

START_TEST(quota_v1)
{
    ck_assert_uint_eq(dg_quota_v1("300000\n", "100000\n"), 3);
    ck_assert_uint_eq(dg_quota_v1("300001\n", "100000\n"), 4);
    ck_assert_uint_eq(dg_quota_v1("10000", "100000"), 1);
    ck_assert_uint_eq(dg_quota_v1("-1\n", "100000\n"), 0);
    ck_assert_uint_eq(dg_quota_v1("", ""), 0);
    ck_assert_uint_eq(dg_quota_v1("300000", ""), 0);
    ck_assert_uint_eq(dg_quota_v1("", "100000"), 0);
    ck_assert_uint_eq(dg_quota_v1("max", "100000"), 0);
    ck_assert_uint_eq(dg_quota_v1("300000", "0"), 0);
    ck_assert_uint_eq(dg_quota_v1("300000", "-1"), 0);
}
END_TEST

/* 2^32 + 1 CPUs are more than there are, and must not become 1, nor 2^32 become "no limit" and
 * 2^63 / 2 something in between. Quotas up to 2^44 us can be set, and periods from 1000 us. */
START_TEST(quota_huge)
{
    const unsigned many = 1u << 20;

    ck_assert_uint_ge(dg_quota_v2("4294967297000 1000") - 1, many);
    ck_assert_uint_ge(dg_quota_v1("4294967297000", "1000") - 1, many);
    ck_assert_uint_ge(dg_quota_v2("17592186044415 1000") - 1, many);
    ck_assert_uint_ge(dg_quota_v2("9223372036854775807 9223372036854775807"), 1);
    ck_assert_uint_le(dg_quota_v2("9223372036854775807 9223372036854775807"), 1);
}
END_TEST

START_TEST(cgroup_v2)
{
    const struct text_file nested[] = {{"proc/self/cgroup", "0::/a/b\n"},
                                       {"sys/fs/cgroup/a/cpu.max", "200000 100000\n"},
                                       {"sys/fs/cgroup/a/b/cpu.max", "400000 100000\n"},
                                       {NULL, NULL}};
    const struct text_file inner[] = {{"proc/self/cgroup", "0::/a/b\n"},
                                      {"sys/fs/cgroup/a/cpu.max", "400000 100000\n"},
                                      {"sys/fs/cgroup/a/b/cpu.max", "100000 100000\n"},
                                      {NULL, NULL}};
    const struct text_file top[] = {{"proc/self/cgroup", "0::/a/b\n"},
                                    {"sys/fs/cgroup/cpu.max", "300000 100000\n"},
                                    {"sys/fs/cgroup/a/cpu.max", "max 100000\n"},
                                    {"sys/fs/cgroup/a/b/cpu.max", "800000 100000\n"},
                                    {NULL, NULL}};
    const struct text_file without[] = {{"proc/self/cgroup", "0::/a/b\n"},
                                        {"sys/fs/cgroup/a/cpu.max", "max 100000\n"},
                                        {"sys/fs/cgroup/a/b/cpu.max", "max 100000\n"},
                                        {NULL, NULL}};

    ck_assert_uint_eq(cpus_with(nested), 2);
    ck_assert_uint_eq(cpus_with(inner), 1);
    ck_assert_uint_eq(cpus_with(top), 3);
    ck_assert_uint_eq(cpus_with(without), 0);
}
END_TEST

/* Folders that are no group of this process: beside its own, below it, above the mount. */
START_TEST(cgroup_not_ours)
{
    const struct text_file files[] = {{"proc/self/cgroup", "0::/a/b\n"},
                                      {"sys/fs/cpu.max", "100000 100000\n"},
                                      {"sys/fs/cgroup/other/cpu.max", "100000 100000\n"},
                                      {"sys/fs/cgroup/a/bb/cpu.max", "100000 100000\n"},
                                      {"sys/fs/cgroup/a/b/c/cpu.max", "100000 100000\n"},
                                      {"sys/fs/cgroup/a/b/cpu.max", "500000 100000\n"},
                                      {NULL, NULL}};

    ck_assert_uint_eq(cpus_with(files), 5);
}
END_TEST

#define V1_LINES "11:cpuset:/s\n4:cpu,cpuacct:/a/b\n1:name=systemd:/s\n"

START_TEST(cgroup_v1)
{
    const struct text_file nested[] = {{"proc/self/cgroup", V1_LINES},
                                       {"sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "250000\n"},
                                       {"sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n"},
                                       {"sys/fs/cgroup/cpu/a/b/cpu.cfs_quota_us", "-1\n"},
                                       {"sys/fs/cgroup/cpu/a/b/cpu.cfs_period_us", "100000\n"},
                                       {NULL, NULL}};
    const struct text_file without[] = {{"proc/self/cgroup", V1_LINES},
                                        {"sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"},
                                        {"sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"},
                                        {NULL, NULL}};
    const struct text_file last[] = {{"proc/self/cgroup", "4:cpuacct,cpu:/\n"},
                                     {"sys/fs/cgroup/cpu/cpu.cfs_quota_us", "600000\n"},
                                     {"sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"},
                                     {NULL, NULL}};
    const struct text_file others[] = {{"proc/self/cgroup", "4:cpuset:/\n3:cpuacct:/\n"},
                                       {"sys/fs/cgroup/cpu/cpu.cfs_quota_us", "600000\n"},
                                       {"sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"},
                                       {NULL, NULL}};

    ck_assert_uint_eq(cpus_with(nested), 3);
    ck_assert_uint_eq(cpus_with(without), 0);
    ck_assert_uint_eq(cpus_with(last), 6);
    ck_assert_uint_eq(cpus_with(others), 0);
}
END_TEST

/* v1 with v2 beside it, at unified: the smaller of the two, whichever it is. */
START_TEST(cgroup_hybrid)
{
    struct text_file files[] = {{"proc/self/cgroup", V1_LINES "0::/u\n"},
                                {"sys/fs/cgroup/cpu/a/b/cpu.cfs_quota_us", "400000\n"},
                                {"sys/fs/cgroup/cpu/a/b/cpu.cfs_period_us", "100000\n"},
                                {"sys/fs/cgroup/unified/u/cpu.max", "200000 100000\n"},
                                {NULL, NULL}};

    ck_assert_uint_eq(cpus_with(files), 2);
    files[3].text = "700000 100000\n";
    ck_assert_uint_eq(cpus_with(files), 4);
    files[3].text = "max 100000\n";
    ck_assert_uint_eq(cpus_with(files), 4);
}
END_TEST

/* In a container the path is the host's, and the mount shows the container's own group. */
START_TEST(cgroup_container)
{
    const struct text_file v2[] = {{"proc/self/cgroup", "0::/docker/0123\n"},
                                   {"sys/fs/cgroup/cpu.max", "150000 100000\n"},
                                   {NULL, NULL}};
    const struct text_file outside[] = {{"proc/self/cgroup", "0::/../../0123\n"},
                                        {"sys/fs/cgroup/cpu.max", "150000 100000\n"},
                                        {NULL, NULL}};
    const struct text_file v1[] = {{"proc/self/cgroup", "4:cpu,cpuacct:/docker/0123\n"},
                                   {"sys/fs/cgroup/cpu/cpu.cfs_quota_us", "150000\n"},
                                   {"sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"},
                                   {NULL, NULL}};

    ck_assert_uint_eq(cpus_with(v2), 2);
    ck_assert_uint_eq(cpus_with(outside), 2);
    ck_assert_uint_eq(cpus_with(v1), 2);
}
END_TEST

START_TEST(cgroup_missing)
{
    const struct text_file nothing[] = {{NULL, NULL}};
    const struct text_file no_quota[] = {{"proc/self/cgroup", V1_LINES "0::/u\n"}, {NULL, NULL}};
    const struct text_file no_period[] = {{"proc/self/cgroup", V1_LINES},
                                          {"sys/fs/cgroup/cpu/a/b/cpu.cfs_quota_us", "400000\n"},
                                          {NULL, NULL}};
    const struct text_file garbage[] = {{"proc/self/cgroup", "\n:\n0\n0:\n::\nx::/\n0::/a\n"},
                                        {"sys/fs/cgroup/a/cpu.max", "200000 100000\n"},
                                        {NULL, NULL}};
    const struct text_file no_newline[] = {
        {"proc/self/cgroup", "0::/a"}, {"sys/fs/cgroup/a/cpu.max", "200000 100000"}, {NULL, NULL}};

    ck_assert_uint_eq(cpus_with(nothing), 0);
    ck_assert_uint_eq(cpus_with(no_quota), 0);
    ck_assert_uint_eq(cpus_with(no_period), 0);
    ck_assert_uint_eq(cpus_with(garbage), 2);
    ck_assert_uint_eq(cpus_with(no_newline), 2);
}
END_TEST

/* The Makefile links this in the place of sched_getaffinity(): a kernel that has room for `kernel_room`
 * CPUs, of which every third is allowed, or one that fails with kernel_errno. Both 0: the real one. */
static size_t kernel_room;
static int kernel_errno;

int __real_sched_getaffinity(pid_t pid, size_t bytes, cpu_set_t *set);
int __wrap_sched_getaffinity(pid_t pid, size_t bytes, cpu_set_t *set);

int __wrap_sched_getaffinity(pid_t pid, size_t bytes, cpu_set_t *set)
{
    if (!kernel_room && !kernel_errno)
        return __real_sched_getaffinity(pid, bytes, set);
    if (kernel_errno || bytes < kernel_room / 8) {
        errno = kernel_errno ? kernel_errno : EINVAL;
        return -1;
    }
    memset(set, 0, bytes);
    for (size_t cpu = 0; cpu < kernel_room; cpu += 3)
        CPU_SET_S(cpu, bytes, set);
    return 0;
}

START_TEST(affinity_of_many)
{
    for (kernel_room = 64; kernel_room <= 1u << 17; kernel_room *= 2)
        ck_assert_uint_eq(dg_affinity_cpus(), (kernel_room + 2) / 3);
    kernel_room = 1200;
    ck_assert_uint_eq(dg_affinity_cpus(), 400);
    kernel_room = 0;
    kernel_errno = EINVAL; /* whatever the room */
    ck_assert_uint_eq(dg_affinity_cpus(), 0);
    ck_assert_uint_ge(dg_usable_cpus(), 1);
    kernel_errno = ENOSYS;
    ck_assert_uint_eq(dg_affinity_cpus(), 0);
    kernel_errno = 0;
    ck_assert_uint_ge(dg_affinity_cpus(), 1);
}
END_TEST

START_TEST(affinity)
{
    const unsigned before = dg_usable_cpus();
    cpu_set_t all, one;
    int cpu = 0;

    ck_assert_uint_ge(before, 1);
    ck_assert_int_eq(sched_getaffinity(0, sizeof all, &all), 0);
    ck_assert_uint_le(before, (unsigned)CPU_COUNT(&all));
    while (!CPU_ISSET(cpu, &all))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
    ck_assert_uint_eq(dg_usable_cpus(), 1);
    ck_assert_int_eq(sched_setaffinity(0, sizeof all, &all), 0);
    ck_assert_uint_eq(dg_usable_cpus(), before);
}
END_TEST

/* The same numbers on every CPU; what this one has, from the weakest on. */
START_TEST(isas)
{
    unsigned visited = 0;

    ck_assert_int_eq(DG_ISA_BEST, 0);
    ck_assert_str_eq(dg_isa_name(DG_ISA_SCALAR), "scalar");
    ck_assert_str_eq(dg_isa_name(DG_ISA_AVX2), "avx2");
    ck_assert_str_eq(dg_isa_name(DG_ISA_AVX512), "avx512");
    ck_assert_str_eq(dg_isa_name(DG_ISA_NEON), "neon");
    ck_assert_str_eq(dg_isa_name(DG_ISA_AVX_VNNI), "avx-vnni");
    ck_assert_str_eq(dg_isa_name(DG_ISA_AVX512_VNNI), "avx512-vnni");
    ck_assert_str_eq(dg_isa_name(DG_ISA_AMX), "amx");
    ck_assert_str_eq(dg_isa_name(DG_ISA_NEON_DOT), "neon-dot");
    ck_assert_str_eq(dg_isa_name((enum dg_isa)77), "unknown");
    ck_assert_str_eq(dg_isa_name((enum dg_isa) - 1), "unknown");
    for (enum dg_isa isa = DG_ISA_SCALAR; isa; isa = dg_isa_next(isa)) {
        ck_assert(dg_isa_built(isa));
        ck_assert_int_eq(dg_isa_cap(isa), isa);
        visited++;
        if (isa == dg_isa_best()) /* amx is only for who asks for it */
            ck_assert(dg_isa_next(isa) == DG_ISA_BEST || dg_isa_next(isa) == DG_ISA_AMX);
    }
    ck_assert_uint_ge(visited, 1);
    ck_assert_int_eq(dg_isa_cap(DG_ISA_BEST), dg_isa_best());
#if defined(__x86_64__)
    ck_assert(!dg_isa_built(DG_ISA_NEON));
    ck_assert_int_eq(dg_isa_cap(DG_ISA_AVX512_VNNI), dg_isa_best());
    ck_assert_int_le(dg_isa_cap(DG_ISA_AVX512), DG_ISA_AVX512);
#elif defined(__aarch64__)
    ck_assert(!dg_isa_built(DG_ISA_AVX2));
    ck_assert_int_ge(dg_isa_best(), DG_ISA_NEON);
    ck_assert_uint_ge(visited, 2);
#endif
}
END_TEST

/* ---- options ---- */

struct grown { /* an options struct in a later version, and in the one that brought it */
    size_t size;
    uint32_t a, b, c;
};
enum { FIRST = offsetof(struct grown, c) };

static enum dg_status take(struct grown *to, const void *from, struct dg_error *err)
{
    memset(to, 0xee, sizeof *to);
    return dg_options_read(to, sizeof *to, FIRST, from, "test options", err);
}

START_TEST(options_of_all_ages)
{
    const struct grown old = {FIRST, 1, 2, 3}, now = {sizeof now, 1, 2, 3}, unsaid = {0, 1, 2, 3};
    const struct {
        struct grown known;
        uint32_t more[4];
    } newer = {{sizeof newer, 1, 2, 3}, {0}};
    struct grown got;

    ck_assert_int_eq(take(&got, NULL, NULL), DG_OK);
    ck_assert(got.a == 0 && got.b == 0 && got.c == 0);
    ck_assert_int_eq(take(&got, &old, NULL), DG_OK);
    ck_assert(got.a == 1 && got.b == 2 && got.c == 0);
    ck_assert_int_eq(take(&got, &unsaid, NULL), DG_OK);
    ck_assert(got.a == 1 && got.b == 2 && got.c == 0);
    ck_assert_int_eq(take(&got, &now, NULL), DG_OK);
    ck_assert(got.a == 1 && got.b == 2 && got.c == 3);
    ck_assert_int_eq(take(&got, &newer, NULL), DG_OK);
    ck_assert(got.a == 1 && got.b == 2 && got.c == 3);
}
END_TEST

START_TEST(options_that_are_refused)
{
    const struct grown garbage[] = {{1, 0, 0, 0}, {FIRST - 1, 0, 0, 0}, {SIZE_MAX, 0, 0, 0}};
    const struct {
        struct grown known;
        uint32_t more;
    } set = {{sizeof set, 1, 2, 3}, 1};
    struct dg_error err;
    struct grown got;

    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(take(&got, &garbage[i], &err), DG_ERR_USAGE);
        ck_assert_ptr_nonnull(strstr(err.text, "test options: size: got "));
    }
    ck_assert_int_eq(take(&got, &set, &err), DG_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "older than its header"));
}
END_TEST

/* Longer than any buffer on the way. */
START_TEST(gathered)
{
    struct dg_gather g;

    ck_assert(dg_gather_open(&g));
    for (int i = 0; i < 20000; i++)
        fprintf(g.to, "%05d ", i);
    ck_assert(dg_gather_close(&g));
    ck_assert_uint_eq(g.n, 20000 * 6);
    for (int i = 0; i < 20000; i++)
        ck_assert_int_eq(atoi(g.text + 6 * (size_t)i), i);
    free(g.text);
    ck_assert(dg_gather_open(&g) && dg_gather_close(&g));
    ck_assert_uint_eq(g.n, 0);
    free(g.text);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {fail_fills,
                                  fail_without_error,
                                  fail_truncates,
                                  fail_leaves_out_the_middle,
                                  fail_is_one_line,
                                  multiply,
                                  add,
                                  finite_at_every_place,
                                  round_up,
                                  arena_alignment,
                                  arena_no_overlap,
                                  arena_too_much,
                                  arena_size_zero,
                                  file_refused,
                                  file_read,
                                  file_read_past_end,
                                  file_mapped,
                                  file_written_to,
                                  crc,
                                  quota_v2,
                                  quota_v1,
                                  quota_huge,
                                  cgroup_v2,
                                  cgroup_not_ours,
                                  cgroup_v1,
                                  cgroup_hybrid,
                                  cgroup_container,
                                  cgroup_missing,
                                  affinity_of_many,
                                  affinity,
                                  isas,
                                  options_of_all_ages,
                                  options_that_are_refused,
                                  gathered,
                                  NULL};

    return run_suite("base", tests);
}
