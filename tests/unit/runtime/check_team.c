/* src/runtime/team.c and src/runtime/bell.c.
 *
 * A team with more workers awake than there are CPUs never spins: (4, 4) on two CPUs parks at every
 * wait. A lost wake is a hang, which tests/support/progress.h ends. Data is passed in plain
 * memory where the calls promise to make it visible, so that ThreadSanitizer sees whether they do.
 */
#include "../../support/float_control.h"
#include "../../support/stalls.h"
#include "../../support/support.h"
#include "../../../src/runtime/bell.h"
#include "../../../src/runtime/team.h"

#include <errno.h>
#include <fenv.h>
#include <float.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

static struct dg_team *new_team(unsigned workers, unsigned cpus)
{
    struct dg_error err = {0};
    struct dg_team *team = NULL;

    ck_assert_msg(dg_team_new(&team, workers, cpus, &err) == DG_OK, "%s", err.text);
    return team;
}

/* Spins for about that many pauses: time that differs from one use to the next. */
static void dawdle(uint32_t pauses)
{
    for (uint32_t i = 0; i < pauses; i++)
        dg_pause();
}

/* ---- a job on every worker ---- */

/* Worker w writes its square, and reads what the caller and all workers wrote in the run before. */
struct visits {
    struct dg_team *team;
    uint32_t run; /* written by the caller before the run */
    struct {
        _Alignas(DG_CACHE_LINE) uint32_t count; /* of its worker, which alone touches it */
        uint32_t seen, written;
    } of[DG_MAX_WORKERS];
};

static void visit(void *arg, unsigned worker)
{
    struct visits *v = arg;

    v->of[worker].count++;
    v->of[worker].seen = v->run;
    v->of[worker].written = v->run * (worker + 1);
}

static void run_visits(struct visits *v)
{
    v->run++;
    dg_team_run(v->team, visit, v);
    for (unsigned w = 0; w < dg_team_workers(v->team); w++) {
        const bool takes_part = w < dg_team_awake(v->team);

        ck_assert_uint_eq(v->of[w].count, takes_part ? v->run : 0);
        ck_assert_uint_eq(v->of[w].seen, takes_part ? v->run : 0);
        ck_assert_uint_eq(v->of[w].written, takes_part ? v->run * (w + 1) : 0);
    }
}

static struct visits visits; /* too large for some stacks */

static void open_visits(unsigned workers, unsigned cpus)
{
    memset(&visits, 0, sizeof visits);
    visits.team = new_team(workers, cpus);
}

/* ---- the bell ---- */

/* Two threads that each ring once a round, after they have posted. */
struct ringers {
    struct dg_bell bell;
    struct dg_atomic round, posted; /* acq_rel */
    uint32_t rounds;
};

static void *ring_each_round(void *arg)
{
    struct ringers *r = arg;

    for (uint32_t last = 0; last < r->rounds; last++) {
        while (dg_load_acquire(&r->round) == last)
            sched_yield();
        dg_add_acq_rel(&r->posted, 1);
        dg_bell_ring(&r->bell);
    }
    return NULL;
}

/* The waiter looks at what was posted after each wait, and never waits for a ring that it has lost. (With
 * a plain store behind the wait this hangs now and then, on sync_yield.) */
START_TEST(bell_of_two_ringers)
{
    struct ringers r = {.rounds = sanitized() ? 500 : 20000};
    struct dg_thread threads[2];

    ck_assert(dg_bell_init(&r.bell));
    for (int i = 0; i < 2; i++)
        ck_assert(dg_thread_start(&threads[i], ring_each_round, &r));
    for (uint32_t round = 1; round <= r.rounds; round++) {
        dg_store_release(&r.round, round);
        while (dg_load_acquire(&r.posted) != 2 * round)
            dg_bell_wait(&r.bell, 1000);
    }
    for (int i = 0; i < 2; i++)
        dg_thread_join(&threads[i]);
    dg_bell_destroy(&r.bell);
}
END_TEST

