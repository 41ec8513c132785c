/* The picture: on the left the roofline, speed over operations a byte, both logarithmic, with a roof for
 * each number of workers and a point for each workload; on the right speed-up over workers, both
 * logarithmic, too. The roofs are medians of the probes that stood beside all points: where the machine
 * changed meanwhile, a point may lie above its roof. */
#include "bench.h"

#include <math.h>
#include <stdlib.h>

static const char *const colours[] = {"#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#8c564b",
                                      "#e377c2", "#7f7f7f", "#bcbd22", "#17becf"};

/* A rectangle of the picture, and what its sides stand for: x from x0 to x1, y from y0 to y1. */
struct panel {
    double left, top, width, height;
    double x0, x1, y0, y1;
};

static double at_x(const struct panel *p, double x)
{
    return p->left + p->width * (x - p->x0) / (p->x1 - p->x0);
}

static double at_y(const struct panel *p, double y)
{
    return p->top + p->height * (1 - (y - p->y0) / (p->y1 - p->y0));
}

static void text(FILE *to, double x, double y, const char *anchor, const char *s)
{
    fprintf(to, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
    for (; *s; s++) {
        if (*s == '<' || *s == '>' || *s == '&')
            fprintf(to, "&#%d;", *s);
        else
            fputc((unsigned char)*s < 0x20 ? '?' : *s, to);
    }
    fprintf(to, "</text>\n");
}

/* A line between two points of a panel. */
static void line(FILE *to, const struct panel *p, double xa, double ya, double xb, double yb,
                 const char *style)
{
    fprintf(to, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" %s/>\n", at_x(p, xa),
            at_y(p, ya), at_x(p, xb), at_y(p, yb), style);
}

static void frame(FILE *to, const struct panel *p, const char *title, const char *x, const char *y)
{
    fprintf(to,
            "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"none\" "
            "stroke=\"#888\"/>\n<g font-weight=\"bold\">",
            p->left, p->top, p->width, p->height);
    text(to, p->left, p->top - 12, "start", title);
    fprintf(to, "</g>\n");
    text(to, p->left + p->width / 2, p->top + p->height + 40, "middle", x);
    fprintf(to, "<g transform=\"translate(%.1f %.1f) rotate(-90)\">", p->left - 48,
            p->top + p->height / 2);
    text(to, 0, 0, "middle", y);
    fprintf(to, "</g>\n");
}

/* Names of the lines, in the panel's upper left corner. */
static void legend(FILE *to, const struct panel *p, unsigned row, const char *style,
                   const char *name)
{
    const double x = p->left + 12, y = p->top + 20 + 18 * row;

    fprintf(to, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" %s/>\n", x, y - 4, x + 24,
            y - 4, style);
    text(to, x + 32, y, "start", name);
}

/* ---- roofline ---- */

static struct limits roof_of(const struct bench_report *r, unsigned crew)
{
    return r->brackets[crew].workers ? r->brackets[crew] : r->limits[crew];
}

/* A workload on the roofline: GFLOP/s over operations a byte. */
struct point {
    double x, y;
    unsigned crew;
    uint32_t tokens; /* of a prompt; 0: decode */
};

static unsigned add_point(struct point *list, unsigned n, const struct bench_stat *s, unsigned crew,
                          uint32_t tokens)
{
    if (s->taken == 0)
        return n;
    list[n] = (struct point){s->flops / s->bytes, 1e-6 * s->flops / s->ms, crew, tokens};
    return n + 1;
}

/* Of a workload that was measured in two sections with the same crew, one point. */
static unsigned collect_points(const struct bench_report *r, struct point *list)
{
    const unsigned top = r->n_crews - 1;
    unsigned n = 0;

    for (unsigned i = 0; r->has_workers && i < r->n_crews; i++) {
        n = add_point(list, n, &r->scaling[i][0], i, 0);
        if (i < top || r->n_prompts == 0)
            n = add_point(list, n, &r->scaling[i][1], i, r->workers_tokens);
    }
    if (!r->has_workers)
        n = add_point(list, n, &r->decode, top, 0);
    for (unsigned i = 0; i < r->n_prompts; i++)
        n = add_point(list, n, &r->prompts[i], top, r->tokens[i]);
    return n;
}

static void widen(double *low, double *high, double value)
{
    *low = fmin(*low, floor(log10(value)));
    *high = fmax(*high, ceil(log10(value)));
}

static void grid(FILE *to, const struct panel *p)
{
    char label[32];

    for (double x = p->x0; x <= p->x1; x++) {
        line(to, p, x, p->y0, x, p->y1, "stroke=\"#ddd\"");
        snprintf(label, sizeof label, "%g", pow(10, x));
        text(to, at_x(p, x), p->top + p->height + 18, "middle", label);
    }
    for (double y = ceil(p->y0); y <= p->y1; y++) {
        line(to, p, p->x0, y, p->x1, y, "stroke=\"#ddd\"");
        snprintf(label, sizeof label, "%g", pow(10, y));
        text(to, p->left - 6, at_y(p, y) + 4, "end", label);
    }
}

static void roof(FILE *to, const struct panel *p, const struct bench_report *r, unsigned crew)
{
    const struct limits l = roof_of(r, crew);
    const double ridge = log10(l.fma_gflops / l.read_gbps), peak = log10(l.fma_gflops);
    const double slope = log10(l.read_gbps); /* y = x + slope */
    const double from = fmax(p->x0, p->y0 - slope);
    char style[80], name[80];

    snprintf(style, sizeof style, "stroke=\"%s\" stroke-width=\"2\"", colours[crew]);
    if (ridge > from)
        line(to, p, from, from + slope, ridge, peak, style);
    line(to, p, fmax(ridge, p->x0), peak, p->x1, peak, style);
    snprintf(name, sizeof name, "%u worker%s: %.0f GB/s, %.0f GFLOP/s", l.workers,
             l.workers == 1 ? "" : "s", l.read_gbps, l.fma_gflops);
    legend(to, p, crew, style, name);
}

static void draw_point(FILE *to, const struct panel *p, const struct point *point, bool named)
{
    const double x = at_x(p, log10(point->x)), y = at_y(p, log10(point->y));
    char name[16] = "decode";

    fprintf(to, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\"/>\n", x, y,
            colours[point->crew]);
    if (point->tokens)
        snprintf(name, sizeof name, "%u", point->tokens);
    if (!named) /* it stands above or below one that is */
        return;
    fprintf(to, "<g stroke=\"white\" stroke-width=\"3\" paint-order=\"stroke\">");
    text(to, x, y + 20, "middle", name);
    fprintf(to, "</g>\n");
}

static void draw_roofline(FILE *to, const struct bench_report *r)
{
    struct panel p = {70, 70, 560, 400, 0, 2, 1, 2};
    struct point points[2 * BENCH_CREWS + BENCH_PROMPTS + 1];
    const unsigned n = collect_points(r, points);

    for (unsigned i = 0; i < r->n_crews; i++) {
        const struct limits l = roof_of(r, i);

        widen(&p.y0, &p.y1, l.fma_gflops);
        widen(&p.x0, &p.x1, l.fma_gflops / l.read_gbps);
    }
    for (unsigned i = 0; i < n; i++) {
        widen(&p.x0, &p.x1, points[i].x);
        widen(&p.y0, &p.y1, points[i].y);
    }
    p.y0 -= 0.2;                     /* for names below points */
    p.y1 += 0.2 + 0.12 * r->n_crews; /* for the legend */
    frame(to, &p, "Roofline: decode, and prompts of so many tokens, below what the machine allows",
          "operations a byte of weights and cache", "GFLOP/s");
    grid(to, &p);
    for (unsigned i = 0; i < r->n_crews; i++)
        roof(to, &p, r, i);
    for (unsigned i = 0; i < n; i++)
        draw_point(to, &p, &points[i], points[i].crew == r->n_crews - 1);
}

/* ---- scaling ---- */

struct curve {
    const char *name;
    double value[BENCH_CREWS];
    const char *style;
};

static void draw_curve(FILE *to, const struct panel *p, const struct bench_report *r, unsigned row,
                       const struct curve *c)
{
    for (unsigned i = 1; i < r->n_crews; i++)
        line(to, p, log2(r->limits[i - 1].workers), log2(c->value[i - 1]),
             log2(r->limits[i].workers), log2(c->value[i]), c->style);
    for (unsigned i = 0; i < r->n_crews; i++)
        fprintf(to, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" %s/>\n",
                at_x(p, log2(r->limits[i].workers)), at_y(p, log2(c->value[i])), c->style);
    legend(to, p, row, c->style, c->name);
}

static void scaling_axes(FILE *to, const struct panel *p, const struct bench_report *r)
{
    char label[32];

    frame(to, p, "Scaling: speed-up over one worker", "workers", "speed-up");
    for (unsigned i = 0; i < r->n_crews; i++) {
        const double x = log2(r->limits[i].workers);

        line(to, p, x, p->y0, x, p->y1, "stroke=\"#ddd\"");
        snprintf(label, sizeof label, "%u", r->limits[i].workers);
        text(to, at_x(p, x), p->top + p->height + 18, "middle", label);
    }
    for (double y = p->y0; y <= p->y1; y++) {
        line(to, p, p->x0, y, p->x1, y, "stroke=\"#ddd\"");
        snprintf(label, sizeof label, "%g", exp2(y));
        text(to, p->left - 6, at_y(p, y) + 4, "end", label);
    }
}

static void draw_scaling(FILE *to, const struct bench_report *r)
{
    const double most = log2(r->limits[r->n_crews - 1].workers);
    struct panel p = {720, 70, 330, 400, -0.5, most + 0.5, -1, most + 1};
    char prompt[32];
    enum { N_CURVES = 5 };
    struct curve curves[N_CURVES] = {
        {"as many times as workers", {0}, "stroke=\"#bbb\" fill=\"#bbb\" stroke-dasharray=\"2 3\""},
        {"read bandwidth", {0}, "stroke=\"#888\" fill=\"#888\" stroke-dasharray=\"7 4\""},
        {"FMA peak", {0}, "stroke=\"#444\" fill=\"#444\" stroke-dasharray=\"3 3\""},
        {"decode", {0}, "stroke=\"#1f77b4\" fill=\"#1f77b4\" stroke-width=\"2\""},
        {prompt, {0}, "stroke=\"#d62728\" fill=\"#d62728\" stroke-width=\"2\""},
    };

    snprintf(prompt, sizeof prompt, "prompt of %u", r->workers_tokens);
    for (unsigned i = 0; i < r->n_crews; i++) {
        const struct limits l = r->beside[i], one = r->beside[0];

        curves[0].value[i] = l.workers;
        curves[1].value[i] = l.read_gbps / one.read_gbps;
        curves[2].value[i] = l.fma_gflops / one.fma_gflops;
        curves[3].value[i] = r->scaling[i][0].speedup;
        curves[4].value[i] = r->scaling[i][1].speedup;
        for (unsigned c = 0; c < N_CURVES; c++)
            p.y0 = fmin(p.y0, floor(log2(curves[c].value[i])));
    }
    scaling_axes(to, &p, r);
    for (unsigned c = 0; c < N_CURVES; c++)
        draw_curve(to, &p, r, c, &curves[c]);
}

void bench_write_svg(const struct bench_report *r, FILE *to)
{
    const int width = r->has_workers ? 1080 : 670;
    char title[512];

    fprintf(to,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"530\" "
            "viewBox=\"0 0 %d 530\" font-family=\"sans-serif\" font-size=\"12\">\n"
            "<rect width=\"%d\" height=\"530\" fill=\"white\"/>\n",
            width, width, width);
    snprintf(title, sizeof title, "dagpt bench: %s; %s, %u usable CPU%s, schedule %s", r->path,
             dg_isa_name(r->isa), r->cpus, r->cpus == 1 ? "" : "s", dg_sched_name(r->sched));
    text(to, 20, 26, "start", title);
    draw_roofline(to, r);
    if (r->has_workers)
        draw_scaling(to, r);
    fprintf(to, "</svg>\n");
}
