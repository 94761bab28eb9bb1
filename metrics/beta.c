#include "metrics/beta.h"
#include <float.h>
#include <math.h>

/* DLMF 8.17.22, evaluated by the modified Lentz method (Press et al., Numerical Recipes, sec. 5.2 and 6.4).
 * Converges in O(sqrt(max(a,b))) steps for x < (a+1)/(a+b+2). */
static double continued_fraction(double a, double b, double x) {
    const double tiny = 1e-300;
    const int steps = 1000000;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    if (fabs(d) < tiny) d = tiny;
    d = 1 / d;
    double value = d;
    for (int i = 1; i <= steps; i++) {
        double m = i, even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        double change = 1;
        for (int half = 0; half < 2; half++) {
            double term = half ? odd : even;
            d = 1 + term * d;
            c = 1 + term / c;
            if (fabs(d) < tiny) d = tiny;
            if (fabs(c) < tiny) c = tiny;
            d = 1 / d;
            change = d * c;
            value *= change;
        }
        if (fabs(change - 1) < 2 * DBL_EPSILON) break;
    }
    return value;
}

/* lgamma() writes the global signgam; this does not. */
static double log_gamma(double x) {
    int sign;
    return lgamma_r(x, &sign);
}

double beta_regularised(double a, double b, double x, double y) {
    if (x <= 0) return 0;
    if (y <= 0) return 1;
    double front = exp(log_gamma(a + b) - log_gamma(a) - log_gamma(b) + a * log(x) + b * log(y));
    if (x < (a + 1) / (a + b + 2)) return front * continued_fraction(a, b, x) / a;
    return 1 - front * continued_fraction(b, a, y) / b;
}