START_TEST(every_worker_once)
{
    for (unsigned workers = 1; workers <= 9; workers++) {
        open_visits(workers, workers);
        ck_assert_uint_eq(dg_team_workers(visits.team), workers);
        ck_assert_uint_eq(dg_team_awake(visits.team), workers);
        for (int i = 0; i < 200; i++)
            run_visits(&visits);
        dg_team_free(visits.team);
    }
}
END_TEST

START_TEST(fewer_cpus)
{
    for (unsigned cpus = 1; cpus <= 6; cpus++) {
        open_visits(5, cpus);
        ck_assert_uint_eq(dg_team_workers(visits.team), 5);
        ck_assert_uint_eq(dg_team_awake(visits.team), cpus < 5 ? cpus : 5);
        for (int i = 0; i < 200; i++)
            run_visits(&visits);
        dg_team_free(visits.team);
    }
}
END_TEST

START_TEST(usable_cpus)
{
    const unsigned usable = dg_usable_cpus();

    for (unsigned workers = 1; workers <= 4; workers++) {
        struct dg_team *team = new_team(workers, 0);

        ck_assert_uint_eq(dg_team_awake(team), workers < usable ? workers : usable);
        ck_assert_uint_gt(dg_team_spin_ns(team), 0);
        dg_team_free(team);
    }
    open_visits(usable + 1, usable + 1);
    ck_assert_uint_eq(dg_team_spin_ns(visits.team), 0);
    run_visits(&visits);
    dg_team_free(visits.team);
}
END_TEST

START_TEST(largest)
{
    open_visits(DG_MAX_WORKERS, DG_MAX_WORKERS);
    for (int i = 0; i < 3; i++)
        run_visits(&visits);
    dg_team_free(visits.team);
}
END_TEST

START_TEST(alone)
{
    open_visits(1, 1);
    for (int i = 0; i < 1000; i++)
        run_visits(&visits);
    dg_team_free(visits.team);
}
END_TEST

static void run_often(unsigned workers, unsigned runs)
{
    open_visits(workers, workers);
    for (unsigned i = 0; i < runs; i++)
        run_visits(&visits);
    dg_team_free(visits.team);
}

START_TEST(back_to_back)
{
    run_often(2, sanitized() ? 2000 : 10000);
    run_often(3, sanitized() ? 1000 : 4000);
    run_often(4, sanitized() ? 1000 : 4000);
}
END_TEST

/* Pauses between runs, and jobs of very different length: around the 200 us that helpers spin for a
 * job and the 50 us that the caller spins for them, and so on both sides of parking. */
static void dawdling_visit(void *arg, unsigned worker)
{
    uint64_t state = (uint64_t)((struct visits *)arg)->run << 8 | worker;

    visit(arg, worker);
    if (random_below(&state, 4) == 0)
        usleep(40 + random_below(&state, 40));
}

START_TEST(parked)
{
    const int runs = sanitized() ? 150 : 500;
    uint64_t state = 3;

    for (unsigned workers = 2; workers <= 4; workers++) {
        open_visits(workers, workers);
        for (int i = 0; i < runs; i++) {
            const uint64_t until = dg_now_ns() + 1000 * (uint64_t)random_below(&state, 300);

            if (i % 4 == 0)
                usleep(300);
            while (dg_now_ns() < until)
                dg_pause();
            run_visits(&visits);
            visits.run++;
            dg_team_run(visits.team, dawdling_visit, &visits);
        }
        dg_team_free(visits.team);
    }
}
END_TEST

/* ---- making and freeing ---- */

/* pthread_create, of which so many more calls work; below 0: all. The linker puts it in its place. */
static int threads_left = -1;
int __real_pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*f)(void *),
                          void *arg);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*f)(void *),
                          void *arg)
{
    if (threads_left == 0)
        return EAGAIN;
    threads_left -= threads_left > 0;
    return __real_pthread_create(thread, attr, f, arg);
}

