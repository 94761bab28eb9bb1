/* A program with a known slowdown, for tests/trust/trust.py: linked with -Wl,--wrap=scorer_score, so that every request's
 * scoring takes SLOW_PERCENT longer, spent after the pair stage. Nothing of it is in the program that users build. */
#include "base/progress.h"
#include "serve/scorer.h"

#ifndef SLOW_PERCENT
#define SLOW_PERCENT 5
#endif

int __real_scorer_score(struct scorer *s, const struct request *r, float *score, struct err *e);
int __wrap_scorer_score(struct scorer *s, const struct request *r, float *score, struct err *e);

int __wrap_scorer_score(struct scorer *s, const struct request *r, float *score, struct err *e) {
    int64_t start = clock_ns();
    int rc = __real_scorer_score(s, r, score, e);
    int64_t until = clock_ns();
    until += (until - start) * SLOW_PERCENT / 100;
    while (clock_ns() < until) {}
    return rc;
}
