/* A stream of fopencookie(): only there does stdio leave it to others what a write is, and would lose what a
 * write did not take. A pipe is given pieces of PIPE_BUF bytes, once poll() says that it has room: then a
 * write never blocks, and poll() is what a signal ends.
 *
 * glibc's stdout is a variable. musl's is not: there stdout is as libc makes it, and an earlier write's errno is lost. */
#include "writing.h"
#include "signals.h"
#include "../../src/base/utf8.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOOK_MS = 50 }; /* a signal may come just before poll() */

/* Waits until there is room. False, and errno: a signal has come, and patience has ended. */
static bool wait_for_room(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};

    for (;;) {
        const int left = cli_signal_patience();

        if (poll(&p, 1, left >= 0 && left < LOOK_MS ? left : LOOK_MS) > 0)
            return true;
        if (left == 0) {
            errno = EINTR;
            return false;
        }
    }
}

/* Some of n bytes, or -1 and errno. */
static ssize_t write_some(const struct cli_writing *w, const char *bytes, size_t n)
{
    if (w->at_once)
        return write(w->fd, bytes, n);
    return wait_for_room(w->fd) ? write(w->fd, bytes, n < PIPE_BUF ? n : PIPE_BUF) : -1;
}

static ssize_t write_all(void *cookie, const char *bytes, size_t n)
{
    struct cli_writing *w = cookie;
    size_t done = 0;

    while (done < n && !w->failed) {
        const ssize_t some = write_some(w, bytes + done, n - done);

        if (some >= 0)
            done += (size_t)some;
        else if (errno != EAGAIN && (errno != EINTR || cli_signal_patience() == 0))
            w->failed = errno;
    }
    if (w->failed)
        errno = w->failed;
    return (ssize_t)done;
}

static int close_it(void *cookie)
{
    const struct cli_writing *w = cookie;

    return close(w->fd);
}

/* NULL, and fd is still open: out of memory. */
static FILE *make(struct cli_writing *w, int fd)
{
    const cookie_io_functions_t functions = {.write = write_all, .close = close_it};
    struct stat st;

    *w = (struct cli_writing){.fd = fd, .at_once = fstat(fd, &st) == 0 && S_ISREG(st.st_mode)};
    return w->to = fopencookie(w, "w", functions);
}

bool cli_writing_open(struct cli_writing *w, int fd)
{
    if (make(w, fd))
        return true;
    close(fd);
    errno = ENOMEM;
    return false;
}

bool cli_writing_flush(struct cli_writing *w)
{
    /* musl takes a write of fewer bytes for none that failed. */
    const bool ok = fflush(w->to) == 0 && !ferror(w->to) && !w->failed;

    if (!ok && w->failed)
        errno = w->failed;
    return ok;
}

static struct cli_writing standard_output;
static bool on_terminal;

void cli_write_stdout(void)
{
    on_terminal = isatty(STDOUT_FILENO);
#ifdef __GLIBC__
    if (!make(&standard_output, STDOUT_FILENO))
        return; /* stdout as it was */
    if (on_terminal)
        setvbuf(standard_output.to, NULL, _IOLBF, BUFSIZ);
    stdout = standard_output.to;
#endif
}

bool cli_on_terminal(void)
{
    return on_terminal;
}

void cli_write_text(FILE *to, const char *text, size_t n)
{
    if (!on_terminal) {
        fwrite(text, 1, n, to);
        return;
    }
    for (size_t i = 0, length; i < n; i += length) {
        uint32_t code = 0xfffd;

        length = dg_utf8_decode(text + i, n - i, &code);
        if (length == 0 || (dg_is_control(code) && code != '\n' && code != '\t'))
            fprintf(to, "\\u%04x", (unsigned)code);
        else
            fwrite(text + i, 1, length, to);
        length += length == 0;
    }
}

bool cli_stdout_flush(void)
{
    if (standard_output.to)
        return cli_writing_flush(&standard_output);
    if (fflush(stdout) != 0)
        return false;
    if (ferror(stdout))
        errno = EIO;
    return !ferror(stdout);
}
