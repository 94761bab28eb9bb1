/* retrieval.h: retrieval.csv as the report reads it, and its pictures.
 *
 *     struct retrieval r;
 *     TRY(retrieval_load(&study, &r, e));              r.n is 0 in a folder without the file
 *     retrieval_release(&r);
 */
#ifndef PRERANK_BENCH_REPORT_RETRIEVAL_H
#define PRERANK_BENCH_REPORT_RETRIEVAL_H
#include "bench/report/plots.h"
#include "bench/report/study.h"

struct retrieval_line { /* the mean over seeds where there are several */
    const char *variant, *features, *seed, *index, *parameter, *exclude, *verdict;
    double value, topk, users, items, recall, hr, ndcg, click_recall, exact_hr, exact_ndcg,
        exact_click_recall;
    double qps, p50_us, p99_us, build_seconds, index_bytes;
    /* 95 % intervals over users, and over seeds; NaN where there is none */
    double recall_lo, recall_hi, hr_lo, hr_hi, ndcg_lo, ndcg_hi;
    double recall_seeds_lo, recall_seeds_hi, hr_seeds_lo, hr_seeds_hi, ndcg_seeds_lo, ndcg_seeds_hi,
        qps_seeds_lo, qps_seeds_hi;
    int model; /* variant x features, in order of appearance */
};
struct retrieval {
    struct table table;
    size_t n;
    int models;
    struct retrieval_line *line; /* in the file's order: by model, index, parameter, topk */
};
int retrieval_load(const struct study *s, struct retrieval *r, struct err *e);
void retrieval_release(struct retrieval *r);

/* Recall against QPS of one model, one curve an index. Returns as the functions in plots.h do. */
int plot_retrieval(const struct study *s, const struct retrieval *r, int model, double topk,
                   struct picture *p);

#endif
