/* page - standard input as a page that shows it, whatever it is: `dagpt trace` would refuse what is no
 * trace, and the viewer's tests want to see what the page does with it. */
#include "../tools/trace_html.h"

#include <stdlib.h>

int main(void)
{
    size_t n = 0, room = 1 << 20, got;
    char *text = malloc(room), *more;

    while (text && (got = fread(text + n, 1, room - n, stdin)) > 0) {
        n += got;
        if (n < room)
            continue;
        more = realloc(text, room *= 2);
        if (!more)
            free(text);
        text = more;
    }
    if (!text)
        return 6;
    trace_html(stdout, text, n);
    free(text);
    return fflush(stdout) == 0 && !ferror(stdin) && !ferror(stdout) ? 0 : 5;
}
