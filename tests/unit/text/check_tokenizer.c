/* The tokenizer against a plain one, over random merges and texts, encoded in windows of every
 * size; against the ids that the reference tokenizer gives; and against damaged merges files. */
#include "../../support/reference.h"
#include "../../support/support.h"
#include "../../../src/dagpt.h"
#include "../../../src/text/special.h"
#include "../../../src/text/split.h"
#include "../../../src/text/tokenizer.h"
#include "../../../src/text/vocabulary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BYTES = 256, MAX_MERGES = 64, MAX_TOKENS = BYTES + MAX_MERGES + 1, MAX_TOKEN = 300 };

/* ---- the plain tokenizer ---- */

/* Merges, and their file. Ids are as in dagpt.h. */
struct plain {
    char token[MAX_TOKENS][MAX_TOKEN];
    size_t length[MAX_TOKENS];
    int n; /* tokens, without the end of text */
    int of_byte[BYTES];
    bool again; /* two merges may make one token */
    int n_merges;
    int rank[MAX_TOKENS][MAX_TOKENS]; /* of the merge of two tokens, from 1; 0: none */
    int made[MAX_MERGES + 1];         /* by rank: the id that they become */
    char file[2 * MAX_MERGES * 2 * MAX_TOKEN];
    size_t file_bytes;
};

/* The character that GPT-2's bytes_to_unicode() gives a byte, and the byte's id, which is the place
 * that it has in that function's list. */
static unsigned printable(unsigned byte, int *id)
{
    unsigned codes[BYTES];
    int n = 0;

    for (unsigned b = '!'; b <= '~'; b++)
        codes[n++] = b;
    for (unsigned b = 0xA1; b <= 0xAC; b++)
        codes[n++] = b;
    for (unsigned b = 0xAE; b <= 0xFF; b++)
        codes[n++] = b;
    for (int i = 0; i < n; i++) {
        if (codes[i] == byte) {
            *id = i;
            return byte;
        }
    }
    *id = n; /* those that are left, in their order, are U+0100 and on */
    for (unsigned b = 0, code = 0x100;; b++) {
        const bool listed = (b >= '!' && b <= '~') || (b >= 0xA1 && b != 0xAD);

        if (b == byte)
            return code;
        *id += !listed;
        code += !listed;
    }
}

static void write_token(struct plain *p, int id)
{
    for (size_t i = 0; i < p->length[id]; i++) {
        int unused;
        const unsigned code = printable((unsigned char)p->token[id][i], &unused);

        if (code >= 0x80)
            p->file[p->file_bytes++] = (char)(0xC0 | code >> 6);
        p->file[p->file_bytes++] = (char)(code < 0x80 ? code : 0x80 | (code & 0x3F));
    }
}

static void start_plain(struct plain *p)
{
    memset(p, 0, sizeof *p);
    for (unsigned b = 0; b < BYTES; b++) {
        int id;

        printable(b, &id);
        p->of_byte[b] = id;
        p->token[id][0] = (char)b;
        p->length[id] = 1;
    }
    p->n = BYTES;
    p->file_bytes = (size_t)sprintf(p->file, "#version: 0.2\n");
}

/* The token of the same bytes as the one behind the last, which it may be. */
static int same_token(const struct plain *p)
{
    int i = 0;

    while (p->length[i] != p->length[p->n] ||
           memcmp(p->token[i], p->token[p->n], p->length[i]) != 0)
        i++;
    return i;
}

/* Adds the merge of two tokens, unless it is there, or what it makes is and may not be, or is too long. */
static void add_merge(struct plain *p, int left, int right)
{
    const size_t n = p->length[left] + p->length[right];
    int id;

    if (n > MAX_TOKEN || p->n_merges == MAX_MERGES || p->rank[left][right])
        return;
    memcpy(p->token[p->n], p->token[left], p->length[left]);
    memcpy(p->token[p->n] + p->length[left], p->token[right], p->length[right]);
    p->length[p->n] = n;
    id = same_token(p);
    if (id < p->n && !p->again)
        return;
    p->n += id == p->n;
    p->rank[left][right] = ++p->n_merges;
    p->made[p->n_merges] = id;
    write_token(p, left);
    p->file[p->file_bytes++] = ' ';
    write_token(p, right);
    p->file[p->file_bytes++] = '\n';
}

/* GPT-2's loop over a piece: of the pairs, the one whose merge comes first is joined wherever it
 * stands, from left to right, until there is none; where two merges may make one token, as tokenizers
 * does it, at the first place alone. Leaves the ids in id[]; their number. */
