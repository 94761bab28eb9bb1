/* near.h: whether floats are those that PyTorch computed in float64: within 1e-5 of each value and, as sums cancel, 1e-6 of
 * the largest of its tensor.
 *
 *     double slack = near_slack(want);
 *     for (size_t i = 0; i < want->n; i++) cr_assert(near(got[i], near_value(want, i), slack));
 */
#ifndef PRERANK_TESTS_NN_NEAR_H
#define PRERANK_TESTS_NN_NEAR_H
#include "nn/checkpoint.h"

/* At least 1e-7, the noise of a sum of floats below 1; 1e-6 where PyTorch has nothing but zeros, which are such sums. */
double near_slack(const struct tensor *want);
double near_value(const struct tensor *want, size_t i);
bool near(float got, double want, double slack);

#endif
