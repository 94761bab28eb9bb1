/* main.c: prerank's command line. `prerank help` says what it can do; bench/commands.h how a command is made.
 */
#include "base/sigbus.h"
#include "base/str.h"
#include "bench/commands.h"
#include <signal.h>
#include <string.h>

static int unknown_command(const char *name, struct err *e) {
    const char *known[16];
    size_t n = 0;
    for (const struct command *c = commands; c->name && n < 16; c++) known[n++] = c->name;
    struct str s = STR_INIT;
    str_add(&s, "");
    str_add_suggestion(&s, name, known, n);
    err_set(e, ERR_INPUT, "unknown command \"%s\"%s", name, s.failed ? "" : s.p);
    str_release(&s);
    return ERR_INPUT;
}

static int dispatch(int argc, char **argv, struct err *e) {
    const char *name = argv[1];
    if (!strcmp(name, "--version")) {
        puts("prerank " PRERANK_VERSION);
        return 0;
    }
    char help_name[] = "help";
    char *help[] = {help_name, argv[1]};
    if (!strcmp(name, "--help") || !strcmp(name, "-h")) return cmd_help(1, help, e);
    for (const struct command *c = commands; c->name; c++) {
        if (strcmp(name, c->name) != 0) continue;
        for (int i = 2; i < argc && strcmp(argv[i], "--") != 0; i++)
            if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) return cmd_help(2, help, e);
        return c->run(argc - 1, argv + 1, e);
    }
    return unknown_command(name, e);
}

int main(int argc, char **argv) {
    struct err e = ERR_INIT;
    if (argc < 2) {
        usage_short(stderr);
        return ERR_INPUT;
    }
    sigbus_install(ERR_INPUT);
    signal(SIGXFSZ,
           SIG_IGN); /* a file that may not grow (ulimit -f) is a failed write with a message, not our end */
    int rc = dispatch(argc, argv, &e);
    if (rc && *e.msg) fprintf(stderr, "prerank: %s\n", e.msg);
    if (fflush(stdout) || ferror(stdout)) {
        perror("prerank: standard output");
        if (!rc) rc = ERR_INPUT;
    }
    return rc == ERR_DIVERGED ? ERR_INPUT : rc;
}