/* The system starts no more threads from any one on: there are as many workers as there can be. */
START_TEST(fewer_threads)
{
    for (unsigned workers = 1; workers <= 6; workers++) {
        for (unsigned cpus = 1; cpus <= 6; cpus++) {
            for (unsigned k = 0; k < 6; k++) {
                const unsigned got = workers < k + 1 ? workers : k + 1;

                threads_left = (int)k;
                open_visits(workers, cpus);
                threads_left = -1;
                ck_assert_uint_eq(dg_team_workers(visits.team), got);
                ck_assert_uint_eq(dg_team_awake(visits.team), got < cpus ? got : cpus);
                run_visits(&visits);
                run_visits(&visits);
                dg_team_free(visits.team);
            }
        }
    }
}
END_TEST

START_TEST(create_and_free)
{
    const unsigned rounds = sanitized() ? 60 : 300;

    dg_team_free(NULL);
    for (unsigned i = 0; i < rounds; i++) {
        open_visits(1 + i % 6, 1 + i / 6 % 6);
        if (i % 5 == 1)
            usleep(400); /* the helpers have parked */
        if (i % 3 == 1)
            run_visits(&visits);
        dg_team_free(visits.team);
    }
}
END_TEST

/* Helpers that are asleep at their bells, and sleep from the end of a job on in which they slept. */
START_TEST(freed_while_parked)
{
    for (unsigned i = 0; i < (sanitized() ? 20u : 100u); i++) {
        open_visits(4, 4);
        if (i % 2 == 1)
            run_visits(&visits);
        usleep(100 + 10 * i);
        dg_team_free(visits.team);
    }
}
END_TEST

static void check_refused(unsigned workers, const char *text)
{
    struct dg_team *team = NULL;
    struct dg_error err = {0};

    ck_assert_int_eq(dg_team_new(&team, workers, 2, &err), DG_ERR_USAGE);
    ck_assert_int_eq(err.status, DG_ERR_USAGE);
    ck_assert_str_eq(err.text, text);
    ck_assert_ptr_null(team);
    ck_assert_int_eq(dg_team_new(&team, workers, 2, NULL), DG_ERR_USAGE);
}

START_TEST(refused)
{
    check_refused(0, "workers: got 0, expected 1 to 256");
    check_refused(257, "workers: got 257, expected 1 to 256");
    check_refused(UINT32_MAX, "workers: got 4294967295, expected 1 to 256");
}
END_TEST

/* ---- the bell ---- */

static const uint64_t spins[] = {0, 1000, 50 * 1000};

START_TEST(ring_is_kept)
{
    struct dg_bell bell;

    ck_assert(dg_bell_init(&bell));
    for (int i = 0; i < 1000; i++) {
        dg_bell_ring(&bell);
        dg_bell_wait(&bell, spins[i % 3]);
    }
    dg_bell_destroy(&bell);
}
END_TEST

struct listener {
    struct dg_bell bell;
    uint64_t spin_ns;
    uint32_t waits, message; /* message: plain, passed by the bell */
    struct dg_atomic heard;  /* waits that have ended */
    struct dg_thread thread;
};

static void *listen(void *arg)
{
    struct listener *l = arg;

    for (uint32_t i = 0; i < l->waits; i++) {
        dg_bell_wait(&l->bell, l->spin_ns);
        l->message++;
        dg_add_relaxed(&l->heard, 1);
    }
    return NULL;
}

/* Until the listener is parked in its wait number n + 1, or a wait too many has ended. */
static void await_parking(struct listener *l, uint32_t n)
{
    while (dg_load_relaxed(&l->bell.state) != DG_BELL_PARKED && dg_load_relaxed(&l->heard) <= n)
        sched_yield();
    ck_assert_uint_eq(dg_load_relaxed(&l->heard), n);
}

