/* The heap of a schedule hands out addresses in order and never again, so that a freed one stays
 * known. Each four bytes that were touched have a cell with the times of the last write and of each
 * thread's last read: FastTrack's check, without its savings (Flanagan and Freund, PLDI 2009).
 *
 * The compiler calls __tsan_read4() and the like before each access of the files under test. A thread's
 * accesses to its own stack are left out. */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BLOCKS = 256, MAX_TOUCHED = 16384 };

struct cell {
    uint32_t write, reads[PROVE_THREADS]; /* times; 0: none */
    uint8_t writer;
    bool touched, freed;
    const void *write_pc, *read_pc;
};

struct block {
    uint32_t at, bytes;
    uint32_t time; /* of the thread that asked for it */
    uint8_t thread;
    bool freed;
};

static struct cell cells[GRANULES];
static uint32_t touched[MAX_TOUCHED];
static unsigned n_touched;
static struct block blocks[MAX_BLOCKS];
static unsigned n_blocks;
static uint32_t used;

void heap_reset(void)
{
    for (unsigned i = 0; i < n_touched; i++)
        memset(&cells[touched[i]], 0, sizeof *cells);
    memset(world_base, 0xA5, used);
    n_touched = n_blocks = 0;
    used = 0;
}

size_t heap_used(void)
{
    return used;
}

uint64_t heap_leaked(void)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < n_blocks; i++)
        bytes += blocks[i].freed ? 0 : blocks[i].bytes;
    return bytes;
}

/* ---- cells ---- */

/* The first touch: the block's own time stands for its first write. */
static void open_cell(struct cell *c, uint32_t granule)
{
    c->touched = true;
    if (n_touched == MAX_TOUCHED)
        prove_fail("the explorer has no room for more than %d words", MAX_TOUCHED);
    touched[n_touched++] = granule;
    for (unsigned i = n_blocks; i-- > 0;)
        if (granule * 4 >= blocks[i].at && granule * 4 < blocks[i].at + blocks[i].bytes) {
            c->writer = blocks[i].thread;
            c->write = blocks[i].time;
            c->freed = blocks[i].freed;
            return;
        }
}

static void complain(const char *what, uint32_t granule, const void *pc, const void *other,
                     unsigned thread)
{
    places_of_failure(pc, other);
    prove_fail("%s of heap+%u by thread %u and thread %u", what, granule * 4, prove_self(), thread);
}

static void check(uint32_t granule, bool writes, const void *pc)
{
    struct cell *c = &cells[granule];
    const struct thread *t = world.now;
    const unsigned self = index_of(t);

    if (!c->touched)
        open_cell(c, granule);
    if (c->freed)
        complain("use after free", granule, pc, NULL, c->writer);
    if (c->write && !knows(&t->seen, c->writer, c->write))
        complain(writes ? "race: write and write" : "race: read after write", granule, pc,
                 c->write_pc, c->writer);
    if (!writes) {
        c->reads[self] = t->seen.c[self];
        c->read_pc = pc;
        return;
    }
    for (unsigned i = 0; i < world.n_threads; i++)
        if (i != self && c->reads[i] && !knows(&t->seen, i, c->reads[i]))
            complain("race: write after read", granule, pc, c->read_pc, i);
    memset(c->reads, 0, sizeof c->reads);
    c->write = t->seen.c[self];
    c->writer = (uint8_t)self;
    c->write_pc = pc;
}

static void touch(const void *at, size_t size, bool writes, const void *pc)
{
    const size_t offset = (size_t)((const char *)at - world_base);

    if (!world.now || offset >= WORLD_BYTES || size == 0 ||
        (offset >= HEAP_BYTES && (offset - HEAP_BYTES) / STACK_BYTES == index_of(world.now)))
        return;
    for (size_t g = offset / 4; g <= (offset + size - 1) / 4; g++)
        check((uint32_t)g, writes, pc);
}

void heap_writer(const void *at, unsigned *thread, uint32_t *time)
{
    const uint32_t granule = (uint32_t)((const char *)at - world_base) / 4;

    if (granule >= GRANULES)
        prove_fail("an atomic that is not on the explorer's heap");
    if (!cells[granule].touched)
        open_cell(&cells[granule], granule);
    *thread = cells[granule].writer;
    *time = cells[granule].write;
}

/* ---- blocks ---- */

void *prove_malloc(size_t n)
{
    const uint32_t at = (used + 63) / 64 * 64;

    if (!world.now)
        return malloc(n);
    if (n_blocks == MAX_BLOCKS || n > HEAP_BYTES - at)
        prove_fail("the explorer's heap is full");
    blocks[n_blocks++] = (struct block){.at = at,
                                        .bytes = (uint32_t)n,
                                        .time = world.now->seen.c[prove_self()],
                                        .thread = (uint8_t)prove_self()};
    memset(world_base + used, 0xA5, at - used);
    memset(world_base + at, 0xA5, n);
    used = at + (uint32_t)n;
    return world_base + at;
}

void *prove_calloc(size_t n, size_t size)
{
    return world.now ? memset(prove_malloc(n * size), 0, n * size) : calloc(n, size);
}