static size_t encode_piece(const struct plain *p, const char *s, size_t n, int32_t *id)
{
    for (size_t i = 0; i < n; i++)
        id[i] = p->of_byte[(unsigned char)s[i]];
    for (;;) {
        int best = 0;
        size_t kept = 0;

        for (size_t i = 0; i + 1 < n; i++) {
            const int rank = p->rank[id[i]][id[i + 1]];

            if (rank && (!best || rank < best))
                best = rank;
        }
        if (!best)
            return n;
        for (size_t i = 0; i < n; kept++) {
            const bool join =
                i + 1 < n && p->rank[id[i]][id[i + 1]] == best && !(p->again && kept < i);

            id[kept] = join ? p->made[best] : id[i];
            i += join ? 2 : 1;
        }
        n = kept;
    }
}

static size_t encode_plain(const struct plain *p, const char *text, size_t n, int32_t *ids)
{
    size_t made = 0, length;

    for (size_t at = 0; at < n; at += length) {
        length = dg_split(text + at, n - at);
        made += encode_piece(p, text + at, length, ids + made);
    }
    return made;
}

/* ---- comparisons ---- */

static struct dg_tokenizer *parse(const char *merges, size_t n)
{
    struct dg_tokenizer *t = NULL;
    struct dg_error err = {0};

    if (dg_tokenizer_parse(&t, merges, n, "merges", &err) != DG_OK)
        ck_abort_msg("%s\n%.*s", err.text, (int)n, merges);
    return t;
}

/* The text's ids, in windows of so many bytes; 0: dg_tokenizer_encode's own. */
static int32_t *encode(const struct dg_tokenizer *t, size_t window, const char *text, size_t n,
                       size_t *n_ids)
{
    struct dg_error err = {0};
    int32_t *ids = NULL;
    const enum dg_status st = window ? dg_tokenizer_encode_by(t, window, text, n, &ids, n_ids, &err)
                                     : dg_tokenizer_encode(t, text, n, &ids, n_ids, &err);

    if (st != DG_OK || !ids)
        ck_abort_msg("window %zu: %s", window, err.text);
    return ids;
}

/* Encodes the text and sees that the ids are these. */
static void expect_ids(const struct dg_tokenizer *t, size_t window, const char *text, size_t n,
                       const int32_t *expected, size_t n_expected)
{
    size_t n_ids, i = 0;
    int32_t *ids = encode(t, window, text, n, &n_ids);

    while (i < n_ids && i < n_expected && ids[i] == expected[i])
        i++;
    if (i < n_ids || i < n_expected)
        ck_abort_msg("window %zu, '%.*s': id %zu of %zu is %d, expected %d of %zu", window,
                     (int)(n < 2000 ? n : 2000), text, i, n_ids, i < n_ids ? ids[i] : -1,
                     i < n_expected ? expected[i] : -1, n_expected);
    free(ids);
}

/* The bytes of the ids, one after the other, are the text. */
static void expect_text(const struct dg_tokenizer *t, const int32_t *ids, size_t n_ids,
                        const char *text, size_t n)
{
    size_t at = 0, length = 0;

    for (size_t i = 0; i < n_ids; i++, at += length) {
        const char *bytes = dg_tokenizer_bytes(t, ids[i], &length);

        if (!bytes || length > n - at || memcmp(bytes, text + at, length) != 0)
            ck_abort_msg("id %zu, %d, is not what stands at byte %zu", i, ids[i], at);
    }
    ck_assert_uint_eq(at, n);
}

static void round_trip(const struct dg_tokenizer *t, size_t window, const char *text, size_t n)
{
    size_t n_ids;
    int32_t *ids = encode(t, window, text, n, &n_ids);

    expect_text(t, ids, n_ids, text, n);
    free(ids);
}

static const size_t windows[] = {1, 2, 3, 5, 8, 64, 1024, 0};

static void compare(const struct plain *p, const struct dg_tokenizer *t, const char *text, size_t n,
                    int32_t *room)
{
    const size_t n_ids = encode_plain(p, text, n, room);

    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++)
        expect_ids(t, windows[i], text, n, room, n_ids);
    expect_text(t, room, n_ids, text, n);
}

/* ---- random merges, random texts ---- */

/* Merges of tokens over an alphabet; one in four takes the longest token again, so that tokens
 * longer than a window are made. */
static void random_merges(struct plain *p, uint64_t *seed, const char *alphabet, uint32_t letters,
                          uint32_t merges, bool again)
{
    start_plain(p);
    p->again = again;
    for (uint32_t i = 0; i < merges; i++) {
        int half[2];

        for (int k = 0; k < 2; k++) {
            const uint32_t pick = random_below(seed, letters + (uint32_t)(p->n - BYTES));

            half[k] = pick < letters ? p->of_byte[(unsigned char)alphabet[pick]]
                                     : BYTES + (int)(pick - letters);
        }
        if (p->n > BYTES && random_below(seed, 4) == 0)
            half[random_below(seed, 2)] = p->n - 1;
        add_merge(p, half[0], half[1]);
    }
}

