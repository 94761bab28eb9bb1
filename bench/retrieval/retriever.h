/* retriever.h: private to retrieval: one trained run with its indexes, and its points: an index, a search parameter, and a
 * number of items to return.
 *
 *     struct retriever r;
 *     TRY(retriever_open(&setup, run, &r, e));          r.n_points is 0, with a note, for what is no two towers
 *     TRY(retriever_judge(&r, sums, e));                every point's lists, for all users of the judge
 *     TRY(retriever_ask(&r, point, took_ns, e));        one request, for the next user
 *     retriever_release(&r);
 */
#ifndef PRERANK_BENCH_RETRIEVER_H
#define PRERANK_BENCH_RETRIEVER_H
#include "bench/retrieval/judge.h"
#include "bench/retrieval/kept_index.h"
#include "bench/retrieval/options.h"
#include "bench/run/rounds.h"
#include "bench/run/sweep.h"
#include "serve/scorer.h"

struct retrieval_point {
    const struct kept_index *index;
    const char *parameter; /* nprobe, efSearch; "" */
    int64_t value;         /* of the parameter */
    int t;                 /* number in topk */
    size_t k;
    struct judged judged;
    size_t at;       /* next request */
    int64_t user_ns; /* of the counted requests, spent in the user stage */
    struct round_point round;
};
struct retrieval_setup { /* what all runs have in common */
    const struct sweep *s;
    const struct retrieval_options *o;
    const struct judge *judge;
    const struct serving_data *data;
    struct pool *pool;
};
struct retriever {
    const struct retrieval_setup *setup;
    const struct sweep_run *run;
    struct arena arena;
    struct graph graph;
    struct scorer *scorer;
    struct scorer_towers towers;
    struct kept_index *index; /* [n_indexes] */
    int n_indexes, n_points;
    struct retrieval_point *point; /* by index, parameter, topk */
    struct judged *exact;          /* [topk] of the exact lists */
    size_t room;                   /* of a list: the largest topk, and what a user has seen */
    float *user, *score;
    uint32_t *list;
};
/* `out` is the caller's to release also after an error. */
int retriever_open(const struct retrieval_setup *setup, const struct sweep_run *run, struct retriever *out,
                   struct err *e);
/* Sets point[].judged and exact; adds to sums[n_points][JUDGED][users]. */
int retriever_judge(struct retriever *r, double *sums, struct err *e);
/* took_ns[2]: user stage; search and dropping what is excluded. The index keeps its last search parameter: `turns` says
 * that the last request was of another point. */
int retriever_ask(struct retriever *r, struct retrieval_point *p, bool turns, int64_t took_ns[2],
                  struct err *e);
void retriever_release(struct retriever *r);

#endif
