/* cascade_own.h: private to cascade: what cascade.c computes and cascade_rows.c writes. */
#ifndef PRERANK_BENCH_CASCADE_OWN_H
#define PRERANK_BENCH_CASCADE_OWN_H
#include "bench/run/requests.h"
#include "bench/run/sweep.h"
#include "metrics/metrics.h"
#include "serve/scorer.h"

enum { CASCADE_TOP = 10 }; /* NDCG and HR of so many */

struct outcome { /* of one run that keeps k, means over the requests that have a click (recall: over all) */
    double ndcg, hit_rate, kept, recall;
    double ndcg_half; /* half the 95 % interval of the mean over requests */
};
struct ahead {          /* a model before the ranker */
    struct graph graph; /* of the first seed that trained */
    struct scorer *scorer;
    double us; /* p50 on all candidates; NaN: too few samples */
};
struct cascade_state {
    struct sweep *s;
    const struct machine *machine;
    const struct measure_options *o;
    struct pool *pool;
    struct arena arena;
    struct serving_data data;
    bool has_data;
    int ranker;        /* model */
    struct requests q; /* on which everything is scored */
    int n_k;
    size_t k[OPT_LIST_MAX];         /* the last one: all candidates */
    float *ranker_score, *score;    /* [q.first[q.n]] */
    struct outcome *outcome;        /* [n_runs][n_k] */
    struct ahead *ahead;            /* [n_models]; scorer NULL: not trained */
    double ranker_us[OPT_LIST_MAX]; /* p50 of the ranker on k candidates */
    struct err *e;
};

int cascade_time(struct cascade_state *c); /* cascade_time.c: fills `us` and `ranker_us` */
int cascade_write(const struct sweep *s, const struct cascade_state *c, struct err *e); /* c NULL: no rows */

#endif
