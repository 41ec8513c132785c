#include "metrics.h"

#include <inttypes.h>

static const double bounds[N_BOUNDS] = {0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075,
                                        0.1,   0.25,   0.5,   1,    2.5,  5,    10,   60};

void metrics_add(struct histogram *h, double seconds)
{
    size_t i = 0;

    while (i < N_BOUNDS && seconds > bounds[i])
        i++;
    h->in[i]++;
    h->n++;
    h->sum += seconds;
}

static void head(struct bytes *to, const char *name, const char *type, const char *help)
{
    bytes_print(to, "# HELP dagpt_%s %s\n# TYPE dagpt_%s %s\n", name, help, name, type);
}

static void number(struct bytes *to, const char *name, const char *type, const char *help,
                   uint64_t value)
{
    head(to, name, type, help);
    bytes_print(to, "dagpt_%s %" PRIu64 "\n", name, value);
}

static void histogram(struct bytes *to, const char *name, const char *help,
                      const struct histogram *h)
{
    uint64_t below = 0;

    head(to, name, "histogram", help);
    for (size_t i = 0; i < N_BOUNDS; i++) {
        below += h->in[i];
        bytes_print(to, "dagpt_%s_bucket{le=\"%g\"} %" PRIu64 "\n", name, bounds[i], below);
    }
    bytes_print(to, "dagpt_%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, h->n);
    bytes_print(to, "dagpt_%s_sum %.9g\ndagpt_%s_count %" PRIu64 "\n", name, h->sum, name, h->n);
}

void metrics_write(struct bytes *to, const struct metrics *m)
{
    head(to, "answers_total", "counter", "Answers by status.");
    for (unsigned i = 0; i < MOST_STATUS; i++)
        if (m->answers[i])
            bytes_print(to, "dagpt_answers_total{status=\"%u\"} %" PRIu64 "\n", i, m->answers[i]);
    head(to, "tokens_total", "counter", "Tokens read of prompts, and made.");
    bytes_print(to, "dagpt_tokens_total{kind=\"prompt\"} %" PRIu64 "\n", m->prompt_tokens);
    bytes_print(to, "dagpt_tokens_total{kind=\"new\"} %" PRIu64 "\n", m->new_tokens);
    number(to, "left_total", "counter", "Requests whose client did not wait for the answer.",
           m->left);
    number(to, "steps_total", "counter", "Steps of the engine.", m->steps);
    number(to, "rows_total", "counter", "Rows of all steps.", m->rows);
    number(to, "texts_running", "gauge", "Texts that are made.", m->running);
    number(to, "texts_waiting", "gauge", "Texts that wait.", m->waiting);
    number(to, "connections", "gauge", "Connections.", m->connections);
    number(to, "held_bytes", "gauge", "Bytes of requests and answers.", m->held);
    histogram(to, "step_seconds", "Time of a step.", &m->step);
    histogram(to, "first_token_seconds", "From a request to a text's first token.",
              &m->first_token);
    histogram(to, "token_gap_seconds", "Between two tokens of a text.", &m->gap);
}
