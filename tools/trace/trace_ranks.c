/* A simulation by events: a worker ends a tile, or a message comes. Each rank's tiles that are ready wait in the order of
 * the plan, which is what keeps ranks from waiting for each other longest; which worker takes one makes no difference. */
#include "trace_ranks.h"
#include "trace_analysis.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what ops take ---- */

struct op_cost {
    char name[64];
    double ns, bytes, flops; /* of all its tiles */
    double tiles;
};

struct ranks_costs {
    const struct trace_file *t;
    struct limits was;
    struct replay_costs team;
    struct op_cost *ops; /* [n] */
    size_t n, room;
};

/* Not measured: time goes by bytes. */
static struct limits limits_among(const struct trace_file *t, unsigned workers)
{
    const struct limits none = {1, 1, 1e9};

    return t->n_limits > 0 ? trace_limits(t, workers) : none;
}

/* "h3.q@1": q. */
static void name_without(char *to, size_t size, const char *name)
{
    const char *dot = strchr(name, '.');

    if (name[0] == 'h' && dot && strspn(name + 1, "0123456789") == (size_t)(dot - name - 1))
        name = dot + 1;
    snprintf(to, size, "%.*s", (int)strcspn(name, "@"), name);
}

static struct op_cost *find_op(const struct ranks_costs *c, const char *name)
{
    char bare[64];

    name_without(bare, sizeof bare, name);
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->ops[i].name, bare) == 0)
            return &c->ops[i];
    return NULL;
}

static struct op_cost *add_op(struct ranks_costs *c, const char *name)
{
    struct op_cost *o = find_op(c, name);

    if (o || c->n == c->room)
        return o;
    o = &c->ops[c->n++];
    name_without(o->name, sizeof o->name, name);
    return o;
}

static uint32_t logits_of(const struct trace_plan *p)
{
    uint32_t rows = 0;

    for (uint32_t i = 0; i < p->n_ops; i++)
        if (strcmp(p->ops[i].type, "logits") == 0)
            rows = p->ops[i].rows;
    return rows;
}

static bool is_wanted(const struct trace_file *t, const struct trace_step *s, uint32_t rows,
                      uint32_t logits_rows)
{
    return trace_counts(t, s) && s->rows == rows && logits_of(trace_plan_of(t, s)) == logits_rows;
}

static void add_step(struct ranks_costs *c, const struct trace_step *s)
{
    const struct trace_plan *p = trace_plan_of(c->t, s);

    for (uint32_t i = 0; i < p->n_tiles; i++) {
        struct op_cost *o = add_op(c, trace_op_of(p, i)->name);

        if (!o)
            continue;
        o->ns += (double)trace_time_of(&s->runs[i]);
        o->bytes += (double)s->runs[i].bytes;
        o->flops += (double)s->runs[i].flops;
        o->tiles++;
    }
}

bool ranks_costs_new(struct ranks_costs **out, const struct trace_file *t, uint32_t rows,
                     uint32_t logits_rows)
{
    struct ranks_costs *c = calloc(1, sizeof *c);
    size_t n = 0;

    *out = NULL;
    for (size_t i = 0; i < t->n_plans; i++)
        n = t->plans[i].n_ops > n ? t->plans[i].n_ops : n;
    if (c)
        *c = (struct ranks_costs){.t = t, .was = limits_among(t, trace_at_work(t)), .room = n};
    if (!c || !(c->ops = calloc(n + 1, sizeof *c->ops)) || !replay_costs(&c->team, t)) {
        ranks_costs_free(c);
        return false;
    }
    for (size_t i = 0; i < t->n_steps; i++)
        if (is_wanted(t, &t->steps[i], rows, logits_rows))
            add_step(c, &t->steps[i]);
    for (size_t i = 0; i < c->n && t->n_limits > 0; i++) /* from caches: memory was no limit */
        if (c->ops[i].bytes * c->was.workers > c->ops[i].ns * c->was.read_gbps * TRACE_FROM_CACHE)
            c->ops[i].bytes = 0;
    *out = c;
    return true;
}

void ranks_costs_free(struct ranks_costs *c)
{
    if (c)
        free(c->ops);
    free(c);
}

/* ---- a heap: the least key first, of equals the least value ---- */

struct entry {
    uint64_t key;
    uint32_t value;
};

