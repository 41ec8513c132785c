/* src/model/formats/packed.c and packed_write.c: what is packed has the bits of what it was packed from; and a good file
 * with one thing wrong at a time is refused: each bit of the head and the table, each field of them with a sum that
 * is right, each length, and, where sums are compared, each section. */
#include "../../support/one.h"
#include "../../support/packed.h"
#include "../../support/reference.h"
#include "../../../src/base/cpu.h"
#include "../../../src/base/crc.h"
#include "../../../src/model/format.h"
#include "../../../src/model/formats/packed.h"
#include "../../../src/model/model.h"
#include "../../../src/text/vocabulary.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Begins at a multiple of 64, as a mapping does. */
struct file {
    unsigned char *bytes;
    size_t n;
};

/* With a byte behind it. */
static void load_packed(struct file *f, const char *model)
{
    FILE *to = tmpfile();

    pack_model(model, to);
    f->n = (size_t)ftell(to);
    f->bytes = aligned_alloc(64, (f->n + 64) / 64 * 64);
    ck_assert_ptr_nonnull(f->bytes);
    f->bytes[f->n] = 0;
    rewind(to);
    ck_assert_uint_eq(fread(f->bytes, 1, f->n, to), f->n);
    fclose(to);
}

static struct dg_packed_head *head_of(const struct file *f)
{
    return (struct dg_packed_head *)f->bytes;
}

static struct dg_packed_section *section(const struct file *f, uint32_t i)
{
    return (struct dg_packed_section *)(f->bytes + sizeof(struct dg_packed_head)) + i;
}

/* The head's sum becomes that of what the head says. */
static void sum_head(const struct file *f)
{
    struct dg_crc crc;

    dg_crc_tables(&crc);
    head_of(f)->sum = 0;
    head_of(f)->sum = dg_crc(&crc, 0, f->bytes, (size_t)dg_packed_first(head_of(f)->sections));
}

/* Of bytes that end where the memory ends, so that AddressSanitizer sees a read beyond. verify: all of them. */
static enum dg_status open_file(const struct file *f, size_t n, bool verify, struct dg_error *err)
{
    unsigned char *copy = malloc(n + 1);
    struct dg_weights *w;
    enum dg_status st;

    ck_assert_ptr_nonnull(copy);
    memcpy(copy + 1, f->bytes, n);
    st = dg_weights_open_memory(&w, copy + 1, n, "file", err);
    if (st == DG_OK) {
        if (verify)
            st = dg_weights_verify(w, err);
        dg_weights_close(w);
    }
    free(copy);
    return st;
}

static void refuse(const struct file *f, bool verify, const char *what)
{
    struct dg_error err = {0};
    const enum dg_status st = open_file(f, f->n, verify, &err);

    ck_assert_msg(st == DG_ERR_MODEL && strncmp(err.text, "file: ", 6) == 0 &&
                      strstr(err.text, what) && strstr(err.text, "got "),
                  "got %d '%s', expected '%s'", st, err.text, what);
}

/* A field has another value, the head a sum that is right, and the file is refused. */
static void broken(const struct file *f, void *field, size_t n, uint64_t value, const char *what)
{
    unsigned char kept[8];

    memcpy(kept, field, n);
    memcpy(field, &value, n);
    sum_head(f);
    refuse(f, false, what);
    memcpy(field, kept, n);
    sum_head(f);
}

/* ---- bits ---- */

static void hash(struct dg_model *m, enum dg_isa isa, char hex[65])
{
    const struct dg_engine_options opt = {.isa = isa};
    const size_t vocab = dg_model_sizes(m).vocab;
    struct dg_team *team;
    struct one *o;
    int32_t ids[9];
    uint64_t state = 1;

    ck_assert_int_eq(dg_team_new(&team, 2, 2, NULL), DG_OK);
    o = one_new(m, team, &opt);
    for (int i = 0; i < 9; i++)
        ids[i] = (int32_t)random_below(&state, (uint32_t)vocab);
    one_eval(o, ids, 9, 9);
    sha256_hex(dg_sequence_logits(o->text), 9 * vocab * sizeof(float), hex);
    one_free(o);
    dg_team_free(team);
}

