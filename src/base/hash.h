/* hash.h - a hash for tables of what files say: who writes a file does not know the key, and so cannot make
 * names that all want one place of a table. */
#ifndef DG_BASE_HASH_H
#define DG_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct dg_hash_key {
    uint64_t half[2];
};

/* A key of the system's random numbers: each table has its own. What is computed does not depend on it. */
struct dg_hash_key dg_hash_new_key(void);

uint64_t dg_hash(const struct dg_hash_key *key, const void *bytes, size_t n);

#endif
