/* The explorer itself is tried: the litmus tests of weak memory, with what C11 allows (the explorer must
 * find it) and what it forbids (it must not, and it looks at all schedules).
 *
 * MP message passing, SB store buffering, CoRR coherence of two reads, IRIW independent reads of independent
 * writes, 2+2W two threads that write the same two. LB, load buffering, C11 allows with relaxed
 * orders; the explorer does not find it (memory.c says why), as no compiler and no CPU that dagpt runs on
 * makes it from exchanges. */
#include <sync.h>

#include <string.h>

enum { N = 4 };

struct litmus {
    int test;
    int order; /* 0: relaxed; 1: release and acquire; 2: exchanges; 3: fences */
};

enum { MP, SB, CORR, IRIW, TWO_W, LB, PLAIN, EXCHANGE_CHAIN, COUNT };

struct state {
    struct dg_atomic x, y;
    uint32_t data;
    uint32_t got[N][2];
    const struct litmus *l;
    uint32_t index[N];
    struct arg {
        struct state *s;
        unsigned i;
    } args[N];
};

static uint32_t get(const struct state *s, struct dg_atomic *a)
{
    if (s->l->order == 2)
        return dg_add_acq_rel(a, 0);
    return s->l->order == 1 ? dg_load_acquire(a) : dg_load_relaxed(a);
}

static void put(const struct state *s, struct dg_atomic *a, uint32_t v)
{
    if (s->l->order == 2)
        (void)dg_swap_acq_rel(a, v);
    else if (s->l->order == 1)
        dg_store_release(a, v);
    else
        dg_store_relaxed(a, v);
}

static void fence(const struct state *s)
{
    if (s->l->order == 3)
        PROVE(FENCE, SEQ_CST, NULL, 0, 0, "fence");
}

static void part(struct state *s, unsigned i)
{
    uint32_t *got = s->got[i];

    switch (s->l->test) {
    case MP:
        if (i == 0) {
            put(s, &s->x, 1);
            put(s, &s->y, 1);
        } else {
            got[0] = get(s, &s->y);
            got[1] = get(s, &s->x);
        }
        break;
    case SB:
        put(s, i ? &s->y : &s->x, 1);
        fence(s);
        got[0] = get(s, i ? &s->x : &s->y);
        break;
    case CORR:
        if (i == 0) {
            put(s, &s->x, 1);
            put(s, &s->x, 2);
        } else {
            got[0] = get(s, &s->x);
            got[1] = get(s, &s->x);
        }
        break;
    case IRIW:
        if (i < 2) {
            put(s, i ? &s->y : &s->x, 1);
        } else {
            got[0] = get(s, i == 2 ? &s->x : &s->y);
            fence(s);
            got[1] = get(s, i == 2 ? &s->y : &s->x);
        }
        break;
    case TWO_W:
        put(s, i ? &s->y : &s->x, 1);
        put(s, i ? &s->x : &s->y, 2);
        break;
    case LB:
        got[0] = get(s, i ? &s->y : &s->x);
        put(s, i ? &s->x : &s->y, 1);
        break;
    case PLAIN: /* a plain write, published */
        if (i == 0) {
            s->data = 1;
            put(s, &s->y, 1);
        } else if (get(s, &s->y) == 1) {
            got[0] = s->data;
        }
        break;
    case EXCHANGE_CHAIN: /* a relaxed exchange goes on with the release before it */
        if (i == 0) {
            s->data = 1;
            put(s, &s->y, 1);
        } else if (i == 1) {
            dg_add_relaxed(&s->y, 1);
        } else if (get(s, &s->y) == 2) {
            got[0] = s->data;
        }
        break;
    case COUNT:
        dg_add_relaxed(&s->x, 1);
    }
}

static void *run_part(void *arg)
{
    struct arg *a = arg;

    part(a->s, a->i);
    return NULL;
}

/* The outcome that is looked for. */
static bool weak(const struct state *s)
{
    switch (s->l->test) {
    case MP:
        return s->got[1][0] == 1 && s->got[1][1] == 0;
    case SB:
        return s->got[0][0] == 0 && s->got[1][0] == 0;
    case CORR:
        return s->got[1][0] > s->got[1][1];
    case IRIW:
        return s->got[2][0] == 1 && s->got[2][1] == 0 && s->got[3][0] == 1 && s->got[3][1] == 0;
    case TWO_W:
        return s->x.value == 1 && s->y.value == 1;
    case LB:
        return s->got[0][0] == 1 && s->got[1][0] == 1;
    case COUNT:
        return s->x.value != 2;
    }
    return false;
}

static void litmus(const void *arg)
{
    const struct litmus *l = arg;
    const unsigned n = l->test == IRIW ? 4 : l->test == EXCHANGE_CHAIN ? 3 : 2;
    struct state *s = calloc(1, sizeof *s);
    struct dg_thread t[N];

    s->l = l;
    for (unsigned i = 0; i < n; i++) {
        s->args[i] = (struct arg){s, i};
        (void)dg_thread_start(&t[i], run_part, &s->args[i]);
    }
    for (unsigned i = 0; i < n; i++)
        dg_thread_join(&t[i]);
    prove_check(!weak(s), "the outcome that is looked for");
    free(s);
}

#define LITMUS(text, t, o, found)                                                                  \
    {                                                                                              \
        .name = "litmus " text, .body = litmus, .arg = &(const struct litmus){t, o},               \
        .fails = found, .exhaust = true                                                            \
    }

const struct prove_scenario prove_litmus[] = {
    LITMUS("MP relaxed: allowed", MP, 0, true),
    LITMUS("MP release, acquire: forbidden", MP, 1, false),
    LITMUS("SB release, acquire: allowed", SB, 1, true),
    LITMUS("SB exchanges: forbidden", SB, 2, false),
    LITMUS("SB fences: forbidden", SB, 3, false),
    LITMUS("CoRR relaxed: forbidden", CORR, 0, false),
    LITMUS("IRIW release, acquire: allowed", IRIW, 1, true),
    LITMUS("IRIW fences: forbidden", IRIW, 3, false),
    LITMUS("2+2W relaxed: allowed", TWO_W, 0, true),
    LITMUS("2+2W exchanges: forbidden", TWO_W, 2, false),
    LITMUS("LB relaxed: allowed, not looked for", LB, 0, false),
    LITMUS("LB release, acquire: forbidden", LB, 1, false),
    LITMUS("race: relaxed publishes nothing", PLAIN, 0, true),
    LITMUS("release, acquire publish", PLAIN, 1, false),
    LITMUS("a chain of exchanges publishes", EXCHANGE_CHAIN, 1, false),
    LITMUS("exchanges lose nothing", COUNT, 0, false),
    {0},
};