/* Two rings before the wait end one wait: the second wait parks, until a third ring. */
START_TEST(two_rings_are_one)
{
    for (int i = 0; i < 60; i++) {
        struct listener l = {.spin_ns = spins[i % 3], .waits = 2};

        ck_assert(dg_bell_init(&l.bell));
        dg_bell_ring(&l.bell);
        dg_bell_ring(&l.bell);
        ck_assert(dg_thread_start(&l.thread, listen, &l));
        await_parking(&l, 1);
        dg_bell_ring(&l.bell);
        dg_thread_join(&l.thread);
        ck_assert_uint_eq(l.message, 2);
        dg_bell_destroy(&l.bell);
    }
}
END_TEST

/* A ring at a parked thread, again and again. */
START_TEST(ring_wakes)
{
    const uint32_t rounds = sanitized() ? 500 : 3000;

    for (int i = 0; i < 3; i++) {
        struct listener l = {.spin_ns = spins[i], .waits = rounds};

        ck_assert(dg_bell_init(&l.bell));
        ck_assert(dg_thread_start(&l.thread, listen, &l));
        for (uint32_t n = 0; n < rounds; n++) {
            await_parking(&l, n);
            dg_bell_ring(&l.bell);
            while (dg_load_relaxed(&l.heard) == n)
                sched_yield();
        }
        dg_thread_join(&l.thread);
        dg_bell_destroy(&l.bell);
    }
}
END_TEST

/* Two threads ring each other in turn, and pass a plain number to and fro. */
struct rally {
    struct dg_bell bell[2];
    uint32_t rounds, ball;
    uint64_t spin_ns;
    struct dg_atomic wrong;
};

static void play(struct rally *r, uint32_t side)
{
    uint64_t state = side;

    for (uint32_t i = 0; i < r->rounds; i++) {
        dg_bell_wait(&r->bell[side], r->spin_ns);
        if (r->ball != 2 * i + side)
            dg_add_relaxed(&r->wrong, 1);
        r->ball++;
        dawdle(random_below(&state, 100));
        dg_bell_ring(&r->bell[!side]);
    }
}

static void *play_one(void *arg)
{
    play(arg, 1);
    return NULL;
}

START_TEST(rally)
{
    for (int i = 0; i < 3; i++) {
        struct rally r = {.rounds = sanitized() ? 1000 : 5000, .spin_ns = spins[i]};
        struct dg_thread thread;

        ck_assert(dg_bell_init(&r.bell[0]) && dg_bell_init(&r.bell[1]));
        ck_assert(dg_thread_start(&thread, play_one, &r));
        dg_bell_ring(&r.bell[0]);
        play(&r, 0);
        dg_thread_join(&thread);
        ck_assert_uint_eq(r.ball, 2 * r.rounds);
        ck_assert_uint_eq(dg_load_relaxed(&r.wrong), 0);
        dg_bell_destroy(&r.bell[0]);
        dg_bell_destroy(&r.bell[1]);
    }
}
END_TEST

/* ---- doze, rise, sleep, wake ---- */

/* The first n workers take turns: turn t is of worker t % n, and handed on by a wake for all. The
 * others are woken with them and doze again, in vain: their comings and goings must not hide a
 * player that sleeps from who wakes it. */
struct turns {
    struct dg_team *team;
    uint32_t n, end;
    struct dg_atomic turn;  /* release by who had it, acquire by who waits for it */
    uint32_t last;          /* plain: who has the turn writes it */
    struct dg_atomic wrong; /* turns that met another `last` than the one before */
};

static void await_turn(struct turns *t, unsigned worker, uint32_t first)
{
    for (;;) {
        dg_team_doze(t->team, worker);
        if (dg_load_acquire(&t->turn) >= first)
            break;
        dg_team_sleep(t->team, worker);
    }
    dg_team_rise(t->team, worker);
}

static void take_turns(void *arg, unsigned worker)
{
    struct turns *t = arg;
    uint64_t state = worker;

    for (uint32_t mine = worker; worker < t->n && mine < t->end; mine += t->n) {
        dawdle(random_below(&state, 100));
        await_turn(t, worker, mine);
        if (t->last != mine)
            dg_add_relaxed(&t->wrong, 1);
        t->last = mine + 1;
        dg_store_release(&t->turn, mine + 1);
        dg_team_wake(t->team, dg_team_awake(t->team));
    }
    await_turn(t, worker, t->end);
}