struct heap {
    struct entry *list; /* [n] of room */
    size_t n, room;
};

static bool is_before(struct entry a, struct entry b)
{
    return a.key != b.key ? a.key < b.key : a.value < b.value;
}

static bool push(struct heap *h, uint64_t key, uint32_t value)
{
    const struct entry e = {key, value};
    size_t i = h->n;

    if (h->n == h->room) {
        const size_t room = 2 * h->room + 64;
        struct entry *more = realloc(h->list, room * sizeof *more);

        if (!more)
            return false;
        h->list = more;
        h->room = room;
    }
    for (h->n++; i > 0 && is_before(e, h->list[(i - 1) / 2]); i = (i - 1) / 2)
        h->list[i] = h->list[(i - 1) / 2];
    h->list[i] = e;
    return true;
}

static struct entry pop(struct heap *h)
{
    const struct entry first = h->list[0], last = h->list[--h->n];
    size_t i = 0, child;

    while ((child = 2 * i + 1) < h->n) {
        child += child + 1 < h->n && is_before(h->list[child + 1], h->list[child]);
        if (!is_before(h->list[child], last))
            break;
        h->list[i] = h->list[child];
        i = child;
    }
    h->list[i] = last;
    return first;
}

/* ---- a step ---- */

struct rank {
    struct heap ready; /* tiles, in the plan's order */
    unsigned idle;     /* workers */
    uint64_t busy, link_free;
};

struct sim {
    const struct dg_whole *whole;
    const struct ranks_link *link;
    const struct replay_costs *team;
    struct rank *ranks;
    uint64_t *ns;    /* [n_tiles] */
    uint32_t *waits; /* [n_nodes] */
    uint32_t *stack; /* [n_nodes] that are done, and have not told so */
    bool *comes;     /* [n_tiles] a message, which has come */
    struct heap
        events; /* the end of a tile; or that a message has come, at the tile that receives it */
    uint64_t end, messages, bytes;
};

static const struct dg_op *op_of(const struct sim *s, uint32_t tile)
{
    return dg_tile_op(s->whole->plan, tile);
}

static struct rank *rank_of(const struct sim *s, uint32_t tile)
{
    return &s->ranks[s->whole->rank[s->whole->plan->tiles[tile].op]];
}

static bool start(struct sim *s, uint32_t tile, uint64_t now)
{
    const struct dg_op_type *type = op_of(s, tile)->type;

    if (type != &dg_op_send && type != &dg_op_receive)
        rank_of(s, tile)->busy += s->ns[tile];
    return push(&s->events, now + s->ns[tile], tile);
}

static bool become_ready(struct sim *s, uint32_t tile, uint64_t now)
{
    struct rank *r = rank_of(s, tile);

    if (r->idle == 0)
        return push(&r->ready, tile, tile);
    r->idle--;
    return start(s, tile, now + s->team->find);
}

/* The message that `tile` receives, from `from`, which has run. */
static bool send(struct sim *s, uint32_t from, uint32_t tile, uint64_t now)
{
    const struct dg_op *op = op_of(s, tile);
    const struct dg_box b = s->whole->plan->tiles[tile].out;
    const uint64_t bytes = (b.r1 - b.r0) * (uint64_t)dg_rows_run(op->out->dtype, b.c1 - b.c0);
    struct rank *r = rank_of(s, from);

    r->link_free = (r->link_free > now ? r->link_free : now) +
                   (uint64_t)((double)bytes / s->link->bytes_per_ns);
    s->messages++;
    s->bytes += bytes;
    return push(&s->events, r->link_free + (uint64_t)s->link->latency_ns, tile);
}

/* A tile is done: lowers the counts of what it leads to. */
static bool finish(struct sim *s, uint32_t tile, uint64_t now)
{
    const struct dg_plan *p = s->whole->plan;
    size_t n = 0;

    s->stack[n++] = tile;
    while (n > 0) {
        const struct dg_node *node = &p->nodes[s->stack[--n]];

        for (uint32_t i = 0; i < node->n_next; i++) {
            const uint32_t next = p->next[node->first + i];
            bool ok = true;

            if (--s->waits[next] > 0)
                continue;
            if (next >= p->n_tiles)
                s->stack[n++] = next;
            else
                ok = op_of(s, next)->type == &dg_op_receive ? send(s, tile, next, now)
                                                            : become_ready(s, next, now);
            if (!ok)
                return false;
        }
    }
    return true;
}

