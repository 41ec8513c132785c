/* Streams of fopencookie(), which take the places of stdout and stderr. */
#include "frames.h"
#include "../tools/cli/ahead.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    struct drawn *drawn; /* [n] by text, in each in their order */
    int32_t *ids;        /* [n] theirs */
    size_t n;
} known;

static bool write_all(const void *bytes, size_t n)
{
    const char *at = bytes;

    while (n > 0) {
        const ssize_t some = write(STDOUT_FILENO, at, n);

        if (some < 0 && errno != EINTR)
            return false;
        if (some > 0)
            at += some, n -= (size_t)some;
    }
    return true;
}

static bool write_frame(uint32_t kind, const void *bytes, size_t n)
{
    char frame[sizeof(struct frame) + FRAME_MOST];

    memcpy(frame, &(struct frame){kind, (uint32_t)n}, sizeof(struct frame));
    memcpy(frame + sizeof(struct frame), bytes, n);
    return write_all(frame, sizeof(struct frame) + n);
}

static ssize_t write_some(uint32_t kind, const char *bytes, size_t n)
{
    n = n < FRAME_MOST ? n : FRAME_MOST;
    return write_frame(kind, bytes, n) ? (ssize_t)n : -1;
}

static ssize_t write_out(void *cookie, const char *bytes, size_t n)
{
    (void)cookie;
    return write_some(FRAME_OUT, bytes, n);
}

static ssize_t write_err(void *cookie, const char *bytes, size_t n)
{
    (void)cookie;
    return write_some(FRAME_ERR, bytes, n);
}

static void tell_id(uint64_t text, int32_t id)
{
    write_frame(FRAME_ID, &(struct drawn){text, id, 0}, sizeof(struct drawn));
}

/* ---- what is known ---- */

static int read_all(void *to, size_t n)
{
    char *at = to;

    while (n > 0) {
        const ssize_t some = read(STDIN_FILENO, at, n);

        if (some == 0)
            return EPIPE;
        if (some < 0 && errno != EINTR)
            return errno;
        if (some > 0)
            at += some, n -= (size_t)some;
    }
    return 0;
}

/* By text; equals by their place, which `unused` holds meanwhile. */
static int compare(const void *a, const void *b)
{
    const struct drawn *x = a, *y = b;

    if (x->text != y->text)
        return x->text < y->text ? -1 : 1;
    return x->unused < y->unused ? -1 : x->unused > y->unused;
}

static int read_known(void)
{
    uint64_t n;
    int failed = read_all(&n, sizeof n);

    if (failed || n == 0)
        return failed;
    known.n = n <= INT32_MAX ? (size_t)n : 0;
    known.drawn = calloc(known.n, sizeof *known.drawn);
    known.ids = calloc(known.n, sizeof *known.ids);
    if (!known.drawn || !known.ids)
        return ENOMEM;
    failed = read_all(known.drawn, known.n * sizeof *known.drawn);
    for (size_t i = 0; i < known.n; i++)
        known.drawn[i].unused = (int32_t)i;
    qsort(known.drawn, known.n, sizeof *known.drawn, compare);
    for (size_t i = 0; i < known.n; i++)
        known.ids[i] = known.drawn[i].id;
    return failed;
}

/* The first of the text's, or of the first one behind it. */
static size_t find(uint64_t text)
{
    size_t low = 0, high = known.n;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (known.drawn[middle].text < text)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static size_t known_ids(uint64_t text, const int32_t **ids)
{
    const size_t first = find(text);

    *ids = known.ids + first;
    return find(text + 1) - first;
}

/* ---- all of it ---- */

int frames_begin(void)
{
#ifdef __GLIBC__ /* stdout is a variable */
    const cookie_io_functions_t out = {.write = write_out}, err = {.write = write_err};
    const int failed = read_known();
    FILE *to_out, *to_err;

    if (failed)
        return failed;
    to_out = fopencookie(NULL, "w", out);
    to_err = fopencookie(NULL, "w", err);
    if (!to_out || !to_err)
        return ENOMEM;
    setvbuf(to_err, NULL, _IOLBF, FRAME_MOST);
    stdout = to_out;
    stderr = to_err;
    cli_ids_known = known_ids;
    cli_id_drawn = tell_id;
    return 0;
#else
    (void)read_known, (void)write_out, (void)write_err, (void)known_ids, (void)tell_id;
    return ENOTSUP;
#endif
}

void frames_end(int code)
{
    fflush(stdout);
    fflush(stderr);
    write_frame(FRAME_CODE, &code, sizeof code);
}
