/* tradeoff.h: the trade-off curve: effect.csv joined with compute.csv, with the Pareto front and the pick.
 *
 * A point is a model as it was measured in a closed loop: variant x features x precision x store x candidates x
 * threads. A model without a measurement is a point without candidates and times; a measurement without a
 * trained model is a point without GAUC. Unknown numbers are NaN (empty cells in tradeoff.csv).
 *
 * Pareto: a point is on the front of its number of candidates when no other one is at least as good in both
 * GAUC and p50 and better in one; one whose requests found items missing did less work, and is none of them. Chosen: among the points of a number of candidates, measured in a closed loop, that
 * keep to the budget (`select.subject_to`, and `measure.limit_ms` on the p99), the one with the highest GAUC on
 * *validation* (then the lower p50, then the first). What choice.h tells about it is for people.
 *
 *     struct effect f;  struct tradeoff t;
 *     TRY(tradeoff_load("results/mine", &f, &t, e));        t's texts belong to f and t
 *     for (size_t i = 0; i < t.n; i++) printf("%s %g %g\n", t.point[i].variant, t.point[i].gauc.mean,
 *                                             t.point[i].p50_us);
 *     tradeoff_release(&t);
 *     effect_release(&f);
 */
#ifndef PRERANK_BENCH_TRADEOFF_H
#define PRERANK_BENCH_TRADEOFF_H
#include "base/err.h"
#include "bench/report/effect.h"
#include "bench/report/table.h"
#include "bench/select/budget.h"
#include <stddef.h>

struct tradeoff_point {
    const char *variant, *features, *precision, *store, *load;
    const char *verdict,
        *usable_verdict;              /* of the closed loop; of the search for the usable rate, "" without */
    const struct effect_group *group; /* NULL: measured, not trained */
    struct effect_stat gauc;
    double gauc_delta; /* of the precision, in gauc already; NaN: not measured */
    double n_features, seeds, gauc_valid, auc, logloss, params;
    double candidates, threads, offered_qps, qps, items_per_second, samples;
    double usable_qps;      /* the largest offered rate that keeps to the limit; NaN: not measured */
    double usable_limit_ms; /* that limit: measure.limit_ms of the run, whatever the budget says now */
    double p50_us, p50_lo_us, p50_hi_us, p95_us, p99_us, p99_lo_us, p99_hi_us, p999_us;
    double flops_per_candidate, bytes_per_candidate, floor_us;
    int pareto, chosen; /* 1, 0, or -1: does not apply */
};
struct tradeoff {
    struct table compute;
    double *qps, *limit_ms; /* columns of it */
    size_t n;
    struct tradeoff_point *point; /* models in the order of effect.csv, each with its rows of compute.csv */
    struct budget budget;         /* from the manifest */
    bool picks;                   /* one is to be chosen: there is a budget, or features were selected */
};

/* DIR's effect.csv, compute.csv and manifest.json (which may be missing). */
int tradeoff_load(const char *dir, struct effect *f, struct tradeoff *t, struct err *e);
void tradeoff_release(struct tradeoff *t); /* not f */
/* Sets pareto (and chosen, for a budget) of point[n]; NULL: nothing is chosen. */
void tradeoff_flag(struct tradeoff_point *point, size_t n, const struct budget *b);
/* The same points under another budget. */
void tradeoff_subject(struct tradeoff *t, const struct budget *b);
/* The budget of DIR's manifest as written; `measure.limit_ms` is its p99_ms where that says nothing. */
int tradeoff_budget(const char *dir, struct budget_options *o, struct err *e);
/* What a budget is about. */
void tradeoff_values(const struct tradeoff_point *p, double value[BUDGET_METRICS]);
/* It can be chosen: timed in a closed loop, known on validation, and complete. */
bool tradeoff_eligible(const struct tradeoff_point *p);
/* No candidate's record was missing, under any load: requests did all of the work that was asked for. */
bool tradeoff_complete(const struct tradeoff_point *p);
bool tradeoff_preferred(const struct tradeoff_point *q, const struct tradeoff_point *p); /* q before p */
/* Reads DIR, writes DIR/tradeoff.csv. */
int tradeoff_write(const char *dir, struct err *e);
int tradeoff_save(const struct tradeoff *t, const char *dir, struct err *e); /* the second half of that */

#endif
