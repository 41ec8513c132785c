/* Rank 0 hears all, and says what comes of it. Ranks on one machine that have one file open need not read it; where
 * ranks have different ones, each reads its own as a whole, once: a sum of all bytes is what makes them the same. */
#include "agree.h"
#include "world.h"
#include "../src/base/crc.h"
#include "../src/base/status.h"
#include "../src/model/format.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PART = 1 << 20 };

/* ---- what is said ---- */

__attribute__((format(printf, 2, 3))) static void add(struct word *w, const char *format, ...)
{
    char *text = NULL;
    va_list args;
    int n;

    va_start(args, format);
    n = vasprintf(&text, format, args);
    va_end(args);
    w->text = n < 0 ? NULL : realloc(w->text, w->n + (size_t)n + 1);
    if (!w->text)
        abort(); /* some bytes: this rank is missed, and the others leave */
    memcpy(w->text + w->n, text, (size_t)n + 1);
    w->n += (size_t)n;
    free(text);
}

/* An argument, as one line. */
static void add_argument(struct word *w, int i, const char *text)
{
    add(w, "argument %d: '", i);
    for (; *text; text++)
        add(w, *text == '\n' ? "\\n" : *text == '\\' ? "\\\\" : "%c", *text);
    add(w, "'\n");
}

struct word word_of_program(int argc, char **argv)
{
    const uint16_t one = 1;
    struct word w = {0};

    add(&w, "version: %s\n", DG_VERSION);
    add(&w, "byte order: %s\n", *(const char *)&one ? "little-endian" : "big-endian");
    for (int i = 1; i < argc; i++)
        add_argument(&w, i, argv[i]);
    add(&w, "arguments: %d\n", argc - 1);
    return w;
}

/* Of all bytes of the files; a line says what cannot be read. */
static void add_contents(struct word *w, const struct dg_weights *weights)
{
    char *part = malloc(PART);
    struct dg_crc crc;
    uint32_t sum = 0;

    dg_crc_tables(&crc);
    for (uint32_t i = 0; part && i < weights->n_files; i++) {
        const struct dg_file *f = &weights->files[i];

        for (uint64_t at = 0; at < f->bytes; at += PART) {
            const size_t n = f->bytes - at < PART ? (size_t)(f->bytes - at) : PART;
            const int failed = dg_file_read(f, at, part, n);

            if (failed)
                add(w, "model's contents: cannot read: %s\n", strerror(failed));
            sum = dg_crc(&crc, sum, part, failed ? 0 : n);
        }
    }
    free(part);
    add(w, "model's contents: %s%08" PRIx32 "\n", part ? "" : "out of memory ", sum);
}

/* Where the files are: what is the same file is the same. */
static void add_places(struct word *w, const struct dg_weights *weights)
{
    for (uint32_t i = 0; i < weights->n_files; i++) {
        const struct dg_file *f = &weights->files[i];
        struct stat st = {0};

        if (f->memory)
            continue; /* the program's */
        if (fstat(f->fd, &st) != 0)
            add(w, "rank: %d\n", world.rank);
        add(w, "host: %s\nfile: %ju %ju %jd %jd.%09ld\n", world.host, (uintmax_t)st.st_dev,
            (uintmax_t)st.st_ino, (intmax_t)st.st_size, (intmax_t)f->written.tv_sec,
            f->written.tv_nsec);
    }
}

struct word word_of_model(const struct dg_model *m, bool contents)
{
    const struct dg_weights *weights = m->weights;
    const struct dg_sizes *z = &weights->sizes;
    struct word w = {0};

    add(&w, "model's format: %s\nmodel's size: %" PRIu64 " bytes\n", weights->format->name,
        weights->bytes);
    add(&w, "model's positions: %u\nmodel's vocabulary: %u\n", z->positions, z->vocab);
    add(&w, "model's layers: %u\nmodel's heads: %u\nmodel's channels: %u\n", z->layers, z->heads,
        z->channels);
    add(&w, "weights: %s\n", dg_dtype_name(dg_model_weight(m, DG_Q_WEIGHT, 0)->dtype));
    (contents ? add_contents : add_places)(&w, weights);
    return w;
}

/* ---- what comes of it ---- */

/* The first line in which two differ: "version: got X, expected Y". */
static void say_difference(const char *got, const char *expected, int rank, enum dg_status differs,
                           struct dg_error *err)
{
    int name, n, m;

    while (*got && *got == *expected) {
        n = (int)strcspn(got, "\n"), m = (int)strcspn(expected, "\n");
        if (n != m || memcmp(got, expected, (size_t)n) != 0)
            break;
        got += n + 1;
        expected += m + 1;
    }
    n = (int)strcspn(got, "\n"), m = (int)strcspn(expected, "\n");
    name = (int)strcspn(got, ":");
    if (strncmp(got, expected, (size_t)name + 1) == 0)
        dg_fail(err, differs, "rank %d on %s: %.*s: got%.*s, expected%.*s", rank, world_host(rank),
                name, got, n - name - 1, got + name + 1, m - name - 1, expected + name + 1);
    else /* one has more lines of a kind */
        dg_fail(err, differs, "rank %d on %s: got '%.*s', expected '%.*s'", rank, world_host(rank),
                n, got, m, expected);
}

/* Rank 0: what another says, beside the own word. */
static enum verdict judge(const struct word *own, int rank, enum dg_status differs,
                          struct dg_error *err)
{
    enum verdict v = AGREED;
    int32_t status;
    size_t n;
    char *said = world_receive(rank, WORLD_AGREE, &n), *text = said + sizeof status;

    memcpy(&status, said, sizeof status);
    said[n] = '\0';
    if (status != DG_OK) {
        v = OVER;
        dg_fail(err, (enum dg_status)status, "rank %d on %s: %s", rank, world_host(rank), text);
    } else if (own->status == DG_OK && strcmp(text, own->text) != 0) {
        v = DIFFERENT;
        say_difference(text, own->text, rank, differs, err);
    }
    free(said);
    return v;
}

static enum verdict hear_all(const struct word *own, enum dg_status differs, struct dg_error *err)
{
    enum verdict verdict = own->status == DG_OK ? AGREED : OVER;

    for (int r = 1; r < world.ranks; r++) {
        struct dg_error other;
        const enum verdict v = judge(own, r, differs, &other);

        if (v > verdict) { /* the first of the worst is what is said */
            verdict = v;
            *err = other;
        }
    }
    for (int r = 1; r < world.ranks; r++)
        world_send(r, WORLD_AGREE, &(char){(char)verdict}, 1);
    return verdict;
}

enum verdict agree(const struct word *own, enum dg_status differs, struct dg_error *err)
{
    const int32_t status = (int32_t)own->status;
    const size_t n = sizeof status + own->n;
    enum verdict verdict;
    char *said;

    if (world.rank == 0)
        return hear_all(own, differs, err);
    said = malloc(n);
    if (!said)
        abort(); /* some bytes: this rank is missed, and the others leave */
    memcpy(said, &status, sizeof status);
    if (own->n > 0)
        memcpy(said + sizeof status, own->text, own->n);
    world_send(0, WORLD_AGREE, said, n);
    free(said);
    said = world_receive(0, WORLD_AGREE, &(size_t){0});
    verdict = (enum verdict)said[0];
    free(said);
    return verdict;
}
