/* commands.h - the subcommands: argv[0] is the subcommand's name; the exit code is returned. */
#ifndef DG_TOOLS_COMMANDS_H
#define DG_TOOLS_COMMANDS_H

int cmd_complete(int argc, char **argv);
int cmd_tokens(int argc, char **argv);
int cmd_next(int argc, char **argv);
int cmd_score(int argc, char **argv);
int cmd_encode(int argc, char **argv);
int cmd_decode(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_convert(int argc, char **argv);
int cmd_graph(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_trace(int argc, char **argv);

#endif
