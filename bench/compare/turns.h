/* turns.h: a program of prerank that answers requests in turns (`prerank turns`), driven through pipes.
 *
 *     struct turns t;
 *     TRY(turns_start(&t, argv, e));                   argv: NULL-ended, of the program with all its options
 *     TRY(turns_take(&t, 0, 50, took_ns, e));          50 requests at point 0
 *     TRY(turns_end(&t, e));                           ends the program; its exit status tells
 *
 * After any error turns_abandon() (safe to call twice) ends the process. What the program says on stderr goes to
 * ours.
 */
#ifndef PRERANK_BENCH_TURNS_H
#define PRERANK_BENCH_TURNS_H
#include "base/err.h"
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define TURNS_GREETING "prerank turns 1" /* the protocol's version */
enum { TURNS_MAX = 10000, TURNS_POINTS_MAX = 4096 };

struct turns {
    pid_t child;
    FILE *to, *from;
    const char *program;
    int n_points;
    char **name; /* [n_points] "variant,features,precision,store,candidates,threads,load" */
};
int turns_start(struct turns *t, const char *const *argv, struct err *e);
int turns_take(struct turns *t, int point, int n, int64_t *took_ns, struct err *e);
int turns_end(struct turns *t, struct err *e);
void turns_abandon(struct turns *t);

#endif