static void run_turns(unsigned workers, unsigned players, uint32_t rounds, bool stalled)
{
    struct turns t = {.team = new_team(workers, workers), .n = players, .end = rounds * players};
    struct stalls stalls;

    if (stalled)
        stalls_begin(&stalls);
    for (int i = 0; i < 3; i++) {
        t.last = 0;
        dg_store_relaxed(&t.turn, 0);
        dg_team_run(t.team, take_turns, &t);
        ck_assert_uint_eq(t.last, t.end);
        ck_assert_uint_eq(dg_load_relaxed(&t.wrong), 0);
    }
    if (stalled)
        stalls_end(&stalls);
    dg_team_free(t.team);
}

START_TEST(no_lost_wake)
{
    const uint32_t rounds = sanitized() ? 400 : 2000;

    run_turns(2, 2, 2 * rounds, false);
    run_turns(3, 2, rounds, false);
    run_turns(4, 4, rounds, false);
    run_turns(8, 5, rounds / 4, false);
}
END_TEST

/* The same with workers that stop at any instruction for a while. When the count of sleepers was
 * raised after the flag that it counts, this lost a wake in most runs. */
START_TEST(no_lost_wake_stalled)
{
    const uint32_t rounds = sanitized() ? 200 : 5000;

    run_turns(2, 2, rounds / 4, true);
    run_turns(4, 2, rounds, true);
    run_turns(6, 2, rounds, true);
}
END_TEST

/* Worker 0 makes one thing after another and wakes one worker for each; any of the others takes it
 * and wakes all, for one of them is the maker. So there are always some that doze in vain. */
struct market {
    struct dg_team *team;
    unsigned n;
    uint32_t things;
    uint32_t thing;               /* plain: the newest */
    struct dg_atomic made, taken; /* release by who changes them, acquire by who looks */
    struct dg_atomic wrong;
};

static bool sold_out(struct market *m, uint32_t made)
{
    return dg_load_acquire(&m->taken) == made;
}

static void make_things(struct market *m)
{
    uint64_t state = 5;

    for (uint32_t i = 1; i <= m->things; i++) {
        m->thing = 3 * i;
        dg_store_release(&m->made, i);
        dg_team_wake(m->team, i < m->things ? 1 : m->n);
        dawdle(random_below(&state, 300));
        for (;;) {
            dg_team_doze(m->team, 0);
            if (sold_out(m, i))
                break;
            dg_team_sleep(m->team, 0);
        }
        dg_team_rise(m->team, 0);
    }
}

/* Takes a thing if there is one; true also when the last has been taken. */
static bool take_thing(struct market *m, bool *last)
{
    const uint32_t taken = dg_load_acquire(&m->taken);

    *last = taken == m->things;
    if (*last)
        return true;
    if (dg_load_acquire(&m->made) == taken || !dg_change_acq_rel(&m->taken, taken, taken + 1))
        return false;
    return true;
}

static void trade(void *arg, unsigned worker)
{
    struct market *m = arg;
    bool last = false;

    if (worker == 0) {
        make_things(m);
        return;
    }
    while (!last) {
        for (;;) {
            dg_team_doze(m->team, worker);
            if (take_thing(m, &last))
                break;
            dg_team_sleep(m->team, worker);
        }
        dg_team_rise(m->team, worker);
        dg_team_wake(m->team, m->n);
    }
}

static void run_market(unsigned workers, uint32_t things)
{
    struct market m = {.team = new_team(workers, workers), .n = workers, .things = things};

    for (int i = 0; i < 3; i++) {
        dg_store_relaxed(&m.made, 0);
        dg_store_relaxed(&m.taken, 0);
        dg_team_run(m.team, trade, &m);
        ck_assert_uint_eq(dg_load_relaxed(&m.taken), things);
    }
    dg_team_free(m.team);
}

