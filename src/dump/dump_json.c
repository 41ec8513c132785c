/* JSON: a node, edge or cluster a line. docs/formats/graph-json.md is the schema. */
#include "dump_parts.h"
#include "../base/json_write.h"

#include <inttypes.h>
#include <math.h>

/* , "key": "value", or null */
static void put_member(FILE *to, const char *key, const char *s)
{
    fprintf(to, ", \"%s\": ", key);
    if (s)
        dg_json_write_string(to, s, "");
    else
        fputs("null", to);
}

static const char *boolean(bool b)
{
    return b ? "true" : "false";
}

static void put_box(FILE *to, const char *key, struct dg_box b)
{
    fprintf(to, ", \"%s\": [%u, %u, %u, %u]", key, b.r0, b.r1, b.c0, b.c1);
}

/* , "tensor": its name, and its shape; null: it is of no tensor */
static void put_tensor(FILE *to, const struct dg_tensor *t)
{
    static const char *const roles[] = {"input", "weight", "cache", "activation", "output"};

    put_member(to, "tensor", t ? t->name : NULL);
    if (t)
        fprintf(to, ", \"role\": \"%s\", \"dtype\": \"%s\", \"rows\": %u, \"cols\": %u",
                roles[t->role], dg_dtype_name(t->dtype), t->rows, t->cols);
}

/* What the op, or the tile, reads. Weights and inputs are read whole. */
static void put_reads(FILE *to, const struct dg_dump_node *n)
{
    fputs(", \"reads\": [", to);
    for (unsigned k = 0; k < n->op->n_in; k++) {
        const struct dg_tensor *t = n->op->in[k];
        const bool whole = n->kind != DG_NODE_TILE || t->role == DG_WEIGHT || t->role == DG_INPUT;

        fprintf(to, "%s{\"input\": %u", k ? ", " : "", k);
        put_tensor(to, t);
        put_box(to, "box", whole ? dg_whole_box(t) : n->op->type->reads(n->op, k, n->box));
        fputc('}', to);
    }
    fputc(']', to);
}

/* Nanoseconds, without a fraction. */
static struct dg_json_number whole(double ns)
{
    return dg_json_real(round(ns), 17);
}

static void put_measured(FILE *to, const struct dg_measure *m)
{
    bool first = true;

    if (!m->known) {
        fputs(", \"measured\": null", to);
        return;
    }
    fprintf(to,
            ", \"measured\": {\"ns\": %s, \"share\": %s, \"slack_ns\": %s, \"path_ns\": %s, "
            "\"workers\": [",
            whole(m->ns).text, dg_json_real(m->share, 6).text, whole(m->slack_ns).text,
            whole(m->path_ns).text);
    for (unsigned w = 0; w < DG_MAX_WORKERS; w++) {
        if (m->workers[w / 64] >> w % 64 & 1) {
            fprintf(to, "%s%u", first ? "" : ", ", w);
            first = false;
        }
    }
    fputs("]}", to);
}

static void put_node(FILE *to, const struct dg_dump *d, const struct dg_dump_node *n)
{
    static const char *const kinds[] = {"input", "op", "tile", "join", "cut"};
    const bool computes = n->kind == DG_NODE_OP || n->kind == DG_NODE_TILE;

    fputs("{\"id\": ", to);
    dg_json_write_string(to, n->id, "");
    fprintf(to, ", \"kind\": \"%s\", \"index\": %u", kinds[n->kind], n->index);
    put_member(to, "cluster", n->cluster < 0 ? NULL : d->clusters[n->cluster].id);
    put_member(to, "op", n->op ? n->op->name : NULL);
    if (n->op)
        fprintf(to,
                ", \"type\": \"%s\", \"gelu\": %s, \"residual\": %s, \"heads\": %u, "
                "\"layer\": %d, \"times\": %u",
                n->op->type->name, boolean(n->op->activation == DG_GELU), boolean(n->op->residual),
                n->op->heads, n->op->layer, n->times);
    put_tensor(to, n->tensor);
    if (n->tensor)
        put_box(to, "box", n->box);
    fprintf(to, ", \"waits\": %u, \"leads\": %u", n->waits, n->next);
    if (computes) {
        put_reads(to, n);
        fprintf(to, ", \"flops\": %" PRIu64 ", \"bytes\": %" PRIu64, n->cost.flops, n->cost.bytes);
        if (n->kind == DG_NODE_TILE)
            fprintf(to, ", \"home\": %u", n->home);
        put_measured(to, &n->measured);
    }
    fputc('}', to);
}

