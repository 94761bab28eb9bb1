/* plan.h: the models that `select` asks for, added to the sweep: for each variant, selector and K the K most important
 * fields, as the feature subset <selector>-<K>; and subsets.csv, which says what they are.
 *
 *     TRY(select_models(&sweep, pool, e));      ranks (importance.h), then sweep_add(); nothing is trained twice
 */
#ifndef PRERANK_BENCH_SELECT_PLAN_H
#define PRERANK_BENCH_SELECT_PLAN_H
#include "bench/run/sweep.h"

int select_models(struct sweep *s, struct pool *pool, struct err *e);

#endif
