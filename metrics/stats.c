#include "metrics/stats.h"
#include "metrics/beta.h"
#include <math.h>
#include <stdlib.h>

double stat_mean(const double *x, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i];
    return n ? sum / (double)n : NAN;
}

double stat_sd(const double *x, size_t n) {
    if (n < 2) return NAN;
    double mean = stat_mean(x, n), sum = 0;
    for (size_t i = 0; i < n; i++) sum += (x[i] - mean) * (x[i] - mean);
    return sqrt(sum / (double)(n - 1));
}

double stat_t_half_width(const double *x, size_t n, double confidence) {
    if (n < 2) return NAN;
    return stat_t_quantile(.5 + confidence / 2, (double)(n - 1)) * stat_sd(x, n) / sqrt((double)n);
}

/* P(T > t) for t >= 0, and P(0 < T < t), which the first gives badly near t = 0. */
struct mass {
    double tail, centre;
};
static struct mass t_mass(double t, double degrees) {
    if (degrees > 1e6) { /* z of the same tail; the next term is of the order of t^5 / degrees^2 */
        double z = t * (1 - (t * t + 1) / (4 * degrees)) / sqrt(2);
        return (struct mass){erfc(z) / 2, erf(z) / 2};
    }
    double square = t / degrees * t, x = 1 / (1 + square), y = 1 / (1 + 1 / square);
    return (struct mass){beta_regularised(degrees / 2, .5, x, y) / 2,
                         beta_regularised(.5, degrees / 2, y, x) / 2};
}

static int is_beyond(double t, double tail, double centre, double degrees) {
    struct mass m = t_mass(t, degrees);
    return tail < .25 ? m.tail < tail : m.centre > centre;
}

double stat_t_quantile(double p, double degrees) {
    if (!(p >= 0 && p <= 1 && degrees > 0)) return NAN;
    double tail = p < .5 ? p : 1 - p, centre = fabs(p - .5), low = 0, high = 1;
    if (tail == 0) return p < .5 ? -INFINITY : INFINITY;
    while (isfinite(high) && !is_beyond(high, tail, centre, degrees)) {
        low = high;
        high *= 2;
    }
    if (centre == 0 || isinf(high)) return centre == 0 ? 0 : copysign(high, p - .5);
    for (int i = 0; i < 200; i++) { /* bisection: never fails, and nobody waits for it */
        double middle = low + (high - low) / 2;
        if (middle == low || middle == high) break;
        if (is_beyond(middle, tail, centre, degrees))
            high = middle;
        else
            low = middle;
    }
    return copysign(low + (high - low) / 2, p - .5);
}

struct test {
    double p;
    size_t at;
};

/* NaN last. */
static int compare_tests(const void *a, const void *b) {
    double x = ((const struct test *)a)->p, y = ((const struct test *)b)->p;
    if (isnan(x) || isnan(y)) return isnan(x) - isnan(y);
    return (x > y) - (x < y);
}

int stat_holm(const double *p, size_t n, double *adjusted) {
    if (n == 0) return 0;
    struct test *test = reallocarray(NULL, n, sizeof *test);
    if (!test) return -1;
    for (size_t i = 0; i < n; i++) test[i] = (struct test){p[i], i};
    qsort(test, n, sizeof *test, compare_tests);
    double least = 0; /* no later test may get a smaller p */
    for (size_t i = 0; i < n; i++) {
        double q = fmin(1, (double)(n - i) * test[i].p);
        least = fmax(least, q);
        adjusted[test[i].at] = isnan(test[i].p) ? NAN : least;
    }
    free(test);
    return 0;
}
