/* src/model/formats/gguf.c: a good file, in memory, with one thing broken at a time. What the good ones say, check_golden
 * compares. */
#include "../../support/support.h"
#include "../../../src/model/format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct file {
    unsigned char *bytes;
    size_t n;
};

static void load(struct file *f, const char *name)
{
    char path[128];
    FILE *from;

    snprintf(path, sizeof path, "tests/golden/gguf/%s.gguf", name);
    from = fopen(path, "rb");
    ck_assert_ptr_nonnull(from);
    f->bytes = malloc(1 << 20);
    ck_assert_ptr_nonnull(f->bytes);
    f->n = fread(f->bytes, 1, 1 << 20, from);
    fclose(from);
    ck_assert_uint_gt(f->n, 100000);
}

/* A copy that ends where the file ends, so that AddressSanitizer sees a read beyond it. Its model, and then its
 * tokenizer. */
static enum dg_status open_both(const struct file *f, struct dg_error *err)
{
    unsigned char *copy = malloc(f->n + 1);
    struct dg_tokenizer *t = NULL;
    struct dg_weights *w;
    enum dg_status st;

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, f->bytes, f->n);
    st = dg_weights_open_memory(&w, copy, f->n, "file", err);
    if (st == DG_OK) {
        st = dg_weights_tokenizer(&t, w, err);
        dg_tokenizer_free(t);
        dg_weights_close(w);
    }
    free(copy);
    return st;
}

static void refuse(const struct file *f, enum dg_status status, const char *what)
{
    struct dg_error err = {0};
    const enum dg_status st = open_both(f, &err);

    ck_assert_msg(st == status && strncmp(err.text, "file: ", 6) == 0 && strstr(err.text, what),
                  "got %d '%s', expected '%s'", st, err.text, what);
}

/* Where a name of the header, key or tensor, ends. */
static size_t behind(const struct file *f, const char *name)
{
    const size_t n = strlen(name);
    const uint64_t length = n;

    for (size_t at = 8; at + n < f->n && at < 30000; at++)
        if (memcmp(f->bytes + at, name, n) == 0 && memcmp(f->bytes + at - 8, &length, 8) == 0)
            return at + n;
    ck_abort_msg("no %s", name);
    return 0;
}

/* n bytes at `at` are others, and the file is refused. */
static void broken(struct file *f, size_t at, uint64_t value, size_t n, enum dg_status st,
                   const char *what)
{
    unsigned char kept[8];

    memcpy(kept, f->bytes + at, n);
    memcpy(f->bytes + at, &value, n);
    refuse(f, st, what);
    memcpy(f->bytes + at, kept, n);
}

START_TEST(good)
{
    static const char *const names[] = {"small-f32", "small-f16", "small-bf16", "small-q8_0"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct dg_error err = {0};
        struct file f;

        load(&f, names[i]);
        ck_assert_msg(open_both(&f, &err) == DG_OK, "%s", err.text);
        f.bytes[4] = 2; /* version 2 is the same */
        ck_assert_msg(open_both(&f, &err) == DG_OK, "%s", err.text);
        free(f.bytes);
    }
}
END_TEST

START_TEST(tokenizer)
{
    static const char text[] = "a<|endoftext|>";
    struct dg_error err = {0};
    struct dg_tokenizer *t;
    struct dg_weights *w;
    struct file f;
    int32_t *ids;
    size_t n;

    load(&f, "small-q8_0");
    ck_assert_int_eq(dg_weights_open_memory(&w, f.bytes, f.n, "file", &err), DG_OK);
    ck_assert(w->begin == 1008 && w->end == 1008);
    ck_assert_msg(dg_weights_tokenizer(&t, w, &err) == DG_OK, "%s", err.text);
    ck_assert_uint_eq(dg_tokenizer_vocab(t), 1009);
    ck_assert_int_eq(dg_tokenizer_end(t), 1008);
    ck_assert_int_eq(dg_tokenizer_encode_special(t, text, sizeof text - 1, &ids, &n, &err), DG_OK);
    ck_assert(n == 2 && ids[0] == 'a' - '!' && ids[1] == 1008);
    free(ids);
    ck_assert_int_eq(dg_tokenizer_encode(t, text, sizeof text - 1, &ids, &n, &err), DG_OK);
    ck_assert_uint_gt(n, 2);
    free(ids);
    dg_tokenizer_free(t);
    dg_weights_close(w);
    free(f.bytes);
}
END_TEST

