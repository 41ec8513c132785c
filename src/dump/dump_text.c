/* What a dump says in words. DOT and Mermaid take their lines from here. */
#include "dump_parts.h"
#include "../base/utf8.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

__attribute__((format(printf, 2, 3))) static void add_line(struct dg_lines *l, const char *format,
                                                           ...)
{
    va_list args;

    if (l->n == DG_MAX_LINES)
        return;
    va_start(args, format);
    vsnprintf(l->line[l->n++], DG_LINE_BYTES, format, args);
    va_end(args);
}

/* Appends; what does not fit is cut off. */
__attribute__((format(printf, 3, 4))) static void append(char *to, size_t size, const char *format,
                                                         ...)
{
    const size_t at = strlen(to);
    va_list args;

    va_start(args, format);
    vsnprintf(to + at, size - at, format, args);
    va_end(args);
}

struct text {
    char s[96];
};

/* "75.5 MFLOP": three digits and a decimal prefix. */
static struct text amount(double v, const char *unit)
{
    static const char *const prefixes[] = {"", "k", "M", "G", "T", "P"};
    struct text t;
    unsigned i = 0;

    for (; v >= 999.5 && i < 5; i++)
        v /= 1000;
    snprintf(t.s, sizeof t.s, "%.*f %s%s",
             i == 0 || v >= 99.95 ? 0
             : v >= 9.995         ? 1
                                  : 2,
             v, prefixes[i], unit);
    return t;
}

static struct text duration(double ns)
{
    struct text t;

    snprintf(t.s, sizeof t.s, "%.*f %s", ns < 1e4 || (ns >= 1e6 && ns < 1e7) ? 2 : 1,
             ns < 1e6 ? 1e-3 * ns : 1e-6 * ns, ns < 1e6 ? "µs" : "ms");
    return t;
}

static struct text shape(struct dg_box b)
{
    struct text t;

    snprintf(t.s, sizeof t.s, "%u × %u", b.r1 - b.r0, b.c1 - b.c0);
    return t;
}

/* The columns of a tile, as heads where they are whole ones. */
static struct text columns(const struct dg_op *op, const struct dg_tensor *t, struct dg_box b)
{
    const uint32_t size = op->heads > 0 && t->cols % op->heads == 0 ? t->cols / op->heads : 0;
    struct text s;

    if (size == 0 || b.c0 % size != 0 || b.c1 % size != 0)
        snprintf(s.s, sizeof s.s, "cols %u:%u", b.c0, b.c1);
    else if (b.c1 - b.c0 == size)
        snprintf(s.s, sizeof s.s, "head %u", b.c0 / size);
    else
        snprintf(s.s, sizeof s.s, "heads %u:%u", b.c0 / size, b.c1 / size);
    return s;
}

/* An op's type and what was fused into it. */
static struct text type_text(const struct dg_op *op)
{
    struct text t;

    snprintf(t.s, sizeof t.s, "%s%s%s%s", op->type->name, op->activation ? " + " : "",
             op->activation ? dg_activation_name(op->activation) : "",
             op->residual ? " + residual" : "");
    return t;
}

/* Workers as "0 2 3", or "none". */
static void workers_text(const uint64_t workers[DG_WORKER_WORDS], char *to, size_t size)
{
    to[0] = '\0';
    for (unsigned w = 0; w < DG_MAX_WORKERS; w++)
        if (workers[w / 64] >> w % 64 & 1)
            append(to, size, "%s%u", to[0] ? " " : "", w);
    if (!to[0])
        append(to, size, "none");
}

/* GB/s where there are few operations for each byte, else GFLOP/s. A product of T rows has about
 * T / 2 for each byte of its weight, so that the turn is at eight rows. */
static struct text rate(const struct dg_dump_node *n)
{
    const double flops = (double)n->cost.flops * n->times, bytes = (double)n->cost.bytes * n->times;

    return flops > 4 * bytes ? amount(flops / n->measured.ns * 1e9, "FLOP/s")
                             : amount(bytes / n->measured.ns * 1e9, "B/s");
}

