/* llm.c's files that are right, wrong and damaged. The files are made here, byte by byte, with offsets that
 * are computed here: nothing that is tested helps to make what it is tested with. */
#include "../../support/one.h"
#include "../../../src/graph/plan_check.h"
#include "../../../src/model/format.h"
#include "../../../src/model/gpt2.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { HEADER = 1024, N_SECTIONS = 16 };
enum {
    WTE,
    WPE,
    LN1W,
    LN1B,
    QKVW,
    QKVB,
    ATTPROJW,
    ATTPROJB,
    LN2W,
    LN2B,
    FCW,
    FCB,
    FCPROJW,
    FCPROJB,
    LNFW,
    LNFB
};

static char folder[] = "/tmp/dagpt-llmc-XXXXXX";
static char path[64]; /* of the one file that a test has at a time */

/* ---- accidents while reading ---- */

struct accident {
    atomic_uint calls;       /* of pread so far */
    unsigned truncate_at;    /* the call that finds the file cut short; 0: none */
    const char *file;        /* that one */
    bool reluctant;          /* half of what was asked for at most, and every third call EINTR */
} accident = {.file = path}; /* not static: libc's header may make pread() inline */

/* Takes the place of libc's in this program, so in the library, too. preadv() is the same call: how
 * syscall() takes an offset of 64 bits differs between machines of 32. */
ssize_t pread(int fd, void *buf, size_t n, off_t offset)
{
    const unsigned call = atomic_fetch_add(&accident.calls, 1) + 1;

    if (call == accident.truncate_at && truncate(accident.file, HEADER / 2) != 0)
        abort();
    if (accident.reluctant) {
        if (call % 3 == 0) {
            errno = EINTR;
            return -1;
        }
        n = (n + 1) / 2;
    }
    return preadv(fd, &(struct iovec){buf, n}, 1, offset);
}

static void no_accidents(void)
{
    atomic_store(&accident.calls, 0);
    accident.truncate_at = 0;
    accident.reluctant = false;
}

/* ---- files ---- */

struct spec {
    int32_t version, positions, vocab, layers, heads, channels, padded;
};

static const struct spec little[] = {
    {1, 5, 37, 2, 3, 12, 0},
    {3, 5, 37, 2, 3, 12, 128},
    {5, 5, 37, 2, 3, 12, 128},
};

static size_t element_size(const struct spec *s)
{
    return s->version == 5 ? 2 : 4;
}

/* Where each section starts, in elements; at[N_SECTIONS] is the end. */
static void find_sections(const struct spec *s, size_t at[N_SECTIONS + 1])
{
    const size_t C = (size_t)s->channels, L = (size_t)s->layers, T = (size_t)s->positions;
    const size_t rows = (size_t)(s->version == 1 ? s->vocab : s->padded);
    const size_t sizes[N_SECTIONS] = {rows * C,      T * C, L * C, L * C, L * 3 * C * C, L * 3 * C,
                                      L * C * C,     L * C, L * C, L * C, L * 4 * C * C, L * 4 * C,
                                      L * C * 4 * C, L * C, C,     C};

    at[0] = 0;
    for (int i = 0; i < N_SECTIONS; i++)
        at[i + 1] = at[i] + sizes[i];
}

/* The bits of element i of a payload, as the float that it stands for: any that are below 2. */
static uint32_t element_bits(const struct spec *s, size_t i)
{
    const uint32_t any =
        s->version == 5 ? (uint32_t)(i * 40503 + 7) << 16 : (uint32_t)(i * 2654435761u + 12345);

    return any & ~0x40000000u;
}

static void put32(unsigned char *to, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        to[i] = (unsigned char)(v >> 8 * i);
}

static void put_header(unsigned char *to, const struct spec *s)
{
    const int32_t fields[] = {20240326,  s->version, s->positions, s->vocab,
                              s->layers, s->heads,   s->channels,  s->padded};

    memset(to, 0, HEADER);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        put32(to + 4 * i, (uint32_t)fields[i]);
}

static size_t file_size(const struct spec *s)
{
    size_t at[N_SECTIONS + 1];

    find_sections(s, at);
    return HEADER + at[N_SECTIONS] * element_size(s);
}

/* The bytes of a whole file; freed by the caller. */
static unsigned char *make_file(const struct spec *s)
{
    const size_t bytes = file_size(s), size = element_size(s);
    unsigned char *file = malloc(bytes);

    ck_assert_ptr_nonnull(file);
    put_header(file, s);
    for (size_t i = 0; i < (bytes - HEADER) / size; i++) {
        unsigned char element[4];

        put32(element, element_bits(s, i));
        memcpy(file + HEADER + i * size, element + 4 - size, size);
    }
    return file;
}

static void write_file(const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");

    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
    ck_assert_int_eq(fclose(f), 0);
}

static void write_spec(const struct spec *s)
{
    unsigned char *file = make_file(s);

    write_file(file, file_size(s));
    free(file);
}

/* A file of `bytes` bytes with that header; the rest is a hole. */
static void write_hollow(const struct spec *s, size_t bytes)
{
    unsigned char header[HEADER];

    put_header(header, s);
    write_file(header, HEADER);
    ck_assert_int_eq(truncate(path, (off_t)bytes), 0);
}

static int lowest_free_fd(void)
{
    const int fd = open("/dev/null", O_RDONLY);

    ck_assert_int_ge(fd, 0);
    close(fd);
    return fd;
}