/* In place, and loaded since the bytes do not begin where they should. */
static void same_bits(const char *model)
{
    struct dg_error err = {0};
    struct dg_model *is, *in_place, *loaded;
    struct file f;
    unsigned char *room;
    char expected[65], hex[65];

    load_packed(&f, model);
    room = aligned_alloc(64, (f.n + 128) / 64 * 64);
    ck_assert_ptr_nonnull(room);
    memcpy(room + 1, f.bytes, f.n);
    ck_assert_msg(dg_model_open(&is, model, NULL, &err) == DG_OK, "%s", err.text);
    ck_assert_msg(dg_model_parse(&in_place, f.bytes, f.n, "f", NULL, &err) == DG_OK, "%s",
                  err.text);
    ck_assert_msg(dg_model_parse(&loaded, room + 1, f.n, "f", NULL, &err) == DG_OK, "%s", err.text);
    ck_assert(in_place->in_place && dg_model_is_loaded(in_place));
    ck_assert(!loaded->in_place && !dg_model_is_loaded(loaded));
    hash(is, DG_ISA_SCALAR, expected);
    hash(loaded, DG_ISA_SCALAR, hex);
    ck_assert_msg(strcmp(hex, expected) == 0, "%s, loaded", model);
    for (enum dg_isa isa = DG_ISA_SCALAR; isa; isa = dg_isa_next(isa)) {
        hash(in_place, isa, hex);
        ck_assert_msg(strcmp(hex, expected) == 0, "%s, %s", model, dg_isa_name(isa));
    }
    dg_model_free(is);
    dg_model_free(in_place);
    dg_model_free(loaded);
    free(room);
    free(f.bytes);
}

START_TEST(bits)
{
    static const char *const models[] = {
        "tiny.bin",  "odd.bin", "padded.bin",  "bf16.bin",
        "small.bin", "hf-bare", "hf-prefixed", "gguf/small-q8_0.gguf"};

    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        char path[128];

        snprintf(path, sizeof path, "tests/golden/%s", models[i]);
        same_bits(path);
    }
}
END_TEST

/* Back to where it came from, and packed again: every byte. */
START_TEST(round_trips)
{
    char path[256];
    struct file first, again;
    struct dg_error err = {0};
    struct dg_weights *w;
    char *made = NULL;
    size_t n = 0;
    struct dg_conversion c = {
        .writer = &dg_writer_llmc1, .dtype = DG_N_DTYPES, .open = pack_open, .tell = pack_tell};
    FILE *is = fopen("tests/golden/odd.bin", "rb"), *to = open_memstream(&made, &n);

    load_packed(&first, "tests/golden/odd.bin");
    pack_file("tests/golden/odd.bin", "round_trips.dagpt", path, sizeof path);
    load_packed(&again, path);
    ck_assert(first.n == again.n && memcmp(first.bytes, again.bytes, first.n) == 0);
    ck_assert_msg(dg_weights_open(&w, path, &err) == DG_OK, "%s", err.text);
    c.weights = w;
    c.arg = to;
    ck_assert_msg(c.writer->write(&c, &err) == DG_OK, "%s", err.text);
    fclose(to);
    for (size_t i = 0; i < n; i++)
        quick_assert_msg(getc(is) == (unsigned char)made[i], "byte %zu", i);
    ck_assert_int_eq(getc(is), EOF);
    fclose(is);
    free(made);
    dg_weights_close(w);
    free(first.bytes);
    free(again.bytes);
    remove(path);
}
END_TEST

/* What a file says beside its weights. */
START_TEST(says)
{
    struct dg_error err = {0};
    struct dg_weights *is, *w;
    struct file f;

    load_packed(&f, "tests/golden/gguf/small-f32.gguf");
    ck_assert_int_eq(dg_weights_open(&is, "tests/golden/gguf/small-f32.gguf", &err), DG_OK);
    ck_assert_msg(dg_weights_open_memory(&w, f.bytes, f.n, "file", &err) == DG_OK, "%s", err.text);
    ck_assert_int_eq(memcmp(&is->sizes, &w->sizes, sizeof w->sizes), 0);
    ck_assert(is->begin == w->begin && is->end == w->end && w->begin == 1008);
    ck_assert(w->recipe.epsilon == is->recipe.epsilon && !w->recipe.own_head);
    ck_assert_str_eq(w->format->name, "packed");
    ck_assert_int_eq(dg_weights_verify(w, &err), DG_OK);
    ck_assert_int_eq(dg_weights_verify(is, &err), DG_ERR_USAGE);
    dg_weights_close(is);
    dg_weights_close(w);
    free(f.bytes);
}
END_TEST

