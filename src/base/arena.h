/* arena.h - memory that is freed all at once: one arena per lifetime (model, plan, sequence).
 * Threads: none; an arena is filled by the thread that owns it. */
#ifndef DG_BASE_ARENA_H
#define DG_BASE_ARENA_H

#include <stddef.h>

struct dg_arena;

struct dg_arena *dg_arena_new(void);        /* NULL when out of memory */
void dg_arena_free(struct dg_arena *arena); /* takes NULL */

/* Zeroed memory, aligned to 64 bytes; NULL when out of memory. Blocks of 2 MiB and more are
 * aligned to 2 MiB and ask for huge pages. A size of 0 gives a valid pointer. */
void *dg_arena_alloc(struct dg_arena *arena, size_t bytes);

/* dg_arena_alloc for n elements of `size` bytes; NULL also when the product wraps. */
void *dg_arena_array(struct dg_arena *arena, size_t n, size_t size);

#endif
