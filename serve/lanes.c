/* A step becomes text as soon as it is told, by the thread that runs the steps, so that whoever looks costs that thread
 * no more than a copy under the lock. Numbers are written by hand: a step of GPT-2 has 1,500 tiles of 7. */
#include "lanes.h"
#include "job.h"

#include <inttypes.h>
#include <string.h>

enum {
    MOST_KEPT = 32,        /* steps */
    MOST_BYTES = 1 << 20,  /* of all of them */
    MOST_EVENTS = 1 << 15, /* of a step; one with more is not recorded */
    MOST_OPS = 1 << 12,    /* of a step; the same */
    RENEWED = 64, /* steps; a trace has a copy of each plan that it has met, and forgets none */
};
#define LOOKED_AT ((uint64_t)2000000000) /* nanoseconds */

static struct lanes {
    /* Of the thread that runs the steps. */
    struct dg_trace *trace; /* NULL: nothing is recorded */
    unsigned n_traced;      /* steps */

    /* The step at hand. */
    bool told, odd; /* odd: it is not to be kept */
    uint32_t rows;
    uint64_t number; /* as the trace counts */
    uint64_t start, end;
    unsigned worker;
    uint64_t worker_end;         /* of its last tile so far */
    const char *names[MOST_OPS]; /* of ops: while a trace lives, one name has one address */
    size_t n_ops, op;
    struct bytes ops, tiles;

    /* Under the lock. */
    uint64_t looked_until;
    struct bytes kept[MOST_KEPT]; /* the oldest first */
    uint64_t numbers[MOST_KEPT];
    size_t n_kept, n_bytes;
} lanes;

/* ---- a step becomes text ---- */

static void add_number(struct bytes *to, uint64_t x)
{
    char text[24], *at = text + sizeof text;

    *--at = ',';
    do
        *--at = (char)('0' + x % 10);
    while (x /= 10);
    bytes_add(to, at, (size_t)(text + sizeof text - at));
}

static void close_list(struct bytes *to)
{
    if (!to->failed && to->at[to->n - 1] == ',')
        to->n--;
    bytes_add(to, "]", 1);
}

static void add_op(const struct dg_traced_tile *t)
{
    if (lanes.n_ops == MOST_OPS) {
        lanes.odd = true;
        return;
    }
    bytes_print(&lanes.ops, "[\"%s\",\"%s\",%d],", t->op, t->type, t->layer);
    lanes.op = lanes.n_ops;
    lanes.names[lanes.n_ops++] = t->op;
}

/* A worker's tiles come in about the order of their ops: the search goes on where the last one ended. */
static void find_op(const struct dg_traced_tile *t)
{
    for (size_t i = 0; i < lanes.n_ops; i++) {
        const size_t at = (lanes.op + i) % lanes.n_ops;

        if (lanes.names[at] != t->op)
            continue;
        lanes.op = at;
        return;
    }
    add_op(t);
}

static void begin_told(const struct dg_traced_tile *t)
{
    lanes.told = true;
    lanes.number = t->step;
    lanes.rows = t->rows;
    lanes.worker = t->worker;
    lanes.worker_end = lanes.start;
}

/* A tile of the step; called when that is over. */
static void tell(void *arg, const struct dg_traced_tile *t)
{
    struct bytes *to = &lanes.tiles;

    (void)arg;
    if (!lanes.told)
        begin_told(t);
    if (t->step != lanes.number)
        lanes.odd = true;
    if (lanes.odd)
        return;
    if (t->worker != lanes.worker)
        lanes.worker_end = lanes.start;
    lanes.worker = t->worker;
    find_op(t);
    add_number(to, t->worker);
    add_number(to, lanes.op);
    add_number(to, t->tile);
    add_number(to, t->r0);
    add_number(to, t->r1);
    add_number(to, t->start - lanes.worker_end);
    add_number(to, t->end - t->start);
    lanes.worker_end = t->end;
    if (t->end > lanes.end)
        lanes.end = t->end;
}

/* ---- around an eval ---- */

static void stop(void)
{
    dg_trace_free(lanes.trace);
    lanes.trace = NULL;
    lanes.n_traced = 0;
}

static void drop_first(void)
{
    lanes.n_bytes -= lanes.kept[0].n;
    bytes_free(&lanes.kept[0]);
    lanes.n_kept--;
    memmove(&lanes.kept[0], &lanes.kept[1], lanes.n_kept * sizeof lanes.kept[0]);
    memmove(&lanes.numbers[0], &lanes.numbers[1], lanes.n_kept * sizeof lanes.numbers[0]);
}

