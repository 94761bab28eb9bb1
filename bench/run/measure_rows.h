/* measure_rows.h: private to measure: a measured point, and its rows of compute.csv and latency.csv. */
#ifndef PRERANK_BENCH_MEASURE_ROWS_H
#define PRERANK_BENCH_MEASURE_ROWS_H
#include "bench/run/machine.h"
#include "bench/run/requests.h"
#include "bench/run/rounds.h"
#include "serve/scorer.h"
#include <stdio.h>

struct point {
    const char *variant, *features, *precision, *store;
    size_t candidates;
    const struct requests *requests;
    size_t at; /* next request */
    int threads;
    struct scorer_cost cost;
    struct round_point round;
    uint64_t missing; /* candidates of the counted requests whose record the store did not have */
};
void measure_names(FILE *out, const struct point *p); /* the first cells of its row, and a line's end */
/* Sorts the samples. */
int measure_write(const char *dir, struct point *p, int n, const struct machine *m, struct err *e);

#endif
