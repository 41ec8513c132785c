/* ahead.h - ids that were drawn before, by a run that did not come to its end. They are evaluated all at once, each with
 * logits, and drawn again from those: what is known saves time, and decides nothing. */
#ifndef DG_TOOLS_AHEAD_H
#define DG_TOOLS_AHEAD_H

#include <stddef.h>
#include <stdint.h>

/* Where another program than dagpt has set them. Which ids were drawn for the text of that number, in their order;
 * borrowed. */
extern size_t (*cli_ids_known)(uint64_t text, const int32_t **ids);
extern void (*cli_id_drawn)(uint64_t text, int32_t id); /* is told each that was not known */

/* Of a text for which n ids are drawn so far: the next ones that are known, `most` and 63 at the most, to ids[];
 * returns how many. */
size_t cli_ahead(uint64_t text, size_t n, int32_t *ids, size_t most);

/* Id n of that text is drawn. */
void cli_drawn(uint64_t text, size_t n, int32_t id);

#endif