static void add_measured(const struct dg_dump *d, const struct dg_dump_node *n, struct dg_lines *l)
{
    const struct dg_measure *m = &n->measured;
    char workers[DG_LINE_BYTES - 16];

    if (!m->known)
        return;
    if (d->options.show & DG_SHOW_COST) {
        add_line(l, "%s · %.1f %%", duration(m->ns).s, 100 * m->share);
        if (m->ns > 0)
            add_line(l, "%s a worker", rate(n).s);
    }
    if (d->options.show & DG_SHOW_WORKER) {
        workers_text(m->workers, workers, sizeof workers);
        add_line(l, "%s %s", strchr(workers, ' ') ? "workers" : "worker", workers);
    }
}

/* Matrices that the op reads and nobody writes. */
static void add_weights(const struct dg_op *op, struct dg_lines *l)
{
    const char *own = dg_short_name(op->name, op->layer);
    const size_t n = strlen(own);

    for (unsigned k = 0; k < op->n_in; k++) {
        const struct dg_tensor *t = op->in[k];
        const char *name = dg_short_name(t->name, op->layer);

        if (t->role != DG_WEIGHT || t->rows == 1)
            continue;
        if (strncmp(name, own, n) == 0 && name[n] == '.')
            name += n + 1;
        add_line(l, "%s %s", name, shape(dg_whole_box(t)).s);
    }
}

/* "fc: matmul + gelu", or the type alone where the name says no more. */
static struct text name_and_type(const struct dg_op *op)
{
    const char *name = dg_short_name(op->name, op->layer);
    struct text t = type_text(op);

    if (strcmp(name, t.s) != 0)
        snprintf(t.s, sizeof t.s, "%.40s: %.48s", name, type_text(op).s);
    return t;
}

static void op_label(const struct dg_dump *d, const struct dg_dump_node *n, struct dg_lines *l)
{
    add_line(l, "%s", name_and_type(n->op).s);
    if (d->options.show & DG_SHOW_SHAPE) {
        add_line(l, "%s%s", n->tensor->role == DG_CACHE ? "cache " : "", shape(n->box).s);
        add_weights(n->op, l);
    }
    if (d->options.show & DG_SHOW_COST)
        add_line(l, "%s · %s", amount((double)n->cost.flops, "FLOP").s,
                 amount((double)n->cost.bytes, "B").s);
}

static void tile_label(const struct dg_dump *d, const struct dg_dump_node *n, struct dg_lines *l)
{
    const struct dg_tensor *t = n->tensor;
    const bool all_rows = n->box.r1 - n->box.r0 == t->rows,
               all_cols = n->box.c1 - n->box.c0 == t->cols;

    if (!all_cols)
        add_line(l, "%s", columns(n->op, t, n->box).s);
    if (all_cols || (!all_rows && d->options.show & DG_SHOW_SHAPE))
        add_line(l, "rows %u:%u", n->box.r0, n->box.r1);
    if (d->options.show & DG_SHOW_COST && !n->measured.known) {
        add_line(l, "%s", amount((double)n->cost.flops, "FLOP").s);
        add_line(l, "%s", amount((double)n->cost.bytes, "B").s);
    }
    if (d->options.show & DG_SHOW_WORKER && !n->measured.known)
        add_line(l, "home %u", n->home);
}

void dg_node_label(const struct dg_dump *d, const struct dg_dump_node *n, struct dg_lines *l)
{
    l->n = 0;
    switch (n->kind) {
    case DG_NODE_INPUT:
        add_line(l, "%s", n->tensor->name);
        if (d->options.show & DG_SHOW_SHAPE)
            add_line(l, "%s %s", shape(n->box).s, dg_dtype_name(n->tensor->dtype));
        break;
    case DG_NODE_OP:
        op_label(d, n, l);
        break;
    case DG_NODE_TILE:
        tile_label(d, n, l);
        break;
    case DG_NODE_JOIN:
        add_line(l, "%s%u", n->op ? "" : "end ", n->waits);
        return;
    case DG_NODE_CUT:
        add_line(l, "… %s", n->op->name);
        break;
    }
    add_measured(d, n, l);
    if (d->options.show & DG_SHOW_DEPS)
        add_line(l, "waits for %u, leads to %u", n->waits, n->next);
}

