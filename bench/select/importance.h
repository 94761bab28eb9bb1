/* importance.h: what each field is worth to each variant by each selector, and what it costs: importance.csv and
 * fields.csv.
 *
 *     struct rankings r;
 *     TRY(rankings_make(&sweep, pool, &r, e));      after the sweep has trained the models of all fields
 *     for (int i = 0; i < r.n; i++) r.v[i].order[0] ...      the best field of that variant and selector
 *     rankings_release(&r);
 *
 * A result is kept in importance/<variant>.<selector>.<seed>.json with the hash of everything that decides it, and
 * importance/<variant>.cost.json likewise; what is there already is not made again (the folder is empty without
 * --resume). Costs that a selector ranks by are those of kept_cost.h.
 */
#ifndef PRERANK_BENCH_IMPORTANCE_H
#define PRERANK_BENCH_IMPORTANCE_H
#include "bench/run/sweep.h"
#include "bench/select/field_cost.h"

enum { RANKING_NAME_MAX = 32 };

struct ranking_of {              /* a variant by a selector */
    char name[RANKING_NAME_MAX]; /* "se"; of the second ranking (`rankings: each`) "se~2" */
    int model;                   /* of the sweep: the one with all fields */
    int selector;                /* number in selectors[] */
    int n, first_seed, n_seeds;  /* of the experiment's seeds */
    double *importance;          /* [n] mean over the seeds */
    double *by_seed;             /* [n_seeds][n] */
    double seconds;              /* that it took, all seeds */
    int *order; /* [n] fields, the most important first; equal ones in the order of the dataset */
    const struct field_cost *cost; /* [n] measured in this run */
    const double *share; /* [n] the costs that it ranked by, as field_cost_shares() has them; NULL: none */
};
struct rankings {
    struct arena arena;
    int n;
    struct ranking_of *v; /* by variant, then number of the ranking, then selector as in rank_by */
    json_t *costs;        /* by variant: what there is to say of the costs that were ranked by */
};
int rankings_make(const struct sweep *s, struct pool *pool, struct rankings *out, struct err *e);
void rankings_release(struct rankings *r);

#endif
