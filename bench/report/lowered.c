#include "bench/report/lowered.h"
#include "base/file.h"
#include "bench/report/subsets.h"
#include <math.h>
#include <string.h>

struct lowered {
    struct table t, subsets; /* subsets: no rows where nothing was selected */
    int column[4];           /* variant, features, precision, split */
    double *delta;
};

/* Mean gauc_delta of the model's rows for a split; NaN without any. precision.csv has each trained model once. */
static double mean_delta(const struct lowered *l, const struct tradeoff_point *p, const char *split) {
    const char *want[] = {p->variant, subsets_trained_as(&l->subsets, p->variant, p->features), p->precision,
                          split};
    double sum = 0;
    size_t n = 0;
    for (size_t r = 0; r < l->t.rows; r++) {
        bool same = !isnan(l->delta[r]);
        for (int k = 0; k < 4 && same; k++) same = !strcmp(table_text(&l->t, r, l->column[k]), want[k]);
        if (!same) continue;
        sum += l->delta[r];
        n++;
    }
    return n ? sum / (double)n : (double)NAN;
}

static void apply(const struct lowered *l, struct tradeoff_point *p) {
    if (!strcmp(p->precision, "fp32")) {
        p->gauc_delta = 0;
        return;
    }
    double test = mean_delta(l, p, "test"), valid = mean_delta(l, p, "valid");
    p->gauc_delta = test;
    if (!isnan(test)) {
        p->gauc.mean += test;
        p->gauc.lo += test;
        p->gauc.hi += test;
    }
    if (!isnan(valid)) p->gauc_valid += valid;
}

int lowered_apply(const char *dir, struct tradeoff *t, struct err *e) {
    static const char *const names[] = {"variant", "features", "precision", "split"};
    struct lowered l = {.delta = NULL};
    char path[1024];
    for (size_t i = 0; i < t->n; i++) t->point[i].gauc_delta = (double)NAN;
    TRY(file_join(path, sizeof path, dir, "precision.csv", e));
    if (!file_exists(path)) return 0;
    TRY(table_load(dir, "precision.csv", &l.t, e));
    int rc = subsets_load(dir, &l.subsets, e);
    if (!rc) rc = table_numbers(&l.t, "gauc_delta", &l.delta, e);
    for (int k = 0; k < 4 && !rc; k++) rc = table_need(&l.t, names[k], &l.column[k], e);
    for (size_t i = 0; i < t->n && !rc; i++) apply(&l, &t->point[i]);
    table_release(&l.t);
    table_release(&l.subsets);
    return rc;
}