static struct dg_team *new_team(unsigned workers)
{
    struct dg_error err = {0};
    struct dg_team *team;

    ck_assert_msg(dg_team_new(&team, workers, workers, &err) == DG_OK, "%s", err.text);
    return team;
}

/* ---- refusals ---- */

/* One line: "PATH: START...END". */
static void check_text(const struct dg_error *err, const char *file, const char *start,
                       const char *end)
{
    const char *text = err->text;
    const size_t n = strlen(file);

    ck_assert_int_eq(err->status, DG_ERR_MODEL);
    ck_assert_ptr_null(strchr(text, '\n'));
    ck_assert_msg(strncmp(text, file, n) == 0 && strncmp(text + n, ": ", 2) == 0, "%s", text);
    text += n + 2;
    ck_assert_msg(strncmp(text, start, strlen(start)) == 0, "got '%s', expected '%s...'", text,
                  start);
    ck_assert_msg(strlen(text) >= strlen(end) &&
                      strcmp(text + strlen(text) - strlen(end), end) == 0,
                  "got '%s', expected '...%s'", text, end);
}

/* The file is refused, with that text, by all that open one; nothing stays open. */
static void check_refused(const char *file, const char *start, const char *end)
{
    const int fd = lowest_free_fd();
    struct dg_team *team = new_team(1);
    struct dg_model *model = NULL;
    struct dg_error err = {0};
    struct dg_weights *w;
    struct dg_sizes sizes;

    ck_assert_int_eq(dg_weights_open(&w, file, &err), DG_ERR_MODEL);
    check_text(&err, file, start, end);
    ck_assert_int_eq(dg_model_peek(file, &sizes, &err), DG_ERR_MODEL);
    check_text(&err, file, start, end);
    ck_assert_int_eq(dg_model_open(&model, file, team, &err), DG_ERR_MODEL);
    check_text(&err, file, start, end);
    ck_assert_ptr_null(model);
    ck_assert_int_eq(dg_weights_open(&w, file, NULL), DG_ERR_MODEL);
    ck_assert_int_eq(lowest_free_fd(), fd);
    dg_team_free(team);
}

/* A file that is right but for its header. */
static void check_header_refused(const struct spec *s, const char *start, const char *end)
{
    write_hollow(s, file_size(&little[0]));
    check_refused(path, start, end);
}

START_TEST(no_regular_file)
{
    char other[96];

    check_refused("/nonexistent/model.bin", "cannot open: ", "No such file or directory");
    check_refused(folder, "got a folder without config.json, expected ", "");
    check_refused("/dev/null", "not a regular file", "");
    snprintf(other, sizeof other, "%s/fifo", folder);
    ck_assert_int_eq(mkfifo(other, 0600), 0);
    check_refused(other, "not a regular file", ""); /* without waiting for a writer */
    unlink(other);
}
END_TEST

START_TEST(no_header)
{
    unsigned char *file = make_file(&little[0]);

    write_file(file, 0);
    check_refused(path, "kind of file: got an empty file, expected ", "");
    write_file(file, HEADER - 1);
    check_refused(path, "size: got 1023 bytes, expected ", "1024");
    free(file);
}
END_TEST

START_TEST(wrong_magic)
{
    /* 20240326 is 0x0134d7c6: the other way round it is 0xc6d73401 */
    static const unsigned char big_endian[] = {0x01, 0x34, 0xd7, 0xc6};
    unsigned char *file = make_file(&little[0]);

    memcpy(file, big_endian, 4);
    write_file(file, file_size(&little[0]));
    check_refused(path, "kind of file: got an llm.c checkpoint with its bytes swapped, expected ",
                  "the other byte order");
    put32(file, 20240327);
    write_file(file, file_size(&little[0]));
    check_refused(path, "kind of file: got an llm.c debug state, expected ", "");
    put32(file, 20240325);
    write_file(file, file_size(&little[0]));
    check_refused(path, "magic number: got 20240325, expected 20240326", "");
    memset(file, 0, file_size(&little[0]));
    write_file(file, file_size(&little[0]));
    check_refused(path, "kind of file: got zeros, expected ", "not written to its end");
    free(file);
}
END_TEST

START_TEST(wrong_version)
{
    static const int32_t versions[] = {0, 2, 4, 6, -1, INT32_MAX, INT32_MIN, 1 << 24};

    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        struct spec s = little[0];
        char start[64];

        s.version = versions[i];
        snprintf(start, sizeof start, "version: got %d, expected 1, 3 or 5", versions[i]);
        write_hollow(&s, file_size(&little[0]));
        check_refused(path, start, "");
    }
}
END_TEST

static const struct {
    const char *name;
    int field; /* of struct spec */
    int32_t most;
} fields[] = {{"maxT", 1, 1 << 24},
              {"V", 2, 1 << 26},
              {"L", 3, 1 << 14},
              {"NH", 4, 1 << 20},
              {"C", 5, 1 << 20}};
enum { N_FIELDS = sizeof fields / sizeof *fields };

START_TEST(impossible_sizes)
{
    for (int i = 0; i < N_FIELDS; i++) {
        const int32_t values[] = {0, -1, INT32_MIN, INT32_MAX, fields[i].most + 1};

        for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
            struct spec s = little[0];
            char start[64];

            memcpy((char *)&s + fields[i].field * sizeof(int32_t), &values[k], sizeof(int32_t));
            snprintf(start, sizeof start, "%s: got %d, expected 1 to %d", fields[i].name, values[k],
                     fields[i].most);
            check_header_refused(&s, start, "");
        }
    }
}
END_TEST

