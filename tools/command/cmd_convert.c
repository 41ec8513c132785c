/* dagpt convert IN OUT - a model in another format. What is written is whole or is not there: output.h, folder.h. */
#include "commands.h"
#include "../cli/engine.h"
#include "../cli/files.h"
#include "../cli/folder.h"
#include "../cli/leaving.h"
#include "../cli/options.h"
#include "../cli/output.h"
#include "../cli/progress.h"
#include "../cli/signals.h"
#include "../cli/tokenizer.h"
#include "../../src/base/status.h"
#include "../../src/model/format.h"
#include "../../src/model/writer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MOST_WRITERS = 16, AS_IT_IS = 3 };

static const char *formats[MOST_WRITERS + 1]; /* names of dg_writers, in their order */
static const char *const dtype_names[] = {"f32", "bf16", "f16", NULL};
static const enum dg_dtype dtypes[] = {DG_F32, DG_BF16, DG_F16, [AS_IT_IS] = DG_N_DTYPES};
static const enum dg_dtype held[] = {DG_N_DTYPES, DG_F32, DG_BF16, DG_I8}; /* by weights */
static const char *const weights_names[] = {"auto", "f32", "bf16", "int8", NULL};
static unsigned format, dtype = AS_IT_IS, weights;
static bool force;

static const struct cli_option options[] = {
    {0, "to", CLI_CHOICE, "FORMAT", "llmc1, llmc3, llmc5, hf, gguf or packed; else by OUT's name",
     &format, 0, 0, formats},
    {0, "dtype", CLI_CHOICE, "TYPE", "f32, bf16 or f16, rounded to nearest (as in IN)", &dtype, 0,
     0, dtype_names},
    {0, "weights", CLI_CHOICE, "AS",
     "of a packed file: matrices as f32, bf16 or int8 (auto: as in IN, Q8_0 as int8)", &weights, 0,
     0, weights_names},
    {0, "force", CLI_FLAG, NULL, "OUT takes the place of what has its name", &force, 0, 0, NULL},
    {0},
};

static const struct cli_option *const tables[] = {options, cli_tokenizer_options, NULL};

static const struct cli_command command = {
    "convert", "[OPTION]... IN OUT",
    "Writes the model IN, of any format that -m takes, to OUT: an llm.c checkpoint (*.bin), a "
    "GGUF\n"
    "file (*.gguf), a packed file (*.dagpt) or a Hugging Face folder (a name without a point).\n"
    "Only --to llmc5, --dtype and --weights lose bits of weights.",
    tables};

static struct {
    const char *path;
    bool is_folder;
    struct cli_output file;
    struct cli_folder folder;
    uint64_t elements, done;
} out;

/* ---- what a writer asks for ---- */

static void drop_out(void)
{
    if (out.is_folder)
        cli_folder_drop(&out.folder);
    else
        cli_output_drop(&out.file);
}

static FILE *open_out(void *arg, const char *name)
{
    FILE *to;

    (void)arg;
    if (out.is_folder)
        to = cli_folder_open(&out.folder, name);
    else
        to = cli_output_begin(&out.file) ? out.file.writing.to : NULL;
    if (!to)
        cli_cannot_write(out.path, errno);
    return to;
}

static bool tell(void *arg, uint64_t elements)
{
    (void)arg;
    out.done += elements;
    cli_progress_at((double)out.done / (double)out.elements);
    return !cli_signal();
}

/* ---- what is to be written ---- */

static bool is_folder_name(const char *path)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    struct stat st;

    if (stat(path, &st) == 0)
        return S_ISDIR(st.st_mode);
    return !strchr(base, '.') && strcmp(path, "-") != 0;
}

static enum dg_dtype find_dtype(void)
{
    if (cli_given(&weights) && cli_given(&dtype))
        cli_die(DG_ERR_USAGE, "got --dtype and --weights, expected one of them");
    return cli_given(&weights) ? held[weights] : dtypes[dtype];
}

/* What --to or OUT's name asks for. */
static const struct dg_writer *find_writer(const struct dg_conversion *c)
{
    const struct dg_writer *writer = dg_writer_for(out.path, c->weights, c->dtype);

    if (cli_given(&format))
        return dg_writers[format];
    if (!writer && is_folder_name(out.path))
        return &dg_writer_huggingface;
    if (!writer)
        cli_die(
            DG_ERR_USAGE,
            "%s: got a name of no format, expected one in .bin, .gguf or .dagpt, one of a folder, "
            "without a point, or --to FORMAT",
            out.path);
    return writer;
}

/* The folder that is there must be one that a conversion has made: it goes as a whole. */
static void check_old_folder(const struct dg_writer *writer)
{
    char *other = cli_folder_other(out.path, writer->files);

    if (!other)
        cli_cannot_write(out.path, errno);
    if (*other)
        cli_die(DG_ERR_USAGE, "%s: got a folder with %s in it, expected one that convert has made",
                out.path, other);
    free(other);
}