static bool end_tile(struct sim *s, uint32_t tile, uint64_t now)
{
    struct rank *r = rank_of(s, tile);

    s->end = now;
    if (!finish(s, tile, now))
        return false;
    if (r->ready.n > 0)
        return start(s, pop(&r->ready).value, now + s->team->handoff);
    r->idle++;
    return true;
}

static bool run(struct sim *s)
{
    const struct dg_plan *p = s->whole->plan;
    bool ok = true;

    for (uint32_t i = 0; i < p->n_nodes; i++)
        s->waits[i] = p->nodes[i].waits;
    for (uint32_t i = 0; i < p->n_tiles && ok; i++)
        if (s->waits[i] == 0)
            ok = become_ready(s, i, 0);
    while (ok && s->events.n > 0) {
        const struct entry e = pop(&s->events);

        if (op_of(s, e.value)->type == &dg_op_receive && !s->comes[e.value]) {
            s->comes[e.value] = true;
            ok = become_ready(s, e.value, e.key);
        } else {
            ok = end_tile(s, e.value, e.key);
        }
    }
    return ok;
}

/* ---- what its tiles take ---- */

static double least(double bytes, double flops, const struct limits *l)
{
    return fmax(bytes * l->workers / l->read_gbps, flops * l->workers / l->fma_gflops);
}

/* How many messages a tile sends. */
static uint32_t count_sent(const struct dg_plan *p, uint32_t tile)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < p->nodes[tile].n_next; i++) {
        const uint32_t next = p->next[p->nodes[tile].first + i];

        n += next < p->n_tiles && dg_tile_op(p, next)->type == &dg_op_receive;
    }
    return n;
}

static double time_tile(const struct sim *s, const struct ranks_costs *c, uint32_t tile,
                        uint32_t past, const struct limits *is)
{
    const struct dg_op *op = op_of(s, tile);
    const struct op_cost *o = find_op(c, op->name);
    struct dg_cost cost;
    double was;

    if (op->type == &dg_op_receive)
        return s->link->message_ns;
    if (op->type == &dg_op_send)
        return s->link->message_ns * count_sent(s->whole->plan, tile);
    if (!o)
        return 0;
    cost = dg_tile_cost(s->whole->plan, tile, past);
    was = least(o->bytes, o->flops, &c->was);
    if (was <= 0)
        return o->ns / o->tiles;
    return o->ns / was * least(o->bytes > 0 ? (double)cost.bytes : 0, (double)cost.flops, is);
}

bool ranks_replay(struct ranks_time *out, const struct dg_whole *whole, uint32_t ranks,
                  uint32_t past, const struct ranks_costs *costs, unsigned workers,
                  unsigned sharing, const struct ranks_link *link)
{
    const struct dg_plan *p = whole->plan;
    const struct limits is = limits_among(costs->t, workers * sharing);
    struct sim s = {.whole = whole, .link = link, .team = &costs->team};
    bool ok;

    s.ranks = calloc(ranks, sizeof *s.ranks);
    s.ns = calloc(p->n_tiles, sizeof *s.ns);
    s.waits = calloc(p->n_nodes, sizeof *s.waits);
    s.stack = calloc(p->n_nodes, sizeof *s.stack);
    s.comes = calloc(p->n_tiles, sizeof *s.comes);
    ok = s.ranks && s.ns && s.waits && s.stack && s.comes;
    for (uint32_t r = 0; r < ranks && ok; r++)
        s.ranks[r].idle = workers;
    for (uint32_t i = 0; i < p->n_tiles && ok; i++)
        s.ns[i] = (uint64_t)time_tile(&s, costs, i, past, &is);
    ok = ok && run(&s);
    *out = (struct ranks_time){.messages = s.messages, .bytes = s.bytes};
    out->ns = s.end + costs->team.leave + (ranks > 1 ? 2 * (uint64_t)link->latency_ns : 0);
    for (uint32_t r = 0; r < ranks && s.ranks; r++) {
        out->busy = s.ranks[r].busy / workers > out->busy ? s.ranks[r].busy / workers : out->busy;
        free(s.ranks[r].ready.list);
    }
    free(s.ranks);
    free(s.ns);
    free(s.waits);
    free(s.stack);
    free(s.comes);
    free(s.events.list);
    return ok;
}