START_TEST(sizes_that_do_not_go_together)
{
    struct spec s = little[0];

    s.heads = 5;
    check_header_refused(&s, "NH: got 5, expected a divisor of C = 12", "");
    s.heads = 13;
    check_header_refused(&s, "NH: got 13, expected a divisor of C = 12", "");
    for (int i = 1; i < 3; i++) {
        static const int32_t values[] = {36, 0, -1, INT32_MIN, INT32_MAX, (1 << 26) + 1};

        for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
            char start[64];

            s = little[i];
            s.padded = values[k];
            snprintf(start, sizeof start, "Vp: got %d, expected at least V = 37", values[k]);
            check_header_refused(&s, start, "");
        }
    }
}
END_TEST

/* Sizes as large as they may be are refused because of the file's size, and no memory is asked for
 * before that: what the process may map is limited to a little more than it has. */
START_TEST(nothing_is_allocated_for_a_header)
{
    const struct spec s = {1, 1 << 24, 1 << 26, 1 << 14, 1, 1 << 20, 0};
    struct rlimit before, less;
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(fscanf(f, "%ld", &pages), 1);
    fclose(f);
    write_hollow(&s, 4096);
    getrlimit(RLIMIT_AS, &before);
    less = before;
    less.rlim_cur = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + (32 << 20);
    if (!sanitized()) /* a sanitizer maps terabytes */
        setrlimit(RLIMIT_AS, &less);
    check_refused(
        path, sizeof(size_t) > 4 ? "size: got 4096 bytes, expected " : "sizes: got more weights",
        "");
    setrlimit(RLIMIT_AS, &before);
}
END_TEST

/* Elements of all weights together; rounded, as they may pass 64 bits. */
static double elements_of(const struct dg_sizes *z)
{
    const double C = z->channels;

    return ((double)z->vocab + z->positions + 2) * C + z->layers * (12 * C * C + 13 * C);
}

/* The contract's bounds: what passes has products that 64 bits hold. */
START_TEST(largest_sizes)
{
    const struct dg_sizes largest = {1 << 24, 1 << 26, 1 << 14, 1 << 20, 1 << 20};
    struct dg_error err;

    ck_assert_int_eq(dg_sizes_check(&largest, "file", &err),
                     sizeof(size_t) > 4 ? DG_OK : DG_ERR_MODEL);
    ck_assert(elements_of(&largest) < 0x1p60);
    for (uint64_t state = 1, i = 0; i < 20000; i++) {
        const uint32_t extremes[] = {0, 1, 2, 1 << 20, INT32_MAX, 1u << 31, UINT32_MAX};
        struct dg_sizes z = largest;
        uint32_t *const sizes[] = {&z.positions, &z.vocab, &z.layers, &z.heads, &z.channels};

        for (int k = 0; k < 5; k++)
            if (random_below(&state, 2))
                *sizes[k] = extremes[random_below(&state, 7)];
        if (dg_sizes_check(&z, "file", &err) == DG_OK)
            ck_assert(elements_of(&z) > 0 && elements_of(&z) <= elements_of(&largest));
        else
            ck_assert_int_eq(err.status, DG_ERR_MODEL);
    }
}
END_TEST

static void check_size_refused(const struct spec *header, size_t bytes, const char *hint)
{
    char start[200];

    snprintf(start, sizeof start,
             "size: got %zu bytes, expected %zu for version %d with maxT %d, V %d, L %d, C %d",
             bytes, file_size(header), header->version, header->positions, header->vocab,
             header->layers, header->channels);
    write_hollow(header, bytes);
    check_refused(path, start, hint);
}

START_TEST(short_and_long)
{
    for (int i = 0; i < 3; i++) {
        const struct spec *s = &little[i];
        char last[16]; /* no hint follows the sizes */

        snprintf(last, sizeof last, ", C %d", s->channels);
        check_size_refused(s, file_size(s) - 1, last);
        check_size_refused(s, file_size(s) + 1, last);
        check_size_refused(s, file_size(s) - element_size(s), last);
        check_size_refused(s, HEADER, last);
        check_size_refused(s, HEADER + 1, last);
        check_size_refused(s, 1 << 30, last);
    }
}
END_TEST

/* A header of one version before the payload of another. */
START_TEST(misnumbered)
{
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 3; k++) {
            char hint[64];

            if (i == k)
                continue;
            snprintf(hint, sizeof hint, "it is the size of a version %d file", little[k].version);
            check_size_refused(&little[i], file_size(&little[k]), hint);
        }
    }
}
END_TEST

START_TEST(names_that_are_no_text)
{
    const char *const name = "/nonexistent/a\nb\033[2Jc\177";
    struct dg_weights *w;
    struct dg_error err;

    ck_assert_int_eq(dg_weights_open(&w, name, &err), DG_ERR_MODEL);
    check_text(&err, "/nonexistent/a?b?[2Jc?", "cannot open: ", "");
}
END_TEST

/* ---- sections ---- */

/* Worked out by hand: maxT 64, V 97, L 2, C 16 and maxT 48, V 211, Vp 256, L 2, C 36. */
static const size_t tiny_starts[] = {0,    1552, 2576, 2608, 2640, 4176, 4272, 4784,
                                     4816, 4848, 4880, 6928, 7056, 9104, 9136, 9152};
