/* prompts.h - a line of a file of prompts: a text, or an object of JSON, which begins with '{'. */
#ifndef DG_TOOLS_PROMPTS_H
#define DG_TOOLS_PROMPTS_H

#include "options.h"
#include "text.h"

enum { PROMPT_MOST_TOKENS = 1 << 24 }; /* new ones */

struct prompt_line {
    struct text prompt;
    uint64_t tokens;
    struct dg_sampling how;
    struct cli_texts stops;
    char *memory; /* of the stops that the line brings; the caller's to free(); or NULL */
};

/* Takes the line over. What it does not say is as it was in *l, whose prompt and memory are empty. DG_ERR_TOKEN: it
 * is no such object; nothing is to be freed. */
enum dg_status prompt_line_read(struct prompt_line *l, struct text *line, struct dg_error *err);

#endif
