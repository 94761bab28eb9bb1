/* metrics.h: effectiveness of scores. Uses nothing of the project; plain arrays in, numbers out.
 *
 * Scores may be logits or probabilities where only their order counts; logloss and calibration want
 * probabilities. A quantity that does not exist (AUC of one class) is NaN, never 0 or .5. Functions that need
 * scratch memory return 0, or -1 when memory is out; NaN scores are refused with -2 (a ranking of NaN means
 * nothing). On an error the result is NaN too. Infinite scores are scores; -0 and 0 tie; any label but 0 is
 * a 1.
 *
 *     double a;
 *     if (metric_auc(score, label, n, &a)) ...
 *     struct gauc g;
 *     gauc_compute(score, label, user, n, GAUC_BY_EXPOSURES, &g);
 *     printf("GAUC %.4f over %zu users, %.1f %% of exposures kept\n", g.value, g.users_kept, 100 * g.kept);
 */
#ifndef PRERANK_METRICS_METRICS_H
#define PRERANK_METRICS_METRICS_H
#include <stddef.h>
#include <stdint.h>

/* Area under the ROC curve by the rank sum with mean ranks (a tie counts 1/2): Mann-Whitney U / (P*N).
 * label[i] is 1 or 0. NaN when a class is missing. */
int metric_auc(const float *score, const uint8_t *label, size_t n, double *out);

/* GAUC = sum_g w_g AUC_g / sum_g w_g over the users g that have both classes (Zhou et al. 2018, Deep Interest
 * Network, eq. 3 weights by impressions). On an error nothing is left to release. */
enum gauc_weight { GAUC_BY_EXPOSURES, GAUC_BY_POSITIVES, GAUC_BY_USER };
extern const char *const gauc_weight_names[];         /* exposures, positives, users; then NULL */
enum gauc_weight gauc_weight_named(const char *name); /* NULL or none of them: exposures */
struct gauc_user { /* one per user with both classes, in order of user id */
    uint32_t user;
    double auc, weight;
};
struct gauc {
    double value; /* NaN when no user has both classes */
    double kept;  /* exposures of the users that count / all exposures; NaN without a row */
    size_t users_kept, users_all;
    struct gauc_user *user; /* users_kept entries; gauc_release() frees */
};
int gauc_compute(const float *score, const uint8_t *label, const uint32_t *user, size_t n, enum gauc_weight w,
                 struct gauc *out);
void gauc_release(struct gauc *g);

/* Percentile bootstrap over users (Efron & Tibshirani 1993, ch. 13): resample the users of `g` with
 * replacement. The interval is NaN when there is none to be had: fewer than two users, or too few resamples
 * for the confidence (95 % takes 39). */
struct interval {
    double lo, hi;
};
int gauc_bootstrap(const struct gauc *g, int resamples, double confidence, uint64_t seed,
                   struct interval *out);
/* The same of the plain mean of one value a user, value[n]. */
int mean_bootstrap(const double *value, size_t n, int resamples, double confidence, uint64_t seed,
                   struct interval *out);
/* The same for GAUC(a) - GAUC(b), paired: users in both, one resample of users for both. p_two_sided: twice
 * the smaller tail of the bootstrap distribution at 0, at least 2/(resamples+1). Returns -3 when no user is
 * in both. Interval and p are NaN where gauc_bootstrap() has none. */
struct gauc_difference {
    double value;
    struct interval ci;
    double p_two_sided;
    size_t users;
};
int gauc_paired_bootstrap(const struct gauc *a, const struct gauc *b, int resamples, double confidence,
                          uint64_t seed, struct gauc_difference *out);

/* Probabilities. logloss clips p to [1e-15, 1-1e-15] as scikit-learn did until 1.2 (float32 probabilities:
 * 1e-7 would be the resolution; the clip only matters at exact 0 or 1). NaN when a p is outside [0,1], a
 * logit for instance. */
double metric_logloss(const float *p, const uint8_t *label, size_t n);
/* mean p / mean y; NaN without a positive. */
double metric_pcoc(const float *p, const uint8_t *label, size_t n);
/* Expected calibration error: rows sorted by p, cut into `bins` equal-mass bins (sizes differ by at most one,
 * np.array_split), sum_b n_b/n |mean p - mean y|. Optionally the bins themselves (arrays of `bins`, may be
 * NULL); a bin without rows, when bins > n, has NaN means. Equal p keep the order of their rows. NaN when a p
 * is outside [0,1]. */
struct calibration_bin {
    double mean_p, mean_y;
    size_t n;
};
int metric_ece(const float *p, const uint8_t *label, size_t n, int bins, double *out,
               struct calibration_bin *bin);

/* Ranking within a request. Rows of one request are those of equal `request`; the mean runs over requests
 * with a positive. NDCG@k: binary gain, log2 discount, ideal = min(k, positives) hits first (Jarvelin &
 * Kekalainen 2002). Ties in score: the expected value over random orders of the tied rows, so that a constant
 * score earns no luck. HR@k: probability that at least one positive is among the first k; Recall@k: expected
 * share of the positives among the first k. NaN when no request counts or k = 0. */
struct ranking {
    double ndcg, hit_rate, recall;
    size_t requests;
};
int metric_ranking(const float *score, const uint8_t *label, const uint32_t *request, size_t n, size_t k,
                   struct ranking *out);

/* The same of one list of different items, best first, that was chosen from a whole item set: item numbers, and those
 * that are relevant, ascending. Lists may be shorter than k. NaN (requests 0) without a relevant item or when
 * k = 0. */
void metric_top_list(const uint32_t *list, size_t n, const uint32_t *relevant, size_t n_relevant, size_t k,
                     struct ranking *out);

/* ranker_recall@(k,m) of one request: |top-k by pre-ranker ∩ top-m by ranker| / m; ties broken by index
 * (lower first). With fewer than m candidates all of them are the ranker's top and the divisor is n; NaN for
 * n = 0 or m = 0. */
int metric_ranker_recall(const float *pre, const float *ranker, size_t n, size_t k, size_t m, double *out);

/* One request through both stages: the pre-ranker keeps its k best of n, the ranker orders these, and the first `top` of
 * them are shown; ties broken by index (lower first). NDCG@top and HR@top as above with binary gain; the ideal list is of
 * all n candidates, so that a click that the pre-ranker drops is a loss. NaN when label[n] has no positive or top = 0. */
struct cascade {
    double ndcg, hit_rate;
    double kept; /* share of the positives among the k */
};
int metric_cascade(const float *pre, const float *ranker, const uint8_t *label, size_t n, size_t k,
                   size_t top, struct cascade *out);

#endif