static const size_t padded_starts[] = {0,     9216,  10944, 11016, 11088, 18864, 19080, 21672,
                                       21744, 21816, 21888, 32256, 32544, 42912, 42984, 43020};

/* The first weight of each section. */
static const enum dg_weight first_weights[N_SECTIONS] = {
    DG_WTE,           DG_WPE,         DG_LN1_GAIN, DG_LN1_BIAS, DG_Q_WEIGHT,  DG_Q_BIAS,
    DG_PROJ_WEIGHT,   DG_PROJ_BIAS,   DG_LN2_GAIN, DG_LN2_BIAS, DG_FC_WEIGHT, DG_FC_BIAS,
    DG_FCPROJ_WEIGHT, DG_FCPROJ_BIAS, DG_LNF_GAIN, DG_LNF_BIAS};

static uint64_t offset_of(const struct dg_weights *w, int section)
{
    return dg_weights_find(w, first_weights[section], 0)->offset;
}

static void check_sections(const char *file, const size_t *starts, enum dg_dtype dtype,
                           uint64_t bytes)
{
    const size_t size = dtype == DG_BF16 ? 2 : 4;
    struct dg_error err = {0};
    struct dg_weights *w;

    ck_assert_msg(dg_weights_open(&w, file, &err) == DG_OK, "%s", err.text);
    ck_assert_str_eq(w->format->name, "llm.c");
    ck_assert_int_eq(w->dtype, dtype);
    for (int i = 0; i < N_SECTIONS; i++) {
        const struct dg_weight_shape shape = dg_weight_shape(&w->sizes, first_weights[i]);
        const struct dg_source *source = dg_weights_find(w, first_weights[i], 0);

        ck_assert_uint_eq(offset_of(w, i), HEADER + size * starts[i]);
        ck_assert_int_eq(source->dtype, dtype);
        ck_assert(!source->transposed);
        ck_assert_uint_eq(source->stride, size * shape.cols);
    }
    ck_assert_uint_eq(w->bytes, bytes);
    dg_weights_close(w);
}

START_TEST(sections_of_golden_files)
{
    check_sections("tests/golden/tiny.bin", tiny_starts, DG_F32, 37696);
    check_sections("tests/golden/padded.bin", padded_starts, DG_F32, 173248);
    check_sections("tests/golden/bf16.bin", padded_starts, DG_BF16, 87136);
}
END_TEST

static void check_shape(enum dg_weight w, const char *name, enum dg_layout layout, uint32_t rows,
                        uint32_t cols)
{
    const struct dg_sizes z = {1024, 50257, 12, 12, 768};
    const struct dg_weight_shape shape = dg_weight_shape(&z, w);

    ck_assert_str_eq(shape.name, name);
    ck_assert_int_eq(shape.layout, layout);
    ck_assert_uint_eq(shape.rows, rows);
    ck_assert_uint_eq(shape.cols, cols);
}

START_TEST(shapes_of_124M)
{
    check_shape(DG_WTE, "wte", DG_PANELS, 50257, 768);
    check_shape(DG_WPE, "wpe", DG_ROWS, 1024, 768);
    check_shape(DG_LN1_GAIN, "ln1.gain", DG_ROWS, 1, 768);
    check_shape(DG_LN1_BIAS, "ln1.bias", DG_ROWS, 1, 768);
    check_shape(DG_Q_WEIGHT, "q.weight", DG_PANELS, 768, 768);
    check_shape(DG_Q_BIAS, "q.bias", DG_ROWS, 1, 768);
    check_shape(DG_K_WEIGHT, "k.weight", DG_PANELS, 768, 768);
    check_shape(DG_K_BIAS, "k.bias", DG_ROWS, 1, 768);
    check_shape(DG_V_WEIGHT, "v.weight", DG_PANELS, 768, 768);
    check_shape(DG_V_BIAS, "v.bias", DG_ROWS, 1, 768);
    check_shape(DG_PROJ_WEIGHT, "proj.weight", DG_PANELS, 768, 768);
    check_shape(DG_PROJ_BIAS, "proj.bias", DG_ROWS, 1, 768);
    check_shape(DG_LN2_GAIN, "ln2.gain", DG_ROWS, 1, 768);
    check_shape(DG_LN2_BIAS, "ln2.bias", DG_ROWS, 1, 768);
    check_shape(DG_FC_WEIGHT, "fc.weight", DG_PANELS, 3072, 768);
    check_shape(DG_FC_BIAS, "fc.bias", DG_ROWS, 1, 3072);
    check_shape(DG_FCPROJ_WEIGHT, "fcproj.weight", DG_PANELS, 768, 3072);
    check_shape(DG_FCPROJ_BIAS, "fcproj.bias", DG_ROWS, 1, 768);
    check_shape(DG_LNF_GAIN, "lnf.gain", DG_ROWS, 1, 768);
    check_shape(DG_LNF_BIAS, "lnf.bias", DG_ROWS, 1, 768);
}
END_TEST

