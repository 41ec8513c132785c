/* ids.h - token ids that a subcommand was given, as operands or as words of a file. */
#ifndef DG_TOOLS_IDS_H
#define DG_TOOLS_IDS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* The ids of the operands or, where "-" is the only one, of standard input, separated by white space. The
 * caller's to free. Leaves with 4 when one is no number, or standard input has none or more than the model
 * has positions, and with 5 when it cannot be read. */
int32_t *cli_ids(char **operands, int n, size_t *n_ids);

enum { ID_BYTES = 32 }; /* of a word that may be an id, with the NUL behind it */

enum id_kind { ID_NONE, ID_LINE, ID_WORD };

/* What comes next in a file: a word, the end of a line, or the end of the file or an error (ferror).
 * Of a word longer than an id only the start is read. A NUL in it reads as '?'. */
enum id_kind ids_scan(FILE *from, char word[ID_BYTES]);

#endif
