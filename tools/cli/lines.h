/* lines.h - lines that a user types: with editing and history where the program was built with
 * libedit (lines_editline.c) and standard input is a terminal; else plain (lines_plain.c). */
#ifndef DG_TOOLS_LINES_H
#define DG_TOOLS_LINES_H

#include "text.h"

struct lines;

/* Says on a terminal when lines cannot be edited. NULL: out of memory. */
struct lines *lines_new(const char *prompt);

/* text_line, at a terminal with the prompt before it. */
bool lines_next(struct lines *l, struct text *line);

void lines_free(struct lines *l); /* takes NULL */

#endif