void prove_free(void *p)
{
    const uint32_t at = (uint32_t)((char *)p - world_base);

    if (!world.now || (size_t)((char *)p - world_base) >= HEAP_BYTES) {
        free(p);
        return;
    }
    for (unsigned i = 0; i < n_blocks; i++) {
        struct block *b = &blocks[i];

        if (b->at != at)
            continue;
        prove_check(!b->freed, "freed twice: heap+%u", at);
        for (unsigned k = 0; k < n_touched; k++)
            if (touched[k] * 4 >= at && touched[k] * 4 < at + b->bytes) {
                check(touched[k], true, __builtin_return_address(0));
                cells[touched[k]].freed = true;
            }
        memory_free(p, (char *)p + b->bytes);
        b->freed = true;
        return;
    }
    prove_fail("freed, and was not allocated: heap+%u", at);
}

void *prove_realloc(void *p, size_t n)
{
    void *to;

    if (!world.now)
        return realloc(p, n);
    to = prove_malloc(n);
    for (unsigned i = 0; p && i < n_blocks; i++)
        if (world_base + blocks[i].at == p)
            memcpy(to, p, n < blocks[i].bytes ? n : blocks[i].bytes);
    prove_free(p);
    return to;
}

/* ---- hashing ---- */

/* A time that every thread which still runs has seen is as good as none. */
static bool known_to_all(unsigned thread, uint32_t time)
{
    for (unsigned i = 0; i < world.n_threads; i++)
        if (world.threads[i].state == RUNNING && !knows(&world.threads[i].seen, thread, time))
            return false;
    return true;
}

/* Drops what is known to all, then tells the times of the rest. */
void heap_canon(struct canon *canon)
{
    for (unsigned i = 0; i < n_touched; i++) {
        struct cell *c = &cells[touched[i]];

        if (c->write && known_to_all(c->writer, c->write)) {
            c->write = 0;
            c->writer = 0;
        }
        if (c->write)
            canon_time(canon, c->writer, c->write);
        for (unsigned t = 0; t < world.n_threads; t++) {
            if (c->reads[t] && known_to_all(t, c->reads[t]))
                c->reads[t] = 0;
            if (c->reads[t])
                canon_time(canon, t, c->reads[t]);
        }
    }
}

uint64_t heap_hash(const struct canon *canon)
{
    uint64_t sum = 0, h = n_blocks;

    for (unsigned i = 0; i < n_touched; i++) {
        const struct cell *c = &cells[touched[i]];
        uint64_t one = touched[i];

        if (c->write)
            one = mix(one, canon_rank(canon, c->writer, c->write) + ((uint64_t)c->writer << 32));
        for (unsigned t = 0; t < world.n_threads; t++)
            if (c->reads[t])
                one = mix(one, canon_rank(canon, t, c->reads[t]) + ((uint64_t)(t + 16) << 32));
        if (one != touched[i])
            sum += one;
    }
    for (unsigned i = 0; i < n_blocks; i++)
        h = mix(h, blocks[i].freed);
    for (size_t i = 0; i + 8 <= used; i += 8) {
        uint64_t word;

        memcpy(&word, world_base + i, 8);
        h = mix(h, word);
    }
    return mix(h, sum);
}

/* ---- what -fsanitize=thread calls ---- */

#define PC __builtin_return_address(0)
#define ACCESSES(n)                                                                                \
    void __tsan_read##n(void *p);                                                                  \
    void __tsan_write##n(void *p);                                                                 \
    void __tsan_unaligned_read##n(void *p);                                                        \
    void __tsan_unaligned_write##n(void *p);                                                       \
    void __tsan_read##n(void *p)                                                                   \
    {                                                                                              \
        touch(p, n, false, PC);                                                                    \
    }                                                                                              \
    void __tsan_write##n(void *p)                                                                  \
    {                                                                                              \
        touch(p, n, true, PC);                                                                     \
    }                                                                                              \
    void __tsan_unaligned_read##n(void *p)                                                         \
    {                                                                                              \
        touch(p, n, false, PC);                                                                    \
    }                                                                                              \
    void __tsan_unaligned_write##n(void *p)                                                        \
    {                                                                                              \
        touch(p, n, true, PC);                                                                     \
    }
ACCESSES(1)
ACCESSES(2)
ACCESSES(4)
ACCESSES(8)
ACCESSES(16)

void __tsan_init(void);
void __tsan_func_entry(void *pc);
void __tsan_func_exit(void);
void __tsan_read_range(void *p, size_t n);
void __tsan_write_range(void *p, size_t n);
void *__tsan_memset(void *p, int c, size_t n);
void *__tsan_memcpy(void *to, const void *from, size_t n);

void __tsan_init(void)
{
}

void __tsan_func_entry(void *pc)
{
    (void)pc;
}

void __tsan_func_exit(void)
{
}

void __tsan_read_range(void *p, size_t n)
{
    touch(p, n, false, PC);
}

void __tsan_write_range(void *p, size_t n)
{
    touch(p, n, true, PC);
}

void *__tsan_memset(void *p, int c, size_t n)
{
    touch(p, n, true, PC);
    return memset(p, c, n);
}

void *__tsan_memcpy(void *to, const void *from, size_t n)
{
    touch(from, n, false, PC);
    touch(to, n, true, PC);
    return memcpy(to, from, n);
}
