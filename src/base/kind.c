/* Kinds are tried in the order of a table: those with a magic number first, then those that only begin in a
 * way, the least certain last. */
#include "kind.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct head {
    const unsigned char *bytes;
    size_t n;
};

static bool begins(const struct head *h, const char *with, size_t n)
{
    return h->n >= n && memcmp(h->bytes, with, n) == 0;
}

static bool has(const struct head *h, const char *text)
{
    const size_t n = strlen(text);

    for (size_t i = 0; i + n <= h->n; i++)
        if (memcmp(h->bytes + i, text, n) == 0)
            return true;
    return false;
}

/* A byte-order mark and blanks may stand before markup; it is written in either case. */
static bool is_markup(const struct head *h, const char *tag)
{
    const size_t n = strlen(tag);
    size_t i = begins(h, "\xef\xbb\xbf", 3) ? 3 : 0;

    while (i < h->n && strchr(" \t\r\n", h->bytes[i]) && h->bytes[i])
        i++;
    for (size_t k = 0; k < n; k++)
        if (i + k >= h->n ||
            (h->bytes[i + k] | (tag[k] >= 'a' ? 0x20 : 0)) != (unsigned char)tag[k])
            return false;
    return true;
}

static bool is_html(const struct head *h)
{
    return is_markup(h, "<!doctype html") || is_markup(h, "<html") || is_markup(h, "<head");
}

static bool is_xml(const struct head *h)
{
    return is_markup(h, "<?xml") || is_markup(h, "<error");
}

static bool is_torch_zip(const struct head *h)
{
    return begins(h, "PK\3\4", 4) && has(h, "/data.pkl");
}

/* The first record is data.pkl, or the protocol of a pickle: 2 to 5. */
static bool is_pickle(const struct head *h)
{
    return h->n >= 2 && h->bytes[0] == 0x80 && h->bytes[1] >= 2 && h->bytes[1] <= 5;
}

/* 8 bytes of a length, and as many of JSON: an object. */
static bool is_safetensors(const struct head *h)
{
    uint64_t length = 0;

    for (int i = 7; i >= 0 && h->n >= 9; i--)
        length = length << 8 | h->bytes[i];
    return length >= 2 && length < (uint64_t)1 << 32 && h->bytes[8] == '{';
}

/* The protocol buffer's first two fields: version of the format, name of the producer. */
static bool is_onnx(const struct head *h)
{
    return h->n >= 4 && h->bytes[0] == 0x08 && h->bytes[1] > 0 && h->bytes[1] < 32 &&
           h->bytes[2] == 0x12 && h->bytes[3] > 0 && h->bytes[3] < 64;
}

static bool is_bzip2(const struct head *h)
{
    return h->n >= 10 && begins(h, "BZh", 3) && memcmp(h->bytes + 4, "1AY&SY", 6) == 0;
}

static bool is_tflite(const struct head *h)
{
    return h->n >= 8 && memcmp(h->bytes + 4, "TFL3", 4) == 0;
}

/* The first merge of GPT-2 stands for a blank and t; a header is not always there. */
static bool is_merges(const struct head *h)
{
    return begins(h, "#version:", 9) || begins(h, "\xc4\xa0 t\n", 5) ||
           begins(h, "\xc4\xa0 t\r", 5);
}

/* A member's name, or the end, follows the brace: `{ a` may be a merge. */
static bool is_object(const struct head *h)
{
    size_t i = 1;

    if (!begins(h, "{", 1))
        return false;
    while (i < h->n && (h->bytes[i] == ' ' || (h->bytes[i] >= '\t' && h->bytes[i] <= '\r')))
        i++;
    return i < h->n &&
           (h->bytes[i] == '}' || (h->bytes[i] == '"' && i + 1 < h->n && h->bytes[i + 1] >= ' '));
}

static bool is_text(const struct head *h)
{
    for (size_t i = 0; i < h->n; i++)
        if (h->bytes[i] < 0x20 ? !h->bytes[i] || !strchr("\t\n\r\f\x1b", h->bytes[i])
                               : h->bytes[i] == 0x7f)
            return false;
    return true;
}

static bool is_empty(const struct head *h)
{
    return h->n == 0;
}

static bool is_zeros(const struct head *h)
{
    for (size_t i = 0; i < h->n; i++)
        if (h->bytes[i])
            return false;
    return h->n >= 16;
}

#define OTHER_MODEL "dagpt reads GPT-2 from safetensors, GGUF, packed files and llm.c checkpoints"
#define AGAIN       "the download is to be made again"
#define UNPACK      "it is to be unpacked first"
#define SAVE        "model.safetensors is read, which transformers' save_pretrained() writes"
#define SWAP        "it comes from a machine of the other byte order"