/* Letters, or whole tokens, which are often cut in two by what stands before them. */
static size_t random_text(const struct plain *p, uint64_t *seed, const char *alphabet,
                          uint32_t letters, size_t n, char *text)
{
    size_t made = 0;

    while (made < n) {
        const int id = BYTES + (int)random_below(seed, (uint32_t)(p->n - BYTES) + 1);

        if (id < p->n && p->length[id] <= n - made && random_below(seed, 3) == 0) {
            memcpy(text + made, p->token[id], p->length[id]);
            made += p->length[id];
        } else {
            text[made++] = alphabet[random_below(seed, letters)];
        }
    }
    return made;
}

static void compare_random(const char *alphabet, uint32_t max_letters, uint64_t state,
                           int vocabularies, int texts, uint32_t max_text, bool again)
{
    uint64_t *const seed = &state;
    struct plain *p = malloc(sizeof *p);
    char *text = malloc(max_text);
    int32_t *ids = malloc(max_text * sizeof *ids);

    ck_assert(p && text && ids);
    if (sanitized())
        vocabularies /= 10;
    for (int i = 0; i < vocabularies; i++) {
        const uint32_t letters = 1 + random_below(seed, max_letters);
        struct dg_tokenizer *t;

        random_merges(p, seed, alphabet, letters, 1 + random_below(seed, MAX_MERGES), again);
        t = parse(p->file, p->file_bytes);
        ck_assert_uint_eq(dg_tokenizer_vocab(t), (unsigned)p->n + 1);
        for (int k = 0; k < texts; k++) {
            const size_t n =
                random_text(p, seed, alphabet, letters, 1 + random_below(seed, max_text), text);

            compare(p, t, text, n, ids);
        }
        dg_tokenizer_free(t);
    }
    free(p);
    free(text);
    free(ids);
}

/* One piece, over few letters: ties, pairs that overlap as in aaaa, and tokens up to 300 bytes. The
 * windows' claim, that the ids do not depend on them, is tested here a million times. */
START_TEST(one_piece)
{
    compare_random("abc", 3, 1, 1500, 100, 50, false);
    compare_random("abcd", 4, 2, 400, 40, 400, false);
}
END_TEST

/* Two merges may make one token, and then a join may make a pair of an earlier merge. */
START_TEST(made_twice)
{
    compare_random("abc", 3, 7, 500, 100, 50, true);
    compare_random("ab", 2, 8, 150, 40, 400, true);
}
END_TEST

/* Longer than some of the usual windows. */
START_TEST(long_pieces)
{
    compare_random("abc", 3, 3, 150, 5, 6000, false);
}
END_TEST

/* Text of many pieces; letters that are two bytes of UTF-8; bytes that are not UTF-8 or have no
 * printable character of their own. */
START_TEST(many_pieces)
{
    static const char bytes[] = "a \n's!1\xC3\xA9\x00\xFF\xAD\x7F\xA0\x20";

    compare_random(bytes, sizeof bytes - 1, 4, 1000, 40, 120, false);
}
END_TEST

START_TEST(any_bytes)
{
    char all[BYTES];

    for (int b = 0; b < BYTES; b++)
        all[b] = (char)b;
    compare_random(all, BYTES, 5, 300, 20, 600, false);
}
END_TEST

/* ---- the vocabulary ---- */

static void expect_bytes(const struct dg_tokenizer *t, int32_t id, const char *bytes, size_t n)
{
    size_t length = 0;
    const char *got = dg_tokenizer_bytes(t, id, &length);

    ck_assert_ptr_nonnull(got);
    ck_assert_uint_eq(length, n);
    ck_assert_mem_eq(got, bytes, n);
}

/* 256 bytes in the order of GPT-2's characters, the merges in theirs, and the end of text. */
START_TEST(vocabulary)
{
    static const char merges[] = "#version: 0.2\na b\nab a\n";
    struct dg_tokenizer *t = parse(merges, sizeof merges - 1);
    size_t n = 0;

    ck_assert_uint_eq(dg_tokenizer_vocab(t), 259);
    ck_assert_int_eq(dg_tokenizer_end(t), 258);
    for (unsigned b = 0; b < BYTES; b++) {
        const char byte = (char)b;
        int id;

        printable(b, &id);
        expect_bytes(t, id, &byte, 1);
        expect_ids(t, 0, &byte, 1, (const int32_t[]){id}, 1);
    }
    expect_bytes(t, 0, "!", 1);
    expect_bytes(t, 93, "~", 1);
    expect_bytes(t, 94, "\xA1", 1);
    expect_bytes(t, 187, "\xFF", 1);
    expect_bytes(t, 188, "\0", 1);
    expect_bytes(t, 220, " ", 1);
    expect_bytes(t, 255, "\xAD", 1);
    expect_bytes(t, 256, "ab", 2);
    expect_bytes(t, 257, "aba", 3);
    expect_bytes(t, 258, "<|endoftext|>", 13);
    ck_assert_ptr_null(dg_tokenizer_bytes(t, 259, &n));
    ck_assert_ptr_null(dg_tokenizer_bytes(t, -1, &n));
    ck_assert_ptr_null(dg_tokenizer_bytes(t, INT32_MAX, &n));
    ck_assert_ptr_null(dg_tokenizer_bytes(t, INT32_MIN, &n));
    dg_tokenizer_free(t);
    dg_tokenizer_free(NULL);
}
END_TEST

