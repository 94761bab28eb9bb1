/* predictions.h: what one model, trained with one seed, predicts in the two results folders of a comparison.
 *
 *     struct predictions p = {&base, &new, "mlp", "all", "1"};
 *     bool same;
 *     struct gauc gauc[2];                        of BASE and of NEW
 *     TRY(predictions_same(&p, &same, e));        to the bit: scores stand in the files with all digits of a float
 *     TRY(predictions_gauc(&p, gauc, e));         gauc_release() both
 *
 * data_hash is of the log and its schema. What a program makes of them is seen in the predictions only, so other rows, users or
 * labels on the two sides are an error of predictions_gauc().
 */
#ifndef PRERANK_BENCH_PREDICTIONS_H
#define PRERANK_BENCH_PREDICTIONS_H
#include "bench/compare/side.h"
#include "metrics/metrics.h"

struct predictions {
    const struct side *base, *new;
    const char *variant, *features, *seed;
};
int predictions_same(const struct predictions *p, bool *same, struct err *e);
int predictions_gauc(const struct predictions *p, struct gauc out[2], struct err *e);

#endif