/* Files with holes, of just the sizes that 124M's have. */
START_TEST(files_of_124M)
{
    static const struct {
        int32_t version, padded;
        size_t bytes;
    } files[] = {
        {1, 0, 497760256}, {3, 50304, 497904640}, {5, 50304, 248952832}, /* 47 rows of 768 more */
    };

    for (int i = 0; i < 3; i++) {
        const struct spec s = {files[i].version, 1024, 50257, 12, 12, 768, files[i].padded};
        struct dg_error err = {0};
        struct dg_weights *w;

        write_hollow(&s, files[i].bytes);
        ck_assert_msg(dg_weights_open(&w, path, &err) == DG_OK, "%s", err.text);
        ck_assert_uint_eq(w->version, files[i].version);
        ck_assert_uint_eq(w->bytes - offset_of(w, LNFB), 768 * (i == 2 ? 2 : 4));
        dg_weights_close(w);
    }
}
END_TEST

START_TEST(sizes_of_a_header)
{
    struct dg_error err = {0};
    struct dg_sizes z;

    for (int i = 0; i < 3; i++) {
        write_spec(&little[i]);
        ck_assert_msg(dg_model_peek(path, &z, &err) == DG_OK, "%s", err.text);
        ck_assert_uint_eq(z.positions, 5);
        ck_assert_uint_eq(z.vocab, 37);
        ck_assert_uint_eq(z.layers, 2);
        ck_assert_uint_eq(z.heads, 3);
        ck_assert_uint_eq(z.channels, 12);
    }
}
END_TEST

/* ---- packed weights ---- */

struct packing {
    const struct spec *spec;
    size_t at[N_SECTIONS + 1];
};

static uint32_t bits_at(const struct dg_tensor *t, size_t i)
{
    uint32_t bits;

    memcpy(&bits, (const char *)t->data + 4 * i, 4);
    return bits;
}

/* The upper half of a float, as it is in a file of version 5, widened. */
static uint32_t upper_bits_at(const struct dg_tensor *t, size_t i)
{
    uint16_t bits;

    memcpy(&bits, (const char *)t->data + 2 * i, 2);
    return (uint32_t)bits << 16;
}

static void check_form(const struct dg_tensor *t, enum dg_layout layout, size_t rows, size_t cols)
{
    ck_assert_int_eq(t->role, DG_WEIGHT);
    ck_assert_int_eq(t->layout, layout);
    ck_assert_uint_eq(t->rows, rows);
    ck_assert_uint_eq(t->cols, cols);
    ck_assert_uint_eq((uintptr_t)t->data % 64, 0);
}

/* The bits of row r, column c: [r / 16][c][r % 16] floats, or [r / 16][c / 2][r % 16][c % 2] bf16 with an odd
 * depth made even by a zero. */
static uint32_t panel_bits(const struct dg_tensor *t, size_t cols, size_t r, size_t c)
{
    if (t->dtype == DG_F32)
        return bits_at(t, (r / 16 * cols + c) * 16 + r % 16);
    return upper_bits_at(t, ((r / 16 * ((cols + 1) / 2) + c / 2) * 16 + r % 16) * 2 + c % 2);
}

/* Lanes past the last row are zero, and so is what is past an odd last column of bf16. */
static void check_panels(const struct packing *p, const struct dg_tensor *t, size_t first,
                         size_t rows, size_t cols)
{
    const size_t depth = p->spec->version == 5 ? (cols + 1) / 2 * 2 : cols;
    size_t wrong = 0;

    check_form(t, DG_PANELS, rows, cols);
    ck_assert_int_eq(t->dtype, p->spec->version == 5 ? DG_BF16 : DG_F32);
    for (size_t r = 0; r < (rows + 15) / 16 * 16; r++)
        for (size_t c = 0; c < depth; c++)
            wrong += panel_bits(t, cols, r, c) !=
                     (r < rows && c < cols ? element_bits(p->spec, first + r * cols + c) : 0);
    ck_assert_msg(wrong == 0, "%s: %zu of %zu x %zu elements differ", t->name, wrong, rows, cols);
}

static void check_rows(const struct packing *p, const struct dg_tensor *t, size_t first,
                       size_t rows, size_t cols)
{
    size_t wrong = 0;

    check_form(t, DG_ROWS, rows, cols);
    ck_assert_int_eq(t->dtype, DG_F32);
    for (size_t i = 0; i < rows * cols; i++)
        wrong += bits_at(t, i) != element_bits(p->spec, first + i);
    ck_assert_msg(wrong == 0, "%s: %zu of %zu x %zu elements differ", t->name, wrong, rows, cols);
}

static void check_layer(const struct packing *p, const struct dg_model *m, uint32_t i)
{
    const size_t C = (size_t)p->spec->channels, *at = p->at;

    check_rows(p, dg_model_weight(m, DG_LN1_GAIN, i), at[LN1W] + i * C, 1, C);
    check_rows(p, dg_model_weight(m, DG_LN1_BIAS, i), at[LN1B] + i * C, 1, C);
    check_panels(p, dg_model_weight(m, DG_Q_WEIGHT, i), at[QKVW] + i * 3 * C * C, C, C);
    check_panels(p, dg_model_weight(m, DG_K_WEIGHT, i), at[QKVW] + i * 3 * C * C + C * C, C, C);
    check_panels(p, dg_model_weight(m, DG_V_WEIGHT, i), at[QKVW] + i * 3 * C * C + 2 * C * C, C, C);
    check_rows(p, dg_model_weight(m, DG_Q_BIAS, i), at[QKVB] + i * 3 * C, 1, C);
    check_rows(p, dg_model_weight(m, DG_K_BIAS, i), at[QKVB] + i * 3 * C + C, 1, C);
    check_rows(p, dg_model_weight(m, DG_V_BIAS, i), at[QKVB] + i * 3 * C + 2 * C, 1, C);
    check_panels(p, dg_model_weight(m, DG_PROJ_WEIGHT, i), at[ATTPROJW] + i * C * C, C, C);
    check_rows(p, dg_model_weight(m, DG_PROJ_BIAS, i), at[ATTPROJB] + i * C, 1, C);
    check_rows(p, dg_model_weight(m, DG_LN2_GAIN, i), at[LN2W] + i * C, 1, C);
    check_rows(p, dg_model_weight(m, DG_LN2_BIAS, i), at[LN2B] + i * C, 1, C);
    check_panels(p, dg_model_weight(m, DG_FC_WEIGHT, i), at[FCW] + i * 4 * C * C, 4 * C, C);
    check_rows(p, dg_model_weight(m, DG_FC_BIAS, i), at[FCB] + i * 4 * C, 1, 4 * C);
    check_panels(p, dg_model_weight(m, DG_FCPROJ_WEIGHT, i), at[FCPROJW] + i * 4 * C * C, C, 4 * C);
    check_rows(p, dg_model_weight(m, DG_FCPROJ_BIAS, i), at[FCPROJB] + i * C, 1, C);
}

