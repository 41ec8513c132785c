/* Ids of one sequence, or of many, in steps of at most `chunk` rows. A step takes of each part, in the order
 * of the parts, what is left of it, until it is full. In a step the rows without logits come first, then
 * those with, both part by part: so a sequence's rows stand in the order of their positions, and the rows with
 * logits are the last ones, as a plan wants both. Which rows have logits follows from where the last n_logits
 * ids of a part lie. */
#include "sequence.h"
#include "../base/finite.h"
#include "../base/status.h"

#include <inttypes.h>
#include <stdlib.h>

/* A step that is being put together. */
struct step {
    uint32_t rows, n_logits;
    struct dg_rows to;
    uint32_t plain,
        wanted; /* rows that are filled: without logits, from 0 on, and behind them with */
};

static enum dg_status check_request(const struct dg_part *p, struct dg_error *err)
{
    const struct dg_sequence *s = p->sequence;
    const struct dg_sizes *z = &s->sizes;

    if (p->n > 0 && s->position == z->positions)
        return dg_fail(err, DG_ERR_TOKEN, "positions: all %" PRIu32 " of the model are used",
                       z->positions);
    if (p->n < 1 || p->n > z->positions - s->position)
        return dg_fail(
            err, DG_ERR_TOKEN,
            "positions: got %zu ids after %zu, expected 1 to %zu: the model has %" PRIu32, p->n,
            s->position, z->positions - s->position, z->positions);
    for (size_t i = 0; i < p->n; i++)
        if (p->ids[i] < 0 || (uint32_t)p->ids[i] >= z->vocab)
            return dg_fail(err, DG_ERR_TOKEN,
                           "token id %zu: got %" PRId32 ", expected 0 to %" PRIu32, i + 1,
                           p->ids[i], z->vocab - 1);
    if (p->n_logits > p->n)
        return dg_fail(err, DG_ERR_USAGE, "rows with logits: got %zu, expected 0 to %zu",
                       p->n_logits, p->n);
    return DG_OK;
}

/* Room for so many rows of logits; n_logits and vocab have 24 and 26 bits. */
static enum dg_status make_room(struct dg_sequence *s, size_t n_logits, struct dg_error *err)
{
    const size_t wanted = n_logits * s->sizes.vocab;
    float *logits;

    if (wanted <= s->room)
        return DG_OK;
    logits = realloc(s->logits, wanted * sizeof *logits);
    if (!logits)
        return dg_fail_memory(err, "logits", wanted * sizeof *logits);
    s->logits = logits;
    s->room = wanted;
    return DG_OK;
}

/* The part is done with. A sequence whose ids were not all evaluated is where it was. */
static void leave(struct dg_part *p, enum dg_status st)
{
    struct dg_sequence *s = p->sequence;

    p->status = st;
    if (st != DG_OK) {
        s->position = s->before;
        dg_pages_trim(&s->pages, s->position);
    }
    s->rows = 0;
    dg_store_release(&s->busy, 0);
}

/* From here on the sequence belongs to this eval, if the part is one that can be evaluated. */
static void enter(struct dg_part *p, struct dg_error *err)
{
    struct dg_sequence *s = p->sequence;
    enum dg_status st;

    if (!dg_change_acq_rel(&s->busy, 0, 1)) {
        p->status = dg_fail(err, DG_ERR_USAGE, "sequence: another eval of it is under way");
        return;
    }
    s->before = s->position;
    st = check_request(p, err);
    if (st == DG_OK) {
        s->has_logits = false; /* moved or written over from here on */
        st = make_room(s, p->n_logits, err);
    }
    if (st == DG_OK)
        st = dg_pages_reserve(&s->pages, s->position, s->position + p->n, err);
    p->status = st;
    if (st != DG_OK)
        leave(p, st);
}

static size_t done(const struct dg_part *p)
{
    return p->sequence->position - p->sequence->before;
}

