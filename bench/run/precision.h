/* precision.h: what serving in a lower precision costs in quality: precision.csv.
 *
 *     TRY(precision_run(&sweep, pool, e));        nothing to do, and no file, when only fp32 is measured
 *
 * Each trained run is served in fp32 and in the other precisions of `measure.precision`, and scores the rows of the
 * validation and test splits with the features that were logged (serving_data_from_rows), one request a row. Int8's
 * scales are those of the scorer that serves the real items, and come from training rows.
 */
#ifndef PRERANK_BENCH_PRECISION_H
#define PRERANK_BENCH_PRECISION_H
#include "bench/run/sweep.h"
#include "serve/scorer.h"

/* 65536 training rows at equal distances (all, where there are fewer), for the scales of int8. */
struct precision_sample {
    struct arena arena;
    struct scorer_sample rows;
};
int precision_sample(const struct dataset *ds, struct precision_sample *out, struct err *e);
void precision_sample_release(struct precision_sample *s); /* a zeroed struct is fine */

/* GAUC on the test split of g, with its weights, as the scorer `as` serves it, which was made with the options o: with its scales and
 * its choice of tables, pair features as m says, and users from the cache where o has one. NaN without test rows. */
int precision_gauc(const struct sweep *s, const struct measure_options *m, const struct graph *g,
                   const struct scorer *as, const struct scorer_options *o, struct pool *pool, double *gauc,
                   struct err *e);

int precision_run(const struct sweep *s, struct pool *pool, struct err *e);

#endif
