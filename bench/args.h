/* args.h: command lines: `--name VALUE`, `--name=VALUE`, flags and positions, in any order; `--` ends the
 * options.
 *
 *     const char *out = NULL, *path = NULL;  bool quiet = false;
 *     const struct arg args[] = {{"out", &out, NULL, NULL}, {"quiet", NULL, &quiet, NULL}, ARGS_END};
 *     TRY(args_parse(argc, argv, args, "a schema", &path, e));      argv[0] is the command's name
 */
#ifndef PRERANK_BENCH_ARGS_H
#define PRERANK_BENCH_ARGS_H
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>

#define ARGS_LIST_MAX 256
struct arg_list {
    size_t n;
    const char *v[ARGS_LIST_MAX];
};
struct arg { /* one of the three pointers is set */
    const char *name;
    const char **value;
    bool *flag;
    struct arg_list *list; /* may stand several times */
};
#define ARGS_END                                                                                             \
    { NULL, NULL, NULL, NULL }
/* Exactly one position, which a message calls `what`; NULL: none is wanted. */
int args_parse(int argc, char **argv, const struct arg *args, const char *what, const char **position,
               struct err *e);
/* n positions, described by `what` in a message. */
int args_parse_n(int argc, char **argv, const struct arg *args, const char *what, int n,
                 const char **position, struct err *e);
/* A whole number from lo to hi. */
int args_int(const char *name, const char *text, int lo, int hi, int *out, struct err *e);

#endif