static void add_inputs(const struct dg_dump_node *n, struct dg_lines *l)
{
    for (unsigned k = 0; k < n->op->n_in; k++) {
        const struct dg_tensor *t = n->op->in[k];
        struct dg_box b = dg_whole_box(t);

        if (n->kind == DG_NODE_TILE && t->role != DG_WEIGHT && t->role != DG_INPUT) {
            b = n->op->type->reads(n->op, k, n->box);
            add_line(l, "reads %s rows %u:%u columns %u:%u", t->name, b.r0, b.r1, b.c0, b.c1);
        } else {
            add_line(l, "reads %s %s", t->name, shape(b).s);
        }
    }
}

static void op_facts(const struct dg_dump *d, const struct dg_dump_node *n, struct dg_lines *l)
{
    add_line(l, "%s: %s", n->id, type_text(n->op).s);
    if (n->times > 1)
        add_line(l, "%u ops, of layers %d:%d; one of them:", n->times, n->op->layer,
                 n->op->layer + (int)n->times);
    if (n->kind == DG_NODE_TILE)
        add_line(l, "writes %s rows %u:%u columns %u:%u", n->tensor->name, n->box.r0, n->box.r1,
                 n->box.c0, n->box.c1);
    else
        add_line(l, "writes %s %s %s", n->tensor->name, shape(n->box).s,
                 dg_dtype_name(n->tensor->dtype));
    add_inputs(n, l);
    if (n->kind == DG_NODE_CUT)
        return;
    if (n->op->heads > 0)
        add_line(l, "%u heads; positions before the step: %u", n->op->heads, d->options.past);
    add_line(l, "%" PRIu64 " FLOP, %" PRIu64 " bytes", n->cost.flops, n->cost.bytes);
    if (n->kind == DG_NODE_TILE)
        add_line(l, "home: worker %u", n->home);
}

void dg_node_facts(const struct dg_dump *d, const struct dg_dump_node *n, struct dg_lines *l)
{
    const struct dg_measure *m = &n->measured;
    char workers[DG_LINE_BYTES - 16];

    l->n = 0;
    if (n->kind == DG_NODE_INPUT)
        add_line(l, "%s: input %s %s", n->id, shape(n->box).s, dg_dtype_name(n->tensor->dtype));
    else if (n->kind == DG_NODE_JOIN)
        add_line(l, "%s: join", n->id);
    else
        op_facts(d, n, l);
    if (n->kind == DG_NODE_CUT)
        add_line(l, "its layer is not drawn");
    add_line(l, "waits for %u, leads to %u", n->waits, n->next);
    if (!m->known)
        return;
    add_line(l, "took %s, %.1f %% of all; slack %s", duration(m->ns).s, 100 * m->share,
             duration(m->slack_ns).s);
    if (m->path_ns > 0)
        add_line(l, "%s on the critical path, %.1f %% of it", duration(m->path_ns).s,
                 100 * m->path_share);
    if (m->ns > 0)
        add_line(l, "%s, %s a worker",
                 amount((double)n->cost.bytes * n->times / m->ns * 1e9, "B/s").s,
                 amount((double)n->cost.flops * n->times / m->ns * 1e9, "FLOP/s").s);
    workers_text(m->workers, workers, sizeof workers);
    add_line(l, "ran on: %s", workers);
}

void dg_edge_facts(const struct dg_dump *d, const struct dg_dump_edge *e, struct dg_lines *l)
{
    l->n = 0;
    add_line(l, "%s to %s", d->nodes[e->from].id, d->nodes[e->to].id);
    if (!e->tensor)
        add_line(l, "the end of the step");
    else if (d->plan)
        add_line(l, "%s rows %u:%u columns %u:%u", e->tensor->name, e->box.r0, e->box.r1, e->box.c0,
                 e->box.c1);
    else
        add_line(l, "%s %s", e->tensor->name, shape(e->box).s);
    if (e->kind == DG_EDGE_LOOP)
        add_line(l, "from a layer to the next");
    if (e->kind == DG_EDGE_MESSAGE)
        add_line(l, "a message");
    if (e->times > 1)
        add_line(l, "stands for %u edges", e->times);
}

