#include "metrics/beta.h"
#include "metrics/stats.h"
#include <math.h>
#include <stdlib.h>

static int compare_ns(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

void stat_sort_ns(int64_t *sample, size_t n) {
    if (n > 1) qsort(sample, n, sizeof *sample, compare_ns);
}

/* The least k with k/n >= p. The quotient rounds as the decimal p did, where the product p*n does not:
 * ceil(.07 * 100) is 8. */
static size_t rank_of(size_t n, double p) {
    double guess = ceil(p * (double)n);
    size_t k = guess < 1 ? 1 : guess > (double)n ? n : (size_t)guess;
    while (k > 1 && (double)(k - 1) / (double)n >= p) k--;
    while (k < n && (double)k / (double)n < p) k++;
    return k;
}

int64_t stat_percentile_ns(const int64_t *sorted, size_t n, double p) {
    return n ? sorted[rank_of(n, p) - 1] : INT64_MIN;
}

/* Of n samples, the number B below the percentile is binomial (n, p) (David & Nagaraja 2003, sec. 7.1). */
static double chance_fewer(size_t n, double p, size_t k) { /* P(B < k), 1 <= k <= n */
    return beta_regularised((double)(n - k + 1), (double)k, 1 - p, p);
}

static double chance_at_least(size_t n, double p, size_t k) { /* P(B >= k), 1 <= k <= n */
    return beta_regularised((double)k, (double)(n - k + 1), p, 1 - p);
}

/* Either end may miss with half of what the confidence leaves: the extreme samples must do. */
size_t stat_samples_needed(double p, double confidence) {
    if (!(p > 0 && p < 1 && confidence > 0 && confidence < 1)) return SIZE_MAX;
    double rarer = fmax(p, 1 - p), miss = (1 - confidence) / 2, guess = ceil(log(miss) / log(rarer));
    if (!(guess < 0x1p53)) return SIZE_MAX;
    size_t n = guess < 2 ? 2 : (size_t)guess;
    while (n > 2 && pow(rarer, (double)(n - 1)) <= miss) n--;
    while (pow(rarer, (double)n) > miss) n++;
    return n;
}

int stat_percentile_interval_ns(const int64_t *sorted, size_t n, double p, double confidence, int64_t *lo,
                                int64_t *hi) {
    if (n < stat_samples_needed(p, confidence)) return 0;
    const double miss = (1 - confidence) / 2;
    size_t lower = 1, above = n + 1; /* the largest rank l with P(B < l) <= miss lies in [lower, above) */
    while (above - lower > 1) {
        size_t middle = lower + (above - lower) / 2;
        if (chance_fewer(n, p, middle) <= miss)
            lower = middle;
        else
            above = middle;
    }
    size_t below = 0, upper = n; /* the smallest rank u with P(B >= u) <= miss lies in (below, upper] */
    while (upper - below > 1) {
        size_t middle = below + (upper - below) / 2;
        if (chance_at_least(n, p, middle) <= miss)
            upper = middle;
        else
            below = middle;
    }
    *lo = sorted[lower - 1];
    *hi = sorted[upper - 1];
    return 1;
}

/* P(X >= k) = I_p(k, n - k + 1) for X binomial (n, p). */
int stat_binomial_side(double hits, double n, double p, double confidence) {
    const double miss = (1 - confidence) / 2;
    if (!(n > 0 && hits >= 0 && hits <= n && p > 0 && p < 1)) return 0;
    if (hits > 0 && beta_regularised(hits, n - hits + 1, p, 1 - p) <= miss) return 1;
    if (hits < n && beta_regularised(n - hits, hits + 1, 1 - p, p) <= miss) return -1;
    return 0;
}
