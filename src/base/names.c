/* Open addressing with a hash, 32 bits of which are kept beside the name: a table that grows is
 * filled again without reading the names. */
#include "names.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct dg_name {
    size_t at, n; /* its bytes */
    uint32_t scope, hash;
};

static uint32_t hash_of(const struct dg_names *s, uint32_t scope, const char *name, size_t n)
{
    struct dg_hash_key key = s->key;

    key.half[0] += scope;
    return (uint32_t)dg_hash(&key, name, n);
}

/* The place of that name, or the empty one where it would be. */
static uint32_t *place_of(const struct dg_names *s, uint32_t hash, uint32_t scope, const char *name,
                          size_t n)
{
    for (size_t i = hash;; i++) {
        uint32_t *place = &s->places[i & s->mask];
        const struct dg_name *found = *place ? &s->names[*place - 1] : NULL;

        if (!found || (found->hash == hash && found->scope == scope && found->n == n &&
                       (n == 0 || memcmp(s->bytes + found->at, name, n) == 0)))
            return place;
    }
}

static bool grow_table(struct dg_names *s)
{
    const size_t places = s->places ? 2 * (s->mask + 1) : 64;
    uint32_t *table = calloc(places, sizeof *table);

    if (!table)
        return false;
    if (!s->places)
        s->key = dg_hash_new_key();
    free(s->places);
    s->places = table;
    s->mask = places - 1;
    for (size_t k = 0; k < s->n; k++) {
        size_t i = s->names[k].hash;

        while (table[i & s->mask])
            i++;
        table[i & s->mask] = (uint32_t)k + 1;
    }
    return true;
}

/* Room for one more of n elements of `size` bytes, doubled where there is none. */
static bool grow(void **array, size_t *room, size_t wanted, size_t size)
{
    size_t more = *room ? *room : 64;
    void *bigger;

    if (wanted <= *room)
        return true;
    while (more < wanted && more <= SIZE_MAX / 2)
        more *= 2;
    if (more < wanted || more > SIZE_MAX / size)
        return false;
    bigger = realloc(*array, more * size);
    if (!bigger)
        return false;
    *array = bigger;
    *room = more;
    return true;
}

int dg_names_add(struct dg_names *s, uint32_t scope, const char *name, size_t n)
{
    void *bytes = s->bytes, *names = s->names;
    uint32_t *place, hash;

    if (s->n >= UINT32_MAX / 2 || ((!s->places || 2 * (s->n + 1) > s->mask + 1) && !grow_table(s)))
        return -1;
    hash = hash_of(s, scope, name, n);
    place = place_of(s, hash, scope, name, n);
    if (*place)
        return 0;
    if (n > SIZE_MAX - s->n_bytes || !grow(&bytes, &s->room, s->n_bytes + n, 1))
        return -1;
    s->bytes = bytes;
    if (!grow(&names, &s->names_room, s->n + 1, sizeof *s->names))
        return -1;
    s->names = names;
    if (n > 0)
        memcpy(s->bytes + s->n_bytes, name, n);
    s->names[s->n] = (struct dg_name){s->n_bytes, n, scope, hash};
    s->n_bytes += n;
    *place = (uint32_t)++s->n;
    return 1;
}

size_t dg_names_find(const struct dg_names *s, uint32_t scope, const char *name, size_t n)
{
    const uint32_t *place;

    if (!s->places)
        return SIZE_MAX;
    place = place_of(s, hash_of(s, scope, name, n), scope, name, n);
    return *place ? *place - 1 : SIZE_MAX;
}

void dg_names_free(struct dg_names *s)
{
    free(s->bytes);
    free(s->names);
    free(s->places);
    *s = (struct dg_names){0};
}
