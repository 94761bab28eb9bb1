/* point.h: private to retrieval: one way of searching, what came of it, and its row of retrieval.csv. */
#ifndef PRERANK_BENCH_RETRIEVAL_POINT_H
#define PRERANK_BENCH_RETRIEVAL_POINT_H
#include "bench/retrieval/judge.h"
#include "bench/retrieval/kept_index.h"
#include "bench/run/rounds.h"
#include <stdio.h>

struct retrieval_point {
    const struct kept_index *index;
    const char *parameter; /* nprobe, efSearch; "" */
    int64_t value;         /* of the parameter */
    size_t k;
    struct judged judged;
    size_t at;       /* next request */
    int64_t user_ns; /* of the counted requests, spent in the user stage */
    struct round_point round;
};
struct retrieval_row { /* what the points of a model have in common */
    const char *variant, *features, *exclude;
    int64_t seed, threads;
    size_t items, dim;
};
/* Sorts the samples. `exact`: the exact lists of p->k. */
int retrieval_row(FILE *f, const struct retrieval_row *r, struct retrieval_point *p,
                  const struct judged *exact, struct err *e);

#endif
