/* A recorded step is written worker by worker: each event of the recorder is a tile and the gap before it,
 * which become slices without a hole between them. When a tile was ready, and by which other, the recorder
 * did not note; it follows from the ends of all tiles (dg_trace_arrivals()), so a step is gathered first.
 * The counters are sums over its changes, in order of time.
 *
 * Events are put together in the writer's own buffer, without printf(). */
#include "trace_write.h"
#include "../../src/base/json_write.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { COUNTER_GRAIN_NS = 1000 }; /* a counter is written at most once in that time */

/* One tile of the step at hand. */
struct ran {
    unsigned worker;
    uint32_t off;
    uint64_t start, end;
};

/* A change of the counters. */
struct change {
    uint64_t at;
    int ready, busy;
};

struct writer {
    FILE *to;
    char text[1 << 16]; /* [n_text], behind what `to` has been given */
    size_t n_text;
    const struct dg_trace *trace;
    bool all_edges, comma;
    const struct trace_facts *facts;
    uint64_t arrows; /* written so far: their ids */

    /* Of the step at hand. */
    const struct dg_trace_step *step;
    const struct dg_trace_plan *plan;
    struct ran *ran;        /* [n_tiles] */
    uint64_t *end, *ready;  /* [n_nodes] */
    uint32_t *last;         /* [n_nodes] */
    struct change *changes; /* room for two a tile and four an event */
    size_t n_changes;
};

/* ---- pieces of JSON ---- */

void trace_write_string(FILE *to, const char *text)
{
    dg_json_write_string(to, text, "<");
}

/* What is in the buffer goes to the file. */
static void pass_on(struct writer *w)
{
    fwrite(w->text, 1, w->n_text, w->to);
    w->n_text = 0;
}

/* Room for so many bytes, some dozens at the most. */
static inline char *room(struct writer *w, size_t n)
{
    if (n > sizeof w->text - w->n_text)
        pass_on(w);
    return w->text + w->n_text;
}

/* Inline, so that the length of a literal is a constant: these are most of what is written. */
static inline void put(struct writer *w, const char *text)
{
    const size_t n = strlen(text);

    memcpy(room(w, n), text, n);
    w->n_text += n;
}

/* A number, with so many digits at least, up to DIGITS. They are made from the end, two in a turn, and
 * copied with what lies behind them, so that the copy has a constant length. */
static void put_decimal(struct writer *w, uint64_t number, unsigned least)
{
    enum { DIGITS = 20 };
    static const char pairs[] = "0001020304050607080910111213141516171819"
                                "2021222324252627282930313233343536373839"
                                "4041424344454647484950515253545556575859"
                                "6061626364656667686970717273747576777879"
                                "8081828384858687888990919293949596979899";
    char digits[2 * DIGITS] = {0};
    unsigned at = DIGITS;

    for (; number > 9; number /= 100)
        memcpy(digits + (at -= 2), pairs + 2 * (number % 100), 2);
    if (number > 0)
        digits[--at] = (char)('0' + number);
    while (at > DIGITS - least)
        digits[--at] = '0';
    memcpy(room(w, DIGITS), digits + at, DIGITS);
    w->n_text += DIGITS - at;
}

/* `key` and that. */
static inline void put_digits(struct writer *w, const char *key, uint64_t number, unsigned least)
{
    put(w, key);
    put_decimal(w, number, least);
}

static inline void put_number(struct writer *w, const char *key, uint64_t number)
{
    put_digits(w, key, number, 1);
}

static inline void put_int(struct writer *w, const char *key, int number)
{
    put(w, key);
    put_number(w, number < 0 ? "-" : "", number < 0 ? -(uint64_t)number : (uint64_t)number);
}

static void put_string(struct writer *w, const char *text)
{
    pass_on(w);
    trace_write_string(w->to, text);
}

/* A name, most of which are letters, digits, blanks and dots. */
static void put_name(struct writer *w, const char *name)
{
    for (const char *c = name; *c; c++)
        if (!(*c == ' ' || *c == '.' || *c == '_' || (*c >= '0' && *c <= '9') ||
              (*c >= 'A' && *c <= 'Z') || (*c >= 'a' && *c <= 'z'))) {
            put_string(w, name);
            return;
        }
    put(w, "\"");
    put(w, name);
    put(w, "\"");
}

