#include "bench/report/effect.h"
#include "metrics/stats.h"
#include <math.h>
#include <string.h>

static const char *const columns[EFFECT_METRICS] = {[EFFECT_AUC] = "auc",
                                                    [EFFECT_GAUC] = "gauc",
                                                    [EFFECT_GAUC_KEPT] = "gauc_kept",
                                                    [EFFECT_LOGLOSS] = "logloss",
                                                    [EFFECT_PCOC] = "pcoc",
                                                    [EFFECT_ECE] = "ece",
                                                    [EFFECT_NDCG10] = "ndcg10",
                                                    [EFFECT_HR10] = "hr10",
                                                    [EFFECT_RANKER_RECALL] = "ranker_recall",
                                                    [EFFECT_PARAMS] = "params",
                                                    [EFFECT_EPOCHS] = "epochs",
                                                    [EFFECT_SECONDS] = "train_seconds",
                                                    [EFFECT_SPEED] = "examples_per_second"};

struct reader { /* the columns of effect.csv */
    int variant, features, seed, split, status, note;
    double *n_features, *lo, *hi, *metric[EFFECT_METRICS];
};

static int open_columns(struct table *t, struct reader *r, struct err *e) {
    int gauc;
    TRY(table_need(t, "variant", &r->variant, e));
    TRY(table_need(t, "features", &r->features, e));
    TRY(table_need(t, "seed", &r->seed, e));
    TRY(table_need(t, "split", &r->split, e));
    TRY(table_need(t, "gauc", &gauc, e));
    r->status = table_column(t, "status");
    r->note = table_column(t, "note");
    TRY(table_numbers(t, "n_features", &r->n_features, e));
    TRY(table_numbers(t, "gauc_lo", &r->lo, e));
    TRY(table_numbers(t, "gauc_hi", &r->hi, e));
    for (int m = 0; m < EFFECT_METRICS; m++) TRY(table_numbers(t, columns[m], &r->metric[m], e));
    return 0;
}

size_t effect_find(const struct effect *f, const char *variant, const char *features) {
    size_t g = 0;
    while (g < f->groups &&
           (strcmp(f->group[g].variant, variant) != 0 || strcmp(f->group[g].features, features) != 0))
        g++;
    return g;
}

static size_t group_of(struct effect *f, const char *variant, const char *features, double n_features) {
    size_t g = effect_find(f, variant, features);
    if (g < f->groups) return g;
    struct effect_group *group = &f->group[f->groups++];
    *group = (struct effect_group){.variant = variant,
                                   .features = features,
                                   .variant_index = -1,
                                   .features_index = -1,
                                   .n_features = n_features};
    for (size_t i = 0; i < g; i++) {
        if (!strcmp(f->group[i].variant, variant)) group->variant_index = f->group[i].variant_index;
        if (!strcmp(f->group[i].features, features)) group->features_index = f->group[i].features_index;
    }
    if (group->variant_index < 0) group->variant_index = f->variants++;
    if (group->features_index < 0) group->features_index = f->subsets++;
    return g;
}

static struct effect_run *run_of(struct effect *f, size_t group, const char *seed) {
    for (size_t i = f->runs; i-- > 0;)
        if (f->run[i].group == group && !strcmp(f->run[i].seed, seed)) return &f->run[i];
    struct effect_run *run = &f->run[f->runs++];
    *run = (struct effect_run){.group = group,
                               .variant = f->group[group].variant,
                               .features = f->group[group].features,
                               .seed = seed,
                               .status = "",
                               .note = "",
                               .ok = true,
                               .gauc_lo = NAN,
                               .gauc_hi = NAN,
                               .valid_gauc = NAN};
    for (int m = 0; m < EFFECT_METRICS; m++) run->metric[m] = NAN;
    return run;
}

