/* The files that hold a tokenizer beside merges: llm.c's gpt2_tokenizer.bin and tokenizer.json. Of GPT-2's own
 * they are made here, from the merges, and give the ids of the reference texts. */
#include "../../support/reference.h"
#include "../../support/support.h"
#include "../../../src/text/vocabulary.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { HEADER = 1024, MAGIC = 20240328 };

/* ---- a file in memory ---- */

struct file {
    char *bytes;
    size_t n, room;
};

static void add(struct file *f, const void *bytes, size_t n)
{
    if (f->n + n > f->room) {
        f->room = 2 * (f->n + n);
        f->bytes = realloc(f->bytes, f->room);
        ck_assert_ptr_nonnull(f->bytes);
    }
    memcpy(f->bytes + f->n, bytes, n);
    f->n += n;
}

static void print(struct file *f, const char *format, ...)
{
    char text[512];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    ck_assert_int_lt(n, (int)sizeof text);
    add(f, text, (size_t)n);
}

static void put32(char *to, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        to[i] = (char)(value >> 8 * i);
}

/* A copy that ends where the file ends, so that AddressSanitizer sees a read beyond it. */
static enum dg_status parse(struct dg_tokenizer **t, const char *bytes, size_t n,
                            struct dg_error *err)
{
    char *copy = malloc(n + (n == 0));
    enum dg_status st;

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes, n);
    *t = NULL;
    st = dg_tokenizer_parse(t, copy, n, "file", err);
    free(copy);
    ck_assert(st == DG_OK || st == DG_ERR_TOKEN);
    ck_assert((st == DG_OK) == (*t != NULL));
    return st;
}

static struct dg_tokenizer *accept(const struct file *f)
{
    struct dg_tokenizer *t;
    struct dg_error err = {0};

    ck_assert_msg(parse(&t, f->bytes, f->n, &err) == DG_OK, "%s", err.text);
    return t;
}

static void refuse(const struct file *f, const char *what)
{
    struct dg_tokenizer *t;
    struct dg_error err = {0};

    ck_assert_int_eq(parse(&t, f->bytes, f->n, &err), DG_ERR_TOKEN);
    ck_assert_msg(strncmp(err.text, "file: ", 6) == 0 && strstr(err.text, what),
                  "got '%s', expected '%s'", err.text, what);
}

/* ---- llm.c's ---- */

static void start_llmc(struct file *f, uint32_t version, uint32_t n, uint32_t end)
{
    char header[HEADER] = {0};

    put32(header, MAGIC);
    put32(header + 4, version);
    put32(header + 8, n);
    put32(header + 12, end);
    add(f, header, HEADER);
}

static void add_token(struct file *f, const char *bytes, size_t n)
{
    const char length = (char)n;

    add(f, &length, 1);
    add(f, bytes, n);
}

/* GPT-2's order of the bytes: those that are printable first. */
static void add_bytes(struct file *f)
{
    for (int printable = 1; printable >= 0; printable--)
        for (int b = 0; b < 256; b++) {
            const char byte = (char)b;

            if (((b > 0x20 && b < 0x7f) || (b > 0xa0 && b != 0xad)) == printable)
                add_token(f, &byte, 1);
        }
}

static void llmc_of(struct file *f, const struct dg_tokenizer *t, uint32_t version)
{
    start_llmc(f, version, dg_tokenizer_vocab(t), (uint32_t)dg_tokenizer_end(t));
    for (uint32_t id = 0; id < dg_tokenizer_vocab(t); id++) {
        size_t n;
        const char *bytes = dg_tokenizer_bytes(t, (int32_t)id, &n);

        add_token(f, bytes, n);
    }
}

/* ---- the reference texts ---- */

static void expect_ids(const struct dg_tokenizer *t, const char *text, size_t n, const int32_t *ids,
                       size_t n_ids)
{
    struct dg_error err = {0};
    int32_t *got;
    size_t n_got;

    ck_assert_int_eq(dg_tokenizer_encode(t, text, n, &got, &n_got, &err), DG_OK);
    ck_assert_uint_eq(n_got, n_ids);
    ck_assert_mem_eq(got, ids, n_ids * sizeof *ids);
    free(got);
}

static struct dg_tokenizer *gpt2(void)
{
    struct dg_tokenizer *t = NULL;
    struct dg_error err = {0};

    ck_assert_msg(dg_tokenizer_open(&t, "tests/golden/vocab.bpe", &err) == DG_OK, "%s", err.text);
    return t;
}

