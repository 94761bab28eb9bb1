/* slices.h: where a model is good: GAUC by the user's activity and by the item's popularity, and calibration, from predictions/.
 *
 *     TRY(slices_write(&sweep, e));             slices.csv and calibration.csv, of the runs that went well
 *
 * Activity and popularity are rows of the training split. Values v of the test split's users (once each), or of its rows'
 * items (once a row), are cut at t1, t2, t3, the values at positions n/4, n/2, 3n/4 of their ascending order: slice k holds
 * the values that k of the three cuts are at or below. Equal values share a slice, so slices may be uneven, or missing.
 * A slice's GAUC is that of its rows alone; users' AUC are averaged over the seeds, the interval is a bootstrap over users.
 * Calibration: 10 bins of equal numbers of rows by probability, all seeds' rows together.
 */
#ifndef PRERANK_BENCH_SLICES_H
#define PRERANK_BENCH_SLICES_H
#include "bench/run/sweep.h"

int slices_write(const struct sweep *s, struct err *e);

#endif
