/* frames.h - what rank 0 says to the process that starts ranks again (restart.h), through its standard output: bytes in
 * frames. What it hears is in front of its standard input. */
#ifndef DG_MPI_FRAMES_H
#define DG_MPI_FRAMES_H

#include <stddef.h>
#include <stdint.h>

/* Of a frame: bytes of standard output and error, an id that was drawn, and the exit code once all is said. */
enum { FRAME_OUT = 'o', FRAME_ERR = 'e', FRAME_ID = 'i', FRAME_CODE = 'c' };

/* Before the bytes of a frame. Both processes are of one program, or ranks would not agree. */
struct frame {
    uint32_t kind, n;
};

enum { FRAME_MOST = 4096 }; /* bytes of one */

/* An id that was drawn for a text, after those that were drawn for it before. FRAME_ID's bytes; and those of all ids that
 * are known stand behind their number, a uint64_t, in front of standard input. */
struct drawn {
    uint64_t text;
    int32_t id, unused;
};

/* ---- rank 0 ---- */

/* Reads what is in front of standard input. From now on what is printed leaves in frames, and the command knows the
 * ids. 0, or an errno value. */
int frames_begin(void);

void frames_end(int code); /* all is said; nothing may be printed any more */

#endif
