/* printer.h - a completion as it is printed: its text, or objects of JSON, one a line. Leaves with 5 when
 * standard output cannot take it. A printer that is open stays where it is. */
#ifndef DG_TOOLS_PRINTER_H
#define DG_TOOLS_PRINTER_H

#include "completion.h"
#include "stream.h"
#include "text.h"

enum { PRINTER_MOST_CANDIDATES = 100 };

struct printer {
    const struct completion *c;
    FILE *to; /* standard output, or memory */
    bool json;
    bool may_go_on;      /* the start of a character that ends a text is held until it does */
    size_t n_candidates; /* of each token, at most PRINTER_MOST_CANDIDATES */
    struct cli_texts stops;
    uint64_t sample, seed; /* which text it is: 0 where there is but one; sample 1 is the first */
    uint64_t line;         /* of the file `name`, from 1; 0: it is of none */
    const char *name;
    size_t cut;         /* ids that the prompt had, if not all were read; 0: they were */
    bool ends_in_blank; /* the prompt; these two are said at the end of its text, once */

    struct stream out;
};

void printer_open(struct printer *p); /* all fields but `out` are set */
void printer_close(struct printer *p);

void printer_heading(const struct printer *p); /* the line above the text of a sample or a line */
void printer_prompt(struct printer *p, const struct text *prompt);

/* The new id that completion_next() has drawn. True: a stop string is complete. */
bool printer_token(struct printer *p, int32_t id);

/* The text of before goes on: prints the stop string that ended it, if one did, and what was behind it in
 * the same token. True: another stop string is complete. */
bool printer_go_on(struct printer *p);

void printer_forget(struct printer *p); /* what is held back of the text of before */

/* A text that cannot be; also on stderr. */
void printer_failed(const struct printer *p, const struct dg_error *err);

/* The end of a text; on stderr what a user may not expect of it, and with --stats the statistics. */
void printer_end(struct printer *p, enum finish finish);

#endif