/* `key` and a length of time, or a moment, in microseconds. */
static inline void put_ns(struct writer *w, const char *key, uint64_t ns)
{
    put_number(w, key, ns / 1000);
    put_digits(w, ".", ns % 1000, 3);
}

static inline void put_time(struct writer *w, const char *key, uint64_t at)
{
    put_ns(w, key, at - w->trace->start);
}

/* Of a worker; 0 where there is one process. */
static unsigned rank_of(const struct writer *w, unsigned worker)
{
    unsigned rank = 0;

    while (rank + 1 < w->facts->n_ranks && worker >= w->facts->ranks[rank].workers)
        worker -= w->facts->ranks[rank++].workers;
    return rank;
}

/* Begins an event; the caller adds args and the closing brace. */
static void open_event(struct writer *w, const char *phase, unsigned worker)
{
    put(w, w->comma ? ",\n{\"ph\": \"" : "\n{\"ph\": \"");
    put(w, phase);
    put_number(w, "\", \"pid\": ", 1 + rank_of(w, worker));
    put_number(w, ", \"tid\": ", worker);
    w->comma = true;
}

/* A slice's length: less than a nanosecond short, so that start + length, in doubles, whatever they are
 * counted from, stays before the next slice of the lane, and of a tile or wait inside its step's. A
 * reader rounds to whole nanoseconds. */
static void put_length(struct writer *w, const char *kind, uint64_t ns)
{
    const uint64_t less = !strcmp(kind, "step") ? 1 : 3, tenths = ns ? 10 * ns - less : 0;

    put_number(w, ", \"dur\": ", tenths / 10000);
    put_digits(w, ".", tenths % 10000, 4);
}

static void open_slice(struct writer *w, const char *kind, const char *name, unsigned worker,
                       uint64_t start, uint64_t end)
{
    open_event(w, "X", worker);
    put(w, ", \"cat\": \"");
    put(w, kind);
    put(w, "\", \"name\": ");
    put_name(w, name);
    put_time(w, ", \"ts\": ", start);
    put_length(w, kind, end - start);
    put(w, ", \"args\": {");
}

/* ---- what stands beside the events ---- */

static void put_plan(const struct writer *w, const struct dg_trace_plan *p)
{
    FILE *to = w->to;

    fprintf(to, "{\"rows\": %u,\n \"ops\": [", p->rows);
    for (uint32_t i = 0; i < p->n_ops; i++) {
        const struct dg_trace_op *op = &p->ops[i];

        fprintf(to, "%s{\"name\": ", i ? ",\n  " : "");
        trace_write_string(to, op->name);
        fprintf(to, ", \"type\": \"%s\", %s\"layer\": %d, \"out\": ", op->type,
                op->loads ? "\"loads\": true, " : "", op->layer);
        trace_write_string(to, op->out);
        fprintf(to, ", \"rows\": %u, \"cols\": %u}", op->rows, op->cols);
    }
    fputs("],\n \"tiles\": [", to);
    for (uint32_t i = 0; i < p->n_tiles; i++) {
        const struct dg_tile *t = &p->tiles[i];

        fprintf(to, "%s[%u, %u, %u, %u, %u, %u]", i ? i % 8 ? ", " : ",\n  " : "", t->op, t->out.r0,
                t->out.r1, t->out.c0, t->out.c1, t->home);
    }
    fprintf(to, "],\n \"joins\": %u,\n \"next\": [", p->n_joins);
    for (uint32_t i = 0; i < p->n_nodes; i++) {
        fputs(i ? i % 8 ? ", [" : ",\n  [" : "[", to);
        for (uint32_t k = 0; k < p->nodes[i].n_next; k++)
            fprintf(to, "%s%u", k ? ", " : "", p->next[p->nodes[i].first + k]);
        putc(']', to);
    }
    fputs("]}", to);
}

static void put_steps(struct writer *w)
{
    for (size_t i = 0; i < w->trace->n_steps; i++) {
        const struct dg_trace_step *s = &w->trace->steps[i];

        put_number(w, i ? ",\n  {\"plan\": " : "{\"plan\": ", s->plan);
        put_number(w, ", \"past\": ", s->past);
        put_number(w, ", \"rows\": ", w->trace->plans[s->plan]->rows);
        put_time(w, ", \"start\": ", s->start);
        put_time(w, ", \"end\": ", s->end);
        put(w, "}");
    }
    pass_on(w);
}