/* In a text, its name is text; and no text has no ids. */
START_TEST(end_of_text)
{
    static const char text[] = "<|endoftext|>";
    struct dg_tokenizer *t = parse("", 0);
    size_t n_ids = 1;
    int32_t *ids = encode(t, 0, text, sizeof text - 1, &n_ids);

    ck_assert_uint_eq(n_ids, sizeof text - 1);
    expect_text(t, ids, n_ids, text, sizeof text - 1);
    free(ids);
    expect_ids(t, 0, "", 0, NULL, 0);
    expect_ids(t, 1, "", 0, NULL, 0);
    dg_tokenizer_free(t);
}
END_TEST

/* ---- special tokens, and texts whose end is not there yet ---- */

/* The ids of a text, by the library; with special tokens or without. */
static int32_t *encode_whole(const struct dg_tokenizer *t, bool special, const char *text, size_t n,
                             size_t *n_ids)
{
    struct dg_error err = {0};
    int32_t *ids = NULL;

    if (!special)
        return encode(t, 0, text, n, n_ids);
    ck_assert_msg(dg_tokenizer_encode_special(t, text, n, &ids, n_ids, &err) == DG_OK, "%s",
                  err.text);
    return ids;
}

/* Of the special tokens that the text begins with the longest; -1: none. */
static int32_t plain_special(const struct dg_tokenizer *t, const char *text, size_t n)
{
    int32_t found = -1;
    size_t longest = 0, length;

    for (uint32_t i = 0; i < t->n_special; i++) {
        const char *bytes = dg_tokenizer_bytes(t, (int32_t)t->special[i], &length);

        if (length > longest && length <= n && memcmp(text, bytes, length) == 0) {
            longest = length;
            found = (int32_t)t->special[i];
        }
    }
    return found;
}

static size_t some_letters(uint64_t *state, uint32_t most, char *text)
{
    const size_t n = 1 + random_below(state, most);

    for (size_t i = 0; i < n; i++)
        text[i] = (char)('a' + random_below(state, 2));
    return n;
}

/* The longest of the first `some` special tokens that begins the text, and of equals the first. */
static size_t longest_of(const struct dg_tokenizer *t, uint32_t some, const char *text, size_t n,
                         uint32_t *token)
{
    size_t longest = 0;

    for (uint32_t i = 0; i < some; i++) {
        const size_t *start = &t->start[t->special[i]], length = start[1] - start[0];

        if (length > longest && length <= n && memcmp(text, t->bytes + start[0], length) == 0) {
            longest = length;
            *token = t->special[i];
        }
    }
    return longest;
}

static void look_for_special(const struct dg_tokenizer *t, uint32_t some, uint64_t *state)
{
    for (int i = 0; i < 200; i++) {
        char text[12];
        const size_t n = some_letters(state, sizeof text, text);
        uint32_t got = 0, expected = 0;
        const size_t n_got = dg_special_at(t, some, text, n, &got);

        ck_assert_uint_eq(n_got, longest_of(t, some, text, n, &expected));
        ck_assert_uint_eq(got, expected);
    }
}

/* Random ones, of which many begin others or are equal. */
START_TEST(special_tokens_that_begin_others)
{
    uint64_t state = 5;

    for (int round = 0; round < 200; round++) {
        const uint32_t n = 1 + random_below(&state, 20);
        struct dg_tokenizer *t;

        ck_assert_int_eq(dg_vocabulary_new(&t, 0, n, 8 * n, NULL), DG_OK);
        for (uint32_t i = 0; i < n; i++) {
            char text[8];
            const uint32_t token =
                dg_vocabulary_other(t, text, some_letters(&state, sizeof text, text));

            dg_vocabulary_special(t, token, random_below(&state, 3) == 0);
        }
        ck_assert_int_eq(dg_special_index(t, NULL), DG_OK);
        look_for_special(t, t->n_special, &state);
        look_for_special(t, t->n_always, &state);
        dg_tokenizer_free(t);
    }
}
END_TEST

