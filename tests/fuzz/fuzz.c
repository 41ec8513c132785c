/* fuzz.c - every reader, and what works on what strangers send, for libFuzzer: TARGET=NAME names what the bytes are
 * given to. Beside what the sanitizers see, a target says what must hold of what was accepted. tests/fuzz/fuzz.sh runs them. */
#include "../../src/base/crc.h"
#include "../../src/base/json.h"
#include "../../src/base/names.h"
#include "../../src/base/utf8.h"
#include "../../src/dagpt.h"
#include "../../src/model/model.h"
#include "../../src/text/tokenizer.h"
#include "../../tools/cli/escapes.h"
#include "../../tools/cli/prompts.h"
#include "../../tools/trace/trace_analysis.h"
#include "../../tools/trace/trace_replay.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t most, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t n, size_t most); /* libFuzzer's */

static struct dg_team *team;
static struct dg_model *tiny;        /* tests/golden/tiny.bin */
static struct dg_tokenizer *english; /* the first of GPT-2's merges */
static struct dg_crc crc;
static const char *folder; /* for the files of models that are folders */

static void must(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "fuzz: not so: %s\n", what);
    abort();
}

/* An error has its status and one printable line. */
static void must_say(enum dg_status st, const struct dg_error *err)
{
    must(err->status == st && err->text[0] && !strchr(err->text, '\n'),
         "an error says why, in one line");
}

/* ---- models ---- */

enum { MOST_LAYERS = 8 };

/* Evaluates some ids; what comes of weights that strangers made are finite logits, or an error. */
static void run_model(struct dg_model *m)
{
    const struct dg_sizes z = dg_model_sizes(m);
    const size_t n = z.positions < 3 ? z.positions : 3;
    const int32_t ids[3] = {0, (int32_t)(z.vocab - 1), (int32_t)(z.vocab / 2)};
    struct dg_engine *e = NULL;
    struct dg_sequence *s = NULL;
    struct dg_error err;
    enum dg_status st = dg_engine_new(&e, m, team, NULL, &err);

    if (st == DG_OK)
        st = dg_sequence_new(&s, e, &err);
    if (st == DG_OK)
        st = dg_sequence_eval(s, ids, n, 1, &err);
    if (st == DG_OK)
        for (uint32_t i = 0; i < z.vocab; i++)
            must(isfinite(dg_sequence_logits(s)[i]), "logits are finite");
    else
        must_say(st, &err);
    dg_sequence_free(s);
    dg_engine_free(e);
}

static void use_weights(struct dg_weights *w)
{
    struct dg_tokenizer *t = NULL;
    struct dg_model *m;
    struct dg_error err;

    if (dg_weights_tokenizer_if_any(&t, w, &err) == DG_OK)
        dg_tokenizer_free(t);
    if (w->sizes.layers > MOST_LAYERS) {
        dg_weights_close(w);
        return;
    }
    if (dg_model_of_weights(&m, w, DG_PRECISION_AUTO, NULL, &err) != DG_OK)
        return;
    run_model(m);
    dg_model_free(m);
}

/* llm.c, GGUF and packed files. */
static void model(const uint8_t *data, size_t n)
{
    struct dg_weights *w;
    struct dg_error err;
    const enum dg_status st = dg_weights_open_memory(&w, data, n, "fuzz", &err);

    if (st == DG_OK)
        use_weights(w);
    else
        must_say(st, &err);
}

static FILE *new_file(const char *name)
{
    char path[256];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    f = fopen(path, "wb");
    must(f != NULL, "a folder for files");
    return f;
}

/* A folder: config.json, NUL, the header of model.safetensors, NUL, its data. The header's length is put before it. */
static void hf(const uint8_t *data, size_t n)
{
    const uint8_t *one = memchr(data, 0, n), *end = data + n;
    const uint8_t *two = one ? memchr(one + 1, 0, (size_t)(end - one - 1)) : NULL;
    struct dg_weights *w;
    struct dg_error err;
    enum dg_status st;
    uint64_t length;
    FILE *f;

    if (!two)
        return;
    length = (uint64_t)(two - one - 1);
    f = new_file("config.json");
    fwrite(data, 1, (size_t)(one - data), f);
    fclose(f);
    f = new_file("model.safetensors");
    fwrite(&length, 8, 1, f);
    fwrite(one + 1, 1, (size_t)length, f);
    fwrite(two + 1, 1, (size_t)(end - two - 1), f);
    fclose(f);
    st = dg_weights_open(&w, folder, &err);
    if (st == DG_OK)
        use_weights(w);
    else
        must_say(st, &err);
}