static bool is_cancelled(struct dg_sequence *s)
{
    return dg_load_acquire(&s->cancelled) && dg_swap_acq_rel(&s->cancelled, 0);
}

/* Of what is left of a part, rows that come before those with logits. */
static uint32_t without_logits(const struct dg_part *p)
{
    const size_t first = p->n - p->n_logits, at = done(p);
    const size_t left = first > at ? first - at : 0;

    return (uint32_t)(left < p->sequence->rows ? left : p->sequence->rows);
}

/* What each part gives to the next step, of at most `most` rows; those that are cancelled, nothing.
 * False: no part has anything left. */
static bool lay_out(struct step *step, struct dg_part *parts, size_t n, uint32_t most)
{
    *step = (struct step){0};
    for (struct dg_part *p = parts; p < parts + n; p++) {
        struct dg_sequence *s = p->sequence;
        size_t left;

        if (p->status != DG_OK)
            continue;
        left = p->n - done(p);
        s->rows = (uint32_t)(left < most - step->rows ? left : most - step->rows);
        step->rows += s->rows;
        step->n_logits += s->rows - without_logits(p);
    }
    step->wanted = step->rows - step->n_logits;
    return step->rows > 0;
}

static void fill(struct step *step, const struct dg_part *p)
{
    struct dg_sequence *s = p->sequence;
    const uint32_t plain = without_logits(p);
    const size_t at = done(p), first = p->n - p->n_logits;

    for (uint32_t i = 0; i < s->rows; i++) {
        const uint32_t r = i < plain ? step->plain++ : step->wanted++;

        step->to.id[r] = p->ids[at + i];
        step->to.row[r] = (struct dg_row){&s->cache, (uint32_t)s->position + i, NULL};
        if (i >= plain)
            step->to.row[r].logits = s->logits + (at + i - first) * s->sizes.vocab;
    }
}

static enum dg_status run_step(struct dg_engine *e, struct step *step, struct dg_part *parts,
                               size_t n, struct dg_error *err)
{
    enum dg_status st = dg_engine_enter(e, step->rows, step->n_logits, &step->to, err);

    if (st != DG_OK)
        return st;
    for (struct dg_part *p = parts; p < parts + n; p++)
        if (p->status == DG_OK)
            fill(step, p);
    return dg_engine_run(e, err);
}

/* Those that somebody has cancelled leave. */
static enum dg_status drop_cancelled(struct dg_part *parts, size_t n, struct dg_error *err)
{
    enum dg_status st = DG_OK;

    for (struct dg_part *p = parts; p < parts + n; p++) {
        if (p->status != DG_OK || !is_cancelled(p->sequence))
            continue;
        st = dg_fail(st == DG_OK ? err : NULL, DG_ERR_CANCELLED, "the eval was cancelled");
        leave(p, st);
    }
    return st;
}

/* A step that fails is the end of all parts that are not evaluated yet. */
static void go_on(struct dg_part *parts, size_t n, enum dg_status st)
{
    for (struct dg_part *p = parts; p < parts + n; p++) {
        if (p->status != DG_OK)
            continue;
        if (st == DG_OK)
            p->sequence->position += p->sequence->rows;
        else if (done(p) < p->n)
            leave(p, st);
    }
}

static enum dg_status first_of(enum dg_status st, enum dg_status next)
{
    return st != DG_OK ? st : next;
}

static enum dg_status run_steps(struct dg_engine *e, struct dg_part *parts, size_t n,
                                enum dg_status st, struct dg_error *err)
{
    const uint32_t chunk = dg_engine_chunk(e), positions = dg_engine_model(e)->sizes.positions;
    const uint32_t most = chunk > 0 && chunk < positions ? chunk : positions;
    struct step step;

    st = first_of(st, drop_cancelled(parts, n, st == DG_OK ? err : NULL));
    while (lay_out(&step, parts, n, most)) {
        const enum dg_status failed = run_step(e, &step, parts, n, st == DG_OK ? err : NULL);

        go_on(parts, n, failed);
        st = first_of(st, failed);
        st = first_of(st, drop_cancelled(parts, n, st == DG_OK ? err : NULL));
    }
    return st;
}

