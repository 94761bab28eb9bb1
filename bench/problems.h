/* problems.h: all the errors of a config at once, where a function of base/ would stop at the first.
 *
 *     struct problems p = PROBLEMS_INIT;
 *     if (opt_set(..., &e)) problems_take(&p, &e);      e is clear again
 *     if (p.n) problems_print(&p, stderr);              one line each: "prerank: mine.yaml:3:9: ..."
 *     problems_release(&p);
 */
#ifndef PRERANK_BENCH_PROBLEMS_H
#define PRERANK_BENCH_PROBLEMS_H
#include "base/conf.h"
#include "base/err.h"
#include "base/str.h"
#include <stdio.h>

struct problems {
    int n;
    struct str text; /* one message a line */
};
#define PROBLEMS_INIT                                                                                        \
    { 0, STR_INIT }
void problems_take(struct problems *p, struct err *e);
/* With the position of `at` in front; `at` may be NULL. */
void problems_add(struct problems *p, const struct conf *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* WHAT: unknown key `KEY`, did you mean ... */
void problems_unknown(struct problems *p, const struct conf *at, const char *what, const char *word,
                      const char *const *known, size_t n);
void problems_print(const struct problems *p, FILE *out);
void problems_release(struct problems *p);

#endif
