/* dagpt - the command: finds the subcommand. All ways out meet in cli_leave(). */
#include "commands.h"
#include "../cli/leaving.h"
#include "../cli/signals.h"
#include "../cli/writing.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name, *about;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"complete", "complete a text", cmd_complete},
    {"tokens", "complete token ids: ids in, ids out, one a line", cmd_tokens},
    {"next", "the candidates for the next id, most likely first", cmd_next},
    {"score", "how likely the model finds a text", cmd_score},
    {"encode", "text to token ids", cmd_encode},
    {"decode", "token ids to text", cmd_decode},
    {"info", "the model, the machine and the plan", cmd_info},
    {"convert", "a model in another format: llm.c, Hugging Face, GGUF", cmd_convert},
    {"graph", "the op graph, or the plan, as DOT", cmd_graph},
    {"bench", "speed against this machine's own limits", cmd_bench},
    {"trace", "what a recorded run did: workers, ops, critical path, gaps", cmd_trace},
};

enum { N_COMMANDS = sizeof commands / sizeof *commands };

static void print_usage(FILE *to)
{
    fprintf(to, "dagpt " DG_VERSION ": GPT-2 inference on an op graph\n\n"
                "usage: dagpt COMMAND [OPTION]... [ARGUMENT]...\n"
                "       dagpt ID...              short for dagpt tokens ID...\n\n");
    for (int i = 0; i < N_COMMANDS; i++)
        fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].about);
    fprintf(
        to,
        "\n'dagpt COMMAND --help' tells a command's options.\n\n"
        "exit codes: 0 done, 1 slower than trace --fail-above, 2 usage, 3 model or trace file,\n"
        "4 prompt, tokens or tokenizer, 5 input/output, 6 resources, 129, 130 and 143 ended by a\n"
        "signal, 141 the reader of a pipe has gone\n");
}

/* The exit code. */
static int run(int argc, char **argv)
{
    if (argc < 2) {
        print_usage(stderr);
        return DG_ERR_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        print_usage(stdout);
        cli_flush();
        return 0;
    }
    if (!strcmp(argv[1], "--version")) {
        puts("dagpt " DG_VERSION);
        cli_flush();
        return 0;
    }
    for (int i = 0; i < N_COMMANDS; i++)
        if (!strcmp(argv[1], commands[i].name))
            return commands[i].run(argc - 1, argv + 1);
    if ((argv[1][0] == '-' && argv[1][1]) || (argv[1][0] >= '0' && argv[1][0] <= '9'))
        return cmd_tokens(argc, argv); /* dagpt ID..., perhaps after options */
    cli_die(DG_ERR_USAGE, "unknown command '%s'; 'dagpt --help' lists them", argv[1]);
}

/* A standard descriptor that the caller has closed would become that of the first file opened, which would
 * then be read as a prompt or written as output. It is opened the wrong way round: using it fails, as if it
 * were closed. */
static void fill_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            cli_leave(DG_ERR_RESOURCE); /* and nowhere to say so */
}

int main(int argc, char **argv)
{
    fill_standard_descriptors();
    cli_signals_begin();
    cli_write_stdout();
    cli_leave(run(argc, argv));
}