/* ---- damage ---- */

START_TEST(each_bit_of_the_head)
{
    struct file f;
    struct dg_error err;

    load_packed(&f, "tests/golden/tiny.bin");
    for (size_t i = 0; i < dg_packed_first(head_of(&f)->sections); i++)
        for (int bit = 0; bit < 8; bit++) {
            f.bytes[i] ^= (unsigned char)(1 << bit);
            quick_assert_msg(open_file(&f, f.n, false, &err) == DG_ERR_MODEL, "byte %zu, bit %d", i,
                             bit);
            f.bytes[i] ^= (unsigned char)(1 << bit);
        }
    ck_assert_int_eq(open_file(&f, f.n, false, &err), DG_OK);
    free(f.bytes);
}
END_TEST

START_TEST(head)
{
    struct dg_packed_head *h;
    struct file f;

    load_packed(&f, "tests/golden/tiny.bin");
    h = head_of(&f);
    broken(&f, &h->version, 4, 0, "version: got 0, expected 1");
    broken(&f, &h->version, 4, 2, "version: got 2, expected 1");
    broken(&f, &h->order, 4, 0x04030201, "byte order: got 0x04030201, expected 0x01020304");
    broken(&f, &h->lanes, 4, 8, "outputs in a panel: got 8, expected 16");
    broken(&f, &h->page, 4, 16384, "page: got 16384, expected 4096");
    broken(&f, &h->bytes, 8, f.n - 1, "size: got ");
    broken(&f, &h->bytes, 8, UINT64_MAX, "size: got ");
    broken(&f, &h->positions, 4, 0, "maxT: got 0");
    broken(&f, &h->vocab, 4, 0, "V: got 0");
    broken(&f, &h->layers, 4, 0, "L: got 0");
    broken(&f, &h->layers, 4, h->layers + 1, "sections: got ");
    broken(&f, &h->heads, 4, 0, "NH: got 0");
    broken(&f, &h->heads, 4, h->channels + 1, "NH: got ");
    broken(&f, &h->channels, 4, 0, "C: got 0");
    broken(&f, &h->channels, 4, 2 * h->channels, "columns: got ");
    broken(&f, &h->vocab, 4, h->vocab + 1, "rows: got ");
    broken(&f, &h->positions, 4, h->positions + 1, "rows: got ");
    broken(&f, &h->epsilon, 4, 0, "epsilon: got 0");
    broken(&f, &h->epsilon, 4, 0x7fc00000, "epsilon: got nan");
    broken(&f, &h->epsilon, 4, 0xbf800000, "epsilon: got -1");
    broken(&f, &h->epsilon, 4, 0x7f800000, "epsilon: got inf");
    broken(&f, &h->activation, 4, 0, "activation: got 0, expected 1 to 3");
    broken(&f, &h->activation, 4, 4, "activation: got 4, expected 1 to 3");
    broken(&f, &h->own_head, 4, 1, "sections: got ");
    broken(&f, &h->own_head, 4, 2, "own head: got 2");
    broken(&f, &h->begin, 4, h->vocab, "begin: got ");
    broken(&f, &h->end, 4, (uint32_t)-2, "end: got -2");
    for (int i = 0; i < 4; i++)
        broken(&f, &h->zero[i], 4, 1, "head: got 1 where");
    free(f.bytes);
}
END_TEST