/* What stands before each special token is encoded alone. */
static size_t encode_around(const struct dg_tokenizer *t, const char *text, size_t n, int32_t *ids)
{
    size_t made = 0, from = 0, length, n_part;

    for (size_t at = 0; at <= n; at++) {
        const int32_t id = at < n ? plain_special(t, text + at, n - at) : -1;
        int32_t *part;

        if (id < 0 && at < n)
            continue;
        part = encode(t, 0, text + from, at - from, &n_part);
        memcpy(ids + made, part, n_part * sizeof *ids);
        made += n_part;
        free(part);
        if (id < 0)
            break;
        ids[made++] = id;
        dg_tokenizer_bytes(t, id, &length);
        from = at + length;
        at = from - 1;
    }
    return made;
}

/* The text's ids, whole and cut at the border of each of its beginnings. */
static void expect_borders(const struct dg_tokenizer *t, bool special, const char *text, size_t n)
{
    size_t n_whole, n_head, n_tail, last = 0;
    int32_t *whole = encode_whole(t, special, text, n, &n_whole);

    for (size_t k = 0; k <= n; k++) {
        const size_t border = dg_tokenizer_border(t, text, k, special);
        int32_t *head, *tail;

        if (border > k || border < last)
            ck_abort_msg("border %zu of %zu bytes, after %zu", border, k, last);
        last = border;
        head = encode_whole(t, special, text, border, &n_head);
        tail = encode_whole(t, special, text + border, n - border, &n_tail);
        if (n_head + n_tail != n_whole || memcmp(head, whole, n_head * sizeof *whole) != 0 ||
            memcmp(tail, whole + n_head, n_tail * sizeof *whole) != 0)
            ck_abort_msg("'%.*s': other ids when cut at %zu, seen %zu", (int)n, text, border, k);
        free(head);
        free(tail);
    }
    free(whole);
}

/* Texts of these parts, over a tokenizer with special tokens of which one begins another. */
static void special_texts(const char *const *parts, uint32_t n_parts, uint64_t state)
{
    static const char merges[] = "a b\nab a\nl l\n' ll\n";
    struct dg_tokenizer *t = parse(merges, sizeof merges - 1);

    dg_vocabulary_special(t, 256, false); /* ab, aba; beside the end of text */
    dg_vocabulary_special(t, 257, false);
    ck_assert_int_eq(dg_special_index(t, NULL), DG_OK);
    for (int i = 0; i < (sanitized() ? 50 : 1000); i++) {
        char text[256];
        int32_t ids[256], *got;
        size_t n = 0, n_ids, n_got;

        for (uint32_t k = random_below(&state, 12); k > 0; k--) {
            const char *part = parts[random_below(&state, n_parts)];

            memcpy(text + n, part, strlen(part));
            n += strlen(part);
        }
        n_ids = encode_around(t, text, n, ids);
        got = encode_whole(t, true, text, n, &n_got);
        if (n_ids != n_got || memcmp(ids, got, n_ids * sizeof *ids) != 0)
            ck_abort_msg("'%.*s': other ids", (int)n, text);
        free(got);
        expect_borders(t, true, text, n);
        expect_borders(t, false, text, n);
    }
    dg_tokenizer_free(t);
}

START_TEST(special)
{
    static const char *const letters[] = {"a",           "b", "ab", "aba", " ", "<|endoftext|>",
                                          "<|endoftext|"};
    static const char *const marks[] = {"'",    "l",    "ll",   "  ", "\n",           "\xE3\x80",
                                        "\x80", "\xC3", "\xA9", "x",  "<|endoftext|>"};
    static const char text[] = "a<|endoftext|>b<|endoftext|><|endoftext|";
    struct dg_tokenizer *t = parse("", 0);
    size_t n_ids;
    int32_t *ids = encode_whole(t, true, text, sizeof text - 1, &n_ids);

    ck_assert_uint_eq(n_ids, 4 + 12);
    ck_assert_int_eq(ids[1], dg_tokenizer_end(t));
    ck_assert_int_eq(ids[3], dg_tokenizer_end(t));
    free(ids);
    dg_tokenizer_free(t);
    special_texts(letters, sizeof letters / sizeof *letters, 6);
    special_texts(marks, sizeof marks / sizeof *marks, 7);
}
END_TEST

/* A border is not far behind: of 64 words, all but the last some are ready. */
START_TEST(borders)
{
    static const char word[] = "word ";
    struct dg_tokenizer *t = parse("", 0);
    char text[64 * 5];

    for (size_t i = 0; i < sizeof text; i++)
        text[i] = word[i % 5];
    ck_assert_uint_ge(dg_tokenizer_border(t, text, sizeof text, false), sizeof text - 16);
    ck_assert_uint_ge(dg_tokenizer_border(t, text, sizeof text, true), sizeof text - 24);
    memset(text, 'a', sizeof text); /* one piece */
    ck_assert_uint_eq(dg_tokenizer_border(t, text, sizeof text, false), 0);
    ck_assert_uint_eq(dg_tokenizer_border(t, text, 0, false), 0);
    dg_tokenizer_free(t);
}
END_TEST

