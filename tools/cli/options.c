/* An option takes its value from behind "=", from right behind its letter, or from the next argument.
 * There are no abbreviations, so that a new option breaks no script; getopt_long() has them. */
#include "options.h"
#include "leaving.h"
#include "sandbox.h"
#include "../../src/base/number.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *command_line;

enum { MOST_GIVEN = 64 }; /* options that a command has */

static const struct cli_option *given[MOST_GIVEN]; /* [n_given], each once */
static size_t n_given;

void (*cli_when_parsed)(void);
int cli_output_operand;

static bool sandbox;

static const struct cli_option own_options[] = {
    {0, "sandbox", CLI_FLAG, NULL, "run no program, open no socket, write no file but the outputs",
     &sandbox, 0, 0, NULL},
    {0},
};

/* ---- help ---- */

static void print_option(const struct cli_option *o)
{
    char left[64];

    snprintf(left, sizeof left, "%s%c%s--%s%s%s", o->letter ? "-" : " ",
             o->letter ? o->letter : ' ', o->letter ? ", " : "  ", o->name, o->metavar ? " " : "",
             o->metavar ? o->metavar : "");
    printf("  %-20s %s\n", left, o->help);
}

static void print_help(const struct cli_command *command)
{
    printf("usage: dagpt %s %s\n\n%s\n\noptions:\n", command->name, command->synopsis,
           command->about);
    for (const struct cli_option *const *t = command->tables; *t; t++)
        for (const struct cli_option *o = *t; o->name; o++)
            print_option(o);
    print_option(own_options);
    printf("  %-20s %s\n", "-h, --help", "print this");
}

/* ---- parsing ---- */

static const struct cli_option *find_in(const struct cli_option *table, const char *name, size_t n,
                                        char letter)
{
    for (const struct cli_option *o = table; o->name; o++)
        if (letter ? o->letter == letter : strlen(o->name) == n && !memcmp(o->name, name, n))
            return o;
    return NULL;
}

static const struct cli_option *find_option(const struct cli_command *command, const char *name,
                                            size_t n, char letter)
{
    const struct cli_option *o = find_in(own_options, name, n, letter);

    for (const struct cli_option *const *t = command->tables; !o && *t; t++)
        o = find_in(*t, name, n, letter);
    return o;
}

/* A limit of a whole number. */
static uint64_t whole(double limit)
{
    return limit < 0x1p64 ? (uint64_t)limit : UINT64_MAX;
}

__attribute__((noreturn)) static void refuse_value(const struct cli_option *o, const char *value)
{
    const char *dashes = o->letter ? "-" : "--";
    const char letter[2] = {o->letter, '\0'};
    char expected[128] = "ROWSxCOLUMNS, as in 48x64, each from 1 to 999999";

    if (o->kind == CLI_NUMBER) {
        snprintf(expected, sizeof expected, "a number from %" PRIu64 " to %" PRIu64,
                 whole(o->least), whole(o->most));
    } else if (o->kind == CLI_REAL) {
        snprintf(expected, sizeof expected, "a number from %.15g to %.15g", o->least, o->most);
    } else if (o->kind == CLI_CHOICE) {
        expected[0] = '\0';
        for (const char *const *c = o->choices; *c; c++)
            snprintf(expected + strlen(expected), sizeof expected - strlen(expected), "%s%s",
                     c == o->choices ? "" : " or ", *c);
    }
    cli_die(DG_ERR_USAGE, "%s%s: got '%s', expected %s", dashes, o->letter ? letter : o->name,
            value, expected);
}

bool cli_number(const char *text, uint64_t *out)
{
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0';
}

static bool parse_tile(const char *text, struct cli_tile *out)
{
    unsigned rows, cols;
    int end = 0;

    if (text[strspn(text, "0123456789x")]) /* %u would take blanks and signs */
        return false;
    if (sscanf(text, "%6ux%6u%n", &rows, &cols, &end) != 2 || text[end] || !rows || !cols)
        return false;
    *out = (struct cli_tile){rows, cols};
    return true;
}

static bool set_choice(const struct cli_option *o, const char *value)
{
    for (unsigned i = 0; o->choices[i]; i++) {
        if (strcmp(o->choices[i], value) == 0) {
            *(unsigned *)o->target = i;
            return true;
        }
    }
    return false;
}

static bool set_number(const struct cli_option *o, const char *value)
{
    uint64_t n;

    if (!cli_number(value, &n) || n < whole(o->least) || n > whole(o->most))
        return false;
    *(uint64_t *)o->target = n;
    return true;
}

/* 1, 0.5, .5, 1e-3; without a sign. */
static bool set_real(const struct cli_option *o, const char *value)
{
    const size_t n = strlen(value);
    double v;

    if (n == 0 || *value == '-' || dg_number_length(value, n) != n || !dg_number_read(value, n, &v))
        return false;
    *(double *)o->target = v;
    return v >= o->least && v <= o->most;
}

