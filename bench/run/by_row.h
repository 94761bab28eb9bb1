/* by_row.h: serving data that computes pair features candidate by candidate, each in a call of its own: what computing them column by
 * column is measured against (`measure.by_column: false`, ladder.h).
 *
 *     TRY(serving_data_from_dataset(&ds, &data, e));
 *     TRY(serving_data_by_row(&data, e));                  data.release() ends both
 */
#ifndef PRERANK_BENCH_BY_ROW_H
#define PRERANK_BENCH_BY_ROW_H
#include "serve/scorer.h"

/* An error leaves *d as it was. */
int serving_data_by_row(struct serving_data *d, struct err *e);

#endif
