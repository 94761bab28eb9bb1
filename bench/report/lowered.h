/* lowered.h: what a precision below fp32 costs in quality, from precision.csv, put into the points of a trade-off. */
#ifndef PRERANK_BENCH_LOWERED_H
#define PRERANK_BENCH_LOWERED_H
#include "bench/report/tradeoff.h"

/* Points in a lower precision get the mean over seeds of its gauc_delta added to gauc (and its interval) and to
 * gauc_valid. Without DIR/precision.csv, or for a model that is not in it, gauc_delta stays NaN and nothing is added. */
int lowered_apply(const char *dir, struct tradeoff *t, struct err *e);

#endif
