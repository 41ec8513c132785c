/* lines.h - lines that a user types: with editing and history where the program was built with
 * libedit (lines_editline.c) and standard input is a terminal; else plain (lines_plain.c). */
#ifndef DG_TOOLS_LINES_H
#define DG_TOOLS_LINES_H

struct lines;

struct lines *lines_new(const char *prompt); /* NULL: out of memory */

/* The next line, without its end; the caller's to free. NULL: there is none. */
char *lines_next(struct lines *l);

void lines_free(struct lines *l); /* takes NULL */

#endif
