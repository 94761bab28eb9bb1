/* differences.h: how each model differs from the first one, or from each of some, paired by user: differences.csv.
 *
 * From predictions/: a user's AUC under a model is the mean over the seeds, and what is compared is GAUC (by the experiment's
 * `gauc_weight`) of these. Two intervals say how far to trust a difference: over users (a bootstrap, the same resample for both models), as if
 * other users had come, and over seeds (Student's t of the differences of the runs with the same seed), as if training had been
 * repeated. A model is called better or worse when its p over users, corrected for the number of models that are compared with
 * the same one (Holm 1979), is below 5 % and the interval over seeds leaves 0 out.
 *
 * A model as it is served in a lower precision is another one than as it was trained: its scores are in predictions/int8/.
 *
 *     struct differences d[OPT_LIST_MAX];
 *     size_t n;
 *     TRY(differences_load(&study, d, &n, e));      none where there is one model only, or no predictions
 *     TRY(differences_save(d, n, "results/mine", e));
 *     for (size_t i = 0; i < n; i++) differences_release(&d[i]);
 */
#ifndef PRERANK_BENCH_DIFFERENCES_H
#define PRERANK_BENCH_DIFFERENCES_H
#include "base/err.h"
#include "bench/report/study.h"

struct difference {
    const struct effect_group *group, *against;
    const char *precision;     /* of group's scores */
    size_t seeds, users;       /* seeds that both models have; users with both classes */
    double value, lo, hi;      /* GAUC of the model - GAUC of the first; over users */
    double seeds_lo, seeds_hi; /* over seeds; NaN with one */
    double p_users, p_holm;    /* two-sided */
};
struct differences {
    size_t n;
    struct difference *d; /* in the order in which they were asked for */
};

/* A model by its scores of the test rows: fp32 (or ""): as it was trained. */
struct scored {
    size_t group; /* of effect.group */
    const char *precision;
};

/* All groups as trained, against each of study.compare_with (on the first of its feature subsets) or the first group; *n tables
 * that are not empty, at most OPT_LIST_MAX. */
int differences_load(const struct study *s, struct differences *out, size_t *n, struct err *e);
/* Each of v[n] against one; without itself, and without those that have no run in common with it. */
int differences_against(const struct study *s, struct scored against, const struct scored *v, size_t n,
                        struct differences *out, struct err *e);
bool scored_same(struct scored a, struct scored b);
int differences_save(const struct differences *d, size_t n, const char *dir, struct err *e);
void differences_release(struct differences *d);
/* "better", "worse", "not told apart" */
const char *difference_verdict(const struct difference *d);

#endif
