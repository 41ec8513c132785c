/* C11's atomics, by the rules of its section 5.1.2.4 as corrected in C++20 and RC11 (Lahav et al., PLDI
 * 2017), but for one thing: a load returns a store that was carried out before it, so that cycles of
 * dependence and load buffering do not occur.
 *
 * An atomic is the list of its stores in modification order. A load by a thread may return any of them but
 * those before one that the thread knows: that it, or what happens before, wrote or read. A store may
 * come anywhere after the ones that its thread knows, but not between an exchange and what that read.
 * An acquire load joins the clock of the store that it returns, if that was a release, or an exchange
 * in whose chain there was one.
 *
 * Sequential consistency (fences of the deque alone; sync.h has none) is one clock more that each such
 * operation joins both ways. That is stronger than C11 where two of them are not ordered otherwise. */
#include "world.h"

#include <string.h>

struct store {
    uint32_t value, time;
    uint8_t thread;
    bool exchange;                 /* it read the one before it */
    bool releases;                 /* `published` holds something */
    uint32_t reads[PROVE_THREADS]; /* when each thread read it first; 0: never */
    struct clock published;
};

struct atomic {
    uint32_t *at;
    unsigned n;
    bool ended;
    uint32_t used[PROVE_THREADS]; /* when each thread used it last */
    struct store stores[MAX_STORES];
};

static struct atomic atomics[MAX_ATOMICS];
static unsigned n_atomics;
static uint16_t atomic_of[GRANULES]; /* index + 1 */

static uint32_t granule(const void *at)
{
    return (uint32_t)((const char *)at - world_base) / 4;
}

void memory_reset(void)
{
    for (unsigned i = 0; i < n_atomics; i++)
        atomic_of[granule(atomics[i].at)] = 0;
    n_atomics = 0;
}

/* The first use: what lies there is a store by who wrote it. */
static struct atomic *open_atomic(const void *at)
{
    struct atomic *x = &atomics[n_atomics];
    unsigned thread;
    uint32_t time;

    if (n_atomics == MAX_ATOMICS)
        prove_fail("the explorer has no room for more than %d atomics", MAX_ATOMICS);
    heap_writer(at, &thread, &time);
    memset(x, 0, offsetof(struct atomic, stores));
    x->at = (uint32_t *)(uintptr_t)at;
    x->n = 1;
    x->stores[0] = (struct store){.value = *x->at, .time = time, .thread = (uint8_t)thread};
    if (!knows(&world.now->seen, thread, time))
        prove_fail("race: an atomic is used before its initialization is known");
    atomic_of[granule(at)] = (uint16_t)++n_atomics;
    return x;
}

/* The first store that a thread may still read. */
static unsigned oldest(const struct clock *seen, const struct atomic *x)
{
    for (unsigned i = x->n; i-- > 0;) {
        const struct store *s = &x->stores[i];

        if (knows(seen, s->thread, s->time))
            return i;
        for (unsigned t = 0; t < world.n_threads; t++)
            if (s->reads[t] && knows(seen, t, s->reads[t]))
                return i;
    }
    return 0;
}

/* Drops the stores that no thread may read. */
static void forget(struct atomic *x)
{
    unsigned first = x->n;

    for (unsigned t = 0; t < world.n_threads && first > 0; t++) {
        const unsigned low =
            world.threads[t].state == RUNNING ? oldest(&world.threads[t].seen, x) : first;

        first = low < first ? low : first;
    }
    if (first == x->n)
        first = x->n - 1;
    if (first > 0)
        memmove(x->stores, x->stores + first, (x->n - first) * sizeof *x->stores);
    x->n -= first;
}

static void acquire(struct thread *t, const struct store *s, enum prove_order order)
{
    if (!s->releases)
        return;
    join_clock(order & PROVE_ACQUIRE ? &t->seen : &t->to_acquire, &s->published);
}

static uint32_t read(struct thread *t, struct store *s, enum prove_order order)
{
    const unsigned self = index_of(t);

    if (!s->reads[self])
        s->reads[self] = t->seen.c[self];
    acquire(t, s, order);
    return s->value;
}

/* Puts a store at place i. */
static void write(struct thread *t, struct atomic *x, unsigned i, uint32_t value, bool exchange)
{
    const unsigned self = index_of(t);
    struct store s = {.value = value, .thread = (uint8_t)self, .exchange = exchange};

    if (exchange && x->stores[i - 1].releases) {
        s.releases = true;
        s.published = x->stores[i - 1].published;
    }
    s.time = t->seen.c[self];
    join_clock(&s.published, t->order & PROVE_RELEASE ? &t->seen : &t->released);
    s.releases = true;
    memmove(x->stores + i + 1, x->stores + i, (x->n - i) * sizeof s);
    x->stores[i] = s;
    x->n++;
    *x->at = x->stores[x->n - 1].value;
    if (t->order & PROVE_RELEASE)
        t->seen.c[self]++;
}