START_TEST(fields)
{
    struct file f;
    size_t at;

    load(&f, "small-q8_0");
    broken(&f, 4, 1, 4, DG_ERR_MODEL, "version: got 1, expected 2 or 3");
    broken(&f, 4, 4, 4, DG_ERR_MODEL, "version: got 4, expected 2 or 3");
    broken(&f, 4, 0x03000000, 4, DG_ERR_MODEL, "of a big-endian file");
    broken(&f, 8, 0, 8, DG_ERR_MODEL, "token_embd.weight: got no tensor for it");
    broken(&f, 8, 27, 8, DG_ERR_MODEL, "");
    broken(&f, 8, 29, 8, DG_ERR_MODEL, "");
    broken(&f, 8, UINT64_MAX, 8, DG_ERR_MODEL, "");
    broken(&f, 16, UINT64_MAX, 8, DG_ERR_MODEL, "");
    broken(&f, 16, 15, 8, DG_ERR_MODEL, "");
    broken(&f, 16, 0, 8, DG_ERR_MODEL, "");
    broken(&f, 24, 0, 8, DG_ERR_MODEL, "length of a key: got 0");
    broken(&f, 24, 1 << 16, 8, DG_ERR_MODEL, "length of a key: got 65536");
    broken(&f, 24, UINT64_MAX, 8, DG_ERR_MODEL, "length of a key: got 18446744073709551615");
    at = behind(&f, "general.architecture");
    broken(&f, at, 4, 4, DG_ERR_MODEL, "general.architecture: got uint32, expected a string");
    broken(&f, at, 77, 4, DG_ERR_MODEL, "a type that is not known");
    broken(&f, at + 12, 'l', 1, DG_ERR_MODEL, "general.architecture: got 'lpt2', expected gpt2");
    broken(&f, at + 4, UINT64_MAX, 8, DG_ERR_MODEL, "end of the file inside its header");
    at = behind(&f, "general.alignment");
    broken(&f, at + 4, 0, 4, DG_ERR_MODEL, "general.alignment: got 0, expected a multiple of 8");
    broken(&f, at + 4, 12, 4, DG_ERR_MODEL, "general.alignment: got 12");
    broken(&f, at + 4, 1u << 31, 4, DG_ERR_MODEL, "general.alignment: got 2147483648");
    broken(&f, at + 4, 64, 4, DG_ERR_MODEL, "tensor '");
    broken(&f, at, 6, 4, DG_ERR_MODEL, "general.alignment: got float32, expected an integer");
    free(f.bytes);
}
END_TEST

START_TEST(sizes)
{
    static const char *const keys[] = {"gpt2.context_length", "gpt2.embedding_length",
                                       "gpt2.block_count", "gpt2.attention.head_count"};
    struct file f;
    size_t at;

    load(&f, "small-q8_0");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        at = behind(&f, keys[i]) + 4;
        broken(&f, at, 0, 4, DG_ERR_MODEL, ": got 0, expected 1 to ");
        broken(&f, at, UINT32_MAX, 4, DG_ERR_MODEL, ": got 4294967295, expected 1 to ");
        broken(&f, at, 7, 4, DG_ERR_MODEL, "");
    }
    at = behind(&f, "gpt2.feed_forward_length") + 4;
    broken(&f, at, 255, 4, DG_ERR_MODEL, "gpt2.feed_forward_length: got 255, expected 256");
    at = behind(&f, "gpt2.attention.layer_norm_epsilon") + 4;
    broken(&f, at, 0, 4, DG_ERR_MODEL, "layer_norm_epsilon: got 0, expected above 0");
    broken(&f, at, 0x7fc00000, 4, DG_ERR_MODEL, "layer_norm_epsilon: got nan");
    broken(&f, at, 0xbf800000, 4, DG_ERR_MODEL, "layer_norm_epsilon: got -1");
    free(f.bytes);
}
END_TEST

START_TEST(tensors)
{
    struct file f;
    size_t at;

    load(&f, "small-q8_0");
    at = behind(&f, "token_embd.weight"); /* dimensions, 64, 1009, type, offset */
    broken(&f, at, 0, 4, DG_ERR_MODEL, "dimensions: got 0, expected 1 to 4");
    broken(&f, at, 5, 4, DG_ERR_MODEL, "dimensions: got 5, expected 1 to 4");
    broken(&f, at + 4, 32, 8, DG_ERR_MODEL, "");
    broken(&f, at + 4, 63, 8, DG_ERR_MODEL, "expected it of rows of whole groups of 32");
    broken(&f, at + 4, UINT64_MAX, 8, DG_ERR_MODEL, "");
    broken(&f, at + 4, (uint64_t)1 << 61, 8, DG_ERR_MODEL, "more elements than any file has");
    broken(&f, at + 12, 0, 8, DG_ERR_MODEL, "");
    broken(&f, at + 12, 1010, 8, DG_ERR_MODEL, "");
    broken(&f, at + 20, 2, 4, DG_ERR_MODEL, "got Q4_0 (2), expected F32, F16, BF16 or Q8_0");
    broken(&f, at + 20, 14, 4, DG_ERR_MODEL, "got Q6_K (14)");
    broken(&f, at + 20, 4, 4, DG_ERR_MODEL, "got an unknown type (4)");
    broken(&f, at + 20, 4000, 4, DG_ERR_MODEL, "got an unknown type (4000)");
    broken(&f, at + 20, 0, 4, DG_ERR_MODEL, "");
    broken(&f, at + 24, 32, 8, DG_ERR_MODEL, "offset: got 32, expected 0");
    broken(&f, at + 24, UINT64_MAX, 8, DG_ERR_MODEL, "offset: got 68640, expected 0");
    broken(&f, at - 1, 's', 1, DG_ERR_MODEL, "token_embd.weight: got no tensor for it");
    at = behind(&f, "blk.0.attn_qkv.bias");
    broken(&f, at + 4 + 8, 8, 4, DG_ERR_MODEL, "expected it of rows of whole groups");
    broken(&f, at - 15, '7', 1, DG_ERR_MODEL,
           "tensor 'blk.7.attn_qkv.bias': got one that a GPT-2 of 2");
    broken(&f, at - 15, '1', 1, DG_ERR_MODEL, "got a second tensor for that weight");
    at = behind(&f, "position_embd.weight");
    broken(&f, at + 24, 68608, 8, DG_ERR_MODEL, "offset: got 68608, expected 68640"); /* overlap */
    broken(&f, at + 24, 68672, 8, DG_ERR_MODEL, "offset: got 68672, expected 68640"); /* hole */
    free(f.bytes);
}
END_TEST