/* llm.c's files begin with a date as a number. */
static const struct row {
    const char *magic;
    size_t n;
    bool (*is)(const struct head *h);
    struct dg_kind kind;
} table[] = {
    {"", 0, is_empty, {"an empty file", AGAIN, DG_KIND_TEXT}},
    {"\xc6\xd7\x34\x01", 4, NULL, {"an llm.c checkpoint", NULL, DG_KIND_OTHER}},
    {"\xc7\xd7\x34\x01",
     4,
     NULL,
     {"an llm.c debug state", "the checkpoint has its name without _debug_state", DG_KIND_OTHER}},
    {"\xc8\xd7\x34\x01",
     4,
     NULL,
     {"an llm.c tokenizer", "it goes beside a model, as gpt2_tokenizer.bin",
      DG_KIND_LLMC_TOKENIZER}},
    {"\x8f\xd8\x34\x01",
     4,
     NULL,
     {"an llm.c training state, of its optimizer", "the checkpoint's name begins with model_",
      DG_KIND_OTHER}},
    {"\x88\xd8\x34\x01", 4, NULL, {"tokens that llm.c trains with", NULL, DG_KIND_OTHER}},
    {"\x8a\xd8\x34\x01", 4, NULL, {"questions that llm.c evaluates with", NULL, DG_KIND_OTHER}},
    {"\x01\x34\xd7\xc6",
     4,
     NULL,
     {"an llm.c checkpoint with its bytes swapped", SWAP, DG_KIND_OTHER}},
    {"\x01\x34\xd7\xc8",
     4,
     NULL,
     {"an llm.c tokenizer with its bytes swapped", SWAP, DG_KIND_OTHER}},
    {"\x89"
     "dagpt\r\n",
     8,
     NULL,
     {"a packed file", NULL, DG_KIND_OTHER}},
    {"\x89"
     "dagpt",
     6,
     NULL,
     {"a packed file whose line ends were changed, as in text", AGAIN, DG_KIND_OTHER}},
    {"GGUF", 4, NULL, {"a GGUF file", NULL, DG_KIND_OTHER}},
    {"lmgg", 4, NULL, {"a ggml file, from before GGUF", OTHER_MODEL, DG_KIND_OTHER}},
    {"tjgg", 4, NULL, {"a ggml file, from before GGUF", OTHER_MODEL, DG_KIND_OTHER}},
    {"fmgg", 4, NULL, {"a ggml file, from before GGUF", OTHER_MODEL, DG_KIND_OTHER}},
    {"\x89HDF\r\n\x1a\n", 8, NULL, {"an HDF5 file, as TensorFlow writes", SAVE, DG_KIND_OTHER}},
    {"\x93NUMPY", 6, NULL, {"a NumPy array", SAVE, DG_KIND_OTHER}},
    {"", 0, is_torch_zip, {"a PyTorch checkpoint", SAVE, DG_KIND_OTHER}},
    {"PK\3\4", 4, NULL, {"a zip archive", UNPACK, DG_KIND_OTHER}},
    {"\x1f\x8b", 2, NULL, {"a gzip archive", UNPACK, DG_KIND_OTHER}},
    {"\xfd"
     "7zXZ",
     5,
     NULL,
     {"an xz archive", UNPACK, DG_KIND_OTHER}},
    {"\x28\xb5\x2f\xfd", 4, NULL, {"a zstd archive", UNPACK, DG_KIND_OTHER}},
    {"", 0, is_bzip2, {"a bzip2 archive", UNPACK, DG_KIND_OTHER}},
    {"7z\xbc\xaf", 4, NULL, {"a 7z archive", UNPACK, DG_KIND_OTHER}},
    {"\x7f"
     "ELF",
     4,
     NULL,
     {"a program", NULL, DG_KIND_OTHER}},
    {"%PDF-", 5, NULL, {"a PDF document", NULL, DG_KIND_OTHER}},
    {"\x89PNG", 4, NULL, {"a picture", NULL, DG_KIND_OTHER}},
    {"version https://git-lfs.",
     24,
     NULL,
     {"a Git LFS pointer", "`git lfs pull` fetches the file itself", DG_KIND_OTHER}},
    {"", 0, is_html, {"an HTML page", AGAIN, DG_KIND_OTHER}},
    {"", 0, is_xml, {"XML, as servers send with an error", AGAIN, DG_KIND_OTHER}},
    {"",
     0,
     is_safetensors,
     {"a safetensors file", "its folder, with config.json, is the model", DG_KIND_OTHER}},
    {"", 0, is_pickle, {"a Python pickle, as PyTorch wrote its checkpoints", SAVE, DG_KIND_OTHER}},
    {"", 0, is_tflite, {"a TensorFlow Lite model", OTHER_MODEL, DG_KIND_OTHER}},
    {"", 0, is_onnx, {"an ONNX model", OTHER_MODEL, DG_KIND_OTHER}},
    {"", 0, is_merges, {"GPT-2's merges", "they go beside a model, as merges.txt", DG_KIND_TEXT}},
    {"", 0, is_object, {"JSON", NULL, DG_KIND_JSON}},
    {"", 0, is_zeros, {"zeros", "the file was not written to its end", DG_KIND_OTHER}},
    {"", 0, is_text, {"text", NULL, DG_KIND_TEXT}},
};

const struct dg_kind *dg_kind_of(const void *head, size_t n)
{
    const struct head h = {head, n < DG_KIND_HEAD ? n : DG_KIND_HEAD};

    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].is ? table[i].is(&h) : begins(&h, table[i].magic, table[i].n))
            return &table[i].kind;
    return NULL;
}
