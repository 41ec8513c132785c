#include "ahead.h"

#include <string.h>

enum { MOST = 63 }; /* logits of so many rows are kept at once, and one more */

size_t (*cli_ids_known)(uint64_t text, const int32_t **ids);
void (*cli_id_drawn)(uint64_t text, int32_t id);

size_t cli_ahead(uint64_t text, size_t n, int32_t *ids, size_t most)
{
    const int32_t *known = NULL;
    const size_t n_known = cli_ids_known ? cli_ids_known(text, &known) : 0;
    size_t ahead = n_known > n ? n_known - n : 0;

    ahead = ahead < most ? ahead : most;
    ahead = ahead < MOST ? ahead : MOST;
    if (ahead > 0)
        memcpy(ids, known + n, ahead * sizeof *ids);
    return ahead;
}

void cli_drawn(uint64_t text, size_t n, int32_t id)
{
    const int32_t *known;

    if (cli_id_drawn && (!cli_ids_known || cli_ids_known(text, &known) <= n))
        cli_id_drawn(text, id);
}
