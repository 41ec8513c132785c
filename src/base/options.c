/* An options struct only grows at its end, so the bytes that both sides know are the same. */
#include "options.h"

#include <string.h>

enum dg_status dg_options_read(void *to, size_t n, size_t first, const void *from, const char *what,
                               struct dg_error *err)
{
    const char *bytes = from;
    size_t size = 0;

    memset(to, 0, n);
    if (!from)
        return DG_OK;
    memcpy(&size, from, sizeof size);
    if (size == 0)
        size = first;
    if (size < first || size > 64 * n)
        return dg_fail(err, DG_ERR_USAGE, "%s: size: got %zu, expected sizeof the struct, %zu",
                       what, size, n);
    for (size_t i = n; i < size; i++)
        if (bytes[i])
            return dg_fail(err, DG_ERR_USAGE,
                           "%s: set beyond byte %zu: this library, " DG_VERSION
                           ", is older than its header",
                           what, n);
    memcpy(to, from, size < n ? size : n);
    return DG_OK;
}
