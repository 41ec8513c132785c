/* What is held is at most the start of one character and a token behind it, and what is released of it at
 * most three times that, where each byte becomes U+FFFD: so both have their room from the beginning. */
#include "../base/arena.h"
#include "../base/status.h"
#include "../base/utf8.h"

#include <inttypes.h>
#include <string.h>

enum {
    MOST_HELD = 3,
    MOST_MADE = 3
}; /* bytes of a start; and of what is released, for each held */

struct dg_stream {
    struct dg_arena *arena; /* holds the stream itself, too */
    const struct dg_tokenizer *tokenizer;
    char *held; /* [n_held] */
    size_t n_held;
    char *text; /* [n_text] released by the last call */
    size_t n_text;
};

static size_t longest_token(const struct dg_tokenizer *t)
{
    size_t longest = 0;

    for (uint32_t id = 0; id < dg_tokenizer_vocab(t); id++) {
        size_t n = 0;

        if (dg_tokenizer_bytes(t, (int32_t)id, &n) && n > longest)
            longest = n;
    }
    return longest;
}

enum dg_status dg_stream_new(struct dg_stream **out, const struct dg_tokenizer *t,
                             struct dg_error *err)
{
    struct dg_arena *arena;
    struct dg_stream *s;
    size_t room;

    if (!dg_is_place(out, err) || !dg_is_given(t, "tokenizer", err))
        return DG_ERR_USAGE;
    room = MOST_HELD + longest_token(t);
    arena = dg_arena_new();
    s = arena ? dg_arena_alloc(arena, sizeof *s) : NULL;
    if (s) {
        s->held = dg_arena_alloc(arena, room);
        s->text = dg_arena_array(arena, room, MOST_MADE);
    }
    if (!s || !s->held || !s->text) {
        dg_arena_free(arena);
        return dg_fail_memory(err, "a stream", (1 + MOST_MADE) * room);
    }
    s->arena = arena;
    s->tokenizer = t;
    *out = s;
    return DG_OK;
}

void dg_stream_free(struct dg_stream *s)
{
    if (s)
        dg_arena_free(s->arena);
}

static void append(void *arg, const char *bytes, size_t n)
{
    struct dg_stream *s = arg;

    memcpy(s->text + s->n_text, bytes, n);
    s->n_text += n;
}

/* Releases held[0 ... end - 1]; the rest goes to the front. */
static const char *release(struct dg_stream *s, size_t end, size_t *n)
{
    size_t given;

    s->n_text = 0;
    given = dg_utf8_release(s->held, end, s->n_held, append, s);
    s->n_held -= given;
    memmove(s->held, s->held + given, s->n_held);
    *n = s->n_text;
    return s->text;
}

enum dg_status dg_stream_push(struct dg_stream *s, int32_t id, const char **text, size_t *n,
                              struct dg_error *err)
{
    const char *bytes;
    size_t length, start;

    if (!dg_is_given(s, "stream", err) || !dg_is_place(text, err) || !dg_is_given(n, "n", err))
        return DG_ERR_USAGE;
    *n = 0;
    bytes = dg_tokenizer_bytes(s->tokenizer, id, &length);
    if (!bytes)
        return dg_fail(err, DG_ERR_TOKEN, "token id: got %" PRId32 ", expected 0 to %" PRIu32, id,
                       dg_tokenizer_vocab(s->tokenizer) - 1);
    memcpy(s->held + s->n_held, bytes, length);
    s->n_held += length;
    start = s->n_held < MOST_HELD ? s->n_held : MOST_HELD;
    while (start > 0 && !dg_utf8_is_start(s->held + s->n_held - start, start))
        start--;
    *text = release(s, s->n_held - start, n);
    return DG_OK;
}

const char *dg_stream_end(struct dg_stream *s, size_t *n)
{
    return s && n ? release(s, s->n_held, n) : NULL;
}
