/* beta.h: private to metrics/. The regularised incomplete beta function: Student's t and the binomial
 * distribution are cases of it. */
#ifndef PRERANK_METRICS_BETA_H
#define PRERANK_METRICS_BETA_H

/* I_x(a,b) for a, b > 0 and x in [0,1]; y = 1 - x, which the caller knows without cancellation. */
double beta_regularised(double a, double b, double x, double y);

#endif
