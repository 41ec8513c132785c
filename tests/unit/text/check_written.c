/* src/text/vocabulary_write.c and special_json.c: a tokenizer that is written and read again is the same one; and what
 * the small files beside it add to it. */
#include "../../support/support.h"
#include "../../../src/dagpt.h"
#include "../../../src/text/vocabulary_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct dg_tokenizer *parse(const char *text, size_t n)
{
    struct dg_tokenizer *t = NULL;
    struct dg_error err = {0};

    ck_assert_msg(dg_tokenizer_parse(&t, text, n, "file", &err) == DG_OK, "%s", err.text);
    return t;
}

/* ---- a tokenizer with all that there can be ---- */

/* The bytes in the opposite order of ids; a token that two merges make; a special one that a merge makes, one with
 * blanks and one that is not ASCII; one that is read in any text. */
static struct dg_tokenizer *make(void)
{
    static const char rest[] =
        "\"ab\":256,\"bc\":257,\"abc\":258,\"\xC4\xA0"
        "a\":259},"
        "\"merges\":[\"a b\",\"b c\",\"ab c\",\"a bc\",\"\xC4\xA0 a\"]},"
        "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},"
        "\"added_tokens\":[{\"id\":260,\"content\":\"<|endoftext|>\"},"
        "{\"id\":259,\"content\":\" a\",\"special\":true},"
        "{\"id\":261,\"content\":\" <x> \",\"special\":true},"
        "{\"id\":262,\"content\":\"\xC3\xA9\xE2\x82\xAC\\n\",\"special\":true},"
        "{\"id\":263,\"content\":\"yes\",\"special\":false}]}";
    struct dg_tokenizer *bytes = parse("a b\n", 4), *t;
    char *text;
    size_t n;
    FILE *to = open_memstream(&text, &n);
    struct dg_vocabulary_lists l;

    ck_assert_ptr_nonnull(to);
    ck_assert_int_eq(dg_vocabulary_lists(&l, bytes, NULL), DG_OK);
    fputs("{\"model\":{\"type\":\"BPE\",\"vocab\":{", to);
    for (int id = 0; id < DG_N_BYTES; id++) {
        const struct dg_token_text *one = &l.tokens[id];

        fprintf(to, "\"%s%.*s\":%d,", *one->text == '"' || *one->text == '\\' ? "\\" : "",
                (int)one->n, one->text, 255 - id);
    }
    fputs(rest, to);
    fclose(to);
    t = parse(text, n);
    free(text);
    dg_vocabulary_lists_free(&l);
    dg_tokenizer_free(bytes);
    return t;
}

static void expect_same_ids(const struct dg_tokenizer *a, const struct dg_tokenizer *b,
                            const char *text, size_t n)
{
    for (int special = 0; special < 2; special++) {
        enum dg_status (*encode)(const struct dg_tokenizer *t, const char *text, size_t n,
                                 int32_t **ids, size_t *n_ids, struct dg_error *err) =
            special ? dg_tokenizer_encode_special : dg_tokenizer_encode;
        int32_t *ids[2];
        size_t n_ids[2];

        ck_assert_int_eq(encode(a, text, n, &ids[0], &n_ids[0], NULL), DG_OK);
        ck_assert_int_eq(encode(b, text, n, &ids[1], &n_ids[1], NULL), DG_OK);
        ck_assert_uint_eq(n_ids[0], n_ids[1]);
        ck_assert_mem_eq(ids[0], ids[1], n_ids[0] * sizeof *ids[0]);
        free(ids[0]);
        free(ids[1]);
    }
}

