/* heap_arena.c - src/base/arena.h with a block of the heap for each request, so that AddressSanitizer sees what reads or writes
 * past one, and after it is freed. SAN=address has it in the place of src/base/arena.c, whose blocks many share. */
#include "../../src/base/arena.h"
#include "../../src/base/checked.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { HUGE_PAGE = 2 << 20, ALIGN = 64 };

/* Of more, a sanitizer's allocator makes an error, where another returns NULL. */
#define MOST (SIZE_MAX >> (sizeof(size_t) == 8 ? 26 : 2))

struct block {
    struct block *next;
    void *at;
};

struct dg_arena {
    struct block *blocks;
};

struct dg_arena *dg_arena_new(void)
{
    return calloc(1, sizeof(struct dg_arena));
}

void dg_arena_free(struct dg_arena *arena)
{
    for (struct block *b = arena ? arena->blocks : NULL, *next; b; b = next) {
        next = b->next;
        free(b->at);
        free(b);
    }
    free(arena);
}

void *dg_arena_alloc(struct dg_arena *arena, size_t bytes)
{
    struct block *b = bytes <= MOST ? malloc(sizeof *b) : NULL;

    if (!b)
        return NULL;
    if (posix_memalign(&b->at, bytes >= HUGE_PAGE ? HUGE_PAGE : ALIGN, bytes ? bytes : 1) != 0) {
        free(b);
        return NULL;
    }
    b->next = arena->blocks;
    arena->blocks = b;
    return memset(b->at, 0, bytes);
}

void *dg_arena_array(struct dg_arena *arena, size_t n, size_t size)
{
    size_t bytes;

    return dg_mul(n, size, &bytes) ? dg_arena_alloc(arena, bytes) : NULL;
}