static void check_packing(const struct spec *s, unsigned workers)
{
    const size_t C = (size_t)s->channels;
    struct dg_team *team = new_team(workers);
    struct packing p = {.spec = s};
    struct dg_error err = {0};
    struct dg_model *m;

    find_sections(s, p.at);
    ck_assert_msg(dg_model_open(&m, path, team, &err) == DG_OK, "%s", err.text);
    dg_team_free(team);
    ck_assert_uint_eq(m->sizes.layers, s->layers);
    check_panels(&p, dg_model_weight(m, DG_WTE, 0), p.at[WTE], (size_t)s->vocab, C);
    check_rows(&p, dg_model_weight(m, DG_WPE, 0), p.at[WPE], (size_t)s->positions, C);
    for (uint32_t i = 0; i < (uint32_t)s->layers; i++)
        check_layer(&p, m, i);
    check_rows(&p, dg_model_weight(m, DG_LNF_GAIN, 0), p.at[LNFW], 1, C);
    check_rows(&p, dg_model_weight(m, DG_LNF_BIAS, 0), p.at[LNFB], 1, C);
    dg_model_free(m);
}

/* Vocabularies and widths on both sides of a panel's 16 rows. */
START_TEST(every_weight_in_its_place)
{
    static const int32_t versions[] = {1, 3, 5}, vocabs[] = {1, 15, 16, 17, 40};
    static const int32_t channels[] = {1, 12, 16, 21};

    for (int v = 0; v < 3; v++) {
        for (int i = 0; i < 5; i++) {
            for (int c = 0; c < 4; c++) {
                const struct spec s = {versions[v], 3, vocabs[i], 3, 1, channels[c], vocabs[i] + 5};

                write_spec(&s);
                check_packing(&s, 1);
                check_packing(&s, 4);
            }
        }
    }
}
END_TEST

/* wte, wpe, fcw and fcprojw are several load tiles each. */
START_TEST(weights_of_many_tiles)
{
    static const struct spec large[] = {
        {1, 4500, 4203, 1, 4, 64, 0}, {5, 3, 40, 2, 4, 320, 128}, {3, 4500, 4203, 1, 4, 64, 4224}};

    for (int i = 0; i < 3; i++) {
        write_spec(&large[i]);
        check_packing(&large[i], 1);
        check_packing(&large[i], 4);
    }
}
END_TEST

START_TEST(parameters_and_bytes)
{
    const size_t layer = 12 * 12 * 12 + 13 * 12; /* C = 12 */
    /* packed: rows of 12 are 16, of 48 stay; each tensor of the rest counts its floats */
    const size_t panels = 48 * 12 + 2 * (4 * 16 * 12 + 48 * 12 + 16 * 48);
    const size_t rest = (5 + 2) * 12 + 2 * 13 * 12;
    struct dg_team *team = new_team(1);
    struct dg_error err;
    struct dg_model *m;

    for (int i = 0; i < 3; i++) {
        write_spec(&little[i]);
        ck_assert_int_eq(dg_model_open(&m, path, team, &err), DG_OK);
        ck_assert_uint_eq(dg_model_parameters(m), (37 + 5 + 2) * 12 + 2 * layer);
        ck_assert_uint_eq(dg_model_bytes(m), (little[i].version == 5 ? 2 : 4) * panels + 4 * rest);
        dg_model_free(m);
    }
    dg_team_free(team);
}
END_TEST

/* ---- accidents ---- */

START_TEST(truncated_after_opening)
{
    struct dg_error err = {0};
    struct dg_weights *w;
    float buf[12];

    write_spec(&little[0]);
    ck_assert_msg(dg_weights_open(&w, path, &err) == DG_OK, "%s", err.text);
    ck_assert_int_eq(dg_source_read(dg_weights_find(w, DG_LNF_BIAS, 0), 0, 1, 12, buf), 0);
    ck_assert_int_eq(truncate(path, (off_t)file_size(&little[0]) - 1), 0);
    ck_assert_int_eq(dg_source_read(dg_weights_find(w, DG_LNF_BIAS, 0), 0, 1, 12, buf), EIO);
    ck_assert_int_eq(truncate(path, HEADER), 0);
    ck_assert_int_eq(dg_source_read(dg_weights_find(w, DG_WTE, 0), 0, 1, 12, buf), EIO);
    dg_weights_close(w);
}
END_TEST

