/* samples.h: raw response times in the order of time, and what they can and cannot say.
 *
 *     struct samples s = {0};
 *     TRY(samples_room(&s, 1000, e));
 *     s.v[s.n++] = took_ns;
 *     double us = samples_percentile_us(sorted, n, .99, NULL);        NaN: too few for a 95 % interval
 *     samples_release(&s);
 */
#ifndef PRERANK_BENCH_LOAD_SAMPLES_H
#define PRERANK_BENCH_LOAD_SAMPLES_H
#include "base/err.h"
#include <stddef.h>
#include <stdint.h>

struct samples {
    int64_t *v; /* ns */
    size_t n, room;
};
int samples_room(struct samples *s, size_t more, struct err *e); /* for so many more */
void samples_release(struct samples *s);                         /* a zeroed struct is fine */
double samples_mean_us(const struct samples *s);                 /* NaN without one */
/* Percentile q (0..1) of ascending samples, with its 95 % order-statistic interval (may be NULL); all NaN
 * where the samples are too few to carry that interval. */
double samples_percentile_us(const int64_t *sorted, size_t n, double q, double interval[2]);

/* The number of samples above `limit` varies so many times more between `blocks` blocks than that of independent ones would
 * (a binomial's variance); at least 1. */
double samples_inflation(const int64_t *v, size_t n, int64_t limit, int blocks);
/* The interval of percentile q for samples v[n] in the order of time that depend on each other, as waits in a queue do:
 * that of order statistics for n / inflation independent ones, with Student's t for the blocks that the inflation is known
 * from (batch means); of ten blocks and of five, the wider. An end beyond the samples is NaN. */
void samples_interval_us(const int64_t *v, const int64_t *sorted, size_t n, double q, double interval[2]);

/* What a measurement says of itself; the worst that holds, in this order. */
enum verdict {
    VERDICT_OK,
    VERDICT_UNSTABLE,     /* the two halves differ: the machine changed, or the queue was not at rest */
    VERDICT_INSUFFICIENT, /* too few requests for p99 */
    VERDICT_INVALID,      /* the generator was late, and not by little against the latency */
    VERDICT_OVERLOADED,   /* more work was offered than the server can do: the queue grows without end */
    VERDICT_MISSING /* the item store did not have all candidates: less was computed than was asked for */
};
const char *verdict_name(enum verdict v); /* "ok", "unstable", "insufficient samples", ... */

/* Of response times whose requests do not wait for each other (a closed loop): ok, unstable (the medians of
 * the two halves are more than 5 % apart and so are their 95 % intervals), or insufficient. */
int samples_verdict(const int64_t *v, size_t n, enum verdict *out, struct err *e);

#endif
