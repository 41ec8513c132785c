/* writing.h - a stream that takes all that is printed, whatever is at its other end.
 *
 * A pipe, a terminal or a socket takes it when it can: also one that is non-blocking is waited for. Once
 * a signal has been noted (signals.h), the stream waits a tenth of a second more, and then fails with
 * EINTR: who does not read cannot keep the program from leaving. */
#ifndef DG_TOOLS_WRITING_H
#define DG_TOOLS_WRITING_H

#include <stdbool.h>
#include <stdio.h>

struct cli_writing {
    FILE *to;
    int fd;
    bool at_once; /* a file, which takes all at once */
    int failed;   /* errno value of the first write that failed, or 0 */
};

/* Makes w->to, which owns fd from then on; *w must stay where it is until that is closed. False, and
 * errno, and fd is closed: out of memory. */
bool cli_writing_open(struct cli_writing *w, int fd);

/* Is all of it written? False, and errno, when not. */
bool cli_writing_flush(struct cli_writing *w);

/* From now on stdout is such a stream. Once. */
void cli_write_stdout(void);

/* Is stdout a terminal? As it was at cli_write_stdout(). */
bool cli_on_terminal(void);

/* Text of whole characters, to stdout or to memory that goes there. On a terminal a control character is
 * shown, as \uXXXX, but for \n and \t: a text can be made to hold commands for terminals. */
void cli_write_text(FILE *to, const char *text, size_t n);

/* cli_writing_flush() of stdout. */
bool cli_stdout_flush(void);

#endif
