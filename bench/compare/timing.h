/* timing.h: response times of two programs, group by group, and what they say together (builds.h).
 *
 *     struct timing t;
 *     timing_init(&t, 20);                                      at most 20 groups
 *     TRY(timing_name(&t, names, n_points, e));                 once, before the first group
 *     TRY(timing_add(&t, point, base_ns, new_ns, 400, e));      a group of a point; sorts the samples
 *     TRY(timing_gates(&t, &comparison, e));                    p50, p99, qps of every point
 *     timing_release(&t);
 */
#ifndef PRERANK_BENCH_TIMING_H
#define PRERANK_BENCH_TIMING_H
#include "bench/compare/gate.h"
#include <stdint.h>

enum { TIMING_P50, TIMING_P99, TIMING_QPS, TIMING_METRICS };
struct timing_point {
    char *variant, *features, *where; /* "fp32, memory, 1000 candidates, 2 threads" */
    int n;                            /* groups so far */
    double *base, *ratio; /* [metric][groups]: BASE's figure in us, log of NEW's over BASE's; NaN: none */
    const char *skip;     /* why it is not measured; NULL: it is. Not owned */
};
struct timing {
    struct arena arena;
    int groups, n_points;
    struct timing_point *point;
};
void timing_init(struct timing *t, int groups);
void timing_release(struct timing *t);
int timing_name(struct timing *t, char *const *names, int n, struct err *e);
int timing_add(struct timing *t, int point, int64_t *base_ns, int64_t *new_ns, size_t n, struct err *e);
/* Adds TIMING_METRICS gates for each point, in order. */
int timing_gates(const struct timing *t, struct comparison *c, struct err *e);
/* The figures of one of them, of the point's groups from `first` on: base, new, worse, interval, p. */
int timing_gate(const struct timing *t, int point, int metric, int first, struct gate *g, struct err *e);

#endif
