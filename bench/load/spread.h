/* spread.h: how many candidates a request has: one number, or drawn from a stated distribution.
 *
 *     struct spread s;
 *     TRY(spread_read("lognormal:500:0.6", &s, e));
 *     size_t n = spread_draw(&s, &rng);
 *
 *   "1000"                a fixed number
 *   "uniform:500:1500"    each number from 500 to 1500 is as likely
 *   "lognormal:500:0.6"   exp of a normal distribution: median 500, standard deviation .6 of the logarithm; at least 1 and at
 *                         most exp(4 sigma) medians
 */
#ifndef PRERANK_BENCH_LOAD_SPREAD_H
#define PRERANK_BENCH_LOAD_SPREAD_H
#include "base/err.h"
#include "base/rng.h"
#include <stddef.h>

#define SPREAD_MAX (1 << 24)

struct spread {
    enum { SPREAD_FIXED, SPREAD_UNIFORM, SPREAD_LOGNORMAL } kind;
    double a, b; /* the number; bounds; median and sigma */
};
int spread_read(const char *text, struct spread *out, struct err *e);
struct spread spread_fixed(size_t n);
size_t spread_draw(const struct spread *s, struct rng *r);
size_t spread_most(const struct spread *s); /* no draw is larger */
double spread_mean(const struct spread *s); /* before rounding and cutting */

#endif
