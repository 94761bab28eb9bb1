/* Wilcoxon's signed-rank test and the interval that belongs to it: what paired differences say about their
 * centre when now and then one of them is wild. */
#include "metrics/stats.h"
#include <math.h>
#include <stdlib.h>

struct difference {
    double size; /* without its sign */
    int positive;
};

static int by_size(const void *a, const void *b) {
    double x = ((const struct difference *)a)->size, y = ((const struct difference *)b)->size;
    return (x > y) - (x < y);
}

/* Twice the ranks of equal sizes' mean is a whole number; rank[i] belongs to d[i]. */
static void double_ranks(const struct difference *d, size_t n, size_t *rank) {
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && d[end].size <= d[i].size; end++) {}
        for (size_t k = i; k < end; k++) rank[k] = i + 1 + end;
    }
}

/* P(sum = s) of the doubled ranks that get a plus, each by the toss of a coin; p has room for 0..total. */
static void distribution(const size_t *rank, size_t n, double *p, size_t total) {
    size_t reach = 0;
    for (size_t s = 0; s <= total; s++) p[s] = 0;
    p[0] = 1;
    for (size_t i = 0; i < n; i++) {
        reach += rank[i];
        for (size_t s = reach + 1; s-- > 0;) p[s] = p[s] / 2 + (s >= rank[i] ? p[s - rank[i]] / 2 : 0);
    }
}

int stat_signed_rank(const double *difference, size_t n, double *p_greater) {
    *p_greater = (double)NAN;
    size_t m = 0, total = n * (n + 1), sum = 0;
    struct difference *d = reallocarray(NULL, n + 1, sizeof *d);
    size_t *rank = reallocarray(NULL, n + 1, sizeof *rank);
    double *p = reallocarray(NULL, total + 1, sizeof *p);
    int bad = d && rank && p ? 0 : -1;
    for (size_t i = 0; !bad && i < n; i++)
        if (fabs(difference[i]) > 0) d[m++] = (struct difference){fabs(difference[i]), difference[i] > 0};
    if (!bad && m) {
        qsort(d, m, sizeof *d, by_size);
        double_ranks(d, m, rank);
        for (size_t i = 0; i < m; i++) sum += d[i].positive ? rank[i] : 0;
        total = m * (m + 1);
        distribution(rank, m, p, total);
        *p_greater = 0;
        for (size_t s = total + 1; s-- > sum;) *p_greater += p[s];
        if (*p_greater > 1) *p_greater = 1;
    }
    free(d);
    free(rank);
    free(p);
    return bad;
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The smallest q with P(W <= q) >= tail, W the signed-rank sum of n without ties; 0: no interval. */
static size_t cut_off(size_t n, double tail, double *p, size_t *rank) {
    size_t total = n * (n + 1), q = 0;
    for (size_t i = 0; i < n; i++) rank[i] = 2 * (i + 1);
    distribution(rank, n, p, total);
    double below = p[0];
    while (below < tail && 2 * (q + 1) <= total) below += p[2 * ++q];
    return q;
}

static double middle(const double *sorted, size_t n) {
    return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

int stat_centre(const double *x, size_t n, double confidence, double *centre, double *lo, double *hi) {
    *centre = *lo = *hi = (double)NAN;
    size_t pairs = n * (n + 1) / 2, k = 0;
    double *walsh = reallocarray(NULL, pairs + 1, sizeof *walsh);
    double *p = reallocarray(NULL, 2 * pairs + 1, sizeof *p);
    size_t *rank = reallocarray(NULL, n + 1, sizeof *rank);
    int bad = walsh && p && rank ? 0 : -1;
    for (size_t i = 0; !bad && i < n; i++)
        for (size_t j = i; j < n; j++) walsh[k++] = (x[i] + x[j]) / 2;
    if (!bad && n) {
        qsort(walsh, pairs, sizeof *walsh, compare_doubles);
        *centre = middle(walsh, pairs);
        size_t q = cut_off(n, (1 - confidence) / 2, p, rank);
        if (q) {
            *lo = walsh[q - 1];
            *hi = walsh[pairs - q];
        }
    }
    free(walsh);
    free(p);
    free(rank);
    return bad;
}