/* ---- text ---- */

/* Ids of a text give its bytes back, however it was cut, and pass through a stream as UTF-8. */
static void round_trip(const struct dg_tokenizer *t, const char *text, size_t n, size_t window)
{
    int32_t *ids, *others;
    size_t n_ids, n_others, at = 0, given;
    struct dg_stream *s;
    struct dg_error err;
    const char *made;

    must(dg_tokenizer_encode(t, text, n, &ids, &n_ids, &err) == DG_OK, "any text has ids");
    must(dg_tokenizer_encode_by(t, window, text, n, &others, &n_others, &err) == DG_OK,
         "in parts, too");
    must(n_ids == n_others && memcmp(ids, others, n_ids * sizeof *ids) == 0,
         "the ids do not depend on the window");
    must(dg_stream_new(&s, t, &err) == DG_OK, "a stream");
    for (size_t i = 0; i < n_ids; i++) {
        size_t length;
        const char *bytes = dg_tokenizer_bytes(t, ids[i], &length);

        must(bytes && length <= n - at && memcmp(bytes, text + at, length) == 0,
             "ids give the text back");
        at += length;
        must(dg_stream_push(s, ids[i], &made, &given, &err) == DG_OK, "an id of the vocabulary");
        must(!memchr(made, 0, given) || memchr(text, 0, n), "no NUL from nowhere");
    }
    must(at == n, "all of it");
    dg_stream_end(s, &given);
    dg_stream_free(s);
    free(ids);
    free(others);
}

/* The first byte is the window. */
static void text(const uint8_t *data, size_t n)
{
    if (n > 0)
        round_trip(english, (const char *)data + 1, n - 1, 1 + data[0]);
}

static void tokenizer(const uint8_t *data, size_t n)
{
    static const char sample[] = "ab abab cd the \xe2\x82\xac<|endoftext|>\n\n 12's";
    struct dg_tokenizer *t;
    struct dg_error err;
    int32_t *ids;
    size_t n_ids;
    const enum dg_status st = dg_tokenizer_parse(&t, (const char *)data, n, "fuzz", &err);

    if (st != DG_OK) {
        must_say(st, &err);
        return;
    }
    if (dg_tokenizer_encode(t, sample, sizeof sample - 1, &ids, &n_ids, &err) == DG_OK)
        free(ids);
    if (dg_tokenizer_encode_special(t, sample, sizeof sample - 1, &ids, &n_ids, &err) == DG_OK)
        free(ids);
    dg_tokenizer_free(t);
}

static void escapes(const uint8_t *data, size_t n)
{
    char *copy = malloc(n + 1);
    struct dg_error err;
    size_t left;

    must(copy != NULL, "memory");
    memcpy(copy, data, n);
    copy[n] = '\0';
    if (escapes_read(copy, n, &left, &err) == DG_OK)
        must(left <= n && copy[left] == '\0', "no text grows");
    dg_one_line(copy);
    free(copy);
}

/* Of the command's text.c, which brings all of the command with it. */
void text_free(struct text *t)
{
    free(t->bytes);
    *t = (struct text){0};
}

/* A line of a file of prompts. */
static void prompts(const uint8_t *data, size_t n)
{
    struct text line = {malloc(n + 1), n};
    struct prompt_line l = {0};
    struct dg_error err;
    enum dg_status st;

    must(line.bytes != NULL, "memory");
    memcpy(line.bytes, data, n);
    line.bytes[n] = '\0';
    st = prompt_line_read(&l, &line, &err);
    must(!line.bytes, "the line is taken over");
    if (st != DG_OK) {
        must_say(st, &err);
        return;
    }
    must(l.prompt.n <= n && l.prompt.bytes[l.prompt.n] == '\0',
         "no prompt is longer than its line");
    must(l.stops.n <= CLI_MAX_TEXTS && l.tokens <= PROMPT_MOST_TOKENS, "numbers in their ranges");
    for (size_t i = 0; i < l.stops.n; i++)
        must(l.stops.texts[i][0], "no empty stop");
    text_free(&l.prompt);
    free(l.memory);
}