static int add_row(struct effect *f, const struct reader *r, size_t row, struct err *e) {
    const struct table *t = &f->table;
    const char *split = table_text(t, row, r->split), *status = table_text(t, row, r->status);
    size_t g =
        group_of(f, table_text(t, row, r->variant), table_text(t, row, r->features), r->n_features[row]);
    struct effect_run *run = run_of(f, g, table_text(t, row, r->seed));
    if (*status && strcmp(status, "ok") != 0) {
        run->ok = false;
        run->status = status;
    }
    if (!*run->note) run->note = table_text(t, row, r->note);
    bool test = !strcmp(split, "test"), valid = !strcmp(split, "valid");
    if ((test && run->has_test) || (valid && run->has_valid))
        return err_set(e, ERR_INPUT,
                       "%s: a second row for variant \"%s\", features \"%s\", seed %s, split %s",
                       t->where[row], run->variant, run->features, run->seed, split);
    if (valid) {
        run->has_valid = true;
        run->valid_gauc = r->metric[EFFECT_GAUC][row];
    }
    if (test) {
        run->has_test = true;
        run->gauc_lo = r->lo[row];
        run->gauc_hi = r->hi[row];
        for (int m = 0; m < EFFECT_METRICS; m++) run->metric[m] = r->metric[m][row];
    }
    return 0;
}

/* x[n]: the values of one metric over the seeds; NaNs are already left out. */
static struct effect_stat stat_of(const double *x, size_t n) {
    struct effect_stat s = {n, stat_mean(x, n), NAN, NAN};
    double half = stat_t_half_width(x, n, 0.95);
    if (!isnan(half)) {
        s.lo = s.mean - half;
        s.hi = s.mean + half;
    }
    return s;
}

static void summarise(struct effect *f, struct effect_group *group, size_t g, double *x) {
    const struct effect_run *only = NULL;
    size_t n = 0;
    for (size_t i = 0; i < f->runs; i++) {
        const struct effect_run *run = &f->run[i];
        if (run->group != g) continue;
        bool counts = run->ok && run->has_test;
        group->seeds += counts;
        group->failed += !run->ok;
        if (run->ok && !isnan(run->valid_gauc)) x[n++] = run->valid_gauc;
        if (counts && !isnan(run->metric[EFFECT_GAUC])) only = run;
    }
    group->valid_gauc = stat_mean(x, n);
    for (int m = 0; m < EFFECT_METRICS; m++) {
        n = 0;
        for (size_t i = 0; i < f->runs; i++) {
            const struct effect_run *run = &f->run[i];
            if (run->group == g && run->ok && run->has_test && !isnan(run->metric[m]))
                x[n++] = run->metric[m];
        }
        group->metric[m] = stat_of(x, n);
    }
    struct effect_stat *gauc = &group->metric[EFFECT_GAUC];
    if (gauc->n == 1) {
        gauc->lo = only->gauc_lo;
        gauc->hi = only->gauc_hi;
    }
}

static int collect(struct effect *f, struct err *e) {
    struct table *t = &f->table;
    struct reader r;
    TRY(open_columns(t, &r, e));
    if (!t->rows)
        return err_set(e, ERR_INPUT, "%s: has no rows: no run was finished; `prerank run` fills it", t->path);
    f->run = arena_alloc(&t->arena, t->rows * sizeof *f->run);
    f->group = arena_alloc(&t->arena, t->rows * sizeof *f->group);
    double *x = arena_alloc(&t->arena, t->rows * sizeof *x);
    if (!f->run || !f->group || !x) return err_nomem(e, t->rows * sizeof *f->run);
    for (size_t row = 0; row < t->rows; row++) TRY(add_row(f, &r, row, e));
    for (size_t g = 0; g < f->groups; g++) summarise(f, &f->group[g], g, x);
    return 0;
}

int effect_load(const char *dir, struct effect *f, struct err *e) {
    *f = (struct effect){.runs = 0};
    TRY(table_load(dir, "effect.csv", &f->table, e));
    int rc = collect(f, e);
    if (rc) effect_release(f);
    return rc;
}

void effect_release(struct effect *f) {
    table_release(&f->table);
    *f = (struct effect){.runs = 0};
}