/* The file is cut short before each of the reads that loading makes. */
START_TEST(truncated_while_loading)
{
    for (unsigned workers = 1; workers <= 4; workers += 3) {
        struct dg_team *team = new_team(workers);
        struct dg_model *m = NULL;
        struct dg_error err = {0};
        const int fd = lowest_free_fd();
        unsigned reads;

        no_accidents();
        write_spec(&little[2]);
        ck_assert_int_eq(dg_model_open(&m, path, team, &err), DG_OK);
        dg_model_free(m);
        reads = accident.calls;
        ck_assert_uint_ge(reads, 1 + 36);
        for (unsigned i = 1; i <= reads; i++) {
            no_accidents();
            write_spec(&little[2]);
            accident.truncate_at = i;
            m = NULL;
            ck_assert_int_eq(dg_model_open(&m, path, team, &err), DG_ERR_IO);
            ck_assert_ptr_null(m);
            ck_assert_int_eq(err.status, DG_ERR_IO);
            ck_assert_msg(strncmp(err.text, path, strlen(path)) == 0, "%s", err.text);
            ck_assert_int_eq(lowest_free_fd(), fd);
        }
        no_accidents();
        dg_team_free(team);
    }
}
END_TEST

/* ---- read by the first step ---- */

static float *logits_of(struct dg_team *team, bool at_once, const struct dg_engine_options *opt)
{
    const int32_t ids[] = {3, 1, 4, 1, 2};
    struct one *o;
    struct dg_model *m;
    struct dg_error err = {0};
    float *copy;
    size_t bytes;

    ck_assert_msg(dg_model_open(&m, path, at_once ? team : NULL, &err) == DG_OK, "%s", err.text);
    bytes = m->sizes.vocab * sizeof *copy;
    copy = malloc(2 * bytes);
    ck_assert_ptr_nonnull(copy);
    o = one_new(m, team, opt);
    one_eval(o, ids, 4, 1);
    memcpy(copy, dg_sequence_logits(o->text), bytes);
    ck_assert(dg_model_is_loaded(m));
    one_eval(o, ids + 4, 1, 1);
    memcpy((char *)copy + bytes, dg_sequence_logits(o->text), bytes);
    one_free(o);
    dg_model_free(m);
    return copy;
}

/* Whole prompts, and chunks, of which the first makes no logits; in all schedules. */
START_TEST(loaded_by_the_first_step)
{
    static const uint32_t chunks[] = {0, 1, 3};
    const int fd = lowest_free_fd();

    for (int i = 0; i < 3; i++) {
        for (unsigned workers = 1; workers <= 4; workers += 3) {
            struct dg_team *team = new_team(workers);
            float *want;

            write_spec(&little[i]);
            want = logits_of(team, true, NULL);
            for (int k = 0; k < 3 * (DG_SCHED_SERIAL + 1); k++) {
                const struct dg_engine_options opt = {
                    .sched = (enum dg_sched)(k / 3), .chunk = chunks[k % 3], .no_fuse = k % 2};
                float *got = logits_of(team, false, &opt);

                ck_assert_mem_eq(got, want, 2 * (size_t)little[i].vocab * sizeof *want);
                ck_assert_int_eq(lowest_free_fd(), fd);
                free(got);
            }
            free(want);
            dg_team_free(team);
        }
    }
}
END_TEST

/* The same, cut short before each read: the eval fails, and so does the next. */
START_TEST(truncated_in_the_first_step)
{
    const int32_t ids[] = {3, 1};
    struct dg_team *team = new_team(2);
    struct one *o;
    struct dg_error err = {0};
    struct dg_model *m;
    const int fd = lowest_free_fd();
    unsigned reads = 0, from = 0;

    for (unsigned i = 0;; i++) {
        no_accidents();
        write_spec(&little[2]);
        ck_assert_int_eq(dg_model_open(&m, path, NULL, &err), DG_OK);
        o = one_new(m, team, NULL);
        if (i == 0) {
            from = accident.calls;
            one_eval(o, ids, 2, 1);
            reads = accident.calls;
            ck_assert_uint_ge(reads - from, 36 + 2); /* the weights, and a row of wte for each id */
        } else {
            accident.truncate_at = from + i;
            for (int k = 0; k < 2; k++) {
                ck_assert_int_eq(dg_sequence_eval(o->text, ids, 2, 1, &err), DG_ERR_IO);
                ck_assert_msg(strncmp(err.text, path, strlen(path)) == 0, "%s", err.text);
                ck_assert_uint_eq(dg_sequence_position(o->text), 0);
                ck_assert_ptr_null(dg_sequence_logits(o->text));
            }
        }
        one_free(o);
        dg_model_free(m);
        ck_assert_int_eq(lowest_free_fd(), fd);
        if (i == reads - from)
            break;
    }
    no_accidents();
    dg_team_free(team);
}
END_TEST

