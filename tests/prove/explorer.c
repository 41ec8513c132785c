/* The threads of a schedule are fibres on stacks of the world's. A fibre that is about to take a step
 * writes down what, and switches to the explorer, which takes it once it has chosen that thread, and
 * switches back. So the state of a program between two steps lies in its heap, its stacks and the tables
 * here, and a hash of it tells whether it has been seen.
 *
 * Strategies. From a seed: each step by a thread drawn from all that can; or by priorities, the thread of
 * the highest that can, with d - 1 places at which it falls to the lowest (PCT: Burckhardt et al.,
 * ASPLOS 2010), d from 1 to 5. In half of the schedules every other tile takes as long as it can.
 *
 * All schedules: depth first, by running from the start each time with the choices of the path. States
 * that were seen before are not gone into again. Two runs that differ in the order of steps that do not
 * concern each other meet in one state, as do those that differ in what can no longer be told: times are
 * hashed by their rank among the times that still matter, stores and accesses that all threads know
 * not at all. The hash has 64 bits; whether an atomic is freed too early is looked at on the way there. */
#include "world.h"

#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MAX_CHOICES = 8192, MAX_STEPS = 40000, MAX_STALE = 6 };

struct world world;
char *world_base;

struct choice {
    uint16_t taken, of;
};

static struct {
    const struct prove_scenario *scenario;
    void *sp;      /* of the explorer, while a fibre runs */
    jmp_buf fails; /* where a failure goes that is seen between steps */
    bool inside;   /* a fibre runs */
    bool failed, print, pruned;
    char text[256];
    const void *places[2]; /* of a race */
    uint64_t steps;

    /* All schedules: the path. */
    bool all;
    struct choice path[MAX_CHOICES];
    unsigned depth, length;
    uint64_t *seen, n_seen, room; /* a table of hashes */

    /* From a seed. */
    uint64_t random;
    unsigned pct; /* depth; 0: uniform */
    uint64_t falls[5];
    uint64_t usual; /* steps of a schedule, about */
    int lowest;
    bool slow; /* every other tile takes as long as it can */
    struct thread *last;
} ex;

/* ---- fibres ---- */

#ifdef __x86_64__
void fibre_switch(void **from, void *to);
__asm__(".text\n"
        ".globl fibre_switch\n"
        ".type fibre_switch, @function\n"
        "fibre_switch:\n"
        "    push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15\n"
        "    mov %rsp, (%rdi)\n"
        "    mov %rsi, %rsp\n"
        "    pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp\n"
        "    ret\n"
        ".size fibre_switch, . - fibre_switch\n");

static void *fibre_new(char *top, void (*f)(void))
{
    void **sp = (void **)top;

    *--sp = NULL; /* where f would return to: f is entered with the stack as a call leaves it */
    *--sp = (void *)(uintptr_t)f;
    for (int i = 0; i < 6; i++)
        *--sp = NULL;
    return sp;
}
#elif defined(__aarch64__)
void fibre_switch(void **from, void *to);
__asm__(".text\n"
        ".globl fibre_switch\n"
        ".type fibre_switch, %function\n"
        "fibre_switch:\n"
        "    sub sp, sp, #160\n"
        "    stp x19, x20, [sp]\n    stp x21, x22, [sp, #16]\n    stp x23, x24, [sp, #32]\n"
        "    stp x25, x26, [sp, #48]\n    stp x27, x28, [sp, #64]\n    stp x29, x30, [sp, #80]\n"
        "    stp d8, d9, [sp, #96]\n    stp d10, d11, [sp, #112]\n    stp d12, d13, [sp, #128]\n"
        "    stp d14, d15, [sp, #144]\n"
        "    mov x9, sp\n    str x9, [x0]\n    mov sp, x1\n"
        "    ldp x19, x20, [sp]\n    ldp x21, x22, [sp, #16]\n    ldp x23, x24, [sp, #32]\n"
        "    ldp x25, x26, [sp, #48]\n    ldp x27, x28, [sp, #64]\n    ldp x29, x30, [sp, #80]\n"
        "    ldp d8, d9, [sp, #96]\n    ldp d10, d11, [sp, #112]\n    ldp d12, d13, [sp, #128]\n"
        "    ldp d14, d15, [sp, #144]\n"
        "    add sp, sp, #160\n"
        "    ret\n"
        ".size fibre_switch, . - fibre_switch\n");

