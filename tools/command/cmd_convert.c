/* dagpt convert IN OUT - a model in another format. What is written is whole or is not there: output.h. */
#include "commands.h"
#include "../cli/engine.h"
#include "../cli/files.h"
#include "../cli/leaving.h"
#include "../cli/options.h"
#include "../cli/output.h"
#include "../cli/progress.h"
#include "../cli/signals.h"
#include "../../src/model/format.h"
#include "../../src/model/writer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { MOST_WRITERS = 16, AS_IT_IS = 3 };

static const char *formats[MOST_WRITERS + 1]; /* names of dg_writers, in their order */
static const char *const dtype_names[] = {"f32", "bf16", "f16", NULL};
static const enum dg_dtype dtypes[] = {DG_F32, DG_BF16, DG_F16, [AS_IT_IS] = DG_N_DTYPES};
static unsigned format, dtype = AS_IT_IS;
static bool force;

static const struct cli_option options[] = {
    {0, "to", CLI_CHOICE, "FORMAT", "the format; else by OUT's ending", &format, 0, 0, formats},
    {0, "dtype", CLI_CHOICE, "TYPE", "f32, bf16 or f16, rounded to nearest (as in IN)", &dtype, 0,
     0, dtype_names},
    {0, "force", CLI_FLAG, NULL, "OUT takes the place of what has its name", &force, 0, 0, NULL},
    {0},
};

static const struct cli_option *const tables[] = {options, NULL};

static const struct cli_command command = {
    "convert", "[OPTION]... IN OUT",
    "Writes the model IN, of any format that -m takes, to OUT: llmc1, llmc3 or llmc5, an llm.c\n"
    "checkpoint (*.bin: llmc5 if all of IN is bf16, else llmc1), or a packed file (*.dagpt).\n"
    "Only --to llmc5 and --dtype lose bits.",
    tables};

static struct {
    const char *path;
    struct cli_output file;
    uint64_t elements, done;
} out;

static void drop_out(void)
{
    cli_output_drop(&out.file);
}

static FILE *open_out(void *arg, const char *name)
{
    (void)arg, (void)name;
    if (!cli_output_begin(&out.file))
        cli_cannot_write(out.path, errno);
    return out.file.writing.to;
}

static bool tell(void *arg, uint64_t elements)
{
    (void)arg;
    out.done += elements;
    cli_progress_at((double)out.done / (double)out.elements);
    return !cli_signal();
}

/* What --to or OUT's name asks for. */
static const struct dg_writer *find_writer(const struct dg_weights *w)
{
    const struct dg_writer *writer =
        cli_given(&format) ? dg_writers[format] : dg_writer_for(out.path, w, dtypes[dtype]);

    if (!writer)
        cli_die(DG_ERR_USAGE,
                "%s: got a name of no format, expected one in .bin or .dagpt, or --to FORMAT",
                out.path);
    return writer;
}

static void check_name(void)
{
    struct stat st;

    cli_writes("OUT", out.path, true);
    if (!force && lstat(out.path, &st) == 0 && (S_ISREG(st.st_mode) || S_ISLNK(st.st_mode)))
        cli_die(DG_ERR_USAGE, "%s: got the name of something there, expected a new one, or --force",
                out.path);
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

    cli_check(c->writer->check(c, &err), &err);
    if (!cli_output_prepare(&out.file, out.path))
        cli_cannot_write(out.path, errno);
    cli_on_leaving(drop_out);
    cli_progress_begin("converting");
    st = c->writer->write(c, &err);
    cli_progress_end();
    if (st == DG_ERR_CANCELLED && out.file.writing.failed)
        cli_cannot_write(out.path, out.file.writing.failed);
    cli_check(st, &err);
    if (!cli_output_keep(&out.file))
        cli_cannot_write(out.path, errno);
}

int cmd_convert(int argc, char **argv)
{
    struct dg_conversion c = {.open = open_out, .tell = tell};
    int n;

    for (size_t i = 0; dg_writers[i] && i < MOST_WRITERS; i++)
        formats[i] = dg_writers[i]->name;
    n = cli_parse(&command, argc, argv);
    if (n != 2)
        cli_die(DG_ERR_USAGE, "convert takes IN and OUT: got %d argument%s", n, n == 1 ? "" : "s");
    cli_model.path = argv[1];
    out.path = argv[2];
    cli_signals_catch();
    c.weights = cli_weights();
    verify(c.weights);
    check_name();
    c.dtype = dtypes[dtype];
    c.writer = find_writer(c.weights);
    out.elements = dg_conversion_elements(c.weights);
    convert(&c);
    return 0;
}