/* The number of sections says where the head ends, and so what its sum is of. */
START_TEST(sections)
{
    struct file f;
    uint32_t n;

    load_packed(&f, "tests/golden/tiny.bin");
    n = head_of(&f)->sections;
    for (size_t i = 0; i < 8; i++) {
        const uint32_t numbers[] = {0, 1, 2, n - 1, n + 2, n + 1000, 1 << 24, UINT32_MAX};

        head_of(&f)->sections = numbers[i];
        if (dg_packed_first(numbers[i]) <= f.n)
            sum_head(&f);
        refuse(&f, false, "sections: got ");
    }
    head_of(&f)->sections = n + 1; /* a tokenizer that the table does not have */
    sum_head(&f);
    refuse(&f, false, "got 'sums', expected 'tokenizer'");
    free(f.bytes);
}
END_TEST

START_TEST(table)
{
    struct file f;

    load_packed(&f, "tests/golden/gguf/small-f32.gguf");
    for (uint32_t i = 0; i < head_of(&f)->sections; i++) {
        struct dg_packed_section *s = section(&f, i);
        const bool weight = i + 2 < head_of(&f)->sections;

        broken(&f, s->name, 1, 'x', "section ");
        broken(&f, s->name + DG_PACKED_NAME - 1, 1, 'x', "section ");
        broken(&f, &s->dtype, 4, weight ? 0 : 1, "dtype: got ");
        broken(&f, &s->dtype, 4, 9, "dtype: got 9");
        if (weight)
            broken(&f, &s->dtype, 4, 0, "dtype: got bytes");
        broken(&f, &s->layout, 4, s->layout + 1, "layout: got ");
        broken(&f, &s->layout, 4, s->layout - 1, "layout: got ");
        broken(&f, &s->rows, 4, s->rows + 1, "rows: got ");
        broken(&f, &s->cols, 4, s->cols + 1, "columns: got ");
        broken(&f, &s->group, 4, 32, "group: got 32");
        broken(&f, &s->zero, 4, 1, "reserved field: got 1");
        broken(&f, &s->offset, 8, s->offset + 64, "offset: got ");
        broken(&f, &s->offset, 8, s->offset - DG_PACKED_PAGE, "offset: got ");
        broken(&f, &s->offset, 8, UINT64_MAX, "offset: got ");
        broken(&f, &s->bytes, 8, 0, "bytes: got 0");
        broken(&f, &s->bytes, 8, UINT64_MAX, "bytes: got ");
        broken(&f, &s->bytes, 8, s->bytes + DG_PACKED_PAGE, weight ? "bytes: got " : "");
    }
    free(f.bytes);
}
END_TEST

/* Two sections that have changed places, each whole. */
START_TEST(exchanged)
{
    struct dg_packed_section kept;
    struct file f;

    load_packed(&f, "tests/golden/tiny.bin");
    kept = *section(&f, 5);
    *section(&f, 5) = *section(&f, 7);
    *section(&f, 7) = kept;
    sum_head(&f);
    refuse(&f, false, "section 5: got '");
    free(f.bytes);
}
END_TEST

START_TEST(cut)
{
    struct dg_error err;
    struct file f;

    load_packed(&f, "tests/golden/gguf/small-f32.gguf");
    for (uint32_t i = 0; i < head_of(&f)->sections; i++) {
        const struct dg_packed_section *s = section(&f, i);

        for (size_t n = s->offset - 1; n <= s->offset + 1; n++)
            ck_assert_int_eq(open_file(&f, n, false, &err), DG_ERR_MODEL);
        for (size_t n = s->offset + s->bytes - 1; n <= s->offset + s->bytes + 1; n++)
            ck_assert_int_eq(open_file(&f, n, false, &err), n == f.n ? DG_OK : DG_ERR_MODEL);
    }
    for (size_t n = 0; n < 200; n++)
        ck_assert_int_eq(open_file(&f, n, false, &err), DG_ERR_MODEL);
    free(f.bytes);
}
END_TEST

