/* commands.h: the program's subcommands: one file each, cmd_<name>.c, called by main.c.
 *
 * A command gets argv[0] = its own name. It returns 0 or an error's code (base/err.h), which becomes the exit
 * code; main prints the message, unless it is empty because the command has said everything on stderr
 * already.
 */
#ifndef PRERANK_BENCH_COMMANDS_H
#define PRERANK_BENCH_COMMANDS_H
#include "base/err.h"
#include <stdio.h>

#define PRERANK_VERSION "0.1.0"

struct command {
    const char *name, *usage, *help;
    const char *more; /* its options, one a line */
    int (*run)(int argc, char **argv, struct err *e);
};
extern const struct command commands[]; /* ended by name NULL; in cmd_help.c */

int cmd_data(int argc, char **argv, struct err *e);
int cmd_run(int argc, char **argv, struct err *e);
int cmd_report(int argc, char **argv, struct err *e);
int cmd_compare(int argc, char **argv, struct err *e);
int cmd_turns(int argc, char **argv, struct err *e);
int cmd_check(int argc, char **argv, struct err *e);
int cmd_help(int argc, char **argv, struct err *e);

void usage_short(FILE *out);

#endif
