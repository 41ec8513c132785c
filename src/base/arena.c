/* Blocks come straight from mmap: zeroed, page-aligned, untouched until used. Small requests share
 * a block; a large one gets its own, so that weights and caches lie on huge pages (4 KiB pages cost
 * one TLB miss every 64 cache lines of a weight stream). */
#include "arena.h"
#include "checked.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { SMALL_BLOCK = 256 << 10, HUGE_PAGE = 2 << 20, ALIGN = 64 };

struct block {
    struct block *next;
    void *map;
    size_t map_bytes;
};

struct dg_arena {
    struct block *blocks;
    char *at;    /* free space of the newest small block: [at, end) */
    size_t left; /* end - at */
};

struct dg_arena *dg_arena_new(void)
{
    return calloc(1, sizeof(struct dg_arena));
}

void dg_arena_free(struct dg_arena *arena)
{
    if (!arena)
        return;
    for (struct block *b = arena->blocks, *next; b; b = next) {
        next = b->next;
        munmap(b->map, b->map_bytes);
        free(b);
    }
    free(arena);
}

/* A new mapping of at least `bytes`, whose start is a multiple of `align`. */
static void *map_block(struct dg_arena *arena, size_t bytes, size_t align)
{
    struct block *b = malloc(sizeof *b);
    uintptr_t start;

    if (!b || !dg_add(bytes, align, &b->map_bytes))
        goto fail;
    b->map = mmap(NULL, b->map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (b->map == MAP_FAILED)
        goto fail;
    b->next = arena->blocks;
    arena->blocks = b;
    start = dg_round_up((uintptr_t)b->map, align);
    return (void *)start;
fail:
    free(b);
    return NULL;
}

void *dg_arena_alloc(struct dg_arena *arena, size_t bytes)
{
    void *p;

    if (!dg_add(bytes, ALIGN - 1, &bytes))
        return NULL;
    bytes = bytes < ALIGN ? ALIGN : bytes / ALIGN * ALIGN;
    if (bytes >= SMALL_BLOCK) {
        const size_t align = bytes >= HUGE_PAGE ? HUGE_PAGE : ALIGN;

        p = map_block(arena, bytes, align);
#ifdef MADV_HUGEPAGE
        if (p && align == HUGE_PAGE)
            madvise(p, bytes, MADV_HUGEPAGE); /* advice: a refusal changes nothing but speed */
#endif
        return p;
    }
    if (bytes > arena->left) {
        p = map_block(arena, SMALL_BLOCK, ALIGN);
        if (!p)
            return NULL;
        arena->at = p;
        arena->left = SMALL_BLOCK;
    }
    p = arena->at;
    arena->at += bytes;
    arena->left -= bytes;
    return p;
}

void *dg_arena_array(struct dg_arena *arena, size_t n, size_t size)
{
    size_t bytes;

    return dg_mul(n, size, &bytes) ? dg_arena_alloc(arena, bytes) : NULL;
}
