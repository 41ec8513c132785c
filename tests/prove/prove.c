/* prove [--random N] [--first SEED] [--states N] [NAME...]: explores the scenarios whose names begin so.
 * prove --brief 1 ...: until one fails, which is told in a line.
 * prove --sched-seed SEED NAME: runs one schedule, and prints it. */
#include "explore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct options {
    uint64_t random, first, states, seed;
    bool print, brief;
    char **names;
};

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool wanted(const struct options *o, const char *name)
{
    if (!*o->names)
        return true;
    for (char **n = o->names; *n; n++)
        if (strncmp(name, *n, strlen(*n)) == 0)
            return true;
    return false;
}

static const char *how(const struct prove_scenario *s, const struct prove_result *all,
                       const struct prove_result *random)
{
    if (s->fails)
        return all->failed || random->failed ? "found, as it should be" : "NOT FOUND";
    return all->failed || random->failed ? "FAILED" : "ok";
}

/* Explores; true: as it should be. */
static bool explore(const struct options *o, const struct prove_scenario *s)
{
    struct prove_result all = {0}, random = {0}, again;
    const double start = seconds();
    bool failed;

    if (s->exhaust)
        prove_all(s, o->states, !o->brief, &all);
    if (!all.failed && o->random > 0 && !(s->exhaust && all.complete && s->fails))
        prove_random(s, o->first, o->random, &random);
    failed = all.failed || random.failed;
    if (o->brief) {
        if (failed != s->fails)
            printf("%s, %llu: %s\n", s->name,
                   (unsigned long long)(all.schedules + random.schedules),
                   all.failed ? all.text : random.text);
        return failed == s->fails;
    }
    printf("%-48s %10llu states%s %10llu schedules %6.1f s  %s", s->name,
           (unsigned long long)all.states, !s->exhaust || all.complete || all.failed ? " " : "+",
           (unsigned long long)(all.schedules + random.schedules), seconds() - start,
           how(s, &all, &random));
    if (random.failed)
        printf(" (seed %llu)", (unsigned long long)random.seed);
    printf("\n");
    if (failed && !s->fails) {
        printf("  %s\n", all.failed ? all.text : random.text);
        if (random.failed)
            prove_print(s, random.seed, &again);
    }
    fflush(stdout);
    return failed == s->fails;
}

static bool run_table(const struct options *o, const struct prove_scenario *table, unsigned *n)
{
    bool ok = true;

    for (; table->name; table++) {
        struct prove_result r;

        if (!wanted(o, table->name))
            continue;
        ++*n;
        if (o->print)
            prove_print(table, o->seed, &r);
        else
            ok = explore(o, table) && ok;
        if (!ok && o->brief)
            exit(1);
    }
    return ok;
}

static uint64_t number(const char *text)
{
    char *end;
    const uint64_t n = text ? strtoull(text, &end, 10) : 0;

    if (!text || !*text || *end) {
        fprintf(stderr, "prove: got %s, expected a number\n", text ? text : "nothing");
        exit(2);
    }
    return n;
}

int main(int argc, char **argv)
{
    struct options o = {.random = 5000, .first = 1, .states = 30000, .names = argv + 1};
    unsigned n = 0;
    bool ok;

    (void)argc;
    while (*o.names && strncmp(*o.names, "--", 2) == 0) {
        const char *name = *o.names++;
        const uint64_t value = number(*o.names);

        o.names++;
        if (strcmp(name, "--random") == 0) {
            o.random = value;
        } else if (strcmp(name, "--first") == 0) {
            o.first = value;
        } else if (strcmp(name, "--states") == 0) {
            o.states = value;
        } else if (strcmp(name, "--brief") == 0) {
            o.brief = value > 0;
        } else if (strcmp(name, "--sched-seed") == 0) {
            o.seed = value;
            o.print = true;
        } else {
            fprintf(stderr, "prove: got %s\n", name);
            return 2;
        }
    }
    ok = run_table(&o, prove_litmus, &n);
    ok = run_table(&o, prove_deque, &n) && ok;
    ok = run_table(&o, prove_runtime, &n) && ok;
    if (o.brief)
        return 0;
    printf("%u scenarios: %s\n", n, n == 0 ? "no such name" : ok ? "ok" : "FAILED");
    return ok && n > 0 ? 0 : 1;
}