static void json(const uint8_t *data, size_t n)
{
    struct dg_names names = {0};
    struct dg_json j;
    char key[8];
    bool ok, unique;

    dg_json_open(&j, (const char *)data, n);
    ok = dg_json_skip(&j) && dg_json_end(&j);
    must(ok == !j.error, "an error, or none");
    must(j.at >= j.text && j.at <= j.end, "its place is in the text");
    must(dg_json_line(&j) <= n + 1, "and its line");
    dg_json_open(&j, (const char *)data, n);
    dg_json_unique(&j, &names);
    if (dg_json_object(&j))
        while (dg_json_key(&j, key, sizeof key) && dg_json_skip(&j))
            ;
    unique = !j.error;
    must(!unique || j.at <= j.end, "its place is in the text");
    dg_names_free(&names);
}

/* ---- traces ---- */

static void trace(const uint8_t *data, size_t n)
{
    struct trace_file *t;
    struct trace_summary s;
    struct replay_costs costs;
    struct dg_error err;
    uint64_t ns;
    const enum dg_status st = trace_file_parse(&t, "fuzz", (const char *)data, n, &err);

    if (st != DG_OK) {
        must_say(st, &err);
        return;
    }
    if (trace_summarize(&s, t))
        trace_summary_free(&s);
    if (replay_costs(&costs, t))
        for (unsigned workers = 1; workers < 4; workers++)
            (void)replay(&ns, t, workers, workers == 3, &costs);
    trace_file_free(t);
}

/* ---- a whole completion ---- */

/* Sampling and ids from the bytes: a step a chunk or all at once, the logits are the same, and each id drawn is one. */
static void complete(const uint8_t *data, size_t n)
{
    const struct dg_sizes z = dg_model_sizes(tiny);
    struct dg_engine_options by = {.size = sizeof by, .sched = DG_SCHED_SERIAL};
    struct dg_sampling how = {.size = sizeof how};
    struct dg_engine *e[2] = {0};
    struct dg_sequence *s[2] = {0};
    struct dg_sampler *sampler;
    struct dg_error err;
    int32_t ids[64], next;
    size_t n_ids = 0;

    if (n < 9)
        return;
    how.temp = data[0] / 50.0;
    how.top_k = data[1];
    how.top_p = data[2] / 250.0;
    how.min_p = data[3] / 250.0;
    how.repeat_penalty = data[4] / 25.0;
    how.seed = data[5];
    by.chunk = data[6] % 9;
    if (dg_sampler_new(&sampler, z.vocab, &how, &err) != DG_OK) {
        must_say(DG_ERR_USAGE, &err);
        return;
    }
    for (size_t i = 7; i < n && n_ids < 40; i++)
        ids[n_ids++] = data[i] % 2 ? data[i] : data[i] % (int32_t)z.vocab;
    for (int i = 0; i < 2; i++) {
        must(dg_engine_new(&e[i], tiny, team, i ? &by : NULL, &err) == DG_OK, "an engine");
        must(dg_sequence_new(&s[i], e[i], &err) == DG_OK, "a sequence");
    }
    if (dg_sequence_eval(s[0], ids, n_ids, 1, &err) == DG_OK) {
        must(dg_sequence_eval(s[1], ids, n_ids, 1, &err) == DG_OK,
             "what the one takes the other does");
        for (int i = 0; i < 3; i++) {
            must(memcmp(dg_sequence_logits(s[0]), dg_sequence_logits(s[1]),
                        z.vocab * sizeof(float)) == 0,
                 "the same bits");
            must(dg_sampler_next(sampler, dg_sequence_logits(s[0]), ids, n_ids, &next, &err) ==
                     DG_OK,
                 "an id");
            must(next >= 0 && (uint32_t)next < z.vocab, "of the vocabulary");
            ids[n_ids++] = next;
            for (int k = 0; k < 2; k++)
                must(dg_sequence_eval(s[k], &next, 1, 1, &err) == DG_OK, "it goes on");
        }
    } else {
        must(err.status == DG_ERR_TOKEN && dg_sequence_position(s[0]) == 0,
             "an id outside, and nothing happened");
    }
    for (int i = 0; i < 2; i++) {
        dg_sequence_free(s[i]);
        dg_engine_free(e[i]);
    }
    dg_sampler_free(sampler);
}

