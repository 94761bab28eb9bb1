/* effect.h: effect.csv, grouped: what the seeds of one variant on one feature subset say together.
 *
 * Only runs of status "ok" count. With two or more seeds the interval of a mean is Student's t at 95 % over
 * the seeds; with one seed GAUC has the interval of its row (a bootstrap over users), others have none. Means
 * of the `test` split, except valid_gauc. A second row for the same run and split is an error: it would make
 * the interval narrower than it is.
 *
 *     struct effect f;
 *     TRY(effect_load("results/mine", &f, e));
 *     struct effect_stat s = f.group[0].metric[EFFECT_GAUC];          s.mean, s.lo, s.hi; NaN = unknown
 *     effect_release(&f);
 */
#ifndef PRERANK_BENCH_EFFECT_H
#define PRERANK_BENCH_EFFECT_H
#include "base/err.h"
#include "bench/report/table.h"
#include <stdbool.h>
#include <stddef.h>

enum effect_metric {
    EFFECT_AUC,
    EFFECT_GAUC,
    EFFECT_GAUC_KEPT,
    EFFECT_LOGLOSS,
    EFFECT_PCOC,
    EFFECT_ECE,
    EFFECT_NDCG10,
    EFFECT_HR10,
    EFFECT_RANKER_RECALL,
    EFFECT_PARAMS,
    EFFECT_EPOCHS,
    EFFECT_SECONDS,
    EFFECT_SPEED,
    EFFECT_METRICS
};

struct effect_stat {
    size_t n; /* runs that have the metric */
    double mean, lo, hi;
};
struct effect_run { /* variant x features x seed */
    const char *variant, *features, *seed, *status, *note;
    bool ok;
    double n_features, gauc_lo, gauc_hi, valid_gauc;
    double metric[EFFECT_METRICS]; /* on test */
    bool has_test, has_valid;
    size_t group;
};
struct effect_group { /* variant x features, in order of appearance */
    const char *variant, *features;
    int variant_index, features_index; /* in order of appearance */
    double n_features;
    size_t seeds, failed; /* runs with status ok and a test row; the others */
    double valid_gauc;
    struct effect_stat metric[EFFECT_METRICS];
};
struct effect {
    struct table table;
    size_t runs, groups;
    int variants, subsets;
    struct effect_run *run;
    struct effect_group *group;
};

int effect_load(const char *dir, struct effect *f, struct err *e);
void effect_release(struct effect *f);
/* The group's index, or f->groups. */
size_t effect_find(const struct effect *f, const char *variant, const char *features);

#endif