void dg_edge_label(const struct dg_dump *d, const struct dg_dump_edge *e, char *to, size_t size)
{
    const int cluster = d->nodes[e->from].cluster;
    const bool inside = cluster >= 0 && cluster == d->nodes[e->to].cluster;
    const unsigned wanted = d->plan ? DG_SHOW_DEPS : DG_SHOW_SHAPE;

    to[0] = '\0';
    if (!e->tensor || !(d->options.show & wanted))
        return;
    if (e->kind == DG_EDGE_LOOP)
        append(to, size, "next layer: ");
    append(to, size, "%s %s",
           inside ? dg_short_name(e->tensor->name, d->clusters[cluster].layer) : e->tensor->name,
           shape(e->box).s);
    if (e->kind == DG_EDGE_LOOP || d->nodes[e->from].kind == DG_NODE_CUT ||
        d->nodes[e->to].kind == DG_NODE_CUT)
        append(to, size, " × %u", e->times);
}

void dg_cluster_label(const struct dg_dump_cluster *c, char *to, size_t size)
{
    to[0] = '\0';
    if (c->rank >= 0)
        append(to, size, "rank %d", c->rank);
    else if (c->op)
        append(to, size, "%s %s, %u tile%s", name_and_type(c->op).s,
               shape(dg_whole_box(c->op->out)).s, c->tiles, c->tiles == 1 ? "" : "s");
    else if (c->times > 1)
        append(to, size, "block × %u: h%d to h%d", c->times, c->layer,
               c->layer + (int)c->times - 1);
    else
        append(to, size, "block h%d", c->layer);
}

void dg_title(const struct dg_dump *d, char *to, size_t size)
{
    const struct dg_dump_options *o = &d->options;
    const struct dg_plan *p = d->plan;

    to[0] = '\0';
    append(to, size, "a step of %u row%s after %u · %u ops%s", o->rows, o->rows == 1 ? "" : "s",
           o->past, d->graph->n_ops, o->fused ? ", fused" : "");
    if (p)
        append(to, size, " · %u tiles, %u joins, %" PRIu64 " edges · drawn: layers %u:%u of %u",
               p->n_tiles, p->n_joins, p->n_edges, o->first, o->last, d->layers);
    if (o->rank)
        append(to, size, " · %u ranks by %s", o->ranks, dg_placing_name(o->placing));
}

/* Bytes of the character at s; 0: none is there, or a control character, or what XML refuses. */
static size_t printable(const char *s, size_t n)
{
    uint32_t code;
    const size_t length = dg_utf8_decode(s, n, &code);

    if (length == 0 || dg_is_control(code))
        return 0;
    return code == 0xFFFE || code == 0xFFFF ? 0 : length;
}

void dg_put_text(FILE *to, const char *s, const char *(*escape)(char c))
{
    const char *const end = s + strlen(s);

    while (s < end) {
        const size_t n = printable(s, (size_t)(end - s));
        const char *other = n == 1 ? escape(*s) : NULL;

        if (n == 0) {
            const char *backslash = escape('\\');

            fprintf(to, "%sx%02x", backslash ? backslash : "\\", (unsigned char)*s++);
            continue;
        }
        if (other)
            fputs(other, to);
        else
            fwrite(s, 1, n, to);
        s += n;
    }
}

void dg_put_indent(FILE *to, int depth)
{
    fprintf(to, "%*s", 2 + 2 * depth, "");
}

static void put_list(FILE *to, const struct dg_dump *d, struct dg_dump_list list, int depth,
                     const struct dg_dump_syntax *syntax)
{
    for (uint32_t i = list.node; i != DG_NOBODY; i = d->nodes[i].after) {
        dg_put_indent(to, depth);
        syntax->node(to, d, &d->nodes[i]);
    }
    for (uint32_t i = list.cluster; i != DG_NOBODY; i = d->clusters[i].after) {
        syntax->begin(to, &d->clusters[i], depth);
        put_list(to, d, d->clusters[i].in, depth + 1, syntax);
        dg_put_indent(to, depth);
        fprintf(to, "%s\n", syntax->end);
    }
}

void dg_put_nodes(FILE *to, const struct dg_dump *d, const struct dg_dump_syntax *syntax)
{
    put_list(to, d, d->out, 0, syntax);
}
