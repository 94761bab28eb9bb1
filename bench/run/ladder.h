/* ladder.h: what each step of the serving engine is worth: ladder.csv.
 *
 *     TRY(ladder_run(&sweep, &machine, pool, e));
 *
 * Each model (weights of the first seed that trained) is served as a plain cut graph, on one thread, with pair features
 * computed candidate by candidate and the best found by sorting all; then one step after the other is added. All steps
 * of all models take turns (rounds.h) on the same requests. A step is a set of options of `measure:`, and what it is worth in quality is
 * the GAUC of the test rows as served with them. Steps that a model cannot take (a precision) are left out. */
#ifndef PRERANK_BENCH_LADDER_H
#define PRERANK_BENCH_LADDER_H
#include "bench/run/machine.h"
#include "bench/run/sweep.h"

int ladder_run(const struct sweep *s, const struct machine *m, struct pool *pool, struct err *e);

#endif