/* First, middle and last byte of each section, and what fills it up to a page. */
START_TEST(each_section)
{
    struct dg_error err;
    struct file f;

    load_packed(&f, "tests/golden/gguf/small-f32.gguf");
    ck_assert_int_eq(open_file(&f, f.n, true, &err), DG_OK);
    for (uint32_t i = 0; i < head_of(&f)->sections; i++) {
        const uint64_t from = section(&f, i)->offset, end = from + section(&f, i)->bytes;
        const uint64_t at[] = {from, (from + end) / 2, end - 1, end};

        for (size_t k = 0; k < 4; k++) {
            if (at[k] == f.n)
                continue;
            f.bytes[at[k]] ^= 0x10;
            ck_assert_int_eq(open_file(&f, f.n, false, &err), DG_OK);
            refuse(&f, true, "sum: got 0x");
            f.bytes[at[k]] ^= 0x10;
        }
    }
    free(f.bytes);
}
END_TEST

/* ---- scales ---- */

/* Group `g` of the first outputs of the first weight, wte, which is of int8. */
static struct dg_panel_group *group_of(const struct file *f, size_t g)
{
    const struct dg_packed_section *wte = section(f, 0);

    ck_assert(strcmp(wte->name, "wte") == 0 && wte->group == DG_GROUP && wte->cols > DG_GROUP);
    return (struct dg_panel_group *)(void *)(f->bytes + wte->offset) + g;
}

static void refuse_weight(const void *bytes, size_t n, const char *what)
{
    struct dg_error err = {0};
    struct dg_model *m;
    struct dg_team *team;
    struct one *o;
    const int32_t id = 5;

    ck_assert_int_eq(dg_team_new(&team, 2, 2, &err), DG_OK);
    ck_assert_msg(dg_model_parse(&m, bytes, n, "file", NULL, &err) == DG_OK, "%s", err.text);
    o = one_new(m, team, NULL);
    ck_assert_int_eq(dg_sequence_eval(o->text, &id, 1, 1, &err), DG_ERR_MODEL);
    ck_assert_msg(strstr(err.text, what) == err.text, "%s", err.text);
    one_free(o);
    dg_model_free(m);
    dg_team_free(team);
}

/* A scale of int8 that is infinite or NaN, used in place, and loaded. */
START_TEST(scales_are_finite)
{
    static const float wrong[] = {INFINITY, -INFINITY, NAN};
    struct file f;
    unsigned char *room;

    load_packed(&f, "tests/golden/gguf/small-q8_0.gguf");
    room = aligned_alloc(64, (f.n + 128) / 64 * 64);
    ck_assert_ptr_nonnull(room);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        group_of(&f, 1)->scale[2] = wrong[i];
        refuse(&f, true, "sum: got 0x");
        refuse_weight(f.bytes, f.n, "file: wte: row 2, column 32: got ");
        memcpy(room + 1, f.bytes, f.n);
        refuse_weight(room + 1, f.n, "file: wte: row 2, column 32: got ");
    }
    free(room);
    free(f.bytes);
}
END_TEST

/* A scale below zero is one: with the integers' signs turned, too, nothing changes. */
START_TEST(scales_of_either_sign)
{
    struct dg_panel_group *g;
    struct dg_model *m;
    struct file f;
    char expected[65], hex[65];

    load_packed(&f, "tests/golden/gguf/small-q8_0.gguf");
    ck_assert_int_eq(dg_model_parse(&m, f.bytes, f.n, "f", NULL, NULL), DG_OK);
    hash(m, DG_ISA_SCALAR, expected);
    g = group_of(&f, 1);
    g->scale[2] = -g->scale[2];
    hash(m, DG_ISA_SCALAR, hex);
    ck_assert(strcmp(hex, expected) != 0);
    for (size_t k = 0; k < DG_GROUP; k++) {
        uint8_t *byte = &g->weight[k / 4][2][k % 4];

        ck_assert_uint_gt(*byte, 0);
        *byte = (uint8_t)(256 - *byte);
    }
    for (enum dg_isa isa = DG_ISA_SCALAR; isa; isa = dg_isa_next(isa)) {
        hash(m, isa, hex);
        ck_assert_msg(strcmp(hex, expected) == 0, "%s", dg_isa_name(isa));
    }
    dg_model_free(m);
    free(f.bytes);
}
END_TEST

/* ---- the tokenizer ---- */

