/* What the engine has seen of a text is kept: a text that goes on costs its new ids alone. There is room
 * for one id more than there are positions, since the id drawn from the last position is a part of the text,
 * too: a window begins with it. */
#include "completion.h"
#include "ahead.h"
#include "leaving.h"
#include "seconds.h"
#include "signals.h"
#include "tokenizer.h"
#include "../../src/base/status.h"

#include <stdlib.h>
#include <string.h>

void completion_open(struct completion *c)
{
    const size_t positions = c->sizes.positions;

    if (c->window >= positions)
        cli_die(DG_ERR_USAGE, "--window: got %zu, expected less than the model's maxT = %zu",
                c->window, positions);
    c->prompt = malloc(positions * sizeof *c->prompt);
    c->ids = malloc((positions + 1) * sizeof *c->ids);
    if (!c->prompt || !c->ids)
        cli_die(DG_ERR_RESOURCE, "out of memory for %zu ids", positions);
}

void completion_close(struct completion *c)
{
    free(c->prompt);
    free(c->ids);
}

enum dg_status completion_prompt(struct completion *c, const char *bytes, size_t n_bytes,
                                 struct dg_error *err)
{
    const size_t positions = c->sizes.positions;
    int32_t *ids;
    size_t n;
    enum dg_status st = cli_encode(c->t, bytes, n_bytes, &ids, &n, err);

    if (st != DG_OK)
        return st;
    if (n == 0)
        ids[n++] = cli_tokenizer_begin(c->t);
    if (n > positions && c->window == 0) {
        st = dg_fail(err, DG_ERR_TOKEN,
                     "the prompt has %zu tokens, expected at most maxT = %zu; --window N reads the "
                     "last N",
                     n, positions);
    } else {
        c->cut = n > positions ? n : 0;
        c->n_prompt = n > positions ? c->window : n;
        memcpy(c->prompt, ids + n - c->n_prompt, c->n_prompt * sizeof *ids);
        if (c->e) /* which has seen another text */
            cli_rewind(c->e, 0);
        completion_rewind(c);
    }
    free(ids);
    return st;
}

/* The last id of the prompt is evaluated again, for its logits, which are the same bits; all of it where a
 * window has taken the place of its keys and values. */
void completion_rewind(struct completion *c)
{
    if (c->e)
        cli_rewind(c->e, c->n_windows == 0 ? c->n_prompt - 1 : 0);
    memcpy(c->ids, c->prompt, c->n_prompt * sizeof *c->ids);
    c->n = c->n_prompt;
}

void completion_begin(struct completion *c)
{
    c->n_before = c->n;
    c->number++;
    c->n_drawn = 0;
    c->n_new = c->n_read = c->n_decoded = c->n_windows = 0;
    c->asked = false;
    c->read_seconds = c->decode_seconds = c->window_seconds = 0;
}

/* Only the last ids stay, as a text that the engine has not seen. */
static void open_window(struct completion *c)
{
    memmove(c->ids, c->ids + c->n - c->window, c->window * sizeof *c->ids);
    c->n = c->window;
    cli_rewind(c->e, 0);
    c->n_windows++;
}

/* Where the time for the next id belongs. */
static void account(struct completion *c)
{
    const double seconds = cli_seconds() - c->asked_at;

    if (c->n_new == 0) {
        c->n_read += c->n_asked;
        c->read_seconds += seconds;
    } else if (c->windowed) {
        c->window_seconds += seconds;
    } else {
        c->n_decoded++;
        c->decode_seconds += seconds;
    }
    c->asked = false;
}

enum finish completion_wants(struct completion *c, const int32_t **ids, size_t *n)
{
    const bool full = c->n > c->sizes.positions;
    size_t seen;

    *n = 0;
    if (cli_signal())
        return FINISH_INTERRUPTED;
    if (full && c->window == 0)
        return FINISH_POSITIONS;
    if (!c->asked) {
        c->asked_at = cli_seconds();
        c->windowed = full;
    }
    if (cli_next_row(c->e))
        return FINISH_NOT;
    if (full)
        open_window(c);
    else if (c->astray)
        cli_rewind(c->e, c->n - 1);
    c->astray = false;
    seen = cli_position(c->e);
    *ids = c->ids + seen;
    *n = c->n - seen;
    if (!c->asked)
        c->n_asked = *n;
    c->asked = true;
    if (*n > 0)
        *n += cli_ahead(c->number, c->n_drawn, c->ids + c->n, c->sizes.positions - c->n);
    return FINISH_NOT;
}

size_t completion_takes(struct completion *c, size_t n)
{
    const size_t before = c->n - cli_position(c->e);

    if (n < before)
        return 0;
    c->e->row = 0;
    c->e->ahead = n - before;
    return 1 + n - before;
}

enum finish completion_draw(struct completion *c, int32_t *id)
{
    struct dg_error err;

    cli_check(dg_sampler_next(c->sampler, cli_logits(c->e), c->ids, c->n, id, &err), &err);
    cli_drawn(c->number, c->n_drawn++, *id);
    c->astray = c->e->ahead > 0 && c->ids[c->n] != *id;
    c->e->ahead = c->astray ? 0 : c->e->ahead;
    c->ids[c->n++] = *id;
    account(c);
    if (*id == dg_tokenizer_end(c->t) && !c->ignore_eos)
        return FINISH_EOS;
    c->n_new++;
    return FINISH_NOT;
}

enum finish completion_next(struct completion *c, int32_t *id)
{
    const int32_t *ids;
    size_t n;
    const enum finish finish = completion_wants(c, &ids, &n);

    if (finish != FINISH_NOT)
        return finish;
    if (n > 0 && !cli_eval(c->e, ids, n, completion_takes(c, n)))
        return FINISH_INTERRUPTED;
    return completion_draw(c, id);
}