/* ---- the merges file ---- */

#define HEADER "#version: 0.2\n"

/* The tokens that these merges make, beyond the bytes and the end of text. */
static unsigned merges_in(const char *merges, size_t n)
{
    struct dg_tokenizer *t = parse(merges, n);
    const unsigned vocab = dg_tokenizer_vocab(t);

    dg_tokenizer_free(t);
    return vocab - BYTES - 1;
}

#define expect_merges(merges, n) ck_assert_uint_eq(merges_in(merges, sizeof(merges) - 1), n)

START_TEST(accepted)
{
    expect_merges("", 0);
    expect_merges("\n", 0);
    expect_merges("#version: 0.2", 0);
    expect_merges(HEADER, 0);
    expect_merges(HEADER "\n", 0); /* the last line may be empty */
    expect_merges(HEADER "\r\n", 0);
    expect_merges(HEADER "a b\nab c", 2); /* no final newline */
    expect_merges("a b\nab c\n", 2);      /* no header */
    expect_merges("a b\n\n", 1);
    expect_merges("#version: 0.2\r\na b\r\nab c\r\n", 2);
    expect_merges("# v\n#v e\n", 2); /* # is a byte like another */
    expect_merges("\xC4\xA0 a\n\xC4\xA0"
                  "a b\n\xC4\x80 \xC5\x83\n\xC3\xBF \xC3\xBF\n",
                  4);
    expect_merges("b c\na bc\n", 2);
}
END_TEST

/* The error names the file, the line, and what was found there. */
static void expect_error(const char *merges, size_t n, unsigned line, const char *what)
{
    struct dg_tokenizer *t = NULL;
    struct dg_error err = {0};
    char where[32];

    snprintf(where, sizeof where, "merges: line %u: ", line);
    ck_assert_int_eq(dg_tokenizer_parse(&t, merges, n, "merges", &err), DG_ERR_TOKEN);
    ck_assert_int_eq(err.status, DG_ERR_TOKEN);
    ck_assert_msg(strncmp(err.text, where, strlen(where)) == 0, "%s", err.text);
    ck_assert_msg(strstr(err.text, what), "%s", err.text);
    ck_assert_ptr_null(t);
    ck_assert_int_eq(dg_tokenizer_parse(&t, merges, n, "merges", NULL), DG_ERR_TOKEN);
}

#define expect_line(merges, line, what) expect_error(merges, sizeof(merges) - 1, line, what)

START_TEST(refused)
{
    static const char two[] = "expected two tokens and a space between";
    static const char unknown[] = "is neither a byte nor made by an earlier merge";
    static const char again[] = "got a merge that there is already";

    expect_line(HEADER "a b\nab\n", 3, two); /* one field */
    expect_line(HEADER "a b c\n", 2, two);   /* three */
    expect_line(HEADER "a b \n", 2, two);
    expect_line(HEADER " a b\n", 2, two);
    expect_line(HEADER "a  b\n", 2, two);
    expect_line(HEADER " a\n", 2, two);
    expect_line(HEADER "a \n", 2, two);
    expect_line(HEADER " \n", 2, two);
    expect_line(HEADER "a b\n\nab c\n", 3, two); /* a blank line before the last */
    expect_line("\n\n", 1, two);
    expect_line(HEADER "a\tb\n", 2, two);
    expect_line(HEADER "a b\n" HEADER, 3, unknown); /* a header that is not in the first line */
    expect_line("#version 0.2\n", 1, unknown);
    expect_line(HEADER "a bc\nb c\n", 2, "'bc' is neither"); /* made later */
    expect_line(HEADER "ab c\na b\n", 2, "'ab' is neither");
    expect_line(HEADER "a ab\n", 2, "'ab' is neither");
    expect_line(HEADER "a b\na b\n", 3, again);
    expect_line(HEADER "a b\nb c\nab c\na bc\nab c\n", 6, again);
    expect_line(HEADER "a b\r\r\n", 2, unknown);
    expect_line(HEADER "a\0 b\n", 2, "'a' is"); /* the text ends there */
    expect_line(HEADER "a b\0\n", 2, unknown);
    expect_line("\0", 1, two);
    expect_line("a \xC2\x80\n", 1, unknown); /* U+0080 and U+00AD stand for no byte */
    expect_line("a \xC2\xAD\n", 1, unknown);
    expect_line("a \xC2\xA0\n", 1, unknown);
    expect_line("a \x7F\n", 1, unknown);
    expect_line("a \xC5\x84\n", 1, unknown); /* U+0144: one past the last */
    expect_line("a \xC6\x80\n", 1, unknown);
    expect_line("a \xDF\xBF\n", 1, unknown);
    expect_line("a \xE2\x82\xAC\n", 1, unknown); /* no UTF-8 of more than two bytes */
    expect_line("a \xF0\x9F\x98\x80\n", 1, unknown);
    expect_line("a \xC4\n", 1, unknown); /* no UTF-8 */
    expect_line("\xFF a\n", 1, unknown);
    expect_line("a \xC0\xA1\n", 1, unknown);
    expect_line("a b\nab \xC4\xA0\xA0\n", 2, unknown);
}
END_TEST