static void expect_same(const struct dg_tokenizer *t, const char *text, size_t n,
                        const int32_t *ids, size_t n_ids)
{
    int32_t *got;
    size_t n_got;

    ck_assert_int_eq(dg_tokenizer_encode(t, text, n, &got, &n_got, NULL), DG_OK);
    ck_assert(n_got == n_ids && memcmp(got, ids, n_ids * sizeof *ids) == 0);
    free(got);
}

static struct dg_tokenizer *pack_and_read(const struct dg_tokenizer *t)
{
    struct dg_error err = {0};
    struct dg_tokenizer *read;
    size_t n;
    char *data = dg_tokenizer_pack(t, &n);

    ck_assert_ptr_nonnull(data);
    ck_assert_msg(dg_tokenizer_of_packed(&read, data, n, "file", &err) == DG_OK, "%s", err.text);
    free(data);
    return read;
}

START_TEST(tokens)
{
    struct dg_tokenizer *t, *read;
    struct dg_error err = {0};

    ck_assert_int_eq(dg_tokenizer_open(&t, "tests/golden/vocab.bpe", &err), DG_OK);
    read = pack_and_read(t);
    for_each_reference(read, expect_same);
    ck_assert_uint_eq(dg_tokenizer_vocab(read), dg_tokenizer_vocab(t));
    ck_assert(dg_tokenizer_begin(read) == dg_tokenizer_begin(t) &&
              dg_tokenizer_end(read) == dg_tokenizer_end(t) && dg_tokenizer_end(t) == 50256);
    for (int32_t id = 0; id < 50257; id++) {
        size_t n[2];
        const char *a = dg_tokenizer_bytes(t, id, &n[0]), *b = dg_tokenizer_bytes(read, id, &n[1]);

        quick_assert_msg(n[0] == n[1] && memcmp(a, b, n[0]) == 0, "id %d", (int)id);
    }
    dg_tokenizer_free(t);
    dg_tokenizer_free(read);
}
END_TEST

/* One that is always read, one where that is asked for, and one that never is. */
static const char added_json[] =
    "{\"added_tokens\": [{\"id\": 257, \"content\": \"<a>\", \"special\": true},"
    " {\"id\": 258, \"content\": \"<b>\", \"special\": false}], \"model\": {\"type\": \"BPE\","
    " \"vocab\": {%s\"th\": 256}, \"merges\": [\"t h\"]}}";

START_TEST(added_tokens)
{
    static const char text[] = "th<a><b>";
    struct dg_tokenizer *merges, *t, *read;
    struct dg_error err = {0};
    char vocab[8192] = "", json[9000];
    int32_t *ids, *special;
    size_t n, n_special;
    FILE *to = fmemopen(vocab, sizeof vocab, "w");

    /* the bytes, in their order, in GPT-2's characters */
    ck_assert_int_eq(dg_tokenizer_parse(&merges, "", 0, "none", &err), DG_OK);
    for (int32_t id = 0; id < 256; id++) {
        size_t length;
        const unsigned byte = (unsigned char)*dg_tokenizer_bytes(merges, id, &length);
        const unsigned code = id < 188 ? byte : 0x100 + (unsigned)id - 188;

        fprintf(to, "\"\\u%04x\": %d, ", code, (int)id);
    }
    fclose(to);
    snprintf(json, sizeof json, added_json, vocab);
    ck_assert_msg(dg_tokenizer_parse(&t, json, strlen(json), "json", &err) == DG_OK, "%s",
                  err.text);
    read = pack_and_read(t);
    ck_assert(read->n_special == 2 && read->n_always == 1);
    ck_assert_int_eq(dg_tokenizer_encode(read, text, strlen(text), &ids, &n, &err), DG_OK);
    ck_assert(n == 5 && ids[0] == 256 && ids[4] == 258);
    ck_assert_int_eq(
        dg_tokenizer_encode_special(read, text, strlen(text), &special, &n_special, &err), DG_OK);
    ck_assert(n_special == 3 && special[1] == 257 && special[2] == 258);
    free(ids);
    free(special);
    dg_tokenizer_free(merges);
    dg_tokenizer_free(t);
    dg_tokenizer_free(read);
}
END_TEST

