/* cascade.h: the trained models in front of the best ranker: what of its best they let through, what the list that the two
 * make together is worth, and what it costs.
 *
 *     TRY(cascade_run(&sweep, &machine, pool, e));     sets ranker_recall of the runs, writes cascade.csv
 *     TRY(sweep_assemble(&sweep, e));        effect.csv with the column ranker_recall
 *
 * The ranker is `measure.ranker`, or the model, no two-tower, with the best mean validation GAUC; its weights are those of
 * the first seed that trained. Requests are those of requests.h, one a user: the candidates are what the user was shown
 * from then on, and popular items; the clicks of the test period say what a list is worth (metric_cascade()). Every model
 * scores the same requests with each of its seeds, in fp32. Without a ranker, and with `recall_requests: 0`, nothing is
 * done and cascade.csv has no rows.
 *
 * Scores, and so ranker_recall, do not depend on the number of threads. Times do: the p50 of the models on all candidates
 * and of the ranker on k of them, measured in turns (rounds.h).
 */
#ifndef PRERANK_BENCH_CASCADE_H
#define PRERANK_BENCH_CASCADE_H
#include "bench/run/machine.h"
#include "bench/run/sweep.h"

int cascade_run(struct sweep *s, const struct machine *m, struct pool *pool, struct err *e);
/* The model that the others are held against, or -1: none trained. */
int cascade_ranker(const struct sweep *s);

#endif