/* Every tile of the first step comes after the weights that it uses; and every weight is loaded. */
START_TEST(plan_of_the_first_step)
{
    struct dg_error err = {0};
    struct dg_model *m;

    write_spec(&little[0]);
    ck_assert_int_eq(dg_model_open(&m, path, NULL, &err), DG_OK);
    for (uint32_t rows = 1; rows <= 5; rows += 2) {
        for (uint32_t k = 0; k < 3; k++) {
            const struct dg_gpt2_shape shape = {rows, k == 1 ? rows : k / 2, true, true, DG_F32};
            const struct dg_tiling tiling = {.workers = 3, .row_block = 2, .col_block = 16};
            struct dg_plan_proof proof;
            struct dg_graph *g;
            struct dg_plan *plan;
            unsigned loads = 0;

            ck_assert_msg(dg_gpt2_graph(&g, m, &shape, &err) == DG_OK, "%s", err.text);
            for (unsigned i = 0; i < g->n_ops; i++)
                loads += strcmp(g->ops[i].type->name, "load") == 0;
            ck_assert_uint_eq(loads, 4 + 2 * 16);
            ck_assert_msg(dg_plan_new(&plan, g, &tiling, &err) == DG_OK, "%s", err.text);
            ck_assert_msg(dg_plan_check(plan, &proof, &err) == DG_OK, "%s", err.text);
            dg_plan_free(plan);
            dg_graph_free(g);
        }
    }
    dg_model_free(m);
}
END_TEST

START_TEST(reads_that_return_less)
{
    for (int i = 0; i < 3; i++) {
        no_accidents();
        write_spec(&little[i]);
        accident.reluctant = true;
        check_packing(&little[i], 1);
        check_packing(&little[i], 4);
        no_accidents();
    }
}
END_TEST

/* ---- fuzz ---- */

/* Changes one to four things of a header: a byte, or one of the fields. */
static void mutate(unsigned char *header, uint64_t *state)
{
    static const int32_t values[] = {0,  1,  -1, 2,   3,       4,         5,         6,        12,
                                     16, 36, 37, 128, 1 << 20, INT32_MAX, INT32_MIN, 20240326, 768};
    const unsigned n = 1 + random_below(state, 4);

    for (unsigned i = 0; i < n; i++) {
        const uint32_t value =
            (uint32_t)values[random_below(state, sizeof values / sizeof *values)];

        if (random_below(state, 2))
            header[random_below(state, random_below(state, 8) ? 32 : HEADER)] ^=
                (unsigned char)(1u << random_below(state, 8));
        else
            put32(header + 4 * random_below(state, 8), value);
    }
}

/* True when the mutated file opens; it is then loaded, too. */
static bool open_mutant(struct dg_team *team, off_t bytes)
{
    struct dg_error err = {.text = ""};
    struct dg_weights *w;
    struct dg_model *m = NULL;
    enum dg_status st = dg_weights_open(&w, path, &err);

    if (st != DG_OK) {
        ck_assert_msg(st == DG_ERR_MODEL && err.status == st, "%s", err.text);
        ck_assert_ptr_nonnull(strstr(err.text, "expected"));
        return false;
    }
    for (int i = 1; i < N_SECTIONS; i++)
        ck_assert_uint_gt(offset_of(w, i), offset_of(w, i - 1));
    ck_assert_uint_eq(offset_of(w, LNFB) + dg_dtype_bytes(w->dtype) * w->sizes.channels, bytes);
    dg_weights_close(w);
    ck_assert_msg(dg_model_open(&m, path, team, &err) == DG_OK, "%s", err.text);
    dg_model_free(m);
    return true;
}

START_TEST(mutated_headers)
{
    const unsigned mutants = sanitized() ? 1000 : 10000;
    struct dg_team *team = new_team(2);
    const int fd = lowest_free_fd();
    unsigned opened = 0;
    uint64_t state = 31373;

    for (int i = 0; i < 3; i++) {
        unsigned char *file = make_file(&little[i]);
        const int out = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

        ck_assert_int_ge(out, 0);
        for (unsigned k = 0; k < mutants / 3; k++) {
            /* now and then a file of another size */
            const off_t bytes = (off_t)(random_below(&state, 8) ? file_size(&little[i])
                                                                : random_below(&state, 40000));
            unsigned char header[HEADER];

            memcpy(header, file, HEADER);
            mutate(header, &state);
            ck_assert_int_eq(pwrite(out, header, HEADER, 0), HEADER);
            ck_assert_int_eq(ftruncate(out, bytes), 0);
            opened += open_mutant(team, bytes);
        }
        close(out);
        free(file);
    }
    ck_assert_int_eq(lowest_free_fd(), fd);
    ck_assert_uint_ge(opened, mutants / 100); /* a change of NH or behind the fields */
    dg_team_free(team);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {no_regular_file,
                                  no_header,
                                  wrong_magic,
                                  wrong_version,
                                  impossible_sizes,
                                  sizes_that_do_not_go_together,
                                  nothing_is_allocated_for_a_header,
                                  largest_sizes,
                                  short_and_long,
                                  misnumbered,
                                  names_that_are_no_text,
                                  sections_of_golden_files,
                                  shapes_of_124M,
                                  files_of_124M,
                                  sizes_of_a_header,
                                  every_weight_in_its_place,
                                  weights_of_many_tiles,
                                  parameters_and_bytes,
                                  truncated_after_opening,
                                  truncated_while_loading,
                                  loaded_by_the_first_step,
                                  truncated_in_the_first_step,
                                  plan_of_the_first_step,
                                  reads_that_return_less,
                                  mutated_headers,
                                  NULL};
    int status;

    if (!mkdtemp(folder)) {
        perror(folder);
        return EXIT_FAILURE;
    }
    snprintf(path, sizeof path, "%s/model.bin", folder);
    status = run_suite("llmc", tests);
    unlink(path);
    rmdir(folder);
    return status;
}