/* No file of the folder is one of IN's, and IN is not in it. */
static void check_folder_files(const struct dg_writer *writer)
{
    const size_t n = strlen(out.path);

    for (size_t i = 0; writer->files[i]; i++) {
        char *path = malloc(n + strlen(writer->files[i]) + 2);

        if (!path)
            cli_die(DG_ERR_RESOURCE, "out of memory for a path");
        strcat(strcat(strcpy(path, out.path), "/"), writer->files[i]);
        cli_writes("OUT", path, true);
        free(path);
    }
}

static void check_name(const struct dg_writer *writer)
{
    struct stat st;
    bool there;

    if (cli_given(&weights) && writer != &dg_writer_packed)
        cli_die(DG_ERR_USAGE, "--weights: got %s for %s, expected a packed file, or --dtype",
                weights_names[weights], writer->about);
    if (!*out.path || (writer->files && cli_output_descriptor(out.path) >= 0))
        cli_die(DG_ERR_USAGE, "OUT: got '%s', expected the name of a %s for %s", out.path,
                writer->files ? "folder" : "file", writer->about);
    cli_writes("OUT", out.path, true);
    if (writer->files)
        check_folder_files(writer);
    there = stat(out.path, &st) == 0;
    if (there && writer->files && !S_ISDIR(st.st_mode))
        cli_die(DG_ERR_USAGE, "%s: got the name of a file, expected one of a folder for %s",
                out.path, writer->about);
    if (there && !writer->files && S_ISDIR(st.st_mode))
        cli_die(DG_ERR_USAGE, "%s: got the name of a folder, expected one of a file for %s",
                out.path, writer->about);
    if (there && !force && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))
        cli_die(DG_ERR_USAGE, "%s: got the name of something there, expected a new one, or --force",
                out.path);
    if (there && writer->files)
        check_old_folder(writer);
}

/* ---- the tokenizer ---- */

static char note[1200]; /* to be said of OUT in the end; "": nothing */

/* IN's, or that of --vocab, for a format that holds one. Where OUT gets none, that is noted. */
static const struct dg_tokenizer *find_tokenizer(const struct dg_conversion *c)
{
    const uint32_t expected = c->weights->sizes.vocab;
    const struct dg_tokenizer *t;

    if (!c->writer->tokenizer && cli_tokenizer_given())
        cli_die(DG_ERR_USAGE, "--vocab: got a tokenizer for %s, which holds none",
                c->writer->about);
    if (!c->writer->tokenizer)
        return NULL;
    t = cli_tokenizer_if_any();
    if (cli_tokenizer_given())
        cli_tokenizer_check(t, &c->weights->sizes);
    if (t && dg_tokenizer_vocab(t) == expected)
        return t;
    if (t)
        snprintf(note, sizeof note,
                 "%s: got no tokenizer, since that of %s has %u tokens, expected %u", out.path,
                 cli_model_path(), dg_tokenizer_vocab(t), expected);
    else
        snprintf(note, sizeof note,
                 "%s: got no tokenizer, since there is none with %s (--vocab FILE names one)",
                 out.path, cli_model_path());
    dg_one_line(note);
    return NULL;
}

/* ---- the whole ---- */

static void begin_out(const struct dg_writer *writer)
{
    out.is_folder = writer->files;
    if (out.is_folder ? !cli_folder_begin(&out.folder, out.path, writer->files)
                      : !cli_output_prepare(&out.file, out.path))
        cli_cannot_write(out.path, errno);
    cli_on_leaving(drop_out);
}

/* What is written has sums of its own, which shall not be those of damage. */
static void verify(const struct dg_weights *w)
{
    struct dg_error err;

    if (w->format->verify)
        cli_check(dg_weights_verify(w, &err), &err);
}

static void convert(const struct dg_conversion *c)
{
    struct dg_error err;
    enum dg_status st;
    int failed;

    cli_check(c->writer->check(c, &err), &err);
    begin_out(c->writer);
    cli_progress_begin("converting");
    st = c->writer->write(c, &err);
    cli_progress_end();
    failed = out.is_folder ? out.folder.file.failed : out.file.writing.failed;
    if (st == DG_ERR_CANCELLED && !cli_signal())
        cli_cannot_write(out.path, failed ? failed : EIO);
    cli_check(st, &err);
    if (!(out.is_folder ? cli_folder_keep(&out.folder) : cli_output_keep(&out.file)))
        cli_cannot_write(out.path, errno);
}

int cmd_convert(int argc, char **argv)
{
    struct dg_conversion c = {.open = open_out, .tell = tell};
    int n;

    for (size_t i = 0; dg_writers[i] && i < MOST_WRITERS; i++)
        formats[i] = dg_writers[i]->name;
    cli_output_operand = 2;
    n = cli_parse(&command, argc, argv);
    if (n != 2)
        cli_die(DG_ERR_USAGE, "convert takes IN and OUT: got %d argument%s", n, n == 1 ? "" : "s");
    cli_model.path = argv[1];
    out.path = argv[2];
    cli_signals_catch();
    c.weights = cli_weights();
    c.dtype = find_dtype();
    c.writer = find_writer(&c);
    check_name(c.writer);
    verify(c.weights);
    c.tokenizer = find_tokenizer(&c);
    out.elements = dg_conversion_elements(c.weights);
    convert(&c);
    if (*note)
        fprintf(stderr, "dagpt: %s\n", note);
    return 0;
}