/* Nobody looks: what is kept goes, too. */
static bool is_looked_at(struct server *s)
{
    bool looked;

    pthread_mutex_lock(&s->lock);
    looked = now_ns() < lanes.looked_until;
    while (!looked && lanes.n_kept > 0)
        drop_first();
    pthread_mutex_unlock(&s->lock);
    return looked;
}

void lanes_begin(struct server *s)
{
    const bool looked = is_looked_at(s);

    if (lanes.trace && (!looked || lanes.n_traced == RENEWED))
        stop();
    if (looked && !lanes.trace && dg_trace_new(&lanes.trace, s->team, MOST_EVENTS, NULL) == DG_OK)
        dg_trace_tell(lanes.trace, tell, NULL);
    lanes.told = lanes.odd = false;
    lanes.n_ops = lanes.op = 0;
    lanes.ops.n = lanes.tiles.n = 0;
    lanes.start = lanes.end = now_ns();
}

/* In a step the rows without logits come first, then those with, both part by part. */
static void add_texts(struct bytes *to, const struct dg_part *parts, struct text *const *owners,
                      size_t n_parts)
{
    for (int wanted = 0; wanted < 2; wanted++)
        for (size_t i = 0; i < n_parts; i++) {
            const size_t n = wanted ? parts[i].n_logits : parts[i].n - parts[i].n_logits;

            if (n == 0)
                continue;
            add_number(to, owners[i]->job->id);
            add_number(to, owners[i]->index);
            add_number(to, n);
        }
}

static struct bytes step_text(const struct server *s, uint64_t number, const struct dg_part *parts,
                              struct text *const *owners, size_t n_parts)
{
    struct bytes b = {0};

    bytes_print(&b, "{\"step\":%" PRIu64 ",\"start\":%" PRIu64 ",\"took\":%" PRIu64 ",\"rows\":%u,",
                number, lanes.start - s->opened, lanes.end - lanes.start, lanes.rows);
    bytes_print(&b, "\"texts\":[");
    add_texts(&b, parts, owners, n_parts);
    close_list(&b);
    bytes_print(&b, ",\"ops\":[");
    bytes_add(&b, lanes.ops.at, lanes.ops.n);
    close_list(&b);
    bytes_print(&b, ",\"tiles\":[");
    bytes_add(&b, lanes.tiles.at, lanes.tiles.n);
    close_list(&b);
    bytes_print(&b, "},");
    b.failed = b.failed || lanes.ops.failed || lanes.tiles.failed;
    return b;
}

static void keep(struct bytes *b, uint64_t number)
{
    while (lanes.n_kept > 0 && (lanes.n_kept == MOST_KEPT || lanes.n_bytes + b->n > MOST_BYTES))
        drop_first();
    lanes.kept[lanes.n_kept] = *b;
    lanes.numbers[lanes.n_kept++] = number;
    lanes.n_bytes += b->n;
}

void lanes_end(struct server *s, uint64_t number, const struct dg_part *parts,
               struct text *const *owners, size_t n_parts)
{
    struct bytes b;

    lanes.n_traced++;
    if (!lanes.told || lanes.odd)
        return;
    b = step_text(s, number, parts, owners, n_parts);
    pthread_mutex_lock(&s->lock);
    if (b.failed || b.n > MOST_BYTES)
        bytes_free(&b);
    else
        keep(&b, number);
    pthread_mutex_unlock(&s->lock);
    lanes.ops.failed = lanes.tiles.failed = false;
}

void lanes_close(void)
{
    stop();
    while (lanes.n_kept > 0)
        drop_first();
    bytes_free(&lanes.ops);
    bytes_free(&lanes.tiles);
}

/* ---- of those who look ---- */

void lanes_write(struct bytes *to, struct server *s, uint64_t after)
{
    lanes.looked_until = now_ns() + LOOKED_AT;
    bytes_print(to, "{\"since\":%" PRIu64 ",\"workers\":%u,\"steps\":[", s->opened,
                dg_team_awake(s->team));
    for (size_t i = 0; i < lanes.n_kept; i++)
        if (lanes.numbers[i] > after)
            bytes_add(to, lanes.kept[i].at, lanes.kept[i].n);
    close_list(to);
    bytes_print(to, "}\n");
}