START_TEST(one_wake_for_one)
{
    const uint32_t things = sanitized() ? 500 : 3000;

    run_market(2, 2 * things);
    run_market(3, things);
    run_market(4, things);
    run_market(7, things / 4);
}
END_TEST

/* A wake reaches as many as it says: n workers each wait inside the job until all n are there. */
struct meeting {
    struct dg_team *team;
    unsigned n, rounds;
    struct dg_atomic called; /* meetings that worker 0 has called: release, acquire by the others */
    struct dg_atomic there;  /* arrivals, at all meetings together; relaxed */
};

static void await_all(struct meeting *m, unsigned round)
{
    dg_add_relaxed(&m->there, 1);
    while (dg_load_relaxed(&m->there) < m->n * round)
        sched_yield();
}

static void meet(void *arg, unsigned worker)
{
    struct meeting *m = arg;
    uint64_t state = worker;

    for (unsigned round = 1; round <= m->rounds; round++) {
        dawdle(random_below(&state, 300));
        if (worker == 0) {
            dg_store_release(&m->called, round);
            dg_team_wake(m->team, m->n - 1);
            await_all(m, round);
            continue;
        }
        for (;;) {
            dg_team_doze(m->team, worker);
            if (dg_load_acquire(&m->called) >= round)
                break;
            dg_team_sleep(m->team, worker);
        }
        dg_team_rise(m->team, worker);
        await_all(m, round);
    }
}

START_TEST(wake_many)
{
    for (unsigned workers = 2; workers <= 6; workers++) {
        struct meeting m = {
            .team = new_team(workers, workers), .n = workers, .rounds = sanitized() ? 300 : 2000};

        dg_team_run(m.team, meet, &m);
        ck_assert_uint_eq(dg_load_relaxed(&m.there), m.n * m.rounds);
        dg_team_free(m.team);
    }
}
END_TEST

/* A wake for one of two dozing workers, of which the first has found work itself: it passes the
 * wake on, or the second sleeps for ever. */
struct relay {
    struct dg_team *team;
    struct dg_atomic dozing, woken; /* relaxed: they only put the calls in order */
    struct dg_atomic runs;          /* of the job, by any worker; relaxed */
};

static void pass_on(void *arg, unsigned worker)
{
    struct relay *r = arg;

    dg_add_relaxed(&r->runs, 1);
    if (worker == 0) {
        while (dg_load_relaxed(&r->dozing) < 2)
            sched_yield();
        dg_team_wake(r->team, 1);
        dg_store_relaxed(&r->woken, 1);
        return;
    }
    dg_team_doze(r->team, worker);
    dg_add_relaxed(&r->dozing, 1);
    if (worker == 2) {
        dg_team_sleep(r->team, worker);
        return;
    }
    while (dg_load_relaxed(&r->woken) == 0)
        sched_yield();
    dg_team_rise(r->team, worker);
}

START_TEST(rise_passes_on)
{
    struct relay r = {.team = new_team(3, 3)};

    for (int i = 0; i < 500; i++) {
        dg_store_relaxed(&r.dozing, 0);
        dg_store_relaxed(&r.woken, 0);
        dg_team_run(r.team, pass_on, &r);
    }
    dg_team_free(r.team);
    ck_assert_uint_eq(dg_load_relaxed(&r.runs), 3 * 500);
}
END_TEST

/* When a wake came is noted for who asked for it, by who wakes. */
struct timing {
    struct dg_team *team;
    struct dg_atomic dozing; /* relaxed */
    bool timed;
    uint64_t before, woken, after; /* of the wake */
};

static void sleep_timed(void *arg, unsigned worker)
{
    struct timing *t = arg;

    if (worker == 0) {
        while (dg_load_relaxed(&t->dozing) == 0)
            sched_yield();
        t->before = dg_now_ns();
        dg_team_wake(t->team, 1);
        return;
    }
    dg_team_time_wakes(t->team, worker, t->timed);
    dg_team_doze(t->team, worker);
    dg_store_relaxed(&t->dozing, 1);
    dg_team_sleep(t->team, worker);
    t->woken = dg_team_woken(t->team, worker);
    t->after = dg_now_ns();
}

