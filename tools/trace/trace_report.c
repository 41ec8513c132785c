/* Text and JSON stand side by side, a print_ and a json_ function for each section of a report: text rounds
 * to what a reader can compare, JSON keeps ns. All figures come from trace_analysis.c. */
#include "trace_report.h"
#include "trace_write.h"
#include "../../src/base/utf8.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double ms(uint64_t ns)
{
    return 1e-6 * (double)ns;
}

static double us(uint64_t ns)
{
    return 1e-3 * (double)ns;
}

static double ratio(double a, double b)
{
    return b > 0 ? a / b : 0;
}

static double percent(uint64_t part, uint64_t all)
{
    return 100 * ratio((double)part, (double)all);
}

/* ---- texts of the file, which may hold anything ---- */

/* What a terminal would take for a command, or not show: controls, and what changes direction or has no width. */
static bool is_hidden(uint32_t c)
{
    return dg_is_control(c) || c == 0x61c || (c >= 0x200b && c <= 0x200f) ||
           (c >= 0x202a && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

/* The first n bytes as text that shows what it is; how many characters that were. */
static int print_bytes(const char *text, size_t n)
{
    int shown = 0;

    for (size_t i = 0, length; i < n; i += length) {
        uint32_t code = 0xfffd;

        length = dg_utf8_decode(text + i, n - i, &code);
        if (length > 0 && !is_hidden(code)) {
            fwrite(text + i, 1, length, stdout);
            shown++;
        } else {
            shown += printf("\\u%04x", (unsigned)code);
            length = length > 0 ? length : 1;
        }
    }
    return shown;
}

static void print_text(const char *before, const char *text)
{
    fputs(before, stdout);
    print_bytes(text, strlen(text));
}

/* In a column of so many characters, or more. */
static void print_cell(const char *text, int width)
{
    const int shown = print_bytes(text, strlen(text));

    printf("%*s", shown < width ? width - shown : 0, "");
}

enum { COMMAND_BYTES = 400 };

/* A command line may have thousands of ids, or a whole prompt: its first words, and how much more there is. */
static void print_command(const char *text)
{
    const size_t n = strlen(text);
    size_t cut = n, words = 0;

    if (n > COMMAND_BYTES) {
        for (cut = COMMAND_BYTES; cut > 0 && text[cut] != ' ';)
            cut--;
        cut = cut > 0 ? cut : COMMAND_BYTES;
    }
    for (size_t i = cut; i < n; i++)
        words += text[i] == ' ';
    print_bytes(text, cut);
    if (cut < n)
        printf(" ... and %zu words more (--json has all)", words > 0 ? words : 1);
    putchar('\n');
}

/* ---- one run ---- */

static void print_head(const char *name, const struct trace_file *t)
{
    print_text("trace     ", name);
    printf(": ");
    print_command(t->command);
    print_text("run       ", t->program);
    print_text(", ", t->model);
    printf("; %u workers, %u awake", t->workers, t->awake);
    print_text(", ", t->sched);
    print_text(", ", t->isa);
    putchar('\n');
    for (size_t i = 0; i < t->n_ranks; i++) {
        printf(i == 0 ? "ranks     " : i % 4 == 0 ? ",\n          " : ", ");
        printf("%zu: %u workers on ", i, t->ranks[i].workers);
        print_text("", t->ranks[i].host);
        if (i > 0)
            printf(" (clock +-%.1f us)", us(t->ranks[i].clock_error));
    }
    if (t->n_ranks > 0)
        putchar('\n');
}

static void print_steps(const struct trace_file *t, const struct trace_summary *s)
{
    printf("steps     %zu steps of %" PRIu64 " tokens: %.3f ms wall", s->steps, s->rows,
           ms(s->wall));
    printf(" (%.3f from first to last", ms(s->elapsed));
    if (s->load_steps)
        printf(", %.3f in %zu that only load", ms(s->load_wall), s->load_steps);
    printf(")\nwork      %.3f ms in %zu tiles; span %.3f ms, %" PRIu64
           " tiles on the critical path; parallelism %.2f\n",
           ms(s->work), s->tiles, ms(s->span), s->path_tiles,
           ratio((double)s->work, (double)s->span));
    if (s->load_tiles)
        printf("loading   %.3f ms in %zu tiles, %.1f%% of all time in tiles\n", ms(s->loading),
               s->load_tiles, percent(s->loading, s->all));
    printf("busy      %.2f of %u workers on average", ratio((double)s->work, (double)s->wall),
           t->awake);
    printf("; idle: %.3f ms waited for a tile, %.3f late for one,\n", ms(s->idle[TRACE_WAITED]),
           ms(s->idle[TRACE_LATE]));
    printf("          %.3f with nothing left, %.3f preempted, %.3f outside the step\n",
           ms(s->idle[TRACE_NOTHING]), ms(s->idle[TRACE_PREEMPTED]), ms(s->idle[TRACE_OUTSIDE]));
}

/* Where the limits cannot be right: by which op one sees it. */
static void print_beyond(const struct trace_file *t, const struct trace_summary *s)
{
    const struct trace_group *g = trace_beyond_limits(s, t);
    struct trace_of_limits of;
    bool certain;

    if (!g)
        return;
    of = trace_of_limits(t, g);
    certain = of.fma > TRACE_MOST_FMA;
    print_text("warning   ", g->name);
    if (certain)
        printf(" computes at %.0f%% of the measured limit", 100 * of.fma);
    else
        printf(" reads at %.0f%% of the measured limit", 100 * of.read);
    printf(": %sthe limits were measured beside other work;\n"
           "          --what-if does not hold %s\n",
           certain ? "" : "either caches gave it, or ", certain ? "here" : "in that case");
}

static void print_machine(const struct trace_file *t, const struct trace_summary *s)
{
    const struct limits limits = trace_own_limits(t);

    printf("overhead  %.0f ns a tile on counts and queues, %" PRIu64 " of them for recording",
           ratio((double)s->scheduler, (double)s->tiles), t->overhead_ns);
    if (t->dropped)
        printf("; %" PRIu64 " tiles dropped", t->dropped);
    printf("\nmachine   ");
    if (t->n_limits > 0)
        printf("reads %.1f GB/s, computes %.1f GFLOP/s\n", limits.read_gbps, limits.fma_gflops);
    else
        printf("limits not measured\n");
    print_beyond(t, s);
}

static void print_workers(const struct trace_file *t, const struct trace_summary *s)
{
    printf("\n%-8s %8s %7s %7s %9s %7s %10s %8s %9s\n", "worker", "tiles", "busy", "queue",
           "spinning", "parked", "preempted", "outside", "switches");
    for (unsigned w = 0; w < t->awake; w++) {
        const struct trace_worker *k = &s->workers[w];

        printf("%-8u %8" PRIu64 " %6.1f%% %6.1f%% %8.1f%% %6.1f%% %9.1f%% %7.1f%% %9" PRIu64 "\n",
               w, k->tiles, percent(k->busy, s->wall), percent(k->queue, s->wall),
               percent(k->spinning, s->wall), percent(k->parked, s->wall),
               percent(k->preempted, s->wall), percent(k->outside, s->wall), k->preemptions);
    }
}

/* A rate of one worker, and what it is of one worker's share of the limit. */
static void print_rate(double rate, double of_limit, bool known)
{
    printf(" %8.2f", rate);
    if (known)
        printf(" %4.0f%%", 100 * of_limit);
    else
        printf("     -");
}

static void print_groups(const struct trace_file *t, const struct trace_summary *s)
{
    printf("\n%-10s %-10s %7s %10s %6s %8s %8s %8s %14s %14s %8s\n", "op", "type", "tiles",
           "total ms", "share", "min us", "mean us", "max us", "GB/s  of lim.", "GFLOP/s of lim.",
           "on path");
    for (size_t i = 0; i < s->n_groups; i++) {
        const struct trace_group *g = &s->groups[i];
        const struct trace_of_limits of = trace_of_limits(t, g);

        print_cell(g->name, 10);
        putchar(' ');
        print_cell(g->type, 10);
        printf(" %7" PRIu64 " %10.3f %5.1f%% %8.1f %8.1f %8.1f", g->tiles, ms(g->total),
               percent(g->total, s->work), us(g->least), us(g->total) / (double)g->tiles,
               us(g->most));
        print_rate(ratio(g->bytes, (double)g->total), of.read, t->n_limits > 0);
        print_rate(ratio(g->flops, (double)g->total), of.fma, t->n_limits > 0);
        printf(" %7.1f%%\n", percent(g->path, s->span));
    }
}

static int by_awaited(const void *a, const void *b)
{
    const struct trace_group *x = *(const struct trace_group *const *)a,
                             *y = *(const struct trace_group *const *)b;

    return x->awaited != y->awaited ? (x->awaited < y->awaited) - (x->awaited > y->awaited)
                                    : (x > y) - (x < y);
}

/* The groups of messages, those that were waited for longest first; the caller's to free(). */
static const struct trace_group **list_messages(const struct trace_summary *s, size_t *n)
{
    const struct trace_group **list = calloc(s->n_groups + 1, sizeof(struct trace_group *));

    *n = 0;
    for (size_t i = 0; list && i < s->n_groups; i++)
        if (!strcmp(s->groups[i].type, "receive"))
            list[(*n)++] = &s->groups[i];
    if (list)
        qsort(list, *n, sizeof(struct trace_group *), by_awaited);
    return list;
}

/* What each rank waited for. */
static void print_messages(const struct trace_summary *s)
{
    size_t n;
    const struct trace_group **list = list_messages(s, &n);

    if (list && n > 0)
        puts("\nmessages, @ who receives    number       kB  waited ms  of it on the way");
    for (size_t i = 0; list && i < n; i++) {
        print_cell(list[i]->name, 26);
        printf(" %7" PRIu64 " %8.1f %10.3f %10.3f\n", list[i]->tiles, 1e-3 * list[i]->bytes,
               ms(list[i]->awaited), ms(list[i]->late));
    }
    free(list);
}

static const struct trace_plan *plan_of(const struct trace_file *t, const struct trace_gap *g)
{
    return trace_plan_of(t, &t->steps[g->step]);
}

static const char *tile_name(const struct trace_file *t, const struct trace_gap *g)
{
    return trace_op_of(plan_of(t, g), g->tile)->name;
}

static unsigned tile_worker(const struct trace_file *t, const struct trace_gap *g)
{
    return t->steps[g->step].runs[g->tile].worker;
}

/* "h3.fc tile 12 on worker 1": of the op's tiles the one of that number. */
static void print_tile(const struct trace_file *t, const struct trace_gap *g)
{
    if (g->tile == DG_NO_TILE) {
        printf("an input that the file does not name");
        return;
    }
    print_text("", tile_name(t, g));
    printf(" tile %u on worker %u", trace_place(plan_of(t, g), g->tile), tile_worker(t, g));
}

static void print_reason(const struct trace_file *t, const struct trace_gap *g)
{
    switch (g->reason) {
    case TRACE_WAITED:
        printf("waited for ");
        print_tile(t, g);
        if (5 * g->late > g->end - g->start)
            printf(", then %.1f us to start%s", us(g->late),
                   2 * g->woken > g->late ? ": woken, and no CPU" : "");
        break;
    case TRACE_LATE:
        printf("a tile was ready: %s", g->spinning + g->parked ? "slow to find it or to wake"
                                                               : "at work on counts, queues");
        break;
    case TRACE_NOTHING:
        printf("nothing left in the step");
        if (g->tile != DG_NO_TILE) {
            printf(": waited for ");
            print_tile(t, g);
        }
        break;
    case TRACE_PREEMPTED:
        if (2 * g->woken > g->preempted)
            printf("woken, and no CPU for %.1f us", us(g->woken));
        else
            printf("preempted for %.1f us", us(g->preempted));
        break;
    default:
        printf(g->start == t->steps[g->step].start ? "entered the step late" : "left the step");
    }
    putchar('\n');
}

static void print_gaps(const struct trace_file *t, const struct trace_summary *s)
{
    if (s->n_gaps > 0)
        printf("\n%5s %6s %12s %10s %8s %9s %8s  %s\n", "step", "worker", "at us", "gap us",
               "queue", "spinning", "parked", "why");
    for (size_t i = 0; i < s->n_gaps; i++) {
        const struct trace_gap *g = &s->gaps[i];

        printf("%5u %6u %12.1f %10.1f %8.1f %9.1f %8.1f  ", g->step, g->worker, us(g->start),
               us(g->end - g->start), us(g->queue), us(g->spinning), us(g->parked));
        print_reason(t, g);
    }
}

void report_summary(const char *name, const struct trace_file *t, const struct trace_summary *s)
{
    print_head(name, t);
    print_steps(t, s);
    print_machine(t, s);
    print_workers(t, s);
    print_groups(t, s);
    print_messages(s);
    print_gaps(t, s);
}

/* ---- one run as JSON ---- */

static void json_string(const char *key, const char *text)
{
    printf("%s", key);
    trace_write_string(stdout, text);
}

static void json_limit(const char *key, double value)
{
    if (value > 0)
        printf("%s%.1f", key, value);
    else
        printf("%snull", key);
}

static void json_workers(const struct trace_file *t, const struct trace_summary *s)
{
    for (unsigned w = 0; w < t->awake; w++) {
        const struct trace_worker *k = &s->workers[w];

        printf("%s{\"worker\": %u, \"tiles\": %" PRIu64 ", \"busy_us\": %.3f, \"queue_us\": %.3f, "
               "\"spinning_us\": %.3f, \"parked_us\": %.3f, \"preempted_us\": %.3f, "
               "\"outside_us\": %.3f, \"cpu_us\": %.3f, \"preemptions\": %" PRIu64 "}",
               w ? ",\n  " : "", w, k->tiles, us(k->busy), us(k->queue), us(k->spinning),
               us(k->parked), us(k->preempted), us(k->outside), us(k->cpu), k->preemptions);
    }
}

/* Of a run of several processes. */
static void json_ranks(const struct trace_file *t, const struct trace_summary *s)
{
    size_t n;
    const struct trace_group **list = list_messages(s, &n);

    if (t->n_ranks == 0 || !list) {
        free(list);
        return;
    }
    printf("],\n \"ranks\": [");
    for (size_t i = 0; i < t->n_ranks; i++) {
        json_string(i ? ", {\"host\": " : "{\"host\": ", t->ranks[i].host);
        printf(", \"workers\": %u, \"clock_error_us\": %.3f}", t->ranks[i].workers,
               us(t->ranks[i].clock_error));
    }
    printf("],\n \"messages\": [");
    for (size_t i = 0; i < n; i++) {
        json_string(i ? ",\n  {\"name\": " : "{\"name\": ", list[i]->name);
        printf(", \"number\": %" PRIu64
               ", \"bytes\": %.0f, \"waited_us\": %.3f, \"on_the_way_us\": %.3f}",
               list[i]->tiles, list[i]->bytes, us(list[i]->awaited), us(list[i]->late));
    }
    free(list);
}

static void json_groups(const struct trace_summary *s)
{
    for (size_t i = 0; i < s->n_groups; i++) {
        const struct trace_group *g = &s->groups[i];

        json_string(i ? ",\n  {\"name\": " : "{\"name\": ", g->name);
        json_string(", \"type\": ", g->type);
        printf(", \"tiles\": %" PRIu64 ", \"total_us\": %.3f, \"min_us\": %.3f, \"mean_us\": %.3f, "
               "\"max_us\": %.3f, \"share\": %.6f, \"gbps\": %.3f, \"gflops\": %.3f, "
               "\"path_us\": %.3f, \"path_tiles\": %" PRIu64 "}",
               g->tiles, us(g->total), us(g->least), us(g->total) / (double)g->tiles, us(g->most),
               ratio((double)g->total, (double)s->work), ratio(g->bytes, (double)g->total),
               ratio(g->flops, (double)g->total), us(g->path), g->path_tiles);
    }
}

static void json_gaps(const struct trace_file *t, const struct trace_summary *s)
{
    static const char *const reasons[TRACE_N_REASONS] = {"tile", "late", "nothing left",
                                                         "preempted", "outside"};

    for (size_t i = 0; i < s->n_gaps; i++) {
        const struct trace_gap *g = &s->gaps[i];

        printf("%s{\"step\": %u, \"worker\": %u, \"start_us\": %.3f, \"us\": %.3f, "
               "\"queue_us\": %.3f, \"spinning_us\": %.3f, \"parked_us\": %.3f, "
               "\"preempted_us\": %.3f, \"woken_us\": %.3f, \"reason\": \"%s\"",
               i ? ",\n  " : "", g->step, g->worker, us(g->start), us(g->end - g->start),
               us(g->queue), us(g->spinning), us(g->parked), us(g->preempted), us(g->woken),
               reasons[g->reason]);
        if ((g->reason == TRACE_WAITED || g->reason == TRACE_NOTHING) && g->tile != DG_NO_TILE) {
            json_string(", \"name\": ", tile_name(t, g));
            printf(", \"tile\": %u, \"place\": %u, \"on\": %u, \"late_us\": %.3f", g->tile,
                   trace_place(plan_of(t, g), g->tile), tile_worker(t, g), us(g->late));
        }
        putchar('}');
    }
}

/* Which op is beyond the limits, and by how much; null: they hold, or were not measured. */
static void json_beyond(const struct trace_file *t, const struct trace_summary *s)
{
    const struct trace_group *g = trace_beyond_limits(s, t);
    struct trace_of_limits of;

    if (!g) {
        printf(" \"beyond_limits\": null,\n");
        return;
    }
    of = trace_of_limits(t, g);
    json_string(" \"beyond_limits\": {\"name\": ", g->name);
    json_string(", \"type\": ", g->type);
    printf(", \"of_read\": %.3f, \"of_fma\": %.3f},\n", of.read, of.fma);
}

void report_summary_json(const char *name, const struct trace_file *t,
                         const struct trace_summary *s)
{
    const struct limits limits = trace_own_limits(t);

    json_string("{\"file\": ", name);
    json_string(", \"command\": ", t->command);
    json_string(",\n \"program\": ", t->program);
    json_string(", \"model\": ", t->model);
    json_string(", \"sched\": ", t->sched);
    json_string(", \"isa\": ", t->isa);
    printf(", \"workers\": %u, \"awake\": %u", t->workers, t->awake);
    json_limit(", \"read_gbps\": ", limits.read_gbps);
    json_limit(", \"fma_gflops\": ", limits.fma_gflops);
    printf(",\n \"steps\": %zu, \"tokens\": %" PRIu64 ", \"tiles\": %zu, \"wall_us\": %.3f, "
           "\"elapsed_us\": %.3f,\n",
           s->steps, s->rows, s->tiles, us(s->wall), us(s->elapsed));
    printf(
        " \"load_steps\": %zu, \"load_wall_us\": %.3f, \"load_tiles\": %zu, \"loading_us\": %.3f, "
        "\"all_tiles_us\": %.3f,\n",
        s->load_steps, us(s->load_wall), s->load_tiles, us(s->loading), us(s->all));
    printf(" \"work_us\": %.3f, \"span_us\": %.3f, \"path_tiles\": %" PRIu64
           ", \"parallelism\": %.3f, \"scheduler_ns\": %.1f, \"overhead_ns\": %" PRIu64
           ", \"dropped\": %" PRIu64 ",\n",
           us(s->work), us(s->span), s->path_tiles, ratio((double)s->work, (double)s->span),
           ratio((double)s->scheduler, (double)s->tiles), t->overhead_ns, t->dropped);
    printf(" \"busy_workers\": %.3f, \"idle_us\": {\"tile\": %.3f, \"late\": %.3f, \"nothing "
           "left\": %.3f, "
           "\"preempted\": %.3f, \"outside\": %.3f},\n",
           ratio((double)s->work, (double)s->wall), us(s->idle[TRACE_WAITED]),
           us(s->idle[TRACE_LATE]), us(s->idle[TRACE_NOTHING]), us(s->idle[TRACE_PREEMPTED]),
           us(s->idle[TRACE_OUTSIDE]));
    json_beyond(t, s);
    printf(" \"by_worker\": [");
    json_workers(t, s);
    json_ranks(t, s);
    printf("],\n \"by_op\": [");
    json_groups(s);
    printf("],\n \"gaps\": [");
    json_gaps(t, s);
    printf("]}\n");
}

/* ---- two runs ---- */

/* Where time of all workers together went, in either run. */
struct part {
    const char *name;
    uint64_t a, b;
};

enum { N_STATES = 5 };

static void sum_states(struct part parts[N_STATES], const struct report_run *a,
                       const struct report_run *b)
{
    static const char *const names[N_STATES] = {"queue", "spinning", "parked", "preempted",
                                                "outside"};

    for (int i = 0; i < N_STATES; i++)
        parts[i] = (struct part){names[i], 0, 0};
    for (int side = 0; side < 2; side++) {
        const struct report_run *r = side ? b : a;

        for (unsigned w = 0; w < r->t->awake; w++) {
            const struct trace_worker *k = &r->s.workers[w];
            const uint64_t of[N_STATES] = {k->queue, k->spinning, k->parked, k->preempted,
                                           k->outside};

            for (int i = 0; i < N_STATES; i++)
                *(side ? &parts[i].b : &parts[i].a) += of[i];
        }
    }
}

static double change(const struct part *p)
{
    return ms(p->b) - ms(p->a);
}

static int by_change(const void *x, const void *y)
{
    const double a = change(x) < 0 ? -change(x) : change(x),
                 b = change(y) < 0 ? -change(y) : change(y);

    return (a < b) - (a > b);
}

/* Every part of the workers' time, the largest change first. *n of them; NULL: out of memory. */
static struct part *list_parts(const struct report_run *a, const struct report_run *b, size_t *n)
{
    struct part *list = malloc((a->s.n_groups + b->s.n_groups + N_STATES) * sizeof *list);

    if (!list)
        return NULL;
    sum_states(list, a, b);
    *n = N_STATES;
    for (size_t i = 0; i < a->s.n_groups; i++) {
        const struct trace_group *g = &a->s.groups[i],
                                 *other = trace_group_find(&b->s, g->name, g->type);

        list[(*n)++] = (struct part){g->name, g->total, other ? other->total : 0};
    }
    for (size_t i = 0; i < b->s.n_groups; i++)
        if (!trace_group_find(&a->s, b->s.groups[i].name, b->s.groups[i].type))
            list[(*n)++] = (struct part){b->s.groups[i].name, 0, b->s.groups[i].total};
    qsort(list, *n, sizeof *list, by_change);
    return list;
}

double report_slower(const struct report_run *a, const struct report_run *b)
{
    return 100 * (ratio((double)b->s.wall, (double)a->s.wall) - 1);
}

static void print_part(const struct part *p)
{
    print_cell(p->name, 12);
    printf(" %12.3f %12.3f %+12.3f", ms(p->a), ms(p->b), change(p));
    if (p->a > 0)
        printf(" %+8.1f%%\n", 100 * change(p) / ms(p->a));
    else
        printf(" %9s\n", "-");
}

static void print_worker_diff(const struct report_run *a, const struct report_run *b)
{
    const unsigned n = a->t->awake > b->t->awake ? a->t->awake : b->t->awake;

    printf("\n%-8s %21s %21s %21s %21s\n", "worker", "busy ms: A, B", "spinning", "parked",
           "preempted");
    for (unsigned w = 0; w < n; w++) {
        const struct trace_worker none = {0};
        const struct trace_worker *x = w < a->t->awake ? &a->s.workers[w] : &none,
                                  *y = w < b->t->awake ? &b->s.workers[w] : &none;

        printf("%-8u %10.3f %10.3f %10.3f %10.3f %10.3f %10.3f %10.3f %10.3f\n", w, ms(x->busy),
               ms(y->busy), ms(x->spinning), ms(y->spinning), ms(x->parked), ms(y->parked),
               ms(x->preempted), ms(y->preempted));
    }
}

bool report_diff(const struct report_run *a, const struct report_run *b)
{
    const struct part wall = {"wall", a->s.wall, b->s.wall}, span = {"span", a->s.span, b->s.span};
    size_t n = 0;
    struct part *parts = list_parts(a, b, &n);

    if (!parts)
        return false;
    print_text("A         ", a->name);
    printf(": ");
    print_command(a->t->command);
    print_text("B         ", b->name);
    printf(": ");
    print_command(b->t->command);
    printf("steps     A: %zu of %" PRIu64 " tokens, B: %zu of %" PRIu64 "\n", a->s.steps, a->s.rows,
           b->s.steps, b->s.rows);
    printf("\n%-12s %12s %12s %12s\n", "ms", "A", "B", "B - A");
    print_part(&wall);
    print_part(&span);
    print_worker_diff(a, b);
    printf(
        "\nwhere the time of all workers together went (A: %u, B: %u awake), most changed first\n",
        a->t->awake, b->t->awake);
    for (size_t i = 0; i < n; i++)
        print_part(&parts[i]);
    free(parts);
    return true;
}

bool report_diff_json(const struct report_run *a, const struct report_run *b)
{
    size_t n = 0;
    struct part *parts = list_parts(a, b, &n);

    if (!parts)
        return false;
    json_string("{\"a\": ", a->name);
    json_string(", \"b\": ", b->name);
    printf(", \"wall_us\": [%.3f, %.3f], \"span_us\": [%.3f, %.3f], \"slower_percent\": %.3f,\n"
           " \"by_worker\": {\"a\": [",
           us(a->s.wall), us(b->s.wall), us(a->s.span), us(b->s.span), report_slower(a, b));
    json_workers(a->t, &a->s);
    printf("],\n \"b\": [");
    json_workers(b->t, &b->s);
    printf("]},\n \"parts_us\": [");
    for (size_t i = 0; i < n; i++) {
        json_string(i ? ",\n  {\"name\": " : "{\"name\": ", parts[i].name);
        printf(", \"a\": %.3f, \"b\": %.3f}", us(parts[i].a), us(parts[i].b));
    }
    printf("]}\n");
    free(parts);
    return true;
}

/* ---- what if ---- */

void report_what_if(const struct report_guess *list, size_t n, const uint64_t one[2],
                    const struct report_run *from)
{
    static const char *const names[2] = {"dataflow", "barrier"};

    printf("\nwhat if   ");
    for (int p = 0; p < 2; p++)
        printf("%s%-44s", p ? " | " : "", names[p]);
    printf("\nworkers   ");
    for (int p = 0; p < 2; p++)
        printf("%s%12s %8s %13s %8s", p ? " | " : "", "predicted ms", "speed-up", "measured ms",
               "error");
    putchar('\n');
    for (size_t i = 0; i < n; i++) {
        const struct report_guess *g = &list[i];

        printf("%-10u", g->workers);
        for (int p = 0; p < 2; p++) {
            printf("%s%12.3f %8.2f", p ? " | " : "", ms(g->predicted[p]),
                   ratio((double)one[p], (double)g->predicted[p]));
            if (g->measured[p])
                printf(" %13.3f %+7.1f%%", ms(g->measured[p]),
                       100 * (ratio((double)g->predicted[p], (double)g->measured[p]) - 1));
            else
                printf(" %13s %8s", "-", "-");
        }
        putchar('\n');
    }
    if (trace_beyond_limits(&from->s, from->t)) {
        putchar('\n');
        print_beyond(from->t, &from->s);
    }
}

static void json_measured(uint64_t ns)
{
    if (ns)
        printf("%.3f}", us(ns));
    else
        printf("null}");
}

void report_what_if_json(const struct report_guess *list, size_t n, const uint64_t one[2],
                         const struct report_run *from)
{
    static const char *const names[2] = {"dataflow", "barrier"};

    putchar('{');
    json_beyond(from->t, &from->s);
    printf(" \"what_if\": [");
    for (size_t i = 0; i < n; i++) {
        printf("%s{\"workers\": %u", i ? ",\n  " : "", list[i].workers);
        for (int p = 0; p < 2; p++) {
            printf(
                ", \"%s\": {\"predicted_us\": %.3f, \"speedup\": %.3f, \"measured_us\": ", names[p],
                us(list[i].predicted[p]), ratio((double)one[p], (double)list[i].predicted[p]));
            json_measured(list[i].measured[p]);
        }
        putchar('}');
    }
    printf("]}\n");
}
