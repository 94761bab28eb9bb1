/* arrivals.h: when requests are sent, fixed before the first one is.
 *
 *     struct arrivals s;
 *     TRY(arrivals_poisson(500, 10000, 1, &s, e));        10000 requests at 500 a second on average
 *     for (size_t i = 0; i < s.n; i++) s.at[i] ...        ns after the start, never falling
 *     arrivals_release(&s);
 *
 * Poisson: the gaps are independent and exponential, as of many users who know nothing of each other. Times are
 * rounded to whole ns after they are added up, so that the rate does not drift.
 */
#ifndef PRERANK_BENCH_LOAD_ARRIVALS_H
#define PRERANK_BENCH_LOAD_ARRIVALS_H
#include "base/err.h"
#include <stddef.h>
#include <stdint.h>

struct arrivals {
    size_t n;
    int64_t *at; /* [n] */
    double rate; /* requests a second that were asked for */
};
int arrivals_poisson(double rate, size_t n, uint64_t seed, struct arrivals *out, struct err *e);
void arrivals_release(struct arrivals *s); /* a zeroed struct is fine */

#endif
