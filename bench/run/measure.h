/* measure.h: response times and throughput of the trained models under the loads of bench/load/.
 *
 *     TRY(measure_run(&sweep, &machine, pool, e));          writes compute.csv and latency.csv
 *
 * A point is a model (the weights of the first seed that trained) in a precision, with its item records in a
 * store (served.h), and a number of candidates. What is timed is one request: the user stage, the item
 * records fetched, the pair features computed live, the pair stage, and the choice of the best `topk`.
 * Requests are drawn before (requests.h), and all points of one number of candidates answer the same ones.
 *
 * closed: points take turns (rounds.h).
 * open:   each point in turn: warm-up until two windows are alike, then requests at the times of a Poisson schedule.
 * usable: the largest such rate that keeps to `limit_ms` (usable.h).
 * Percentiles come from all counted samples, and are left empty where the samples cannot carry a 95 % interval.
 * Verdicts: samples.h and open.h. floor_us is the roofline of machine.h for the request's FLOPs and bytes; it
 * knows of no network.
 */
#ifndef PRERANK_BENCH_MEASURE_H
#define PRERANK_BENCH_MEASURE_H
#include "bench/run/machine.h"
#include "bench/run/sweep.h"
#include <stdio.h>

int measure_run(const struct sweep *s, const struct machine *m, struct pool *pool, struct err *e);

/* The same points, one turn at a time, for a caller that decides whose turn it is (bench/compare). Models are
 * those that the results folder has.
 *
 *     struct measure *m;
 *     TRY(measure_open(&sweep, pool, &m, e));
 *     TRY(measure_turn(m, 0, 50, took_ns, e));              50 requests at point 0, after the warm-up
 *     measure_close(m);
 */
struct measure;
int measure_open(const struct sweep *s, struct pool *pool, struct measure **out, struct err *e);
void measure_close(struct measure *m); /* NULL is fine */
int measure_points(const struct measure *m);
/* Its names as the first cells of compute.csv: variant,features,precision,store,candidates,threads,load. */
void measure_name(const struct measure *m, int point, FILE *out);
/* took_ns[n]: response times in the order of time. */
int measure_turn(struct measure *m, int point, size_t n, int64_t *took_ns, struct err *e);

#endif
