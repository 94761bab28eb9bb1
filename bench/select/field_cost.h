/* field_cost.h: what each field costs at serving: requests answered by a model with all fields against the same model
 * without one.
 *
 *     struct field_cost cost[n];
 *     TRY(field_cost_measure(&x, &ds, variant, &features, pool, cost, e));
 *
 * Weights do not matter for time, so nothing is trained for this. All models take turns, one request after the other,
 * in the order A B C C B A, with the model of all fields at both ends; a field's time is the median over the rounds of
 * the difference within a round, with an order-statistic interval. FLOPs and bytes are the differences of what the
 * graphs' walks count. A field without which the model cannot be built has NaN everywhere.
 */
#ifndef PRERANK_BENCH_FIELD_COST_H
#define PRERANK_BENCH_FIELD_COST_H
#include "bench/run/experiment.h"

struct field_cost {
    double request_us, lo_us, hi_us; /* of a request of `candidates`; a 95 % interval */
    double whole_us;                 /* the request itself, by the model of all fields: the median */
    double ns_per_candidate;         /* the same over the candidates */
    double flops_per_candidate, bytes_per_candidate, flops_per_request;
};
/* When and by what costs were measured. */
struct cost_taken {
    bool now; /* by this process; false: by the run that it resumes */
    int threads;
    char at[32], revision[80];
};
/* Candidates of the requests: the largest of `measure.candidates`, or 1000. */
int64_t field_cost_candidates(const struct experiment *x);
int field_cost_measure(const struct experiment *x, const struct dataset *ds,
                       const struct experiment_variant *v, const struct features *f, struct pool *pool,
                       struct field_cost *out, struct err *e);
/* share[n]: each field's time over an even share of the request, which is whole_us / n: what costs next to nothing beside the
 * request has next to no price, though it be dear beside the other fields. Negative times count as 0, unknown ones as the
 * mean of the others; 1 when none is known. */
void field_cost_shares(const struct field_cost *cost, int n, double *share);

#endif