/* The bytes of each id, and the ids of texts of their bytes. */
static void expect_same(const struct dg_tokenizer *a, const struct dg_tokenizer *b)
{
    static const char letters[] = "abcabc  a<x>yes\n\xC3\xA9\xE2\x82\xAC<|endoftext|>";
    uint64_t seed = 5;

    ck_assert_uint_eq(dg_tokenizer_vocab(a), dg_tokenizer_vocab(b));
    ck_assert_int_eq(dg_tokenizer_begin(a), dg_tokenizer_begin(b));
    ck_assert_int_eq(dg_tokenizer_end(a), dg_tokenizer_end(b));
    for (int32_t id = 0; id < (int32_t)dg_tokenizer_vocab(a); id++) {
        size_t n[2];
        const char *bytes[2] = {dg_tokenizer_bytes(a, id, &n[0]), dg_tokenizer_bytes(b, id, &n[1])};

        ck_assert(n[0] == n[1] && memcmp(bytes[0], bytes[1], n[0]) == 0);
    }
    for (int i = 0; i < 2000; i++) {
        char text[64];
        const size_t n = random_below(&seed, sizeof text);

        for (size_t k = 0; k < n;) {
            size_t length;
            const char *bytes =
                dg_tokenizer_bytes(a, 256 + (int32_t)random_below(&seed, 8), &length);

            if (random_below(&seed, 2) || k + length > n)
                text[k++] = letters[random_below(&seed, sizeof letters - 1)];
            else {
                memcpy(text + k, bytes, length);
                k += length;
            }
        }
        expect_same_ids(a, b, text, n);
    }
}

START_TEST(json)
{
    struct dg_tokenizer *t = make(), *again;
    struct dg_vocabulary_lists l;
    char *text;
    size_t n;
    FILE *to = open_memstream(&text, &n);

    ck_assert_ptr_nonnull(to);
    ck_assert_int_eq(dg_vocabulary_check_json(t, "t", NULL), DG_OK);
    ck_assert_int_eq(dg_vocabulary_lists(&l, t, NULL), DG_OK);
    dg_vocabulary_write_json(&l, to);
    fclose(to);
    again = parse(text, n);
    expect_same(t, again);
    free(text);
    dg_vocabulary_lists_free(&l);
    dg_tokenizer_free(again);
    dg_tokenizer_free(t);
}
END_TEST

/* Merges and no other tokens: they say all. */
START_TEST(merges)
{
    static const char file[] = "#version: 0.2\na b\nb c\nab c\na bc\n\xC4\xA0 a\n";
    struct dg_tokenizer *t = parse(file, sizeof file - 1);
    struct dg_vocabulary_lists l;
    char *text;
    size_t n;
    FILE *to = open_memstream(&text, &n);

    ck_assert_ptr_nonnull(to);
    ck_assert_int_eq(dg_vocabulary_lists(&l, t, NULL), DG_OK);
    dg_vocabulary_write_merges(&l, to);
    fclose(to);
    ck_assert(n == sizeof file - 1 && memcmp(text, file, n) == 0);
    free(text);
    dg_vocabulary_lists_free(&l);
    dg_tokenizer_free(t);
}
END_TEST

START_TEST(no_json)
{
    static const struct dg_token_text odd = {"\xFF<", 2, 256, DG_TOKEN_SPECIAL};
    struct dg_tokenizer *bytes = parse("", 0), *t;
    struct dg_vocabulary_lists l;
    struct dg_token_text all[DG_N_BYTES + 1];
    struct dg_error err;

    ck_assert_int_eq(dg_vocabulary_lists(&l, bytes, NULL), DG_OK);
    memcpy(all, l.tokens, DG_N_BYTES * sizeof *all);
    all[DG_N_BYTES] = odd;
    ck_assert_int_eq(dg_vocabulary_of_lists(&t, "t", all, DG_N_BYTES + 1, NULL, 0, NULL), DG_OK);
    ck_assert_int_eq(dg_vocabulary_check_json(t, "t", &err), DG_ERR_TOKEN);
    ck_assert_str_eq(err.text,
                     "t: token id 256: got bytes that are not UTF-8, expected what JSON can have");
    dg_vocabulary_lists_free(&l);
    dg_tokenizer_free(t);
    dg_tokenizer_free(bytes);
}
END_TEST

/* ---- the files beside it ---- */

typedef enum dg_status reader(struct dg_tokenizer **t, const char *path, struct dg_error *err);

static enum dg_status read_text(reader *read, struct dg_tokenizer **t, const char *text,
                                struct dg_error *err)
{
    char path[] = "/tmp/check_written-XXXXXX";
    const int fd = mkstemp(path);
    const size_t n = strlen(text);
    enum dg_status st;

