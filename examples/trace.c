/* trace.c - is told each tile that has run, and says what the time of one id went to.
 *     cc trace.c $(pkg-config --cflags --libs dagpt) -o trace && ./trace MODEL ID */
#include <dagpt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TYPES = 16 };

struct totals {
    const char *type[MOST_TYPES];
    uint64_t ns[MOST_TYPES], idle;
    unsigned tiles[MOST_TYPES];
    int n;
};

/* Called behind the step, on the thread of the eval: no lock is needed. */
static void add(void *arg, const struct dg_traced_tile *tile)
{
    struct totals *t = (struct totals *)arg;
    int i = 0;

    while (i < t->n && strcmp(t->type[i], tile->type) != 0)
        i++;
    if (i == MOST_TYPES)
        return;
    if (i == t->n)
        t->type[t->n++] = tile->type;
    t->ns[i] += tile->end - tile->start;
    t->tiles[i]++;
    t->idle += tile->idle;
}

static void check(enum dg_status status, const struct dg_error *err)
{
    if (status == DG_OK)
        return;
    fprintf(stderr, "trace: %s\n", err->text);
    exit((int)status);
}

int main(int argc, char **argv)
{
    struct totals totals;
    struct dg_error err;
    struct dg_team *team;
    struct dg_model *model;
    struct dg_engine *engine;
    struct dg_sequence *sequence;
    struct dg_trace *trace;
    int32_t id;

    if (argc != 3) {
        fprintf(stderr, "usage: trace MODEL ID\n");
        return DG_ERR_USAGE;
    }
    memset(&totals, 0, sizeof totals);
    id = (int32_t)strtol(argv[2], NULL, 10);
    check(dg_team_new(&team, 4, 0, &err), &err);
    check(dg_model_open(&model, argv[1], team, &err), &err);
    check(dg_engine_new(&engine, model, team, NULL, &err), &err);
    check(dg_sequence_new(&sequence, engine, &err), &err);
    check(dg_trace_new(&trace, team, 100000, &err), &err);
    dg_trace_tell(trace, add, &totals);
    check(dg_sequence_eval(sequence, &id, 1, 1, &err), &err);
    for (int i = 0; i < totals.n; i++)
        printf("%-10s %6u tiles %10.3f ms\n", totals.type[i], totals.tiles[i],
               (double)totals.ns[i] / 1e6);
    printf("%-10s %12s %10.3f ms\n", "idle", "", (double)totals.idle / 1e6);
    dg_trace_free(trace);
    dg_sequence_free(sequence);
    dg_engine_free(engine);
    dg_model_free(model);
    dg_team_free(team);
    return 0;
}
