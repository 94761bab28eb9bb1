/* evaluate.h: how good a model's logits are on rows with labels: the effectiveness columns of effect.csv.
 *
 *     struct quality q;
 *     TRY(evaluate(score, label, user, n, by, &q, e));             everything
 *     TRY(evaluate_quick(score, label, user, n, by, &q, e));       AUC, GAUC, logloss; the rest NaN
 *
 * A score that is NaN is ERR_DIVERGED: such a model ranks nothing. Metrics that do not exist (one class only)
 * are NaN.
 */
#ifndef PRERANK_BENCH_EVALUATE_H
#define PRERANK_BENCH_EVALUATE_H
#include "base/err.h"
#include "metrics/metrics.h"
#include <stddef.h>
#include <stdint.h>

struct quality {
    size_t rows, users_kept;
    double auc, logloss;
    double gauc, gauc_kept;  /* users weighted by `by`; the share of exposures, whatever that is */
    double gauc_lo, gauc_hi; /* 95 %, bootstrap over users, 1000 resamples */
    double pcoc, ece;        /* ece: 15 bins of equal mass */
    double ndcg10, hr10;     /* a user's rows of the split are one request */
};
int evaluate(const float *score, const uint8_t *label, const uint32_t *user, size_t n, enum gauc_weight by,
             struct quality *out, struct err *e);
int evaluate_quick(const float *score, const uint8_t *label, const uint32_t *user, size_t n,
                   enum gauc_weight by, struct quality *out, struct err *e);

#endif