static void put_ranks(FILE *to, const struct trace_facts *f)
{
    fputs(" \"ranks\": [", to);
    for (unsigned i = 0; i < f->n_ranks; i++) {
        fprintf(to, "%s{\"host\": ", i ? ",\n  " : "");
        trace_write_string(to, f->ranks[i].host);
        fprintf(to, ", \"workers\": %u, \"clock_error_ns\": %" PRIu64 "}", f->ranks[i].workers,
                f->ranks[i].clock_error_ns);
    }
    fputs("],\n", to);
}

static void put_facts(struct writer *w, const struct trace_facts *f, uint64_t overhead)
{
    FILE *to = w->to;

    fputs("{\"displayTimeUnit\": \"ns\",\n\"dagpt\": {\"version\": 2, \"program\": "
          "\"dagpt " DG_VERSION "\",\n \"command\": ",
          to);
    trace_write_string(to, f->command);
    fputs(",\n \"model\": {\"name\": ", to);
    trace_write_string(to, f->model);
    fprintf(to,
            ", \"positions\": %u, \"vocab\": %u, \"layers\": %u, \"heads\": %u, \"channels\": %u, "
            "\"weights\": \"%s\", \"cache\": \"%s\"},\n",
            f->sizes.positions, f->sizes.vocab, f->sizes.layers, f->sizes.heads, f->sizes.channels,
            f->weights, f->cache);
    fprintf(to, " \"machine\": {\"cpus\": %u, \"isa\": \"%s\", \"limits\": [", f->cpus, f->isa);
    for (unsigned i = 0; i < f->n_limits; i++)
        fprintf(to, "%s{\"workers\": %u, \"read_gbps\": %.4g, \"fma_gflops\": %.4g}", i ? ", " : "",
                f->limits[i].workers, f->limits[i].read_gbps, f->limits[i].fma_gflops);
    fprintf(to, "]},\n \"workers\": %u, \"awake\": %u, \"sched\": \"%s\",\n", f->workers,
            w->trace->workers, f->sched);
    if (f->n_ranks > 0)
        put_ranks(to, f);
    fprintf(to, " \"overhead_ns\": %" PRIu64 ", \"dropped\": %" PRIu64 ",\n \"plans\": [", overhead,
            w->trace->dropped);
    for (uint32_t i = 0; i < w->trace->n_plans; i++) {
        fputs(i ? ",\n " : "", to);
        put_plan(w, w->trace->plans[i]);
    }
    fputs("],\n \"steps\": [", to);
    put_steps(w);
    fputs("]},\n", to);
}

static void put_names(struct writer *w)
{
    for (unsigned i = 0; i < w->trace->workers; i++) {
        const unsigned rank = rank_of(w, i);

        if (i == 0 || rank != rank_of(w, i - 1)) {
            open_event(w, "M", i);
            put(w, ", \"name\": \"process_name\", \"args\": {\"name\": \"");
            put(w, w->facts->n_ranks ? "rank " : "dagpt");
            if (w->facts->n_ranks)
                put_number(w, "", rank);
            put(w, "\"}}");
        }
        open_event(w, "M", i);
        put_number(w, ", \"name\": \"thread_name\", \"args\": {\"name\": \"worker ", i);
        put(w, "\"}}");
        open_event(w, "M", i);
        put_number(w, ", \"name\": \"thread_sort_index\", \"args\": {\"sort_index\": ", i);
        put(w, "}}");
    }
}

/* ---- the events of a step ---- */

static unsigned step_index(const struct writer *w)
{
    return (unsigned)(w->step - w->trace->steps);
}

static const struct dg_trace_visit *visit_of(const struct writer *w, unsigned worker)
{
    return &w->trace->visits[step_index(w) * (size_t)w->trace->workers + worker];
}

static void change(struct writer *w, uint64_t at, int ready, int busy)
{
    w->changes[w->n_changes++] = (struct change){at, ready, busy};
}

/* Who ran each tile of the step and when; and, from that, when each was ready. */
static void gather(struct writer *w)
{
    for (unsigned i = 0; i < w->trace->workers; i++) {
        const struct dg_trace_visit *v = visit_of(w, i);
        const struct dg_trace_event *e = w->trace->lanes[i].events + v->first;

        for (const struct dg_trace_event *stop = e + v->n; e < stop; e++) {
            if (e->tile == DG_NO_TILE)
                continue;
            w->ran[e->tile] = (struct ran){i, e->tile_off, e->start, e->end};
            w->end[e->tile] = e->end;
        }
    }
    dg_trace_arrivals(w->plan, w->step->start, w->end, w->ready, w->last);
    for (uint32_t t = 0; t < w->plan->n_tiles; t++) /* clocks of ranks may be wrong by a little */
        if (w->ready[t] > w->ran[t].start)
            w->ready[t] = w->ran[t].start;
}

