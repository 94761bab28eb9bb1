/* stats.h: statistics of small samples and of latencies. Uses nothing of the project.
 *
 * Percentiles come from the raw samples: the smallest sample with at least p of the samples at or below it
 * (nearest rank, the "inverted_cdf" of numpy.percentile), so a printed percentile is a latency that occurred.
 */
#ifndef PRERANK_METRICS_STATS_H
#define PRERANK_METRICS_STATS_H
#include <stddef.h>
#include <stdint.h>

double stat_mean(const double *x, size_t n); /* NaN for n = 0 */
double stat_sd(const double *x, size_t n);   /* sample sd (n-1); NaN for n < 2 */
/* Half width of the two-sided t interval of the mean at `confidence`; NaN for n < 2. */
double stat_t_half_width(const double *x, size_t n, double confidence);
double stat_t_quantile(double p,
                       double degrees); /* inverse CDF of Student's t; degrees > 0, may be infinite */

void stat_sort_ns(int64_t *sample, size_t n); /* ascending, in place */
/* p in (0,1); `sorted` ascending. INT64_MIN, which no clock shows, for n = 0. */
int64_t stat_percentile_ns(const int64_t *sorted, size_t n, double p);
/* Order-statistic interval of that percentile (binomial, no assumption about the distribution): returns 1 and
 * sets lo/hi, or 0 when n samples cannot carry it at that confidence ("insufficient samples"). Either end
 * misses with at most (1-confidence)/2, so ties only make it safer. */
int stat_percentile_interval_ns(const int64_t *sorted, size_t n, double p, double confidence, int64_t *lo,
                                int64_t *hi);
/* Fewest samples for which the interval above exists; SIZE_MAX when none would do (p or confidence outside
 * (0,1)). */
size_t stat_samples_needed(double p, double confidence);

/* Is the chance behind `hits` of `n` independent trials above `p` (1), below it (-1), or not to be told at `confidence`
 * (0)? One-sided exact binomial tests, each at half of what the confidence leaves, so that 1 and -1 say where p lies of
 * the Clopper-Pearson interval (Clopper & Pearson 1934). hits and n need not be whole: trials that hang together count
 * for fewer. 0 <= hits <= n, p in (0,1). */
int stat_binomial_side(double hits, double n, double p, double confidence);

/* Holm's step-down correction (Holm 1979): adjusted[i] for p[i]. Returns 0, or -1 when memory is out. A NaN
 * (a test without a result) stays NaN and counts among the n. `adjusted` may be `p`. */
int stat_holm(const double *p, size_t n, double *adjusted);

/* Wilcoxon's signed-rank test (Wilcoxon 1945): the exact probability, over the signs, of differences that lie as
 * much above 0 as these or more. Zeros are left out, ties share their mean rank; NaN without a difference that is
 * not 0. n up to some hundreds. Returns 0, or -1 when memory is out. */
int stat_signed_rank(const double *difference, size_t n, double *p_greater);
/* The centre that belongs to it: the median of the means of all pairs (Hodges & Lehmann 1963), and its interval from
 * the test's distribution (Hollander & Wolfe 1999, sec. 3.3); lo and hi are NaN when n values cannot carry the
 * confidence (95 % takes 6). */
int stat_centre(const double *x, size_t n, double confidence, double *centre, double *lo, double *hi);

#endif