static void load(struct thread *t, struct atomic *x)
{
    const unsigned n = x->n - oldest(&t->seen, x);
    const uint32_t age = prove_choose(n);

    t->result = read(t, &x->stores[x->n - 1 - age], t->order);
    note(age ? " = %u, %u old" : " = %u", t->result, age);
}

static void store(struct thread *t, struct atomic *x)
{
    const unsigned low = oldest(&t->seen, x);
    unsigned places[MAX_STORES], n = 0;

    for (unsigned i = x->n; i > low; i--)
        if (i == x->n || !x->stores[i].exchange)
            places[n++] = i;
    write(t, x, places[prove_choose(n)], t->a, false);
    note(" := %u", t->a);
}

static void exchange(struct thread *t, struct atomic *x)
{
    const unsigned low = oldest(&t->seen, x);
    unsigned places[MAX_STORES], n = 0, i;
    uint32_t value;

    for (i = x->n; i-- > low;)
        if ((t->kind == PROVE_CHANGE && x->stores[i].value != t->a) || i + 1 == x->n ||
            !x->stores[i + 1].exchange)
            places[n++] = i;
    i = places[prove_choose(n)];
    t->result = read(t, &x->stores[i], t->order);
    if (t->kind == PROVE_CHANGE && t->result != t->a) {
        note(" fails: %u", t->result);
        return;
    }
    value = t->kind == PROVE_ADD      ? t->result + t->a
            : t->kind == PROVE_SUB    ? t->result - t->a
            : t->kind == PROVE_CHANGE ? t->b
                                      : t->a;
    note(": %u -> %u", t->result, value);
    write(t, x, i + 1, value, true);
}

static void fence(struct thread *t)
{
    if (t->order & PROVE_ACQUIRE)
        join_clock(&t->seen, &t->to_acquire);
    if (t->order & PROVE_RELEASE) {
        t->released = t->seen;
        t->seen.c[index_of(t)]++;
    }
}

void memory_step(struct thread *t)
{
    struct atomic *x = NULL;

    if (t->order == PROVE_SEQ_CST)
        join_clock(&t->seen, &world.seq_cst);
    if (t->kind != PROVE_FENCE) {
        const uint32_t g = granule(t->at);

        x = g < GRANULES && atomic_of[g] ? &atomics[atomic_of[g] - 1] : open_atomic(t->at);
        if (x->ended)
            prove_fail("an atomic is used after it was freed");
        if (x->n > MAX_STORES - 2)
            forget(x);
        if (x->n > MAX_STORES - 2)
            prove_fail("the explorer has no room for more stores");
        x->used[index_of(t)] = t->seen.c[index_of(t)];
    }
    switch (t->kind) {
    case PROVE_LOAD:
        load(t, x);
        break;
    case PROVE_STORE:
        store(t, x);
        break;
    case PROVE_FENCE:
        fence(t);
        break;
    default:
        exchange(t, x);
    }
    if (t->order == PROVE_SEQ_CST) {
        world.seq_cst = t->seen;
        t->seen.c[index_of(t)]++;
    }
}

void memory_free(const char *from, const char *to)
{
    for (unsigned i = 0; i < n_atomics; i++) {
        struct atomic *x = &atomics[i];

        if ((char *)x->at < from || (char *)x->at >= to)
            continue;
        for (unsigned t = 0; t < world.n_threads; t++)
            if (x->used[t] && !knows(&world.now->seen, t, x->used[t]))
                prove_fail("race: an atomic is freed that thread %u used", t);
        x->ended = true;
    }
}

/* ---- hashing ---- */

void memory_canon(struct canon *c)
{
    for (unsigned i = 0; i < n_atomics; i++) {
        struct atomic *x = &atomics[i];

        forget(x);
        memset(x->stores[0].reads, 0, sizeof x->stores[0].reads); /* nothing older to forbid */
        for (unsigned k = 0; k < x->n; k++) {
            const struct store *s = &x->stores[k];

            if (k > 0)
                canon_time(c, s->thread, s->time);
            for (unsigned t = 0; t < world.n_threads; t++)
                if (s->reads[t])
                    canon_time(c, t, s->reads[t]);
        }
    }
}

uint64_t memory_hash(const struct canon *c)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < n_atomics; i++) {
        const struct atomic *x = &atomics[i];
        uint64_t h = (uintptr_t)x->at;

        for (unsigned k = 0; k < x->n; k++) {
            const struct store *s = &x->stores[k];

            h = mix(h, s->value);
            /* A store's own time forbids what is older, and nothing is older than the first. */
            if (k > 0) {
                h = mix(h, canon_rank(c, s->thread, s->time) + ((uint64_t)s->thread << 32) +
                               ((uint64_t)s->exchange << 40));
                for (unsigned t = 0; t < world.n_threads; t++)
                    if (s->reads[t])
                        h = mix(h, canon_rank(c, t, s->reads[t]) + ((uint64_t)(t + 1) << 32));
            }
            h = mix_clock(h, c, &s->published);
        }
        sum += h;
    }
    return sum;
}
