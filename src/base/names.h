/* names.h - a set of names, any bytes, each of a scope: what a file may say once alone. It finds in time
 * that does not depend on how many there are.
 * Memory: copies the names; zeros are an empty set. Threads: none. */
#ifndef DG_BASE_NAMES_H
#define DG_BASE_NAMES_H

#include "hash.h"

#include <stddef.h>
#include <stdint.h>

struct dg_names {
    char *bytes; /* of all names, one after the other */
    size_t n_bytes, room;
    struct dg_name *names; /* [n] */
    size_t n, names_room;
    uint32_t *places; /* [mask + 1] by hash: place in names + 1, or 0; at most half are taken */
    size_t mask;
    struct dg_hash_key key;
};

/* Adds a name to the set. 1: it is new; 0: it was there; -1: out of memory, or of room (2^32 names). */
int dg_names_add(struct dg_names *set, uint32_t scope, const char *name, size_t n);

/* The place of a name in the order in which they were added; SIZE_MAX: it is not there. */
size_t dg_names_find(const struct dg_names *set, uint32_t scope, const char *name, size_t n);

void dg_names_free(struct dg_names *set); /* leaves an empty one */

#endif
