/* The explorer is tried on a deque that was published with a fault: the work-stealing deque of Chase and Lev
 * (SPAA 2005) in C11, as in Le, Pop, Cohen and Nardelli, "Correct and efficient work-stealing for weak memory
 * models" (PPoPP 2013), written here from the paper's description.
 *
 * The fault: the grown array is published by a relaxed store and read by a relaxed load, so that a thief may
 * see the new array, and not what was copied into it. Norris and Demsky found it with CDSChecker (OOPSLA 2013).
 * Release and acquire mend it. Without the fence in take() the owner takes an item that a thief has, also on x86. */
#include <sync.h>

enum { FIRST_ROOM = 2, ITEMS = 4 };

struct variant {
    bool mended; /* release and acquire for the array */
    bool fence;  /* in take() */
    unsigned thieves;
};

struct array {
    uint32_t room;
    struct dg_atomic at[FIRST_ROOM * 4];
};

struct deque {
    const struct variant *v;
    struct dg_atomic top, bottom;
    struct dg_atomic array; /* index in arrays */
    struct array *arrays[4];
    uint32_t stolen[2]; /* each thief's, or 0 */
};

#define FENCE() ((void)PROVE(FENCE, SEQ_CST, NULL, 0, 0, "fence"))

static struct array *array_of(struct deque *d)
{
    return d->arrays[d->v->mended ? dg_load_acquire(&d->array) : dg_load_relaxed(&d->array)];
}

static bool take_top(struct deque *d, uint32_t top)
{
    return prove_change(PROVE_SEQ_CST, &d->top, top, top + 1,
                        PROVE_PLACE("change_seq_cst(&d->top)"));
}

static struct array *grow(struct deque *d, uint32_t bottom, uint32_t top)
{
    const uint32_t n = dg_load_relaxed(&d->array) + 1;
    struct array *from = d->arrays[n - 1], *to = calloc(1, sizeof *to);

    to->room = from->room * 2;
    for (uint32_t i = top; i < bottom; i++)
        dg_store_relaxed(&to->at[i % to->room], dg_load_relaxed(&from->at[i % from->room]));
    d->arrays[n] = to;
    if (d->v->mended)
        dg_store_release(&d->array, n);
    else
        dg_store_relaxed(&d->array, n);
    return to;
}

static void push(struct deque *d, uint32_t item)
{
    const uint32_t bottom = dg_load_relaxed(&d->bottom), top = dg_load_acquire(&d->top);
    struct array *a = d->arrays[dg_load_relaxed(&d->array)];

    if (bottom - top > a->room - 1)
        a = grow(d, bottom, top);
    dg_store_relaxed(&a->at[bottom % a->room], item);
    PROVE(FENCE, RELEASE, NULL, 0, 0, "fence_release");
    dg_store_relaxed(&d->bottom, bottom + 1);
}

static uint32_t take(struct deque *d)
{
    const uint32_t bottom = dg_load_relaxed(&d->bottom) - 1;
    struct array *a = d->arrays[dg_load_relaxed(&d->array)];
    uint32_t top, item = 0;

    dg_store_relaxed(&d->bottom, bottom);
    if (d->v->fence)
        FENCE();
    top = dg_load_relaxed(&d->top);
    if ((int32_t)(bottom - top) >= 0) {
        item = dg_load_relaxed(&a->at[bottom % a->room]);
        if (bottom != top)
            return item;
        if (!take_top(d, top))
            item = 0;
    }
    dg_store_relaxed(&d->bottom, bottom + 1);
    return item;
}

static uint32_t steal(struct deque *d)
{
    const uint32_t top = dg_load_acquire(&d->top);
    struct array *a;
    uint32_t item;

    FENCE();
    if ((int32_t)(dg_load_acquire(&d->bottom) - top) <= 0)
        return 0;
    a = array_of(d);
    item = dg_load_relaxed(&a->at[top % a->room]);
    prove_check(item != 0, "an item was read that was never written");
    return take_top(d, top) ? item : 0;
}

struct thief {
    struct deque *d;
    unsigned i;
};

static void *thief(void *arg)
{
    const struct thief *t = arg;

    t->d->stolen[t->i] = steal(t->d);
    return NULL;
}

static void deque(const void *arg)
{
    const struct variant *v = arg;
    struct deque *d = calloc(1, sizeof *d);
    struct thief *thieves = calloc(2, sizeof *thieves);
    struct dg_thread t[2];
    uint32_t seen[ITEMS + 1] = {0}, item;
    const uint32_t before = v->fence ? 0 : 2; /* that are there when the thieves come */
    const uint32_t items = v->fence ? 3 : 2;  /* three make it grow */

    d->v = v;
    d->arrays[0] = calloc(1, sizeof *d->arrays[0]);
    d->arrays[0]->room = FIRST_ROOM;
    for (uint32_t i = 1; i <= before; i++)
        push(d, i);
    for (unsigned i = 0; i < v->thieves; i++) {
        thieves[i] = (struct thief){d, i};
        (void)dg_thread_start(&t[i], thief, &thieves[i]);
    }
    for (uint32_t i = before + 1; i <= items; i++)
        push(d, i);
    item = take(d);
    seen[item]++;
    for (unsigned i = 0; i < v->thieves; i++) {
        dg_thread_join(&t[i]);
        seen[d->stolen[i]]++;
    }
    while ((item = take(d)) != 0)
        seen[item]++;
    for (uint32_t i = 1; i <= items; i++)
        prove_check(seen[i] == 1, "item %u was taken %u times", i, seen[i]);
    for (int i = 0; i < 4; i++)
        free(d->arrays[i]);
    free(d);
    free(thieves);
}

#define DEQUE(text, found, ...)                                                                    \
    {                                                                                              \
        .name = "deque " text, .body = deque, .arg = &(const struct variant){__VA_ARGS__},         \
        .fails = found, .exhaust = true                                                            \
    }

const struct prove_scenario prove_deque[] = {
    DEQUE("as published: its fault", true, .fence = true, .thieves = 1),
    DEQUE("mended", false, .mended = true, .fence = true, .thieves = 1),
    DEQUE("mended, two thieves", false, .mended = true, .fence = true, .thieves = 2),
    DEQUE("without take's fence", true, .mended = true, .thieves = 2),
    {0},
};