/* A line of any length does not overflow the error's text, which stays one line. */
START_TEST(long_line)
{
    enum { LONG = 100000 };
    struct dg_error err = {0};
    struct dg_tokenizer *t = NULL;
    char *line = malloc(LONG);

    ck_assert_ptr_nonnull(line);
    memset(line, 'a', LONG);
    expect_error(line, LONG, 1, "expected two tokens");
    line[1] = ' ';
    expect_error(line, LONG, 1, "is neither a byte");
    line[2] = '\t';
    ck_assert_int_eq(dg_tokenizer_parse(&t, line, LONG, "mer\nges", &err), DG_ERR_TOKEN);
    ck_assert_msg(strncmp(err.text, "mer?ges: line 1: '?aaa", 22) == 0, "%s", err.text);
    free(line);
}
END_TEST

START_TEST(too_many_lines)
{
    enum { MOST = 1 << 24 };
    struct dg_error err = {0};
    struct dg_tokenizer *t = NULL;
    char *lines = malloc(MOST);

    ck_assert_ptr_nonnull(lines);
    memset(lines, '\n', MOST);
    ck_assert_int_eq(dg_tokenizer_parse(&t, lines, MOST, "merges", &err), DG_ERR_TOKEN);
    ck_assert_str_eq(err.text, "merges: got 16777217 lines, expected at most 16777216");
    free(lines);
}
END_TEST

/* dg_tokenizer_open() on something that is no file to read. */
static void expect_no_open(const char *path, const char *what)
{
    struct dg_error err = {0};
    struct dg_tokenizer *t = NULL;

    ck_assert_int_eq(dg_tokenizer_open(&t, path, &err), DG_ERR_TOKEN);
    ck_assert_int_eq(err.status, DG_ERR_TOKEN);
    ck_assert_msg(strncmp(err.text, path, strlen(path)) == 0, "%s", err.text);
    ck_assert_msg(strstr(err.text, what), "%s", err.text);
    ck_assert_ptr_null(t);
    ck_assert_int_eq(dg_tokenizer_open(&t, path, NULL), DG_ERR_TOKEN);
}

static void write_file(const char *path, const char *data, size_t n)
{
    FILE *f = fopen(path, "wb");

    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(data, 1, n, f), n);
    ck_assert_int_eq(fclose(f), 0);
}

START_TEST(files)
{
    static const char merges[] = HEADER "a b\n", bad[] = HEADER "a b\nc\n";
    char folder[] = "/tmp/dagpt-test-XXXXXX", path[64], where[96];
    struct dg_tokenizer *t = NULL;
    struct dg_error err = {0};

    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/merges", folder);
    expect_no_open(path, "cannot open: No such file");
    expect_no_open(folder, "not a regular file");
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    expect_no_open(path, "not a regular file");
    unlink(path);
    write_file(path, "", 0);
    expect_no_open(path, ": kind of file: got an empty file, expected a tokenizer; ");
    write_file(path, HEADER, sizeof HEADER - 1);
    ck_assert_int_eq(dg_tokenizer_open(&t, path, &err), DG_OK);
    ck_assert_uint_eq(dg_tokenizer_vocab(t), 257);
    dg_tokenizer_free(t);
    write_file(path, merges, sizeof merges - 1);
    ck_assert_int_eq(dg_tokenizer_open(&t, path, &err), DG_OK);
    unlink(path); /* it is read, and not needed any more */
    ck_assert_uint_eq(dg_tokenizer_vocab(t), 258);
    expect_bytes(t, 256, "ab", 2);
    dg_tokenizer_free(t);
    write_file(path, bad, sizeof bad - 1);
    snprintf(where, sizeof where, "%s: line 3: ", path);
    expect_no_open(path, where);
    write_file(path, "<!doctype html><html>", 21);
    expect_no_open(path, ": kind of file: got an HTML page, expected a tokenizer; ");
    unlink(path);
    rmdir(folder);
}
END_TEST

/* ---- long texts ---- */

/* a, aa, aaaa, ... up to 2^16: n times a is that token as often as it fits, and then the binary
 * digits of what is left. Most of these tokens are longer than a window. Time is not measured, but
 * an encoder that took n^2 steps would run into a test's limit here, and in the next test. */
