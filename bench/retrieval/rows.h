/* rows.h: private to retrieval: retrieval.csv. */
#ifndef PRERANK_BENCH_RETRIEVAL_ROWS_H
#define PRERANK_BENCH_RETRIEVAL_ROWS_H
#include "bench/retrieval/retriever.h"
#include <stdio.h>

/* The rows of one model: those of its seeds r[n], and with several their mean, whose lists are judged as mean[n_points]
 * (users' values averaged over the seeds). Sorts the samples. */
int retrieval_rows(FILE *f, struct retriever *r, int n, const struct judged *mean, struct err *e);

#endif
