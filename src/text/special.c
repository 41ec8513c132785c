/* A tokenizer may have hundreds of thousands of special tokens, and a text may begin one at each byte: the tokens stand in the
 * order of their bytes, and each knows the longest other one that it begins with. All tokens that a text
 * begins with are then on the way from the last one that is not behind the text: what stands between two strings,
 * one the beginning of the other, begins with it, too. */
#include "special.h"
#include "../base/arena.h"
#include "../base/status.h"

#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX

/* Of t->special: its text, and its place there. */
struct entry {
    const char *bytes;
    size_t n;
    uint32_t place;
};

/* By bytes; of equals the first in t->special comes last, since it is that which counts. */
static int by_bytes(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    const int order = memcmp(x->bytes, y->bytes, x->n < y->n ? x->n : y->n);

    if (order != 0 || x->n != y->n)
        return order != 0 ? order : x->n < y->n ? -1 : 1;
    return x->place > y->place ? -1 : x->place < y->place;
}

static bool begins(const struct entry *e, const char *text, size_t n)
{
    return e->n <= n && memcmp(e->bytes, text, e->n) == 0;
}

/* Each turn of the inner loop leaves a token behind for good: no later one begins with it. */
static void link_sorted(struct dg_tokenizer *t, const struct entry *list)
{
    for (uint32_t i = 0; i < t->n_special; i++) {
        uint32_t within = i > 0 ? i - 1 : NONE;

        while (within != NONE && !begins(&list[within], list[i].bytes, list[i].n))
            within = t->within[within];
        t->within[i] = within;
        t->sorted[i] = list[i].place;
    }
}

static struct entry entry_of(const struct dg_tokenizer *t, uint32_t place)
{
    const size_t *start = &t->start[t->special[place]];

    return (struct entry){t->bytes + start[0], start[1] - start[0], place};
}

enum dg_status dg_special_index(struct dg_tokenizer *t, struct dg_error *err)
{
    const uint32_t n = t->n_special;
    struct entry *list;

    if (n == 0)
        return DG_OK;
    list = malloc(n * sizeof *list);
    t->sorted = dg_arena_array(t->arena, n, sizeof *t->sorted);
    t->within = dg_arena_array(t->arena, n, sizeof *t->within);
    if (!list || !t->sorted || !t->within) {
        free(list);
        return dg_fail_memory(err, "a tokenizer", n * sizeof *list);
    }
    for (uint32_t i = 0; i < n; i++)
        list[i] = entry_of(t, i);
    qsort(list, n, sizeof *list, by_bytes);
    link_sorted(t, list);
    free(list);
    return DG_OK;
}

/* How many of the sorted tokens are not behind the text. */
static uint32_t not_behind(const struct dg_tokenizer *t, const char *text, size_t n)
{
    uint32_t least = 0, most = t->n_special;

    while (least < most) {
        const uint32_t middle = least + (most - least) / 2;
        const struct entry e = entry_of(t, t->sorted[middle]);
        const int order = memcmp(e.bytes, text, e.n < n ? e.n : n);

        if (order < 0 || (order == 0 && e.n <= n))
            least = middle + 1;
        else
            most = middle;
    }
    return least;
}

static size_t common(const struct entry *e, const char *text, size_t n)
{
    size_t i = 0;

    while (i < e->n && i < n && e->bytes[i] == text[i])
        i++;
    return i;
}

size_t dg_special_at(const struct dg_tokenizer *t, uint32_t some, const char *text, size_t n,
                     uint32_t *token)
{
    struct entry e;
    uint32_t i;
    size_t shared;

    if (!t->starts_special[(unsigned char)text[0]] || (i = not_behind(t, text, n)) == 0)
        return 0;
    e = entry_of(t, t->sorted[--i]);
    shared = common(&e, text, n);
    while (e.n > shared || e.place >= some) {
        i = t->within[i];
        if (i == NONE)
            return 0;
        e = entry_of(t, t->sorted[i]);
    }
    *token = t->special[e.place];
    return e.n;
}