static void put_tile(struct writer *w, uint32_t t)
{
    const struct ran *ran = &w->ran[t];
    const struct dg_tile *tile = &w->plan->tiles[t];
    const struct dg_trace_op *op = &w->plan->ops[tile->op];
    const struct dg_cost cost = dg_trace_cost(w->plan, t, w->step->past);

    open_slice(w, "tile", op->name, ran->worker, ran->start, ran->end);
    put_number(w, "\"step\": ", step_index(w));
    put_number(w, ", \"tile\": ", t);
    put(w, ", \"type\": \"");
    put(w, op->type);
    put_int(w, "\", \"layer\": ", op->layer);
    put_number(w, ", \"box\": [", tile->out.r0);
    put_number(w, ", ", tile->out.r1);
    put_number(w, ", ", tile->out.c0);
    put_number(w, ", ", tile->out.c1);
    put_time(w, "], \"ready\": ", w->ready[t]);
    if (w->last[t] == DG_NO_TILE)
        put(w, ", \"last\": null");
    else
        put_number(w, ", \"last\": ", w->last[t]);
    put_number(w, ", \"bytes\": ", cost.bytes);
    put_number(w, ", \"flops\": ", cost.flops);
    if (ran->off)
        put_ns(w, ", \"preempted\": ", ran->off);
    put(w, "}}");
    change(w, w->ready[t], 1, 0);
    change(w, ran->start, -1, 0);
}

/* One part of a gap, unless it is empty. */
static void put_wait(struct writer *w, const char *name, unsigned worker, uint64_t start,
                     uint64_t end, uint64_t off)
{
    if (start == end)
        return;
    open_slice(w, "wait", name, worker, start, end);
    put_number(w, "\"step\": ", step_index(w));
    if (off)
        put_ns(w, ", \"preempted\": ", off < end - start ? off : end - start);
    put(w, "}}");
}

/* The gap that ends with event e. A CPU was lost in the longer of its parts. */
static void put_gap(struct writer *w, unsigned worker, uint64_t start,
                    const struct dg_trace_event *e)
{
    const uint64_t parks = e->park ? e->park : e->start, spins = e->spin ? e->spin : parks;
    const bool spinning = parks - spins > spins - start;

    put_wait(w, "queue", worker, start, spins, spinning ? 0 : e->gap_off);
    put_wait(w, "spinning", worker, spins, parks, spinning ? e->gap_off : 0);
    put_wait(w, "parked", worker, parks, e->start, e->wake_off);
    if (spins < e->start) {
        change(w, spins, 0, -1);
        change(w, e->start, 0, 1);
    }
}

static void put_worker(struct writer *w, unsigned worker)
{
    const struct dg_trace_visit *v = visit_of(w, worker);
    const struct dg_trace_event *e = w->trace->lanes[worker].events + v->first;
    uint64_t at = v->enter;
    char name[32] = "load";

    if (!w->plan->loads)
        snprintf(name, sizeof name, "step %u", step_index(w));
    open_slice(w, "step", name, worker, v->enter, v->leave);
    put_number(w, "\"step\": ", step_index(w));
    put_ns(w, ", \"cpu\": ", v->cpu_ns);
    put_number(w, ", \"preemptions\": ", v->preemptions);
    put(w, "}}");
    change(w, v->enter, 0, 1);
    for (const struct dg_trace_event *stop = e + v->n; e < stop; e++) {
        put_gap(w, worker, at, e);
        if (e->tile != DG_NO_TILE)
            put_tile(w, e->tile);
        at = e->end;
    }
    put_wait(w, "queue", worker, at, v->leave, 0);
    change(w, v->leave, 0, -1);
}

