/* src/base/kind.c: files by their first bytes, and what must not be taken for one of those. */
#include "../../support/support.h"
#include "../../../src/base/kind.h"

#include <stdlib.h>
#include <string.h>

/* A copy that ends where the head ends, so that AddressSanitizer sees a read beyond it. */
static const struct dg_kind *kind_of(const char *head, size_t n)
{
    char *copy = malloc(n + (n == 0));
    const struct dg_kind *kind;

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, head, n);
    kind = dg_kind_of(copy, n);
    free(copy);
    return kind;
}

struct example {
    const char *head;
    size_t n;
    const char *name;
};

#define EXAMPLE(head, name)                                                                        \
    {                                                                                              \
        head, sizeof(head) - 1, name                                                               \
    }

static const struct example examples[] = {
    EXAMPLE("", "an empty file"),
    EXAMPLE("\xc6\xd7\x34\x01", "an llm.c checkpoint"),
    EXAMPLE("\x8f\xd8\x34\x01", "an llm.c training state, of its optimizer"),
    EXAMPLE("\xc8\xd7\x34\x01\1\0\0\0", "an llm.c tokenizer"),
    EXAMPLE("\x01\x34\xd7\xc6", "an llm.c checkpoint with its bytes swapped"),
    EXAMPLE("\x89"
            "dagpt\r\n",
            "a packed file"),
    EXAMPLE("\x89"
            "dagpt\n\1\0",
            "a packed file whose line ends were changed, as in text"),
    EXAMPLE("GGUF\3\0\0\0", "a GGUF file"),
    EXAMPLE("\x10\0\0\0\0\0\0\0{\"a\":1}", "a safetensors file"),
    EXAMPLE("PK\3\4\0\0\10\10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\20\0\2\0archive/data.pkl",
            "a PyTorch checkpoint"),
    EXAMPLE("PK\3\4\0\0\0\0readme.txt", "a zip archive"),
    EXAMPLE("\x80\2\x8a\nl\xfc\x9c", "a Python pickle, as PyTorch wrote its checkpoints"),
    EXAMPLE("version https://git-lfs.github.com/spec/v1\noid sha256:", "a Git LFS pointer"),
    EXAMPLE("<!DOCTYPE html>\n<html>", "an HTML page"),
    EXAMPLE("\xef\xbb\xbf \r\n<HTML lang=en>", "an HTML page"),
    EXAMPLE("<?xml version=\"1.0\"?><Error>", "XML, as servers send with an error"),
    EXAMPLE("\x08\x07\x12\x07pytorch", "an ONNX model"),
    EXAMPLE("\x1c\0\0\0TFL3", "a TensorFlow Lite model"),
    EXAMPLE("\x89HDF\r\n\x1a\n", "an HDF5 file, as TensorFlow writes"),
    EXAMPLE("\x1f\x8b\x08", "a gzip archive"),
    EXAMPLE("#version: 0.2\n\xc4\xa0 t\n", "GPT-2's merges"),
    EXAMPLE("\xc4\xa0 t\n", "GPT-2's merges"),
    EXAMPLE("{\n \"model_type\": \"gpt2\"}", "JSON"),
    EXAMPLE("{}", "JSON"),
    EXAMPLE("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "zeros"),
    EXAMPLE("Not Found\n", "text"),
    EXAMPLE("{ \"\n", "text"), /* a merge */
};

START_TEST(known)
{
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        const struct dg_kind *kind = kind_of(examples[i].head, examples[i].n);

        ck_assert_msg(kind && strcmp(kind->name, examples[i].name) == 0, "%s: got %s",
                      examples[i].name, kind ? kind->name : "nothing");
    }
}
END_TEST

/* Cut anywhere, and with any byte changed, a head is read no further than it goes. */
START_TEST(cut_and_changed)
{
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        for (size_t n = 0; n < examples[i].n; n++) {
            char copy[128];

            kind_of(examples[i].head, n);
            memcpy(copy, examples[i].head, examples[i].n);
            copy[n] ^= 0x55;
            kind_of(copy, examples[i].n);
        }
    }
}
END_TEST

START_TEST(unknown)
{
    static const struct example others[] = {
        EXAMPLE("\1", ""),
        EXAMPLE("\xc5\xd7\x34\x01\0\0", ""),
        EXAMPLE("\1\0\0\0\0\0\0\0{", ""), /* a length that holds no object */
        EXAMPLE("\x10\0\0\0\0\0\0\1{\"a\":1}", ""),
        EXAMPLE("\x80\1\0", ""),
        EXAMPLE("PK\3\5\0", ""),
        EXAMPLE("\0\0\0\0", ""),
    };

    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        const struct dg_kind *kind = kind_of(others[i].head, others[i].n);

        ck_assert_msg(!kind, "example %zu: got %s", i, kind ? kind->name : "");
    }
}
END_TEST

START_TEST(ids)
{
    ck_assert_int_eq(kind_of("", 0)->id, DG_KIND_TEXT);
    ck_assert_int_eq(kind_of("#version: 0.2\n", 14)->id, DG_KIND_TEXT);
    ck_assert_int_eq(kind_of("a b\n", 4)->id, DG_KIND_TEXT);
    ck_assert_int_eq(kind_of("<html>", 6)->id, DG_KIND_OTHER);
    ck_assert_int_eq(kind_of("version https://git-lfs.github.com", 34)->id, DG_KIND_OTHER);
    ck_assert_int_eq(kind_of("{}", 2)->id, DG_KIND_JSON);
    ck_assert_int_eq(kind_of("\xc8\xd7\x34\x01", 4)->id, DG_KIND_LLMC_TOKENIZER);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {known, cut_and_changed, unknown, ids, NULL};

    return run_suite("kind", tests);
}