static void add_text(const struct cli_option *o, const char *value)
{
    struct cli_texts *t = o->target;

    if (!*value)
        cli_die(DG_ERR_USAGE, "--%s: got an empty text", o->name);
    if (t->n == CLI_MAX_TEXTS)
        cli_die(DG_ERR_USAGE, "--%s: given more than %d times", o->name, CLI_MAX_TEXTS);
    t->texts[t->n++] = value;
}

static void set_option(const struct cli_option *o, const char *value)
{
    bool ok = true;

    switch (o->kind) {
    case CLI_FLAG:
        *(bool *)o->target = true;
        break;
    case CLI_NUMBER:
        ok = set_number(o, value);
        break;
    case CLI_REAL:
        ok = set_real(o, value);
        break;
    case CLI_TEXT:
    case CLI_OUTPUT:
        *(const char **)o->target = value;
        break;
    case CLI_TEXTS:
        add_text(o, value);
        break;
    case CLI_CHOICE:
        ok = set_choice(o, value);
        break;
    case CLI_TILE:
        ok = parse_tile(value, o->target);
        break;
    }
    if (!ok)
        refuse_value(o, value);
    if (!cli_given(o->target)) {
        assert(n_given < MOST_GIVEN);
        given[n_given++] = o;
    }
}

/* Parses the option at argv[i]; returns the index of the last argument that it took. */
static int parse_option(const struct cli_command *command, int argc, char **argv, int i)
{
    const char *arg = argv[i];
    const bool is_long = arg[1] == '-';
    const char *name = arg + 1 + is_long;
    const size_t n = is_long ? strcspn(name, "=") : 1;
    const struct cli_option *o = find_option(command, name, n, is_long ? '\0' : *name);
    const char *value = name[n] ? name + n + (is_long ? 1 : 0) : NULL; /* --name=value, -jN */

    if (!strcmp(arg, "--help") || !strcmp(arg, "-h")) {
        print_help(command);
        cli_flush();
        cli_leave(0);
    }
    if (!o)
        cli_die(DG_ERR_USAGE, "unknown option '%s'; 'dagpt %s --help' lists them", arg,
                command->name);
    if (o->kind == CLI_FLAG && value)
        cli_die(DG_ERR_USAGE, "option '%s' takes no value", arg);
    if (o->kind != CLI_FLAG && !value) {
        if (i + 1 == argc)
            cli_die(DG_ERR_USAGE, "option '%s' wants a value: %s", arg, o->metavar);
        value = argv[++i];
    }
    set_option(o, value);
    return i;
}

static void keep_command_line(const struct cli_command *command, int argc, char **argv)
{
    size_t size = strlen(command->name) + 1;
    char *end;

    for (int i = 1; i < argc; i++)
        size += strlen(argv[i]) + 1;
    free(command_line);
    command_line = malloc(size);
    if (!command_line)
        cli_die(DG_ERR_RESOURCE, "out of memory for the command line");
    end = stpcpy(command_line, command->name);
    for (int i = 1; i < argc; i++)
        end = stpcpy(stpcpy(end, " "), argv[i]);
}

const char *cli_command_line(void)
{
    return command_line;
}

/* Of "-" and a digit only a letter of the command's own: "-5" is an operand. */
static bool is_option(const struct cli_command *command, const char *arg)
{
    const bool digit = arg[0] == '-' && arg[1] >= '0' && arg[1] <= '9';

    return digit ? find_option(command, NULL, 0, arg[1]) != NULL : arg[0] == '-' && arg[1];
}

/* With what is to be written: -, and a number that is a descriptor, have no folder to write to, which harms nobody. */
static void enter_sandbox(int n, char **argv)
{
    const char *out[MOST_GIVEN + 1], *lacks;
    size_t n_out = 0;

    if (cli_when_parsed)
        cli_die(DG_ERR_USAGE, "--sandbox: got it for a program of several processes, which talk");
    for (size_t i = 0; i < n_given; i++)
        if (given[i]->kind == CLI_OUTPUT)
            out[n_out++] = *(const char *const *)given[i]->target;
    if (cli_output_operand > 0 && cli_output_operand <= n)
        out[n_out++] = argv[cli_output_operand];
    lacks = sandbox_enter(out, n_out);
    if (lacks)
        fprintf(stderr, "dagpt: --sandbox: of this kernel: %s\n", lacks);
}

int cli_parse(const struct cli_command *command, int argc, char **argv)
{
    bool options = true;
    int n = 0;

    keep_command_line(command, argc, argv);
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];

        if (options && strcmp(arg, "--") == 0)
            options = false;
        else if (options && is_option(command, arg))
            i = parse_option(command, argc, argv, i);
        else
            argv[++n] = argv[i];
    }
    if (sandbox)
        enter_sandbox(n, argv);
    if (cli_when_parsed)
        cli_when_parsed();
    return n;
}

/* ---- which were given ---- */

const char *cli_given(const void *target)
{
    for (size_t i = 0; i < n_given; i++)
        if (given[i]->target == target)
            return given[i]->name;
    return NULL;
}

void cli_not_both(const void *a, const void *b)
{
    if (cli_given(a) && cli_given(b))
        cli_die(DG_ERR_USAGE, "got --%s and --%s, expected one of them", cli_given(a),
                cli_given(b));
}