START_TEST(long_run)
{
    enum { DOUBLINGS = 16, LENGTH = (4 << 20) + 12345 };
    static char merges[1 << (DOUBLINGS + 2)];
    char *text = malloc(LENGTH);
    int32_t *ids = malloc((LENGTH >> DOUBLINGS) * sizeof *ids + DOUBLINGS * sizeof *ids);
    size_t n = 0;
    struct dg_tokenizer *t;

    ck_assert(text && ids);
    memset(text, 'a', LENGTH);
    for (int i = 0; i < DOUBLINGS; i++) {
        for (int half = 0; half < 2; half++) {
            memset(merges + n, 'a', (size_t)1 << i);
            n += (size_t)1 << i;
            merges[n++] = half ? '\n' : ' ';
        }
    }
    t = parse(merges, n);
    ck_assert_uint_eq(dg_tokenizer_vocab(t), BYTES + DOUBLINGS + 1);
    for (size_t length = LENGTH >> 2; length <= LENGTH;
         length = length < LENGTH ? LENGTH : SIZE_MAX) {
        size_t n_ids = 0;

        for (int i = DOUBLINGS; i >= 0; i--) {
            const size_t left = i == DOUBLINGS ? length : length & (((size_t)2 << i) - 1);
            const int32_t id = i > 0 ? BYTES + i - 1 : 'a' - '!';

            for (size_t k = left >> i; k > 0; k--)
                ids[n_ids++] = id;
        }
        expect_ids(t, 0, text, length, ids, n_ids);
    }
    dg_tokenizer_free(t);
    free(ids);
    free(text);
}
END_TEST

/* Four million bytes in one piece or in very many. */
START_TEST(long_texts)
{
    const size_t n = sanitized() ? 1 << 18 : 4 << 20;
    static const char *const units[] = {"a",  " ",  "\n",  "'",  "1",    "\xFF",        "\xC3\xA9",
                                        "'s", " a", "  a", "a1", "\r\n", "\xE3\x80\x80"};
    static const char merges[] = "a a\naa a\n' '\n\xC4\xA0 \xC4\xA0\n\xC4\xA0 a\n1 1\n"
                                 "\xC3\x83 \xC2\xA9\n\xC3\x83\xC2\xA9 \xC3\x83\xC2\xA9\n";
    struct dg_tokenizer *t = parse(merges, sizeof merges - 1);
    char *text = malloc(n);

    ck_assert_ptr_nonnull(text);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        for (size_t at = 0; at < n; at++)
            text[at] = units[i][at % strlen(units[i])];
        round_trip(t, 0, text, n);
    }
    dg_tokenizer_free(t);
    free(text);
}
END_TEST

/* Letters without a space, against the plain tokenizer. */
START_TEST(long_word)
{
    const size_t longest = sanitized() ? 1 << 18 : 4 << 20;
    uint64_t state = 6, *const seed = &state;
    struct plain *p = malloc(sizeof *p);
    char *text = malloc(longest);
    int32_t *ids = malloc(longest * sizeof *ids);
    struct dg_tokenizer *t;

    ck_assert(p && text && ids);
    for (uint32_t letters = 1; letters <= 26; letters += 25) {
        random_merges(p, seed, "abcdefghijklmnopqrstuvwxyz", letters, MAX_MERGES, false);
        t = parse(p->file, p->file_bytes);
        for (size_t n = longest / 4; n <= longest; n += longest / 4 * 3) {
            random_text(p, seed, "abcdefghijklmnopqrstuvwxyz", letters, n, text);
            expect_ids(t, 0, text, n, ids, encode_plain(p, text, n, ids));
        }
        dg_tokenizer_free(t);
    }
    free(ids);
    free(text);
    free(p);
}
END_TEST

/* ---- the reference's ids ---- */

static void expect_reference_ids(const struct dg_tokenizer *t, const char *text, size_t n,
                                 const int32_t *ids, size_t n_ids)
{
    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++)
        expect_ids(t, windows[i], text, n, ids, n_ids);
    expect_text(t, ids, n_ids, text, n);
}

START_TEST(reference)
{
    struct dg_tokenizer *t = NULL;
    struct dg_error err = {0};

    ck_assert_msg(dg_tokenizer_open(&t, "tests/golden/vocab.bpe", &err) == DG_OK, "%s", err.text);
    ck_assert_uint_eq(dg_tokenizer_vocab(t), 50257);
    ck_assert_int_eq(dg_tokenizer_end(t), 50256);
    for_each_reference(t, expect_reference_ids);
    dg_tokenizer_free(t);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {one_piece,      made_twice, long_pieces,
                                  many_pieces,    any_bytes,  vocabulary,
                                  end_of_text,    special,    special_tokens_that_begin_others,
                                  borders,        accepted,   refused,
                                  long_line,      files,      long_run,
                                  long_texts,     long_word,  reference,
                                  too_many_lines, NULL};

    return run_suite("tokenizer", tests);
}
