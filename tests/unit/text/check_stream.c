/* dg_stream_...: ids to text one by one, against the whole text at once. */
#include "../../support/support.h"
#include "../../../src/base/utf8.h"
#include "../../../src/dagpt.h"

#include <stdlib.h>
#include <string.h>

enum { MOST = 4096 };

struct bytes {
    char text[MOST];
    size_t n;
};

static void append(void *arg, const char *s, size_t n)
{
    struct bytes *b = arg;

    ck_assert_msg(b->n + n <= MOST, "%zu bytes", b->n + n);
    memcpy(b->text + b->n, s, n);
    b->n += n;
}

static void open_both(struct dg_tokenizer **t, struct dg_stream **s)
{
    struct dg_error err = {0};

    ck_assert_msg(dg_tokenizer_open(t, "models/demo/merges.txt", &err) == DG_OK, "%s", err.text);
    ck_assert_msg(dg_stream_new(s, *t, &err) == DG_OK, "%s", err.text);
}

/* Only whole characters so far: nothing but them, or U+FFFD, was released. */
static void check_whole(const struct bytes *b)
{
    for (size_t i = 0, length; i < b->n; i += length) {
        uint32_t code;

        length = dg_utf8_decode(b->text + i, b->n - i, &code);
        ck_assert_msg(length > 0, "byte %zu of %zu", i, b->n);
    }
}

static void push(struct dg_stream *s, int32_t id, struct bytes *got)
{
    struct dg_error err = {0};
    const char *text;
    size_t n;

    ck_assert_msg(dg_stream_push(s, id, &text, &n, &err) == DG_OK, "%s", err.text);
    append(got, text, n);
    check_whole(got);
}

static void end(struct dg_stream *s, struct bytes *got)
{
    size_t n;
    const char *text = dg_stream_end(s, &n);

    append(got, text, n);
    check_whole(got);
}

/* Ids of bytes above 0x7F as often as those of text: characters, and beginnings of them, come about. */
START_TEST(random_ids)
{
    struct dg_tokenizer *t;
    struct dg_stream *s;
    uint64_t state = 16;

    open_both(&t, &s);
    for (int turn = 0; turn < 3000; turn++) {
        static struct bytes raw, expected, got;
        const uint32_t ids = 1 + random_below(&state, 40);

        raw.n = expected.n = got.n = 0;
        for (uint32_t i = 0; i < ids; i++) {
            const bool byte = random_below(&state, 2);
            const int32_t id = (int32_t)random_below(&state, byte ? 256 : dg_tokenizer_vocab(t));
            size_t n;
            const char *bytes = dg_tokenizer_bytes(t, id, &n);

            append(&raw, bytes, n);
            push(s, id, &got);
            ck_assert_msg(got.n + 3 >= raw.n, "%zu bytes are held back", raw.n - got.n);
        }
        end(s, &got);
        dg_utf8_release(raw.text, raw.n, raw.n, append, &expected);
        ck_assert_uint_eq(got.n, expected.n);
        ck_assert_mem_eq(got.text, expected.text, got.n);
    }
    dg_stream_free(s);
    dg_tokenizer_free(t);
}
END_TEST

/* Each byte of a character is an id: nothing, nothing, nothing, all of it. */
START_TEST(a_character_of_four_ids)
{
    static const char clef[] = "\xF0\x9D\x84\x9E";
    struct dg_tokenizer *t;
    struct dg_stream *s;
    int32_t *ids;
    size_t n_ids, n;

    ck_assert_int_eq(dg_tokenizer_parse(&t, "", 0, "bytes", NULL), DG_OK);
    ck_assert_int_eq(dg_stream_new(&s, t, NULL), DG_OK);
    ck_assert_int_eq(dg_tokenizer_encode(t, clef, 4, &ids, &n_ids, NULL), DG_OK);
    ck_assert_uint_eq(n_ids, 4);
    for (int turn = 0; turn < 2; turn++) {
        for (int i = 0; i < 4; i++) {
            const char *text;

            ck_assert_int_eq(dg_stream_push(s, ids[i], &text, &n, NULL), DG_OK);
            ck_assert_uint_eq(n, i == 3 ? 4 : 0);
            ck_assert(i < 3 || memcmp(text, clef, 4) == 0);
        }
    }
    for (int i = 0; i < 3; i++) {
        const char *text;

        ck_assert_int_eq(dg_stream_push(s, ids[i], &text, &n, NULL), DG_OK);
    }
    ck_assert_mem_eq(dg_stream_end(s, &n), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD", 9);
    ck_assert_uint_eq(n, 9);
    (void)dg_stream_end(s, &n);
    ck_assert_uint_eq(n, 0);
    free(ids);
    dg_stream_free(s);
    dg_tokenizer_free(t);
}
END_TEST

START_TEST(misused)
{
    struct dg_error err = {0};
    struct dg_tokenizer *t;
    struct dg_stream *s, *none;
    const char *text;
    size_t n;

    open_both(&t, &s);
    ck_assert_int_eq(dg_stream_new(&none, NULL, &err), DG_ERR_USAGE);
    ck_assert_ptr_null(none);
    ck_assert_int_eq(dg_stream_new(NULL, t, &err), DG_ERR_USAGE);
    ck_assert_int_eq(dg_stream_push(NULL, 0, &text, &n, &err), DG_ERR_USAGE);
    ck_assert_int_eq(dg_stream_push(s, 0, NULL, &n, &err), DG_ERR_USAGE);
    ck_assert_int_eq(dg_stream_push(s, 0, &text, NULL, &err), DG_ERR_USAGE);
    ck_assert_int_eq(dg_stream_push(s, -1, &text, &n, &err), DG_ERR_TOKEN);
    ck_assert_uint_eq(n, 0);
    ck_assert_int_eq(dg_stream_push(s, (int32_t)dg_tokenizer_vocab(t), &text, &n, &err),
                     DG_ERR_TOKEN);
    ck_assert_ptr_null(dg_stream_end(NULL, &n));
    ck_assert_ptr_null(dg_stream_end(s, NULL));
    dg_stream_free(NULL);
    dg_stream_free(s);
    dg_tokenizer_free(t);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {random_ids, a_character_of_four_ids, misused, NULL};

    return run_suite("stream of ids", tests);
}