/* Are the part's logits finite? If not, the first row that has others is evaluated again, by itself. */
static enum dg_status check_logits(const struct dg_part *p, struct dg_error *err)
{
    struct dg_sequence *s = p->sequence;
    const size_t vocab = s->sizes.vocab, first = p->n - p->n_logits;
    struct dg_rows to;
    enum dg_status st;
    size_t i = 0;

    while (i < p->n_logits && dg_are_finite(s->logits + i * vocab, vocab))
        i++;
    if (i == p->n_logits || !dg_engine_has_logits(s->engine))
        return DG_OK;
    st = dg_engine_enter(s->engine, 1, 1, &to, err);
    if (st != DG_OK)
        return st;
    to.id[0] = p->ids[first + i];
    to.row[0] =
        (struct dg_row){&s->cache, (uint32_t)(s->before + first + i), s->logits + i * vocab};
    return dg_engine_find_overflow(s->engine, err);
}

static enum dg_status eval(struct dg_part *parts, size_t n, struct dg_error *err)
{
    enum dg_status st = DG_OK;

    for (struct dg_part *p = parts; p < parts + n; p++) {
        enter(p, st == DG_OK ? err : NULL);
        st = first_of(st, p->status);
    }
    st = run_steps(parts->sequence->engine, parts, n, st, err);
    for (struct dg_part *p = parts; p < parts + n; p++) {
        enum dg_status wrong;

        if (p->status != DG_OK)
            continue;
        wrong = check_logits(p, st == DG_OK ? err : NULL);
        p->sequence->has_logits = wrong == DG_OK && p->n_logits > 0;
        leave(p, wrong);
        st = first_of(st, wrong);
    }
    return st;
}

/* Is it a part of an eval of that engine? */
static bool is_part(const struct dg_part *p, const struct dg_engine *e, struct dg_error *err)
{
    if (!dg_is_given(p->sequence, "sequence", err) ||
        (p->n > 0 && !dg_is_given(p->ids, "ids", err)))
        return false;
    if (p->sequence->engine != e)
        dg_fail(err, DG_ERR_USAGE, "sequences: got some of several engines, expected those of one");
    return p->sequence->engine == e;
}

enum dg_status dg_batch_eval(struct dg_part *parts, size_t n_parts, struct dg_error *err)
{
    if (n_parts == 0)
        return DG_OK;
    if (!dg_is_given(parts, "parts", err))
        return DG_ERR_USAGE;
    for (size_t i = 0; i < n_parts; i++)
        if (!is_part(&parts[i], parts->sequence ? parts->sequence->engine : NULL, err))
            return DG_ERR_USAGE;
    return eval(parts, n_parts, err);
}

/* A step of few rows is bound by reading the weights, and a row more costs little beside that; the less, the more
 * bytes the weights have: so the least share depends on what the matrices are held in. From some rows on time grows
 * with the rows, and one without logits costs 0.7 of one with: half as many make a step a third longer, which leaves
 * room for what else makes steps longer (docs/performance.md). */
size_t dg_batch_share(const struct dg_engine *engine, size_t decoding)
{
    static const size_t least[] = {[DG_F32] = 4, [DG_BF16] = 3, [DG_I8] = 2};
    size_t n;

    if (!engine)
        return 0;
    if (decoding == 0)
        return SIZE_MAX;
    n = least[dg_model_weight(dg_engine_model(engine), DG_FC_WEIGHT, 0)->dtype];
    return decoding / 2 < n ? n : decoding / 2;
}

enum dg_status dg_sequence_eval(struct dg_sequence *s, const int32_t *ids, size_t n,
                                size_t n_logits, struct dg_error *err)
{
    struct dg_part part = {s, ids, n, n_logits, DG_OK};

    return dg_batch_eval(&part, 1, err);
}