    ck_assert(fd >= 0 && write(fd, text, n) == (ssize_t)n && close(fd) == 0);
    st = read(t, path, err);
    unlink(path);
    return st;
}

/* The ids of a text, as digits between blanks. */
static void expect_ids(const struct dg_tokenizer *t, bool special, const char *text,
                       const char *expected)
{
    int32_t *ids;
    size_t n;
    char got[128] = "", *to = got;

    ck_assert_int_eq((special ? dg_tokenizer_encode_special
                              : dg_tokenizer_encode)(t, text, strlen(text), &ids, &n, NULL),
                     DG_OK);
    for (size_t i = 0; i < n; i++)
        to += sprintf(to, "%s%d", i ? " " : "", (int)ids[i]);
    free(ids);
    ck_assert_str_eq(got, expected);
}

START_TEST(beside)
{
    struct dg_tokenizer *t = parse("a b\n", 4); /* ab is 256, the end of a text 257 */
    struct dg_error err;

    ck_assert_int_eq(read_text(dg_vocabulary_added, &t, "{\"<p>\": 259, \"<q>\": 258}", &err),
                     DG_OK);
    ck_assert_uint_eq(dg_tokenizer_vocab(t), 260);
    ck_assert_int_eq(dg_tokenizer_end(t), 257);
    expect_ids(t, false, "ab<p>ab<q>", "256 259 256 258");
    ck_assert_int_eq(read_text(dg_vocabulary_named, &t,
                               "{\"eos_token\": {\"content\": \"<p>\", \"lstrip\": false},"
                               "\"bos_token\": \"<|endoftext|>\", \"pad_token\": \"none\","
                               "\"unk_token\": null, \"add_bos_token\": false,"
                               "\"additional_special_tokens\": [\"<p>\"]}",
                               &err),
                     DG_OK);
    ck_assert_int_eq(dg_tokenizer_end(t), 259);
    ck_assert_int_eq(dg_tokenizer_begin(t), 257);
    expect_ids(t, false, "ab<p>ab<q>", "256 27 79 29 256 258");
    expect_ids(t, true, "ab<p>ab<q><|endoftext|>", "256 259 256 258 257");
    dg_tokenizer_free(t);
}
END_TEST

START_TEST(beside_refused)
{
    static const struct {
        reader *read;
        const char *text, *what;
    } cases[] = {
        {dg_vocabulary_added, "{\"ab\": 255}", "'ab': got id 255, expected 256"},
        {dg_vocabulary_added, "{\"<p>\": 300}", "token id: got 300, expected less than 259"},
        {dg_vocabulary_added, "{\"<p>\": 3}",
         "got id 3, which is another token's, expected 258 or more"},
        {dg_vocabulary_added, "{\"<p>\": 258, \"<p>\": 259}",
         "a name that the object does not have"},
        {dg_vocabulary_added, "{\"\": 258}", "got an empty text"},
        {dg_vocabulary_added, "[]", "expected "},
        {dg_vocabulary_added, "{\"<p>\": 258", "expected "},
        {dg_vocabulary_added, "{\"<p>\": \"258\"}", "expected an integer"},
        {dg_vocabulary_named, "{\"eos_token\": 3}", "expected "},
        {dg_vocabulary_named, "{\"additional_special_tokens\": \"<p>\"}", "expected "},
        {dg_vocabulary_named, "", "expected "},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct dg_tokenizer *t = parse("a b\n", 4);
        struct dg_error err = {0};

        ck_assert_int_eq(read_text(cases[i].read, &t, cases[i].text, &err), DG_ERR_TOKEN);
        ck_assert_msg(strstr(err.text, cases[i].what) && strncmp(err.text, "/tmp/", 5) == 0,
                      "%s: got '%s'", cases[i].text, err.text);
        expect_ids(t, false, "ab", "256"); /* it stays */
        dg_tokenizer_free(t);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {json, merges, no_json, beside, beside_refused, NULL};

    return run_suite("written", tests);
}