/* An end of an arrow, one nanosecond inside the slice where it is that long. */
static void put_arrow(struct writer *w, uint32_t from, uint32_t to)
{
    const struct ran *a = &w->ran[from], *b = &w->ran[to];

    open_event(w, "s", a->worker);
    put_time(w, ", \"ts\": ", a->end - (a->end > a->start));
    put_number(w, ", \"cat\": \"edge\", \"name\": \"edge\", \"id\": ", w->arrows);
    put(w, "}");
    open_event(w, "f", b->worker);
    put_time(w, ", \"ts\": ", b->start + (b->end > b->start));
    put_number(w, ", \"cat\": \"edge\", \"name\": \"edge\", \"bp\": \"e\", \"id\": ", w->arrows++);
    put(w, "}");
}

/* To every tile that waits for `tile`, from `node`: the tile itself, or a join behind it. */
static void put_arrows_from(struct writer *w, uint32_t tile, uint32_t node)
{
    const struct dg_node *n = &w->plan->nodes[node];

    for (uint32_t i = 0; i < n->n_next; i++) {
        const uint32_t to = w->plan->next[n->first + i];

        if (to < w->plan->n_tiles)
            put_arrow(w, tile, to);
        else
            put_arrows_from(w, tile, to); /* joins lead to tiles alone */
    }
}

static void put_arrows(struct writer *w)
{
    for (uint32_t t = 0; t < w->plan->n_tiles; t++) {
        if (w->all_edges)
            put_arrows_from(w, t, t);
        else if (w->last[t] != DG_NO_TILE)
            put_arrow(w, w->last[t], t);
    }
}

static int by_time(const void *a, const void *b)
{
    const struct change *x = a, *y = b;

    return (x->at > y->at) - (x->at < y->at);
}

static void put_counter(struct writer *w, uint64_t at, const char *name, const char *key, int value)
{
    open_event(w, "C", 0);
    put(w, ", \"name\": \"");
    put(w, name);
    put_time(w, "\", \"ts\": ", at);
    put(w, ", \"args\": {\"");
    put(w, key);
    put_int(w, "\": ", value);
    put(w, "}}");
}

static void put_counters(struct writer *w)
{
    struct change now = {0}, written = {0};

    qsort(w->changes, w->n_changes, sizeof *w->changes, by_time);
    for (size_t i = 0; i < w->n_changes; i++) {
        const struct change *c = &w->changes[i];
        const bool more = i + 1 < w->n_changes;

        now.ready += c->ready;
        now.busy += c->busy;
        if (more && c[1].at / COUNTER_GRAIN_NS == c->at / COUNTER_GRAIN_NS)
            continue;
        if (now.ready != written.ready)
            put_counter(w, c->at, "ready tiles", "tiles", now.ready);
        if (now.busy != written.busy)
            put_counter(w, c->at, "workers not waiting", "workers", now.busy);
        written = now;
    }
}

static bool put_step(struct writer *w, const struct dg_trace_step *step)
{
    size_t events = 0;
    bool ok = false;

    w->step = step;
    w->plan = w->trace->plans[step->plan];
    for (unsigned i = 0; i < w->trace->workers; i++)
        events += visit_of(w, i)->n + 1;
    w->n_changes = 0;
    w->ran = calloc(w->plan->n_tiles, sizeof *w->ran);
    w->end = calloc(w->plan->n_nodes, sizeof *w->end);
    w->ready = calloc(w->plan->n_nodes, sizeof *w->ready);
    w->last = calloc(w->plan->n_nodes, sizeof *w->last);
    w->changes = calloc(4 * events, sizeof *w->changes);
    if (w->ran && w->end && w->ready && w->last && w->changes) {
        gather(w);
        for (unsigned i = 0; i < w->trace->workers; i++)
            put_worker(w, i);
        put_arrows(w);
        put_counters(w);
        ok = true;
    }
    free(w->ran);
    free(w->end);
    free(w->ready);
    free(w->last);
    free(w->changes);
    return ok;
}

bool trace_write(FILE *to, struct dg_trace *trace, const struct trace_facts *facts,
                 void (*tell)(double done))
{
    struct writer w = {.to = to, .trace = trace, .facts = facts, .all_edges = facts->all_edges};

    put_facts(&w, facts, dg_trace_overhead(trace));
    fputs("\"traceEvents\": [", to);
    put_names(&w);
    for (size_t i = 0; i < trace->n_steps; i++) {
        if (!put_step(&w, &trace->steps[i]))
            return false;
        if (tell)
            tell((double)(i + 1) / (double)trace->n_steps);
    }
    put(&w, "\n]}\n");
    pass_on(&w);
    return true;
}
