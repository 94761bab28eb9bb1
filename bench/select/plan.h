/* plan.h: the models that `select` asks for, added to the sweep: for each variant, selector and K the K most important
 * fields that it can be built of, as the feature subset <selector>-<K>; and subsets.csv, which says what they are.
 *
 *     TRY(select_models(&sweep, pool, &costs, e));      ranks (importance.h), then sweep_add(); nothing is trained twice
 *     TRY(select_again(&sweep, e));                     the same models, of a folder that `run` has finished: from subsets.csv
 */
#ifndef PRERANK_BENCH_SELECT_PLAN_H
#define PRERANK_BENCH_SELECT_PLAN_H
#include "bench/run/sweep.h"

/* *costs: by variant, what there is to say of the costs that fields were ranked by; a new reference, also after a failure. */
int select_models(struct sweep *s, struct pool *pool, json_t **costs, struct err *e);
/* Ranks nothing. A subset of a variant or of fields that the experiment or its data do not have is an error with file and line. */
int select_again(struct sweep *s, struct err *e);

#endif