START_TEST(tokenizers_refused)
{
    struct file f;
    size_t at;

    load(&f, "small-q8_0");
    at = behind(&f, "tokenizer.ggml.model");
    broken(&f, at + 12, 'b', 1, DG_ERR_TOKEN, "tokenizer.ggml.model: got 'bpt2', expected gpt2");
    at = behind(&f, "tokenizer.ggml.pre");
    broken(&f, at + 12, 'b', 1, DG_ERR_TOKEN, "tokenizer.ggml.pre: got 'bpt-2', expected gpt-2");
    at = behind(&f, "tokenizer.ggml.tokens"); /* array, of strings, 1009, "!" */
    broken(&f, at + 4, 5, 4, DG_ERR_MODEL, "");
    broken(&f, at + 8, 1008, 8, DG_ERR_MODEL, "");
    broken(&f, at + 8, UINT64_MAX, 8, DG_ERR_MODEL, "");
    broken(&f, at + 24, '"', 1, DG_ERR_TOKEN, "token id 1: got the token of id 0 again");
    broken(&f, at + 24, 1, 1, DG_ERR_TOKEN, "token id"); /* no character of GPT-2's */
    at = behind(&f, "tokenizer.ggml.token_type");
    broken(&f, at + 4, 4, 4, DG_ERR_MODEL, "got an array of uint32, expected one of int32");
    at = behind(&f, "tokenizer.ggml.merges"); /* array, of strings, 752, "! !" */
    broken(&f, at + 25, '!', 1, DG_ERR_TOKEN, "merge 1: ");
    broken(&f, at + 26, ' ', 1, DG_ERR_TOKEN, "merge 1: ");
    broken(&f, at - 1, 'z', 1, DG_ERR_TOKEN, "tokenizer.ggml.merges: got none");
    free(f.bytes);
}
END_TEST

/* Cut at each border of a tensor, and one byte before and behind; and anywhere in the header. */
START_TEST(truncated)
{
    struct file f, cut;
    const size_t data =
        25504; /* (25473 rounded up to 32); in it the tensors end at multiples of 32 */

    load(&f, "small-q8_0");
    cut = f;
    for (cut.n = 4; cut.n < data; cut.n += cut.n < 1500 || cut.n > 23000 ? 1 : 97)
        refuse(&cut, DG_ERR_MODEL, "");
    for (size_t border = data; border <= f.n; border += 32)
        for (cut.n = border - 1; cut.n <= border + 1; cut.n++)
            if (cut.n < f.n && (border % 1024 == 0 || border > f.n - 3000))
                refuse(&cut, DG_ERR_MODEL, "");
    free(f.bytes);
    load(&f, "small-q8_0");
    memset(f.bytes + f.n, 0, 64);
    for (size_t more = 1; more < 64; more++) {
        f.n += more;
        refuse(&f, DG_ERR_MODEL, "bytes of data, expected ");
        f.n -= more;
    }
    free(f.bytes);
}
END_TEST

/* Any byte of the header changed: refused, or a model still. */
START_TEST(changed)
{
    struct dg_error err;
    struct file f;
    uint64_t seed = 5;

    load(&f, "small-q8_0");
    for (size_t at = 4; at < 25504; at += at < 1000 || at > 23000 ? 1 : 13) {
        const unsigned char was = f.bytes[at];

        seed = seed * 6364136223846793005u + 1442695040888963407u;
        f.bytes[at] = (unsigned char)(seed >> 56);
        open_both(&f, &err);
        f.bytes[at] = was;
    }
    free(f.bytes);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {good,      tokenizer, fields, sizes, tensors, tokenizers_refused,
                                  truncated, changed,   NULL};

    return run_suite("gguf", tests);
}