static void expect_same_tokens(const struct dg_tokenizer *a, const struct dg_tokenizer *b)
{
    ck_assert_uint_eq(dg_tokenizer_vocab(a), dg_tokenizer_vocab(b));
    ck_assert_int_eq(dg_tokenizer_end(a), dg_tokenizer_end(b));
    for (uint32_t id = 0; id < dg_tokenizer_vocab(a); id++) {
        size_t n_a, n_b;
        const char *in_a = dg_tokenizer_bytes(a, (int32_t)id, &n_a);
        const char *in_b = dg_tokenizer_bytes(b, (int32_t)id, &n_b);

        ck_assert(n_a == n_b && memcmp(in_a, in_b, n_a) == 0);
    }
}

START_TEST(gpt2_by_llmc)
{
    struct dg_tokenizer *merges = gpt2();

    for (uint32_t version = 1; version <= 2; version++) {
        struct file f = {0};
        struct dg_tokenizer *t;

        llmc_of(&f, merges, version);
        t = accept(&f);
        expect_same_tokens(t, merges);
        for_each_reference(t, expect_ids);
        dg_tokenizer_free(t);
        free(f.bytes);
    }
    dg_tokenizer_free(merges);
}
END_TEST

/* Bytes as GPT-2 writes them, in JSON. */
static void print_written(struct file *f, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const unsigned b = (unsigned char)bytes[i];
        unsigned code = b;

        if (!((b > 0x20 && b < 0x7f) || (b > 0xa0 && b != 0xad))) { /* the so-manieth of these */
            code = 256;
            for (unsigned c = 0; c < b; c++)
                code += !((c > 0x20 && c < 0x7f) || (c > 0xa0 && c != 0xad));
        }
        print(f, "\\u%04x", code);
    }
}

