/* options.h - what stands on the command line.
 *
 * A subcommand lists its options in tables; the same tables parse the arguments and print the help.
 * Options that several subcommands have are tables beside what they set: engine.h, sampling.h,
 * recording.h, text.h, tokenizer.h. */
#ifndef DG_TOOLS_OPTIONS_H
#define DG_TOOLS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* CLI_OUTPUT: a CLI_TEXT that names a file to be written. */
enum cli_kind {
    CLI_FLAG,
    CLI_NUMBER,
    CLI_REAL,
    CLI_TEXT,
    CLI_OUTPUT,
    CLI_TEXTS,
    CLI_CHOICE,
    CLI_TILE
};

struct cli_option {
    char letter;      /* 0: none */
    const char *name; /* without the dashes */
    enum cli_kind kind;
    const char *metavar; /* of the value; NULL for a flag */
    const char *help;
    void *target; /* of the kind: bool, uint64_t, double, const char *, struct cli_texts,
                         * unsigned, struct cli_tile */
    double least,
        most; /* of a number, >= 0; of a CLI_NUMBER exact, and 0x1p64 is the last before */
    const char *const *choices; /* NULL-terminated */
};

enum { CLI_MAX_TEXTS = 16 };

struct cli_texts {
    const char *texts[CLI_MAX_TEXTS]; /* [n], none empty */
    size_t n;
};

struct cli_tile {
    uint32_t rows, cols; /* 0: not given */
};

struct cli_command {
    const char *name;
    const char *synopsis;                   /* what follows "dagpt NAME" */
    const char *about;                      /* one or more lines */
    const struct cli_option *const *tables; /* NULL-terminated list of option tables, each of which
                                             * ends with a NULL name */
};

/* Parses argv[1 ...], and with --sandbox, which every command has, takes rights that the command does not need
 * (sandbox.h). Operands (all else, and what follows "--") are moved to argv[1 ... n];
 * returns n. "-5" is an operand, unless the command has an option of that letter. Leaves with 0
 * after --help, and with 2 on a wrong option. */
int cli_parse(const struct cli_command *command, int argc, char **argv);

/* The operand that names what is to be written, from 1; 0: none. A subcommand sets it before cli_parse(). */
extern int cli_output_operand;

/* Called once the options are read, where another program than dagpt has set it. */
extern void (*cli_when_parsed)(void);

const char *cli_command_line(void); /* the subcommand and its arguments, once parsed */

/* The name of the option with that target if it was given, else NULL. */
const char *cli_given(const void *target);

/* Leaves with 2 when the options with these targets were both given. */
void cli_not_both(const void *a, const void *b);

/* A decimal number without sign or blanks, all of the text; false otherwise. */
bool cli_number(const char *text, uint64_t *out);

#endif