START_TEST(wakes_are_timed)
{
    struct timing t = {.team = new_team(2, 2)};
    uint64_t last = 0;

    for (int i = 0; i < 200; i++) {
        t.timed = i % 2 == 0;
        dg_store_relaxed(&t.dozing, 0);
        dg_team_run(t.team, sleep_timed, &t);
        if (t.timed)
            ck_assert(t.before <= t.woken && t.woken <= t.after);
        else
            ck_assert_uint_eq(t.woken, last);
        last = t.woken;
    }
    dg_team_free(t.team);
}
END_TEST

/* ---- floating point ---- */

/* What a worker finds: results that depend on the rounding direction and on denormals. */
struct float_check {
    bool nearest, denormals;
    unsigned control;
};

static void check_floats(void *arg, unsigned worker)
{
    struct float_check *f = (struct float_check *)arg + worker;
    volatile double one = 1.0, tiny = DBL_EPSILON / 4;
    volatile float least = FLT_MIN, half = 0.5f, denormal = FLT_TRUE_MIN;

    f->nearest = fegetround() == FE_TONEAREST && one + tiny == 1.0 && -one - tiny == -1.0;
    f->denormals = least * half != 0 && denormal * one != 0;
    f->control = float_control();
}

static void check_everywhere(struct dg_team *team, unsigned expected)
{
    struct float_check found[4];

    memset(found, 0, sizeof found);
    dg_team_run(team, check_floats, found);
    for (unsigned w = 0; w < 4; w++) {
        ck_assert_msg(found[w].nearest, "worker %u rounds", w);
        ck_assert_msg(found[w].denormals, "worker %u flushes", w);
        ck_assert_uint_eq(found[w].control, expected);
    }
}

/* The team is made under the odd environment and under the default one; run under both. */
static void check_environment(int rounding, unsigned bits)
{
    const unsigned usual = float_control();
    fenv_t before;
    unsigned odd;

    fegetenv(&before);
    for (int made_odd = 0; made_odd < 2; made_odd++) {
        struct dg_team *team = made_odd ? NULL : new_team(4, 4);

        fesetround(rounding);
        add_float_control(bits);
        odd = float_control();
        if (made_odd)
            team = new_team(4, 4);
        for (int i = 0; i < 3; i++) {
            check_everywhere(team, usual);
            ck_assert_int_eq(fegetround(), rounding);
            ck_assert_uint_eq(float_control(), odd);
        }
        fesetenv(&before);
        check_everywhere(team, usual);
        ck_assert_uint_eq(float_control(), usual);
        dg_team_free(team);
    }
}

START_TEST(float_environment)
{
    check_environment(FE_TONEAREST, 0);
    check_environment(FE_UPWARD, 0);
    check_environment(FE_DOWNWARD, 0);
    check_environment(FE_TOWARDZERO, 0);
    check_environment(FE_TONEAREST, FLUSH_TO_ZERO);
    check_environment(FE_TONEAREST, DENORMALS_ARE_ZERO);
    check_environment(FE_UPWARD, FLUSH_TO_ZERO | DENORMALS_ARE_ZERO);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {bell_of_two_ringers,
                                  every_worker_once,
                                  fewer_cpus,
                                  usable_cpus,
                                  largest,
                                  alone,
                                  back_to_back,
                                  parked,
                                  create_and_free,
                                  fewer_threads,
                                  freed_while_parked,
                                  refused,
                                  ring_is_kept,
                                  two_rings_are_one,
                                  ring_wakes,
                                  rally,
                                  no_lost_wake,
                                  no_lost_wake_stalled,
                                  one_wake_for_one,
                                  wake_many,
                                  rise_passes_on,
                                  wakes_are_timed,
                                  float_environment,
                                  NULL};

    return run_suite("team", tests);
}
