/* stdio gives up at a read that would block. A stream of fopencookie() asks poll() first, and begins again where
 * a signal has ended that: the handler may have put another file in the place of standard input. */
#include "reading.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

static ssize_t read_some(void *cookie, char *bytes, size_t n)
{
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    ssize_t got;

    (void)cookie;
    while ((got = read(STDIN_FILENO, bytes, n)) < 0 && (errno == EAGAIN || errno == EINTR))
        if (errno == EAGAIN)
            poll(&p, 1, -1);
    return got;
}

FILE *cli_stdin(void)
{
    static FILE *input;

    if (!input)
        input = fopencookie(NULL, "r", (cookie_io_functions_t){.read = read_some});
    if (!input)
        input = stdin; /* from now on: it may hold more than the line that is asked for */
    return input;
}
