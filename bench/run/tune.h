/* tune.h: training options that are chosen for each variant on validation rows before the sweep, so that no variant is
 * compared with options that suit another.
 *
 *     tune:
 *       learning_rate: [0.0005, 0.001, 0.002]      any option of `train:`; every combination is a point
 *       embedding_l2: [1e-5, 1e-4]
 *
 *     tune_read(&x, &problems);                  after the variants
 *     TRY(tune_run(&x, &ds, dir, resume, pool, &chosen, e));       sets x.variant[].train; writes tuning.csv
 *
 *     TRY(tune_again(&x, tuned, e));             the same, from what the manifest of a finished run says: trains nothing
 *
 * Each variant is trained at each point with the first seed on the first feature subset, as sweeps of their own in
 * <dir>/tuning/, and the point whose kept epoch has the best monitored validation metric is taken. Students come after their
 * teachers, and learn from tuned ones. The sweep, and later rounds, take over what earlier rounds trained.
 */
#ifndef PRERANK_BENCH_TUNE_H
#define PRERANK_BENCH_TUNE_H
#include "bench/run/experiment.h"
#include "bench/run/sweep.h"

void tune_read(struct experiment *x, struct problems *p);
/* What the rounds trained need not be trained again by the experiment's own sweep. */
int tune_offer(const struct experiment *x, struct sweep *s, struct err *e);
/* *chosen: {"<id>": {"learning_rate": "0.001", ...}, ...} for the manifest; a new reference, or NULL without `tune:`.
 * ERR_INTERRUPTED after Ctrl-C: what was trained is kept. */
int tune_run(struct experiment *x, const struct dataset *ds, const char *dir, bool resume, struct pool *pool,
             json_t **chosen, struct err *e);
/* tuned: the manifest's, as tune_run() said it. Nothing to do without `tune:`. */
int tune_again(struct experiment *x, const json_t *tuned, struct err *e);

#endif