/* ---- the driver ---- */

static const struct target {
    const char *name;
    void (*run)(const uint8_t *data, size_t n);
} targets[] = {{"model", model}, {"hf", hf},           {"tokenizer", tokenizer},
               {"text", text},   {"escapes", escapes}, {"prompts", prompts},
               {"json", json},   {"trace", trace},     {"complete", complete}};

static const struct target *target;

static void open_tokenizer(void)
{
    enum { MOST = 40000 };
    static char merges[MOST];
    struct dg_error err;
    FILE *f = fopen("tests/golden/vocab.bpe", "rb");
    size_t n = f ? fread(merges, 1, MOST, f) : 0;

    while (n > 0 && merges[n - 1] != '\n')
        n--;
    must(f && dg_tokenizer_parse(&english, merges, n, "merges", &err) == DG_OK,
         "tests/golden/vocab.bpe is here");
    fclose(f);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *name = getenv("TARGET");
    struct dg_error err;

    (void)argc;
    (void)argv;
    for (size_t i = 0; name && i < sizeof targets / sizeof *targets; i++)
        if (strcmp(targets[i].name, name) == 0)
            target = &targets[i];
    must(target != NULL, "TARGET is one of these");
    dg_crc_tables(&crc);
    must(dg_team_new(&team, 1, 1, &err) == DG_OK, "a team");
    must(dg_model_open(&tiny, "tests/golden/tiny.bin", team, &err) == DG_OK,
         "tests/golden/tiny.bin is here");
    open_tokenizer();
    folder = getenv("FUZZ_FOLDER");
    must(target->run != hf || folder, "FUZZ_FOLDER is for files");
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    target->run(data, n);
    return 0;
}

/* ---- headers ---- */

static uint32_t le32(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void put_le(uint8_t *at, uint64_t x, int bytes)
{
    for (int i = 0; i < bytes; i++)
        at[i] = (uint8_t)(x >> 8 * i);
}

/* A field, of 4 bytes or 8, becomes a number at the border of something. */
static void change_field(uint8_t *data, size_t n, unsigned seed)
{
    const uint64_t was = le32(data + 0),
                   borders[] = {0,        1,        2,          0x7f,       0xff,       0xffff,
                                1u << 14, 1u << 20, 1u << 26,   0x7fffffff, 0x80000000, 0xffffffff,
                                n,        n - 1,    UINT64_MAX, 1ull << 62, 1ull << 32, was + 1};
    const size_t head = n < 512 ? n : 512, wide = seed & 1 ? 8 : 4, at = seed / 2 % (head / 4) * 4;
    const size_t which = seed / 1024 % (sizeof borders / sizeof *borders + 2);

    if (at + wide > n)
        return;
    if (which < sizeof borders / sizeof *borders)
        put_le(data + at, borders[which], (int)wide);
    else
        put_le(data + at, le32(data + at) + (which % 2 ? 1u : UINT32_MAX), 4);
}

/* The sum of a packed file's head, which would else keep out what was changed (docs/formats/packed.md). */
static void mend_sum(uint8_t *data, size_t n)
{
    enum { SECTIONS = 24, SUM = 28, HEAD = 96, SECTION = 64, PAGE = 4096 };
    uint64_t head;

    if (n < HEAD || memcmp(data,
                           "\x89"
                           "dagpt\r\n",
                           8) != 0)
        return;
    head = (HEAD + (uint64_t)le32(data + SECTIONS) * SECTION + PAGE - 1) / PAGE * PAGE;
    if (head > n)
        return;
    put_le(data + SUM, 0, 4);
    put_le(data + SUM, dg_crc(&crc, 0, data, (size_t)head), 4);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t most, unsigned seed)
{
    if (target->run == model && n >= 64 && seed % 3 > 0)
        change_field(data, n, seed / 3);
    else
        n = LLVMFuzzerMutate(data, n, most);
    if (target->run == model && seed % 16 > 0)
        mend_sum(data, n);
    return n;
}