/* The merges of tests/golden/vocab.bpe, which needs no escapes but of '"' and '\'. */
static void print_merges(struct file *f, bool pairs)
{
    FILE *merges = fopen("tests/golden/vocab.bpe", "r");
    char line[512];
    bool first = true;

    ck_assert_ptr_nonnull(merges);
    ck_assert_ptr_nonnull(fgets(line, sizeof line, merges)); /* #version */
    while (fgets(line, sizeof line, merges)) {
        print(f, first ? "%s" : ",%s", pairs ? "[\"" : "\"");
        first = false;
        for (const char *c = line; *c && *c != '\n'; c++) {
            if (*c == ' ' && pairs)
                print(f, "\",\"");
            else
                print(f, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
        }
        print(f, pairs ? "\"]" : "\"");
    }
    fclose(merges);
}

START_TEST(gpt2_by_json)
{
    struct dg_tokenizer *merges = gpt2();

    for (int pairs = 0; pairs < 2; pairs++) {
        struct file f = {0};
        struct dg_tokenizer *t;

        print(&f,
              "{\"version\":\"1.0\",\"added_tokens\":[{\"id\":50256,\"special\":true,\"content\":"
              "\"<|endoftext|>\",\"lstrip\":false}],\"normalizer\":null,\"pre_tokenizer\":{"
              "\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true},"
              "\"model\":{\"type\":\"BPE\",\"unk_token\":null,\"vocab\":{");
        for (int32_t id = 0; id <= 50256; id++) {
            size_t n;
            const char *bytes = dg_tokenizer_bytes(merges, id, &n);

            print(&f, id ? ",\"" : "\"");
            print_written(&f, bytes, n);
            print(&f, "\":%d", id);
        }
        print(&f, "},\"merges\":[");
        print_merges(&f, pairs);
        print(&f, "]}}");
        t = accept(&f);
        expect_same_tokens(t, merges);
        for_each_reference(t, expect_ids);
        dg_tokenizer_free(t);
        free(f.bytes);
    }
    dg_tokenizer_free(merges);
}
END_TEST

/* ---- what is no tokenizer ---- */

static void small_llmc(struct file *f, uint32_t version, uint32_t n, uint32_t end)
{
    f->n = 0;
    start_llmc(f, version, n, end);
    add_bytes(f);
}

START_TEST(llmc_refused)
{
    struct file f = {0};
    struct dg_tokenizer *t;
    size_t n;

    small_llmc(&f, 2, 259, 258);
    add_token(&f, "ab", 2);
    add_token(&f, "abc", 3);
    add_token(&f, "<end>", 5);
    t = accept(&f);
    ck_assert_int_eq(dg_tokenizer_end(t), 258);
    expect_ids(t, "abcab", 5, (const int32_t[]){257, 256}, 2);
    dg_tokenizer_free(t);
    for (n = 4; n < f.n; n++) { /* cut anywhere */
        struct file cut = {f.bytes, n, n};

        refuse(&cut, n < HEADER ? "size: got " : "");
    }
    add(&f, "x", 1);
    refuse(&f, "size: got 1 bytes behind the last token, expected 0");

    small_llmc(&f, 3, 257, 256);
    add_token(&f, "<end>", 5);
    refuse(&f, "version: got 3, expected 1 or 2");
    put32(f.bytes + 4, 1);
    put32(f.bytes + 8, 0);
    refuse(&f, "tokens: got 0, expected 257 to 2^24");
    put32(f.bytes + 8, UINT32_MAX);
    refuse(&f, "tokens: got 4294967295, expected ");
    put32(f.bytes + 8, 1 << 24);
    refuse(&f, "size: got ");
    put32(f.bytes + 8, 257);
    put32(f.bytes + 4, 2);
    put32(f.bytes + 12, 257);
    refuse(&f, "id of the end of a text: got 257, expected less");

    small_llmc(&f, 2, 258, 257);
    add_token(&f, "abc", 3);
    add_token(&f, "<end>", 5);
    refuse(&f, "token id 256: got bytes that are more tokens");
    small_llmc(&f, 2, 258, 257);
    add_token(&f, "a", 1);
    add_token(&f, "<end>", 5);
    refuse(&f, "token id 256: got the token of id ");
    small_llmc(&f, 2, 259, 258);
    add_token(&f, "ab", 2);
    add_token(&f, "ab", 2);
    add_token(&f, "<end>", 5);
    refuse(&f, "token id 257: got bytes that are a token already");
    small_llmc(&f, 2, 258, 257);
    add_token(&f, "", 0);
    add_token(&f, "<end>", 5);
    refuse(&f, "token id 256: got no bytes");
    small_llmc(&f, 2, 257, 65); /* a byte is the end: it has no token then */
    add_token(&f, "ab", 2);
    refuse(&f, "got no token id");
    free(f.bytes);
}
END_TEST

/* A tokenizer.json of the bytes, some merges and tokens; `vocab` goes on behind the bytes. */
static void small_json(struct file *f, const char *vocab, const char *merges, const char *rest)
{
    int id = 0;

    f->n = 0;
    print(f, "{\"model\":{\"type\":\"BPE\",\"vocab\":{");
    for (int b = 0; b < 256; b++) {
        const char byte = (char)b;

        print(f, id ? ",\"" : "\"");
        print_written(f, &byte, 1);
        print(f, "\":%d", id++);
    }
    print(f, "%s},\"merges\":[%s]}%s}", vocab, merges, rest);
}

START_TEST(json_ids)
{
    static const char added[] =
        ",\"added_tokens\":[{\"id\":258,\"content\":\"<s>\",\"special\":true},"
        "{\"id\":259,\"content\":\"[user]\",\"special\":false},{\"id\":260,\"content\":\"a b\"}]";
    struct dg_error err = {0};
    struct dg_tokenizer *t;
    struct file f = {0};
    int32_t *ids;
    size_t n;

    small_json(&f, ",\"bc\":256,\"ab\":257", "\"a b\",\"b c\"",
               added); /* not in the merges' order */
    t = accept(&f);
    ck_assert_uint_eq(dg_tokenizer_vocab(t), 261);
    ck_assert_int_eq(dg_tokenizer_end(t), -1);
    expect_ids(t, "abc", 3, (const int32_t[]){257, 'c'}, 2);
    expect_ids(t, "bca", 3, (const int32_t[]){256, 'a'}, 2);
    expect_ids(t, "[user]<s>", 9, (const int32_t[]){259, '<', 's', '>'}, 4);
    ck_assert_int_eq(dg_tokenizer_encode_special(t, "a b<s>[user]", 12, &ids, &n, &err), DG_OK);
    ck_assert_uint_eq(n, 3);
    ck_assert(ids[0] == 260 && ids[1] == 258 && ids[2] == 259);
    free(ids);
    ck_assert_mem_eq(dg_tokenizer_bytes(t, 260, &n), "a b", 3);
    dg_tokenizer_free(t);
    free(f.bytes);
}
END_TEST

/* Ids without a token, and tokens without an id. */
START_TEST(fitted)
{
    static const char added[] =
        ",\"added_tokens\":[{\"id\":258,\"content\":\"<s>\",\"special\":true},"
        "{\"id\":259,\"content\":\"[user]\",\"special\":false}]";
    struct dg_error err = {0};
    struct dg_tokenizer *t;
    struct file f = {0};
    size_t n;

    small_json(&f, ",\"bc\":256,\"ab\":257", "\"a b\",\"b c\"", added);
    t = accept(&f);
    dg_vocabulary_ends(t, 258, 259);
    ck_assert_int_eq(dg_vocabulary_fit(&t, 262, "t", &err), DG_OK);
    ck_assert_uint_eq(dg_tokenizer_vocab(t), 262);
    ck_assert(dg_tokenizer_begin(t) == 258 && dg_tokenizer_end(t) == 259);
    ck_assert_mem_eq(dg_tokenizer_bytes(t, 261, &n), "[PAD261]", 8);
    expect_ids(t, "abc[user]<s>", 12, (const int32_t[]){257, 'c', 259, '<', 's', '>'}, 6);
    expect_ids(t, "[PAD261]", 8, (const int32_t[]){'[', 'P', 'A', 'D', '2', '6', '1', ']'}, 8);
    ck_assert_int_eq(dg_vocabulary_fit(&t, 262, "t", &err), DG_OK);
    ck_assert_uint_eq(dg_tokenizer_vocab(t), 262);
    dg_tokenizer_free(t);

    t = accept(&f);
    dg_vocabulary_ends(t, 258, 259);
    ck_assert_int_eq(dg_vocabulary_fit(&t, 259, "t", &err), DG_OK);
    ck_assert_uint_eq(dg_tokenizer_vocab(t), 259);
    ck_assert(dg_tokenizer_begin(t) == 258 && dg_tokenizer_end(t) == -1);
    expect_ids(t, "ab[user]", 8, (const int32_t[]){257, '[', 'u', 's', 'e', 'r', ']'}, 7);
    ck_assert_int_eq(dg_vocabulary_fit(&t, 257, "t", &err), DG_OK);
    ck_assert_uint_eq(dg_tokenizer_vocab(t), 259); /* a merge makes 257 */
    dg_tokenizer_free(t);
    free(f.bytes);
}
END_TEST

START_TEST(json_refused)
{
    static const struct {
        const char *vocab, *merges, *rest, *what;
    } cases[] = {
        {",\"ab\":256,\"ab\":256", "\"a b\"", "",
         "expected a name that the object does not have yet"},
        {",\"ab\":255", "\"a b\"", "", "token id 255: got two tokens"},
        {",\"ab\":257", "\"a b\"", "", "token id: got 257, expected less than 257"},
        {",\"ab\":18446744073709551615", "\"a b\"", "", "token id: got 18446744073709551615"},
        {",\"ab\":-1", "\"a b\"", "", "expected an integer, 0 or more"},
        {",\"ab\":256.5", "\"a b\"", "", "expected an integer, 0 or more"},
        {"", "\"a b\"", "", "'ab' (made by merge 1): got no token id"},
        {",\"abc\":256", "\"ab c\"", "", "merge 1: 'ab' is neither a byte nor made"},
        {",\"ab\":256", "\"a b\",\"a b\"", "", "merge 2: got a merge that there is already"},
        {",\"ab\":256", "\"ab\"", "", "expected two tokens and a space between"},
        {",\"ab\":256", "[\"a\"]", "", "expected two tokens"},
        {",\"ab\":256", "[\"a\",\"b\",\"c\"]", "", "expected two tokens"},
        {",\"ab\":256", "[]", "", "expected two tokens"},
        {",\"\":256", "", "", "got an empty text"},
        {"", "", ",\"normalizer\":{\"type\":\"NFC\"}", "expected null: no normalizer"},
        {"", "", ",\"pre_tokenizer\":{\"type\":\"Whitespace\"}", "expected \"ByteLevel\""},
        {"", "", ",\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true}",
         "expected add_prefix_space false"},
        {"", "", ",\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"use_regex\":false}",
         "expected use_regex true"},
        {"", "", ",\"added_tokens\":[{\"content\":\"x\"}]", "expected an added token with id"},
        {"", "", ",\"added_tokens\":[{\"id\":256,\"content\":\"<s>\",\"lstrip\":true}]",
         "lstrip and rstrip"},
        {"", "", ",\"added_tokens\":[{\"id\":300,\"content\":\"<s>\"}]",
         "token id: got 300, expected less than "},
        {"", "", ",\"added_tokens\":[{\"id\":7,\"content\":\"<s>\"}]",
         "token id 7: got two tokens"},
        {"", "", ",\"model\":{}", "expected a name that the object does not have yet"},
    };
    struct file f = {0};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        small_json(&f, cases[i].vocab, cases[i].merges, cases[i].rest);
        refuse(&f, cases[i].what);
    }
    f.n = 0;
    print(&f, "{\"model_type\": \"gpt2\"}");
    refuse(&f, "this is JSON, but no tokenizer.json");
    f.n = 0;
    print(&f, "{\"model\":{\"type\":\"Unigram\"}}");
    refuse(&f, "expected \"BPE\" as the model's type");
    f.n = 0;
    print(&f, "{\"model\":{\"vocab\":{},\"merges\":[]}}");
    refuse(&f, "(byte 33): got no token id");
    f.n = 0;
    print(&f, "{\"model\":{\"end_of_word_suffix\":\"</w>\"}}");
    refuse(&f, "expected no prefix or suffix of words");
    small_json(&f, ",\"ab\":256", "\"a b\"",
               ",\"added_tokens\":[{\"id\":257,\"content\":\"<s>\"}]");
    for (size_t n = 2; n < f.n; n++) { /* cut anywhere */
        struct file cut = {f.bytes, n, n};

        refuse(&cut, "");
    }
    free(f.bytes);
}
END_TEST