static void put_edge(FILE *to, const struct dg_dump *d, const struct dg_dump_edge *e)
{
    static const char *const kinds[] = {"data", "around", "loop", "message"};

    fputs("{\"from\": ", to);
    dg_json_write_string(to, d->nodes[e->from].id, "");
    put_member(to, "to", d->nodes[e->to].id);
    fprintf(to, ", \"kind\": \"%s\"", kinds[e->kind]);
    put_member(to, "tensor", e->tensor ? e->tensor->name : NULL);
    if (e->tensor)
        put_box(to, "box", e->box);
    fprintf(to, ", \"times\": %u, \"critical\": %s}", e->times, boolean(e->critical));
}

static void put_cluster(FILE *to, const struct dg_dump *d, const struct dg_dump_cluster *c)
{
    fputs("{\"id\": ", to);
    dg_json_write_string(to, c->id, "");
    put_member(to, "parent", c->parent < 0 ? NULL : d->clusters[c->parent].id);
    put_member(to, "op", c->op ? c->op->name : NULL);
    fprintf(to, ", \"layer\": %d, \"times\": %u, \"tiles\": %u", c->layer, c->times, c->tiles);
    if (c->rank >= 0)
        fprintf(to, ", \"rank\": %d", c->rank);
    fputc('}', to);
}

void dg_dump_json(const struct dg_dump *d, FILE *to)
{
    const struct dg_dump_options *o = &d->options;

    fputs("{\"format\": \"dagpt-graph\", \"version\": 1", to);
    put_member(to, "model", o->model);
    put_member(to, "note", o->note);
    fprintf(to,
            ",\n \"rows\": %u, \"past\": %u, \"fused\": %s, \"level\": \"%s\", \"layers\": %u, "
            "\"unfolded\": [%u, %u],\n \"graph\": {\"ops\": %u, \"tensors\": %u},\n \"plan\": ",
            o->rows, o->past, boolean(o->fused), d->plan ? "tiles" : "ops", d->layers, o->first,
            o->last, d->graph->n_ops, d->graph->n_tensors);
    if (d->plan)
        fprintf(to,
                "{\"workers\": %u, \"tiles\": %u, \"joins\": %u, \"edges\": %" PRIu64
                ", \"arena_bytes\": %" PRIu64 "}",
                d->plan->tiling.workers, d->plan->n_tiles, d->plan->n_joins, d->plan->n_edges,
                d->plan->arena_bytes);
    else
        fputs("null", to);
    if (o->rank)
        fprintf(to, ",\n \"ranks\": {\"number\": %u, \"place\": \"%s\"}", o->ranks,
                dg_placing_name(o->placing));
    fputs(",\n \"measured\": ", to);
    if (d->measured)
        fprintf(to, "{\"most_ns\": %s, \"span_ns\": %s}", whole(d->most_ns).text,
                whole(d->span_ns).text);
    else
        fputs("null", to);
    fputs(",\n \"clusters\": [", to);
    for (uint32_t i = 0; i < d->n_clusters; i++) {
        fputs(i ? ",\n  " : "\n  ", to);
        put_cluster(to, d, &d->clusters[i]);
    }
    fputs("],\n \"nodes\": [", to);
    for (uint32_t i = 0; i < d->n_nodes; i++) {
        fputs(i ? ",\n  " : "\n  ", to);
        put_node(to, d, &d->nodes[i]);
    }
    fputs("],\n \"edges\": [", to);
    for (uint32_t i = 0; i < d->n_edges; i++) {
        fputs(i ? ",\n  " : "\n  ", to);
        put_edge(to, d, &d->edges[i]);
    }
    fputs("]}\n", to);
}