static void refuse_tokens(const char *data, size_t n, const char *what)
{
    char *copy = malloc(n + 1);
    struct dg_tokenizer *t;
    struct dg_error err = {0};
    enum dg_status st;

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, data, n);
    st = dg_tokenizer_of_packed(&t, copy, n, "file", &err);
    ck_assert_msg(st == DG_ERR_TOKEN && strstr(err.text, what), "got %d '%s', expected '%s'", st,
                  err.text, what);
    free(copy);
}

/* Of 5 merges, which make 4 tokens, and one token more. */
START_TEST(broken_tokens)
{
    static const char merges[] = "t h\nh e\nth e\nth t\nt he\n";
    enum { HEAD = 8, MERGES = HEAD, IDS = MERGES + 10, SPECIAL = IDS + 261, LENGTHS = SPECIAL + 1 };
    static const struct {
        int at;
        uint32_t value;
        const char *what;
    } wrong[] = {{0, 255, "tokens: got 255"},
                 {0, 1 << 30, "tokens: got 1073741824"},
                 {0, 262, ""},
                 {1, 3, ""},
                 {1, 1 << 30, "merges: got 1073741824"},
                 {2, 6, "merges: got 5 that make 6"},
                 {2, 3, ""},
                 {3, 9, "bytes made by merge"},
                 {3, 11, "tokens made by merge"},
                 {3, UINT32_MAX, "of 4294967295 bytes"},
                 {4, 262, "special tokens: got 262"},
                 {5, 2, "special tokens: got 1, 2"},
                 {6, 261, "begin and end"},
                 {7, (uint32_t)-2, "begin and end"},
                 {MERGES, 256, "merge 1: got 256"},
                 {MERGES + 5, 258, "merge 3: got 258"},
                 {MERGES + 7, UINT32_MAX, "merge 4: got 4294967295"},
                 {MERGES + 7, 'e' - '!', "merge 4"},
                 {IDS, 1, "two tokens"},
                 {IDS, 261, "token id"},
                 {SPECIAL, 261, "special 0"},
                 {LENGTHS, 0, "token 260: got 0"},
                 {LENGTHS, 14, "token 260: got 14"},
                 {LENGTHS, 12, "bytes behind token 260: got 1"}};
    struct dg_tokenizer *t;
    struct dg_error err = {0};
    size_t n;
    char *data;

    ck_assert_int_eq(dg_tokenizer_parse(&t, merges, strlen(merges), "merges", &err), DG_OK);
    data = dg_tokenizer_pack(t, &n);
    ck_assert_uint_eq(n, 4 * (LENGTHS + 1) + strlen("<|endoftext|>"));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char kept[4];

        memcpy(kept, data + 4 * wrong[i].at, 4);
        memcpy(data + 4 * wrong[i].at, &wrong[i].value, 4);
        refuse_tokens(data, n, wrong[i].what);
        memcpy(data + 4 * wrong[i].at, kept, 4);
    }
    for (size_t less = 0; less < n; less++)
        refuse_tokens(data, less, "file: tokenizer: ");
    free(data);
    dg_tokenizer_free(t);
}
END_TEST

/* Each merge is of the token before with itself: 2^n bytes. */
START_TEST(tokens_that_grow)
{
    enum { N = 60, HEAD = 8 };
    uint32_t data[HEAD + 2 * N + 256 + N] = {256 + N, N, N, 1000, 0, 0, (uint32_t)-1, (uint32_t)-1};

    for (uint32_t i = 0; i < N; i++)
        data[HEAD + 2 * i] = data[HEAD + 1 + 2 * i] = i ? 255 + i : 0;
    for (uint32_t i = 0; i < 256 + N; i++)
        data[HEAD + 2 * N + i] = i;
    refuse_tokens((const char *)data, sizeof data, "bytes made by merge 9: got ");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {bits,
                                  round_trips,
                                  says,
                                  each_bit_of_the_head,
                                  head,
                                  sections,
                                  table,
                                  exchanged,
                                  cut,
                                  each_section,
                                  scales_are_finite,
                                  scales_of_either_sign,
                                  tokens,
                                  added_tokens,
                                  broken_tokens,
                                  tokens_that_grow,
                                  NULL};

    return run_suite("packed", tests);
}