static void *fibre_new(char *top, void (*f)(void))
{
    void **sp = (void **)(top - 160);

    memset(sp, 0, 160);
    sp[11] = (void *)(uintptr_t)f; /* x30 */
    return sp;
}
#else
#error "tests/prove: a switch of fibres for this architecture"
#endif

static void to_explorer(void)
{
    fibre_switch(&world.now->sp, ex.sp);
}

static void to_fibre(struct thread *t)
{
    world.now = t;
    ex.inside = true;
    fibre_switch(&ex.sp, t->sp);
    ex.inside = false;
}

static void fibre_main(void)
{
    world.now->f(world.now->arg);
    world.now->state = FINISHED;
    to_explorer();
    abort();
}

/* ---- what is printed ---- */

void note(const char *format, ...)
{
    va_list args;

    if (!ex.print)
        return;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* A pc of the program as FILE:LINE, behind the text of the failure. */
static void add_place(const void *pc)
{
    extern char __executable_start;
    char command[256], line[256] = "";
    const size_t n = strlen(ex.text);
    FILE *f;

    snprintf(command, sizeof command, "addr2line -e /proc/%d/exe %#lx 2>/dev/null", (int)getpid(),
             (unsigned long)((const char *)pc - &__executable_start - 1));
    f = popen(command, "r");
    if (!f)
        return;
    if (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n ")] = 0;
        snprintf(ex.text + n, sizeof ex.text - n, ", %s", base_name(line));
    }
    pclose(f);
}

void places_of_failure(const void *here, const void *there)
{
    ex.places[0] = here;
    ex.places[1] = there;
}

void prove_fail(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(ex.text, sizeof ex.text, format, args);
    va_end(args);
    ex.failed = true;
    if (!world.running)
        abort();
    if (!ex.inside)
        longjmp(ex.fails, 1);
    to_explorer(); /* for good */
    abort();
}

/* ---- choices ---- */

static uint64_t draw(void)
{
    uint64_t z = (ex.random += UINT64_C(0x9e3779b97f4a7c15)); /* splitmix64 */

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static uint32_t draw_below(uint32_t n)
{
    return (uint32_t)((draw() >> 32) * n >> 32);
}

/* The next choice of the path, which ends here when it is new. */
static uint32_t follow(uint32_t n)
{
    if (ex.depth == MAX_CHOICES)
        prove_fail("no end after %d choices", MAX_CHOICES);
    if (ex.depth == ex.length)
        ex.path[ex.length++] = (struct choice){0, (uint16_t)n};
    return ex.path[ex.depth++].taken;
}

/* In memory.c, where 0 is the newest store: mostly that, and after a while that. */
uint32_t prove_choose(uint32_t n)
{
    struct thread *t = world.now;
    uint32_t k;

    if (n == 1)
        return 0;
    if (ex.all)
        return follow(n);
    k = t && t->stale >= MAX_STALE ? 0 : draw() & 1 ? draw_below(n) : 0;
    if (t)
        t->stale = k ? t->stale + 1 : 0;
    return k;
}

/* ---- what sync.h asks for ---- */

/* Before the schedules begin there is one thread. */
static uint32_t step_alone(enum prove_kind kind, uint32_t *at, uint32_t a, uint32_t b)
{
    const uint32_t before = at ? *at : 0;

    if (kind == PROVE_STORE || kind == PROVE_SWAP || (kind == PROVE_CHANGE && before == a))
        *at = kind == PROVE_CHANGE ? b : a;
    if (kind == PROVE_ADD || kind == PROVE_SUB)
        *at = kind == PROVE_ADD ? before + a : before - a;
    return before;
}

uint32_t prove_step(enum prove_kind kind, enum prove_order order, const void *at, uint32_t a,
                    uint32_t b, const struct prove_place *place)
{
    struct thread *t = world.now;

    if (!t)
        return step_alone(kind, (uint32_t *)(uintptr_t)at, a, b);
    t->kind = kind;
    t->order = order;
    t->at = at;
    t->a = a;
    t->b = b;
    t->place = place;
    t->slow = kind == PROVE_WORK && ex.slow && (draw() & 1);
    to_explorer();
    return world.now->result;
}

void prove_wait(void *condition, const void *mutex, const struct prove_place *wait,
                const struct prove_place *wake)
{
    const uint32_t index = *(const uint32_t *)mutex;

    prove_step(PROVE_WAIT, PROVE_RELEASE, condition, index, 0, wait);
    prove_step(PROVE_WAKE, PROVE_ACQUIRE, condition, index, 0, wake);
}

static void start(void *(*f)(void *), void *arg)
{
    static const struct prove_place begin = {"begins", "", 0};
    struct thread *t = &world.threads[world.n_threads++];

    *t =
        (struct thread){.state = RUNNING, .f = f, .arg = arg, .kind = PROVE_BEGIN, .place = &begin};
    if (world.now)
        t->seen = world.now->seen;
    t->seen.c[index_of(t)] = 1;
    t->sp = fibre_new(stack_of(index_of(t)) + STACK_BYTES, fibre_main);
    t->priority = (int)draw_below(1000) + 1;
}

bool prove_start(uint32_t *index, void *(*f)(void *), void *arg)
{
    if (!prove_may("a thread"))
        return false;
    if (world.n_threads == PROVE_THREADS)
        prove_fail("the explorer has no more than %d threads", PROVE_THREADS);
    *index = world.n_threads;
    start(f, arg);
    world.now->seen.c[prove_self()]++;
    return true;
}

bool prove_may(const char *what)
{
    (void)what;
    if (!world.now || world.may_fail == 0)
        return true;
    if (prove_choose(2) == 0)
        return true;
    world.may_fail--;
    note("      thread %u: %s is refused\n", prove_self(), what);
    return false;
}

bool prove_mutex_init(uint32_t *index)
{
    if (!world.now)
        return true;
    if (!prove_may("a mutex"))
        return false;
    if (world.n_mutexes == MAX_MUTEXES)
        prove_fail("the explorer has no more than %d mutexes", MAX_MUTEXES);
    *index = world.n_mutexes++;
    world.mutexes[*index] = (struct mutex){.alive = true, .owner = -1};
    return true;
}

void prove_mutex_destroy(const uint32_t *index)
{
    if (!world.now)
        return;
    if (!world.mutexes[*index].alive || world.mutexes[*index].owner >= 0)
        prove_fail("a mutex is destroyed that is held, or was destroyed");
    world.mutexes[*index].alive = false;
}

void prove_condition_destroy(const void *condition)
{
    for (unsigned i = 0; world.now && i < world.n_threads; i++)
        if (world.threads[i].state == RUNNING && world.threads[i].kind == PROVE_WAKE &&
            world.threads[i].at == condition)
            prove_fail("a condition is destroyed that thread %u waits for", i);
}

uint64_t prove_now_ns(void)
{
    if (world.now && !ex.all)
        world.ns += draw_below(2) == 0 ? draw_below(200000) : 100;
    return world.ns;
}

bool prove_parked(unsigned thread)
{
    const struct thread *t = &world.threads[thread];

    return t->state == RUNNING && t->kind == PROVE_WAKE && !t->signalled;
}

unsigned prove_self(void)
{
    return world.now ? index_of(world.now) : 0;
}

const void *prove_this_thread(void)
{
    return &world.threads[prove_self()];
}

unsigned prove_threads(void)
{
    return world.n_threads;
}

/* ---- steps ---- */

static bool can(const struct thread *t)
{
    if (t->state != RUNNING)
        return false;
    switch (t->kind) {
    case PROVE_LOCK:
        return world.mutexes[*(const uint32_t *)t->at].owner < 0;
    case PROVE_WAKE:
        return t->signalled && world.mutexes[t->a].owner < 0;
    case PROVE_JOIN:
        return world.threads[t->a].state == FINISHED;
    default:
        return true;
    }
}

static void hold(struct thread *t, uint32_t index)
{
    struct mutex *m = &world.mutexes[index];

    if (!m->alive)
        prove_fail("a mutex is used that was destroyed");
    m->owner = (int)index_of(t);
    join_clock(&t->seen, &m->seen);
}

static void let_go(struct thread *t, uint32_t index)
{
    struct mutex *m = &world.mutexes[index];

    if (m->owner != (int)index_of(t))
        prove_fail("a mutex is unlocked by thread %u, and held by %d", index_of(t), m->owner);
    m->owner = -1;
    m->seen = t->seen;
    t->seen.c[index_of(t)]++;
}

static void signal_one(struct thread *t)
{
    unsigned waiting[PROVE_THREADS], n = 0;

    for (unsigned i = 0; i < world.n_threads; i++)
        if (prove_parked(i) && world.threads[i].at == t->at)
            waiting[n++] = i;
    if (n > 0)
        world.threads[waiting[prove_choose(n)]].signalled = true;
    note(n ? "" : ": nobody waits");
}

static void take(struct thread *t)
{
    switch (t->kind) {
    case PROVE_LOCK:
        hold(t, *(const uint32_t *)t->at);
        break;
    case PROVE_UNLOCK:
        let_go(t, *(const uint32_t *)t->at);
        break;
    case PROVE_WAIT:
        let_go(t, t->a);
        t->signalled = false;
        break;
    case PROVE_WAKE:
        hold(t, t->a);
        note(t->signalled ? "" : ", for nothing");
        break;
    case PROVE_SIGNAL:
        signal_one(t);
        break;
    case PROVE_JOIN:
        join_clock(&t->seen, &world.threads[t->a].seen);
        break;
    case PROVE_PAUSE:
        t->priority = --ex.lowest;
        break;
    case PROVE_BEGIN:
    case PROVE_WORK:
        break;
    default:
        memory_step(t);
    }
}

/* ---- the next thread ---- */

static struct thread *draw_thread(struct thread **list, unsigned n)
{
    struct thread *best = list[0];

    if (ex.pct == 0)
        return list[draw_below(n)];
    for (unsigned i = 1; i < n; i++)
        if (list[i]->priority > best->priority)
            best = list[i];
    for (unsigned i = 0; i + 1 < ex.pct; i++)
        if (ex.falls[i] == ex.steps)
            best->priority = --ex.lowest; /* after this step */
    return best;
}

/* Those that can take a step; the one that took the last first, to keep paths straight. */
static unsigned list_threads(struct thread **list, bool *at_work)
{
    unsigned n = 0, quick = 0;

    *at_work = true;
    for (unsigned i = 0; i < world.n_threads; i++) {
        struct thread *t = &world.threads[i];

        if (!can(t))
            continue;
        if (t->kind != PROVE_WORK) {
            *at_work = false;
            quick++;
        }
        list[n++] = t;
        if (t == ex.last) {
            list[n - 1] = list[0];
            list[0] = t;
        }
    }
    if (!ex.all && quick > 0 && quick < n) {
        unsigned k = 0;

        for (unsigned i = 0; i < n; i++)
            if (list[i]->kind != PROVE_WORK || !list[i]->slow)
                list[k++] = list[i];
        n = k;
    }
    return n;
}

/* Adds those whose wait may end for nothing. */
static unsigned list_spurious(struct thread **list, unsigned n)
{
    if (world.spurious == 0 || n == 0 || (!ex.all && draw_below(32) != 0))
        return n;
    for (unsigned i = 0; i < world.n_threads; i++)
        if (prove_parked(i) && world.mutexes[world.threads[i].a].owner < 0)
            list[n++] = &world.threads[i];
    return n;
}

/* A thread whose step no step of another can come to depend on, so that it may as well be taken now: one that
 * begins, or that unlocks. NULL: there is none. */
static struct thread *alone(struct thread **list, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (list[i]->kind == PROVE_BEGIN || list[i]->kind == PROVE_UNLOCK)
            return list[i];
    return NULL;
}

/* ---- states ---- */

static uint64_t hash_state(void)
{
    static struct canon canon;
    uint64_t h = 0;

    memset(&canon, 0, sizeof canon);
    heap_canon(&canon);
    memory_canon(&canon);
    for (unsigned t = 0; t < world.n_threads; t++)
        for (unsigned i = 1; i < 64; i++)
            canon.before[t][i] =
                canon.before[t][i - 1] + (uint32_t)__builtin_popcountll(canon.bits[t][i - 1]);
    h = mix(mix(heap_hash(&canon), memory_hash(&canon)), world.may_fail * 16 + world.spurious);
    for (unsigned i = 0; i < world.n_threads; i++) {
        const struct thread *t = &world.threads[i];

        h = mix(h, t->state + 8 * t->kind + 256 * t->order + 4096 * t->signalled);
        h = mix_clock(h, &canon, &t->seen);
        if (t->state != RUNNING)
            continue;
        h = mix(mix(h, (uintptr_t)t->at), t->a + ((uint64_t)t->b << 32));
        h = mix(h, (uintptr_t)t->place);
        h = mix_clock(mix_clock(h, &canon, &t->released), &canon, &t->to_acquire);
        for (const char *p = t->sp; p < stack_of(i) + STACK_BYTES; p += 8)
            h = mix(h, *(const uint64_t *)(const void *)p);
    }
    for (unsigned i = 0; i < world.n_mutexes; i++) {
        h = mix(h, (uint64_t)world.mutexes[i].owner + 2 * world.mutexes[i].alive);
        h = mix_clock(h, &canon, &world.mutexes[i].seen);
    }
    return mix_clock(h, &canon, &world.seq_cst);
}

static bool seen_before(uint64_t hash)
{
    uint64_t i;

    hash |= 1;
    if (2 * ex.n_seen >= ex.room) {
        const uint64_t room = ex.room ? 4 * ex.room : 1 << 16;
        uint64_t *table = calloc(room, sizeof *table);

        if (!table)
            prove_fail("out of memory for %llu states", (unsigned long long)room);
        for (i = 0; i < ex.room; i++)
            if (ex.seen[i]) {
                uint64_t k = (ex.seen[i] >> 20) & (room - 1);

                while (table[k])
                    k = (k + 1) & (room - 1);
                table[k] = ex.seen[i];
            }
        free(ex.seen);
        ex.seen = table;
        ex.room = room;
    }
    for (i = (hash >> 20) & (ex.room - 1); ex.seen[i]; i = (i + 1) & (ex.room - 1))
        if (ex.seen[i] == hash)
            return true;
    ex.seen[i] = hash;
    ex.n_seen++;
    return false;
}

/* ---- one schedule ---- */

static void *body(void *arg)
{
    (void)arg;
    ex.scenario->body(ex.scenario->arg);
    for (unsigned i = 1; i < world.n_threads; i++)
        prove_check(world.threads[i].state == FINISHED, "thread %u was left behind", i);
    for (unsigned i = 0; i < world.n_mutexes; i++)
        prove_check(!world.mutexes[i].alive, "leaked: mutex %u", i);
    prove_check(heap_leaked() == 0, "leaked: %llu bytes", (unsigned long long)heap_leaked());
    return NULL;
}

static void reset(void)
{
    heap_reset();
    memory_reset();
    memset(&world, 0, sizeof world);
    if (ex.all) /* what functions left there would tell equal states apart */
        for (unsigned i = 0; i < PROVE_THREADS; i++)
            memset(stack_of(i) + STACK_BYTES - 4096, 0, 4096);
    world.may_fail = ex.scenario->may_fail;
    world.spurious = ex.scenario->spurious;
    world.running = true;
    ex.failed = ex.pruned = false;
    ex.places[0] = ex.places[1] = NULL;
    ex.depth = 0;
    ex.steps = 0;
    ex.lowest = 0;
    ex.last = NULL;
}

static void explain_end(void)
{
    for (unsigned i = 0; i < world.n_threads; i++)
        if (world.threads[i].state == RUNNING && world.threads[i].place)
            note("      thread %u: %s, %s:%d\n", i, world.threads[i].place->text,
                 base_name(world.threads[i].place->file), world.threads[i].place->line);
    if (world.threads[0].state != FINISHED)
        prove_fail("all are asleep");
}

/* One step; false: there is none to take. */
static bool go_on(void)
{
    struct thread *list[2 * PROVE_THREADS], *t;
    bool at_work;
    unsigned n = list_threads(list, &at_work);

    if (n == 0) {
        explain_end();
        return false;
    }
    if (at_work && ex.scenario->quiet)
        ex.scenario->quiet(ex.scenario->arg);
    if (ex.all && (t = alone(list, n))) {
        list[0] = t;
        n = 1;
    } else {
        n = list_spurious(list, n);
    }
    if (!ex.all) {
        t = draw_thread(list, n);
    } else if (n == 1) {
        t = list[0];
    } else {
        if (ex.depth == ex.length && seen_before(hash_state())) {
            ex.pruned = true;
            return false;
        }
        t = list[follow(n)];
    }
    if (++ex.steps > MAX_STEPS)
        prove_fail("no end after %d steps", MAX_STEPS);
    note("%5llu %*sthread %u: %s:%d %s", (unsigned long long)ex.steps, (int)(2 * index_of(t)), "",
         index_of(t), base_name(t->place->file), t->place->line, t->place->text);
    ex.last = world.now = t;
    take(t);
    note("\n");
    to_fibre(t);
    world.now = NULL;
    return !ex.failed;
}

static void run_schedule(void)
{
    reset();
    start(body, NULL);
    world.threads[0].priority += 1;
    if (setjmp(ex.fails) == 0)
        while (go_on())
            ;
    world.now = NULL;
    world.running = false;
    for (int i = 0; i < 2 && ex.failed; i++)
        if (ex.places[i] && !ex.scenario->fails)
            add_place(ex.places[i]);
    if (ex.failed && ex.print)
        printf("\n*** %s\n", ex.text);
}

static void run_seed(uint64_t seed)
{
    ex.all = false;
    ex.random = seed * UINT64_C(0x2545f4914f6cdd1d) + 1;
    ex.pct = seed % 8 < 3 ? 0 : (unsigned)(seed % 8) - 2;
    ex.slow = draw() & 1;
    for (int i = 0; i < 5; i++)
        ex.falls[i] = draw_below((uint32_t)(ex.usual + 1));
    run_schedule();
}

static void open_world(const struct prove_scenario *s)
{
    if (!world_base)
        world_base =
            mmap(NULL, WORLD_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (world_base == MAP_FAILED)
        abort();
    ex.scenario = s;
    ex.usual = 0;
    run_seed(
        3); /* how long it takes, by priorities that do not fall: where they fall depends on it */
    ex.usual = ex.steps;
}

static void tell_failure(struct prove_result *r, uint64_t seed)
{
    r->failed = true;
    r->seed = seed;
    snprintf(r->text, sizeof r->text, "%s", ex.text);
}

void prove_random(const struct prove_scenario *s, uint64_t first, uint64_t n,
                  struct prove_result *r)
{
    *r = (struct prove_result){0};
    open_world(s);
    for (uint64_t seed = first; seed < first + n && !r->failed; seed++) {
        run_seed(seed);
        r->schedules++;
        r->steps += ex.steps;
        if (ex.failed)
            tell_failure(r, seed);
    }
    ex.failed = false;
}

void prove_print(const struct prove_scenario *s, uint64_t seed, struct prove_result *r)
{
    *r = (struct prove_result){.schedules = 1};
    open_world(s);
    ex.print = true;
    run_seed(seed);
    ex.print = false;
    if (ex.failed)
        tell_failure(r, seed);
    ex.failed = false;
}

static void print_path(void)
{
    ex.print = true;
    ex.depth = 0;
    run_schedule();
    ex.print = false;
}

void prove_all(const struct prove_scenario *s, uint64_t max_states, bool print,
               struct prove_result *r)
{
    *r = (struct prove_result){0};
    open_world(s);
    ex.all = true;
    ex.length = 0;
    ex.n_seen = 0;
    if (ex.seen)
        memset(ex.seen, 0, ex.room * sizeof *ex.seen);
    do {
        while (ex.length > 0 && ex.path[ex.length - 1].taken + 1 == ex.path[ex.length - 1].of)
            ex.length--;
        if (r->schedules > 0 && ex.length == 0) {
            r->complete = true;
            break;
        }
        if (r->schedules > 0)
            ex.path[ex.length - 1].taken++;
        run_schedule();
        r->schedules++;
        r->steps += ex.steps;
        if (ex.failed) {
            tell_failure(r, 0);
            if (print && !s->fails)
                print_path();
        }
    } while (!r->failed && ex.n_seen < max_states);
    r->states = ex.n_seen;
    ex.all = ex.failed = false;
}
