/* Words are read one at a time: what they come from may be a pipe that never ends. */
#include "ids.h"
#include "engine.h"
#include "leaving.h"
#include "options.h"
#include "reading.h"
#include "../../src/base/status.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int32_t id_of(const char *word, size_t place)
{
    uint64_t id;

    if (!cli_number(word, &id) || id > INT32_MAX)
        cli_die(DG_ERR_TOKEN, "token id %zu: got '%s', expected a number of the vocabulary", place,
                word);
    return (int32_t)id;
}

static bool is_space(int c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

enum id_kind ids_scan(FILE *from, char word[ID_BYTES])
{
    size_t n = 0;
    int c = getc(from);

    while (is_space(c) && c != '\n')
        c = getc(from);
    if (c == '\n')
        return ID_LINE;
    for (; c != EOF && !is_space(c) && n + 1 < ID_BYTES; c = getc(from))
        word[n++] = c ? (char)c : '?';
    word[n] = '\0';
    if (c != EOF)
        ungetc(c, from);
    return n > 0 ? ID_WORD : ID_NONE;
}

static int32_t *make_room(int32_t *ids, size_t n)
{
    int32_t *more = realloc(ids, n * sizeof *ids);

    if (!more)
        cli_die(DG_ERR_RESOURCE, "out of memory for %zu ids", n);
    return more;
}

static int32_t *read_ids(FILE *from, size_t *n_ids)
{
    int32_t *ids = NULL;
    size_t n = 0, room = 0;
    struct dg_sizes sizes;
    char word[ID_BYTES];
    enum id_kind kind;

    cli_request_check(NULL, 0, 0, &sizes);
    while ((kind = ids_scan(from, word)) != ID_NONE) {
        if (kind == ID_LINE)
            continue;
        if (n == sizes.positions)
            cli_die(DG_ERR_TOKEN,
                    "standard input: got more than %zu ids, expected at most maxT = %u", n,
                    sizes.positions);
        if (n == room)
            ids = make_room(ids, room = room ? 2 * room : 1024);
        ids[n] = id_of(word, n + 1);
        n++;
    }
    if (ferror(from))
        cli_die(dg_status_of(errno, DG_ERR_IO), "standard input: cannot read: %s", strerror(errno));
    if (n == 0)
        cli_die(DG_ERR_TOKEN, "standard input: got no token ids, expected at least one");
    *n_ids = n;
    return ids;
}

int32_t *cli_ids(char **operands, int n, size_t *n_ids)
{
    int32_t *ids;

    if (n == 1 && strcmp(operands[0], "-") == 0)
        return read_ids(cli_stdin(), n_ids);
    ids = make_room(NULL, (size_t)n + 1);
    for (int i = 0; i < n; i++)
        ids[i] = id_of(operands[i], (size_t)i + 1);
    *n_ids = (size_t)n;
    return ids;
}
