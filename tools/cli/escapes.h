/* escapes.h - characters that are hard to type, as backslashes and letters. */
#ifndef DG_TOOLS_ESCAPES_H
#define DG_TOOLS_ESCAPES_H

#include "../../src/dagpt.h"

/* Reads the escapes in text[0 ... n - 1] in place: \\, \" and \' stand for themselves; \a \b \e \f \n \r \t \v
 * are control characters and \0 is NUL; \xHH is a byte, \uHHHH and \UHHHHHHHH are code points. *left: bytes
 * that are left, with a NUL behind them. DG_ERR_TOKEN, with its place, for what is none of these. */
enum dg_status escapes_read(char *text, size_t n, size_t *left, struct dg_error *err);

#endif
