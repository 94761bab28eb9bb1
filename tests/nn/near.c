#include "tests/nn/near.h"
#include <math.h>

double near_value(const struct tensor *want, size_t i) { return (double)((const float *)want->data)[i]; }

double near_slack(const struct tensor *want) {
    double largest = 0;
    for (size_t i = 0; i < want->n; i++) largest = fmax(largest, fabs(near_value(want, i)));
    return largest > 0 ? fmax(1e-6 * largest, 1e-7) : 1e-6;
}

bool near(float got, double want, double slack) {
    return fabs((double)got - want) <= 1e-5 * fabs(want) + slack;
}