/* Any byte of a good file changed: refused or another tokenizer, and nothing worse. */
START_TEST(changed)
{
    struct file f[2] = {{0}, {0}};
    uint64_t seed = 7;

    small_llmc(&f[0], 2, 259, 258);
    add_token(&f[0], "ab", 2);
    add_token(&f[0], "abc", 3);
    add_token(&f[0], "<end>", 5);
    small_json(&f[1], ",\"ab\":256", "\"a b\"",
               ",\"added_tokens\":[{\"id\":257,\"content\":\"<s>\"}]");
    for (int i = 0; i < 2; i++) {
        for (size_t at = i == 0 ? 4 : 1; at < f[i].n; at++) {
            const char was = f[i].bytes[at];
            struct dg_tokenizer *t;
            struct dg_error err;

            seed = seed * 6364136223846793005u + 1442695040888963407u;
            f[i].bytes[at] = (char)(seed >> 56);
            parse(&t, f[i].bytes, f[i].n, &err);
            dg_tokenizer_free(t);
            f[i].bytes[at] = was;
        }
        free(f[i].bytes);
    }
}
END_TEST

/* The CPU's time for 100,000 merges, each of a token and a printable byte; crowded: whose tokens crowd one part of
 * the table when their places are those of a hash that all know. */
static clock_t time_of_merges(bool crowded)
{
    enum { MERGES = 100000, LONGEST = 16 };
    static char made[MERGES][LONGEST];
    struct file f = {0};
    struct dg_tokenizer *t;
    struct dg_error err;
    clock_t start;
    size_t n = 0;

    print(&f, "#version: 0.2\n");
    for (size_t from = 0; n < MERGES; from++) { /* the bytes, then what was made */
        const char byte[2] = {(char)('!' + from), '\0'};
        const char *left = from < 94 ? byte : made[from - 94];

        ck_assert_uint_lt(strlen(left), LONGEST - 1);
        for (char c = '!'; c <= '~' && n < MERGES; c++) {
            snprintf(made[n], LONGEST, "%s%c", left, c);
            if (crowded && !crowds(made[n], strlen(made[n])))
                continue;
            print(&f, "%s %c\n", left, c);
            n++;
        }
    }
    start = clock();
    ck_assert_msg(parse(&t, f.bytes, f.n, &err) == DG_OK, "%s", err.text);
    start = clock() - start;
    ck_assert_uint_eq(dg_tokenizer_vocab(t), 256 + MERGES + 1);
    dg_tokenizer_free(t);
    free(f.bytes);
    return start;
}

START_TEST(merges_made_to_collide)
{
    const clock_t plain = time_of_merges(false), crowded = time_of_merges(true);

    ck_assert_msg(crowded < 10 * plain + CLOCKS_PER_SEC / 10, "%ld ticks, others take %ld",
                  (long)crowded, (long)plain);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {gpt2_by_llmc, gpt2_by_json, llmc_refused, json_ids,
                                  fitted,       json_refused, changed,      merges_made_to_collide,
                                  NULL};

    return run_suite("vocabularies", tests);
}
